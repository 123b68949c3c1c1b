// What RFC 9112 and RFC 9110 ask of a recipient of responses, section by section. The proxy answers
// a refusal with 502 and closes the origin's connection.

#include <array>
#include <string>

#include "gtest/gtest.h"
#include "http/parser.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

// A complete head to ask.
struct Response {
  explicit Response(std::string_view bytes, Method method = Method::kGet,
                    bool upgrade_asked = false) {
    head.Bind(block);
    parser.Start(&head, method, upgrade_asked);
    const HeadProgress progress = parser.Feed(bytes);
    EXPECT_EQ(progress.status, HeadStatus::kComplete)
        << Describe(parser.refusal().reason).id << "\n"
        << bytes;
    consumed = progress.consumed;
  }

  const ValidationPolicy policy;
  ResponseParser parser{&policy};
  ResponseHead head;
  std::array<char, 4096> block;
  size_t consumed = 0;
};

std::string Status(int status, const std::vector<std::string>& fields) {
  std::vector<std::string> lines = {"HTTP/1.1 " + std::to_string(status) + " X"};
  lines.insert(lines.end(), fields.begin(), fields.end());
  return Lines(lines);
}

ResponseContext ForMethod(Method method) {
  ResponseContext context;
  context.request_method = method;
  return context;
}

// ---- RFC 9112 2 and 4 ----

TEST(Rfc9112Section2_2, EmptyLinesBeforeAResponseAreRefused) {
  EXPECT_EQ(ResponseVerdict("\r\n" + Ok({})), "response.line.malformed");
  EXPECT_EQ(ResponseVerdict("\n" + Ok({})), "head.line.bare_lf");
}

TEST(Rfc9112Section2_3, AResponseOfAnotherVersionIsRefused) {
  EXPECT_EQ(ResponseVerdict("HTTP/2.0 200 OK\r\n\r\n"), "head.version.unsupported");
  EXPECT_EQ(ResponseVerdict("HTTP/0.9 200 OK\r\n\r\n"), "head.version.unsupported");
  EXPECT_EQ(ResponseVerdict("HTTP/1.2 200 OK\r\n\r\n"), "head.version.unsupported");
  EXPECT_EQ(ResponseVerdict("ICY 200 OK\r\n\r\n"), "response.line.malformed");
  EXPECT_EQ(ResponseVerdict("RTSP/1.0 200 OK\r\n\r\n"), "response.line.malformed");
}

TEST(Rfc9112Section4, StatusLineIsTakenApart) {
  const Response response("HTTP/1.0 404 Not Found at all\r\n\r\n");
  EXPECT_EQ(response.head.status, 404);
  EXPECT_EQ(response.head.version, Version::kHttp10);
  EXPECT_EQ(response.head.reason_phrase(), "Not Found at all");
}

TEST(Rfc9112Section4, AReasonPhraseMayBeEmptyOrHaveTabsAndObsText) {
  EXPECT_EQ(Response("HTTP/1.1 200 \r\n\r\n").head.reason_phrase(), "");
  EXPECT_EQ(Response("HTTP/1.1 200 a\tb\xff\r\n\r\n").head.reason_phrase(), "a\tb\xff");
  EXPECT_EQ(ResponseVerdict("HTTP/1.1 200 a\x01\r\n\r\n"), "head.line.control");
}

TEST(Rfc9112Section4, TheSpaceBehindTheStatusMayLackOnlyIfThePolicySaysSo) {
  EXPECT_EQ(ResponseVerdict("HTTP/1.1 200\r\n\r\n"), "response.line.malformed");
  ResponseContext context;
  context.policy.status_line_without_space = true;
  EXPECT_EQ(ResponseVerdict("HTTP/1.1 200\r\n\r\n", context), "ok");
  EXPECT_EQ(ResponseVerdict("HTTP/1.1 200X\r\n\r\n", context), "response.line.malformed");
}

