// Bytes received and not yet consumed: provided buffers in the order in which they came, chained
// through the loans' own links, so that a queue costs a connection twelve bytes and no memory
// besides.
//
// Worker thread only.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "uring/buffer_loans.h"

namespace edge::proxy {

class InputQueue {
 public:
  explicit InputQueue(uring::BufferLoans* loans) : loans_(loans) {}  // not owned; outlives this
  InputQueue(const InputQueue&) = delete;
  InputQueue& operator=(const InputQueue&) = delete;
  ~InputQueue() { Clear(); }

  bool empty() const { return bytes_ == 0; }
  size_t bytes() const { return bytes_; }

  // Takes over one reference of `buffer`, whose first `size` bytes are the next ones of the stream.
  // Few bytes are copied behind the last ones: or a peer that sends many small segments would hold
  // a whole buffer with each. Whoever else holds the last buffer does not read beyond its old end.
  void Append(uring::BufferId buffer, uint32_t size) {
    bytes_ += size;
    if (last_.valid() && size <= loans_->size(buffer) / kCopyFraction) {
      uring::BufferLoans::Link& link = loans_->link(last_);
      if (link.end + size <= loans_->size(last_)) {
        std::memcpy(loans_->data(last_) + link.end, loans_->data(buffer), size);
        link.end += size;
        loans_->Unref(buffer);
        return;
      }
    }
    loans_->link(buffer) = {.begin = 0, .end = size, .next = {}};
    if (last_.valid()) {
      loans_->link(last_).next = buffer;
    } else {
      first_ = buffer;
    }
    last_ = buffer;
  }

  // Whether a buffer of this group is the first, and so at least one is held.
  bool Holds(uring::BufferGroup group) const { return first_.valid() && first_.group() == group; }

  // The bytes of the first buffer; empty only if the queue is.
  std::string_view Front() const {
    if (!first_.valid()) return {};
    const uring::BufferLoans::Link& link = loans_->link(first_);
    return {loans_->data(first_) + link.begin, link.end - link.begin};
  }
  // The buffer that Front's bytes lie in, for taking a reference before they are consumed.
  uring::BufferId front_buffer() const { return first_; }

  // Drops bytes from the front; at most as many as Front has.
  void Consume(size_t bytes) {
    uring::BufferLoans::Link& link = loans_->link(first_);
    DCHECK_LE(bytes, link.end - link.begin);
    link.begin += static_cast<uint32_t>(bytes);
    bytes_ -= bytes;
    if (link.begin == link.end) PopFront();
  }

  // Moves bytes behind those of the first buffer until Front has `bytes` of them, all there are, or
  // all that fit. Only before anything was consumed, when nobody else holds that buffer.
  void Gather(size_t bytes) {
    bytes = std::min({bytes, bytes_, first_.valid() ? loans_->size(first_) : 0});
    while (Front().size() < bytes) {
      uring::BufferLoans::Link& first = loans_->link(first_);
      const uring::BufferId second = first.next;
      uring::BufferLoans::Link& link = loans_->link(second);
      const size_t moved = std::min<size_t>(bytes - first.end, link.end - link.begin);
      std::memcpy(loans_->data(first_) + first.end, loans_->data(second) + link.begin, moved);
      first.end += static_cast<uint32_t>(moved);
      link.begin += static_cast<uint32_t>(moved);
      if (link.begin < link.end) return;
      first.next = link.next;
      if (!first.next.valid()) last_ = first_;
      loans_->Unref(second);
    }
  }

  // Takes over everything that `other`, a queue of the same loans, holds. Only when this is empty.
  void TakeAll(InputQueue& other) {
    first_ = std::exchange(other.first_, {});
    last_ = std::exchange(other.last_, {});
    bytes_ = std::exchange(other.bytes_, 0);
  }

  void Clear() {
    while (first_.valid()) PopFront();
    bytes_ = 0;
  }

 private:
  // Of a buffer's size, above which bytes are not copied.
  static constexpr size_t kCopyFraction = 4;

  void PopFront() {
    const uring::BufferId buffer = first_;
    first_ = loans_->link(buffer).next;
    if (!first_.valid()) last_ = {};
    loans_->Unref(buffer);
  }

  uring::BufferLoans* const loans_;
  uring::BufferId first_;
  uring::BufferId last_;
  size_t bytes_ = 0;
};

}  // namespace edge::proxy
