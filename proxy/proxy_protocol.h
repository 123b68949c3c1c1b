// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, whose sections are cited):
// what a TCP load balancer says of a client, ahead of the client's own bytes.
//
//   v1, a line:    PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CR LF
//   v2, binary:    signature (12) | version, command (1) | family, protocol (1) | length (2) |
//                  addresses | TLVs
//
// Reads and writes bytes, and does no I/O. Strict: whatever the specification does not allow is
// refused, and there is no guessing whether a header is there.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "proxy/address.h"

namespace edge::proxy {

enum class ProxyProtocol : uint8_t { kNone, kV1, kV2 };
inline constexpr size_t kProxyProtocolCount = 3;

// Why a connection that must begin with a header ended there.
enum class ProxyProtocolError : uint8_t {
  kMissing,     // the first bytes are those of no version
  kV1TooLong,   // no end of line in kProxyHeaderV1BytesMax
  kV1Syntax,    // 2.1: other fields, spaces or another end of line
  kV1Address,   // not one of the family
  kV1Port,      // not a number from 0 to 65535 without leading zeros
  kV2Version,   // another one
  kV2Command,   // neither LOCAL nor PROXY
  kV2Family,    // neither TCP over IPv4 or IPv6 nor a Unix stream nor unspecified
  kV2Length,    // too short for the addresses, or longer than kProxyHeaderBytesMax
  kV2Tlv,       // one does not end where the header ends, or a checksum is no checksum
  kV2Checksum,  // is not that of the header
  // Not the parser's:
  kSourceNotAllowed,  // not in --proxy_protocol_from
  kTimeout,           // not whole within --header_timeout
  kClosedEarly,       // the connection ended within the header
};
inline constexpr size_t kProxyProtocolErrorCount = 14;
// As a label of a metric: "v1.port". Static.
std::string_view ProxyProtocolErrorName(ProxyProtocolError error);

// 2.1: "the longest line is 107 characters", with its CRLF.
inline constexpr size_t kProxyHeaderV1BytesMax = 107;
// Of a whole v2 header. The addresses of TCP need 52, a Unix path's 232; the rest is for TLVs, of
// which those of TLS are the longest. The least --buffer_size, so that every header fits one
// receive buffer.
inline constexpr size_t kProxyHeaderBytesMax = 1024;

struct ProxyAddresses {
  IpEndpoint source;       // the client
  IpEndpoint destination;  // what it connected to

  friend bool operator==(const ProxyAddresses&, const ProxyAddresses&) = default;
};

struct ProxyHeader {
  enum class Status : uint8_t { kNeedMore, kComplete, kRefused };

  Status status = Status::kNeedMore;
  ProxyProtocol version = ProxyProtocol::kNone;             // kComplete
  size_t bytes = 0;                                         // kComplete: its length
  ProxyProtocolError error = ProxyProtocolError::kMissing;  // kRefused
  bool local = false;  // kComplete: LOCAL, the peer speaks for itself
  // kComplete. nullopt: it names nobody (LOCAL, UNKNOWN) or nobody with an IP address, and the
  // socket's own addresses are all there is.
  std::optional<ProxyAddresses> addresses;
};

// Reads the header at the beginning of a connection, of which `bytes` is everything received so
// far. Once the verdict is not kNeedMore, nothing that follows changes it; with
// kProxyHeaderBytesMax bytes it is not kNeedMore.
ProxyHeader ParseProxyHeader(std::string_view bytes);

// Writes the header of a connection on behalf of `addresses`, or of nobody known (nullopt: UNKNOWN,
// LOCAL). Returns its length, at most kProxyHeaderV1BytesMax; nullopt if `out` is too small.
std::optional<size_t> WriteProxyHeader(ProxyProtocol version,
                                       const std::optional<ProxyAddresses>& addresses,
                                       std::span<char> out);

}  // namespace edge::proxy
