// The thread around a worker: pins itself, sets its memory policy, makes the ring, runs the loop,
// and follows the epoch.
//
// Made, joined and destroyed by the control thread. What it owns stays until after the join: other
// threads may ring its doorbell up to then.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "proxy/slow_turn.h"
#include "proxy/worker.h"
#include "uring/clock.h"
#include "uring/epoch.h"
#include "uring/mailbox.h"
#include "uring/uring_io.h"

namespace edge::proxy {

// What the control thread publishes to workers.
struct Snapshot {
  std::shared_ptr<const tls::ServerContext> tls;
  std::shared_ptr<const edge::waf::RuleSet> rules;  // nullptr: nothing is inspected
};
using Publisher = uring::EpochPublisher<Snapshot>;

// Messages to the control thread.
struct ControlMailbox {
  uring::Mailbox mailbox;
  uring::DoorbellTarget doorbell;
};

struct WorkerThreadOptions {
  size_t index = 0;
  int cpu = 0;
  int node = 0;
  bool pin = true;
  uring::UringOptions uring;
  WorkerOptions worker;
  bool log = false;
};

class WorkerThread final : private LogSink {
 public:
  enum class Phase : uint8_t { kStarting, kRunning, kFailed, kEnded };

  WorkerThread(WorkerThreadOptions options, Publisher* publisher, ControlMailbox* control);
  ~WorkerThread() override;

  void Start();
  void Join();
  // Any thread.
  Phase phase() const { return phase_.load(std::memory_order_acquire); }
  size_t index() const { return options_.index; }
  // Once kFailed.
  const absl::Status& error() const { return error_; }
  // Once kRunning: what was set up, for the start log.
  const std::string& placement() const { return placement_; }
  WorkerStats& stats() { return stats_; }
  int cpu() const { return options_.cpu; }
  double CpuSeconds();
  uint32_t submission_entries() const { return submission_entries_; }

 private:
  void Run();
  absl::Status SetUp();
  void Loop();
  void Notify(Phase phase);
  void TellSlowTurn();
  void Submit(LogBatch* batch) override;

  WorkerThreadOptions options_;
  Publisher* const publisher_;
  ControlMailbox* const control_;
  WorkerStats stats_;
  uring::SystemClock clock_;
  std::unique_ptr<uring::UringIo> io_;
  std::unique_ptr<Worker> worker_;
  ControlMessage started_{ControlMessage::Kind::kNotice};
  ControlMessage ended_{ControlMessage::Kind::kNotice};
  SlowTurn slow_turn_;
  int64_t slow_turn_told_ns_ = INT64_MIN;
  absl::Status error_;
  std::string placement_;
  uint32_t submission_entries_ = 0;
  std::atomic<Phase> phase_{Phase::kStarting};
  std::thread thread_;
};

}  // namespace edge::proxy
