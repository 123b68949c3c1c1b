// The yardstick of the hostile runs: what a stream means, and that the mutator changes that.

#include "test/sim/wire_reader.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "test/sim/mutator.h"
#include "test/sim/random.h"

namespace edge::sim {
namespace {

using State = WireMessage::State;
using Body = WireMessage::Body;

std::vector<State> StatesOf(std::string_view stream) {
  std::vector<State> states;
  for (const WireMessage& request : ReadRequests(stream)) states.push_back(request.state);
  return states;
}

// The state of a request with these lines behind its Host.
State StateWith(std::string_view lines) {
  return StatesOf("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(lines)).front();
}

TEST(WireReaderTest, ReadsRequestsOneBehindTheOther) {
  const std::string stream =
      "\r\nGET /a HTTP/1.1\r\nHost: h\r\nX-A: \t1 \r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "02;x=\"y\"\r\nde\r\nA\r\n0123456789\r\n0\r\nX-T: t\r\n\r\n";
  const std::vector<WireMessage> requests = ReadRequests(stream);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].target, "/a");
  EXPECT_TRUE(requests[0].Has("x-a", "1"));
  EXPECT_EQ(requests[1].body, "abc");
  EXPECT_EQ(requests[2].body, "de0123456789");
  EXPECT_EQ(requests[2].trailers, (WireFields{{"x-t", "t"}}));
  EXPECT_EQ(requests[2].end, stream.size());
}

TEST(WireReaderTest, StopsWhereTheConnectionEnds) {
  const std::string next = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(ReadRequests("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n" + next).size(), 1u);
  EXPECT_EQ(ReadRequests("GET / HTTP/1.0\r\n\r\n" + next).size(), 1u);
  EXPECT_EQ(ReadRequests("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next).size(), 2u);
  EXPECT_EQ(ReadRequests("GET  / HTTP/1.1\r\n\r\n" + next).size(), 1u);
}

TEST(WireReaderTest, CutsAbsoluteTargetsDown) {
  const auto request = [](std::string_view line) {
    return ReadRequests(std::string(line) + " HTTP/1.1\r\nHost: h\r\n\r\n").front();
  };
  EXPECT_EQ(request("GET http://o:1/a?b").target, "/a?b");
  EXPECT_EQ(request("GET http://o:1/a?b").host, "o:1");
  EXPECT_EQ(request("GET http://o?b").target, "/?b");
  EXPECT_EQ(request("OPTIONS http://o").target, "*");
  EXPECT_EQ(request("GET /a").host, "h");
}

TEST(WireReaderTest, BadHeads) {
  EXPECT_EQ(StateWith("\r\n"), State::kComplete);
  EXPECT_EQ(StateWith("X: y"), State::kHeadCut);
  for (const std::string_view lines :
       {"X: y\n\r\n", "X: y\rz\r\n\r\n", "X : y\r\n\r\n", " X: y\r\n\r\n", "X: \x01\r\n\r\n",
        "X\r\n\r\n", ": y\r\n\r\n", "Host: b\r\n\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "Content-Length: 01\r\n\r\n",
        "Content-Length: +1\r\n\r\n", "Content-Length: \r\n\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding: \r\n\r\n"}) {
    EXPECT_EQ(StateWith(lines), State::kHeadBad) << lines;
  }
  EXPECT_EQ(StatesOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            std::vector{State::kHeadBad});
}

TEST(WireReaderTest, BadChunks) {
  const auto with = [](std::string_view body) {
    return StateWith("Transfer-Encoding: chunked\r\n\r\n" + std::string(body));
  };
  EXPECT_EQ(with("1\r\na\r\n0\r\n\r\n"), State::kComplete);
  EXPECT_EQ(with("1\r\na\r\n0\r\n"), State::kBodyCut);
  for (const std::string_view body :
       {"1\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "g\r\n", "\r\n", "-1\r\n", "1 x\r\na\r\n",
        "10000000000000000\r\n", "1;\x01\r\n", "0\r\n folded\r\n\r\n", "0\r\nX : y\r\n\r\n"}) {
    EXPECT_EQ(with(body), State::kBodyBad) << body;
  }
}

TEST(WireReaderTest, Responses) {
  const auto read = [](std::string_view stream, std::string_view method, bool ended) {
    return ReadResponse(stream, method, ended);
  };
  const WireResponse response = read(
      "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 1\r\n\r\nab",
      "GET", false);
  EXPECT_EQ(response.interim.size(), 2u);
  EXPECT_EQ(response.final.body, "a");
  EXPECT_TRUE(response.final.complete() && response.final.keep_alive);

  const WireMessage until_close = read("HTTP/1.1 200 x\r\n\r\nab", "GET", false).final;
  EXPECT_EQ(until_close.state, State::kBodyCut);
  EXPECT_FALSE(until_close.keep_alive);
  EXPECT_TRUE(read("HTTP/1.1 200 x\r\n\r\nab", "GET", true).final.complete());

  // Without a body, whatever the fields say.
  const std::string_view with_length = "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n";
  EXPECT_TRUE(read(with_length, "HEAD", false).final.complete());
  EXPECT_EQ(read(with_length, "GET", true).final.state, State::kBodyCut);
  EXPECT_TRUE(read("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", "GET", false).final.keep_alive);
  EXPECT_FALSE(read("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", "GET", false).final.keep_alive);

  EXPECT_EQ(read("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n", "GET", false).final.state,
            State::kHeadBad);
  EXPECT_EQ(read("HTTP/1.1 099 x\r\n\r\n", "GET", false).final.state, State::kHeadBad);
  EXPECT_EQ(read("HTTP/1.1  200 x\r\n\r\n", "GET", false).final.state, State::kHeadBad);
  EXPECT_EQ(read("HTTP/2.0 200 x\r\n\r\n", "GET", false).final.state, State::kHeadBad);
}

TEST(MutatorTest, EveryMutationChangesSomeMessages) {
  const std::string request =
      "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
      "chunked\r\n\r\na\r\n0123456789\r\n3\r\nabc\r\n"
      "0\r\n\r\n";
  const std::string response =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
      "chunked\r\n\r\na\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n";
  Random random(1);
  for (const Mutation& mutation : AllMutations()) {
    EXPECT_TRUE(mutation.requests || mutation.responses) << mutation.name;
    const std::string& message = mutation.requests ? request : response;
    int changed = 0;
    for (int i = 0; i < 50; ++i) {
      std::string mutated = message;
      mutation.apply(mutated, message, random);
      changed += mutated != message;
    }
    EXPECT_GT(changed, 10) << mutation.name;
  }
}

// As when one mutation follows another.
TEST(MutatorTest, MutationsTakeAnyBytes) {
  Random random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string message;
    for (int n = 0; n < 10; ++n) {
      const std::string other = message.substr(0, random.Below(message.size() + 1));
      Mutate(random.Chance(0.5) ? MessageKind::kRequest : MessageKind::kResponse, message, other,
             random);
      message.resize(std::min<size_t>(message.size(), 5000));
    }
    ReadRequests(message);
    ReadResponse(message, "GET", true);
  }
}

}  // namespace
}  // namespace edge::sim
