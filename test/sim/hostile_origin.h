// An origin of a hostile run: reads requests strictly, holds each against what clients have asked,
// and answers well, or with mutated bytes, too early, too late, in part, too much, or not at all.
//
// Whatever it writes is noted for the request that it will be taken for. A connection whose last
// answer was not whole, or that was said to end, must not carry another request.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "test/sim/hostile_ledger.h"
#include "test/sim/hostile_scenario.h"
#include "test/sim/sim_network.h"

namespace edge::sim {

class HostileOrigin final : private Listener::Observer {
 public:
  // None of the pointers is owned; all outlive this, which outlives the simulation. `keys`: the
  // last key of an answer's body, of all origins.
  HostileOrigin(SimNetwork* network, const HostileScenario* scenario, size_t index,
                const uring::SocketAddress& address, HostileLedger* ledger, uint64_t* keys,
                Random random);
  ~HostileOrigin() override;

 private:
  class Connection;

  void OnPending() override;

  SimNetwork& network_;
  const HostileScenario& scenario_;
  const size_t index_;
  HostileLedger& ledger_;
  uint64_t& keys_;
  Random random_;
  Listener* const listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace edge::sim
