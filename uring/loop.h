// The turn of a worker: submit and wait, run completions, fire timers, run what was put off, hand
// returned buffers to those who starve. One enter of the kernel per turn, as long as little is
// queued.
//
// Time is read after the wait (it is "now" for everything in the turn) and behind each phase: how
// long the turn kept the loop busy, and with what. The next wait is counted from the last of these.
//
// Worker thread only.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "uring/buffer_loans.h"
#include "uring/clock.h"
#include "uring/io.h"
#include "uring/timer_wheel.h"

namespace edge::uring {

// Something to be done at the end of the turn, embedded in its owner: the way out for calls that
// may not run their caller's handler before they return.
class Deferred {
 public:
  using Handler = void (*)(void* owner);
  Deferred(void* owner, Handler handler) : owner_(owner), handler_(handler) {}
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  ~Deferred() { CHECK(!queued_) << "freed while its deferred work is queued"; }
  bool queued() const { return queued_; }

 private:
  friend class Loop;
  Deferred* next_ = nullptr;
  void* owner_;
  Handler handler_;
  bool queued_ = false;
};

// What a turn does, in this order.
enum class TurnPhase : uint8_t {
  kCompletions,  // handlers of completions
  kTimers,
  kTurnEnd,   // see Loop::SetTurnEnd
  kDeferred,  // what was put off, and those who waited for buffers
};
inline constexpr int kTurnPhaseCount = 4;

// How long turns kept the loop busy, as a histogram with fixed bounds; published for /metrics.
struct LoopCounters {
  static constexpr std::array<int64_t, 12> kBusyBoundsNs = {
      5'000,   10'000,    25'000,    50'000,     100'000,    250'000,
      500'000, 1'000'000, 2'500'000, 10'000'000, 50'000'000, 250'000'000};
  std::array<uint64_t, kBusyBoundsNs.size() + 1>
      busy_histogram{};  // the last: longer than all bounds
  uint64_t turns = 0;
  int64_t busy_ns = 0;
  int64_t busy_max_ns = 0;
  std::array<int64_t, kTurnPhaseCount> phase_ns{};
  int64_t last_busy_ns = 0;  // of the last turn
  TurnPhase last_longest = TurnPhase::kCompletions;
};

class Loop {
 public:
  // Completions handled before timers and the epoch get their turn again.
  static constexpr size_t kCompletionsPerTurnMax = 512;

  Loop(Io* io, const Clock* clock);  // neither owned; both outlive this
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // One turn; waits at most until `latest_ns` (monotonic; INT64_MAX: no limit). Returns 0 or -errno
  // of a kernel that cannot go on.
  int RunTurn(int64_t latest_ns = INT64_MAX);

  void Defer(Deferred& deferred);
  // What runs at the end of each turn, as part of it: for looking into mailboxes of other threads,
  // whose doorbell has ended the wait. True: there is more to do, the next turn is not to wait. Set
  // once.
  using TurnEnd = bool (*)(void* owner);
  void SetTurnEnd(void* owner, TurnEnd handler) {
    turn_end_owner_ = owner;
    turn_end_ = handler;
  }

  Io& io() { return *io_; }
  TimerWheel& timers() { return timers_; }
  BufferLoans& buffers() { return buffers_; }
  int64_t now_ns() const { return now_ns_; }
  int64_t WallNs() const { return clock_->WallNs(); }
  // Reads the clock; for measuring within a turn.
  int64_t ReadClockNs() const { return clock_->NowNs(); }
  const LoopCounters& counters() const { return counters_; }

 private:
  void RunDeferred();
  void EndPhase(TurnPhase phase);
  void CountTurn(const std::array<int64_t, kTurnPhaseCount>& before);

  Io* const io_;
  const Clock* const clock_;
  int64_t now_ns_;
  int64_t ended_ns_;  // when the last turn ended
  TimerWheel timers_;
  BufferLoans buffers_;
  void* turn_end_owner_ = nullptr;
  TurnEnd turn_end_ = nullptr;
  bool more_at_turn_end_ = false;
  Deferred* deferred_first_ = nullptr;
  Deferred** deferred_last_ = &deferred_first_;
  bool more_completions_ = false;
  LoopCounters counters_;
};

}  // namespace edge::uring
