// Workers' clients, a node and its threads, on real rings: no job and no verdict is lost, whoever
// ends first, and each kind of job keeps to its limits.

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "proxy/waf/inspection_client.h"
#include "proxy/waf/inspection_pool.h"
#include "uring/uring_io.h"

namespace edge::proxy::waf {
namespace {

// Says what the status of the job asks for, and counts. While held, it holds the thread up.
class FakeInspector final : public Inspector {
 public:
  struct Shared {
    std::atomic<uint64_t> inspected{0};
    std::atomic<bool> held{false};
    std::atomic<bool> holding{false};
  };
  explicit FakeInspector(Shared* shared) : shared_(shared) {}

  Verdict Inspect(InspectionJob& job) override {
    shared_->holding = shared_->held.load();
    shared_->held.wait(true);
    shared_->inspected.fetch_add(1);
    return job.status == 0 ? Verdict::kAllow : Verdict::kBlock;
  }

 private:
  Shared* const shared_;
};

uring::UringOptions SmallRing() {
  uring::UringOptions options;
  options.submission_entries = 64;
  options.completion_entries = 256;
  options.head = options.origin = options.body = {8, 4096};
  return options;
}

InspectionPoolOptions PoolOptions(FakeInspector::Shared* shared, int threads, uint32_t block,
                                  uint32_t detect) {
  InspectionPoolOptions options;
  options.nodes = {{.id = 0, .cpus = {}}};
  options.node = {.jobs_max = {block, detect}, .threads = threads};
  options.make_inspector = [shared] { return std::make_unique<FakeInspector>(shared); };
  return options;
}

// A worker as far as inspection goes: a ring and a client.
class TestWorker final : public VerdictWaiter {
 public:
  TestWorker(InspectionNode* node, int64_t deadline_ns = 3600'000'000'000,
             size_t memory_bytes_max = 64 << 20)
      : io_(uring::UringIo::Create(SmallRing()).value()),
        client_(io_.get(), &clock_,
                {.node = node, .deadline_ns = deadline_ns, .memory_bytes_max = memory_bytes_max}) {}

  InspectionClient& client() { return client_; }
  uring::UringIo& io() { return *io_; }

  // Waits for what comes, until nothing is out.
  void Finish() {
    while (client_.jobs_out() > 0) Turn();
  }
  void Turn() {
    Drain();
    if (client_.jobs_out() == 0) return;
    EXPECT_EQ(io_->Turn(-1), 0);
    io_->Dispatch(SIZE_MAX);
    Drain();
  }
  bool Submit(JobHandle job, Lane lane = Lane::kBlock) {
    InspectionJob& submitted = *job;
    handles.push_back(std::move(job));
    if (client_.Submit(submitted, lane, this)) return true;
    ++verdicts[static_cast<size_t>(submitted.verdict)];
    std::erase_if(handles, [&](const JobHandle& handle) { return handle.get() == &submitted; });
    return false;
  }

  uint64_t heard = 0;
  std::array<uint64_t, kVerdictCount> verdicts{};
  std::vector<JobHandle> handles;

 private:
  void Drain() {
    client_.Drain(
        [this](const InspectionJob& job) { ++verdicts[static_cast<size_t>(job.verdict)]; });
  }
  void OnVerdict(InspectionJob& job) override {
    ++heard;
    std::erase_if(handles, [&](const JobHandle& handle) { return handle.get() == &job; });
  }

