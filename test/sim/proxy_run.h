// One run of the proxy's Worker, unchanged, between scripted clients and origins on a simulated
// kernel.
//
//   SimClient ... SimClient            SimOrigin ... SimOrigin
//          \        |                       |       /
//           +-- SimNetwork: virtual TCP, latency, resets
//                         |
//                       SimIo: faults, checks
//                         |
//                    proxy::Worker  (and SimClock)

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "test/sim/coverage.h"
#include "test/sim/scenario.h"

namespace edge::sim {

struct ProxyRun {
  uint64_t trace = 0;   // a hash of everything that happened
  uint64_t events = 0;  // how much that was
  // What must never happen and did; empty if all is well.
  std::vector<std::string> violations;

  // How much the run exercised.
  int64_t virtual_ns = 0;
  uint64_t turns = 0;
  uint64_t exchanges = 0;
  uint64_t from_origin = 0;  // exchanges whose client got the origin's answer, whole
  uint64_t from_proxy = 0;   // ... an error of the proxy's own
  uint64_t cut = 0;
  uint64_t retries = 0;
  uint64_t reuses = 0;
  Coverage coverage;
};

// Everything follows from the seed and the kind of trouble. `verbose` writes the trace to standard
// error.
ProxyRun RunProxy(uint64_t seed, Trouble trouble, bool verbose);

}  // namespace edge::sim
