// The proxy under the simulator, a thousand seeds for each kind of trouble, two thousand where
// everybody is hostile.
//
//   EDGE_SIM_SEED=17 bazel-bin/test/sim/proxy_sim_test --gtest_filter='*Hidden*'
//
// runs seed 17 alone and writes its trace to standard error; see README.md.

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "test/sim/fault_plan.h"
#include "test/sim/mutator.h"
#include "test/sim/proxy_run.h"
#include "test/sim/scenario.h"
#include "test/sim/seeds.h"

namespace edge::sim {
namespace {

// With so many seeds everything must have come up.
constexpr size_t kSeedsOfFullCoverage = 1000;

// A mode that exercises nothing finds nothing.
void ExpectCoverage(const Coverage& coverage) {
  const auto expect = [&coverage](std::string_view what) {
    EXPECT_GT(coverage.of(what), 0u) << "never happened: " << what;
  };
  for (const std::string_view fault : FaultPlan::Names()) expect(fault);
  for (const Mutation& mutation : AllMutations()) {
    if (mutation.requests) expect(absl::StrCat("request mutation ", mutation.name));
    if (mutation.responses) expect(absl::StrCat("response mutation ", mutation.name));
  }
  for (const char* what : {"good client got an honest answer",
                           "good client got a bad answer",
                           "good client refused with 502",
                           "good client refused with 504",
                           "hostile client got an honest answer",
                           "hostile client got a bad answer",
                           "hostile client refused with 400",
                           "hostile client refused with 408",
                           "hostile client refused with 431",
                           "hostile client refused with 501",
                           "origin: request of a hostile client",
                           "origin: request behind bytes that nobody asked for",
                           "origin: speaks or ends before it is asked",
                           "origin: speaks or ends while idle",
                           "origin: answers before the request is read",
                           "origin: agrees to an upgrade",
                           "origin: cuts its answer",
                           "answer that began too early",
                           "response cut",
                           "upstream.invalid_response",
                           "upstream.closed_early",
                           "upstream.local_limit",
                           "completion queue full",
                           "connections evicted",
                           "access log lines dropped",
                           "verdict allow",
                           "verdict block",
                           "verdict shed",
                           "verdict timeout",
                           "verdict oversize",
                           "stopped at once",
                           "closed in a drain",
                           "client time-outs"}) {
    expect(what);
  }
  // The others do not suffer much: most requests of clients that behave are answered.
  EXPECT_GT(coverage.of("good client got an honest answer"),
            coverage.of("good client got an error"));
}

class ProxySimTest : public ::testing::TestWithParam<Trouble> {};

TEST_P(ProxySimTest, ClientsGetTheRightResponseOrAnHonestFailure) {
  ProxyRun total;
  int failed = 0;
  const std::vector<uint64_t> seeds = SeedsToRun(GetParam() == Trouble::kHostile ? 2000 : 1000);
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
    total.coverage.Add(run.coverage);
    total.turns += run.turns;
    total.virtual_ns += run.virtual_ns;
    if (!run.violations.empty() && ++failed == 10) break;
  }
  std::printf(
      "%zu seeds, %d failed: %lu exchanges, %lu answered by origins, %lu by the proxy, %lu cut; "
      "%lu retries, %lu reuses, %lu turns, %.0f s of virtual time\n",
      seeds.size(), failed, total.exchanges, total.from_origin, total.from_proxy, total.cut,
      total.retries, total.reuses, total.turns, static_cast<double>(total.virtual_ns) / 1e9);
  if (GetParam() == Trouble::kHostile && seeds.size() >= kSeedsOfFullCoverage) {
    ExpectCoverage(total.coverage);
  }
  for (const auto& [what, n] : total.coverage.counts()) std::printf("%10lu %s\n", n, what.c_str());
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
  constexpr const char* kNames[] = {"None", "Hidden", "Peers", "Any", "Hostile"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Trouble, ProxySimTest,
                         ::testing::Values(Trouble::kNone, Trouble::kHidden, Trouble::kPeers,
                                           Trouble::kAny, Trouble::kHostile),
                         NameOf);

}  // namespace
}  // namespace edge::sim