  uring::SystemClock clock_;
  std::unique_ptr<uring::UringIo> io_;
  InspectionClient client_;
};

uint64_t Count(const TestWorker& worker, Verdict verdict) {
  return worker.verdicts[static_cast<size_t>(verdict)];
}

TEST(InspectionTest, EveryJobOfManyWorkersComesBackWithItsVerdict) {
  constexpr int kJobs = 20'000;
  FakeInspector::Shared shared;
  InspectionPool pool(PoolOptions(&shared, 2, 64, 8));
  ASSERT_TRUE(pool.Start().ok());
  std::array<std::atomic<uint64_t>, kVerdictCount> all{};
  std::atomic<uint64_t> heard{0};
  std::vector<std::thread> workers;
  for (int w = 0; w < 3; ++w) {
    workers.emplace_back([&] {
      TestWorker worker(pool.NodeOf(0));
      for (int i = 0; i < kJobs; ++i) {
        JobHandle job = worker.client().NewJob();
        job->status = i % 3 == 0 ? 403 : 0;
        worker.Submit(std::move(job));
        // Some of the clients leave.
        if (i % 7 == 0 && !worker.handles.empty()) worker.handles.pop_back();
        if (i % 5 == 0) worker.Turn();
      }
      worker.Finish();
      for (size_t v = 0; v < all.size(); ++v) all[v] += worker.verdicts[v];
      heard += worker.heard;
    });
  }
  for (std::thread& worker : workers) worker.join();
  uint64_t sum = 0;
  for (const auto& n : all) sum += n;
  EXPECT_EQ(sum, 3u * kJobs);
  EXPECT_EQ(all[0] + all[1], shared.inspected);
  EXPECT_LE(heard, sum);
  EXPECT_EQ(pool.node(0).credits(Lane::kBlock), 64);
  EXPECT_EQ(pool.node(0).queued(Lane::kBlock), 0u);
  InspectionTotals totals;
  pool.AddCounters(0, totals);
  // Those that were cancelled are dealt with, and not inspected.
  EXPECT_GE(totals.jobs, shared.inspected);
  EXPECT_LE(totals.jobs, sum);
  TestWorker control(pool.NodeOf(0));
  pool.Stop(control.io());
}

TEST(InspectionTest, WhoeverFindsNoCreditIsToldAtOnceAndCopiesTakeNoneOfTheOthers) {
  FakeInspector::Shared shared;
  shared.held = true;
  InspectionPool pool(PoolOptions(&shared, 1, 2, 1));
  ASSERT_TRUE(pool.Start().ok());
  TestWorker worker(pool.NodeOf(0));
  EXPECT_TRUE(worker.Submit(worker.client().NewJob(), Lane::kDetect));
  EXPECT_FALSE(worker.Submit(worker.client().NewJob(), Lane::kDetect));
  EXPECT_EQ(Count(worker, Verdict::kShed), 1u);
  EXPECT_TRUE(worker.Submit(worker.client().NewJob()));
  EXPECT_TRUE(worker.Submit(worker.client().NewJob()));
  EXPECT_FALSE(worker.Submit(worker.client().NewJob()));
  EXPECT_EQ(Count(worker, Verdict::kShed), 2u);
  EXPECT_EQ(pool.node(0).credits(Lane::kBlock), 0);
  EXPECT_EQ(worker.io().Turn(0), 0);
  shared.held = false;
  shared.held.notify_all();
  worker.Finish();
  EXPECT_EQ(Count(worker, Verdict::kAllow), 3u);
  EXPECT_EQ(pool.node(0).credits(Lane::kBlock), 2);
  EXPECT_TRUE(worker.Submit(worker.client().NewJob()));
  worker.Finish();
  pool.Stop(worker.io());
}

TEST(InspectionTest, AJobThatNobodyWaitsForIsNotInspectedAndItsMemoryComesBack) {
  FakeInspector::Shared shared;
  shared.held = true;
  InspectionPool pool(PoolOptions(&shared, 1, 8, 1));
  ASSERT_TRUE(pool.Start().ok());
  TestWorker worker(pool.NodeOf(0));
  ASSERT_TRUE(worker.Submit(worker.client().NewJob()));
  EXPECT_EQ(worker.io().Turn(0), 0);
  while (!shared.holding) std::this_thread::yield();  // the thread is in the first one
  ASSERT_TRUE(worker.Submit(worker.client().NewJob()));
  ASSERT_TRUE(worker.Submit(worker.client().NewJob()));
  worker.handles.pop_back();
  shared.held = false;
  shared.held.notify_all();
  worker.Finish();
  EXPECT_EQ(shared.inspected, 2u);
  EXPECT_EQ(worker.heard, 2u);
  EXPECT_EQ(Count(worker, Verdict::kShed), 1u);
  EXPECT_EQ(worker.client().memory_bytes(), 0u);
  pool.Stop(worker.io());
}

TEST(InspectionTest, AJobThatWaitedForTooLongIsNotRun) {
  FakeInspector::Shared shared;
  InspectionPool pool(PoolOptions(&shared, 1, 8, 1));
  ASSERT_TRUE(pool.Start().ok());
  TestWorker worker(pool.NodeOf(0), /*deadline_ns=*/-1);
  ASSERT_TRUE(worker.Submit(worker.client().NewJob()));
  worker.Finish();
  EXPECT_EQ(Count(worker, Verdict::kTimeout), 1u);
  EXPECT_EQ(shared.inspected, 0u);
  pool.Stop(worker.io());
}

TEST(InspectionTest, MemoryOfJobsHasABudget) {
  FakeInspector::Shared shared;
  InspectionPool pool(PoolOptions(&shared, 1, 8, 1));
  ASSERT_TRUE(pool.Start().ok());
  TestWorker worker(pool.NodeOf(0), 3600'000'000'000, /*memory_bytes_max=*/40'000);
  JobHandle first = worker.client().NewJob();
  ASSERT_NE(first, nullptr);
  first->request.AppendBody(std::string(20'000, 'x'));
  EXPECT_TRUE(worker.client().Account(*first));
  JobHandle second = worker.client().NewJob();
  ASSERT_NE(second, nullptr);
  second->request.AppendBody(std::string(20'000, 'x'));
  EXPECT_FALSE(worker.client().Account(*second));
  EXPECT_EQ(worker.client().NewJob(), nullptr);
  second.reset();
  EXPECT_NE(worker.client().NewJob(), nullptr);
  first.reset();
  EXPECT_EQ(worker.client().memory_bytes(), 0u);
  pool.Stop(worker.io());
}

TEST(InspectionTest, AClosedNodeTakesNoMoreAndEndsWhenTheLastVerdictIsBack) {
  FakeInspector::Shared shared;
  shared.held = true;
  InspectionPool pool(PoolOptions(&shared, 2, 8, 1));
  ASSERT_TRUE(pool.Start().ok());
  TestWorker worker(pool.NodeOf(0));
  ASSERT_TRUE(worker.Submit(worker.client().NewJob()));
  ASSERT_TRUE(worker.Submit(worker.client().NewJob()));
  EXPECT_EQ(worker.io().Turn(0), 0);
  std::thread control([&] {
    const auto io = uring::UringIo::Create(SmallRing());
    ASSERT_TRUE(io.ok());
    pool.Stop(**io);
  });
  while (pool.node(0).credits(Lane::kBlock) > 0) std::this_thread::yield();  // closed
  EXPECT_FALSE(worker.Submit(worker.client().NewJob()));
  EXPECT_FALSE(pool.node(0).finished());
  shared.held = false;
  shared.held.notify_all();
  worker.Finish();
  EXPECT_EQ(worker.io().Turn(0), 0);  // the threads are rung for the last time
  control.join();
  EXPECT_TRUE(pool.node(0).finished());
  EXPECT_EQ(Count(worker, Verdict::kAllow), 2u);
}

}  // namespace
}  // namespace edge::proxy::waf
