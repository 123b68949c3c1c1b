// The peers' parser: what it accepts, and that it refuses what a proxy must not send.

#include "test/sim/http_reader.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace edge::sim {
namespace {

struct Recorder final : HttpReader::Handler {
  void OnHead(const ReadHead& head) override {
    log += "head " + (head.status == 0 ? head.method : std::to_string(head.status)) + ";";
  }
  void OnBody(std::string_view bytes) override { body += bytes; }
  void OnMessageEnd() override { log += "end;"; }
  void OnTunnel(std::string_view bytes) override { tunnel += bytes; }
  bool AnswersHead() override { return answers_head; }

  bool answers_head = false;
  std::string log;
  std::string body;
  std::string tunnel;
};

struct Reading {
  Recorder recorder;
  bool ok = true;
  std::string error;
};

// In one piece, or byte by byte: the same.
Reading Read(HttpReader::Kind kind, std::string_view bytes, bool answers_head = false) {
  Reading whole;
  whole.recorder.answers_head = answers_head;
  HttpReader reader(kind, &whole.recorder);
  whole.ok = reader.Feed(bytes) && reader.FeedEnd();
  whole.error = reader.error();

  Recorder slow;
  slow.answers_head = answers_head;
  HttpReader slow_reader(kind, &slow);
  for (size_t i = 0; i < bytes.size(); ++i) slow_reader.Feed(bytes.substr(i, 1));
  EXPECT_EQ(slow_reader.FeedEnd(), whole.ok) << bytes;
  EXPECT_EQ(slow.log, whole.recorder.log) << bytes;
  EXPECT_EQ(slow.body, whole.recorder.body) << bytes;
  EXPECT_EQ(slow.tunnel, whole.recorder.tunnel) << bytes;
  return whole;
}

TEST(HttpReaderTest, ReadsPipelinedRequests) {
  const Reading reading = Read(HttpReader::Kind::kRequests,
                               "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
                               "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(reading.ok) << reading.error;
  EXPECT_EQ(reading.recorder.log, "head POST;end;head GET;end;");
  EXPECT_EQ(reading.recorder.body, "abc");
}

TEST(HttpReaderTest, ReadsChunksInterimResponsesAndTrailers) {
  const Reading reading = Read(HttpReader::Kind::kResponses,
                               "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-End: 1\r\n\r\n"
                               "HTTP/1.1 204 \r\n\r\n");
  EXPECT_TRUE(reading.ok) << reading.error;
  EXPECT_EQ(reading.recorder.log, "head 103;head 200;end;head 204;end;");
  EXPECT_EQ(reading.recorder.body, "abc0123456789");
}

TEST(HttpReaderTest, BodyWithoutFramingLastsUntilTheEnd) {
  const Reading reading = Read(HttpReader::Kind::kResponses, "HTTP/1.1 200 OK\r\n\r\nabc");
  EXPECT_TRUE(reading.ok);
  EXPECT_EQ(reading.recorder.log, "head 200;end;");
  EXPECT_EQ(reading.recorder.body, "abc");
}

TEST(HttpReaderTest, ResponseToHeadHasNoBody) {
  const Reading reading =
      Read(HttpReader::Kind::kResponses, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true);
  EXPECT_TRUE(reading.ok);
  EXPECT_EQ(reading.recorder.log, "head 200;end;");
}

TEST(HttpReaderTest, EverythingBehind101IsTunnel) {
  const Reading reading =
      Read(HttpReader::Kind::kResponses, "HTTP/1.1 101 Switching\r\nUpgrade: a\r\n\r\n\x81\x02hi");
  EXPECT_TRUE(reading.ok);
  EXPECT_EQ(reading.recorder.tunnel, "\x81\x02hi");
}

TEST(HttpReaderTest, CountsWhatComesAfterStop) {
  struct Stopper final : HttpReader::Handler {
    void OnHead(const ReadHead&) override {}
    void OnBody(std::string_view) override {}
    void OnMessageEnd() override { reader->Stop(); }
    HttpReader* reader = nullptr;
  } stopper;
  HttpReader reader(HttpReader::Kind::kResponses, &stopper);
  stopper.reader = &reader;
  EXPECT_TRUE(reader.Feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc"));
  EXPECT_EQ(reader.left_over(), 2u);
}

class RefusedTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(RefusedTest, RefusesWhatAProxyMustNotSend) {
  EXPECT_FALSE(Read(HttpReader::Kind::kResponses, GetParam()).ok) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    Responses, RefusedTest,
    ::testing::Values(
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\nabcde",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n03\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA:  b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 0\r\n\r\n"));

}  // namespace
}  // namespace edge::sim
