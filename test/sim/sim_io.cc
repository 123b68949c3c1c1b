#include "test/sim/sim_io.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/log/check.h"

namespace edge::sim {
namespace {

using uring::BufferId;
using uring::Completion;
using uring::Operation;

constexpr int64_t kTurnNsMax = 10'000;    // what an enter of the kernel costs
constexpr int64_t kHandlerNsMax = 3'000;  // what edge does with a completion
constexpr int64_t kBatchNsMax =
    20'000;  // what still makes it into a batch after its first completion
constexpr int64_t kStepNsMax = 2'000;  // from readiness to the operation being tried again
constexpr int64_t kReorderNsMax = 10'000;
constexpr int kRoundsPerStep = 32;         // of a multishot operation, before others get their turn
constexpr size_t kPartsPerSendMax = 1024;  // UIO_MAXIOV

int Shortage(Random& random) {
  constexpr int kErrors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
  return kErrors[random.Below(std::size(kErrors))];
}

}  // namespace

SimIo::SimIo(SimNetwork* network, const SimIoOptions& options)
    : network_(network),
      random_(network->world().random.Fork()),
      submission_entries_(options.submission_entries),
      handle_(static_cast<int>(network->world().ios.size())),
      buffers_({options.head, options.body, options.origin}, network->world().faults.first_window,
               random_.Fork()) {
  world().ios.push_back(this);
  scratch_.resize(
      std::max({options.head.bytes_each, options.body.bytes_each, options.origin.bytes_each}));
}

SimIo::~SimIo() {
  CHECK(pending_.empty()) << pending_.size() << " operations in flight at the end";
  for (auto& [fd, file] : files_) {
    if (file->endpoint != nullptr) file->endpoint->set_observer(nullptr);
    if (file->listener != nullptr) file->listener->set_observer(nullptr);
  }
  world().ios[handle_] = nullptr;
}

// --- Descriptors

SimIo::File& SimIo::FileOf(int fd, const char* what) {
  const auto found = files_.find(fd);
  CHECK(found != files_.end()) << what << " of descriptor " << fd << ", which is not open";
  CHECK(!found->second->closing) << what << " of descriptor " << fd << ", which has been closed";
  return *found->second;
}

int SimIo::NewFile() {
  int fd = next_fd_;
  if (world().shape.reuse_descriptors) {
    fd = kFirstFd;
    while (files_.contains(fd)) ++fd;
  } else {
    ++next_fd_;
  }
  files_[fd] = std::make_unique<File>(this, fd);
  return fd;
}

int SimIo::AddListener(Listener* listener) {
  const int fd = NewFile();
  File& file = *files_[fd];
  file.listener = listener;
  listener->set_observer(&file);
  return fd;
}

size_t SimIo::open_sockets() const {
  return static_cast<size_t>(std::count_if(files_.begin(), files_.end(), [](const auto& entry) {
    return entry.second->listener == nullptr;
  }));
}

void SimIo::File::OnReadable() {
  io->ScheduleStep(receive);
  io->ScheduleStep(poll);
}
void SimIo::File::OnWritable() {
  io->ScheduleStep(send);
  io->ScheduleStep(poll);
}
void SimIo::File::OnPending() {
  io->ScheduleStep(accept);
  io->ScheduleStep(poll);
}

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
  if (random_.Chance(plan.connect_refused)) return fail(round_trip_ns, ECONNREFUSED);
  if (random_.Chance(plan.connect_unreachable)) return fail(round_trip_ns, EHOSTUNREACH);
  if (random_.Chance(plan.connect_no_port)) return fail(0, EADDRNOTAVAIL);
  if (random_.Chance(plan.connect_timed_out)) return fail(plan.connect_late_ns_max, ETIMEDOUT);
  const int64_t delay_ns =
      random_.Chance(plan.connect_late) ? random_.Between(0, plan.connect_late_ns_max) : 0;
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
  if (random_.Chance(faults().cancel_late)) {
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
  if (random_.Chance(faults().cancel_loses)) Step(pending);
  if (pending.done) return;
  // A send that was under way tells how far it came (REQ_F_PARTIAL_IO).
  const bool partial = pending.kind == Kind::kSend && pending.bytes_taken > 0;
  End(pending, partial ? static_cast<int64_t>(pending.bytes_taken) : -ECANCELED);
}

// --- The kernel's work

void SimIo::ScheduleStep(Serial serial) {
  Pending* pending = Find(serial);
  if (pending == nullptr || !pending->submitted || pending->done || pending->step_scheduled) return;
  pending->step_scheduled = true;
  world().scheduler.After(random_.Between(0, kStepNsMax), [this, serial] {
    Pending* pending = Find(serial);
    if (pending == nullptr) return;
    pending->step_scheduled = false;
    if (!pending->done) Step(*pending);
  });
}

void SimIo::Step(Pending& pending) {
  switch (pending.kind) {
    case Kind::kAccept:
      return StepAccept(pending);
    case Kind::kReceiveMultishot:
    case Kind::kReceiveOnce:
      return StepReceive(pending);
    case Kind::kSend:
      return StepSend(pending);
    case Kind::kReceiveNow:
      return;  // ended when it was submitted
    case Kind::kConnect:
      return;  // OnConnected
    case Kind::kPoll: {
      const File& file = *files_.at(pending.fd);
      uint32_t events = 0;
      if (file.listener != nullptr && file.listener->pending()) events |= POLLIN;
      if (file.endpoint != nullptr) {
        if (file.endpoint->readable()) events |= POLLIN;
        if (file.endpoint->writable()) events |= POLLOUT;
        if (file.endpoint->fin_received()) events |= POLLRDHUP;
        if (file.endpoint->reset()) events |= POLLHUP | POLLERR;
      }
      events &= pending.poll_events | POLLHUP | POLLERR;
      if (events != 0) PostMultishot(pending, static_cast<int32_t>(events));
      return;
    }
  }
}

void SimIo::StepAccept(Pending& pending) {
  Listener* listener = files_.at(pending.fd)->listener;
  while (!pending.done && listener->pending()) {
    if (files_.size() >= faults().descriptors_max) return End(pending, -EMFILE);
    if (random_.Chance(faults().accept_shortage)) return End(pending, -Shortage(random_));
    Endpoint* endpoint = listener->Accept();
    if (random_.Chance(faults().accept_aborted)) {
      endpoint->Abort();
      return End(pending, -ECONNABORTED);
    }
    const int fd = NewFile();
    files_[fd]->endpoint = endpoint;
    endpoint->set_observer(files_[fd].get());
    world().Log("accepted", {{"fd", fd}, {"end", endpoint->id()}});
    PostMultishot(pending, fd);
  }
}

void SimIo::StepReceive(Pending& pending) {
  Endpoint* endpoint = files_.at(pending.fd)->endpoint;
  if (endpoint == nullptr) return End(pending, -ENOTCONN);
  for (int round = 0; round < kRoundsPerStep && !pending.done; ++round) {
    if (!endpoint->readable()) return;
    ReceiveNow(pending);
  }
  ScheduleStep(pending.serial);
}

void SimIo::ReceiveNow(Pending& pending) {
  const FaultPlan& plan = faults();
  if (random_.Chance(plan.no_buffers)) return End(pending, -ENOBUFS);
  const BufferId buffer = buffers_.Select(pending.group);
  if (!buffer.valid()) return End(pending, -ENOBUFS);

  size_t room = buffers_.bytes_each(pending.group);
  if (random_.Chance(plan.one_byte_receive)) {
    room = 1;
  } else if (random_.Chance(plan.short_receive)) {
    room = random_.Skewed(room);
  }
  Endpoint* endpoint = files_.at(pending.fd)->endpoint;
  const ssize_t result = endpoint->Read(scratch_.data(), room);
  CHECK_NE(result, -EAGAIN);
  Completion completion;
  completion.result = static_cast<int32_t>(result);
  if (result > 0) {
    buffers_.Fill(buffer, scratch_.data(), static_cast<size_t>(result));
    completion.buffer = buffer;
    completion.more =
        pending.kind == Kind::kReceiveMultishot && !random_.Chance(plan.multishot_ends);
    completion.bytes_left = (endpoint->received_bytes() > 0) != random_.Chance(plan.wrong_hint);
  } else if (random_.Chance(plan.end_with_buffer)) {
    completion.buffer = buffer;
  } else {
    buffers_.Unselect(buffer);
  }
  Post(pending, completion);
}

void SimIo::ReceiveWhatIsThere(Pending& pending) {
  const FaultPlan& plan = faults();
  Endpoint* endpoint = files_.at(pending.fd)->endpoint;
  if (endpoint == nullptr) return End(pending, -ENOTCONN);
  if (!endpoint->readable()) return End(pending, -EAGAIN);
  size_t room = 0;
  for (const BufferId buffer : pending.buffers) room += buffers_.bytes_each(buffer.group());
  if (random_.Chance(plan.short_receive)) room = random_.Skewed(room);
  std::string bytes(room, '\0');
  const ssize_t result = endpoint->Read(bytes.data(), room);
  Completion completion;
  completion.result = static_cast<int32_t>(result);
  std::string_view left(bytes.data(), result > 0 ? static_cast<size_t>(result) : 0);
  for (const BufferId buffer : pending.buffers) {
    const std::string_view part = left.substr(0, buffers_.bytes_each(buffer.group()));
    std::memcpy(buffers_.Data(buffer), part.data(), part.size());
    left.remove_prefix(part.size());
  }
  completion.bytes_left = (endpoint->received_bytes() > 0) != random_.Chance(plan.wrong_hint);
  Post(pending, completion);
}

void SimIo::StepSend(Pending& pending) {
  Endpoint* endpoint = files_.at(pending.fd)->endpoint;
  if (endpoint == nullptr) return End(pending, -ENOTCONN);
  const std::string& bytes = pending.bytes_copy;
  while (pending.bytes_taken < bytes.size()) {
    const size_t left = bytes.size() - pending.bytes_taken;
    const bool short_send = random_.Chance(faults().short_send);
    const size_t asked = short_send ? random_.Skewed(left) : left;
    CheckBytes(pending, pending.bytes_taken, pending.bytes_taken + asked);
    const ssize_t result = endpoint->Write(bytes.data() + pending.bytes_taken, asked);
    if (result == -EAGAIN) return;
    if (result < 0) {
      // With a part taken, the error is swallowed: the completion is short.
      const bool partial = pending.bytes_taken > 0;
      return End(pending, partial ? static_cast<int64_t>(pending.bytes_taken) : result);
    }
    pending.bytes_taken += static_cast<size_t>(result);
    if (short_send) break;
  }
  End(pending, static_cast<int64_t>(pending.bytes_taken));
}

void SimIo::OnConnected(Serial serial, int error, Endpoint* endpoint) {
  Pending* pending = Find(serial);
  if (pending == nullptr || pending->done) {
    if (endpoint != nullptr) endpoint->Abort();
    return;
  }
  if (endpoint != nullptr) {
    File& file = *files_.at(pending->fd);
    file.endpoint = endpoint;
    endpoint->set_observer(&file);
    world().Log("connected", {{"fd", file.fd}, {"end", endpoint->id()}});
  }
  End(*pending, -error);
}

// --- Completions

void SimIo::End(Pending& pending, int64_t result) {
  Completion completion;
  completion.result = static_cast<int32_t>(result);
  Post(pending, completion);
}

void SimIo::PostMultishot(Pending& pending, int32_t result) {
  Completion completion;
  completion.result = result;
  completion.more = !random_.Chance(faults().multishot_ends);
  Post(pending, completion);
}

void SimIo::Post(Pending& pending, Completion completion) {
  CHECK(!pending.done);
  const FaultPlan& plan = faults();
  // A multishot operation that cannot post ends instead (io_req_post_cqe).
  if (overflowing_) completion.more = false;
  pending.done = !completion.more;

  int64_t delay_ns = 0;
  if (random_.Chance(plan.late_completion)) {
    delay_ns = random_.Between(0, plan.late_ns_max);
  } else if (random_.Chance(plan.reorder)) {
    delay_ns = random_.Between(0, kReorderNsMax);
  }
  // The completions of one operation keep their order.
  pending.visible_ns = std::max(pending.visible_ns, now_ns() + delay_ns);
  const Entry entry{pending.serial, completion};
  if (pending.visible_ns == now_ns() && pending.posts_scheduled == 0) return MakeVisible(entry);
  ++pending.posts_scheduled;
  world().scheduler.At(pending.visible_ns, [this, entry] {
    --Find(entry.serial)->posts_scheduled;
    MakeVisible(entry);
  });
}

void SimIo::MakeVisible(const Entry& entry) {
  if (!overflowing_ && random_.Chance(faults().completion_overflow)) {
    overflowing_ = true;
    ++counters_.completion_overflows;
  }
  (overflowing_ ? overflowed_ : visible_).push_back(entry);
}

void SimIo::FlushOverflow() {
  overflowing_ = false;
  visible_.insert(visible_.end(), overflowed_.begin(), overflowed_.end());
  overflowed_.clear();
}

void SimIo::ReceiveDoorbell() {
  if (doorbells_unseen_ > 0 && random_.Chance(faults().doorbell_merged)) return;
  ++doorbells_unseen_;
  const int64_t delay_ns =
      random_.Chance(faults().doorbell_late) ? random_.Between(0, faults().late_ns_max) : 0;
  world().scheduler.After(delay_ns, [this] { MakeVisible({}); });
}

// --- Calls that return at once

int SimIo::OpenSocket(int family) {
  CHECK_EQ(family, AF_INET) << "the simulated network has IPv4 only";
  if (files_.size() >= faults().descriptors_max) return -EMFILE;
  if (random_.Chance(faults().open_socket_fails)) return -Shortage(random_);
  return NewFile();
}

int SimIo::RefuseHandshakes(int listener_fd) {
  File& file = FileOf(listener_fd, "refuse handshakes");
  CHECK(file.listener != nullptr);
  world().Log("refuse handshakes", {{"fd", listener_fd}});
  file.listener->RefuseHandshakes();
  return 0;
}

int SimIo::AcceptNow(int listener_fd) {
  File& file = FileOf(listener_fd, "accept");
  CHECK(file.listener != nullptr);
  if (!file.listener->pending()) return -EAGAIN;
  if (files_.size() >= faults().descriptors_max) return -EMFILE;
  if (random_.Chance(faults().accept_shortage)) return -Shortage(random_);
  Endpoint* endpoint = file.listener->Accept();
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
  return file.endpoint == nullptr ? -ENOTCONN : file.endpoint->ShutdownSend();
}

uint64_t SimIo::BytesAcknowledged(int fd) {
  const File& file = FileOf(fd, "bytes acknowledged");
  return file.endpoint == nullptr ? 0 : file.endpoint->bytes_delivered();
}

int SimIo::PeerAddress(int fd, uring::SocketAddress* peer) {
  File& file = FileOf(fd, "peer address");
  if (file.endpoint == nullptr || file.endpoint->reset()) return -ENOTCONN;
  if (random_.Chance(faults().peer_address_fails)) return -ENOTCONN;
  *peer = file.endpoint->remote_address();
  return 0;
}

int SimIo::LocalAddress(int fd, uring::SocketAddress* local) {
  const File& file = FileOf(fd, "local address");
  if (file.endpoint == nullptr) return -ENOTCONN;
  *local = file.endpoint->local_address();
  return 0;
}

// --- The turn

bool SimIo::OthersReady() const {
  const auto& ios = network_->world().ios;
  return std::any_of(ios.begin(), ios.end(), [this](const SimIo* io) {
    return io != nullptr && io != this && io->completions_ready();
  });
}

int SimIo::Turn(int64_t timeout_ns) {
  Scheduler& scheduler = world().scheduler;
  ++counters_.enters;
  quiescent_ = false;
  FlushOverflow();
  buffers_.Refill();
  scheduler.Spend(random_.Between(500, kTurnNsMax));
  if (random_.Chance(faults().stall)) scheduler.Spend(random_.Between(0, faults().stall_ns_max));
  Submit();

  // What fell due while the thread was busy.
  while (scheduler.NextNs() <= now_ns()) scheduler.RunNext();

  const int64_t deadline_ns = timeout_ns < 0 ? Scheduler::kNever : now_ns() + timeout_ns;
  while (!completions_ready()) {
    if (timeout_ns == 0 || OthersReady() || random_.Chance(faults().spurious_wake)) break;
    if (scheduler.NextNs() > deadline_ns) {
      scheduler.IdleUntil(deadline_ns);
      break;
    }
    if (scheduler.NextNs() == Scheduler::kNever) {
      if (on_quiescent_ && on_quiescent_()) continue;
      quiescent_ = true;
      return -EDEADLK;
    }
    scheduler.RunNext();
  }
  if (completions_ready() && timeout_ns != 0) {
    const int64_t batch_end_ns = now_ns() + random_.Between(0, kBatchNsMax);
    while (scheduler.NextNs() <= batch_end_ns) scheduler.RunNext();
  }
  if (visible_.empty()) FlushOverflow();
  return 0;
}

size_t SimIo::Dispatch(size_t max) {
  size_t ran = 0;
  while (ran < max && !visible_.empty()) {
    const Entry entry = visible_.front();
    visible_.pop_front();
    ++ran;
    ++counters_.completions;
    Run(entry);
    world().scheduler.Spend(random_.Between(100, kHandlerNsMax));
    if (random_.Chance(faults().early_submit)) {
      ++counters_.early_submits;
      Submit();
    }
  }
  return ran;
}

void SimIo::Run(const Entry& entry) {
  if (entry.serial == 0) {
    ++counters_.doorbells_received;
    --doorbells_unseen_;
    world().Log("doorbell", {{"io", handle_}});
    return;
  }
  Pending* pending = Find(entry.serial);
  CHECK(pending != nullptr);
  const Completion& completion = entry.completion;
  Operation* operation = Operation::FromUserData(pending->user_data);
  CHECK(operation != nullptr) << "an operation was started anew before its final completion";
  if (completion.result == -ENOBUFS) ++counters_.no_buffers;
  if (completion.buffer.valid()) buffers_.Hand(completion.buffer);
  world().Log("complete", {{"fd", pending->fd},
                           {"kind", static_cast<int>(pending->kind)},
                           {"op", static_cast<int64_t>(pending->serial)},
                           {"result", completion.result},
                           {"more", completion.more}});
  if (!completion.more) {
    if (pending->kind == Kind::kSend) CheckBytes(*pending, 0, pending->bytes_copy.size());
    File& file = *files_.at(pending->fd);
    for (Serial File::*slot : {&File::receive, &File::send, &File::accept, &File::poll}) {
      if (file.*slot == entry.serial) file.*slot = 0;
    }
    serial_by_user_data_.erase(pending->user_data);
    pending_.erase(entry.serial);
  }
  operation->Complete(completion);
}

// Compares the bytes of a send with what they were when it was started.
void SimIo::CheckBytes(const Pending& pending, size_t begin, size_t end) const {
  size_t offset = 0;  // of the part in the whole
  for (const iovec& part : pending.parts_copy) {
    const size_t from = std::max(begin, offset);
    const size_t to = std::min(end, offset + part.iov_len);
    if (from < to) {
      CHECK_EQ(std::memcmp(static_cast<const char*>(part.iov_base) + (from - offset),
                           pending.bytes_copy.data() + from, to - from),
               0)
          << "bytes of a send on descriptor " << pending.fd << " changed while it was in flight";
    }
    offset += part.iov_len;
  }
}

}  // namespace edge::sim
