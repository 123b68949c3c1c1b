#include "proxy/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <set>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "http/validation_policy.h"
#include "proxy/http_settings.h"
#include "proxy/resolver.h"
#include "proxy/waf/rule_inspector.h"
#include "tls/record_pool.h"
#include "uring/listener.h"
#include "uring/placement.h"

namespace edge::proxy {
namespace {

// Descriptors that are no client's: rings, listeners, the log, signals.
constexpr uint64_t kDescriptorsReserved = 128;
// Up to here the table of descriptors is made at once: 2 MiB of the kernel's memory.
constexpr uint64_t kDescriptorTableMax = 1 << 18;
// Heads and answers of the admin endpoints.
constexpr uring::BufferGroupOptions kAdminHeadBuffers{128, 4096};
constexpr uring::BufferGroupOptions kAdminBodyBuffers{8, 65536};
constexpr uint32_t kAdminConnectionsMax = 64;
// What a TLS connection costs besides its slot: the session of BoringSSL and its state. Measured by
// test/bench/tls_bench; a handshake under way takes more for its time.
constexpr uint64_t kTlsSessionBytes = 12 << 10;
// What an inspection thread may hold of one request: its arguments, decoded in several ways.
constexpr uint64_t kInspectionThreadBytes = 32 << 20;
constexpr absl::Duration kResolveTimeout = absl::Seconds(5);

void Say(std::string_view line) {
  const std::string text = absl::StrCat("edge: ", line, "\n");
  // One write, so that lines of several processes on one terminal stay whole.
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = static_cast<uint64_t>(getpid());
  return seed;
}

std::string Bytes(uint64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

// The kernel doubles a process's table of descriptors when it is full, and if there are several
// threads, the one that asked for the next descriptor waits for an RCU grace period: a worker would
// stand still for tens of milliseconds while connections pour in. Now there is only one thread.
void GrowDescriptorTable(uint64_t descriptors) {
  const uint64_t last = std::min(descriptors, kDescriptorTableMax) - 1;
  const int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(last));
  if (fd >= 0) close(fd);
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

}  // namespace

Server::Server(Config config) : config_(std::move(config)) {}

Server::~Server() {
  CloseListeners();
  if (signal_fd_ >= 0) close(signal_fd_);
}

void Server::CloseListeners() {
  for (Listening& listening : listening_) {
    for (const int fd : listening.fds) close(fd);
  }
  listening_.clear();
  if (admin_fd_ >= 0) close(admin_fd_);
  admin_fd_ = -1;
}

// --- Preparation
// ------------------------------------------------------------------------------------------

absl::Status Server::Prepare() {
  absl::StatusOr<uring::KernelFeatures> features = uring::DetectKernelFeatures();
  if (!features.ok()) return features.status();
  features_ = *std::move(features);

  absl::StatusOr<std::vector<int>> affinity = uring::AffinityOfThisThread();
  if (!affinity.ok()) return affinity.status();
  absl::StatusOr<uring::Topology> topology = uring::Topology::Read("/", *affinity);
  if (!topology.ok()) return topology.status();
  absl::StatusOr<std::vector<int>> cpus = uring::ChooseCpus(*topology, config_.cores, RandomSeed());
  if (!cpus.ok()) return cpus.status();
  cpus_ = *std::move(cpus);
  for (const int cpu : cpus_) nodes_.push_back(topology->NodeOfCpu(cpu));
  topology_text_ = topology->Describe();
  for (const uring::Topology::Node& node : topology->nodes()) {
    const bool has_worker = std::find(nodes_.begin(), nodes_.end(), node.id) != nodes_.end();
    if (has_worker) inspection_nodes_.push_back({.id = node.id, .cpus = node.cpus});
  }

  if (absl::Status status = PrepareTls(); !status.ok()) return status;
  if (absl::Status status = PrepareSettings(); !status.ok()) return status;
  if (config_.waf != WafMode::kOff) {
    PrepareInspection();
    absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> rules = LoadRules();
    if (!rules.ok()) return rules.status();
    rules_ = *std::move(rules);
  }
  if (!config_.access_log.empty()) {
    if (absl::Status status = access_log_.Open(config_.access_log); !status.ok()) return status;
  }
  if (absl::Status status = PrepareListeners(); !status.ok()) return status;
  return PrepareAdmin();
}

absl::Status Server::PrepareTls() {
  const bool wanted = std::any_of(config_.listen.begin(), config_.listen.end(),
                                  [](const ListenSpec& spec) { return spec.tls; });
  if (!wanted && config_.tls_cert.empty()) return absl::OkStatus();
  // RFC 7301, 6: both are registered, and old clients offer nothing newer than http/1.0.
  const tls::ServerOptions options{.alpn_protocols = {"http/1.1", "http/1.0"}};
  absl::StatusOr<std::shared_ptr<const tls::ServerContext>> context;
  if (config_.tls_cert.empty()) {
    std::vector<std::string> names = {"localhost"};
    if (const std::string host = HostName(); !host.empty() && host != "localhost") {
      names.push_back(host);
    }
    const std::vector<std::string> addresses = {"127.0.0.1", "::1"};
    context = tls::ServerContext::SelfSigned(names, addresses, options);
  } else {
    std::vector<tls::CertificateFiles> files;
    files.reserve(config_.tls_cert.size());
    for (size_t i = 0; i < config_.tls_cert.size(); ++i) {
      files.push_back({config_.tls_cert[i], config_.tls_key[i]});
    }
    context = tls::ServerContext::FromFiles(files, options);
  }
  if (!context.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--tls_cert: ", context.status().message()));
  }
  tls_ = *std::move(context);
  return absl::OkStatus();
}

absl::Status Server::PrepareSettings() {
  settings_ = std::make_shared<Settings>();
  settings_->header_timeout_ns = absl::ToInt64Nanoseconds(config_.header_timeout);
  settings_->idle_timeout_ns = absl::ToInt64Nanoseconds(config_.idle_timeout);
  settings_->connect_timeout_ns = absl::ToInt64Nanoseconds(config_.connect_timeout);
  settings_->upstream_timeout_ns = absl::ToInt64Nanoseconds(config_.upstream_timeout);
  settings_->tls_handshake_timeout_ns = absl::ToInt64Nanoseconds(config_.tls_handshake_timeout);
  settings_->request_body_timeout_ns = absl::ToInt64Nanoseconds(config_.request_body_timeout);
  settings_->response_write_timeout_ns = absl::ToInt64Nanoseconds(config_.response_write_timeout);
  settings_->upstream_first_byte_timeout_ns =
      absl::ToInt64Nanoseconds(config_.upstream_first_byte_timeout);
  settings_->upstream_idle_timeout_ns = absl::ToInt64Nanoseconds(config_.upstream_idle_timeout);
  settings_->upstream_age_max_ns = absl::ToInt64Nanoseconds(config_.upstream_age_max);
  if (config_.connection_age_max > absl::ZeroDuration()) {
    settings_->connection_age_max_ns = absl::ToInt64Nanoseconds(config_.connection_age_max);
  }
  if (config_.response_time_max > absl::ZeroDuration()) {
    settings_->response_time_max_ns = absl::ToInt64Nanoseconds(config_.response_time_max);
  }
  if (config_.connection_requests_max > 0) {
    settings_->connection_requests_max = config_.connection_requests_max;
  }
  settings_->client_rate_min = config_.client_rate_min;
  settings_->upstream_idle_max = config_.upstream_idle_max;
  settings_->access_log = !config_.access_log.empty();
  settings_->policy = MakeValidationPolicy(config_);
  settings_->forwarded_fields = MakeForwardedFields(config_);
  auto blocks = ParseAddressBlocks(config_.trusted_proxies);
  if (!blocks.ok()) return blocks.status();
  settings_->trusted_proxies = *std::move(blocks);
  blocks = ParseAddressBlocks(config_.proxy_protocol_from);
  if (!blocks.ok()) return blocks.status();
  settings_->proxy_protocol_from = *std::move(blocks);
  if (const std::string_view problem = http::FindProblem(settings_->policy); !problem.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--body_buffer_size: found ", config_.body_buffer_size, ", but ", problem));
  }
  for (const UpstreamSpec& spec : config_.upstream) {
    absl::StatusOr<std::vector<uring::SocketAddress>> addresses =
        Resolve(spec.host, spec.port, kResolveTimeout);
    if (!addresses.ok()) {
      return absl::UnavailableError(absl::StrCat("--upstream: ", addresses.status().message()));
    }
    for (const uring::SocketAddress& address : *addresses) {
      settings_->upstreams.push_back({.name = AddressWithPort(address),
                                      .address = address,
                                      .proxy_protocol = spec.proxy_protocol});
    }
  }
  if (settings_->upstreams.size() > kUpstreamsMax) {
    return absl::InvalidArgumentError(absl::StrCat("--upstream: found ",
                                                   settings_->upstreams.size(),
                                                   " addresses, expected at most ", kUpstreamsMax));
  }
  LimitConnections();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> Server::LoadRules() const {
  absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> rules =
      edge::waf::RuleSet::Load(config_.waf_rules);
  if (rules.ok()) return rules;
  return absl::InvalidArgumentError(absl::StrCat("--waf_rules: ", rules.status().message()));
}

void Server::PrepareInspection() {
  InspectionSettings& inspection = settings_->inspection;
  inspection.mode = config_.waf == WafMode::kBlock ? InspectionSettings::Mode::kBlock
                                                   : InspectionSettings::Mode::kDetect;
  inspection.pass_on_overload = config_.waf_overload == "pass";
  inspection.pass_on_oversize = config_.waf_oversize == "pass";
  inspection.deadline_ns = absl::ToInt64Nanoseconds(config_.waf_deadline);
  inspection.body_bytes_max = config_.waf_body_bytes_max;
  inspection.memory_bytes_max = config_.waf_memory_bytes_max;
}

// Each client may need two descriptors, its own and one to the origin.
void Server::LimitConnections() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  settings_->max_connections = config_.max_connections;
  const uint64_t each = settings_->upstreams.empty() ? 1 : 2;
  const uint64_t wanted = config_.max_connections * each * cpus_.size() + kDescriptorsReserved;
  GrowDescriptorTable(std::min<uint64_t>(wanted, limit.rlim_cur));
  if (limit.rlim_cur == RLIM_INFINITY) return;
  const uint64_t usable =
      limit.rlim_cur > kDescriptorsReserved ? limit.rlim_cur - kDescriptorsReserved : 1;
  const uint64_t allowed = std::max<uint64_t>(1, usable / each / cpus_.size());
  if (settings_->max_connections > allowed) {
    settings_->max_connections = static_cast<uint32_t>(allowed);
    Say(absl::StrCat("--max_connections lowered from ", config_.max_connections, " to ", allowed,
                     " per worker: RLIMIT_NOFILE is ", limit.rlim_cur));
  }
}

absl::Status Server::PrepareListeners() {
  const bool have_ipv6 = uring::HaveIpv6();
  for (const ListenSpec& spec : config_.listen) {
    const bool any = spec.host.empty();
    const std::string host = any ? (have_ipv6 ? "::" : "0.0.0.0") : spec.host;
    absl::StatusOr<std::vector<uring::SocketAddress>> addresses =
        Resolve(host, spec.port, kResolveTimeout);
    if (!addresses.ok()) {
      return absl::UnavailableError(absl::StrCat("--listen: ", addresses.status().message()));
    }
    absl::StatusOr<std::vector<int>> fds =
        uring::ListenShared(addresses->front(), any, static_cast<int>(cpus_.size()));
    if (!fds.ok()) {
      return absl::UnavailableError(
          absl::StrCat("--listen: ", spec.ToString(), ": ", fds.status().message()));
    }
    listening_.push_back({.spec = spec, .address = "", .fds = *std::move(fds)});
    absl::StatusOr<uring::SocketAddress> local = uring::LocalAddress(listening_.back().fds.front());
    if (!local.ok()) return local.status();
    listening_.back().address = any ? absl::StrCat(have_ipv6 ? "[::]:" : "0.0.0.0:", Port(*local))
                                    : AddressWithPort(*local);
  }
  return absl::OkStatus();
}

absl::Status Server::PrepareAdmin() {
  if (config_.admin.empty()) return absl::OkStatus();
  absl::StatusOr<HostPort> parsed = ParseHostPort(config_.admin);
  if (!parsed.ok()) return parsed.status();
  const std::string host = parsed->host.empty() ? "127.0.0.1" : parsed->host;
  absl::StatusOr<std::vector<uring::SocketAddress>> addresses =
      Resolve(host, parsed->port, kResolveTimeout);
  absl::StatusOr<std::vector<int>> fds = addresses.ok()
                                             ? uring::ListenShared(addresses->front(), false, 1)
                                             : absl::StatusOr<std::vector<int>>(addresses.status());
  if (!fds.ok()) {
    return absl::UnavailableError(
        absl::StrCat("--admin: ", config_.admin, ": ", fds.status().message()));
  }
  admin_fd_ = fds->front();
  absl::StatusOr<uring::SocketAddress> local = uring::LocalAddress(admin_fd_);
  if (!local.ok()) return local.status();
  admin_address_ = AddressWithPort(*local);
  return absl::OkStatus();
}

// The sum of slabs, pools and TLS at their limits: what edge's own memory can come to.
uint64_t Server::MemoryCeiling() const {
  const uint64_t connections = settings_->max_connections + Worker::kSpareConnections;
  uint64_t worker = connections * (uring::Slab<DownstreamConnection>::slot_bytes() +
                                   uring::Slab<Exchange>::slot_bytes());
  if (!settings_->upstreams.empty()) {
    worker += (connections + settings_->upstream_idle_max) *
              uring::Slab<UpstreamConnection>::slot_bytes();
  }
  const uint64_t pools = uint64_t{config_.buffers} * config_.buffer_size +
                         uint64_t{config_.body_buffers} * config_.body_buffer_size;
  worker += pools;
  if (tls_ != nullptr) {
    // A record that has come in part, and one of edge's own text, for each; and records of what is
    // in buffers, which are kept until the kernel has taken them. Those of small pieces are small,
    // of large ones they are longer by a twelfth at most.
    worker +=
        connections * (kTlsSessionBytes + tls::kRecordBlockBytes[2] + tls::kRecordBlockBytes[1]);
    worker += pools + pools / 12;
    worker += tls::RecordPoolLimits{}.bytes_max();
  }
  if (settings_->access_log) worker += AccessLogBuffer::kBatches * LogBatch::kBytes;
  uint64_t inspection = 0;
  if (rules_ != nullptr) {
    worker += settings_->inspection.memory_bytes_max;
    inspection = inspection_nodes_.size() * config_.waf_threads * kInspectionThreadBytes;
  }
  return worker * cpus_.size() + inspection;
}

std::string Server::DescribeListening(const Listening& listening) const {
  std::string text = absl::StrCat(listening.spec.Scheme(), listening.address);
  if (listening.spec.proxy_protocol) {
    absl::StrAppend(&text, ", PROXY headers from ",
                    absl::StrJoin(config_.proxy_protocol_from, ", "));
  }
  return text;
}

std::string Server::Report() const {
  std::string text = features_.Describe();
  for (const Listening& listening : listening_) {
    absl::StrAppend(&text, "listener ", DescribeListening(listening), "\n");
  }
  absl::StrAppend(&text, topology_text_, "\nworkers on CPUs ", absl::StrJoin(cpus_, ","),
                  "\nconnections per worker at most ", settings_->max_connections,
                  "\nmemory of edge's own at most ", Bytes(MemoryCeiling()), "\n");
  if (tls_ != nullptr) absl::StrAppend(&text, "certificate: ", tls_->description(), "\n");
  return text;
}

void Server::PrintStart() const {
  for (const Listening& listening : listening_) {
    Say(absl::StrCat("listening on ", DescribeListening(listening)));
  }
  if (tls_ != nullptr) {
    Say(absl::StrCat(config_.tls_cert.empty() ? "no --tls_cert: made a self-signed certificate, "
                                              : "certificate: ",
                     tls_->description()));
  }
  if (settings_->upstreams.empty()) {
    Say("no --upstream: the built-in welcome origin answers");
  } else {
    std::vector<std::string> names;
    for (const UpstreamAddress& upstream : settings_->upstreams) {
      names.push_back(upstream.name);
      if (upstream.proxy_protocol == ProxyProtocol::kNone) continue;
      absl::StrAppend(&names.back(), " (PROXY header, version ",
                      static_cast<int>(upstream.proxy_protocol), ")");
    }
    Say(absl::StrCat("upstreams: ", absl::StrJoin(names, ", ")));
  }
  if (rules_ != nullptr) {
    Say(absl::StrCat("inspection: ", config_.waf == WafMode::kBlock ? "block" : "detect", ", ",
                     rules_->rules(), config_.waf_rules.empty() ? " built-in rules, " : " rules, ",
                     config_.waf_placement == "inline"
                         ? "on the workers"
                         : absl::StrCat(config_.waf_threads, " thread(s) for each NUMA node")));
    for (const std::string& note : rules_->notes()) Say(absl::StrCat("--waf_rules: ", note));
  }
  const std::set<int> nodes(nodes_.begin(), nodes_.end());
  Say(absl::StrCat(workers_.size(), workers_.size() == 1 ? " worker on CPU " : " workers on CPUs ",
                   absl::StrJoin(cpus_, ","), ", NUMA ", nodes.size() == 1 ? "node " : "nodes ",
                   absl::StrJoin(nodes, ","), "; ", workers_.front()->placement()));
  Say(absl::StrCat("memory at most ", Bytes(MemoryCeiling()),
                   " of edge's own (slabs, buffers, TLS at their limits); socket buffers of the "
                   "kernel come on top"));
  if (!admin_address_.empty()) Say(absl::StrCat("admin on http://", admin_address_));
  Say("ready");
}

// --- Serving
// ----------------------------------------------------------------------------------------------

absl::Status Server::StartControl() {
  uring::UringOptions options;
  options.submission_entries = 128;
  options.completion_entries = 1024;
  options.head = kAdminHeadBuffers;
  options.origin = {8, 4096};  // the admin endpoints have no origin
  options.body = kAdminBodyBuffers;
  options.no_iowait = features_.no_iowait;
  absl::StatusOr<std::unique_ptr<uring::UringIo>> io = uring::UringIo::Create(options);
  if (!io.ok()) return io.status();
  io_ = *std::move(io);
  control_.doorbell = io_->doorbell();

  admin_origin_ = std::make_unique<AdminOrigin>(AdminOrigin::Source{
      .ready = [this] { return ready_; }, .metrics = [this] { return Metrics(); }});
  auto admin_settings = std::make_shared<Settings>();
  admin_settings->max_connections = kAdminConnectionsMax;
  WorkerOptions worker;
  worker.settings = std::move(admin_settings);
  if (admin_fd_ >= 0) worker.listeners.push_back({.fd = admin_fd_, .tls = false});
  admin_fd_ = -1;  // the worker's now
  worker.local_origin = admin_origin_.get();
  worker.stats = &admin_stats_;
  worker.random_seed = RandomSeed();
  admin_worker_ = std::make_unique<Worker>(io_.get(), &clock_, std::move(worker));

  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  // Blocked before any thread is made, so that all inherit it and only the descriptor sees them.
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd_ < 0)
    return absl::UnavailableError(absl::StrCat("signalfd: ", std::strerror(errno)));
  signals_ = std::make_unique<uring::Operation>(this, uring::Bind<&Server::OnSignals>());
  io_->PollMultishot(signal_fd_, POLLIN, *signals_);
  drain_timer_ = std::make_unique<uring::Timer>(this, uring::BindTimer<&Server::OnDrainTimer>());
  return absl::OkStatus();
}

absl::Status Server::StartInspection() {
  if (rules_ == nullptr || config_.waf_placement == "inline") return absl::OkStatus();
  waf::InspectionPoolOptions options;
  options.nodes = inspection_nodes_;
  options.node.threads = static_cast<int>(config_.waf_threads);
  // Copies have a smaller queue of their own, so that they never take the place of a request.
  options.node.jobs_max = {config_.waf_queue, std::max(config_.waf_queue / 4, 1u)};
  options.make_inspector = [] { return std::make_unique<waf::RuleInspector>(); };
  inspection_pool_ = std::make_unique<waf::InspectionPool>(std::move(options));
  return inspection_pool_->Start();
}

std::shared_ptr<Snapshot> Server::MakeSnapshot() const {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->tls = tls_;
  snapshot->rules = rules_;
  return snapshot;
}

absl::Status Server::StartWorkers() {
  publisher_ = std::make_unique<Publisher>(
      cpus_.size(), MakeSnapshot(),
      [this](uring::DoorbellTarget target) { io_->RingDoorbell(target); });
  for (size_t i = 0; i < cpus_.size(); ++i) {
    WorkerThreadOptions options;
    options.index = i;
    options.cpu = cpus_[i];
    options.node = nodes_[i];
    options.uring.submission_entries = config_.ring_entries;
    options.uring.completion_entries = config_.cq_entries;
    options.uring.head = {config_.buffers / 2, config_.buffer_size};
    options.uring.origin = options.uring.head;
    options.uring.body = {config_.body_buffers, config_.body_buffer_size};
    options.uring.no_iowait = features_.no_iowait;
    options.worker.settings = settings_;
    options.worker.tls = tls_;
    options.worker.local_origin = &welcome_;
    options.worker.random_seed = RandomSeed();
    if (inspection_pool_ != nullptr) {
      options.worker.inspection_node = inspection_pool_->NodeOf(nodes_[i]);
    } else if (rules_ != nullptr) {
      options.worker.inline_inspector = std::make_unique<waf::RuleInspector>();
    }
    options.log = settings_->access_log;
    for (Listening& listening : listening_) {
      options.worker.listeners.push_back({.fd = listening.fds[i],
                                          .tls = listening.spec.tls,
                                          .proxy_protocol = listening.spec.proxy_protocol});
    }
    workers_.push_back(
        std::make_unique<WorkerThread>(std::move(options), publisher_.get(), &control_));
  }
  // The sockets are the workers' from here on.
  for (Listening& listening : listening_) listening.fds.clear();
  for (const auto& worker : workers_) worker->Start();

  const auto starting = [this] {
    return std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
      return worker->phase() == WorkerThread::Phase::kStarting;
    });
  };
  while (starting()) {
    // A worker that fails before it has a ring cannot ring; so not without limit.
    if (const int error = admin_worker_->RunTurn(clock_.NowNs() + 10'000'000); error != 0) {
      return absl::FailedPreconditionError(absl::StrCat("io_uring_enter: ", std::strerror(-error)));
    }
  }
  for (const auto& worker : workers_) {
    if (worker->phase() == WorkerThread::Phase::kFailed) return worker->error();
  }
  return absl::OkStatus();
}

