// SecLang's operators (@rx, @pm, @detectSQLi and so on), as libmodsecurity 3.0.14 does them.
//
// An operator is made once for a rule, with its files read and patterns compiled, and is immutable
// from then on: all inspection threads share it. What changes during a match is in the scratch of
// the thread.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/deadline.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

// A pattern that matches wherever the operator does, and perhaps elsewhere: what the prefilter
// looks for in all values at once.
struct PrefilterPattern {
  std::string expression;  // for hyperscan
  unsigned flags = 0;      // HS_FLAG_*
  bool literal = false;    // `expression` is bytes, not a regular expression
};

// Of one thread: memory of matches, and what the last match found. Not copied.
class OperatorScratch {
 public:
  OperatorScratch();
  ~OperatorScratch();
  OperatorScratch(const OperatorScratch&) = delete;
  OperatorScratch& operator=(const OperatorScratch&) = delete;

  static constexpr size_t kCapturesMax = 10;

  // --- Of the last Match that returned true
  // TX:0 to TX:9: views of the value, the operator, or memory of the scratch; until the next Match.
  // Without bytes (data() is nullptr) where a group took no part in the match: TX is left alone.
  std::array<std::string_view, kCapturesMax> captures;
  size_t capture_count = 0;
  // What matched, for the log. The whole value if the operator knows no better.
  std::string_view matched;
  // --- Of the last Match
  bool limit_exceeded = false;  // pcre2 gave up: it counts as no match

  // Of all matches: where it passes while one is looked for, there is none.
  Deadline& deadline();

  struct Memory;  // of pcre2 and hyperscan
  Memory& memory() { return *memory_; }

 private:
  std::unique_ptr<Memory> memory_;
};

class Operator {
 public:
  virtual ~Operator() = default;

  // Whether it matches. `argument`: the operator's, with macros expanded; operators that were
  // prepared with a constant one do not look at it. Negation is the rule's.
  [[nodiscard]] virtual bool Match(std::string_view value, std::string_view argument,
                                   OperatorScratch& scratch) const = 0;

  // Match is false for a value in which none of these is found. Empty: nothing certain can be said.
  // All operators say literals.
  virtual std::vector<PrefilterPattern> Prefilter() const { return {}; }

  // For RuleSet::notes(): why the operator does less than its name says; empty: it does not.
  virtual std::string_view Note() const { return {}; }
};

// `argument` with "%{" in it is expanded at each match, where the operator allows that: rx,
// rxGlobal, and those that compare texts or numbers. To the others it is an argument as any. Files
// are looked for beside the rule's file. `name`: lower case, as in RuleSource. Errors: one line by
// SourceError.
absl::StatusOr<std::unique_ptr<Operator>> MakeOperator(std::string_view name,
                                                       std::string_view argument,
                                                       const SourceLocation& where);
// @rx of an expression in which "%{" means what it says.
absl::StatusOr<std::unique_ptr<Operator>> MakeRegexWithoutMacros(std::string_view expression,
                                                                 const SourceLocation& where);

}  // namespace edge::waf
