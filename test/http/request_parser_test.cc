// What RFC 9112 and RFC 9110 ask of a recipient of requests, section by section. Cases in bulk:
// request_cases_test.cc.

#include <array>
#include <string>

#include "gtest/gtest.h"
#include "http/parser.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

// A complete head to ask.
struct Request {
  explicit Request(std::string_view bytes) {
    head.Bind(block);
    parser.Start(&head);
    const HeadProgress progress = parser.Feed(bytes);
    EXPECT_EQ(progress.status, HeadStatus::kComplete)
        << Describe(parser.refusal().reason).id << "\n"
        << bytes;
    consumed = progress.consumed;
  }

  const ValidationPolicy policy;
  RequestParser parser{&policy};
  RequestHead head;
  std::array<char, 4096> block;
  size_t consumed = 0;
};

Refusal RefusalOf(std::string_view bytes) { return ParseRequest(bytes).refusal; }

// ---- RFC 9112 2.2 ----

TEST(Rfc9112Section2_2, BareCrInRequestLineIsRefused) {
  EXPECT_EQ(RefusalOf("GET /\r HTTP/1.1\r\n"), (Refusal{Reason::kLineBareCr, 5}));
}

TEST(Rfc9112Section2_2, BareCrInFieldIsRefused) {
  EXPECT_EQ(RefusalOf(Get({"X: a\rb"})), (Refusal{Reason::kFieldBareCr, 29}));
}

TEST(Rfc9112Section2_2, BareLfInRequestLineIsRefused) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\nHost: a\r\n\r\n"), (Refusal{Reason::kLineBareLf, 14}));
}

TEST(Rfc9112Section2_2, BareLfAfterFieldIsRefused) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
            (Refusal{Reason::kFieldBareLf, 23}));
}

TEST(Rfc9112Section2_2, BareLfAsTheEmptyLineIsRefused) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\nHost: a\r\n\n"), (Refusal{Reason::kFieldBareLf, 25}));
}

TEST(Rfc9112Section2_2, WhiteSpaceBeforeTheFirstFieldIsRefused) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
            (Refusal{Reason::kSpaceBeforeFirstField, 16}));
}

TEST(Rfc9112Section2_2, LeadingEmptyLinesAreSkippedUpToTheLimit) {
  EXPECT_EQ(RequestVerdict("\r\n\r\n" + Get({})), "ok");
  EXPECT_EQ(RefusalOf("\r\n\r\n\r\n" + Get({})), (Refusal{Reason::kLineEmptyLines, 4}));
  ValidationPolicy none;
  none.leading_empty_lines_max = 0;
  EXPECT_EQ(RequestVerdict("\r\n" + Get({}), none), "request.line.empty_lines");
  EXPECT_EQ(RequestVerdict(Get({}), none), "ok");
}

TEST(Rfc9112Section2_2, LeadingEmptyLinesAreNotTheStartOfARequest) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 64> block;
  head.Bind(block);
  EXPECT_FALSE(parser.started());
  parser.Start(&head);
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(parser.Feed("\r\n").status, HeadStatus::kNeedMore);
  EXPECT_EQ(parser.Feed("\r").status, HeadStatus::kNeedMore);
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(parser.Feed("\nG").status, HeadStatus::kNeedMore);
  EXPECT_TRUE(parser.started());
}

