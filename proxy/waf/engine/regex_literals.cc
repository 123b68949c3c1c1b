#include "proxy/waf/engine/regex_literals.h"

#include <algorithm>
#include <bitset>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"

namespace edge::waf {
namespace {

// Beyond these a set of texts is given up: the longer ones are found no faster, and a value has
// more and more of the many.
constexpr size_t kExactMax = 64;
constexpr size_t kRequiredMax = 400;
constexpr size_t kTextBytesMax = 12;
constexpr size_t kClassBytesMax = 12;
// Of groups within groups. libmodsecurity's rules have less than ten.
constexpr int kDepthMax = 60;

using Texts = std::set<std::string>;
using ByteSet = std::bitset<256>;

// What is known of the texts that a part of an expression matches.
struct Known {
  // All of them, if they are few and short.
  std::optional<Texts> exact;
  // Each contains one of these; empty: nothing is known.
  Texts required;

  static Known Nothing() { return {}; }
  static Known Empty() { return {.exact = Texts{""}, .required = {}}; }
};

// How good it is to look for `texts`: the shortest one counts, and then how few there are. What
// stands in every text is no good at all.
int Goodness(const Texts& texts) {
  if (texts.empty() || texts.size() > kRequiredMax) return 0;
  size_t shortest = kTextBytesMax;
  for (const std::string& text : texts) {
    if (text.empty()) return 0;
    const bool common =
        text.size() == 1 && (absl::ascii_isalnum(static_cast<unsigned char>(text[0])) ||
                             std::string_view(" _-./").find(text[0]) != std::string::npos);
    if (common) return 0;
    shortest = std::min(shortest, text.size());
  }
  return static_cast<int>(std::min<size_t>(shortest, 4)) * 1000 - static_cast<int>(texts.size());
}

Texts Better(const Texts& a, const Texts& b) { return Goodness(b) > Goodness(a) ? b : a; }

// What `part` says by itself.
Texts RequiredOf(const Known& part) {
  return part.exact.has_value() ? Better(part.required, *part.exact) : part.required;
}

// Parts one behind the other.
class Sequence {
 public:
  void Append(const Known& part) {
    required_ = Better(required_, part.required);
    if (part.exact.has_value()) {
      std::optional<Texts> longer = Product(run_, *part.exact);
      if (longer.has_value()) {
        run_ = *std::move(longer);
        return;
      }
    }
    // What is known exactly ends here, and perhaps begins anew.
    required_ = Better(required_, run_);
    whole_ = false;
    run_ = part.exact.value_or(Texts{""});
  }

  Known Take() {
    if (whole_) return {.exact = std::move(run_), .required = std::move(required_)};
    return {.exact = std::nullopt, .required = Better(required_, run_)};
  }

 private:
  // nullopt: too many, or too long.
  static std::optional<Texts> Product(const Texts& left, const Texts& right) {
    if (left.size() * right.size() > kExactMax) return std::nullopt;
    Texts product;
    for (const std::string& a : left) {
      for (const std::string& b : right) {
        if (a.size() + b.size() > kTextBytesMax) return std::nullopt;
        product.insert(a + b);
      }
    }
    return product;
  }

  Texts required_;
  Texts run_ = {""};   // exactly what the last parts match
  bool whole_ = true;  // the last parts are all
};

Known Alternate(Known left, Known right) {
  Known both;
  if (left.exact.has_value() && right.exact.has_value() &&
      left.exact->size() + right.exact->size() <= kExactMax) {
    both.exact = *left.exact;
    both.exact->insert(right.exact->begin(), right.exact->end());
  }
  const Texts of_left = RequiredOf(left);
  const Texts of_right = RequiredOf(right);
  if (Goodness(of_left) > 0 && Goodness(of_right) > 0 &&
      of_left.size() + of_right.size() <= kRequiredMax) {
    both.required = of_left;
    both.required.insert(of_right.begin(), of_right.end());
  }
  return both;
}

Known Repeat(Known part, size_t least, size_t most) {
  if (least == 1 && most == 1) return part;
  Known repeated;
  if (least == 0) {
    if (most == 1 && part.exact.has_value() && part.exact->size() < kExactMax) {
      repeated.exact = std::move(part.exact);
      repeated.exact->insert("");
    }
    return repeated;
  }
  // The first round is always there.
  repeated.required = RequiredOf(part);
  return repeated;
}

Known OfBytes(ByteSet bytes) {
  Texts texts;
  for (size_t c = 0; c < bytes.size(); ++c) {
    if (!bytes[c]) continue;
    texts.insert(std::string(1, absl::ascii_tolower(static_cast<unsigned char>(c))));
    if (texts.size() > kClassBytesMax) return Known::Nothing();
  }
  // A class that matches nothing: so does the expression, and anything is true of it.
  if (texts.empty()) return Known::Nothing();
  return {.exact = std::move(texts), .required = {}};
}

Known OfByte(unsigned char c) {
  ByteSet bytes;
  bytes.set(c);
  return OfBytes(bytes);
}

// Reads an expression. Each Parse takes its part off the front of rest_; once failed_ is set, the
// results mean nothing.
class Reader {
 public:
  explicit Reader(std::string_view pattern) : rest_(pattern) {}

