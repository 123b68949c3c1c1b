// The only source of chance in the simulator: splitmix64 (Steele, Lea and Flood, 2014) and draws
// from it that do not depend on a standard library's distributions, so that a seed means the same
// run everywhere.

#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace edge::sim {

// One round of splitmix64's finalizer: also the hash behind traces and bodies.
constexpr uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit constexpr Random(uint64_t seed) : state_(seed) {}

  constexpr uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15ULL); }

  // In [0, bound). The bias of the remainder is of no interest here.
  constexpr uint64_t Below(uint64_t bound) { return bound <= 1 ? 0 : Next() % bound; }

  // In [low, high].
  constexpr int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(std::max(low, high) - low) + 1));
  }

  // In [1, max], every power of two as likely as the next: 1 byte and 100 KB both come up.
  constexpr uint64_t Skewed(uint64_t max) {
    const uint64_t bits = Below(static_cast<uint64_t>(std::bit_width(max)));
    return std::min<uint64_t>(max, (uint64_t{1} << bits) + Below(uint64_t{1} << bits));
  }

  // A probability of zero draws nothing.
  constexpr bool Chance(double probability) {
    if (probability <= 0) return false;
    return static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }

  // An independent stream, so that one part drawing more does not change what the others draw.
  constexpr Random Fork() { return Random(Mix(Next())); }

 private:
  uint64_t state_;
};

}  // namespace edge::sim
