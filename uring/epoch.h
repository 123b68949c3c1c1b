// How the control thread tells all workers something, without a lock on their side: shutdown, drain
// and new configuration are one mechanism.
//
// The control thread publishes an immutable State (snapshot of the configuration, and what workers
// are to do), then advances the Epoch, then rings the doorbell of every worker. A worker compares
// the epoch with the one it saw last, once per completion batch: one relaxed load of a line that is
// written only on a change, and so stays in its cache. On a change it adopts the newest state and
// publishes which one that is; a state is freed when every subscribed worker has adopted a newer
// one.
//
//   control:  newest_ = state       epoch_.Advance()      ring every subscriber
//   worker:   changed()? -- yes --> Adopt(): read newest_, publish what was adopted
//
// A worker that starts reads the newest state when it subscribes; one that left does not count any
// more. Why no wake-up is lost: subscribing makes the doorbell known *before* it reads newest_, and
// publishing stores newest_ *before* it looks at who is subscribed, all seq_cst. So either the
// worker reads the new state, or the control thread sees the worker and rings it. The same order
// keeps a state that is being subscribed to from being freed.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "uring/io.h"

namespace edge::uring {

// A number that only grows, alone in its cache line.
class alignas(64) Epoch {
 public:
  uint64_t LoadRelaxed() const { return value_.load(std::memory_order_relaxed); }
  uint64_t LoadAcquire() const { return value_.load(std::memory_order_acquire); }
  // One thread only. What it wrote before is seen by those who load the new value with acquire.
  uint64_t Advance() {
    const uint64_t next = value_.load(std::memory_order_relaxed) + 1;
    value_.store(next, std::memory_order_release);
    return next;
  }

 private:
  std::atomic<uint64_t> value_{0};
};
static_assert(sizeof(Epoch) == 64, "the epoch shares its cache line with nothing");

// What workers are to do. Only ever grows.
enum class RunMode : uint8_t {
  kServe,  // accept and serve
  kDrain,  // accept nothing more, finish what has begun
  kStop,   // close everything at once and end
};

template <typename Snapshot>
class EpochPublisher {
 public:
  // Immutable once published.
  struct State {
    uint64_t epoch = 0;
    RunMode mode = RunMode::kServe;
    std::shared_ptr<const Snapshot> snapshot;
  };
  using RingDoorbell = std::function<void(DoorbellTarget)>;

  // `workers`: how many can be subscribed. `ring` is called by the control thread for every
  // subscriber on each publication; it may ring a worker that is just leaving, so the doorbells of
  // workers stay open until their threads have been joined.
  EpochPublisher(size_t workers, std::shared_ptr<const Snapshot> snapshot, RingDoorbell ring)
      : slots_(workers), ring_(std::move(ring)) {
    Publish(RunMode::kServe, std::move(snapshot));
  }
  EpochPublisher(const EpochPublisher&) = delete;
  EpochPublisher& operator=(const EpochPublisher&) = delete;
  ~EpochPublisher() {
    for (const Slot& slot : slots_) {
      CHECK_EQ(slot.adopted.load(std::memory_order_acquire), kAbsent)
          << "publisher freed while a worker is subscribed";
    }
  }

  // --- Control thread only

  // Both return the epoch of the new state.
  uint64_t PublishSnapshot(std::shared_ptr<const Snapshot> snapshot) {
    return Publish(current().mode, std::move(snapshot));
  }
  uint64_t PublishMode(RunMode mode) {
    CHECK_GE(static_cast<int>(mode), static_cast<int>(current().mode)) << "mode went back";
    return Publish(mode, current().snapshot);
  }

  // Frees what no worker uses any more; every publication does so, too. Returns how many replaced
  // states are left: while it is not 0, call it again later.
  size_t Collect() {
    const uint64_t oldest_in_use = OldestAdopted();
    while (states_.size() > 1 && states_.front()->epoch < oldest_in_use) states_.pop_front();
    return states_.size() - 1;
  }

  // Whether every subscribed worker has adopted the newest state.
  bool AllAdopted() const { return OldestAdopted() >= current().epoch; }

  const State& current() const { return *states_.back(); }

  // A worker's view. Made, used and destroyed on the worker's thread.
  class Subscription {
   public:
    // `worker` is below the publisher's `workers` and used by one subscription at a time. From now
    // on the doorbell can be rung.
    Subscription(EpochPublisher* publisher, size_t worker, DoorbellTarget doorbell)
        : publisher_(publisher), slot_(&publisher->slots_[worker]) {
      CHECK_LT(worker, publisher->slots_.size());
      CHECK_EQ(slot_->adopted.load(std::memory_order_relaxed), kAbsent) << "subscribed twice";
      slot_->doorbell.store(doorbell.handle, std::memory_order_relaxed);
      slot_->adopted.store(kNothingYet, std::memory_order_seq_cst);
      Adopt();
    }
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription() { slot_->adopted.store(kAbsent, std::memory_order_release); }

    // Once per batch, and once before the first wait: something newer than state() was published.
    bool changed() const { return publisher_->epoch_.LoadRelaxed() != seen_; }

    // Moves on to the newest state. The one before may be freed from now on.
    const State& Adopt() {
      // The state may be newer than the epoch that was read before it; then changed() says so again
      // soon, and this is done once more for nothing.
      seen_ = publisher_->epoch_.LoadAcquire();
      state_ = publisher_->newest_.load(std::memory_order_seq_cst);
      slot_->adopted.store(state_->epoch, std::memory_order_release);
      return *state_;
    }

    // The one adopted; valid until the next Adopt().
    const State& state() const { return *state_; }

   private:
    EpochPublisher* const publisher_;
    typename EpochPublisher::Slot* const slot_;
    uint64_t seen_ = 0;
    const State* state_ = nullptr;
  };

 private:
  static constexpr uint64_t kNothingYet = 0;  // subscribing: may be about to read any state
  static constexpr uint64_t kAbsent = UINT64_MAX;

  // One worker's; written by that worker only.
  struct alignas(64) Slot {
    std::atomic<uint64_t> adopted{kAbsent};  // the epoch of the state in use
    std::atomic<int> doorbell{-1};
  };

  uint64_t Publish(RunMode mode, std::shared_ptr<const Snapshot> snapshot) {
    const uint64_t epoch = epoch_.LoadRelaxed() + 1;
    states_.push_back(std::make_unique<const State>(State{epoch, mode, std::move(snapshot)}));
    newest_.store(states_.back().get(), std::memory_order_seq_cst);
    CHECK_EQ(epoch_.Advance(), epoch);
    for (const Slot& slot : slots_) {
      if (slot.adopted.load(std::memory_order_seq_cst) == kAbsent) continue;
      ring_(DoorbellTarget{slot.doorbell.load(std::memory_order_relaxed)});
    }
    Collect();
    return epoch;
  }

  // kAbsent, which is more than every epoch, if nobody is subscribed.
  uint64_t OldestAdopted() const {
    uint64_t oldest = kAbsent;
    for (const Slot& slot : slots_) {
      oldest = std::min(oldest, slot.adopted.load(std::memory_order_seq_cst));
    }
    return oldest;
  }

  Epoch epoch_;
  std::vector<Slot> slots_;
  std::atomic<const State*> newest_{nullptr};
  // Of the control thread: states from the oldest that may be in use to the newest.
  std::deque<std::unique_ptr<const State>> states_;
  const RingDoorbell ring_;
};

}  // namespace edge::uring
