// The prefilter changes nothing but the time: whatever a request has, the same rules match with it
// and without; and what a regular expression is said to need is in all that it matches.

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/match_needs.h"
#include "proxy/waf/engine/operator.h"
#include "proxy/waf/engine/rule_compiler.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/seclang_parser.h"
#include "proxy/waf/engine/transaction.h"
#include "test/waf/engine_fixture.h"

namespace edge::waf {
namespace {

bool Has(std::string_view value, const MatchNeeds& needs) {
  const ByteMarks marks = MarksOf(value);
  if (needs.bytes != 0 && (marks & needs.bytes) == 0) return false;
  if (needs.literals.empty() && needs.or_bytes == 0) return true;
  if ((marks & needs.or_bytes) != 0) return true;
  const std::string lower = absl::AsciiStrToLower(value);
  for (const std::string& literal : needs.literals) {
    if (absl::StrContains(lower, literal)) return true;
  }
  return false;
}

std::string Shown(const MatchNeeds& needs) {
  std::string shown;
  for (unsigned c = 0; c < 128; ++c) {
    if ((needs.bytes & MarkOf(static_cast<char>(c))) != 0) shown += static_cast<char>(c);
  }
  shown += " ";
  for (unsigned c = 0; c < 128; ++c) {
    if ((needs.or_bytes & MarkOf(static_cast<char>(c))) != 0) shown += static_cast<char>(c);
  }
  for (const std::string& literal : needs.literals) absl::StrAppend(&shown, " ", literal);
  return shown;
}

TEST(MatchNeeds, FindsTheRarestPart) {
  // Bytes that are needed, bytes or literals of which one is.
  EXPECT_EQ(Shown(NeedsOfRegex("a*select.*from")), "  select");
  EXPECT_EQ(Shown(NeedsOfRegex("(?i)SELECT|union")), "  union select");
  EXPECT_EQ(Shown(NeedsOfRegex("<script[^>]*>")), "<  <script");
  EXPECT_EQ(Shown(NeedsOfRegex("wait(?:for)+")), "  waitfor");
  EXPECT_EQ(Shown(NeedsOfRegex("s(?:el|le)ect\\b")), "  select sleect");
  EXPECT_EQ(Shown(NeedsOfRegex("[;|]\\s*wget")), ";|  wget");
  EXPECT_EQ(Shown(NeedsOfRegex("(?=abcdef)x?y?")), " ");
  EXPECT_EQ(Shown(NeedsOfRegex("abcdef?")), "  abcde");
  EXPECT_EQ(Shown(NeedsOfRegex("abcd{0,3}")), "  abc");
  EXPECT_EQ(Shown(NeedsOfRegex("a(?:bcdef|)g")), "  ag abcdefg");
  EXPECT_EQ(Shown(NeedsOfRegex("\\x3cabc\\x{3e}")), "<  <abc>");
  EXPECT_EQ(Shown(NeedsOfRegex("^.*$")), " ");
}

TEST(MatchNeeds, SaysNothingOfWhatItDoesNotKnow) {
  for (const std::string_view expression :
       {"(?x)abcdef # abc", "\\Qabcdef\\E", "(?R)abcdef", "(?(1)abcdef|ghijkl)", "(*UTF)abcdef",
        "abcdef\\10", "abcdef[[:alpha:]]", "abcdef(", "abcdef)", "abcdef[", "abcdef\\",
        "(?#abcdef)", "abcdef{,3}x", "*abcdef"}) {
    EXPECT_FALSE(NeedsOfRegex(expression).known()) << expression;
  }
}

TEST(MatchNeeds, SaysNothingOfQuantifiersOfQuantifiers) {
  for (const std::string_view expression : {"a{2}{3}", "(?:abc){2}{0}", "ab+{2}x", "\\d+{0}x",
                                            "abcd+?{2}", "abc{1}*", "abc(?i){0}", "abc(?i)*"}) {
    EXPECT_FALSE(NeedsOfRegex(expression).known()) << expression;
  }
}

TEST(MatchNeeds, KnowsNamesFromAssertions) {
  EXPECT_EQ(Shown(NeedsOfRegex("(?<name_1>abcd)")), "  abcd");
  EXPECT_FALSE(NeedsOfRegex("(?<*a)|b(?:c>abcd)").known());
}

// Hyperscan takes no literal that begins with NUL.
TEST(MatchNeeds, NulIsNeverTheBeginningOfALiteral) {
  EXPECT_EQ(NeedsOfRegex("\\x00abcdef").or_bytes, MarkOf('\0'));
  EXPECT_TRUE(NeedsOfRegex("\\x00abcdef").literals.empty());
  EXPECT_FALSE(NeedsOfLiterals({std::string("\0abcdef", 7), "ghijkl"}).known());
}

TEST(MatchNeeds, OfManyLiteralsAreFoundSoonOrNotAtAll) {
  std::vector<std::string> literals;
  for (int i = 0; i < 10'000; ++i) literals.push_back(absl::StrCat("word", 10'000 + i));
  literals.back() = "ord1";  // which all others have
  EXPECT_EQ(Shown(NeedsOfLiterals(literals)), "  ord1");
  for (int i = 0; i < 90'000; ++i) literals.push_back(absl::StrCat("more", 100'000 + i));
  EXPECT_FALSE(NeedsOfLiterals(literals).known());
}

