#include "uring/timer_wheel.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace edge::uring {
namespace {

constexpr int64_t kTickNs = int64_t{1} << 22;
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kDayNs = 86'400 * kSecondNs;

// A timer that runs any function.
class TestTimer {
 public:
  explicit TestTimer(TimerWheel* wheel, std::function<void()> function = nullptr)
      : wheel_(wheel), function_(std::move(function)) {}
  ~TestTimer() { wheel_->Stop(timer_); }

  void Start(int64_t deadline_ns) { wheel_->Start(timer_, deadline_ns); }
  void Stop() { wheel_->Stop(timer_); }
  bool armed() const { return timer_.armed(); }
  int fired() const { return fired_; }

 private:
  void OnTimer() {
    ++fired_;
    if (function_ != nullptr) function_();
  }

  TimerWheel* const wheel_;
  const std::function<void()> function_;
  Timer timer_{this, BindTimer<&TestTimer::OnTimer>()};
  int fired_ = 0;
};

TEST(TimerWheelTest, FiresOnceAndNotBeforeItsDeadline) {
  TimerWheel wheel(0);
  TestTimer timer(&wheel);
  timer.Start(kSecondNs);
  wheel.Advance(kSecondNs - 1);
  EXPECT_EQ(timer.fired(), 0);
  wheel.Advance(kSecondNs + kTickNs);
  EXPECT_EQ(timer.fired(), 1);
  EXPECT_FALSE(timer.armed());
  wheel.Advance(10 * kSecondNs);
  EXPECT_EQ(timer.fired(), 1);
}

TEST(TimerWheelTest, FiresAtMostOneTickLateWhateverTheDistance) {
  std::mt19937_64 random(1);
  for (int bits = 0; bits <= 52; ++bits) {
    for (int i = 0; i < 50; ++i) {
      const int64_t start = static_cast<int64_t>(random() >> 8);
      const int64_t distance = static_cast<int64_t>(random() & ((uint64_t{1} << bits) - 1));
      TimerWheel wheel(start);
      TestTimer timer(&wheel);
      timer.Start(start + distance);
      wheel.Advance(start + distance - 1);
      ASSERT_EQ(timer.fired(), 0) << start << " + " << distance;
      wheel.Advance(start + distance + kTickNs);
      ASSERT_EQ(timer.fired(), 1) << start << " + " << distance;
    }
  }
}

TEST(TimerWheelTest, StoppedTimersDoNotFire) {
  TimerWheel wheel(0);
  TestTimer timer(&wheel);
  timer.Start(kSecondNs);
  timer.Stop();
  EXPECT_EQ(wheel.armed(), 0u);
  timer.Stop();  // no effect
  wheel.Advance(2 * kSecondNs);
  EXPECT_EQ(timer.fired(), 0);
}

TEST(TimerWheelTest, StartingAnArmedTimerMovesIt) {
  TimerWheel wheel(0);
  TestTimer timer(&wheel);
  timer.Start(kSecondNs);
  timer.Start(3 * kSecondNs);
  EXPECT_EQ(wheel.armed(), 1u);
  wheel.Advance(2 * kSecondNs);
  EXPECT_EQ(timer.fired(), 0);
  timer.Start(2 * kSecondNs + kTickNs);
  wheel.Advance(2 * kSecondNs + 2 * kTickNs);
  EXPECT_EQ(timer.fired(), 1);
}

TEST(TimerWheelTest, TimersBeyondTheReachOfTheWheelFireInTime) {
  constexpr int64_t kReachNs = kTickNs << 30;
  for (const int64_t deadline :
       {kReachNs - kTickNs, kReachNs, kReachNs + 1, 3 * kReachNs + 12345, 1000 * kDayNs}) {
    TimerWheel wheel(12 * kTickNs);
    TestTimer timer(&wheel);
    timer.Start(deadline);
    // In steps, and with a last one that ends just before the deadline.
    for (int64_t now = 13 * kTickNs; now < deadline; now += 5 * kDayNs + 7) wheel.Advance(now);
    wheel.Advance(deadline - 1);
    ASSERT_EQ(timer.fired(), 0) << deadline;
    wheel.Advance(deadline + kTickNs);
    ASSERT_EQ(timer.fired(), 1) << deadline;
  }
}

TEST(TimerWheelTest, ADeadlineAtTheEndOfTimeNeverFires) {
  TimerWheel wheel(kSecondNs);
  TestTimer timer(&wheel);
  timer.Start(INT64_MAX);
  wheel.Advance(2 * kSecondNs);
  wheel.Advance(1000 * kDayNs);
  EXPECT_EQ(timer.fired(), 0);
}

TEST(TimerWheelTest, HandlersMayStopTimersThatAreDueInTheSameTick) {
  TimerWheel wheel(0);
  int fired = 0;
  std::vector<std::unique_ptr<TestTimer>> timers;
  timers.reserve(2);
  // Whichever of the two runs first stops the other.
  for (int i = 0; i < 2; ++i) {
    timers.push_back(std::make_unique<TestTimer>(&wheel, [&timers, &fired, i] {
      ++fired;
      timers[1 - i]->Stop();
    }));
  }
  for (auto& timer : timers) timer->Start(kSecondNs);
  wheel.Advance(2 * kSecondNs);
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(wheel.armed(), 0u);
}

TEST(TimerWheelTest, HandlersMayFreeTimers) {
  TimerWheel wheel(0);
  std::vector<std::unique_ptr<TestTimer>> timers(3);
  int fired = 0;
  for (auto& timer : timers) {
    timer = std::make_unique<TestTimer>(&wheel, [&timers, &fired, &timer] {
      ++fired;
      // All but the one that runs: its function object must outlive the call.
      for (auto& other : timers) {
        if (&other != &timer) other.reset();
      }
    });
    timer->Start(kSecondNs);
  }
  wheel.Advance(2 * kSecondNs);
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheelTest, HandlersMayMoveTimersThatAreDueInTheSameTick) {
  TimerWheel wheel(0);
  TestTimer moved(&wheel);
  std::vector<std::unique_ptr<TestTimer>> movers;
  movers.reserve(2);
  for (int i = 0; i < 2; ++i) {
    movers.push_back(std::make_unique<TestTimer>(&wheel, [&] { moved.Start(5 * kSecondNs); }));
  }
  movers[0]->Start(kSecondNs);  // before and after it in the list
  moved.Start(kSecondNs);
  movers[1]->Start(kSecondNs);
  wheel.Advance(2 * kSecondNs);
  EXPECT_EQ(moved.fired(), 0);
  wheel.Advance(5 * kSecondNs + kTickNs);
  EXPECT_EQ(moved.fired(), 1);
}

TEST(TimerWheelTest, ATimerStartedForThePastFiresInTheNextCallOnce) {
  TimerWheel wheel(0);
  std::unique_ptr<TestTimer> timer;
  timer = std::make_unique<TestTimer>(&wheel, [&] { timer->Start(0); });
  timer->Start(kSecondNs);
  wheel.Advance(kSecondNs * 60);
  EXPECT_EQ(timer->fired(), 1);
  wheel.Advance(kSecondNs * 120);
  EXPECT_EQ(timer->fired(), 2);
}

TEST(TimerWheelTest, TimersOfOneAdvanceFireInTheOrderOfTheirTicks) {
  std::mt19937_64 random(3);
  TimerWheel wheel(0);
  std::vector<int64_t> order;
  std::vector<std::unique_ptr<TestTimer>> timers;
  for (int i = 0; i < 500; ++i) {
    const auto deadline = static_cast<int64_t>(random() % (300 * kSecondNs));
    timers.push_back(
        std::make_unique<TestTimer>(&wheel, [&order, deadline] { order.push_back(deadline); }));
    timers.back()->Start(deadline);
  }
  wheel.Advance(400 * kSecondNs);
  ASSERT_EQ(order.size(), 500u);
  const auto tick = [](int64_t ns) { return (ns + kTickNs - 1) / kTickNs; };
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end(),
                             [&](int64_t a, int64_t b) { return tick(a) < tick(b); }));
}

