// Inspection in a simulated run: the node of the proxy and one of its threads, which gets its turns
// from the scheduler, and an inspector that says what the seed wants.

#pragma once

#include <cstdint>
#include <memory>

#include "proxy/settings.h"
#include "proxy/waf/inspection_client.h"
#include "proxy/waf/inspection_counters.h"
#include "proxy/waf/inspection_node.h"
#include "proxy/waf/inspection_thread.h"
#include "proxy/worker.h"
#include "test/sim/random.h"
#include "test/sim/sim_io.h"
#include "test/sim/sim_network.h"
#include "test/sim/world.h"

namespace edge::sim {

class SimInspection final : private proxy::waf::Inspector {
 public:
  // `honest`: every request may pass, whatever happens.
  SimInspection(World* world, SimNetwork* network, bool honest, Random random);

  // Has the worker inspect: sets what its settings and options say of it.
  void Use(proxy::InspectionSettings& settings, proxy::WorkerOptions& options);
  // Before each turn of the worker: what it has submitted gets its turn some time.
  void BeforeTurn();

 private:
  // On the loop.
  class Inline final : public proxy::waf::Inspector {
   public:
    explicit Inline(SimInspection* inspection) : inspection_(inspection) {}
    proxy::waf::Verdict Inspect(proxy::waf::InspectionJob& job) override {
      return inspection_->Inspect(job);
    }

   private:
    SimInspection* const inspection_;
  };

  proxy::waf::Verdict Inspect(proxy::waf::InspectionJob& job) override;
  void RunThread();

  World& world_;
  Random random_;
  const bool honest_;
  proxy::waf::InspectionNode node_;
  SimIo io_;
  proxy::waf::InspectionCounters counters_;
  proxy::waf::InspectionThread thread_;
  int64_t pause_ns_max_;
  bool scheduled_ = false;
};

}  // namespace edge::sim
