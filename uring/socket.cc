#include "uring/socket.h"

#include <cerrno>

#include "absl/log/check.h"

namespace edge::uring {

Socket::Socket(Loop* loop, Owner* owner, BufferGroup small_buffers)
    : loop_(loop), owner_(owner), small_buffers_(small_buffers) {}

Socket::~Socket() { CHECK(state_ == State::kClosed) << "socket freed while open"; }

void Socket::Adopt(int fd) {
  CHECK(state_ == State::kClosed);
  fd_ = fd;
  state_ = State::kOpen;
  receive_ended_ = receive_cancelled_ = shutdown_pending_ = bytes_left_ = false;
  wanted_ = ReceiveMode::kOff;
}

int Socket::Connect(const SocketAddress& address) {
  CHECK(state_ == State::kClosed);
  const int fd = loop_->io().OpenSocket(address.storage.ss_family);
  if (fd < 0) return -fd;
  Adopt(fd);
  state_ = State::kConnecting;
  loop_->io().Connect(fd_, address, send_);
  return 0;
}

void Socket::Receive(ReceiveMode mode) {
  if (state_ != State::kOpen || receive_ended_) return;
  if (buffer_waiter_.waiting() && mode == wanted_) return;
  wanted_ = mode;
  if (receive_.in_flight()) {
    if (armed_ != mode && !receive_cancelled_) {
      receive_cancelled_ = true;
      loop_->io().Cancel(receive_);
    }
    return;
  }
  loop_->buffers().StopWaiting(buffer_waiter_);
  if (mode != ReceiveMode::kOff) ArmReceive();
}

void Socket::ArmReceive() {
  Io& io = loop_->io();
  armed_ = wanted_;
  receive_cancelled_ = false;
  switch (armed_) {
    case ReceiveMode::kOff:
      return;
    case ReceiveMode::kMultishot:
      receive_group_ = small_buffers_;
      return io.RecvMultishot(fd_, small_buffers_, receive_);
    case ReceiveMode::kOnce:
      receive_group_ = small_buffers_;
      return io.RecvOnce(fd_, small_buffers_, bytes_left_, receive_);
    case ReceiveMode::kOnceLarge:
      if (bytes_left_) return loop_->buffers().Wait(BufferGroup::kBody, buffer_waiter_);
      receive_group_ = BufferGroup::kBody;
      return io.RecvOnce(fd_, BufferGroup::kBody, false, receive_);
  }
}

// Bytes wait in the kernel, and this socket's turn to fetch them has come.
void Socket::ReceiveLargeNow() {
  Io& io = loop_->io();
  armed_ = ReceiveMode::kOnceLarge;
  receive_cancelled_ = false;
  // One when they are scarce: a receiver that cannot pass its bytes on keeps what it has got.
  const bool scarce =
      io.BuffersFree(BufferGroup::kBody) < io.BuffersTotal(BufferGroup::kBody) / kScarceFraction;
  const size_t wanted = scarce ? 1 : kBuffersPerReceiveMax;
  while (taken_count_ < wanted) {
    taken_[taken_count_] = io.TakeBuffer(BufferGroup::kBody);
    if (!taken_[taken_count_].valid()) break;
    ++taken_count_;
  }
  if (taken_count_ > 0) return io.RecvNow(fd_, std::span(taken_).first(taken_count_), receive_);
  // The rest of them is with the kernel.
  receive_group_ = io.BuffersFree(BufferGroup::kBody) > 0 ? BufferGroup::kBody : small_buffers_;
  io.RecvOnce(fd_, receive_group_, true, receive_);
}

void Socket::OnReceiveCompletion(const Completion& completion) {
  BufferLoans& buffers = loop_->buffers();
  BufferId buffer = completion.buffer;
  if (state_ == State::kClosing) {
    if (buffer.valid()) loop_->io().ReturnBuffer(buffer);
    ReturnTaken(0);
    if (!completion.more) FinishClose();
    return;
  }
  if (!completion.more && (armed_ == ReceiveMode::kOnce || armed_ == ReceiveMode::kOnceLarge) &&
      completion.result > 0 && wanted_ == armed_) {
    wanted_ = ReceiveMode::kOff;
  }
  bytes_left_ = completion.bytes_left;
  if (completion.result > 0) {
    auto size = static_cast<uint32_t>(completion.result);
    if (taken_count_ > 0) buffer = DeliverAllButLast(size);
    buffers.Begin(buffer);
    owner_->OnReceived(*this, buffer, size, /*more=*/false);
  } else {
    if (buffer.valid()) loop_->io().ReturnBuffer(buffer);
    ReturnTaken(0);
    const bool retry = completion.result == -ENOBUFS || completion.result == -EINTR ||
                       completion.result == -EAGAIN ||
                       (completion.result == -ECANCELED && receive_cancelled_);
    if (!retry) {
      receive_ended_ = true;
      wanted_ = ReceiveMode::kOff;
      return owner_->OnReceiveEnd(*this, -completion.result);
    }
  }
  if (completion.more || receive_.in_flight() || buffer_waiter_.waiting()) return;
  if (state_ != State::kOpen || wanted_ == ReceiveMode::kOff || receive_ended_) return;
  if (completion.result == -ENOBUFS) {
    // The kernel has found bytes and no buffer for them.
    bytes_left_ = true;
    // Unless something else is wanted by now: its buffers may come from elsewhere.
    if (wanted_ == armed_) return buffers.Wait(receive_group_, buffer_waiter_);
  }
  ArmReceive();
}

// Hands over what a RecvNow has filled, but for its last buffer, which is returned with its size.
BufferId Socket::DeliverAllButLast(uint32_t& size) {
  const auto each = static_cast<uint32_t>(loop_->io().BufferSize(BufferGroup::kBody));
  size_t last = 0;
  for (; size > each; size -= each) {
    const BufferId buffer = taken_[last++];
    loop_->buffers().Begin(buffer);
    owner_->OnReceived(*this, buffer, each, /*more=*/true);
  }
  ReturnTaken(last + 1);
  return taken_[last];
}

void Socket::ReturnTaken(size_t from) {
  while (taken_count_ > from) loop_->io().ReturnBuffer(taken_[--taken_count_]);
  taken_count_ = 0;
}

void Socket::OnBufferFree() {
  if (state_ != State::kOpen || wanted_ == ReceiveMode::kOff || receive_.in_flight()) return;
  if (wanted_ == ReceiveMode::kOnceLarge && bytes_left_) return ReceiveLargeNow();
  ArmReceive();
}

void Socket::Send(std::span<const iovec> parts) {
  CHECK(state_ == State::kOpen);
  loop_->io().Send(fd_, parts, send_);
}

void Socket::OnSendCompletion(const Completion& completion) {
  if (state_ == State::kClosing) return FinishClose();
  if (state_ == State::kConnecting) {
    state_ = State::kOpen;
    return owner_->OnConnected(*this, -completion.result);
  }
  owner_->OnSent(*this, completion.result);
  if (shutdown_pending_ && state_ == State::kOpen && !send_.in_flight()) {
    shutdown_pending_ = false;
    loop_->io().ShutdownSend(fd_);
  }
}

void Socket::ShutdownSend() {
  if (state_ != State::kOpen) return;
  if (send_.in_flight()) {
    shutdown_pending_ = true;
  } else {
    // An error means that the peer has reset the connection, which the receive tells as well.
    loop_->io().ShutdownSend(fd_);
  }
}

void Socket::Close() {
  if (state_ == State::kClosed || state_ == State::kClosing) return;
  state_ = State::kClosing;
  loop_->buffers().StopWaiting(buffer_waiter_);
  if (receive_.in_flight() && !receive_cancelled_) loop_->io().Cancel(receive_);
  if (send_.in_flight()) loop_->io().Cancel(send_);
  // With nothing in flight no completion will come; the owner still hears of it later, never from
  // here.
  if (!receive_.in_flight() && !send_.in_flight()) loop_->Defer(close_deferred_);
}

void Socket::OnCloseDeferred() {
  // Close may have been called from within the handler of the last completion, which then went on
  // to FinishClose itself.
  if (state_ == State::kClosing) FinishClose();
}

void Socket::FinishClose() {
  if (receive_.in_flight() || send_.in_flight() || close_deferred_.queued()) return;
  loop_->io().CloseSocket(fd_);
  fd_ = -1;
  state_ = State::kClosed;
  owner_->OnClosed(*this);
}

}  // namespace edge::uring
