// Tries the interleavings of a few threads' atomic operations, one after the other, as long as
// there are new ones: a small model checker for code that takes its atomics as a template argument.
//
//   Interleavings explorer({.preemptions_max = 3});
//   explorer.Explore([](Interleavings& run) {
//     auto queue = std::make_shared<BoundedQueue<int, ModelAtomic>>(2);
//     run.Thread([=] { ... });
//     run.Thread([=] { ... });
//     run.AtEnd([=] { EXPECT_... });
//   });
//
// Threads are contexts on one real thread (makecontext(3)). Before each operation on a ModelAtomic
// the explorer chooses who goes on; it walks the tree of choices depth first, and bounds how often
// a thread that could go on is stopped (Musuvathi and Qadeer, "Iterative context bounding", 2007).
// A thread that waits (WaitUntil) is chosen again once its condition holds; when all wait, that is
// a deadlock. Memory is sequentially consistent here: weaker orders are for ThreadSanitizer and for
// review.

#pragma once

#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace edge::uring {

class Interleavings {
 public:
  struct Options {
    int preemptions_max = 3;
    uint64_t runs_max = 2'000'000;
  };

  explicit Interleavings(Options options) : options_(options) {}

  // Calls `setup` for each run, which makes what is shared and the threads. Returns the number of
  // runs; the test fails where a run ends in a deadlock.
  uint64_t Explore(const std::function<void(Interleavings&)>& setup);
  // Whether every interleaving within the bound was tried.
  bool complete() const { return complete_; }

  // --- For `setup`
  void Thread(std::function<void()> body);
  void AtEnd(std::function<void()> check) { at_end_ = std::move(check); }

  // --- For the threads
  // Others may go on here. Called by ModelAtomic.
  static void Point();
  // Stops until `condition` holds, which reads without points.
  static void WaitUntil(std::function<bool()> condition);

 private:
  struct Context {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    std::function<void()> body;
    std::function<bool()> waits_for;  // empty: it can go on
    bool done = false;
  };
  struct Choice {
    int chosen;
    std::vector<int> left;  // to be tried in later runs
  };

  static void Start(unsigned high, unsigned low);
  void Run(const std::function<void(Interleavings&)>& setup);
  int Choose();
  std::vector<int> Runnable();
  bool NextPath();

  static Interleavings* current_;

  const Options options_;
  std::vector<std::unique_ptr<Context>> threads_;
  std::function<void()> at_end_;
  std::vector<Choice> path_;
  size_t depth_ = 0;
  int running_ = -1;
  int preemptions_ = 0;
  bool complete_ = false;
  bool deadlock_ = false;
  ucontext_t scheduler_;
};

// As std::atomic, with a point before each operation.
template <typename T>
class ModelAtomic {
 public:
  ModelAtomic() = default;
  explicit(false) ModelAtomic(T value) : value_(value) {}  // as std::atomic's

  T load(std::memory_order = std::memory_order_seq_cst) const {
    Interleavings::Point();
    return value_;
  }
  void store(T value, std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    value_ = value;
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    return std::exchange(value_, value);
  }
  T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    return std::exchange(value_, static_cast<T>(value_ + value));
  }
  T fetch_sub(T value, std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    return std::exchange(value_, static_cast<T>(value_ - value));
  }
  T fetch_or(T value, std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    return std::exchange(value_, static_cast<T>(value_ | value));
  }
  T fetch_and(T value, std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    return std::exchange(value_, static_cast<T>(value_ & value));
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order = std::memory_order_seq_cst,
                             std::memory_order = std::memory_order_seq_cst) {
    Interleavings::Point();
    if (value_ != expected) {
      expected = value_;
      return false;
    }
    value_ = desired;
    return true;
  }
  // Without a point: for conditions and checks.
  T Peek() const { return value_; }

 private:
  T value_{};
};

}  // namespace edge::uring
