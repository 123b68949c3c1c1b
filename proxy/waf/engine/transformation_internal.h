// What the files of the transformations share: the functions behind the names, classes of bytes,
// and a quick search for the first byte that a transformation would touch.
//
// Most values of a request pass through a transformation unchanged, so each function first scans
// for a byte it cares about and returns false when there is none. Of the rest it copies what comes
// before that byte at once.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace edge::waf::transformation {

// The first of `count` positions where `predicate(position)` is true, or `count`. The predicate is
// evaluated for whole blocks, which the compiler turns into vector instructions when it is made of
// comparisons and bitwise operators.
template <typename Predicate>
size_t FindPosition(size_t count, Predicate predicate) {
  constexpr size_t kBlock = 32;
  size_t position = 0;
  for (; position + kBlock <= count; position += kBlock) {
    unsigned char found = 0;
    for (size_t i = 0; i < kBlock; ++i) {
      found |= static_cast<unsigned char>(predicate(position + i));
    }
    if (found != 0) break;
  }
  while (position < count && !predicate(position)) ++position;
  return position;
}

template <typename Predicate>
size_t FindByte(std::string_view in, Predicate predicate) {
  const char* bytes = in.data();
  return FindPosition(in.size(), [bytes, predicate](size_t i) {
    return predicate(static_cast<unsigned char>(bytes[i]));
  });
}

// Of the "C" locale, whatever the process has set.
inline bool IsUpper(unsigned char c) { return static_cast<unsigned char>(c - 'A') < 26; }
inline bool IsLower(unsigned char c) { return static_cast<unsigned char>(c - 'a') < 26; }
inline bool IsDigit(unsigned char c) { return static_cast<unsigned char>(c - '0') < 10; }
inline bool IsOctal(unsigned char c) { return static_cast<unsigned char>(c - '0') < 8; }
inline bool IsAlnum(unsigned char c) { return IsDigit(c) || IsLower(c | 0x20); }
inline bool IsSpace(unsigned char c) {
  return (c == ' ') | (static_cast<unsigned char>(c - 9) < 5);
}
inline bool IsHex(unsigned char c) {
  return IsDigit(c) || static_cast<unsigned char>((c | 0x20) - 'a') < 6;
}
inline unsigned char ToLower(unsigned char c) { return c + (IsUpper(c) ? 0x20 : 0); }

// The value of a hexadecimal digit. What is none gives some number too, the same as in
// libmodsecurity: hexDecode does not look whether its input is hexadecimal.
inline unsigned char HexDigit(unsigned char c) {
  return c >= 'A' ? (c & 0xdf) - 'A' + 10 : c - '0';
}
inline unsigned char HexByte(const char* digits) {
  return HexDigit(digits[0]) * 16 + HexDigit(digits[1]);
}

// Writes into a string whose size is known not to be passed.
class Writer {
 public:
  // Begins with the first `prefix` bytes of `in`; `size_max` bytes will be written at most, all in
  // all.
  Writer(std::string& out, std::string_view in, size_t prefix, size_t size_max) : out_(out) {
    out_.resize(size_max);
    in.copy(out_.data(), prefix);
    end_ = out_.data() + prefix;
  }
  void Put(char c) { *end_++ = c; }
  // Takes back the last byte.
  void Unput() { --end_; }
  void Finish() { out_.resize(static_cast<size_t>(end_ - out_.data())); }

 private:
  std::string& out_;
  char* end_;
};

// As Transform (transformation.h).

// transformation_text.cc
bool CmdLine(std::string_view in, std::string& out);
bool CompressWhitespace(std::string_view in, std::string& out);
bool Lowercase(std::string_view in, std::string& out);
bool ParityEven7bit(std::string_view in, std::string& out);
bool ParityOdd7bit(std::string_view in, std::string& out);
bool ParityZero7bit(std::string_view in, std::string& out);
bool RemoveNulls(std::string_view in, std::string& out);
bool RemoveWhitespace(std::string_view in, std::string& out);
bool ReplaceNulls(std::string_view in, std::string& out);
bool Trim(std::string_view in, std::string& out);
bool TrimLeft(std::string_view in, std::string& out);
bool TrimRight(std::string_view in, std::string& out);
bool Uppercase(std::string_view in, std::string& out);

// transformation_comments.cc
bool RemoveComments(std::string_view in, std::string& out);
bool RemoveCommentsChar(std::string_view in, std::string& out);
bool ReplaceComments(std::string_view in, std::string& out);

// transformation_escapes.cc
bool CssDecode(std::string_view in, std::string& out);
bool EscapeSeqDecode(std::string_view in, std::string& out);
bool HtmlEntityDecode(std::string_view in, std::string& out);
bool JsDecode(std::string_view in, std::string& out);
bool UrlDecode(std::string_view in, std::string& out);
bool UrlDecodeUni(std::string_view in, std::string& out);
bool Utf8ToUnicode(std::string_view in, std::string& out);

// transformation_encodings.cc
bool Base64Decode(std::string_view in, std::string& out);
bool Base64DecodeExt(std::string_view in, std::string& out);
bool Base64Encode(std::string_view in, std::string& out);
bool HexDecode(std::string_view in, std::string& out);
bool HexEncode(std::string_view in, std::string& out);
bool Length(std::string_view in, std::string& out);
bool Md5(std::string_view in, std::string& out);
bool Sha1(std::string_view in, std::string& out);
bool SqlHexDecode(std::string_view in, std::string& out);
bool UrlEncode(std::string_view in, std::string& out);

// transformation_path.cc
bool NormalisePath(std::string_view in, std::string& out);
bool NormalisePathWin(std::string_view in, std::string& out);

}  // namespace edge::waf::transformation
