// Text forms of socket addresses: what flags say, and what logs and X-Forwarded-For show.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "uring/io.h"

namespace edge::proxy {

// The longest IPv6 address in text, with its end (INET6_ADDRSTRLEN).
inline constexpr size_t kAddressTextMax = 46;

// "host:port", "[v6]:port" or ":port". `host` comes without brackets.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
// InvalidArgument says what was found and what was expected.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);

// An IPv4 or IPv6 address without a name; nullopt if it is none.
std::optional<uring::SocketAddress> ParseAddress(std::string_view host, uint16_t port);

// The address without the port, an IPv4-mapped one as IPv4. Returns the length.
size_t WriteAddress(const uring::SocketAddress& address, char (&out)[kAddressTextMax]);
uint16_t Port(const uring::SocketAddress& address);
// "1.2.3.4:80", "[::1]:80".
std::string AddressWithPort(const uring::SocketAddress& address);

// An address and a port in 18 bytes, for what is kept with each connection. IPv4 is held as
// IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), and an IPv4-mapped address is IPv4.
struct IpEndpoint {
  std::array<uint8_t, 16> ip{};
  uint16_t port = 0;

  // `address` is IPv4 or IPv6.
  static IpEndpoint Of(const uring::SocketAddress& address);
  static IpEndpoint OfIpv4(std::span<const uint8_t, 4> ip, uint16_t port);
  bool ipv4() const;
  uring::SocketAddress ToSocketAddress() const;

  friend bool operator==(const IpEndpoint&, const IpEndpoint&) = default;
};

// A block of addresses, "10.0.0.0/8" or a single address.
class AddressBlock {
 public:
  static absl::StatusOr<AddressBlock> Parse(std::string_view text);
  bool Contains(const uring::SocketAddress& address) const;

 private:
  IpEndpoint first_;  // its port does not matter
  int bits_ = 128;
};

// All of them, or the mistake in the first that is none.
absl::StatusOr<std::vector<AddressBlock>> ParseAddressBlocks(std::span<const std::string> texts);
bool ContainsAny(const std::vector<AddressBlock>& blocks, const uring::SocketAddress& address);

}  // namespace edge::proxy
