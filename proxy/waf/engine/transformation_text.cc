// Transformations of letters, white space, NULs and parity bits.

#include "proxy/waf/engine/transformation_internal.h"

namespace edge::waf::transformation {
namespace {

// The bytes for which `keep` is true.
template <typename Predicate>
bool Filter(std::string_view in, std::string& out, Predicate keep) {
  const size_t prefix = FindByte(in, [keep](unsigned char c) { return !keep(c); });
  if (prefix == in.size()) return false;
  Writer writer(out, in, prefix, in.size());
  for (const char c : in.substr(prefix)) {
    if (keep(static_cast<unsigned char>(c))) writer.Put(c);
  }
  writer.Finish();
  return true;
}

// Each byte by itself; `map` gives most bytes back.
template <typename Map>
bool MapBytes(std::string_view in, std::string& out, Map map) {
  if (FindByte(in, [map](unsigned char c) { return map(c) != c; }) == in.size()) return false;
  out.resize(in.size());
  char* to = out.data();
  for (size_t i = 0; i < in.size(); ++i) to[i] = static_cast<char>(map(in[i]));
  return true;
}

// The eighth bit such that the number of ones is even (`odd` = 0), or odd (1).
unsigned char WithParity(unsigned char c, unsigned odd) {
  unsigned ones = c ^ (c >> 4);
  ones ^= ones >> 2;
  ones ^= ones >> 1;
  return (ones & 1) != odd ? c | 0x80 : c & 0x7f;
}

std::string_view StripLeft(std::string_view in) {
  while (!in.empty() && IsSpace(in.front())) in.remove_prefix(1);
  return in;
}

std::string_view StripRight(std::string_view in) {
  while (!in.empty() && IsSpace(in.back())) in.remove_suffix(1);
  return in;
}

bool Assign(std::string_view in, std::string_view part, std::string& out) {
  if (part.size() == in.size()) return false;
  out.assign(part);
  return true;
}

// What cmdLine turns into one space.
bool IsCmdSeparator(unsigned char c) {
  return (c == ' ') | (c == ',') | (c == ';') | (c == '\t') | (c == '\r') | (c == '\n');
}

bool IsCmdRemoved(unsigned char c) { return (c == '"') | (c == '\'') | (c == '\\') | (c == '^'); }

}  // namespace

bool CmdLine(std::string_view in, std::string& out) {
  // A single space between ordinary bytes stays; it is let through by looking at its successor.
  const auto touched = [](unsigned char c, unsigned char next) {
    return IsCmdRemoved(c) | IsUpper(c) | (IsCmdSeparator(c) & (c != ' ')) |
           ((c == ' ') &
            (IsCmdSeparator(next) | (next == '/') | (next == '(') | IsCmdRemoved(next)));
  };
  if (in.empty()) return false;
  const size_t last = in.size() - 1;
  const char* bytes = in.data();
  const size_t prefix =
      FindPosition(last, [&](size_t i) { return touched(bytes[i], bytes[i + 1]); });
  if (prefix == last && !touched(bytes[last], 0)) return false;

  Writer writer(out, in, prefix, in.size());
  bool after_space = false;
  for (const unsigned char c : in.substr(prefix)) {
    if (IsCmdRemoved(c)) continue;
    if (IsCmdSeparator(c)) {
      if (!after_space) writer.Put(' ');
      after_space = true;
      continue;
    }
    if (after_space && (c == '/' || c == '(')) writer.Unput();
    after_space = false;
    writer.Put(static_cast<char>(ToLower(c)));
  }
  writer.Finish();
  // Only a space before something that is removed is a false alarm.
  return out != in;
}

bool CompressWhitespace(std::string_view in, std::string& out) {
  if (in.empty()) return false;
  const size_t last = in.size() - 1;
  const char* bytes = in.data();
  const size_t prefix = FindPosition(last, [bytes](size_t i) {
    const unsigned char c = bytes[i];
    return IsSpace(c) & ((c != ' ') | IsSpace(bytes[i + 1]));
  });
  if (prefix == last && (!IsSpace(in.back()) || in.back() == ' ')) return false;

  Writer writer(out, in, prefix, in.size());
  bool after_space = false;
  for (const char c : in.substr(prefix)) {
    const bool space = IsSpace(c);
    if (!space) {
      writer.Put(c);
    } else if (!after_space) {
      writer.Put(' ');
    }
    after_space = space;
  }
  writer.Finish();
  return true;
}

bool Lowercase(std::string_view in, std::string& out) { return MapBytes(in, out, ToLower); }

bool Uppercase(std::string_view in, std::string& out) {
  return MapBytes(in, out,
                  [](unsigned char c) -> unsigned char { return c - (IsLower(c) ? 0x20 : 0); });
}

bool ParityEven7bit(std::string_view in, std::string& out) {
  return MapBytes(in, out, [](unsigned char c) { return WithParity(c, 0); });
}

bool ParityOdd7bit(std::string_view in, std::string& out) {
  return MapBytes(in, out, [](unsigned char c) { return WithParity(c, 1); });
}

bool ParityZero7bit(std::string_view in, std::string& out) {
  return MapBytes(in, out, [](unsigned char c) -> unsigned char { return c & 0x7f; });
}

bool RemoveNulls(std::string_view in, std::string& out) {
  return Filter(in, out, [](unsigned char c) { return c != 0; });
}

bool RemoveWhitespace(std::string_view in, std::string& out) {
  // The last two are the bytes of a no-break space, in UTF-8 and in Latin-1.
  return Filter(in, out, [](unsigned char c) { return !(IsSpace(c) | (c == 0xc2) | (c == 0xa0)); });
}

bool ReplaceNulls(std::string_view in, std::string& out) {
  return MapBytes(in, out, [](unsigned char c) -> unsigned char { return c == 0 ? ' ' : c; });
}

bool Trim(std::string_view in, std::string& out) {
  return Assign(in, StripLeft(StripRight(in)), out);
}

bool TrimLeft(std::string_view in, std::string& out) { return Assign(in, StripLeft(in), out); }

bool TrimRight(std::string_view in, std::string& out) { return Assign(in, StripRight(in), out); }

}  // namespace edge::waf::transformation
