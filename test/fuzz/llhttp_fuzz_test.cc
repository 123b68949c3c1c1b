// llhttp answers the same for a request that arrives whole and for one that arrives a byte at a
// time.

#include <cstdint>

#include "llhttp.h"

namespace {

llhttp_errno_t Parse(const uint8_t* data, size_t size, size_t step) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  llhttp_errno_t error = HPE_OK;
  for (size_t at = 0; at < size && error == HPE_OK; at += step) {
    const size_t length = size - at < step ? size - at : step;
    error = llhttp_execute(&parser, reinterpret_cast<const char*>(data) + at, length);
  }
  return error;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size != 0 && Parse(data, size, size) != Parse(data, size, 1)) __builtin_trap();
  return 0;
}