TEST(Rfc9110Section9_3_2, AHeadRequestIsKnownWhateverBecomesOfIt) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 256> block;
  const auto asked_by_head = [&](std::string_view bytes) {
    head.Bind(block);
    parser.Start(&head);
    (void)parser.Feed(bytes);
    return parser.asked_by_head();
  };
  EXPECT_FALSE(parser.asked_by_head());
  EXPECT_TRUE(asked_by_head("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(asked_by_head("HEAD / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(asked_by_head("\r\nHEAD * HTTP/1.1\r\n"));
  EXPECT_TRUE(asked_by_head("HEAD /unfinished"));
  EXPECT_FALSE(asked_by_head("HEAD"));
  EXPECT_FALSE(asked_by_head("HEADER / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(asked_by_head("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
}

TEST(Rfc9112Section2_2, OffsetsOfRefusalsCountEmptyLinesToo) {
  EXPECT_EQ(RefusalOf("\r\nGET / HTTP/1.1\r\nHost : a\r\n\r\n"),
            (Refusal{Reason::kFieldSpaceBeforeColon, 22}));
}

// ---- RFC 9112 2.3 ----

TEST(Rfc9112Section2_3, OtherMajorAndMinorVersionsAreUnsupported) {
  EXPECT_EQ(RequestVerdict("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), "head.version.unsupported");
  EXPECT_EQ(RequestVerdict("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), "head.version.unsupported");
  EXPECT_EQ(Describe(Reason::kVersionUnsupported).status, 505);
}

TEST(Rfc9112Section2_3, TheVersionIsCaseSensitive) {
  EXPECT_EQ(RequestVerdict("GET / Http/1.1\r\nHost: a\r\n\r\n"), "head.version.malformed");
}

// ---- RFC 9112 3 ----

TEST(Rfc9112Section3, TwoSpacesInTheRequestLineAreRefused) {
  EXPECT_EQ(RefusalOf("GET  / HTTP/1.1\r\n\r\n"), (Refusal{Reason::kLineSpaces, 4}));
  EXPECT_EQ(RefusalOf("GET /  HTTP/1.1\r\n\r\n"), (Refusal{Reason::kLineSpaces, 6}));
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1 \r\n\r\n"), (Refusal{Reason::kLineSpaces, 14}));
}

TEST(Rfc9112Section3, ATabIsNoSpace) {
  EXPECT_EQ(RefusalOf("GET\t/ HTTP/1.1\r\n\r\n"), (Refusal{Reason::kLineSpaces, 3}));
}

TEST(Rfc9112Section3, ARequestLineWithoutVersionIsRefusedAndNotHttp09) {
  EXPECT_EQ(RefusalOf("GET /\r\n\r\n"), (Refusal{Reason::kVersionMissing, 5}));
}

TEST(Rfc9112Section3, ARequestLineOverTheLimitIs414) {
  ValidationPolicy policy;
  policy.request_line_bytes_max = 64;
  const auto request = [](size_t line_size) {
    const std::string target = "/" + std::string(line_size - 14, 'x');
    return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(RequestVerdict(request(64), policy), "ok");
  const HeadOutcome outcome = ParseRequest(request(65), policy);
  EXPECT_EQ(outcome.refusal, (Refusal{Reason::kLineTooLong, 64}));
  EXPECT_EQ(Describe(outcome.refusal.reason).status, 414);
}

TEST(Rfc9112Section3, AnEndlessRequestLineIsRefusedAtTheLimit) {
  ValidationPolicy policy;
  policy.request_line_bytes_max = 64;
  EXPECT_EQ(RequestVerdict(std::string(64, 'A'), policy), "more");
  EXPECT_EQ(ParseRequest(std::string(65, 'A'), policy).refusal,
            (Refusal{Reason::kLineTooLong, 64}));
  EXPECT_EQ(ParseRequest(std::string(1000, 'A'), policy).refusal,
            (Refusal{Reason::kLineTooLong, 64}));
}

TEST(Rfc9112Section3, WhatIsWrongBeforeTheLimitIsFoundFirst) {
  ValidationPolicy policy;
  policy.request_line_bytes_max = 64;
  EXPECT_EQ(ParseRequest(std::string(63, 'A') + "\n" + std::string(9, 'A'), policy).refusal,
            (Refusal{Reason::kLineBareLf, 63}));
  EXPECT_EQ(ParseRequest(std::string(64, 'A') + "\n" + std::string(9, 'A'), policy).refusal,
            (Refusal{Reason::kLineTooLong, 64}));
  EXPECT_EQ(ParseRequest(std::string(64, 'A') + "\rA", policy).refusal,
            (Refusal{Reason::kLineBareCr, 64}));
}

TEST(Rfc9112Section3, TheWholeHeadOverTheLimitIs431) {
  ValidationPolicy policy;
  policy.request_line_bytes_max = 64;
  policy.status_line_bytes_max = 64;
  policy.head_bytes_max = 200;
  const std::string before = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string fits = before + std::string(200 - before.size() - 4, 'x') + "\r\n\r\n";
  ASSERT_EQ(fits.size(), 200u);
  EXPECT_EQ(RequestVerdict(fits, policy), "ok");
  EXPECT_EQ(RequestVerdict(fits + "body", policy), "ok");
  const std::string large = before + std::string(200 - before.size() - 3, 'x') + "\r\n\r\n";
  const HeadOutcome outcome = ParseRequest(large, policy);
  EXPECT_EQ(outcome.refusal, (Refusal{Reason::kHeadTooLarge, 200}));
  EXPECT_EQ(Describe(outcome.refusal.reason).status, 431);
}

TEST(Rfc9112Section3, AHundredThousandFieldsAreRefusedAtTheLimit) {
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 100000; ++i) request += "A:\r\n";
  const HeadOutcome outcome = ParseRequest(request);
  EXPECT_EQ(outcome.refusal.reason, Reason::kFieldsTooMany);
  EXPECT_EQ(outcome.refusal.offset, 25u + 127 * 4);
  EXPECT_EQ(Describe(outcome.refusal.reason).status, 431);
}

TEST(Rfc9112Section3, ExactlyTheAllowedNumberOfFieldsIsAccepted) {
  ValidationPolicy policy;
  policy.fields_max = 3;
  EXPECT_EQ(RequestVerdict(Get({"A: 1", "B: 2"}), policy), "ok");
  EXPECT_EQ(RequestVerdict(Get({"A: 1", "B: 2", "C: 3"}), policy), "head.fields_too_many");
  // Fields that are dropped cost as much as others.
  EXPECT_EQ(RequestVerdict(Get({"A_: 1", "B_: 2", "C_: 3"}), policy), "head.fields_too_many");
}

// ---- RFC 9112 3.2 ----

TEST(Rfc9112Section3_2, AMissingHostIsRefusedInHttp11) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\nX: y\r\n\r\n"), (Refusal{Reason::kHostMissing, 24}));
}

TEST(Rfc9112Section3_2, AMissingHostIsFineInHttp10) {
  const Request request("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(request.head.host(), "");
}

TEST(Rfc9112Section3_2, ASecondHostIsRefused) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHost: a\r\n\r\n"),
            (Refusal{Reason::kHostRepeated, 31}));
}

TEST(Rfc9112Section3_2, AnInvalidHostIsRefused) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), (Refusal{Reason::kHostInvalid, 23}));
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), (Refusal{Reason::kHostPort, 24}));
}

