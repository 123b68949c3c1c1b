#include "tls/record_pool.h"

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tls/ciphertext_queue.h"

// The two calls that BoringSSL's record layer makes.
extern "C" void* edge_tls_record_alloc(size_t size);
extern "C" void edge_tls_record_free(void* data);

namespace edge::tls {
namespace {

// Every test starts with empty free lists and the default limits, and leaves nothing in use.
class RecordPoolTest : public ::testing::Test {
 protected:
  RecordPoolTest() {
    RecordPool::Trim();
    RecordPool::SetLimits({});
    before_ = RecordPool::Stats();
  }
  ~RecordPoolTest() override {
    EXPECT_EQ(RecordPool::Stats().blocks_in_use, before_.blocks_in_use);
    EXPECT_EQ(RecordPool::Stats().bytes_in_use, before_.bytes_in_use);
  }

  uint64_t system_allocations() const {
    return RecordPool::Stats().system_allocations - before_.system_allocations;
  }
  uint64_t system_frees() const { return RecordPool::Stats().system_frees - before_.system_frees; }
  uint64_t pool_hits() const { return RecordPool::Stats().pool_hits - before_.pool_hits; }

  RecordPoolStats before_;
};

// A record as BoringSSL makes one: allocated, filled, offered to the transport at an offset.
char* NewRecord(size_t bytes, char fill) {
  char* data = static_cast<char*>(edge_tls_record_alloc(bytes));
  std::memset(data, fill, bytes);
  return data;
}

TEST_F(RecordPoolTest, FreedBlockIsUsedAgainForTheSameClass) {
  void* first = edge_tls_record_alloc(1000);
  edge_tls_record_free(first);
  void* second = edge_tls_record_alloc(1900);
  EXPECT_EQ(first, second);
  edge_tls_record_free(second);
  EXPECT_EQ(system_allocations(), 1u);
  EXPECT_EQ(pool_hits(), 1u);
}

TEST_F(RecordPoolTest, EverySizeOfRecordFitsAClass) {
  // 16 KiB of plaintext, the largest overhead (RFC 8446 section 5.2 allows 256 bytes, TLS 1.2
  // 2048 of which BoringSSL accepts 320), header, alignment.
  constexpr size_t kLargestRecord = 16384 + 320 + 5 + 7;
  std::vector<void*> blocks;
  for (size_t bytes = 6; bytes <= kLargestRecord; bytes += 37) {
    blocks.push_back(edge_tls_record_alloc(bytes));
  }
  blocks.push_back(edge_tls_record_alloc(kLargestRecord));
  EXPECT_EQ(RecordPool::Stats().oversize_allocations, before_.oversize_allocations);
  for (void* block : blocks) edge_tls_record_free(block);
}

TEST_F(RecordPoolTest, OversizeBlocksAreNotKept) {
  void* large = edge_tls_record_alloc(60000);
  edge_tls_record_free(large);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 0);
  EXPECT_EQ(RecordPool::Stats().oversize_allocations, before_.oversize_allocations + 1);
  EXPECT_EQ(system_frees(), 1u);
}

TEST_F(RecordPoolTest, FreeListIsBounded) {
  RecordPool::SetLimits({.blocks_max = {2, 0, 0}});
  std::vector<void*> blocks(5);
  for (void*& block : blocks) block = edge_tls_record_alloc(100);
  for (void* block : blocks) edge_tls_record_free(block);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 2);
  EXPECT_EQ(RecordPool::Stats().bytes_cached, 2 * int64_t{kRecordBlockBytes[0]});
  EXPECT_EQ(system_frees(), 3u);
  RecordPool::SetLimits({.blocks_max = {1, 0, 0}});
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 1);
  RecordPool::Trim();
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 0);
}

TEST_F(RecordPoolTest, PinnedBlockOutlivesItsFree) {
  char* record = NewRecord(100, 'a');
  RecordBlock* block = RecordPool::Pin(record + 3, 90);
  ASSERT_NE(block, nullptr);
  edge_tls_record_free(record);
  // Would be handed out now if it had been freed.
  char* other = NewRecord(100, 'b');
  EXPECT_NE(other, record);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(block->data), block->size),
            std::string(90, 'a'));
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 0);
  RecordPool::Unpin(block);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 1);
  edge_tls_record_free(other);
}

