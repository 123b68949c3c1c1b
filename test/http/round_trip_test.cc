// What edge forwards is itself a message that edge accepts, with the same meaning: parse,
// serialise, parse, serialise. Heads are put together at random from a fixed seed, so a failure
// comes back.

#include <array>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "http/forwarding.h"
#include "http/parser.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  size_t Below(size_t n) { return engine_() % n; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

 private:
  std::mt19937 engine_;
};

std::string RandomRequest(Dice* dice) {
  const std::vector<std::string> methods = {"GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE"};
  const std::vector<std::string> targets = {
      "/",           "/a/b?c=d", "/%41", "http://h:1/x?y", "http://h",
      "https://h?q", "/a|b[]",   "/?",   "http://[::1]/"};
  const std::vector<std::string> versions = {"HTTP/1.1", "HTTP/1.0"};
  const std::vector<std::string> names = {
      "Accept",  "X-A",     "x-b",        "Cookie",          "Connection",        "Via",
      "Upgrade", "TE",      "Keep-Alive", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id",
      "Trailer", "Expect_", "Forwarded",  "Max-Forwards",    "X-Forwarded-Other", "User-Agent"};
  const std::vector<std::string> values = {"1",         "",         "a, b",    "x-a",
                                           "close",     "\x80\xff", "a\tb  c", "upgrade, x-b",
                                           "websocket", "trailers", "17",      "\"q\""};
  const std::vector<std::string> before = {"", " ", "  ", "\t", " \t "};
  const std::vector<std::string> after = {"", "", "", " ", "\t"};
  std::vector<std::string> lines;
  const std::string method = dice->Pick(methods);
  lines.push_back(method + " " + dice->Pick(targets) + " " + dice->Pick(versions));
  const auto field = [&](const std::string& name, const std::string& value) {
    lines.push_back(name + ":" + dice->Pick(before) + value + dice->Pick(after));
  };
  const size_t host_at = dice->Below(5);
  for (size_t i = 0; i < 8; ++i) {
    if (i == host_at) field("Host", "example.com:80");
    if (dice->Below(3) != 0) field(dice->Pick(names), dice->Pick(values));
  }
  if (method == "POST" || method == "PUT") {
    if (dice->Below(2) == 0) {
      lines.push_back("Content-Length: " + std::to_string(dice->Below(100000)));
    } else if (lines[0].ends_with("HTTP/1.1")) {
      field("Transfer-Encoding", "chunked");
    }
  }
  return Lines(lines);
}

std::string RandomResponse(Dice* dice) {
  const std::vector<std::string> line = {"HTTP/1.1 200 OK", "HTTP/1.0 404 Not Found",
                                         "HTTP/1.1 204 ", "HTTP/1.1 304 x\ty",
                                         "HTTP/1.1 103 Early Hints"};
  const std::vector<std::string> names = {"Server",       "Date",   "Set-Cookie", "Connection",
                                          "X-A",          "Via",    "Keep-Alive", "Proxy-Status",
                                          "X-Request-Id", "Trailer"};
  const std::vector<std::string> values = {"1", "", "x-a", "close", "a=b; Path=/", "\xe4"};
  std::vector<std::string> lines = {dice->Pick(line)};
  for (size_t i = 0; i < 8; ++i) {
    if (dice->Below(3) != 0) lines.push_back(dice->Pick(names) + ": " + dice->Pick(values));
  }
  const bool interim = lines[0].find(" 103 ") != std::string::npos;
  if (!interim && dice->Below(2) == 0) {
    lines.push_back("Content-Length: 0");
  } else if (!interim && lines[0].starts_with("HTTP/1.1") && dice->Below(2) == 0) {
    lines.push_back("Transfer-Encoding: chunked");
  }
  return Lines(lines);
}

