#include "proxy/waf/engine/operator.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hs.h"
#include "libinjection.h"
#include "test/waf/language_cases.h"

namespace edge::waf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const SourceLocation kHere = {.file = "rules.conf", .line = 7};

std::unique_ptr<Operator> Make(std::string_view name, std::string_view argument,
                               const SourceLocation& where = kHere) {
  absl::StatusOr<std::unique_ptr<Operator>> made = MakeOperator(name, argument, where);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? *std::move(made) : *MakeOperator("nomatch", "", where);
}

// One match with an operator and a scratch of its own.
bool Matches(std::string_view name, std::string_view argument, std::string_view value) {
  OperatorScratch scratch;
  return Make(name, argument)->Match(value, argument, scratch);
}

std::vector<std::string> Captures(const OperatorScratch& scratch) {
  std::vector<std::string> captures;
  for (size_t i = 0; i < scratch.capture_count; ++i) {
    const std::string_view capture = scratch.captures[i];
    captures.push_back(capture.data() == nullptr ? "(none)" : std::string(capture));
  }
  return captures;
}

std::string MistakeIn(std::string_view name, std::string_view argument) {
  const auto made = MakeOperator(name, argument, kHere);
  return made.ok() ? "" : std::string(made.status().message());
}

// --- libmodsecurity's cases ---

class LibmodsecurityCases : public testing::TestWithParam<std::string> {};

// Not a mistake to libmodsecurity's test, which does not look at errors: here such a rule does not
// load, which a test below shows.
bool IsMistake(const LanguageCase& test) {
  return (test.name == "validateByteRange" && (test.param.empty() || test.param == "xxx")) ||
         (test.name == "ipMatch" && test.param == "10.0.0.0/100");
}

TEST_P(LibmodsecurityCases, Pass) {
  OperatorScratch scratch;
  size_t passed = 0;
  for (const LanguageCase& test : ReadLanguageCases("operators", GetParam())) {
    // A database of places, which libmodsecurity too may be built without.
    if (!test.resource.empty() || IsMistake(test)) continue;
    // Files are named from libmodsecurity's folder of tests, which is two above that of the cases.
    std::string name = absl::AsciiStrToLower(test.name);
    std::string param = test.param;
    if (name == "pmfromfile") param = absl::StrCat(LanguageCasesFolder(), "../../", param);
    ++passed;
    EXPECT_EQ(Make(name, param)->Match(test.input, param, scratch), test.matches)
        << test.name << " '" << param << "' of '" << absl::CHexEscape(test.input) << "'";
  }
  EXPECT_GT(passed, 0U);
}

std::vector<std::string> CaseFiles() {
  std::vector<std::string> files = LanguageCaseFiles("operators");
  // All of its cases need a database of places.
  std::erase(files, "geoLookup");
  return files;
}

INSTANTIATE_TEST_SUITE_P(Files, LibmodsecurityCases, testing::ValuesIn(CaseFiles()),
                         [](const auto& info) { return info.param; });

// --- making operators ---

TEST(MakeOperatorTest, MistakesAreOneLineThatSaysWhere) {
  const std::pair<std::string_view, std::string_view> kMistakes[] = {
      {"nosuch", ""},
      {"rx", "a(b"},
      {"rxglobal", "[z-a]"},
      {"rx", "(*UTF)a"},
      {"rx", "(*UTF8)a"},
      {"rx", "(*NO_JIT)(*UTF)a"},
      {"rx", "a\\C"},
      {"verifycc", "*"},
      {"pmfromfile", "no such file"},
      {"ipmatchfromfile", "no such file"},
      {"ipmatch", "10.0.0.1,10.0.0"},
      {"ipmatch", "10.0.0.1/33"},
      {"ipmatch", "::1/129"},
      {"ipmatch", "::1/"},
      {"validatebyterange", ""},
      {"validatebyterange", "xxx"},
      {"validatebyterange", "1-256"},
      {"validatebyterange", "9-8"},
      {"validatebyterange", "1-255,"},
      {"inspectfile", "/bin/true"},
      {"fuzzyhash", "file 1"},
      {"validateschema", "file"},
      {"validatedtd", "file"},
  };
  for (const auto& [name, argument] : kMistakes) {
    const std::string mistake = MistakeIn(name, argument);
    EXPECT_THAT(mistake, testing::StartsWith("rules.conf:7: found ")) << name << " " << argument;
    EXPECT_THAT(mistake, HasSubstr("; expected ")) << name << " " << argument;
    EXPECT_EQ(mistake.find('\n'), mistake.npos) << mistake;
  }
}

