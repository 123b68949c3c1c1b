// Which bytes other than letters and digits a text has, in 64 bits: attacks need some that benign
// texts seldom have.
//
// Each sign of ASCII has a bit of its own; control characters that mean nothing in particular share
// one, and so do all bytes from 0x80. Letters, digits and '_' have none.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace edge::waf {

using ByteMarks = uint64_t;

namespace byte_marks_internal {

constexpr std::array<ByteMarks, 256> MakeTable() {
  std::array<ByteMarks, 256> table = {};
  int bit = 0;
  for (unsigned c = 0x20; c < 0x7f; ++c) {
    const bool word =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!word) table[c] = ByteMarks{1} << bit++;
  }
  for (const unsigned c : {'\0', '\t', '\n', '\v', '\f', '\r'}) table[c] = ByteMarks{1} << bit++;
  for (unsigned c = 0; c < 0x20; ++c) {
    if (table[c] == 0) table[c] = ByteMarks{1} << bit;
  }
  table[0x7f] = ByteMarks{1} << bit++;
  for (unsigned c = 0x80; c < 0x100; ++c) table[c] = ByteMarks{1} << bit;
  return table;
}

inline constexpr std::array<ByteMarks, 256> kTable = MakeTable();

}  // namespace byte_marks_internal

constexpr ByteMarks MarkOf(char c) {
  return byte_marks_internal::kTable[static_cast<unsigned char>(c)];
}

constexpr ByteMarks MarksOf(std::string_view text) {
  ByteMarks marks = 0;
  for (const char c : text) marks |= MarkOf(c);
  return marks;
}

}  // namespace edge::waf
