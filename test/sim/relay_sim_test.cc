// uring::Loop and uring::Socket under the simulator: a relay of bytes between scripted HTTP clients
// and origins, written as the proxy's pumps are but without any HTTP in between. What goes wrong
// here is wrong below the proxy.

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "test/sim/ledger.h"
#include "test/sim/scenario.h"
#include "test/sim/seeds.h"
#include "test/sim/sim_client.h"
#include "test/sim/sim_io.h"
#include "test/sim/sim_origin.h"
#include "uring/loop.h"
#include "uring/socket.h"

namespace edge::sim {
namespace {

using uring::BufferGroup;
using uring::BufferId;
using uring::Completion;
using uring::Socket;

constexpr int64_t kMs = 1'000'000;

// One client's connection and one to the origin, and bytes both ways.
class RelayPair final : public Socket::Owner {
 public:
  RelayPair(uring::Loop* loop, int client_fd, const uring::SocketAddress& origin,
            Socket::ReceiveMode mode)
      : loop_(*loop),
        client_(loop, this, BufferGroup::kHead),
        origin_(loop, this, BufferGroup::kOrigin),
        mode_(mode),
        origin_address_(origin) {
    client_.Adopt(client_fd);
    if (origin_.Connect(origin_address_) != 0) {
      CloseBoth(true);
    } else {
      Receive(up_, client_);
    }
  }

  bool closed() const {
    return client_.state() == Socket::State::kClosed && origin_.state() == Socket::State::kClosed;
  }
  void CloseBoth(bool reset) {
    for (Socket* socket : {&client_, &origin_}) {
      const bool open =
          socket->state() == Socket::State::kOpen || socket->state() == Socket::State::kConnecting;
      if (open && reset) loop_.io().ResetOnClose(socket->fd());
      socket->Close();
    }
  }

 private:
  // Of one direction: received and not sent yet.
  struct Way {
    struct Piece {
      BufferId buffer;
      iovec bytes;
    };
    std::deque<Piece> pieces;
    std::vector<iovec> parts;
    size_t bytes = 0;
    bool ended = false;
    bool finished = false;  // the end was passed on
  };
  static constexpr size_t kBytesMax = 16 << 10;

  Way& WayFrom(Socket& socket) { return &socket == &client_ ? up_ : down_; }
  Way& WayTo(Socket& socket) { return &socket == &client_ ? down_ : up_; }
  Socket& Other(Socket& socket) { return &socket == &client_ ? origin_ : client_; }

  void Receive(Way& way, Socket& from) {
    from.Receive(way.bytes < kBytesMax ? mode_ : Socket::ReceiveMode::kOff);
  }
  void Pump(Way& way, Socket& to) {
    if (to.state() != Socket::State::kOpen || to.sending()) return;
    if (!way.pieces.empty()) {
      way.parts.clear();
      for (const Way::Piece& piece : way.pieces) way.parts.push_back(piece.bytes);
      return to.Send(way.parts);
    }
    if (way.ended && !way.finished) {
      way.finished = true;
      to.ShutdownSend();
      if (up_.finished && down_.finished) CloseBoth(false);
    }
  }

  void OnConnected(Socket&, int error) override {
    if (error != 0) return CloseBoth(true);
    Receive(down_, origin_);
    Pump(up_, origin_);
  }
  void OnReceived(Socket& from, BufferId buffer, uint32_t size, bool /*more*/) override {
    Way& way = WayFrom(from);
    way.pieces.push_back({buffer, {loop_.buffers().data(buffer), size}});
    way.bytes += size;
    Receive(way, from);
    Pump(way, Other(from));
  }
  void OnReceiveEnd(Socket& from, int error) override {
    if (error != 0) return CloseBoth(true);
    WayFrom(from).ended = true;
    Pump(WayFrom(from), Other(from));
  }
  void OnSent(Socket& to, int32_t result) override {
    if (result < 0) return CloseBoth(true);
    Way& way = WayTo(to);
    size_t sent = static_cast<size_t>(result);
    way.bytes -= sent;
    while (!way.pieces.empty() && sent >= way.pieces.front().bytes.iov_len) {
      sent -= way.pieces.front().bytes.iov_len;
      loop_.buffers().Unref(way.pieces.front().buffer);
      way.pieces.pop_front();
    }
    if (sent > 0) {
      iovec& bytes = way.pieces.front().bytes;
      bytes = {static_cast<char*>(bytes.iov_base) + sent, bytes.iov_len - sent};
    }
    Pump(way, to);
    if (Other(to).state() == Socket::State::kOpen) Receive(way, Other(to));
  }
  void OnClosed(Socket& socket) override {
    // Its own sends are over, so what waited for it can go; so can what came from it.
    Drop(WayTo(socket));
    if (closed()) Drop(WayFrom(socket));
  }
  void Drop(Way& way) {
    for (const Way::Piece& piece : way.pieces) loop_.buffers().Unref(piece.buffer);
    way.pieces.clear();
  }

