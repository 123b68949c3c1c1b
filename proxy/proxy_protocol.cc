#include "proxy/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "absl/crc/crc32c.h"
#include "absl/log/check.h"
#include "absl/strings/match.h"

namespace edge::proxy {
namespace {

using Status = ProxyHeader::Status;
using Error = ProxyProtocolError;

constexpr std::string_view kV1Prefix = "PROXY ";
constexpr std::string_view kV1Unknown = "UNKNOWN";

// 2.2. The layout of a v2 header.
constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2VersionCommandAt = 12;
constexpr size_t kV2FamilyAt = 13;
constexpr size_t kV2LengthAt = 14;
constexpr size_t kV2FixedBytes = 16;
constexpr uint8_t kVersion2 = 0x20;
constexpr uint8_t kLocal = 0;
constexpr uint8_t kProxy = 1;
constexpr uint8_t kUnspecified = 0x00;
constexpr uint8_t kTcpOverIpv4 = 0x11;
constexpr uint8_t kTcpOverIpv6 = 0x21;
constexpr uint8_t kUnixStream = 0x31;
// Both addresses, and both ports.
constexpr size_t kIpv4Bytes = 12;
constexpr size_t kIpv6Bytes = 36;
constexpr size_t kUnixBytes = 216;
constexpr size_t kTlvFixedBytes = 3;
constexpr uint8_t kTlvCrc32c = 0x03;
constexpr size_t kCrc32cBytes = 4;

ProxyHeader Refused(Error error) { return {.status = Status::kRefused, .error = error}; }

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

uint16_t ReadUint16(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(ByteAt(bytes, at) << 8 | ByteAt(bytes, at + 1));
}

void WriteUint16(uint16_t value, char* out) {
  out[0] = static_cast<char>(value >> 8);
  out[1] = static_cast<char>(value & 0xff);
}

// --- Version 1

// Takes what stands before the next space; all of it if there is none.
std::string_view TakeField(std::string_view& line) {
  const size_t space = line.find(' ');
  const std::string_view field = line.substr(0, space);
  line.remove_prefix(space == line.npos ? line.size() : space + 1);
  return field;
}

bool ReadPort(std::string_view text, uint16_t& port) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  port = static_cast<uint16_t>(value);
  return value <= 65535;
}

// inet_pton knows neither leading zeros nor fewer than four octets, unlike inet_aton.
bool ReadIp(std::string_view text, bool ipv4, IpEndpoint& endpoint) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return false;
  text.copy(terminated, sizeof terminated);
  if (!ipv4) return inet_pton(AF_INET6, terminated, endpoint.ip.data()) == 1;
  std::array<uint8_t, 4> ip;
  if (inet_pton(AF_INET, terminated, ip.data()) != 1) return false;
  endpoint = IpEndpoint::OfIpv4(ip, 0);
  return true;
}

ProxyHeader ParseV1(std::string_view bytes) {
  const size_t end = bytes.substr(0, kProxyHeaderV1BytesMax).find('\n');
  if (end == bytes.npos) {
    return bytes.size() < kProxyHeaderV1BytesMax ? ProxyHeader{} : Refused(Error::kV1TooLong);
  }
  if (bytes[end - 1] != '\r') return Refused(Error::kV1Syntax);
  ProxyHeader header{.status = Status::kComplete, .version = ProxyProtocol::kV1, .bytes = end + 1};
  std::string_view line = bytes.substr(0, end - 1).substr(kV1Prefix.size());
  // 2.1: "the receiver must ignore anything presented before the CRLF".
  if (line == kV1Unknown ||
      (absl::StartsWith(line, kV1Unknown) && line[kV1Unknown.size()] == ' ')) {
    return header;
  }
  if (std::count(line.begin(), line.end(), ' ') != 4) return Refused(Error::kV1Syntax);
  const std::string_view family = TakeField(line);
  const bool ipv4 = family == "TCP4";
  if (!ipv4 && family != "TCP6") return Refused(Error::kV1Syntax);
  ProxyAddresses addresses;
  if (!ReadIp(TakeField(line), ipv4, addresses.source) ||
      !ReadIp(TakeField(line), ipv4, addresses.destination)) {
    return Refused(Error::kV1Address);
  }
  if (!ReadPort(TakeField(line), addresses.source.port) ||
      !ReadPort(TakeField(line), addresses.destination.port)) {
    return Refused(Error::kV1Port);
  }
  header.addresses = addresses;
  return header;
}

// --- Version 2

