#include "uring/uring_io.h"

#include <linux/filter.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"

namespace edge::uring {
namespace {

// linux/io_uring.h of 6.15; liburing 2.9 lacks the name.
constexpr unsigned kEnterNoIowait = 1u << 7;

constexpr uint32_t kSubmissionEntriesMin = 64;

// The tag of an operation for which the kernel chooses a buffer is the group, that of all others
// this.
constexpr uint8_t kNoGroup = 0xff;

}  // namespace

absl::StatusOr<std::unique_ptr<UringIo>> UringIo::Create(const UringOptions& options) {
  std::unique_ptr<UringIo> io(new UringIo());
  if (absl::Status status = io->SetUp(options); !status.ok()) return status;
  return io;
}

absl::Status UringIo::SetUp(const UringOptions& options) {
  uint32_t submission_entries = options.submission_entries;
  uint32_t completion_entries = options.completion_entries;
  while (true) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = completion_entries;
    const int error = -io_uring_queue_init_params(submission_entries, &ring_, &params);
    if (error == 0) break;
    if (error != ENOMEM || submission_entries / 2 < kSubmissionEntriesMin) {
      return absl::FailedPreconditionError(absl::StrCat(
          "io_uring_setup of ", submission_entries, " entries failed: ", std::strerror(error),
          error == ENOMEM ? " (raise RLIMIT_MEMLOCK: ulimit -l)" : ""));
    }
    submission_entries /= 2;
    completion_entries /= 2;
    LOG(WARNING) << "ring memory exceeds RLIMIT_MEMLOCK; trying --ring_entries="
                 << submission_entries << " --cq_entries=" << completion_entries;
  }
  ring_ready_ = true;
  messages_ = std::make_unique<msghdr[]>(ring_.sq.ring_entries);
  receive_parts_ =
      std::make_unique<std::array<iovec, kBuffersPerReceiveMax>[]>(ring_.sq.ring_entries);

  // A registered ring spares the kernel a look-up of the descriptor per enter. Optional.
  enter_fd_ = ring_.ring_fd;
  if (io_uring_register_ring_fd(&ring_) == 1) {
    enter_fd_ = ring_.enter_ring_fd;
    enter_flags_ |= IORING_ENTER_REGISTERED_RING;
  }
  if (options.no_iowait) enter_flags_ |= kEnterNoIowait;

  if (absl::Status status = SetUpGroup(BufferGroup::kHead, options.head); !status.ok()) {
    return status;
  }
  if (absl::Status status = SetUpGroup(BufferGroup::kOrigin, options.origin); !status.ok()) {
    return status;
  }
  return SetUpGroup(BufferGroup::kBody, options.body);
}

absl::Status UringIo::SetUpGroup(BufferGroup id, const BufferGroupOptions& options) {
  Group& group = groups_[static_cast<int>(id)];
  CHECK_LE(options.buffers, kBuffersPerGroupMax);
  group.total = options.buffers;
  group.bytes_each = options.bytes_each;
  absl::StatusOr<MemoryRegion> memory =
      MemoryRegion::Map(size_t{options.buffers} * options.bytes_each);
  if (!memory.ok()) return memory.status();
  group.memory = *std::move(memory);

  group.ring_entries = std::bit_ceil(options.buffers);
  int error = 0;
  group.ring = io_uring_setup_buf_ring(&ring_, group.ring_entries, static_cast<int>(id), 0, &error);
  if (group.ring == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("registering a ring of ", options.buffers,
                                                      " buffers failed: ", std::strerror(-error)));
  }
  // Half stays with edge: plaintext and large heads come out of it (TakeBuffer).
  group.window_max = std::max(group.total / 2, 1u);
  group.window = std::min(kFirstWindow, group.window_max);
  group.stack.reserve(group.total);
  for (uint32_t i = group.total; i > 0; --i) group.stack.push_back(static_cast<uint16_t>(i - 1));
  RefillGroup(group);
  return absl::OkStatus();
}

