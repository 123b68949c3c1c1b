// The simulated kernel at its seam: what each operation does, what it CHECKs, and an echo server
// that is written on Io alone and must return every byte under all faults that are to be hidden.

#include "test/sim/sim_io.h"

#include <poll.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "test/sim/body.h"
#include "test/sim/sim_peer.h"

namespace edge::sim {
namespace {

using uring::BufferGroup;
using uring::BufferId;
using uring::Completion;
using uring::Operation;

constexpr int64_t kMs = 1'000'000;

// An operation and what became of it.
struct Recorder {
  std::vector<Completion> completions;
  Operation operation{this, [](Operation& operation, const Completion& completion) {
                        operation.owner<Recorder>().completions.push_back(completion);
                      }};

  int32_t last() const { return completions.empty() ? INT32_MIN : completions.back().result; }
};

// A peer that only records.
class RecordingPeer final : public SimPeer {
 public:
  using SimPeer::SimPeer;
  std::string received;
  std::optional<int> end;

 private:
  void OnBytes(std::string_view bytes) override { received.append(bytes); }
  void OnEnd(int error) override { end = error; }
};

class SimIoTest : public ::testing::Test {
 protected:
  static constexpr uint16_t kPort = 80;

  // Turns until nothing happens any more, or `turns`.
  void Run(int turns = 1000) {
    while (turns-- > 0 && io_->Turn(-1) == 0) io_->Dispatch(SIZE_MAX);
  }
  void RunFor(int64_t ns) {
    const int64_t end_ns = world_.scheduler.NowNs() + ns;
    while (world_.scheduler.NowNs() < end_ns) {
      ASSERT_EQ(io_->Turn(end_ns - world_.scheduler.NowNs()), 0);
      io_->Dispatch(SIZE_MAX);
    }
  }

  void MakeIo(const SimIoOptions& options = {}) {
    io_ = std::make_unique<SimIo>(&network_, options);
  }

  // A connection whose one end is a descriptor of io_ and the other `peer`.
  int Connected(RecordingPeer& peer) {
    if (io_ == nullptr) MakeIo();
    Listener* listener = network_.Listen(SimAddress(1, kPort), 16);
    const int listener_fd = io_->AddListener(listener);
    network_.Connect(SimAddress(2, 1), SimAddress(1, kPort), [&](int error, Endpoint* endpoint) {
      ASSERT_EQ(error, 0);
      peer.Attach(endpoint, Pace{});
    });
    Run();
    const int fd = io_->AcceptNow(listener_fd);
    EXPECT_GE(fd, 0);
    return fd;
  }

  void Send(int fd, std::string_view bytes, Recorder& recorder) {
    parts_ = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    io_->Send(fd, std::span(&parts_, 1), recorder.operation);
  }

  void ReturnBuffers(const Recorder& recorder) {
    for (const Completion& completion : recorder.completions) {
      if (completion.buffer.valid()) io_->ReturnBuffer(completion.buffer);
    }
  }

  std::string Bytes(const Completion& completion) {
    return std::string(reinterpret_cast<const char*>(io_->BufferData(completion.buffer)),
                       static_cast<size_t>(completion.result));
  }

