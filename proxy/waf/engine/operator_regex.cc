// @rx and @rxGlobal.

#include <utility>

#include "absl/strings/str_cat.h"
#include "hs.h"
#include "proxy/waf/engine/operator_internal.h"
#include "proxy/waf/engine/regex_literals.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {

const Regex* ExpandedRegexes::Get(std::string_view pattern) {
  for (const Entry& entry : entries_) {
    if (entry.used && entry.pattern == pattern) return entry.regex.get();
  }
  if (pattern.size() > kPatternBytesMax) return nullptr;
  Entry& entry = entries_[oldest_];
  oldest_ = (oldest_ + 1) % kEntries;
  absl::StatusOr<std::unique_ptr<const Regex>> regex = Regex::Compile(pattern);
  entry.pattern.assign(pattern);
  entry.regex = regex.ok() ? *std::move(regex) : nullptr;
  entry.used = true;
  return entry.regex.get();
}

namespace operators {
namespace {

class RegexOperator : public Operator {
 public:
  RegexOperator(Argument argument, std::unique_ptr<const Regex> regex)
      : argument_(std::move(argument)), regex_(std::move(regex)) {}

  std::vector<PrefilterPattern> Prefilter() const override {
    if (!argument_.constant()) return {};
    // Not the expression itself: a database of some hundred expressions takes seconds to compile,
    // and longer to scan with than it takes to try them all, compiled just in time.
    std::vector<PrefilterPattern> patterns;
    for (std::string& literal : RequiredLiterals(argument_.text())) {
      patterns.push_back({.expression = std::move(literal),
                          .flags = HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH,
                          .literal = true});
    }
    return patterns;
  }

 protected:
  // The one to look with; nullptr: expanded, it is none.
  const Regex* regex(std::string_view argument, OperatorScratch& scratch) const {
    if (argument_.constant()) return regex_.get();
    return scratch.memory().expanded.Get(argument);
  }
  // Without an expression there is a match, and nothing to be captured.
  bool matches_all() const { return argument_.text().empty(); }

 private:
  const Argument argument_;
  const std::unique_ptr<const Regex> regex_;  // of a constant argument
};

class Rx : public RegexOperator {
 public:
  using RegexOperator::RegexOperator;

  bool Match(std::string_view value, std::string_view argument,
             OperatorScratch& scratch) const override {
    Begin(scratch);
    if (value.data() == nullptr) value = "";  // so that an empty match has a place
    if (matches_all()) return Matched(scratch, value);
    const Regex* expression = regex(argument, scratch);
    if (expression == nullptr) return false;
    RegexScratch& memory = scratch.memory().regex;
    size_t groups = 0;
    const Regex::Result result = expression->Find(value, 0, memory, groups);
    scratch.limit_exceeded = result == Regex::Result::kLimit;
    if (result != Regex::Result::kMatch) return false;
    for (size_t i = 0; i < groups; ++i) scratch.captures[i] = memory.Group(i, value);
    scratch.capture_count = groups;
    return Matched(scratch, scratch.captures[0]);
  }
};

// All matches, one behind the other; the groups of all of them are captures in a row.
class RxGlobal : public RegexOperator {
 public:
  using RegexOperator::RegexOperator;

  bool Match(std::string_view value, std::string_view argument,
             OperatorScratch& scratch) const override {
    Begin(scratch);
    if (value.data() == nullptr) value = "";  // so that an empty match has a place
    if (matches_all()) return Matched(scratch, value);
    const Regex* expression = regex(argument, scratch);
    if (expression == nullptr) return false;
    RegexScratch& memory = scratch.memory().regex;
    size_t count = 0;
    bool after_empty = false;  // the last match was empty, and began at `from`
    // More matches than there are captures change nothing.
    for (size_t from = 0; from <= value.size() && count < OperatorScratch::kCapturesMax;) {
      size_t groups = 0;
      const Regex::Result result = after_empty
                                       ? expression->FindNonEmptyAt(value, from, memory, groups)
                                       : expression->Find(value, from, memory, groups);
      if (result == Regex::Result::kLimit) {
        scratch.limit_exceeded = true;
        return false;
      }
      if (result == Regex::Result::kLate) return false;
      if (result == Regex::Result::kNoMatch) {
        if (!after_empty) break;
        after_empty = false;
        ++from;
        continue;
      }
      for (size_t i = 0; i < groups && count < OperatorScratch::kCapturesMax; ++i) {
        scratch.captures[count++] = memory.Group(i, value);
      }
      const std::string_view whole = memory.Group(0, value);
      // \K in a lookahead can give a match without a place.
      if (whole.data() == nullptr) break;
      after_empty = whole.empty();
      const size_t end = static_cast<size_t>(whole.data() - value.data()) + whole.size();
      // \K in a lookbehind can give one that ends before where it was looked for.
      if (end < from || (!after_empty && end == from)) break;
      from = end;
    }
    if (count == 0) return false;
    scratch.capture_count = count;
    return Matched(scratch, scratch.captures[0]);
  }
};

Made Make(std::string_view name, Argument argument, const SourceLocation& where) {
  std::unique_ptr<const Regex> regex;
  if (argument.constant()) {
    absl::StatusOr<std::unique_ptr<const Regex>> compiled = Regex::Compile(argument.text());
    if (!compiled.ok()) {
      return SourceError(where, absl::StrCat("found '", compiled.status().message(), "' in '",
                                             argument.text(), "'; expected a regular expression"));
    }
    regex = *std::move(compiled);
  }
  if (name == "rxglobal") {
    return std::make_unique<RxGlobal>(std::move(argument), std::move(regex));
  }
  return std::make_unique<Rx>(std::move(argument), std::move(regex));
}

}  // namespace

Made MakeRegexOperator(std::string_view name, std::string_view argument,
                       const SourceLocation& where) {
  return Make(name, Argument(argument), where);
}

}  // namespace operators

absl::StatusOr<std::unique_ptr<Operator>> MakeRegexWithoutMacros(std::string_view expression,
                                                                 const SourceLocation& where) {
  return operators::Make("rx", operators::Argument(expression, true), where);
}

}  // namespace edge::waf
