#include "proxy/waf/engine/xml_path.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace edge::waf {
namespace {

constexpr std::string_view kDocument =
    "<shop id='s'><book id='1' lang='en'><title>A</title><price>10</price></book>"
    "<book id='2'><title>B<i>c</i></title><empty/></book>"
    "<n:box><book id='3'><title>D</title></book></n:box></shop>";

std::string Select(std::string_view expression, std::string_view document = kDocument) {
  const auto path = XmlPath::Parse(expression);
  if (!path.ok()) return std::string(path.status().message());
  TextArena arena;
  ParsedBody parsed;
  ParseXml(document, {}, arena, parsed);
  std::vector<std::string_view> values;
  path->Select(parsed, values);
  return absl::StrJoin(values, "|");
}

TEST(XmlPathTest, StepsNameChildren) {
  EXPECT_EQ(Select("/*"), "A10BcD");
  EXPECT_EQ(Select("/shop"), "A10BcD");
  EXPECT_EQ(Select("/shop/book"), "A10|Bc");
  EXPECT_EQ(Select("/shop/book/title"), "A|Bc");
  EXPECT_EQ(Select("/shop/*/title"), "A|Bc");
  EXPECT_EQ(Select("/book"), "");
  EXPECT_EQ(Select("/shop/n:box/book"), "D");
}

TEST(XmlPathTest, TwoSlashesNameWhatIsInsideInTheDocumentsOrder) {
  EXPECT_EQ(Select("//title"), "A|Bc|D");
  EXPECT_EQ(Select("//book//i"), "c");
  EXPECT_EQ(Select("/shop//title"), "A|Bc|D");
  EXPECT_EQ(Select("//*//book"), "A10|Bc|D");
  EXPECT_EQ(Select("//a//a", "<a>0<a>1<a>2</a></a></a>"), "12|2");
}

TEST(XmlPathTest, AttributesAreNamedWithAnAt) {
  EXPECT_EQ(Select("//@*"), "s|1|en|2|3");
  EXPECT_EQ(Select("//@id"), "s|1|2|3");
  EXPECT_EQ(Select("/shop/@id"), "s");
  EXPECT_EQ(Select("/shop/book/@id"), "1|2");
  EXPECT_EQ(Select("//book/@lang"), "en");
  EXPECT_EQ(Select("/shop/book//@*"), "1|en|2");
  EXPECT_EQ(Select("/@id"), "");
}

TEST(XmlPathTest, PredicatesChoose) {
  EXPECT_EQ(Select("//book[1]"), "A10|D");
  EXPECT_EQ(Select("/shop/book[2]/title"), "Bc");
  EXPECT_EQ(Select("/shop/book[@lang]"), "A10");
  EXPECT_EQ(Select("/shop/book[@id='2']/title"), "Bc");
  EXPECT_EQ(Select("/shop/book[@id = \"2\"][1]"), "Bc");
  EXPECT_EQ(Select("/shop/*[local-name()='box']"), "D");
  EXPECT_EQ(Select("//*[name()='n:box']"), "D");
  EXPECT_EQ(Select("//*[text()]"), "A|10|Bc|c|D");
  EXPECT_EQ(Select("//title/text()"), "A|Bc|D");
  EXPECT_EQ(Select("//*[@id=']']"), "");
}

TEST(XmlPathTest, WhatIsNotKnownIsAnError) {
  for (const std::string_view expression : {"",
                                            "/",
                                            "//",
                                            "shop",
                                            "/shop/",
                                            "/shop[",
                                            "/shop[]",
                                            "/shop[0]",
                                            "/shop[position()=1]",
                                            "/shop/@id/x",
                                            "/shop/text()/x",
                                            "/child::shop",
                                            "/..",
                                            "/.|//x",
                                            "count(/x)",
                                            "/shop x",
                                            "/shop[@id=1]",
                                            "/shop[@]",
                                            "/a|/b",
                                            "/shop[local-name()]",
                                            "/@"}) {
    EXPECT_TRUE(absl::StrContains(Select(expression), "expected")) << expression;
  }
  std::string many;
  for (int i = 0; i < 40; ++i) many += "/a";
  EXPECT_TRUE(absl::StrContains(Select(many), "expected"));
}

TEST(XmlPathTest, DocumentThatIsCutHasWhatItHas) {
  EXPECT_EQ(Select("/a/b", "<a><b>x</b><b>y"), "x|y");
  EXPECT_EQ(Select("/a", ""), "");
}

TEST(XmlPathTest, LargeDocumentsAreNotSearchedAgainAndAgain) {
  std::string document;
  for (int i = 0; i < 500; ++i) document += "<a>";
  for (int i = 0; i < 30000; ++i) document += "<b/>";
  for (int i = 0; i < 500; ++i) document += "</a>";
  const auto path = XmlPath::Parse("//a//a//a//a//a//*//b");
  ASSERT_TRUE(path.ok());
  TextArena arena;
  ParsedBody parsed;
  ParseXml(document, {}, arena, parsed);
  std::vector<std::string_view> values;
  path->Select(parsed, values);
  EXPECT_EQ(values.size(), 30000);
}

}  // namespace
}  // namespace edge::waf