TEST(Rfc9112Section4, AStatusLineOverTheLimitIsRefused) {
  ResponseContext context;
  context.policy.status_line_bytes_max = 32;
  const auto line = [](size_t size) {
    return "HTTP/1.1 200 " + std::string(size - 13, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(ResponseVerdict(line(32), context), "ok");
  EXPECT_EQ(ResponseVerdict(line(33), context), "head.line.too_long");
}

TEST(Rfc9110Section15, AStatusOutside100To599IsRefused) {
  EXPECT_EQ(ResponseVerdict(Lines({"HTTP/1.1 099 X"})), "response.status.invalid");
  EXPECT_EQ(ResponseVerdict(Lines({"HTTP/1.1 000 X"})), "response.status.invalid");
  EXPECT_EQ(ResponseVerdict(Lines({"HTTP/1.1 600 X"})), "response.status.invalid");
  EXPECT_EQ(ResponseVerdict(Lines({"HTTP/1.1 599 X"})), "ok");
}

// ---- RFC 9112 5 ----

TEST(Rfc9112Section5_1, SpaceBeforeTheColonIsRefusedFromAnOriginToo) {
  EXPECT_EQ(ResponseVerdict(Ok({"Content-Length : 5"})), "head.field.space_before_colon");
}

TEST(Rfc9112Section5_2, AFoldedFieldIsRefusedFromAnOriginToo) {
  EXPECT_EQ(ResponseVerdict(Ok({"X: y", " z"})), "head.field.fold");
}

TEST(Rfc9110Section5_1, UnderscoresInResponseFieldsPass) {
  EXPECT_EQ(Response(Ok({"X_Y: z"})).head.Find("x_y"), "z");
}

// ---- RFC 9112 6 ----

TEST(Rfc9112Section6_1, TransferEncodingWithContentLengthFromAnOriginIsRefused) {
  EXPECT_EQ(ResponseVerdict(Ok({"Content-Length: 5", "Transfer-Encoding: chunked"})),
            "framing.transfer_encoding.with_length");
  EXPECT_EQ(ResponseVerdict(Ok({"Transfer-Encoding: chunked", "Content-Length: 5"})),
            "framing.transfer_encoding.with_length");
  EXPECT_EQ(ResponseVerdict(Ok({"Transfer-Encoding:", "Content-Length: 5"})),
            "framing.transfer_encoding.with_length");
}

TEST(Rfc9112Section6_1, TransferEncodingInAnHttp10ResponseIsRefused) {
  EXPECT_EQ(ResponseVerdict(Lines({"HTTP/1.0 200 OK", "Transfer-Encoding: chunked"})),
            "framing.transfer_encoding.http10");
}

TEST(Rfc9112Section6_3, ChunkedNotLastFromAnOriginIsRefused) {
  EXPECT_EQ(ResponseVerdict(Ok({"Transfer-Encoding: chunked, gzip"})),
            "framing.transfer_encoding.not_chunked");
  EXPECT_EQ(ResponseVerdict(Ok({"Transfer-Encoding: gzip"})),
            "framing.transfer_encoding.not_chunked");
  EXPECT_EQ(ResponseVerdict(Ok({"Transfer-Encoding: gzip, chunked"})),
            "framing.transfer_encoding.unknown");
  EXPECT_EQ(ResponseVerdict(Ok({"Transfer-Encoding: chunked", "Transfer-Encoding: gzip"})),
            "framing.transfer_encoding.repeated");
}

TEST(Rfc9112Section6_3, ABadContentLengthFromAnOriginIsRefused) {
  EXPECT_EQ(ResponseVerdict(Ok({"Content-Length: x"})), "framing.content_length.invalid");
  EXPECT_EQ(ResponseVerdict(Ok({"Content-Length: 1", "Content-Length: 2"})),
            "framing.content_length.repeated");
  EXPECT_EQ(ResponseVerdict(Ok({"Content-Length: 1", "Content-Length: 1"})),
            "framing.content_length.repeated");
}

TEST(Rfc9112Section6_3, FramingIsChunkedOrLengthOrUntilClose) {
  const Response chunked(Ok({"Transfer-Encoding: chunked"}));
  EXPECT_EQ(chunked.head.framing, BodyFraming::kChunked);
  EXPECT_TRUE(chunked.head.keep_alive);
  const Response length(Ok({"Content-Length: 5"}) + "hello");
  EXPECT_EQ(length.head.framing, BodyFraming::kLength);
  EXPECT_EQ(length.head.content_length, 5u);
  EXPECT_EQ(length.consumed, Ok({"Content-Length: 5"}).size());
  const Response close(Ok({}));
  EXPECT_EQ(close.head.framing, BodyFraming::kUntilClose);
  EXPECT_FALSE(close.head.keep_alive);
}

TEST(Rfc9112Section6_3, AResponseToHeadHasNoBodyWhateverItsFieldsSay) {
  for (const std::string& bytes :
       {Ok({"Content-Length: 5"}), Ok({"Transfer-Encoding: chunked"}), Ok({})}) {
    const Response response(bytes, Method::kHead);
    EXPECT_EQ(response.head.framing, BodyFraming::kNone);
    EXPECT_TRUE(response.head.keep_alive);
  }
  EXPECT_TRUE(Response(Ok({"Content-Length: 5"}), Method::kHead).head.has_content_length);
  // But fields that contradict each other are refused all the same.
  EXPECT_EQ(ResponseVerdict(Ok({"Content-Length: 5", "Transfer-Encoding: chunked"}),
                            ForMethod(Method::kHead)),
            "framing.transfer_encoding.with_length");
}

TEST(Rfc9110Section8_6, A304HasNoBodyButMayTellALength) {
  const Response response(Status(304, {"Content-Length: 5"}));
  EXPECT_EQ(response.head.framing, BodyFraming::kNone);
  EXPECT_TRUE(response.head.has_content_length);
  EXPECT_EQ(response.head.content_length, 5u);
  EXPECT_TRUE(response.head.keep_alive);
}

TEST(Rfc9110Section8_6, A204HasNoBodyAndALengthOf0IsTolerated) {
  const Response response(Status(204, {"Content-Length: 0"}));
  EXPECT_EQ(response.head.framing, BodyFraming::kNone);
  EXPECT_TRUE(response.head.keep_alive);
  EXPECT_TRUE(Response(Status(204, {})).head.keep_alive);
}

TEST(Rfc9110Section8_6, A204WithABodyAnnouncedEndsTheConnection) {
  EXPECT_FALSE(Response(Status(204, {"Content-Length: 5"})).head.keep_alive);
  EXPECT_FALSE(Response(Status(204, {"Transfer-Encoding: chunked"})).head.keep_alive);
}

TEST(Rfc9110Section8_6, AnInterimResponseWithALengthIsRefused) {
  EXPECT_EQ(ResponseVerdict(Status(100, {"Content-Length: 0"})), "response.interim.with_length");
  EXPECT_EQ(ResponseVerdict(Status(103, {"Content-Length: 5"})), "response.interim.with_length");
  EXPECT_EQ(ResponseVerdict(Status(100, {"Transfer-Encoding: chunked"})),
            "response.interim.with_length");
}

TEST(Rfc9110Section15_2, InterimResponsesCompleteAndTheNextHeadFollows) {
  const std::string bytes =
      Status(100, {}) + Status(103, {"Link: </a>"}) + Ok({"Content-Length: 0"});
  const ValidationPolicy policy;
  ResponseParser parser(&policy);
  ResponseHead head;
  std::array<char, 256> block;
  std::string_view rest = bytes;
  std::string seen;
  do {
    head.Bind(block);
    parser.Start(&head, Method::kGet);
    const HeadProgress progress = parser.Feed(rest);
    ASSERT_EQ(progress.status, HeadStatus::kComplete);
    rest.remove_prefix(progress.consumed);
    seen += std::to_string(head.status) + (head.interim() ? "i " : " ");
    EXPECT_TRUE(head.framing == BodyFraming::kNone || head.status == 200);
  } while (head.interim());
  EXPECT_EQ(seen, "100i 103i 200 ");
  EXPECT_TRUE(rest.empty());
}

// ---- RFC 9110 7.8 and 15.2.2 ----

TEST(Rfc9110Section15_2_2, A101NobodyAskedForIsRefused) {
  EXPECT_EQ(ResponseVerdict(Status(101, {"Connection: upgrade", "Upgrade: websocket"})),
            "response.switching.unasked");
}

TEST(Rfc9110Section15_2_2, A101ThatWasAskedForIsAnUpgrade) {
  const std::string bytes = Status(101, {"Connection: upgrade", "Upgrade: websocket"});
  const Response response(bytes + "tunnel", Method::kGet, true);
  EXPECT_TRUE(response.head.upgrade);
  EXPECT_FALSE(response.head.interim());
  EXPECT_EQ(response.consumed, bytes.size());
}

TEST(Rfc9110Section7_8, A101NeedsConnectionAndUpgrade) {
  ResponseContext context;
  context.upgrade_asked = true;
  EXPECT_EQ(ResponseVerdict(Status(101, {"Upgrade: websocket"}), context),
            "response.switching.incomplete");
  EXPECT_EQ(ResponseVerdict(Status(101, {"Connection: upgrade"}), context),
            "response.switching.incomplete");
  EXPECT_EQ(ResponseVerdict(Status(101, {"Connection: upgrade", "Upgrade: x", "Content-Length: 0"}),
                            context),
            "response.interim.with_length");
}

TEST(Rfc9110Section7_8, ARefusedUpgradeIsAnOrdinaryResponse) {
  const Response response(Ok({"Content-Length: 2", "Upgrade: websocket"}), Method::kGet, true);
  EXPECT_FALSE(response.head.upgrade);
  EXPECT_EQ(response.head.framing, BodyFraming::kLength);
}

// ---- the parser itself ----

TEST(ResponseParser, HasStartedWithTheFirstByte) {
  const ValidationPolicy policy;
  ResponseParser parser(&policy);
  EXPECT_FALSE(parser.started());
  ResponseHead head;
  std::array<char, 64> block;
  head.Bind(block);
  parser.Start(&head, Method::kGet);
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(parser.Feed("").status, HeadStatus::kNeedMore);
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(parser.Feed("H").status, HeadStatus::kNeedMore);
  EXPECT_TRUE(parser.started());
}

TEST(ResponseParser, ANewPolicyHoldsFromTheNextStartOn) {
  const ValidationPolicy strict;
  ValidationPolicy lenient;
  lenient.status_line_without_space = true;
  ResponseParser parser(&strict);
  ResponseHead head;
  std::array<char, 64> block;
  head.Bind(block);
  parser.Start(&head, Method::kGet);
  EXPECT_EQ(parser.Feed("HTTP/1.1 204\r\n\r\n").status, HeadStatus::kRefused);
  parser.UsePolicy(&lenient);
  parser.Start(&head, Method::kGet);
  EXPECT_EQ(parser.Feed("HTTP/1.1 204\r\n\r\n").status, HeadStatus::kComplete);
}

TEST(ResponseParser, APolicyOutOfRangeIsABug) {
  ValidationPolicy policy;
  policy.fields_max = 129;
  EXPECT_DEATH(ResponseParser{&policy}, "fields_max");
}

// ---- RFC 9112 9 ----

TEST(Rfc9112Section9_3, AnOriginsConnectionPersistsByVersionAndConnection) {
  EXPECT_TRUE(Response(Ok({"Content-Length: 0"})).head.keep_alive);
  EXPECT_FALSE(Response(Ok({"Content-Length: 0", "Connection: close"})).head.keep_alive);
  EXPECT_FALSE(Response(Lines({"HTTP/1.0 200 OK", "Content-Length: 0"})).head.keep_alive);
  EXPECT_TRUE(Response(Lines({"HTTP/1.0 200 OK", "Content-Length: 0", "Connection: keep-alive"}))
                  .head.keep_alive);
}

TEST(Rfc9110Section7_6_1, FieldsNamedByConnectionAreHopByHopInResponses) {
  const Response response(Ok({"Connection: X-Secret, Content-Length, Set-Cookie", "X-Secret: 1",
                              "Content-Length: 0", "Set-Cookie: a=b", "Keep-Alive: timeout=5"}));
  EXPECT_TRUE(response.head.IsHopByHop(1));
  EXPECT_FALSE(response.head.IsHopByHop(2));
  EXPECT_FALSE(response.head.IsHopByHop(3));
  EXPECT_TRUE(response.head.IsHopByHop(4));
}

}  // namespace
}  // namespace edge::http
