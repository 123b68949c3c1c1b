// Anonymous memory for buffers and slabs: reserved at once, backed by pages when they are first
// touched, by the thread that touches them and so on its NUMA node.
//
// Immutable size; move-only. Unmapped when destroyed.

#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"

namespace edge::uring {

class MemoryRegion {
 public:
  enum class Kind {
    kNone,
    kPages,            // the system's ordinary pages
    kTransparentHuge,  // the kernel was asked for huge pages and may give them
    kHuge,             // reserved huge pages (hugetlbfs), all of them backed already
  };
  // For the log: "4 KiB pages", "transparent huge pages", "2 MiB huge pages", "no memory".
  static std::string_view KindName(Kind kind);

  // At least `bytes` bytes, zeroed, aligned to a page. `want_huge`: huge pages where they are to be
  // had; for memory that is used densely, because a huge page is backed as a whole.
  // ResourceExhausted says how much was asked for.
  static absl::StatusOr<MemoryRegion> Map(size_t bytes, bool want_huge = false);

  MemoryRegion() = default;
  MemoryRegion(MemoryRegion&& other) noexcept;
  MemoryRegion& operator=(MemoryRegion&& other) noexcept;
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;
  ~MemoryRegion();

  // Backs these bytes with pages now, in one system call instead of a fault for each page; their
  // content stays. Rounded to whole pages.
  void Touch(size_t offset, size_t length);

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  Kind kind() const { return kind_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  Kind kind_ = Kind::kNone;
};

}  // namespace edge::uring
