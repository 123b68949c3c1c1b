// Tells the control thread, now and then, that a turn kept a worker's loop busy for long, with
// what, and for which request: who blocked it.
//
// One notice for each worker: while it is on its way, others are only counted.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/control_message.h"
#include "uring/loop.h"

namespace edge::proxy {

// Others on the loop wait for as long, so it is worth a line in the log.
inline constexpr int64_t kSlowTurnNs = 10'000'000;

struct SlowTurn : ControlMessage {
  SlowTurn() : ControlMessage(Kind::kSlowTurn) {}

  // The worker's, unless `sent`; the control thread's while it is.
  std::atomic<bool> sent{false};
  size_t worker = 0;
  int64_t busy_ns = 0;
  uring::TurnPhase phase = uring::TurnPhase::kCompletions;
  int64_t inspected_ns = 0;  // of that, for inspection on the loop; 0: none
  std::string request;       // the one that took most of it: method, target, id
};

}  // namespace edge::proxy
