#include "proxy/waf/engine/match_needs.h"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace edge::waf {
namespace {

// For looking up views.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// Alternatives of one place; more make the search slower and hardly any better.
constexpr size_t kTextsMax = 1000;
// Of an operator that looks for phrases: the Core Rule Set has lists of 1300. More are better
// looked for by the operator alone than in all values.
constexpr size_t kPhrasesMax = 10'000;
// Of texts put together of alternatives in a row.
constexpr size_t kProductMax = 128;
constexpr size_t kTextBytesMax = 16;
// Larger classes of characters, like \s, end a text.
constexpr size_t kClassMax = 4;
constexpr int kDepthMax = 100;
constexpr int kRepeatMax = 4;

using Texts = std::vector<std::string>;
using Class = std::bitset<256>;

// How likely a benign text has this: what is looked for should be rare. Rough, from forms and
// fields of requests.
double ChanceOfSign(char c) {
  switch (c) {
    case ' ':
      return 0.5;
    case '-':
      return 0.4;
    case '.':
      return 0.3;
    case '/':
      return 0.2;
    case ',':
      return 0.15;
    case ':':
    case '=':
      return 0.1;
    case '\'':
    case '"':
    case ';':
    case '%':
    case '&':
    case '+':
    case '(':
    case ')':
    case '?':
      return 0.05;
    default:
      return static_cast<unsigned char>(c) >= 0x80 ? 0.1 : 0.02;
  }
}

double ChanceOfMarks(ByteMarks marks) {
  double chance = 0;
  ByteMarks left = marks;
  for (unsigned c = 0; c < 256 && left != 0; ++c) {
    const ByteMarks mark = MarkOf(static_cast<char>(c));
    if ((left & mark) != 0) chance += ChanceOfSign(static_cast<char>(c));
    left &= ~mark;
  }
  return chance;
}

// The rarest sign of a text; '\0' with no mark: it has none.
ByteMarks RarestMark(std::string_view text) {
  ByteMarks best = 0;
  double best_chance = 2;
  for (const char c : text) {
    if (MarkOf(c) != 0 && ChanceOfSign(c) < best_chance) {
      best = MarkOf(c);
      best_chance = ChanceOfSign(c);
    }
  }
  return best;
}

double ChanceOfText(std::string_view text) {
  constexpr double kByLength[] = {1, 1, 0.5, 0.05, 0.02, 0.01, 0.005};
  const double chance = kByLength[std::min<size_t>(text.size(), 6)];
  const ByteMarks mark = RarestMark(text);
  return mark == 0 ? chance : std::min(chance, ChanceOfMarks(mark));
}

// A literal or a byte of which one is in every match.
struct Need {
  Texts literals;
  ByteMarks bytes = 0;
  double chance = 1;  // 1: nothing is known
};

Need NeedOf(const Texts& texts) {
  Need need{.literals = {}, .bytes = 0, .chance = 0};
  for (const std::string& text : texts) {
    const ByteMarks mark = RarestMark(text);
    // A byte is looked for at less cost than a literal.
    // Hyperscan takes no literal that begins with NUL, which is a rare byte by itself.
    const bool as_byte =
        mark != 0 && (text.size() == 1 || (text.size() == 2 && ChanceOfMarks(mark) <= 0.05) ||
                      text.front() == '\0');
    if (text.empty() || (text.size() == 1 && !as_byte)) return {};
    if (as_byte) {
      need.bytes |= mark;
    } else {
      need.literals.push_back(text.substr(0, kTextBytesMax));
      need.chance += ChanceOfText(text);
    }
  }
  need.chance += ChanceOfMarks(need.bytes);
  return need.chance < 1 ? need : Need{};
}

Need BytesNeedOf(const Texts& texts) {
  Need need{.literals = {}, .bytes = 0, .chance = 0};
  for (const std::string& text : texts) {
    const ByteMarks mark = RarestMark(text);
    if (mark == 0) return {};
    need.bytes |= mark;
  }
  need.chance = ChanceOfMarks(need.bytes);
  return need.chance < 1 ? need : Need{};
}

// One or the other.
Need Either(const Need& a, const Need& b) {
  if (a.chance >= 1 || b.chance >= 1) return {};
  Need need = a;
  need.literals.insert(need.literals.end(), b.literals.begin(), b.literals.end());
  need.bytes |= b.bytes;
  need.chance += b.chance;
  return need.chance < 1 && need.literals.size() <= kTextsMax ? need : Need{};
}

void KeepRarer(Need& best, const Need& need) {
  if (need.chance < best.chance) best = need;
}

// What is known of a part of the expression.
struct Part {
  // `texts` is all that the part can match; else it matches what it will.
  bool exact = false;
  Texts texts;
  // If not exact: what is in every match.
  Need need;
  Need bytes_need;
};

Part Exactly(Texts texts) { return {.exact = true, .texts = std::move(texts)}; }
Part Nothing() { return Exactly({""}); }
Part Anything() { return {}; }

Need NeedOf(const Part& part) { return part.exact ? NeedOf(part.texts) : part.need; }
Need BytesNeedOf(const Part& part) {
  return part.exact ? BytesNeedOf(part.texts) : part.bytes_need;
}

// Without duplicates, and without those that have another in them. Looks up what is in a text,
// which is short, rather than comparing texts with each other, of which there may be thousands.
Texts Reduced(Texts texts) {
  for (std::string& text : texts) text.resize(std::min(text.size(), kTextBytesMax));
  std::sort(texts.begin(), texts.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  std::unordered_set<std::string, TextHash, std::equal_to<>> seen;
  const auto covered = [&seen](std::string_view text) {
    for (size_t begin = 0; begin < text.size(); ++begin) {
      for (size_t size = 1; size <= text.size() - begin; ++size) {
        if (seen.contains(text.substr(begin, size))) return true;
      }
    }
    return false;
  };
  Texts kept;
  for (std::string& text : texts) {
    if (covered(text)) continue;
    seen.insert(text);
    kept.push_back(std::move(text));
  }
  return kept;
}

// \s and the like, as pcre2 has them without tables of a locale.
bool AddClass(char letter, Class& set) {
  Class members;
  switch (absl::ascii_tolower(static_cast<unsigned char>(letter))) {
    case 's':
      for (unsigned c = 9; c <= 13; ++c) members.set(c);
      members.set(' ');
      break;
    case 'd':
      for (unsigned c = '0'; c <= '9'; ++c) members.set(c);
      break;
    case 'w':
      for (unsigned c = 0; c < 128; ++c) members.set(c, absl::ascii_isalnum(c) || c == '_');
      break;
    case 'h':
      members.set(9).set(32).set(0xa0);
      break;
    case 'v':
      for (unsigned c = 10; c <= 13; ++c) members.set(c);
      members.set(0x85);
      break;
    default:
      return false;
  }
  set |= absl::ascii_isupper(static_cast<unsigned char>(letter)) ? ~members : members;
  return true;
}

// A class as the part that it is: a few texts, or bytes of which each has a mark.
Part PartOf(const Class& set) {
  Texts texts;
  ByteMarks marks = 0;
  bool marked = true;
  for (size_t i = 0; i < set.size(); ++i) {
    if (!set[i]) continue;
    const ByteMarks mark = MarkOf(static_cast<char>(i));
    marks |= mark;
    marked = marked && mark != 0;
    const char lower = absl::ascii_tolower(static_cast<unsigned char>(i));
    if (texts.size() <= kClassMax &&
        std::find(texts.begin(), texts.end(), std::string(1, lower)) == texts.end()) {
      texts.emplace_back(1, lower);
    }
  }
  if (!texts.empty() && texts.size() <= kClassMax) return Exactly(std::move(texts));
  Part part;
  if (marked && marks != 0) {
    part.need = {.literals = {}, .bytes = marks, .chance = ChanceOfMarks(marks)};
    if (part.need.chance >= 1) part.need = {};
    part.bytes_need = part.need;
  }
  return part;
}

// Parts in a row.
class Sequence {
 public:
  void Add(const Part& part) {
    if (!part.exact) {
      End();
      KeepRarer(best_, part.need);
      KeepRarer(best_bytes_, part.bytes_need);
      exact_ = false;
      return;
    }
    if (texts_.size() * part.texts.size() > kProductMax || TooLong()) {
      End();
      exact_ = false;
      texts_ = part.texts;
      return;
    }
    Texts product;
    for (const std::string& a : texts_) {
      for (const std::string& b : part.texts) product.push_back(a + b);
    }
    texts_ = std::move(product);
  }
  // What comes next has no place right behind what was.
  void End() {
    KeepRarer(best_, NeedOf(texts_));
    KeepRarer(best_bytes_, BytesNeedOf(texts_));
    texts_ = {""};
  }
  void Break() {
    End();
    exact_ = false;
  }
  Part Take() {
    if (exact_) return Exactly(std::move(texts_));
    End();
    return {.exact = false,
            .texts = {},
            .need = std::move(best_),
            .bytes_need = std::move(best_bytes_)};
  }

 private:
  bool TooLong() const {
    return std::any_of(texts_.begin(), texts_.end(),
                       [](const std::string& text) { return text.size() > 4 * kTextBytesMax; });
  }

  bool exact_ = true;
  Texts texts_ = {""};
  Need best_;
  Need best_bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view expression) : rest_(expression) {}

  // False from then on: something that is not known.
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  Part ReadAlternatives(int depth);

 private:
  Part ReadSequence(int depth);
  Part ReadAtom(int depth);
  Part ReadGroup(int depth);
  Part ReadEscape();
  Part ReadClass();
  bool ReadMember(Class& set, unsigned char& member);
  bool ReadHex(unsigned char& byte);
  bool ReadRepeat(int& min, int& max);

  bool Take(std::string_view text) {
    if (!absl::StartsWith(rest_, text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  // Or at a brace that is one as such.
  bool AtQuantifier() const { return !rest_.empty() && absl::StrContains("*+?{", rest_.front()); }
  char TakeChar() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  Part Fail() {
    ok_ = false;
    rest_ = {};
    return Anything();
  }
  static Part Literal(char c) {
    return Exactly({std::string(1, absl::ascii_tolower(static_cast<unsigned char>(c)))});
  }

  std::string_view rest_;
  bool ok_ = true;
};

Part Reader::ReadAlternatives(int depth) {
  if (depth > kDepthMax) return Fail();
  Part all = ReadSequence(depth);
  while (ok_ && Take("|")) {
    Part next = ReadSequence(depth);
    if (all.exact && next.exact && all.texts.size() + next.texts.size() <= kTextsMax) {
      all.texts.insert(all.texts.end(), next.texts.begin(), next.texts.end());
      continue;
    }
    all = {.exact = false,
           .texts = {},
           .need = Either(NeedOf(all), NeedOf(next)),
           .bytes_need = Either(BytesNeedOf(all), BytesNeedOf(next))};
  }
  return all;
}

Part Reader::ReadSequence(int depth) {
  Sequence sequence;
  while (ok_ && !rest_.empty() && rest_.front() != '|' && rest_.front() != ')') {
    const Part atom = ReadAtom(depth);
    if (!ok_) break;
    int min = 1;
    int max = 1;
    if (!ReadRepeat(min, max)) {
      sequence.Add(atom);
      continue;
    }
    if (!ok_) break;
    if (atom.exact && max == 1 && min == 0 && atom.texts.size() < kProductMax) {
      Part maybe = atom;
      maybe.texts.emplace_back();
      sequence.Add(maybe);
      continue;
    }
    for (int i = 0; i < std::min(min, kRepeatMax); ++i) sequence.Add(atom);
    if (max != min || min > kRepeatMax) sequence.Break();
  }
  return sequence.Take();
}

// False: there is no quantifier.
bool Reader::ReadRepeat(int& min, int& max) {
  constexpr int kNoMax = INT32_MAX;
  if (Take("*")) {
    min = 0;
    max = kNoMax;
  } else if (Take("+")) {
    min = 1;
    max = kNoMax;
  } else if (Take("?")) {
    min = 0;
    max = 1;
  } else if (absl::StartsWith(rest_, "{")) {
    const size_t close = rest_.find('}');
    if (close == rest_.npos) return false;
    const std::string_view inside = rest_.substr(1, close - 1);
    // Not a quantifier: a brace as such.
    if (inside.empty() || inside.find_first_not_of("0123456789,") != inside.npos) {
      // Newer pcre2 allows blanks within.
      if (!inside.empty() && inside.find_first_not_of("0123456789, \t") == inside.npos) Fail();
      return false;
    }
    const size_t comma = inside.find(',');
    const std::string_view last = comma == inside.npos ? inside : inside.substr(comma + 1);
    if (!absl::SimpleAtoi(inside.substr(0, comma), &min) ||
        (!last.empty() && !absl::SimpleAtoi(last, &max))) {
      Fail();
      return true;
    }
    if (last.empty()) max = kNoMax;
    rest_.remove_prefix(close + 1);
  } else {
    return false;
  }
  if (!Take("?")) Take("+");
  if (AtQuantifier()) Fail();  // of a quantifier
  return true;
}

Part Reader::ReadAtom(int depth) {
  const char c = TakeChar();
  switch (c) {
    case '(':
      return ReadGroup(depth);
    case '[':
      return ReadClass();
    case '\\':
      return ReadEscape();
    case '.':
      return Anything();
    case '^':
    case '$':
      return Nothing();
    case '*':
    case '+':
    case '?':
      return Fail();
    default:
      return Literal(c);
  }
}

Part Reader::ReadGroup(int depth) {
  bool assertion = false;
  if (Take("*")) return Fail();
  if (Take("?")) {
    if (Take("=") || Take("!") || Take("<=") || Take("<!")) {
      assertion = true;
    } else if (Take(":") || Take(">") || Take("|")) {
      // Groups like others.
    } else if (Take("P<") || Take("<")) {
      // Nothing but a name: "(?<*" is an assertion.
      while (!rest_.empty() && (absl::ascii_isalnum(static_cast<unsigned char>(rest_.front())) ||
                                rest_.front() == '_')) {
        rest_.remove_prefix(1);
      }
      if (!Take(">")) return Fail();
    } else {
      // Options for the group, or for what follows in the group around it.
      while (!rest_.empty() && absl::StrContains("ims-", rest_.front())) rest_.remove_prefix(1);
      if (Take(")")) return AtQuantifier() ? Fail() : Nothing();
      if (!Take(":")) return Fail();
    }
  }
  Part part = ReadAlternatives(depth + 1);
  if (!ok_ || !Take(")")) return Fail();
  return assertion ? Nothing() : part;
}

bool Reader::ReadHex(unsigned char& byte) {
  int value = 0;
  size_t digits = 0;
  const bool braces = Take("{");
  while (!rest_.empty() && absl::ascii_isxdigit(static_cast<unsigned char>(rest_.front())) &&
         digits < 2) {
    const char c = absl::ascii_tolower(static_cast<unsigned char>(TakeChar()));
    value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    ++digits;
  }
  if (digits == 0 || (braces && !Take("}"))) return false;
  byte = static_cast<unsigned char>(value);
  return true;
}

// Escapes of one character; false: it is another kind of escape.
bool SimpleEscape(char c, char& out) {
  switch (c) {
    case 'n':
      out = '\n';
      return true;
    case 'r':
      out = '\r';
      return true;
    case 't':
      out = '\t';
      return true;
    case 'f':
      out = '\f';
      return true;
    case 'e':
      out = '\x1b';
      return true;
    case 'a':
      out = '\a';
      return true;
    default:
      out = c;
      return !absl::ascii_isalnum(static_cast<unsigned char>(c));
  }
}

Part Reader::ReadEscape() {
  if (rest_.empty()) return Fail();
  const char c = TakeChar();
  if (c == 'x') {
    unsigned char byte = 0;
    if (!ReadHex(byte)) return Fail();
    return Literal(static_cast<char>(byte));
  }
  Class set;
  if (AddClass(c, set)) return PartOf(set);
  if (c == 'N' || c == 'R') return Anything();
  if (absl::StrContains("bBAzZGK", c)) return Nothing();
  // What a group matched, perhaps nothing.
  if (c >= '1' && c <= '9') {
    if (!rest_.empty() && absl::ascii_isdigit(static_cast<unsigned char>(rest_.front()))) {
      return Fail();  // it may be an octal number
    }
    return Anything();
  }
  char out;
  if (!SimpleEscape(c, out)) return Fail();
  return Literal(out);
}

// One member of a class, or the end of a range. False: it is a class itself, which was added.
bool Reader::ReadMember(Class& set, unsigned char& member) {
  member = static_cast<unsigned char>(TakeChar());
  if (member != '\\') return true;
  if (rest_.empty()) {
    Fail();
    return false;
  }
  const char c = TakeChar();
  if (c == 'x') {
    if (!ReadHex(member)) Fail();
    return ok_;
  }
  if (AddClass(c, set)) return false;
  char out;
  if (c == 'b') {
    member = '\b';
  } else if (SimpleEscape(c, out)) {
    member = static_cast<unsigned char>(out);
  } else {
    Fail();
    return false;
  }
  return true;
}

// Behind '['.
Part Reader::ReadClass() {
  const bool negated = Take("^");
  Class set;
  for (bool first = true; first || !Take("]"); first = false) {
    if (rest_.size() < 2) return Fail();
    // Classes with names are not worth knowing.
    if (absl::StartsWith(rest_, "[:") || absl::StartsWith(rest_, "[.") ||
        absl::StartsWith(rest_, "[=")) {
      return Fail();
    }
    unsigned char low;
    if (!ReadMember(set, low)) {
      if (!ok_) return Fail();
      continue;
    }
    unsigned char high = low;
    if (rest_.size() >= 2 && rest_[0] == '-' && rest_[1] != ']') {
      rest_.remove_prefix(1);
      if (rest_.front() == '[') return Fail();
      // Behind a dash, a class makes the dash a member.
      Class other;
      if (!ReadMember(other, high)) {
        if (!ok_) return Fail();
        set |= other;
        set.set('-').set(low);
        continue;
      }
      if (high < low) return Fail();
    }
    for (unsigned i = low; i <= high; ++i) set.set(i);
  }
  // Without regard to case; a negated class is so of its members first.
  for (unsigned c = 'a'; c <= 'z'; ++c) {
    const unsigned upper = c - 'a' + 'A';
    if (negated) continue;
    if (set[c] || set[upper]) set.set(c).set(upper);
  }
  return PartOf(negated ? ~set : set);
}

}  // namespace

MatchNeeds NeedsOfRegex(std::string_view expression) {
  Reader reader(expression);
  const Part part = reader.ReadAlternatives(0);
  if (!reader.ok() || !reader.at_end()) return {};
  Need need = NeedOf(part);
  const Need bytes_need = BytesNeedOf(part);
  MatchNeeds needs;
  if (bytes_need.chance < 1) needs.bytes = bytes_need.bytes;
  if (need.chance < 1) {
    needs.literals = Reduced(std::move(need.literals));
    needs.or_bytes = need.bytes;
  }
  return needs;
}

MatchNeeds NeedsOfLiterals(std::vector<std::string> literals) {
  MatchNeeds needs;
  if (literals.size() > kPhrasesMax) return needs;
  for (std::string& literal : literals) {
    // Hyperscan takes none that begins with NUL.
    if (literal.starts_with('\0')) return needs;
    absl::AsciiStrToLower(&literal);
  }
  const Need need = NeedOf(literals);
  if (need.chance >= 1 && literals.size() <= kTextsMax) return needs;
  needs.literals = Reduced(std::move(literals));
  return needs;
}

}  // namespace edge::waf
