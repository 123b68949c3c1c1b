#include "proxy/waf/engine/regex_literals.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/regex.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RegexLiteralsTest, AreTheLongestTextsOfWhichOneMustBeThere) {
  EXPECT_THAT(RequiredLiterals("select"), ElementsAre("select"));
  EXPECT_THAT(RequiredLiterals("(?i)\\bSELECT\\s+.*?\\bfrom\\b"), ElementsAre("select"));
  EXPECT_THAT(RequiredLiterals("ab.*wxyz"), ElementsAre("wxyz"));
  EXPECT_THAT(RequiredLiterals("union|select"), ElementsAre("select", "union"));
  EXPECT_THAT(RequiredLiterals("n(?:and|ot)x"), ElementsAre("nandx", "notx"));
  EXPECT_THAT(RequiredLiterals("colou?r"), ElementsAre("color", "colour"));
  EXPECT_THAT(RequiredLiterals("[\"'`]\\s*or"), ElementsAre("or"));
  EXPECT_THAT(RequiredLiterals("[\"'`]\\s*\\d"), ElementsAre("\"", "'", "`"));
  EXPECT_THAT(RequiredLiterals("\\x41\\x2b\\t"), ElementsAre("a+\t"));
  EXPECT_THAT(RequiredLiterals("(?:abc)+d?"), ElementsAre("abc"));
  EXPECT_THAT(RequiredLiterals("(?:abc){2,3}"), ElementsAre("abc"));
  EXPECT_THAT(RequiredLiterals("x{y}{"), ElementsAre("x{y}{"));
  EXPECT_THAT(RequiredLiterals("(?<name>abcd)\\1"), ElementsAre("abcd"));
  EXPECT_THAT(RequiredLiterals("(?>abcd)++"), ElementsAre("abcd"));
  EXPECT_THAT(RequiredLiterals("[]a]xyz"), ElementsAre("]xyz", "axyz"));
  EXPECT_THAT(RequiredLiterals("[a-c\\-]xy"), ElementsAre("-xy", "axy", "bxy", "cxy"));
}

TEST(RegexLiteralsTest, SayNothingWhereNothingIsCertain) {
  for (const std::string_view pattern :
       {"", ".*", "^$", "abc|", "abc|.", "(?:abc)*", "(?:abc){0,2}", "[^a]", "\\w+", "(?=abc)",
        "(?!abc)", "(?<=abc)", "(?<!abc)x?", "a", "a|bcd", "[a-z]", "[[:alpha:]]"}) {
    EXPECT_THAT(RequiredLiterals(pattern), IsEmpty()) << pattern;
  }
}

// What it does not read it says nothing of, however much there is besides.
TEST(RegexLiteralsTest, SayNothingOfWhatIsNotUnderstood) {
  for (const std::string_view pattern :
       {"(?x)a b c d", "abcd\\Qx\\E", "abcd\\K", "(*UTF8)abcd", "(a)?(?(1)bcd|efg)", "abcd(?R)?",
        "abcd(?1)", "abcd\\p{L}", "abcd\\x{41}", "abcd\\cA", "abcd\\g1", "abcd{,5}", "abcd{2 }",
        "abcd(", "abcd)", "abcd[", "abcd\\", "(?#abcd)efgh"}) {
    EXPECT_THAT(RequiredLiterals(pattern), IsEmpty()) << pattern;
  }
}

TEST(RegexLiteralsTest, DeepAndLongExpressionsEnd) {
  EXPECT_THAT(RequiredLiterals(std::string(100'000, '(')), IsEmpty());
  EXPECT_THAT(RequiredLiterals(std::string(1000, '(') + "abcd" + std::string(1000, ')')),
              IsEmpty());
  std::string alternatives = "a0000";
  for (int i = 1; i < 2000; ++i) absl::StrAppend(&alternatives, "|a", 1000 + i);
  EXPECT_THAT(RequiredLiterals(alternatives), IsEmpty());
  EXPECT_EQ(RequiredLiterals(std::string(100'000, 'a')).size(), 1U);
}

std::string CrsFolder() { return absl::StrCat(std::getenv("TEST_SRCDIR"), "/crs/"); }

// Lines of the files with the Core Rule Set's own cases: what attacks look like.
std::set<std::string> Corpus() {
  std::set<std::string> lines;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(CrsFolder() + "tests/regression/tests")) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      lines.emplace(absl::StripAsciiWhitespace(line));
    }
  }
  return lines;
}

TEST(RegexLiteralsTest, AreInEveryMatchOfTheCoreRuleSet) {
  const auto items = ParseRuleFiles({CrsFolder() + "rules/*.conf"});
  ASSERT_TRUE(items.ok()) << items.status();
  const std::set<std::string> corpus = Corpus();
  EXPECT_GT(corpus.size(), 1000U);
  RegexScratch scratch;
  size_t matches = 0;
  size_t expressions = 0;
  for (const SourceItem& item : *items) {
    const auto* rule = std::get_if<RuleSource>(&item);
    if (rule == nullptr || rule->operator_name != "rx") continue;
    const std::vector<std::string> literals = RequiredLiterals(rule->operator_argument);
    if (literals.empty()) continue;
    ++expressions;
    const auto regex = Regex::Compile(rule->operator_argument);
    ASSERT_TRUE(regex.ok()) << regex.status();
    for (const std::string& value : corpus) {
      size_t groups = 0;
      if ((*regex)->Find(value, 0, scratch, groups) != Regex::Result::kMatch) continue;
      ++matches;
      const std::string lower = absl::AsciiStrToLower(value);
      const bool found =
          std::any_of(literals.begin(), literals.end(),
                      [&](const std::string& text) { return absl::StrContains(lower, text); });
      ASSERT_TRUE(found) << rule->operator_argument << "\n" << value;
    }
  }
  EXPECT_GT(expressions, 200U);
  EXPECT_GT(matches, 1000U);
}

}  // namespace
}  // namespace edge::waf
