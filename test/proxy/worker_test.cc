// A worker on a simulated kernel, where shortage can be had at will.

#include "proxy/worker.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proxy/settings.h"
#include "proxy/stats.h"
#include "proxy/welcome_origin.h"
#include "test/sim/sim_io.h"
#include "test/sim/sim_peer.h"
#include "test/sim/world.h"

namespace edge::proxy {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;

class Client final : public sim::SimPeer {
 public:
  using SimPeer::SimPeer;
  bool ended() const { return ended_; }
  const std::string& received() const { return received_; }

 private:
  void OnBytes(std::string_view bytes) override { received_ += bytes; }
  void OnEnd(int) override { ended_ = true; }
  bool ended_ = false;
  std::string received_;
};

// Answers the first bytes of each connection with `answer`, and says no more.
class Origin final : private sim::Listener::Observer {
 public:
  Origin(sim::World* world, sim::Listener* listener, std::string answer)
      : world_(world), listener_(listener), answer_(std::move(answer)) {
    listener->set_observer(this);
  }

 private:
  class Connection final : public sim::SimPeer {
   public:
    Connection(sim::World* world, std::string_view answer)
        : SimPeer(world, sim::Random(1)), answer_(answer) {}

   private:
    void OnBytes(std::string_view) override {
      Write(answer_);
      answer_ = {};
    }
    void OnEnd(int) override { Close(); }
    std::string_view answer_;
  };

  void OnPending() override {
    while (sim::Endpoint* endpoint = listener_->Accept()) {
      connections_.push_back(std::make_unique<Connection>(world_, answer_));
      connections_.back()->Attach(endpoint, {});
    }
  }

  sim::World* const world_;
  sim::Listener* const listener_;
  const std::string answer_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

TEST(WorkerTest, HoardersGiveWayWhenOnlyTheKernelHasBuffersLeft) {
  sim::World world(1);
  world.shape.buffer_bytes_min = world.shape.buffer_bytes_max = 256 << 10;
  sim::SimNetwork network(&world);
  world.faults.first_window = 32;
  sim::SimIo io(&network, {});
  const uring::SocketAddress server = sim::SimAddress(1, 80);
  const uring::SocketAddress origin = sim::SimAddress(50, 80);
  network.Listen(origin, 16);  // connects, and says nothing
  auto settings = std::make_shared<Settings>();
  settings->upstreams = {{.name = "origin", .address = origin}};
  settings->max_connections = 16;
  WorkerStats stats;
  WorkerOptions options;
  options.settings = std::move(settings);
  options.listeners = {{.fd = io.AddListener(network.Listen(server, 16)), .tls = false}};
  options.stats = &stats;
  Worker worker(&io, &world.scheduler.clock(), std::move(options));
  worker.Start();
  const auto run = [&](int64_t ns) {
    const int64_t end_ns = world.scheduler.NowNs() + ns;
    while (world.scheduler.NowNs() < end_ns) ASSERT_EQ(worker.RunTurn(end_ns), 0);
  };

  Client client(&world, sim::Random(1));
  network.Connect(sim::SimAddress(2, 1), server, [&](int error, sim::Endpoint* endpoint) {
    ASSERT_EQ(error, 0);
    client.Attach(endpoint, {});
  });
  run(10 * kMs);
  world.faults.cancel_late = 1;  // so that much is received behind the first request
  world.faults.late_ns_max = 20 * kMs;
  std::string requests;
  while (requests.size() < (64 << 10)) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  client.Write(requests);
  run(100 * kMs);

  // As TLS does: what edge has of its own is taken, and somebody waits for more.
  uring::BufferLoans& buffers = worker.loop().buffers();
  std::vector<uring::BufferId> taken;
  for (uring::BufferId id; (id = buffers.Take(uring::BufferGroup::kHead)).valid();) {
    taken.push_back(id);
  }
  ASSERT_GT(io.BuffersFree(uring::BufferGroup::kHead), 0u);
  struct Waiter {
    void Ask() {
      buffer = buffers->Take(uring::BufferGroup::kHead);
      if (!buffer.valid()) buffers->Wait(uring::BufferGroup::kHead, waiter);
    }
    uring::BufferLoans* buffers;
    uring::BufferId buffer;
    uring::BufferWaiter waiter{this, [](void* self) { static_cast<Waiter*>(self)->Ask(); }};
  } waiter{.buffers = &buffers};
  waiter.Ask();
  ASSERT_FALSE(waiter.buffer.valid());
  run(kMs);  // the worker sees that somebody waits
  run(3 * kSecond);
  EXPECT_EQ(stats.connections_shed.Read(), 1u);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(waiter.buffer.valid());

  buffers.StopWaiting(waiter.waiter);
  if (waiter.buffer.valid()) buffers.Unref(waiter.buffer);
  for (const uring::BufferId id : taken) buffers.Unref(id);
  worker.CloseAll();
  run(kSecond);
  EXPECT_TRUE(worker.finished());
}

// A worker whose only listener expects PROXY headers, from clients at 10.0.0.2.
class ProxyHeaderTest : public testing::Test {
 protected:
  static sim::SimIoOptions SmallestBuffers() {
    sim::SimIoOptions options;
    options.head.bytes_each = 1024;
    return options;
  }

  ProxyHeaderTest() : network_(&world_), io_(&network_, SmallestBuffers()) {
    auto settings = std::make_shared<Settings>();
    settings->max_connections = 64;
    settings->proxy_protocol_from.push_back(*AddressBlock::Parse("10.0.0.2"));
    WorkerOptions options;
    options.settings = std::move(settings);
    options.listeners = {
        {.fd = io_.AddListener(network_.Listen(server_, 64)), .proxy_protocol = true}};
    options.local_origin = &origin_;
    options.stats = &stats_;
    worker_ = std::make_unique<Worker>(&io_, &world_.scheduler.clock(), std::move(options));
    worker_->Start();
  }

