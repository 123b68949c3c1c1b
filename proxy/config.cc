#include "proxy/config.h"

#include "absl/strings/str_cat.h"

namespace edge::proxy {
namespace {

std::string Origin(bool tls, const std::string& host, uint16_t port) {
  const bool ipv6 = host.find(':') != std::string::npos;
  return absl::StrCat(tls ? "https://" : "http://", ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":",
                      port);
}

}  // namespace

std::string ListenSpec::ToString() const { return Origin(tls, host, port); }
std::string UpstreamSpec::ToString() const { return Origin(tls, host, port); }

}  // namespace edge::proxy
