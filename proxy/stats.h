// Counters of one worker, readable from any thread.
//
// Each counter has one writer, its worker: an increment is a relaxed load and a relaxed store, no
// locked instruction and, as workers' stats live in their own allocations, no shared cache line.
// The control thread reads them relaxed for /metrics; a scrape is not a snapshot.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/reason.h"
#include "proxy/counter.h"
#include "proxy/proxy_protocol.h"
#include "proxy/waf/verdict.h"
#include "uring/loop.h"

namespace edge::proxy {

// Why an exchange with an origin failed, as counted in edge_upstream_errors_total.
enum class UpstreamError : uint8_t {
  kConnectRefused,  // or any other error of connect(2)
  kConnectTimeout,
  kFirstByteTimeout,
  kIdleTimeout,      // between bytes
  kResponseTimeout,  // from the first byte to the last
  kClosedEarly,      // before a whole response
  kInvalidResponse,  // the head or body breaks RFC 9112
  kNoneLeft,         // every upstream is backing off
  kLocalLimit,       // no slot or descriptor for another connection
};
inline constexpr size_t kUpstreamErrorCount = 9;
// As a label of a metric: "connect_failed". Static.
std::string_view UpstreamErrorName(UpstreamError error);
// As a reason in the access log: "upstream.connect_failed". Static.
std::string_view UpstreamErrorReason(UpstreamError error);

struct alignas(64) WorkerStats {
  Counter connections_active;
  Counter connections_accepted;
  Counter connections_evicted;  // closed because of --max_connections
  Counter connections_shed;     // closed because they held buffers that others starved for
  Counter accept_errors;
  Counter tls_handshakes;
  Counter tls_handshake_failures;
  std::array<Counter, kProxyProtocolCount> proxy_headers;  // read, by version
  std::array<Counter, kProxyProtocolErrorCount> proxy_protocol_errors;
  std::array<Counter, 6> requests_by_class;  // [0]: closed without a response; [n]: nxx
  Counter bytes_received;
  Counter bytes_sent;
  Counter upstream_connects;
  Counter upstream_reuses;
  Counter upstream_retries;
  Counter upstream_active;
  Counter upstream_idle;
  std::array<Counter, kUpstreamErrorCount> upstream_errors;
  std::array<Counter, http::kReasonCount> refusals;
  Counter client_timeouts;
  Counter access_log_dropped;
  // By waf::Lane and waf::Verdict.
  std::array<std::array<Counter, waf::kVerdictCount>, waf::kLaneCount> inspection_verdicts;
  Counter exchanges_active;

  // Published by the worker after each turn.
  Counter ring_enters;
  Counter ring_early_submits;
  Counter ring_completions;
  Counter ring_enobufs;
  Counter ring_cq_overflows;
  Counter ring_stale_completions;
  Counter loop_turns;
  Counter loop_busy_ns;
  Counter loop_busy_max_ns;
  std::array<Counter, uring::kTurnPhaseCount> loop_phase_ns;
  std::array<Counter, uring::LoopCounters::kBusyBoundsNs.size() + 1> loop_busy_histogram;
  std::array<Counter, uring::kBufferGroups> buffers_free;
  std::array<Counter, uring::kBufferGroups> buffers_total;
  Counter slab_bytes;  // memory of connections and exchanges touched so far
};

}  // namespace edge::proxy
