#include "http/message_head.h"

#include <array>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "http/parser.h"

namespace edge::http {
namespace {

constexpr std::string_view kRequest =
    "GET /p?q HTTP/1.1\r\n"
    "Host: a\r\n"
    "Accept: x\r\n"
    "accept:\ty \r\n"
    "X-Custom: z\r\n"
    "\r\n";

class MessageHeadTest : public testing::Test {
 protected:
  void Parse(std::string_view bytes) {
    head_.Bind(block_);
    parser_.Start(&head_);
    ASSERT_EQ(parser_.Feed(bytes).status, HeadStatus::kComplete);
  }

  const ValidationPolicy policy_;
  RequestParser parser_{&policy_};
  RequestHead head_;
  std::array<char, 1024> block_;
};

TEST_F(MessageHeadTest, FieldsKeepTheirOrderNamesAndTrimmedValues) {
  Parse(kRequest);
  ASSERT_EQ(head_.size(), 4u);
  EXPECT_EQ(head_.id(0), FieldId::kHost);
  EXPECT_EQ(head_.name(1), "Accept");
  EXPECT_EQ(head_.name(2), "accept");
  EXPECT_EQ(head_.value(2), "y");
  EXPECT_EQ(head_.id(3), FieldId::kOther);
  EXPECT_EQ(head_.value(3), "z");
  EXPECT_EQ(head_.bytes(), kRequest.size());
}

TEST_F(MessageHeadTest, FieldsAreFoundByIdAndByName) {
  Parse(kRequest);
  EXPECT_EQ(head_.Find(FieldId::kAccept), "x");
  EXPECT_EQ(head_.Count(FieldId::kAccept), 2u);
  EXPECT_TRUE(head_.Repeats(FieldId::kAccept));
  EXPECT_EQ(head_.Count(FieldId::kHost), 1u);
  EXPECT_FALSE(head_.Repeats(FieldId::kHost));
  EXPECT_EQ(head_.Count(FieldId::kCookie), 0u);
  EXPECT_EQ(head_.Find(FieldId::kCookie), std::nullopt);
  EXPECT_EQ(head_.Find("x-custom"), "z");
  EXPECT_EQ(head_.Find("X-CUSTOM"), "z");
  EXPECT_EQ(head_.Find("x-other"), std::nullopt);
}

TEST_F(MessageHeadTest, RebindMovesACompleteHead) {
  Parse(kRequest);
  std::string larger(4096, '\0');
  head_.Rebind(larger);
  block_.fill('#');
  EXPECT_EQ(head_.Find(FieldId::kAccept), "x");
  EXPECT_EQ(head_.target(), "/p?q");
  EXPECT_EQ(head_.host(), "a");
  EXPECT_EQ(head_.block_size(), 4096u);
}

TEST_F(MessageHeadTest, BindAndClearEmptyIt) {
  Parse(kRequest);
  head_.Clear();
  EXPECT_EQ(head_.size(), 0u);
  EXPECT_EQ(head_.bytes(), 0u);
  EXPECT_FALSE(head_.Has(FieldId::kHost));
  Parse(kRequest);
  head_.Bind(block_);
  EXPECT_EQ(head_.size(), 0u);
  EXPECT_FALSE(head_.Repeats(FieldId::kAccept));
}

TEST_F(MessageHeadTest, ABlockMustNotBeLargerThanOffsetsReach) {
  const std::unique_ptr<char[]> block(new char[70000]);
  EXPECT_DEATH(head_.Bind({block.get(), 65536}), "");
  head_.Bind({block.get(), 65535});
}

TEST_F(MessageHeadTest, PathAndQueryAreParts) {
  Parse("GET /p/q?r=s?t HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(head_.path(), "/p/q");
  EXPECT_EQ(head_.query(), "r=s?t");
  Parse("GET /p? HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(head_.path(), "/p");
  EXPECT_EQ(head_.query(), "");
  Parse("GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(head_.query(), "");
}

}  // namespace
}  // namespace edge::http
