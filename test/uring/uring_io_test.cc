// The loop, sockets and buffers on the real kernel: two sockets of one worker talk over loopback.

#include "uring/uring_io.h"

#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "uring/clock.h"
#include "uring/listener.h"
#include "uring/loop.h"
#include "uring/socket.h"

namespace edge::uring {
namespace {

constexpr UringOptions kSmall{.submission_entries = 64,
                              .completion_entries = 256,
                              .head = {.buffers = 16, .bytes_each = 1024},
                              .origin = {.buffers = 16, .bytes_each = 1024},
                              .body = {.buffers = 8, .bytes_each = 16384}};
// Turns that a test may take; each waits at most this long, so a lost completion fails and does not
// hang.
constexpr int kTurnsMax = 2000;
constexpr int64_t kTurnNs = 10'000'000;

// Port 0 of 127.0.0.1.
SocketAddress Loopback() {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.length = sizeof v4;
  return address;
}

class UringIoTest : public testing::Test {
 protected:
  UringIoTest() { Make(kSmall); }
  void Make(const UringOptions& options) {
    loop_ = nullptr;
    absl::StatusOr<std::unique_ptr<UringIo>> io = UringIo::Create(options);
    CHECK_OK(io);
    io_ = *std::move(io);
    loop_ = std::make_unique<Loop>(io_.get(), &clock_);
  }
  template <typename Condition>
  bool RunUntil(Condition condition) {
    for (int i = 0; i < kTurnsMax; ++i) {
      if (condition()) return true;
      EXPECT_EQ(loop_->RunTurn(loop_->now_ns() + kTurnNs), 0);
    }
    return condition();
  }

  SystemClock clock_;
  std::unique_ptr<UringIo> io_;
  std::unique_ptr<Loop> loop_;
};

// Collects what it receives; keeps buffers when told to.
class Peer final : public Socket::Owner {
 public:
  explicit Peer(Loop* loop) : loop(loop), socket(loop, this, BufferGroup::kHead) {}
  ~Peer() override { EXPECT_EQ(socket.state(), Socket::State::kClosed); }

  void OnConnected(Socket&, int error) override {
    connected = true;
    connect_error = error;
  }
  void OnReceived(Socket&, BufferId buffer, uint32_t size, bool more) override {
    received.append(loop->buffers().data(buffer), size);
    largest = std::max(largest, size);
    if (keep_buffers) {
      kept.push_back(buffer);
    } else {
      loop->buffers().Unref(buffer);
    }
    more_seen = more_seen || more;
    if (!more && again != Socket::ReceiveMode::kOff) socket.Receive(again);
  }
  void OnReceiveEnd(Socket&, int error) override {
    ended = true;
    end_error = error;
  }
  void OnSent(Socket&, int32_t result) override { sent.push_back(result); }
  void OnClosed(Socket&) override { closed = true; }
  void GiveBack() {
    for (const BufferId buffer : kept) loop->buffers().Unref(buffer);
    kept.clear();
  }

  Loop* loop;
  Socket socket;
  std::string received;
  std::vector<BufferId> kept;
  std::vector<int32_t> sent;
  uint32_t largest = 0;
  Socket::ReceiveMode again = Socket::ReceiveMode::kOff;
  int connect_error = -1;
  int end_error = -1;
  bool keep_buffers = false;
  bool more_seen = false;
  bool connected = false;
  bool ended = false;
  bool closed = false;
};

struct Pair {
  explicit Pair(Loop* loop) : a(loop), b(loop) {
    const absl::StatusOr<std::vector<int>> listeners = ListenShared(Loopback(), false, 1);
    CHECK_OK(listeners);
    const SocketAddress address = *LocalAddress(listeners->front());
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(client, address.get(), address.length), 0);
    a.socket.Adopt(client);
    b.socket.Adopt(accept4(listeners->front(), nullptr, nullptr, SOCK_CLOEXEC));
    close(listeners->front());
  }
  Peer a;
  Peer b;
};

iovec Part(const std::string& text) { return {const_cast<char*>(text.data()), text.size()}; }

TEST_F(UringIoTest, MultishotReceiveDeliversEverythingInOrderAndReturnsItsBuffers) {
  Pair pair(loop_.get());
  pair.b.socket.Receive(Socket::ReceiveMode::kMultishot);
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    const std::string text(1 + i * 37 % 3000, static_cast<char>('a' + i % 26));
    expected += text;
    const iovec part = Part(text);
    pair.a.socket.Send({&part, 1});
    ASSERT_TRUE(RunUntil([&] { return !pair.a.socket.sending(); }));
    EXPECT_EQ(pair.a.sent.back(), static_cast<int32_t>(text.size()));
  }
  ASSERT_TRUE(RunUntil([&] { return pair.b.received.size() == expected.size(); }));
  EXPECT_EQ(pair.b.received, expected);
  EXPECT_EQ(loop_->buffers().lent(), 0u);
  EXPECT_EQ(io_->BuffersFree(BufferGroup::kHead), 16u);
  pair.a.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed && pair.b.ended; }));
  EXPECT_EQ(pair.b.end_error, 0);
  pair.b.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.b.closed; }));
}

