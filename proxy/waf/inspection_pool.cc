#include "proxy/waf/inspection_pool.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "uring/placement.h"

namespace edge::proxy::waf {
namespace {

// A ring for doorbells alone: the least that there is.
uring::UringOptions DoorbellRing() {
  uring::UringOptions options;
  options.submission_entries = 64;
  options.completion_entries = 256;
  options.head = options.origin = options.body = {8, 4096};
  return options;
}

// Any CPU of the node, so that the scheduler can go round the workers that are busy.
void RunOn(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  }
  // Without it the thread runs where the process may: slower, not wrong.
  if (CPU_COUNT(&set) > 0 && sched_setaffinity(0, sizeof set, &set) != 0) return;
}

}  // namespace

InspectionPool::InspectionPool(InspectionPoolOptions options) : options_(std::move(options)) {
  for (size_t node = 0; node < options_.nodes.size(); ++node) {
    nodes_.push_back(std::make_unique<InspectionNode>(options_.node));
    for (int number = 0; number < options_.node.threads; ++number) {
      threads_.push_back(std::make_unique<Thread>());
      threads_.back()->node = node;
      threads_.back()->number = number;
    }
  }
}

InspectionPool::~InspectionPool() {
  for (const auto& thread : threads_) CHECK(!thread->thread.joinable()) << "pool not stopped";
}

absl::Status InspectionPool::Start() {
  for (const auto& thread : threads_) {
    thread->thread = std::thread([this, &thread = *thread] { Run(thread); });
  }
  absl::Status status;
  for (const auto& thread : threads_) {
    thread->started.wait(false, std::memory_order_acquire);
    status.Update(thread->error);
  }
  return status;
}

void InspectionPool::Stop(uring::Io& io) {
  for (const auto& node : nodes_) node->Close(io);
  io.Turn(0);
  for (const auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
  }
}

InspectionNode* InspectionPool::NodeOf(int node_id) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (options_.nodes[i].id == node_id) return nodes_[i].get();
  }
  return nullptr;
}

void InspectionPool::AddCounters(size_t node, InspectionTotals& totals) const {
  for (const auto& thread : threads_) {
    if (thread->node == node) totals.Add(thread->counters);
  }
}

absl::Status InspectionPool::SetUp(Thread& thread) {
  const InspectionPoolOptions::Node& node = options_.nodes[thread.node];
  uring::NameThisThread(absl::StrCat("waf/", node.id, "/", thread.number));
  RunOn(node.cpus);
  if (absl::StatusOr<std::string> policy = uring::SetLocalMemoryPolicy(node.id); !policy.ok()) {
    return policy.status();
  }
  // Of this thread alone (setpriority(2), "C library/kernel differences"). It cannot fail: upwards
  // is always allowed.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  absl::StatusOr<std::unique_ptr<uring::UringIo>> io = uring::UringIo::Create(DoorbellRing());
  if (!io.ok()) return io.status();
  thread.io = *std::move(io);
  thread.inspector = options_.make_inspector();
  thread.loop =
      std::make_unique<InspectionThread>(nodes_[thread.node].get(), thread.number, thread.io.get(),
                                         &clock_, thread.inspector.get(), &thread.counters);
  return absl::OkStatus();
}

void InspectionPool::Run(Thread& thread) {
  thread.error = SetUp(thread);
  const bool ok = thread.error.ok();
  thread.started.store(true, std::memory_order_release);
  thread.started.notify_all();
  if (!ok) return;
  if (const int error = thread.loop->Run(); error != 0) {
    LOG(FATAL) << "io_uring_enter of an inspection thread: " << std::strerror(-error);
  }
}

}  // namespace edge::proxy::waf
