#include "proxy/stats.h"

namespace edge::proxy {

const char* UpstreamErrorName(UpstreamError error) {
  switch (error) {
    case UpstreamError::kConnectRefused:
      return "connect_failed";
    case UpstreamError::kConnectTimeout:
      return "connect_timeout";
    case UpstreamError::kFirstByteTimeout:
      return "first_byte_timeout";
    case UpstreamError::kIdleTimeout:
      return "idle_timeout";
    case UpstreamError::kClosedEarly:
      return "closed_early";
    case UpstreamError::kInvalidResponse:
      return "invalid_response";
    case UpstreamError::kNoneLeft:
      return "none_left";
    case UpstreamError::kLocalLimit:
      return "local_limit";
  }
  return "unknown";
}

}  // namespace edge::proxy
