// A fixed number of slots for objects of one type, in memory that is reserved when the slab is made and
// touched when a slot is first used.
//
// Slots are type-stable: their memory is never unmapped or used for anything else while the slab lives, so
// a stale pointer to a slot can be recognised by what is in it (see operation.h). The slot freed last is
// used next, because it is the one in the cache.
//
// One thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "absl/log/check.h"
#include "uring/memory_region.h"

namespace edge::uring {

template <typename T>
class Slab {
 public:
  // At most `capacity` objects. CHECKs that the address space can be reserved.
  explicit Slab(size_t capacity) : capacity_(capacity) {
    absl::StatusOr<MemoryRegion> memory = MemoryRegion::Map(capacity * sizeof(Slot));
    CHECK_OK(memory);
    memory_ = *std::move(memory);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { CHECK_EQ(in_use_, 0u) << "slab freed with objects in it"; }

  // A new object, or nullptr when all slots are in use.
  template <typename... Arguments>
  T* Allocate(Arguments&&... arguments) {
    Slot* slot = free_;
    if (slot != nullptr) {
      free_ = slot->next_free;
    } else {
      if (touched_ == capacity_) return nullptr;
      slot = slots() + touched_++;
    }
    ++in_use_;
    return new (slot->storage) T(std::forward<Arguments>(arguments)...);
  }

  void Free(T* object) {
    object->~T();
    Slot* slot = reinterpret_cast<Slot*>(object);
    DCHECK(slot >= slots() && slot < slots() + touched_);
    slot->next_free = free_;
    free_ = slot;
    --in_use_;
  }

  size_t in_use() const { return in_use_; }
  size_t capacity() const { return capacity_; }
  // Memory of slots that have been used at least once.
  size_t touched_bytes() const { return touched_ * sizeof(Slot); }
  static constexpr size_t slot_bytes() { return sizeof(Slot); }

 private:
  union Slot {
    Slot* next_free;
    alignas(T) std::byte storage[sizeof(T)];
  };

  Slot* slots() const { return reinterpret_cast<Slot*>(memory_.data()); }

  const size_t capacity_;
  MemoryRegion memory_;
  Slot* free_ = nullptr;
  size_t touched_ = 0;
  size_t in_use_ = 0;
};

}  // namespace edge::uring
