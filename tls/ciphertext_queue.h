// Ciphertext on its way to the kernel: pinned record blocks in order, sent from where they are.
//
// A list through the blocks' own headers, so queueing allocates nothing and an empty queue is 32
// bytes. Owned by a Session, or by the owner of a send that outlives its session. Worker thread
// only.
//
// While a send is in flight the kernel reads the blocks that FillIovec named: they are *lent* until
// ConsumeOutgoing says how far the send got. More may be appended meanwhile. A queue with lent
// blocks must not be destroyed (CHECK), but it may be moved, blocks do not change their place.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "tls/record_pool.h"

namespace edge::tls {

class CiphertextQueue {
 public:
  CiphertextQueue() = default;
  CiphertextQueue(CiphertextQueue&& other) noexcept;
  CiphertextQueue& operator=(CiphertextQueue&& other) noexcept;
  CiphertextQueue(const CiphertextQueue&) = delete;
  CiphertextQueue& operator=(const CiphertextQueue&) = delete;
  ~CiphertextQueue();

  bool empty() const { return head_ == nullptr; }
  size_t count() const { return count_; }  // blocks
  size_t bytes() const { return bytes_; }  // not yet sent

  // Takes a block that RecordPool::Pin or PinCopy returned.
  void Push(RecordBlock* block);

  // Describes the front of the queue for sendmsg: at most out.size() entries and bytes_max bytes
  // (an entry is shortened to keep to it). Returns the number of entries. The blocks are lent until
  // Consume; asking again before that gives the same bytes.
  size_t FillIovec(std::span<iovec> out, size_t bytes_max = std::numeric_limits<size_t>::max());

  // The kernel has taken `bytes` from the front (0 for a send that failed), and has let go of the
  // rest: nothing is lent any more. CHECKs that the queue has that many.
  void Consume(size_t bytes);

  // True between FillIovec and Consume.
  bool lent() const { return lent_; }

  // Drops everything unsent, for a connection that is being torn down. CHECKs that nothing is lent.
  void Clear();

 private:
  RecordBlock* head_ = nullptr;
  RecordBlock* tail_ = nullptr;
  size_t bytes_ = 0;
  uint32_t count_ = 0;
  bool lent_ = false;
};

}  // namespace edge::tls
