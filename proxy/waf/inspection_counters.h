// What an inspection thread counts; written by it alone, read by any thread.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/counter.h"
#include "proxy/waf/verdict.h"
#include "uring/loop.h"

namespace edge::proxy::waf {

inline constexpr auto& kInspectionBoundsNs = uring::LoopCounters::kBusyBoundsNs;

// A histogram of times with the bounds of the loop's.
struct TimeCounters {
  std::array<Counter, kInspectionBoundsNs.size() + 1> buckets;  // the last: longer than all bounds
  Counter sum_ns;

  void Note(int64_t ns) {
    size_t bucket = 0;
    while (bucket < kInspectionBoundsNs.size() && ns > kInspectionBoundsNs[bucket]) ++bucket;
    buckets[bucket].Add();
    sum_ns.Add(static_cast<uint64_t>(ns));
  }
};

struct InspectionCounters {
  TimeCounters waited;   // in the queue
  TimeCounters service;  // being inspected; only jobs that were
  Counter jobs;
  Counter sleeps;
};

// Of several threads together.
struct InspectionTotals {
  struct Times {
    std::array<uint64_t, kInspectionBoundsNs.size() + 1> buckets{};
    uint64_t sum_ns = 0;

    void Add(const TimeCounters& counters) {
      for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += counters.buckets[i].Read();
      sum_ns += counters.sum_ns.Read();
    }
  };
  Times waited;
  Times service;
  uint64_t jobs = 0;
  uint64_t sleeps = 0;

  void Add(const InspectionCounters& counters) {
    waited.Add(counters.waited);
    service.Add(counters.service);
    jobs += counters.jobs.Read();
    sleeps += counters.sleeps.Read();
  }
};

}  // namespace edge::proxy::waf
