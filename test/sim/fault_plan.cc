#include "test/sim/fault_plan.h"

#include <algorithm>

namespace edge::sim {
namespace {

// Most knobs are off in most runs, so that a failure has few suspects and rare combinations still
// come up.
double Knob(Random& random, double low, double high) {
  switch (random.Below(4)) {
    case 0:
      return low;
    case 1:
      return high;
    default:
      return 0;
  }
}

}  // namespace

FaultPlan FaultPlan::Hidden(Random& random) {
  FaultPlan plan;
  plan.short_receive = Knob(random, 0.1, 0.7);
  plan.one_byte_receive = Knob(random, 0.01, 0.1);
  plan.short_send = Knob(random, 0.05, 0.5);
  plan.multishot_ends = Knob(random, 0.05, 0.9);
  plan.no_buffers = Knob(random, 0.02, 0.3);
  plan.end_with_buffer = Knob(random, 0.2, 1.0);
  plan.wrong_hint = Knob(random, 0.1, 0.9);
  plan.late_completion = Knob(random, 0.02, 0.2);
  plan.late_ns_max = random.Between(10'000, 3'000'000);
  plan.reorder = Knob(random, 0.2, 0.9);
  plan.cancel_late = Knob(random, 0.2, 0.8);
  plan.cancel_loses = Knob(random, 0.2, 0.8);
  plan.completion_overflow = Knob(random, 0.005, 0.05);
  plan.early_submit = Knob(random, 0.05, 0.5);
  plan.spurious_wake = Knob(random, 0.05, 0.3);
  plan.doorbell_merged = Knob(random, 0.3, 1.0);
  plan.doorbell_late = Knob(random, 0.1, 0.5);
  plan.stall = Knob(random, 0.001, 0.01);
  plan.stall_ns_max = random.Between(100'000, 20'000'000);
  plan.first_window = static_cast<uint32_t>(random.Skewed(64));
  return plan;
}

FaultPlan FaultPlan::Any(Random& random) {
  FaultPlan plan = Hidden(random);
  plan.accept_shortage = Knob(random, 0.02, 0.2);
  plan.accept_aborted = Knob(random, 0.02, 0.1);
  plan.connect_refused = Knob(random, 0.05, 0.5);
  plan.connect_unreachable = Knob(random, 0.02, 0.2);
  plan.connect_no_port = Knob(random, 0.02, 0.2);
  plan.connect_timed_out = Knob(random, 0.02, 0.2);
  plan.connect_late = Knob(random, 0.1, 0.5);
  plan.connect_late_ns_max = random.Between(1'000'000, 12'000'000'000);
  plan.open_socket_fails = Knob(random, 0.02, 0.2);
  plan.reset = Knob(random, 0.001, 0.02);
  plan.peer_address_fails = Knob(random, 0.05, 0.5);
  if (random.Chance(0.2)) plan.descriptors_max = 2 + random.Skewed(30);
  return plan;
}

NetworkShape NetworkShape::Any(Random& random) {
  NetworkShape shape;
  shape.latency_ns_max = static_cast<int64_t>(random.Skewed(5'000'000));
  shape.buffer_bytes_max = 512 + random.Skewed(256 << 10);
  shape.buffer_bytes_min = std::min<size_t>(shape.buffer_bytes_max, 256 + random.Skewed(16 << 10));
  shape.segment_bytes_max = 64 + random.Skewed(64 << 10);
  shape.reuse_descriptors = random.Chance(0.5);
  return shape;
}

}  // namespace edge::sim
