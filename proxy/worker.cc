#include "proxy/worker.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "proxy/access_log_entry.h"

namespace edge::proxy {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

uint64_t SplitMix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

UpstreamPoolOptions PoolOptions(const Settings& settings, uint64_t seed) {
  return {.addresses = settings.upstreams,
          // One for each client, and those that are closing.
          .connections_max = settings.upstreams.empty()
                                 ? 1
                                 : settings.max_connections + Worker::kSpareConnections +
                                       settings.upstream_idle_max,
          .idle_max = settings.upstream_idle_max,
          .idle_timeout_ns = settings.upstream_idle_timeout_ns,
          .age_max_ns = settings.upstream_age_max_ns,
          .connect_timeout_ns = settings.connect_timeout_ns,
          .random_seed = seed};
}

std::unique_ptr<waf::InspectionClient> MakeInspection(uring::Io* io, const uring::Clock* clock,
                                                      const Settings& settings,
                                                      WorkerOptions& options) {
  const InspectionSettings& inspection = settings.inspection;
  if (inspection.mode == InspectionSettings::Mode::kOff) return nullptr;
  waf::InspectionClientOptions client;
  client.node = options.inspection_node;
  client.inline_inspector = std::move(options.inline_inspector);
  client.deadline_ns = inspection.deadline_ns;
  client.memory_bytes_max = inspection.memory_bytes_max;
  return std::make_unique<waf::InspectionClient>(io, clock, std::move(client));
}

}  // namespace

Worker::Worker(uring::Io* io, const uring::Clock* clock, WorkerOptions options)
    : loop_(io, clock),
      settings_(std::move(options.settings)),
      tls_(std::move(options.tls)),
      stats_(options.stats),
      local_origin_(options.local_origin),
      inspection_(MakeInspection(io, clock, *settings_, options)),
      connections_(settings_->max_connections + kSpareConnections),
      exchanges_(settings_->max_connections + kSpareConnections),
      upstreams_(&loop_, PoolOptions(*settings_, options.random_seed), stats_) {
  uint64_t seed = options.random_seed;
  for (uint64_t& word : random_state_) word = SplitMix(seed);
  for (const ListenerSocket& listener : options.listeners) {
    CHECK(!listener.tls || tls_ != nullptr) << "https listener without a certificate";
    acceptors_.push_back(std::make_unique<Acceptor>(&loop_, this, listener));
  }
  if (inspection_ != nullptr) {
    loop_.SetTurnEnd(this, [](void* self) { return static_cast<Worker*>(self)->OnVerdicts(); });
  }
  if (settings_->access_log && options.log_sink != nullptr) {
    access_log_ = std::make_unique<AccessLogBuffer>(options.log_sink);
  }
  for (int i = 0; i < uring::kBufferGroups; ++i) {
    stats_->buffers_total[i].Set(io->BuffersTotal(static_cast<uring::BufferGroup>(i)));
  }
}

Worker::~Worker() {
  loop_.timers().Stop(log_timer_);
  loop_.timers().Stop(evict_timer_);
  loop_.timers().Stop(starving_timer_);
  loop_.timers().Stop(short_timer_);
  CHECK(finished()) << "worker freed with connections open";
}

void Worker::Start() {
  for (const auto& acceptor : acceptors_) acceptor->Start();
  if (access_log_ != nullptr) loop_.timers().Start(log_timer_, loop_.now_ns() + kLogFlushNs);
}

int Worker::RunTurn(int64_t latest_ns) {
  if (inspection_ != nullptr) inspection_->ForgetLongest();
  const int error = loop_.RunTurn(latest_ns);
  ArmShedding();
  PublishStats();
  return error;
}

void Worker::ArmShedding() {
  if (loop_.buffers().anyone_waiting() && !starving_timer_.armed()) {
    if (loop_.now_ns() - shed_ns_ > 2 * kStarvingNs) starving_ns_ = kStarvingNs;
    loop_.timers().Start(starving_timer_, loop_.now_ns() + starving_ns_);
  }
  const bool is_short =
      BuffersShort(uring::BufferGroup::kOrigin) || BuffersShort(uring::BufferGroup::kHead);
  if (is_short && !short_timer_.armed()) {
    loop_.timers().Start(short_timer_, loop_.now_ns() + short_pause_ns_);
  }
}

