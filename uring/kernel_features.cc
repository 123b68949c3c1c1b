#include "uring/kernel_features.h"

#include <liburing.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "uring/system_file.h"
#include "uring/trial_ring.h"

namespace edge::uring {
namespace {

// linux/io_uring.h of 6.15; liburing 2.9 lacks the names.
constexpr unsigned kEnterNoIowait = 1u << 7;
constexpr unsigned kFeatNoIowait = 1u << 17;

struct Needed {
  unsigned value;
  std::string_view name;
};
// In an order in which each is valid with those before it: TASKRUN_FLAG needs COOP_TASKRUN,
// DEFER_TASKRUN needs SINGLE_ISSUER (io_uring_setup(2)).
constexpr Needed kNeededSetupFlags[] = {
    {IORING_SETUP_CQSIZE, "IORING_SETUP_CQSIZE (Linux 5.5)"},
    {IORING_SETUP_CLAMP, "IORING_SETUP_CLAMP (Linux 5.6)"},
    {IORING_SETUP_SUBMIT_ALL, "IORING_SETUP_SUBMIT_ALL (Linux 5.18)"},
    {IORING_SETUP_COOP_TASKRUN, "IORING_SETUP_COOP_TASKRUN (Linux 5.19)"},
    {IORING_SETUP_TASKRUN_FLAG, "IORING_SETUP_TASKRUN_FLAG (Linux 5.19)"},
    {IORING_SETUP_SINGLE_ISSUER, "IORING_SETUP_SINGLE_ISSUER (Linux 6.0)"},
    {IORING_SETUP_DEFER_TASKRUN, "IORING_SETUP_DEFER_TASKRUN (Linux 6.1)"},
};
constexpr Needed kNeededFeatures[] = {
    {IORING_FEAT_NODROP, "IORING_FEAT_NODROP (Linux 5.5)"},
    {IORING_FEAT_SUBMIT_STABLE, "IORING_FEAT_SUBMIT_STABLE (Linux 5.5)"},
    {IORING_FEAT_FAST_POLL, "IORING_FEAT_FAST_POLL (Linux 5.7)"},
    {IORING_FEAT_EXT_ARG, "IORING_FEAT_EXT_ARG (Linux 5.11)"},
    {IORING_FEAT_CQE_SKIP, "IORING_FEAT_CQE_SKIP (Linux 5.17)"},
};
constexpr Needed kNeededOpcodes[] = {
    {IORING_OP_POLL_ADD, "IORING_OP_POLL_ADD (Linux 5.1)"},
    {IORING_OP_SENDMSG, "IORING_OP_SENDMSG (Linux 5.3)"},
    {IORING_OP_ACCEPT, "IORING_OP_ACCEPT (Linux 5.5)"},
    {IORING_OP_ASYNC_CANCEL, "IORING_OP_ASYNC_CANCEL (Linux 5.5)"},
    {IORING_OP_CONNECT, "IORING_OP_CONNECT (Linux 5.5)"},
    {IORING_OP_CLOSE, "IORING_OP_CLOSE (Linux 5.6)"},
    {IORING_OP_SEND, "IORING_OP_SEND (Linux 5.6)"},
    {IORING_OP_RECV, "IORING_OP_RECV (Linux 5.6)"},
    {IORING_OP_MSG_RING, "IORING_OP_MSG_RING (Linux 5.18)"},
};

constexpr unsigned AllSetupFlags() {
  unsigned all = 0;
  for (const Needed& flag : kNeededSetupFlags) all |= flag.value;
  return all;
}

std::optional<uint64_t> Limit(rlim_t limit) {
  if (limit == RLIM_INFINITY) return std::nullopt;
  return static_cast<uint64_t>(limit);
}

std::string LimitText(const std::optional<uint64_t>& limit) {
  return limit.has_value() ? absl::StrCat(*limit) : "unlimited";
}

// What can be read without a ring; the messages below need it before anything is tried.
KernelFeatures LookAround(std::string_view root) {
  KernelFeatures found;
  utsname name;
  if (uname(&name) == 0) found.release = name.release;
  int disabled = 0;
  if (const auto text = ReadSystemFile(root, "proc/sys/kernel/io_uring_disabled");
      text.has_value() && absl::SimpleAtoi(*text, &disabled)) {
    found.io_uring_disabled = disabled;
  }
  const std::string status = ReadSystemFile(root, "proc/self/status").value_or("");
  found.seccomp_filter = absl::StrContains(status, "\nSeccomp:\t2");  // proc_pid_status(5)
  rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) found.memlock_bytes = Limit(limit.rlim_cur);
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    found.open_files = Limit(limit.rlim_cur);
    found.open_files_hard = Limit(limit.rlim_max);
  }
  return found;
}

