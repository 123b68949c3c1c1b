// The classes of request smuggling, as far as one parser can decide them: two recipients that would
// disagree about where a request ends never get the chance, because the first one refuses it.
// Through the whole proxy: test/integration.

#include <array>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "http/forwarding.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

constexpr std::string_view kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

// What edge makes of a stream: the requests it would forward, as "METHOD target body", and how it
// ends.
std::vector<std::string> ReadStream(std::string_view stream) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 4096> block;
  std::vector<std::string> requests;
  while (!stream.empty()) {
    head.Bind(block);
    parser.Start(&head);
    const HeadProgress progress = parser.Feed(stream);
    stream.remove_prefix(progress.consumed);
    if (progress.status != HeadStatus::kComplete) {
      requests.push_back(progress.status == HeadStatus::kRefused ? "refused" : "incomplete");
      return requests;
    }
    BodyReader reader;
    reader.Start(head.framing, head.content_length, &policy);
    std::string body;
    BodyStep step;
    do {
      step = reader.Next(stream);
      stream.remove_prefix(step.consumed);
      body += step.data;
    } while (step.event == BodyEvent::kData);
    if (step.event != BodyEvent::kEnd) {
      requests.push_back(step.event == BodyEvent::kRefused ? "refused" : "incomplete");
      return requests;
    }
    requests.push_back(std::string(head.method_name()) + " " + std::string(head.target()) +
                       (body.empty() ? "" : " " + body));
  }
  return requests;
}

const std::vector<std::string> kRefused = {"refused"};

TEST(Smuggling, ClTe) {
  EXPECT_EQ(ReadStream(Post({"Content-Length: 6", "Transfer-Encoding: chunked"}) + "0\r\n\r\nG"),
            kRefused);
}

TEST(Smuggling, TeCl) {
  EXPECT_EQ(ReadStream(Post({"Transfer-Encoding: chunked", "Content-Length: 4"}) +
                       "5c\r\nGPOST / HTTP/1.1\r\n"),
            kRefused);
}

TEST(Smuggling, TeTeByEveryWayToHideOne) {
  const std::vector<std::string> hidden = {
      "Transfer-Encoding: xchunked",
      "Transfer-Encoding : chunked",
      "Transfer-Encoding: x",
      "Transfer-Encoding:\013chunked",
      "Transfer-Encoding: chunked, x",
      "Transfer-Encoding: \"chunked\"",
      "Transfer-Encoding\r\n : chunked",
      "Transfer-Encoding: chunk\r\n ed",
      "Transfer-Encoding:\240chunked",
      " Transfer-Encoding: chunked",
      "X: y\nTransfer-Encoding: chunked",
      "X: y\rTransfer-Encoding: chunked",
      "Transfer-Encoding: chunked\x01",
      "Transfer-Encoding: chunked;",
      "Transfer-Encoding: 'chunked'",
      "Transfer-Encoding: chunked\tx",
  };
  for (const std::string& field : hidden) {
    SCOPED_TRACE(testing::PrintToString(field));
    EXPECT_EQ(ReadStream(Post({"Transfer-Encoding: chunked", field}) + "0\r\n\r\n"), kRefused);
    EXPECT_EQ(ReadStream(Post({field, "Transfer-Encoding: chunked"}) + "0\r\n\r\n"), kRefused);
    EXPECT_EQ(ReadStream(Post({"Content-Length: 5", field}) + "hello"), kRefused);
  }
}

TEST(Smuggling, NamesThatOnlyLookLikeFramingDoNotFrameAndAreNotForwarded) {
  for (const char* field : {"Transfer_Encoding: chunked", "Content_Length: 40"}) {
    const std::string bytes = Post({field});
    EXPECT_EQ(ReadStream(bytes + std::string(kSmuggled)),
              (std::vector<std::string>{"POST /", "GET /smuggled"}));
    EXPECT_EQ(ParseRequest(bytes).serialized.find('_'), std::string::npos);
  }
}

TEST(Smuggling, Cl0TheBodyIsTheBodyWhateverTheMethod) {
  // An origin that ignores the length of a GET sees a second request; edge counts the bytes, and
  // forwards the length.
  const std::string bytes = Get({"Content-Length: " + std::to_string(kSmuggled.size())});
  EXPECT_EQ(ReadStream(bytes + std::string(kSmuggled)),
            std::vector<std::string>{"GET / " + std::string(kSmuggled)});
  EXPECT_NE(ParseRequest(bytes).serialized.find("Content-Length: 35\r\n"), std::string::npos);
}

TEST(Smuggling, ZeroClALengthIsNeverLost) {
  // 0.CL starts with a length that the proxy does not see but the origin does.
  for (const char* field : {"Content-Length : 35", " Content-Length: 35", "Content-Length\t: 35",
                            "X: y\nContent-Length: 35", "X: y\rContent-Length: 35",
                            "Content-Length:\r\n 35", "Content-Length: 35\x0b"}) {
    SCOPED_TRACE(testing::PrintToString(field));
    EXPECT_EQ(ReadStream(Get({"X: y", field}) + std::string(kSmuggled)), kRefused);
  }
}

