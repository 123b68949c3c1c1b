// A worker: everything that one core needs to serve connections, and nothing that another thread
// may touch but for its stats.
//
// It runs on whatever Io and Clock it is given, so the simulator runs it unchanged. The thread
// around it (server.cc) pins itself, makes the ring, and calls RunTurn in a loop, comparing the
// epoch after each turn.
//
//   Acceptors --> DownstreamConnection --> Exchange --> UpstreamPool
//                                             |
//                                             +--> LocalOrigin
//
// Worker thread only, except for stats().

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/acceptor.h"
#include "proxy/access_log.h"
#include "proxy/downstream_connection.h"
#include "proxy/exchange.h"
#include "proxy/local_origin.h"
#include "proxy/settings.h"
#include "proxy/stats.h"
#include "proxy/upstream_pool.h"
#include "proxy/waf/inspection_client.h"
#include "tls/context.h"
#include "uring/loop.h"
#include "uring/slab.h"

namespace edge::proxy {

struct WorkerOptions {
  std::shared_ptr<const Settings> settings;
  std::vector<ListenerSocket> listeners;          // owned by the worker from now on
  std::shared_ptr<const tls::ServerContext> tls;  // nullptr: no listener has TLS
  LocalOrigin* local_origin =
      nullptr;                   // answers when there is no upstream; not owned, outlives this
  LogSink* log_sink = nullptr;   // not owned, outlives this; nullptr: no access log
  WorkerStats* stats = nullptr;  // not owned, outlives this
  uint64_t random_seed = 0;
  // Where requests are inspected, if settings ask for it: the node's threads, or, if that is
  // nullptr, this inspector on the loop.
  waf::InspectionNode* inspection_node = nullptr;  // not owned, outlives this
  std::unique_ptr<waf::Inspector> inline_inspector;
};

class Worker final : public Acceptor::Owner {
 public:
  // Slots beyond --max_connections, for new connections while evicted ones are still being closed.
  static constexpr uint32_t kSpareConnections = 64;
  // Sockets that were accepted before accepting could be paused at the limit; they wait for a slot.
  static constexpr size_t kWaitingMax = 1024;
  // Only a connection that has been idle for so long is evicted for a new one: a request may be on
  // its way on it.
  static constexpr int64_t kEvictIdleNs = 1'000'000'000;
  // At the limit: how often to look for connections that have become idle for long enough.
  static constexpr int64_t kEvictIntervalNs = 100'000'000;
  // When buffers run short: how often to look for peers that do not take what they were sent, and
  // for how long they have not. It is the time in which an attacker can fill the pool.
  static constexpr int64_t kShortIntervalNs = 5'000'000;
  static constexpr int64_t kShortPauses = 16;  // times that a look takes, if that is longer
  static constexpr size_t kShedMax = 16;
  static constexpr int64_t kStalledNs = 500'000'000;
  // The same of an origin, which is none: clients that hoard go before those who wait for one.
  static constexpr int64_t kStalledOriginNs = 2'000'000'000;
  // For how long connections may starve for buffers before those that hold many without using them
  // are closed.
  static constexpr int64_t kStarvingNs = 1'000'000'000;
  // While others take their place at once, the wait is halved each time, down to this.
  static constexpr int64_t kStarvingLeastNs = 10'000'000;
  // What a connection may hold without being closed for it.
  static constexpr size_t kHoardBytes = 16 << 10;

  Worker(uring::Io* io, const uring::Clock* clock, WorkerOptions options);  // io, clock: not owned
  ~Worker() override;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start();
  // One turn of the loop, waiting at most until `latest_ns`. Returns 0 or -errno of an unusable
  // kernel.
  int RunTurn(int64_t latest_ns = INT64_MAX);
  // For connections accepted from now on.
  void SetTls(std::shared_ptr<const tls::ServerContext> tls) { tls_ = std::move(tls); }
  // No new connections; responses close theirs; idle ones end soon.
  void BeginDrain();
  // Closes everything that is left, at once.
  void CloseAll();
  // Nothing is left: the worker may be destroyed.
  bool finished() const;

