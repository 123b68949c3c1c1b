// Error responses of edge's own: a small body in HTML or JSON, by the request's Accept, and a
// Proxy-Status member (RFC 9209) that tells them apart from an origin's.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/local_origin.h"

namespace edge::proxy {

struct ErrorReply {
  uint16_t status = 500;
  std::string_view error;    // RFC 9209 error type, for instance "connection_refused"; may be empty
  std::string_view details;  // a reason id or a short text without quotes
  std::string_view extra_fields;  // whole lines
};

// `accept` is the request's Accept value, empty if it has none.
LocalResponse MakeErrorResponse(const ErrorReply& reply, std::string_view accept,
                                std::string_view request_id);

// The reason phrase of a status that edge answers with (RFC 9110, 15).
std::string_view ReasonPhrase(uint16_t status);

// The field Allow with every method but the one that edge refuses for itself.
std::string AllowField();

}  // namespace edge::proxy
