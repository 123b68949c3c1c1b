#include "http/chars.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace edge::http {

size_t FindControl(const char* bytes, size_t from, size_t size) {
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
