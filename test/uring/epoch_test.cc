#include "uring/epoch.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace edge::uring {
namespace {

// A snapshot that knows whether it is alive, and counts births and deaths.
class Snapshot {
 public:
  explicit Snapshot(int number) : number_(number) { ++made_; }
  ~Snapshot() {
    EXPECT_EQ(alive_, kAlive) << "freed twice";
    alive_ = 0;
    ++freed_;
  }
  // Plain reads, so that ThreadSanitizer sees them race with the destructor.
  int number() const {
    EXPECT_EQ(alive_, kAlive) << "used after it was freed";
    return number_;
  }
  static void ResetCounts() { made_ = freed_ = 0; }
  static int made() { return made_; }
  static int freed() { return freed_; }

 private:
  static constexpr uint64_t kAlive = 0x616c697665;
  static inline std::atomic<int> made_{0};
  static inline std::atomic<int> freed_{0};
  volatile uint64_t alive_ = kAlive;
  const int number_;
};

using Publisher = EpochPublisher<Snapshot>;

std::shared_ptr<const Snapshot> MakeSnapshot(int number) {
  return std::make_shared<const Snapshot>(number);
}

class EpochPublisherTest : public testing::Test {
 protected:
  EpochPublisherTest() { Snapshot::ResetCounts(); }

