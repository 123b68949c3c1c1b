// The admin endpoints: /healthz, /readyz, /metrics and a list of them at /. Answers on the control
// thread, through a worker of its own, so that a scrape costs the cores that serve nothing.
//
// Control thread only.

#pragma once

#include <functional>
#include <string>

#include "proxy/local_origin.h"

namespace edge::proxy {

class AdminOrigin final : public LocalOrigin {
 public:
  struct Source {
    std::function<bool()> ready;  // traffic should be sent here
    std::function<std::string()> metrics;
  };
  explicit AdminOrigin(Source source) : source_(std::move(source)) {}

  LocalResponse Respond(const http::RequestHead& request, std::string_view client_address,
                        bool tls) override;

 private:
  const Source source_;
};

}  // namespace edge::proxy
