#pragma once

// Request lines and status lines, checked on their raw bytes: llhttp reads them as well, but skips
// doubled spaces and takes a line without a version for HTTP/0.9.
//
// Pure functions, any thread. Lines come without their CRLF; positions in the results are offsets
// into the line, because the block that holds it may move before the head is complete.

#include <cstdint>
#include <string_view>

#include "http/message_head.h"
#include "http/reason.h"
#include "http/uri.h"
#include "http/validation_policy.h"

namespace edge::http {

struct RequestLine {
  Method method = Method::kGet;
  Version version = Version::kHttp11;
  TargetForm form = TargetForm::kOrigin;
  bool https = false;
  uint16_t path_begin = 0;  // path and query; of absolute-form, what follows the authority
  uint16_t path_and_query_size = 0;
  uint16_t path_size = 0;
  uint16_t authority_begin = 0;
  uint16_t authority_size = 0;
};

struct StatusLine {
  Version version = Version::kHttp11;
  uint16_t status = 0;
  uint16_t reason_begin = 0;
  uint16_t reason_size = 0;
};

// `line` has no control characters. Structure first, then version, method and target: so a client
// of another protocol version is told so, whatever its methods are.
Refusal ParseRequestLine(std::string_view line, const ValidationPolicy& policy, RequestLine* out);

// `line` has no control characters but HTAB.
Refusal ParseStatusLine(std::string_view line, const ValidationPolicy& policy, StatusLine* out);

}  // namespace edge::http
