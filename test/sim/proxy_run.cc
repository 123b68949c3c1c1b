#include "test/sim/proxy_run.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "http/reason.h"
#include "proxy/access_log.h"
#include "proxy/settings.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "test/sim/hostile_client.h"
#include "test/sim/hostile_ledger.h"
#include "test/sim/hostile_origin.h"
#include "test/sim/hostile_scenario.h"
#include "test/sim/ledger.h"
#include "test/sim/sim_client.h"
#include "test/sim/sim_inspection.h"
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
  // How long a batch takes at most.
  void set_write_ns_max(int64_t ns) { write_ns_max_ = ns; }
  // The worker, whose memory they are, has gone.
  void ForgetBatches() { batches_.clear(); }

 private:
  void Submit(proxy::LogBatch* batch) override {
    lines_ += static_cast<uint64_t>(std::count(batch->text.begin(), batch->text.end(), '\n'));
    all_whole_ = all_whole_ && batch->text.starts_with('{') && batch->text.ends_with("}\n");
    batches_.push_back(batch);
    world_.scheduler.After(random_.Between(0, write_ns_max_), [this, batch] {
      // Unless its worker has gone.
      if (std::erase(batches_, batch) > 0) batch->home->Push(batch);
    });
  }

  World& world_;
  Random random_;
  std::vector<proxy::LogBatch*> batches_;  // being written
  int64_t write_ns_max_ = 5 * kSecond;
  uint64_t lines_ = 0;
  bool all_whole_ = true;
};

bool Calm(Trouble trouble) { return trouble == Trouble::kNone || trouble == Trouble::kHidden; }

class Run {
 public:
  Run(uint64_t seed, Trouble trouble, bool verbose) : world_(seed, verbose), trouble_(trouble) {
    // In half of the hostile runs nothing but the peers is to blame for what fails.
    const bool hostile = trouble == Trouble::kHostile;
    faulty_ = trouble == Trouble::kAny || (hostile && world_.random.Chance(0.5));
    if (faulty_) {
      world_.faults = FaultPlan::Any(world_.random);
    } else if (trouble != Trouble::kNone) {
      world_.faults = FaultPlan::Hidden(world_.random);
    }
    world_.shape = NetworkShape::Any(world_.random);
    if (hostile) {
      hostile_ = HostileScenario::Make(!faulty_, world_.random, world_.coverage);
      if (verbose) std::fputs(hostile_.Describe().c_str(), stderr);
      scenario_.drain_at_ns = hostile_.drain_at_ns;
      hostile_ledger_ = std::make_unique<HostileLedger>(&hostile_);
    } else {
      scenario_ = Scenario::Make(trouble, world_.random);
      if (verbose) std::fputs(scenario_.Describe().c_str(), stderr);
    }
    ledger_ = std::make_unique<Ledger>(&scenario_);
    network_ = std::make_unique<SimNetwork>(&world_);
    inspection_ =
        std::make_unique<SimInspection>(&world_, network_.get(), !faulty_, world_.random.Fork());
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
    trouble_ == Trouble::kHostile ? JudgeHostile() : JudgeExchanges();
    result_.coverage = world_.coverage;
    result_.trace = world_.trace.hash();
    result_.events = world_.trace.events();
    result_.violations = ledger_->violations();
    return std::move(result_);
  }

