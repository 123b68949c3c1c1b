// Operators that compare numbers. A text is the number at its beginning, and 0 if there is none.

#include <cstdint>

#include "proxy/waf/engine/operator_internal.h"

namespace edge::waf::operators {
namespace {

// As atoll: white space, a sign, digits. What does not fit is the nearest number that does.
int64_t LeadingNumber(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r'))) ++at;
  bool negative = false;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) negative = text[at++] == '-';
  // Counted downwards, because there is one negative number more.
  int64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (__builtin_mul_overflow(number, 10, &number) ||
        __builtin_sub_overflow(number, text[at] - '0', &number)) {
      return negative ? INT64_MIN : INT64_MAX;
    }
  }
  if (!negative && number == INT64_MIN) return INT64_MAX;
  return negative ? number : -number;
}

// @eq is the odd one out: to it, what is not in the range of an int is 0.
int64_t LeadingInt(std::string_view text) {
  const int64_t number = LeadingNumber(text);
  return number < INT32_MIN || number > INT32_MAX ? 0 : number;
}

bool Eq(std::string_view value, std::string_view limit) {
  return LeadingInt(value) == LeadingInt(limit);
}
bool Ge(std::string_view value, std::string_view limit) {
  return LeadingNumber(value) >= LeadingNumber(limit);
}
bool Gt(std::string_view value, std::string_view limit) {
  return LeadingNumber(value) > LeadingNumber(limit);
}
bool Le(std::string_view value, std::string_view limit) {
  return LeadingNumber(value) <= LeadingNumber(limit);
}
bool Lt(std::string_view value, std::string_view limit) {
  return LeadingNumber(value) < LeadingNumber(limit);
}

using Comparison = bool (*)(std::string_view value, std::string_view limit);

class NumberOperator : public Operator {
 public:
  NumberOperator(std::string_view argument, Comparison compare)
      : argument_(argument), compare_(compare) {}

  bool Match(std::string_view value, std::string_view argument,
             OperatorScratch& scratch) const override {
    Begin(scratch);
    return compare_(value, argument_.Expanded(argument)) && Matched(scratch, value);
  }

 private:
  const Argument argument_;
  const Comparison compare_;
};

struct Entry {
  std::string_view name;
  Comparison compare;
};

constexpr Entry kEntries[] = {{"eq", Eq}, {"ge", Ge}, {"gt", Gt}, {"le", Le}, {"lt", Lt}};

}  // namespace

Made MakeNumberOperator(std::string_view name, std::string_view argument, const SourceLocation&) {
  const Entry* entry = kEntries;
  while (entry->name != name) ++entry;
  return std::make_unique<NumberOperator>(argument, entry->compare);
}

}  // namespace edge::waf::operators
