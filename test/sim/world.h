// What every part of a simulation shares: the seed's stream of chance, virtual time, the trace and
// the plan of faults. Made first, freed last.

#pragma once

#include <cstdint>
#include <vector>

#include "test/sim/coverage.h"
#include "test/sim/fault_plan.h"
#include "test/sim/random.h"
#include "test/sim/scheduler.h"
#include "test/sim/trace.h"

namespace edge::sim {

class SimIo;

struct World {
  explicit World(uint64_t seed, bool verbose = false) : random(seed), trace(verbose) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void Log(const char* what, std::initializer_list<Trace::Field> fields = {}) {
    trace.Add(scheduler.NowNs(), what, fields);
  }

  // Whether the fault happens now. Counted, by the knob's name.
  bool Occurs(double FaultPlan::*knob, Random& random) {
    if (!random.Chance(faults.*knob)) return false;
    coverage.Count(FaultPlan::NameOf(knob));
    return true;
  }

  Random random;  // forked by the parts, drawn from by the scenario
  Scheduler scheduler;
  Trace trace;
  FaultPlan faults;
  Coverage coverage;
  NetworkShape shape;
  std::vector<SimIo*> ios;  // by the handle of their doorbell; nullptr when freed
};

}  // namespace edge::sim