  Publisher publisher_{3, MakeSnapshot(0),
                       [this](DoorbellTarget target) { rung_.push_back(target.handle); }};
  std::vector<int> rung_;
};

TEST(EpochTest, IsACacheLineAndNothingElse) {
  EXPECT_EQ(sizeof(Epoch), 64u);
  EXPECT_EQ(alignof(Epoch), 64u);
}

TEST(EpochTest, AdvancesByOne) {
  Epoch epoch;
  const uint64_t before = epoch.LoadRelaxed();
  EXPECT_EQ(epoch.Advance(), before + 1);
  EXPECT_EQ(epoch.LoadAcquire(), before + 1);
}

TEST_F(EpochPublisherTest, AWorkerThatStartsHasTheNewestState) {
  publisher_.PublishSnapshot(MakeSnapshot(1));
  publisher_.PublishMode(RunMode::kDrain);
  Publisher::Subscription worker(&publisher_, 0, {7});
  EXPECT_EQ(worker.state().snapshot->number(), 1);
  EXPECT_EQ(worker.state().mode, RunMode::kDrain);
  EXPECT_FALSE(worker.changed());
  EXPECT_TRUE(rung_.empty()) << "nobody was there to be rung";
}

TEST_F(EpochPublisherTest, ASubscriberIsRungAndSeesTheChange) {
  Publisher::Subscription first(&publisher_, 0, {7});
  Publisher::Subscription second(&publisher_, 2, {9});
  publisher_.PublishSnapshot(MakeSnapshot(1));
  EXPECT_EQ(rung_, (std::vector<int>{7, 9}));
  EXPECT_TRUE(first.changed());
  EXPECT_EQ(first.state().snapshot->number(), 0) << "not before it is adopted";
  EXPECT_EQ(first.Adopt().snapshot->number(), 1);
  EXPECT_FALSE(first.changed());
}

TEST_F(EpochPublisherTest, AChangeOfModeKeepsTheSnapshot) {
  Publisher::Subscription worker(&publisher_, 0, {7});
  publisher_.PublishMode(RunMode::kDrain);
  EXPECT_EQ(worker.Adopt().mode, RunMode::kDrain);
  EXPECT_EQ(worker.state().snapshot->number(), 0);
  publisher_.PublishSnapshot(MakeSnapshot(1));
  EXPECT_EQ(worker.Adopt().mode, RunMode::kDrain) << "a new configuration ends no drain";
  publisher_.PublishMode(RunMode::kStop);
  EXPECT_EQ(worker.Adopt().mode, RunMode::kStop);
}

TEST_F(EpochPublisherTest, AWorkerMaySkipStates) {
  Publisher::Subscription worker(&publisher_, 0, {7});
  for (int i = 1; i <= 5; ++i) publisher_.PublishSnapshot(MakeSnapshot(i));
  EXPECT_EQ(worker.Adopt().snapshot->number(), 5);
  EXPECT_FALSE(worker.changed());
}

TEST_F(EpochPublisherTest, AStateIsFreedWhenAllHaveAdoptedANewerOne) {
  Publisher::Subscription first(&publisher_, 0, {7});
  Publisher::Subscription second(&publisher_, 1, {8});
  publisher_.PublishSnapshot(MakeSnapshot(1));
  EXPECT_EQ(publisher_.Collect(), 1u);
  first.Adopt();
  EXPECT_EQ(publisher_.Collect(), 1u);
  EXPECT_FALSE(publisher_.AllAdopted());
  EXPECT_EQ(second.state().snapshot->number(), 0);
  EXPECT_EQ(Snapshot::freed(), 0);
  second.Adopt();
  EXPECT_TRUE(publisher_.AllAdopted());
  EXPECT_EQ(publisher_.Collect(), 0u);
  EXPECT_EQ(Snapshot::freed(), 1);
}

TEST_F(EpochPublisherTest, StatesInBetweenAreKeptForTheSlowestWorker) {
  Publisher::Subscription slow(&publisher_, 0, {7});
  for (int i = 1; i <= 3; ++i) publisher_.PublishSnapshot(MakeSnapshot(i));
  EXPECT_EQ(publisher_.Collect(), 3u);
  EXPECT_EQ(slow.state().snapshot->number(), 0);
  slow.Adopt();
  EXPECT_EQ(publisher_.Collect(), 0u);
  EXPECT_EQ(Snapshot::freed(), 3);
}

TEST_F(EpochPublisherTest, AWorkerThatLeftDoesNotCount) {
  {
    Publisher::Subscription worker(&publisher_, 0, {7});
    publisher_.PublishSnapshot(MakeSnapshot(1));
    EXPECT_EQ(publisher_.Collect(), 1u);
  }
  EXPECT_EQ(publisher_.Collect(), 0u);
  EXPECT_EQ(Snapshot::freed(), 1);
  rung_.clear();
  publisher_.PublishMode(RunMode::kStop);
  EXPECT_TRUE(rung_.empty());
}

TEST_F(EpochPublisherTest, WithoutWorkersOnlyTheNewestIsKept) {
  for (int i = 1; i <= 3; ++i) publisher_.PublishSnapshot(MakeSnapshot(i));
  EXPECT_EQ(Snapshot::freed(), 3);
  EXPECT_EQ(publisher_.current().snapshot->number(), 3);
}

TEST_F(EpochPublisherTest, APlaceCanBeUsedAgain) {
  { Publisher::Subscription worker(&publisher_, 0, {7}); }
  Publisher::Subscription worker(&publisher_, 0, {8});
  publisher_.PublishSnapshot(MakeSnapshot(1));
  EXPECT_EQ(rung_, (std::vector<int>{8}));
}

using EpochPublisherDeathTest = EpochPublisherTest;

TEST_F(EpochPublisherDeathTest, MisuseIsABug) {
  Publisher::Subscription worker(&publisher_, 0, {7});
  EXPECT_DEATH(Publisher::Subscription(&publisher_, 0, {8}), "subscribed twice");
  EXPECT_DEATH(Publisher::Subscription(&publisher_, 3, {8}), "worker");
  publisher_.PublishMode(RunMode::kStop);
  EXPECT_DEATH(publisher_.PublishMode(RunMode::kServe), "mode went back");
}

// --- With threads
// -------------------------------------------------------------------------------------------

// Workers as the server has them, with eventfds for rings.
class Fleet {
 public:
  explicit Fleet(size_t workers)
      : publisher_(workers, MakeSnapshot(0),
                   [](DoorbellTarget target) { EXPECT_EQ(eventfd_write(target.handle, 1), 0); }),
        members_(workers) {
    for (Member& member : members_) member.doorbell = eventfd(0, EFD_CLOEXEC);
  }
  ~Fleet() {
    for (Member& member : members_) {
      if (member.thread.joinable()) member.thread.join();
      close(member.doorbell);
    }
  }

  enum class Kind {
    kIdle,          // waits for its doorbell, and for nothing else
    kBusy,          // never waits
    kComesAndGoes,  // leaves and subscribes again, at random, until told to stop
  };
  void Start(size_t worker, Kind kind) {
    members_[worker].thread = std::thread([this, worker, kind] { Run(worker, kind); });
  }
  void Join(size_t worker) { members_[worker].thread.join(); }
  Publisher& publisher() { return publisher_; }
  // How often workers have moved on to another state.
  uint64_t adoptions() const { return adoptions_.load(); }
  void AwaitFirstSubscriptions() const {
    for (const Member& member : members_) {
      while (!member.has_subscribed.load()) std::this_thread::yield();
    }
  }

 private:
  struct Member {
    int doorbell = -1;
    std::thread thread;
    std::atomic<bool> has_subscribed{false};
  };

