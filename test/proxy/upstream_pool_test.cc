// Which origin a lease is for, and over which connection, on a simulated kernel with made-up time.

#include "proxy/upstream_pool.h"

#include <cerrno>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "test/sim/sim_io.h"
#include "test/sim/world.h"
#include "uring/loop.h"

namespace edge::proxy {
namespace {

using LeaseStatus = UpstreamPool::LeaseStatus;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;
constexpr uint16_t kPort = 80;

// A request: leases a connection and notes what it is told of it.
struct Request final : UpstreamConnection::Lessee {
  void OnUpstreamConnected() override { connected = true; }
  void OnUpstreamConnectFailed(int error) override { connect_error = error; }
  void OnUpstreamInput() override {}
  void OnUpstreamInputEnd(InputEnd) override {}
  void OnUpstreamOutputProgress(bool) override {}
  void OnUpstreamOutputFailed(int) override {}
  void OnUpstreamDeadline() override {}

  UpstreamPool::Lease lease{LeaseStatus::kNoneLeft};
  bool connected = false;
  int connect_error = 0;
};

class UpstreamPoolTest : public testing::Test {
 protected:
  ~UpstreamPoolTest() override {
    pool_->CloseIdle();
    Run(kSecond);
  }

  void Make(size_t origins, uint32_t connections_max = 1000) {
    UpstreamPoolOptions options{.connections_max = connections_max,
                                .idle_max = 100,
                                .idle_timeout_ns = 3600 * kSecond,
                                .age_max_ns = 3600 * kSecond,
                                .connect_timeout_ns = 5 * kSecond,
                                .random_seed = 1};
    for (size_t i = 0; i < origins; ++i) {
      const auto address = sim::SimAddress(static_cast<uint8_t>(10 + i), kPort);
      network_.Listen(address, 1000);
      options.addresses.push_back(
          {.name = "origin", .address = address, .proxy_protocol = proxy_protocol_});
    }
    io_ = std::make_unique<sim::SimIo>(&network_, sim::SimIoOptions{});
    loop_ = std::make_unique<uring::Loop>(io_.get(), &world_.scheduler.clock());
    pool_ = std::make_unique<UpstreamPool>(loop_.get(), std::move(options), &stats_);
  }
  void Run(int64_t ns) {
    const int64_t end_ns = world_.scheduler.NowNs() + ns;
    while (world_.scheduler.NowNs() < end_ns) ASSERT_EQ(loop_->RunTurn(end_ns), 0);
  }
  Request& Ask(const UpstreamSet& tried = {}, bool fresh = false) {
    Request& request = requests_.emplace_back();
    request.lease = pool_->Acquire(&request, tried, fresh);
    return request;
  }
  void Answer(Request& request) { pool_->Release(*request.lease.connection, /*reusable=*/true); }
  static uint32_t OriginOf(const Request& request) {
    return request.lease.connection->endpoint().index;
  }
  // Leaves `count` pooled connections to the origin.
  void Pool(size_t origin, size_t count) {
    UpstreamSet others;
    others.set();
    others[origin] = false;
    std::vector<Request*> asked;
    for (size_t i = 0; i < count; ++i) asked.push_back(&Ask(others, /*fresh=*/true));
    Run(10 * kMs);
    for (Request* request : asked) {
      ASSERT_TRUE(request->connected);
      Answer(*request);
    }
  }

