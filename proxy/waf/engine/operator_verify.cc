// Operators that find numbers with a check digit: credit cards, and the personal numbers of the
// USA (SSN), Brazil (CPF) and Austria (SVNR). The argument is a regular expression that finds
// candidates.

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/operator_internal.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf::operators {
namespace {

// The digits of a candidate, whatever stands between them.
class Digits {
 public:
  // Of a longer number only that it is longer matters.
  static constexpr size_t kDigitsMax = 12;

  explicit Digits(std::string_view candidate) {
    for (const char c : candidate) {
      if (c < '0' || c > '9') continue;
      if (count_ < kDigitsMax) digits_[count_] = c - '0';
      ++count_;
    }
  }

  size_t count() const { return count_; }
  int operator[](size_t i) const { return digits_[i]; }

  // Each of the first `count` is `step` more than the one before.
  bool Run(int step, size_t count) const {
    for (size_t i = 1; i < count; ++i) {
      if (digits_[i] - digits_[i - 1] != step) return false;
    }
    return true;
  }
  int Sum(std::initializer_list<int> weights) const {
    int sum = 0;
    size_t i = 0;
    for (const int weight : weights) sum += weight * digits_[i++];
    return sum;
  }

 private:
  std::array<int, kDigitsMax> digits_{};
  size_t count_ = 0;
};

// Luhn's formula (ISO/IEC 7812-1), over however many digits there are.
bool IsCreditCard(std::string_view candidate) {
  // What the digit counts if it is doubled, its own digits added.
  constexpr std::array<int, 10> kDoubled = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
  int sum = 0;
  size_t digits = 0;
  for (size_t i = candidate.size(); i > 0; --i) {
    const char c = candidate[i - 1];
    if (c < '0' || c > '9') continue;
    const auto digit = static_cast<size_t>(c - '0');
    sum += digits % 2 == 0 ? static_cast<int>(digit) : kDoubled[digit];
    sum %= 10;
    ++digits;
  }
  return digits > 0 && sum == 0;
}

bool IsSsn(std::string_view candidate) {
  const Digits digits(candidate);
  if (digits.count() != 9 || digits.Run(0, 9) || digits.Run(1, 9)) return false;
  const int area = digits[0] * 100 + digits[1] * 10 + digits[2];
  const int group = digits[3] * 10 + digits[4];
  const int serial = digits[5] * 1000 + digits[6] * 100 + digits[7] * 10 + digits[8];
  return area > 0 && area < 740 && area != 666 && group > 0 && serial > 0;
}

bool IsCpf(std::string_view candidate) {
  const Digits digits(candidate);
  // 01234567890 has the right check digits and is nobody's.
  if (digits.count() != 11 || digits.Run(0, 11) || digits.Run(1, 10)) return false;
  const auto check = [](int sum) { return sum % 11 < 2 ? 0 : 11 - sum % 11; };
  const int first = check(digits.Sum({10, 9, 8, 7, 6, 5, 4, 3, 2}));
  const int second = check(digits.Sum({11, 10, 9, 8, 7, 6, 5, 4, 3, 2}));
  return digits[9] == first && digits[10] == second;
}

bool IsSvnr(std::string_view candidate) {
  const Digits digits(candidate);
  if (digits.count() != 10 || digits.Run(0, 10)) return false;
  // The fourth is the check digit.
  const int rest = digits.Sum({3, 7, 9, 0, 5, 8, 4, 2, 1, 6}) % 11;
  return digits[3] == (rest == 10 ? 0 : rest);
}

using Verify = bool (*)(std::string_view candidate);

struct Entry {
  std::string_view name;
  Verify verify;
  bool groups;  // groups of the expression are candidates too
};

constexpr Entry kEntries[] = {
    {"verifycc", IsCreditCard, false},
    {"verifycpf", IsCpf, true},
    {"verifyssn", IsSsn, true},
    {"verifysvnr", IsSvnr, true},
};

class VerifyOperator : public Operator {
 public:
  VerifyOperator(std::unique_ptr<const Regex> regex, const Entry& entry)
      : regex_(std::move(regex)), entry_(entry) {}

  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    RegexScratch& memory = scratch.memory().regex;
    // A candidate may begin within another that was none.
    for (size_t from = 0; from < value.size();) {
      size_t groups = 0;
      const Regex::Result result = regex_->Find(value, from, memory, groups);
      if (result != Regex::Result::kMatch) {
        scratch.limit_exceeded = result == Regex::Result::kLimit;
        return false;
      }
      const size_t candidates = entry_.groups ? groups : 1;
      for (size_t i = 0; i < candidates; ++i) {
        const std::string_view candidate = memory.Group(i, value);
        if (entry_.verify(candidate)) return MatchedCapture(scratch, candidate, candidate);
      }
      const std::string_view whole = memory.Group(0, value);
      if (whole.data() == nullptr) return false;
      from = std::max(from, static_cast<size_t>(whole.data() - value.data())) + 1;
    }
    return false;
  }

 private:
  const std::unique_ptr<const Regex> regex_;
  const Entry& entry_;
};

}  // namespace

Made MakeVerifyOperator(std::string_view name, std::string_view argument,
                        const SourceLocation& where) {
  const Entry* entry = kEntries;
  while (entry->name != name) ++entry;
  absl::StatusOr<std::unique_ptr<const Regex>> regex = Regex::Compile(argument);
  if (!regex.ok()) {
    return SourceError(where, absl::StrCat("found '", regex.status().message(), "' in '", argument,
                                           "'; expected a regular expression"));
  }
  return std::make_unique<VerifyOperator>(*std::move(regex), *entry);
}

}  // namespace edge::waf::operators
