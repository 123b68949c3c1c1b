// JSON as arguments: every string, number, true, false and null is one, named by its path:
// "json.user.name", "json.list.array_0", "json" for a value alone. An empty key is "empty-key".
//
// Accepts what yajl 2.1 accepts, which libmodsecurity is built with: one value of RFC 8259, with \v
// and \f as further white space; strings are UTF-8 by their bit patterns, though perhaps overlong.
// A reader of our own, because yajl takes a step for each byte of a string (100 KiB in 5,000
// values: 203 us for its events alone, 170 us here with all names made), allocates for each
// document, and swallows a character behind a lone surrogate.
//
// One pass, no recursion, nothing allocated but from the arena. What was read before a mistake
// stays, and a string that the body's end cuts is an argument too.

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

// Of the names of all arguments: as each repeats its path, a body of n bytes could make n * n / 4
// of them, and each transformation of a list may copy them all. 1000 arguments of 512 bytes.
constexpr size_t kNamesBytesMax = 512 << 10;

// Grows in the arena. What it outgrows stays there until the end of the request: as much again at
// most.
template <typename T>
class ArenaVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit ArenaVector(TextArena& arena) : arena_(arena) {}

  size_t size() const { return size_; }
  const T* data() const { return data_; }
  T& back() { return data_[size_ - 1]; }
  void push_back(const T& value) {
    Reserve(size_ + 1);
    data_[size_++] = value;
  }
  void append(const T* values, size_t count) {
    if (count == 0) return;
    Reserve(size_ + count);
    std::memcpy(data_ + size_, values, count * sizeof(T));
    size_ += count;
  }
  // Only to fewer.
  void resize(size_t size) { size_ = size; }

 private:
  void Reserve(size_t wanted) {
    if (wanted <= capacity_) return;
    capacity_ = std::max<size_t>(wanted, std::max<size_t>(capacity_ * 2, 16));
    auto* grown = reinterpret_cast<T*>(arena_.Allocate(capacity_ * sizeof(T)));
    if (size_ > 0) std::memcpy(grown, data_, size_ * sizeof(T));
    data_ = grown;
  }

  TextArena& arena_;
  T* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

// --- Characters

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The first byte that is not plain inside of a string: a quote, a backslash, a control character or
// a part of a longer UTF-8 sequence. Eight bytes at a time.
const char* SkipPlain(const char* p, const char* end) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighs = 0x8080808080808080;
  // Exact for the lowest byte that is found, which is the one that counts.
  const auto zero_bytes = [](uint64_t word) { return (word - kOnes) & ~word; };
  if constexpr (std::endian::native == std::endian::little) {
    for (; end - p >= 8; p += 8) {
      uint64_t word;
      std::memcpy(&word, p, 8);
      const uint64_t special = (zero_bytes(word ^ kOnes * '"') | zero_bytes(word ^ kOnes * '\\') |
                                ((word - kOnes * 0x20) & ~word) | word) &
                               kHighs;
      if (special != 0) return p + std::countr_zero(special) / 8;
    }
  }
  while (p != end && *p != '"' && *p != '\\' && static_cast<uint8_t>(*p) >= 0x20 &&
         static_cast<uint8_t>(*p) < 0x80) {
    ++p;
  }
  return p;
}

// Length of the UTF-8 sequence by its first byte, which is 0x80 or above; 0: it is none.
int Utf8Size(char first) {
  const auto c = static_cast<uint8_t>(first);
  if (c >> 5 == 0x6) return 2;
  if (c >> 4 == 0xe) return 3;
  if (c >> 3 == 0x1e) return 4;
  return 0;
}

char* WriteUtf8(uint32_t c, char* out) {
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xc0 | c >> 6);
    *out++ = static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *out++ = static_cast<char>(0xe0 | c >> 12);
    *out++ = static_cast<char>(0x80 | (c >> 6 & 0x3f));
    *out++ = static_cast<char>(0x80 | (c & 0x3f));
  } else {
    *out++ = static_cast<char>(0xf0 | c >> 18);
    *out++ = static_cast<char>(0x80 | (c >> 12 & 0x3f));
    *out++ = static_cast<char>(0x80 | (c >> 6 & 0x3f));
    *out++ = static_cast<char>(0x80 | (c & 0x3f));
  }
  return out;
}