absl::Status Server::Run() {
  if (absl::Status status = StartControl(); !status.ok()) return status;
  absl::Status status = StartInspection();
  if (status.ok()) status = StartWorkers();
  if (status.ok()) {
    started_ns_ = clock_.NowNs();
    ready_ = true;
    admin_worker_->Start();
    PrintStart();
  } else {
    phase_ = Phase::kStopping;
    if (publisher_ != nullptr) publisher_->PublishMode(uring::RunMode::kStop);
  }
  while (!AllEnded()) {
    // Before it waits: workers that started have rung already, and while their notices lie here
    // nobody else does.
    ReadMailbox();
    if (rules_loaded_.exchange(false, std::memory_order_acquire)) OnRulesLoaded();
    // What all workers have let go of since the last publication.
    if (publisher_ != nullptr) publisher_->Collect();
    // Looks again after a second even if nobody rang: for workers that failed without a ring.
    if (const int error = admin_worker_->RunTurn(clock_.NowNs() + 1'000'000'000); error != 0) {
      LOG(FATAL) << "io_uring_enter: " << std::strerror(-error);
    }
  }
  for (const auto& worker : workers_) worker->Join();
  if (rule_loader_.joinable()) rule_loader_.join();
  // Their jobs have all come back.
  if (inspection_pool_ != nullptr) inspection_pool_->Stop(*io_);
  ReadMailbox();
  if (publisher_ != nullptr) publisher_->Collect();
  admin_worker_->loop().timers().Stop(*drain_timer_);
  io_->Cancel(*signals_);
  admin_worker_->CloseAll();
  while (!admin_worker_->finished() || signals_->in_flight()) {
    if (admin_worker_->RunTurn(clock_.NowNs() + 100'000'000) != 0) break;
  }
  return status;
}

bool Server::AllEnded() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->phase() == WorkerThread::Phase::kEnded ||
           worker->phase() == WorkerThread::Phase::kFailed;
  });
}

