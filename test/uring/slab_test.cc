#include "uring/slab.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace edge::uring {
namespace {

struct Object {
  explicit Object(int value = 0) : number(value) { ++alive; }
  ~Object() { --alive; }
  static inline int alive = 0;
  int number;
  char padding[300];
};

TEST(SlabTest, ConstructsAndDestroysItsObjects) {
  Slab<Object> slab(4);
  Object* object = slab.Allocate(7);
  ASSERT_NE(object, nullptr);
  EXPECT_EQ(object->number, 7);
  EXPECT_EQ(Object::alive, 1);
  EXPECT_EQ(slab.in_use(), 1u);
  slab.Free(object);
  EXPECT_EQ(Object::alive, 0);
  EXPECT_EQ(slab.in_use(), 0u);
}

TEST(SlabTest, IsExhaustedAtItsCapacity) {
  Slab<Object> slab(3);
  EXPECT_EQ(slab.capacity(), 3u);
  Object* objects[3];
  for (Object*& object : objects) ASSERT_NE(object = slab.Allocate(), nullptr);
  EXPECT_EQ(slab.Allocate(), nullptr);
  slab.Free(objects[1]);
  EXPECT_EQ(slab.Allocate(), objects[1]);
  EXPECT_EQ(slab.Allocate(), nullptr);
  for (Object* object : objects) slab.Free(object);
}

TEST(SlabTest, HoldsNothingWithACapacityOfNothing) {
  Slab<Object> slab(0);
  EXPECT_EQ(slab.Allocate(), nullptr);
  EXPECT_EQ(slab.touched_bytes(), 0u);
}

TEST(SlabTest, TheSlotFreedLastIsUsedNext) {
  Slab<Object> slab(8);
  Object* first = slab.Allocate();
  Object* second = slab.Allocate();
  slab.Free(first);
  slab.Free(second);
  EXPECT_EQ(slab.Allocate(), second);
  EXPECT_EQ(slab.Allocate(), first);
  slab.Free(first);
  slab.Free(second);
}

TEST(SlabTest, TouchesMemoryInChunksAndOnlyWhenItIsNeeded) {
  Slab<Object> slab(100'000);
  EXPECT_EQ(slab.touched_bytes(), 0u);
  std::vector<Object*> objects = {slab.Allocate()};
  EXPECT_EQ(slab.touched_bytes(), Slab<Object>::kTouchBytes);
  while (objects.size() < 1'000) {
    objects.push_back(slab.Allocate());
    EXPECT_GE(slab.touched_bytes(), objects.size() * slab.slot_bytes());
    EXPECT_LT(slab.touched_bytes(), objects.size() * slab.slot_bytes() + Slab<Object>::kTouchBytes);
  }
  const size_t touched = slab.touched_bytes();
  for (Object* object : objects) slab.Free(object);
  // What was used once is used again before more is touched.
  for (Object*& object : objects) object = slab.Allocate();
  EXPECT_EQ(slab.touched_bytes(), touched);
  for (Object* object : objects) slab.Free(object);
}

TEST(SlabTest, ObjectsLargerThanAChunkFit) {
  struct Large {
    char bytes[200'000];
  };
  Slab<Large> slab(2);
  Large* first = slab.Allocate();
  Large* second = slab.Allocate();
  first->bytes[199'999] = second->bytes[199'999] = 'x';
  EXPECT_GE(slab.touched_bytes(), 400'000u);
  slab.Free(first);
  slab.Free(second);
}

TEST(SlabTest, KeepsTheAlignmentOfItsObjects) {
  struct alignas(64) Line {
    char byte = 0;
  };
  Slab<Line> slab(10);
  std::vector<Line*> lines;
  for (int i = 0; i < 10; ++i) {
    lines.push_back(slab.Allocate());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(lines.back()) % 64, 0u);
  }
  for (Line* line : lines) slab.Free(line);
}

TEST(SlabTest, SlotsNeverOverlapWhateverTheOrder) {
  constexpr size_t kCapacity = 200;
  std::mt19937 random(1);
  Slab<Object> slab(kCapacity);
  std::vector<Object*> objects;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0) {
      Object* object = slab.Allocate(step);
      ASSERT_EQ(object == nullptr, objects.size() == kCapacity);
      if (object != nullptr) objects.push_back(object);
    } else if (!objects.empty()) {
      std::swap(objects[random() % objects.size()], objects.back());
      slab.Free(objects.back());
      objects.pop_back();
    }
    ASSERT_EQ(slab.in_use(), objects.size());
  }
  EXPECT_EQ(std::set<Object*>(objects.begin(), objects.end()).size(), objects.size());
  for (Object* object : objects) slab.Free(object);
  EXPECT_EQ(Object::alive, 0);
}

TEST(SlabDeathTest, FreeingASlabWithObjectsInItIsABug) {
  EXPECT_DEATH(
      {
        Slab<Object> slab(1);
        slab.Allocate();
      },
      "slab freed with objects in it");
}

#ifndef NDEBUG
TEST(SlabDeathTest, FreeingTwiceIsABug) {
  Slab<Object> slab(2);
  Object* object = slab.Allocate();
  Object* other = slab.Allocate();
  slab.Free(object);
  EXPECT_DEATH(slab.Free(object), "object freed twice");
  slab.Free(other);
}

TEST(SlabDeathTest, FreeingIntoAnotherSlabIsABug) {
  Slab<Object> slab(1);
  Slab<Object> other(1);
  Object* object = slab.Allocate();
  EXPECT_DEATH(other.Free(object), "freed into another slab");
  slab.Free(object);
}
#endif

#ifdef __SANITIZE_ADDRESS__
TEST(SlabDeathTest, AddressSanitizerSeesUseAfterFree) {
  Slab<Object> slab(1);
  Object* object = slab.Allocate();
  slab.Free(object);
  EXPECT_DEATH(*static_cast<volatile int*>(&object->number) = 1, "use-after-poison");
}
#endif

}  // namespace
}  // namespace edge::uring
