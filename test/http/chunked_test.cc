// The chunked coding: what the reader takes, what it refuses, and where its limits are. Bodies are
// read in one piece, byte by byte and cut at every position.

#include "http/chunked.h"

#include <array>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

BodyOutcome Read(std::string_view bytes, const ValidationPolicy& policy = {}) {
  return ReadBody(bytes, BodyFraming::kChunked, 0, policy);
}

std::string ReadVerdict(std::string_view bytes, const ValidationPolicy& policy = {}) {
  return Verdict(Read(bytes, policy));
}

// ---- RFC 9112 7.1 ----

TEST(Rfc9112Section7_1, ChunksAreJoined) {
  const BodyOutcome outcome = Read("5\r\nhello\r\n2\r\n, \r\na\r\n0123456789\r\n0\r\n\r\nGET /");
  EXPECT_EQ(outcome.event, BodyEvent::kEnd);
  EXPECT_EQ(outcome.data, "hello, 0123456789");
  EXPECT_EQ(outcome.consumed, 37u);
  EXPECT_TRUE(outcome.complete_at_eof);
}

TEST(Rfc9112Section7_1, AnEmptyBodyIsOneChunkOfSize0) {
  const BodyOutcome outcome = Read("0\r\n\r\n");
  EXPECT_EQ(outcome.event, BodyEvent::kEnd);
  EXPECT_EQ(outcome.data, "");
}

TEST(Rfc9112Section7_1, SizesAreHexadecimalInEitherCase) {
  EXPECT_EQ(Read("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n").data, "01234567890123456789a");
  EXPECT_EQ(Read("1A\r\n" + std::string(26, 'x') + "\r\n0\r\n\r\n").data.size(), 26u);
}

TEST(Rfc9112Section7_1, AnIncompleteBodyIsNeverComplete) {
  const std::string body = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
  for (size_t size = 0; size < body.size(); ++size) {
    const BodyOutcome outcome = Read(body.substr(0, size));
    EXPECT_EQ(outcome.event, BodyEvent::kNeedMore) << size;
    EXPECT_FALSE(outcome.complete_at_eof) << size;
  }
}

TEST(Rfc9112Section7_1, ASizeIsNothingButHexadecimalDigits) {
  for (const char* size : {"", " 5", "\t5", "+5", "-5", "0x5", "x", "g", "5g", "5h", "5.", "5,",
                           "5 5", "#5", "\"5\"", ":5"}) {
    const std::string verdict = ReadVerdict(std::string(size) + "\r\nhello\r\n0\r\n\r\n");
    EXPECT_TRUE(verdict == "chunk.size.invalid" || verdict == "chunk.extension.invalid")
        << size << ": " << verdict;
  }
}

TEST(Rfc9112Section7_1, TrailingSpaceOfASizeLineIsRefused) {
  EXPECT_EQ(ReadVerdict("5 \r\nhello\r\n0\r\n\r\n"), "chunk.extension.invalid");
  EXPECT_EQ(ReadVerdict("5\t\r\nhello\r\n0\r\n\r\n"), "chunk.extension.invalid");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n0 \r\n\r\n"), "chunk.extension.invalid");
}

TEST(Rfc9112Section7_1, LeadingZerosAreRefusedUnlessThePolicyAllowsThem) {
  EXPECT_EQ(ReadVerdict("05\r\nhello\r\n0\r\n\r\n"), "chunk.size.leading_zeros");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n00\r\n\r\n"), "chunk.size.leading_zeros");
  EXPECT_EQ(ReadVerdict(std::string(10000, '0')), "chunk.size.leading_zeros");
  ValidationPolicy policy;
  policy.chunk_size_leading_zeros_max = 3;
  EXPECT_EQ(Read("0005\r\nhello\r\n0000\r\n\r\n", policy).data, "hello");
  EXPECT_EQ(ReadVerdict("00005\r\nhello\r\n0\r\n\r\n", policy), "chunk.size.leading_zeros");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n00000\r\n\r\n", policy), "chunk.size.leading_zeros");
}

