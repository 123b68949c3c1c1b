// Inspecting requests one after the other calls malloc not once, when each kind of them has been
// seen: benign ones, and such that rules match.
//
// The linker replaces malloc and its siblings (see the BUILD file) by ones that count.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "gtest/gtest.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"
#include "test/counting_malloc.h"
#include "test/waf/engine_fixture.h"

void* operator new(size_t size) {
  if (count_allocations) ++allocations;
  return __real_malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace edge::waf {
namespace {

// The second round of a kind still grows what the first did not need.
constexpr int kWarmUp = 3;
constexpr int kMeasured = 20;

uint64_t AllocationsOf(std::vector<TestRequest> requests) {
  const std::shared_ptr<const RuleSet> rules = Compile(CrsText(1));
  std::vector<RequestView> views;
  for (TestRequest& request : requests) views.push_back(request.View());
  Scratch scratch;
  Transaction transaction;
  allocations = 0;
  for (int round = 0; round < kWarmUp + kMeasured; ++round) {
    for (const RequestView& view : views) {
      std::shared_ptr<const RuleSet> held = rules;
      count_allocations = round >= kWarmUp;
      transaction.Begin(std::move(held), EngineMode::kOn);
      transaction.InspectRequest(view, scratch);
      transaction.InspectEnd(scratch);
      transaction.End();
      count_allocations = false;
    }
  }
  return allocations;
}

TEST(EngineSteadyState, BenignRequestsAllocateNothing) {
  TestRequest get = Get("/search?q=running+shoes&page=2&sort=price");
  get.fields.emplace_back("Cookie", "session=7c9f3bb1a0d9; theme=dark");
  EXPECT_EQ(AllocationsOf({get, Form("name=Jane+Doe&city=Berlin&text=Please+call+me+tomorrow.")}),
            0);
}

TEST(EngineSteadyState, AttacksAllocateNothing) {
  EXPECT_EQ(AllocationsOf({Get("/?id=1%27%20or%20%271%27=%271&f=../../etc/passwd"),
                           Form("q=%3Cscript%3Ealert(1)%3C/script%3E")}),
            0);
}

}  // namespace
}  // namespace edge::waf
