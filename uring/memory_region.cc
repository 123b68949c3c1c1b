#include "uring/memory_region.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "uring/system_file.h"

namespace edge::uring {
namespace {

constexpr size_t kHugePageBytes = 2 << 20;
constexpr size_t kPageBytes = 4096;
constexpr int kProtection = PROT_READ | PROT_WRITE;
constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;

size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// nullptr if there are no huge pages for us.
std::byte* MapHuge(size_t bytes) {
  // Without MAP_NORESERVE this fails at once when there are not enough free huge pages.
  void* data = mmap(nullptr, bytes, kProtection, kFlags | MAP_HUGETLB, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  // A control group's limit on huge pages is checked only when a page is touched, and answered by
  // SIGBUS; in Kubernetes it is 0 unless the pod asks for them. This reports it as an error.
  if (madvise(data, bytes, MADV_POPULATE_WRITE) != 0) {
    munmap(data, bytes);
    return nullptr;
  }
  return static_cast<std::byte*>(data);
}

// Ordinary pages, aligned so that the kernel can put huge ones in their place; nullptr with errno
// set.
std::byte* MapAligned(size_t bytes, size_t alignment) {
  const size_t mapped = bytes + alignment - kPageBytes;
  void* data = mmap(nullptr, mapped, kProtection, kFlags | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  auto* first = static_cast<std::byte*>(data);
  const auto address = reinterpret_cast<uintptr_t>(first);
  const size_t before = RoundUp(address, alignment) - address;
  const size_t after = mapped - before - bytes;
  if (before > 0) munmap(first, before);
  if (after > 0) munmap(first + before + bytes, after);
  return first + before;
}

// madvise(2) succeeds as well where the administrator has turned them off.
bool TransparentHugePagesAllowed() {
  const auto enabled = ReadSystemFile("/", "sys/kernel/mm/transparent_hugepage/enabled");
  return enabled.has_value() && !absl::StrContains(*enabled, "[never]");
}

}  // namespace

std::string_view MemoryRegion::KindName(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "no memory";
    case Kind::kPages:
      return "4 KiB pages";
    case Kind::kTransparentHuge:
      return "transparent huge pages";
    case Kind::kHuge:
      return "2 MiB huge pages";
  }
  return "unknown";
}

absl::StatusOr<MemoryRegion> MemoryRegion::Map(size_t bytes, bool want_huge) {
  MemoryRegion region;
  if (bytes == 0) return region;
  const auto failed = [bytes](int error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("mapping ", bytes, " bytes failed: ", std::strerror(error)));
  };
  if (bytes > SIZE_MAX / 2) return failed(ENOMEM);  // so that rounding cannot overflow

  want_huge = want_huge && bytes >= kHugePageBytes;
  if (want_huge) {
    const size_t size = RoundUp(bytes, kHugePageBytes);
    if (std::byte* data = MapHuge(size); data != nullptr) {
      region.data_ = data;
      region.size_ = size;
      region.kind_ = Kind::kHuge;
      return region;
    }
  }
  const size_t size = RoundUp(bytes, kPageBytes);
  std::byte* data = MapAligned(size, want_huge ? kHugePageBytes : kPageBytes);
  if (data == nullptr) return failed(errno);
  region.data_ = data;
  region.size_ = size;
  region.kind_ = Kind::kPages;
  if (want_huge && TransparentHugePagesAllowed() && madvise(data, size, MADV_HUGEPAGE) == 0) {
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

void MemoryRegion::Touch(size_t offset, size_t length) {
  CHECK_LE(offset, size_);
  CHECK_LE(length, size_ - offset);
  if (length == 0) return;
  const size_t first = offset / kPageBytes * kPageBytes;
  const size_t last = RoundUp(offset + length, kPageBytes);
  // Linux 5.14. If it fails, pages come as they always do, one by one on their first use.
  madvise(data_ + first, last - first, MADV_POPULATE_WRITE);
}

}  // namespace edge::uring