  sim::World world_{1};
  sim::SimNetwork network_{&world_};
  ProxyProtocol proxy_protocol_ = ProxyProtocol::kNone;  // of the origins
  WorkerStats stats_;
  std::unique_ptr<sim::SimIo> io_;
  std::unique_ptr<uring::Loop> loop_;
  std::list<Request> requests_;
  std::unique_ptr<UpstreamPool> pool_;
};

TEST_F(UpstreamPoolTest, AConnectionWithAProxyHeaderIsNeverPooled) {
  proxy_protocol_ = ProxyProtocol::kV2;
  Make(1);
  Pool(0, 3);
  Run(10 * kMs);
  EXPECT_EQ(stats_.upstream_idle.Read(), 0u);
  EXPECT_EQ(pool_->connections(), 0u);
  Request& next = Ask();
  EXPECT_EQ(next.lease.status, LeaseStatus::kConnecting);
  Run(10 * kMs);
  Answer(next);
}

TEST_F(UpstreamPoolTest, TheTrialOfAFailedOriginConnectsAlthoughConnectionsArePooled) {
  Make(2);
  Pool(0, 3);
  UpstreamSet not_the_other;
  not_the_other[1] = true;
  world_.faults.connect_refused = 1;
  Request& refused = Ask(not_the_other, /*fresh=*/true);
  Run(10 * kMs);
  EXPECT_EQ(refused.connect_error, ECONNREFUSED);
  EXPECT_EQ(Ask(not_the_other).lease.status, LeaseStatus::kNoneLeft) << "it backs off";

  world_.faults.connect_refused = 0;
  Run(2 * kSecond);
  Request& trial = Ask(not_the_other);
  ASSERT_EQ(trial.lease.status, LeaseStatus::kConnecting);
  Run(10 * kMs);
  EXPECT_TRUE(trial.connected);
  // The back-off is over.
  for (int i = 0; i < 3; ++i) {
    Request& request = Ask(not_the_other);
    ASSERT_EQ(request.lease.status, LeaseStatus::kReady);
    Answer(request);
  }
  Answer(trial);
}

TEST_F(UpstreamPoolTest, ConnectsThatFailTogetherCountAsOneFailure) {
  Make(2);
  UpstreamSet not_the_other;
  not_the_other[1] = true;
  world_.faults.connect_refused = 1;
  std::vector<Request*> asked;
  for (int i = 0; i < 50; ++i) asked.push_back(&Ask(not_the_other));
  Run(10 * kMs);
  for (const Request* request : asked) EXPECT_EQ(request->connect_error, ECONNREFUSED);
  world_.faults.connect_refused = 0;
  // One second and up to a quarter more.
  Run(1300 * kMs);
  Request& trial = Ask(not_the_other);
  ASSERT_EQ(trial.lease.status, LeaseStatus::kConnecting);
  Run(10 * kMs);
  EXPECT_TRUE(trial.connected);
  Answer(trial);
}

TEST_F(UpstreamPoolTest, AShortageOfPortsIsNoFailureOfTheOrigin) {
  Make(2);
  UpstreamSet not_the_other;
  not_the_other[1] = true;
  world_.faults.connect_no_port = 1;
  Request& failed = Ask(not_the_other);
  Run(10 * kMs);
  EXPECT_EQ(failed.connect_error, EADDRNOTAVAIL);
  world_.faults.connect_no_port = 0;
  Request& next = Ask(not_the_other);
  ASSERT_EQ(next.lease.status, LeaseStatus::kConnecting);
  Run(10 * kMs);
  Answer(next);
}

TEST_F(UpstreamPoolTest, PooledConnectionsOfOneOriginGiveWayToNewOnesOfAnother) {
  constexpr uint32_t kSlots = 40;
  Make(2, kSlots);
  Pool(0, kSlots);
  UpstreamSet not_the_first;
  not_the_first[0] = true;
  // The first may come too early: what makes room for it closes only then.
  std::vector<Request*> connected;
  for (int i = 0; i < 20; ++i) {
    Request& request = Ask(not_the_first, /*fresh=*/true);
    Run(10 * kMs);
    if (request.connected) connected.push_back(&request);
  }
  EXPECT_GE(connected.size(), 19u);
  for (Request* request : connected) Answer(*request);
}

TEST_F(UpstreamPoolTest, WithoutADescriptorARequestGoesToAnOriginWithPooledConnections) {
  Make(2);
  Pool(0, 2);
  world_.faults.open_socket_fails = 1;
  for (int i = 0; i < 20; ++i) {
    Request& request = Ask();
    ASSERT_EQ(request.lease.status, LeaseStatus::kReady);
    EXPECT_EQ(OriginOf(request), 0u);
    Answer(request);
  }
}

}  // namespace
}  // namespace edge::proxy
