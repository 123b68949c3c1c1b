// One listening socket of a worker: a multishot accept that is kept armed, pauses at the connection
// limit and backs off when the system is out of descriptors or memory.
//
// Worker thread only.

#pragma once

#include "uring/io.h"
#include "uring/loop.h"

namespace edge::proxy {

// A socket that listens, or that was accepted, and with what its connections begin.
struct ListenerSocket {
  int fd = -1;
  bool tls = false;
  bool proxy_protocol = false;  // a PROXY header, before TLS
};

class Acceptor {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnAccepted(const ListenerSocket& accepted) = 0;
    // Nothing more is accepted for a while. `shortage`: descriptors or memory have run out, so that
    // something should be closed.
    virtual void OnAcceptFailed(bool shortage) = 0;
  };

  // `listener` is a socket of this worker alone (SO_REUSEPORT); owned until Close.
  Acceptor(uring::Loop* loop, Owner* owner, const ListenerSocket& listener);
  ~Acceptor();

  void Start();
  // Stops accepting and starts again; connections wait in the backlog meanwhile.
  void Pause();
  void Resume();
  // Stops for good, in a way that nobody who got through the handshake is reset: lets no new
  // handshake begin, goes on accepting until those on their way must have ended, accepts what is
  // left in the backlog, then closes the socket.
  void Drain();
  // Without serving the backlog.
  void Close();
  bool closed() const { return listener_.fd < 0; }

 private:
  // After an error that a retry at once would only repeat.
  static constexpr int64_t kBackoffNs = 100'000'000;
  // A handshake that has begun needs one round trip to the client: this is more than most. It costs
  // those who connect in that time: they ask again after a second, and only then are refused.
  static constexpr int64_t kHandshakesNs = 100'000'000;

  void OnAccept(const uring::Completion& completion);
  void Hand(int fd);
  void Arm();
  void Stop();
  void FinishDrain();

  uring::Loop* const loop_;
  Owner* const owner_;
  uring::Operation accept_{this, uring::Bind<&Acceptor::OnAccept>()};
  uring::Timer backoff_{this, uring::BindTimer<&Acceptor::Arm>()};
  uring::Timer handshakes_{this, uring::BindTimer<&Acceptor::Stop>()};
  ListenerSocket listener_;
  bool paused_ = false;
  bool draining_ = false;    // no new handshakes
  bool stopped_ = false;     // accepting nothing more, but for the backlog
  bool discarding_ = false;  // closing without serving the backlog
};

}  // namespace edge::proxy