void Worker::BeginDrain() {
  if (draining_) return;
  draining_ = true;
  for (const auto& acceptor : acceptors_) acceptor->Drain();
  upstreams_.CloseIdle();
  for (DownstreamConnection* connection = idle_.oldest(); connection != nullptr;
       connection = ConnectionList::Next(*connection)) {
    connection->OnDrain();
  }
}

void Worker::CloseAll() {
  draining_ = true;
  for (const auto& acceptor : acceptors_) acceptor->Close();
  upstreams_.CloseIdle();
  for (const ListenerSocket& socket : waiting_) loop_.io().CloseSocket(socket.fd);
  waiting_.clear();
  while (idle_.oldest() != nullptr) idle_.oldest()->CloseNow();
  while (busy_.oldest() != nullptr) {
    busy_.oldest()->NoteReason("edge.stopped");
    busy_.oldest()->CloseNow();
  }
  if (access_log_ != nullptr) access_log_->Flush();
}

bool Worker::finished() const {
  return connections_.in_use() == 0 && waiting_.empty() && upstreams_.connections() == 0 &&
         (inspection_ == nullptr || inspection_->jobs_out() == 0) &&
         std::all_of(acceptors_.begin(), acceptors_.end(),
                     [](const auto& acceptor) { return acceptor->closed(); });
}

// --- Accepting
// --------------------------------------------------------------------------------------------

void Worker::OnAccepted(const ListenerSocket& accepted) {
  stats_->connections_accepted.Add();
  // Before anybody makes room for it.
  if (accepted.proxy_protocol && !MaySendProxyHeader(accepted.fd)) {
    return loop_.io().CloseSocket(accepted.fd);
  }
  const size_t open = connections_.in_use() - evicted_closing_;
  if (waiting_.empty() && (open < settings_->max_connections || Evict()) &&
      connections_.in_use() < connections_.capacity()) {
    return StartConnection(accepted);
  }
  PauseAccepting();
  if (waiting_.size() < kWaitingMax) {
    waiting_.push_back(accepted);
    return;
  }
  stats_->accept_errors.Add();
  loop_.io().CloseSocket(accepted.fd);
}

// Counts those that may not.
bool Worker::MaySendProxyHeader(int fd) {
  uring::SocketAddress peer;
  if (loop_.io().PeerAddress(fd, &peer) != 0) {
    stats_->accept_errors.Add();  // gone already
    return false;
  }
  if (ContainsAny(settings_->proxy_protocol_from, peer)) return true;
  CountProxyProtocolError(ProxyProtocolError::kSourceNotAllowed);
  return false;
}

void Worker::StartConnection(const ListenerSocket& accepted) {
  const auto [fd, tls, proxy_protocol] = accepted;
  uring::SocketAddress peer;
  DownstreamConnection* connection = nullptr;
  if (loop_.io().PeerAddress(fd, &peer) == 0) connection = connections_.Allocate(&loop_, this);
  std::unique_ptr<tls::Session> session;
  // Behind a PROXY header a session is made only when the header has come.
  if (connection != nullptr && tls && !proxy_protocol) {
    session = NewTlsSession();
    if (session == nullptr) {
      connections_.Free(connection);
      connection = nullptr;
    }
  }
  if (connection == nullptr) {
    // The client has gone already, or there is no memory for a session.
    stats_->accept_errors.Add();
    loop_.io().CloseSocket(fd);
    return;
  }
  stats_->connections_active.Add();
  if (proxy_protocol) return connection->StartWithProxyHeader(fd, tls, peer);
  connection->Start(fd, std::move(session), peer);
}

// When descriptors or memory have run out, a client that has been idle for long goes first: what it
// had is enough for a new one, whose requests find the pooled connections that are left.
void Worker::OnAcceptFailed(bool shortage) {
  stats_->accept_errors.Add();
  if (shortage && !Evict()) upstreams_.DiscardOneIdle();
}

