#include "test/sim/hostile_ledger.h"

namespace edge::sim {

HostileLedger::HostileLedger(const HostileScenario* scenario) : calm_(scenario->calm) {
  for (const HostileClientScript& client : scenario->clients) {
    for (const WireMessage& message : client.requests) {
      if (!message.has_head()) continue;
      requests_[{message.method, message.target}].sources.push_back({&message, &client});
    }
  }
}

HostileLedger::Request* HostileLedger::Find(std::string_view method, std::string_view target) {
  const auto found = requests_.find({std::string(method), std::string(target)});
  return found == requests_.end() ? nullptr : &found->second;
}

}  // namespace edge::sim