 private:
  void MakeIo() {
    Random& random = world_.random;
    // Nobody promises an answer in time when buffers run out; that they do is part of any trouble.
    const bool scarce = faulty_ && random.Chance(0.5);
    SimIoOptions options;
    options.head = {.buffers = scarce ? 1 + static_cast<uint32_t>(random.Skewed(64)) : 512,
                    .bytes_each = static_cast<uint32_t>(512 + random.Skewed(4096))};
    options.origin = {.buffers = scarce ? 1 + static_cast<uint32_t>(random.Skewed(64)) : 512,
                      .bytes_each = static_cast<uint32_t>(512 + random.Skewed(4096))};
    if (hostile_.squeeze) {
      options.head = {.buffers = 5 + static_cast<uint32_t>(random.Below(8)), .bytes_each = 4096};
      options.origin.buffers = 1 + static_cast<uint32_t>(random.Below(2));
    }
    // The longest heads need to fit into one of these.
    options.body = {.buffers = scarce ? 1 + static_cast<uint32_t>(random.Skewed(8)) : 128,
                    .bytes_each = static_cast<uint32_t>(20'000 + random.Skewed(45'000))};
    options.submission_entries = random.Skewed(1024);
    if (trouble_ == Trouble::kHostile && random.Chance(0.3)) {
      options.completion_entries = random.Skewed(16);
    }
    body_buffer_bytes_ = options.body.bytes_each;
    io_ = std::make_unique<SimIo>(network_.get(), options);
    for (size_t i = 0; i < listener_fds_.size(); ++i) {
      const size_t backlog_max = faulty_ && random.Chance(0.1) ? 1 + random.Below(3) : 1024;
      listener_fds_[i] = io_->AddListener(network_->Listen(ServerAddress(i), backlog_max));
    }
    // Nobody rings this bell; what comes all the same must do no harm.
    if (trouble_ == Trouble::kHostile && random.Chance(0.2)) {
      for (uint64_t n = random.Skewed(20); n > 0; --n) {
        world_.scheduler.After(random.Between(0, 5 * kSecond), [this] { io_->ReceiveDoorbell(); });
      }
    }
  }

  static uring::SocketAddress ServerAddress(size_t listener) {
    return SimAddress(1, static_cast<uint16_t>(80 + listener));
  }

  void MakeHostilePeers() {
    for (size_t i = 0; i < hostile_.origins.size(); ++i) {
      const uring::SocketAddress address = SimAddress(static_cast<uint8_t>(50 + i), 8080);
      upstreams_.push_back({.name = absl::StrCat("origin", i), .address = address});
      hostile_origins_.push_back(std::make_unique<HostileOrigin>(
          network_.get(), &hostile_, i, address, hostile_ledger_.get(), &answer_keys_,
          world_.random.Fork()));
    }
    for (size_t i = 0; i < hostile_.clients.size(); ++i) {
      hostile_clients_.push_back(std::make_unique<HostileClient>(
          network_.get(), &hostile_.clients[i], i, hostile_ledger_.get(), world_.random.Fork()));
      hostile_clients_.back()->Start(ServerAddress(hostile_.clients[i].listener));
    }
  }

  void MakePeers() {
    if (trouble_ == Trouble::kHostile) return MakeHostilePeers();
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
      clients_.back()->Start(ServerAddress(0));
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
    // Clients that behave may still be slow, and none of them is to be late.
    settings->header_timeout_ns = 600 * kSecond;
    if (faulty_) {
      if (random.Chance(0.3)) {
        settings->max_connections = static_cast<uint32_t>(random.Skewed(8));
      }
      for (int64_t* timeout_ns : {&settings->header_timeout_ns, &settings->idle_timeout_ns,
                                  &settings->connect_timeout_ns, &settings->upstream_timeout_ns}) {
        if (random.Chance(0.3)) *timeout_ns = kMs + static_cast<int64_t>(random.Skewed(kSecond));
      }
      for (int64_t* life_ns : {&settings->connection_age_max_ns, &settings->response_time_max_ns}) {
        if (random.Chance(0.2)) *life_ns = kMs + static_cast<int64_t>(random.Skewed(10 * kSecond));
      }
      if (random.Chance(0.2)) {
        settings->connection_requests_max = 1 + static_cast<uint32_t>(random.Below(8));
      }
      if (random.Chance(0.5)) {
        settings->client_rate_min = static_cast<uint32_t>(random.Skewed(1 << 20));
      }
      // Not where a refusal has to have a reason that the yardstick knows.
      if (trouble_ == Trouble::kAny && random.Chance(0.2)) {
        settings->policy.request_body_bytes_max = random.Skewed(100'000);
      }
    }
    if (trouble_ == Trouble::kHostile) RandomiseHttp(*settings);
    stats_ = std::make_unique<proxy::WorkerStats>();
    proxy::WorkerOptions options;
    for (const int fd : listener_fds_) options.listeners.push_back({.fd = fd, .tls = false});
    options.stats = stats_.get();
    settings->access_log = !faulty_ || random.Chance(0.9);
    logs_ = settings->access_log;
    if (faulty_ && random.Chance(0.2)) log_.set_write_ns_max(500 * kSecond);
    options.log_sink = &log_;
    options.random_seed = random.Next();
    if (random.Chance(0.5)) {
      inspection_->Use(settings->inspection, options);
      if (hostile_ledger_ != nullptr) hostile_ledger_->NoteInspected();
    }
    options.settings = std::move(settings);
    return options;
  }

  // What a message may be like. Limits are low only where clients that behave may fail.
  void RandomiseHttp(proxy::Settings& settings) {
    Random& random = world_.random;
    http::ValidationPolicy& policy = settings.policy;
    // As MakeValidationPolicy: a head that outgrows its place has room in one body buffer, twice.
    policy.head_bytes_max = std::min(policy.head_bytes_max, body_buffer_bytes_ / 2);
    policy.request_line_bytes_max =
        std::min(policy.request_line_bytes_max, policy.head_bytes_max - 4);
    const auto choose = [&](auto& value, auto low, auto high) {
      using Value = std::remove_reference_t<decltype(value)>;
      if (random.Chance(0.3)) value = static_cast<Value>(random.Between(low, high));
    };
    choose(policy.underscore_names, 0, 2);
    choose(policy.browser_target_characters, 0, 1);
    choose(policy.double_slash_target, 0, 1);
    choose(policy.status_line_without_space, 0, 1);
    choose(policy.leading_empty_lines_max, 0, 4);
    choose(policy.connection_options_max, 1, 40);
    choose(policy.chunk_size_leading_zeros_max, 0, 8);
    choose(policy.chunk_extension_bytes_max, 0, 1000);
    choose(policy.chunk_extensions_bytes_max, 0, 20'000);
    choose(policy.interim_responses_max, 4, 20);
    choose(settings.forwarded_fields, 0, 2);
    if (random.Chance(0.3)) {
      const auto block = proxy::AddressBlock::Parse("10.0.0.0/24");
      settings.trusted_proxies.push_back(*block);
    }
    if (!faulty_) return;
    choose(policy.head_bytes_max, 600, policy.head_bytes_max);
    choose(policy.request_line_bytes_max, 100, 8192);
    choose(policy.status_line_bytes_max, 16, 4096);
    policy.request_line_bytes_max =
        std::min(policy.request_line_bytes_max, policy.head_bytes_max - 4);
    policy.status_line_bytes_max =
        std::min(policy.status_line_bytes_max, policy.head_bytes_max - 4);
    choose(policy.fields_max, 5, 128);
    choose(policy.trailer_bytes_max, 30, 8192);
    choose(policy.trailer_fields_max, 1, 32);
    choose(policy.interim_responses_max, 0, 3);
  }

  bool ClientsDone() const {
    const auto done = [](const auto& client) { return client->done(); };
    return std::all_of(clients_.begin(), clients_.end(), done) &&
           std::all_of(hostile_clients_.begin(), hostile_clients_.end(), done);
  }
  int64_t now_ns() const { return world_.scheduler.NowNs(); }

  // One turn, which ends at `latest_ns` at the latest. False: nothing will ever happen again.
  bool Turn(proxy::Worker& worker, int64_t latest_ns) {
    ++result_.turns;
    inspection_->BeforeTurn();
    return worker.RunTurn(latest_ns) == 0;
  }

  void Serve(proxy::Worker& worker) {
    const int64_t start_ns = start_ns_ = now_ns();
    int64_t end_ns = start_ns + kServingNsMax;
    for (const int64_t at_ns : {scenario_.drain_at_ns, hostile_.stop_at_ns}) {
      if (at_ns >= 0) end_ns = std::min(end_ns, start_ns + at_ns);
    }
    const bool drains_early = end_ns < start_ns + kServingNsMax;
    while (!ClientsDone() && now_ns() < end_ns) {
      if (result_.turns > kTurnsMax) return ledger_->Violation("the loop spins");
      if (!Turn(worker, end_ns)) return ledger_->Violation("nothing happens any more");
    }
    result_.virtual_ns = now_ns() - start_ns;
    if (!ClientsDone() && !drains_early) ledger_->Violation("clients wait for hours");
  }

  void Drain(proxy::Worker& worker) {
    if (hostile_.stop_at_ns >= 0 && now_ns() - start_ns_ >= hostile_.stop_at_ns) {
      worker.CloseAll();
      world_.coverage.Count("stopped at once");
    }
    worker.BeginDrain();
    const bool calm = Calm(trouble_) || (trouble_ == Trouble::kHostile && !faulty_);
    int64_t drain_ns = calm ? kCalmDrainNsMax : kDrainNsMax;
    // Closed in the middle of a drain as well.
    if (trouble_ == Trouble::kHostile && faulty_) {
      drain_ns = world_.random.Between(0, world_.random.Chance(0.5) ? kSecond : kDrainNsMax);
    }
    RunUntilFinished(worker, drain_ns);
    if (worker.finished()) return;
    // Hostile clients make it as long as they like.
    if (Calm(trouble_)) ledger_->Violation("the drain does not come to its end");
    world_.coverage.Count("closed in a drain");
    closed_in_drain_ = true;
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
    if (!logs_) return;
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

  void JudgeHostile() {
    if (!faulty_ && !closed_in_drain_) {
      for (const auto& client : hostile_clients_) client->JudgeEnd(result_.retries > 0);
    }
    for (const std::string& violation : hostile_ledger_->violations()) {
      ledger_->Violation(violation);
    }
    for (const HostileClientScript& client : hostile_.clients) {
      result_.exchanges += client.requests.size();
    }
    const Coverage& coverage = world_.coverage;
    for (const char* who : {"good", "hostile"}) {
      for (const char* what : {" client got an honest answer", " client got a bad answer"}) {
        result_.from_origin += coverage.of(absl::StrCat(who, what));
      }
      result_.from_proxy += coverage.of(absl::StrCat(who, " client got an error"));
    }
    result_.cut = coverage.of("response cut");
    for (size_t i = 0; i < http::kReasonCount; ++i) {
      const uint64_t n = stats_->refusals[i].Read();
      const auto reason = static_cast<http::Reason>(i);
      if (n > 0) world_.coverage.Count(absl::StrCat("refused ", http::Describe(reason).id), n);
    }
    for (const auto& lane : stats_->inspection_verdicts) {
      for (size_t i = 0; i < lane.size(); ++i) {
        const auto verdict = static_cast<proxy::waf::Verdict>(i);
        if (lane[i].Read() == 0) continue;
        world_.coverage.Count(absl::StrCat("verdict ", proxy::waf::VerdictName(verdict)),
                              lane[i].Read());
      }
    }
    for (size_t i = 0; i < proxy::kUpstreamErrorCount; ++i) {
      const auto error = static_cast<proxy::UpstreamError>(i);
      const uint64_t n = stats_->upstream_errors[i].Read();
      if (n > 0) world_.coverage.Count(proxy::UpstreamErrorReason(error), n);
    }
    const auto count = [&](const char* what, const proxy::Counter& counter) {
      if (counter.Read() > 0) world_.coverage.Count(what, counter.Read());
    };
    count("connections shed", stats_->connections_shed);
    count("connections evicted", stats_->connections_evicted);
    count("accept errors", stats_->accept_errors);
    count("client time-outs", stats_->client_timeouts);
    count("completion queue overflows", stats_->ring_cq_overflows);
    count("access log lines dropped", stats_->access_log_dropped);
  }

  World world_;
  const Trouble trouble_;
  bool faulty_ = false;  // faults that clients may see
  Scenario scenario_;
  ProxyRun result_;
  SimLog log_{&world_, Random(1)};
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<SimNetwork> network_;
  std::unique_ptr<SimInspection> inspection_;
  std::unique_ptr<SimIo> io_;
  std::unique_ptr<proxy::WorkerStats> stats_;
  std::vector<proxy::UpstreamAddress> upstreams_;
  std::vector<std::unique_ptr<SimOrigin>> origins_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::array<int, 2> listener_fds_{};
  uint32_t body_buffer_bytes_ = 0;
  bool logs_ = false;
  bool closed_in_drain_ = false;
  int64_t start_ns_ = 0;
  HostileScenario hostile_;
  std::unique_ptr<HostileLedger> hostile_ledger_;
  std::vector<std::unique_ptr<HostileOrigin>> hostile_origins_;
  std::vector<std::unique_ptr<HostileClient>> hostile_clients_;
  uint64_t answer_keys_ = 1'000'000;
};

}  // namespace

ProxyRun RunProxy(uint64_t seed, Trouble trouble, bool verbose) {
  return Run(seed, trouble, verbose).Go();
}

}  // namespace edge::sim
