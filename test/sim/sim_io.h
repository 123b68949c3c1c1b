// SimIo: uring::Io on a simulated kernel. Sockets are ends of virtual connections (sim_network.h),
// time is the scheduler's, and whatever io.h allows a kernel to do happens as often as the plan of
// faults says.
//
//   edge --start--> queued --Turn--> in the kernel --event--> posted --late, reordered--> visible
//   --Dispatch--> edge
//
// It is strict where a kernel is silent. It CHECKs that
//  - bytes handed to Send are unchanged until its final completion, iovec arrays and addresses
//  until the Turn,
//  - a socket has one receive and one send in flight at most, and none when it is closed,
//  - nothing is asked of a descriptor that is not open,
//  - buffers are held and returned once (sim_buffers.h).
//
// The scheduler's events run within Turn, on the thread under test, so a run has one thread and no
// real time. When nothing would ever happen again and Turn has no time-out, it answers -EDEADLK,
// and quiescent() is true: a lost wake-up shows as that, not as a test that hangs.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "test/sim/sim_buffers.h"
#include "test/sim/sim_network.h"
#include "uring/io.h"

namespace edge::sim {

struct SimIoOptions {
  SimBufferOptions head{64, 4096};
  SimBufferOptions body{16, 16384};
  SimBufferOptions origin{64, 4096};
  size_t submission_entries = 1024;
  // Of completions that wait to be dispatched; more of them overflow.
  size_t completion_entries = SIZE_MAX;
};

class SimIo final : public uring::Io {
 public:
  // World and network outlive this; this outlives the last event of the scheduler.
  SimIo(SimNetwork* network, const SimIoOptions& options);
  ~SimIo() override;

  // --- For the harness

  // A descriptor for a listener that was bound beforehand.
  int AddListener(Listener* listener);
  // The last Turn found that nothing would ever happen.
  bool quiescent() const { return quiescent_; }
  // Runs instead of becoming quiescent; returns whether there is now something that will happen.
  void set_on_quiescent(std::function<bool()> handler) { on_quiescent_ = std::move(handler); }
  // Started and without a final completion.
  size_t operations_in_flight() const { return pending_.size(); }
  // Descriptors of sockets that are not closed, listeners aside.
  size_t open_sockets() const;
  // Held by edge, of all groups.
  size_t buffers_lent() const { return buffers_.lent(); }
  // What another thread's RingDoorbell does.
  void ReceiveDoorbell();
  bool completions_ready() const { return !visible_.empty() || !overflowed_.empty(); }

  // --- uring::Io

  void AcceptMultishot(int listener_fd, uring::Operation& operation) override;
  void RecvMultishot(int fd, uring::BufferGroup group, uring::Operation& operation) override;
  void RecvOnce(int fd, uring::BufferGroup group, bool bytes_expected,
                uring::Operation& operation) override;
  void RecvNow(int fd, std::span<const uring::BufferId> buffers,
               uring::Operation& operation) override;
  void Send(int fd, std::span<const iovec> parts, uring::Operation& operation) override;
  void Connect(int fd, const uring::SocketAddress& address, uring::Operation& operation) override;
  void PollMultishot(int fd, uint32_t events, uring::Operation& operation) override;
  void Cancel(uring::Operation& operation) override;
  void RingDoorbell(uring::DoorbellTarget target) override;
  uring::DoorbellTarget doorbell() const override { return {handle_}; }

  int OpenSocket(int family) override;
  void CloseSocket(int fd) override;
  int RefuseHandshakes(int listener_fd) override;
  int AcceptNow(int listener_fd) override;
  void CloseListener(int listener_fd) override;
  int ShutdownSend(int fd) override;
  void ResetOnClose(int fd) override { FileOf(fd, "linger").reset_on_close = true; }
  int PeerAddress(int fd, uring::SocketAddress* peer) override;
  int LocalAddress(int fd, uring::SocketAddress* local) override;
  uint64_t BytesAcknowledged(int fd) override;

  std::byte* BufferData(uring::BufferId id) override { return buffers_.Data(id); }
  size_t BufferSize(uring::BufferGroup group) const override { return buffers_.bytes_each(group); }
  size_t BuffersTotal(uring::BufferGroup group) const override { return buffers_.total(group); }
  size_t BuffersFree(uring::BufferGroup group) const override { return buffers_.free(group); }
  size_t BuffersOwn(uring::BufferGroup group) const override { return buffers_.own(group); }
  uring::BufferId TakeBuffer(uring::BufferGroup group) override { return buffers_.Take(group); }
  void ReturnBuffer(uring::BufferId id) override { buffers_.Return(id); }