TEST(RoundTrip, ForwardedRequestsAreAcceptedAndForwardingThemAgainChangesNothing) {
  Dice dice(20261121);
  const ValidationPolicy policy;
  int forwarded = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string bytes = RandomRequest(&dice);
    RequestParser parser(&policy);
    RequestHead first;
    std::array<char, 4096> block;
    first.Bind(block);
    parser.Start(&first);
    if (parser.Feed(bytes).status != HeadStatus::kComplete) continue;
    ++forwarded;

    RequestForwarding forwarding;
    forwarding.client_address = "192.0.2.1";
    forwarding.scheme = "http";
    forwarding.request_id = "id";
    forwarding.host_if_absent = "origin";
    forwarding.framing = first.framing;
    forwarding.content_length = first.content_length;
    forwarding.upgrade = first.upgrade;
    forwarding.te_trailers = true;
    std::array<char, 8192> out;
    const std::optional<size_t> size = SerializeRequest(first, forwarding, out);
    ASSERT_TRUE(size.has_value());
    const std::string_view once(out.data(), *size);

    RequestHead second;
    std::array<char, 8192> second_block;
    second.Bind(second_block);
    parser.Start(&second);
    const HeadProgress progress = parser.Feed(once);
    ASSERT_EQ(progress.status, HeadStatus::kComplete)
        << Describe(parser.refusal().reason).id << "\n"
        << bytes << once;
    EXPECT_EQ(progress.consumed, once.size());
    EXPECT_EQ(second.method, first.method);
    EXPECT_EQ(second.target(), first.target());
    EXPECT_EQ(second.host(), first.host().empty() ? "origin" : first.host());
    EXPECT_EQ(second.framing, first.framing);
    EXPECT_EQ(second.content_length, first.content_length);
    EXPECT_EQ(second.upgrade, first.upgrade);
    EXPECT_TRUE(second.keep_alive);
    EXPECT_FALSE(second.absolute_form);

    // A second edge, to which the first is a trusted proxy, adds its Via and its client, and
    // nothing else.
    RequestForwarding again = forwarding;
    again.client_is_trusted_proxy = true;
    again.client_address = "";
    std::array<char, 8192> twice;
    const std::optional<size_t> twice_size = SerializeRequest(second, again, twice);
    ASSERT_TRUE(twice_size.has_value());
    std::multiset<std::string> expected;
    std::multiset<std::string> found;
    const auto collect = [](const RequestHead& head, std::multiset<std::string>* into) {
      for (size_t f = 0; f < head.size(); ++f) {
        if (head.id(f) == FieldId::kVia || head.id(f) == FieldId::kMaxForwards) continue;
        into->insert(std::string(head.name(f)) + ": " + std::string(head.value(f)));
      }
    };
    collect(second, &expected);
    RequestHead third;
    std::array<char, 8192> third_block;
    third.Bind(third_block);
    parser.Start(&third);
    ASSERT_EQ(parser.Feed({twice.data(), *twice_size}).status, HeadStatus::kComplete);
    collect(third, &found);
    EXPECT_EQ(found, expected) << once << std::string_view(twice.data(), *twice_size);
    if (HasFailure()) return;
  }
  EXPECT_GT(forwarded, 1000);
}

TEST(RoundTrip, ForwardedResponsesAreAcceptedAndFramedAsPlanned) {
  Dice dice(42);
  const ValidationPolicy policy;
  int forwarded = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string bytes = RandomResponse(&dice);
    const Method method = dice.Below(4) == 0 ? Method::kHead : Method::kGet;
    ResponseParser parser(&policy);
    ResponseHead first;
    std::array<char, 4096> block;
    first.Bind(block);
    parser.Start(&first, method);
    if (parser.Feed(bytes).status != HeadStatus::kComplete) continue;
    ++forwarded;
    const Version client = dice.Below(4) == 0 ? Version::kHttp10 : Version::kHttp11;
    const ResponseForwarding plan = PlanResponse(first, client, dice.Below(2) == 0);
    std::array<char, 8192> out;
    const std::optional<size_t> size = SerializeResponse(first, plan, out);
    ASSERT_TRUE(size.has_value());

    ResponseHead second;
    std::array<char, 8192> second_block;
    second.Bind(second_block);
    parser.Start(&second, method);
    const std::string_view once(out.data(), *size);
    ASSERT_EQ(parser.Feed(once).status, HeadStatus::kComplete)
        << Describe(parser.refusal().reason).id << "\n"
        << bytes << once;
    EXPECT_EQ(second.status, first.status);
    EXPECT_EQ(second.reason_phrase(), first.reason_phrase());
    EXPECT_EQ(second.framing, plan.framing);
    EXPECT_EQ(second.interim(), first.interim());
    EXPECT_TRUE(second.interim() || second.keep_alive == !plan.close) << bytes << once;
    if (plan.framing == BodyFraming::kLength) {
      EXPECT_EQ(second.content_length, first.content_length);
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(forwarded, 1000);
}

}  // namespace
}  // namespace edge::http
