#include "uring/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace edge::uring {

TimerWheel::TimerWheel(int64_t now_ns)
    : current_tick_(now_ns >> kTickShift), now_tick_(current_tick_) {
  for (Level& level : levels_) {
    for (Timer& head : level.slots) head.next_ = head.previous_ = &head;
  }
  due_.next_ = due_.previous_ = &due_;
}

TimerWheel::~TimerWheel() {
  CHECK_EQ(armed_, 0u) << "timer wheel freed while timers are armed";
  for (Level& level : levels_) {
    for (Timer& head : level.slots) head.next_ = nullptr;
  }
  due_.next_ = nullptr;
}

void TimerWheel::Start(Timer& timer, int64_t deadline_ns) {
  if (timer.armed()) {
    Unlink(timer);
  } else {
    ++armed_;
  }
  // Rounded up, so that no timer fires early; not by adding, because a deadline may be the end of
  // time.
  constexpr int64_t kTickMask = (int64_t{1} << kTickShift) - 1;
  const int64_t tick = (deadline_ns >> kTickShift) + ((deadline_ns & kTickMask) != 0 ? 1 : 0);
  // A handler that starts a timer for the past must not see it fire for each tick of a long
  // Advance.
  timer.deadline_tick_ = std::max(tick, now_tick_ + 1);
  Insert(timer);
}

void TimerWheel::Stop(Timer& timer) {
  if (!timer.armed()) return;
  Unlink(timer);
  timer.next_ = timer.previous_ = nullptr;
  --armed_;
}

void TimerWheel::Insert(Timer& timer) {
  const int64_t reach = (int64_t{1} << (kSlotBits * kLevels)) - 1;
  const int64_t tick = std::clamp(timer.deadline_tick_, current_tick_ + 1, current_tick_ + reach);
  // The level is the highest group of bits in which the deadline differs from now: all slots of
  // that level between now and the deadline are then still ahead.
  const uint64_t difference = static_cast<uint64_t>(tick ^ current_tick_);
  const int level =
      std::min(static_cast<int>(std::bit_width(difference) - 1) / kSlotBits, kLevels - 1);
  const int slot = static_cast<int>(tick >> (level * kSlotBits)) & (kSlots - 1);
  Timer& head = levels_[level].slots[slot];
  timer.next_ = &head;
  timer.previous_ = head.previous_;
  head.previous_->next_ = &timer;
  head.previous_ = &timer;
  levels_[level].occupied |= uint64_t{1} << slot;
}

void TimerWheel::Unlink(Timer& timer) {
  timer.previous_->next_ = timer.next_;
  timer.next_->previous_ = timer.previous_;
}

// Spreads the slot of `level` that begins at the current tick over the finer levels.
void TimerWheel::Cascade(int level) {
  const int slot = static_cast<int>(current_tick_ >> (level * kSlotBits)) & (kSlots - 1);
  levels_[level].occupied &= ~(uint64_t{1} << slot);
  Timer& head = levels_[level].slots[slot];
  while (head.next_ != &head) {
    Timer& timer = *head.next_;
    Unlink(timer);
    if (timer.deadline_tick_ <= current_tick_) {
      timer.next_ = &due_;
      timer.previous_ = due_.previous_;
      due_.previous_->next_ = &timer;
      due_.previous_ = &timer;
    } else {
      Insert(timer);
    }
  }
}

int64_t TimerWheel::NextEventTick() const {
  int64_t next = INT64_MAX;
  for (int level = 0; level < kLevels; ++level) {
    const uint64_t occupied = levels_[level].occupied;
    if (occupied == 0) continue;
    const int shift = level * kSlotBits;
    const int64_t position = current_tick_ >> shift;
    // Slots behind the current one (or at it, on a coarse level) belong to the next round.
    const uint64_t rotated = std::rotr(occupied, static_cast<int>((position + 1) & (kSlots - 1)));
    const int64_t tick = (position + 1 + std::countr_zero(rotated)) << shift;
    next = std::min(next, tick);
  }
  return next;
}

void TimerWheel::Advance(int64_t now_ns) {
  now_tick_ = std::max(now_tick_, now_ns >> kTickShift);
  while (current_tick_ < now_tick_) {
    const int64_t next = NextEventTick();
    if (next > now_tick_) {
      current_tick_ = now_tick_;
      break;
    }
    current_tick_ = next;
    // Coarse levels first: what they hold may belong into the finer slots of this very tick.
    for (int level = kLevels - 1; level > 0; --level) {
      if ((current_tick_ & ((int64_t{1} << (level * kSlotBits)) - 1)) == 0) Cascade(level);
    }
    Cascade(0);
    while (due_.next_ != &due_) {
      Timer& timer = *due_.next_;
      Stop(timer);
      timer.handler_(timer.owner_);
    }
  }
}

int64_t TimerWheel::NextDelayNs(int64_t now_ns) const {
  const int64_t next = NextEventTick();
  if (next == INT64_MAX) return -1;
  return std::max<int64_t>(0, (next << kTickShift) - now_ns);
}

}  // namespace edge::uring
