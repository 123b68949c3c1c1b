// Transformations that undo the escapes of URLs, CSS, JavaScript, C and HTML, and one that writes
// UTF-8 as %uHHHH.
//
// An escape that is cut off or wrong is not an error: what is done with its bytes is said at each.

#include <algorithm>

#include "absl/strings/match.h"
#include "proxy/waf/engine/transformation_internal.h"

namespace edge::waf::transformation {
namespace {

bool AreHex(std::string_view in, size_t from, size_t count) {
  if (from + count > in.size()) return false;
  return std::all_of(in.begin() + from, in.begin() + from + count, IsHex);
}

// The low byte of a code point of which four digits are given; the full-width forms of ASCII
// (U+FF01 to U+FF5E) become the ASCII characters.
char LowByteOf(const char* digits) {
  unsigned char low = HexByte(digits + 2);
  const bool wide = (digits[0] | 0x20) == 'f' && (digits[1] | 0x20) == 'f';
  if (wide && low > 0x00 && low < 0x5f) low += 0x20;
  return static_cast<char>(low);
}

// The control character that \a, \b ... stand for; 0: none.
char ControlEscape(char letter) {
  switch (letter) {
    case 'a':
      return '\a';
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
    case 'v':
      return '\v';
    default:
      return 0;
  }
}

// How many octal digits there are at `from`, 3 at most.
size_t OctalDigits(std::string_view in, size_t from) {
  size_t count = 0;
  while (count < 3 && from + count < in.size() && IsOctal(in[from + count])) ++count;
  return count;
}

unsigned OctalValue(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) value = value * 8 + static_cast<unsigned>(c - '0');
  return value;
}

bool IsUrlEscape(unsigned char c) { return (c == '%') | (c == '+'); }

// One CSS escape, whose backslash was at `i` - 1 and which has `digits` (1 to 6) at `i`.
char CssCharacter(std::string_view in, size_t i, size_t digits) {
  const char* last_two = in.data() + i + digits - 2;
  if (digits == 1) return static_cast<char>(HexDigit(in[i]));
  // Only up to U+FFFF are full-width forms looked for.
  const bool four = digits == 4 || (digits == 5 && in[i] == '0') ||
                    (digits == 6 && in[i] == '0' && in[i + 1] == '0');
  return four ? LowByteOf(last_two - 2) : static_cast<char>(HexByte(last_two));
}

// A numeric entity's low byte. Numbers beyond 63 bits are as the greatest one, whose low byte is
// 255.
class EntityNumber {
 public:
  void Append(unsigned base, unsigned digit) {
    if (value_ > (kMax - digit) / base) {
      overflow_ = true;
      return;
    }
    value_ = value_ * base + digit;
  }
  char LowByte() const { return static_cast<char>(overflow_ ? 0xff : value_ & 0xff); }

 private:
  static constexpr uint64_t kMax = INT64_MAX;
  uint64_t value_ = 0;
  bool overflow_ = false;
};

struct NamedEntity {
  std::string_view name;
  char character;
};

constexpr NamedEntity kNamedEntities[] = {
    {"quot", '"'}, {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"nbsp", '\xa0'}};

struct Entity {
  size_t bytes = 0;  // 0: it is none
  char character = 0;
};

// The entity that begins with the '&' at the front of `text`.
Entity ReadEntity(std::string_view text) {
  size_t end = 1;
  Entity entity;
  if (text.starts_with("&#x") || text.starts_with("&#X")) {
    EntityNumber number;
    for (end = 3; end < text.size() && IsHex(text[end]); ++end) {
      number.Append(16, HexDigit(text[end]));
    }
    if (end == 3) return {};
    entity.character = number.LowByte();
  } else if (text.starts_with("&#")) {
    EntityNumber number;
    for (end = 2; end < text.size() && IsDigit(text[end]); ++end) {
      number.Append(10, HexDigit(text[end]));
    }
    if (end == 2) return {};
    entity.character = number.LowByte();
  } else {
    // A name needs to begin with a known one only: all of &ltfoo; is '<'.
    while (end < text.size() && IsAlnum(text[end])) ++end;
    const std::string_view name = text.substr(1, end - 1);
    const NamedEntity* known =
        std::find_if(std::begin(kNamedEntities), std::end(kNamedEntities),
                     [name](const auto& e) { return absl::StartsWithIgnoreCase(name, e.name); });
    if (known == std::end(kNamedEntities)) return {};
    entity.character = known->character;
  }
  if (end < text.size() && text[end] == ';') ++end;
  entity.bytes = end;
  return entity;
}

}  // namespace