TEST_F(UringIoTest, AReceiverThatKeepsAllBuffersStarvesAndGoesOnWhenTheyComeBack) {
  Pair pair(loop_.get());
  pair.b.keep_buffers = true;
  pair.b.socket.Receive(Socket::ReceiveMode::kMultishot);
  const std::string text(64 * 1024, 'x');
  const iovec part = Part(text);
  pair.a.socket.Send({&part, 1});
  ASSERT_TRUE(RunUntil([&] { return loop_->buffers().anyone_waiting(); }));
  EXPECT_EQ(pair.b.kept.size(), 16u);
  EXPECT_EQ(io_->BuffersFree(BufferGroup::kHead), 0u);
  EXPECT_GT(io_->counters().no_buffers, 0u);
  const uint64_t enters = io_->counters().enters;
  // Starving must not spin: a turn waits.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(loop_->RunTurn(loop_->now_ns() + kTurnNs), 0);
  EXPECT_LE(io_->counters().enters, enters + 5);
  pair.b.keep_buffers = false;
  pair.b.GiveBack();
  ASSERT_TRUE(RunUntil([&] { return pair.b.received.size() == text.size(); }));
  pair.a.socket.Close();
  pair.b.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed && pair.b.closed; }));
}

// Wants buffers of edge's own and queues up again when there is none.
struct Taker {
  void Ask() {
    ++asked;
    buffer = loop->buffers().Take(BufferGroup::kHead);
    if (!buffer.valid()) loop->buffers().Wait(BufferGroup::kHead, waiter);
  }

  Loop* loop;
  BufferId buffer;
  int asked = 0;
  BufferWaiter waiter{this, [](void* self) { static_cast<Taker*>(self)->Ask(); }};
};

TEST_F(UringIoTest, WhoWaitsForABufferIsAskedOnceATurnHoweverManyTheKernelHas) {
  BufferLoans& buffers = loop_->buffers();
  std::vector<BufferId> taken;
  for (BufferId buffer; (buffer = buffers.Take(BufferGroup::kHead)).valid();) {
    taken.push_back(buffer);
  }
  ASSERT_GT(io_->BuffersFree(BufferGroup::kHead), 2u);
  Taker first{.loop = loop_.get()};
  Taker second{.loop = loop_.get()};
  first.Ask();
  second.Ask();
  buffers.WakeWaiters();
  EXPECT_EQ(first.asked, 2);
  EXPECT_EQ(second.asked, 2);
  buffers.Unref(taken.back());
  taken.pop_back();
  buffers.WakeWaiters();
  EXPECT_TRUE(first.buffer.valid());
  EXPECT_TRUE(second.waiter.waiting());
  buffers.StopWaiting(second.waiter);
  buffers.Unref(first.buffer);
  for (const BufferId buffer : taken) buffers.Unref(buffer);
}