  std::optional<Known> Read() {
    Known known = ParseAlternatives(0);
    // A parenthesis too many.
    if (!rest_.empty()) failed_ = true;
    if (failed_) return std::nullopt;
    return known;
  }

 private:
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  Known Fail() {
    failed_ = true;
    rest_ = {};
    return Known::Nothing();
  }

  Known ParseAlternatives(int depth) {
    if (depth > kDepthMax) return Fail();
    Known all = ParseSequence(depth);
    while (Take("|")) all = Alternate(std::move(all), ParseSequence(depth));
    return all;
  }

  Known ParseSequence(int depth) {
    Sequence sequence;
    while (!rest_.empty() && rest_.front() != '|' && rest_.front() != ')') {
      sequence.Append(ParseRepeats(ParseAtom(depth)));
    }
    return sequence.Take();
  }

  Known ParseRepeats(Known part) {
    while (!rest_.empty()) {
      size_t least = 0;
      size_t most = SIZE_MAX;
      if (Take("*")) {
      } else if (Take("+")) {
        least = 1;
      } else if (Take("?")) {
        most = 1;
      } else if (rest_.front() != '{' || !TakeCounts(least, most)) {
        return part;
      }
      // Lazy or possessive: the same texts, or fewer.
      if (!Take("?")) (void)Take("+");
      part = Repeat(std::move(part), least, most);
    }
    return part;
  }

  static bool TakeNumber(std::string_view& text, size_t& number) {
    if (text.empty() || !absl::ascii_isdigit(static_cast<unsigned char>(text.front())))
      return false;
    number = 0;
    while (!text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text.front()))) {
      number = std::min<size_t>(number * 10 + static_cast<size_t>(text.front() - '0'), 1'000'000);
      text.remove_prefix(1);
    }
    return true;
  }

  // {2}, {2,}, {2,5}. Anything else in braces may be a text or, since pcre2 10.43, a count: a text
  // that begins with a brace is in the value or not, so that is not decided here.
  bool TakeCounts(size_t& least, size_t& most) {
    std::string_view text = rest_.substr(1);
    if (!TakeNumber(text, least)) {
      const size_t after = text.find_first_not_of(" \t");
      const bool text_only =
          after == text.npos ||
          (!absl::ascii_isdigit(static_cast<unsigned char>(text[after])) && text[after] != ',');
      if (!text_only) Fail();
      return false;
    }
    most = least;
    if (text.starts_with(',')) {
      text.remove_prefix(1);
      if (!TakeNumber(text, most)) most = SIZE_MAX;
    }
    if (!text.starts_with('}')) {
      Fail();
      return false;
    }
    text.remove_prefix(1);
    rest_ = text;
    return true;
  }

