// PROXY headers on both sides of a worker, on a simulated kernel.
//
// Clients announce themselves, each as somebody else, and ask a few times; the origin, which gets a
// header of its own on each connection, answers with whom it was told of. So whatever happens, each
// client must see its own name and nobody else's, and the origin nobody's but the announced ones.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proxy/proxy_protocol.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "test/sim/seeds.h"
#include "test/sim/sim_io.h"
#include "test/sim/sim_peer.h"
#include "test/sim/world.h"

namespace edge::sim {
namespace {

using proxy::ProxyAddresses;
using proxy::ProxyHeader;
using proxy::ProxyProtocol;

constexpr int64_t kSecond = 1'000'000'000;
// Every answer's body has as many bytes.
constexpr size_t kNameBytes = 120;

std::string NameOf(const std::optional<ProxyAddresses>& addresses) {
  std::string name = "nobody";
  if (addresses.has_value()) {
    name = absl::StrCat(proxy::AddressWithPort(addresses->source.ToSocketAddress()), " to ",
                        proxy::AddressWithPort(addresses->destination.ToSocketAddress()));
  }
  name.resize(kNameBytes, '.');
  return name;
}

std::string HeaderOf(ProxyProtocol version, const std::optional<ProxyAddresses>& addresses) {
  char out[proxy::kProxyHeaderV1BytesMax];
  return {out, *proxy::WriteProxyHeader(version, addresses, out)};
}

class Client final : public SimPeer {
 public:
  Client(World* world, Random random, std::optional<ProxyAddresses> who)
      : SimPeer(world, random), who_(std::move(who)) {}

  void Start(SimNetwork& network, const uring::SocketAddress& from,
             const uring::SocketAddress& server) {
    to_ask_ = 1 + static_cast<int>(random().Below(4));
    const auto version = random().Chance(0.5) ? ProxyProtocol::kV1 : ProxyProtocol::kV2;
    network.Connect(from, server, [this, version](int error, Endpoint* endpoint) {
      if (error != 0) return void(ended_ = true);
      Attach(endpoint, Pace::Any(random(), 1000));
      Write(HeaderOf(version, who_));
      Ask();
    });
  }
  bool ended() const { return ended_; }
  int answers() const { return answers_; }
  bool answered() const { return to_ask_ == 0 && wrong_.empty(); }
  // What it saw that it should not.
  const std::string& wrong() const { return wrong_; }

 private:
  void Ask() {
    --to_ask_;
    Write("GET / HTTP/1.1\r\nHost: sim.test\r\n\r\n");
  }
  void OnBytes(std::string_view bytes) override {
    received_ += bytes;
    const size_t head_bytes = received_.find("\r\n\r\n");
    if (head_bytes == received_.npos || received_.size() < head_bytes + 4 + kNameBytes) return;
    if (!absl::StartsWith(received_, "HTTP/1.1 200 ")) {
      failed_ = received_.substr(0, received_.find('\r'));
      return Stop();
    }
    const std::string name = received_.substr(head_bytes + 4);
    if (name != NameOf(who_)) wrong_ = absl::StrCat("got ", name, " for ", NameOf(who_));
    ++answers_;
    received_.clear();
    if (to_ask_ == 0 || !wrong_.empty()) return Stop();
    Ask();
  }
  void OnEnd(int) override {
    if (!ended_) failed_ = "the connection ended";
    Stop();
  }
  void Stop() {
    if (ended_) return;
    ended_ = true;
    if (!failed_.empty()) ++to_ask_;
    Close();
  }

  const std::optional<ProxyAddresses> who_;
  std::string received_;
  std::string failed_;
  std::string wrong_;
  int to_ask_ = 0;
  int answers_ = 0;
  bool ended_ = false;
};

// An origin that answers with what the header of the connection said.
class Origin final : private Listener::Observer {
 public:
  Origin(SimNetwork* network, const uring::SocketAddress& address, Random random)
      : network_(*network), random_(random), listener_(*network->Listen(address, 1024)) {
    listener_.set_observer(this);
  }
  std::string wrong() const {
    for (const auto& connection : connections_) {
      if (!connection->wrong().empty()) return connection->wrong();
    }
    return "";
  }

 private:
  class Connection final : public SimPeer {
   public:
    using SimPeer::SimPeer;
    const std::string& wrong() const { return wrong_; }

   private:
    void OnBytes(std::string_view bytes) override {
      received_ += bytes;
      if (!header_.has_value()) {
        ProxyHeader header = proxy::ParseProxyHeader(received_);
        if (header.status == ProxyHeader::Status::kNeedMore) return;
        if (header.status == ProxyHeader::Status::kRefused) {
          wrong_ = absl::StrCat("no header but ", received_);
          return;
        }
        received_.erase(0, header.bytes);
        header_ = header;
      }
      const size_t end = received_.find("\r\n\r\n");
      if (end == received_.npos) return;
      if (!absl::StartsWith(received_, "GET / HTTP/1.1\r\n")) wrong_ = received_;
      if (++requests_ > 1) wrong_ = "a second request on the connection";
      received_.erase(0, end + 4);
      Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", kNameBytes, "\r\n\r\n",
                         NameOf(header_->addresses)));
    }
    void OnEnd(int) override { Close(); }

    std::string received_;
    std::string wrong_;
    std::optional<ProxyHeader> header_;
    int requests_ = 0;
  };

