// /metrics: the workers' counters in the Prometheus text format, version 0.0.4.
//
// Control thread only; reads counters that the workers go on writing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "proxy/stats.h"
#include "proxy/waf/inspection_pool.h"

namespace edge::proxy {

struct WorkerView {
  const WorkerStats* stats = nullptr;
  int cpu = 0;
  double cpu_seconds = 0;  // CPU time of its thread, user and system
};

struct ProcessView {
  double uptime_seconds = 0;
  bool ready = false;
  uint64_t memory_ceiling_bytes = 0;
  uint64_t reloads_failed = 0;
  uint64_t access_log_write_errors = 0;
  size_t rules = 0;                                 // of inspection
  const waf::InspectionPool* inspection = nullptr;  // not owned; nullptr: no threads for it
};

std::string RenderMetrics(std::span<const WorkerView> workers, const ProcessView& process);

}  // namespace edge::proxy
