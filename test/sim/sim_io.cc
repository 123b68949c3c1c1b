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
constexpr int kRoundsPerStep = 32;  // of a multishot operation, before others get their turn

template <size_t kCount>
int OneOf(const int (&errors)[kCount], Random& random) {
  return errors[random.Below(kCount)];
}

}  // namespace

SimIo::SimIo(SimNetwork* network, const SimIoOptions& options)
    : network_(network),
      random_(network->world().random.Fork()),
      submission_entries_(options.submission_entries),
      completion_entries_(options.completion_entries),
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

// accept(2): Linux passes on what the network has to say of the new connection.
int SimIo::AcceptError() { return OneOf({EPROTO, ENETDOWN, EHOSTUNREACH, ETIMEDOUT}, random_); }

void SimIo::StepAccept(Pending& pending) {
  Listener* listener = files_.at(pending.fd)->listener;
  while (!pending.done && listener->pending()) {
    if (files_.size() >= faults().descriptors_max) return End(pending, -EMFILE);
    if (Occurs(&FaultPlan::accept_shortage)) return End(pending, -Shortage());
    Endpoint* endpoint = listener->Accept();
    if (Occurs(&FaultPlan::accept_aborted)) {
      endpoint->Abort();
      return End(pending, -ECONNABORTED);
    }
    if (Occurs(&FaultPlan::accept_fails)) {
      endpoint->Abort();
      return End(pending, -AcceptError());
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
  if (Occurs(&FaultPlan::no_buffers)) return End(pending, -ENOBUFS);
  if (Occurs(&FaultPlan::receive_fails)) {
    return End(pending, -OneOf({ENOMEM, ETIMEDOUT, EHOSTUNREACH}, random_));
  }
  const BufferId buffer = buffers_.Select(pending.group);
  if (!buffer.valid()) return End(pending, -ENOBUFS);

  size_t room = buffers_.bytes_each(pending.group);
  if (Occurs(&FaultPlan::one_byte_receive)) {
    room = 1;
  } else if (Occurs(&FaultPlan::short_receive)) {
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
        pending.kind == Kind::kReceiveMultishot && !Occurs(&FaultPlan::multishot_ends);
    completion.bytes_left = (endpoint->received_bytes() > 0) != Occurs(&FaultPlan::wrong_hint);
  } else if (Occurs(&FaultPlan::end_with_buffer)) {
    completion.buffer = buffer;
  } else {
    buffers_.Unselect(buffer);
  }
  Post(pending, completion);
}

void SimIo::ReceiveWhatIsThere(Pending& pending) {
  Endpoint* endpoint = files_.at(pending.fd)->endpoint;
  if (endpoint == nullptr) return End(pending, -ENOTCONN);
  if (!endpoint->readable()) return End(pending, -EAGAIN);
  if (Occurs(&FaultPlan::nothing_now)) return End(pending, -EAGAIN);
  if (Occurs(&FaultPlan::receive_fails)) {
    return End(pending, -OneOf({ENOMEM, ETIMEDOUT, EHOSTUNREACH}, random_));
  }
  size_t room = 0;
  for (const BufferId buffer : pending.buffers) room += buffers_.bytes_each(buffer.group());
  if (Occurs(&FaultPlan::short_receive)) room = random_.Skewed(room);
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
  completion.bytes_left = (endpoint->received_bytes() > 0) != Occurs(&FaultPlan::wrong_hint);
  Post(pending, completion);
}

void SimIo::StepSend(Pending& pending) {
  Endpoint* endpoint = files_.at(pending.fd)->endpoint;
  if (endpoint == nullptr) return End(pending, -ENOTCONN);
  const std::string& bytes = pending.bytes_copy;
  while (pending.bytes_taken < bytes.size()) {
    if (Occurs(&FaultPlan::send_fails)) {
      const bool partial = pending.bytes_taken > 0;
      return End(pending, partial ? static_cast<int64_t>(pending.bytes_taken)
                                  : -OneOf({ENOMEM, ENOBUFS, ETIMEDOUT, EHOSTUNREACH}, random_));
    }
    const size_t left = bytes.size() - pending.bytes_taken;
    const bool short_send = Occurs(&FaultPlan::short_send);
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
  completion.more = !Occurs(&FaultPlan::multishot_ends);
  Post(pending, completion);
}

void SimIo::Post(Pending& pending, Completion completion) {
  CHECK(!pending.done);
  const FaultPlan& plan = faults();
  // A multishot operation that cannot post ends instead (io_req_post_cqe).
  if (overflowing_) completion.more = false;
  pending.done = !completion.more;

  int64_t delay_ns = 0;
  if (Occurs(&FaultPlan::late_completion)) {
    delay_ns = random_.Between(0, plan.late_ns_max);
  } else if (Occurs(&FaultPlan::reorder)) {
    delay_ns = random_.Between(0, kReorderNsMax);
  }
  // The completions of one operation keep their order.
  pending.visible_ns = std::max(pending.visible_ns, now_ns() + delay_ns);
  // A reset is told once, and what a receive finds afterwards looks like an orderly end. A kernel
  // posts completions as it finds out, so the send that was told is not overtaken by that.
  const Pending* send = Find(files_.at(pending.fd)->send);
  if (send != nullptr && send->done && completion.result <= 0) {
    pending.visible_ns = std::max(pending.visible_ns, send->visible_ns);
  }
  const Entry entry{pending.serial, completion};
  if (pending.visible_ns == now_ns() && pending.posts_scheduled == 0) return MakeVisible(entry);
  ++pending.posts_scheduled;
  world().scheduler.At(pending.visible_ns, [this, entry] {
    --Find(entry.serial)->posts_scheduled;
    MakeVisible(entry);
  });
}

void SimIo::MakeVisible(const Entry& entry) {
  const bool full = visible_.size() >= completion_entries_;
  if (full && !overflowing_) world().coverage.Count("completion queue full");
  if (!overflowing_ && (full || Occurs(&FaultPlan::completion_overflow))) {
    overflowing_ = true;
    ++counters_.completion_overflows;
  }
  (overflowing_ ? overflowed_ : visible_).push_back(entry);
}

// As far as there is room, as the kernel does when it is entered.
void SimIo::FlushOverflow() {
  while (!overflowed_.empty() && visible_.size() < completion_entries_) {
    visible_.push_back(overflowed_.front());
    overflowed_.pop_front();
  }
  overflowing_ = !overflowed_.empty();
}

void SimIo::ReceiveDoorbell() {
  if (doorbells_unseen_ > 0 && Occurs(&FaultPlan::doorbell_merged)) return;
  ++doorbells_unseen_;
  const int64_t delay_ns =
      Occurs(&FaultPlan::doorbell_late) ? random_.Between(0, faults().late_ns_max) : 0;
  world().scheduler.After(delay_ns, [this] { MakeVisible({}); });
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
  if (Occurs(&FaultPlan::stall)) scheduler.Spend(random_.Between(0, faults().stall_ns_max));
  Submit();

  // What fell due while the thread was busy.
  while (scheduler.NextNs() <= now_ns()) scheduler.RunNext();

  const int64_t deadline_ns = timeout_ns < 0 ? Scheduler::kNever : now_ns() + timeout_ns;
  while (!completions_ready()) {
    if (timeout_ns == 0 || OthersReady() || Occurs(&FaultPlan::spurious_wake)) break;
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
    if (Occurs(&FaultPlan::early_submit)) {
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
