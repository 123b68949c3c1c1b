#pragma once

// Classes of bytes that the grammars of RFC 9110, 9112 and RFC 3986 are made of, and the scan for
// control characters that every line goes through.
//
// Constant tables and pure functions, any thread.

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace edge::http {

enum CharClass : uint8_t {
  kCharToken = 1,          // tchar, RFC 9110 5.6.2
  kCharTarget = 2,         // pchar without "%", "/" and "?", RFC 3986 3.3 and 3.4
  kCharBrowserTarget = 4,  // what browsers leave unencoded although RFC 3986 does not have it
  kCharHost = 8,           // reg-name without "%", RFC 3986 3.2.2
  kCharDigit = 16,
  kCharHex = 32,
  kCharAlpha = 64,
};

namespace internal {

constexpr std::array<uint8_t, 256> MakeCharClasses() {
  std::array<uint8_t, 256> table{};
  auto add = [&table](std::string_view chars, int classes) {
    for (char c : chars) table[static_cast<uint8_t>(c)] |= static_cast<uint8_t>(classes);
  };
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kDigits = "0123456789";
  add(kLetters, kCharToken | kCharTarget | kCharHost | kCharAlpha);
  add(kDigits, kCharToken | kCharTarget | kCharHost | kCharDigit | kCharHex);
  add("abcdefABCDEF", kCharHex);
  add("!#$%&'*+-.^_`|~", kCharToken);
  add("-._~", kCharTarget | kCharHost);         // unreserved
  add("!$&'()*+,;=", kCharTarget | kCharHost);  // sub-delims
  add(":@/?", kCharTarget);
  add("|[]{}^`", kCharBrowserTarget);
  return table;
}

inline constexpr std::array<uint8_t, 256> kCharClasses = MakeCharClasses();

}  // namespace internal

constexpr bool IsChar(char c, int classes) {
  return (internal::kCharClasses[static_cast<uint8_t>(c)] & classes) != 0;
}

constexpr bool IsToken(std::string_view text) {
  for (char c : text) {
    if (!IsChar(c, kCharToken)) return false;
  }
  return !text.empty();
}

constexpr bool IsSpace(char c) { return c == ' ' || c == '\t'; }

// Below 0x20, which includes HTAB, or DEL. Bytes from 0x80 are obs-text (RFC 9110 5.5), not
// controls.
constexpr bool IsControl(char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; }

// Value of a hexadecimal digit.
constexpr unsigned HexValue(char c) {
  return IsChar(c, kCharDigit) ? static_cast<unsigned>(c - '0')
                               : static_cast<unsigned>((c | 0x20) - 'a' + 10);
}

// Without the optional white space around it (OWS, RFC 9110 5.6.3).
constexpr std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// Index of the first control character in [from, size), or size. Reads 16 bytes at a time where it
// can: most bytes of a head are values, and this is all that looks at them.
inline size_t FindControl(const char* bytes, size_t from, size_t size) {
  size_t i = from;
#ifdef __SSE2__
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; i + 16 <= size; i += 16) {
    const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + i));
    // There is no unsigned comparison: the minimum with 0x1f is the byte itself only up to 0x1f.
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(chunk, last_control), chunk);
    const int mask = _mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(chunk, del)));
    if (mask != 0) return i + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
  }
#endif
  while (i < size && !IsControl(bytes[i])) ++i;
  return i;
}

}  // namespace edge::http
