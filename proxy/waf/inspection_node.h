// What the workers and the inspection threads of one NUMA node share: credits, queues, and who of
// the threads sleeps. No lock.
//
//   worker:  TakeCredit --> Submit --> (a thread sleeps? ring it) ...  verdict --> ReturnCredit
//   thread:  Next --> inspect --> verdict into the worker's mailbox --> Next ... nothing: sleep
//
// A credit is a place in the queue and a job's memory; whoever has none is told at once. It comes
// back only when the worker has taken the verdict, so that neither queue nor mailboxes can grow
// beyond the credits. The queue is longer than there are credits; see BoundedQueue for when it is
// full all the same.
//
// Closing: no credit is given any more; those that are out come back with their verdicts; then the
// threads end. It may begin while workers still submit.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/waf/inspection_job.h"
#include "uring/bounded_queue.h"
#include "uring/idle_set.h"
#include "uring/io.h"

namespace edge::proxy::waf {

struct InspectionNodeOptions {
  std::array<uint32_t, kLaneCount> jobs_max = {1024, 128};  // credits, by lane
  int threads = 1;                                          // at most IdleSet::kMembersMax
};

class InspectionNode {
 public:
  explicit InspectionNode(const InspectionNodeOptions& options);
  ~InspectionNode();
  InspectionNode(const InspectionNode&) = delete;
  InspectionNode& operator=(const InspectionNode&) = delete;

  // --- Workers
  // False: none is left, or the node closes. Never waits.
  [[nodiscard]] bool TakeCredit(Lane lane);
  // Needs a credit of the job's lane. `io`: the caller's, to ring a thread that sleeps with. False:
  // a thread has been stopped in the middle of taking a job for so long that the others have gone
  // round the whole queue; the job and its credit are still the caller's.
  [[nodiscard]] bool Submit(InspectionJob& job, uring::Io& io);
  // Once the worker is done with a job whose verdict has come.
  void ReturnCredit(Lane lane, uring::Io& io);

  // --- Inspection threads, each by its number
  // Where `thread` is to be rung from now on.
  void Attach(int thread, uring::DoorbellTarget doorbell);
  // The next job, block before detect; nullptr: nothing to do.
  InspectionJob* Next();
  // Wakes a thread that sleeps, if there is one.
  void WakeOne(uring::Io& io);
  bool Empty() const { return queues_[0].Empty() && queues_[1].Empty(); }
  // All credits are back after Close: no job will ever come.
  bool finished() const;
  // Around a sleep; see IdleSet.
  void BeginSleep(int thread) { idle_.Enter(thread); }
  void EndSleep(int thread) { idle_.Leave(thread); }

  // --- Control thread
  void Close(uring::Io& io);

  // --- For metrics; any thread
  uint64_t wakeups() const { return wakeups_.load(std::memory_order_relaxed); }
  size_t queued(Lane lane) const { return queues_[static_cast<size_t>(lane)].SizeEstimate(); }
  int64_t credits(Lane lane) const;
  int threads() const { return static_cast<int>(doorbells_.size()); }

 private:
  // Of the queue, for each credit.
  static constexpr uint32_t kPlaces = 4;
  // Taken off all credits at once: nobody has so many jobs.
  static constexpr int64_t kClosed = int64_t{1} << 40;

  struct alignas(64) Credits {
    std::atomic<int64_t> left{0};
    int64_t all = 0;
  };

  void WakeAll(uring::Io& io);

  std::array<Credits, kLaneCount> credits_;
  std::array<uring::BoundedQueue<InspectionJob>, kLaneCount> queues_;
  uring::IdleSet idle_;
  std::vector<std::atomic<int>> doorbells_;  // by thread; -1: not attached
  std::atomic<uint64_t> wakeups_{0};
};

}  // namespace edge::proxy::waf