void Server::ReadMailbox() {
  for (uring::MailboxNode* node = control_.mailbox.TakeAll(); node != nullptr;) {
    uring::MailboxNode* next = node->next;
    if (static_cast<ControlMessage*>(node)->kind == ControlMessage::Kind::kLogBatch) {
      auto* batch = static_cast<LogBatch*>(node);
      if (!access_log_.Write(batch->text)) ++log_write_errors_;
      batch->home->Push(batch);
    } else if (static_cast<ControlMessage*>(node)->kind == ControlMessage::Kind::kSlowTurn) {
      SaySlowTurn(*static_cast<SlowTurn*>(node));
    }
    node = next;
  }
}

void Server::SaySlowTurn(SlowTurn& turn) {
  constexpr const char* kPhases[] = {"handling completions", "timers", "taking verdicts",
                                     "deferred work"};
  std::string text = absl::StrFormat("worker %d: one turn took %.1f ms, most of it %s", turn.worker,
                                     static_cast<double>(turn.busy_ns) / 1e6,
                                     kPhases[static_cast<size_t>(turn.phase)]);
  if (turn.inspected_ns >= waf::InspectionClient::kLongNs) {
    absl::StrAppendFormat(&text, "; of that %.1f ms inspecting %s",
                          static_cast<double>(turn.inspected_ns) / 1e6, turn.request);
  }
  turn.sent.store(false, std::memory_order_release);
  Say(text);
}

