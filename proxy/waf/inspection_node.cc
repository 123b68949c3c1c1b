#include "proxy/waf/inspection_node.h"

#include <algorithm>

#include "absl/log/check.h"

namespace edge::proxy::waf {

InspectionNode::InspectionNode(const InspectionNodeOptions& options)
    : queues_{uring::BoundedQueue<InspectionJob>(kPlaces * options.jobs_max[0]),
              uring::BoundedQueue<InspectionJob>(kPlaces * options.jobs_max[1])},
      doorbells_(static_cast<size_t>(options.threads)) {
  CHECK(options.threads >= 1 && options.threads <= uring::IdleSet::kMembersMax);
  for (std::atomic<int>& doorbell : doorbells_) doorbell.store(-1, std::memory_order_relaxed);
  for (size_t lane = 0; lane < kLaneCount; ++lane) {
    credits_[lane].all = options.jobs_max[lane];
    credits_[lane].left.store(options.jobs_max[lane], std::memory_order_relaxed);
  }
}

InspectionNode::~InspectionNode() {
  for (const Credits& credits : credits_) {
    const int64_t left = credits.left.load(std::memory_order_relaxed);
    CHECK(left == credits.all || left == credits.all - kClosed) << "node freed with jobs out";
  }
}

bool InspectionNode::TakeCredit(Lane lane) {
  // Not subtracted first and looked at then: many who fail at once would make others fail for whom
  // there is one.
  std::atomic<int64_t>& left = credits_[static_cast<size_t>(lane)].left;
  int64_t seen = left.load(std::memory_order_relaxed);
  while (seen > 0) {
    if (left.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

bool InspectionNode::Submit(InspectionJob& job, uring::Io& io) {
  if (!queues_[static_cast<size_t>(job.lane)].TryPush(&job)) return false;
  WakeOne(io);
  return true;
}

void InspectionNode::WakeOne(uring::Io& io) {
  const int thread = idle_.TakeOne();
  if (thread == uring::IdleSet::kNone) return;
  wakeups_.fetch_add(1, std::memory_order_relaxed);
  io.RingDoorbell({doorbells_[static_cast<size_t>(thread)].load(std::memory_order_acquire)});
}

void InspectionNode::ReturnCredit(Lane lane, uring::Io& io) {
  Credits& credits = credits_[static_cast<size_t>(lane)];
  const int64_t left = credits.left.fetch_add(1, std::memory_order_seq_cst) + 1;
  // The last one to come back to a closed node ends the threads.
  if (left == credits.all - kClosed && finished()) WakeAll(io);
}

void InspectionNode::Attach(int thread, uring::DoorbellTarget doorbell) {
  doorbells_[static_cast<size_t>(thread)].store(doorbell.handle, std::memory_order_release);
}

InspectionJob* InspectionNode::Next() {
  for (uring::BoundedQueue<InspectionJob>& queue : queues_) {
    if (InspectionJob* job = queue.TryPop(); job != nullptr) return job;
  }
  return nullptr;
}

bool InspectionNode::finished() const {
  return std::all_of(credits_.begin(), credits_.end(), [](const Credits& credits) {
    return credits.left.load(std::memory_order_seq_cst) == credits.all - kClosed;
  });
}

void InspectionNode::Close(uring::Io& io) {
  for (Credits& credits : credits_) credits.left.fetch_sub(kClosed, std::memory_order_seq_cst);
  if (finished()) WakeAll(io);
}

int64_t InspectionNode::credits(Lane lane) const {
  return std::max<int64_t>(credits_[static_cast<size_t>(lane)].left.load(std::memory_order_relaxed),
                           0);
}

void InspectionNode::WakeAll(uring::Io& io) {
  for (const std::atomic<int>& doorbell : doorbells_) {
    const int handle = doorbell.load(std::memory_order_acquire);
    if (handle >= 0) io.RingDoorbell({handle});
  }
}

}  // namespace edge::proxy::waf
