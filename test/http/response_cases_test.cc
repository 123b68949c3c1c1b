// Whole response heads and their verdicts, class by class: the wide net beside
// response_parser_test.cc. Every case is parsed in one piece, byte by byte and cut at every
// position, and must come out the same.

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

struct Case {
  std::string_view bytes;
  std::string_view verdict;
};

// String literals with an embedded NUL need their size.
template <size_t kSize>
constexpr std::string_view Bytes(const char (&literal)[kSize]) {
  return {literal, kSize - 1};
}

void CheckAll(const std::vector<Case>& cases, const ResponseContext& context = {}) {
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.bytes));
    EXPECT_EQ(ResponseVerdict(c.bytes, context), c.verdict);
  }
}

TEST(ResponseCases, PlainResponsesAreAccepted) {
  CheckAll({
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "ok"},
      {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", "ok"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "ok"},
      {"HTTP/1.0 200 OK\r\n\r\nbody until close", "ok"},
      {"HTTP/1.1 100 Continue\r\n\r\n", "ok"},
      {"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", "ok"},
      {"HTTP/1.1 204 No Content\r\n\r\n", "ok"},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "ok"},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "ok"},
      {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "ok"},
      {"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\r\nhe",
       "ok"},
      {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "ok"},
      {"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n", "ok"},
      {"HTTP/1.1 500 \xc3\x9c"
       "ps\r\nContent-Length: 0\r\n\r\n",
       "ok"},
      {"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n", "ok"},
      {"HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length:0\r\n\r\n", "ok"},
      {"HTTP/1.1 200 OK\r\nX_Y: z\r\nContent-Length: 0\r\n\r\n", "ok"},
  });
}

