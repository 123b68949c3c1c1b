// Memory of TLS records: blocks that BoringSSL seals into and opens from, and that the kernel sends
// from.
//
// BoringSSL allocates a buffer for every record and frees it as soon as the record has been read or
// handed to the transport. Two things follow. First, that must not be malloc: blocks come from free
// lists of the calling thread, in three size classes, and reach malloc only until the lists are
// warm. An idle connection holds no block. Second, the buffer that a record was sealed into can go
// to sendmsg(2) itself: the transport *pins* the block, BoringSSL's free only takes note, and the
// block returns to the pool when it is unpinned, once the kernel has taken the bytes. No ciphertext
// is copied.
//
// How BoringSSL gets here: its ssl_buffer.cc calls malloc and free directly, not OPENSSL_malloc, so
// the hooks OPENSSL_memory_alloc/free cannot reach it. The build compiles that one file with the
// two calls renamed to edge_tls_record_alloc and edge_tls_record_free, which record_pool.cc
// defines. Everything else in BoringSSL stays on malloc and is wiped when freed.
//
// Threads: every function works on the calling thread's free lists. A block belongs to nobody: it
// may be freed on another thread than the one that allocated it, and then joins that thread's list.
// The lists are released when the thread ends; blocks freed after that go back to malloc.
//
// Blocks are not wiped between uses. Pinned blocks hold ciphertext; a block that a record was
// opened in holds plaintext, and is only ever handed to BoringSSL again, which overwrites what it
// reads. They are wiped before they go back to the system.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace edge::tls {

// Size classes, in bytes of a whole block. A block for a record of n bytes needs n + 22 (header,
// tag, TLS 1.3 type) or n + 29 (TLS 1.2), up to 7 for alignment, and sizeof(RecordBlock).
inline constexpr std::array<uint32_t, 3> kRecordBlockBytes = {
    2048,   // a request, a response of 1 KiB with its head
    4608,   // what fits a 4 KiB provided buffer
    17408,  // a full 16 KiB record, also with two session tickets in front of the first one
};
inline constexpr size_t kRecordSizeClasses = kRecordBlockBytes.size();

// What a thread's free lists keep at most, in blocks of each class. What is freed beyond goes back
// to malloc, so a burst does not stay in memory.
struct RecordPoolLimits {
  std::array<uint32_t, kRecordSizeClasses> blocks_max = {512, 256, 256};  // 6.4 MiB

  constexpr size_t bytes_max() const {
    size_t bytes = 0;
    for (size_t i = 0; i < kRecordSizeClasses; ++i) {
      bytes += size_t{blocks_max[i]} * kRecordBlockBytes[i];
    }
    return bytes;
  }
};

// Counters of one thread. Blocks that change threads make the "now" values of a single thread
// drift; their sum over all threads is exact.
struct RecordPoolStats {
  uint64_t pool_hits = 0;             // allocations answered from a free list
  uint64_t system_allocations = 0;    // allocations that reached malloc
  uint64_t oversize_allocations = 0;  // of these, larger than the largest class
  uint64_t system_frees = 0;          // blocks given back to malloc
  uint64_t pins = 0;                  // records sent from where they were sealed
  uint64_t copies = 0;                // handshake flights, which have to be copied
  int64_t blocks_in_use = 0;          // now: with BoringSSL or waiting for the kernel
  int64_t blocks_cached = 0;          // now: in the free lists
  int64_t bytes_in_use = 0;
  int64_t bytes_cached = 0;
};

// The header in front of every block. Users see only `next`, `data` and `size`, and only while the
// block is pinned; see CiphertextQueue.
struct RecordBlock {
  enum class State : uint8_t {
    kCached,   // in a free list
    kLibrary,  // BoringSSL owns it
    kShared,   // pinned, and BoringSSL has not freed it yet
    kPinned,   // pinned, and BoringSSL is done with it
  };

  RecordBlock* next;      // in a free list or in a CiphertextQueue
  const std::byte* data;  // first byte not yet sent
  uint32_t size;          // bytes not yet sent
  uint32_t block_bytes;   // of the whole block, this header included
  uint8_t size_class;     // kRecordSizeClasses: oversize, never cached
  State state;

  std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  size_t payload_bytes() const { return block_bytes - sizeof(RecordBlock); }
};
static_assert(sizeof(RecordBlock) % 16 == 0, "keeps payloads aligned as malloc would");

// All static: the free lists are thread-local, because BoringSSL's allocation calls carry no
// context.
class RecordPool {
 public:
  // Limits of the calling thread; blocks above the new limits are released at once.
  static void SetLimits(const RecordPoolLimits& limits);
  // Gives all cached blocks of the calling thread back to the system.
  static void Trim();
  // Counters of the calling thread; valid until the thread ends.
  static const RecordPoolStats& Stats();

  // Forgets which block was allocated last on this thread. Comes before every call into BoringSSL
  // that may end in Pin: a block of an earlier call may have been freed by another thread since.
  static void BeginCall();
  // If `data` lies in the block that BoringSSL allocated last in this call, marks that block
  // pinned, notes [data, data + size) in it, and returns it. Otherwise nullptr: the bytes are not
  // in a record block (a handshake flight) and have to be copied.
  static RecordBlock* Pin(const void* data, size_t size);
  // A pinned block with a copy of the bytes, for what cannot be pinned. nullptr: out of memory.
  static RecordBlock* PinCopy(const void* data, size_t size);
  // Ends the pin: the block goes back to the pool. `block` must not be used any more.
  static void Unpin(RecordBlock* block);
};

}  // namespace edge::tls