// Closes the connection that has been idle for longest. False: none has been for long enough.
bool Worker::Evict() {
  DownstreamConnection* oldest = idle_.oldest();
  if (oldest == nullptr || oldest->idle_since_ns() + kEvictIdleNs > loop_.now_ns()) return false;
  stats_->connections_evicted.Add();
  ++evicted_closing_;
  oldest->MarkEvicted();
  oldest->CloseNow();
  return true;
}

void Worker::PauseAccepting() {
  if (accept_paused_) return;
  accept_paused_ = true;
  for (const auto& acceptor : acceptors_) acceptor->Pause();
  loop_.timers().Start(evict_timer_, loop_.now_ns() + kEvictIntervalNs);
}

// At the limit, now and then: connections that have become idle for long enough make room.
void Worker::OnEvictTimer() {
  if (!accept_paused_ || draining_) return;
  for (size_t i = 0; i < kSpareConnections / 2 && Evict(); ++i) {
  }
  loop_.timers().Start(evict_timer_, loop_.now_ns() + kEvictIntervalNs);
}

// Connections have starved for a while.
void Worker::OnStarvingTimer() {
  using uring::BufferGroup;
  const uring::BufferLoans& buffers = loop_.buffers();
  const uring::Io& io = loop_.io();
  // TLS decrypts into buffers of edge's own: those that the kernel still has are of no use to it.
  const bool clients_starve =
      buffers.anyone_waiting(BufferGroup::kHead) &&
      (io.BuffersFree(BufferGroup::kHead) == 0 || io.BuffersOwn(BufferGroup::kHead) == 0);
  if (clients_starve) {
    const bool hoarders = ShedHoarders();
    const bool halves = ShedHalfHeaders();
    // What waits in a tunnel is not behind anything: only if there is nobody else.
    if (!hoarders && !halves) {
      ShedLongest(BufferGroup::kHead, kStalledOriginNs, &DownstreamConnection::TunnelStalledNs,
                  &DownstreamConnection::ShedReader);
    }
  }
}

// The next ones go sooner, if others take the place of these at once.
void Worker::NoteShedding() {
  shed_ns_ = loop_.now_ns();
  starving_ns_ = std::max(starving_ns_ / 2, kStarvingLeastNs);
}

// Clients whose next requests fill the pool while an earlier one waits for its response are closed,
// those with the most first, until a quarter of the pool is free. False: there is none.
bool Worker::ShedHoarders() {
  const uring::Io& io = loop_.io();
  size_t most = 0;
  for (DownstreamConnection* connection = busy_.oldest(); connection != nullptr;
       connection = ConnectionList::Next(*connection)) {
    most = std::max(most, connection->HoardedBytes());
  }
  if (most == 0) return false;
  NoteShedding();
  // If none has much, then many have a little: a byte holds a whole buffer.
  const size_t least = most < kHoardBytes ? 1 : std::max(most / 2, kHoardBytes);
  const size_t buffer_bytes = io.BufferSize(uring::BufferGroup::kHead);
  size_t to_free = io.BuffersTotal(uring::BufferGroup::kHead) / 4;
  for (DownstreamConnection* connection = busy_.oldest(); connection != nullptr && to_free > 0;) {
    DownstreamConnection* next = ConnectionList::Next(*connection);
    const size_t hoarded = connection->HoardedBytes();
    if (hoarded >= least) {
      stats_->connections_shed.Add();
      to_free -= std::min(to_free, 1 + hoarded / buffer_bytes);
      connection->NoteReason("edge.shed");
      connection->CloseNow();
    }
    connection = next;
  }
  return true;
}

// A PROXY header comes at once, or nearly: with a part of one, a connection holds a whole buffer
// that nobody reads. Those that came first are closed, until a quarter of the pool is free. False:
// there is none.
bool Worker::ShedHalfHeaders() {
  const size_t quarter = loop_.io().BuffersTotal(uring::BufferGroup::kHead) / 4;
  size_t to_free = quarter;
  for (DownstreamConnection* connection = busy_.oldest(); connection != nullptr && to_free > 0;) {
    DownstreamConnection* next = ConnectionList::Next(*connection);
    if (connection->HoldsHalfHeader()) {
      stats_->connections_shed.Add();
      --to_free;
      connection->CloseNow();
    }
    connection = next;
  }
  if (to_free == quarter) return false;
  NoteShedding();
  return true;
}