  // --- For connections and exchanges
  uring::Loop& loop() { return loop_; }
  const Settings& settings() const { return *settings_; }
  WorkerStats& stats() { return *stats_; }
  UpstreamPool& upstreams() { return upstreams_; }
  // nullptr: nothing is inspected.
  waf::InspectionClient* inspection() { return inspection_.get(); }
  // By which requests are inspected from now on.
  void SetRules(std::shared_ptr<const edge::waf::RuleSet> rules);
  const std::shared_ptr<const edge::waf::RuleSet>& rules() const { return rules_; }
  // A request was not inspected for want of memory.
  void CountShed(waf::Lane lane) {
    stats_->inspection_verdicts[static_cast<size_t>(lane)][static_cast<size_t>(waf::Verdict::kShed)]
        .Add();
  }
  // Counts a verdict, and logs what the rules say.
  void NoteVerdict(const waf::InspectionJob& job, waf::Verdict verdict);
  LocalOrigin& local_origin() { return *local_origin_; }
  ConnectionList& idle_connections() { return idle_; }
  ConnectionList& busy_connections() { return busy_; }
  bool draining() const { return draining_; }
  bool IsTrustedProxy(const uring::SocketAddress& client) const;
  // nullptr: no memory.
  std::unique_ptr<tls::Session> NewTlsSession() const { return tls::Session::NewServer(*tls_); }
  void CountProxyProtocolError(ProxyProtocolError error) {
    stats_->proxy_protocol_errors[static_cast<size_t>(error)].Add();
  }
  Exchange* NewExchange(DownstreamConnection* connection);
  void FreeExchange(Exchange* exchange);
  void FreeConnection(DownstreamConnection* connection);
  // Counts and logs a finished exchange; it still has its memory.
  void OnExchangeDone(const Exchange& exchange);
  // Less than half of the group's buffers are free.
  bool BuffersScarce(uring::BufferGroup group) {
    return loop_.io().BuffersFree(group) * 2 < loop_.io().BuffersTotal(group);
  }
  // Less than an eighth is free: what is left is for those who need one for a moment.
  bool BuffersShort(uring::BufferGroup group) {
    return loop_.io().BuffersFree(group) * 8 < loop_.io().BuffersTotal(group);
  }
  uint64_t Random();
  // Now as an IMF-fixdate (RFC 9110, 5.6.7).
  std::string_view DateText();

 private:
  // For how long log lines may wait in a batch that is not full.
  static constexpr int64_t kLogFlushNs = 1'000'000'000;

  void OnAccepted(const ListenerSocket& accepted) override;
  void OnAcceptFailed(bool shortage) override;
  bool Evict();
  bool MaySendProxyHeader(int fd);
  void StartConnection(const ListenerSocket& accepted);
  void PauseAccepting();
  void AdmitWaiting();
  void OnEvictTimer();
  void OnStarvingTimer();
  void NoteShedding();
  bool ShedHoarders();
  bool ShedHalfHeaders();
  void ShedStalled();
  void ShedLongest(uring::BufferGroup group, int64_t least_ns,
                   int64_t (DownstreamConnection::*stalled_ns)(int64_t) const,
                   void (DownstreamConnection::*shed)());
  void ArmShedding();
  void PublishStats();
  void OnLogTimer();
  bool OnVerdicts();

  uring::Loop loop_;
  const std::shared_ptr<const Settings> settings_;
  std::shared_ptr<const tls::ServerContext> tls_;
  WorkerStats* const stats_;
  LocalOrigin* const local_origin_;
  uint64_t random_state_[4];
  // Outlives the jobs of exchanges and of connections to origins.
  std::unique_ptr<waf::InspectionClient> inspection_;
  // Slabs outlive what their slots' destructors use.
  uring::Slab<DownstreamConnection> connections_;
  uring::Slab<Exchange> exchanges_;
  UpstreamPool upstreams_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unique_ptr<AccessLogBuffer> access_log_;
  uring::Timer log_timer_{this, uring::BindTimer<&Worker::OnLogTimer>()};
  std::shared_ptr<const edge::waf::RuleSet> rules_;
  ConnectionList idle_;
  ConnectionList busy_;
  bool draining_ = false;
  bool accept_paused_ = false;
  int64_t starving_ns_ = kStarvingNs;    // how long to wait before the next are closed
  int64_t shed_ns_ = 0;                  // when some were closed last
  size_t evicted_closing_ = 0;           // evicted connections that still have a slot
  std::vector<ListenerSocket> waiting_;  // accepted sockets, oldest first
  uring::Timer starving_timer_{this, uring::BindTimer<&Worker::OnStarvingTimer>()};
  int64_t short_pause_ns_ = kShortIntervalNs;
  uring::Timer short_timer_{this, uring::BindTimer<&Worker::ShedStalled>()};
  uring::Timer evict_timer_{this, uring::BindTimer<&Worker::OnEvictTimer>()};
  int64_t date_valid_until_ns_ = INT64_MIN;
  char date_text_[30];
};

}  // namespace edge::proxy