TEST(MakeOperatorTest, OperatorsWithoutEffectSaySo) {
  EXPECT_THAT(Make("geolookup", "")->Note(), HasSubstr("@geoLookup never matches"));
  EXPECT_THAT(Make("rbl", "dnsbl.example")->Note(), HasSubstr("@rbl never matches"));
  EXPECT_FALSE(Matches("geolookup", "", "192.0.2.1"));
  EXPECT_FALSE(Matches("rbl", "dnsbl.example", "192.0.2.1"));
  EXPECT_THAT(Make("rx", "a")->Note(), IsEmpty());
}

class FilesBesideRules : public testing::Test {
 protected:
  // A file in the folder of the rules at where().
  void Write(std::string_view name, std::string_view text) {
    std::ofstream(absl::StrCat(testing::TempDir(), "/", name), std::ios::binary) << text;
  }
  SourceLocation where() const { return {.file = testing::TempDir() + "/rules.conf", .line = 1}; }

  OperatorScratch scratch_;
};

TEST_F(FilesBesideRules, HaveAPhraseALine) {
  Write("phrases.data", "# a comment\n\n  # another\ntwo words\r\nphrase#1\n");
  const auto phrases = Make("pmfromfile", "phrases.data", where());
  EXPECT_TRUE(phrases->Match("xPHRASE#1x", "", scratch_));
  EXPECT_FALSE(phrases->Match("two words", "", scratch_));
  EXPECT_TRUE(phrases->Match("two words\r", "", scratch_));
  EXPECT_FALSE(phrases->Match("# a comment", "", scratch_));
  EXPECT_FALSE(phrases->Match("", "", scratch_));
}

TEST_F(FilesBesideRules, WithoutPhrasesMatchNothing) {
  Write("empty.data", "# nothing\n");
  EXPECT_FALSE(Make("pmf", "empty.data", where())->Match("nothing", "", scratch_));
}

TEST_F(FilesBesideRules, HaveAddresses) {
  Write("addresses.data", "192.0.2.0/25 # documentation\n\n2001:db8::/32, 198.51.100.7\n");
  const auto addresses = Make("ipmatchf", "addresses.data", where());
  EXPECT_TRUE(addresses->Match("192.0.2.127", "", scratch_));
  EXPECT_FALSE(addresses->Match("192.0.2.128", "", scratch_));
  EXPECT_TRUE(addresses->Match("198.51.100.7", "", scratch_));
  EXPECT_TRUE(addresses->Match("2001:DB8:ffff::1", "", scratch_));
  EXPECT_FALSE(addresses->Match("2001:db9::", "", scratch_));
  EXPECT_FALSE(addresses->Match("documentation", "", scratch_));
}

// --- regular expressions ---

TEST(RxTest, CapturesGroups) {
  OperatorScratch scratch;
  const auto rx = Make("rx", "(a)(x)?(b+)");
  ASSERT_TRUE(rx->Match("--abb--", "", scratch));
  EXPECT_THAT(Captures(scratch), ElementsAre("abb", "a", "(none)", "bb"));
  EXPECT_EQ(scratch.matched, "abb");
  EXPECT_FALSE(rx->Match("none", "", scratch));
  EXPECT_EQ(scratch.capture_count, 0U);
}

TEST(RxTest, CapturesNoMoreThanThereIsRoomFor) {
  OperatorScratch scratch;
  ASSERT_TRUE(
      Make("rx", "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)")->Match("abcdefghijkl", "", scratch));
  EXPECT_THAT(Captures(scratch),
              ElementsAre("abcdefghijkl", "a", "b", "c", "d", "e", "f", "g", "h", "i"));
}

TEST(RxTest, DotsMatchNewlinesAndCaretsMatchBehindThem) {
  EXPECT_TRUE(Matches("rx", "a.b", "a\nb"));
  EXPECT_TRUE(Matches("rx", "^b$", "a\nb\nc"));
}

TEST(RxTest, WithoutAnExpressionMatchesAndCapturesNothing) {
  OperatorScratch scratch;
  EXPECT_TRUE(Make("rx", "")->Match("value", "", scratch));
  EXPECT_EQ(scratch.capture_count, 0U);
}