// Expressions and texts are of the same few pieces, so that they often match.
class Maker {
 public:
  explicit Maker(uint32_t seed) : random_(seed) {}

  // `rare`: with all that pcre2 knows, too, of which most has no needs.
  std::string Expression(int depth, bool rare) {
    std::string expression;
    for (uint32_t parts = 1 + Below(3); parts > 0; --parts) {
      if (rare && Below(3) == 0) {
        expression += Rare();
        continue;
      }
      switch (Below(depth > 0 ? 12 : 7)) {
        case 0:
        case 1:
        case 2:
          expression += Pick({"ab", "abc", "<", ";", "bca", "\\(", "C", "c-", "\\x41", "\\.\\."});
          break;
        case 3:
          expression += Pick({"[ab]", "[^a]", "[<;]", "\\s", "\\w", "[A-C]", ".", "[\\s;]", "\\W"});
          break;
        case 4:
          expression += Pick({"^", "$", "\\b", "(?=a)", "(?!b)"});
          break;
        case 5:
          expression += Pick({"a?", "b*", "c+", "a{1}{2}", "[ab]{2}{1}", "<{2}", "(?:ab){1,2}",
                              ";{0,1}", "[ab]+?"});
          break;
        case 6:
          expression += Pick({"(?i)", "(?:|c)", "(a|b)", "(?:abc|bca|;)", "(?:ab|<c)?"});
          break;
        default:
          absl::StrAppend(&expression, Pick({"(?:", "(?:", "(", "(?>", "(?|", "(?<n>", "(?i:"}),
                          Expression(depth - 1, rare), "|", Expression(depth - 1, rare), ")",
                          Pick({"", "", "?", "+", "*", "{2}", "*?", "++", "{0}"}));
      }
    }
    return expression;
  }

  std::string Text() {
    std::string text;
    for (uint32_t parts = Below(8); parts > 0; --parts) {
      text += Pick({"a", "b", "c",  "ab", "abc",  "bca", "<",    ";",    "(",  " ",   "A",
                    "C", "-", "..", "\n", "\r\n", "aaa", "\x85", "\xa0", "\t", "\x01"});
    }
    return text;
  }

  // With a quantifier, or some.
  std::string Rare() {
    if (Below(2) == 0) return absl::StrCat(Pick({"a", "ab", "[ab]", "(?:ab|c)"}), Quantifiers());
    const std::string rare = Pick({"abc",       "a",           "[ab]",
                                   "\\x{41}",   "\\x{041}",    "\\x{ 41 }",
                                   "\\x4",      "\\o{101}",    "\\101",
                                   "\\01",      "\\cA",        "\\N",
                                   "\\R",       "\\h",         "\\H",
                                   "\\v",       "\\V",         "\\X",
                                   "\\pL",      "\\P{Lu}",     "\\p{L}",
                                   "[\\h;]",    "[\\d-a]",     "[^\\S]",
                                   "[^\\W;]",   "[[:alpha:]]", "[[:^word:]]",
                                   "[]a]",      "[^]a]",       "[a-]",
                                   "[\\x41-C]", "[\\101]",     "[\\Qab\\E]",
                                   "[[.a.]]",   "\\Qab\\E",    "\\Qabc",
                                   "\\E",       "(?#abc)",     "\\b",
                                   "\\B",       "\\A",         "\\z",
                                   "\\Z",       "\\G",         "\\K",
                                   "\\1",       "\\g1",        "\\g{-1}",
                                   "\\k<n>",    "\\8",         "(?<n>ab)",
                                   "(?P<n>;)",  "(?'n'bc)",    "(?P=n)",
                                   "(?P>n)",    "(?(1)ab|c)",  "(?(?=a)ab|;)",
                                   "(?(<n>)a)", "(?R)?",       "(?1)",
                                   "(?&n)",     "(*ACCEPT)",   "(*FAIL)",
                                   "(*SKIP)",   "(*COMMIT)",   "(*pla:ab)",
                                   "(?*ab)",    "(?<*a)",      "(?<=ab)",
                                   "(?<!ab)",   "(?x) a b c",  "(?xx)[a b]",
                                   "(?s)",      "(?-i)",       "(?^)",
                                   "(?i-s:Ab)", "(?x: a b )",  "(?J)",
                                   "(?n)(ab)",  "(?C1)",       ">",
                                   "{",         "{a}",         "}",
                                   "|",         "(?:)",        "()",
                                   "(?:a||bc)"});
    return absl::StrCat(rare, Quantifiers());
  }
  std::string Quantifiers() {
    std::string quantifiers;
    for (uint32_t count = Below(3); count > 0; --count) {
      quantifiers +=
          Pick({"*", "+", "?", "{2}", "{0}", "{,2}", "{1,}", "{0,1}", "{ 1 , 2 }", "{x}", "+?",
                "*+", "{2}+", "{2}?", "(?i)*", "(?#c)+", "(?i){0}", "{2", "{1,2,3}"});
    }
    return quantifiers;
  }

