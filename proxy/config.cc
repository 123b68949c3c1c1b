#include "proxy/config.h"

#include "absl/strings/str_cat.h"

namespace edge::proxy {
namespace {

std::string HostPortText(const std::string& host, uint16_t port) {
  const bool ipv6 = host.find(':') != std::string::npos;
  return absl::StrCat(ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":", port);
}

}  // namespace

std::string ListenSpec::ToString() const {
  return absl::StrCat(Scheme(), HostPortText(host, port));
}

std::string ListenSpec::Scheme() const {
  return absl::StrCat(proxy_protocol ? "proxy+" : "", tls ? "https://" : "http://");
}

std::string UpstreamSpec::ToString() const {
  return absl::StrCat(Scheme(), HostPortText(host, port));
}

std::string UpstreamSpec::Scheme() const {
  static constexpr const char* kPrefixes[] = {"", "proxy1+", "proxy2+"};
  return absl::StrCat(kPrefixes[static_cast<size_t>(proxy_protocol)], tls ? "https://" : "http://");
}

}  // namespace edge::proxy