bool UrlDecode(std::string_view in, std::string& out) {
  const size_t prefix = FindByte(in, IsUrlEscape);
  if (prefix == in.size()) return false;
  Writer writer(out, in, prefix, in.size());
  bool changed = false;
  for (size_t i = prefix; i < in.size();) {
    if (in[i] == '%' && AreHex(in, i + 1, 2)) {
      writer.Put(static_cast<char>(HexByte(&in[i + 1])));
      i += 3;
      changed = true;
    } else {
      changed |= in[i] == '+';
      writer.Put(in[i] == '+' ? ' ' : in[i]);
      ++i;
    }
  }
  writer.Finish();
  return changed;
}

bool UrlDecodeUni(std::string_view in, std::string& out) {
  const size_t prefix = FindByte(in, IsUrlEscape);
  if (prefix == in.size()) return false;
  Writer writer(out, in, prefix, in.size());
  bool changed = false;
  for (size_t i = prefix; i < in.size();) {
    const bool percent = in[i] == '%';
    if (percent && i + 1 < in.size() && (in[i + 1] | 0x20) == 'u') {
      if (AreHex(in, i + 2, 4)) {
        writer.Put(LowByteOf(&in[i + 2]));
        i += 6;
        changed = true;
      } else {
        writer.Put(in[i++]);
        writer.Put(in[i++]);
      }
    } else if (percent && AreHex(in, i + 1, 2)) {
      writer.Put(static_cast<char>(HexByte(&in[i + 1])));
      i += 3;
      changed = true;
    } else {
      changed |= in[i] == '+';
      writer.Put(in[i] == '+' ? ' ' : in[i]);
      ++i;
    }
  }
  writer.Finish();
  return changed;
}

bool CssDecode(std::string_view in, std::string& out) {
  const size_t prefix = in.find('\\');
  if (prefix == in.npos) return false;
  Writer writer(out, in, prefix, in.size());
  for (size_t i = prefix; i < in.size();) {
    if (in[i] != '\\') {
      writer.Put(in[i++]);
      continue;
    }
    // A backslash at the very end goes away.
    if (++i == in.size()) break;
    size_t digits = 0;
    while (digits < 6 && i + digits < in.size() && IsHex(in[i + digits])) ++digits;
    if (digits > 0) {
      writer.Put(CssCharacter(in, i, digits));
      i += digits;
      if (i < in.size() && IsSpace(in[i])) ++i;
    } else if (in[i] == '\n') {
      ++i;
    } else {
      writer.Put(in[i++]);
    }
  }
  writer.Finish();
  return true;
}

bool JsDecode(std::string_view in, std::string& out) {
  const size_t prefix = in.find('\\');
  if (prefix == in.npos) return false;
  Writer writer(out, in, prefix, in.size());
  for (size_t i = prefix; i < in.size();) {
    // A backslash at the very end stays.
    if (in[i] != '\\' || i + 1 == in.size()) {
      writer.Put(in[i++]);
      continue;
    }
    const char kind = in[i + 1];
    size_t octal = OctalDigits(in, i + 1);
    if (kind == 'u' && AreHex(in, i + 2, 4)) {
      writer.Put(LowByteOf(&in[i + 2]));
      i += 6;
    } else if (kind == 'x' && AreHex(in, i + 2, 2)) {
      writer.Put(static_cast<char>(HexByte(&in[i + 2])));
      i += 4;
    } else if (octal > 0) {
      // Three digits only where they fit into a byte.
      if (octal == 3 && kind > '3') octal = 2;
      writer.Put(static_cast<char>(OctalValue(in.substr(i + 1, octal))));
      i += 1 + octal;
    } else {
      const char control = ControlEscape(kind);
      writer.Put(control != 0 ? control : kind);
      i += 2;
    }
  }
  writer.Finish();
  return out.size() != in.size();
}