TEST(Rfc9112Section7_1, ASizeThatOverflowsIsRefused) {
  EXPECT_EQ(ReadVerdict("8000000000000000\r\n"), "chunk.size.overflow");
  EXPECT_EQ(ReadVerdict("FFFFFFFFFFFFFFFF\r\n"), "chunk.size.overflow");
  EXPECT_EQ(ReadVerdict("10000000000000005\r\nhello\r\n"), "chunk.size.overflow");
  EXPECT_EQ(ReadVerdict("100000000000000000000000000000005\r\nhello\r\n"), "chunk.size.overflow");
  EXPECT_EQ(ReadVerdict("7fffffffffffffff\r\nhello"), "more");
  EXPECT_EQ(Read("7fffffffffffffff\r\nhello").data, "hello");
}

TEST(Rfc9110Section15_5_14, AChunkThatPassesTheLimitOfABodyIsRefusedByItsSizeLine) {
  const auto verdict = [](std::string_view bytes, uint64_t bytes_max) {
    const ValidationPolicy policy;
    ChunkReader reader;
    reader.Start(&policy, {}, bytes_max);
    while (true) {
      const ChunkReader::Step step = reader.Next(bytes);
      bytes.remove_prefix(step.consumed);
      if (step.event == BodyEvent::kData) continue;
      if (step.event == BodyEvent::kRefused) return Describe(reader.refusal().reason).id;
      return std::string_view(step.event == BodyEvent::kEnd ? "ok" : "more");
    }
  };
  EXPECT_EQ(verdict("5\r\nhello\r\n0\r\n\r\n", 5), "ok");
  EXPECT_EQ(verdict("5\r\nhello\r\n0\r\n\r\n", 4), "request.body.too_large");
  EXPECT_EQ(verdict("5\r\n", 4), "request.body.too_large");
  EXPECT_EQ(verdict("5\r", 4), "more");
  EXPECT_EQ(verdict("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5), "ok");
  EXPECT_EQ(verdict("3\r\nhel\r\n3\r\n", 5), "request.body.too_large");
  EXPECT_EQ(verdict("7fffffffffffffff\r\n", UINT64_MAX), "more");
}

TEST(Rfc9112Section7_1, LinesEndInCrlfAndNothingElse) {
  EXPECT_EQ(ReadVerdict("5\nhello\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("5\rhello\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("5\r\r\nhello\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("5;x\nhello\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("5;x=y\nhello\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("5;x=\"y\"\nhello\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("\r\n5\r\nhello\r\n0\r\n\r\n"), "chunk.size.invalid");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n0\n\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n0\r\n\n"), "trailer.invalid");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n0\r\n\rX"), "trailer.invalid");
}

TEST(Rfc9112Section7_1, DataIsFollowedByCrlf) {
  EXPECT_EQ(ReadVerdict("5\r\nhello0\r\n\r\n"), "chunk.data.line_end");
  EXPECT_EQ(ReadVerdict("5\r\nhello!\r\n0\r\n\r\n"), "chunk.data.line_end");
  EXPECT_EQ(ReadVerdict("5\r\nhello\n0\r\n\r\n"), "chunk.data.line_end");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r0\r\n\r\n"), "chunk.data.line_end");
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\r\n0\r\n\r\n"), "chunk.data.line_end");
  EXPECT_EQ(ReadVerdict("4\r\nhello\r\n0\r\n\r\n"), "chunk.data.line_end");
  EXPECT_EQ(ReadVerdict("6\r\nhello\r\n0\r\n\r\n"), "chunk.data.line_end");
  // Two CRLFs where one is due.
  EXPECT_EQ(ReadVerdict("5\r\nhello\r\n\r\n0\r\n\r\n"), "chunk.size.invalid");
}

TEST(Rfc9112Section7_1, OffsetsOfRefusalsCountTheWholeBody) {
  EXPECT_EQ(Read("5\r\nhello\r\n5\r\nworld!").refusal, (Refusal{Reason::kChunkDataEnd, 18}));
  EXPECT_EQ(Read("x").refusal, (Refusal{Reason::kChunkSizeInvalid, 0}));
}

// ---- RFC 9112 7.1.1 ----

TEST(Rfc9112Section7_1_1, ExtensionsAreCheckedAndDropped) {
  for (const char* extension : {";a", ";a=b", ";a=\"b\"", ";a;b;c", ";a=b;c=\"d;e\";f", " ;a",
                                "\t; \ta", "; a = b", ";a =\t\"b\"", ";a=\"\\\"\\\\\"",
                                ";a=\"\t \x80\xff\"", ";a=\"\"", ";!#$%&'*+-.^_`|~=~", ";a ;b"}) {
    const BodyOutcome outcome = Read("5" + std::string(extension) + "\r\nhello\r\n0\r\n\r\n");
    EXPECT_EQ(Verdict(outcome), "ok") << extension;
    EXPECT_EQ(outcome.data, "hello") << extension;
    EXPECT_EQ(ReadVerdict("0" + std::string(extension) + "\r\n\r\n"), "ok") << extension;
  }
}

TEST(Rfc9112Section7_1_1, MalformedExtensionsAreRefused) {
  const std::vector<std::string> extensions = {
      ";",           ";;a",
      ";=b",         ";a=",
      ";a==b",       ";a=b=c",
      ";a b",        "; ",
      ";a=\"b",      ";a=\"b\"c",
      ";a=b ",       ";a ",
      ";a=\"b\" ",   ";a=\"b\rc\"",
      ";a=\"b\nc\"", ";a=\"\\\n\"",
      ";a\x7f",      ";a=\x01",
      ";a,b",        ";a:b",
      ";a=b\"c\"",   ";\xc3\xa4",
      " a",          " 5",
      ";a=\"\x7f\"", std::string(";a=\"\0\"", 6),
      ";a\r;b",      ";a=\"b\"\"c\"",
      ";a=(b)",
  };
  for (const std::string& extension : extensions) {
    const std::string verdict = ReadVerdict("5" + extension + "\r\nhello\r\n0\r\n\r\n");
    EXPECT_TRUE(verdict == "chunk.extension.invalid" || verdict == "chunk.size.line_end")
        << testing::PrintToString(extension) << ": " << verdict;
  }
}

TEST(Rfc9112Section7_1_1, ALineFeedInAnExtensionIsNotTheEndOfALine) {
  // TERM.EXT and EXT.TERM: two recipients that disagree on the line end see different chunks.
  EXPECT_EQ(ReadVerdict("2;\nxx\r\n4c\r\n0\r\n\r\n"), "chunk.extension.invalid");
  EXPECT_EQ(ReadVerdict("2;x\nxx\r\n4c\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("2\nxx\r\n0\r\n\r\n"), "chunk.size.line_end");
  EXPECT_EQ(ReadVerdict("2;\rxx\r\n0\r\n\r\n"), "chunk.extension.invalid");
}

TEST(Rfc9112Section7_1_1, ExtensionBytesOfAChunkAreBounded) {
  ValidationPolicy policy;
  policy.chunk_extension_bytes_max = 10;
  EXPECT_EQ(ReadVerdict("1;" + std::string(9, 'a') + "\r\nx\r\n0\r\n\r\n", policy), "ok");
  EXPECT_EQ(ReadVerdict("1;" + std::string(10, 'a') + "\r\nx\r\n0\r\n\r\n", policy),
            "chunk.extension.too_long");
  EXPECT_EQ(ReadVerdict("1" + std::string(100, ' '), policy), "chunk.extension.too_long");
  EXPECT_EQ(ReadVerdict("1;" + std::string(100000, 'a')), "chunk.extension.too_long");
}

TEST(Rfc9112Section7_1_1, ExtensionBytesOfABodyAreBounded) {
  ValidationPolicy policy;
  policy.chunk_extensions_bytes_max = 100;
  std::string body;
  for (int i = 0; i < 50; ++i) body += "1;a\r\nx\r\n";
  EXPECT_EQ(ReadVerdict(body + "0\r\n\r\n", policy), "ok");
  EXPECT_EQ(ReadVerdict(body + "1;a\r\nx\r\n0\r\n\r\n", policy), "chunk.extension.too_long");
}

// ---- RFC 9112 7.1.2 ----

TEST(Rfc9112Section7_1_2, TrailersAreKeptApartAsCanonicalLines) {
  const BodyOutcome outcome =
      Read("5\r\nhello\r\n0\r\nX-Sum:  \tabc \t\r\nGrpc-Status:0\r\nX-Empty:\r\n\r\n");
  EXPECT_EQ(outcome.data, "hello");
  EXPECT_EQ(outcome.trailers, "X-Sum: abc\r\nGrpc-Status: 0\r\nX-Empty:\r\n");
}

TEST(Rfc9112Section7_1_2, FramingAndRoutingFieldsAreRefusedAsTrailers) {
  for (const char* name : {"Transfer-Encoding", "content-length", "Host", "Trailer", "TE",
                           "Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Expect",
                           "Max-Forwards", "X-Forwarded-For", "X-Forwarded-Proto",
                           "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded", "HTTP2-Settings"}) {
    EXPECT_EQ(ReadVerdict("0\r\n" + std::string(name) + ": x\r\n\r\n"), "trailer.forbidden")
        << name;
    EXPECT_EQ(ReadVerdict("0\r\n" + std::string(name) + ":\r\n\r\n"), "trailer.forbidden") << name;
  }
}

TEST(Rfc9110Section6_5_1, AuthenticationFieldsAreRefusedAsTrailers) {
  for (const char* name : {"Authorization", "Cookie", "Proxy-Authorization"}) {
    EXPECT_EQ(ReadVerdict("0\r\n" + std::string(name) + ": x\r\n\r\n"), "trailer.forbidden")
        << name;
  }
}

TEST(Rfc9110Section6_5_1, FieldsThatDescribeTheContentAreDroppedFromTrailers) {
  for (const char* name :
       {"Content-Type", "Content-Encoding", "Content-Range", "Cache-Control", "Set-Cookie",
        "Location", "Date", "Vary", "If-Match", "Via", "X-Request-Id", "X_Underscore"}) {
    const BodyOutcome outcome =
        Read("0\r\nX-A: 1\r\n" + std::string(name) + ": x\r\nX-B: 2\r\n\r\n");
    EXPECT_EQ(Verdict(outcome), "ok") << name;
    EXPECT_EQ(outcome.trailers, "X-A: 1\r\nX-B: 2\r\n") << name;
  }
}

TEST(Rfc9112Section7_1_2, TrailerLinesAreAsStrictAsFieldLines) {
  const std::vector<std::string> lines = {
      " X: y",
      "\tX: y",
      "X : y",
      "X\t: y",
      ": y",
      "X",
      "X: a\rb",
      "X: a\nb",
      "X\n: y",
      "X: a\x7f",
      "X: a\x01",
      "X(: y",
      std::string("X: a\0b", 6),
      "X: y\r\n z",
      "X: y\n",
      "X:\n",
  };
  for (const std::string& line : lines) {
    EXPECT_EQ(ReadVerdict("0\r\n" + line + "\r\n\r\n"), "trailer.invalid")
        << testing::PrintToString(line);
  }
  EXPECT_EQ(Read("0\r\nX: \x80\xff\ty\r\n\r\n").trailers, "X: \x80\xff\ty\r\n");
}

TEST(Rfc9112Section7_1_2, TrailerBytesAreBounded) {
  ValidationPolicy policy;
  policy.trailer_bytes_max = 20;
  const auto body = [](size_t size) {
    return "0\r\nX: " + std::string(size - 5, 'y') + "\r\n\r\n";
  };
  EXPECT_EQ(ReadVerdict(body(20), policy), "ok");
  EXPECT_EQ(ReadVerdict(body(21), policy), "trailer.too_large");
  EXPECT_EQ(ReadVerdict("0\r\nX:" + std::string(100000, ' ')), "trailer.too_large");
}

TEST(Rfc9112Section7_1_2, TheNumberOfTrailersIsBounded) {
  ValidationPolicy policy;
  policy.trailer_fields_max = 2;
  EXPECT_EQ(ReadVerdict("0\r\nA: 1\r\nB: 2\r\n\r\n", policy), "ok");
  EXPECT_EQ(ReadVerdict("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", policy), "trailer.too_many");
  std::string endless = "0\r\n";
  for (int i = 0; i < 10000; ++i) endless += "A:\r\n";
  EXPECT_EQ(ReadVerdict(endless), "trailer.too_many");
}

TEST(Rfc9112Section7_1_2, TrailersThatDoNotFitTheLentBlockAreRefused) {
  const auto read = [](size_t block) {
    return Verdict(ReadBody("0\r\nX: y\r\nZ:w\r\n\r\n", BodyFraming::kChunked, 0, {}, block));
  };
  EXPECT_EQ(read(12), "ok");  // "X: y\r\nZ: w\r\n"
  for (size_t block = 1; block < 12; ++block) EXPECT_EQ(read(block), "trailer.too_large") << block;
}

TEST(Rfc9112Section7_1_2, WithoutABlockTrailersAreCheckedAndDropped) {
  const auto read = [](std::string_view trailers) {
    return ReadBody("0\r\n" + std::string(trailers) + "\r\n", BodyFraming::kChunked, 0, {}, 0);
  };
  const BodyOutcome outcome =
      read("X-Long-Name-That-No-Scratch-Space-Would-Hold-In-Full: value\r\n");
  EXPECT_EQ(Verdict(outcome), "ok");
  EXPECT_EQ(outcome.trailers, "");
  EXPECT_EQ(Verdict(read("Host: x\r\n")), "trailer.forbidden");
  EXPECT_EQ(Verdict(read("X-Forwarded-Something-Of-A-Length-Beyond-Scratch: x\r\n")),
            "trailer.forbidden");
  EXPECT_EQ(Verdict(read("X: a\rb\r\n")), "trailer.invalid");
}

TEST(Rfc9110Section5_1, UnderscoresInTrailerNamesFollowThePolicy) {
  ValidationPolicy policy;
  policy.underscore_names = UnderscoreNames::kRefuse;
  EXPECT_EQ(ReadVerdict("0\r\nA_B: c\r\n\r\n", policy), "trailer.forbidden");
  policy.underscore_names = UnderscoreNames::kPass;
  EXPECT_EQ(Read("0\r\nA_B: c\r\n\r\n", policy).trailers, "A_B: c\r\n");
}

// ---- the writer ----

std::string Header(uint64_t size, bool first) {
  std::array<char, kChunkHeaderBytesMax> out;
  return std::string(out.data(), WriteChunkHeader(out.data(), size, first));
}

TEST(WriteChunkHeader, EndsThePreviousChunkUnlessThereIsNone) {
  EXPECT_EQ(Header(5, true), "5\r\n");
  EXPECT_EQ(Header(5, false), "\r\n5\r\n");
  EXPECT_EQ(Header(0, true), "0\r\n");
  EXPECT_EQ(Header(0, false), "\r\n0\r\n");
}

TEST(WriteChunkHeader, WritesTheCanonicalSizeOfAnyNumber) {
  EXPECT_EQ(Header(0xf, true), "f\r\n");
  EXPECT_EQ(Header(0x10, true), "10\r\n");
  EXPECT_EQ(Header(65536, true), "10000\r\n");
  EXPECT_EQ(Header(0xffffffffffffffff, false), "\r\nffffffffffffffff\r\n");
  EXPECT_EQ(Header(0xffffffffffffffff, false).size(), kChunkHeaderBytesMax);
}

TEST(WriteChunkHeader, WhatIsWrittenIsRead) {
  std::string body;
  std::string data;
  for (size_t size : {1u, 9u, 15u, 16u, 17u, 255u, 256u, 1000u}) {
    body += Header(size, body.empty()) + std::string(size, 'x');
    data += std::string(size, 'x');
  }
  body += Header(0, false) + "X: y\r\n\r\n";
  const BodyOutcome outcome = Read(body);
  EXPECT_EQ(Verdict(outcome), "ok");
  EXPECT_EQ(outcome.data, data);
  EXPECT_EQ(outcome.trailers, "X: y\r\n");
}

}  // namespace
}  // namespace edge::http
