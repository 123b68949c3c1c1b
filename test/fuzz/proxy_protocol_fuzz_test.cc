// The beginning of a connection to a listener that expects a PROXY header.
//
//   - Cut anywhere the same verdict: every prefix of a whole header wants more, a refusal stays
//     one, and what follows a header changes nothing.
//   - Another reader of the specification, slow and plain, finds the same header, the same length
//     and the same addresses, or refuses as well.
//   - Addresses that were read, and any others, are read again as they were written, in both
//     versions, and a writer without enough room writes nothing.
//
// Byte 3 of the input: with bit 0 the checksum of a v2 header is made right before it is read,
// which no search would find by chance.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "proxy/proxy_protocol.h"
#include "test/fuzz/fuzz_input.h"

namespace edge::proxy {
namespace {

using Status = ProxyHeader::Status;

// --- The other reader

struct Reading {
  Status status = Status::kNeedMore;
  size_t bytes = 0;
  std::optional<ProxyAddresses> addresses;
};

constexpr Reading kRefused{.status = Status::kRefused};

// A number without a sign, a leading zero or any other notation.
std::optional<uint32_t> Decimal(std::string_view text, uint32_t most) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    value = 10 * value + static_cast<uint32_t>(c - '0');
  }
  if (value > most || std::to_string(value) != text) return std::nullopt;
  return value;
}

std::optional<std::vector<uint8_t>> Ipv4(std::string_view text) {
  std::vector<uint8_t> ip;
  for (const std::string_view octet : absl::StrSplit(text, '.')) {
    const std::optional<uint32_t> value = Decimal(octet, 255);
    if (!value.has_value()) return std::nullopt;
    ip.push_back(static_cast<uint8_t>(*value));
  }
  if (ip.size() != 4) return std::nullopt;
  return ip;
}

// RFC 4291 2.2: the bytes of the groups in `text`, with an IPv4 address only as the last.
std::optional<std::vector<uint8_t>> Groups(std::string_view text, bool last) {
  std::vector<uint8_t> bytes;
  if (text.empty()) return bytes;
  const std::vector<std::string_view> groups = absl::StrSplit(text, ':');
  for (size_t i = 0; i < groups.size(); ++i) {
    if (last && i + 1 == groups.size() && groups[i].find('.') != groups[i].npos) {
      const auto ip = Ipv4(groups[i]);
      if (!ip.has_value()) return std::nullopt;
      bytes.insert(bytes.end(), ip->begin(), ip->end());
      continue;
    }
    if (groups[i].empty() || groups[i].size() > 4) return std::nullopt;
    uint32_t value = 0;
    for (const char c : groups[i]) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
      const char digit = absl::ascii_tolower(static_cast<unsigned char>(c));
      value = 16 * value + static_cast<uint32_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    bytes.push_back(static_cast<uint8_t>(value >> 8));
    bytes.push_back(static_cast<uint8_t>(value));
  }
  return bytes;
}

std::optional<std::vector<uint8_t>> Ipv6(std::string_view text) {
  const size_t gap = text.find("::");
  if (gap == text.npos) {
    auto bytes = Groups(text, true);
    if (!bytes.has_value() || bytes->size() != 16) return std::nullopt;
    return bytes;
  }
  auto before = Groups(text.substr(0, gap), false);
  const auto after = Groups(text.substr(gap + 2), true);
  if (!before.has_value() || !after.has_value() || before->size() + after->size() > 14) {
    return std::nullopt;
  }
  before->resize(16 - after->size());
  before->insert(before->end(), after->begin(), after->end());
  return before;
}

IpEndpoint MakeEndpoint(const std::vector<uint8_t>& ip, uint32_t port) {
  IpEndpoint endpoint{.port = static_cast<uint16_t>(port)};
  if (ip.size() == 4) endpoint.ip[10] = endpoint.ip[11] = 0xff;
  std::memcpy(endpoint.ip.data() + 16 - ip.size(), ip.data(), ip.size());
  return endpoint;
}

