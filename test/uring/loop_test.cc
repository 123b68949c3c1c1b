// The turn of a loop, in made-up time.

#include "uring/loop.h"

#include "gtest/gtest.h"
#include "test/sim/sim_io.h"
#include "test/sim/world.h"

namespace edge::uring {
namespace {

constexpr int64_t kMs = 1'000'000;

class LoopTest : public testing::Test {
 protected:
  sim::World world_{1};
  sim::SimNetwork network_{&world_};
  sim::SimIo io_{&network_, {}};
  Loop loop_{&io_, &world_.scheduler.clock()};
};

TEST_F(LoopTest, TimersAreNotLateByWhatTheTurnBeforeTook) {
  struct Busy {
    void Work() { world->scheduler.Spend(80 * kMs); }
    void OnTimer() { fired_ns = world->scheduler.NowNs(); }
    sim::World* world;
    int64_t fired_ns = 0;
    Deferred deferred{this, [](void* self) { static_cast<Busy*>(self)->Work(); }};
    Timer timer{this, [](void* self) { static_cast<Busy*>(self)->OnTimer(); }};
  } busy{.world = &world_};
  const int64_t deadline_ns = loop_.now_ns() + 100 * kMs;
  loop_.timers().Start(busy.timer, deadline_ns);
  loop_.Defer(busy.deferred);
  while (busy.fired_ns == 0) ASSERT_EQ(loop_.RunTurn(), 0);
  EXPECT_GE(busy.fired_ns, deadline_ns);
  EXPECT_LT(busy.fired_ns, deadline_ns + 10 * kMs);
}

}  // namespace
}  // namespace edge::uring
