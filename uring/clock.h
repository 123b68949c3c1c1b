// Time as the loop sees it; the seam behind which tests put a clock that they turn themselves.

#pragma once

#include <cstdint>

namespace edge::uring {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic nanoseconds since an arbitrary point (CLOCK_MONOTONIC, clock_gettime(2)).
  virtual int64_t NowNs() const = 0;
  // Nanoseconds since the Unix epoch, for logs and Date fields (CLOCK_REALTIME).
  virtual int64_t WallNs() const = 0;
};

// Immutable; any thread.
class SystemClock final : public Clock {
 public:
  int64_t NowNs() const override;
  int64_t WallNs() const override;
};

}  // namespace edge::uring