UringIo::~UringIo() {
  if (!ring_ready_) return;
  // Closes that are still queued. By the descriptor: a registered ring is known to the thread that
  // registered it, and on another its index may name another ring. There the kernel refuses this
  // one (SINGLE_ISSUER), and what is queued is given up.
  enter_flags_ &= ~static_cast<unsigned>(IORING_ENTER_REGISTERED_RING);
  enter_fd_ = ring_.ring_fd;
  Enter(0, 0, 0);
  for (int i = 0; i < kBufferGroups; ++i) {
    if (groups_[i].ring != nullptr) {
      io_uring_free_buf_ring(&ring_, groups_[i].ring, groups_[i].ring_entries, i);
    }
  }
  io_uring_queue_exit(&ring_);
}

// --- Operations
// ---------------------------------------------------------------------------------------

io_uring_sqe* UringIo::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    SubmitEarly();  // the submission queue is full
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

void UringIo::AcceptMultishot(int listener_fd, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_multishot_accept(sqe, listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = operation.Arm();
  operation.set_tag(kNoGroup);
}

void UringIo::RecvMultishot(int fd, BufferGroup group, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = static_cast<uint16_t>(group);
  sqe->user_data = operation.Arm();
  operation.set_tag(static_cast<uint8_t>(group));
}

void UringIo::RecvOnce(int fd, BufferGroup group, bool bytes_expected, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_recv(sqe, fd, nullptr, 0, 0);
  if (!bytes_expected) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = static_cast<uint16_t>(group);
  sqe->user_data = operation.Arm();
  operation.set_tag(static_cast<uint8_t>(group));
}

void UringIo::RecvNow(int fd, std::span<const BufferId> buffers, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  const auto slot = sqe - ring_.sq.sqes;
  std::array<iovec, kBuffersPerReceiveMax>& parts = receive_parts_[slot];
  for (size_t i = 0; i < buffers.size(); ++i) {
    parts[i] = {.iov_base = BufferData(buffers[i]), .iov_len = BufferSize(buffers[i].group())};
  }
  msghdr& message = messages_[slot];
  message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = buffers.size();
  io_uring_prep_recvmsg(sqe, fd, &message, MSG_DONTWAIT);
  sqe->user_data = operation.Arm();
  operation.set_tag(kNoGroup);
}

void UringIo::Send(int fd, std::span<const iovec> parts, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  constexpr unsigned kFlags = MSG_NOSIGNAL | MSG_WAITALL;
  if (parts.size() == 1) {
    io_uring_prep_send(sqe, fd, parts[0].iov_base, parts[0].iov_len, kFlags);
    queued_send_bytes_ += parts[0].iov_len;
  } else {
    msghdr& message = messages_[sqe - ring_.sq.sqes];
    message = {};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    io_uring_prep_sendmsg(sqe, fd, &message, kFlags);
    for (const iovec& part : parts) queued_send_bytes_ += part.iov_len;
  }
  sqe->user_data = operation.Arm();
  operation.set_tag(kNoGroup);
}

void UringIo::Connect(int fd, const SocketAddress& address, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_connect(sqe, fd, address.get(), address.length);
  sqe->user_data = operation.Arm();
  operation.set_tag(kNoGroup);
}

void UringIo::PollMultishot(int fd, uint32_t events, Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_multishot(sqe, fd, events);
  sqe->user_data = operation.Arm();
  operation.set_tag(kNoGroup);
}

void UringIo::Cancel(Operation& operation) {
  if (!operation.in_flight()) return;
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_cancel64(sqe, operation.user_data(), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = kIgnored;  // nothing to cancel any more is fine, too
}

void UringIo::RingDoorbell(DoorbellTarget target) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_msg_ring(sqe, target.handle, 0, kDoorbell, 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = kIgnored;
  SubmitEarly();
}

// --- Calls that return at once
// --------------------------------------------------------------------------

int UringIo::OpenSocket(int family) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void UringIo::CloseSocket(int fd) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_close(sqe, fd);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = kIgnored;
}

int UringIo::RefuseHandshakes(int listener_fd) {
  // The filter of a listener sees segments from their TCP header on (RFC 9293, section 3.1): those
  // with SYN are dropped, the last one of a handshake is not.
  constexpr uint32_t kFlagsOffset = 13;
  constexpr uint32_t kSyn = 0x02;
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlagsOffset),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  const sock_fprog filter{.len = static_cast<uint16_t>(std::size(program)), .filter = program};
  return setsockopt(listener_fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? -errno
                                                                                           : 0;
}

int UringIo::AcceptNow(int listener_fd) {
  // The socket is blocking and nobody else accepts from it: what poll sees is still there for
  // accept.
  pollfd ready{.fd = listener_fd, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, 0) <= 0) return -EAGAIN;
  const int fd = accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

void UringIo::CloseListener(int listener_fd) {
  // shutdown(2) ends the listening even if the ring still holds a reference to the file.
  shutdown(listener_fd, SHUT_RDWR);
  close(listener_fd);
}

int UringIo::ShutdownSend(int fd) { return shutdown(fd, SHUT_WR) < 0 ? -errno : 0; }

void UringIo::ResetOnClose(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

int UringIo::PeerAddress(int fd, SocketAddress* peer) {
  peer->length = sizeof peer->storage;
  auto* address = reinterpret_cast<sockaddr*>(&peer->storage);
  return getpeername(fd, address, &peer->length) < 0 ? -errno : 0;
}

int UringIo::LocalAddress(int fd, SocketAddress* local) {
  local->length = sizeof local->storage;
  auto* address = reinterpret_cast<sockaddr*>(&local->storage);
  return getsockname(fd, address, &local->length) < 0 ? -errno : 0;
}

uint64_t UringIo::BytesAcknowledged(int fd) {
  // The kernel's own header: libc's tcp_info ends before this field.
  ::tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? 0 : info.tcpi_bytes_acked;
}

// --- Buffers
// ----------------------------------------------------------------------------------------------

std::byte* UringIo::BufferData(BufferId id) {
  const Group& group = groups_[static_cast<int>(id.group())];
  return group.memory.data() + size_t{id.index()} * group.bytes_each;
}

size_t UringIo::BufferSize(BufferGroup group) const {
  return groups_[static_cast<int>(group)].bytes_each;
}

size_t UringIo::BuffersTotal(BufferGroup group) const {
  return groups_[static_cast<int>(group)].total;
}

size_t UringIo::BuffersFree(BufferGroup group) const {
  const Group& g = groups_[static_cast<int>(group)];
  return g.stack.size() + g.in_kernel;
}

size_t UringIo::BuffersOwn(BufferGroup group) const {
  return groups_[static_cast<int>(group)].stack.size();
}

void UringIo::ReturnBuffer(BufferId id) {
  groups_[static_cast<int>(id.group())].stack.push_back(id.index());
}

BufferId UringIo::TakeBuffer(BufferGroup id) {
  Group& group = groups_[static_cast<int>(id)];
  if (group.stack.empty()) return {};
  const uint16_t index = group.stack.back();
  group.stack.pop_back();
  return BufferId(id, index);
}

void UringIo::RefillGroup(Group& group) {
  group.window_grown = false;
  int added = 0;
  while (group.in_kernel < group.window && !group.stack.empty()) {
    const uint16_t index = group.stack.back();
    group.stack.pop_back();
    io_uring_buf_ring_add(group.ring, group.memory.data() + size_t{index} * group.bytes_each,
                          group.bytes_each, index, static_cast<int>(group.ring_entries - 1),
                          added++);
    ++group.in_kernel;
  }
  if (added > 0) io_uring_buf_ring_advance(group.ring, added);
}

// --- The turn
// -----------------------------------------------------------------------------------------------

// One io_uring_enter(2). liburing's own helpers cannot say NO_IOWAIT (2.9).
int UringIo::Enter(unsigned wait_for, int64_t timeout_ns, unsigned flags) {
  io_uring_sq& sq = ring_.sq;
  if (sq.sqe_head != sq.sqe_tail) {
    sq.sqe_head = sq.sqe_tail;
    __atomic_store_n(sq.ktail, sq.sqe_tail, __ATOMIC_RELEASE);
  }
  const unsigned submit = sq.sqe_tail - __atomic_load_n(sq.khead, __ATOMIC_ACQUIRE);
  queued_send_bytes_ = 0;

  __kernel_timespec timespec{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  io_uring_getevents_arg argument{};
  argument.sigmask_sz = _NSIG / 8;
  if (timeout_ns >= 0) argument.ts = reinterpret_cast<uint64_t>(&timespec);
  ++counters_.enters;
  const int result = io_uring_enter2(static_cast<unsigned>(enter_fd_), submit, wait_for,
                                     enter_flags_ | flags | IORING_ENTER_EXT_ARG,
                                     reinterpret_cast<sigset_t*>(&argument), sizeof argument);
  if (result >= 0) return 0;
  switch (-result) {
    case EINTR:
    case ETIME:
    case EAGAIN:  // short of memory for requests; what was not taken is submitted next time
    case EBUSY:   // completions must be reaped first
      return 0;
    default:
      return result;
  }
}

// Within a turn; runs no completion.
void UringIo::SubmitEarly() {
  ++counters_.early_submits;
  const int error = Enter(0, 0, 0);
  CHECK_EQ(error, 0) << "io_uring_enter: " << std::strerror(-error);
}

int UringIo::Turn(int64_t timeout_ns) {
  for (Group& group : groups_) RefillGroup(group);
  if (io_uring_cq_has_overflow(&ring_)) ++counters_.completion_overflows;
  const bool waiting = timeout_ns != 0 && io_uring_cq_ready(&ring_) == 0;
  return Enter(waiting ? 1 : 0, waiting ? timeout_ns : 0, IORING_ENTER_GETEVENTS);
}

size_t UringIo::Dispatch(size_t max) {
  size_t ran = 0;
  while (ran < max) {
    // Read anew each time: handlers never reap, but a full submission queue or an early submit may
    // add.
    const unsigned head = *ring_.cq.khead;
    if (head == __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE)) break;
    const io_uring_cqe cqe = ring_.cq.cqes[head & ring_.cq.ring_mask];
    __atomic_store_n(ring_.cq.khead, head + 1, __ATOMIC_RELEASE);
    ++ran;
    Run(cqe);
    if (queued_send_bytes_ >= kEarlySubmitBytes) {
      SubmitEarly();
    }
  }
  counters_.completions += ran;
  return ran;
}

void UringIo::Run(const io_uring_cqe& cqe) {
  if (cqe.user_data == kIgnored) return;
  if (cqe.user_data == kDoorbell) {
    ++counters_.doorbells_received;
    return;
  }
  Completion completion{.result = cqe.res,
                        .more = (cqe.flags & IORING_CQE_F_MORE) != 0,
                        .bytes_left = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0};
  Operation* operation = Operation::FromUserData(cqe.user_data);
  if (operation == nullptr) {
    ++counters_.stale_completions;
    return;
  }
  if (cqe.flags & IORING_CQE_F_BUFFER) {
    // The kernel does not say which group the buffer is from; the operation knows.
    const auto group_id = static_cast<BufferGroup>(operation->tag());
    --groups_[static_cast<int>(group_id)].in_kernel;
    completion.buffer =
        BufferId(group_id, static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT));
  } else if (cqe.res == -ENOBUFS && operation->tag() != kNoGroup) {
    ++counters_.no_buffers;
    Group& group = groups_[operation->tag()];
    // Once a turn: a batch may bring many of these for one reason.
    if (!group.stack.empty() && !group.window_grown) {
      group.window = std::min(group.window * 2, group.window_max);
      group.window_grown = true;
    }
  }
  operation->Complete(completion);
}

}  // namespace edge::uring
