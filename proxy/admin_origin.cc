#include "proxy/admin_origin.h"

namespace edge::proxy {

LocalResponse AdminOrigin::Respond(const http::RequestHead& request, std::string_view, bool) {
  LocalResponse response;
  response.extra_fields = "Cache-Control: no-store\r\n";
  if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
    response.status = 405;
    response.extra_fields += "Allow: GET, HEAD\r\n";
    response.body = "use GET\n";
    return response;
  }
  const std::string_view path = request.path();
  if (path == "/healthz") {
    response.body = "ok\n";
  } else if (path == "/readyz") {
    const bool ready = source_.ready();
    response.status = ready ? 200 : 503;
    response.body = ready ? "ready\n" : "not ready\n";
  } else if (path == "/metrics") {
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = source_.metrics();
  } else if (path == "/") {
    response.body =
        "edge\n\n/healthz  the process is alive\n/readyz   it takes traffic\n"
        "/metrics  counters for Prometheus\n";
  } else {
    response.status = 404;
    response.body = "not found; see /\n";
  }
  return response;
}

}  // namespace edge::proxy