TEST(Smuggling, ZeroClWithExpect) {
  for (const char* expect : {"Expect: y 100-continue", "Expect: 100-continue\x0b",
                             "Expect:\r\n 100-continue", "Expect: 100-continue, 100-continue"}) {
    SCOPED_TRACE(testing::PrintToString(expect));
    EXPECT_EQ(ReadStream(Post({expect, "Content-Length: 35"}) + std::string(kSmuggled)), kRefused);
  }
  // Without a body the expectation does not reach the origin, so nothing waits for a body there.
  EXPECT_EQ(ParseRequest(Get({"Expect: 100-continue"})).serialized.find("Expect"),
            std::string::npos);
}

TEST(Smuggling, Te0TheChunksAreTheBodyWhateverTheMethod) {
  const std::string bytes = Get({"Transfer-Encoding: chunked"});
  EXPECT_EQ(ReadStream(bytes + "23\r\n" + std::string(kSmuggled) + "\r\n0\r\n\r\n"),
            std::vector<std::string>{"GET / " + std::string(kSmuggled)});
  EXPECT_NE(ParseRequest(bytes).serialized.find("Transfer-Encoding: chunked\r\n"),
            std::string::npos);
}

TEST(Smuggling, ChunkExtensionsWithLineEndsOfTheirOwn) {
  const std::string head = Post({"Transfer-Encoding: chunked"});
  for (const char* line : {"2;\nxx", "2;a\nxx", "2;a\rxx", "2 ;\nxx", "2;a=\"\n\"", "2;a=\"\r\n\"",
                           "2\n", "2\r", "2 \r\n", "2;\r\n", "2\t"}) {
    SCOPED_TRACE(testing::PrintToString(line));
    EXPECT_EQ(ReadStream(head + line + "xx\r\n0\r\n\r\n" + std::string(kSmuggled)), kRefused);
  }
}

TEST(Smuggling, ChunkTerminatorsThatAreNotCrlf) {
  const std::string head = Post({"Transfer-Encoding: chunked"});
  for (const char* body : {"2\r\nxx\n0\r\n\r\n", "2\r\nxx\r0\r\n\r\n", "2\r\nxxyy0\r\n\r\n",
                           "2\r\nxx\r\r\n0\r\n\r\n", "2\r\nxx\r\n0\n\n", "2\r\nxx\r\n0\r\n\n",
                           "2\r\nxx\r\n0\r\n\r\r\n", "2\r\nxx\r\n0\r\r\n\r\n"}) {
    SCOPED_TRACE(testing::PrintToString(body));
    EXPECT_EQ(ReadStream(head + body + std::string(kSmuggled)), kRefused);
  }
}

TEST(Smuggling, ChunkSizesThatWrapOrAreReadDifferently) {
  const std::string head = Post({"Transfer-Encoding: chunked"});
  for (const char* size : {"10000000000000002", "fffffffffffffffe", "0x2", "+2", "-2", "02", "2x",
                           "2,", " 2", "2_0", "\xef\xbc\x92"}) {
    SCOPED_TRACE(size);
    EXPECT_EQ(ReadStream(head + size + "\r\nxx\r\n0\r\n\r\n" + std::string(kSmuggled)), kRefused);
  }
}

TEST(Smuggling, AnEmptyFieldName) {
  // CVE-2023-25725.
  EXPECT_EQ(ReadStream(Post({":", "Content-Length: 35"}) + std::string(kSmuggled)), kRefused);
  EXPECT_EQ(ReadStream(Post({": x", "Transfer-Encoding: chunked"}) + "0\r\n\r\n"), kRefused);
}

TEST(Smuggling, AnEmptyContentLength) {
  // CVE-2023-40225.
  EXPECT_EQ(ReadStream(Post({"Content-Length:"}) + std::string(kSmuggled)), kRefused);
  EXPECT_EQ(ReadStream(Post({"Content-Length: ,"}) + std::string(kSmuggled)), kRefused);
}

TEST(Smuggling, UpgradeToHttp2IsNotForwarded) {
  const std::string bytes = Get({"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                 "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"});
  const std::string serialized = ParseRequest(bytes).serialized;
  EXPECT_EQ(serialized.find("Upgrade"), std::string::npos);
  EXPECT_EQ(serialized.find("HTTP2-Settings"), std::string::npos);
}

TEST(Smuggling, NothingBehindARefusalIsRead) {
  EXPECT_EQ(ReadStream(Get({"A B: c"}) + std::string(kSmuggled)), kRefused);
}

}  // namespace
}  // namespace edge::http
