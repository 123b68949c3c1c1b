// The clock of a simulation: stands still except when the scheduler moves it, and never goes back.

#pragma once

#include <cstdint>

#include "absl/log/check.h"
#include "uring/clock.h"

namespace edge::sim {

class SimClock final : public uring::Clock {
 public:
  int64_t NowNs() const override { return now_ns_; }
  int64_t WallNs() const override { return kWallStartNs + (now_ns_ - kStartNs); }

 private:
  friend class Scheduler;

  // Not zero, so that code which takes zero for "never" or "long ago" is found out.
  static constexpr int64_t kStartNs = 1'000'000'000'000;
  static constexpr int64_t kWallStartNs = 1'767'225'600'000'000'000;  // 2026-01-01T00:00:00Z

  void MoveTo(int64_t now_ns) {
    CHECK_GE(now_ns, now_ns_) << "time went back";
    now_ns_ = now_ns;
  }

  int64_t now_ns_ = kStartNs;
};

}  // namespace edge::sim