// --- Why edge cannot run here: one line each
// --------------------------------------------------------

absl::Status Forbidden(const KernelFeatures& found, std::string_view call, int error) {
  std::string sysctl = "kernel.io_uring_disabled";
  if (!found.io_uring_disabled.has_value()) {
    absl::StrAppend(&sysctl, " (this kernel has no such setting)");
  } else if (*found.io_uring_disabled == 0) {
    absl::StrAppend(&sysctl, " (it is 0, so that is not the cause)");
  } else {
    absl::StrAppend(&sysctl, " (it is ", *found.io_uring_disabled,
                    ": run 'sysctl -w kernel.io_uring_disabled=0')");
  }
  return absl::FailedPreconditionError(absl::StrCat(
      call, ": ", std::strerror(error), "; causes: a seccomp profile (",
      found.seccomp_filter ? "a filter is active: let it" : "no filter is active; one must",
      " allow io_uring_setup, io_uring_enter and io_uring_register), ", sysctl,
      ", or a sandbox without io_uring such as gVisor (run edge on the host's own kernel); kernel ",
      found.release));
}

absl::Status TooOld(const KernelFeatures& found, std::string_view missing) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the kernel lacks ", missing, ": edge needs Linux 6.1 or newer, this is ", found.release));
}

absl::Status Failure(const KernelFeatures& found, std::string_view call, int error) {
  switch (error) {
    case EPERM:
    case EACCES:
    case ENOSYS:
      return Forbidden(found, call, error);
    case ENOMEM:
      return absl::FailedPreconditionError(absl::StrCat(
          call, ": ", std::strerror(error),
          "; not even a small ring fits into RLIMIT_MEMLOCK, which is ",
          LimitText(found.memlock_bytes),
          " bytes for all processes of the user together: raise it (ulimit -l, LimitMEMLOCK= of "
          "systemd, --ulimit memlock= of a container)"));
    case EMFILE:
    case ENFILE:
      return absl::FailedPreconditionError(
          absl::StrCat(call, ": ", std::strerror(error), "; RLIMIT_NOFILE is ",
                       LimitText(found.open_files), ": raise it (ulimit -n)"));
    case ETIME:
      return absl::FailedPreconditionError(
          absl::StrCat(call, " did not complete; kernel ", found.release));
    default:
      return absl::FailedPreconditionError(
          absl::StrCat(call, ": ", std::strerror(error), "; kernel ", found.release));
  }
}

// --- The trials, in the order in which they build on one another
// --------------------------------------

absl::Status TrySetup(const KernelFeatures& found, TrialRing* ring) {
  const int error = ring->Open(AllSetupFlags());
  if (error == 0) return absl::OkStatus();
  if (error == -EINVAL) {
    // The kernel does not know one of the flags. Which is the first?
    unsigned flags = 0;
    for (const Needed& flag : kNeededSetupFlags) {
      flags |= flag.value;
      TrialRing trial;
      if (trial.Open(flags) == -EINVAL) return TooOld(found, flag.name);
    }
  }
  return Failure(found, "io_uring_setup", -error);
}

absl::Status TryFeatures(const KernelFeatures& found, const TrialRing& ring) {
  for (const Needed& feature : kNeededFeatures) {
    if ((ring.features() & feature.value) == 0) return TooOld(found, feature.name);
  }
  return absl::OkStatus();
}

absl::Status TryOpcodes(KernelFeatures* found, TrialRing* ring) {
  // Room for all opcodes there can be; liburing's own helper for this returns no error.
  constexpr unsigned kOpcodesMax = 256;
  std::vector<std::byte> memory(sizeof(io_uring_probe) + kOpcodesMax * sizeof(io_uring_probe_op));
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
  if (const int error = io_uring_register_probe(ring->get(), probe, kOpcodesMax); error < 0) {
    return Failure(*found, "io_uring_register", -error);
  }
  for (const Needed& opcode : kNeededOpcodes) {
    if (io_uring_opcode_supported(probe, static_cast<int>(opcode.value)) == 0) {
      return TooOld(*found, opcode.name);
    }
  }
  found->send_zero_copy = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0 &&
                          io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC) != 0;
  return absl::OkStatus();
}

