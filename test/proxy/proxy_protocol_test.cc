#include "proxy/proxy_protocol.h"

#include <string>
#include <vector>

#include "absl/crc/crc32c.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace edge::proxy {
namespace {

using Status = ProxyHeader::Status;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string Uint16(size_t value) {
  return Bytes({static_cast<int>(value >> 8), static_cast<int>(value & 0xff)});
}

std::string V2(int version_command, int family, const std::string& rest) {
  return absl::StrCat(kSignature, Bytes({version_command, family}), Uint16(rest.size()), rest);
}

std::string Tlv(int type, const std::string& value) {
  return absl::StrCat(Bytes({type}), Uint16(value.size()), value);
}

// 192.0.2.1:4096 to 198.51.100.2:443.
const std::string kIpv4 = Bytes({192, 0, 2, 1, 198, 51, 100, 2, 0x10, 0, 1, 187});
// [2001:db8::1]:1 to [2001:db8::2]:65535.
const std::string kIpv6 = Bytes({0x20, 1, 0xd,  0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,  //
                                 0x20, 1, 0xd,  0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,  //
                                 0,    1, 0xff, 0xff});

// The checksum TLV stands at the end, and may be wrong by `error`.
std::string WithChecksum(const std::string& tlvs, uint32_t error = 0) {
  std::string header = V2(0x21, 0x11, kIpv4 + tlvs + Tlv(3, std::string(4, '\0')));
  const uint32_t checksum = static_cast<uint32_t>(absl::ComputeCrc32c(header)) ^ error;
  for (size_t i = 0; i < 4; ++i) {
    header[header.size() - 4 + i] = static_cast<char>(checksum >> (24 - 8 * i) & 0xff);
  }
  return header;
}

std::string Text(const IpEndpoint& endpoint) { return AddressWithPort(endpoint.ToSocketAddress()); }

// The verdict as a line, the same wherever the bytes are cut: every prefix of a complete header is
// incomplete, a refusal stays one, and what follows changes nothing.
std::string Verdict(const std::string& bytes) {
  const auto describe = [](const ProxyHeader& header) -> std::string {
    switch (header.status) {
      case Status::kNeedMore:
        return "more";
      case Status::kRefused:
        return std::string(ProxyProtocolErrorName(header.error));
      case Status::kComplete:
        break;
    }
    const std::string who = header.addresses.has_value()
                                ? absl::StrCat(Text(header.addresses->source), " to ",
                                               Text(header.addresses->destination))
                                : "nobody";
    return absl::StrCat("v", static_cast<int>(header.version), " ", header.bytes, " ", who);
  };
  const std::string whole = describe(ParseProxyHeader(bytes));
  bool decided = false;
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::string verdict = describe(ParseProxyHeader(bytes.substr(0, cut)));
    if (verdict == "more") {
      EXPECT_FALSE(decided) << "undecided again at " << cut;
      continue;
    }
    decided = true;
    EXPECT_EQ(verdict, whole) << "cut at " << cut;
  }
  if (whole != "more") {
    for (const char* behind : {"GET / HTTP/1.1\r\n", "\x16\x03\x01", "\r\n", "\n", "PROXY "}) {
      EXPECT_EQ(describe(ParseProxyHeader(bytes + behind)), whole);
    }
  }
  return whole;
}

TEST(ProxyProtocolV1Test, NamesClientAndDestination) {
  EXPECT_EQ(Verdict("PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\r\n"),
            "v1 44 192.0.2.1:4096 to 198.51.100.2:443");
  EXPECT_EQ(Verdict("PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 0 65535\r\n"),
            "v1 53 [2001:db8::1]:0 to [2001:db8::2]:65535");
  EXPECT_EQ(Verdict("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"),
            "v1 44 255.255.255.255:65535 to 0.0.0.0:0");
}