TEST(TimerWheelTest, TellsThatNothingIsToBeDone) {
  TimerWheel wheel(5 * kSecondNs);
  EXPECT_EQ(wheel.NextDelayNs(5 * kSecondNs), -1);
}

// Sleeping for as long as the wheel says, over and over, fires each timer as early as it may.
TEST(TimerWheelTest, SleepingForTheNextDelayMissesNoDeadline) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 300; ++round) {
    int64_t now = static_cast<int64_t>(random() >> 10);
    TimerWheel wheel(now);
    TestTimer timer(&wheel);
    const int64_t deadline = now + static_cast<int64_t>(random() >> (12 + random() % 40));
    timer.Start(deadline);
    int turns = 0;
    while (timer.fired() == 0) {
      const int64_t delay = wheel.NextDelayNs(now);
      ASSERT_GE(delay, 0);
      now += delay;
      wheel.Advance(now);
      // Each level costs a wake-up to spread its slot; a deadline beyond the reach costs a few
      // more.
      ASSERT_LT(++turns, 100);
    }
    EXPECT_GE(now, deadline);
    EXPECT_LE(now, deadline + kTickNs);
  }
}

TEST(TimerWheelDeathTest, FreeingAnArmedTimerIsABug) {
  TimerWheel wheel(0);
  EXPECT_DEATH(
      {
        Timer timer(nullptr, [](void*) {});
        wheel.Start(timer, kSecondNs);
      },
      "freed while armed");
}

