// How often the simulated kernel and network do what a real one does rarely: a probability per
// occasion.
//
// The knobs come in two kinds. Those that a correct program hides entirely: whatever their setting,
// each client gets the same bytes. And those that a client may come to see, as an error or a closed
// connection; never as a wrong or truncated message that looks complete.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "test/sim/random.h"

namespace edge::sim {

struct FaultPlan {
  // --- To be hidden

  double short_receive = 0;     // a receive brings less than there is and there is room for
  double one_byte_receive = 0;  // ... a single byte
  double short_send = 0;        // a send completes although only a part has been taken
  double multishot_ends = 0;    // a good completion is the last of its multishot operation
  double no_buffers = 0;        // ENOBUFS although buffers are free
  double nothing_now = 0;       // RecvNow finds nothing although bytes have come
  double end_with_buffer = 0;   // a receive returns 0 or an error together with a buffer
  double wrong_hint = 0;        // Completion::bytes_left is the opposite of the truth
  double late_completion = 0;   // a completion is seen up to late_ns_max later
  int64_t late_ns_max = 0;
  double reorder = 0;              // ... some microseconds later, so that others overtake it
  double cancel_late = 0;          // a cancel takes effect later, the operation goes on till then
  double cancel_loses = 0;         // a cancelled operation completes with what it can get
  double completion_overflow = 0;  // completions are held back for a turn, multishots end
  double early_submit = 0;         // what is queued is submitted in the middle of a batch
  double spurious_wake = 0;        // a turn ends although nothing has come
  double doorbell_merged = 0;      // a doorbell becomes one with another that is still unseen
  double doorbell_late = 0;        // ... arrives up to late_ns_max later
  double stall = 0;                // the thread does not run for up to stall_ns_max
  int64_t stall_ns_max = 0;
  uint32_t first_window = 64;  // free buffers that the kernel is given at first

  // --- That a client may see

  // EMFILE, ENFILE, ENOBUFS or ENOMEM. The connection stays in the backlog, but others that are
  // idle may be closed for it.
  double accept_shortage = 0;
  double accept_aborted = 0;  // ECONNABORTED; the connection is lost
  double accept_fails = 0;    // another error of accept(2); the connection is lost
  double connect_refused = 0;
  double connect_unreachable = 0;  // EHOSTUNREACH
  double connect_no_port = 0;      // EADDRNOTAVAIL: the origin has no part in it
  double connect_fails = 0;        // another error of connect(2), at once
  double connect_timed_out = 0;    // ETIMEDOUT, after connect_late_ns_max
  double connect_late = 0;         // succeeds, up to connect_late_ns_max later
  int64_t connect_late_ns_max = 0;
  double open_socket_fails = 0;   // EMFILE, ENFILE, ENOBUFS or ENOMEM
  double receive_fails = 0;       // an error although the connection lives on for the peer
  double send_fails = 0;          // ... of which a part may have been taken
  double shutdown_fails = 0;      // the connection is reset just before
  double reset = 0;               // a connection is reset at a transfer of bytes, on both sides
  double peer_address_fails = 0;  // ENOTCONN, for the name of either end
  double refuse_handshakes_fails = 0;  // EPERM
  double acknowledged_unknown = 0;     // BytesAcknowledged cannot be found out
  size_t descriptors_max = SIZE_MAX;

  // The name of a knob, as it is above.
  static std::string_view NameOf(double FaultPlan::*knob);
  // The names of all knobs.
  static std::vector<std::string_view> Names();

  // All that is to be hidden, and everything; each knob off, low or high as `random` says.
  static FaultPlan Hidden(Random& random);
  static FaultPlan Any(Random& random);
};

// What connections are made of. Each connection and side draws its own, up to these.
struct NetworkShape {
  int64_t latency_ns_max = 200'000;   // one way
  size_t buffer_bytes_min = 4 << 10;  // of a send or receive buffer of a socket
  size_t buffer_bytes_max = 256 << 10;
  size_t segment_bytes_max = 64 << 10;  // that arrive at once
  bool reuse_descriptors =
      true;  // the lowest free number, as a kernel does; or never the same twice

  static NetworkShape Any(Random& random);
};

}  // namespace edge::sim