absl::Status TryBuffers(const KernelFeatures& found, TrialRing* ring) {
  const int error = ring->ProvideBuffers();
  if (error == 0) return absl::OkStatus();
  if (error == -EINVAL) return TooOld(found, "rings of provided buffers (Linux 5.19)");
  return Failure(found, "io_uring_register of provided buffers", -error);
}

// A wait that ends by its time-out, with nothing submitted.
absl::Status TryTimeout(const KernelFeatures& found, TrialRing* ring) {
  constexpr int64_t kShortNs = 1000;
  io_uring_cqe completion;
  const int error = ring->Next(&completion, kShortNs);
  if (error == -ETIME) return absl::OkStatus();
  return Failure(found, "io_uring_enter with a time-out", -error);
}

// Waits for the completion of an operation that is to stay armed.
absl::Status NextOfMultishot(const KernelFeatures& found, TrialRing* ring, std::string_view name,
                             io_uring_cqe* completion) {
  const int error = ring->Next(completion);
  if (error != 0) return Failure(found, absl::StrCat("io_uring_enter for ", name), -error);
  if (completion->res < 0 && completion->res != -EINVAL) {
    return Failure(found, name, -completion->res);
  }
  if (completion->res < 0 || (completion->flags & IORING_CQE_F_MORE) == 0) {
    return TooOld(found, name);
  }
  return absl::OkStatus();
}

// Accepts two connections by one operation. The sockets are of the Unix domain, which needs no
// network.
absl::Status TryMultishotAccept(const KernelFeatures& found, TrialRing* ring, Descriptor* client,
                                Descriptor* server) {
  const Descriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length =
      sizeof address.sun_family;  // without a name, so the kernel makes one (unix(7))
  if (listener.get() < 0 || bind(listener.get(), generic, length) != 0 ||
      listen(listener.get(), 2) != 0) {
    return Failure(found, "listening on a Unix socket", errno);
  }
  length = sizeof address;
  if (getsockname(listener.get(), generic, &length) != 0) {
    return Failure(found, "getsockname of a Unix socket", errno);
  }

  io_uring_sqe* accept = ring->NextSqe();
  io_uring_prep_multishot_accept(accept, listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  accept->user_data = 1;
  io_uring_cqe completion;
  for (int i = 0; i < 2; ++i) {
    *client = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (client->get() < 0 || connect(client->get(), generic, length) != 0) {
      return Failure(found, "connecting a Unix socket", errno);
    }
    if (absl::Status status =
            NextOfMultishot(found, ring, "multishot accept (Linux 5.19)", &completion);
        !status.ok()) {
      return status;
    }
    *server = Descriptor(completion.res);
  }

  // The accept and its cancellation complete, in either order.
  io_uring_sqe* cancel = ring->NextSqe();
  io_uring_prep_cancel64(cancel, 1, 0);
  cancel->user_data = 2;
  for (int i = 0; i < 2; ++i) {
    const int error = ring->Next(&completion);
    if (error != 0) return Failure(found, "io_uring_enter for a cancellation", -error);
    if (completion.res != (completion.user_data == 1 ? -ECANCELED : 0)) {
      return Failure(found, "cancelling an accept", -completion.res);
    }
  }
  return absl::OkStatus();
}

// Receives twice by one operation, each time into another buffer.
absl::Status TryMultishotReceive(const KernelFeatures& found, TrialRing* ring,
                                 const Descriptor& client, const Descriptor& server) {
  constexpr std::string_view kName = "multishot receive into provided buffers (Linux 6.0)";
  io_uring_sqe* receive = ring->NextSqe();
  io_uring_prep_recv_multishot(receive, server.get(), nullptr, 0, 0);
  receive->flags |= IOSQE_BUFFER_SELECT;
  receive->buf_group = TrialRing::kBufferGroup;
  for (int i = 0; i < 2; ++i) {
    if (send(client.get(), "x", 1, MSG_NOSIGNAL) != 1) {
      return Failure(found, "sending on a Unix socket", errno);
    }
    io_uring_cqe completion;
    if (absl::Status status = NextOfMultishot(found, ring, kName, &completion); !status.ok()) {
      return status;
    }
    if (completion.res != 1 || (completion.flags & IORING_CQE_F_BUFFER) == 0) {
      return TooOld(found, kName);
    }
  }
  return absl::OkStatus();
}

// A message from one ring to another: what doorbells are.
absl::Status TryDoorbell(const KernelFeatures& found, TrialRing* ring) {
  constexpr uint64_t kMessage = 42;
  TrialRing target;
  if (const int error = target.Open(AllSetupFlags()); error != 0) {
    return Failure(found, "io_uring_setup of a second ring", -error);
  }
  io_uring_prep_msg_ring(ring->NextSqe(), target.get()->ring_fd, 0, kMessage, 0);
  io_uring_cqe completion;
  int error = ring->Next(&completion);
  if (error != 0) return Failure(found, "io_uring_enter for a message to a ring", -error);
  if (completion.res < 0) return Failure(found, "a message to a ring", -completion.res);
  error = target.Next(&completion);
  if (error != 0) return Failure(found, "a message to a ring", -error);
  if (completion.user_data != kMessage) return TooOld(found, "messages to rings (Linux 5.18)");
  return absl::OkStatus();
}

// What is wanted and not needed; a ring of its own, because registering changes how it is entered.
void TryOptional(KernelFeatures* found) {
  TrialRing ring;
  if (ring.Open(AllSetupFlags()) != 0) return;
  found->recv_bundles = (ring.features() & IORING_FEAT_RECVSEND_BUNDLE) != 0;
  found->no_iowait = (ring.features() & kFeatNoIowait) != 0 &&
                     io_uring_enter(static_cast<unsigned>(ring.get()->ring_fd), 0, 0,
                                    IORING_ENTER_GETEVENTS | kEnterNoIowait, nullptr) >= 0;
  found->registered_ring = io_uring_register_ring_fd(ring.get()) == 1;

  TrialRing restricted;
  io_uring_restriction only_nop{};
  only_nop.opcode = IORING_RESTRICTION_SQE_OP;
  only_nop.sqe_op = IORING_OP_NOP;
  found->restrictions = restricted.Open(AllSetupFlags() | IORING_SETUP_R_DISABLED) == 0 &&
                        io_uring_register_restrictions(restricted.get(), &only_nop, 1) == 0 &&
                        io_uring_enable_rings(restricted.get()) == 0;
}

}  // namespace

