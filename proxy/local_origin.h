// Responses that edge makes itself: error pages, the welcome page, the admin endpoints.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message_head.h"

namespace edge::proxy {

struct LocalResponse {
  uint16_t status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";  // static
  std::string body;
  std::string extra_fields;  // whole lines with CRLF, for instance "Allow: GET, HEAD\r\n"
};

// Stands where an origin would: answers requests whose heads were accepted. Bodies are read and
// dropped. Called on the worker's thread; must not block.
class LocalOrigin {
 public:
  virtual ~LocalOrigin() = default;
  virtual LocalResponse Respond(const http::RequestHead& request, std::string_view client_address,
                                bool tls) = 0;
};

}  // namespace edge::proxy
