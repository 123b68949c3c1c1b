#include "proxy/access_log.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace edge::proxy {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  AppendJsonEscaped(out, text);
  return out;
}

// Keeps what it is given until the test lets it go.
class HoldingSink final : public LogSink {
 public:
  void Submit(LogBatch* batch) override { held.push_back(batch); }
  void GiveBack() {
    for (LogBatch* batch : held) batch->home->Push(batch);
    held.clear();
  }
  std::vector<LogBatch*> held;
};

TEST(JsonEscapeTest, QuotesControlsAndBytesThatAreNoUtf8AreEscaped) {
  EXPECT_EQ(Escaped("plain /path?x=1"), "plain /path?x=1");
  EXPECT_EQ(Escaped("a\"b\\c"), "a\\\"b\\\\c");
  EXPECT_EQ(Escaped(std::string_view("\x01\n\x7f\0", 4)), "\\u0001\\u000a\\u007f\\u0000");
  EXPECT_EQ(Escaped("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
  // Overlong, surrogate, cut short, a lone continuation, beyond U+10FFFF.
  EXPECT_EQ(Escaped("\xc0\xaf"), "\\u00c0\\u00af");
  EXPECT_EQ(Escaped("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080");
  EXPECT_EQ(Escaped("\xe2\x82"), "\\u00e2\\u0082");
  EXPECT_EQ(Escaped("\x80"), "\\u0080");
  EXPECT_EQ(Escaped("\xf5\x80\x80\x80"), "\\u00f5\\u0080\\u0080\\u0080");
}

TEST(AccessLogBufferTest, LinesAreGatheredAndHandedOverWhenFlushed) {
  HoldingSink sink;
  AccessLogBuffer buffer(&sink);
  for (int i = 0; i < 3; ++i) {
    std::string* line = buffer.BeginLine();
    ASSERT_NE(line, nullptr);
    line->append("line\n");
    buffer.EndLine();
  }
  EXPECT_TRUE(sink.held.empty());
  buffer.Flush();
  ASSERT_EQ(sink.held.size(), 1u);
  EXPECT_EQ(sink.held[0]->text, "line\nline\nline\n");
}

TEST(AccessLogBufferTest, WithoutAFreeBatchLinesAreDroppedUntilOneComesBack) {
  HoldingSink sink;
  AccessLogBuffer buffer(&sink);
  const std::string long_line(LogBatch::kLineBytesMax, 'x');
  int lines = 0;
  while (std::string* line = buffer.BeginLine()) {
    line->append(long_line);
    buffer.EndLine();
    ASSERT_LT(++lines, 1000);
  }
  EXPECT_EQ(sink.held.size(), static_cast<size_t>(AccessLogBuffer::kBatches));
  for (const LogBatch* batch : sink.held) EXPECT_LE(batch->text.size(), LogBatch::kBytes);
  sink.GiveBack();
  EXPECT_NE(buffer.BeginLine(), nullptr);
}

}  // namespace
}  // namespace edge::proxy
