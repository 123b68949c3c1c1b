// Searches in long subjects: the same matches as of one search, and a deadline that holds.

#include "proxy/waf/engine/regex.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "pcre2.h"

namespace edge::waf {
namespace {

constexpr size_t kLongest = 128 << 10;  // of what is inspected

// A clock that goes on by a millisecond each time that it is looked at.
int64_t looks = 0;
int64_t LookedAt() { return ++looks * 1'000'000; }

std::string Repeated(std::string_view text, size_t bytes) {
  std::string out;
  while (out.size() + text.size() <= bytes) out.append(text);
  return out;
}

TEST(LongSubject, EndsAtTheDeadlineHoweverLongASearchWouldTake) {
  struct Trigger {
    std::string_view pattern;
    std::string subject;
  };
  const Trigger triggers[] = {
      {"<(?:iframe|object|embed|svg|math)[\\s/][^>]*\\bon[a-z]{3,20}\\s*=",
       Repeated("<svg/", kLongest)},
      {"javascript:[^\\s]*[(=`]", Repeated("javascript:", kLongest)},
      {"<script[^>]*>[\\s\\S]*?", Repeated("<script", kLongest)},
      {"pattern\\b.*?=", Repeated("pattern ", kLongest)},
      // What is required is there, but only where it does not count.
      {"<script[^;]*>", Repeated("<script", kLongest) + ";>"},
      {"a[^>]*b[^>]*c", Repeated("ab", kLongest) + ">c"},
      {"a[^>]*?b[^>]*c", Repeated("ab", kLongest) + ">c"},
      {"\\d*x\\d*y", Repeated("1", kLongest) + ";xy;"},
  };
  for (const Trigger& trigger : triggers) {
    const auto regex = Regex::Compile(trigger.pattern);
    ASSERT_TRUE(regex.ok());
    RegexScratch scratch{Deadline(LookedAt)};
    looks = 0;
    scratch.deadline.Set(20'000'000);
    size_t groups = 0;
    const Regex::Result result = (*regex)->Find(trigger.subject, 0, scratch, groups);
    // Some of them pcre2 knows to be without a match.
    EXPECT_NE(result, Regex::Result::kMatch) << trigger.pattern;
    EXPECT_EQ(result == Regex::Result::kLate, scratch.deadline.passed()) << trigger.pattern;
    EXPECT_LE(looks, 20) << trigger.pattern;
    EXPECT_TRUE(result != Regex::Result::kNoMatch || looks > 10) << trigger.pattern << looks;
  }
}

TEST(LongSubject, OneStartIsGivenUp) {
  const auto regex = Regex::Compile("^a[^>]*?b[^>]*c");
  RegexScratch scratch;
  size_t groups = 0;
  EXPECT_EQ((*regex)->Find(Repeated("ab", kLongest) + ">c", 0, scratch, groups),
            Regex::Result::kLimit);
}

TEST(LongSubject, ManyRoundsOfOneStartAreNotTooManyYet) {
  const auto regex = Regex::Compile("<!--.*?-->");
  RegexScratch scratch;
  size_t groups = 0;
  const std::string subject = absl::StrCat("<!--", Repeated("text ", kLongest), "-->");
  ASSERT_EQ((*regex)->Find(subject, 0, scratch, groups), Regex::Result::kMatch);
  EXPECT_EQ(scratch.Group(0, subject).size(), subject.size());
}

TEST(LongSubject, MatchesAreThoseOfOneSearch) {
  constexpr std::string_view kPatterns[] = {
      "needle",
      "(?<=x)needle",
      "(?<!x)needle",
      "^needle",
      "needle$",
      "\\Aneedle",
      "needle\\z",
      "\\bneedle\\b",
      "\\Gneedle",
      "(?:\\Gz|needle)",
      "(n)(ee)(dle)?",
      ".needle",
      ".*needle",
      "[a-z]+needle",
      "x*needle",
      "z\\Kneedle",
      "x(*SKIP)(*F)|needle",
      "n(*COMMIT)x|needle",
      "$",
      "needle.{0,3000}end",
  };
  for (const std::string_view pattern : kPatterns) {
    const auto regex = Regex::Compile(pattern);
    ASSERT_TRUE(regex.ok()) << pattern;
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* const code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                      PCRE2_DOTALL | PCRE2_MULTILINE, &error, &offset, nullptr);
    pcre2_match_data* const data = pcre2_match_data_create(10, nullptr);
    RegexScratch scratch;
    for (const std::string_view before : {"x", "\n", " ", "z"}) {
      // Around the ends of steps.
      for (const size_t at : {0, 1, 510, 511, 512, 513, 1023, 1024, 5000, 8191, 8192, 8193}) {
        const std::string subject = absl::StrCat(std::string(at, 'z'), before, "needle\n",
                                                 std::string(9000 - at, 'z'), "needle end");
        size_t groups = 0;
        const Regex::Result found = (*regex)->Find(subject, 0, scratch, groups);
        const int expected = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(subject.data()),
                                         subject.size(), 0, 0, data, nullptr);
        ASSERT_EQ(found == Regex::Result::kMatch, expected > 0) << pattern << " at " << at;
        if (expected <= 0) continue;
        ASSERT_EQ(groups, expected) << pattern << " at " << at;
        const PCRE2_SIZE* const offsets = pcre2_get_ovector_pointer(data);
        for (size_t i = 0; i < groups; ++i) {
          if (offsets[2 * i] == PCRE2_UNSET) continue;
          ASSERT_EQ(scratch.Group(i, subject).data() - subject.data(), offsets[2 * i]) << pattern;
          ASSERT_EQ(scratch.Group(i, subject).size(), offsets[2 * i + 1] - offsets[2 * i])
              << pattern;
        }
      }
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code);
  }
}

}  // namespace
}  // namespace edge::waf
