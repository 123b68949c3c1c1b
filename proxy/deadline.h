// A deadline that moves with almost every request. Moving it later costs one store: the timer in
// the wheel fires at the old time, sees that there is time left, and starts again.
//
// Worker thread only.

#pragma once

#include <cstdint>

#include "uring/timer_wheel.h"

namespace edge::proxy {

class Deadline {
 public:
  using Handler = void (*)(void* owner);
  static constexpr int64_t kNever = INT64_MAX;

  Deadline(uring::TimerWheel* wheel, void* owner, Handler handler)  // not owned; outlive this
      : wheel_(wheel), owner_(owner), handler_(handler) {}
  ~Deadline() { wheel_->Stop(timer_); }

  void Set(int64_t deadline_ns) {
    deadline_ns_ = deadline_ns;
    if (deadline_ns == kNever) return;
    if (timer_.armed() && timer_ns_ <= deadline_ns) return;
    timer_ns_ = deadline_ns;
    wheel_->Start(timer_, deadline_ns);
  }
  void Clear() { deadline_ns_ = kNever; }
  // Leaves the wheel as well: before the owner's slot is reused.
  void Stop() {
    Clear();
    wheel_->Stop(timer_);
  }
  bool set() const { return deadline_ns_ != kNever; }

 private:
  void OnTimer() {
    if (deadline_ns_ == kNever) return;
    if (deadline_ns_ > timer_ns_) {
      timer_ns_ = deadline_ns_;
      wheel_->Start(timer_, deadline_ns_);
      return;
    }
    deadline_ns_ = kNever;
    handler_(owner_);
  }

  uring::TimerWheel* const wheel_;
  void* const owner_;
  const Handler handler_;
  int64_t deadline_ns_ = kNever;
  int64_t timer_ns_ = 0;  // what the wheel was told
  uring::Timer timer_{this, [](void* self) { static_cast<Deadline*>(self)->OnTimer(); }};
};

}  // namespace edge::proxy
