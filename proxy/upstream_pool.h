// A worker's connections to the origins: which origin serves the next request, and over which
// connection.
//
// Balancing: of two origins drawn at random the one with fewer requests in flight (Mitzenmacher,
// "The power of two choices in randomized load balancing", 2001), which needs no state shared
// between workers. An origin that could not be connected to is passed over until its back-off has
// run out; then one request tries it over a new connection, and only when that has worked do the
// others follow. A sole origin is never passed over.
//
// Slots and descriptors are shared by all origins: when they run out, pooled connections give way.
//
// Worker thread only.

#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/proxy_protocol.h"
#include "proxy/stats.h"
#include "proxy/upstream_connection.h"
#include "uring/slab.h"

namespace edge::proxy {

inline constexpr size_t kUpstreamsMax = 256;
using UpstreamSet = std::bitset<kUpstreamsMax>;

// Errors of connect(2) that say nothing of the origin: no port, memory or descriptor was left here.
bool IsLocalLimit(int error);

struct UpstreamAddress {
  std::string name;  // as configured, for logs
  uring::SocketAddress address;
  // Not kNone: connections begin with a PROXY header, are one client's, and are never pooled.
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;
};

struct UpstreamEndpoint {
  uint32_t index = 0;
  std::string name;
  uring::SocketAddress address;
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;
  uint32_t in_flight = 0;
  uint32_t failures = 0;          // connects that failed since the last that worked
  int64_t retry_at_ns = 0;        // passed over until then, if failures > 0
  int64_t failed_ns = INT64_MIN;  // when the last of these failed
  uint32_t idle_count = 0;
  UpstreamConnection* idle_newest = nullptr;
  UpstreamConnection* idle_oldest = nullptr;
};

struct UpstreamPoolOptions {
  std::vector<UpstreamAddress> addresses;
  uint32_t connections_max = 0;  // slots, of all origins together
  uint32_t idle_max = 0;         // pooled connections of one origin
  int64_t idle_timeout_ns = 0;
  int64_t age_max_ns = 0;
  int64_t connect_timeout_ns = 0;
  uint64_t random_seed = 0;
};

class UpstreamPool {
 public:
  enum class LeaseStatus : uint8_t {
    kReady,       // a pooled connection: usable at once
    kConnecting,  // the lessee is told how it ended
    kNoneLeft,    // every origin is excluded or backing off
    kLocalLimit,  // no slot, no descriptor
  };
  struct Lease {
    LeaseStatus status;
    UpstreamConnection* connection = nullptr;
  };

  UpstreamPool(uring::Loop* loop, UpstreamPoolOptions options, WorkerStats* stats);
  ~UpstreamPool();

  bool empty() const { return endpoints_.empty(); }
  size_t endpoint_count() const { return endpoints_.size(); }

  // `tried`: origins that this request has failed on already. `fresh`: not a pooled connection.
  Lease Acquire(UpstreamConnection::Lessee* lessee, const UpstreamSet& tried, bool fresh);
  // Ends a lease. `reusable`: the response was read to its end and the origin keeps the connection.
  void Release(UpstreamConnection& connection, bool reusable);

  // Gives back the slot and the descriptor of one pooled connection, if there is any.
  void DiscardOneIdle();
  // Closes what is pooled and pools no more (drain, stop).
  void CloseIdle();

  size_t connections() const { return slab_.in_use(); }
  size_t touched_bytes() const { return slab_.touched_bytes(); }

 private:
  friend class UpstreamConnection;

  static constexpr int64_t kBackoffFirstNs = 1'000'000'000;
  static constexpr int64_t kBackoffMaxNs = 30'000'000'000;

  // Below so many free slots pooled connections are closed for new ones.
  static constexpr size_t kSlotsSpare = 16;

  UpstreamEndpoint* Choose(const UpstreamSet& tried);
  Lease LeaseIdle(UpstreamConnection& connection, UpstreamConnection::Lessee* lessee);
  Lease LeaseNew(UpstreamEndpoint& endpoint, UpstreamConnection::Lessee* lessee);
  UpstreamConnection* IdleOfAny(const UpstreamSet& tried);
  uint64_t Random();
  void OnConnectDone(UpstreamConnection& connection);
  void OnConnectFailed(UpstreamConnection& connection, int error);
  void NoteFailure(const UpstreamConnection& connection, int error);
  void Discard(UpstreamConnection& connection);
  void OnClosed(UpstreamConnection& connection);
  void PushIdle(UpstreamConnection& connection);
  void RemoveIdle(UpstreamConnection& connection);
  void EndLease(UpstreamConnection& connection);

  uring::Loop* const loop_;
  const UpstreamPoolOptions options_;
  WorkerStats* const stats_;
  std::vector<UpstreamEndpoint> endpoints_;
  uring::Slab<UpstreamConnection> slab_;
  uint64_t random_state_;
  bool pooling_ = true;
};

}  // namespace edge::proxy