// --- Against a naive model
// --------------------------------------------------------------------------------

// Random operations on many timers, from outside and from within handlers, checked after every
// step.
class ModelRun {
 public:
  explicit ModelRun(uint64_t seed)
      : random_(seed), now_ns_(static_cast<int64_t>(random_() >> 9)), wheel_(now_ns_) {
    for (size_t i = 0; i < kTimers; ++i) {
      entries_.push_back(std::make_unique<Entry>());
      entries_[i]->timer =
          std::make_unique<TestTimer>(&wheel_, [this, i] { OnFired(*entries_[i]); });
    }
  }

  void Step() {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        StartOne();
        break;
      case 3:
        StopOne();
        break;
      default:
        Advance(RandomSpan());
    }
    size_t armed = 0;
    for (const auto& entry : entries_) {
      ASSERT_EQ(entry->armed, entry->timer->armed());
      if (entry->armed) ++armed;
    }
    ASSERT_EQ(armed, wheel_.armed());
  }

 private:
  static constexpr size_t kTimers = 40;

  struct Entry {
    std::unique_ptr<TestTimer> timer;
    bool armed = false;
    int64_t deadline_ns = 0;
    int64_t started_ns = 0;  // when Start was called
  };

  // From nothing to months, with all magnitudes alike.
  int64_t RandomSpan() { return static_cast<int64_t>(random_() >> (10 + random_() % 54)); }

  Entry& RandomEntry() { return *entries_[random_() % kTimers]; }

  void StartOne() {
    Entry& entry = RandomEntry();
    const int64_t past = random_() % 8 == 0 ? RandomSpan() : 0;
    entry.armed = true;
    entry.deadline_ns = past != 0 ? std::max<int64_t>(0, now_ns_ - past) : now_ns_ + RandomSpan();
    entry.started_ns = now_ns_;
    entry.timer->Start(entry.deadline_ns);
  }

  void StopOne() {
    Entry& entry = RandomEntry();
    entry.armed = false;
    entry.timer->Stop();
  }

  void OnFired(Entry& entry) {
    EXPECT_TRUE(entry.armed) << "fired without being armed";
    EXPECT_GE(now_ns_, entry.deadline_ns) << "early";
    entry.armed = false;
    if (random_() % 4 == 0) StartOne();
    if (random_() % 4 == 0) StopOne();
  }

  void Advance(int64_t span_ns) {
    now_ns_ += span_ns;
    wheel_.Advance(now_ns_);
    for (const auto& entry : entries_) {
      if (!entry->armed) continue;
      // A timer started for the past is due at once, as seen from when it was started.
      const int64_t due_ns = std::max(entry->deadline_ns, entry->started_ns);
      EXPECT_LT(now_ns_, due_ns + kTickNs) << "late";
    }
  }

  std::mt19937_64 random_;
  int64_t now_ns_;
  TimerWheel wheel_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

TEST(TimerWheelTest, AgreesWithANaiveModel) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    ModelRun run(seed);
    for (int step = 0; step < 1000; ++step) {
      run.Step();
      if (testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace edge::uring
