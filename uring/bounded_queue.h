// A bounded queue of pointers from any threads to any threads, without a lock: Dmitry Vyukov's
// bounded MPMC queue (1024cores.net, 2010). Each cell has a number that says whose turn it is.
//
// Neither end ever waits for the other. A pusher that is stopped between claiming its cell and
// filling it holds back those that come behind: TryPop then finds nothing, and the pusher's own
// wake-up, after it has filled its cell, is the one that counts. A popper that is stopped between
// claiming its cell and emptying it lets the others go round once; then TryPush finds the queue
// full, however few are in it. So a queue that is never to be full has to be longer than it will
// ever hold, and its pushers still have to know what to do when it is.
//
// Sequentially consistent where it has to be for sleeping on it: a pusher fills its cell and then
// looks for sleepers, a sleeper makes itself known and then looks at Empty(); one of the two sees
// the other. No fences, because ThreadSanitizer does not see them.
//
// `Atomic` is std::atomic, but in a test that tries interleavings.

#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/log/check.h"

namespace edge::uring {

template <typename T, template <typename> typename Atomic = std::atomic>
class BoundedQueue {
 public:
  // Holds at least `capacity` pointers: the next power of two, 2 at least.
  explicit BoundedQueue(size_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? size_t{2} : capacity) - 1),
        cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    CHECK_GT(capacity, 0u);
    for (size_t i = 0; i <= mask_; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }

  // The pointers stay the pushers' memory. False: full.
  [[nodiscard]] bool TryPush(T* item) {
    size_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const auto ahead =
          static_cast<intptr_t>(cell.turn.load(std::memory_order_acquire) - position);
      if (ahead < 0) return false;
      if (ahead > 0) {
        position = tail_.load(std::memory_order_relaxed);
        continue;
      }
      if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        cell.item = item;
        cell.turn.store(position + 1, std::memory_order_seq_cst);
        return true;
      }
    }
  }

  // nullptr: empty, or the next cell is not filled yet.
  [[nodiscard]] T* TryPop() {
    size_t position = head_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const auto ahead =
          static_cast<intptr_t>(cell.turn.load(std::memory_order_acquire) - (position + 1));
      if (ahead < 0) return nullptr;
      if (ahead > 0) {
        position = head_.load(std::memory_order_relaxed);
        continue;
      }
      if (head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        T* item = cell.item;
        cell.turn.store(position + mask_ + 1, std::memory_order_release);
        return item;
      }
    }
  }

  // Whether TryPop would find nothing; for a thread that has made itself known as a sleeper.
  bool Empty() const {
    for (;;) {
      const size_t position = head_.load(std::memory_order_relaxed);
      const Cell& cell = cells_[position & mask_];
      const auto ahead =
          static_cast<intptr_t>(cell.turn.load(std::memory_order_seq_cst) - (position + 1));
      if (ahead <= 0) return ahead < 0;
    }
  }

  // For metrics: how many are in it, or were a moment ago.
  size_t SizeEstimate() const {
    const size_t head = head_.load(std::memory_order_relaxed);
    const size_t tail = tail_.load(std::memory_order_relaxed);
    return tail > head ? tail - head : 0;
  }

 private:
  struct Cell {
    Atomic<size_t> turn{0};  // its position: to be filled; one more: to be emptied
    T* item = nullptr;
  };

  const size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(64) Atomic<size_t> head_{0};
  alignas(64) Atomic<size_t> tail_{0};
};

}  // namespace edge::uring