  Known ParseAtom(int depth) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    switch (c) {
      case '(':
        return ParseGroup(depth);
      case '[':
        return ParseClass();
      case '\\':
        return ParseEscape();
      case '^':
      case '$':
        return Known::Empty();
      case '.':
        return Known::Nothing();
      default:
        return OfByte(static_cast<unsigned char>(c));
    }
  }

  // Behind "(".
  Known ParseGroup(int depth) {
    if (rest_.starts_with("*")) return Fail();
    if (!Take("?")) return CloseGroup(depth);
    // What is looked at is in the value, but nothing of the match.
    if (Take("=") || Take("!") || Take("<=") || Take("<!")) {
      (void)CloseGroup(depth);
      return Known::Empty();
    }
    if (Take(":") || Take(">") || Take("|")) return CloseGroup(depth);
    if (rest_.starts_with("<") || rest_.starts_with("P<") || rest_.starts_with("'")) {
      const size_t end = rest_.find_first_of(">'", rest_.find_first_of("<'") + 1);
      if (end == rest_.npos) return Fail();
      rest_.remove_prefix(end + 1);
      return CloseGroup(depth);
    }
    // Options. Those of letters' case, lines and dots do not matter here; x changes what blanks
    // are.
    const size_t end = rest_.find_first_not_of("imsU-^");
    if (end == 0 || end == rest_.npos) return Fail();
    rest_.remove_prefix(end);
    if (Take(")")) return Known::Empty();
    if (Take(":")) return CloseGroup(depth);
    return Fail();
  }

  Known CloseGroup(int depth) {
    Known group = ParseAlternatives(depth + 1);
    return Take(")") ? group : Fail();
  }

  // Behind a backslash, outside of a class.
  Known ParseEscape() {
    if (rest_.empty()) return Fail();
    const char c = rest_.front();
    if (std::string_view("bBAzZG").find(c) != std::string_view::npos) {
      rest_.remove_prefix(1);
      return Known::Empty();
    }
    if (std::string_view("dDwWsShHvVNR").find(c) != std::string_view::npos) {
      rest_.remove_prefix(1);
      // \N{U+hhh}, which needs UTF mode.
      return rest_.starts_with("{") && c == 'N' ? Fail() : Known::Nothing();
    }
    // A group that has matched, or a byte in octal: any text.
    if (c >= '1' && c <= '9') {
      size_t number = 0;
      (void)TakeNumber(rest_, number);
      return Known::Nothing();
    }
    const std::optional<unsigned char> byte = TakeByteEscape();
    return byte.has_value() ? OfByte(*byte) : Fail();
  }

  // A byte that is written as an escape, in a class or outside of one.
  std::optional<unsigned char> TakeByteEscape() {
    const unsigned char c = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    if (!absl::ascii_isalnum(c)) return c;
    switch (c) {
      case 'a':
        return '\a';
      case 'e':
        return '\x1b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return TakeHex();
      case '0':
        return TakeOctal();
      default:
        // \Q, \K, \c, \g, \k, \o, \p, \X, \C.
        return std::nullopt;
    }
  }

  // Behind \x: no, one or two digits; not those in braces.
  std::optional<unsigned char> TakeHex() {
    if (rest_.starts_with("{")) return std::nullopt;
    unsigned value = 0;
    for (int i = 0; i < 2 && !rest_.empty(); ++i) {
      const auto c = static_cast<unsigned char>(rest_.front());
      if (!absl::ascii_isxdigit(c)) break;
      value = value * 16 + (absl::ascii_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10U);
      rest_.remove_prefix(1);
    }
    return static_cast<unsigned char>(value);
  }

  // Behind \0: no, one or two digits more.
  unsigned char TakeOctal() {
    unsigned value = 0;
    for (int i = 0; i < 2 && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '7'; ++i) {
      value = value * 8 + static_cast<unsigned>(rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return static_cast<unsigned char>(value);
  }

  // Behind "[". A class with more in it than single bytes and ranges of them may be anything.
  Known ParseClass() {
    const bool negated = Take("^");
    ByteSet bytes;
    bool anything = negated;
    int previous = -1;  // the byte that may begin a range; -1: none
    for (bool first = true;; first = false) {
      if (rest_.empty()) return Fail();
      if (rest_.front() == ']' && !first) break;
      if (rest_.starts_with("[:") || rest_.starts_with("[.") || rest_.starts_with("[=")) {
        const size_t end = rest_.find(']');
        if (end == rest_.npos || rest_[end - 1] != rest_[1]) return Fail();
        rest_.remove_prefix(end + 1);
        anything = true;
        previous = -1;
        continue;
      }
      const bool range =
          previous >= 0 && rest_.size() >= 2 && rest_.front() == '-' && rest_[1] != ']';
      if (range) rest_.remove_prefix(1);
      std::optional<unsigned char> byte;
      if (!Take("\\")) {
        byte = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
      } else if (rest_.empty()) {
        return Fail();
      } else if (std::string_view("dDwWsShHvV").find(rest_.front()) != std::string_view::npos) {
        rest_.remove_prefix(1);
        anything = true;
      } else if (rest_.front() == 'b') {
        rest_.remove_prefix(1);
        byte = '\b';
      } else if (byte = TakeByteEscape(); !byte.has_value()) {
        return Fail();
      }
      if (byte.has_value()) {
        const unsigned begin = range ? static_cast<unsigned>(previous) : *byte;
        for (unsigned b = begin; b <= *byte; ++b) bytes.set(b);
      }
      previous = range || !byte.has_value() ? -1 : *byte;
    }
    rest_.remove_prefix(1);
    return anything ? Known::Nothing() : OfBytes(bytes);
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace

std::vector<std::string> RequiredLiterals(std::string_view pattern) {
  const std::optional<Known> known = Reader(pattern).Read();
  if (!known.has_value()) return {};
  const Texts texts = RequiredOf(*known);
  if (Goodness(texts) <= 0) return {};
  return {texts.begin(), texts.end()};
}

}  // namespace edge::waf
