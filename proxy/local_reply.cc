#include "proxy/local_reply.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "http/method.h"

namespace edge::proxy {
std::string AllowField() {
  std::string methods;
  for (int i = 0; i < static_cast<int>(http::Method::kCount); ++i) {
    const auto method = static_cast<http::Method>(i);
    if (method == http::Method::kConnect) continue;
    absl::StrAppend(&methods, methods.empty() ? "" : ", ", http::MethodName(method));
  }
  return absl::StrCat("Allow: ", methods, "\r\n");
}

std::string_view ReasonPhrase(uint16_t status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

LocalResponse MakeErrorResponse(const ErrorReply& reply, std::string_view accept,
                                std::string_view request_id) {
  LocalResponse response;
  response.status = reply.status;
  const std::string_view phrase = ReasonPhrase(reply.status);
  // No quality values: a client that names JSON at all is a program.
  if (absl::StrContainsIgnoreCase(accept, "json")) {
    response.content_type = "application/json";
    response.body =
        absl::StrCat("{\"status\":", reply.status, ",\"error\":\"", phrase, "\",\"detail\":\"",
                     reply.details, "\",\"request_id\":\"", request_id, "\"}\n");
  } else {
    response.content_type = "text/html; charset=utf-8";
    response.body = absl::StrCat(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", reply.status,
        " ", phrase, "</title></head>\n<body><h1>", reply.status, " ", phrase, "</h1>\n<p>",
        reply.details, "</p>\n<hr><p>edge, request ", request_id, "</p></body></html>\n");
  }
  absl::StrAppend(&response.extra_fields, "Proxy-Status: edge");
  if (!reply.error.empty()) absl::StrAppend(&response.extra_fields, "; error=", reply.error);
  if (!reply.details.empty()) {
    absl::StrAppend(&response.extra_fields, "; details=\"", reply.details, "\"");
  }
  absl::StrAppend(&response.extra_fields, "\r\nCache-Control: no-store\r\n");
  response.extra_fields += reply.extra_fields;
  // RFC 9110, 15.5.6.
  if (reply.status == 405) {
    response.extra_fields += AllowField();
  }
  return response;
}

}  // namespace edge::proxy