// --- Signals
// ------------------------------------------------------------------------------------------------

void Server::OnSignals(const uring::Completion& completion) {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof info) == sizeof info) {
    OnSignal(static_cast<int>(info.ssi_signo));
  }
  if (!completion.more && completion.result != -ECANCELED) {
    io_->PollMultishot(signal_fd_, POLLIN, *signals_);
  }
}

void Server::OnSignal(int signal) {
  if (signal == SIGHUP) {
    if (phase_ == Phase::kServing) Reload();
    return;
  }
  const bool stop = signal == SIGINT || phase_ != Phase::kServing;
  ready_ = false;
  if (stop) {
    if (phase_ == Phase::kStopping) return;
    Say(absl::StrCat(signal == SIGINT ? "SIGINT" : "a second SIGTERM", ": stopping at once"));
    phase_ = Phase::kStopping;
    publisher_->PublishMode(uring::RunMode::kStop);
    return;
  }
  phase_ = Phase::kDrainDelay;
  Say(absl::StrCat("SIGTERM: draining",
                   config_.drain_delay > absl::ZeroDuration()
                       ? absl::StrCat(" after ", absl::FormatDuration(config_.drain_delay))
                       : ""));
  if (config_.drain_delay <= absl::ZeroDuration()) return OnDrainTimer();
  admin_worker_->loop().timers().Start(
      *drain_timer_, clock_.NowNs() + absl::ToInt64Nanoseconds(config_.drain_delay));
}

