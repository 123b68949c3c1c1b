// Bodies of every framing: where they end, and whether a close leaves them complete (RFC 9112 6.3
// and 8).

#include "http/framing.h"

#include "gtest/gtest.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

TEST(Rfc9112Section6_3, NoFramingIsNoBody) {
  const BodyOutcome outcome = ReadBody("GET /", BodyFraming::kNone);
  EXPECT_EQ(outcome.event, BodyEvent::kEnd);
  EXPECT_EQ(outcome.consumed, 0u);
  EXPECT_TRUE(ReadBody("", BodyFraming::kNone).complete_at_eof);
}

TEST(Rfc9112Section6_3, ALengthIsTheWholeBodyAndNoByteMore) {
  const BodyOutcome outcome = ReadBody("hello, GET /", BodyFraming::kLength, 7);
  EXPECT_EQ(outcome.event, BodyEvent::kEnd);
  EXPECT_EQ(outcome.data, "hello, ");
  EXPECT_EQ(outcome.consumed, 7u);
}

TEST(Rfc9112Section6_3, ALengthOf0IsCompleteAtOnce) {
  BodyReader reader;
  const ValidationPolicy policy;
  reader.Start(BodyFraming::kLength, 0, &policy);
  EXPECT_TRUE(reader.complete());
  EXPECT_EQ(reader.Next("x").event, BodyEvent::kEnd);
}

TEST(Rfc9112Section8, ABodyShorterThanItsLengthIsNotComplete) {
  const BodyOutcome outcome = ReadBody("hell", BodyFraming::kLength, 5);
  EXPECT_EQ(outcome.event, BodyEvent::kNeedMore);
  EXPECT_FALSE(outcome.complete_at_eof);
}

TEST(Rfc9112Section8, AChunkedBodyWithoutItsLastChunkIsNotComplete) {
  EXPECT_FALSE(ReadBody("5\r\nhello\r\n", BodyFraming::kChunked).complete_at_eof);
  EXPECT_FALSE(ReadBody("5\r\nhello\r\n0\r\n", BodyFraming::kChunked).complete_at_eof);
  EXPECT_TRUE(ReadBody("5\r\nhello\r\n0\r\n\r\n", BodyFraming::kChunked).complete_at_eof);
}

TEST(Rfc9112Section8, AChunkedBodyThatWasRefusedIsNotComplete) {
  EXPECT_FALSE(ReadBody("x\r\n", BodyFraming::kChunked).complete_at_eof);
}

TEST(Rfc9112Section8, ABodyUntilCloseIsCompleteWhenTheConnectionEnds) {
  const BodyOutcome outcome = ReadBody("whatever", BodyFraming::kUntilClose);
  EXPECT_EQ(outcome.event, BodyEvent::kNeedMore);
  EXPECT_EQ(outcome.data, "whatever");
  EXPECT_TRUE(outcome.complete_at_eof);
}

TEST(BodyReader, TellsWhatIsStillToCome) {
  BodyReader reader;
  const ValidationPolicy policy;
  reader.Start(BodyFraming::kLength, 10, &policy);
  EXPECT_EQ(reader.remaining(), 10u);
  EXPECT_EQ(reader.Next("abc").data, "abc");
  EXPECT_EQ(reader.remaining(), 7u);
  EXPECT_FALSE(reader.complete());
  EXPECT_EQ(reader.Next("0123456789").data, "0123456");
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_TRUE(reader.complete());

  reader.Start(BodyFraming::kChunked, 0, &policy);
  EXPECT_EQ(reader.Next("a\r\n0123").data, "0123");
  EXPECT_EQ(reader.remaining(), 6u);
}

TEST(BodyReader, AsksForMoreWhenThereIsNothing) {
  BodyReader reader;
  const ValidationPolicy policy;
  reader.Start(BodyFraming::kLength, 5, &policy);
  EXPECT_EQ(reader.Next("").event, BodyEvent::kNeedMore);
  reader.Start(BodyFraming::kUntilClose, 0, &policy);
  EXPECT_EQ(reader.Next("").event, BodyEvent::kNeedMore);
  reader.Start(BodyFraming::kChunked, 0, &policy);
  EXPECT_EQ(reader.Next("").event, BodyEvent::kNeedMore);
}

TEST(BodyReader, SaysEndAgainWhenAskedAgain) {
  BodyReader reader;
  const ValidationPolicy policy;
  reader.Start(BodyFraming::kChunked, 0, &policy);
  EXPECT_EQ(reader.Next("0\r\n\r\nrest").event, BodyEvent::kEnd);
  const BodyStep again = reader.Next("rest");
  EXPECT_EQ(again.event, BodyEvent::kEnd);
  EXPECT_EQ(again.consumed, 0u);
}

TEST(BodyReader, NothingOfOneBodyIsLeftInTheNext) {
  BodyReader reader;
  const ValidationPolicy policy;
  std::string block(100, '\0');
  reader.Start(BodyFraming::kChunked, 0, &policy, block);
  EXPECT_EQ(reader.Next("0\r\nX: y\r\n\r\n").event, BodyEvent::kEnd);
  EXPECT_EQ(reader.trailers(), "X: y\r\n");
  reader.Start(BodyFraming::kChunked, 0, &policy, block);
  EXPECT_EQ(reader.trailers(), "");
  EXPECT_EQ(reader.Next("z").event, BodyEvent::kRefused);
  EXPECT_TRUE(reader.refusal());
  reader.Start(BodyFraming::kLength, 3, &policy, block);
  EXPECT_FALSE(reader.refusal());
  EXPECT_EQ(reader.trailers(), "");
}

}  // namespace
}  // namespace edge::http
