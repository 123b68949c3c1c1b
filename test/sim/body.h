// Bodies whose every byte follows from a key and an offset: what arrives is checked as it comes,
// nothing is stored, and a byte of another body, or at another place, is noticed.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/sim/random.h"

namespace edge::sim {

constexpr char BodyByte(uint64_t key, uint64_t offset) {
  const uint64_t word = Mix(key * 0x9e3779b97f4a7c15ULL + (offset >> 3) + 1);
  return static_cast<char>(word >> (8 * (offset & 7)));
}

inline std::string BodyBytes(uint64_t key, uint64_t offset, size_t bytes) {
  std::string body(bytes, 0);
  size_t i = 0;
  while (i < bytes && ((offset + i) & 7) != 0) {
    body[i] = BodyByte(key, offset + i);
    ++i;
  }
  for (; i + 8 <= bytes; i += 8) {
    const uint64_t word = Mix(key * 0x9e3779b97f4a7c15ULL + ((offset + i) >> 3) + 1);
    std::memcpy(body.data() + i, &word, 8);  // little endian, as BodyByte has it
  }
  for (; i < bytes; ++i) body[i] = BodyByte(key, offset + i);
  return body;
}

inline bool IsBodyAt(uint64_t key, uint64_t offset, std::string_view bytes) {
  return bytes == BodyBytes(key, offset, bytes.size());
}

// Fields "X-Pad-N" of about `bytes` in all, which follow from a key as well: heads that are long.
inline std::vector<std::pair<std::string, std::string>> PadFields(uint64_t key, size_t bytes) {
  constexpr size_t kFieldBytesMax = 1500;
  std::vector<std::pair<std::string, std::string>> fields;
  while (bytes > 0) {
    const size_t size = std::min(bytes, kFieldBytesMax);
    std::string value = BodyBytes(key, fields.size() * kFieldBytesMax, size);
    for (char& c : value) c = static_cast<char>('a' + (static_cast<unsigned char>(c) % 26));
    fields.emplace_back("x-pad-" + std::to_string(fields.size()), std::move(value));
    bytes -= size;
  }
  return fields;
}

// The keys of one exchange's two bodies.
constexpr uint64_t RequestBodyKey(uint64_t id) { return id * 2 + 1; }
constexpr uint64_t ResponseBodyKey(uint64_t id) { return id * 2; }

}  // namespace edge::sim
