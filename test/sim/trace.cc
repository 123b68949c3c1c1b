#include "test/sim/trace.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace edge::sim {

int64_t Trace::HashBytes(std::string_view bytes) {
  uint64_t hash = bytes.size();
  while (bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return static_cast<int64_t>(Mix(hash) >> 1);
}

void Trace::Print(int64_t now_ns, const char* what, std::initializer_list<Field> fields) const {
  // Microseconds since the start of the run (SimClock starts at 1000 s).
  const int64_t since_start_ns = now_ns - 1'000'000'000'000;
  std::fprintf(stderr, "%10" PRId64 ".%03d %-22s", since_start_ns / 1000,
               static_cast<int>(since_start_ns % 1000), what);
  for (const Field& field : fields) {
    std::fprintf(stderr, " %s=%" PRId64, field.name, field.value);
  }
  std::fputc('\n', stderr);
}

}  // namespace edge::sim
