// A connected TCP socket on a loop: at most one receive and one send in flight, and one way to
// close.
//
//            Connect()           completion
//   kClosed ----------> kConnecting ------> kOpen
//      |     Adopt(fd)                        ^
//      +--------------------------------------+
//   any but kClosed -- Close() --> kClosing -- last completion --> kClosed, Owner::OnClosed
//
// Closing is one sequence: no new operation, cancel those in flight, wait for their completions,
// close the descriptor (close(2) with an armed receive would send no FIN), tell the owner. The
// owner may free the socket's memory in OnClosed and at no other time; no other callback may
// outlive that.
//
// Worker thread only.

#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>

#include "uring/io.h"
#include "uring/loop.h"

namespace edge::uring {

class Socket {
 public:
  enum class State : uint8_t {
    kClosed,      // no descriptor, nothing in flight
    kConnecting,  // a descriptor of ours, connect in flight
    kOpen,        // bytes may flow
    kClosing,     // cancelled; waiting for the last completions
  };

  // What is to be received next. The change from one armed mode to another cancels the old receive
  // first; bytes that it still brings are delivered as usual.
  enum class ReceiveMode : uint8_t {
    kOff,        // nothing is asked for; bytes stay in the kernel
    kMultishot,  // small buffers, one completion each, until changed: idle connections and heads
    kOnce,       // one receive into a small buffer, then kOff
    kOnceLarge,  // one receive into up to kBuffersPerReceiveMax large buffers, then kOff; into a
                 // small one when large ones have run out
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    // The connect ended: 0 or an errno. After an error the owner calls Close.
    virtual void OnConnected(Socket& socket, int error) = 0;
    // `size` > 0 bytes were received into `buffer`, whose one reference goes to the owner.
    // With `more`, further bytes of the same receive follow in another call at once, and until then
    // the socket must be left alone.
    virtual void OnReceived(Socket& socket, BufferId buffer, uint32_t size, bool more) = 0;
    // Nothing more will be received: 0 for an orderly FIN, or an errno.
    virtual void OnReceiveEnd(Socket& socket, int error) = 0;
    // A send ended: how many bytes the kernel took (maybe short), or -errno.
    virtual void OnSent(Socket& socket, int32_t result) = 0;
    // The socket is kClosed; its memory may be freed.
    virtual void OnClosed(Socket& socket) = 0;
  };

  // Neither owned; both outlive this. `small_buffers`: the group for all but kOnceLarge.
  Socket(Loop* loop, Owner* owner, BufferGroup small_buffers);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  // Takes over a connected descriptor. Only from kClosed.
  void Adopt(int fd);
  // Starts to connect; OnConnected tells the end of it. Returns 0, or an errno when not even a
  // descriptor was to be had (the state is still kClosed then). Only from kClosed.
  int Connect(const SocketAddress& address);

  void Receive(ReceiveMode mode);
  // One send at a time. The bytes stay untouched until OnSent; `parts` only needs to live until the
  // end of the turn.
  void Send(std::span<const iovec> parts);
  // Sends FIN once nothing is in flight to be sent. Receiving goes on.
  void ShutdownSend();
  // Idempotent.
  void Close();

  State state() const { return state_; }
  int fd() const { return fd_; }
  ReceiveMode receive_mode() const { return wanted_; }
  bool sending() const { return send_.in_flight(); }
  bool receive_ended() const { return receive_ended_; }
  Loop& loop() { return *loop_; }

 private:
  // Below this part of all large buffers a receive takes one at a time.
  static constexpr size_t kScarceFraction = 4;

  void OnReceiveCompletion(const Completion& completion);
  void OnSendCompletion(const Completion& completion);
  void OnBufferFree();
  void OnCloseDeferred();
  void ArmReceive();
  void ReceiveLargeNow();
  BufferId DeliverAllButLast(uint32_t& size);
  void ReturnTaken(size_t from);
  void FinishClose();

  Loop* const loop_;
  Owner* const owner_;
  const BufferGroup small_buffers_;
  Operation receive_{this, Bind<&Socket::OnReceiveCompletion>()};
  Operation send_{this, Bind<&Socket::OnSendCompletion>()};
  // By the receive in flight, not chosen by the kernel.
  std::array<BufferId, kBuffersPerReceiveMax> taken_;
  uint8_t taken_count_ = 0;
  BufferWaiter buffer_waiter_{this, [](void* self) { static_cast<Socket*>(self)->OnBufferFree(); }};
  Deferred close_deferred_{this, [](void* self) { static_cast<Socket*>(self)->OnCloseDeferred(); }};
  int fd_ = -1;
  State state_ = State::kClosed;
  ReceiveMode wanted_ = ReceiveMode::kOff;
  ReceiveMode armed_ = ReceiveMode::kOff;  // of the receive in flight
  BufferGroup receive_group_{};            // that its buffer comes from
  bool receive_ended_ = false;
  bool receive_cancelled_ = false;  // the receive in flight has been asked to end
  bool shutdown_pending_ = false;
  bool bytes_left_ = false;  // the last receive left bytes in the kernel
};

}  // namespace edge::uring
