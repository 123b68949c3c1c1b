// application/x-www-form-urlencoded, of a body or a query string: names and values, decoded as
// libmodsecurity 3.0.14 does it.
//
// Texts without an escape stay views of what was given. One thread.

#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/text_arena.h"

namespace edge::waf {

struct Argument {
  std::string_view name;
  std::string_view value;
};

struct UrlEncodedResult {
  // A '%' without two hexadecimal digits behind it; it stays as it is.
  bool encoding_error = false;
  bool arguments_limit_exceeded = false;
};

// Appends the pairs of `text` to `arguments`, no more than `arguments_max`: the others are left
// out. An empty pair counts ("a=1&&b=2" has three), but for one at the end.
UrlEncodedResult SplitUrlEncoded(std::string_view text, char separator, size_t arguments_max,
                                 TextArena& arena, std::vector<Argument>& arguments);

// %XX, and '+' as a space where `plus_is_space`. Sets `error` at a '%' that is not an escape.
std::string_view DecodePercent(std::string_view text, bool plus_is_space, TextArena& arena,
                               bool& error);

}  // namespace edge::waf