  void OnPending() override {
    while (Endpoint* endpoint = listener_.Accept()) {
      connections_.push_back(std::make_unique<Connection>(&network_.world(), random_.Fork()));
      connections_.back()->Attach(endpoint, Pace::Any(random_, 1000));
    }
  }

  SimNetwork& network_;
  Random random_;
  Listener& listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

struct Outcome {
  int answers = 0;
  std::vector<std::string> violations;
};

Outcome RunSeed(uint64_t seed, bool hidden_faults_only) {
  Outcome outcome;
  World world(seed, IsReplay(seed));
  world.faults =
      hidden_faults_only ? FaultPlan::Hidden(world.random) : FaultPlan::Any(world.random);
  world.shape = NetworkShape::Any(world.random);
  SimNetwork network(&world);
  SimIoOptions io_options;
  io_options.head.bytes_each = 1024 + static_cast<uint32_t>(world.random.Skewed(4096));
  SimIo io(&network, io_options);
  const uring::SocketAddress server = SimAddress(1, 80);
  const uring::SocketAddress origin_address = SimAddress(50, 80);
  Origin origin(&network, origin_address, world.random.Fork());

  auto settings = std::make_shared<proxy::Settings>();
  settings->max_connections = 64;
  settings->proxy_protocol_from.push_back(*proxy::AddressBlock::Parse("10.0.0.2"));
  settings->upstreams = {
      {.name = "origin",
       .address = origin_address,
       .proxy_protocol = world.random.Chance(0.5) ? ProxyProtocol::kV1 : ProxyProtocol::kV2}};
  proxy::WorkerStats stats;
  proxy::WorkerOptions options;
  options.settings = std::move(settings);
  options.listeners = {
      {.fd = io.AddListener(network.Listen(server, 1024)), .proxy_protocol = true}};
  options.stats = &stats;
  options.random_seed = world.random.Next();
  proxy::Worker worker(&io, &world.scheduler.clock(), std::move(options));

  std::vector<std::unique_ptr<Client>> clients;
  const auto count = static_cast<uint16_t>(1 + world.random.Below(12));
  for (uint16_t i = 0; i < count; ++i) {
    std::optional<ProxyAddresses> who;
    if (!world.random.Chance(0.1)) {
      const std::string host =
          absl::StrCat(world.random.Chance(0.5) ? "192.0.2." : "2001:db8::", i);
      who = {.source = proxy::IpEndpoint::Of(*proxy::ParseAddress(host, 1000 + i)),
             .destination = proxy::IpEndpoint::Of(*proxy::ParseAddress("198.51.100.1", 443))};
    }
    clients.push_back(std::make_unique<Client>(&world, world.random.Fork(), who));
    clients.back()->Start(network, SimAddress(2, 1000 + i), server);
  }
  worker.Start();
  const auto run = [&](int64_t within_ns, const auto& done) {
    const int64_t end_ns = world.scheduler.NowNs() + within_ns;
    for (int turn = 0; !done() && world.scheduler.NowNs() < end_ns && turn < 1'000'000; ++turn) {
      if (worker.RunTurn(end_ns) != 0) break;
    }
    return done();
  };
  run(600 * kSecond, [&] {
    return std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c->ended(); });
  });
  worker.CloseAll();
  if (!run(60 * kSecond, [&] { return worker.finished(); })) {
    outcome.violations.emplace_back("closing does not come to its end");
  }
  io.Turn(0);  // the last close is only queued

  for (const auto& client : clients) {
    outcome.answers += client->answers();
    if (!client->wrong().empty()) outcome.violations.push_back(client->wrong());
    if (hidden_faults_only && !client->answered()) outcome.violations.emplace_back("no answer");
  }
  if (!origin.wrong().empty()) outcome.violations.push_back(origin.wrong());
  const auto expect_none = [&](uint64_t left, const char* what) {
    if (left != 0) outcome.violations.push_back(absl::StrCat("at the end: ", left, " ", what));
  };
  expect_none(io.operations_in_flight(), "operations in flight");
  expect_none(io.open_sockets(), "sockets open");
  expect_none(io.buffers_lent(), "buffers not returned");
  expect_none(stats.upstream_reuses.Read(), "connections to origins used again");
  return outcome;
}

class ProxyHeaderSimTest : public ::testing::TestWithParam<bool> {};

TEST_P(ProxyHeaderSimTest, EachClientIsToldItsOwnName) {
  const std::vector<uint64_t> seeds = SeedsToRun(1000);
  int answers = 0;
  int failed = 0;
  for (const uint64_t seed : seeds) {
    const Outcome outcome = RunSeed(seed, GetParam());
    answers += outcome.answers;
    for (const std::string& violation : outcome.violations) {
      ADD_FAILURE() << "seed " << seed << ": " << violation;
    }
    if (!outcome.violations.empty() && ++failed == 10) break;
  }
  std::printf("%zu seeds, %d failed, %d answers\n", seeds.size(), failed, answers);
  EXPECT_GT(answers, 0);
}

INSTANTIATE_TEST_SUITE_P(Trouble, ProxyHeaderSimTest, ::testing::Values(true, false),
                         [](const auto& info) { return info.param ? "Hidden" : "Any"; });

}  // namespace
}  // namespace edge::sim