  World world_{1};
  SimNetwork network_{&world_};
  RecordingPeer peer_{&world_, Random(1)};
  std::unique_ptr<SimIo> io_;
  iovec parts_{};
};

TEST_F(SimIoTest, TurnEndsAtItsTimeOutWithoutWaiting) {
  MakeIo();
  const int64_t start_ns = world_.scheduler.NowNs();
  EXPECT_EQ(io_->Turn(5 * kMs), 0);
  EXPECT_GE(world_.scheduler.NowNs(), start_ns + 5 * kMs);
  EXPECT_LT(world_.scheduler.NowNs(), start_ns + 6 * kMs);
  EXPECT_EQ(io_->Dispatch(1), 0u);
}

TEST_F(SimIoTest, TurnWithoutAnythingToComeIsQuiescent) {
  MakeIo();
  EXPECT_EQ(io_->Turn(-1), -EDEADLK);
  EXPECT_TRUE(io_->quiescent());
}

TEST_F(SimIoTest, CompletionsAreDeliveredByDispatchOnlyAndAtMostAsManyAsAsked) {
  const int fd = Connected(peer_);
  Recorder receive;
  Recorder send;
  io_->RecvMultishot(fd, BufferGroup::kHead, receive.operation);
  peer_.Write("hello");
  const std::string bytes = "bytes";
  Send(fd, bytes, send);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(io_->Turn(kMs), 0);
  EXPECT_TRUE(receive.completions.empty() && send.completions.empty());
  EXPECT_EQ(io_->Dispatch(1), 1u);
  EXPECT_EQ(receive.completions.size() + send.completions.size(), 1u);
  Run();
  EXPECT_EQ(receive.completions.size() + send.completions.size(), 2u);
  ReturnBuffers(receive);
  io_->Cancel(receive.operation);
  Run();
}

TEST_F(SimIoTest, MultishotReceiveBringsBytesThenEndOfStream) {
  const int fd = Connected(peer_);
  Recorder receive;
  io_->RecvMultishot(fd, BufferGroup::kHead, receive.operation);
  peer_.Write("hello");
  peer_.FinishWriting();
  Run();
  ASSERT_EQ(receive.completions.size(), 2u);
  EXPECT_EQ(Bytes(receive.completions[0]), "hello");
  EXPECT_TRUE(receive.completions[0].more);
  EXPECT_EQ(receive.completions[1].result, 0);
  EXPECT_FALSE(receive.completions[1].more);
  EXPECT_FALSE(receive.completions[1].buffer.valid());
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, ReceiveOnceFillsOneBufferAndSaysWhatIsLeft) {
  const int fd = Connected(peer_);
  world_.shape.segment_bytes_max = 1 << 20;
  peer_.Write(BodyBytes(1, 0, 6000));
  Run();
  Recorder receive;
  io_->RecvOnce(fd, BufferGroup::kHead, true, receive.operation);
  Run();
  ASSERT_EQ(receive.completions.size(), 1u);
  EXPECT_EQ(receive.completions[0].result, 4096);
  EXPECT_TRUE(receive.completions[0].bytes_left);
  EXPECT_FALSE(receive.completions[0].more);
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, EmptyGroupEndsReceiveWithNoBuffers) {
  SimIoOptions options;
  options.head = {2, 16};
  MakeIo(options);
  const int fd = Connected(peer_);
  Recorder receive;
  io_->RecvMultishot(fd, BufferGroup::kHead, receive.operation);
  peer_.Write(BodyBytes(1, 0, 100));
  Run();
  EXPECT_EQ(receive.last(), -ENOBUFS);
  EXPECT_EQ(io_->BuffersFree(BufferGroup::kHead), 0u);
  EXPECT_EQ(io_->counters().no_buffers, 1u);
  // At once, whether bytes have come or not, as the kernel chooses the buffer first.
  Recorder again;
  io_->RecvMultishot(fd, BufferGroup::kHead, again.operation);
  Run();
  EXPECT_EQ(again.last(), -ENOBUFS);
  ReturnBuffers(receive);
  EXPECT_EQ(io_->BuffersFree(BufferGroup::kHead), 2u);
}

TEST_F(SimIoTest, SendCompletesWhenAllBytesAreTakenHoweverSmallTheSendBuffer) {
  world_.shape.buffer_bytes_min = world_.shape.buffer_bytes_max = 1000;
  const int fd = Connected(peer_);
  const std::string body = BodyBytes(7, 0, 100'000);
  Recorder send;
  Send(fd, body, send);
  Run();
  EXPECT_EQ(send.last(), 100'000);
  EXPECT_EQ(peer_.received, body);
}

TEST_F(SimIoTest, CancelledSendTellsHowFarItCame) {
  world_.shape.buffer_bytes_min = world_.shape.buffer_bytes_max = 1000;
  Endpoint* silent = nullptr;
  MakeIo();
  const int listener_fd = io_->AddListener(network_.Listen(SimAddress(1, kPort), 16));
  network_.Connect(SimAddress(2, 1), SimAddress(1, kPort),
                   [&](int, Endpoint* endpoint) { silent = endpoint; });
  Run();
  const int fd = io_->AcceptNow(listener_fd);
  const std::string body = BodyBytes(7, 0, 100'000);
  Recorder send;
  Send(fd, body, send);
  Run();
  EXPECT_TRUE(send.completions.empty());
  io_->Cancel(send.operation);
  Run();
  EXPECT_EQ(send.last(), 2000) << "a send buffer and a receive buffer";
  silent->Close();
}

TEST_F(SimIoTest, ResetIsReportedOnceThenEndOfStreamAndBrokenPipe) {
  const int fd = Connected(peer_);
  peer_.Write("last words");
  Run();
  peer_.Abort();
  Run();
  Recorder first, second, third, send;
  io_->RecvOnce(fd, BufferGroup::kHead, true, first.operation);
  Run();
  EXPECT_EQ(first.last(), 10) << "bytes from before the reset";
  io_->RecvOnce(fd, BufferGroup::kHead, true, second.operation);
  Run();
  EXPECT_EQ(second.last(), -ECONNRESET);
  io_->RecvOnce(fd, BufferGroup::kHead, true, third.operation);
  const std::string bytes = "x";
  Send(fd, bytes, send);
  Run();
  EXPECT_EQ(third.last(), 0);
  EXPECT_EQ(send.last(), -EPIPE);
  ReturnBuffers(first);
}

TEST_F(SimIoTest, SendThatMeetsTheResetSwallowsItsError) {
  const int fd = Connected(peer_);
  peer_.Abort();
  Run();
  Recorder send, receive;
  const std::string bytes = "x";
  Send(fd, bytes, send);
  Run();
  EXPECT_EQ(send.last(), -ECONNRESET);
  io_->RecvOnce(fd, BufferGroup::kHead, true, receive.operation);
  Run();
  EXPECT_EQ(receive.last(), 0) << "as Linux does: it looks like an orderly end";
}

// A reset is told once; who was not told sees an orderly end, but not before the other was told.
TEST(SimIoOrderTest, EndBehindAResetDoesNotOvertakeTheSendThatWasTold) {
  int sends_told = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    World world(seed);
    SimNetwork network(&world);
    SimIo io(&network, {});
    const int listener = io.AddListener(network.Listen(SimAddress(1, 80), 16));
    Endpoint* peer = nullptr;
    network.Connect(SimAddress(2, 1), SimAddress(1, 80),
                    [&](int, Endpoint* endpoint) { peer = endpoint; });
    const auto turns = [&](int count) {
      while (count-- > 0 && io.Turn(kMs) == 0) io.Dispatch(SIZE_MAX);
    };
    turns(10);
    ASSERT_NE(peer, nullptr);
    const int fd = io.AcceptNow(listener);
    peer->Abort();
    turns(10);
    world.faults.late_completion = 0.5;
    world.faults.late_ns_max = 3 * kMs;
    Recorder send;
    Recorder receive;
    iovec part{.iov_base = const_cast<char*>("x"), .iov_len = 1};
    io.Send(fd, std::span(&part, 1), send.operation);
    io.RecvOnce(fd, BufferGroup::kHead, true, receive.operation);
    while (receive.completions.empty()) turns(1);
    if (receive.last() == 0) {
      EXPECT_EQ(send.last(), -ECONNRESET) << "seed " << seed;
      ++sends_told;
    }
    while (send.completions.empty()) turns(1);
  }
  EXPECT_GT(sends_told, 20);
}

TEST_F(SimIoTest, ClosingWithUnreadBytesResetsThePeer) {
  const int fd = Connected(peer_);
  peer_.Write("unread");
  Run();
  io_->CloseSocket(fd);
  Run();
  EXPECT_EQ(peer_.end, ECONNRESET);
}

TEST_F(SimIoTest, CloseResetsWhenItWasToldTo) {
  const int fd = Connected(peer_);
  io_->ResetOnClose(fd);
  io_->CloseSocket(fd);
  Run();
  EXPECT_EQ(peer_.end, ECONNRESET);
}

TEST_F(SimIoTest, ClosingDeliversWhatWasSentAndThenFin) {
  world_.shape.buffer_bytes_min = world_.shape.buffer_bytes_max = 500;
  const int fd = Connected(peer_);
  const std::string body = BodyBytes(7, 0, 400);
  Recorder send;
  Send(fd, body, send);
  Run();
  io_->CloseSocket(fd);
  Run();
  EXPECT_EQ(peer_.received, body);
  EXPECT_EQ(peer_.end, 0);
  EXPECT_EQ(io_->open_sockets(), 0u);
}

TEST_F(SimIoTest, HalfCloseLeavesTheOtherDirectionOpen) {
  const int fd = Connected(peer_);
  EXPECT_EQ(io_->ShutdownSend(fd), 0);
  Run();
  EXPECT_EQ(peer_.end, 0);
  Recorder receive, send;
  peer_.Write("still here");
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  const std::string bytes = "x";
  Send(fd, bytes, send);
  Run();
  EXPECT_EQ(receive.last(), 10);
  EXPECT_EQ(send.last(), -EPIPE);
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, CancelledOperationsEndExactlyOnce) {
  const int fd = Connected(peer_);
  Recorder receive;
  io_->RecvMultishot(fd, BufferGroup::kHead, receive.operation);
  io_->Cancel(receive.operation);
  io_->Cancel(receive.operation);
  Run();
  io_->Cancel(receive.operation);
  Run();
  ASSERT_EQ(receive.completions.size(), 1u);
  EXPECT_EQ(receive.last(), -ECANCELED);
}

TEST_F(SimIoTest, LosingCancelLetsTheReceiveCompleteWithBytes) {
  world_.faults.cancel_loses = 1;
  const int fd = Connected(peer_);
  peer_.Write("hello");
  Run();
  Recorder receive;
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  io_->Cancel(receive.operation);
  Run();
  ASSERT_EQ(receive.completions.size(), 1u);
  EXPECT_EQ(receive.last(), 5);
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, ConnectReachesAListenerOrIsRefused) {
  MakeIo();
  Listener* listener = network_.Listen(SimAddress(3, 8080), 16);
  const uring::SocketAddress there = SimAddress(3, 8080);
  const uring::SocketAddress nowhere = SimAddress(3, 8081);
  Recorder good, refused;
  const int fd = io_->OpenSocket(AF_INET);
  io_->Connect(fd, there, good.operation);
  io_->Connect(io_->OpenSocket(AF_INET), nowhere, refused.operation);
  Run();
  EXPECT_EQ(good.last(), 0);
  EXPECT_EQ(refused.last(), -ECONNREFUSED);
  uring::SocketAddress peer;
  EXPECT_EQ(io_->PeerAddress(fd, &peer), 0);
  EXPECT_TRUE(listener->pending());
}

TEST_F(SimIoTest, ConnectToAFullBacklogTimesOutAndACancelledOneEndsAtOnce) {
  MakeIo();
  network_.Listen(SimAddress(3, 8080), 0);
  const uring::SocketAddress there = SimAddress(3, 8080);
  Recorder late, cancelled;
  io_->Connect(io_->OpenSocket(AF_INET), there, late.operation);
  io_->Connect(io_->OpenSocket(AF_INET), there, cancelled.operation);
  RunFor(kMs);
  io_->Cancel(cancelled.operation);
  RunFor(kMs);
  EXPECT_EQ(cancelled.last(), -ECANCELED);
  EXPECT_TRUE(late.completions.empty());
  Run();
  EXPECT_EQ(late.last(), -ETIMEDOUT);
}

TEST_F(SimIoTest, ConnectFailsAsThePlanSays) {
  MakeIo();
  network_.Listen(SimAddress(3, 8080), 16);
  const uring::SocketAddress there = SimAddress(3, 8080);
  world_.faults.connect_unreachable = 1;
  Recorder unreachable;
  io_->Connect(io_->OpenSocket(AF_INET), there, unreachable.operation);
  Run();
  EXPECT_EQ(unreachable.last(), -EHOSTUNREACH);
  world_.faults.open_socket_fails = 1;
  EXPECT_LT(io_->OpenSocket(AF_INET), 0);
}

TEST_F(SimIoTest, AcceptShortOfDescriptorsEndsAndKeepsTheConnection) {
  MakeIo();
  const int listener_fd = io_->AddListener(network_.Listen(SimAddress(1, kPort), 16));
  network_.Connect(SimAddress(2, 1), SimAddress(1, kPort),
                   [&](int, Endpoint* endpoint) { peer_.Attach(endpoint, Pace{}); });
  world_.faults.descriptors_max = 1;
  Recorder accept;
  io_->AcceptMultishot(listener_fd, accept.operation);
  Run();
  ASSERT_EQ(accept.completions.size(), 1u);
  EXPECT_EQ(accept.last(), -EMFILE);
  EXPECT_EQ(io_->AcceptNow(listener_fd), -EMFILE);
  world_.faults.descriptors_max = 2;
  EXPECT_GE(io_->AcceptNow(listener_fd), 0);
  EXPECT_EQ(io_->AcceptNow(listener_fd), -EAGAIN);
}

TEST_F(SimIoTest, ClosedListenerResetsItsBacklogAndRefuses) {
  MakeIo();
  const int listener_fd = io_->AddListener(network_.Listen(SimAddress(1, kPort), 16));
  network_.Connect(SimAddress(2, 1), SimAddress(1, kPort),
                   [&](int, Endpoint* endpoint) { peer_.Attach(endpoint, Pace{}); });
  Run();
  io_->CloseListener(listener_fd);
  Run();
  EXPECT_EQ(peer_.end, ECONNRESET);
  int refused = 0;
  network_.Connect(SimAddress(2, 1), SimAddress(1, kPort),
                   [&](int error, Endpoint*) { refused = error; });
  Run();
  EXPECT_EQ(refused, ECONNREFUSED);
}

TEST_F(SimIoTest, DoorbellsEndATurnAndAreNeverLost) {
  MakeIo();
  SimIo other(&network_, {});
  world_.faults.doorbell_merged = 1;
  world_.faults.doorbell_late = 1;
  world_.faults.late_ns_max = kMs;
  other.RingDoorbell(io_->doorbell());
  other.RingDoorbell(io_->doorbell());
  EXPECT_EQ(other.Turn(0), 0);
  EXPECT_EQ(io_->Turn(-1), 0);
  EXPECT_EQ(io_->Dispatch(SIZE_MAX), 1u) << "merged";
  EXPECT_EQ(io_->counters().doorbells_received, 1u);
  other.RingDoorbell(io_->doorbell());
  EXPECT_EQ(other.Turn(0), 0);
  EXPECT_EQ(io_->Turn(-1), 0);
  EXPECT_EQ(io_->Dispatch(SIZE_MAX), 1u) << "not merged with one that has been seen";
}

TEST_F(SimIoTest, OverflowHoldsCompletionsBackForATurnAndEndsMultishots) {
  const int fd = Connected(peer_);
  world_.faults.completion_overflow = 1;
  world_.shape.segment_bytes_max = 4;
  Recorder receive;
  io_->RecvMultishot(fd, BufferGroup::kHead, receive.operation);
  peer_.Write("some bytes in segments of four at most");
  Run();
  EXPECT_GT(io_->counters().completion_overflows, 0u);
  ASSERT_FALSE(receive.completions.empty());
  EXPECT_FALSE(receive.completions.back().more);
  EXPECT_GT(receive.last(), 0) << "a good completion all the same";
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, FullQueueHoldsCompletionsBackUntilThereIsRoom) {
  MakeIo({.completion_entries = 2});
  const int fd = Connected(peer_);
  Recorder receive;
  Recorder send;
  Recorder connect;
  const uring::SocketAddress nobody = SimAddress(9, 9);
  io_->Connect(io_->OpenSocket(AF_INET), nobody, connect.operation);
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  Send(fd, "bytes", send);
  peer_.Write("hello");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(io_->Turn(kMs), 0);
  EXPECT_EQ(io_->Dispatch(SIZE_MAX), 2u);
  EXPECT_EQ(io_->Dispatch(SIZE_MAX), 0u);
  EXPECT_EQ(io_->Turn(kMs), 0);
  EXPECT_EQ(io_->Dispatch(SIZE_MAX), 1u);
  EXPECT_GT(io_->counters().completion_overflows, 0u);
  EXPECT_EQ(receive.last(), 5);
  EXPECT_EQ(send.last(), 5);
  EXPECT_EQ(connect.last(), -ECONNREFUSED);
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, TransfersFailWithoutAResetAsThePlanSays) {
  const int fd = Connected(peer_);
  Recorder receive;
  Recorder send;
  world_.faults.receive_fails = world_.faults.send_fails = 1;
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  Send(fd, "bytes", send);
  peer_.Write("hello");
  Run();
  EXPECT_LT(receive.last(), 0);
  EXPECT_LT(send.last(), 0);
  EXPECT_FALSE(peer_.end.has_value());
  EXPECT_EQ(world_.coverage.of("receive_fails"), 1u);
  EXPECT_EQ(world_.coverage.of("send_fails"), 1u);
  // The connection is still there, and so are the bytes.
  world_.faults = {};
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  Run();
  ASSERT_EQ(receive.last(), 5);
  EXPECT_EQ(Bytes(receive.completions.back()), "hello");
  ReturnBuffers(receive);
}

TEST_F(SimIoTest, ReceiveNowMayFindNothingAsThePlanSays) {
  MakeIo({.head = {128, 4096}});
  const int fd = Connected(peer_);
  peer_.Write("hello");
  Run();
  const BufferId buffer = io_->TakeBuffer(BufferGroup::kHead);
  ASSERT_TRUE(buffer.valid());
  Recorder receive;
  world_.faults.nothing_now = 1;
  io_->RecvNow(fd, std::span(&buffer, 1), receive.operation);
  Run();
  EXPECT_EQ(receive.last(), -EAGAIN);
  world_.faults = {};
  io_->RecvNow(fd, std::span(&buffer, 1), receive.operation);
  Run();
  EXPECT_EQ(receive.last(), 5);
  io_->ReturnBuffer(buffer);
}

TEST_F(SimIoTest, ShutdownMayComeTooLateAsThePlanSays) {
  const int fd = Connected(peer_);
  Recorder receive;
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  Run(1);
  world_.faults.shutdown_fails = 1;
  EXPECT_EQ(io_->ShutdownSend(fd), -ENOTCONN);
  Run();
  EXPECT_EQ(receive.last(), -ECONNRESET);
  EXPECT_EQ(peer_.end, ECONNRESET);
}

TEST_F(SimIoTest, CallsFailAsThePlanSays) {
  const int fd = Connected(peer_);
  world_.faults.acknowledged_unknown = world_.faults.refuse_handshakes_fails = 1;
  world_.faults.connect_fails = 1;
  Recorder send;
  Send(fd, "bytes", send);
  Run();
  EXPECT_EQ(send.last(), 5);
  EXPECT_EQ(io_->BytesAcknowledged(fd), 0u);
  const int listener = io_->AddListener(network_.Listen(SimAddress(1, 81), 16));
  EXPECT_EQ(io_->RefuseHandshakes(listener), -EPERM);
  const int other = io_->OpenSocket(AF_INET);
  ASSERT_GE(other, 0);
  Recorder connect;
  const uring::SocketAddress address = SimAddress(1, 81);
  io_->Connect(other, address, connect.operation);
  Run();
  EXPECT_LT(connect.last(), 0);
  // A connection that fails while it is accepted is lost.
  world_.faults.accept_fails = 1;
  Recorder accept;
  io_->AcceptMultishot(listener, accept.operation);
  network_.Connect(SimAddress(2, 2), address, [](int, Endpoint*) {});
  Run();
  EXPECT_LT(accept.last(), 0);
  EXPECT_FALSE(accept.completions.back().more);
}

TEST_F(SimIoTest, EveryKnobHasItsName) {
  const std::vector<std::string_view> names = FaultPlan::Names();
  EXPECT_EQ(names.size(), std::set<std::string_view>(names.begin(), names.end()).size());
  EXPECT_EQ(FaultPlan::NameOf(&FaultPlan::send_fails), "send_fails");
  EXPECT_EQ(FaultPlan::NameOf(&FaultPlan::acknowledged_unknown), "acknowledged_unknown");
}

TEST_F(SimIoTest, PollReportsReadinessUntilCancelled) {
  const int fd = Connected(peer_);
  Recorder poll;
  io_->PollMultishot(fd, POLLIN, poll.operation);
  peer_.Write("x");
  Run();
  ASSERT_EQ(poll.completions.size(), 1u);
  EXPECT_EQ(poll.last() & POLLIN, POLLIN);
  EXPECT_TRUE(poll.completions[0].more);
  io_->Cancel(poll.operation);
  Run();
  EXPECT_EQ(poll.last(), -ECANCELED);
}

// --- What ends the program

using SimIoDeathTest = SimIoTest;

TEST_F(SimIoDeathTest, BytesOfASendMayNotChange) {
  world_.shape.buffer_bytes_min = world_.shape.buffer_bytes_max = 1000;
  const int fd = Connected(peer_);
  std::string body = BodyBytes(7, 0, 5000);
  Recorder send;
  Send(fd, body, send);
  ASSERT_EQ(io_->Turn(0), 0);
  ++body[4999];
  EXPECT_DEATH(Run(), "changed while it was in flight");
  --body[4999];
  Run();
}

TEST_F(SimIoDeathTest, BufferOfASendMayNotBeReturned) {
  world_.shape.buffer_bytes_min = world_.shape.buffer_bytes_max = 1000;
  MakeIo({.head = {128, 4096}});  // more than the first window takes
  const int fd = Connected(peer_);
  const BufferId buffer = io_->TakeBuffer(BufferGroup::kHead);
  ASSERT_TRUE(buffer.valid());
  const auto* data = reinterpret_cast<const char*>(io_->BufferData(buffer));
  Recorder send;
  Send(fd, {data, 4096}, send);
  ASSERT_EQ(io_->Turn(0), 0);
  EXPECT_DEATH(
      {
        io_->ReturnBuffer(buffer);
        Run();
      },
      "changed while it was in flight|use-after-poison");
  Run();
  io_->ReturnBuffer(buffer);
}

TEST_F(SimIoDeathTest, IovecMayNotChangeBeforeTheTurn) {
  const int fd = Connected(peer_);
  const std::string bytes = "bytes";
  Recorder send;
  Send(fd, bytes, send);
  parts_.iov_len = 4;
  EXPECT_DEATH(Run(), "iovec array changed");
  parts_.iov_len = 5;
  Run();
}

TEST_F(SimIoDeathTest, SocketsMayNotBeClosedWithAnOperationInFlight) {
  const int fd = Connected(peer_);
  Recorder receive;
  io_->RecvOnce(fd, BufferGroup::kHead, false, receive.operation);
  EXPECT_DEATH(io_->CloseSocket(fd), "operation in flight");
  Recorder second;
  EXPECT_DEATH(io_->RecvOnce(fd, BufferGroup::kHead, false, second.operation), "second operation");
  io_->Cancel(receive.operation);
  Run();
  io_->CloseSocket(fd);
  EXPECT_DEATH(io_->ShutdownSend(fd), "has been closed");
  Run();
  EXPECT_DEATH(io_->ShutdownSend(fd), "not open");
}

TEST_F(SimIoDeathTest, BuffersAreReturnedOnce) {
  MakeIo();
  const BufferId buffer = io_->TakeBuffer(BufferGroup::kBody);
  ASSERT_FALSE(buffer.valid()) << "all are in the first window";
  world_.faults.first_window = 4;
  SimIo other(&network_, {});
  const BufferId taken = other.TakeBuffer(BufferGroup::kBody);
  ASSERT_TRUE(taken.valid());
  std::byte* const data = other.BufferData(taken);
  other.ReturnBuffer(taken);
  EXPECT_DEATH(other.ReturnBuffer(taken), "is in state");
  EXPECT_DEATH(other.BufferData(taken), "does not hold");
#ifdef __SANITIZE_ADDRESS__
  EXPECT_DEATH(data[0] = std::byte{1}, "use-after-poison");
#else
  EXPECT_EQ(data[0], std::byte{0xdd});
#endif
}

// --- Whole runs

// Echoes what it receives from the buffers it was received into; the least that a server on Io must
// do.
class EchoServer {
 public:
  EchoServer(SimIo* io, int listener_fd) : io_(io), listener_fd_(listener_fd) { Accept(); }

  // Once a turn: retries what a shortage ended.
  void AfterDispatch() {
    if (!accept_.in_flight()) Accept();
    for (const auto& connection : connections_) connection->Receive();
  }
  size_t open() const {
    return static_cast<size_t>(
        std::count_if(connections_.begin(), connections_.end(),
                      [](const auto& connection) { return connection->fd >= 0; }));
  }
  size_t connections() const { return connections_.size(); }
  void Stop() {
    stopping_ = true;
    io_->Cancel(accept_);
  }

 private:
  struct Connection {
    Connection(SimIo* io, int fd, bool multishot) : io(io), fd(fd), multishot(multishot) {}

    void Receive() {
      if (fd < 0 || ended || receive.in_flight() || queue.size() > 4) return;
      if (io->BuffersFree(multishot ? BufferGroup::kHead : BufferGroup::kBody) == 0) return;
      if (multishot) {
        io->RecvMultishot(fd, BufferGroup::kHead, receive);
      } else {
        io->RecvOnce(fd, BufferGroup::kBody, bytes_left, receive);
      }
    }
    void OnReceive(const Completion& completion) {
      bytes_left = completion.bytes_left;
      if (completion.result > 0 && !failed) {
        const auto* data = reinterpret_cast<const char*>(io->BufferData(completion.buffer));
        queue.push_back({{const_cast<char*>(data), size_t(completion.result)}, completion.buffer});
      } else {
        if (completion.buffer.valid()) io->ReturnBuffer(completion.buffer);
        if (completion.result <= 0 && completion.result != -ENOBUFS) ended = true;
      }
      if (!completion.more && completion.result != -ENOBUFS) Receive();
      Go();
    }
    void OnSend(const Completion& completion) {
      size_t sent = 0;
      if (completion.result < 0) {
        failed = true;
        if (receive.in_flight()) io->Cancel(receive);
      } else {
        sent = size_t(completion.result);
      }
      while (!queue.empty() && (failed || sent >= queue.front().bytes.iov_len)) {
        sent -= failed ? 0 : queue.front().bytes.iov_len;
        io->ReturnBuffer(queue.front().buffer);
        queue.pop_front();
      }
      if (sent > 0) {
        iovec& bytes = queue.front().bytes;
        bytes = {static_cast<char*>(bytes.iov_base) + sent, bytes.iov_len - sent};
      }
      Go();
    }
    void Go() {
      if (send.in_flight()) return;
      if (!queue.empty() && !failed) {
        parts.clear();
        for (const Piece& piece : queue) parts.push_back(piece.bytes);
        return io->Send(fd, parts, send);
      }
      if ((ended || failed) && queue.empty() && !receive.in_flight()) {
        io->CloseSocket(fd);
        fd = -1;
      }
    }

    struct Piece {
      iovec bytes;
      BufferId buffer;
    };
    SimIo* const io;
    int fd;
    const bool multishot;
    bool ended = false;
    bool failed = false;
    bool bytes_left = false;
    std::deque<Piece> queue;
    std::vector<iovec> parts;
    Operation receive{this, uring::Bind<&Connection::OnReceive>()};
    Operation send{this, uring::Bind<&Connection::OnSend>()};
  };

  void Accept() {
    if (!stopping_) io_->AcceptMultishot(listener_fd_, accept_);
  }
  void OnAccept(const Completion& completion) {
    if (completion.result < 0) return;  // AfterDispatch tries again
    connections_.push_back(
        std::make_unique<Connection>(io_, completion.result, connections_.size() % 2 == 0));
    connections_.back()->Receive();
  }

  SimIo* const io_;
  const int listener_fd_;
  bool stopping_ = false;
  Operation accept_{this, uring::Bind<&EchoServer::OnAccept>()};
  std::vector<std::unique_ptr<Connection>> connections_;
};

struct EchoRun {
  uint64_t trace = 0;
  uint64_t events = 0;
  int complete = 0;  // clients that got back all that they sent, and then FIN
  int wrong = 0;     // clients that got bytes which they had not sent
  int clients = 0;
  bool clean = false;  // nothing open or in flight at the end
};

EchoRun RunEcho(uint64_t seed, FaultPlan (*faults)(Random&)) {
  World world(seed);
  world.faults = faults(world.random);
  world.shape = NetworkShape::Any(world.random);
  SimNetwork network(&world);
  EchoRun run;
  run.clients = static_cast<int>(1 + world.random.Below(8));
  std::vector<std::string> sent;
  std::vector<std::unique_ptr<RecordingPeer>> peers;
  SimIoOptions options;
  options.head = {static_cast<uint32_t>(1 + world.random.Below(20)), 512};
  options.body = {4, 8192};
  SimIo io(&network, options);
  const int listener_fd = io.AddListener(network.Listen(SimAddress(1, 80), 4));
  for (int i = 0; i < run.clients; ++i) {
    sent.push_back(BodyBytes(uint64_t(i), 0, world.random.Skewed(50'000)));
    peers.push_back(std::make_unique<RecordingPeer>(&world, world.random.Fork()));
    RecordingPeer* peer = peers.back().get();
    const Pace pace = Pace::Any(world.random, sent.back().size());
    network.Connect(SimAddress(2, uint16_t(i)), SimAddress(1, 80),
                    [peer, pace, i, &sent](int error, Endpoint* endpoint) {
                      if (error != 0) {
                        peer->end = error;
                        return;
                      }
                      peer->Attach(endpoint, pace);
                      peer->Write(sent[i]);
                      peer->FinishWriting();
                    });
  }
  EchoServer server(&io, listener_fd);
  const auto all_ended = [&] {
    return std::all_of(peers.begin(), peers.end(),
                       [](const auto& p) { return p->end.has_value(); });
  };
  // The short pause is the server's retry timer.
  for (int turn = 0; turn < 1'000'000 && !(all_ended() && server.open() == 0); ++turn) {
    EXPECT_EQ(io.Turn(kMs), 0);
    io.Dispatch(64);
    server.AfterDispatch();
  }
  server.Stop();
  // One more may have been accepted meanwhile, whose client has given up.
  for (int turn = 0; turn < 1000 && io.operations_in_flight() + server.open() > 0; ++turn) {
    EXPECT_EQ(io.Turn(kMs), 0);
    io.Dispatch(64);
    server.AfterDispatch();
  }
  EXPECT_EQ(io.Turn(kMs), 0);
  for (int i = 0; i < run.clients; ++i) {
    const std::string& received = peers[i]->received;
    if (received == sent[i] && peers[i]->end == 0) ++run.complete;
    if (received != sent[i].substr(0, received.size())) ++run.wrong;
  }
  run.trace = world.trace.hash();
  run.events = world.trace.events();
  run.clean = io.open_sockets() == 0 && io.operations_in_flight() == 0 && io.buffers_lent() == 0;
  return run;
}

TEST(SimIoRunTest, EchoReturnsEveryByteWithoutFaults) {
  const EchoRun run = RunEcho(1, [](Random&) { return FaultPlan{}; });
  EXPECT_EQ(run.complete, run.clients);
  EXPECT_TRUE(run.clean);
}

TEST(SimIoRunTest, EchoReturnsEveryByteWhateverIsToBeHidden) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const EchoRun run = RunEcho(seed, FaultPlan::Hidden);
    ASSERT_EQ(run.complete, run.clients) << "seed " << seed;
    ASSERT_TRUE(run.clean) << "seed " << seed;
  }
}

TEST(SimIoRunTest, EchoMixesNoBytesAndLeavesNothingBehindWhateverFails) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const EchoRun run = RunEcho(seed, FaultPlan::Any);
    ASSERT_EQ(run.wrong, 0) << "seed " << seed;
    ASSERT_TRUE(run.clean) << "seed " << seed;
  }
}

TEST(SimIoRunTest, OneSeedIsOneRun) {
  std::set<uint64_t> traces;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const EchoRun first = RunEcho(seed, FaultPlan::Any);
    const EchoRun second = RunEcho(seed, FaultPlan::Any);
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.events, second.events);
    traces.insert(first.trace);
  }
  EXPECT_EQ(traces.size(), 20u) << "and another seed is another run";
}

}  // namespace
}  // namespace edge::sim
