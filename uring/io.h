// Io: the seam between edge and a kernel. UringIo (uring_io.h) stands on io_uring; the simulator in
// test/sim stands on nothing but a seed; an epoll backend fits as well, because doorbells and
// buffer selection are part of the seam.
//
// Rules, for every implementation:
//  - Calls that start an operation only queue it. Completions are delivered by Dispatch and nowhere
//  else.
//  - Every operation started gets exactly one final completion (`more` false), whatever happens.
//  - Bytes and buffers handed to an operation stay untouched until that final completion; iovec
//  arrays and
//    socket addresses only until the next Turn.
//  - One thread owns an Io, except for RingDoorbell's target, which may be any other.

#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "uring/operation.h"

namespace edge::uring {

// An address of a socket, IPv4 or IPv6.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// An errno of a call that needs a descriptor or memory: there is none left, nor a moment later.
constexpr bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Identifies the Io of another thread for RingDoorbell; for UringIo the ring's file descriptor.
struct DoorbellTarget {
  int handle = -1;
};

// Counters of one Io, written by its thread only. Plain integers: the owner of the loop publishes
// them.
struct IoCounters {
  uint64_t enters = 0;         // io_uring_enter calls (or what stands for them)
  uint64_t early_submits = 0;  // of those, ones made within a batch because much was queued
  uint64_t completions = 0;    // completions dispatched
  uint64_t stale_completions =
      0;                    // arrived for an operation that had been started anew: a bug if not 0
  uint64_t no_buffers = 0;  // receives that found their group empty (ENOBUFS)
  uint64_t completion_overflows =
      0;  // times the completion queue overflowed into the kernel's backlog
  uint64_t doorbells_received = 0;
};

class Io {
 public:
  virtual ~Io() = default;

  // --- Operations
  // -------------------------------------------------------------------------------------

  // Accepts connections until cancelled; each completion's result is a new close-on-exec socket or
  // -errno (EMFILE, ENFILE, ENOBUFS, ENOMEM end the operation: start it anew, but by a timer).
  // Sockets inherit TCP_NODELAY from the listener (tcp(7)).
  virtual void AcceptMultishot(int listener_fd, Operation& operation) = 0;

  // Receives until cancelled, end of stream (result 0) or an error, a buffer of `group` per
  // completion. -ENOBUFS ends it when the group is empty.
  virtual void RecvMultishot(int fd, BufferGroup group, Operation& operation) = 0;

  // Receives once into a buffer of `group`, which is chosen only when bytes have come.
  // `bytes_expected` says that bytes are probably there already; without it the kernel waits for
  // them before it tries.
  virtual void RecvOnce(int fd, BufferGroup group, bool bytes_expected, Operation& operation) = 0;

  // Receives what is there now into buffers that edge has taken (TakeBuffer) and keeps, whatever
  // the result, filling one after the other; -EAGAIN if nothing is there. At most
  // kBuffersPerReceiveMax.
  virtual void RecvNow(int fd, std::span<const BufferId> buffers, Operation& operation) = 0;

  // Sends the bytes of `parts` in order; completes when all of them are with the kernel
  // (MSG_WAITALL), or short, or with an error. At most one send may be in flight on a socket.
  virtual void Send(int fd, std::span<const iovec> parts, Operation& operation) = 0;

  virtual void Connect(int fd, const SocketAddress& address, Operation& operation) = 0;

  // Completes with the poll(2) events that are ready, once per readiness, until cancelled.
  virtual void PollMultishot(int fd, uint32_t events, Operation& operation) = 0;

  // Asks for the operation to end early. Its final completion comes all the same: -ECANCELED, or
  // what it was about to return. No effect if it is not in flight.
  virtual void Cancel(Operation& operation) = 0;

  // Wakes the thread that owns `target`'s Io out of its Turn: at once where that is possible, with
  // the next Turn at the latest. Never lost, may be merged with others.
  virtual void RingDoorbell(DoorbellTarget target) = 0;
  virtual DoorbellTarget doorbell() const = 0;

  // --- Calls that return at once
  // ------------------------------------------------------------------------

  // A new TCP socket (close-on-exec, TCP_NODELAY), or -errno.
  virtual int OpenSocket(int family) = 0;
  // Queues the close of a socket that has no operation in flight. Cannot fail.
  virtual void CloseSocket(int fd) = 0;
  // From now on this listener lets no handshake begin; those that have begun still end, and can be
  // accepted. The clients ask again, by then of another listener or in vain. Returns 0 or -errno:
  // some sandboxes forbid socket filters, and nothing happens then.
  virtual int RefuseHandshakes(int listener_fd) = 0;
  // Accepts one connection that waits in the backlog, or -EAGAIN: for draining a cancelled
  // listener.
  virtual int AcceptNow(int listener_fd) = 0;
  // Closes a listener that has no operation in flight, before this returns: what the kernel accepts
  // after the last AcceptNow is reset.
  virtual void CloseListener(int listener_fd) = 0;
  // shutdown(2) of the sending side. Returns 0 or -errno.
  virtual int ShutdownSend(int fd) = 0;
  // Makes the close of this socket send RST instead of FIN (SO_LINGER of 0, socket(7)).
  virtual void ResetOnClose(int fd) = 0;
  // Reads the peer's address (getpeername(2)). Returns 0 or -errno: the peer may be gone already.
  virtual int PeerAddress(int fd, SocketAddress* peer) = 0;
  // Reads the address that the peer connected to (getsockname(2)). Returns 0 or -errno.
  virtual int LocalAddress(int fd, SocketAddress* local) = 0;
  // How many bytes the peer's kernel has acknowledged so far (TCP_INFO, tcp(7)); it takes no more
  // than a window ahead of what the peer reads. 0 if that cannot be found out.
  virtual uint64_t BytesAcknowledged(int fd) = 0;

  // --- Buffers
  // --------------------------------------------------------------------------------------------

  virtual std::byte* BufferData(BufferId id) = 0;
  virtual size_t BufferSize(BufferGroup group) const = 0;
  virtual size_t BuffersTotal(BufferGroup group) const = 0;
  // How many buffers of the group the kernel may still choose from.
  virtual size_t BuffersFree(BufferGroup group) const = 0;
  // How many of those TakeBuffer can still take: what the kernel was given does not come back
  // unfilled.
  virtual size_t BuffersOwn(BufferGroup group) const = 0;
  // Takes a buffer for edge's own use (plaintext of TLS, a head too large for its place); !valid()
  // if none.
  virtual BufferId TakeBuffer(BufferGroup group) = 0;
  virtual void ReturnBuffer(BufferId id) = 0;

  // --- The turn
  // -------------------------------------------------------------------------------------------

  // Submits everything queued and waits until a completion is there, a doorbell rings, or
  // `timeout_ns` has passed (negative: no limit; 0: do not wait). Does not run completions. Returns
  // 0 or -errno of a kernel that cannot go on (never EINTR, ETIME, EAGAIN or EBUSY).
  virtual int Turn(int64_t timeout_ns) = 0;

  // Runs the handlers of at most `max` completions that have come. Returns how many it ran.
  virtual size_t Dispatch(size_t max) = 0;

  virtual const IoCounters& counters() const = 0;
};

}  // namespace edge::uring
