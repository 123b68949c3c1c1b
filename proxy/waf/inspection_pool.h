// The inspection threads of the process, some for each NUMA node on which there are workers.
//
// They may run on any CPU of their node, at a lower priority than the workers. Made, stopped and
// destroyed by the control thread; they end after the workers, whose jobs have all come back then.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "proxy/waf/inspection_node.h"
#include "proxy/waf/inspection_thread.h"
#include "uring/clock.h"
#include "uring/uring_io.h"

namespace edge::proxy::waf {

struct InspectionPoolOptions {
  struct Node {
    int id = 0;             // the kernel's number
    std::vector<int> cpus;  // that its threads may run on
  };
  std::vector<Node> nodes;
  InspectionNodeOptions node;
  // Called on each thread; must not fail.
  std::function<std::unique_ptr<Inspector>()> make_inspector;
};

class InspectionPool {
 public:
  // Nice value of the threads, workers having 0 (setpriority(2)).
  static constexpr int kNice = 10;

  explicit InspectionPool(InspectionPoolOptions options);
  ~InspectionPool();
  InspectionPool(const InspectionPool&) = delete;
  InspectionPool& operator=(const InspectionPool&) = delete;

  // Returns when every thread takes jobs. An error is that of the first that could not be set up.
  absl::Status Start();
  // Ends the threads; only when no job is out any more. `io`: the caller's, to ring them with.
  void Stop(uring::Io& io);

  // The one that the workers of this NUMA node use. Not owned.
  InspectionNode* NodeOf(int node_id);

  // --- For metrics
  size_t nodes() const { return nodes_.size(); }
  int node_id(size_t node) const { return options_.nodes[node].id; }
  const InspectionNode& node(size_t node) const { return *nodes_[node]; }
  // Sums up the counters of a node's threads.
  void AddCounters(size_t node, InspectionTotals& totals) const;

 private:
  struct Thread {
    size_t node = 0;
    int number = 0;  // within the node
    std::unique_ptr<uring::UringIo> io;
    std::unique_ptr<Inspector> inspector;
    std::unique_ptr<InspectionThread> loop;
    InspectionCounters counters;
    absl::Status error;
    std::atomic<bool> started{false};
    std::thread thread;
  };

  void Run(Thread& thread);
  absl::Status SetUp(Thread& thread);

  const InspectionPoolOptions options_;
  uring::SystemClock clock_;
  std::vector<std::unique_ptr<InspectionNode>> nodes_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace edge::proxy::waf
