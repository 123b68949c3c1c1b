// Until when an inspection may run. Who takes steps asks between them whether it is late, and stops
// where it is.
//
// One thread.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace edge::waf {

class Deadline {
 public:
  // A step over more bytes than this may take longer than those that Late lets pass unseen.
  static constexpr size_t kLongBytes = 4096;
  static constexpr int64_t kNone = INT64_MAX;
  using Clock = int64_t (*)();

  explicit Deadline(Clock clock = MonotonicNs) : clock_(clock) {}

  // Begins anew. `ns`: by the clock.
  void Set(int64_t ns) {
    ns_ = ns;
    passed_ = false;
    until_look_ = 0;
  }
  // As it was when the clock was last looked at.
  bool passed() const { return passed_; }
  // Looks at the clock.
  bool Look() {
    if (!passed_ && ns_ != kNone) passed_ = clock_() >= ns_;
    return passed_;
  }
  // Looks at the clock now and then: most of what is between two calls takes some 100 ns.
  bool Late() {
    if (passed_ || ns_ == kNone) return passed_;
    if (--until_look_ > 0) return false;
    until_look_ = kCalls;
    return Look();
  }
  // The next Late looks: what is done now takes long.
  void LookNext() { until_look_ = 0; }

 private:
  static constexpr int kCalls = 16;
  static int64_t MonotonicNs() {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  const Clock clock_;
  int64_t ns_ = kNone;
  bool passed_ = false;
  int until_look_ = 0;
};

}  // namespace edge::waf
