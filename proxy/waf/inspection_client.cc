#include "proxy/waf/inspection_client.h"

#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace edge::proxy::waf {

InspectionClient::InspectionClient(uring::Io* io, const uring::Clock* clock,
                                   InspectionClientOptions options)
    : io_(io), clock_(clock), options_(std::move(options)) {
  CHECK((options_.node == nullptr) != (options_.inline_inspector == nullptr));
  free_.reserve(kFreeJobsMax);
}

InspectionClient::~InspectionClient() {
  CHECK_EQ(jobs_out_, 0u) << "freed with jobs out";
  CHECK_EQ(jobs_, 0u) << "freed with jobs of exchanges";
}

void JobDeleter::operator()(InspectionJob* job) const { client->Drop(job); }

JobHandle InspectionClient::NewJob() {
  std::unique_ptr<InspectionJob> job;
  if (free_.empty()) {
    job = std::make_unique<InspectionJob>();
  } else {
    job = std::move(free_.back());
    free_.pop_back();
  }
  ++jobs_;
  JobHandle handle(job.release(), {this});
  return Account(*handle) ? std::move(handle) : JobHandle(nullptr, {this});
}

bool InspectionClient::Account(InspectionJob& job) {
  const size_t bytes = sizeof(InspectionJob) + job.request.bytes_held();
  memory_bytes_ += bytes - job.bytes_counted;
  job.bytes_counted = bytes;
  return memory_bytes_ <= options_.memory_bytes_max;
}

bool InspectionClient::MayGrow(InspectionJob& job, size_t bytes) {
  const size_t more = job.request.BodyGrowth(bytes);
  if (more == 0) return true;
  if (static_cast<double>(memory_bytes_ + more) >
      kBodyShare * static_cast<double>(options_.memory_bytes_max)) {
    return false;
  }
  job.request.ReserveBody(bytes);
  return Account(job);
}

void InspectionClient::Drop(InspectionJob* job) {
  if (!job->out) return Free(job);
  job->waiter = nullptr;
  job->cancelled.store(true, std::memory_order_relaxed);
}

void InspectionClient::Free(InspectionJob* job) {
  CHECK_GT(jobs_, 0u);
  --jobs_;
  memory_bytes_ -= std::exchange(job->bytes_counted, 0);
  std::unique_ptr<InspectionJob> owned(job);
  if (free_.size() >= kFreeJobsMax) return;
  job->request.Clear();
  job->rules.reset();
  job->redirect.clear();
  job->report.clear();
  job->waiter = nullptr;
  job->cancelled.store(false, std::memory_order_relaxed);
  free_.push_back(std::move(owned));
}

bool InspectionClient::Submit(InspectionJob& job, Lane lane, VerdictWaiter* waiter) {
  job.lane = lane;
  job.waiter = waiter;
  job.queued_ns = clock_->NowNs();
  job.deadline_ns = job.queued_ns + options_.deadline_ns;
  if (options_.node == nullptr) {
    job.taken_ns = job.queued_ns;
    job.verdict = options_.inline_inspector->Inspect(job);
    job.done_ns = clock_->NowNs();
    NoteInline(job);
    return false;
  }
  if (!options_.node->TakeCredit(lane)) return Shed(job);
  job.home = &mailbox_;
  job.home_doorbell = io_->doorbell();
  job.out = true;
  ++jobs_out_;
  if (options_.node->Submit(job, *io_)) return true;
  TakeBack(job);
  return Shed(job);
}

void InspectionClient::NoteInline(const InspectionJob& job) {
  const int64_t ns = job.done_ns - job.taken_ns;
  if (ns <= longest_.ns) return;
  longest_.ns = ns;
  if (ns < kLongNs) return;
  constexpr size_t kTargetBytesMax = 200;
  longest_.request =
      absl::StrCat(job.request.method(), " ", job.request.target().substr(0, kTargetBytesMax),
                   " (request ", job.request.id(), ")");
}

bool InspectionClient::Shed(InspectionJob& job) {
  job.verdict = Verdict::kShed;
  job.taken_ns = job.done_ns = job.queued_ns;
  return false;
}

void InspectionClient::TakeBack(InspectionJob& job) {
  job.out = false;
  --jobs_out_;
  options_.node->ReturnCredit(job.lane, *io_);
}

}  // namespace edge::proxy::waf