  int Turn(int64_t timeout_ns) override;
  size_t Dispatch(size_t max) override;
  const uring::IoCounters& counters() const override { return counters_; }

 private:
  using Serial = uint64_t;  // names one use of an operation, never used twice; 0: none

  enum class Kind : uint8_t {
    kAccept,
    kReceiveMultishot,
    kReceiveOnce,
    kReceiveNow,
    kSend,
    kConnect,
    kPoll
  };

  // An operation that has been started and whose final completion has not been dispatched.
  struct Pending {
    Kind kind;
    Serial serial;
    int fd;
    uint64_t user_data;
    bool submitted = false;
    bool done = false;  // the final completion has been posted
    bool step_scheduled = false;
    bool cancel_scheduled = false;
    int posts_scheduled = 0;  // completions posted and not yet visible
    int64_t visible_ns = 0;   // when the last of them will be
    uring::BufferGroup group{};
    bool bytes_expected = false;
    std::vector<uring::BufferId> buffers;  // of kReceiveNow
    uint32_t poll_events = 0;
    // What was handed over, and a copy of it that was taken when it was.
    const iovec* parts = nullptr;
    std::vector<iovec> parts_copy;
    std::string bytes_copy;
    size_t bytes_taken = 0;
    const uring::SocketAddress* address = nullptr;
    uring::SocketAddress address_copy;
  };

  struct File final : Endpoint::Observer, Listener::Observer {
    File(SimIo* io, int fd) : io(io), fd(fd) {}
    void OnReadable() override;
    void OnWritable() override;
    void OnPending() override;

    SimIo* const io;
    const int fd;
    Endpoint* endpoint = nullptr;  // nullptr: not connected, or a listener
    Listener* listener = nullptr;
    bool closing = false;  // its close is queued
    bool reset_on_close = false;
    // In flight, as edge sees it.
    Serial receive = 0;
    Serial send = 0;  // or connect
    Serial accept = 0;
    Serial poll = 0;
  };

  struct Submission {
    enum class What : uint8_t { kStart, kCancel, kClose, kDoorbell } what;
    Serial serial = 0;
    int handle = -1;  // a descriptor or a doorbell's
  };

  struct Entry {    // of the completion queue
    Serial serial;  // 0: a doorbell
    uring::Completion completion;
  };

  World& world() { return network_->world(); }
  const FaultPlan& faults() { return world().faults; }
  bool Occurs(double FaultPlan::*knob) { return world().Occurs(knob, random_); }
  // Why there is no descriptor.
  int Shortage();
  int AcceptError();
  int64_t now_ns() { return world().scheduler.NowNs(); }

  File& FileOf(int fd, const char* what);
  int NewFile();
  Pending& Start(Kind kind, int fd, Serial File::*slot, uring::Operation& operation);
  Pending* Find(Serial serial);
  void Queue(const Submission& submission);
  void Submit();
  void SubmitStart(Pending& pending);
  void SubmitConnect(Pending& pending);
  void SubmitCancel(Serial serial);

  // The kernel's work on an operation, when its socket has something for it.
  void ScheduleStep(Serial serial);
  void Step(Pending& pending);
  void StepAccept(Pending& pending);
  void StepReceive(Pending& pending);
  void ReceiveNow(Pending& pending);
  void ReceiveWhatIsThere(Pending& pending);
  void StepSend(Pending& pending);
  void OnConnected(Serial serial, int error, Endpoint* endpoint);
  void CancelNow(Pending& pending);

  void End(Pending& pending, int64_t result);
  void PostMultishot(Pending& pending, int32_t result);
  void Post(Pending& pending, uring::Completion completion);
  void MakeVisible(const Entry& entry);
  void FlushOverflow();
  void Run(const Entry& entry);
  void CheckBytes(const Pending& pending, size_t begin, size_t end) const;
  bool OthersReady() const;

  SimNetwork* const network_;
  Random random_;
  const size_t submission_entries_;
  const size_t completion_entries_;
  int handle_;
  SimBuffers buffers_;
  std::string scratch_;
  std::map<int, std::unique_ptr<File>> files_;
  int next_fd_ = kFirstFd;
  std::unordered_map<Serial, std::unique_ptr<Pending>> pending_;
  std::unordered_map<uint64_t, Serial> serial_by_user_data_;
  Serial last_serial_ = 0;
  std::vector<Submission> submissions_;
  std::deque<Entry> visible_;
  std::deque<Entry> overflowed_;
  bool overflowing_ = false;  // until the next turn
  int doorbells_unseen_ = 0;
  bool quiescent_ = false;
  std::function<bool()> on_quiescent_;
  uring::IoCounters counters_;

  static constexpr int kFirstFd = 10;
};

}  // namespace edge::sim