TEST(ProxyProtocolV1Test, AnIpv4MappedAddressIsIpv4) {
  EXPECT_EQ(Verdict("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "v1 37 192.0.2.1:1 to [::1]:2");
}

TEST(ProxyProtocolV1Test, UnknownNamesNobodyWhateverFollowsOnTheLine) {
  EXPECT_EQ(Verdict("PROXY UNKNOWN\r\n"), "v1 15 nobody");
  EXPECT_EQ(Verdict("PROXY UNKNOWN ::1 ::1 1 2\r\n"), "v1 27 nobody");
  EXPECT_EQ(Verdict("PROXY UNKNOWN  what ever\r\n"), "v1 26 nobody");
  EXPECT_EQ(Verdict("PROXY UNKNOWNS\r\n"), "v1.syntax");
  EXPECT_EQ(Verdict("PROXY unknown\r\n"), "v1.syntax");
}

TEST(ProxyProtocolV1Test, TheLongestLineHas107Bytes) {
  const std::string address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const std::string longest =
      absl::StrCat("PROXY UNKNOWN ", address, " ", address, " 65535 65535\r\n");
  ASSERT_EQ(longest.size(), kProxyHeaderV1BytesMax);
  EXPECT_EQ(Verdict(longest), "v1 107 nobody");
  EXPECT_EQ(Verdict(absl::StrCat("PROXY UNKNOWN ", address, " ", address, " 65535 65535 \r\n")),
            "v1.too_long");
  EXPECT_EQ(Verdict("PROXY TCP4 " + std::string(96, '1')), "v1.too_long");
  EXPECT_EQ(Verdict("PROXY TCP4 " + std::string(95, '1')), "more");
}

TEST(ProxyProtocolV1Test, SeparatorsAreSingleSpacesAndTheEndIsCrlf) {
  for (const char* line : {
           "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
           "PROXY TCP4\t192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
           "PROXY TCP4 192.0.2.1\n 198.51.100.2 1 2\r\n",
           "PROXY TCP 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY \r\n",
           "PROXY \n",
       }) {
    EXPECT_EQ(Verdict(line), "v1.syntax") << line;
  }
}

TEST(ProxyProtocolV1Test, AddressesAreOfTheFamily) {
  for (const char* address : {
           "",
           "192.0.2",
           "192.0.2.1.",
           "192.0.2.01",
           "192.0.2.256",
           "0xc0.0.2.1",
           "192.0.2.1/32",
           "::1",
           "localhost",
           "1111111111111111111111111111111111111111111111111",
       }) {
    EXPECT_EQ(Verdict(absl::StrCat("PROXY TCP4 ", address, " 198.51.100.2 1 2\r\n")), "v1.address")
        << address;
    EXPECT_EQ(Verdict(absl::StrCat("PROXY TCP4 198.51.100.2 ", address, " 1 2\r\n")), "v1.address")
        << address;
  }
  for (const char* address :
       {"192.0.2.1", "[::1]", "::1%lo", "1::2::3", "12345::", ":::", "1:2:3:4:5:6:7"}) {
    EXPECT_EQ(Verdict(absl::StrCat("PROXY TCP6 ", address, " ::1 1 2\r\n")), "v1.address")
        << address;
  }
  EXPECT_EQ(Verdict(std::string("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n", 38)), "v1.address");
}

TEST(ProxyProtocolV1Test, PortsAreNumbersUpTo65535WithoutLeadingZeros) {
  for (const char* port : {"", "65536", "99999", "100000", "01", "00", "+1", "-1", "0x1", "1a"}) {
    EXPECT_EQ(Verdict(absl::StrCat("PROXY TCP4 192.0.2.1 192.0.2.2 ", port, " 2\r\n")), "v1.port")
        << port;
    EXPECT_EQ(Verdict(absl::StrCat("PROXY TCP4 192.0.2.1 192.0.2.2 1 ", port, "\r\n")), "v1.port")
        << port;
  }
  EXPECT_EQ(Verdict("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n"), "v1.port");
}

TEST(ProxyProtocolTest, OtherFirstBytesAreNoHeader) {
  for (const std::string& bytes : {
           std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("POST / HTTP/1.1\r\n"),
           std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
           std::string("\x16\x03\x01\x02\x00\x01"),
           std::string("\r\n\r\nGET / HTTP/1.1\r\n"),
           std::string("\r\n\r\n\0\r\nQUIT\r", 12),
           std::string("PROXYTCP4"),
           std::string("PROXY\r\n"),
           std::string("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
           std::string(" PROXY UNKNOWN\r\n"),
           std::string(1, '\0'),
       }) {
    EXPECT_EQ(Verdict(bytes), "missing") << bytes;
  }
  EXPECT_EQ(Verdict(""), "more");
  EXPECT_EQ(Verdict("PROXY"), "more");
  EXPECT_EQ(Verdict(kSignature), "more");
}

TEST(ProxyProtocolV2Test, NamesClientAndDestination) {
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4)), "v2 28 192.0.2.1:4096 to 198.51.100.2:443");
  EXPECT_EQ(Verdict(V2(0x21, 0x21, kIpv6)), "v2 52 [2001:db8::1]:1 to [2001:db8::2]:65535");
}

