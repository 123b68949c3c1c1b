// Urlencoded forms. The other formats have tests of their own.

#include "proxy/waf/engine/request_body.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace edge::waf {
namespace {

class UrlEncodedTest : public testing::Test {
 protected:
  // "name=value" a line.
  std::string Parse(std::string_view body, char separator = '&') {
    parsed_.Clear();
    arena_.Clear();
    ParseUrlEncoded(body, separator, limits_, arena_, parsed_);
    std::string lines;
    for (const Argument& argument : parsed_.arguments) {
      absl::StrAppend(&lines, argument.name, "=", argument.value, "\n");
    }
    return lines;
  }

  BodyLimits limits_;
  TextArena arena_;
  ParsedBody parsed_;
};

TEST_F(UrlEncodedTest, PairsAreSplitAtTheFirstEqualsSign) {
  EXPECT_EQ(Parse("a=1&b=2=3&c"), "a=1\nb=2=3\nc=\n");
}

TEST_F(UrlEncodedTest, NameAndValueAreDecodedOnce) {
  EXPECT_EQ(Parse("%61+b=%3Cscript%3e+%2526"), "a b=<script> %26\n");
  EXPECT_FALSE(parsed_.url_encoding_error);
}

TEST_F(UrlEncodedTest, DecodingComesAfterSplitting) {
  EXPECT_EQ(Parse("a%3Db%26c=%26d%3D1"), "a=b&c=&d=1\n");
}

TEST_F(UrlEncodedTest, EmptyPairsCountButNotOneAtTheEnd) {
  EXPECT_EQ(Parse("a=1&&b=2&"), "a=1\n=\nb=2\n");
  EXPECT_EQ(Parse("&"), "=\n");
  EXPECT_EQ(Parse("="), "=\n");
  EXPECT_EQ(Parse("=1"), "=1\n");
  EXPECT_EQ(Parse(""), "");
}

TEST_F(UrlEncodedTest, WhatIsNoEscapeStaysAndIsNoticed) {
  for (const std::string_view value : {"%", "%4", "%zz", "%4g", "100%", "%%41"}) {
    EXPECT_EQ(Parse(absl::StrCat("a=", value)),
              absl::StrCat("a=", value == "%%41" ? "%A" : value, "\n"));
    EXPECT_TRUE(parsed_.url_encoding_error) << value;
    Parse(absl::StrCat(value, "=1"));
    EXPECT_TRUE(parsed_.url_encoding_error) << value;
  }
}

TEST_F(UrlEncodedTest, NulAndHighBytesAreKept) {
  EXPECT_EQ(Parse("a=%00b%ff"), std::string("a=\0b\xff\n", 6));
}

TEST_F(UrlEncodedTest, AnotherSeparatorReplacesTheAmpersand) {
  EXPECT_EQ(Parse("a=1&2;b=3", ';'), "a=1&2\nb=3\n");
}

TEST_F(UrlEncodedTest, ArgumentsPastTheLimitAreLeftOut) {
  limits_.arguments_max = 2;
  EXPECT_EQ(Parse("a=1&b=2"), "a=1\nb=2\n");
  EXPECT_FALSE(parsed_.arguments_limit_exceeded);
  EXPECT_EQ(Parse("a=1&b=2&c=3"), "a=1\nb=2\n");
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);
}

TEST_F(UrlEncodedTest, PlainTextsAreViewsOfTheBody) {
  const std::string body = "name=value%20x&other=plain";
  Parse(body);
  ASSERT_EQ(parsed_.arguments.size(), 2);
  EXPECT_EQ(parsed_.arguments[0].name.data(), body.data());
  EXPECT_EQ(parsed_.arguments[1].value.data(), body.data() + body.find("plain"));
}

TEST_F(UrlEncodedTest, HugeBodyOfSeparatorsIsBounded) {
  Parse(std::string(1 << 20, '&'));
  EXPECT_EQ(parsed_.arguments.size(), limits_.arguments_max);
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);
}

TEST_F(UrlEncodedTest, ClearForgetsEverything) {
  limits_.arguments_max = 1;
  Parse("a=%&b=1");
  EXPECT_TRUE(parsed_.url_encoding_error && parsed_.arguments_limit_exceeded);
  EXPECT_EQ(Parse("a=1"), "a=1\n");
  EXPECT_FALSE(parsed_.url_encoding_error || parsed_.arguments_limit_exceeded);
}

}  // namespace
}  // namespace edge::waf
