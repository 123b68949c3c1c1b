#include "uring/loop.h"

#include <algorithm>

namespace edge::uring {

Loop::Loop(Io* io, const Clock* clock)
    : io_(io),
      clock_(clock),
      now_ns_(clock->NowNs()),
      ended_ns_(now_ns_),
      timers_(now_ns_),
      buffers_(io) {}

Loop::~Loop() { CHECK(deferred_first_ == nullptr) << "loop freed with deferred work queued"; }

int Loop::RunTurn(int64_t latest_ns) {
  int64_t timeout_ns = -1;
  if (more_completions_ || more_at_turn_end_ || deferred_first_ != nullptr ||
      buffers_.anyone_ready()) {
    timeout_ns = 0;
  } else {
    // Not from now_ns_, or all would be late by what the last turn took.
    timeout_ns = timers_.NextDelayNs(ended_ns_);
    if (latest_ns != INT64_MAX) {
      const int64_t left = std::max<int64_t>(0, latest_ns - ended_ns_);
      timeout_ns = timeout_ns < 0 ? left : std::min(timeout_ns, left);
    }
  }
  if (int error = io_->Turn(timeout_ns); error != 0) return error;
  now_ns_ = clock_->NowNs();

  ended_ns_ = now_ns_;
  const std::array<int64_t, kTurnPhaseCount> before = counters_.phase_ns;
  more_completions_ = io_->Dispatch(kCompletionsPerTurnMax) == kCompletionsPerTurnMax;
  EndPhase(TurnPhase::kCompletions);
  timers_.Advance(now_ns_);
  EndPhase(TurnPhase::kTimers);
  if (turn_end_ != nullptr) {
    more_at_turn_end_ = turn_end_(turn_end_owner_);
    EndPhase(TurnPhase::kTurnEnd);
  }
  RunDeferred();
  buffers_.WakeWaiters();
  EndPhase(TurnPhase::kDeferred);
  CountTurn(before);
  return 0;
}

void Loop::EndPhase(TurnPhase phase) {
  const int64_t now_ns = clock_->NowNs();
  counters_.phase_ns[static_cast<size_t>(phase)] += now_ns - ended_ns_;
  ended_ns_ = now_ns;
}

void Loop::CountTurn(const std::array<int64_t, kTurnPhaseCount>& before) {
  const int64_t busy_ns = ended_ns_ - now_ns_;
  const auto bound = std::lower_bound(LoopCounters::kBusyBoundsNs.begin(),
                                      LoopCounters::kBusyBoundsNs.end(), busy_ns);
  ++counters_.busy_histogram[bound - LoopCounters::kBusyBoundsNs.begin()];
  ++counters_.turns;
  counters_.busy_ns += busy_ns;
  counters_.busy_max_ns = std::max(counters_.busy_max_ns, busy_ns);
  counters_.last_busy_ns = busy_ns;
  int64_t longest_ns = -1;
  for (int phase = 0; phase < kTurnPhaseCount; ++phase) {
    const int64_t ns = counters_.phase_ns[phase] - before[phase];
    if (ns <= longest_ns) continue;
    longest_ns = ns;
    counters_.last_longest = static_cast<TurnPhase>(phase);
  }
}

void Loop::Defer(Deferred& deferred) {
  if (deferred.queued_) return;
  deferred.queued_ = true;
  deferred.next_ = nullptr;
  *deferred_last_ = &deferred;
  deferred_last_ = &deferred.next_;
}

void Loop::RunDeferred() {
  // What is deferred meanwhile runs in the next turn, which then does not wait.
  Deferred* list = deferred_first_;
  deferred_first_ = nullptr;
  deferred_last_ = &deferred_first_;
  while (list != nullptr) {
    Deferred& deferred = *list;
    list = deferred.next_;
    deferred.queued_ = false;
    deferred.handler_(deferred.owner_);  // may free its owner
  }
}

}  // namespace edge::uring
