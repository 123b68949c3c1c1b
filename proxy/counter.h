// A counter with one writer, readable from any thread: an increment is a relaxed load and a relaxed
// store, and no locked instruction.

#pragma once

#include <atomic>
#include <cstdint>

namespace edge::proxy {

class Counter {
 public:
  void Add(uint64_t n = 1) { Set(value_.load(std::memory_order_relaxed) + n); }
  void Subtract(uint64_t n = 1) { Set(value_.load(std::memory_order_relaxed) - n); }
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t Read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace edge::proxy
