#include "test/sim/proxy_run.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "proxy/access_log.h"
#include "proxy/settings.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "test/sim/ledger.h"
#include "test/sim/sim_client.h"
#include "test/sim/sim_io.h"
#include "test/sim/sim_origin.h"
#include "test/sim/world.h"

namespace edge::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;

// Longer than all time-outs of a connection's exchanges, one after the other.
constexpr int64_t kServingNsMax = 4 * 3600 * kSecond;
// As --drain_timeout; and for peers that are only slow, where nothing may be cut.
constexpr int64_t kDrainNsMax = 30 * kSecond;
constexpr int64_t kCalmDrainNsMax = 600 * kSecond;
constexpr int64_t kCloseNsMax = 10 * kSecond;
// A loop that spins comes here long before its virtual time is up.
constexpr uint64_t kTurnsMax = 3'000'000;

// Stands where the control thread writes the access log: counts the lines, and gives a batch back
// when it pleases.
class SimLog final : public proxy::LogSink {
 public:
  SimLog(World* world, Random random) : world_(*world), random_(random) {}
  uint64_t lines() const { return lines_; }
  bool all_whole() const { return all_whole_; }
  // The worker, whose memory they are, has gone.
  void ForgetBatches() { batches_.clear(); }

 private:
  static constexpr int64_t kWriteNsMax = 5 * kSecond;

  void Submit(proxy::LogBatch* batch) override {
    lines_ += static_cast<uint64_t>(std::count(batch->text.begin(), batch->text.end(), '\n'));
    all_whole_ = all_whole_ && batch->text.starts_with('{') && batch->text.ends_with("}\n");
    batches_.push_back(batch);
    world_.scheduler.After(random_.Between(0, kWriteNsMax), [this, batch] {
      // Unless its worker has gone.
      if (std::erase(batches_, batch) > 0) batch->home->Push(batch);
    });
  }

  World& world_;
  Random random_;
  std::vector<proxy::LogBatch*> batches_;  // being written
  uint64_t lines_ = 0;
  bool all_whole_ = true;
};

bool Calm(Trouble trouble) { return trouble == Trouble::kNone || trouble == Trouble::kHidden; }

class Run {
 public:
  Run(uint64_t seed, Trouble trouble, bool verbose) : world_(seed, verbose), trouble_(trouble) {
    if (trouble == Trouble::kAny) {
      world_.faults = FaultPlan::Any(world_.random);
    } else if (trouble != Trouble::kNone) {
      world_.faults = FaultPlan::Hidden(world_.random);
    }
    world_.shape = NetworkShape::Any(world_.random);
    scenario_ = Scenario::Make(trouble, world_.random);
    if (verbose) std::fputs(scenario_.Describe().c_str(), stderr);
    ledger_ = std::make_unique<Ledger>(&scenario_);
    network_ = std::make_unique<SimNetwork>(&world_);
  }

  ProxyRun Go() {
    MakeIo();
    MakePeers();
    {
      proxy::Worker worker(io_.get(), &world_.scheduler.clock(), Options());
      worker.Start();
      Serve(worker);
      Drain(worker);
      worker.CloseAll();  // as its thread does at the end
      result_.retries = stats_->upstream_retries.Read();
      result_.reuses = stats_->upstream_reuses.Read();
    }
    log_.ForgetBatches();
    io_->Turn(0);  // closes are queued
    CheckNothingIsLeft();
    // What is on its way still arrives.
    while (world_.scheduler.NextNs() != Scheduler::kNever && !ClientsDone()) {
      world_.scheduler.RunNext();
    }
    JudgeExchanges();
    result_.trace = world_.trace.hash();
    result_.events = world_.trace.events();
    result_.violations = ledger_->violations();
    return std::move(result_);
  }

