#include "tls/record_pool.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "absl/base/config.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "openssl/mem.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace edge::tls {
namespace {

// The free lists of one thread. Trivially destructible, so that frees which run while the thread's
// other thread_locals are destroyed still find it; ThreadExit empties it.
struct FreeLists {
  std::array<RecordBlock*, kRecordSizeClasses> heads = {};
  std::array<uint32_t, kRecordSizeClasses> counts = {};
  RecordPoolLimits limits;
  RecordPoolStats stats;
  // The block that BoringSSL asked for last, while it owns it: the only one that Pin considers.
  RecordBlock* last_allocated = nullptr;
  bool thread_exit_registered = false;
};

constinit thread_local FreeLists free_lists;

// Gives the cached blocks back when the thread ends, and lets nothing be cached after that.
struct ThreadExit {
  ~ThreadExit() { RecordPool::SetLimits({.blocks_max = {}}); }
};

ABSL_ATTRIBUTE_NOINLINE void RegisterThreadExit(FreeLists& lists) {
  // Control passing through here registers its destructor.
  thread_local ThreadExit thread_exit;
  lists.thread_exit_registered = true;
}

// Makes AddressSanitizer see the pool as it sees malloc: what is cached, and what lies behind the
// bytes that were asked for, must not be touched.
void AllowAccess([[maybe_unused]] RecordBlock* block, [[maybe_unused]] size_t payload_bytes) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  ASAN_POISON_MEMORY_REGION(block->payload(), block->payload_bytes());
  ASAN_UNPOISON_MEMORY_REGION(block->payload(), payload_bytes);
#endif
}

size_t SizeClassOf(size_t block_bytes) {
  size_t size_class = 0;
  while (size_class < kRecordSizeClasses && kRecordBlockBytes[size_class] < block_bytes) {
    ++size_class;
  }
  return size_class;
}

void ReleaseToSystem(FreeLists& lists, RecordBlock* block) {
  ++lists.stats.system_frees;
  AllowAccess(block, block->payload_bytes());
  // What clients and origins said to one another does not stay behind in free memory.
  OPENSSL_cleanse(block->payload(), block->payload_bytes());
  std::free(block);
}

RecordBlock* PopCached(FreeLists& lists, size_t size_class) {
  RecordBlock* block = lists.heads[size_class];
  lists.heads[size_class] = block->next;
  --lists.counts[size_class];
  --lists.stats.blocks_cached;
  lists.stats.bytes_cached -= block->block_bytes;
  return block;
}

RecordBlock* AllocateFromSystem(FreeLists& lists, size_t size_class, size_t wanted_bytes) {
  const bool oversize = size_class == kRecordSizeClasses;
  const size_t block_bytes = oversize ? wanted_bytes : kRecordBlockBytes[size_class];
  if (block_bytes > UINT32_MAX) return nullptr;
  void* memory = std::malloc(block_bytes);
  if (memory == nullptr) return nullptr;
  auto* block = new (memory) RecordBlock;
  block->block_bytes = static_cast<uint32_t>(block_bytes);
  block->size_class = static_cast<uint8_t>(size_class);
  ++lists.stats.system_allocations;
  if (oversize) ++lists.stats.oversize_allocations;
  return block;
}

RecordBlock* Allocate(FreeLists& lists, size_t payload_bytes, RecordBlock::State state) {
  const size_t wanted_bytes = payload_bytes + sizeof(RecordBlock);
  if (ABSL_PREDICT_FALSE(wanted_bytes < payload_bytes)) return nullptr;
  const size_t size_class = SizeClassOf(wanted_bytes);
  RecordBlock* block;
  if (ABSL_PREDICT_TRUE(size_class < kRecordSizeClasses && lists.heads[size_class] != nullptr)) {
    block = PopCached(lists, size_class);
    ++lists.stats.pool_hits;
  } else {
    block = AllocateFromSystem(lists, size_class, wanted_bytes);
    if (block == nullptr) return nullptr;
  }
  AllowAccess(block, payload_bytes);
  ++lists.stats.blocks_in_use;
  lists.stats.bytes_in_use += block->block_bytes;
  block->next = nullptr;
  block->data = nullptr;
  block->size = 0;
  block->state = state;
  return block;
}

