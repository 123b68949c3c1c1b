// A scripted origin: a listener and its connections, each of which reads requests strictly, checks
// every byte of them, and answers as the exchange's script says, which it finds by the id in the
// target.

#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "test/sim/http_reader.h"
#include "test/sim/ledger.h"
#include "test/sim/scenario.h"
#include "test/sim/sim_network.h"
#include "test/sim/sim_peer.h"

namespace edge::sim {

class SimOrigin final : private Listener::Observer {
 public:
  struct Options {
    uring::SocketAddress address;
    // Requests come through an HTTP proxy, which has rules to keep for their heads.
    bool behind_proxy = true;
  };

  // None of the pointers is owned; all outlive this, which outlives the simulation.
  SimOrigin(SimNetwork* network, const Scenario* scenario, size_t index, const Options& options,
            Ledger* ledger, Random random);
  ~SimOrigin() override;

 private:
  class Connection;

  void OnPending() override;

  SimNetwork& network_;
  const Scenario& scenario_;
  const size_t index_;
  const bool behind_proxy_;
  Ledger& ledger_;
  Random random_;
  Listener* listener_ = nullptr;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace edge::sim