  ~ProxyHeaderTest() override {
    worker_->CloseAll();
    Run(kSecond);
    EXPECT_TRUE(worker_->finished());
    EXPECT_EQ(io_.buffers_lent(), 0u);
  }

  void Run(int64_t ns) {
    const int64_t end_ns = world_.scheduler.NowNs() + ns;
    while (world_.scheduler.NowNs() < end_ns) ASSERT_EQ(worker_->RunTurn(end_ns), 0);
  }

  Client& Connect(uint8_t host) {
    clients_.push_back(std::make_unique<Client>(&world_, sim::Random(clients_.size())));
    Client& client = *clients_.back();
    const auto port = static_cast<uint16_t>(clients_.size());
    network_.Connect(sim::SimAddress(host, port), server_,
                     [&client](int error, sim::Endpoint* endpoint) {
                       ASSERT_EQ(error, 0);
                       client.Attach(endpoint, {});
                     });
    Run(10 * kMs);
    return client;
  }

  uint64_t errors(ProxyProtocolError error) const {
    return stats_.proxy_protocol_errors[static_cast<size_t>(error)].Read();
  }

  const uring::SocketAddress server_ = sim::SimAddress(1, 80);
  sim::World world_{1};
  sim::SimNetwork network_;
  sim::SimIo io_;
  WelcomeOrigin origin_;
  WorkerStats stats_;
  std::unique_ptr<Worker> worker_;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(ProxyHeaderTest, TheLongestOneMayComeInAnyTwoPiecesWithARequestBehindIt) {
  // 192.0.2.1:1 to 198.51.100.1:2, and one TLV.
  std::string bytes(
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\x03\xf0\xc0\0\x02\x01\xc6\x33\x64\x01\0\1\0\2\x04\x03\xe1", 31);
  bytes.resize(kProxyHeaderBytesMax, 'n');
  bytes += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t cut = 1; cut < bytes.size(); cut += 17) {
    Client& client = Connect(2);
    client.Write(bytes.substr(0, cut));
    Run(10 * kMs);
    EXPECT_EQ(client.received(), "");
    client.Write(bytes.substr(cut));
    Run(10 * kMs);
    EXPECT_EQ(client.received().substr(0, 15), "HTTP/1.1 200 OK") << cut;
    EXPECT_NE(client.received().find("192.0.2.1"), std::string::npos) << cut;
    client.Close();
    Run(10 * kMs);
  }
  EXPECT_EQ(stats_.proxy_headers[2].Read(), clients_.size());
}

TEST_F(ProxyHeaderTest, OnlyAllowedSourcesAreServed) {
  Client& client = Connect(3);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(errors(ProxyProtocolError::kSourceNotAllowed), 1u);
  EXPECT_EQ(stats_.accept_errors.Read(), 0u);
}

TEST_F(ProxyHeaderTest, AClientThatHasGoneAlreadyIsNotOneThatMayNot) {
  world_.faults.peer_address_fails = 1;
  Client& client = Connect(2);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(errors(ProxyProtocolError::kSourceNotAllowed), 0u);
  EXPECT_EQ(stats_.accept_errors.Read(), 1u);
}

// The origin has sent everything, and waits for the client like everybody else.
TEST(WorkerTest, SlowReaderIsNoTimeOutOfItsOrigin) {
  sim::World world(1);
  world.shape.buffer_bytes_min = world.shape.buffer_bytes_max = 4 << 10;
  sim::SimNetwork network(&world);
  sim::SimIo io(&network, {.origin = {512, 4096}});
  const uring::SocketAddress server = sim::SimAddress(1, 80);
  const uring::SocketAddress address = sim::SimAddress(50, 80);
  // More than waits in the output, by less than the queue of the origin's connection holds.
  const size_t body_bytes = Transport::kOutputBytesMax + (32 << 10);
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n\r\n";
  Origin origin(&world, network.Listen(address, 16), head + std::string(body_bytes, 'b'));
  auto settings = std::make_shared<Settings>();
  settings->upstreams = {{.name = "origin", .address = address}};
  settings->max_connections = 16;
  settings->upstream_timeout_ns = kSecond;
  WorkerStats stats;
  WorkerOptions options;
  options.settings = std::move(settings);
  options.listeners = {{.fd = io.AddListener(network.Listen(server, 16)), .tls = false}};
  options.stats = &stats;
  Worker worker(&io, &world.scheduler.clock(), std::move(options));
  worker.Start();
  const auto run = [&](int64_t ns) {
    const int64_t end_ns = world.scheduler.NowNs() + ns;
    while (world.scheduler.NowNs() < end_ns) ASSERT_EQ(worker.RunTurn(end_ns), 0);
  };

  Client client(&world, sim::Random(1));
  network.Connect(sim::SimAddress(2, 1), server, [&](int error, sim::Endpoint* endpoint) {
    ASSERT_EQ(error, 0);
    client.Attach(endpoint, {.read_bytes_max = 4096, .read_gap_ns_max = 100 * kMs});
  });
  client.Write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  run(50 * kSecond);
  EXPECT_GT(client.received().size(), body_bytes);
  EXPECT_FALSE(client.ended());
  EXPECT_EQ(stats.upstream_errors[static_cast<size_t>(UpstreamError::kIdleTimeout)].Read(), 0u);

  worker.CloseAll();
  run(kSecond);
  EXPECT_TRUE(worker.finished());
}

}  // namespace
}  // namespace edge::proxy