// 2.2.3. The checksum of the whole header with zeros in its own place.
bool ChecksumMatches(std::string_view header, size_t checksum_at) {
  const std::string_view checksum = header.substr(checksum_at, kCrc32cBytes);
  const uint32_t expected =
      static_cast<uint32_t>(ReadUint16(checksum, 0)) << 16 | ReadUint16(checksum, 2);
  absl::crc32c_t found = absl::ComputeCrc32c(header.substr(0, checksum_at));
  found = absl::ExtendCrc32cByZeroes(found, kCrc32cBytes);
  found = absl::ExtendCrc32c(found, header.substr(checksum_at + kCrc32cBytes));
  return static_cast<uint32_t>(found) == expected;
}

// Walks the TLVs from `at` to the end of the header; they must fill it. Only the checksum means
// anything to edge.
std::optional<Error> FindTlvProblem(std::string_view header, size_t at) {
  std::optional<size_t> checksum_at;
  while (at < header.size()) {
    const size_t left = header.size() - at;
    if (left < kTlvFixedBytes) return Error::kV2Tlv;
    const size_t length = ReadUint16(header, at + 1);
    if (length > left - kTlvFixedBytes) return Error::kV2Tlv;
    if (ByteAt(header, at) == kTlvCrc32c) {
      if (length != kCrc32cBytes || checksum_at.has_value()) return Error::kV2Tlv;
      checksum_at = at + kTlvFixedBytes;
    }
    at += kTlvFixedBytes + length;
  }
  if (checksum_at.has_value() && !ChecksumMatches(header, *checksum_at)) return Error::kV2Checksum;
  return std::nullopt;
}

ProxyAddresses ReadIpv4Addresses(std::string_view block) {
  const auto* ip = reinterpret_cast<const uint8_t*>(block.data());
  return {.source = IpEndpoint::OfIpv4(std::span<const uint8_t, 4>(ip, 4), ReadUint16(block, 8)),
          .destination =
              IpEndpoint::OfIpv4(std::span<const uint8_t, 4>(ip + 4, 4), ReadUint16(block, 10))};
}

ProxyAddresses ReadIpv6Addresses(std::string_view block) {
  ProxyAddresses addresses;
  std::memcpy(addresses.source.ip.data(), block.data(), 16);
  std::memcpy(addresses.destination.ip.data(), block.data() + 16, 16);
  addresses.source.port = ReadUint16(block, 32);
  addresses.destination.port = ReadUint16(block, 34);
  return addresses;
}

ProxyHeader ParseV2(std::string_view bytes) {
  if (bytes.size() < kV2FixedBytes) return {};
  const uint8_t version = ByteAt(bytes, kV2VersionCommandAt) & 0xf0;
  const uint8_t command = ByteAt(bytes, kV2VersionCommandAt) & 0x0f;
  const uint8_t family = ByteAt(bytes, kV2FamilyAt);
  const size_t length = ReadUint16(bytes, kV2LengthAt);
  if (version != kVersion2) return Refused(Error::kV2Version);
  if (command != kLocal && command != kProxy) return Refused(Error::kV2Command);
  if (kV2FixedBytes + length > kProxyHeaderBytesMax) return Refused(Error::kV2Length);

  // LOCAL: "must discard the protocol block including the family". Unspecified: "should ignore
  // address information", and where that would end is not said.
  const bool opaque = command == kLocal || family == kUnspecified;
  size_t address_bytes = 0;
  if (!opaque) {
    switch (family) {
      case kTcpOverIpv4:
        address_bytes = kIpv4Bytes;
        break;
      case kTcpOverIpv6:
        address_bytes = kIpv6Bytes;
        break;
      case kUnixStream:
        address_bytes = kUnixBytes;
        break;
      default:
        return Refused(Error::kV2Family);
    }
    if (length < address_bytes) return Refused(Error::kV2Length);
  }
  if (bytes.size() < kV2FixedBytes + length) return {};

  ProxyHeader header{.status = Status::kComplete,
                     .version = ProxyProtocol::kV2,
                     .bytes = kV2FixedBytes + length,
                     .local = command == kLocal};
  if (opaque) return header;
  const std::string_view whole = bytes.substr(0, header.bytes);
  if (const std::optional<Error> problem = FindTlvProblem(whole, kV2FixedBytes + address_bytes)) {
    return Refused(*problem);
  }
  const std::string_view block = whole.substr(kV2FixedBytes);
  if (family == kTcpOverIpv4) header.addresses = ReadIpv4Addresses(block);
  if (family == kTcpOverIpv6) header.addresses = ReadIpv6Addresses(block);
  return header;
}

// --- Writing