// Clients that do not read their responses each keep at least one buffer, in a send that does not
// end; enough of them keep all, and no origin is heard any more. So do origins that do not read
// what is uploaded to them, and then no client is heard. So before that those who have waited for
// longest for such a peer are ended.
void Worker::ShedStalled() {
  const int64_t begin_ns = loop_.ReadClockNs();
  ShedLongest(uring::BufferGroup::kOrigin, kStalledNs, &DownstreamConnection::StalledNs,
              &DownstreamConnection::ShedReader);
  ShedLongest(uring::BufferGroup::kHead, kStalledOriginNs, &DownstreamConnection::UploadStalledNs,
              &DownstreamConnection::ShedUpload);
  // With very many connections a look takes a while: most of the time is for them.
  short_pause_ns_ = std::max(kShortIntervalNs, kShortPauses * (loop_.ReadClockNs() - begin_ns));
}

// A few at a time: each costs the kernel some 20 us, and others wait.
void Worker::ShedLongest(uring::BufferGroup group, int64_t least_ns,
                         int64_t (DownstreamConnection::*stalled_ns)(int64_t) const,
                         void (DownstreamConnection::*shed)()) {
  if (!BuffersShort(group)) return;
  const int64_t now_ns = loop_.now_ns();
  int64_t longest_ns = 0;
  for (DownstreamConnection* connection = busy_.oldest(); connection != nullptr;
       connection = ConnectionList::Next(*connection)) {
    longest_ns = std::max(longest_ns, (connection->*stalled_ns)(now_ns));
  }
  if (longest_ns < least_ns) return;
  size_t to_shed = kShedMax;
  for (DownstreamConnection* connection = busy_.oldest(); connection != nullptr && to_shed > 0;) {
    DownstreamConnection* next = ConnectionList::Next(*connection);
    if ((connection->*stalled_ns)(now_ns) >= std::max(longest_ns / 2, least_ns)) {
      stats_->connections_shed.Add();
      --to_shed;
      connection->NoteReason("edge.shed");
      (connection->*shed)();
    }
    connection = next;
  }
}

// A slot has become free: for sockets that wait, then for those in the backlog.
void Worker::AdmitWaiting() {
  size_t admitted = 0;
  while (admitted < waiting_.size() &&
         connections_.in_use() - evicted_closing_ < settings_->max_connections) {
    const ListenerSocket& next = waiting_[admitted++];
    StartConnection(next);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(admitted));
  if (!waiting_.empty() || draining_ || !accept_paused_ ||
      connections_.in_use() - evicted_closing_ >= settings_->max_connections) {
    return;
  }
  accept_paused_ = false;
  for (const auto& acceptor : acceptors_) acceptor->Resume();
}

void Worker::FreeConnection(DownstreamConnection* connection) {
  if (connection->evicted()) --evicted_closing_;
  connections_.Free(connection);
  stats_->connections_active.Subtract();
  if (accept_paused_) AdmitWaiting();
}

Exchange* Worker::NewExchange(DownstreamConnection* connection) {
  return exchanges_.Allocate(this, connection);
}

void Worker::FreeExchange(Exchange* exchange) { exchanges_.Free(exchange); }

bool Worker::IsTrustedProxy(const uring::SocketAddress& client) const {
  return ContainsAny(settings_->trusted_proxies, client);
}

// --- Counting and logging
// -----------------------------------------------------------------------------------

void Worker::OnExchangeDone(const Exchange& exchange) {
  const AccessLogEntry entry(exchange, loop_.now_ns());
  const size_t status_class = entry.status() / 100;
  stats_->requests_by_class[status_class < 6 ? status_class : 0].Add();
  if (access_log_ == nullptr) return;
  std::string* line = access_log_->BeginLine();
  if (line == nullptr) {
    stats_->access_log_dropped.Add();
    return;
  }
  entry.AppendJson(*line, loop_.WallNs());
  access_log_->EndLine();
}

