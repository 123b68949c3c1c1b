// A fixed number of slots for objects of one type, in memory that is reserved when the slab is made
// and touched in chunks as slots are first used.
//
// Slots are type-stable: their memory is never unmapped or used for anything else while the slab
// lives, so a stale pointer to a slot can be recognised by what is in it (see operation.h). The
// slot freed last is used next, because it is the one in the cache.
//
// AddressSanitizer is told which slots are free, so using one is reported like any use after free.
//
// One thread.

#pragma once

#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "uring/memory_region.h"

namespace edge::uring {

template <typename T>
class Slab {
 public:
  // How much is touched at once: one system call for 16 faults, and little memory wasted.
  static constexpr size_t kTouchBytes = 64 << 10;

  // At most `capacity` objects. CHECKs that the address space can be reserved.
  explicit Slab(size_t capacity) : capacity_(capacity) {
    CHECK_LE(capacity, SIZE_MAX / sizeof(Slot));
    absl::StatusOr<MemoryRegion> memory = MemoryRegion::Map(capacity * sizeof(Slot));
    CHECK_OK(memory);
    memory_ = *std::move(memory);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    CHECK_EQ(in_use_, 0u) << "slab freed with objects in it";
    // The addresses will be somebody else's.
    ASAN_UNPOISON_MEMORY_REGION(memory_.data(), touched_bytes_);
  }

  // A new object, or nullptr when all slots are in use.
  template <typename... Arguments>
  T* Allocate(Arguments&&... arguments) {
    Slot* slot = free_;
    if (slot != nullptr) {
      ASAN_UNPOISON_MEMORY_REGION(slot, sizeof(Slot));
      free_ = slot->next_free;
    } else {
      if (ever_used_ == capacity_) return nullptr;
      slot = slots() + ever_used_++;
      if (ever_used_ * sizeof(Slot) > touched_bytes_) TouchMore();
      ASAN_UNPOISON_MEMORY_REGION(slot, sizeof(Slot));
    }
    ++in_use_;
    MarkUsed(slot, true);
    return new (slot->storage) T(std::forward<Arguments>(arguments)...);
  }

  void Free(T* object) {
    Slot* slot = reinterpret_cast<Slot*>(object);
    DCHECK(slot >= slots() && slot < slots() + ever_used_) << "freed into another slab";
    MarkUsed(slot, false);
    object->~T();
    slot->next_free = free_;
    free_ = slot;
    --in_use_;
    ASAN_POISON_MEMORY_REGION(slot, sizeof(Slot));
  }

  size_t in_use() const { return in_use_; }
  size_t capacity() const { return capacity_; }
  // Memory that has been backed by pages so far.
  size_t touched_bytes() const { return touched_bytes_; }
  static constexpr size_t slot_bytes() { return sizeof(Slot); }

 private:
  union Slot {
    Slot* next_free;
    alignas(T) std::byte storage[sizeof(T)];
  };
  static_assert(alignof(Slot) <= 4096, "regions are aligned to a page");

  Slot* slots() const { return reinterpret_cast<Slot*>(memory_.data()); }

  void TouchMore() {
    const size_t needed = ever_used_ * sizeof(Slot) - touched_bytes_;
    const size_t more = std::min(std::max(needed, kTouchBytes), memory_.size() - touched_bytes_);
    memory_.Touch(touched_bytes_, more);
    ASAN_POISON_MEMORY_REGION(memory_.data() + touched_bytes_, more);
    touched_bytes_ += more;
  }

  // Finds objects that are freed twice; builds without NDEBUG only.
  void MarkUsed([[maybe_unused]] Slot* slot, [[maybe_unused]] bool used) {
#ifndef NDEBUG
    used_.resize(ever_used_);
    const auto index = static_cast<size_t>(slot - slots());
    CHECK_NE(used_[index], used) << (used ? "slot handed out twice" : "object freed twice");
    used_[index] = used;
#endif
  }

  const size_t capacity_;
  MemoryRegion memory_;
  Slot* free_ = nullptr;
  size_t ever_used_ = 0;
  size_t touched_bytes_ = 0;
  size_t in_use_ = 0;
#ifndef NDEBUG
  std::vector<bool> used_;
#endif
};

}  // namespace edge::uring
