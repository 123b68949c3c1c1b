// The proxy under the simulator, a thousand seeds for each kind of trouble.
//
//   EDGE_SIM_SEED=17 bazel-bin/test/sim/proxy_sim_test --gtest_filter='*Hidden*'
//
// runs seed 17 alone and writes its trace to standard error; see README.md.

#include <string>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "test/sim/proxy_run.h"
#include "test/sim/scenario.h"
#include "test/sim/seeds.h"

namespace edge::sim {
namespace {

class ProxySimTest : public ::testing::TestWithParam<Trouble> {};

TEST_P(ProxySimTest, ClientsGetTheRightResponseOrAnHonestFailure) {
  ProxyRun total;
  int failed = 0;
  const std::vector<uint64_t> seeds = SeedsToRun(1000);
  for (const uint64_t seed : seeds) {
    const ProxyRun run = RunProxy(seed, GetParam(), IsReplay(seed));
    EXPECT_TRUE(run.violations.empty()) << "seed " << seed << ":\n"
                                        << absl::StrJoin(run.violations, "\n");
    total.exchanges += run.exchanges;
    total.from_origin += run.from_origin;
    total.from_proxy += run.from_proxy;
    total.cut += run.cut;
    total.retries += run.retries;
    total.reuses += run.reuses;
    total.turns += run.turns;
    total.virtual_ns += run.virtual_ns;
    if (!run.violations.empty() && ++failed == 10) break;
  }
  std::printf(
      "%zu seeds, %d failed: %lu exchanges, %lu answered by origins, %lu by the proxy, %lu cut; "
      "%lu retries, %lu reuses, %lu turns, %.0f s of virtual time\n",
      seeds.size(), failed, total.exchanges, total.from_origin, total.from_proxy, total.cut,
      total.retries, total.reuses, total.turns, static_cast<double>(total.virtual_ns) / 1e9);
}

TEST_P(ProxySimTest, OneSeedIsOneRun) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const ProxyRun first = RunProxy(seed, GetParam(), false);
    const ProxyRun second = RunProxy(seed, GetParam(), false);
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

std::string NameOf(const ::testing::TestParamInfo<Trouble>& info) {
  constexpr const char* kNames[] = {"None", "Hidden", "Peers", "Any"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Trouble, ProxySimTest,
                         ::testing::Values(Trouble::kNone, Trouble::kHidden, Trouble::kPeers,
                                           Trouble::kAny),
                         NameOf);

}  // namespace
}  // namespace edge::sim
