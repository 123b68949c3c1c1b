// What llhttp lets through with all lenient flags off, and what edge says to it: the rows of the
// table that every use of llhttp must know. The column `llhttp` is what the library's own verdict
// is, so that an update which changes it is seen here. RFC sections stand at the named tests beside
// this file.

#include "llhttp.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "http/head_reader.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

// Whether bare llhttp takes all of these bytes, as its users usually have it.
bool LlhttpAccepts(llhttp_type_t type, std::string_view bytes) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  llhttp_t llhttp;
  llhttp_init(&llhttp, type, &settings);
  const llhttp_errno_t error = llhttp_execute(&llhttp, bytes.data(), bytes.size());
  return error == HPE_OK || error == HPE_PAUSED_UPGRADE;
}

TEST(Llhttp, IsTheVersionTheseTestsAreAbout) {
  EXPECT_EQ(LLHTTP_VERSION_MAJOR, 9);
  EXPECT_EQ(LLHTTP_VERSION_MINOR, 2);
}

TEST(Llhttp, NoLenientFlagIsSet) {
  const ValidationPolicy policy;
  for (HeadReader::Kind kind : {HeadReader::Kind::kRequest, HeadReader::Kind::kResponse}) {
    HeadReader reader(kind, &policy);
    MessageHead head;
    std::array<char, 256> block;
    head.Bind(block);
    reader.Start(&head);
    EXPECT_EQ(reader.lenient_flags(), 0u);
    const std::string_view bytes = kind == HeadReader::Kind::kRequest
                                       ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                                       : "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    EXPECT_EQ(reader.Feed(bytes).status, HeadStatus::kComplete);
    EXPECT_EQ(reader.lenient_flags(), 0u);
  }
}

struct Row {
  std::string bytes;
  bool llhttp;  // accepts it
  std::string_view edge;
};

void CheckRequests(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.bytes));
    EXPECT_EQ(LlhttpAccepts(HTTP_REQUEST, row.bytes), row.llhttp);
    EXPECT_EQ(RequestVerdict(row.bytes), row.edge);
  }
}

TEST(LlhttpTraps, AnEmptyTransferEncoding) {
  CheckRequests({
      {Post({"Transfer-Encoding:"}), true, "framing.transfer_encoding.empty"},
      {Post({"Transfer-Encoding:", "Content-Length: 0"}), true,
       "framing.transfer_encoding.with_length"},
      {Post({"Content-Length: 0", "Transfer-Encoding:"}), false,
       "framing.transfer_encoding.with_length"},
      {Post({"Transfer-Encoding:"}) + Get({}), true, "framing.transfer_encoding.empty"},
  });
}

TEST(LlhttpTraps, SeveralTransferEncodings) {
  CheckRequests({
      {Post({"Transfer-Encoding: identity", "Transfer-Encoding: chunked"}) + "0\r\n\r\n", true,
       "framing.transfer_encoding.repeated"},
      {Post({"Transfer-Encoding: ,chunked"}) + "0\r\n\r\n", true,
       "framing.transfer_encoding.not_chunked"},
      {Post({"Transfer-Encoding: identity, chunked"}) + "0\r\n\r\n", true,
       "framing.transfer_encoding.not_chunked"},
  });
}

TEST(LlhttpTraps, CodingsBeforeChunked) {
  CheckRequests({
      {Post({"Transfer-Encoding: gzip, chunked"}) + "0\r\n\r\n", true,
       "framing.transfer_encoding.unknown"},
      {Post({"Transfer-Encoding: x, chunked"}) + "0\r\n\r\n", true,
       "framing.transfer_encoding.unknown"},
  });
}

TEST(LlhttpTraps, TransferEncodingInHttp10) {
  CheckRequests({
      {Lines({"POST / HTTP/1.0", "Transfer-Encoding: chunked"}) + "0\r\n\r\n", true,
       "framing.transfer_encoding.http10"},
      {Lines({"POST / HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked"}) +
           "0\r\n\r\n",
       true, "framing.transfer_encoding.http10"},
  });
}

TEST(LlhttpTraps, VersionsThatAreNotHttp1) {
  CheckRequests({
      {"GET /\r\n\r\n", true, "request.version.missing"},
      {"GET /\r\nConnection: keep-alive\r\n\r\n", true, "request.version.missing"},
      {"GET / HTTP/2.0\r\n\r\n", true, "head.version.unsupported"},
      {"OPTIONS / RTSP/1.0\r\n\r\n", true, "head.version.malformed"},
      {"SOURCE / ICE/1.0\r\n\r\n", true, "head.version.malformed"},
  });
}

TEST(LlhttpTraps, Hosts) {
  CheckRequests({
      {"GET / HTTP/1.1\r\n\r\n", true, "request.host.missing"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", true, "request.host.repeated"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", true, "request.host.empty"},
      {"GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n", true, "request.host.invalid"},
      // Rewritten: see Rfc9112Section3_2_2.
      {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", true, "ok"},
  });
}

TEST(LlhttpTraps, SpacesInTheRequestLine) {
  CheckRequests({
      {"GET   / HTTP/1.1\r\nHost: a\r\n\r\n", true, "request.line.spaces"},
      {"GET /   HTTP/1.1\r\nHost: a\r\n\r\n", true, "request.line.spaces"},
  });
}

TEST(LlhttpTraps, AnyNumberOfFieldsAndEmptyLines) {
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 1000; ++i) many += "A: b\r\n";
  CheckRequests({
      {many + "\r\n", true, "head.fields_too_many"},
      {"\r\n\r\n\r\n\r\n\r\n\r\n" + Get({}), true, "request.line.empty_lines"},
      {"\n\n\n" + Get({}), true, "head.line.bare_lf"},
      {"\r\r\r" + Get({}), true, "head.line.bare_cr"},
  });
}