TEST(ProxyProtocolV2Test, LocalAndUnspecifiedAndUnixNameNobody) {
  EXPECT_EQ(Verdict(V2(0x20, 0x00, "")), "v2 16 nobody");
  // LOCAL: the family is ignored with all the rest.
  EXPECT_EQ(Verdict(V2(0x20, 0x11, kIpv4)), "v2 28 nobody");
  EXPECT_EQ(Verdict(V2(0x20, 0xff, "what ever")), "v2 25 nobody");
  EXPECT_EQ(Verdict(V2(0x21, 0x00, "")), "v2 16 nobody");
  EXPECT_EQ(Verdict(V2(0x21, 0x00, "what ever")), "v2 25 nobody");
  EXPECT_EQ(Verdict(V2(0x21, 0x31, std::string(216, 'u'))), "v2 232 nobody");
  EXPECT_EQ(Verdict(V2(0x21, 0x31, std::string(216, 'u') + Tlv(1, "h2"))), "v2 237 nobody");
}

TEST(ProxyProtocolV2Test, VersionCommandAndFamilyAreKnownOnes) {
  for (const int version : {0x01, 0x11, 0x31, 0xf1, 0x00}) {
    EXPECT_EQ(Verdict(V2(version, 0x11, kIpv4)), "v2.version") << version;
  }
  for (const int command : {0x22, 0x2f}) {
    EXPECT_EQ(Verdict(V2(command, 0x11, kIpv4)), "v2.command") << command;
  }
  // Datagrams, half unspecified ones, and what is not assigned.
  for (const int family : {0x12, 0x22, 0x32, 0x01, 0x10, 0x20, 0x30, 0x13, 0x41, 0xff}) {
    EXPECT_EQ(Verdict(V2(0x21, family, std::string(300, 'x'))), "v2.family") << family;
  }
}

TEST(ProxyProtocolV2Test, TheLengthCoversTheAddressesAndHasALimit) {
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4.substr(1))), "v2.length");
  EXPECT_EQ(Verdict(V2(0x21, 0x21, kIpv6.substr(1))), "v2.length");
  EXPECT_EQ(Verdict(V2(0x21, 0x31, std::string(215, 'u'))), "v2.length");
  EXPECT_EQ(Verdict(V2(0x21, 0x11, "")), "v2.length");
  const size_t room = kProxyHeaderBytesMax - 16 - kIpv4.size() - 3;
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4 + Tlv(4, std::string(room, 'n')))),
            "v2 1024 192.0.2.1:4096 to 198.51.100.2:443");
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4 + Tlv(4, std::string(room + 1, 'n')))), "v2.length");
  EXPECT_EQ(Verdict(V2(0x20, 0x00, std::string(65535, 'n')).substr(0, 16)), "v2.length");
}

TEST(ProxyProtocolV2Test, TlvsFillTheRestOfTheHeader) {
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4 + Tlv(1, "http/1.1") + Tlv(2, "a.example") + Tlv(4, ""))),
            "v2 54 192.0.2.1:4096 to 198.51.100.2:443");
  for (const std::string& tlvs :
       {Bytes({4}), Bytes({4, 0}), Bytes({4, 0, 1}), Bytes({4, 255, 255, 1}),
        Tlv(1, "h2") + Bytes({4, 0}), Tlv(1, "h2").substr(0, 4)}) {
    EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4 + tlvs)), "v2.tlv");
    EXPECT_EQ(Verdict(V2(0x21, 0x31, std::string(216, 'u') + tlvs)), "v2.tlv");
  }
}

TEST(ProxyProtocolV2Test, AChecksumIsVerified) {
  EXPECT_EQ(Verdict(WithChecksum("")), "v2 35 192.0.2.1:4096 to 198.51.100.2:443");
  EXPECT_EQ(Verdict(WithChecksum(Tlv(1, "h2"))), "v2 40 192.0.2.1:4096 to 198.51.100.2:443");
  for (int bit = 0; bit < 32; ++bit) {
    EXPECT_EQ(Verdict(WithChecksum("", 1u << bit)), "v2.checksum") << bit;
  }
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4 + Tlv(3, "abc"))), "v2.tlv");
  EXPECT_EQ(Verdict(V2(0x21, 0x11, kIpv4 + Tlv(3, "abcde"))), "v2.tlv");
  EXPECT_EQ(Verdict(WithChecksum(Tlv(3, "abcd"))), "v2.tlv");  // two of them
}

