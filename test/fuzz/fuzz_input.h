#pragma once

// What the HTTP fuzz targets share.
//
// An input starts with four bytes that choose how the rest is treated; in the corpus they are
// printable, so that the files can be read and written by hand:
//
//   byte 0, 1   where the rest is cut in two
//   byte 2      which policy, see FuzzPolicy()
//   byte 3      the target's own choice
//
// A broken invariant CHECKs, which ends the program with a line that says what it was.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/validation_policy.h"

namespace edge::http {

struct FuzzInput {
  uint16_t cut = 0;
  uint8_t policy = 0;
  uint8_t choice = 0;
  std::string_view bytes;

  FuzzInput(const uint8_t* data, size_t size) {
    if (size < 4) return;
    cut = static_cast<uint16_t>(data[0] << 8 | data[1]);
    policy = data[2];
    choice = data[3];
    bytes = {reinterpret_cast<const char*>(data) + 4, size - 4};
  }
  // From 0 to the size, both included.
  size_t position() const { return cut % (bytes.size() + 1); }
};

// '0' and every other choice without low bits is the default. The others relax or tighten it, with
// limits so low that inputs of a few hundred bytes meet them.
inline ValidationPolicy FuzzPolicy(uint8_t choice) {
  ValidationPolicy policy;
  if ((choice & 1) != 0) {
    policy.leading_empty_lines_max = 1;
    policy.request_line_bytes_max = 64;
    policy.status_line_bytes_max = 64;
    policy.head_bytes_max = 256;
    policy.fields_max = 6;
    policy.connection_options_max = 3;
    policy.chunk_extension_bytes_max = 12;
    policy.chunk_extensions_bytes_max = 24;
    policy.trailer_bytes_max = 48;
    policy.trailer_fields_max = 2;
    policy.request_body_bytes_max = 40;
  }
  if ((choice & 2) != 0) {
    policy.underscore_names = UnderscoreNames::kPass;
    policy.double_slash_target = true;
    policy.status_line_without_space = true;
    policy.chunk_size_leading_zeros_max = 3;
  }
  if ((choice & 4) != 0) {
    policy.underscore_names = UnderscoreNames::kRefuse;
    policy.browser_target_characters = false;
  }
  return policy;
}

}  // namespace edge::http