Reading ReadV1(std::string_view bytes) {
  std::string line;
  while (line.size() < 107 && line.size() < bytes.size() && (line.empty() || line.back() != '\n')) {
    line.push_back(bytes[line.size()]);
  }
  if (line.back() != '\n') return line.size() == 107 ? kRefused : Reading{};
  if (line[line.size() - 2] != '\r') return kRefused;
  Reading reading{.status = Status::kComplete, .bytes = line.size()};
  line.resize(line.size() - 2);
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words[1] == "UNKNOWN") return reading;
  if (words.size() != 6) return kRefused;
  const auto read_ip = [&](const std::string& text) {
    return words[1] == "TCP4" ? Ipv4(text) : words[1] == "TCP6" ? Ipv6(text) : std::nullopt;
  };
  const auto source = read_ip(words[2]);
  const auto destination = read_ip(words[3]);
  const auto source_port = Decimal(words[4], 65535);
  const auto destination_port = Decimal(words[5], 65535);
  if (!source || !destination || !source_port || !destination_port) return kRefused;
  reading.addresses = {.source = MakeEndpoint(*source, *source_port),
                       .destination = MakeEndpoint(*destination, *destination_port)};
  return reading;
}

// Bit by bit, as in RFC 3720's appendix.
uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

uint8_t At(std::string_view bytes, size_t i) { return static_cast<uint8_t>(bytes[i]); }

// Where the values of checksums stand among the TLVs; nullopt: these are none.
std::optional<std::vector<size_t>> FindChecksums(std::string_view header, size_t at) {
  std::vector<size_t> checksums;
  while (at != header.size()) {
    if (at + 3 > header.size()) return std::nullopt;
    const size_t length = 256u * At(header, at + 1) + At(header, at + 2);
    if (at + 3 + length > header.size()) return std::nullopt;
    if (header[at] == 3 && length != 4) return std::nullopt;
    if (header[at] == 3) checksums.push_back(at + 3);
    at += 3 + length;
  }
  return checksums;
}

uint32_t RightChecksum(std::string_view header, size_t at) {
  std::string zeroed(header);
  zeroed.replace(at, 4, 4, '\0');
  return Crc32c(zeroed);
}

// Of the addresses in a v2 header that names some.
size_t AddressBytes(std::string_view header) {
  switch (At(header, 13)) {
    case 0x11:
      return 12;
    case 0x21:
      return 36;
    case 0x31:
      return 216;
    default:
      return 0;
  }
}

Reading ReadV2(std::string_view bytes) {
  if (bytes.size() < 16) return {};
  const size_t size = 16u + 256u * At(bytes, 14) + At(bytes, 15);
  if (At(bytes, 12) != 0x20 && At(bytes, 12) != 0x21) return kRefused;
  if (size > 1024) return kRefused;
  const Reading nobody{.status = Status::kComplete, .bytes = size};
  if (At(bytes, 12) == 0x20 || At(bytes, 13) == 0) return bytes.size() < size ? Reading{} : nobody;
  const size_t address_bytes = AddressBytes(bytes);
  if (address_bytes == 0 || size < 16 + address_bytes) return kRefused;
  if (bytes.size() < size) return {};
  const std::string_view header = bytes.substr(0, size);
  const auto checksums = FindChecksums(header, 16 + address_bytes);
  if (!checksums.has_value() || checksums->size() > 1) return kRefused;
  for (const size_t at : *checksums) {
    const uint32_t right = RightChecksum(header, at);
    for (size_t i = 0; i < 4; ++i) {
      if (At(header, at + i) != static_cast<uint8_t>(right >> (24 - 8 * i))) return kRefused;
    }
  }
  if (address_bytes == 216) return nobody;
  const size_t ip_bytes = address_bytes == 12 ? 4 : 16;
  std::vector<IpEndpoint> endpoints;
  for (size_t i = 0; i < 2; ++i) {
    const std::string_view ip = header.substr(16 + i * ip_bytes, ip_bytes);
    const size_t port_at = 16 + 2 * ip_bytes + 2 * i;
    endpoints.push_back(
        MakeEndpoint({ip.begin(), ip.end()}, 256u * At(header, port_at) + At(header, port_at + 1)));
  }
  Reading reading = nobody;
  reading.addresses = {.source = endpoints[0], .destination = endpoints[1]};
  return reading;
}