TEST(ProxyProtocolV2Test, AChecksumIsThatOfTheSpecificationsAlgorithm) {
  // Computed by an independent, bit by bit CRC32c (polynomial 0x1edc6f41, reflected).
  const std::string header = WithChecksum("");
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < header.size(); ++i) {
    crc ^= i + 4 >= header.size() ? 0 : static_cast<uint8_t>(header[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  crc ^= 0xffffffff;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(static_cast<uint8_t>(header[header.size() - 4 + i]), crc >> (24 - 8 * i) & 0xff);
  }
}

std::string Write(ProxyProtocol version, const std::optional<ProxyAddresses>& addresses) {
  char out[kProxyHeaderV1BytesMax];
  const std::optional<size_t> bytes = WriteProxyHeader(version, addresses, out);
  if (!bytes.has_value()) return "does not fit";
  for (size_t room = 0; room < *bytes; ++room) {
    EXPECT_FALSE(WriteProxyHeader(version, addresses, std::span(out, room)).has_value());
  }
  EXPECT_EQ(WriteProxyHeader(version, addresses, std::span(out, *bytes)), bytes);
  return std::string(out, *bytes);
}

IpEndpoint Endpoint(const char* ip, uint16_t port) {
  return IpEndpoint::Of(*ParseAddress(ip, port));
}

TEST(ProxyProtocolWriterTest, WritesEachVersion) {
  const ProxyAddresses ipv4{.source = Endpoint("192.0.2.1", 4096),
                            .destination = Endpoint("198.51.100.2", 443)};
  EXPECT_EQ(Write(ProxyProtocol::kV1, ipv4), "PROXY TCP4 192.0.2.1 198.51.100.2 4096 443\r\n");
  EXPECT_EQ(Write(ProxyProtocol::kV2, ipv4), V2(0x21, 0x11, kIpv4));
  const ProxyAddresses ipv6{.source = Endpoint("2001:db8::1", 1),
                            .destination = Endpoint("2001:db8::2", 65535)};
  EXPECT_EQ(Write(ProxyProtocol::kV1, ipv6), "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n");
  EXPECT_EQ(Write(ProxyProtocol::kV2, ipv6), V2(0x21, 0x21, kIpv6));
}

TEST(ProxyProtocolWriterTest, NobodyIsUnknownOrLocal) {
  EXPECT_EQ(Write(ProxyProtocol::kV1, std::nullopt), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(Write(ProxyProtocol::kV2, std::nullopt), V2(0x20, 0x00, ""));
}

TEST(ProxyProtocolWriterTest, FamiliesThatDifferAreWrittenAsIpv6) {
  const ProxyAddresses mixed{.source = Endpoint("192.0.2.1", 1), .destination = Endpoint("::1", 2)};
  EXPECT_EQ(Write(ProxyProtocol::kV1, mixed), "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
  for (const ProxyProtocol version : {ProxyProtocol::kV1, ProxyProtocol::kV2}) {
    EXPECT_EQ(ParseProxyHeader(Write(version, mixed)).addresses, mixed);
  }
}

TEST(ProxyProtocolWriterTest, WhatIsWrittenIsReadAsTheSame) {
  const IpEndpoint endpoints[] = {Endpoint("0.0.0.0", 0),
                                  Endpoint("255.255.255.255", 65535),
                                  Endpoint("::", 0),
                                  Endpoint("::1", 443),
                                  Endpoint("::ffff:1.2.3.4", 80),
                                  Endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)};
  for (const IpEndpoint& source : endpoints) {
    for (const IpEndpoint& destination : endpoints) {
      for (const ProxyProtocol version : {ProxyProtocol::kV1, ProxyProtocol::kV2}) {
        const ProxyAddresses addresses{.source = source, .destination = destination};
        const std::string written = Write(version, addresses);
        const ProxyHeader header = ParseProxyHeader(written);
        EXPECT_EQ(header.status, Status::kComplete);
        EXPECT_EQ(header.bytes, written.size());
        EXPECT_EQ(header.version, version);
        EXPECT_EQ(header.addresses, addresses);
      }
    }
  }
}

}  // namespace
}  // namespace edge::proxy