  void Run(size_t worker, Kind kind) {
    std::mt19937 random(static_cast<unsigned>(worker));
    bool stop = false;
    do {
      Publisher::Subscription subscription(&publisher_, worker, {members_[worker].doorbell});
      members_[worker].has_subscribed.store(true);
      int last = subscription.state().snapshot->number();
      const unsigned batches = kind == Kind::kComesAndGoes ? random() % 50 : UINT32_MAX;
      for (unsigned batch = 0; batch < batches; ++batch) {
        if (subscription.changed()) {
          subscription.Adopt();
          adoptions_.fetch_add(1, std::memory_order_relaxed);
        }
        // The batch: it uses the snapshot all the time.
        const int number = subscription.state().snapshot->number();
        ASSERT_GE(number, last) << "went back to an older snapshot";
        last = number;
        stop = subscription.state().mode == RunMode::kStop;
        if (stop) break;
        if (kind == Kind::kIdle) {
          eventfd_t rings = 0;
          ASSERT_EQ(eventfd_read(members_[worker].doorbell, &rings), 0);
        } else {
          std::this_thread::yield();  // there may be fewer cores than workers
        }
      }
    } while (!stop);
  }

  Publisher publisher_;
  std::vector<Member> members_;
  std::atomic<uint64_t> adoptions_{0};
};

// Idle workers sleep until they are rung: a lost ring, or an epoch not seen after one, and this
// hangs.
TEST(EpochThreadsTest, EverySnapshotReachesIdleBusyAndComingWorkersAndIsFreedOnce) {
  constexpr int kPublications = 2'000;
  Snapshot::ResetCounts();
  {
    Fleet fleet(6);
    for (size_t i = 0; i < 6; ++i) fleet.Start(i, static_cast<Fleet::Kind>(i % 3));
    fleet.AwaitFirstSubscriptions();
    for (int i = 1; i <= kPublications; ++i) {
      fleet.publisher().PublishSnapshot(MakeSnapshot(i));
      std::this_thread::yield();
      // Now and then wait until all have it, as a reload does.
      if (i % 100 == 0) {
        while (!fleet.publisher().AllAdopted()) std::this_thread::yield();
        // One that is just subscribing again holds everything for a moment.
        while (fleet.publisher().Collect() != 0) std::this_thread::yield();
      }
    }
    fleet.publisher().PublishMode(RunMode::kStop);
    for (size_t i = 0; i < 6; ++i) fleet.Join(i);
    EXPECT_EQ(fleet.publisher().Collect(), 0u);
    EXPECT_EQ(Snapshot::freed(), Snapshot::made() - 1) << "all but the newest";
    EXPECT_GT(fleet.adoptions(), 4u * kPublications / 100)
        << "each who stayed, each time we waited";
  }
  EXPECT_EQ(Snapshot::made(), kPublications + 1);
  EXPECT_EQ(Snapshot::freed(), Snapshot::made());
}

// Nobody else keeps the states, so each is freed as soon as the next is published, unless the
// worker that is just reading it says so first.
TEST(EpochThreadsTest, NoStateIsFreedWhileAWorkerSubscribesToIt) {
  constexpr int kPublications = 20'000;
  Snapshot::ResetCounts();
  std::atomic<bool> done{false};
  {
    Publisher publisher(1, MakeSnapshot(0), [](DoorbellTarget) {});
    std::thread worker([&] {
      int last = 0;
      while (!done.load(std::memory_order_relaxed)) {
        Publisher::Subscription subscription(&publisher, 0, {-1});
        const int number = subscription.state().snapshot->number();
        ASSERT_GE(number, last);
        last = number;
      }
    });
    for (int i = 1; i <= kPublications; ++i) publisher.PublishSnapshot(MakeSnapshot(i));
    done.store(true, std::memory_order_relaxed);
    worker.join();
    EXPECT_EQ(publisher.Collect(), 0u);
  }
  EXPECT_EQ(Snapshot::freed(), kPublications + 1);
}

// Shutdown at any moment of a worker's start reaches it.
TEST(EpochThreadsTest, NoShutdownIsLostWhileWorkersStart) {
  constexpr int kTrials = 300;
  for (int trial = 0; trial < kTrials; ++trial) {
    Fleet fleet(3);
    for (size_t i = 0; i < 3; ++i) {
      fleet.Start(i, i == 2 ? Fleet::Kind::kComesAndGoes : Fleet::Kind::kIdle);
    }
    for (int i = 0; i < trial % 7; ++i) std::this_thread::yield();
    if (trial % 2 == 0) fleet.publisher().PublishMode(RunMode::kDrain);
    fleet.publisher().PublishMode(RunMode::kStop);
    for (size_t i = 0; i < 3; ++i) fleet.Join(i);
  }
}

}  // namespace
}  // namespace edge::uring
