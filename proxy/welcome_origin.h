// The origin that answers when no upstream is configured: a page that says what edge is, what the
// request looked like, and how to point edge at a real origin.
//
// Stateless; any thread.

#pragma once

#include "proxy/local_origin.h"

namespace edge::proxy {

class WelcomeOrigin final : public LocalOrigin {
 public:
  LocalResponse Respond(const http::RequestHead& request, std::string_view client_address,
                        bool tls) override;
};

}  // namespace edge::proxy
