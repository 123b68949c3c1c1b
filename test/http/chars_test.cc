#include "http/chars.h"

#include <string>

#include "gtest/gtest.h"
#include "http/list.h"

namespace edge::http {
namespace {

TEST(Chars, TokensAreThoseOfRfc9110Section5_6_2) {
  const std::string_view others = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool letter_or_digit =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    EXPECT_EQ(IsChar(byte, kCharToken),
              letter_or_digit || others.find(byte) != std::string_view::npos)
        << c;
  }
}

TEST(Chars, FindControlStopsAtEveryControlAndAtNothingElse) {
  // At every position of a buffer, so that both the wide steps and the rest behind them are met.
  for (size_t at = 0; at < 40; ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string bytes(40, 'x');
      bytes[at] = static_cast<char>(c);
      const bool control = c < 0x20 || c == 0x7f;
      EXPECT_EQ(FindControl(bytes.data(), 0, bytes.size()), control ? at : 40) << c;
    }
  }
}

TEST(Chars, FindControlFindsTheFirstFromWhereItStarts) {
  const std::string bytes = "\raaaaaaaaaaaaaaaaaaaa\n\t";
  EXPECT_EQ(FindControl(bytes.data(), 0, bytes.size()), 0u);
  EXPECT_EQ(FindControl(bytes.data(), 1, bytes.size()), 21u);
  EXPECT_EQ(FindControl(bytes.data(), 22, bytes.size()), 22u);
  EXPECT_EQ(FindControl(bytes.data(), 1, 10), 10u);
  EXPECT_EQ(FindControl(bytes.data(), 5, 5), 5u);
}

TEST(Chars, HexDigitsHaveTheirValues) {
  EXPECT_EQ(HexValue('0'), 0u);
  EXPECT_EQ(HexValue('9'), 9u);
  EXPECT_EQ(HexValue('a'), 10u);
  EXPECT_EQ(HexValue('F'), 15u);
}

TEST(Chars, OnlySpacesAndTabsAreTrimmed) {
  EXPECT_EQ(TrimSpace(" \t a b \t"), "a b");
  EXPECT_EQ(TrimSpace("\x0b"
                      "a"),
            "\x0b"
            "a");
  EXPECT_EQ(TrimSpace(" \t "), "");
}

std::string Members(std::string_view value) {
  std::string out;
  ListReader list(value);
  for (std::string_view member; list.Next(&member);) out += std::string(member) + "|";
  return out;
}

TEST(Rfc9110Section5_6_1, EmptyMembersOfListsAreSkipped) {
  EXPECT_EQ(Members("a, b ,\tc"), "a|b|c|");
  EXPECT_EQ(Members(",, a ,,b,"), "a|b|");
  EXPECT_EQ(Members("a"), "a|");
  EXPECT_EQ(Members(""), "");
  EXPECT_EQ(Members(" , \t"), "");
  EXPECT_EQ(Members("a b, c"), "a b|c|");
}

}  // namespace
}  // namespace edge::http
