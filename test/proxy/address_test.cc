#include "proxy/address.h"

#include <string>

#include "gtest/gtest.h"

namespace edge::proxy {
namespace {

std::string Text(std::string_view host) {
  const auto address = ParseAddress(host, 1);
  if (!address.has_value()) return "none";
  char text[kAddressTextMax];
  return std::string(text, WriteAddress(*address, text));
}

bool Contains(std::string_view block, std::string_view address) {
  const absl::StatusOr<AddressBlock> parsed = AddressBlock::Parse(block);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed->Contains(*ParseAddress(address, 0));
}

TEST(AddressTest, HostAndPortAreSplit) {
  const struct {
    const char* text;
    const char* host;
    int port;
  } cases[] = {{":0", "", 0},
               {"a.example:65535", "a.example", 65535},
               {"127.0.0.1:80", "127.0.0.1", 80},
               {"[::1]:443", "::1", 443}};
  for (const auto& c : cases) {
    const absl::StatusOr<HostPort> parsed = ParseHostPort(c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
  }
}

TEST(AddressTest, WhatIsNoHostAndPortIsRefused) {
  for (const char* text : {"", "80", "a", "a:", ":-1", ":+1", ":0x50", ":65536", ":123456",
                           "::1:80", "[::1]", "[]:80", "[a]:80", "a b:80", "a/b:80", "u@h:80"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

TEST(AddressTest, MappedAddressesAreShownAsIpv4) {
  EXPECT_EQ(Text("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(Text("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(Text("2001:db8::1"), "2001:db8::1");
  EXPECT_EQ(Text("localhost"), "none");
}

TEST(AddressTest, PortsAreShownWithBracketsAroundIpv6) {
  EXPECT_EQ(AddressWithPort(*ParseAddress("::1", 80)), "[::1]:80");
  EXPECT_EQ(AddressWithPort(*ParseAddress("1.2.3.4", 80)), "1.2.3.4:80");
}

TEST(AddressBlockTest, ContainsWhatSharesItsPrefix) {
  EXPECT_TRUE(Contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(Contains("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(Contains("10.0.0.0/9", "10.127.0.1"));
  EXPECT_FALSE(Contains("10.0.0.0/9", "10.128.0.1"));
  EXPECT_TRUE(Contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(Contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(Contains("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Contains("2001:db8::/32", "2001:db8:ffff::1"));
  EXPECT_FALSE(Contains("2001:db8::/32", "2001:db9::1"));
}

TEST(AddressBlockTest, AnIpv4BlockHoldsMappedAddresses) {
  EXPECT_TRUE(Contains("10.0.0.0/8", "::ffff:10.1.1.1"));
}

TEST(AddressBlockTest, WhatIsNoBlockIsRefused) {
  for (const char* text :
       {"", "a", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x", "::/129", "10.0.0/8"}) {
    EXPECT_FALSE(AddressBlock::Parse(text).ok()) << text;
  }
}

TEST(IpEndpointTest, HoldsAnAddressOfEitherFamily) {
  for (const char* host : {"1.2.3.4", "0.0.0.0", "::", "::1", "2001:db8::ffff:1.2.3.4"}) {
    const uring::SocketAddress address = *ParseAddress(host, 65535);
    const IpEndpoint endpoint = IpEndpoint::Of(address);
    EXPECT_EQ(endpoint.ipv4(), address.storage.ss_family == AF_INET) << host;
    const uring::SocketAddress back = endpoint.ToSocketAddress();
    EXPECT_EQ(back.length, address.length) << host;
    EXPECT_EQ(AddressWithPort(back), AddressWithPort(address));
  }
}

TEST(IpEndpointTest, AnIpv4MappedAddressIsIpv4) {
  const IpEndpoint endpoint = IpEndpoint::Of(*ParseAddress("::ffff:1.2.3.4", 80));
  EXPECT_EQ(endpoint, IpEndpoint::Of(*ParseAddress("1.2.3.4", 80)));
  EXPECT_EQ(endpoint.ToSocketAddress().storage.ss_family, AF_INET);
}

}  // namespace
}  // namespace edge::proxy