TEST(ResponseCases, IncompleteResponsesWait) {
  CheckAll({
      {"", "more"},
      {"H", "more"},
      {"HTTP/1.1 20", "more"},
      {"HTTP/1.1 200 OK\r", "more"},
      {"HTTP/1.1 200 OK\r\n", "more"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r", "more"},
  });
}

TEST(ResponseCases, StatusLines) {
  CheckAll({
      {"HTTP/1.1 200\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1  200 OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 20 OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 2x0 OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 -20 OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 200OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 200\tOK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1\t200 OK\r\n\r\n", "head.version.malformed"},
      {"HTTP/1.1\r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 \r\n\r\n", "response.line.malformed"},
      {"HTTP/1.1 OK\r\n\r\n", "response.line.malformed"},
      {"http/1.1 200 OK\r\n\r\n", "response.line.malformed"},
      {" HTTP/1.1 200 OK\r\n\r\n", "response.line.malformed"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "response.line.malformed"},
      {"200 OK\r\n\r\n", "response.line.malformed"},
      {"<html>\r\n\r\n", "response.line.malformed"},
      {"GET / HTTP/1.1\r\n\r\n", "response.line.malformed"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "response.line.malformed"},
      {"ICY 200 OK\r\n\r\n", "response.line.malformed"},
      {"RTSP/1.0 200 OK\r\n\r\n", "response.line.malformed"},
      {"HTTP/1 200 OK\r\n\r\n", "head.version.malformed"},
      {"HTTP/1.10 200 OK\r\n\r\n", "head.version.malformed"},
      {"HTTP/11.1 200 OK\r\n\r\n", "head.version.malformed"},
      {"HTTP/2 200 OK\r\n\r\n", "head.version.malformed"},
      {"HTTP/2.0 200 OK\r\n\r\n", "head.version.unsupported"},
      {"HTTP/0.9 200 OK\r\n\r\n", "head.version.unsupported"},
      {"HTTP/1.2 200 OK\r\n\r\n", "head.version.unsupported"},
      {"HTTP/1.1 099 X\r\n\r\n", "response.status.invalid"},
      {"HTTP/1.1 000 X\r\n\r\n", "response.status.invalid"},
      {"HTTP/1.1 600 X\r\n\r\n", "response.status.invalid"},
      {"HTTP/1.1 999 X\r\n\r\n", "response.status.invalid"},
      {"HTTP/1.1 200 OK\n\r\n", "head.line.bare_lf"},
      {"HTTP/1.1 200 OK\n\n", "head.line.bare_lf"},
      {"HTTP/1.1 200\n\n", "head.line.bare_lf"},
      {"HTTP/1.1 200 OK\r\r\n\r\n", "head.line.bare_cr"},
      {"HTTP/1.1 200 O\rK\r\n\r\n", "head.line.bare_cr"},
      {"HTTP/1.1 200 OK\rX: y\r\n\r\n", "head.line.bare_cr"},
      {Bytes("HTTP/1.1 200 O\0K\r\n\r\n"), "head.line.control"},
      {"HTTP/1.1 200 O\x1bK\r\n\r\n", "head.line.control"},
      {"\x15\x03\x01\x00\x02\x02", "head.line.control"},  // a TLS alert
  });
}

TEST(ResponseCases, FieldLines) {
  CheckAll({
      {"HTTP/1.1 200 OK\r\n X: y\r\n\r\n", "head.space_before_first_field"},
      {"HTTP/1.1 200 OK\r\n\tX: y\r\n\r\n", "head.space_before_first_field"},
      {"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "head.field.space_before_colon"},
      {"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", "head.field.space_before_colon"},
      {"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "head.field.fold"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n", "head.field.fold"},
      {"HTTP/1.1 200 OK\r\nSet-Cookie: a;\r\n\tHttpOnly\r\n\r\n", "head.field.fold"},
      {"HTTP/1.1 200 OK\r\n: y\r\n\r\n", "head.field.name_empty"},
      {"HTTP/1.1 200 OK\r\nNoColon\r\n\r\n", "head.field.colon_missing"},
      {"HTTP/1.1 200 OK\r\nX[]: y\r\n\r\n", "head.field.name_invalid"},
      {"HTTP/1.1 200 OK\r\nX: y\nZ: w\r\n\r\n", "head.field.bare_lf"},
      {"HTTP/1.1 200 OK\r\nX: y\r\n\n", "head.field.bare_lf"},
      {"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "head.field.bare_cr"},
      {Bytes("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n"), "head.field.nul"},
      {"HTTP/1.1 200 OK\r\nX: a\x02\r\n\r\n", "head.field.control"},
      {"HTTP/1.1 200 OK\r\nLocation: /\x7f\r\n\r\n", "head.field.control"},
  });
}

TEST(ResponseCases, Framing) {
  const std::vector<std::pair<std::vector<std::string>, std::string_view>> cases = {
      {{"Content-Length: 5", "Transfer-Encoding: chunked"},
       "framing.transfer_encoding.with_length"},
      {{"Transfer-Encoding: chunked", "Content-Length: 5"},
       "framing.transfer_encoding.with_length"},
      {{"Transfer-Encoding:", "Content-Length: 5"}, "framing.transfer_encoding.with_length"},
      {{"Content-Length: 5", "Transfer-Encoding: identity"},
       "framing.transfer_encoding.with_length"},
      {{"Transfer-Encoding:"}, "framing.transfer_encoding.empty"},
      {{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"},
       "framing.transfer_encoding.repeated"},
      {{"Transfer-Encoding: chunked, chunked"}, "framing.transfer_encoding.not_chunked"},
      {{"Transfer-Encoding: chunked, gzip"}, "framing.transfer_encoding.not_chunked"},
      {{"Transfer-Encoding: identity"}, "framing.transfer_encoding.not_chunked"},
      {{"Transfer-Encoding: chunked;a=b"}, "framing.transfer_encoding.not_chunked"},
      {{"Transfer-Encoding: gzip, chunked"}, "framing.transfer_encoding.unknown"},
      {{"Content-Length: 1", "Content-Length: 2"}, "framing.content_length.repeated"},
      {{"Content-Length: 1", "Content-Length: 1"}, "framing.content_length.repeated"},
      {{"Content-Length: 1, 1"}, "framing.content_length.invalid"},
      {{"Content-Length:"}, "framing.content_length.invalid"},
      {{"Content-Length: -1"}, "framing.content_length.invalid"},
      {{"Content-Length: +1"}, "framing.content_length.invalid"},
      {{"Content-Length: 0x10"}, "framing.content_length.invalid"},
      {{"Content-Length: 010"}, "framing.content_length.leading_zeros"},
      {{"Content-Length: 9223372036854775808"}, "framing.content_length.overflow"},
      {{"Content-Length: 99999999999999999999"}, "framing.content_length.overflow"},
  };
  for (const auto& [fields, verdict] : cases) {
    SCOPED_TRACE(testing::PrintToString(fields));
    EXPECT_EQ(ResponseVerdict(Ok(fields)), verdict);
    // What the request was does not make it better.
    ResponseContext head;
    head.request_method = Method::kHead;
    EXPECT_EQ(ResponseVerdict(Ok(fields), head), verdict);
  }
  EXPECT_EQ(ResponseVerdict("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "framing.transfer_encoding.http10");
}

TEST(ResponseCases, InterimAndSwitching) {
  const std::vector<Case> never = {
      {"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", "response.interim.with_length"},
      {"HTTP/1.1 102 Processing\r\nContent-Length: 3\r\n\r\n", "response.interim.with_length"},
      {"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n", "response.interim.with_length"},
      {"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n",
       "response.interim.with_length"},
  };
  CheckAll(never);
  ResponseContext asked;
  asked.upgrade_asked = true;
  CheckAll(never, asked);
  CheckAll({
      {"HTTP/1.1 101 X\r\n\r\n", "response.switching.unasked"},
      {"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       "response.switching.unasked"},
  });
  CheckAll(
      {
          {"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "ok"},
          {"HTTP/1.1 101 X\r\nConnection: x, UPGRADE\r\nUpgrade: websocket\r\n\r\n", "ok"},
          {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "response.switching.incomplete"},
          {"HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n", "response.switching.incomplete"},
          {"HTTP/1.1 100 Continue\r\n\r\n", "ok"},
          {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "ok"},
      },
      asked);
}

}  // namespace
}  // namespace edge::http
