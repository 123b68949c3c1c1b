// Whole requests and their verdicts, class by class. The named tests beside this file say why; this
// table is the wide net: every case is parsed in one piece, byte by byte and cut at every position,
// and must come out the same.

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

void CheckAll(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.bytes));
    EXPECT_EQ(RequestVerdict(c.bytes), c.verdict);
  }
}

TEST(RequestCases, PlainRequestsAreAccepted) {
  CheckAll({
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET / HTTP/1.0\r\n\r\n", "ok"},
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "ok"},
      {"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"DELETE /x/1 HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "ok"},
      {"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "ok"},
      {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "ok"},
      {"POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "ok"},
      {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "ok"},
      {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"PROPFIND /x HTTP/1.1\r\nHost: a\r\nDepth: 1\r\n\r\n", "ok"},
      {"QUERY /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nq", "ok"},
      {"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET HTTPS://b:8443/x?y HTTP/1.1\r\nHost: b:8443\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX-Empty: \t \r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost:a\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^`|~09Az: x\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\xc3\xa4\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb  c\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: :colon: \"quoted\\\"\" (comment)\r\n\r\n", "ok"},
      {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
  });
}

TEST(RequestCases, IncompleteRequestsWait) {
  CheckAll({
      {"", "more"},
      {"\r", "more"},
      {"\r\n", "more"},
      {"G", "more"},
      {"GET", "more"},
      {"GET / HTTP/1.1", "more"},
      {"GET / HTTP/1.1\r", "more"},
      {"GET / HTTP/1.1\r\n", "more"},
      {"GET / HTTP/1.1\r\nHost", "more"},
      {"GET / HTTP/1.1\r\nHost:", "more"},
      {"GET / HTTP/1.1\r\nHost: a", "more"},
      {"GET / HTTP/1.1\r\nHost: a\r", "more"},
      {"GET / HTTP/1.1\r\nHost: a\r\n", "more"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r", "more"},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length", "more"},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 12", "more"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chu", "more"},
  });
}

TEST(RequestCases, RequestLines) {
  CheckAll({
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "request.line.spaces"},
      {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET \r\nHost: a\r\n\r\n", "request.target.empty"},
      {"GET /\r\n\r\n", "request.version.missing"},
      {"GET /\r\nConnection: keep-alive\r\n\r\n", "request.version.missing"},
      {"GET / \r\n\r\n", "request.version.missing"},
      {"GET / HTTP/1.1\nHost: a\r\n\r\n", "head.line.bare_lf"},
      {"GET /\nHost: a\n\n", "head.line.bare_lf"},
      {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.bare_lf"},
      {"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.bare_lf"},
      {"GET / HTTP/1.1\rHost: a\r\n\r\n", "head.line.bare_cr"},
      {"GET / HTTP/1.1\r\rHost: a\r\n\r\n", "head.line.bare_cr"},
      {"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.bare_cr"},
      {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "head.line.bare_cr"},
      {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.bare_cr"},
      {"\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.bare_cr"},
      {"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "request.line.empty_lines"},
      {Bytes("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), "head.line.control"},
      {Bytes("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "head.line.control"},
      {Bytes("GET\0/ HTTP/1.1"), "head.line.control"},
      {"GET /\x0b HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.control"},
      {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "head.line.control"},
      {"\x16\x03\x01\x02", "head.line.control"},  // a TLS ClientHello on a plain port
  });
}

TEST(RequestCases, Methods) {
  CheckAll({
      {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"get / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"GETX / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"GE / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.unknown"},
      {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.invalid"},
      {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.invalid"},
      {"\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.invalid"},
      {"G\xc4T / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.invalid"},
      {"HTTP/1.1 200 OK\r\n\r\n", "request.method.invalid"},
      {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "request.method.connect"},
      {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello",
       "request.method.connect"},
      {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "request.method.connect"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "head.version.unsupported"},
  });
}

TEST(RequestCases, Versions) {
  CheckAll({
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "head.version.unsupported"},
      {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "head.version.unsupported"},
      {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", "head.version.unsupported"},
      {"GET / HTTP/3.1\r\nHost: a\r\n\r\n", "head.version.unsupported"},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/1\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/1.\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/11.1\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/1,1\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP 1.1\r\nHost: a\r\n\r\n", "request.line.spaces"},
      {"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / RTSP/1.0\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / ICE/1.0\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", "head.version.malformed"},
      {"GET / HTTP/\xd9\xa1.1\r\nHost: a\r\n\r\n", "head.version.malformed"},
  });
}

TEST(RequestCases, Targets) {
  CheckAll({
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.asterisk"},
      {"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.authority_form"},
      {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.authority_form"},
      {"GET ?x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"GET ../x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.fragment"},
      {"GET http://a/#b HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.fragment"},
      {"GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.fragment"},
      {"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.backslash"},
      {"GET \\a HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.backslash"},
      {"GET //evil/x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.double_slash"},
      {"GET http://a//x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.double_slash"},
      {"GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.nul"},
      {"GET /?q=%00 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.nul"},
      {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.percent"},
      {"GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.percent"},
      {"GET /% HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.percent"},
      {"GET /%%41 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.percent"},
      {"GET /%41%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.character"},
      {"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.character"},
      {"GET /<x> HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.character"},
      {"GET /\"x\" HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.character"},
      {"GET /?a[]=1|2&b={}^` HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET /a:b@c;d=e,f!g$h&i'j(k)*+-._~ HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET /?a=b?c=/d HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.scheme"},
      {"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.scheme"},
      {"GET javascript://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.scheme"},
      {"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.form"},
      {"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.host"},
      {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.host"},
      {"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.host"},
      {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.userinfo"},
      {"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.userinfo"},
      {"GET http://a:99999/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.port"},
      {"GET http://a:0/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.port"},
      {"GET http://a:8x/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.port"},
      {"GET http://a:/ HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET http://a:65535/ HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET http://[::1]:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET http://[::g]/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.host"},
      {"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.host"},
      {"GET http://a|b/ HTTP/1.1\r\nHost: a\r\n\r\n", "request.target.host"},
      {"GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
      {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
  });
}

TEST(RequestCases, FieldLines) {
  CheckAll({
      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "head.space_before_first_field"},
      {"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "head.space_before_first_field"},
      {"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "head.space_before_first_field"},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "head.field.space_before_colon"},
      {"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "head.field.space_before_colon"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
       "head.field.space_before_colon"},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\n", "head.field.space_before_colon"},
      {"GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", "head.field.space_before_colon"},
      {"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "head.field.name_empty"},
      {"GET / HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n", "head.field.name_empty"},
      {"GET / HTTP/1.1\r\nHost: a\r\n:\r\n\r\n", "head.field.name_empty"},
      {"GET / HTTP/1.1\r\nHost: a\r\nNoColon\r\n\r\n", "head.field.colon_missing"},
      {"GET / HTTP/1.1\r\nHost\r\n\r\n", "head.field.colon_missing"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX\n: y\r\n\r\n", "head.field.colon_missing"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n", "head.field.name_invalid"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\"X\": z\r\n\r\n", "head.field.name_invalid"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa4: z\r\n\r\n", "head.field.name_invalid"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX/Y: z\r\n\r\n", "head.field.name_invalid"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX=Y: z\r\n\r\n", "head.field.name_invalid"},
      {Bytes("GET / HTTP/1.1\r\nHost: a\r\nX\0: z\r\n\r\n"), "head.field.name_invalid"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX\x0b: z\r\n\r\n", "head.field.name_invalid"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX\r: z\r\n\r\n", "head.field.colon_missing"},
      {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n folded\r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n \r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n , gzip\r\n\r\n",
       "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n 2\r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 2\r\n\r\n", "head.field.fold"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: w\r\n\r\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\n\r\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\n\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\n\r\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\n\r\n", "head.field.bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n", "head.field.bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n", "head.field.bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX:\ry\r\n\r\n", "head.field.bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", "head.field.bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "head.field.bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\r\n\r\n", "head.field.bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chu\rnked\r\n\r\n", "head.field.bare_cr"},
      {Bytes("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"), "head.field.nul"},
      {Bytes("GET / HTTP/1.1\r\nHost: a\r\nX:\0\r\n\r\n"), "head.field.nul"},
      {Bytes("GET / HTTP/1.1\r\nHost: a\r\nX: y\0"), "head.field.nul"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01"
       "b\r\n\r\n",
       "head.field.control"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0b"
       "b\r\n\r\n",
       "head.field.control"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0c"
       "b\r\n\r\n",
       "head.field.control"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x1b[31m\r\n\r\n", "head.field.control"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f"
       "b\r\n\r\n",
       "head.field.control"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX:\x0by\r\n\r\n", "head.field.control"},
  });
}

TEST(RequestCases, Hosts) {
  CheckAll({
      {"GET / HTTP/1.1\r\n\r\n", "request.host.missing"},
      {"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", "request.host.missing"},
      {"GET http://a/ HTTP/1.1\r\n\r\n", "request.host.missing"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "request.host.repeated"},
      {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "request.host.repeated"},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "request.host.repeated"},
      {"GET http://c/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "request.host.repeated"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "request.host.empty"},
      {"GET / HTTP/1.1\r\nHost:   \r\n\r\n", "request.host.empty"},
      {"GET / HTTP/1.0\r\nHost:\r\n\r\n", "request.host.empty"},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", "request.host.port"},
      {"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a%00\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", "request.host.port"},
      {"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", "request.host.port"},
      {"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", "request.host.port"},
      {"GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", "request.host.port"},
      {"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", "request.host.invalid"},
      {"GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: a.example.:443\r\n\r\n", "ok"},
      {"GET / HTTP/1.1\r\nHost: xn--nxasmq6b_x\r\n\r\n", "ok"},
  });
}

TEST(RequestCases, Framing) {
  constexpr std::string_view kWithLength = "framing.transfer_encoding.with_length";
  constexpr std::string_view kNotChunked = "framing.transfer_encoding.not_chunked";
  constexpr std::string_view kUnknown = "framing.transfer_encoding.unknown";
  constexpr std::string_view kRepeated = "framing.transfer_encoding.repeated";
  constexpr std::string_view kEmpty = "framing.transfer_encoding.empty";
  constexpr std::string_view kInvalid = "framing.content_length.invalid";
  const std::vector<std::pair<std::vector<std::string>, std::string_view>> cases = {
      {{"Content-Length: 5", "Transfer-Encoding: chunked"}, kWithLength},
      {{"Transfer-Encoding: chunked", "Content-Length: 5"}, kWithLength},
      {{"Transfer-Encoding: chunked", "X: y", "Content-Length: 0"}, kWithLength},
      {{"Transfer-Encoding:", "Content-Length: 5"}, kWithLength},
      {{"Content-Length: 5", "Transfer-Encoding:"}, kWithLength},
      {{"Content-Length: 5", "Transfer-Encoding: identity"}, kWithLength},
      {{"Transfer-Encoding: identity", "Content-Length: 5"}, kWithLength},
      {{"Content-Length: 5", "transfer-encoding: \tchunked "}, kWithLength},
      {{"Transfer-Encoding:"}, kEmpty},
      {{"Transfer-Encoding: \t"}, kEmpty},
      {{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}, kRepeated},
      {{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, kRepeated},
      {{"Transfer-Encoding: identity", "Transfer-Encoding: chunked"}, kRepeated},
      {{"Transfer-Encoding: gzip", "Transfer-Encoding: chunked"}, kRepeated},
      {{"Transfer-Encoding:", "Transfer-Encoding: chunked"}, kRepeated},
      {{"Transfer-Encoding: chunked", "Transfer-Encoding:"}, kRepeated},
      {{"Transfer-Encoding: ,chunked"}, kNotChunked},
      {{"Transfer-Encoding: chunked,"}, kNotChunked},
      {{"Transfer-Encoding: ,"}, kNotChunked},
      {{"Transfer-Encoding: identity"}, kNotChunked},
      {{"Transfer-Encoding: identity, chunked"}, kNotChunked},
      {{"Transfer-Encoding: chunked, identity"}, kNotChunked},
      {{"Transfer-Encoding: chunked, chunked"}, kNotChunked},
      {{"Transfer-Encoding: chunked, gzip"}, kNotChunked},
      {{"Transfer-Encoding: gzip"}, kNotChunked},
      {{"Transfer-Encoding: xchunked"}, kNotChunked},
      {{"Transfer-Encoding: chunkedx"}, kNotChunked},
      {{"Transfer-Encoding: chunked;x=y"}, kNotChunked},
      {{"Transfer-Encoding: \"chunked\""}, kNotChunked},
      {{"Transfer-Encoding: chunked chunked"}, kNotChunked},
      {{"Transfer-Encoding: gzip chunked"}, kNotChunked},
      {{"Transfer-Encoding: chunk\xc3\xa8"}, kNotChunked},
      {{"Transfer-Encoding: gzip, chunked"}, kUnknown},
      {{"Transfer-Encoding: x, chunked"}, kUnknown},
      {{"Transfer-Encoding: gzip;q=1 , deflate,chunked"}, kUnknown},
      {{"Transfer-Encoding: \x0b"
        "chunked"},
       "head.field.control"},
      {{"Transfer-Encoding: chunked"}, "ok"},
      {{"Transfer-Encoding: CHUNKED"}, "ok"},
      {{"Transfer-Encoding:chunked"}, "ok"},
      {{"Transfer-Encoding: \t chunked \t "}, "ok"},
      {{"Content-Length:"}, kInvalid},
      {{"Content-Length: "}, kInvalid},
      {{"Content-Length: x"}, kInvalid},
      {{"Content-Length: -1"}, kInvalid},
      {{"Content-Length: +5"}, kInvalid},
      {{"Content-Length: 5 5"}, kInvalid},
      {{"Content-Length: 5, 5"}, kInvalid},
      {{"Content-Length: 5,6"}, kInvalid},
      {{"Content-Length: 5.0"}, kInvalid},
      {{"Content-Length: 0x5"}, kInvalid},
      {{"Content-Length: 5e1"}, kInvalid},
      {{"Content-Length: \"5\""}, kInvalid},
      {{"Content-Length: 5;"}, kInvalid},
      {{"Content-Length: 0 18446744073709551616"}, kInvalid},
      {{"Content-Length: 18446744073709551615x6"}, "framing.content_length.overflow"},
      {{"Content-Length: \xd9\xa5"}, kInvalid},
      {{"Content-Length: 05"}, "framing.content_length.leading_zeros"},
      {{"Content-Length: 00"}, "framing.content_length.leading_zeros"},
      {{"Content-Length: 000000000000000000000000005"}, "framing.content_length.leading_zeros"},
      {{"Content-Length: 9223372036854775808"}, "framing.content_length.overflow"},
      {{"Content-Length: 18446744073709551615"}, "framing.content_length.overflow"},
      {{"Content-Length: 18446744073709551616"}, "framing.content_length.overflow"},
      {{"Content-Length: 99999999999999999999999999"}, "framing.content_length.overflow"},
      {{"Content-Length: 5", "Content-Length: 5"}, "framing.content_length.repeated"},
      {{"Content-Length: 5", "Content-Length: 6"}, "framing.content_length.repeated"},
      {{"Content-Length: 5", "content-length: 0"}, "framing.content_length.repeated"},
      {{"Content-Length: 9223372036854775807"}, "ok"},
      {{"Content-Length:  5 "}, "ok"},
      {{"Content-Length: 0"}, "ok"},
  };
  for (const auto& [fields, verdict] : cases) {
    SCOPED_TRACE(testing::PrintToString(fields));
    EXPECT_EQ(RequestVerdict(Post(fields)), verdict);
  }
}

TEST(RequestCases, OtherFields) {
  const std::vector<std::pair<std::string, std::string_view>> cases = {
      {Post({"Expect: 100-continue", "Content-Length: 5"}), "ok"},
      {Post({"Expect: 100-Continue", "Content-Length: 5"}), "ok"},
      {Post({"Expect: 200-ok", "Content-Length: 5"}), "request.expect.unsupported"},
      {Post({"Expect: ", "Content-Length: 5"}), "request.expect.unsupported"},
      {Post({"Expect: 100-continue, x", "Content-Length: 5"}), "request.expect.unsupported"},
      {Post({"Expect: 100-continue", "Expect: 100-continue"}), "request.expect.unsupported"},
      {Lines({"POST / HTTP/1.0", "Expect: x", "Content-Length: 5"}), "ok"},
      {Lines({"TRACE / HTTP/1.1", "Host: a", "Content-Length: 5"}), "request.trace.body"},
      {Lines({"TRACE / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"}), "request.trace.body"},
      {Lines({"TRACE / HTTP/1.1", "Host: a", "Content-Length: 0"}), "ok"},
      {Lines({"TRACE / HTTP/1.1", "Host: a", "Max-Forwards: 3"}), "ok"},
      {Lines({"TRACE / HTTP/1.1", "Host: a", "Max-Forwards: -1"}), "request.max_forwards.invalid"},
      {Lines({"OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards:"}), "request.max_forwards.invalid"},
      {Lines({"OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 9999999999"}),
       "request.max_forwards.invalid"},
      {Lines({"OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 1", "Max-Forwards: 2"}),
       "request.max_forwards.invalid"},
      {Get({"Max-Forwards: x"}), "ok"},
      {Get({"Connection: ,, close,,"}), "ok"},
      {Get({"Content_Length: 5"}), "ok"},
      {Lines({"POST / HTTP/1.0", "Transfer-Encoding: chunked"}),
       "framing.transfer_encoding.http10"},
      {Lines({"POST / HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked"}),
       "framing.transfer_encoding.http10"},
  };
  for (const auto& [bytes, verdict] : cases) {
    SCOPED_TRACE(testing::PrintToString(bytes));
    EXPECT_EQ(RequestVerdict(bytes), verdict);
  }
}

}  // namespace
}  // namespace edge::http