  uint32_t Below(uint32_t end) { return random_() % end; }
  std::string Pick(std::vector<std::string> of) { return of[Below(of.size())]; }

 private:
  std::mt19937 random_;
};

TEST(MatchNeeds, AreInAllThatMatches) {
  Maker maker(1);
  OperatorScratch scratch;
  int known = 0;
  int matched = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string expression = maker.Expression(2, i % 2 == 0);
    auto op = MakeOperator("rx", expression, {});
    if (!op.ok()) continue;  // a quantifier behind ^, perhaps
    const MatchNeeds needs = NeedsOfRegex(expression);
    if (!needs.known()) continue;
    ++known;
    for (int j = 0; j < 40; ++j) {
      const std::string text = maker.Text();
      if (!(*op)->Match(text, {}, scratch)) continue;
      ++matched;
      ASSERT_TRUE(Has(text, needs))
          << expression << "\nmatches " << text << "\nneeds " << Shown(needs);
    }
  }
  EXPECT_GT(known, 400);
  EXPECT_GT(matched, 1000);
}

// --- With the Core Rule Set

std::shared_ptr<const RuleSet> Crs(bool use_prefilter) {
  auto items = ParseRuleText(CrsText(4), "test.conf");
  CHECK_OK(items);
  auto program = CompileRules(*items, use_prefilter);
  CHECK_OK(program);
  return RuleSet::FromProgram(*std::move(program));
}

std::string Matches(Transaction& transaction, const std::shared_ptr<const RuleSet>& rules,
                    TestRequest& request, Scratch& scratch) {
  transaction.Begin(rules, EngineMode::kDetectionOnly);
  transaction.InspectRequest(request.View(), scratch);
  std::string all;
  for (const RuleMatch& match : transaction.matches()) {
    absl::StrAppend(&all, match.rule_id, " ", match.variable, " ", match.matched, " ",
                    match.message, " ", match.data, "\n");
  }
  absl::StrAppend(&all, "score ", transaction.TxNumber("anomaly_score"));
  return all;
}

TEST(Prefilter, ChangesNoMatchOfTheCoreRuleSet) {
  const auto with = Crs(true);
  const auto without = Crs(false);
  constexpr std::string_view kPieces[] = {"'",
                                          "\"",
                                          " or ",
                                          "1=1",
                                          "union select ",
                                          "<script>",
                                          "alert(1)",
                                          "../",
                                          "/etc/passwd",
                                          "%00",
                                          "${jndi:",
                                          "ldap://",
                                          ";",
                                          "|",
                                          "cat ",
                                          "`id`",
                                          "$(",
                                          ")",
                                          "<?php ",
                                          "eval(",
                                          "system(",
                                          "javascript:",
                                          "onload=",
                                          "hello ",
                                          "world",
                                          "123",
                                          "select ",
                                          " from ",
                                          "sleep(5)",
                                          "--",
                                          "/*",
                                          "*/",
                                          "waitfor delay",
                                          "{{7*7}}",
                                          "__proto__",
                                          "\r\n",
                                          "Set-Cookie:",
                                          "%u0027",
                                          "&#x27;",
                                          "\\",
                                          "http://",
                                          "file://",
                                          "rO0AB",
                                          "java.lang.",
                                          "Runtime",
                                          "bash -i",
                                          ">&",
                                          "\xbc",
                                          "\xbe",
                                          "<",
                                          ">",
                                          "=",
                                          "admin",
                                          "#",
                                          "@@version",
                                          "information_schema",
                                          "concat(",
                                          "char(",
                                          "0x41",
                                          "||"};
  std::mt19937 random(2);
  Scratch scratch;
  Transaction transaction;
  int attacks = 0;
  for (int i = 0; i < 60; ++i) {
    const auto text = [&] {
      std::string made;
      for (uint32_t parts = 1 + random() % 5; parts > 0; --parts) {
        made += kPieces[random() % std::size(kPieces)];
      }
      return made;
    };
    const auto encoded = [](std::string_view bytes) {
      std::string made;
      for (const char c : bytes) {
        absl::StrAppend(&made, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
      }
      return made;
    };
    TestRequest request =
        Form(absl::StrCat("a=", encoded(text()), "&", encoded(text()), "=b&c=", encoded(text())));
    request.target = absl::StrCat("/p?x=", encoded(text()));
    request.fields.emplace_back("Cookie", absl::StrCat("k=", encoded(text())));
    request.fields.emplace_back("Referer", text());
    const std::string expected = Matches(transaction, without, request, scratch);
    EXPECT_EQ(Matches(transaction, with, request, scratch), expected);
    if (absl::StrContains(expected, "\n94")) ++attacks;
  }
  EXPECT_GT(attacks, 20);
}

}  // namespace
}  // namespace edge::waf
