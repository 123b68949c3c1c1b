// Operators that compare a value with a text, byte by byte.

#include <cstring>

#include "proxy/waf/engine/operator_internal.h"

namespace edge::waf::operators {
namespace {

// Where `text` is in `value`; npos. Faster than string_view::find where its first byte is frequent.
size_t FindText(std::string_view value, std::string_view text, size_t from = 0) {
  if (text.empty()) return from <= value.size() ? from : value.npos;
  if (from >= value.size()) return value.npos;
  const void* found = memmem(value.data() + from, value.size() - from, text.data(), text.size());
  return found == nullptr ? value.npos
                          : static_cast<size_t>(static_cast<const char*>(found) - value.data());
}

bool BeginsWith(std::string_view value, std::string_view text, OperatorScratch& scratch) {
  return value.starts_with(text) && Matched(scratch, value.substr(0, text.size()));
}

bool EndsWith(std::string_view value, std::string_view text, OperatorScratch& scratch) {
  return value.ends_with(text) && Matched(scratch, value.substr(value.size() - text.size()));
}

bool Equals(std::string_view value, std::string_view text, OperatorScratch& scratch) {
  return value == text && Matched(scratch, value);
}

bool Contains(std::string_view value, std::string_view text, OperatorScratch& scratch) {
  const size_t at = FindText(value, text);
  return at != value.npos && Matched(scratch, value.substr(at, text.size()));
}

// The value is part of the text. An empty one always is.
bool Within(std::string_view value, std::string_view text, OperatorScratch& scratch) {
  return FindText(text, value) != text.npos && Matched(scratch, value);
}

bool IsLetterAt(std::string_view value, size_t at) {
  const unsigned char letter = static_cast<unsigned char>(value[at]) | 0x20;
  return letter >= 'a' && letter <= 'z';
}

// Neither before nor behind it is a letter. Digits and underscores do not make a word longer.
bool ContainsWord(std::string_view value, std::string_view text, OperatorScratch& scratch) {
  if (text.empty()) return Matched(scratch, value);
  for (size_t at = FindText(value, text); at != value.npos; at = FindText(value, text, at + 1)) {
    const size_t end = at + text.size();
    if ((at == 0 || !IsLetterAt(value, at - 1)) &&
        (end == value.size() || !IsLetterAt(value, end))) {
      return Matched(scratch, value.substr(at, text.size()));
    }
  }
  return false;
}

using Comparison = bool (*)(std::string_view value, std::string_view text,
                            OperatorScratch& scratch);

class TextOperator : public Operator {
 public:
  TextOperator(std::string_view argument, Comparison compare)
      : argument_(argument), compare_(compare) {}

  bool Match(std::string_view value, std::string_view argument,
             OperatorScratch& scratch) const override {
    Begin(scratch);
    return compare_(value, argument_.Expanded(argument), scratch);
  }

  std::vector<PrefilterPattern> Prefilter() const override {
    // All but Within need the text to be in the value.
    if (compare_ == Within || !argument_.constant() || argument_.text().empty()) return {};
    return {{.expression = argument_.text(), .flags = HS_FLAG_SINGLEMATCH, .literal = true}};
  }

 private:
  const Argument argument_;
  const Comparison compare_;
};

struct Entry {
  std::string_view name;
  Comparison compare;
};

constexpr Entry kEntries[] = {
    {"beginswith", BeginsWith},
    {"contains", Contains},
    {"containsword", ContainsWord},
    {"endswith", EndsWith},
    {"streq", Equals},
    // libmodsecurity looks for the text as a whole, wherever it is; the manual speaks of words.
    {"strmatch", Contains},
    {"within", Within},
};

}  // namespace

Made MakeTextOperator(std::string_view name, std::string_view argument, const SourceLocation&) {
  const Entry* entry = kEntries;
  while (entry->name != name) ++entry;
  return std::make_unique<TextOperator>(argument, entry->compare);
}

}  // namespace edge::waf::operators