void Server::OnDrainTimer() {
  if (phase_ == Phase::kDrainDelay) {
    phase_ = Phase::kDraining;
    publisher_->PublishMode(uring::RunMode::kDrain);
    admin_worker_->loop().timers().Start(
        *drain_timer_, clock_.NowNs() + absl::ToInt64Nanoseconds(config_.drain_timeout));
  } else if (phase_ == Phase::kDraining) {
    Say(absl::StrCat("not drained within ", absl::FormatDuration(config_.drain_timeout),
                     ": closing what is left"));
    phase_ = Phase::kStopping;
    publisher_->PublishMode(uring::RunMode::kStop);
  }
}

// SIGHUP: certificates and rules are read anew, the access log is reopened. What is wrong is said,
// and what was there stays.
void Server::Reload() {
  bool ok = true;
  if (!config_.tls_cert.empty()) {
    if (absl::Status status = PrepareTls(); status.ok()) {
      publisher_->PublishSnapshot(MakeSnapshot());
      Say(absl::StrCat("SIGHUP: certificate: ", tls_->description()));
    } else {
      ok = false;
      Say(absl::StrCat("SIGHUP: the old certificate stays: ", status.message()));
    }
  }
  if (!config_.waf_rules.empty() && rules_ != nullptr) StartLoadingRules();
  if (!config_.access_log.empty()) {
    if (absl::Status status = access_log_.Open(config_.access_log); !status.ok()) {
      ok = false;
      Say(absl::StrCat("SIGHUP: the old log stays: ", status.message()));
    }
  }
  if (!ok) ++reloads_failed_;
}

