#include "uring/bounded_queue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace edge::uring {
namespace {

TEST(BoundedQueueTest, FirstInIsFirstOut) {
  BoundedQueue<int> queue(4);
  int items[3] = {};
  EXPECT_TRUE(queue.Empty());
  for (int& item : items) EXPECT_TRUE(queue.TryPush(&item));
  EXPECT_FALSE(queue.Empty());
  EXPECT_EQ(queue.SizeEstimate(), 3u);
  for (int& item : items) EXPECT_EQ(queue.TryPop(), &item);
  EXPECT_EQ(queue.TryPop(), nullptr);
  EXPECT_TRUE(queue.Empty());
}

TEST(BoundedQueueTest, AFullQueueTakesNothingAndLosesNothing) {
  BoundedQueue<int> queue(3);  // has room for four
  int items[5] = {};
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(queue.TryPush(&items[i]));
  EXPECT_FALSE(queue.TryPush(&items[4]));
  EXPECT_EQ(queue.TryPop(), &items[0]);
  EXPECT_TRUE(queue.TryPush(&items[4]));
  EXPECT_FALSE(queue.TryPush(&items[0]));
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(queue.TryPop(), &items[i]);
}

TEST(BoundedQueueTest, GoesRoundManyTimes) {
  BoundedQueue<int> queue(2);
  int items[2] = {};
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(queue.TryPush(&items[i % 2]));
    ASSERT_EQ(queue.TryPop(), &items[i % 2]);
    ASSERT_TRUE(queue.Empty());
  }
}

// Runs `when_claimed`, once, when somebody has claimed a cell and not yet touched it.
std::function<void()>* when_claimed = nullptr;
template <typename T>
struct StoppedWhenClaiming : std::atomic<T> {
  using std::atomic<T>::atomic;
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order) {
    if (!std::atomic<T>::compare_exchange_weak(expected, desired, order)) return false;
    if (when_claimed != nullptr) (*std::exchange(when_claimed, nullptr))();
    return true;
  }
};

TEST(BoundedQueueTest, IsFullBehindAPopperThatStopsHalfWayAndLosesNothing) {
  BoundedQueue<int, StoppedWhenClaiming> queue(4);
  std::vector<int> items(8);
  ASSERT_TRUE(queue.TryPush(&items[0]));
  ASSERT_TRUE(queue.TryPush(&items[1]));
  std::function<void()> meanwhile = [&] {
    // Others go round: never more than two are in the queue.
    EXPECT_EQ(queue.TryPop(), &items[1]);
    ASSERT_TRUE(queue.TryPush(&items[2]));
    ASSERT_TRUE(queue.TryPush(&items[3]));
    EXPECT_EQ(queue.TryPop(), &items[2]);
    EXPECT_FALSE(queue.TryPush(&items[4])) << "its cell is still being emptied";
    EXPECT_EQ(queue.TryPop(), &items[3]);
    EXPECT_EQ(queue.TryPop(), nullptr);
  };
  when_claimed = &meanwhile;
  EXPECT_EQ(queue.TryPop(), &items[0]);
  EXPECT_TRUE(queue.TryPush(&items[4]));
  EXPECT_EQ(queue.TryPop(), &items[4]);
}

TEST(BoundedQueueTest, EachItemOfManyThreadsComesOutOnceAndInItsPushersOrder) {
  constexpr size_t kPushers = 3;
  constexpr size_t kPoppers = 3;
  constexpr size_t kEach = 20'000;
  struct Item {
    size_t pusher = 0;
    size_t number = 0;
    std::atomic<int> popped{0};
  };
  BoundedQueue<Item> queue(64);
  std::vector<std::vector<Item>> items;
  for (size_t p = 0; p < kPushers; ++p) items.emplace_back(kEach);
  std::atomic<size_t> left{kPushers * kEach};
  std::vector<std::thread> threads;
  for (size_t p = 0; p < kPushers; ++p) {
    threads.emplace_back([&, p] {
      for (size_t i = 0; i < kEach; ++i) {
        items[p][i].pusher = p;
        items[p][i].number = i;
        while (!queue.TryPush(&items[p][i])) std::this_thread::yield();
      }
    });
  }
  for (size_t i = 0; i < kPoppers; ++i) {
    threads.emplace_back([&] {
      size_t next[kPushers] = {};
      while (left.load() > 0) {
        Item* item = queue.TryPop();
        if (item == nullptr) {
          std::this_thread::yield();
          continue;
        }
        EXPECT_GE(item->number, next[item->pusher]) << "one popper sees a pusher's order";
        next[item->pusher] = item->number + 1;
        item->popped.fetch_add(1);
        left.fetch_sub(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& of_one : items) {
    for (const Item& item : of_one) ASSERT_EQ(item.popped.load(), 1);
  }
  EXPECT_TRUE(queue.Empty());
}

}  // namespace
}  // namespace edge::uring
