#include "proxy/upstream_connection.h"

#include <cerrno>

#include "proxy/upstream_pool.h"

namespace edge::proxy {

using uring::Socket;

UpstreamConnection::UpstreamConnection(uring::Loop* loop, UpstreamPool* pool)
    : pool_(pool),
      transport_(loop, this, uring::BufferGroup::kOrigin),
      deadline_(&loop->timers(), this,
                [](void* self) { static_cast<UpstreamConnection*>(self)->OnDeadline(); }),
      output_(&loop->buffers()) {}

void UpstreamConnection::ReceiveHead() {
  transport_.Receive(large_responses_ ? Socket::ReceiveMode::kOnceLarge
                                      : Socket::ReceiveMode::kMultishot);
}

void UpstreamConnection::LetGoOfBody() {
  body_done_ = true;
  if (transport_.drained()) body_.reset();
}

void UpstreamConnection::NoteResponseSize(uint64_t bytes) {
  large_responses_ = bytes > kLargeResponseBytes;
}

void UpstreamConnection::OnConnected(int error) {
  if (state_ != State::kConnecting) return;
  if (error != 0) return pool_->OnConnectFailed(*this, error);
  pool_->OnConnectDone(*this);
}

void UpstreamConnection::OnInput() {
  if (state_ == State::kLeased) return lessee_->OnUpstreamInput();
  // Nobody asked for anything.
  pool_->Discard(*this);
}

void UpstreamConnection::OnInputEnd(InputEnd end) {
  if (state_ == State::kLeased) return lessee_->OnUpstreamInputEnd(end);
  pool_->Discard(*this);
}

void UpstreamConnection::OnOutputProgress(bool drained) {
  if (drained) {
    output_.Reset();
    if (body_done_) body_.reset();
  }
  if (state_ == State::kLeased) lessee_->OnUpstreamOutputProgress(drained);
}

void UpstreamConnection::OnOutputFailed(int error) {
  if (state_ == State::kLeased) return lessee_->OnUpstreamOutputFailed(error);
  pool_->Discard(*this);
}

void UpstreamConnection::OnDeadline() {
  switch (state_) {
    case State::kConnecting:
      return pool_->OnConnectFailed(*this, ETIMEDOUT);
    case State::kLeased:
      return lessee_->OnUpstreamDeadline();
    case State::kIdle:
      return pool_->Discard(*this);
    case State::kFree:
    case State::kClosing:
      return;
  }
}

void UpstreamConnection::OnTransportClosed() {
  body_.reset();
  pool_->OnClosed(*this);
}

}  // namespace edge::proxy