TEST_F(RecordPoolTest, UnpinBeforeFreeLeavesTheBlockWithItsOwner) {
  char* record = NewRecord(100, 'a');
  RecordBlock* block = RecordPool::Pin(record, 100);
  ASSERT_NE(block, nullptr);
  RecordPool::Unpin(block);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 0);
  edge_tls_record_free(record);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 1);
}

TEST_F(RecordPoolTest, OnlyTheLastAllocatedBlockCanBePinned) {
  char* first = NewRecord(100, 'a');
  char* second = NewRecord(100, 'b');
  char elsewhere[10] = {};
  EXPECT_EQ(RecordPool::Pin(first, 10), nullptr);
  EXPECT_EQ(RecordPool::Pin(elsewhere, sizeof(elsewhere)), nullptr);
  EXPECT_EQ(RecordPool::Pin(second, 0), nullptr);
  EXPECT_EQ(RecordPool::Pin(second - 1, 10), nullptr);
  EXPECT_EQ(RecordPool::Pin(second, kRecordBlockBytes[0]), nullptr);
  edge_tls_record_free(second);
  EXPECT_EQ(RecordPool::Pin(second, 10), nullptr);
  edge_tls_record_free(first);
}

TEST_F(RecordPoolTest, BlocksOfEarlierCallsAreNotLookedAt) {
  char* record = NewRecord(100, 'a');
  std::thread([record] {
    RecordPool::SetLimits({.blocks_max = {}});
    edge_tls_record_free(record);  // to the system: reading its header would be a use after free
  }).join();
  RecordPool::BeginCall();
  char elsewhere[10] = {};
  EXPECT_EQ(RecordPool::Pin(elsewhere, sizeof(elsewhere)), nullptr);
  before_ = RecordPool::Stats();
}

TEST_F(RecordPoolTest, ABlockIsPinnedOnce) {
  char* record = NewRecord(100, 'a');
  RecordBlock* block = RecordPool::Pin(record, 50);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(RecordPool::Pin(record + 50, 50), nullptr);
  edge_tls_record_free(record);
  RecordPool::Unpin(block);
}

TEST_F(RecordPoolTest, FreeingNothingIsAllowed) { edge_tls_record_free(nullptr); }

TEST_F(RecordPoolTest, BlocksFreedOnAnotherThreadStayThere) {
  std::vector<void*> blocks(100);
  for (void*& block : blocks) block = edge_tls_record_alloc(100);
  int64_t cached_there = 0;
  std::thread([&] {
    for (void* block : blocks) edge_tls_record_free(block);
    cached_there = RecordPool::Stats().blocks_cached;
    // And come from there again.
    void* again = edge_tls_record_alloc(100);
    EXPECT_EQ(RecordPool::Stats().pool_hits, 1u);
    edge_tls_record_free(again);
  }).join();
  EXPECT_EQ(cached_there, 100);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 0);
  // This thread's count drifts, as record_pool.h says.
  EXPECT_EQ(RecordPool::Stats().blocks_in_use, before_.blocks_in_use + 100);
  before_ = RecordPool::Stats();
}

TEST_F(RecordPoolTest, BlocksFreedWhileAThreadEndsGoBackToTheSystem) {
  // A thread_local that is constructed before the pool's and therefore destroyed after it.
  struct FreesLate {
    void* block = nullptr;
    ~FreesLate() { edge_tls_record_free(block); }
  };
  std::thread([] {
    thread_local FreesLate late;
    late.block = edge_tls_record_alloc(100);
    edge_tls_record_free(edge_tls_record_alloc(100));
    EXPECT_EQ(RecordPool::Stats().blocks_cached, 1);
  }).join();
  // LeakSanitizer judges.
}

class CiphertextQueueTest : public RecordPoolTest {
 protected:
  static void Push(CiphertextQueue& queue, size_t bytes, char fill) {
    char* record = NewRecord(bytes + 2, '?');
    std::memset(record + 1, fill, bytes);
    RecordBlock* block = RecordPool::Pin(record + 1, bytes);
    ASSERT_NE(block, nullptr);
    edge_tls_record_free(record);
    queue.Push(block);
  }

