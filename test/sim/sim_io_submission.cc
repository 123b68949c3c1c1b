// The half of SimIo that edge calls: operations begin and are handed to the kernel, and what is
// answered at once.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/log/check.h"
#include "test/sim/sim_io.h"

namespace edge::sim {
namespace {

using uring::BufferId;
using uring::Operation;

constexpr size_t kPartsPerSendMax = 1024;  // UIO_MAXIOV

}  // namespace

// --- Starting operations

SimIo::Pending* SimIo::Find(Serial serial) {
  const auto found = pending_.find(serial);
  return found == pending_.end() ? nullptr : found->second.get();
}

void SimIo::Queue(const Submission& submission) {
  if (submissions_.size() >= submission_entries_) {
    ++counters_.early_submits;
    Submit();
  }
  submissions_.push_back(submission);
}

SimIo::Pending& SimIo::Start(Kind kind, int fd, Serial File::*slot, Operation& operation) {
  File& file = FileOf(fd, "operation");
  CHECK_EQ(file.*slot, 0u) << "second operation of a kind in flight on descriptor " << fd;
  auto pending = std::make_unique<Pending>();
  pending->kind = kind;
  pending->serial = ++last_serial_;
  pending->fd = fd;
  pending->user_data = operation.Arm();
  file.*slot = pending->serial;
  serial_by_user_data_[pending->user_data] = pending->serial;
  world().Log("start", {{"fd", fd},
                        {"kind", static_cast<int>(kind)},
                        {"op", static_cast<int64_t>(pending->serial)}});
  Pending& result = *pending;
  pending_[result.serial] = std::move(pending);
  return result;
}

void SimIo::AcceptMultishot(int listener_fd, Operation& operation) {
  CHECK(FileOf(listener_fd, "accept").listener != nullptr);
  Pending& pending = Start(Kind::kAccept, listener_fd, &File::accept, operation);
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::RecvMultishot(int fd, uring::BufferGroup group, Operation& operation) {
  Pending& pending = Start(Kind::kReceiveMultishot, fd, &File::receive, operation);
  pending.group = group;
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::RecvOnce(int fd, uring::BufferGroup group, bool bytes_expected, Operation& operation) {
  Pending& pending = Start(Kind::kReceiveOnce, fd, &File::receive, operation);
  pending.group = group;
  pending.bytes_expected = bytes_expected;
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::RecvNow(int fd, std::span<const BufferId> buffers, Operation& operation) {
  CHECK(!buffers.empty());
  CHECK_LE(buffers.size(), uring::kBuffersPerReceiveMax);
  Pending& pending = Start(Kind::kReceiveNow, fd, &File::receive, operation);
  pending.buffers.assign(buffers.begin(), buffers.end());
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::Send(int fd, std::span<const iovec> parts, Operation& operation) {
  CHECK(!parts.empty());
  CHECK_LE(parts.size(), kPartsPerSendMax);
  Pending& pending = Start(Kind::kSend, fd, &File::send, operation);
  pending.parts = parts.data();
  pending.parts_copy.assign(parts.begin(), parts.end());
  for (const iovec& part : parts) {
    pending.bytes_copy.append(static_cast<const char*>(part.iov_base), part.iov_len);
  }
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::Connect(int fd, const uring::SocketAddress& address, Operation& operation) {
  CHECK(FileOf(fd, "connect").endpoint == nullptr) << "connect of a connected socket";
  Pending& pending = Start(Kind::kConnect, fd, &File::send, operation);
  pending.address = &address;
  pending.address_copy = address;
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::PollMultishot(int fd, uint32_t events, Operation& operation) {
  Pending& pending = Start(Kind::kPoll, fd, &File::poll, operation);
  pending.poll_events = events;
  Queue({Submission::What::kStart, pending.serial});
}

void SimIo::Cancel(Operation& operation) {
  if (!operation.in_flight()) return;
  const auto found = serial_by_user_data_.find(operation.user_data());
  CHECK(found != serial_by_user_data_.end());
  Queue({Submission::What::kCancel, found->second});
}

void SimIo::RingDoorbell(uring::DoorbellTarget target) {
  Queue({.what = Submission::What::kDoorbell, .handle = target.handle});
}

void SimIo::CloseSocket(int fd) {
  File& file = FileOf(fd, "close");
  CHECK(file.receive == 0 && file.send == 0 && file.accept == 0 && file.poll == 0)
      << "descriptor " << fd << " closed with an operation in flight";
  file.closing = true;
  Queue({.what = Submission::What::kClose, .handle = fd});
}

// --- Submission

void SimIo::Submit() {
  // Nothing below runs a handler, so nothing is added meanwhile.
  for (const Submission& submission : submissions_) {
    switch (submission.what) {
      case Submission::What::kStart:
        SubmitStart(*Find(submission.serial));
        break;
      case Submission::What::kCancel:
        SubmitCancel(submission.serial);
        break;
      case Submission::What::kClose: {
        File& file = *files_.at(submission.handle);
        world().Log("close", {{"fd", file.fd}});
        if (file.endpoint != nullptr) {
          file.reset_on_close ? file.endpoint->Abort() : file.endpoint->Close();
        }
        files_.erase(submission.handle);
        break;
      }
      case Submission::What::kDoorbell: {
        CHECK_LT(static_cast<size_t>(submission.handle), world().ios.size()) << "no such doorbell";
        SimIo* target = world().ios[submission.handle];
        if (target != nullptr) target->ReceiveDoorbell();
        break;
      }
    }
  }
  submissions_.clear();
}

void SimIo::SubmitStart(Pending& pending) {
  pending.submitted = true;
  if (pending.kind == Kind::kSend) {
    CHECK_EQ(std::memcmp(pending.parts, pending.parts_copy.data(),
                         pending.parts_copy.size() * sizeof(iovec)),
             0)
        << "iovec array changed between Send and Turn";
    pending.parts = nullptr;
  }
  if (pending.kind == Kind::kConnect) return SubmitConnect(pending);
  if (pending.kind == Kind::kReceiveNow) return ReceiveWhatIsThere(pending);
  const bool receive =
      pending.kind == Kind::kReceiveOnce || pending.kind == Kind::kReceiveMultishot;
  if (receive && (pending.kind == Kind::kReceiveMultishot || pending.bytes_expected)) {
    // The kernel chooses a buffer before it looks for bytes, unless it is told to wait for them
    // first.
    const BufferId buffer = buffers_.Select(pending.group);
    if (!buffer.valid()) return End(pending, -ENOBUFS);
    buffers_.Unselect(buffer);
  }
  // Half of the time inline, as a kernel does; else when the poll that it arms says so.
  if (random_.Chance(0.5)) {
    Step(pending);
  } else {
    ScheduleStep(pending.serial);
  }
}

void SimIo::SubmitConnect(Pending& pending) {
  CHECK(pending.address->length == pending.address_copy.length &&
        std::memcmp(&pending.address->storage, &pending.address_copy.storage,
                    pending.address_copy.length) == 0)
      << "address changed between Connect and Turn";
  pending.address = nullptr;
  const FaultPlan& plan = faults();
  const Serial serial = pending.serial;
  const auto fail = [&](int64_t delay_ns, int error) {
    world().scheduler.After(delay_ns,
                            [this, serial, error] { OnConnected(serial, error, nullptr); });
  };
  const int64_t round_trip_ns = 2 * random_.Between(0, world().shape.latency_ns_max);
  if (Occurs(&FaultPlan::connect_refused)) return fail(round_trip_ns, ECONNREFUSED);
  if (Occurs(&FaultPlan::connect_unreachable)) return fail(round_trip_ns, EHOSTUNREACH);
  if (Occurs(&FaultPlan::connect_no_port)) return fail(0, EADDRNOTAVAIL);
  if (Occurs(&FaultPlan::connect_fails)) {
    constexpr int kErrors[] = {ENETUNREACH, EPERM, EACCES, ENOMEM, ENOBUFS};
    return fail(0, kErrors[random_.Below(std::size(kErrors))]);
  }
  if (Occurs(&FaultPlan::connect_timed_out)) return fail(plan.connect_late_ns_max, ETIMEDOUT);
  const int64_t delay_ns =
      Occurs(&FaultPlan::connect_late) ? random_.Between(0, plan.connect_late_ns_max) : 0;
  world().scheduler.After(delay_ns, [this, serial] {
    Pending* pending = Find(serial);
    if (pending == nullptr || pending->done) return;
    network_->Connect(
        SimAddress(1, 0), pending->address_copy,
        [this, serial](int error, Endpoint* endpoint) { OnConnected(serial, error, endpoint); });
  });
}

void SimIo::SubmitCancel(Serial serial) {
  Pending* pending = Find(serial);
  if (pending == nullptr || pending->done || pending->cancel_scheduled) return;
  if (Occurs(&FaultPlan::cancel_late)) {
    pending->cancel_scheduled = true;
    const int64_t delay_ns = random_.Between(0, std::max<int64_t>(faults().late_ns_max, 1000));
    world().scheduler.After(delay_ns, [this, serial] {
      if (Pending* pending = Find(serial); pending != nullptr && !pending->done)
        CancelNow(*pending);
    });
    return;
  }
  CancelNow(*pending);
}

void SimIo::CancelNow(Pending& pending) {
  world().Log("cancel", {{"fd", pending.fd}, {"op", static_cast<int64_t>(pending.serial)}});
  if (Occurs(&FaultPlan::cancel_loses)) Step(pending);
  if (pending.done) return;
  // A send that was under way tells how far it came (REQ_F_PARTIAL_IO).
  const bool partial = pending.kind == Kind::kSend && pending.bytes_taken > 0;
  End(pending, partial ? static_cast<int64_t>(pending.bytes_taken) : -ECANCELED);
}

// --- Calls that return at once

int SimIo::Shortage() {
  constexpr int kErrors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
  return kErrors[random_.Below(std::size(kErrors))];
}

int SimIo::OpenSocket(int family) {
  CHECK_EQ(family, AF_INET) << "the simulated network has IPv4 only";
  if (files_.size() >= faults().descriptors_max) return -EMFILE;
  if (Occurs(&FaultPlan::open_socket_fails)) return -Shortage();
  return NewFile();
}

int SimIo::RefuseHandshakes(int listener_fd) {
  File& file = FileOf(listener_fd, "refuse handshakes");
  CHECK(file.listener != nullptr);
  if (Occurs(&FaultPlan::refuse_handshakes_fails)) return -EPERM;
  world().Log("refuse handshakes", {{"fd", listener_fd}});
  file.listener->RefuseHandshakes();
  return 0;
}

int SimIo::AcceptNow(int listener_fd) {
  File& file = FileOf(listener_fd, "accept");
  CHECK(file.listener != nullptr);
  if (!file.listener->pending()) return -EAGAIN;
  if (files_.size() >= faults().descriptors_max) return -EMFILE;
  if (Occurs(&FaultPlan::accept_shortage)) return -Shortage();
  Endpoint* endpoint = file.listener->Accept();
  if (Occurs(&FaultPlan::accept_aborted)) {
    endpoint->Abort();
    return -ECONNABORTED;
  }
  if (Occurs(&FaultPlan::accept_fails)) {
    endpoint->Abort();
    return -AcceptError();
  }
  const int fd = NewFile();
  files_[fd]->endpoint = endpoint;
  endpoint->set_observer(files_[fd].get());
  world().Log("accepted now", {{"fd", fd}, {"end", endpoint->id()}});
  return fd;
}

void SimIo::CloseListener(int listener_fd) {
  File& file = FileOf(listener_fd, "close");
  CHECK(file.listener != nullptr && file.accept == 0)
      << "listener " << listener_fd << " closed with an operation in flight";
  world().Log("close", {{"fd", listener_fd}});
  file.listener->Close();
  files_.erase(listener_fd);
}

int SimIo::ShutdownSend(int fd) {
  File& file = FileOf(fd, "shutdown");
  world().Log("shutdown", {{"fd", fd}});
  if (file.endpoint != nullptr && Occurs(&FaultPlan::shutdown_fails)) file.endpoint->Break();
  return file.endpoint == nullptr ? -ENOTCONN : file.endpoint->ShutdownSend();
}

uint64_t SimIo::BytesAcknowledged(int fd) {
  File& file = FileOf(fd, "bytes acknowledged");
  if (file.endpoint == nullptr || Occurs(&FaultPlan::acknowledged_unknown)) return 0;
  return file.endpoint->bytes_delivered();
}

int SimIo::PeerAddress(int fd, uring::SocketAddress* peer) {
  File& file = FileOf(fd, "peer address");
  if (file.endpoint == nullptr || file.endpoint->reset()) return -ENOTCONN;
  if (Occurs(&FaultPlan::peer_address_fails)) return -ENOTCONN;
  *peer = file.endpoint->remote_address();
  return 0;
}

int SimIo::LocalAddress(int fd, uring::SocketAddress* local) {
  const File& file = FileOf(fd, "local address");
  if (file.endpoint == nullptr || Occurs(&FaultPlan::peer_address_fails)) return -ENOTCONN;
  *local = file.endpoint->local_address();
  return 0;
}

}  // namespace edge::sim
