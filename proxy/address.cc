#include "proxy/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace edge::proxy {
namespace {

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto error = [text] {
    return absl::InvalidArgumentError(
        absl::StrCat("found '", text, "', expected [host]:port with a port of 0 to 65535"));
  };
  HostPort result;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return error();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']' || host.size() < 3) return error();
    host = host.substr(1, host.size() - 2);
    in6_addr ignored;
    if (inet_pton(AF_INET6, std::string(host).c_str(), &ignored) != 1) return error();
  } else if (host.find(':') != std::string_view::npos) {
    return error();
  }
  for (const char c : host) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_' &&
        c != ':') {
      return error();
    }
  }
  uint32_t number = 0;
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return error();
  }
  result.host = std::string(host);
  result.port = static_cast<uint16_t>(number);
  return result;
}

std::optional<uring::SocketAddress> ParseAddress(std::string_view host, uint16_t port) {
  const std::string text(host);
  uring::SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.length = sizeof v4;
    return address;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.length = sizeof v6;
    return address;
  }
  return std::nullopt;
}

size_t WriteAddress(const uring::SocketAddress& address, char (&out)[kAddressTextMax]) {
  out[0] = 0;
  if (address.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    inet_ntop(AF_INET, &v4.sin_addr, out, sizeof out);
  } else if (address.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, out, sizeof out);
    } else {
      inet_ntop(AF_INET6, &v6.sin6_addr, out, sizeof out);
    }
  }
  return std::strlen(out);
}

uint16_t Port(const uring::SocketAddress& address) {
  return address.storage.ss_family == AF_INET
             ? ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port)
             : ntohs(reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port);
}

std::string AddressWithPort(const uring::SocketAddress& address) {
  char text[kAddressTextMax];
  const std::string_view host(text, WriteAddress(address, text));
  const bool ipv6 = host.find(':') != host.npos;
  return absl::StrCat(ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":", Port(address));
}

IpEndpoint IpEndpoint::Of(const uring::SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    uint8_t ip[4];
    std::memcpy(ip, &v4.sin_addr, sizeof ip);
    return OfIpv4(ip, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
  IpEndpoint endpoint{.port = ntohs(v6.sin6_port)};
  std::memcpy(endpoint.ip.data(), &v6.sin6_addr, endpoint.ip.size());
  return endpoint;
}

IpEndpoint IpEndpoint::OfIpv4(std::span<const uint8_t, 4> ip, uint16_t port) {
  IpEndpoint endpoint{.port = port};
  std::memcpy(endpoint.ip.data(), kMappedPrefix, sizeof kMappedPrefix);
  std::memcpy(endpoint.ip.data() + sizeof kMappedPrefix, ip.data(), ip.size());
  return endpoint;
}

bool IpEndpoint::ipv4() const {
  return std::memcmp(ip.data(), kMappedPrefix, sizeof kMappedPrefix) == 0;
}

uring::SocketAddress IpEndpoint::ToSocketAddress() const {
  uring::SocketAddress address;
  if (ipv4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.data() + sizeof kMappedPrefix, sizeof v4.sin_addr);
    address.length = sizeof v4;
    return address;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, ip.data(), ip.size());
  address.length = sizeof v6;
  return address;
}

absl::StatusOr<AddressBlock> AddressBlock::Parse(std::string_view text) {
  const auto error = [text] {
    return absl::InvalidArgumentError(
        absl::StrCat("found '", text, "', expected an address or a block such as 10.0.0.0/8"));
  };
  const size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash), 0);
  if (!address.has_value()) return error();
  AddressBlock block;
  block.first_ = IpEndpoint::Of(*address);
  const int width = address->storage.ss_family == AF_INET ? 32 : 128;
  int bits = width;
  if (slash != text.npos &&
      (!absl::SimpleAtoi(text.substr(slash + 1), &bits) || bits < 0 || bits > width)) {
    return error();
  }
  block.bits_ = bits + (128 - width);
  return block;
}

bool AddressBlock::Contains(const uring::SocketAddress& address) const {
  if (address.storage.ss_family != AF_INET && address.storage.ss_family != AF_INET6) return false;
  const IpEndpoint endpoint = IpEndpoint::Of(address);
  const auto whole = static_cast<size_t>(bits_ / 8);
  if (std::memcmp(endpoint.ip.data(), first_.ip.data(), whole) != 0) return false;
  const int rest = bits_ % 8;
  return rest == 0 || ((endpoint.ip[whole] ^ first_.ip[whole]) >> (8 - rest)) == 0;
}

absl::StatusOr<std::vector<AddressBlock>> ParseAddressBlocks(std::span<const std::string> texts) {
  std::vector<AddressBlock> blocks;
  blocks.reserve(texts.size());
  for (const std::string& text : texts) {
    const absl::StatusOr<AddressBlock> block = AddressBlock::Parse(text);
    if (!block.ok()) return block.status();
    blocks.push_back(*block);
  }
  return blocks;
}

bool ContainsAny(const std::vector<AddressBlock>& blocks, const uring::SocketAddress& address) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&address](const AddressBlock& block) { return block.Contains(address); });
}

}  // namespace edge::proxy