std::optional<size_t> WriteV1(const std::optional<ProxyAddresses>& addresses, bool ipv4,
                              std::span<char> out) {
  char text[kProxyHeaderV1BytesMax + 1];
  int bytes = 0;
  if (!addresses.has_value()) {
    bytes = std::snprintf(text, sizeof text, "PROXY UNKNOWN\r\n");
  } else {
    const auto ip_text = [ipv4](const IpEndpoint& endpoint, char(&ip)[INET6_ADDRSTRLEN]) {
      if (ipv4) {
        inet_ntop(AF_INET, endpoint.ip.data() + 12, ip, sizeof ip);
      } else {
        inet_ntop(AF_INET6, endpoint.ip.data(), ip, sizeof ip);
      }
    };
    char source[INET6_ADDRSTRLEN];
    char destination[INET6_ADDRSTRLEN];
    ip_text(addresses->source, source);
    ip_text(addresses->destination, destination);
    bytes = std::snprintf(text, sizeof text, "PROXY %s %s %s %u %u\r\n", ipv4 ? "TCP4" : "TCP6",
                          source, destination, addresses->source.port, addresses->destination.port);
  }
  const std::string_view line(text, static_cast<size_t>(bytes));
  if (line.size() > out.size()) return std::nullopt;
  return line.copy(out.data(), out.size());
}

std::optional<size_t> WriteV2(const std::optional<ProxyAddresses>& addresses, bool ipv4,
                              std::span<char> out) {
  const size_t length = !addresses.has_value() ? 0 : ipv4 ? kIpv4Bytes : kIpv6Bytes;
  if (out.size() < kV2FixedBytes + length) return std::nullopt;
  kV2Signature.copy(out.data(), kV2Signature.size());
  out[kV2VersionCommandAt] =
      static_cast<char>(kVersion2 | (addresses.has_value() ? kProxy : kLocal));
  out[kV2FamilyAt] = static_cast<char>(!addresses.has_value() ? kUnspecified
                                       : ipv4                 ? kTcpOverIpv4
                                                              : kTcpOverIpv6);
  WriteUint16(static_cast<uint16_t>(length), out.data() + kV2LengthAt);
  if (!addresses.has_value()) return kV2FixedBytes;
  char* at = out.data() + kV2FixedBytes;
  for (const IpEndpoint* endpoint : {&addresses->source, &addresses->destination}) {
    const std::span<const uint8_t> ip = std::span(endpoint->ip).subspan(ipv4 ? 12 : 0);
    std::memcpy(at, ip.data(), ip.size());
    at += ip.size();
  }
  WriteUint16(addresses->source.port, at);
  WriteUint16(addresses->destination.port, at + 2);
  return kV2FixedBytes + length;
}

}  // namespace

ProxyHeader ParseProxyHeader(std::string_view bytes) {
  if (absl::StartsWith(bytes, kV1Prefix)) return ParseV1(bytes);
  if (absl::StartsWith(bytes, kV2Signature)) return ParseV2(bytes);
  if (absl::StartsWith(kV1Prefix, bytes) || absl::StartsWith(kV2Signature, bytes)) return {};
  return Refused(Error::kMissing);
}

std::optional<size_t> WriteProxyHeader(ProxyProtocol version,
                                       const std::optional<ProxyAddresses>& addresses,
                                       std::span<char> out) {
  CHECK(version != ProxyProtocol::kNone);
  // Both in one family: an IPv4 address beside an IPv6 one is written as IPv4-mapped.
  const bool ipv4 =
      addresses.has_value() && addresses->source.ipv4() && addresses->destination.ipv4();
  return version == ProxyProtocol::kV1 ? WriteV1(addresses, ipv4, out)
                                       : WriteV2(addresses, ipv4, out);
}

std::string_view ProxyProtocolErrorName(ProxyProtocolError error) {
  switch (error) {
    case Error::kMissing:
      return "missing";
    case Error::kV1TooLong:
      return "v1.too_long";
    case Error::kV1Syntax:
      return "v1.syntax";
    case Error::kV1Address:
      return "v1.address";
    case Error::kV1Port:
      return "v1.port";
    case Error::kV2Version:
      return "v2.version";
    case Error::kV2Command:
      return "v2.command";
    case Error::kV2Family:
      return "v2.family";
    case Error::kV2Length:
      return "v2.length";
    case Error::kV2Tlv:
      return "v2.tlv";
    case Error::kV2Checksum:
      return "v2.checksum";
    case Error::kSourceNotAllowed:
      return "source.not_allowed";
    case Error::kTimeout:
      return "timeout";
    case Error::kClosedEarly:
      return "closed_early";
  }
  return "unknown";
}

}  // namespace edge::proxy
