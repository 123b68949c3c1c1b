// Provided buffers that are out of the kernel's hands: who still needs each one, and who waits for
// one.
//
// A receive hands its buffer over with one reference. Bytes of it may be waiting in the
// connection's input and be on their way out of another socket at the same time, so each holder
// takes a reference; the last one to let go returns the buffer to the kernel. References are plain
// integers: buffers never leave their worker.
//
// A socket whose receive found the group empty joins the queue of that group and is told, in order
// of arrival, when buffers have come back. Starting a receive at once instead would spin on
// ENOBUFS.
//
// Worker thread only.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/log/check.h"
#include "uring/io.h"

namespace edge::uring {

// Embedded in what waits for a buffer. Whoever owns it leaves the queue before it dies.
class BufferWaiter {
 public:
  using Handler = void (*)(void* owner);
  BufferWaiter(void* owner, Handler handler) : owner_(owner), handler_(handler) {}
  BufferWaiter(const BufferWaiter&) = delete;
  BufferWaiter& operator=(const BufferWaiter&) = delete;
  ~BufferWaiter() { CHECK(!waiting()) << "freed while waiting for a buffer"; }
  bool waiting() const { return next_ != nullptr; }

 private:
  friend class BufferLoans;
  BufferWaiter() = default;

  BufferWaiter* next_ = nullptr;
  BufferWaiter* previous_ = nullptr;
  void* owner_ = nullptr;
  Handler handler_ = nullptr;
};

class BufferLoans {
 public:
  explicit BufferLoans(Io* io);  // not owned; outlives this
  ~BufferLoans();
  BufferLoans(const BufferLoans&) = delete;
  BufferLoans& operator=(const BufferLoans&) = delete;

  // The one reference that comes with a completed receive.
  void Begin(BufferId id) {
    DCHECK_EQ(references(id), 0);
    references(id) = 1;
    ++lent_;
  }
  // A buffer for edge's own use, with one reference; !valid() if the group has none to spare.
  BufferId Take(BufferGroup group) {
    const BufferId id = io_->TakeBuffer(group);
    if (id.valid()) Begin(id);
    return id;
  }
  void Ref(BufferId id) {
    DCHECK_GT(references(id), 0);
    ++references(id);
  }
  void Unref(BufferId id) {
    DCHECK_GT(references(id), 0);
    if (--references(id) == 0) {
      --lent_;
      io_->ReturnBuffer(id);
    }
  }

  // The link that chains buffers into a queue of received bytes; owned by whoever holds the buffer
  // there.
  struct Link {
    uint32_t begin = 0;  // first byte not yet consumed
    uint32_t end = 0;
    BufferId next;
  };
  Link& link(BufferId id) { return groups_[static_cast<int>(id.group())].links[id.index()]; }

  char* data(BufferId id) { return reinterpret_cast<char*>(io_->BufferData(id)); }
  size_t size(BufferId id) const { return io_->BufferSize(id.group()); }

  // Buffers of both groups that edge holds now.
  size_t lent() const { return lent_; }

  void Wait(BufferGroup group, BufferWaiter& waiter);
  void StopWaiting(BufferWaiter& waiter);
  // Runs the handlers of as many waiters as there are buffers free, each once at most; called by
  // the loop once a turn. Of those that wait for large ones a few each turn, even if there is none:
  // they take turns to fetch what is in the kernel already, so that few bytes are between the two
  // sides of connections at a time and are still in the cache when they go out.
  void WakeWaiters();
  bool anyone_waiting() const { return waiting_ > 0; }
  bool anyone_waiting(BufferGroup group) const {
    const BufferWaiter& head = groups_[static_cast<int>(group)].waiters;
    return head.next_ != &head;
  }
  // Some can go on in the next turn, whatever happens.
  bool anyone_ready() const;

 private:
  static constexpr size_t kLargePerTurnMax = 4;

  struct Group {
    std::unique_ptr<uint16_t[]> references;
    std::unique_ptr<Link[]> links;
    BufferWaiter waiters;  // head of a circular list
  };

  uint16_t& references(BufferId id) {
    return groups_[static_cast<int>(id.group())].references[id.index()];
  }

  Io* const io_;
  std::array<Group, kBufferGroups> groups_;
  size_t lent_ = 0;
  size_t waiting_ = 0;
};

}  // namespace edge::uring
