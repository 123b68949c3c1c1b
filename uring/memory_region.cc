#include "uring/memory_region.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace edge::uring {
namespace {

constexpr size_t kHugePageBytes = 2 << 20;
constexpr size_t kPageBytes = 4096;

size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

absl::StatusOr<MemoryRegion> MemoryRegion::Map(size_t bytes, bool want_huge) {
  MemoryRegion region;
  if (bytes == 0) return region;
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  if (want_huge && bytes >= kHugePageBytes) {
    // Without MAP_NORESERVE this fails at once when there are not enough huge pages, instead of at the
    // first touch by a signal.
    region.size_ = RoundUp(bytes, kHugePageBytes);
    void* huge = mmap(nullptr, region.size_, kProtection, kFlags | MAP_HUGETLB, -1, 0);
    if (huge != MAP_FAILED) {
      region.data_ = static_cast<std::byte*>(huge);
      region.kind_ = Kind::kHuge;
      return region;
    }
  }
  region.size_ = RoundUp(bytes, kPageBytes);
  void* data = mmap(nullptr, region.size_, kProtection, kFlags | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    region.size_ = 0;
    return absl::ResourceExhaustedError(
        absl::StrCat("mapping ", bytes, " bytes failed: ", std::strerror(errno)));
  }
  region.data_ = static_cast<std::byte*>(data);
  region.kind_ = Kind::kPages;
  if (want_huge && madvise(data, region.size_, MADV_HUGEPAGE) == 0) {
    region.kind_ = Kind::kTransparentHuge;
  }
  return region;
}

MemoryRegion::MemoryRegion(MemoryRegion&& other) noexcept { *this = std::move(other); }

MemoryRegion& MemoryRegion::operator=(MemoryRegion&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(kind_, other.kind_);
  return *this;
}

MemoryRegion::~MemoryRegion() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace edge::uring