  uring::Loop& loop_;
  Socket client_;
  Socket origin_;
  const Socket::ReceiveMode mode_;
  const uring::SocketAddress origin_address_;
  Way up_;
  Way down_;
};

class Relay {
 public:
  Relay(uring::Io* io, const uring::Clock* clock, int listener_fd,
        const uring::SocketAddress& origin, Random random)
      : loop_(io, clock), listener_fd_(listener_fd), origin_(origin), random_(random) {
    Accept();
  }
  ~Relay() { loop_.timers().Stop(retry_); }

  int RunTurn(int64_t latest_ns) { return loop_.RunTurn(latest_ns); }
  void Stop() {
    stopping_ = true;
    loop_.io().Cancel(accept_);
  }
  void CloseAll() {
    for (const auto& pair : pairs_) pair->CloseBoth(true);
  }
  bool finished() const {
    return !accept_.in_flight() && std::all_of(pairs_.begin(), pairs_.end(),
                                               [](const auto& pair) { return pair->closed(); });
  }

 private:
  void Accept() {
    if (!stopping_ && !accept_.in_flight()) loop_.io().AcceptMultishot(listener_fd_, accept_);
  }
  void OnAccept(const Completion& completion) {
    if (completion.result >= 0) {
      constexpr Socket::ReceiveMode kModes[] = {Socket::ReceiveMode::kMultishot,
                                                Socket::ReceiveMode::kOnce,
                                                Socket::ReceiveMode::kOnceLarge};
      pairs_.push_back(std::make_unique<RelayPair>(&loop_, completion.result, origin_,
                                                   kModes[random_.Below(std::size(kModes))]));
    }
    if (!completion.more && !stopping_) loop_.timers().Start(retry_, loop_.now_ns() + kMs);
  }

