#include "proxy/acceptor.h"

#include <cerrno>

#include "absl/log/check.h"

namespace edge::proxy {
namespace {

// Of the connection that would have been accepted, which is gone: accept(2) says to try again.
bool IsOfTheConnection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EPROTO:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace

Acceptor::Acceptor(uring::Loop* loop, Owner* owner, const ListenerSocket& listener)
    : loop_(loop), owner_(owner), listener_(listener) {}

Acceptor::~Acceptor() {
  loop_->timers().Stop(backoff_);
  loop_->timers().Stop(handshakes_);
  CHECK_LT(listener_.fd, 0) << "acceptor freed while open";
}

void Acceptor::Start() { Arm(); }

void Acceptor::Arm() {
  if (listener_.fd < 0 || paused_ || stopped_ || accept_.in_flight()) return;
  loop_->io().AcceptMultishot(listener_.fd, accept_);
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
  bool backs_off = false;
  if (completion.result >= 0 && discarding_) {
    loop_->io().CloseSocket(completion.result);
  } else if (completion.result >= 0) {
    Hand(completion.result);
  } else if (error != ECANCELED && error != EAGAIN && error != EINTR && !IsOfTheConnection(error)) {
    owner_->OnAcceptFailed(uring::IsShortage(error));
    backs_off = true;
  }
  if (completion.more) return;
  if (stopped_) return FinishDrain();
  if (backs_off) {
    loop_->timers().Start(backoff_, loop_->now_ns() + kBackoffNs);
    return;
  }
  Arm();
}

void Acceptor::Hand(int fd) {
  ListenerSocket accepted = listener_;
  accepted.fd = fd;
  owner_->OnAccepted(accepted);
}

void Acceptor::Drain() {
  if (listener_.fd < 0 || draining_) return;
  draining_ = true;
  loop_->io().RefuseHandshakes(listener_.fd);
  loop_->timers().Start(handshakes_, loop_->now_ns() + kHandshakesNs);
}

void Acceptor::Close() {
  discarding_ = true;
  Stop();
}

void Acceptor::Stop() {
  if (listener_.fd < 0 || stopped_) return;
  stopped_ = true;
  loop_->timers().Stop(backoff_);
  loop_->timers().Stop(handshakes_);
  if (!accept_.in_flight()) return FinishDrain();
  loop_->io().Cancel(accept_);
}

void Acceptor::FinishDrain() {
  while (!discarding_) {
    const int fd = loop_->io().AcceptNow(listener_.fd);
    if (fd == -EINTR || (fd < 0 && IsOfTheConnection(-fd))) continue;
    if (fd < 0) break;
    Hand(fd);
  }
  loop_->io().CloseListener(listener_.fd);
  listener_.fd = -1;
}

}  // namespace edge::proxy
