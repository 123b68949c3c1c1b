// Io on io_uring: the kernel side of a worker.
//
// One ring per thread, created by that thread after it was pinned (SINGLE_ISSUER, DEFER_TASKRUN),
// with two groups of provided buffers. A turn is one io_uring_enter that submits and waits.
//
// Buffers: the kernel takes provided buffers in the order in which they were given, so handing it
// all of them would cycle through the whole pool and find each one cold. It is given a window
// instead, refilled from a stack of those used last; the window doubles, up to half of the pool,
// when it turns out too small (ENOBUFS while edge still has free ones).
//
// Sockets stay blocking: with O_NONBLOCK set io_uring would answer EAGAIN instead of waiting.

#pragma once

#include <liburing.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "uring/io.h"
#include "uring/memory_region.h"

namespace edge::uring {

struct BufferGroupOptions {
  uint32_t buffers = 0;  // how many; at most kBuffersPerGroupMax
  uint32_t bytes_each = 0;
};

struct UringOptions {
  uint32_t submission_entries = 1024;
  uint32_t completion_entries = 16384;
  BufferGroupOptions head{2048, 4096};
  BufferGroupOptions origin{2048, 4096};
  BufferGroupOptions body{512, 65536};
  // The kernel knows IORING_ENTER_NO_IOWAIT (6.15): an idle loop is then not shown as I/O wait.
  bool no_iowait = false;
};

class UringIo final : public Io {
 public:
  // Call on the thread that will use it. Errors: FailedPrecondition with one line that names what
  // the kernel refused; ResourceExhausted when not even the smallest ring fits into RLIMIT_MEMLOCK.
  static absl::StatusOr<std::unique_ptr<UringIo>> Create(const UringOptions& options);
  ~UringIo() override;

  void AcceptMultishot(int listener_fd, Operation& operation) override;
  void RecvMultishot(int fd, BufferGroup group, Operation& operation) override;
  void RecvOnce(int fd, BufferGroup group, bool bytes_expected, Operation& operation) override;
  void RecvNow(int fd, std::span<const BufferId> buffers, Operation& operation) override;
  void Send(int fd, std::span<const iovec> parts, Operation& operation) override;
  void Connect(int fd, const SocketAddress& address, Operation& operation) override;
  void PollMultishot(int fd, uint32_t events, Operation& operation) override;
  void Cancel(Operation& operation) override;
  void RingDoorbell(DoorbellTarget target) override;
  DoorbellTarget doorbell() const override { return {ring_.ring_fd}; }

  int OpenSocket(int family) override;
  void CloseSocket(int fd) override;
  int RefuseHandshakes(int listener_fd) override;
  int AcceptNow(int listener_fd) override;
  void CloseListener(int listener_fd) override;
  int ShutdownSend(int fd) override;
  void ResetOnClose(int fd) override;
  int PeerAddress(int fd, SocketAddress* peer) override;
  int LocalAddress(int fd, SocketAddress* local) override;
  uint64_t BytesAcknowledged(int fd) override;

  std::byte* BufferData(BufferId id) override;
  size_t BufferSize(BufferGroup group) const override;
  size_t BuffersTotal(BufferGroup group) const override;
  size_t BuffersFree(BufferGroup group) const override;
  size_t BuffersOwn(BufferGroup group) const override;
  BufferId TakeBuffer(BufferGroup group) override;
  void ReturnBuffer(BufferId id) override;

  int Turn(int64_t timeout_ns) override;
  size_t Dispatch(size_t max) override;
  const IoCounters& counters() const override { return counters_; }

  // What was really set up, after the kernel clamped it and memory limits halved it.
  uint32_t submission_entries() const { return ring_.sq.ring_entries; }
  uint32_t completion_entries() const { return ring_.cq.ring_entries; }

 private:
  // Sends queued beyond this are submitted within the batch: the bytes of many deferred sends would
  // fall out of the cache before the kernel reads them.
  static constexpr size_t kEarlySubmitBytes = 64 << 10;
  static constexpr uint32_t kFirstWindow = 64;

  // User data that names no operation. Addresses of operations are never that small.
  static constexpr uint64_t kIgnored = 1;
  static constexpr uint64_t kDoorbell = 2;

  struct Group {
    io_uring_buf_ring* ring = nullptr;
    uint32_t ring_entries = 0;  // a power of two
    uint32_t bytes_each = 0;
    uint32_t total = 0;
    uint32_t in_kernel = 0;  // given to the kernel, not yet seen in a completion
    uint32_t window = 0;     // how many the kernel is to have
    uint32_t window_max = 0;
    bool window_grown = false;    // in this turn
    std::vector<uint16_t> stack;  // free and not with the kernel
    MemoryRegion memory;
  };

  UringIo() = default;
  absl::Status SetUp(const UringOptions& options);
  absl::Status SetUpGroup(BufferGroup group, const BufferGroupOptions& options);
  void RefillGroup(Group& group);
  io_uring_sqe* NextSqe();
  int Enter(unsigned wait_for, int64_t timeout_ns, unsigned flags);
  void SubmitEarly();
  void Run(const io_uring_cqe& cqe);

  io_uring ring_{};
  bool ring_ready_ = false;
  unsigned enter_flags_ = 0;
  int enter_fd_ = -1;
  size_t queued_send_bytes_ = 0;
  std::array<Group, kBufferGroups> groups_;
  // Message headers of queued sends and RecvNows, and the latter's parts, one for each submission
  // entry: the kernel reads them on submission.
  std::unique_ptr<msghdr[]> messages_;
  std::unique_ptr<std::array<iovec, kBuffersPerReceiveMax>[]> receive_parts_;
  IoCounters counters_;
};

}  // namespace edge::uring
