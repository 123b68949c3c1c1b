// BoundedQueue and IdleSet together, as a pool uses them, in every interleaving: no work is left
// while all sleep, nobody is woken for nothing twice, nothing is lost or seen twice.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "test/uring/interleavings.h"
#include "uring/bounded_queue.h"
#include "uring/idle_set.h"

namespace edge::uring {
namespace {

struct Job {
  int done = 0;
};

// What a pool shares, with a doorbell that stands for a ring's: a count of wake-ups, which one turn
// takes all of.
struct Pool {
  explicit Pool(size_t members, size_t capacity) : queue(capacity), doorbells(members, 0) {}

  BoundedQueue<Job, ModelAtomic> queue;
  BasicIdleSet<ModelAtomic> idle;
  std::vector<int> doorbells;  // rung and not heard
  int rings = 0;
  ModelAtomic<int> left{0};  // jobs that nobody has done

  void Submit(Job* job) {
    ASSERT_TRUE(queue.TryPush(job));
    if (const int member = idle.TakeOne(); member != IdleSet::kNone) Ring(member);
  }
  void Ring(int member) {
    ++doorbells[static_cast<size_t>(member)];
    ++rings;
  }
  void Work(int member) {
    for (;;) {
      while (Job* job = queue.TryPop()) {
        ++job->done;
        if (left.fetch_sub(1) == 1) {  // the last one: all may end
          for (size_t i = 0; i < doorbells.size(); ++i) Ring(static_cast<int>(i));
        }
      }
      if (left.load() == 0) return;
      idle.Enter(member);
      if (queue.Empty() && left.load() != 0) {
        int& doorbell = doorbells[static_cast<size_t>(member)];
        Interleavings::WaitUntil([&doorbell] { return doorbell > 0; });
        doorbell = 0;
      }
      idle.Leave(member);
    }
  }
};

struct Shape {
  int submitters;
  int jobs_each;
  int members;
  int preemptions_max;
};

class SleepingPoolModelTest : public testing::TestWithParam<Shape> {};

TEST_P(SleepingPoolModelTest, EveryJobIsDoneOnceAndNobodySleepsForEver) {
  const Shape shape = GetParam();
  const int count = shape.submitters * shape.jobs_each;
  Interleavings explorer({.preemptions_max = shape.preemptions_max, .runs_max = 200'000});
  const uint64_t runs = explorer.Explore([&](Interleavings& run) {
    auto pool = std::make_shared<Pool>(static_cast<size_t>(shape.members), 4);
    auto jobs = std::make_shared<std::vector<Job>>(static_cast<size_t>(count));
    pool->left.store(count);
    for (int s = 0; s < shape.submitters; ++s) {
      run.Thread([=] {
        for (int i = 0; i < shape.jobs_each; ++i) {
          pool->Submit(&(*jobs)[static_cast<size_t>(s * shape.jobs_each + i)]);
        }
      });
    }
    for (int m = 0; m < shape.members; ++m) run.Thread([=] { pool->Work(m); });
    run.AtEnd([=] {
      for (const Job& job : *jobs) EXPECT_EQ(job.done, 1);
      EXPECT_EQ(pool->left.Peek(), 0);
      // One for each job at most, and those that end it all.
      EXPECT_LE(pool->rings, count + shape.members);
    });
  });
  std::printf("%lu interleavings%s\n", runs, explorer.complete() ? ", all" : "");
  EXPECT_GT(runs, 100u);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SleepingPoolModelTest,
                         testing::Values(Shape{1, 2, 1, 4}, Shape{2, 1, 1, 3}, Shape{1, 2, 2, 2},
                                         Shape{2, 1, 2, 1}, Shape{2, 2, 1, 2}));

// The checker itself: a sleeper that looks for work before it makes itself known is found out.
TEST(InterleavingsTest, ALostWakeUpIsFound) {
  const auto lose_one = [] {
    Interleavings explorer({.preemptions_max = 2});
    explorer.Explore([](Interleavings& run) {
      auto work = std::make_shared<ModelAtomic<int>>(0);
      auto asleep = std::make_shared<ModelAtomic<int>>(0);
      auto woken = std::make_shared<bool>(false);
      run.Thread([=] {
        work->store(1);
        if (asleep->load() == 1) *woken = true;
      });
      run.Thread([=] {
        if (work->load() == 1) return;
        asleep->store(1);
        Interleavings::WaitUntil([woken] { return *woken; });
      });
    });
  };
  EXPECT_NONFATAL_FAILURE(lose_one(), "deadlock");
}

}  // namespace
}  // namespace edge::uring