TEST(LlhttpTraps, WhiteSpaceBehindValues) {
  CheckRequests({
      {Post({"Transfer-Encoding: chunked "}) + "0\r\n\r\n", true, "ok"},
      {Post({"Content-Length: 0 "}), true, "ok"},
      // A tab is white space too (RFC 9112 5.1), but llhttp wants none in a length.
      {Post({"Content-Length: 0\t"}), false, "ok"},
  });
}

TEST(LlhttpTraps, NonCanonicalLengths) {
  CheckRequests({
      {Post({"Content-Length: 00"}), true, "framing.content_length.leading_zeros"},
      {Post({"Content-Length: 05"}) + "hello", true, "framing.content_length.leading_zeros"},
      {Post({"Content-Length: 18446744073709551615"}), true, "framing.content_length.overflow"},
  });
}

TEST(LlhttpTraps, Targets) {
  const auto get = [](std::string_view target) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  CheckRequests({
      {get("/a#b"), true, "request.target.fragment"},
      {get("/a\\b"), true, "request.target.backslash"},
      {get("//a"), true, "request.target.double_slash"},
      {get("http://u:p@a/"), true, "request.target.userinfo"},
      {get("/%00"), true, "request.target.nul"},
      {get("/%zz"), true, "request.target.percent"},
      {get("http://a:99999/"), true, "request.target.port"},
      {get("ftp://a/"), true, "request.target.scheme"},
      {get("*"), true, "request.target.asterisk"},
      {get("*x"), true, "request.target.form"},
      {get("/<\">"), true, "request.target.character"},
  });
}

TEST(LlhttpTraps, ConnectWithABody) {
  CheckRequests({
      {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", true,
       "request.method.connect"},
  });
}

TEST(LlhttpTraps, UnderscoresInNames) {
  const std::string bytes = Post({"Content_Length: 5"});
  CheckRequests({{bytes, true, "ok"}});
  EXPECT_EQ(ParseRequest(bytes).serialized.find("Content_Length"), std::string::npos);
}

TEST(LlhttpTraps, ChunkSizes) {
  const std::string head = Post({"Transfer-Encoding: chunked"});
  const std::vector<Row> rows = {
      {"000000000000000000000005\r\nhello\r\n0\r\n\r\n", true, "chunk.size.leading_zeros"},
      {"FFFFFFFFFFFFFFFF\r\nhello", true, "chunk.size.overflow"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.bytes);
    EXPECT_EQ(LlhttpAccepts(HTTP_REQUEST, head + row.bytes), row.llhttp);
    EXPECT_EQ(Verdict(ReadBody(row.bytes, BodyFraming::kChunked)), row.edge);
  }
}

TEST(LlhttpTraps, TrailersThatActLikeFields) {
  const std::string head = Post({"Transfer-Encoding: chunked"});
  for (const char* trailer : {"Host: b", "Transfer-Encoding:", "Connection: close"}) {
    SCOPED_TRACE(trailer);
    const std::string body = "0\r\n" + std::string(trailer) + "\r\n\r\n";
    EXPECT_TRUE(LlhttpAccepts(HTTP_REQUEST, head + body));
    EXPECT_EQ(Verdict(ReadBody(body, BodyFraming::kChunked)), "trailer.forbidden");
  }
}

TEST(LlhttpTraps, Responses) {
  const std::vector<Row> rows = {
      {Ok({"Transfer-Encoding: chunked, gzip"}), true, "framing.transfer_encoding.not_chunked"},
      {Ok({"Transfer-Encoding:", "Content-Length: 5"}), true,
       "framing.transfer_encoding.with_length"},
      {Lines({"HTTP/1.1 099 X", "Content-Length: 0"}), true, "response.status.invalid"},
      {Lines({"HTTP/1.1 101 X", "Connection: upgrade", "Upgrade: x"}), true,
       "response.switching.unasked"},
      {Lines({"HTTP/1.1 100 X", "Content-Length: 5"}), true, "response.interim.with_length"},
      {Lines({"HTTP/2.0 200 X"}), true, "head.version.unsupported"},
      {Lines({"HTTP/0.9 200 X"}), true, "head.version.unsupported"},
      {"HTTP/1.1 200 OK\r\r\r\n", true, "head.line.bare_cr"},
      {"HTTP/1.1 200 OK\r\rX: y\r\n\r\n", true, "head.line.bare_cr"},
      {"\r\n\n\r" + Ok({}), true, "response.line.malformed"},
      {std::string("HTTP/1.1 200 O\0\x01K\r\n\r\n", 21), true, "head.line.control"},
      {"HTTP/1.1 200\r\n\r\n", true, "response.line.malformed"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.bytes));
    EXPECT_EQ(LlhttpAccepts(HTTP_RESPONSE, row.bytes), row.llhttp);
    EXPECT_EQ(ResponseVerdict(row.bytes), row.edge);
  }
}

}  // namespace
}  // namespace edge::http