void Release(FreeLists& lists, RecordBlock* block) {
  const size_t size_class = block->size_class;
  --lists.stats.blocks_in_use;
  lists.stats.bytes_in_use -= block->block_bytes;
  block->state = RecordBlock::State::kCached;
  if (size_class == kRecordSizeClasses ||
      lists.counts[size_class] >= lists.limits.blocks_max[size_class]) {
    ReleaseToSystem(lists, block);
    return;
  }
  if (ABSL_PREDICT_FALSE(!lists.thread_exit_registered)) RegisterThreadExit(lists);
  AllowAccess(block, 0);
  block->next = lists.heads[size_class];
  lists.heads[size_class] = block;
  ++lists.counts[size_class];
  ++lists.stats.blocks_cached;
  lists.stats.bytes_cached += block->block_bytes;
}

void TrimTo(FreeLists& lists, const RecordPoolLimits& limits) {
  for (size_t i = 0; i < kRecordSizeClasses; ++i) {
    while (lists.counts[i] > limits.blocks_max[i]) ReleaseToSystem(lists, PopCached(lists, i));
  }
}

}  // namespace

void RecordPool::SetLimits(const RecordPoolLimits& limits) {
  free_lists.limits = limits;
  TrimTo(free_lists, limits);
}

void RecordPool::Trim() { TrimTo(free_lists, {.blocks_max = {}}); }

const RecordPoolStats& RecordPool::Stats() { return free_lists.stats; }

void RecordPool::BeginCall() { free_lists.last_allocated = nullptr; }

RecordBlock* RecordPool::Pin(const void* data, size_t size) {
  RecordBlock* block = free_lists.last_allocated;
  if (block == nullptr || size == 0) return nullptr;
  // Compared as numbers: `data` may point anywhere.
  const auto begin = reinterpret_cast<uintptr_t>(block->payload());
  const auto wanted = reinterpret_cast<uintptr_t>(data);
  if (wanted < begin || wanted - begin > block->payload_bytes() ||
      size > block->payload_bytes() - (wanted - begin)) {
    return nullptr;
  }
  if (block->state != RecordBlock::State::kLibrary) return nullptr;
  block->state = RecordBlock::State::kShared;
  block->data = static_cast<const std::byte*>(data);
  block->size = static_cast<uint32_t>(size);
  ++free_lists.stats.pins;
  return block;
}

RecordBlock* RecordPool::PinCopy(const void* data, size_t size) {
  RecordBlock* block = Allocate(free_lists, size, RecordBlock::State::kPinned);
  if (block == nullptr) return nullptr;
  std::memcpy(block->payload(), data, size);
  block->data = block->payload();
  block->size = static_cast<uint32_t>(size);
  ++free_lists.stats.copies;
  return block;
}

void RecordPool::Unpin(RecordBlock* block) {
  if (block->state == RecordBlock::State::kShared) {
    block->state = RecordBlock::State::kLibrary;
    return;
  }
  CHECK(block->state == RecordBlock::State::kPinned) << "unpinned twice";
  Release(free_lists, block);
}

}  // namespace edge::tls

// BoringSSL's side; see the wrapper of ssl_buffer.cc in the build of BoringSSL. May run with locks
// of BoringSSL held, so nothing here calls into it but for wiping.
extern "C" void* edge_tls_record_alloc(size_t size) {
  using edge::tls::RecordBlock;
  RecordBlock* block =
      edge::tls::Allocate(edge::tls::free_lists, size, RecordBlock::State::kLibrary);
  if (block == nullptr) return nullptr;
  edge::tls::free_lists.last_allocated = block;
  return block->payload();
}

extern "C" void edge_tls_record_free(void* data) {
  using edge::tls::RecordBlock;
  if (data == nullptr) return;
  RecordBlock* block = static_cast<RecordBlock*>(data) - 1;
  if (edge::tls::free_lists.last_allocated == block) edge::tls::free_lists.last_allocated = nullptr;
  if (block->state == RecordBlock::State::kShared) {
    block->state = RecordBlock::State::kPinned;
    return;
  }
  CHECK(block->state == RecordBlock::State::kLibrary) << "freed twice";
  edge::tls::Release(edge::tls::free_lists, block);
}