  uring::Loop loop_;
  const int listener_fd_;
  const uring::SocketAddress origin_;
  Random random_;
  bool stopping_ = false;
  uring::Operation accept_{this, uring::Bind<&Relay::OnAccept>()};
  uring::Timer retry_{this, uring::BindTimer<&Relay::Accept>()};
  std::vector<std::unique_ptr<RelayPair>> pairs_;
};

// What only an HTTP proxy can do is taken out.
void MakeFitForRelay(Scenario& scenario) {
  for (ClientScript& client : scenario.clients) client.pipeline = 1;
  for (ExchangeScript& exchange : scenario.exchanges) {
    exchange.http10 = exchange.answer.http10 = false;
    // A proxy leaves the client's connection open when the origin's ends.
    exchange.answer.closes_silently = false;
    exchange.answer.says_close = exchange.answer.framing == Framing::kUntilClose;
  }
}

uint64_t RunRelay(uint64_t seed, Trouble trouble, std::vector<std::string>* violations) {
  World world(seed, IsReplay(seed));
  if (trouble == Trouble::kAny) {
    world.faults = FaultPlan::Any(world.random);
  } else if (trouble != Trouble::kNone) {
    world.faults = FaultPlan::Hidden(world.random);
  }
  world.shape = NetworkShape::Any(world.random);
  Scenario scenario = Scenario::Make(trouble, world.random);
  MakeFitForRelay(scenario);
  Ledger ledger(&scenario);
  SimNetwork network(&world);
  // A large receive falls back to a small buffer, so one of those must be left for each socket.
  SimIoOptions options;
  options.head = {static_cast<uint32_t>(2 * scenario.clients.size() + world.random.Below(64)),
                  static_cast<uint32_t>(64 + world.random.Skewed(4000))};
  options.origin = options.head;
  options.body = {4, 16384};
  options.submission_entries = 1 + world.random.Skewed(1000);
  SimIo io(&network, options);
  const uring::SocketAddress server_address = SimAddress(1, 80);
  const uring::SocketAddress origin_address = SimAddress(50, 8080);
  SimOrigin origin(&network, &scenario, 0, {.address = origin_address, .behind_proxy = false},
                   &ledger, world.random.Fork());
  std::vector<std::unique_ptr<SimClient>> clients;
  for (size_t i = 0; i < scenario.clients.size(); ++i) {
    clients.push_back(
        std::make_unique<SimClient>(&network, &scenario, i, &ledger, world.random.Fork()));
    clients.back()->Start(server_address);
  }
  const int listener_fd = io.AddListener(network.Listen(server_address, 1024));
  {
    Relay relay(&io, &world.scheduler.clock(), listener_fd, origin_address, world.random.Fork());
    const auto done = [&] {
      return std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c->done(); });
    };
    // Those who stall are never heard of again, as the relay has no time-outs.
    const int64_t end_ns = world.scheduler.NowNs() + 60'000 * kMs;
    while (!done() && world.scheduler.NowNs() < end_ns) {
      if (relay.RunTurn(end_ns) != 0) break;
    }
    if (io.quiescent() && !done()) ledger.Violation("nothing happens any more");
    relay.Stop();
    for (int turn = 0; turn < 1000 && !relay.finished(); ++turn) {
      relay.RunTurn(world.scheduler.NowNs() + 10 * kMs);
    }
    for (int turn = 0; turn < 1000 && !relay.finished(); ++turn) {
      relay.CloseAll();
      relay.RunTurn(world.scheduler.NowNs() + 10 * kMs);
    }
    if (!relay.finished()) ledger.Violation("the relay does not come to its end");
  }
  io.Turn(0);
  if (io.operations_in_flight() != 0) ledger.Violation("operations in flight");
  if (io.open_sockets() != 0) ledger.Violation("sockets open");
  if (io.buffers_lent() != 0) ledger.Violation("buffers not returned");
  if (trouble == Trouble::kNone || trouble == Trouble::kHidden) {
    for (uint64_t id = 0; id < scenario.exchanges.size(); ++id) {
      const Ledger::Entry& entry = ledger.entry(id);
      if (entry.outcome == Ledger::Outcome::kFromOrigin) continue;
      ledger.Violation(id, absl::StrCat("not answered: outcome ", int(entry.outcome), " status ",
                                        entry.status, " sent ", entry.sent));
    }
  }
  *violations = ledger.violations();
  return world.trace.hash();
}

class RelaySimTest : public ::testing::TestWithParam<Trouble> {};

TEST_P(RelaySimTest, EveryResponseIsTheRightOne) {
  for (const uint64_t seed : SeedsToRun(1000)) {
    std::vector<std::string> violations;
    RunRelay(seed, GetParam(), &violations);
    ASSERT_TRUE(violations.empty()) << "seed " << seed << ":\n" << absl::StrJoin(violations, "\n");
  }
}

TEST_P(RelaySimTest, OneSeedIsOneRun) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    std::vector<std::string> violations;
    EXPECT_EQ(RunRelay(seed, GetParam(), &violations), RunRelay(seed, GetParam(), &violations));
  }
}

std::string NameOf(const ::testing::TestParamInfo<Trouble>& info) {
  constexpr const char* kNames[] = {"None", "Hidden", "Peers", "Any"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Trouble, RelaySimTest,
                         ::testing::Values(Trouble::kNone, Trouble::kHidden, Trouble::kAny),
                         NameOf);

}  // namespace
}  // namespace edge::sim
