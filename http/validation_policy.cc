#include "http/validation_policy.h"

#include "http/message_head.h"

namespace edge::http {

std::string_view FindProblem(const ValidationPolicy& policy) {
  if (policy.head_bytes_max > MessageHead::kBlockBytesMax) {
    return "head_bytes_max must be at most 65535";
  }
  if (policy.request_line_bytes_max < 16) return "request_line_bytes_max must be at least 16";
  if (policy.status_line_bytes_max < 16) return "status_line_bytes_max must be at least 16";
  if (policy.head_bytes_max < policy.request_line_bytes_max + 4) {
    return "head_bytes_max must be at least request_line_bytes_max + 4";
  }
  if (policy.head_bytes_max < policy.status_line_bytes_max + 4) {
    return "head_bytes_max must be at least status_line_bytes_max + 4";
  }
  if (policy.fields_max < 1 || policy.fields_max > MessageHead::kFieldsMax) {
    return "fields_max must be from 1 to 128";
  }
  if (policy.connection_options_max < 1) return "connection_options_max must be at least 1";
  return {};
}

}  // namespace edge::http
