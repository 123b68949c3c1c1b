// The process: sets up workers, then is the control thread, with a ring of its own for signals, the
// admin endpoints, the access log's file and messages of the workers. Never on the way of a
// request.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/access_log.h"
#include "proxy/admin_origin.h"
#include "proxy/config.h"
#include "proxy/metrics.h"
#include "proxy/settings.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/inspection_pool.h"
#include "proxy/welcome_origin.h"
#include "proxy/worker_thread.h"
#include "uring/kernel_features.h"
#include "uring/topology.h"

namespace edge::proxy {

class Server {
 public:
  explicit Server(Config config);
  ~Server();

  // Checks and prepares everything that can fail before a worker is started, and prints what was
  // found. InvalidArgument: a mistake in the configuration; FailedPrecondition: the kernel cannot;
  // Unavailable: the system refused (an address in use, a name without address).
  absl::Status Prepare();
  // Serves until a signal ends it. OK when drained or stopped.
  absl::Status Run();
  // What --check prints.
  std::string Report() const;

 private:
  struct Listening {
    ListenSpec spec;
    std::string address;   // with the port the kernel chose
    std::vector<int> fds;  // one for each worker
  };

  absl::Status PrepareTls();
  absl::Status PrepareSettings();
  void PrepareInspection();
  absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> LoadRules() const;
  absl::Status PrepareListeners();
  absl::Status PrepareAdmin();
  void LimitConnections();
  uint64_t MemoryCeiling() const;
  std::string DescribeListening(const Listening& listening) const;
  void PrintStart() const;
  void CloseListeners();

  absl::Status StartInspection();
  absl::Status StartWorkers();
  std::shared_ptr<Snapshot> MakeSnapshot() const;
  absl::Status StartControl();
  void OnSignals(const uring::Completion& completion);
  void OnSignal(int signal);
  void OnDrainTimer();
  void Reload();
  void StartLoadingRules();
  void OnRulesLoaded();
  void ReadMailbox();
  static void SaySlowTurn(SlowTurn& turn);
  bool AllEnded() const;
  std::string Metrics();

  Config config_;
  uring::KernelFeatures features_;
  std::vector<int> cpus_;
  std::vector<int> nodes_;  // of each of them
  std::vector<waf::InspectionPoolOptions::Node> inspection_nodes_;
  std::string topology_text_;
  std::shared_ptr<Settings> settings_;
  std::shared_ptr<const tls::ServerContext> tls_;
  std::shared_ptr<const edge::waf::RuleSet> rules_;
  std::vector<Listening> listening_;
  int admin_fd_ = -1;
  std::string admin_address_;
  AccessLogFile access_log_;

  uring::SystemClock clock_;
  WelcomeOrigin welcome_;
  ControlMailbox control_;
  std::unique_ptr<AdminOrigin> admin_origin_;
  std::unique_ptr<uring::UringIo> io_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Worker> admin_worker_;
  WorkerStats admin_stats_;
  std::unique_ptr<waf::InspectionPool> inspection_pool_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<uring::Operation> signals_;
  std::unique_ptr<uring::Timer> drain_timer_;
  int signal_fd_ = -1;
  int64_t started_ns_ = 0;
  // Rules are compiled by a thread of their own: it takes a second, and /healthz is to answer.
  absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> loaded_rules_;
  std::atomic<bool> rules_loaded_{false};
  std::thread rule_loader_;
  bool load_rules_again_ = false;  // asked for while it was under way
  uint64_t reloads_failed_ = 0;
  uint64_t log_write_errors_ = 0;
  bool ready_ = false;
  enum class Phase { kServing, kDrainDelay, kDraining, kStopping } phase_ = Phase::kServing;
};

}  // namespace edge::proxy
