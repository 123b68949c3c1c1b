// One listening socket of a worker, on a simulated kernel.

#include "proxy/acceptor.h"

#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "test/sim/sim_io.h"
#include "test/sim/world.h"
#include "uring/loop.h"

namespace edge::proxy {
namespace {

constexpr uint16_t kPort = 80;

// Takes what is accepted, and closes the acceptor once there are `enough`.
struct Owner final : Acceptor::Owner {
  void OnAccepted(const ListenerSocket& socket) override {
    accepted.push_back(socket.fd);
    if (accepted.size() == enough) acceptor->Close();
  }
  void OnAcceptFailed(bool) override {}

  Acceptor* acceptor = nullptr;
  std::vector<int> accepted;
  size_t enough = 0;
};

// An acceptor that has not started, and clients that wait in its backlog.
class AcceptorTest : public testing::Test {
 protected:
  static constexpr size_t kClients = 20;

  void SetUp() override {
    owner_.acceptor = &acceptor_;
    for (uint16_t port = 1; port <= kClients; ++port) {
      network_.Connect(sim::SimAddress(2, port), sim::SimAddress(1, kPort),
                       [this](int, sim::Endpoint* endpoint) { clients_.push_back(endpoint); });
    }
    const int64_t latest_ns = world_.scheduler.NowNs() + kSecond;
    while (clients_.size() < kClients) ASSERT_EQ(loop_.RunTurn(latest_ns), 0);
  }

  void RunUntilClosed() {
    while (!acceptor_.closed()) ASSERT_EQ(loop_.RunTurn(world_.scheduler.NowNs() + kMs), 0);
  }

  void CloseAll() {
    for (const int fd : owner_.accepted) io_.CloseSocket(fd);
    for (sim::Endpoint* client : clients_) client->Close();
    ASSERT_EQ(loop_.RunTurn(world_.scheduler.NowNs() + kMs), 0);
    EXPECT_EQ(io_.open_sockets(), 0u);
  }

  static constexpr int64_t kMs = 1'000'000;
  static constexpr int64_t kSecond = 1'000 * kMs;

  sim::World world_{1};
  sim::SimNetwork network_{&world_};
  sim::SimIo io_{&network_, {}};
  uring::Loop loop_{&io_, &world_.scheduler.clock()};
  Owner owner_;
  Acceptor acceptor_{
      &loop_, &owner_, {.fd = io_.AddListener(network_.Listen(sim::SimAddress(1, kPort), 64))}};
  std::vector<sim::Endpoint*> clients_;
};

TEST_F(AcceptorTest, WhatWasAcceptedBeforeTheCloseAndIsToldAfterItIsClosed) {
  owner_.enough = 3;
  acceptor_.Start();  // one batch tells of all that wait
  RunUntilClosed();
  EXPECT_EQ(owner_.accepted.size(), 3u);
  CloseAll();
}

TEST_F(AcceptorTest, ADrainGoesOnBehindAConnectionThatIsGone) {
  owner_.enough = 100;
  world_.faults.accept_fails = 0.5;
  acceptor_.Drain();  // it has never started: all of them are taken out of the backlog
  RunUntilClosed();
  EXPECT_GT(owner_.accepted.size(), 0u);
  const int64_t told_ns = world_.scheduler.NowNs() + kSecond;
  while (world_.scheduler.NowNs() < told_ns) ASSERT_EQ(loop_.RunTurn(told_ns), 0);
  size_t gone = 0;
  for (const sim::Endpoint* client : clients_) gone += client->reset() ? 1 : 0;
  EXPECT_EQ(owner_.accepted.size() + gone, clients_.size());
  EXPECT_EQ(gone, world_.coverage.of("accept_fails")) << "others were left behind";
  CloseAll();
}

}  // namespace
}  // namespace edge::proxy