// The four digits behind "\u"; -1 if they are not all there.
int32_t HexQuad(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexDigit(p[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

// Of what is behind a backslash, without u.
char SimpleEscape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '"':
    case '\\':
    case '/':
      return c;
    default:
      return 0;
  }
}

// A string's text, whose escapes are known to be whole and valid.
std::string_view DecodeString(std::string_view raw, TextArena& arena) {
  char* const decoded = arena.Allocate(raw.size());  // no escape is shorter than what it means
  char* out = decoded;
  const char* p = raw.data();
  const char* const end = p + raw.size();
  while (p != end) {
    const auto* backslash =
        static_cast<const char*>(std::memchr(p, '\\', static_cast<size_t>(end - p)));
    const char* plain_end = backslash != nullptr ? backslash : end;
    std::memcpy(out, p, static_cast<size_t>(plain_end - p));
    out += plain_end - p;
    p = plain_end;
    if (p == end) break;
    if (p[1] != 'u') {
      *out++ = SimpleEscape(p[1]);
      p += 2;
      continue;
    }
    auto character = static_cast<uint32_t>(HexQuad(p + 2, end));
    p += 6;
    if ((character & 0xfc00) == 0xd800) {
      const int32_t low = end - p >= 2 && p[0] == '\\' && p[1] == 'u' ? HexQuad(p + 2, end) : -1;
      if (low < 0) {
        character = '?';
      } else {
        character = 0x10000 + ((character & 0x3ff) << 10) + (static_cast<uint32_t>(low) & 0x3ff);
        p += 6;
      }
    }
    out = WriteUtf8(character, out);
  }
  const auto size = static_cast<size_t>(out - decoded);
  arena.Shrink(raw.size(), size);
  return {decoded, size};
}

// ---

class Reader {
 public:
  Reader(std::string_view body, const BodyLimits& limits, TextArena& arena, ParsedBody& parsed)
      : p_(body.data()),
        end_(body.data() + body.size()),
        limits_(limits),
        arena_(arena),
        parsed_(parsed),
        path_(arena),
        containers_(arena) {}

  // The whole body. Of mistakes only the first is told.
  void Read();

 private:
  // What the next token may be.
  enum class Expect : uint8_t {
    kValue,
    kValueOrEnd,  // behind '['
    kKeyOrEnd,    // behind '{'
    kKey,         // behind ',' in an object
    kColon,
    kCommaOrEnd,
    kNothing,  // the document is over
  };

  struct Container {
    size_t path_size;  // "json.list.array_", "json.user."
    uint64_t index;    // of the next element of an array
    bool array;
  };

  // Each returns false after Fail.
  bool ReadToken();
  bool ReadKey();
  bool ReadValue();
  bool ReadLiteral(std::string_view literal, std::string_view value);
  bool ReadNumber();
  bool ReadString(std::string_view& text);
  bool Open(bool array);
  bool Close();
  bool Add(std::string_view value);

  bool Fail(std::string_view text) {
    parsed_.error = true;
    parsed_.error_text = text;
    return false;
  }
  bool FailEarly() {
    parsed_.ends_early = true;
    return Fail("parse error: premature EOF");
  }
  bool in_array() { return containers_.size() > 0 && containers_.back().array; }
  // The name of what comes next, without its path.
  std::string_view Step(std::array<char, 20>& digits);
  void ValueEnded();

  const char* p_;
  const char* const end_;
  const BodyLimits& limits_;
  TextArena& arena_;
  ParsedBody& parsed_;

  Expect expect_ = Expect::kValue;
  ArenaVector<char> path_;  // of the innermost container
  ArenaVector<Container> containers_;
  std::string_view key_;
  size_t names_bytes_ = 0;
};

void Reader::Read() {
  for (;;) {
    while (p_ != end_ && IsSpace(*p_)) ++p_;
    if (p_ == end_) break;
    if (!ReadToken()) return;
  }
  if (expect_ != Expect::kNothing) FailEarly();
}

bool Reader::ReadToken() {
  switch (expect_) {
    case Expect::kValueOrEnd:
      if (*p_ == ']') return Close();
      return ReadValue();
    case Expect::kValue:
      return ReadValue();
    case Expect::kKeyOrEnd:
      if (*p_ == '}') return Close();
      return ReadKey();
    case Expect::kKey:
      return ReadKey();
    case Expect::kColon:
      if (*p_ != ':') {
        return Fail("parse error: a key must be followed by a colon");
      }
      ++p_;
      expect_ = Expect::kValue;
      return true;
    case Expect::kCommaOrEnd:
      if (*p_ == ',') {
        ++p_;
        expect_ = in_array() ? Expect::kValue : Expect::kKey;
        return true;
      }
      if (*p_ == (in_array() ? ']' : '}')) return Close();
      return Fail("parse error: a comma or the end was expected after a value");
    case Expect::kNothing:
      return Fail("parse error: trailing garbage");
  }
  return false;
}

bool Reader::ReadKey() {
  if (*p_ != '"') return Fail("parse error: a key must be a string");
  if (!ReadString(key_)) return false;
  expect_ = Expect::kColon;
  return true;
}

bool Reader::ReadValue() {
  switch (*p_) {
    case '{':
      return Open(false);
    case '[':
      return Open(true);
    case 't':
      return ReadLiteral("true", "true");
    case 'f':
      return ReadLiteral("false", "false");
    case 'n':
      return ReadLiteral("null", "");
    case '"': {
      std::string_view text;
      const bool whole = ReadString(text);
      // Also of a string that is not whole: a backend may read it with more patience.
      return Add(text) && whole;
    }
    default:
      if (*p_ == '-' || IsDigit(*p_)) return ReadNumber();
      return Fail("lexical error: a value cannot begin like this");
  }
}

bool Reader::ReadLiteral(std::string_view literal, std::string_view value) {
  const std::string_view rest(p_, std::min<size_t>(literal.size(), static_cast<size_t>(end_ - p_)));
  if (rest == literal) {
    p_ += literal.size();
    return Add(value);
  }
  if (literal.starts_with(rest)) return FailEarly();
  return Fail("lexical error: neither true, false nor null");
}

bool Reader::ReadNumber() {
  const char* const start = p_;
  const auto digits = [this] {
    const char* const first = p_;
    while (p_ != end_ && IsDigit(*p_)) ++p_;
    return p_ != first;
  };
  const auto fail = [this] {
    return p_ == end_ ? FailEarly() : Fail("lexical error: malformed number");
  };
  if (*p_ == '-') ++p_;
  if (p_ != end_ && *p_ == '0') {
    ++p_;
  } else if (!digits()) {
    return fail();
  }
  if (p_ != end_ && *p_ == '.') {
    ++p_;
    if (!digits()) return fail();
  }
  if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
    ++p_;
    if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
    if (!digits()) return fail();
  }
  return Add({start, static_cast<size_t>(p_ - start)});
}

