#include "uring/memory_region.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace edge::uring {
namespace {

constexpr size_t kPage = 4096;

size_t PagesBacked(const MemoryRegion& region) {
  std::vector<unsigned char> pages(region.size() / kPage);
  EXPECT_EQ(mincore(region.data(), region.size(), pages.data()), 0);
  return static_cast<size_t>(
      std::count_if(pages.begin(), pages.end(), [](int c) { return c & 1; }));
}

TEST(MemoryRegionTest, IsRoundedToPagesZeroedAndNotYetBacked) {
  const auto region = MemoryRegion::Map(10 * kPage + 1);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ(region->size(), 11 * kPage);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region->data()) % kPage, 0u);
  EXPECT_EQ(region->kind(), MemoryRegion::Kind::kPages);
  EXPECT_EQ(PagesBacked(*region), 0u);
  EXPECT_TRUE(std::all_of(region->data(), region->data() + region->size(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(MemoryRegionTest, NothingIsARegionToo) {
  auto region = MemoryRegion::Map(0);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(region->size(), 0u);
  EXPECT_EQ(region->kind(), MemoryRegion::Kind::kNone);
  region->Touch(0, 0);
}

TEST(MemoryRegionTest, TouchBacksThePagesOfTheRangeAndKeepsTheirContent) {
  auto region = MemoryRegion::Map(16 * kPage);
  ASSERT_TRUE(region.ok());
  region->data()[2 * kPage] = std::byte{42};
  EXPECT_EQ(PagesBacked(*region), 1u);
  region->Touch(2 * kPage - 1, 2 * kPage);  // parts of pages 1 and 3, all of page 2
  EXPECT_EQ(PagesBacked(*region), 3u);
  EXPECT_EQ(region->data()[2 * kPage], std::byte{42});
  region->Touch(0, region->size());
  EXPECT_EQ(PagesBacked(*region), 16u);
}

TEST(MemoryRegionDeathTest, TouchingWhatIsNotThereIsABug) {
  auto region = MemoryRegion::Map(kPage);
  ASSERT_TRUE(region.ok());
  EXPECT_DEATH(region->Touch(0, kPage + 1), "");
  EXPECT_DEATH(region->Touch(kPage + 1, 0), "");
  EXPECT_DEATH(region->Touch(1, SIZE_MAX), "");
}

TEST(MemoryRegionTest, MovesAndLeavesNothingBehind) {
  auto mapped = MemoryRegion::Map(kPage);
  ASSERT_TRUE(mapped.ok());
  std::byte* const data = mapped->data();
  MemoryRegion region = *std::move(mapped);
  EXPECT_EQ(region.data(), data);
  MemoryRegion other;
  other = std::move(region);
  EXPECT_EQ(other.data(), data);
  EXPECT_EQ(other.size(), kPage);
}

TEST(MemoryRegionTest, HugePagesOrWhatComesClosest) {
  constexpr size_t kHuge = 2 << 20;
  auto region = MemoryRegion::Map(3 * kHuge + 1, /*want_huge=*/true);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_GE(region->size(), 3 * kHuge + 1);
  // Whichever this machine has, huge pages must fit in.
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region->data()) % kHuge, 0u);
  region->Touch(0, region->size());
  region->data()[region->size() - 1] = std::byte{1};
}

TEST(MemoryRegionTest, SmallRegionsAreNotWorthAHugePage) {
  auto region = MemoryRegion::Map(64 << 10, /*want_huge=*/true);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(region->size(), size_t{64} << 10);
  EXPECT_EQ(region->kind(), MemoryRegion::Kind::kPages);
}

TEST(MemoryRegionTest, MoreThanThereIsRoomForIsAnErrorThatSaysHowMuch) {
  for (const bool want_huge : {false, true}) {
    for (const size_t bytes : {size_t{1} << 60, SIZE_MAX}) {
      const auto region = MemoryRegion::Map(bytes, want_huge);
      EXPECT_EQ(region.status().code(), absl::StatusCode::kResourceExhausted);
      EXPECT_THAT(region.status().message(), testing::HasSubstr(std::to_string(bytes)));
    }
  }
}

TEST(MemoryRegionTest, KindsHaveNames) {
  EXPECT_EQ(MemoryRegion::KindName(MemoryRegion::Kind::kPages), "4 KiB pages");
  EXPECT_EQ(MemoryRegion::KindName(MemoryRegion::Kind::kTransparentHuge), "transparent huge pages");
  EXPECT_EQ(MemoryRegion::KindName(MemoryRegion::Kind::kHuge), "2 MiB huge pages");
  EXPECT_EQ(MemoryRegion::KindName(MemoryRegion::Kind::kNone), "no memory");
}

}  // namespace
}  // namespace edge::uring
