// Differential test: what comes of a request does not depend on how its bytes were cut. Requests
// are made class by class, sound and hostile, each with another request behind it; each is read in
// one piece, byte by byte, and cut at every position, with a head block that has to grow. Verdict,
// reason, offset, forwarded head, decoded body and trailers must be the same.
//
// Beside that each class says which verdict its requests must get, so that a class that is broken
// itself, or a check that was lost, is noticed.

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "test/http/parse_util.h"
#include "test/http/request_reader.h"

namespace edge::http {
namespace {

using Verdict = RequestOutcome::Verdict;

struct Case {
  std::string bytes;
  ReadingOptions options;
};

// The next request on the connection: it must not be touched, or be found in the one before.
constexpr std::string_view kNext = "GET /next HTTP/1.1\r\nHost: n\r\n\r\n";

int cases_run = 0;

void CheckCase(const Case& c, Verdict expected) {
  SCOPED_TRACE(testing::PrintToString(c.bytes));
  ++cases_run;
  ReadingOptions options = c.options;
  const RequestOutcome whole = ReadRequest(Whole(c.bytes), options);
  EXPECT_EQ(whole.verdict, expected) << ToString(whole);
  if (whole.verdict == Verdict::kRefused) {
    EXPECT_NE(whole.refusal.reason, Reason::kNone);
    EXPECT_NE(whole.refusal.reason, Reason::kHeadRejected) << "nobody could say why";
    EXPECT_LE(whole.refusal.offset, c.bytes.size());
  }
  options.block_bytes = 1;
  const RequestOutcome by_byte = ReadRequest(ByteByByte(c.bytes), options);
  EXPECT_EQ(whole, by_byte) << ToString(whole) << "byte by byte:\n" << ToString(by_byte);
  for (size_t cut = 0; cut <= c.bytes.size(); ++cut) {
    options.block_bytes = 1 + cut % 61;
    const RequestOutcome in_two = ReadRequest(CutAt(c.bytes, cut), options);
    if (in_two == whole) continue;
    ADD_FAILURE() << ToString(whole) << "cut at " << cut << ":\n" << ToString(in_two);
    return;
  }
}

// Accepted, up to the next request.
void CheckSound(const std::vector<std::string>& requests, const ReadingOptions& options = {}) {
  for (const std::string& request : requests) {
    const std::string bytes = request + std::string(kNext);
    CheckCase({bytes, options}, Verdict::kAccepted);
    EXPECT_EQ(ReadRequest(Whole(bytes), options).consumed, request.size()) << request;
    // Without its last byte it is not whole, and nothing is wrong with it either.
    EXPECT_EQ(ReadRequest(Whole(request.substr(0, request.size() - 1)), options).verdict,
              Verdict::kIncomplete)
        << request;
  }
}

void CheckHostile(const std::vector<std::string>& requests, const ReadingOptions& options = {}) {
  for (const std::string& request : requests) {
    CheckCase({request + std::string(kNext), options}, Verdict::kRefused);
  }
}

std::string RequestLineOnly(const std::string& line) { return Lines({line, "Host: a"}); }

std::string Chunked(const std::string& body) { return Post({"Transfer-Encoding: chunked"}) + body; }

// `text` with each byte from `bytes` put in at `position`.
std::vector<std::string> WithBytesAt(const std::string& text, size_t position,
                                     const std::string& bytes) {
  std::vector<std::string> out;
  for (char byte : bytes) out.push_back(std::string(text).insert(position, 1, byte));
  return out;
}

// C0 and DEL, without `except`.
std::string Controls(std::string_view except = "") {
  std::string out;
  for (int c = 0; c < 32; ++c) out += static_cast<char>(c);
  out += '\x7f';
  for (char c : except) std::erase(out, c);
  return out;
}

TEST(RequestSplit, SoundStartLines) {
  std::vector<std::string> requests;
  for (const std::string method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    for (const std::string target :
         {"/", "/a/b/../c", "/a?b=c&d", "/?", "/%41%2f", "/a|b", "/a:b@c", "http://b",
          "http://b:8080/x?y", "HTTPS://b?x", "http://[::1]:1/"}) {
      requests.push_back(RequestLineOnly(method + " " + target + " HTTP/1.1"));
    }
  }
  requests.push_back(RequestLineOnly("OPTIONS * HTTP/1.1"));
  requests.push_back(RequestLineOnly("TRACE / HTTP/1.1"));
  requests.push_back(RequestLineOnly("GET / HTTP/1.0"));
  requests.push_back(Lines({"GET / HTTP/1.0"}));
  requests.push_back("\r\n" + Get({}));
  requests.push_back("\r\n\r\n" + Get({}));
  CheckSound(requests);
}

TEST(RequestSplit, SoundFields) {
  std::vector<std::string> requests;
  for (const std::string before : {"", " ", "\t", "  \t "}) {
    for (const std::string after : {"", " ", "\t "}) {
      for (const std::string value : {"", "x", "a, b", "\xe4\xff", "a \t b", ":", "\"q;\\\"\""}) {
        requests.push_back(Get({"X-A:" + before + value + after, "Accept: */*"}));
      }
    }
  }
  for (const std::string field :
       {"Connection: close", "Connection: keep-alive, X-A", "Connection: upgrade",
        "TE: trailers, deflate", "Expect: 100-continue", "Max-Forwards: 0", "X_Under: 1",
        "Proxy: http://evil", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4",
        "Keep-Alive: timeout=5", "Cookie: a=b", "!#$%&'*+-.^`|~1: x"}) {
    requests.push_back(Get({field}));
    requests.push_back(Get({field, "Connection: Upgrade, TE", "Upgrade: websocket", "X-A: y"}));
  }
  for (const std::string host : {"a", "a:80", "a:", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:8",
                                 "a%41", "a.b-c_d~!$&'()*+,;="}) {
    requests.push_back(Lines({"GET / HTTP/1.1", "hOST:" + host}));
  }
  CheckSound(requests);
}

TEST(RequestSplit, SoundBodies) {
  std::vector<std::string> requests;
  for (const size_t size : {0, 1, 2, 9, 10, 40}) {
    requests.push_back(Post({"Content-Length: " + std::to_string(size)}) + std::string(size, '\n'));
    if (size == 0) continue;
    char hex[20];
    std::snprintf(hex, sizeof(hex), "%zX", size);
    requests.push_back(Chunked(hex + ("\r\n" + std::string(size, '\r')) + "\r\n0\r\n\r\n"));
  }
  for (const std::string extension :
       {";a", ";a=b", ";a=\"b\"", " ; a = b", ";a=\"\\\"\\\\\"", ";a;b=c;d", "\t;a=\"\xe4\""}) {
    requests.push_back(Chunked("3" + extension + "\r\nabc\r\n0" + extension + "\r\n\r\n"));
  }
  for (const std::string trailers :
       {"X-A: 1\r\n", "X-A:\r\nX-B: \t2 \r\n", "ETag: x\r\nDate: now\r\n", "x_y: 1\r\n"}) {
    requests.push_back(Chunked("0\r\n" + trailers + "\r\n"));
    requests.push_back(Chunked("1\r\nx\r\n2\r\nyz\r\n0\r\n" + trailers + "\r\n"));
  }
  CheckSound(requests);
}

TEST(RequestSplit, HostileStartLines) {
  std::vector<std::string> requests;
  for (const std::string line : {"GET  / HTTP/1.1",
                                 "GET /  HTTP/1.1",
                                 " GET / HTTP/1.1",
                                 "GET / HTTP/1.1 ",
                                 "GET\t/ HTTP/1.1",
                                 "GET /",
                                 "GET",
                                 "GET / ",
                                 "GET / x HTTP/1.1",
                                 "GET / HTTP/0.9",
                                 "GET / HTTP/2.0",
                                 "GET / HTTP/1.2",
                                 "GET / HTTP/11",
                                 "GET / HTTP/1.10",
                                 "GET / HTTP/1.",
                                 "GET / http/1.1",
                                 "GET / RTSP/1.0",
                                 "GET / HTTP/a.b",
                                 "get / HTTP/1.1",
                                 "BREW / HTTP/1.1",
                                 "G(T / HTTP/1.1",
                                 "CONNECT a:443 HTTP/1.1",
                                 "GET a:443 HTTP/1.1",
                                 "GET * HTTP/1.1",
                                 "GET /#x HTTP/1.1",
                                 "GET /\\x HTTP/1.1",
                                 "GET /% HTTP/1.1",
                                 "GET /%0 HTTP/1.1",
                                 "GET /%zz HTTP/1.1",
                                 "GET /%00 HTTP/1.1",
                                 "GET //x HTTP/1.1",
                                 "GET /\xff HTTP/1.1",
                                 "GET /\"x\" HTTP/1.1",
                                 "GET /<x> HTTP/1.1",
                                 "GET ftp://a/ HTTP/1.1",
                                 "GET http:///x HTTP/1.1",
                                 "GET http://u@a/ HTTP/1.1",
                                 "GET http://a:0/ HTTP/1.1",
                                 "GET http://a:65536/ HTTP/1.1",
                                 "GET http://[::g]/ HTTP/1.1",
                                 "GET http://a//b#c HTTP/1.1",
                                 "GET x HTTP/1.1"}) {
    requests.push_back(RequestLineOnly(line));
  }
  for (const size_t position : {0, 1, 4, 5, 9, 14}) {
    // An LF or CR in front of the line, or at its end, makes other classes.
    for (std::string& request :
         WithBytesAt(Get({}), position, Controls(position == 0 ? "\r" : "\r\n"))) {
      requests.push_back(std::move(request));
    }
  }
  requests.push_back("\r\n\r\n\r\n" + Get({}));
  requests.push_back("\r\r\n" + Get({}));
  CheckHostile(requests);
}

TEST(RequestSplit, HostileLineEnds) {
  std::vector<std::string> requests;
  const std::string request = Get({"X-A: 1", "X-B: 2"});
  for (size_t at = request.find("\r\n"); at != std::string::npos;
       at = request.find("\r\n", at + 2)) {
    for (const std::string end : {"\n", "\r", "\r\r\n", "\n\r", "\r \n", "\r\n \r\n", "\r\n\n"}) {
      // What follows a whole head belongs to the next request.
      if (at + 2 == request.size() && end.starts_with("\r\n")) continue;
      requests.push_back(std::string(request).replace(at, 2, end));
    }
  }
  CheckHostile(requests);
}

TEST(RequestSplit, HostileFields) {
  std::vector<std::string> requests;
  for (const std::string field : {": x", "X", "X-A : 1", "X-A\t: 1", " X-A: 1", "\tX-A: 1",
                                  "X A: 1", "X(A): 1", "X@A: 1", "\xe4: 1", "X-A\xff: 1", "Host: a",
                                  "Host: b", "hOST: a", "Expect: x", "Expect: 100-continue, x"}) {
    requests.push_back(Get({field}));
    requests.push_back(Get({"X-B: y", field, "X-C: z"}));
  }
  for (const std::string host :
       {"", "a b", "a/b", "a?b", "a#b", "a\\b", "u@a", "a:x", "a:0", "a:99999", "a,b c", "[::1",
        "::1", "[::1]x", "%00", "%zz", "\xe4", "\"a\"", "http://a"}) {
    requests.push_back(Lines({"GET / HTTP/1.1", "Host: " + host}));
  }
  requests.push_back(Lines({"GET / HTTP/1.1"}));
  requests.push_back(Lines({"GET http://a/ HTTP/1.1", "Accept: x"}));
  // In a value all but HTAB, CR and LF; in a name all of them.
  const std::string with_field = Get({"X-A: 12"});
  for (std::string& request :
       WithBytesAt(with_field, with_field.find("12") + 1, Controls("\t\r\n"))) {
    requests.push_back(std::move(request));
  }
  for (std::string& request : WithBytesAt(with_field, with_field.find("X-A") + 1, Controls())) {
    requests.push_back(std::move(request));
  }
  requests.push_back(Lines({"OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: -1"}));
  requests.push_back(Lines({"TRACE / HTTP/1.1", "Host: a", "Content-Length: 1"}) + "x");
  CheckHostile(requests);
}

TEST(RequestSplit, HostileFraming) {
  std::vector<std::string> requests;
  const std::vector<std::string> lengths = {"0",
                                            "5",
                                            "05",
                                            "+5",
                                            "-5",
                                            "",
                                            "5,5",
                                            "5 5",
                                            "0 18446744073709551616",
                                            "0x5",
                                            "5.",
                                            "18446744073709551616",
                                            "9223372036854775808"};
  const std::vector<std::string> codings = {"chunked",
                                            "CHUNKED",
                                            "gzip",
                                            "gzip, chunked",
                                            "chunked, gzip",
                                            "chunked, chunked",
                                            "",
                                            ",",
                                            "identity",
                                            ",chunked",
                                            "\"chunked\"",
                                            "chunked;q=1",
                                            "xchunked",
                                            "chunke",
                                            "x,chunked",
                                            "chunked,",
                                            "identity, chunked",
                                            "\x0b"
                                            "chunked"};
  for (const std::string& length : lengths) {
    for (const std::string& coding : codings) {
      requests.push_back(Post({"Content-Length: " + length, "Transfer-Encoding: " + coding}));
      requests.push_back(Post({"Transfer-Encoding: " + coding, "Content-Length: " + length}));
    }
    if (length != "0" && length != "5") requests.push_back(Post({"Content-Length: " + length}));
    requests.push_back(Post({"Content-Length: " + length, "Content-Length: 5"}));
  }
  for (const std::string& coding : codings) {
    if (coding != "chunked" && coding != "CHUNKED") {
      requests.push_back(Post({"Transfer-Encoding: " + coding}) + "0\r\n\r\n");
    }
    requests.push_back(Post({"Transfer-Encoding: " + coding, "Transfer-Encoding: chunked"}));
    requests.push_back(Lines({"POST / HTTP/1.0", "Host: a", "Transfer-Encoding: " + coding}) +
                       "0\r\n\r\n");
  }
  CheckHostile(requests);
}

TEST(RequestSplit, HostileChunks) {
  std::vector<std::string> requests;
  for (const std::string size : {"",
                                 " 3",
                                 "+3",
                                 "-3",
                                 "0x3",
                                 "03",
                                 "00",
                                 "3 ",
                                 "3\t",
                                 "g",
                                 "3g",
                                 "3,",
                                 "8000000000000000",
                                 "10000000000000003",
                                 "3;",
                                 "3;=",
                                 "3;a=",
                                 "3;a b",
                                 "3;a=b c",
                                 "3;a=\"",
                                 "3;a=\"b\"c",
                                 "3;a=\"\x01\"",
                                 "3;\x7f",
                                 "3 x",
                                 "3;a=\"\\\x02\"",
                                 "3;a,b"}) {
    requests.push_back(Chunked(size + "\r\nabc\r\n0\r\n\r\n"));
    requests.push_back(Chunked("1\r\nx\r\n" + size + "\r\nabc\r\n0\r\n\r\n"));
  }
  for (const std::string body :
       {"3\nabc\r\n0\r\n\r\n", "3\rabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n", "3\r\nab\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n", "0\n\r\n", "0\r\n\n",
        "0\r\n\rX", "0\r\r\n\r\n", "3;a\nabc\r\n0\r\n\r\n", "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n\r\n0\r\n\r\n"}) {
    requests.push_back(Chunked(body));
  }
  for (const std::string trailer : {"Host: b",
                                    "Content-Length: 1",
                                    "Transfer-Encoding: chunked",
                                    "Connection: close",
                                    "Authorization: x",
                                    "Cookie: x",
                                    "X-Forwarded-For: x",
                                    "TE: x",
                                    "Trailer: x",
                                    "Upgrade: x",
                                    "Expect: x",
                                    ": x",
                                    "X",
                                    " X: y",
                                    "X : y",
                                    "X: \x01",
                                    "X:\x7f",
                                    "X: a\nY: b",
                                    "X: a\rY",
                                    "X:\r\n y"}) {
    requests.push_back(Chunked("0\r\n" + trailer + "\r\n\r\n"));
    requests.push_back(Chunked("0\r\nX-A: 1\r\n" + trailer + "\r\n\r\n"));
  }
  CheckHostile(requests);
}

TEST(RequestSplit, RequestsAtTheirLimits) {
  ReadingOptions options;
  options.policy.leading_empty_lines_max = 1;
  options.policy.request_line_bytes_max = 40;
  options.policy.status_line_bytes_max = 40;
  options.policy.head_bytes_max = 120;
  options.policy.fields_max = 4;
  options.policy.connection_options_max = 3;
  options.policy.chunk_extension_bytes_max = 8;
  options.policy.chunk_extensions_bytes_max = 12;
  options.policy.trailer_bytes_max = 24;
  options.policy.trailer_fields_max = 2;
  options.trailer_block_bytes = 24;
  const auto line = [](size_t size) {
    return RequestLineOnly("GET /" + std::string(size - 14, 'x') + " HTTP/1.1");
  };
  const auto head = [](size_t size) {
    return Get({"X: " + std::string(size - Get({"X: "}).size(), 'x')});
  };
  CheckSound({"\r\n" + Get({}), line(39), line(40), head(119), head(120),
              Get({"A: 1", "B: 2", "C: 3"}), Get({"Connection: a, b, c"}),
              Chunked("0;abcdefg\r\n\r\n"), Chunked("0\r\nA: 1\r\nB: 2\r\n\r\n"),
              Chunked("0\r\nA: " + std::string(19, 'x') + "\r\n\r\n")},
             options);
  CheckHostile(
      {"\r\n\r\n" + Get({}), line(41), line(100), head(121), head(200),
       Get({"A: 1", "B: 2", "C: 3", "D: 4"}), Get({"Connection: a, b, c, d"}),
       Get({"A_: 1", "B_: 2", "C_: 3", "D_: 4"}), Chunked("0;abcdefgh\r\n\r\n"),
       Chunked("1;abcdef\r\nx\r\n0;abcdef\r\n\r\n"), Chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"),
       Chunked("0\r\nA: " + std::string(20, 'x') + "\r\n\r\n")},
      options);
  options.trailer_block_bytes = 10;
  CheckSound({Chunked("0\r\nA: 12345\r\n\r\n")}, options);
  CheckHostile({Chunked("0\r\nA: 123456\r\n\r\n"), Chunked("0\r\nA: 1\r\nB: 23\r\n\r\n")}, options);
}

// Last in this file; all tests run in one process, in order.
TEST(RequestSplit, ThereAreManyCases) {
  std::printf("%d requests, each whole, byte by byte, and cut at every position\n", cases_run);
  EXPECT_GE(cases_run, 300);
}

}  // namespace
}  // namespace edge::http
