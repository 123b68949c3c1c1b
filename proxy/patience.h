// For how long a peer that has to move bytes is waited for: a bucket of time that runs out while it
// is waited for, and that each byte fills by its part of a second, never beyond the full. So a peer
// that stops is given up when the full time has passed, and one that moves a byte now and then to
// hold on to the connection not much later.
//
// Worker thread only.

#pragma once

#include <algorithm>
#include <cstdint>

namespace edge::proxy {

class Patience {
 public:
  // `full_ns`: when full. `rate`: bytes that earn a second; 0: any byte fills it.
  Patience(int64_t full_ns, uint32_t rate) : full_ns_(full_ns), rate_(rate), left_ns_(full_ns) {}

  // The peer is waited for, or no longer; again and again is the same as once.
  void Wait(int64_t now_ns) {
    if (waiting()) return;
    until_ns_ = now_ns + left_ns_;
  }
  void Pause(int64_t now_ns) {
    if (!waiting()) return;
    left_ns_ = std::max<int64_t>(until_ns_ - now_ns, 0);
    until_ns_ = INT64_MAX;
  }
  void Fill(int64_t now_ns) {
    if (waiting()) {
      until_ns_ = now_ns + full_ns_;
    } else {
      left_ns_ = full_ns_;
    }
  }
  void Earn(uint64_t bytes, int64_t now_ns) {
    if (bytes == 0) return;
    if (rate_ == 0) return Fill(now_ns);
    // In floating point: a count of bytes times a second in nanoseconds may have more than 64 bits.
    const double earned_ns = static_cast<double>(bytes) / rate_ * 1e9;
    if (earned_ns >= static_cast<double>(full_ns_)) return Fill(now_ns);
    const auto added_ns = static_cast<int64_t>(earned_ns);
    if (waiting()) {
      until_ns_ = std::min(until_ns_ + added_ns, now_ns + full_ns_);
    } else {
      left_ns_ = std::min(left_ns_ + added_ns, full_ns_);
    }
  }

  bool waiting() const { return until_ns_ != INT64_MAX; }
  // When it runs out; INT64_MAX while nobody waits.
  int64_t until_ns() const { return until_ns_; }

 private:
  const int64_t full_ns_;
  const uint32_t rate_;
  int64_t left_ns_;               // while nobody waits
  int64_t until_ns_ = INT64_MAX;  // while somebody waits
};

}  // namespace edge::proxy