TEST_F(UringIoTest, LargeReceivesTakeLargeBuffersAndFallBackToSmallOnes) {
  Pair pair(loop_.get());
  pair.b.again = Socket::ReceiveMode::kOnceLarge;
  pair.b.keep_buffers = true;
  const std::string text(160 * 1024, 'y');
  const iovec part = Part(text);
  pair.a.socket.Send({&part, 1});
  pair.b.socket.Receive(Socket::ReceiveMode::kOnceLarge);
  // 8 large buffers hold 128 KiB, small ones the next 16 KiB.
  ASSERT_TRUE(RunUntil([&] {
    return io_->BuffersFree(BufferGroup::kBody) == 0 && io_->BuffersFree(BufferGroup::kHead) < 16;
  }));
  EXPECT_GT(pair.b.largest, 1024u);
  pair.b.keep_buffers = false;
  pair.b.GiveBack();
  ASSERT_TRUE(RunUntil([&] { return pair.b.received.size() == text.size(); }));
  pair.a.socket.Close();
  pair.b.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed && pair.b.closed; }));
  EXPECT_EQ(loop_->buffers().lent(), 0u);
}

TEST_F(UringIoTest, WhatIsThereComesInOneLargeReceive) {
  Pair pair(loop_.get());
  pair.b.again = Socket::ReceiveMode::kOnceLarge;
  const std::string text(160 * 1024, 'y');
  const iovec part = Part(text);
  pair.a.socket.Send({&part, 1});
  pair.b.socket.Receive(Socket::ReceiveMode::kOnceLarge);
  ASSERT_TRUE(RunUntil([&] { return pair.b.received.size() == text.size(); }));
  EXPECT_EQ(pair.b.received, text);
  EXPECT_TRUE(pair.b.more_seen) << "each receive had one buffer";
  pair.a.socket.Close();
  pair.b.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed && pair.b.closed; }));
  EXPECT_EQ(loop_->buffers().lent(), 0u);
  EXPECT_EQ(io_->BuffersFree(BufferGroup::kBody), 8u);
}

TEST_F(UringIoTest, ChangingTheReceiveModeLosesNothing) {
  Pair pair(loop_.get());
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    pair.b.socket.Receive(i % 2 == 0 ? Socket::ReceiveMode::kMultishot
                                     : Socket::ReceiveMode::kOnceLarge);
    const std::string text(700, static_cast<char>('a' + i % 26));
    expected += text;
    const iovec part = Part(text);
    pair.a.socket.Send({&part, 1});
    ASSERT_TRUE(RunUntil([&] { return !pair.a.socket.sending(); }));
  }
  pair.b.socket.Receive(Socket::ReceiveMode::kMultishot);
  ASSERT_TRUE(RunUntil([&] { return pair.b.received.size() == expected.size(); }));
  EXPECT_EQ(pair.b.received, expected);
  pair.a.socket.Close();
  pair.b.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed && pair.b.closed; }));
}

TEST_F(UringIoTest, ClosingWithOperationsInFlightWaitsForThem) {
  Pair pair(loop_.get());
  pair.b.socket.Receive(Socket::ReceiveMode::kMultishot);
  // More than the socket takes while nobody reads the other side.
  const std::string text(8 << 20, 'z');
  const iovec part = Part(text);
  pair.b.socket.Send({&part, 1});
  ASSERT_EQ(loop_->RunTurn(loop_->now_ns()), 0);
  pair.b.socket.Close();
  EXPECT_EQ(pair.b.socket.state(), Socket::State::kClosing);
  EXPECT_FALSE(pair.b.closed);
  ASSERT_TRUE(RunUntil([&] { return pair.b.closed; }));
  EXPECT_TRUE(pair.b.sent.empty()) << "no callback but OnClosed after Close";
  pair.a.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed; }));
}

