// A worker's side of inspection: makes jobs, takes credits, submits, and hands verdicts to those
// who wait for them. With no node it runs the inspector itself, on the loop
// (--waf_placement=inline), so that both can be measured.
//
//   exchange --NewJob--> fill it --Submit--> node ... mailbox --Drain--> OnVerdict
//
// Who has a job's handle may let go of it at any time: a job that is out is cancelled, and freed
// when its verdict comes.
//
// Everything that waits has a limit: jobs in the node by its credits, memory by a budget of bytes
// for each worker. Whoever gets neither is told at once (shed), and the policy decides.
//
// Worker thread only. Destroyed when no job is out.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/waf/inspection_job.h"
#include "proxy/waf/inspection_node.h"
#include "uring/clock.h"
#include "uring/io.h"
#include "uring/mailbox.h"

namespace edge::proxy::waf {

struct InspectionClientOptions {
  InspectionNode* node = nullptr;               // not owned, outlives this; nullptr: inline
  std::unique_ptr<Inspector> inline_inspector;  // if there is no node
  int64_t deadline_ns = 50'000'000;             // from queueing to being taken
  size_t memory_bytes_max = size_t{64} << 20;   // of jobs
};

class InspectionClient;

struct JobDeleter {
  InspectionClient* client = nullptr;
  void operator()(InspectionJob* job) const;
};
using JobHandle = std::unique_ptr<InspectionJob, JobDeleter>;

class InspectionClient {
 public:
  // io, clock: not owned, outlive this.
  InspectionClient(uring::Io* io, const uring::Clock* clock, InspectionClientOptions options);
  ~InspectionClient();
  InspectionClient(const InspectionClient&) = delete;
  InspectionClient& operator=(const InspectionClient&) = delete;

  // Empty; nullptr: the memory for jobs is used up.
  JobHandle NewJob();
  // After its request has got a head. False: the memory is used up.
  [[nodiscard]] bool Account(InspectionJob& job);
  // Before `bytes` more of a body are added, for which it makes room. False: the part of the memory
  // that bodies may have is used up; heads still fit.
  [[nodiscard]] bool MayGrow(InspectionJob& job, size_t bytes);

  // True: it is out, and `waiter` hears of the verdict if it keeps the handle until then. False:
  // the verdict is there already.
  [[nodiscard]] bool Submit(InspectionJob& job, Lane lane, VerdictWaiter* waiter);

  // Hands out at most kVerdictsMax of the verdicts that have come. `on_verdict(job)` sees each
  // before its waiter does. True: there are more.
  template <typename OnVerdict>
  bool Drain(OnVerdict on_verdict) {
    for (size_t i = 0; i < kVerdictsMax; ++i) {
      if (arrived_ == nullptr) arrived_ = mailbox_.TakeAll();
      if (arrived_ == nullptr) return false;
      auto& job = *static_cast<InspectionJob*>(arrived_);
      arrived_ = arrived_->next;
      TakeBack(job);
      on_verdict(job);
      if (job.waiter != nullptr) {
        job.waiter->OnVerdict(job);
      } else {
        Free(&job);
      }
    }
    return arrived_ != nullptr;
  }

  // What inspection on the loop took longest, since ForgetLongest; for telling who blocked it.
  struct Longest {
    int64_t ns = 0;
    std::string request;  // method, target and id; only of one that took kLongNs
  };
  static constexpr int64_t kLongNs = 1'000'000;
  const Longest& longest() const { return longest_; }
  void ForgetLongest() { longest_.ns = 0; }

  size_t jobs_out() const { return jobs_out_; }
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  // Each may end in a request to an origin, or in a response: some microseconds.
  static constexpr size_t kVerdictsMax = 32;
  // Of the memory, for bodies.
  static constexpr double kBodyShare = 0.75;
  // Jobs that are kept for the next requests.
  static constexpr size_t kFreeJobsMax = 64;

  friend struct JobDeleter;

  bool Shed(InspectionJob& job);
  void NoteInline(const InspectionJob& job);
  void TakeBack(InspectionJob& job);
  void Drop(InspectionJob* job);
  void Free(InspectionJob* job);

  uring::Io* const io_;
  const uring::Clock* const clock_;
  const InspectionClientOptions options_;
  uring::Mailbox mailbox_;
  uring::MailboxNode* arrived_ = nullptr;  // taken out of the mailbox and not yet handed out
  std::vector<std::unique_ptr<InspectionJob>> free_;
  size_t jobs_ = 0;  // not in free_
  size_t jobs_out_ = 0;
  size_t memory_bytes_ = 0;
  Longest longest_;
};

}  // namespace edge::proxy::waf