void Worker::SetRules(std::shared_ptr<const edge::waf::RuleSet> rules) {
  const edge::waf::RuleSet* set = rules.get();
  // With a count of this worker's own: each job takes a reference, and workers are not to share the
  // cache line of a count.
  auto holder = std::make_shared<std::shared_ptr<const edge::waf::RuleSet>>(std::move(rules));
  rules_ = {std::move(holder), set};
}

bool Worker::OnVerdicts() {
  return inspection_->Drain(
      [this](const waf::InspectionJob& job) { NoteVerdict(job, job.verdict); });
}

void Worker::NoteVerdict(const waf::InspectionJob& job, waf::Verdict verdict) {
  stats_->inspection_verdicts[static_cast<size_t>(job.lane)][static_cast<size_t>(verdict)].Add();
  if (access_log_ == nullptr || job.report.empty()) return;
  std::string* line = access_log_->BeginLine();
  if (line == nullptr) {
    stats_->access_log_dropped.Add();
    return;
  }
  AppendInspectionJson(*line, job, verdict, loop_.WallNs());
  access_log_->EndLine();
}

void Worker::OnLogTimer() {
  access_log_->Flush();
  loop_.timers().Start(log_timer_, loop_.now_ns() + kLogFlushNs);
}

void Worker::PublishStats() {
  const uring::IoCounters& io = loop_.io().counters();
  stats_->ring_enters.Set(io.enters);
  stats_->ring_early_submits.Set(io.early_submits);
  stats_->ring_completions.Set(io.completions);
  stats_->ring_enobufs.Set(io.no_buffers);
  stats_->ring_cq_overflows.Set(io.completion_overflows);
  stats_->ring_stale_completions.Set(io.stale_completions);
  const uring::LoopCounters& counters = loop_.counters();
  stats_->loop_turns.Set(counters.turns);
  stats_->loop_busy_ns.Set(static_cast<uint64_t>(counters.busy_ns));
  stats_->loop_busy_max_ns.Set(static_cast<uint64_t>(counters.busy_max_ns));
  for (size_t i = 0; i < counters.phase_ns.size(); ++i) {
    stats_->loop_phase_ns[i].Set(static_cast<uint64_t>(counters.phase_ns[i]));
  }
  for (size_t i = 0; i < counters.busy_histogram.size(); ++i) {
    stats_->loop_busy_histogram[i].Set(counters.busy_histogram[i]);
  }
  for (int i = 0; i < uring::kBufferGroups; ++i) {
    stats_->buffers_free[i].Set(loop_.io().BuffersFree(static_cast<uring::BufferGroup>(i)));
  }
  stats_->slab_bytes.Set(connections_.touched_bytes() + exchanges_.touched_bytes() +
                         upstreams_.touched_bytes());
}

// --- Small things
// -------------------------------------------------------------------------------------------

// xoshiro256** (Blackman and Vigna, 2018), seeded from the kernel: request ids need to be unique,
// not secret.
uint64_t Worker::Random() {
  const auto rotate = [](uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
  uint64_t(&s)[4] = random_state_;
  const uint64_t result = rotate(s[1] * 5, 7) * 9;
  const uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

std::string_view Worker::DateText() {
  if (loop_.now_ns() >= date_valid_until_ns_) {
    const int64_t wall_ns = loop_.WallNs();
    date_valid_until_ns_ = loop_.now_ns() + kSecondNs - wall_ns % kSecondNs;
    const time_t time = wall_ns / kSecondNs;
    tm parts;
    gmtime_r(&time, &parts);
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    // Not strftime: its names depend on the locale.
    snprintf(date_text_, sizeof date_text_, "%s, %02d %s %04d %02d:%02d:%02d GMT",
             kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon],
             (parts.tm_year + 1900) % 10000, parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  return {date_text_, 29};
}

}  // namespace edge::proxy
