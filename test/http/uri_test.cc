#include "http/uri.h"

#include <string>

#include "gtest/gtest.h"

namespace edge::http {
namespace {

std::string TargetVerdict(std::string_view target, Method method = Method::kGet,
                          const ValidationPolicy& policy = {}) {
  Target out;
  const Refusal refusal = ParseTarget(target, method, policy, &out);
  if (refusal) {
    return std::string(Describe(refusal.reason).id) + " " + std::to_string(refusal.offset);
  }
  const std::string parts = std::string(out.path_and_query) + " " + std::to_string(out.path_size);
  switch (out.form) {
    case TargetForm::kOrigin:
      return "origin " + parts;
    case TargetForm::kAbsolute:
      return (out.https ? "https " : "http ") + std::string(out.authority) + " " + parts;
    case TargetForm::kAsterisk:
      return "asterisk " + parts;
  }
  return "";
}

std::string HostVerdict(std::string_view host) {
  const Refusal refusal = CheckHost(host);
  if (!refusal) return "ok";
  return std::string(Describe(refusal.reason).id) + " " + std::to_string(refusal.offset);
}

TEST(Rfc9112Section3_2_1, OriginFormIsPathAndQuery) {
  EXPECT_EQ(TargetVerdict("/"), "origin / 1");
  EXPECT_EQ(TargetVerdict("/a/b"), "origin /a/b 4");
  EXPECT_EQ(TargetVerdict("/a?b=c"), "origin /a?b=c 2");
  EXPECT_EQ(TargetVerdict("/a?b?c"), "origin /a?b?c 2");
  EXPECT_EQ(TargetVerdict("/?"), "origin /? 1");
}

TEST(Rfc9112Section3_2_2, AbsoluteFormIsTakenApart) {
  EXPECT_EQ(TargetVerdict("http://a/b?c"), "http a /b?c 2");
  EXPECT_EQ(TargetVerdict("HtTpS://a:443/b"), "https a:443 /b 2");
  EXPECT_EQ(TargetVerdict("http://a"), "http a  0");
  EXPECT_EQ(TargetVerdict("http://a?b"), "http a ?b 0");
  EXPECT_EQ(TargetVerdict("http://[2001:db8::1]:8080/"), "http [2001:db8::1]:8080 / 1");
}

TEST(Rfc9112Section3_2_2, AbsoluteFormNeedsAHostAndNoUserinfo) {
  EXPECT_EQ(TargetVerdict("http:///x"), "request.target.host 7");
  EXPECT_EQ(TargetVerdict("http://?x"), "request.target.host 7");
  EXPECT_EQ(TargetVerdict("http://user@a/"), "request.target.userinfo 11");
  EXPECT_EQ(TargetVerdict("http://@a/"), "request.target.userinfo 7");
  EXPECT_EQ(TargetVerdict("http://a:b@c/"), "request.target.userinfo 10");
  // Behind the authority "@" is an ordinary character.
  EXPECT_EQ(TargetVerdict("http://a/@b"), "http a /@b 3");
}

TEST(Rfc9112Section3_2_3, AuthorityFormIsOfConnectOnly) {
  EXPECT_EQ(TargetVerdict("a:443"), "request.target.authority_form 0");
  EXPECT_EQ(TargetVerdict("a.example"), "request.target.authority_form 0");
  EXPECT_EQ(TargetVerdict("[::1]:443"), "request.target.authority_form 0");
}

TEST(Rfc9112Section3_2_4, AsteriskFormIsOfOptionsOnly) {
  EXPECT_EQ(TargetVerdict("*", Method::kOptions), "asterisk * 1");
  EXPECT_EQ(TargetVerdict("*", Method::kGet), "request.target.asterisk 0");
  EXPECT_EQ(TargetVerdict("*/", Method::kOptions), "request.target.form 0");
}

TEST(Rfc3986Section2_1, PercentNeedsTwoHexadecimalDigits) {
  EXPECT_EQ(TargetVerdict("/%41%5a%fF"), "origin /%41%5a%fF 10");
  EXPECT_EQ(TargetVerdict("/a%"), "request.target.percent 2");
  EXPECT_EQ(TargetVerdict("/a%4"), "request.target.percent 2");
  EXPECT_EQ(TargetVerdict("/a%4g"), "request.target.percent 2");
  EXPECT_EQ(TargetVerdict("/a?b%zz"), "request.target.percent 4");
  EXPECT_EQ(TargetVerdict("/%u0041"), "request.target.percent 1");
}

TEST(Rfc3986Section7_3, EncodedNulIsRefused) {
  EXPECT_EQ(TargetVerdict("/a%00"), "request.target.nul 2");
  EXPECT_EQ(TargetVerdict("/?a=%00"), "request.target.nul 4");
  EXPECT_EQ(TargetVerdict("/%2500"), "origin /%2500 6");
}

TEST(Rfc9112Section3_2, ATargetHasNoFragment) {
  EXPECT_EQ(TargetVerdict("/a#b"), "request.target.fragment 2");
  EXPECT_EQ(TargetVerdict("/a?b#c"), "request.target.fragment 4");
  EXPECT_EQ(TargetVerdict("http://a/#"), "request.target.fragment 9");
}

TEST(Rfc3986Section2, EveryByteIsAllowedOrRefusedByItsClass) {
  const std::string_view allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?";
  const std::string_view of_browsers = "|[]{}^`";
  ValidationPolicy rfc_only;
  rfc_only.browser_target_characters = false;
  for (int c = 0; c < 256; ++c) {
    if (c == '%') continue;
    const std::string target = std::string("/a") + static_cast<char>(c) + "b";
    const bool rfc = allowed.find(static_cast<char>(c)) != std::string_view::npos;
    const bool browser = of_browsers.find(static_cast<char>(c)) != std::string_view::npos;
    EXPECT_EQ(TargetVerdict(target).starts_with("origin"), rfc || browser) << c;
    EXPECT_EQ(TargetVerdict(target, Method::kGet, rfc_only).starts_with("origin"), rfc) << c;
  }
}

TEST(Rfc3986Section4_2, ATargetThatLooksLikeAHostReferenceIsRefusedUnlessThePolicyAllowsIt) {
  EXPECT_EQ(TargetVerdict("//evil/x"), "request.target.double_slash 0");
  EXPECT_EQ(TargetVerdict("//"), "request.target.double_slash 0");
  EXPECT_EQ(TargetVerdict("http://a//x"), "request.target.double_slash 8");
  EXPECT_EQ(TargetVerdict("/a//b"), "origin /a//b 5");
  ValidationPolicy lenient;
  lenient.double_slash_target = true;
  EXPECT_EQ(TargetVerdict("//evil/x", Method::kGet, lenient), "origin //evil/x 8");
}

TEST(Rfc9110Section4_2, OnlyHttpAndHttpsAreSchemes) {
  EXPECT_EQ(TargetVerdict("ws://a/"), "request.target.scheme 0");
  EXPECT_EQ(TargetVerdict("httpx://a/"), "request.target.scheme 0");
  EXPECT_EQ(TargetVerdict("http+unix://a/"), "request.target.scheme 0");
  EXPECT_EQ(TargetVerdict("1http://a/"), "request.target.form 0");
  EXPECT_EQ(TargetVerdict("://a/"), "request.target.form 0");
}

TEST(Rfc9112Section3_2, AHostIsANameOrAnAddressAndAPort) {
  for (std::string_view host :
       {"a", "a.b.example", "a.example.", "A-1_~!$&'()*+,;=", "a%41", "192.0.2.1", "[::1]",
        "[2001:db8::192.0.2.1]", "a:1", "a:65535", "a:080", "a:", "[::1]:80"}) {
    EXPECT_EQ(HostVerdict(host), "ok") << host;
  }
}

TEST(Rfc9112Section3_2, AnInvalidHostIsRefusedWhereItGoesWrong) {
  EXPECT_EQ(HostVerdict(""), "request.host.empty 0");
  EXPECT_EQ(HostVerdict(":80"), "request.host.invalid 0");
  EXPECT_EQ(HostVerdict("a b"), "request.host.invalid 1");
  EXPECT_EQ(HostVerdict("a/"), "request.host.invalid 1");
  EXPECT_EQ(HostVerdict("a@b"), "request.host.invalid 1");
  EXPECT_EQ(HostVerdict("a%2"), "request.host.invalid 1");
  EXPECT_EQ(HostVerdict("a%00"), "request.host.invalid 1");
  EXPECT_EQ(HostVerdict("a\xff"), "request.host.invalid 1");
  EXPECT_EQ(HostVerdict("[a]"), "request.host.invalid 0");
  EXPECT_EQ(HostVerdict("[::1"), "request.host.invalid 0");
  EXPECT_EQ(HostVerdict("[]"), "request.host.invalid 0");
  EXPECT_EQ(HostVerdict("[::1]80"), "request.host.invalid 5");
}

TEST(Rfc3986Section3_2_3, APortIsANumberFrom1To65535) {
  EXPECT_EQ(HostVerdict("a:0"), "request.host.port 2");
  EXPECT_EQ(HostVerdict("a:65536"), "request.host.port 2");
  EXPECT_EQ(HostVerdict("a:99999"), "request.host.port 2");
  EXPECT_EQ(HostVerdict("a:000080"), "request.host.port 2");
  EXPECT_EQ(HostVerdict("a:8a"), "request.host.port 3");
  EXPECT_EQ(HostVerdict("a:-1"), "request.host.port 2");
  EXPECT_EQ(HostVerdict("a:80:80"), "request.host.port 4");
}

TEST(Rfc3986Section3_2_2, Ipv6AddressesHaveNoZoneAndNoPrefix) {
  for (std::string_view text :
       {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "2001:DB8:0:0:0:0:0:1"}) {
    EXPECT_TRUE(IsIpv6Address(text)) << text;
  }
  for (std::string_view text : {"", ":", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
                                "12345::", "::1%eth0", "::1/64", "1::2::3", "192.0.2.1", "::g",
                                " ::1", "1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3:4:5:6:7:8:9"}) {
    EXPECT_FALSE(IsIpv6Address(text)) << text;
  }
  EXPECT_FALSE(IsIpv6Address(std::string_view("::1\0x", 5)));
}

}  // namespace
}  // namespace edge::http