void Server::StartLoadingRules() {
  load_rules_again_ = rule_loader_.joinable();
  if (load_rules_again_) return;
  rule_loader_ = std::thread([this] {
    uring::NameThisThread("edge/rules");
    loaded_rules_ = LoadRules();
    // Not by the mailbox: without a ring of its own it cannot ring, and whoever found its message
    // there would not. The control thread looks every second.
    rules_loaded_.store(true, std::memory_order_release);
  });
}

void Server::OnRulesLoaded() {
  rule_loader_.join();
  if (loaded_rules_.ok()) {
    rules_ = *std::move(loaded_rules_);
    publisher_->PublishSnapshot(MakeSnapshot());
    Say(absl::StrCat("SIGHUP: ", rules_->rules(), " rules"));
  } else {
    ++reloads_failed_;
    Say(absl::StrCat("SIGHUP: the old rules stay: ", loaded_rules_.status().message()));
  }
  loaded_rules_ = absl::UnknownError("");  // lets go of them
  if (load_rules_again_) StartLoadingRules();
}

std::string Server::Metrics() {
  std::vector<WorkerView> views;
  views.reserve(workers_.size());
  for (const auto& worker : workers_) {
    views.push_back(
        {.stats = &worker->stats(), .cpu = worker->cpu(), .cpu_seconds = worker->CpuSeconds()});
  }
  return RenderMetrics(views,
                       {.uptime_seconds = static_cast<double>(clock_.NowNs() - started_ns_) / 1e9,
                        .ready = ready_,
                        .memory_ceiling_bytes = MemoryCeiling(),
                        .reloads_failed = reloads_failed_,
                        .access_log_write_errors = log_write_errors_,
                        .rules = rules_ == nullptr ? 0 : rules_->rules(),
                        .inspection = inspection_pool_.get()});
}

}  // namespace edge::proxy