absl::StatusOr<KernelFeatures> DetectKernelFeatures(std::string_view filesystem_root) {
  KernelFeatures found = LookAround(filesystem_root);
  // The sockets go after the ring: its receive is armed on one until it closes.
  Descriptor client;
  Descriptor server;
  TrialRing ring;
  absl::Status status = TrySetup(found, &ring);
  if (status.ok()) status = TryFeatures(found, ring);
  if (status.ok()) status = TryOpcodes(&found, &ring);
  if (status.ok()) status = TryBuffers(found, &ring);
  if (status.ok()) status = TryTimeout(found, &ring);
  if (status.ok()) status = TryMultishotAccept(found, &ring, &client, &server);
  if (status.ok()) status = TryDoorbell(found, &ring);
  if (status.ok()) status = TryMultishotReceive(found, &ring, client, server);
  if (!status.ok()) return status;
  TryOptional(&found);
  return found;
}

std::string KernelFeatures::Describe() const {
  const auto yes_or_no = [](bool value) { return value ? "yes" : "no"; };
  return absl::StrCat(
      "kernel ", release, ": everything edge needs of io_uring works\n",
      "  idle loops not counted as I/O wait (NO_IOWAIT, Linux 6.15): ", yes_or_no(no_iowait), "\n",
      "  zero-copy send (Linux 6.1): ", yes_or_no(send_zero_copy), "\n",
      "  receive bundles (Linux 6.10): ", yes_or_no(recv_bundles), "\n",
      "  registered ring descriptors (Linux 5.18): ", yes_or_no(registered_ring), "\n",
      "  restriction of opcodes (Linux 5.10): ", yes_or_no(restrictions), "\n",
      "  RLIMIT_MEMLOCK: ", LimitText(memlock_bytes), memlock_bytes.has_value() ? " bytes\n" : "\n",
      "  RLIMIT_NOFILE: ", LimitText(open_files), ", at most ", LimitText(open_files_hard), "\n",
      "  kernel.io_uring_disabled: ",
      io_uring_disabled.has_value() ? absl::StrCat(*io_uring_disabled) : "no such setting", "\n",
      "  seccomp filter: ", yes_or_no(seccomp_filter), "\n");
}

}  // namespace edge::uring
