#include "proxy/worker_thread.h"

#include <pthread.h>
#include <time.h>

#include <cstring>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "uring/placement.h"

namespace edge::proxy {

WorkerThread::WorkerThread(WorkerThreadOptions options, Publisher* publisher,
                           ControlMailbox* control)
    : options_(std::move(options)), publisher_(publisher), control_(control) {}

WorkerThread::~WorkerThread() { CHECK(!thread_.joinable()) << "worker thread not joined"; }

void WorkerThread::Start() {
  thread_ = std::thread([this] { Run(); });
}

void WorkerThread::Join() {
  if (thread_.joinable()) thread_.join();
}

double WorkerThread::CpuSeconds() {
  clockid_t clock;
  timespec time{};
  if (phase() != Phase::kRunning || pthread_getcpuclockid(thread_.native_handle(), &clock) != 0 ||
      clock_gettime(clock, &time) != 0) {
    return 0;
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void WorkerThread::Run() {
  uring::NameThisThread(absl::StrCat("edge/", options_.index));
  if (absl::Status status = SetUp(); !status.ok()) {
    error_ = std::move(status);
    return Notify(Phase::kFailed);
  }
  Notify(Phase::kRunning);
  Loop();
  // The worker itself stays: the control thread may still have batches of its log.
  Notify(Phase::kEnded);
}

absl::Status WorkerThread::SetUp() {
  if (options_.pin) {
    if (absl::Status status = uring::PinThisThread(options_.cpu); !status.ok()) return status;
  }
  absl::StatusOr<std::string> policy = uring::SetLocalMemoryPolicy(options_.node);
  if (!policy.ok()) return policy.status();
  placement_ = *std::move(policy);
  absl::StatusOr<std::unique_ptr<uring::UringIo>> io = uring::UringIo::Create(options_.uring);
  if (!io.ok()) return io.status();
  io_ = *std::move(io);
  submission_entries_ = io_->submission_entries();
  options_.worker.stats = &stats_;
  options_.worker.log_sink = options_.log ? this : nullptr;
  worker_ = std::make_unique<Worker>(io_.get(), &clock_, std::move(options_.worker));
  return absl::OkStatus();
}

void WorkerThread::Loop() {
  Publisher::Subscription subscription(publisher_, options_.index, io_->doorbell());
  Worker& worker = *worker_;
  worker.SetTls(subscription.state().snapshot->tls);
  worker.SetRules(subscription.state().snapshot->rules);
  worker.Start();
  bool adopt = true;  // what was published before the subscription
  while (true) {
    if (adopt) {
      const Publisher::State& state = subscription.state();
      worker.SetTls(state.snapshot->tls);
      worker.SetRules(state.snapshot->rules);
      if (state.mode >= uring::RunMode::kDrain) worker.BeginDrain();
      if (state.mode >= uring::RunMode::kStop) worker.CloseAll();
      if (state.mode >= uring::RunMode::kDrain && worker.finished()) break;
    }
    if (const int error = worker.RunTurn(); error != 0) {
      // Nothing can be closed in order any more; say so and end the process, rather than spin.
      LOG(FATAL) << "io_uring_enter: " << std::strerror(-error);
    }
    if (worker.loop().counters().last_busy_ns >= kSlowTurnNs) TellSlowTurn();
    adopt = subscription.changed();
    if (adopt) subscription.Adopt();
    if (worker.draining() && worker.finished()) break;
  }
  worker.CloseAll();
}

// At most once a second.
void WorkerThread::TellSlowTurn() {
  constexpr int64_t kPauseNs = 1'000'000'000;
  const int64_t now_ns = worker_->loop().now_ns();
  if (slow_turn_.sent.load(std::memory_order_acquire) || now_ns - kPauseNs < slow_turn_told_ns_) {
    return;
  }
  slow_turn_told_ns_ = now_ns;
  const uring::LoopCounters& counters = worker_->loop().counters();
  slow_turn_.worker = options_.index;
  slow_turn_.busy_ns = counters.last_busy_ns;
  slow_turn_.phase = counters.last_longest;
  slow_turn_.inspected_ns = 0;
  if (const waf::InspectionClient* inspection = worker_->inspection(); inspection != nullptr) {
    slow_turn_.inspected_ns = inspection->longest().ns;
    slow_turn_.request = inspection->longest().request;
  }
  slow_turn_.sent.store(true, std::memory_order_relaxed);
  if (control_->mailbox.Push(&slow_turn_)) io_->RingDoorbell(control_->doorbell);
}

// Tells the control thread, from whichever state this thread is in.
void WorkerThread::Notify(Phase phase) {
  phase_.store(phase, std::memory_order_release);
  ControlMessage& notice = phase == Phase::kEnded ? ended_ : started_;
  control_->mailbox.Push(&notice);
  if (io_ == nullptr) return;  // the control thread looks again by itself while workers start
  io_->RingDoorbell(control_->doorbell);
  io_->Turn(0);
}

void WorkerThread::Submit(LogBatch* batch) {
  if (control_->mailbox.Push(batch)) io_->RingDoorbell(control_->doorbell);
}

}  // namespace edge::proxy