TEST(Rfc9112Section3_2, HostIsTrimmed) {
  const Request request("GET / HTTP/1.1\r\nHost: \t a:80 \t\r\n\r\n");
  EXPECT_EQ(request.head.host(), "a:80");
}

TEST(Rfc9112Section3_2_2, AbsoluteFormReplacesHost) {
  const Request request("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(request.head.absolute_form);
  EXPECT_FALSE(request.head.absolute_https);
  EXPECT_EQ(request.head.host(), "b:81");
  EXPECT_EQ(request.head.target(), "/x?y");
  EXPECT_EQ(request.head.path(), "/x");
  EXPECT_EQ(request.head.query(), "y");
}

TEST(Rfc9112Section3_2_2, AbsoluteFormStillNeedsAValidHost) {
  EXPECT_EQ(RequestVerdict("GET http://b/ HTTP/1.1\r\n\r\n"), "request.host.missing");
  EXPECT_EQ(RequestVerdict("GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n"), "request.host.empty");
  EXPECT_EQ(RequestVerdict("GET http://b/ HTTP/1.0\r\n\r\n"), "ok");
}

TEST(Rfc9112Section3_2_2, AnEmptyPathOfAnAbsoluteFormBecomesASlash) {
  const Request without("GET http://example.com HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(without.head.target(), "/");
  EXPECT_EQ(without.head.host(), "example.com");
  EXPECT_EQ(without.head.path(), "/");
  EXPECT_EQ(without.head.query(), "");
  const Request query("GET https://example.com?x=y HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(query.head.absolute_https);
  EXPECT_EQ(query.head.target(), "/?x=y");
  EXPECT_EQ(query.head.host(), "example.com");
  EXPECT_EQ(query.head.path(), "/");
  EXPECT_EQ(query.head.query(), "x=y");
}

TEST(Rfc9112Section3_2_3, ConnectIsAnswered405) {
  EXPECT_EQ(RefusalOf("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
            (Refusal{Reason::kMethodConnect, 0}));
  EXPECT_EQ(Describe(Reason::kMethodConnect).status, 405);
}

TEST(Rfc9112Section3_2_3, AuthorityFormWithoutConnectIsRefused) {
  EXPECT_EQ(RequestVerdict("GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
            "request.target.authority_form");
}

TEST(Rfc9112Section3_2_4, AsteriskFormWithOptionsIsAccepted) {
  const Request request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(request.head.target(), "*");
  EXPECT_EQ(request.head.path(), "*");
}

TEST(Rfc9112Section3_2_4, AsteriskFormWithAnotherMethodIsRefused) {
  EXPECT_EQ(RefusalOf("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), (Refusal{Reason::kTargetAsterisk, 4}));
}

TEST(Rfc9112Section3_2_4, OptionsOfAnAuthorityWithoutPathBecomesAsteriskForm) {
  const Request request("OPTIONS http://example.com:8001 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(request.head.target(), "*");
  EXPECT_EQ(request.head.host(), "example.com:8001");
  const Request query("OPTIONS http://example.com?q HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(query.head.target(), "/?q");
}

// ---- RFC 9112 5 ----

TEST(Rfc9112Section5, AnEmptyFieldNameIsRefused) {
  // CVE-2023-25725: HAProxy dropped all fields behind it.
  EXPECT_EQ(RefusalOf(Get({": x", "Content-Length: 5"})), (Refusal{Reason::kFieldNameEmpty, 25}));
}

TEST(Rfc9112Section5_1, SpaceBeforeTheColonIsRefused) {
  EXPECT_EQ(RefusalOf(Get({"Transfer-Encoding : chunked"})),
            (Refusal{Reason::kFieldSpaceBeforeColon, 42}));
  EXPECT_EQ(RefusalOf(Get({"X\t: y"})), (Refusal{Reason::kFieldSpaceBeforeColon, 26}));
}

TEST(Rfc9112Section5_1, OptionalWhiteSpaceAroundValuesIsTrimmed) {
  const Request request(
      "POST / HTTP/1.1\r\nHost:a\r\nContent-Length: \t5 \r\nConnection:close\t \r\nX: \t y "
      "z\t\r\n\r\n");
  EXPECT_EQ(request.head.content_length, 5u);
  EXPECT_FALSE(request.head.keep_alive);
  EXPECT_EQ(request.head.Find("X"), "y z");
}

TEST(Rfc9112Section5_2, AFoldedFieldIsRefused) {
  EXPECT_EQ(RefusalOf(Get({"X: y", " z"})), (Refusal{Reason::kFieldFold, 31}));
  EXPECT_EQ(RefusalOf(Get({"X: y", "\tz"})), (Refusal{Reason::kFieldFold, 31}));
  EXPECT_EQ(RefusalOf(Get({"X:", " z"})), (Refusal{Reason::kFieldFold, 29}));
}

// ---- RFC 9112 6 ----

TEST(Rfc9112Section6_1, TransferEncodingWithContentLengthIsRefused) {
  EXPECT_EQ(RefusalOf(Post({"Content-Length: 5", "Transfer-Encoding: chunked"})),
            (Refusal{Reason::kTransferEncodingWithLength, 45}));
  EXPECT_EQ(RefusalOf(Post({"Transfer-Encoding: chunked", "Content-Length: 5"})),
            (Refusal{Reason::kTransferEncodingWithLength, 54}));
  EXPECT_EQ(Describe(Reason::kTransferEncodingWithLength).status, 400);
}

TEST(Rfc9112Section6_1, TransferEncodingInHttp10IsRefused) {
  EXPECT_EQ(RefusalOf("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: "
                      "chunked\r\n\r\n"),
            (Refusal{Reason::kTransferEncodingHttp10, 41}));
  EXPECT_EQ(Describe(Reason::kTransferEncodingHttp10).status, 400);
}

TEST(Rfc9112Section6_1, ACodingOtherThanChunkedIs501) {
  EXPECT_EQ(RefusalOf(Post({"Transfer-Encoding: gzip, chunked"})),
            (Refusal{Reason::kTransferEncodingUnknown, 26}));
  EXPECT_EQ(Describe(Reason::kTransferEncodingUnknown).status, 501);
}

TEST(Rfc9112Section6_1, TransferEncodingTwiceIsRefused) {
  EXPECT_EQ(RefusalOf(Post({"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"})),
            (Refusal{Reason::kTransferEncodingRepeated, 54}));
}

TEST(Rfc9112Section6_1, AnEmptyTransferEncodingIsRefused) {
  EXPECT_EQ(RequestVerdict(Post({"Transfer-Encoding:"}) + "GET / HTTP/1.1\r\n"),
            "framing.transfer_encoding.empty");
}

TEST(Rfc9112Section6_2, ContentLengthFramesTheBody) {
  const Request request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nhello, ");
  EXPECT_EQ(request.head.framing, BodyFraming::kLength);
  EXPECT_EQ(request.head.content_length, 12u);
  EXPECT_EQ(request.consumed, 48u);
}

TEST(Rfc9112Section6_3, ChunkedNotLastIsRefused) {
  EXPECT_EQ(RequestVerdict(Post({"Transfer-Encoding: chunked, gzip"})),
            "framing.transfer_encoding.not_chunked");
  EXPECT_EQ(Describe(Reason::kTransferEncodingNotLast).status, 400);
}

TEST(Rfc9112Section6_3, ABadContentLengthIsRefused) {
  // CVE-2023-40225: HAProxy forwarded an empty one.
  EXPECT_EQ(RequestVerdict(Post({"Content-Length:"})), "framing.content_length.invalid");
  EXPECT_EQ(RequestVerdict(Post({"Content-Length: 5x"})), "framing.content_length.invalid");
  EXPECT_EQ(RequestVerdict(Post({"Content-Length: 05"})), "framing.content_length.leading_zeros");
  EXPECT_EQ(RequestVerdict(Post({"Content-Length: 9223372036854775808"})),
            "framing.content_length.overflow");
}

TEST(Rfc9112Section6_3, SeveralContentLengthsAreRefusedEvenWhenEqual) {
  EXPECT_EQ(RequestVerdict(Post({"Content-Length: 5", "Content-Length: 6"})),
            "framing.content_length.repeated");
  EXPECT_EQ(RequestVerdict(Post({"Content-Length: 5", "Content-Length: 5"})),
            "framing.content_length.repeated");
  EXPECT_EQ(RequestVerdict(Post({"Content-Length: 5, 5"})), "framing.content_length.invalid");
}

TEST(Rfc9112Section6_3, ARequestWithoutFramingHasNoBody) {
  const Request request("POST / HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\n");
  EXPECT_EQ(request.head.framing, BodyFraming::kNone);
  EXPECT_EQ(request.consumed, 28u);
}

TEST(Rfc9112Section6_3, ABodyIsNeverConsumedByTheParser) {
  EXPECT_EQ(ParseRequest(Post({"Transfer-Encoding: chunked"}) + "5\r\nhello\r\n0\r\n\r\n").consumed,
            Post({"Transfer-Encoding: chunked"}).size());
}

// ---- RFC 9112 9 ----

TEST(Rfc9112Section9_3, Http11PersistsUnlessItSaysClose) {
  EXPECT_TRUE(Request(Get({})).head.keep_alive);
  EXPECT_TRUE(Request(Get({"Connection: x"})).head.keep_alive);
  EXPECT_FALSE(Request(Get({"Connection: close"})).head.keep_alive);
  EXPECT_FALSE(Request(Get({"Connection: x, CLOSE"})).head.keep_alive);
  EXPECT_FALSE(Request(Get({"Connection: keep-alive, close"})).head.keep_alive);
  EXPECT_FALSE(Request(Get({"Connection: x", "Connection: close"})).head.keep_alive);
  EXPECT_TRUE(Request(Get({"Connection: closed"})).head.keep_alive);
}

TEST(Rfc9112Section9_3, Http10PersistsOnlyWhenItSaysKeepAlive) {
  EXPECT_FALSE(Request("GET / HTTP/1.0\r\n\r\n").head.keep_alive);
  EXPECT_TRUE(Request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").head.keep_alive);
  EXPECT_FALSE(Request("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").head.keep_alive);
  EXPECT_FALSE(Request("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n").head.keep_alive);
}

TEST(Rfc9112Section9_3_2, PipelinedRequestsAreReadOneAtATime) {
  const std::string pipeline = Get({"X: 1"}) + "\r\n" + Post({"Content-Length: 0"}) + Get({});
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 64> block;
  std::string_view rest = pipeline;
  std::string methods;
  while (!rest.empty()) {
    head.Bind(block);
    parser.Start(&head);
    const HeadProgress progress = parser.Feed(rest);
    ASSERT_EQ(progress.status, HeadStatus::kComplete);
    rest.remove_prefix(progress.consumed);
    methods += std::string(head.method_name()) + " ";
  }
  EXPECT_EQ(methods, "GET POST GET ");
}

// ---- RFC 9110 ----

TEST(Rfc9110Section5_1, NamesWithUnderscoresAreDroppedByDefault) {
  const Request request(Get({"Content_Length: 5", "X-Kept: y"}));
  EXPECT_EQ(request.head.Find("Content_Length"), std::nullopt);
  EXPECT_EQ(request.head.Find("X-Kept"), "y");
  EXPECT_EQ(request.head.size(), 2u);
}

TEST(Rfc9110Section5_1, NamesWithUnderscoresAreDroppedBehindAPrefixThatIsKnown) {
  const HeadOutcome outcome =
      ParseRequest(Get({"X-Forwarded-Client_Cert: x", "X-Forwarded-Port: 1"}));
  EXPECT_EQ(outcome.head.find("Client_Cert"), std::string::npos) << outcome.head;
  EXPECT_NE(outcome.head.find("X-Forwarded-Port: 1"), std::string::npos) << outcome.head;
  ValidationPolicy policy;
  policy.underscore_names = UnderscoreNames::kRefuse;
  EXPECT_EQ(ParseRequest(Get({"X-Forwarded-Client_Cert: x"}), policy).refusal,
            (Refusal{Reason::kFieldNameUnderscore, 43}));
}

TEST(Rfc9110Section5_1, NamesWithUnderscoresAreRefusedOrPassedWhenThePolicySaysSo) {
  ValidationPolicy policy;
  policy.underscore_names = UnderscoreNames::kRefuse;
  EXPECT_EQ(ParseRequest(Get({"X_Y: z"}), policy).refusal,
            (Refusal{Reason::kFieldNameUnderscore, 26}));
  policy.underscore_names = UnderscoreNames::kPass;
  const HeadOutcome passed = ParseRequest(Get({"X_Y: z"}), policy);
  EXPECT_NE(passed.serialized.find("X_Y: z\r\n"), std::string::npos);
}

TEST(Rfc9110Section5_5, CrLfAndNulInValuesAreRefused) {
  EXPECT_EQ(RefusalOf(Get({std::string("X: a\0b", 6)})), (Refusal{Reason::kFieldNul, 29}));
  EXPECT_EQ(RefusalOf(Get({"X: a\rb"})), (Refusal{Reason::kFieldBareCr, 29}));
  EXPECT_EQ(RefusalOf(Get({"X: a\nb"})), (Refusal{Reason::kFieldBareLf, 29}));
  EXPECT_EQ(RefusalOf(Get({"X: a\x08"})), (Refusal{Reason::kFieldControl, 29}));
}

TEST(Rfc9110Section5_5, ObsTextInValuesIsPassed) {
  std::string value;
  for (int c = 0x80; c < 0x100; ++c) value += static_cast<char>(c);
  const HeadOutcome outcome = ParseRequest(Get({"X: " + value}));
  EXPECT_NE(outcome.serialized.find("X: " + value + "\r\n"), std::string::npos);
}

TEST(Rfc9110Section5_5, EveryByteOfAValueIsJudged) {
  for (int c = 0; c < 256; ++c) {
    if (c == '\r' || c == '\n') continue;
    const bool allowed = c == '\t' || (c >= 0x20 && c != 0x7f);
    // Short and long, so that both the wide steps of the scan and its end meet the byte.
    for (size_t before : {0u, 3u, 15u, 16u, 40u}) {
      const std::string value = std::string(before, 'x') + static_cast<char>(c) + "y";
      EXPECT_EQ(RequestVerdict(Get({"X:" + value})) == "ok", allowed) << c << " at " << before;
    }
  }
}

TEST(Rfc9110Section5_1, EveryByteOfANameIsJudged) {
  const std::string_view others = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    if (c == ':') continue;
    const char byte = static_cast<char>(c);
    const bool token = std::isalnum(c) != 0 || others.find(byte) != std::string_view::npos;
    const std::string name = std::string("Xa") + byte + "b";
    EXPECT_EQ(RequestVerdict(Get({name + ": y"})) == "ok", token && c < 0x80) << c;
  }
}

TEST(Rfc9110Section7_6_1, FieldsNamedByConnectionAreHopByHop) {
  const Request request(
      Get({"Connection: X-One, close, x-two", "X-One: 1", "X-TWO: 2", "X-Three: 3"}));
  EXPECT_TRUE(request.head.IsHopByHop(1));  // Connection itself
  EXPECT_TRUE(request.head.IsHopByHop(2));
  EXPECT_TRUE(request.head.IsHopByHop(3));
  EXPECT_FALSE(request.head.IsHopByHop(4));
}

TEST(Rfc9110Section7_6_1, ConnectionBehindTheFieldItNamesWorksAsWell) {
  const Request request(Get({"X-One: 1", "Connection: X-One"}));
  EXPECT_TRUE(request.head.IsHopByHop(1));
}

TEST(Rfc9110Section7_6_1, ConnectionCannotRemoveWhatRoutesFramesOrAuthorises) {
  const Request request(Post(
      {"Connection: Host, Content-Length, Transfer-Encoding, Authorization, Cookie, "
       "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, X-Request-Id",
       "Content-Length: 0", "Authorization: b", "Cookie: c", "X-Forwarded-For: d",
       "X-Forwarded-Proto: e", "X-Forwarded-Host: f", "X-Forwarded-Port: g", "X-Request-Id: h"}));
  for (size_t i = 0; i < request.head.size(); ++i) {
    EXPECT_EQ(request.head.IsHopByHop(i), request.head.id(i) == FieldId::kConnection)
        << request.head.name(i);
  }
  EXPECT_EQ(request.head.host(), "a");
}

TEST(Rfc9110Section7_6_1, HopByHopFieldsAreSoWithoutConnection) {
  const Request request(
      Get({"Keep-Alive: timeout=5", "TE: gzip", "Proxy-Connection: keep-alive",
           "Proxy-Authorization: x", "Upgrade: websocket", "Proxy: evil", "HTTP2-Settings: y"}));
  for (size_t i = 1; i < request.head.size(); ++i) {
    EXPECT_TRUE(request.head.IsHopByHop(i)) << request.head.name(i);
  }
}

TEST(Rfc9110Section7_6_1, TheNumberOfConnectionOptionsIsBounded) {
  std::string options = "close";
  for (int i = 1; i < 32; ++i) options += ",o" + std::to_string(i);
  EXPECT_EQ(RequestVerdict(Get({"Connection: " + options})), "ok");
  EXPECT_EQ(RefusalOf(Get({"Connection: " + options, "Connection: one-more"})).reason,
            Reason::kConnectionOptionsTooMany);
}

TEST(Rfc9110Section7_6_2, MaxForwardsOfOptionsAndTraceIsExposed) {
  EXPECT_EQ(Request("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n").head.max_forwards,
            0u);
  EXPECT_EQ(Request("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 17\r\n\r\n").head.max_forwards,
            17u);
  EXPECT_EQ(Request(Get({"Max-Forwards: 3"})).head.max_forwards, std::nullopt);
  EXPECT_EQ(Request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head.max_forwards, std::nullopt);
}

TEST(Rfc9110Section7_8, UpgradeNeedsBothFields) {
  const Request both(Get({"Connection: keep-alive, Upgrade", "Upgrade: websocket"}));
  EXPECT_TRUE(both.head.upgrade);
  EXPECT_EQ(both.head.upgrade_protocol(), "websocket");
  EXPECT_FALSE(Request(Get({"Upgrade: websocket"})).head.upgrade);
  EXPECT_FALSE(Request(Get({"Connection: upgrade"})).head.upgrade);
  EXPECT_FALSE(Request(Get({"Connection: upgrade", "Upgrade:"})).head.upgrade);
}

TEST(Rfc9110Section7_8, UpgradeOfHttp10IsIgnored) {
  const Request request(
      "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_FALSE(request.head.upgrade);
}

TEST(Rfc9110Section7_8, H2cAndTlsAreNotTunnelled) {
  for (const char* protocol : {"h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2", "@x"}) {
    const Request request(
        Get({"Connection: Upgrade, HTTP2-Settings", std::string("Upgrade: ") + protocol}));
    EXPECT_FALSE(request.head.upgrade) << protocol;
  }
}

TEST(Rfc9110Section7_8, ARequestWithABodyIsNotUpgraded) {
  EXPECT_FALSE(Request(Post({"Connection: upgrade", "Upgrade: websocket", "Content-Length: 5"}))
                   .head.upgrade);
  EXPECT_TRUE(Request(Post({"Connection: upgrade", "Upgrade: websocket", "Content-Length: 0"}))
                  .head.upgrade);
}

TEST(Rfc9110Section9_1, AnUnknownMethodIs501) {
  EXPECT_EQ(RefusalOf("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), (Refusal{Reason::kMethodUnknown, 0}));
  EXPECT_EQ(Describe(Reason::kMethodUnknown).status, 501);
}

TEST(Rfc9110Section9_3_8, TraceWithABodyIsRefused) {
  EXPECT_EQ(RequestVerdict("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
            "request.trace.body");
}

TEST(Rfc9110Section10_1_1, Expect100ContinueIsExposedWhenABodyFollows) {
  EXPECT_TRUE(Request(Post({"Expect: 100-continue", "Content-Length: 5"})).head.expect_continue);
  EXPECT_TRUE(
      Request(Post({"Expect: 100-CONTINUE", "Transfer-Encoding: chunked"})).head.expect_continue);
  EXPECT_FALSE(Request(Post({"Content-Length: 5"})).head.expect_continue);
}

TEST(Rfc9110Section10_1_1, ExpectWithoutABodyIsIgnored) {
  // The 0.CL class of smuggling waits for an origin that answers before a body that is not there.
  EXPECT_FALSE(Request(Post({"Expect: 100-continue"})).head.expect_continue);
  EXPECT_FALSE(Request(Post({"Expect: 100-continue", "Content-Length: 0"})).head.expect_continue);
}

TEST(Rfc9110Section10_1_1, ExpectOfHttp10IsIgnored) {
  const Request request("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_FALSE(request.head.expect_continue);
}

TEST(Rfc9110Section10_1_1, AnotherExpectationIs417) {
  EXPECT_EQ(RequestVerdict(Post({"Expect: a-pony", "Content-Length: 5"})),
            "request.expect.unsupported");
  EXPECT_EQ(Describe(Reason::kExpectUnsupported).status, 417);
}

TEST(Rfc9110Section10_1_4, TeTrailersIsExposed) {
  EXPECT_TRUE(Request(Get({"TE: trailers", "Connection: TE"})).head.accepts_trailers);
  EXPECT_TRUE(Request(Get({"TE: deflate, Trailers"})).head.accepts_trailers);
  EXPECT_FALSE(Request(Get({"TE: gzip"})).head.accepts_trailers);
  EXPECT_FALSE(Request(Get({})).head.accepts_trailers);
}

// ---- the parser itself ----

TEST(RequestParser, AFullBlockAsksForALargerOneAndLosesNothing) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 20> small;
  std::array<char, 200> large;
  head.Bind(small);
  parser.Start(&head);
  const std::string bytes = Get({"X: y"}) + "body";
  std::string_view rest = bytes;
  HeadProgress progress = parser.Feed(rest);
  EXPECT_EQ(progress.status, HeadStatus::kNeedSpace);
  EXPECT_EQ(progress.consumed, 20u);
  rest.remove_prefix(progress.consumed);
  head.Rebind(large);
  small.fill('#');
  progress = parser.Feed(rest);
  EXPECT_EQ(progress.status, HeadStatus::kComplete);
  EXPECT_EQ(rest.substr(progress.consumed), "body");
  EXPECT_EQ(head.Find("x"), "y");
}

TEST(RequestParser, ABlockOfExactlyTheHeadsSizeIsEnough) {
  const std::string bytes = Get({"X: y"});
  std::string block(bytes.size(), '\0');
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  head.Bind(block);
  parser.Start(&head);
  EXPECT_EQ(parser.Feed(bytes + "more").status, HeadStatus::kComplete);
}

TEST(RequestParser, AnEmptyFeedChangesNothing) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 100> block;
  head.Bind(block);
  parser.Start(&head);
  EXPECT_EQ(parser.Feed("").status, HeadStatus::kNeedMore);
  EXPECT_EQ(parser.Feed("GET / HTTP/1.1\r\nHost: a").status, HeadStatus::kNeedMore);
  EXPECT_EQ(parser.Feed("").status, HeadStatus::kNeedMore);
  EXPECT_EQ(parser.Feed("\r\n\r\n").status, HeadStatus::kComplete);
}

TEST(RequestParser, NothingOfOneMessageIsLeftInTheNext) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 400> block;
  head.Bind(block);
  parser.Start(&head);
  ASSERT_EQ(parser
                .Feed("OPTIONS http://b?q HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\n"
                      "Upgrade: x\r\nTE: trailers\r\nMax-Forwards: 2\r\n\r\n")
                .status,
            HeadStatus::kComplete);
  parser.Start(&head);
  ASSERT_EQ(parser.Feed("GET / HTTP/1.0\r\nBad Field: x\r\n\r\n").status, HeadStatus::kRefused);
  EXPECT_TRUE(parser.refusal());
  parser.Start(&head);
  EXPECT_FALSE(parser.refusal());
  EXPECT_FALSE(parser.started());
  ASSERT_EQ(parser.Feed(Get({})).status, HeadStatus::kComplete);
  EXPECT_EQ(head.method, Method::kGet);
  EXPECT_EQ(head.version, Version::kHttp11);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.absolute_form);
  EXPECT_FALSE(head.upgrade);
  EXPECT_FALSE(head.accepts_trailers);
  EXPECT_EQ(head.max_forwards, std::nullopt);
  EXPECT_EQ(head.host(), "a");
  EXPECT_EQ(head.size(), 1u);
}

}  // namespace
}  // namespace edge::http