bool EscapeSeqDecode(std::string_view in, std::string& out) {
  const size_t prefix = in.find('\\');
  if (prefix == in.npos) return false;
  Writer writer(out, in, prefix, in.size());
  for (size_t i = prefix; i < in.size();) {
    // A backslash at the very end stays.
    if (in[i] != '\\' || i + 1 == in.size()) {
      writer.Put(in[i++]);
      continue;
    }
    const char kind = in[i + 1];
    const size_t octal = OctalDigits(in, i + 1);
    if ((kind | 0x20) == 'x' && AreHex(in, i + 2, 2)) {
      writer.Put(static_cast<char>(HexByte(&in[i + 2])));
      i += 4;
    } else if (octal > 0) {
      // Of what is more than a byte, the low one.
      writer.Put(static_cast<char>(OctalValue(in.substr(i + 1, octal))));
      i += 1 + octal;
    } else {
      // Of an escape that is none, only the backslash goes away.
      const char control = ControlEscape(kind);
      writer.Put(control != 0 ? control : kind);
      i += 2;
    }
  }
  writer.Finish();
  return out.size() != in.size();
}

bool HtmlEntityDecode(std::string_view in, std::string& out) {
  size_t i = in.find('&');
  if (i == in.npos) return false;
  Writer writer(out, in, i, in.size());
  while (i < in.size()) {
    if (in[i] == '&') {
      const Entity entity = ReadEntity(in.substr(i));
      if (entity.bytes > 0) {
        writer.Put(entity.character);
        i += entity.bytes;
        continue;
      }
    }
    writer.Put(in[i++]);
  }
  writer.Finish();
  return out.size() != in.size();
}

namespace {

struct Utf8Character {
  int bytes = 0;  // 0: it is none
  uint32_t code = 0;
};

// What stands at the front of `text`, if its bytes have the form of a character of two to four
// bytes. Not whether it is the shortest form, or a code point at all.
Utf8Character ReadUtf8(std::string_view text) {
  const unsigned char lead = text.front();
  Utf8Character character;
  if ((lead & 0xe0) == 0xc0) {
    character = {2, lead & 0x1fU};
  } else if ((lead & 0xf0) == 0xe0) {
    character = {3, lead & 0x0fU};
  } else if ((lead & 0xf8) == 0xf0) {
    character = {4, lead & 0x07U};
  } else {
    return {};
  }
  for (int i = 1; i < character.bytes; ++i) {
    if (static_cast<size_t>(i) >= text.size() || (text[i] & 0xc0) != 0x80) return {};
    character.code = character.code << 6 | (text[i] & 0x3fU);
  }
  return character;
}

}  // namespace

bool Utf8ToUnicode(std::string_view in, std::string& out) {
  const size_t prefix = FindByte(in, [](unsigned char c) { return (c >= 0x80) | (c == 0); });
  // A NUL is kept only at the very end.
  if (prefix == in.size() || (prefix + 1 == in.size() && in.back() == '\0')) return false;
  // Two bytes become six, and the lead byte is repeated after what is not in its shortest form.
  Writer writer(out, in, prefix, 4 * in.size() + 1);
  for (size_t i = prefix; i < in.size();) {
    const unsigned char lead = in[i];
    if (lead < 0x80) {
      if (lead != 0 || i + 1 == in.size()) writer.Put(in[i]);
      ++i;
      continue;
    }
    const Utf8Character character = ReadUtf8(in.substr(i));
    const bool has_form = (lead & 0x40) != 0 && (lead & 0xf8) != 0xf8;
    // Above what UTF-8 can begin with: the byte stays, besides what is made of it.
    if (lead >= 0xf5 && has_form) writer.Put(in[i]);
    if (character.bytes == 0) {
      // A lead byte without the rest of its character goes away; any other byte stays.
      if (!has_form) writer.Put(in[i]);
      ++i;
      continue;
    }
    writer.Put('%');
    writer.Put('u');
    for (int shift = character.code > 0xfffff  ? 20
                     : character.code > 0xffff ? 16
                                               : 12;
         shift >= 0; shift -= 4) {
      writer.Put("0123456789abcdef"[character.code >> shift & 0xf]);
    }
    const bool surrogate = character.code >= 0xd800 && character.code <= 0xdfff;
    const uint32_t least = character.bytes == 4 ? 0x10000 : character.bytes == 3 ? 0x800 : 0x80;
    if (surrogate) writer.Put(in[i]);
    if (character.code < least) writer.Put(in[i]);
    i += static_cast<size_t>(character.bytes);
  }
  writer.Finish();
  return out != in;
}

}  // namespace edge::waf::transformation
