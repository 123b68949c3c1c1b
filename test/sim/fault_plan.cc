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

struct NamedKnob {
  std::string_view name;
  double FaultPlan::*knob;
};
constexpr NamedKnob kKnobs[] = {
    {"short_receive", &FaultPlan::short_receive},
    {"one_byte_receive", &FaultPlan::one_byte_receive},
    {"short_send", &FaultPlan::short_send},
    {"multishot_ends", &FaultPlan::multishot_ends},
    {"no_buffers", &FaultPlan::no_buffers},
    {"nothing_now", &FaultPlan::nothing_now},
    {"end_with_buffer", &FaultPlan::end_with_buffer},
    {"wrong_hint", &FaultPlan::wrong_hint},
    {"late_completion", &FaultPlan::late_completion},
    {"reorder", &FaultPlan::reorder},
    {"cancel_late", &FaultPlan::cancel_late},
    {"cancel_loses", &FaultPlan::cancel_loses},
    {"completion_overflow", &FaultPlan::completion_overflow},
    {"early_submit", &FaultPlan::early_submit},
    {"spurious_wake", &FaultPlan::spurious_wake},
    {"doorbell_merged", &FaultPlan::doorbell_merged},
    {"doorbell_late", &FaultPlan::doorbell_late},
    {"stall", &FaultPlan::stall},
    {"accept_shortage", &FaultPlan::accept_shortage},
    {"accept_aborted", &FaultPlan::accept_aborted},
    {"accept_fails", &FaultPlan::accept_fails},
    {"connect_refused", &FaultPlan::connect_refused},
    {"connect_unreachable", &FaultPlan::connect_unreachable},
    {"connect_no_port", &FaultPlan::connect_no_port},
    {"connect_fails", &FaultPlan::connect_fails},
    {"connect_timed_out", &FaultPlan::connect_timed_out},
    {"connect_late", &FaultPlan::connect_late},
    {"open_socket_fails", &FaultPlan::open_socket_fails},
    {"receive_fails", &FaultPlan::receive_fails},
    {"send_fails", &FaultPlan::send_fails},
    {"shutdown_fails", &FaultPlan::shutdown_fails},
    {"reset", &FaultPlan::reset},
    {"peer_address_fails", &FaultPlan::peer_address_fails},
    {"refuse_handshakes_fails", &FaultPlan::refuse_handshakes_fails},
    {"acknowledged_unknown", &FaultPlan::acknowledged_unknown},
};

}  // namespace

std::string_view FaultPlan::NameOf(double FaultPlan::*knob) {
  for (const NamedKnob& named : kKnobs) {
    if (named.knob == knob) return named.name;
  }
  return "a knob without a name";
}

std::vector<std::string_view> FaultPlan::Names() {
  std::vector<std::string_view> names;
  for (const NamedKnob& named : kKnobs) names.push_back(named.name);
  return names;
}

FaultPlan FaultPlan::Hidden(Random& random) {
  FaultPlan plan;
  plan.short_receive = Knob(random, 0.1, 0.7);
  plan.one_byte_receive = Knob(random, 0.01, 0.1);
  plan.short_send = Knob(random, 0.05, 0.5);
  plan.multishot_ends = Knob(random, 0.05, 0.9);
  plan.no_buffers = Knob(random, 0.02, 0.3);
  plan.nothing_now = Knob(random, 0.05, 0.5);
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
  plan.accept_fails = Knob(random, 0.02, 0.1);
  plan.connect_refused = Knob(random, 0.05, 0.5);
  plan.connect_unreachable = Knob(random, 0.02, 0.2);
  plan.connect_no_port = Knob(random, 0.02, 0.2);
  plan.connect_fails = Knob(random, 0.02, 0.2);
  plan.connect_timed_out = Knob(random, 0.02, 0.2);
  plan.connect_late = Knob(random, 0.1, 0.5);
  plan.connect_late_ns_max = random.Between(1'000'000, 12'000'000'000);
  plan.open_socket_fails = Knob(random, 0.02, 0.2);
  plan.receive_fails = Knob(random, 0.001, 0.02);
  plan.send_fails = Knob(random, 0.001, 0.02);
  plan.shutdown_fails = Knob(random, 0.02, 0.2);
  plan.reset = Knob(random, 0.001, 0.02);
  plan.peer_address_fails = Knob(random, 0.05, 0.5);
  plan.refuse_handshakes_fails = Knob(random, 0.5, 1.0);
  plan.acknowledged_unknown = Knob(random, 0.2, 1.0);
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
