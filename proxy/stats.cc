#include "proxy/stats.h"

namespace edge::proxy {

std::string_view UpstreamErrorReason(UpstreamError error) {
  switch (error) {
    case UpstreamError::kConnectRefused:
      return "upstream.connect_failed";
    case UpstreamError::kConnectTimeout:
      return "upstream.connect_timeout";
    case UpstreamError::kFirstByteTimeout:
      return "upstream.first_byte_timeout";
    case UpstreamError::kIdleTimeout:
      return "upstream.idle_timeout";
    case UpstreamError::kResponseTimeout:
      return "upstream.response_timeout";
    case UpstreamError::kClosedEarly:
      return "upstream.closed_early";
    case UpstreamError::kInvalidResponse:
      return "upstream.invalid_response";
    case UpstreamError::kNoneLeft:
      return "upstream.none_left";
    case UpstreamError::kLocalLimit:
      return "upstream.local_limit";
  }
  return "upstream.unknown";
}

std::string_view UpstreamErrorName(UpstreamError error) {
  std::string_view reason = UpstreamErrorReason(error);
  reason.remove_prefix(std::string_view("upstream.").size());
  return reason;
}

}  // namespace edge::proxy
