#include "proxy/welcome_origin.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace edge::proxy {
namespace {

std::string Html(std::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

}  // namespace

LocalResponse WelcomeOrigin::Respond(const http::RequestHead& request,
                                     std::string_view client_address, bool tls) {
  LocalResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.extra_fields =
      "Cache-Control: no-store\r\n"
      "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
      "X-Content-Type-Options: nosniff\r\n";
  std::string& body = response.body;
  absl::StrAppend(
      &body,
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>edge is running</title>\n"
      "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:3em auto;padding:0 1em}"
      "pre{background:#f4f4f4;padding:1em;overflow-x:auto}</style></head>\n<body>\n"
      "<h1>edge is running</h1>\n"
      "<p>edge is an HTTP edge proxy on io_uring: one ring for each core. It has no origin to "
      "forward to, so it answers itself. To put it in front of one:</p>\n"
      "<pre>edge --listen=:443 --upstream=http://127.0.0.1:8080</pre>\n"
      "<p>This is the request it got from ",
      Html(client_address), " over ", tls ? "TLS" : "plain TCP", ":</p>\n<pre>",
      request.method_name(), " ", Html(request.target()),
      request.version == http::Version::kHttp11 ? " HTTP/1.1\n" : " HTTP/1.0\n");
  for (size_t i = 0; i < request.size(); ++i) {
    // Secrets of the client are not for a page that gets shared.
    const bool secret = request.id(i) == http::FieldId::kAuthorization ||
                        request.id(i) == http::FieldId::kCookie ||
                        request.id(i) == http::FieldId::kProxyAuthorization;
    absl::StrAppend(&body, Html(request.name(i)), ": ",
                    secret ? std::string("(hidden)") : Html(request.value(i)), "\n");
  }
  absl::StrAppend(&body, "</pre>\n</body></html>\n");
  return response;
}

}  // namespace edge::proxy
