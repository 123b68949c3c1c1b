#include "tls/ciphertext_queue.h"

#include <algorithm>
#include <utility>

#include "absl/log/check.h"

namespace edge::tls {

CiphertextQueue::CiphertextQueue(CiphertextQueue&& other) noexcept
    : head_(std::exchange(other.head_, nullptr)),
      tail_(std::exchange(other.tail_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      count_(std::exchange(other.count_, 0)),
      lent_(std::exchange(other.lent_, false)) {}

CiphertextQueue& CiphertextQueue::operator=(CiphertextQueue&& other) noexcept {
  if (this != &other) {
    Clear();
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    count_ = std::exchange(other.count_, 0);
    lent_ = std::exchange(other.lent_, false);
  }
  return *this;
}

CiphertextQueue::~CiphertextQueue() { Clear(); }

void CiphertextQueue::Push(RecordBlock* block) {
  DCHECK(block->next == nullptr);
  DCHECK_GT(block->size, 0u);
  if (tail_ == nullptr) {
    head_ = block;
  } else {
    tail_->next = block;
  }
  tail_ = block;
  bytes_ += block->size;
  ++count_;
}

size_t CiphertextQueue::FillIovec(std::span<iovec> out, size_t bytes_max) {
  size_t entries = 0;
  for (const RecordBlock* block = head_; block != nullptr && entries < out.size() && bytes_max > 0;
       block = block->next) {
    const size_t bytes = std::min<size_t>(block->size, bytes_max);
    // iovec has no const; sendmsg only reads.
    out[entries++] = {.iov_base = const_cast<std::byte*>(block->data), .iov_len = bytes};
    bytes_max -= bytes;
  }
  if (entries > 0) lent_ = true;
  return entries;
}

void CiphertextQueue::Consume(size_t bytes) {
  CHECK_LE(bytes, bytes_);
  lent_ = false;
  bytes_ -= bytes;
  while (bytes > 0) {
    RecordBlock* block = head_;
    CHECK(block != nullptr);
    if (bytes < block->size) {
      block->data += bytes;
      block->size -= static_cast<uint32_t>(bytes);
      return;
    }
    bytes -= block->size;
    head_ = block->next;
    if (head_ == nullptr) tail_ = nullptr;
    --count_;
    block->next = nullptr;
    RecordPool::Unpin(block);
  }
}

void CiphertextQueue::Clear() {
  CHECK(!lent_) << "a send is in flight that reads these blocks";
  Consume(bytes_);
}

}  // namespace edge::tls
