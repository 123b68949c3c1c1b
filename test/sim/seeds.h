// Which seeds a test runs, by the environment:
//   EDGE_SIM_SEEDS=N        the seeds 1 to N instead of the test's own number
//   EDGE_SIM_FIRST_SEED=S   ... from S on
//   EDGE_SIM_SEED=S         only this one, with its trace on standard error

#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/numbers.h"

namespace edge::sim {

inline std::optional<uint64_t> SeedVariable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == 0) return std::nullopt;
  uint64_t value = 0;
  CHECK(absl::SimpleAtoi(text, &value)) << name << " is not a number: " << text;
  return value;
}

inline bool IsReplay(uint64_t seed) { return SeedVariable("EDGE_SIM_SEED") == seed; }

inline std::vector<uint64_t> SeedsToRun(uint64_t count) {
  if (const auto only = SeedVariable("EDGE_SIM_SEED")) return {*only};
  count = SeedVariable("EDGE_SIM_SEEDS").value_or(count);
  const uint64_t first = SeedVariable("EDGE_SIM_FIRST_SEED").value_or(1);
  std::vector<uint64_t> seeds;
  for (uint64_t i = 0; i < count; ++i) seeds.push_back(first + i);
  return seeds;
}

}  // namespace edge::sim
