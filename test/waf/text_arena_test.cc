#include "proxy/waf/engine/text_arena.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace edge::waf {
namespace {

TEST(TextArenaTest, TextsStayWhereTheyAre) {
  TextArena arena;
  std::vector<std::string_view> copies;
  for (int i = 0; i < 10000; ++i) copies.push_back(arena.Copy(absl::StrCat("text ", i)));
  for (int i = 0; i < 10000; ++i) EXPECT_EQ(copies[i], absl::StrCat("text ", i));
}

TEST(TextArenaTest, EmptyTextNeedsNoMemory) {
  TextArena arena;
  EXPECT_EQ(arena.Copy(""), "");
  EXPECT_EQ(arena.allocated_bytes(), 0);
}

TEST(TextArenaTest, PlacesAreAligned) {
  TextArena arena;
  for (const size_t bytes : {1, 3, 17, 40000, 1}) {
    const char* place = arena.Allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(place) % alignof(std::max_align_t), 0) << bytes;
  }
}

TEST(TextArenaTest, ShrunkTextLeavesItsRestToTheNext) {
  TextArena arena;
  char* first = arena.Allocate(10000);
  std::memcpy(first, "abc", 3);
  arena.Shrink(10000, 3);
  char* second = arena.Allocate(100);
  EXPECT_EQ(second - first, alignof(std::max_align_t));
  std::memset(second, 'x', 100);
  EXPECT_EQ(std::string_view(first, 3), "abc");
}

TEST(TextArenaTest, TextLargerThanBlockIsContiguous) {
  TextArena arena;
  const std::string large(TextArena::kBlockBytes * 3 + 1, 'y');
  EXPECT_EQ(arena.Copy(large), large);
  EXPECT_EQ(arena.Copy("z"), "z");
}

TEST(TextArenaTest, SecondRequestAllocatesNothing) {
  TextArena arena;
  const auto use = [&arena] {
    for (int i = 0; i < 3000; ++i) arena.Copy("a name of some length");
    arena.Copy(std::string(TextArena::kBlockBytes + 1, 'a'));
  };
  use();
  const size_t allocated = arena.allocated_bytes();
  for (int round = 0; round < 10; ++round) {
    arena.Clear();
    use();
  }
  EXPECT_EQ(arena.allocated_bytes(), allocated);
}

TEST(TextArenaTest, MemoryOfLargeRequestIsGivenBack) {
  TextArena arena;
  arena.Copy("small");
  arena.Allocate(TextArena::kKeptBytes * 8);
  for (int i = 0; i < 1000; ++i) arena.Allocate(TextArena::kBlockBytes);
  arena.Clear();
  EXPECT_LE(arena.allocated_bytes(), TextArena::kKeptBytes);
  EXPECT_GE(arena.allocated_bytes(), TextArena::kBlockBytes);
}

TEST(TextArenaTest, WhatIsOverTheBudgetIsGivenAndTold) {
  TextArena arena;
  arena.Allocate(TextArena::kBudgetBytes);
  EXPECT_FALSE(arena.over_budget());
  EXPECT_EQ(arena.Copy("more"), "more");
  EXPECT_TRUE(arena.over_budget());
  arena.Clear();
  EXPECT_FALSE(arena.over_budget());
}

}  // namespace
}  // namespace edge::waf
