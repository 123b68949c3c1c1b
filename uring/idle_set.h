// Which threads of a pool sleep: who brings work takes one of them out of the set and wakes it,
// nobody else does, and if none is in the set there is nothing to wake.
//
//   a thread:   Enter(me)  -->  still nothing to do?  -- yes -->  sleep  -->  Leave(me)
//                                      |
//                                      no  -->  Leave(me), go on
//   a bringer:  bring the work  -->  TakeOne()  -->  wake who was taken
//
// All of it is sequentially consistent: either the bringer finds the thread in the set, or the
// thread finds the work (see BoundedQueue::Empty). Whoever was taken is awake as far as others are
// concerned, so a burst of work wakes each sleeper once at most.
//
// `Atomic` is std::atomic, but in a test that tries interleavings.

#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"

namespace edge::uring {

template <template <typename> typename Atomic = std::atomic>
class BasicIdleSet {
 public:
  static constexpr int kMembersMax = 64;
  static constexpr int kNone = -1;

  // The member's own thread.
  void Enter(int member) {
    DCHECK(member >= 0 && member < kMembersMax);
    members_.fetch_or(uint64_t{1} << member, std::memory_order_seq_cst);
  }
  // The member's own thread. False: somebody has taken it, and a wake-up comes or has come.
  bool Leave(int member) {
    const uint64_t bit = uint64_t{1} << member;
    return (members_.fetch_and(~bit, std::memory_order_seq_cst) & bit) != 0;
  }
  // Any thread. The member to be woken, or kNone.
  int TakeOne() {
    uint64_t members = members_.load(std::memory_order_seq_cst);
    while (members != 0) {
      const uint64_t bit = members & -members;
      if (members_.compare_exchange_weak(members, members & ~bit, std::memory_order_seq_cst)) {
        return std::countr_zero(bit);
      }
    }
    return kNone;
  }

 private:
  alignas(64) Atomic<uint64_t> members_{0};
};

using IdleSet = BasicIdleSet<>;

}  // namespace edge::uring
