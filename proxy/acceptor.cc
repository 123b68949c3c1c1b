#include "proxy/acceptor.h"

#include <cerrno>

#include "absl/log/check.h"

namespace edge::proxy {

Acceptor::Acceptor(uring::Loop* loop, Owner* owner, int fd, bool tls)
    : loop_(loop), owner_(owner), fd_(fd), tls_(tls) {}

Acceptor::~Acceptor() {
  loop_->timers().Stop(backoff_);
  loop_->timers().Stop(handshakes_);
  CHECK_LT(fd_, 0) << "acceptor freed while open";
}

void Acceptor::Start() { Arm(); }

void Acceptor::Arm() {
  if (fd_ < 0 || paused_ || stopped_ || accept_.in_flight()) return;
  loop_->io().AcceptMultishot(fd_, accept_);
}

void Acceptor::Pause() {
  if (paused_) return;
  paused_ = true;
  loop_->io().Cancel(accept_);
}

void Acceptor::Resume() {
  if (!paused_) return;
  paused_ = false;
  Arm();
}

void Acceptor::OnAccept(const uring::Completion& completion) {
  const int error = -completion.result;
  if (completion.result >= 0 && discarding_) {
    loop_->io().CloseSocket(completion.result);
  } else if (completion.result >= 0) {
    owner_->OnAccepted(completion.result, tls_);
  } else if (error != ECANCELED && error != EAGAIN && error != EINTR && error != ECONNABORTED) {
    owner_->OnAcceptFailed(error);
  }
  if (completion.more) return;
  if (stopped_) return FinishDrain();
  if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
    loop_->timers().Start(backoff_, loop_->now_ns() + kBackoffNs);
    return;
  }
  Arm();
}

void Acceptor::Drain() {
  if (fd_ < 0 || draining_) return;
  draining_ = true;
  loop_->io().RefuseHandshakes(fd_);
  loop_->timers().Start(handshakes_, loop_->now_ns() + kHandshakesNs);
}

void Acceptor::Close() {
  discarding_ = true;
  Stop();
}

void Acceptor::Stop() {
  if (fd_ < 0 || stopped_) return;
  stopped_ = true;
  loop_->timers().Stop(backoff_);
  loop_->timers().Stop(handshakes_);
  if (!accept_.in_flight()) return FinishDrain();
  loop_->io().Cancel(accept_);
}

void Acceptor::FinishDrain() {
  while (!discarding_) {
    const int fd = loop_->io().AcceptNow(fd_);
    if (fd == -ECONNABORTED || fd == -EINTR) continue;
    if (fd < 0) break;
    owner_->OnAccepted(fd, tls_);
  }
  loop_->io().CloseListener(fd_);
  fd_ = -1;
}

}  // namespace edge::proxy