TEST_F(UringIoTest, AcceptsWhatConnectsAndConnectsWhatListens) {
  SocketAddress address = Loopback();
  const absl::StatusOr<std::vector<int>> listeners = ListenShared(address, false, 1);
  ASSERT_TRUE(listeners.ok()) << listeners.status();

  struct Acceptor {
    void OnAccept(const Completion& completion) {
      if (completion.result >= 0) fds.push_back(completion.result);
      if (!completion.more) ended = true;
    }
    std::vector<int> fds;
    bool ended = false;
    Operation accept{this, Bind<&Acceptor::OnAccept>()};
  } acceptor;
  io_->AcceptMultishot(listeners->front(), acceptor.accept);

  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<Peer>(loop_.get()));
    ASSERT_EQ(peers.back()->socket.Connect(*LocalAddress(listeners->front())), 0);
  }
  ASSERT_TRUE(RunUntil([&] { return acceptor.fds.size() == 20u; }));
  for (const auto& peer : peers) {
    EXPECT_TRUE(peer->connected);
    EXPECT_EQ(peer->connect_error, 0);
    peer->socket.Close();
  }
  for (const int fd : acceptor.fds) {
    SocketAddress peer;
    EXPECT_EQ(io_->PeerAddress(fd, &peer), 0);
    io_->CloseSocket(fd);
  }
  io_->Cancel(acceptor.accept);
  ASSERT_TRUE(RunUntil([&] { return acceptor.ended; }));
  io_->CloseListener(listeners->front());
  ASSERT_TRUE(RunUntil([&] {
    return std::all_of(peers.begin(), peers.end(), [](const auto& peer) { return peer->closed; });
  }));
}

// What the kernel says of a client's connection: on loopback a handshake ends within connect(2).
uint8_t TcpState(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_state : 0;
}

TEST_F(UringIoTest, AListenerThatRefusesHandshakesKeepsThoseThatHaveEnded) {
  SocketAddress address = Loopback();
  const absl::StatusOr<std::vector<int>> listeners = ListenShared(address, false, 1);
  ASSERT_TRUE(listeners.ok()) << listeners.status();
  const int listener = listeners->front();
  address = *LocalAddress(listener);
  int clients[3];
  for (int& fd : clients) fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  connect(clients[0], address.get(), address.length);
  EXPECT_EQ(TcpState(clients[0]), TCP_ESTABLISHED);
  const int error = io_->RefuseHandshakes(listener);
  if (error == -EPERM) GTEST_SKIP() << "this sandbox forbids socket filters";
  ASSERT_EQ(error, 0);
  connect(clients[1], address.get(), address.length);
  EXPECT_EQ(TcpState(clients[1]), TCP_SYN_SENT);

  const int accepted = io_->AcceptNow(listener);
  EXPECT_GE(accepted, 0);
  EXPECT_EQ(io_->AcceptNow(listener), -EAGAIN);
  EXPECT_EQ(write(clients[0], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(accepted, &byte, 1), 1);

  io_->CloseListener(listener);
  connect(clients[2], address.get(), address.length);
  EXPECT_EQ(TcpState(clients[2]), TCP_CLOSE);
  for (const int fd : clients) close(fd);
  close(accepted);
}

TEST_F(UringIoTest, AFailedConnectTellsWhy) {
  SocketAddress address = Loopback();
  const absl::StatusOr<std::vector<int>> listeners = ListenShared(address, false, 1);
  ASSERT_TRUE(listeners.ok());
  const SocketAddress nobody = *LocalAddress(listeners->front());
  close(listeners->front());
  Peer peer(loop_.get());
  ASSERT_EQ(peer.socket.Connect(nobody), 0);
  ASSERT_TRUE(RunUntil([&] { return peer.connected; }));
  EXPECT_EQ(peer.connect_error, ECONNREFUSED);
  peer.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return peer.closed; }));
}

TEST_F(UringIoTest, ADoorbellOfAnotherThreadEndsTheWait) {
  const DoorbellTarget target = io_->doorbell();
  std::thread other([target] {
    absl::StatusOr<std::unique_ptr<UringIo>> io = UringIo::Create(kSmall);
    CHECK_OK(io);
    (*io)->RingDoorbell(target);
    CHECK_EQ((*io)->Turn(0), 0);
  });
  while (io_->counters().doorbells_received == 0) ASSERT_EQ(loop_->RunTurn(), 0);
  other.join();
}

