#include "uring/buffer_loans.h"

#include <algorithm>

namespace edge::uring {

BufferLoans::BufferLoans(Io* io) : io_(io) {
  for (int i = 0; i < kBufferGroups; ++i) {
    const size_t total = io->BuffersTotal(static_cast<BufferGroup>(i));
    CHECK_LE(total, kBuffersPerGroupMax);
    groups_[i].references = std::make_unique<uint16_t[]>(total);
    groups_[i].links = std::make_unique<Link[]>(total);
    BufferWaiter& head = groups_[i].waiters;
    head.next_ = head.previous_ = &head;
  }
}

BufferLoans::~BufferLoans() {
  CHECK_EQ(waiting_, 0u) << "loop freed while sockets wait for buffers";
  for (Group& group : groups_) group.waiters.next_ = nullptr;
}

void BufferLoans::Wait(BufferGroup group, BufferWaiter& waiter) {
  CHECK(!waiter.waiting());
  BufferWaiter& head = groups_[static_cast<int>(group)].waiters;
  waiter.next_ = &head;
  waiter.previous_ = head.previous_;
  head.previous_->next_ = &waiter;
  head.previous_ = &waiter;
  ++waiting_;
}

void BufferLoans::StopWaiting(BufferWaiter& waiter) {
  if (!waiter.waiting()) return;
  waiter.previous_->next_ = waiter.next_;
  waiter.next_->previous_ = waiter.previous_;
  waiter.next_ = waiter.previous_ = nullptr;
  --waiting_;
}

void BufferLoans::WakeWaiters() {
  if (waiting_ == 0) return;
  for (int i = 0; i < kBufferGroups; ++i) {
    BufferWaiter& head = groups_[i].waiters;
    // Who finds no buffer of edge's own, although the kernel has some, queues up again: not to be
    // asked twice.
    const BufferWaiter* const last = head.previous_;
    // Waking more than there are buffers would only make the rest fail and queue up again, at the
    // end.
    const auto group = static_cast<BufferGroup>(i);
    const bool large = group == BufferGroup::kBody;
    for (size_t left = large ? kLargePerTurnMax : io_->BuffersFree(group);
         left > 0 && head.next_ != &head; --left) {
      BufferWaiter& waiter = *head.next_;
      StopWaiting(waiter);
      waiter.handler_(waiter.owner_);
      if (&waiter == last) break;
    }
  }
}

bool BufferLoans::anyone_ready() const {
  return waiting_ > 0 && anyone_waiting(BufferGroup::kBody);
}

}  // namespace edge::uring
