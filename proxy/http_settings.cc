#include "proxy/http_settings.h"

#include <algorithm>

namespace edge::proxy {

http::ValidationPolicy MakeValidationPolicy(const Config& config) {
  http::ValidationPolicy policy;
  // A head that outgrows its place moves into one body buffer, and is written into another.
  policy.head_bytes_max = std::min(config.head_bytes_max, config.body_buffer_size / 2);
  // FindProblem() wants room for a CRLF behind the line and for the empty line. With the smallest
  // buffers 8188 bytes are left, still more than the 8000 of RFC 9112 3.
  policy.request_line_bytes_max =
      std::min(config.request_line_bytes_max, policy.head_bytes_max - 4);
  policy.fields_max = config.fields_max;
  if (config.body_bytes_max > 0) policy.request_body_bytes_max = config.body_bytes_max;
  policy.chunk_extensions_bytes_max = config.chunk_extensions_bytes_max;
  policy.chunk_extension_bytes_max =
      std::min(policy.chunk_extension_bytes_max, policy.chunk_extensions_bytes_max);
  policy.trailer_bytes_max = config.trailer_bytes_max;
  policy.interim_responses_max = config.interim_responses_max;
  if (config.underscore_names == "refuse") {
    policy.underscore_names = http::UnderscoreNames::kRefuse;
  } else if (config.underscore_names == "pass") {
    policy.underscore_names = http::UnderscoreNames::kPass;
  }
  return policy;
}

http::ClientFieldPolicy MakeForwardedFields(const Config& config) {
  if (config.forwarded_fields == "append") return http::ClientFieldPolicy::kAppend;
  if (config.forwarded_fields == "drop") return http::ClientFieldPolicy::kDrop;
  return http::ClientFieldPolicy::kReplace;
}

}  // namespace edge::proxy