TEST(RxTest, MatchesBytesBehindANul) {
  EXPECT_TRUE(Matches("rx", "b$", std::string_view("a\0b", 3)));
  EXPECT_TRUE(Matches("rx", "^$", std::string_view()));
}

TEST(RxTest, ExpandedExpressionIsTheOneOfThisMatch) {
  OperatorScratch scratch;
  const auto rx = Make("rx", "^%{tx.allowed}$");
  // More of them than the scratch keeps, twice.
  for (int i = 0; i < 40; ++i) {
    const std::string number = absl::StrCat(i % 20);
    EXPECT_TRUE(rx->Match(number, absl::StrCat("^", number, "$"), scratch)) << i;
    EXPECT_FALSE(rx->Match("other", absl::StrCat("^", number, "$"), scratch)) << i;
  }
  EXPECT_FALSE(rx->Match("(", "^($", scratch));
  EXPECT_FALSE(rx->Match("a", std::string(1 << 20, 'a') + "*", scratch));
  EXPECT_THAT(rx->Prefilter(), IsEmpty());
}

TEST(RxTest, GivesUpOnACatastrophicExpression) {
  OperatorScratch scratch;
  const std::string value = std::string(5000, 'a') + "!";
  for (const std::string_view pattern : {"^(a+)+$", "^(a|aa)+$", "^(?:(a+)|(a+)(?1))+$"}) {
    const auto rx = Make("rx", pattern);
    EXPECT_FALSE(rx->Match(value, "", scratch)) << pattern;
    EXPECT_TRUE(scratch.limit_exceeded) << pattern;
    EXPECT_FALSE(rx->Match("!", "", scratch));
    EXPECT_FALSE(scratch.limit_exceeded);
  }
}