  static std::string Text(std::span<const iovec> pieces) {
    std::string text;
    for (const iovec& piece : pieces) {
      text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    return text;
  }
};

TEST_F(CiphertextQueueTest, KeepsOrderAcrossPartialSends) {
  CiphertextQueue queue;
  Push(queue, 3, 'a');
  Push(queue, 3, 'b');
  Push(queue, 3, 'c');
  EXPECT_EQ(queue.count(), 3u);
  EXPECT_EQ(queue.bytes(), 9u);
  iovec pieces[8];
  size_t count = queue.FillIovec(pieces);
  EXPECT_EQ(Text({pieces, count}), "aaabbbccc");
  queue.Consume(4);
  EXPECT_EQ(queue.count(), 2u);
  EXPECT_EQ(queue.bytes(), 5u);
  count = queue.FillIovec(pieces);
  EXPECT_EQ(Text({pieces, count}), "bbccc");
  queue.Consume(0);
  count = queue.FillIovec(pieces);
  EXPECT_EQ(Text({pieces, count}), "bbccc");
  queue.Consume(5);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 3);
}

TEST_F(CiphertextQueueTest, LimitsEntriesAndBytes) {
  CiphertextQueue queue;
  Push(queue, 3, 'a');
  Push(queue, 3, 'b');
  iovec pieces[8];
  EXPECT_EQ(queue.FillIovec({pieces, 1}), 1u);
  EXPECT_EQ(Text({pieces, 1}), "aaa");
  EXPECT_EQ(queue.FillIovec(pieces, 4), 2u);
  EXPECT_EQ(Text({pieces, 2}), "aaab");
  EXPECT_EQ(queue.FillIovec(pieces, 0), 0u);
  queue.Consume(6);
}

TEST_F(CiphertextQueueTest, SentBlocksReturnAtOnceAndUnsentOnesStay) {
  CiphertextQueue queue;
  Push(queue, 100, 'a');
  Push(queue, 100, 'b');
  iovec pieces[2];
  ASSERT_EQ(queue.FillIovec(pieces), 2u);
  queue.Consume(100);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 1);
  // The freed block is used for the next record, the waiting one is not touched.
  Push(queue, 100, 'c');
  ASSERT_EQ(queue.FillIovec(pieces), 2u);
  EXPECT_EQ(Text(pieces), std::string(100, 'b') + std::string(100, 'c'));
  queue.Consume(200);
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 2);
}

TEST_F(CiphertextQueueTest, GrowsWhileASendIsInFlight) {
  CiphertextQueue queue;
  Push(queue, 3, 'a');
  iovec pieces[8];
  ASSERT_EQ(queue.FillIovec(pieces), 1u);
  EXPECT_TRUE(queue.lent());
  Push(queue, 3, 'b');
  EXPECT_EQ(Text({pieces, 1}), "aaa");
  queue.Consume(3);
  EXPECT_FALSE(queue.lent());
  EXPECT_EQ(queue.bytes(), 3u);
}

TEST_F(CiphertextQueueTest, MovesWithItsBlocksInFlight) {
  CiphertextQueue queue;
  Push(queue, 3, 'a');
  iovec pieces[1];
  ASSERT_EQ(queue.FillIovec(pieces), 1u);
  CiphertextQueue moved = std::move(queue);
  EXPECT_TRUE(queue.empty());  // NOLINT(*-use-after-move,*.Move): defined to be empty
  EXPECT_FALSE(queue.lent());
  EXPECT_TRUE(moved.lent());
  EXPECT_EQ(Text(pieces), "aaa");
  moved.Consume(1);
  queue = std::move(moved);
  EXPECT_EQ(queue.bytes(), 2u);
}

TEST_F(CiphertextQueueTest, UnsentBlocksReturnWhenTheQueueIsDestroyed) {
  {
    CiphertextQueue queue;
    Push(queue, 3, 'a');
    Push(queue, 3, 'b');
  }
  EXPECT_EQ(RecordPool::Stats().blocks_cached, 2);
}

TEST(CiphertextQueueDeathTest, RefusesToForgetASendInFlight) {
  EXPECT_DEATH(
      {
        CiphertextQueue queue;
        queue.Push(RecordPool::PinCopy("abc", 3));
        iovec pieces[1];
        queue.FillIovec(pieces);
        queue.Clear();
      },
      "a send is in flight");
}

TEST(CiphertextQueueDeathTest, RefusesToConsumeMoreThanThereIs) {
  EXPECT_DEATH(
      {
        CiphertextQueue queue;
        queue.Push(RecordPool::PinCopy("abc", 3));
        queue.Consume(4);
      },
      "bytes <= bytes_");
}

}  // namespace
}  // namespace edge::tls