Reading Read(std::string_view bytes) {
  const std::string_view v2("\r\n\r\n\0\r\nQUIT\n", 12);
  const std::string_view v1("PROXY ");
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool like_v1 = bytes.substr(0, i + 1) == v1.substr(0, i + 1);
    const bool like_v2 = bytes.substr(0, i + 1) == v2.substr(0, i + 1);
    if (!like_v1 && !like_v2) return kRefused;
    if (like_v1 && i + 1 == v1.size()) return ReadV1(bytes);
    if (like_v2 && i + 1 == v2.size()) return ReadV2(bytes);
  }
  return {};
}

// ---

bool Equal(const ProxyHeader& a, const ProxyHeader& b) {
  return a.status == b.status && a.version == b.version && a.bytes == b.bytes &&
         a.error == b.error && a.addresses == b.addresses;
}

void CheckCut(std::string_view bytes, size_t cut, const ProxyHeader& whole) {
  const ProxyHeader part = ParseProxyHeader(bytes.substr(0, cut));
  if (whole.status == Status::kComplete && cut < whole.bytes) {
    CHECK(part.status == Status::kNeedMore) << cut;
  } else if (part.status != Status::kNeedMore) {
    CHECK(Equal(part, whole)) << cut;
  } else {
    CHECK(whole.status != Status::kComplete) << cut;
    CHECK_LT(cut, kProxyHeaderBytesMax);
  }
}

void CheckWritten(const ProxyAddresses& addresses) {
  for (const ProxyProtocol version : {ProxyProtocol::kV1, ProxyProtocol::kV2}) {
    std::array<char, kProxyHeaderV1BytesMax> out;
    const std::optional<size_t> bytes = WriteProxyHeader(version, addresses, out);
    CHECK(bytes.has_value());
    CHECK(!WriteProxyHeader(version, addresses, std::span(out).first(*bytes - 1)).has_value());
    const std::string_view written(out.data(), *bytes);
    const ProxyHeader header = ParseProxyHeader(written);
    CHECK(header.status == Status::kComplete) << absl::CHexEscape(written);
    CHECK_EQ(header.bytes, *bytes);
    CHECK(header.version == version);
    CHECK(header.addresses == addresses) << absl::CHexEscape(written);
    CHECK(Read(written).addresses == addresses) << absl::CHexEscape(written);
  }
}

void CorrectChecksum(std::string& bytes) {
  if (bytes.size() < 16) return;
  const size_t size = 16u + 256u * At(bytes, 14) + At(bytes, 15);
  const size_t tlvs_at = 16 + AddressBytes(bytes);
  if (size > bytes.size() || tlvs_at > size) return;
  const std::string_view header = std::string_view(bytes).substr(0, size);
  const auto checksums = FindChecksums(header, tlvs_at);
  if (!checksums.has_value() || checksums->empty()) return;
  const size_t at = checksums->front();
  const uint32_t right = RightChecksum(header, at);
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(right >> (24 - 8 * i));
}

void Run(const http::FuzzInput& input) {
  std::string bytes(input.bytes);
  if ((input.choice & 1) != 0) CorrectChecksum(bytes);

  const ProxyHeader header = ParseProxyHeader(bytes);
  const Reading reading = Read(bytes);
  CHECK(header.status == reading.status) << absl::CHexEscape(bytes);
  CHECK_EQ(header.bytes, reading.bytes);
  CHECK(header.addresses == reading.addresses) << absl::CHexEscape(bytes);
  if (header.status == Status::kRefused) CHECK_NE(ProxyProtocolErrorName(header.error), "unknown");

  // Beyond the header's end one cut is enough.
  const size_t last = std::min(bytes.size(), header.bytes > 0 ? header.bytes : bytes.size());
  for (size_t cut = 0; cut <= last; ++cut) CheckCut(bytes, cut, header);
  CheckCut(bytes, std::max(last, input.position() % (bytes.size() + 1)), header);

  if (header.addresses.has_value()) CheckWritten(*header.addresses);
  if (bytes.size() >= 36) {
    ProxyAddresses any;
    std::memcpy(any.source.ip.data(), bytes.data(), 16);
    std::memcpy(any.destination.ip.data(), bytes.data() + 16, 16);
    std::memcpy(&any.source.port, bytes.data() + 32, 2);
    std::memcpy(&any.destination.port, bytes.data() + 34, 2);
    CheckWritten(any);
  }
}

}  // namespace
}  // namespace edge::proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::proxy::Run(edge::http::FuzzInput(data, size));
  return 0;
}
