// Virtual time: what will happen, in the order in which it will. Events of the same instant run in
// the order in which they were added.
//
// Closures own nothing that they refer to: whatever they point at lives as long as the simulation,
// or is looked up by an id that is never used twice.

#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "test/sim/sim_clock.h"

namespace edge::sim {

class Scheduler {
 public:
  static constexpr int64_t kNever = INT64_MAX;

  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void At(int64_t time_ns, std::function<void()> run) {
    events_.push_back({std::max(time_ns, clock_.NowNs()), next_sequence_++, std::move(run)});
    std::push_heap(events_.begin(), events_.end(), Later);
  }
  void After(int64_t delay_ns, std::function<void()> run) {
    At(clock_.NowNs() + delay_ns, std::move(run));
  }

  // When the next event is due; kNever if there is none.
  int64_t NextNs() const { return events_.empty() ? kNever : events_.front().time_ns; }

  // Moves the clock to the next event and runs it. There must be one.
  void RunNext() {
    std::pop_heap(events_.begin(), events_.end(), Later);
    Event event = std::move(events_.back());
    events_.pop_back();
    // The clock may have been moved past the event by whoever was busy meanwhile.
    clock_.MoveTo(std::max(event.time_ns, clock_.NowNs()));
    event.run();
  }

  // Lets time pass without running what falls due: the thread under test is busy, or not scheduled.
  void Spend(int64_t ns) { clock_.MoveTo(clock_.NowNs() + ns); }

  // Moves the clock forward to `time_ns`, before which no event is due.
  void IdleUntil(int64_t time_ns) { clock_.MoveTo(std::max(time_ns, clock_.NowNs())); }

  const SimClock& clock() const { return clock_; }
  int64_t NowNs() const { return clock_.NowNs(); }

 private:
  struct Event {
    int64_t time_ns;
    uint64_t sequence;
    std::function<void()> run;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.time_ns != b.time_ns ? a.time_ns > b.time_ns : a.sequence > b.sequence;
  }

  SimClock clock_;
  std::vector<Event> events_;  // a heap, the next on top
  uint64_t next_sequence_ = 0;
};

}  // namespace edge::sim
