// What became of every exchange, as the peers saw it, and what must never happen and did.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/sim/scenario.h"

namespace edge::sim {

class Ledger {
 public:
  enum class Outcome : uint8_t {
    kNotAnswered,  // no byte of a response
    kCut,          // a part of a response
    kFromOrigin,   // the origin's answer, whole
    kFromProxy,    // an error of the proxy's own, whole
  };
  struct Entry {
    int requests_at_origins = 0;  // whole heads that reached one
    int complete_at_origins = 0;  // whole requests
    int answers_complete = 0;     // that an origin sent to their end
    bool sent = false;            // the client has begun to send it
    Outcome outcome = Outcome::kNotAnswered;
    int status = 0;
  };

  explicit Ledger(const Scenario* scenario) : entries_(scenario->exchanges.size()) {}

  Entry& entry(uint64_t id) { return entries_.at(id); }
  const std::vector<Entry>& entries() const { return entries_; }

  void Violation(uint64_t id, std::string what) {
    violations_.push_back(absl::StrCat("exchange ", id, ": ", what));
  }
  void Violation(std::string what) { violations_.push_back(std::move(what)); }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  std::vector<Entry> entries_;
  std::vector<std::string> violations_;
};

}  // namespace edge::sim