TEST(RxTest, MatchesLongValuesThatNeedMuchStack) {
  OperatorScratch scratch;
  const std::string value = std::string(50'000, 'a') + "b";
  EXPECT_TRUE(Make("rx", "^(?:a|c)*b$")->Match(value, "", scratch));
}

TEST(RxGlobalTest, CapturesAllMatchesInARow) {
  OperatorScratch scratch;
  ASSERT_TRUE(Make("rxglobal", "a(\\d)")->Match("a1 a2 b3 a4", "", scratch));
  EXPECT_THAT(Captures(scratch), ElementsAre("a1", "1", "a2", "2", "a4", "4"));
}

TEST(RxGlobalTest, GoesOnBehindEmptyMatches) {
  OperatorScratch scratch;
  ASSERT_TRUE(Make("rxglobal", "x*")->Match("axb", "", scratch));
  EXPECT_THAT(Captures(scratch), ElementsAre("", "x", "", ""));
}

// An expression may move the begin of a match to wherever it likes.
TEST(RxGlobalTest, EndsWhateverTheExpressionDoes) {
  OperatorScratch scratch;
  for (const std::string_view pattern :
       {"(?=ab\\K)", "(?<=\\Ka)", "(?=.\\K.)", "\\K", "(?<=a\\K)b", "$", "^"}) {
    absl::StatusOr<std::unique_ptr<Operator>> rx = MakeOperator("rxglobal", pattern, kHere);
    // Some of them pcre2 refuses.
    if (rx.ok()) (void)(*rx)->Match(std::string(1000, 'a') + "b", "", scratch);
  }
}

// Whether the prefilter of an operator finds something in a value.
bool PrefilterFinds(const Operator& op, std::string_view value) {
  for (const PrefilterPattern& pattern : op.Prefilter()) {
    hs_database_t* database = nullptr;
    hs_compile_error_t* error = nullptr;
    const hs_error_t compiled =
        pattern.literal
            ? hs_compile_lit(pattern.expression.data(), pattern.flags, pattern.expression.size(),
                             HS_MODE_BLOCK, nullptr, &database, &error)
            : hs_compile(pattern.expression.c_str(), pattern.flags, HS_MODE_BLOCK, nullptr,
                         &database, &error);
    EXPECT_EQ(compiled, HS_SUCCESS) << pattern.expression;
    if (compiled != HS_SUCCESS) continue;
    hs_scratch_t* scratch = nullptr;
    EXPECT_EQ(hs_alloc_scratch(database, &scratch), HS_SUCCESS);
    bool found = false;
    hs_scan(
        database, value.data(), static_cast<unsigned>(value.size()), 0, scratch,
        [](unsigned, unsigned long long, unsigned long long, unsigned, void* context) {
          return *static_cast<bool*>(context) = true, 1;
        },
        &found);
    hs_free_scratch(scratch);
    hs_free_database(database);
    if (found) return true;
  }
  return false;
}

TEST(PrefilterTest, FindsWhatTheOperatorMatches) {
  const std::string_view kCases[][3] = {
      {"rx", "(?i)union\\s+select", "1 UNION\vSELECT 2"},
      {"rx", "^ab$", "b\nab\nb"},
      {"rx", "(['\"])x\\1", "'x'"},     // a back reference
      {"rx", "foo(?=bar)", "foobar"},   // a lookahead
      {"rx", "(?<!a)b++cde", "bbcde"},  // a lookbehind and a possessive repeat
      {"rx", "\\bword\\b", "a word."},
      {"pm", "one two", "number TWO"},
      {"pm", "a|20|b", "xa"},
      {"contains", "needle", "hayneedlehay"},
      {"beginswith", "/a", "/a/b"},
      {"endswith", ".exe", "a.exe"},
      {"streq", "POST", "POST"},
      {"containsword", "cat", "a cat!"},
      {"strmatch", "abc", "xabcx"},
  };
  for (const auto& [name, argument, value] : kCases) {
    OperatorScratch scratch;
    const auto op = Make(name, argument);
    EXPECT_TRUE(op->Match(value, argument, scratch)) << name << " " << argument;
    EXPECT_TRUE(PrefilterFinds(*op, value)) << name << " " << argument;
    EXPECT_FALSE(PrefilterFinds(*op, "zzz")) << name << " " << argument;
  }
}

TEST(PrefilterTest, SaysNothingWhereNothingIsCertain) {
  EXPECT_THAT(Make("rx", "^$")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("rx", "a*")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("rx", "(?!a)")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("rx", "")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("contains", "")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("contains", "%{tx.a}")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("within", "a b c")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("eq", "1")->Prefilter(), IsEmpty());
  EXPECT_THAT(Make("detectsqli", "")->Prefilter(), IsEmpty());
}

// --- phrases and texts ---

TEST(PmTest, FindsPhrasesWhateverTheirCase) {
  OperatorScratch scratch;
  const auto pm = Make("pm", "Alpha beta |4741|mma");
  ASSERT_TRUE(pm->Match("xxBETAxx", "", scratch));
  EXPECT_EQ(scratch.matched, "BETA");
  EXPECT_THAT(Captures(scratch), ElementsAre("beta"));
  EXPECT_TRUE(pm->Match("a gAMMa", "", scratch));
  EXPECT_FALSE(pm->Match("alph", "", scratch));
  EXPECT_FALSE(pm->Match("", "", scratch));
  EXPECT_FALSE(pm->Match(std::string_view(), "", scratch));
}

TEST(PmTest, TakesQuotesEscapesAndBytes) {
  EXPECT_TRUE(Matches("pm", "\"a b\"", "xbx"));
  EXPECT_FALSE(Matches("pm", "\"a b\"", "\""));
  EXPECT_TRUE(Matches("pm", "\\;x", ";x"));
  // Not an escape: it means what it says.
  EXPECT_TRUE(Matches("pm", "\\dx", "\\dx"));
  EXPECT_TRUE(Matches("pm", "|zz|", "|zz|"));
  EXPECT_TRUE(Matches("pm", "|00 ff|", "ff|"));
  EXPECT_TRUE(Matches("pm", "|00ff|", std::string_view("a\0\xff", 3)));
  EXPECT_FALSE(Matches("pm", "", "anything"));
}

TEST(PmTest, ManyDatabasesShareTheScratchOfAThread) {
  OperatorScratch scratch;
  std::vector<std::unique_ptr<Operator>> operators;
  for (int i = 0; i < 50; ++i) {
    std::string phrases;
    for (int j = 0; j <= i * 10; ++j) absl::StrAppend(&phrases, " phrase", i, "x", j, "y");
    operators.push_back(Make("pm", phrases));
    // Also of those that were made before the scratch was first used.
    for (int j = 0; j <= i; ++j) {
      EXPECT_TRUE(operators[j]->Match(absl::StrCat("a phrase", j, "x0y"), "", scratch));
      EXPECT_FALSE(operators[j]->Match(absl::StrCat("a phrase", j + 1, "x0y"), "", scratch));
    }
  }
}

// hyperscan chooses between several ways to look for texts, by how many and how long they are, and
// has code of its own for each kind of CPU: compared with a search for one after the other.
TEST(PmTest, FindsAPhraseWhereverItIs) {
  std::mt19937 random(20261121);
  OperatorScratch scratch;
  size_t found = 0;
  for (int round = 0; round < 60; ++round) {
    const size_t letters = 2 + random() % 10;
    const auto letter = [&] {
      return static_cast<char>((random() % 2 == 0 ? 'a' : 'A') + random() % letters);
    };
    std::vector<std::string> phrases(1 + random() % (round % 3 == 0 ? 300 : 20));
    for (std::string& phrase : phrases) {
      phrase = "-";
      for (size_t bytes = 1 + random() % 12; bytes > 0; --bytes) phrase.push_back(letter());
    }
    const auto pm = Make("pm", absl::StrJoin(phrases, " "));
    for (int i = 0; i < 100; ++i) {
      std::string value;
      for (size_t bytes = random() % 200; bytes > 0; --bytes) {
        value.push_back(random() % 16 == 0 ? '-' : letter());
      }
      const std::string lower = absl::AsciiStrToLower(value);
      const bool expected = std::any_of(phrases.begin(), phrases.end(), [&](const auto& phrase) {
        return absl::StrContains(lower, absl::AsciiStrToLower(phrase));
      });
      ASSERT_EQ(pm->Match(value, "", scratch), expected) << value;
      found += expected;
    }
  }
  EXPECT_GT(found, 1000U);
  EXPECT_LT(found, 5000U);
}

TEST(TextTest, ExpandedArgumentIsTheOneThatCounts) {
  OperatorScratch scratch;
  const auto within = Make("within", "%{tx.allowed_methods}");
  EXPECT_TRUE(within->Match("GET", "GET HEAD POST", scratch));
  EXPECT_FALSE(within->Match("PUT", "GET HEAD POST", scratch));
  const auto streq = Make("streq", "%{tx.a}");
  EXPECT_TRUE(streq->Match("x", "x", scratch));
  EXPECT_FALSE(streq->Match("%{tx.a}", "x", scratch));
}

TEST(TextTest, WordsEndWhereLettersDo) {
  EXPECT_TRUE(Matches("containsword", "cat", "cat5"));
  EXPECT_TRUE(Matches("containsword", "cat", "concat cat"));
  EXPECT_FALSE(Matches("containsword", "cat", "concat cats"));
  EXPECT_FALSE(Matches("containsword", "cat", ""));
  EXPECT_TRUE(Matches("containsword", "", "x"));
}

TEST(NumberTest, IsWhatTheTextBeginsWith) {
  EXPECT_TRUE(Matches("eq", "5", " +5 apples"));
  EXPECT_TRUE(Matches("eq", "0", "apples"));
  EXPECT_TRUE(Matches("lt", "0", "-1"));
  EXPECT_TRUE(Matches("gt", "9223372036854775806", "99999999999999999999"));
  EXPECT_TRUE(Matches("lt", "-9223372036854775807", "-99999999999999999999"));
  EXPECT_FALSE(Matches("lt", "-9223372036854775808", "-99999999999999999999"));
  EXPECT_TRUE(Matches("ge", "9223372036854775807", "9223372036854775808"));
  // Numbers that an int does not hold are 0 to @eq.
  EXPECT_TRUE(Matches("eq", "0", "2147483648"));
  EXPECT_TRUE(Matches("eq", "2147483647", "2147483647"));
  OperatorScratch scratch;
  EXPECT_TRUE(Make("ge", "%{tx.threshold}")->Match("5", "5", scratch));
  EXPECT_FALSE(Make("ge", "%{tx.threshold}")->Match("4", "5", scratch));
}

// --- validation ---

TEST(ValidateTest, ByteRangeTellsTheFirstByteOutside) {
  OperatorScratch scratch;
  ASSERT_TRUE(Make("validatebyterange", "9, 10,13,32-126")->Match("ab\x7f\x80", "", scratch));
  EXPECT_EQ(scratch.matched, "\x7f");
  EXPECT_TRUE(Make("validatebyterange", "1-255")->Match(std::string_view("a\0b", 3), "", scratch));
  EXPECT_FALSE(Make("validatebyterange", "1-255")->Match("a\xff", "", scratch));
}

TEST(ValidateTest, Utf8IsThatOfTheStandard) {
  // Each range of RFC 3629, section 4, with the byte before and behind it.
  const std::pair<std::string_view, bool> kCases[] = {
      {"\xc1\xbf", true},
      {"\xc2\x80", false},
      {"\xdf\xbf", false},
      {"\xe0\x9f\xbf", true},
      {"\xe0\xa0\x80", false},
      {"\xed\x9f\xbf", false},
      {"\xed\xa0\x80", true},
      {"\xee\x80\x80", false},
      {"\xef\xbf\xbf", false},
      {"\xf0\x8f\xbf\xbf", true},
      {"\xf0\x90\x80\x80", false},
      {"\xf4\x8f\xbf\xbf", false},
      {"\xf4\x90\x80\x80", true},
      {"\xf5\x80\x80\x80", true},
      {"\xff", true},
      {"\x80", true},
      {"\xe2\x82", true},
      {"12345678\xe2\x82\xac", false},
      {"12345678\xe2\x82", true},
      {"\xe2\x82\xac"
       "12345678\x80",
       true},
  };
  for (const auto& [value, invalid] : kCases) {
    EXPECT_EQ(Matches("validateutf8encoding", "", value), invalid) << absl::CHexEscape(value);
  }
}

TEST(VerifyTest, FindsANumberWithinACandidateThatIsNone) {
  OperatorScratch scratch;
  const auto cc = Make("verifycc", "\\d{16}");
  ASSERT_TRUE(cc->Match("id 14111111111111111 end", "", scratch));
  EXPECT_THAT(Captures(scratch), ElementsAre("4111111111111111"));
  EXPECT_FALSE(cc->Match("4111111111111112", "", scratch));
  EXPECT_FALSE(cc->Match("", "", scratch));
}

TEST(VerifyTest, NumbersThatAreNobodysAreNone) {
  EXPECT_FALSE(Matches("verifycpf", "\\d{11}", "01234567890"));
  EXPECT_FALSE(Matches("verifycpf", "\\d{11}", "11111111111"));
  EXPECT_FALSE(Matches("verifysvnr", "\\d{10}", "8888888888"));
  EXPECT_FALSE(Matches("verifyssn", "\\d{9}", "123456789"));
  EXPECT_FALSE(Matches("verifyssn", "\\d{9}", "666121234"));
}

// --- libinjection ---

TEST(InjectionTest, SqliCapturesTheFingerprint) {
  OperatorScratch scratch;
  ASSERT_TRUE(Make("detectsqli", "")->Match("1' or '1'='1", "", scratch));
  EXPECT_THAT(Captures(scratch), ElementsAre("s&sos"));
}

// What is not shown to libinjection would not be found by it.
TEST(InjectionTest, ValuesThatAreSkippedAreNoInjections) {
  std::mt19937 random(20261121);
  const std::string_view kWords[] = {"select", "union", "or",  "x", "1",  "0x1f", "e",   "_",
                                     "b",      "exec",  "9e9", "n", "12", "q",    "null"};
  const std::string_view kMarks[] = {"\"", "'", "`", ">", "/", "-->", "onload", "javascript:", " "};
  const auto sqli = Make("detectsqli", "");
  const auto xss = Make("detectxss", "");
  OperatorScratch scratch;
  for (int i = 0; i < 20'000; ++i) {
    std::string word;
    for (size_t parts = random() % 5; parts > 0; --parts)
      word += kWords[random() % std::size(kWords)];
    char fingerprint[8];
    ASSERT_EQ(sqli->Match(word, "", scratch),
              libinjection_sqli(word.data(), word.size(), fingerprint) != 0)
        << word;
    std::string marks;
    for (size_t parts = random() % 8; parts > 0; --parts) {
      marks += random() % 2 == 0 ? kMarks[random() % std::size(kMarks)]
                                 : kWords[random() % std::size(kWords)];
    }
    // It reads beyond the end.
    const std::string padded = marks + std::string(64, '\0');
    ASSERT_EQ(xss->Match(marks, "", scratch), libinjection_xss(padded.data(), marks.size()) != 0)
        << marks;
  }
}

}  // namespace
}  // namespace edge::waf