// `text`: what there is of it, if false is returned.
bool Reader::ReadString(std::string_view& text) {
  const char* const start = ++p_;
  bool escapes = false;
  bool whole = false;
  for (;;) {
    p_ = SkipPlain(p_, end_);
    if (p_ == end_) {
      FailEarly();
      break;
    }
    if (*p_ == '"') {
      whole = true;
      break;
    }
    if (*p_ == '\\') {
      escapes = true;
      if (end_ - p_ < 2 || (p_[1] == 'u' && end_ - p_ < 6)) {
        // Cut; what there is of it is looked at no further.
        FailEarly();
        break;
      }
      if (p_[1] == 'u' ? HexQuad(p_ + 2, end_) < 0 : SimpleEscape(p_[1]) == 0) {
        Fail("lexical error: invalid escape in a string");
        break;
      }
      p_ += p_[1] == 'u' ? 6 : 2;
      continue;
    }
    if (static_cast<uint8_t>(*p_) < 0x20) {
      Fail("lexical error: control character in a string");
      break;
    }
    const int size = Utf8Size(*p_);
    int i = 1;
    while (i < size && i < end_ - p_ && (static_cast<uint8_t>(p_[i]) >> 6) == 0x2) ++i;
    if (i != size) {
      if (size > 0 && i == end_ - p_) {
        FailEarly();
      } else {
        Fail("lexical error: invalid bytes in UTF8 string");
      }
      break;
    }
    p_ += size;
  }
  const std::string_view raw(start, static_cast<size_t>(p_ - start));
  text = escapes ? DecodeString(raw, arena_) : raw;
  if (whole) ++p_;
  return whole;
}

std::string_view Reader::Step(std::array<char, 20>& digits) {
  if (containers_.size() == 0) return "json";
  if (containers_.back().array) {
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), containers_.back().index);
    return {digits.data(), static_cast<size_t>(end.ptr - digits.data())};
  }
  return key_.empty() ? "empty-key" : key_;
}

void Reader::ValueEnded() {
  if (containers_.size() == 0) {
    expect_ = Expect::kNothing;
    return;
  }
  if (containers_.back().array) ++containers_.back().index;
  expect_ = Expect::kCommaOrEnd;
}

bool Reader::Open(bool array) {
  if (containers_.size() >= limits_.depth_max) {
    return Fail("parse error: Parsing depth limit exceeded");
  }
  std::array<char, 20> digits;
  const std::string_view step = Step(digits);
  const std::string_view suffix = array ? ".array_" : ".";
  path_.append(step.data(), step.size());
  path_.append(suffix.data(), suffix.size());
  containers_.push_back({path_.size(), 0, array});
  ++p_;
  expect_ = array ? Expect::kValueOrEnd : Expect::kKeyOrEnd;
  return true;
}

bool Reader::Close() {
  ++p_;
  containers_.resize(containers_.size() - 1);
  path_.resize(containers_.size() > 0 ? containers_.back().path_size : 0);
  ValueEnded();
  return true;
}

bool Reader::Add(std::string_view value) {
  if (parsed_.arguments.size() >= limits_.arguments_max) {
    parsed_.arguments_limit_exceeded = true;
    parsed_.ends_early = false;
    return Fail("parse error: too many arguments");
  }
  std::array<char, 20> digits;
  const std::string_view step = Step(digits);
  const size_t size = path_.size() + step.size();
  names_bytes_ += size;
  if (names_bytes_ > kNamesBytesMax) {
    parsed_.arguments_limit_exceeded = true;
    parsed_.ends_early = false;
    return Fail("parse error: names of arguments are too long");
  }
  char* const name = arena_.Allocate(size);
  if (path_.size() > 0) std::memcpy(name, path_.data(), path_.size());
  if (!step.empty()) std::memcpy(name + path_.size(), step.data(), step.size());
  parsed_.arguments.push_back({{name, size}, value});
  ValueEnded();
  return true;
}

}  // namespace

void ParseJson(std::string_view body, const BodyLimits& limits, TextArena& arena,
               ParsedBody& parsed) {
  // No body is no mistake, whatever its type.
  if (body.empty()) return;
  Reader(body, limits, arena, parsed).Read();
}

}  // namespace edge::waf
