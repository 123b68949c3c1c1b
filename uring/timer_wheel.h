// Timers of one loop: a hierarchical wheel (Varghese and Lauck, 1987) of intrusive timers, so that
// starting, moving and stopping one costs a few instructions and no memory.
//
// A tick is 4.2 ms (2^22 ns); a timer fires in the first turn of the loop after its deadline, at
// most one tick late by the wheel's own doing and never early. Five levels of 64 slots reach 52
// days.
//
// Deadlines that move with each request (keep-alive, for instance) should be moved lazily: keep the
// true deadline in the owner, let the timer fire at the old one, and start it again for what is
// left.
//
// Worker thread only. Owners stop their timers before they die (the destructor CHECKs).

#pragma once

#include <array>
#include <cstdint>

#include "absl/log/check.h"

namespace edge::uring {

class TimerWheel;

class Timer {
 public:
  using Handler = void (*)(void* owner);
  Timer(void* owner, Handler handler) : owner_(owner), handler_(handler) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { CHECK(!armed()) << "timer freed while armed"; }

  bool armed() const { return next_ != nullptr; }

 protected:
  Timer() = default;  // a list head

 private:
  friend class TimerWheel;

  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  int64_t deadline_tick_ = 0;
  void* owner_ = nullptr;
  Handler handler_ = nullptr;
};

// Makes a Timer handler of a member function: Timer timer_{this,
// BindTimer<&Connection::OnTimer>()}.
namespace internal {
template <typename T>
struct TimerOwnerOf;
template <typename Owner>
struct TimerOwnerOf<void (Owner::*)()> {
  using type = Owner;
};
}  // namespace internal

template <auto kMethod>
constexpr Timer::Handler BindTimer() {
  return [](void* owner) {
    (static_cast<typename internal::TimerOwnerOf<decltype(kMethod)>::type*>(owner)->*kMethod)();
  };
}

class TimerWheel {
 public:
  explicit TimerWheel(int64_t now_ns);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  // Starts the timer, or moves it if it is armed.
  void Start(Timer& timer, int64_t deadline_ns);
  void Stop(Timer& timer);

  // Runs the handlers of all timers whose deadline is not after `now_ns`. Handlers may start and
  // stop any timer; one started for a time already past fires in the next call.
  void Advance(int64_t now_ns);

  // Nanoseconds from `now_ns` until Advance may have something to do; -1 if there is no timer. May
  // be earlier than the next deadline (where a slot of a coarse level must be spread over finer
  // ones).
  int64_t NextDelayNs(int64_t now_ns) const;

  size_t armed() const { return armed_; }

 private:
  static constexpr int kTickShift = 22;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kLevels = 5;

  struct Head : Timer {};
  struct Level {
    std::array<Head, kSlots> slots;  // of circular lists
    uint64_t occupied = 0;           // a bit per slot that may have timers
  };

  void Insert(Timer& timer);
  void Unlink(Timer& timer);
  void Cascade(int level);
  int64_t NextEventTick() const;

  std::array<Level, kLevels> levels_;
  Head due_;              // timers taken out of their slots whose handlers have yet to run
  int64_t current_tick_;  // every timer with a deadline up to this tick has fired
  int64_t now_tick_;  // the tick that Advance was last told; ahead of current_tick_ while it runs
  size_t armed_ = 0;
};

}  // namespace edge::uring
