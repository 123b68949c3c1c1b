// What the files of the operators share: the memory of a thread, how matches are told, and the
// functions that make operators.

#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/hyperscan.h"
#include "proxy/waf/engine/operator.h"
#include "proxy/waf/engine/regex.h"

namespace edge::waf {

// Regular expressions with macros in them, as they were after expansion: what a configured list
// expands to is the same in each request, so the last few are kept.
class ExpandedRegexes {
 public:
  // nullptr: it is no regular expression.
  const Regex* Get(std::string_view pattern);

 private:
  // A rule set has one or two rules with such expressions. Each entry costs some 10 KiB.
  static constexpr size_t kEntries = 8;
  // What a request can put into an expression is not to cost more than its match does.
  static constexpr size_t kPatternBytesMax = 16 << 10;
  struct Entry {
    std::string pattern;
    std::unique_ptr<const Regex> regex;
    bool used = false;
  };
  std::array<Entry, kEntries> entries_;
  size_t oldest_ = 0;
};

struct OperatorScratch::Memory {
  RegexScratch regex;
  ExpandedRegexes expanded;
  HyperscanScratch hyperscan;
  std::array<char, 8> fingerprint;  // of libinjection
  std::string padded;               // a value, with an end that libinjection sees
};

namespace operators {

// Forgets the last match; the first line of each Match that does not call Matched.
inline void Begin(OperatorScratch& scratch) {
  scratch.capture_count = 0;
  scratch.matched = {};
  scratch.limit_exceeded = false;
}

// A match without captures. Returns true.
inline bool Matched(OperatorScratch& scratch, std::string_view matched) {
  scratch.matched = matched;
  return true;
}

// A match that is TX:0. Returns true.
inline bool MatchedCapture(OperatorScratch& scratch, std::string_view matched,
                           std::string_view capture) {
  scratch.captures[0] = capture;
  scratch.capture_count = 1;
  return Matched(scratch, matched);
}

// The argument of an operator: constant, or one that is expanded for each match.
class Argument {
 public:
  explicit Argument(std::string_view text) : Argument(text, text.find("%{") == text.npos) {}
  Argument(std::string_view text, bool constant) : text_(text), constant_(constant) {}
  bool constant() const { return constant_; }
  const std::string& text() const { return text_; }
  std::string_view Expanded(std::string_view argument) const {
    return constant_ ? std::string_view(text_) : argument;
  }

 private:
  std::string text_;
  bool constant_;
};

// The file that an argument names: absolute, or beside the rule's file. Its contents, or
// SourceError.
absl::StatusOr<std::string> ReadArgumentFile(std::string_view name, const SourceLocation& where);

using Made = absl::StatusOr<std::unique_ptr<Operator>>;

// Each makes one of the operators that its file knows, named in lower case.
Made MakeRegexOperator(std::string_view name, std::string_view argument,
                       const SourceLocation& where);
Made MakePhraseOperator(std::string_view name, std::string_view argument,
                        const SourceLocation& where);
Made MakeTextOperator(std::string_view name, std::string_view argument,
                      const SourceLocation& where);
Made MakeNumberOperator(std::string_view name, std::string_view argument,
                        const SourceLocation& where);
Made MakeAddressOperator(std::string_view name, std::string_view argument,
                         const SourceLocation& where);
Made MakeValidateOperator(std::string_view name, std::string_view argument,
                          const SourceLocation& where);
Made MakeVerifyOperator(std::string_view name, std::string_view argument,
                        const SourceLocation& where);
Made MakeInjectionOperator(std::string_view name, std::string_view argument,
                           const SourceLocation& where);

}  // namespace operators
}  // namespace edge::waf