 private:
  void MakeIo() {
    Random& random = world_.random;
    // Nobody promises an answer in time when buffers run out; that they do is part of any trouble.
    const bool scarce = trouble_ == Trouble::kAny && random.Chance(0.5);
    SimIoOptions options;
    options.head = {.buffers = scarce ? 1 + static_cast<uint32_t>(random.Skewed(64)) : 512,
                    .bytes_each = static_cast<uint32_t>(512 + random.Skewed(4096))};
    options.origin = {.buffers = scarce ? 1 + static_cast<uint32_t>(random.Skewed(64)) : 512,
                      .bytes_each = static_cast<uint32_t>(512 + random.Skewed(4096))};
    // The longest heads need to fit into one of these.
    options.body = {.buffers = scarce ? 1 + static_cast<uint32_t>(random.Skewed(8)) : 128,
                    .bytes_each = static_cast<uint32_t>(20'000 + random.Skewed(45'000))};
    options.submission_entries = random.Skewed(1024);
    io_ = std::make_unique<SimIo>(network_.get(), options);
    server_address_ = SimAddress(1, 80);
    listener_fd_ = io_->AddListener(network_->Listen(server_address_, 1024));
  }

  void MakePeers() {
    for (size_t i = 0; i < scenario_.origins.size(); ++i) {
      const uring::SocketAddress address = SimAddress(static_cast<uint8_t>(50 + i), 8080);
      upstreams_.push_back({.name = absl::StrCat("origin", i), .address = address});
      origins_.push_back(std::make_unique<SimOrigin>(network_.get(), &scenario_, i,
                                                     SimOrigin::Options{.address = address},
                                                     ledger_.get(), world_.random.Fork()));
    }
    for (size_t i = 0; i < scenario_.clients.size(); ++i) {
      clients_.push_back(std::make_unique<SimClient>(network_.get(), &scenario_, i, ledger_.get(),
                                                     world_.random.Fork()));
      clients_.back()->Start(server_address_);
    }
  }

  proxy::WorkerOptions Options() {
    Random& random = world_.random;
    auto settings = std::make_shared<proxy::Settings>();
    settings->upstreams = upstreams_;
    settings->upstream_idle_max =
        random.Chance(0.2) ? static_cast<uint32_t>(random.Below(3)) : 1024;
    settings->max_connections = 64;
    if (random.Chance(0.3)) {
      settings->upstream_idle_timeout_ns = static_cast<int64_t>(random.Skewed(kSecond));
    }
    if (random.Chance(0.1)) {
      settings->upstream_age_max_ns = static_cast<int64_t>(random.Skewed(kSecond));
    }
    if (trouble_ == Trouble::kAny) {
      if (random.Chance(0.3)) {
        settings->max_connections = static_cast<uint32_t>(random.Skewed(8));
      }
      for (int64_t* timeout_ns : {&settings->header_timeout_ns, &settings->idle_timeout_ns,
                                  &settings->connect_timeout_ns, &settings->upstream_timeout_ns}) {
        if (random.Chance(0.3)) *timeout_ns = kMs + static_cast<int64_t>(random.Skewed(kSecond));
      }
    }
    stats_ = std::make_unique<proxy::WorkerStats>();
    proxy::WorkerOptions options;
    options.listeners = {{.fd = listener_fd_, .tls = false}};
    options.stats = stats_.get();
    settings->access_log = true;
    options.settings = std::move(settings);
    options.log_sink = &log_;
    options.random_seed = random.Next();
    return options;
  }

  bool ClientsDone() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->done(); });
  }
  int64_t now_ns() const { return world_.scheduler.NowNs(); }

  // One turn, which ends at `latest_ns` at the latest. False: nothing will ever happen again.
  bool Turn(proxy::Worker& worker, int64_t latest_ns) {
    ++result_.turns;
    return worker.RunTurn(latest_ns) == 0;
  }

  void Serve(proxy::Worker& worker) {
    const int64_t start_ns = now_ns();
    const bool drains_early = scenario_.drain_at_ns >= 0;
    const int64_t end_ns = start_ns + (drains_early ? scenario_.drain_at_ns : kServingNsMax);
    while (!ClientsDone() && now_ns() < end_ns) {
      if (result_.turns > kTurnsMax) return ledger_->Violation("the loop spins");
      if (!Turn(worker, end_ns)) return ledger_->Violation("nothing happens any more");
    }
    result_.virtual_ns = now_ns() - start_ns;
    if (!ClientsDone() && !drains_early) ledger_->Violation("clients wait for hours");
  }

  void Drain(proxy::Worker& worker) {
    worker.BeginDrain();
    RunUntilFinished(worker, Calm(trouble_) ? kCalmDrainNsMax : kDrainNsMax);
    if (worker.finished()) return;
    if (Calm(trouble_)) ledger_->Violation("the drain does not come to its end");
    worker.CloseAll();
    RunUntilFinished(worker, kCloseNsMax);
    if (!worker.finished()) ledger_->Violation("closing does not come to its end");
  }

  void RunUntilFinished(proxy::Worker& worker, int64_t within_ns) {
    const int64_t end_ns = now_ns() + within_ns;
    while (!worker.finished() && now_ns() < end_ns) {
      if (++result_.turns > kTurnsMax) return ledger_->Violation("the loop spins in a drain");
      Turn(worker, end_ns);
    }
  }

  void CheckNothingIsLeft() {
    const auto expect_none = [&](uint64_t count, const char* what) {
      if (count != 0) ledger_->Violation(absl::StrCat("at the end: ", count, " ", what));
    };
    expect_none(io_->operations_in_flight(), "operations in flight");
    expect_none(io_->open_sockets(), "sockets open");
    expect_none(io_->buffers_lent(), "buffers not returned");
    expect_none(stats_->connections_active.Read(), "connections active");
    expect_none(stats_->exchanges_active.Read(), "exchanges active");
    expect_none(stats_->upstream_active.Read(), "leases");
    expect_none(stats_->upstream_idle.Read(), "idle connections to origins");
    expect_none(stats_->ring_stale_completions.Read(), "stale completions");
    uint64_t requests = 0;
    for (const proxy::Counter& counter : stats_->requests_by_class) requests += counter.Read();
    if (log_.lines() + stats_->access_log_dropped.Read() != requests || !log_.all_whole()) {
      ledger_->Violation(
          absl::StrCat("the access log has ", log_.lines(), " lines for ", requests, " requests"));
    }
  }

  void JudgeExchanges() {
    using Outcome = Ledger::Outcome;
    const bool drains_early = scenario_.drain_at_ns >= 0;
    // With nobody at the first address, nothing can be promised.
    const bool served = scenario_.origins[0].listens;
    for (uint64_t id = 0; id < scenario_.exchanges.size(); ++id) {
      const Ledger::Entry& entry = ledger_->entry(id);
      ++result_.exchanges;
      result_.from_origin += entry.outcome == Outcome::kFromOrigin;
      result_.from_proxy += entry.outcome == Outcome::kFromProxy;
      result_.cut += entry.outcome == Outcome::kCut;
      if (!scenario_.exchange(id).must_succeed || trouble_ == Trouble::kAny || !served) continue;
      if (entry.outcome == Outcome::kFromOrigin) continue;
      // A drain ends connections between exchanges, never within one.
      if (drains_early && entry.outcome == Outcome::kNotAnswered) continue;
      constexpr const char* kNames[] = {"not answered", "answered in part", "", "refused"};
      ledger_->Violation(
          id, absl::StrCat(kNames[static_cast<int>(entry.outcome)], ", status ", entry.status,
                           ", heads at origins ", entry.requests_at_origins));
    }
  }

  World world_;
  const Trouble trouble_;
  Scenario scenario_;
  ProxyRun result_;
  SimLog log_{&world_, Random(1)};
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<SimNetwork> network_;
  std::unique_ptr<SimIo> io_;
  std::unique_ptr<proxy::WorkerStats> stats_;
  std::vector<proxy::UpstreamAddress> upstreams_;
  std::vector<std::unique_ptr<SimOrigin>> origins_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  uring::SocketAddress server_address_;
  int listener_fd_ = -1;
};

}  // namespace

ProxyRun RunProxy(uint64_t seed, Trouble trouble, bool verbose) {
  return Run(seed, trouble, verbose).Go();
}

}  // namespace edge::sim
