// One listening socket of a worker: a multishot accept that is kept armed, pauses at the connection
// limit and backs off when the system is out of descriptors or memory.
//
// Worker thread only.

#pragma once

#include "uring/io.h"
#include "uring/loop.h"

namespace edge::proxy {

class Acceptor {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnAccepted(int fd, bool tls) = 0;
    // EMFILE, ENFILE, ENOBUFS, ENOMEM and the like: something should be closed.
    virtual void OnAcceptFailed(int error) = 0;
  };

  // `fd` is a listening socket of this worker alone (SO_REUSEPORT); owned until Close.
  Acceptor(uring::Loop* loop, Owner* owner, int fd, bool tls);
  ~Acceptor();

  void Start();
  // Stops accepting and starts again; connections wait in the backlog meanwhile.
  void Pause();
  void Resume();
  // Stops for good: accepts what waits in the backlog, so that nobody who got through the handshake
  // is reset, then closes the socket.
  void Drain();
  // Without serving the backlog.
  void Close();
  bool closed() const { return fd_ < 0; }

 private:
  // After an error that a retry at once would only repeat.
  static constexpr int64_t kBackoffNs = 100'000'000;

  void OnAccept(const uring::Completion& completion);
  void Arm();
  void FinishDrain();

  uring::Loop* const loop_;
  Owner* const owner_;
  uring::Operation accept_{this, uring::Bind<&Acceptor::OnAccept>()};
  uring::Timer backoff_{this, uring::BindTimer<&Acceptor::Arm>()};
  int fd_;
  const bool tls_;
  bool paused_ = false;
  bool draining_ = false;
  bool discarding_ = false;  // closing without serving the backlog
};

}  // namespace edge::proxy
