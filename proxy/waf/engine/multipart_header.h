// The two header fields that say what the parts of multipart/form-data are: Content-Type with its
// boundary, and a part's Content-Disposition. As libmodsecurity 3.0.14 reads them.

#pragma once

#include <string_view>

#include "proxy/waf/engine/request_body.h"
#include "proxy/waf/engine/text_arena.h"

namespace edge::waf {

// Sets `boundary` and what is odd about it in `flags`. Returns the mistake, empty if there is none.
std::string_view FindBoundary(std::string_view content_type, std::string_view& boundary,
                              MultipartFlags& flags);

struct Disposition {
  std::string_view name;  // of the field, without quotes and escapes
  std::string_view filename;
  bool has_name = false;
  bool has_filename = false;
  // Of parameters that came twice, the second.
  std::string_view latest_name;
  std::string_view latest_filename;
  bool invalid_quoting = false;
};

// False: it is malformed, and what was found before that is there.
bool ParseDisposition(std::string_view value, TextArena& arena, Disposition& disposition);

}  // namespace edge::waf
