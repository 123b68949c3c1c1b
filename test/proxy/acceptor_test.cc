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

TEST(AcceptorTest, WhatWasAcceptedBeforeTheCloseAndIsToldAfterItIsClosed) {
  sim::World world(1);
  sim::SimNetwork network(&world);
  sim::SimIo io(&network, {});
  uring::Loop loop(&io, &world.scheduler.clock());
  sim::Listener* listener = network.Listen(sim::SimAddress(1, kPort), 64);
  Owner owner;
  owner.enough = 3;
  Acceptor acceptor(&loop, &owner, {.fd = io.AddListener(listener)});
  owner.acceptor = &acceptor;

  // All of them wait in the backlog, so that one batch tells of them.
  std::vector<sim::Endpoint*> clients;
  for (uint16_t port = 1; port <= 20; ++port) {
    network.Connect(sim::SimAddress(2, port), sim::SimAddress(1, kPort),
                    [&](int, sim::Endpoint* endpoint) { clients.push_back(endpoint); });
  }
  const int64_t start_ns = world.scheduler.NowNs();
  while (clients.size() < 20) ASSERT_EQ(loop.RunTurn(start_ns + 1'000'000'000), 0);
  acceptor.Start();
  while (!acceptor.closed()) ASSERT_EQ(loop.RunTurn(world.scheduler.NowNs() + 1'000'000), 0);
  EXPECT_EQ(owner.accepted.size(), 3u);
  for (const int fd : owner.accepted) io.CloseSocket(fd);
  for (sim::Endpoint* client : clients) client->Close();
  ASSERT_EQ(loop.RunTurn(world.scheduler.NowNs() + 1'000'000), 0);
  EXPECT_EQ(io.open_sockets(), 0u);
}

TEST(AcceptorTest, ADrainGoesOnBehindAConnectionThatIsGone) {
  sim::World world(1);
  sim::SimNetwork network(&world);
  sim::SimIo io(&network, {});
  uring::Loop loop(&io, &world.scheduler.clock());
  sim::Listener* listener = network.Listen(sim::SimAddress(1, kPort), 64);
  Owner owner;
  owner.enough = 100;
  Acceptor acceptor(&loop, &owner, {.fd = io.AddListener(listener)});
  std::vector<sim::Endpoint*> clients;
  for (uint16_t port = 1; port <= 20; ++port) {
    network.Connect(sim::SimAddress(2, port), sim::SimAddress(1, kPort),
                    [&](int, sim::Endpoint* endpoint) { clients.push_back(endpoint); });
  }
  const int64_t start_ns = world.scheduler.NowNs();
  while (clients.size() < 20) ASSERT_EQ(loop.RunTurn(start_ns + 1'000'000'000), 0);
  world.faults.accept_fails = 0.5;
  acceptor.Drain();  // it has never started: all of them are taken out of the backlog
  while (!acceptor.closed()) ASSERT_EQ(loop.RunTurn(world.scheduler.NowNs() + 1'000'000), 0);
  EXPECT_GT(owner.accepted.size(), 0u);
  const int64_t told_ns = world.scheduler.NowNs() + 1'000'000'000;
  while (world.scheduler.NowNs() < told_ns) ASSERT_EQ(loop.RunTurn(told_ns), 0);
  size_t gone = 0;
  for (sim::Endpoint* client : clients) {
    gone += client->reset() ? 1 : 0;
    client->Close();
  }
  EXPECT_EQ(owner.accepted.size() + gone, clients.size());
  EXPECT_EQ(gone, world.coverage.of("accept_fails")) << "others were left behind";
  for (const int fd : owner.accepted) io.CloseSocket(fd);
  ASSERT_EQ(loop.RunTurn(world.scheduler.NowNs() + 1'000'000), 0);
}

}  // namespace
}  // namespace edge::proxy