TEST_F(UringIoTest, AFullSubmissionQueueIsSubmittedAndNothingIsLost) {
  std::vector<std::unique_ptr<Pair>> pairs;
  for (int i = 0; i < 200; ++i) pairs.push_back(std::make_unique<Pair>(loop_.get()));
  const std::string text(100, 'q');
  const std::string more(50, 'r');
  const iovec parts[] = {Part(text), Part(more)};
  // 400 operations on a queue of 64, the gathering sends among them.
  for (const auto& pair : pairs) {
    pair->b.socket.Receive(Socket::ReceiveMode::kMultishot);
    pair->a.socket.Send(parts);
  }
  ASSERT_TRUE(RunUntil([&] {
    return std::all_of(pairs.begin(), pairs.end(),
                       [](const auto& pair) { return pair->b.received.size() == 150; });
  }));
  for (const auto& pair : pairs) {
    EXPECT_EQ(pair->b.received, text + more);
    pair->a.socket.Close();
    pair->b.socket.Close();
  }
  ASSERT_TRUE(RunUntil([&] {
    return std::all_of(pairs.begin(), pairs.end(),
                       [](const auto& pair) { return pair->a.closed && pair->b.closed; });
  }));
  EXPECT_EQ(io_->counters().stale_completions, 0u);
}

TEST_F(UringIoTest, HalfOfTheBuffersStayForEdgeHoweverOftenTheWindowGrew) {
  Pair pair(loop_.get());
  pair.b.socket.Receive(Socket::ReceiveMode::kMultishot);
  const std::string text(1 << 20, 'w');
  const iovec part = Part(text);
  pair.a.socket.Send({&part, 1});
  ASSERT_TRUE(RunUntil([&] { return pair.b.received.size() == text.size(); }));
  // Regression: the window had grown to all of the pool, and TLS found no buffer for its plaintext.
  std::vector<BufferId> taken;
  while (true) {
    const BufferId buffer = loop_->buffers().Take(BufferGroup::kHead);
    if (!buffer.valid()) break;
    taken.push_back(buffer);
  }
  EXPECT_GE(taken.size(), 8u);
  EXPECT_EQ(io_->BuffersOwn(BufferGroup::kHead), 0u);
  EXPECT_EQ(io_->BuffersFree(BufferGroup::kHead), 16u - taken.size());
  for (const BufferId buffer : taken) loop_->buffers().Unref(buffer);
  EXPECT_EQ(io_->BuffersOwn(BufferGroup::kHead), taken.size());
  pair.a.socket.Close();
  pair.b.socket.Close();
  ASSERT_TRUE(RunUntil([&] { return pair.a.closed && pair.b.closed; }));
}

// Puts a completion into the ring of `target` for the operation that is in flight, as if the kernel
// had ended it.
void Post(DoorbellTarget target, const Operation& operation, int result) {
  io_uring ring;
  CHECK_EQ(io_uring_queue_init(8, &ring, 0), 0);
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_msg_ring(sqe, target.handle, static_cast<unsigned>(result), operation.user_data(),
                         0);
  CHECK_EQ(io_uring_submit_and_wait(&ring, 1), 1);
  io_uring_queue_exit(&ring);
}

TEST_F(UringIoTest, OnlyReceivesThatFindNoBufferCountAsSuch) {
  // ENOBUFS of an accept means that the system has no memory for a socket (accept(2)).
  const absl::StatusOr<std::vector<int>> listeners = ListenShared(Loopback(), false, 1);
  CHECK_OK(listeners);
  int32_t result = 0;
  Operation accept{&result, [](Operation& operation, const Completion& completion) {
                     operation.owner<int32_t>() = completion.result;
                   }};
  io_->AcceptMultishot(listeners->front(), accept);
  EXPECT_EQ(loop_->RunTurn(loop_->now_ns()), 0);
  Post(io_->doorbell(), accept, -ENOBUFS);
  ASSERT_TRUE(RunUntil([&] { return !accept.in_flight(); }));
  EXPECT_EQ(result, -ENOBUFS);
  EXPECT_EQ(io_->counters().no_buffers, 0u);
  close(listeners->front());
}

}  // namespace
}  // namespace edge::uring
