#include "proxy/waf/inspection_thread.h"

#include <immintrin.h>

#include <cstdint>

#include "absl/log/check.h"

namespace edge::proxy::waf {

InspectionThread::InspectionThread(InspectionNode* node, int number, uring::Io* io,
                                   const uring::Clock* clock, Inspector* inspector,
                                   InspectionCounters* counters)
    : node_(node),
      number_(number),
      io_(io),
      clock_(clock),
      inspector_(inspector),
      counters_(counters) {
  node_->Attach(number, io->doorbell());
}

int InspectionThread::Run() {
  for (;;) {
    bool did = false;
    if (const int error = RunOne(&did); error != 0) return error;
    if (did) continue;
    if (node_->finished()) return 0;
    bool found = false;
    for (const int64_t until_ns = clock_->NowNs() + kSpinNs;
         !found && clock_->NowNs() < until_ns;) {
      for (int i = 0; i < kPauses && !found; ++i) {
        _mm_pause();
        found = !node_->Empty();
      }
    }
    if (found) continue;
    if (const int error = Sleep(); error != 0) return error;
  }
}

int InspectionThread::RunOne(bool* did) {
  InspectionJob* const next = node_->Next();
  *did = next != nullptr;
  if (next == nullptr) return 0;
  InspectionJob& job = *next;
  // Whoever pushed the others may have found this thread asleep, and nobody else.
  if (!node_->Empty()) node_->WakeOne(*io_);
  job.taken_ns = clock_->NowNs();
  job.done_ns = job.taken_ns;
  if (job.cancelled.load(std::memory_order_relaxed)) {
    job.verdict = Verdict::kShed;
  } else if (job.taken_ns > job.deadline_ns) {
    job.verdict = Verdict::kTimeout;
  } else {
    job.verdict = inspector_->Inspect(job);
    job.done_ns = clock_->NowNs();
    counters_->service.Note(job.done_ns - job.taken_ns);
  }
  counters_->jobs.Add();
  counters_->waited.Note(job.taken_ns - job.queued_ns);
  const uring::DoorbellTarget doorbell = job.home_doorbell;
  // From here on the job is its worker's.
  if (!job.home->Push(&job)) return 0;
  io_->RingDoorbell(doorbell);
  const int error = io_->Turn(0);
  // Bells that could not be rung leave a completion.
  io_->Dispatch(SIZE_MAX);
  return error;
}

int InspectionThread::Sleep() {
  node_->BeginSleep(number_);
  int error = 0;
  if (node_->Empty() && !node_->finished()) {
    counters_->sleeps.Add();
    error = io_->Turn(-1);
  }
  node_->EndSleep(number_);
  io_->Dispatch(SIZE_MAX);
  return error;
}

}  // namespace edge::proxy::waf
