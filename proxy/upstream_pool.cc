#include "proxy/upstream_pool.h"

#include <algorithm>
#include <cerrno>

#include "absl/log/check.h"

namespace edge::proxy {

bool IsLocalLimit(int error) { return error == EADDRNOTAVAIL || uring::IsShortage(error); }

UpstreamPool::UpstreamPool(uring::Loop* loop, UpstreamPoolOptions options, WorkerStats* stats)
    : loop_(loop),
      options_(std::move(options)),
      stats_(stats),
      slab_(std::max<uint32_t>(options_.connections_max, 1)),
      random_state_(options_.random_seed) {
  CHECK_LE(options_.addresses.size(), kUpstreamsMax);
  for (const UpstreamAddress& address : options_.addresses) {
    endpoints_.push_back({.index = static_cast<uint32_t>(endpoints_.size()),
                          .name = address.name,
                          .address = address.address,
                          .proxy_protocol = address.proxy_protocol});
  }
}

UpstreamPool::~UpstreamPool() {
  CHECK_EQ(slab_.in_use(), 0u) << "pool freed with connections to origins open";
}

// splitmix64 (Steele, Lea and Flood, 2014): good enough to draw two origins.
uint64_t UpstreamPool::Random() {
  uint64_t z = (random_state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

UpstreamEndpoint* UpstreamPool::Choose(const UpstreamSet& tried) {
  if (endpoints_.size() == 1) return tried[0] ? nullptr : &endpoints_[0];
  const int64_t now_ns = loop_->now_ns();
  uint32_t available[kUpstreamsMax];
  uint32_t count = 0;
  for (const UpstreamEndpoint& endpoint : endpoints_) {
    if (tried[endpoint.index]) continue;
    if (endpoint.failures > 0 && endpoint.retry_at_ns > now_ns) continue;
    available[count++] = endpoint.index;
  }
  if (count == 0) return nullptr;
  UpstreamEndpoint* chosen = &endpoints_[available[0]];
  if (count > 1) {
    const uint64_t random = Random();
    const uint32_t first = static_cast<uint32_t>(random >> 32) % count;
    uint32_t second = static_cast<uint32_t>(random) % (count - 1);
    if (second >= first) ++second;
    UpstreamEndpoint& a = endpoints_[available[first]];
    UpstreamEndpoint& b = endpoints_[available[second]];
    chosen = a.in_flight <= b.in_flight ? &a : &b;
  }
  if (chosen->failures > 0) {
    // This request is the trial; nobody else follows before it is known how it went.
    chosen->retry_at_ns = now_ns + options_.connect_timeout_ns;
  }
  return chosen;
}

UpstreamPool::Lease UpstreamPool::Acquire(UpstreamConnection::Lessee* lessee,
                                          const UpstreamSet& tried, bool fresh) {
  UpstreamEndpoint* endpoint = Choose(tried);
  if (endpoint == nullptr) return {LeaseStatus::kNoneLeft};
  // A trial has to connect: a pooled connection tells nothing of whether the origin accepts again,
  // and only a connect that works ends the back-off.
  const bool trial = endpoint->failures > 0 && endpoints_.size() > 1;
  if (!fresh && !trial && endpoint->idle_newest != nullptr) {
    return LeaseIdle(*endpoint->idle_newest, lessee);
  }
  Lease lease = LeaseNew(*endpoint, lessee);
  const bool at_limit = lease.status == LeaseStatus::kLocalLimit;
  if (at_limit) {
    if (trial) endpoint->retry_at_ns = loop_->now_ns();  // it was not tried
    UpstreamConnection* idle = fresh ? nullptr : IdleOfAny(tried);
    if (idle != nullptr) lease = LeaseIdle(*idle, lessee);
  }
  if (at_limit || slab_.capacity() - slab_.in_use() < kSlotsSpare) DiscardOneIdle();
  return lease;
}

UpstreamPool::Lease UpstreamPool::LeaseIdle(UpstreamConnection& connection,
                                            UpstreamConnection::Lessee* lessee) {
  RemoveIdle(connection);
  connection.state_ = UpstreamConnection::State::kLeased;
  connection.lessee_ = lessee;
  connection.deadline_.Clear();
  ++connection.requests_;
  ++connection.endpoint_->in_flight;
  stats_->upstream_reuses.Add();
  stats_->upstream_active.Add();
  return {LeaseStatus::kReady, &connection};
}

UpstreamPool::Lease UpstreamPool::LeaseNew(UpstreamEndpoint& endpoint,
                                           UpstreamConnection::Lessee* lessee) {
  UpstreamConnection* connection = slab_.Allocate(loop_, this);
  if (connection == nullptr) return {LeaseStatus::kLocalLimit};
  connection->endpoint_ = &endpoint;
  if (connection->transport_.Connect(endpoint.address) != 0) {
    slab_.Free(connection);
    return {LeaseStatus::kLocalLimit};
  }
  connection->state_ = UpstreamConnection::State::kConnecting;
  connection->lessee_ = lessee;
  connection->created_ns_ = loop_->now_ns();
  connection->deadline_.Set(loop_->now_ns() + options_.connect_timeout_ns);
  connection->requests_ = 1;
  ++endpoint.in_flight;
  stats_->upstream_connects.Add();
  stats_->upstream_active.Add();
  return {LeaseStatus::kConnecting, connection};
}

// A pooled connection of any origin that this request may use.
UpstreamConnection* UpstreamPool::IdleOfAny(const UpstreamSet& tried) {
  for (const UpstreamEndpoint& endpoint : endpoints_) {
    if (tried[endpoint.index] || endpoint.failures > 0) continue;
    if (endpoint.idle_newest != nullptr) return endpoint.idle_newest;
  }
  return nullptr;
}

// Pooled connections of one origin may take the slots and descriptors that connections to others
// need, and clients: the origin with the most gives up the one that was idle for longest.
void UpstreamPool::DiscardOneIdle() {
  if (endpoints_.empty()) return;
  const auto most = std::max_element(endpoints_.begin(), endpoints_.end(),
                                     [](const UpstreamEndpoint& a, const UpstreamEndpoint& b) {
                                       return a.idle_count < b.idle_count;
                                     });
  if (most->idle_oldest != nullptr) Discard(*most->idle_oldest);
}

void UpstreamPool::OnConnectDone(UpstreamConnection& connection) {
  connection.endpoint_->failures = 0;
  connection.state_ = UpstreamConnection::State::kLeased;
  connection.deadline_.Clear();
  connection.lessee_->OnUpstreamConnected();
}

void UpstreamPool::OnConnectFailed(UpstreamConnection& connection, int error) {
  NoteFailure(connection, error);
  UpstreamConnection::Lessee* lessee = connection.lessee_;
  EndLease(connection);
  Discard(connection);
  lessee->OnUpstreamConnectFailed(error);
}

void UpstreamPool::NoteFailure(const UpstreamConnection& connection, int error) {
  UpstreamEndpoint& endpoint = *connection.endpoint_;
  if (IsLocalLimit(error)) {
    // If this was a trial, the origin was not tried.
    if (connection.created_ns_ > endpoint.failed_ns) endpoint.retry_at_ns = loop_->now_ns();
    return;
  }
  // What was begun before the last failure tells nothing new: many requests that were refused
  // together are one failure.
  if (connection.created_ns_ <= endpoint.failed_ns) return;
  endpoint.failed_ns = loop_->now_ns();
  const uint32_t doublings = std::min<uint32_t>(endpoint.failures, 5);
  ++endpoint.failures;
  const int64_t backoff_ns = std::min(kBackoffFirstNs << doublings, kBackoffMaxNs);
  // Up to a quarter more, so that workers do not all come back at once.
  endpoint.retry_at_ns =
      loop_->now_ns() + backoff_ns + static_cast<int64_t>(Random() % (backoff_ns / 4));
}

void UpstreamPool::Release(UpstreamConnection& connection, bool reusable) {
  const bool connected = connection.state_ == UpstreamConnection::State::kLeased;
  EndLease(connection);
  Transport& transport = connection.transport_;
  const bool keep = reusable && connected && pooling_ && transport.open() && transport.drained() &&
                    transport.input().empty() && !transport.input_ended() &&
                    !transport.output_failed() &&
                    connection.endpoint_->proxy_protocol == ProxyProtocol::kNone &&
                    connection.endpoint_->idle_count < options_.idle_max &&
                    loop_->now_ns() - connection.created_ns_ < options_.age_max_ns;
  if (!keep) {
    // It was for one client, and the origin would have kept it: whoever closes first keeps the port
    // for a minute, and edge has some 28,000 towards one address. All is said, so a reset harms
    // nobody.
    const bool spent = reusable && connection.endpoint_->proxy_protocol != ProxyProtocol::kNone;
    if (spent && transport.open()) loop_->io().ResetOnClose(transport.fd());
    return Discard(connection);
  }
  connection.state_ = UpstreamConnection::State::kIdle;
  PushIdle(connection);
  connection.deadline_.Set(loop_->now_ns() + options_.idle_timeout_ns);
  connection.ReceiveHead();  // so that an end, or bytes nobody asked for, are noticed
}

void UpstreamPool::EndLease(UpstreamConnection& connection) {
  connection.lessee_ = nullptr;
  --connection.endpoint_->in_flight;
  stats_->upstream_active.Subtract();
}

void UpstreamPool::Discard(UpstreamConnection& connection) {
  if (connection.state_ == UpstreamConnection::State::kClosing) return;
  if (connection.state_ == UpstreamConnection::State::kIdle) RemoveIdle(connection);
  connection.state_ = UpstreamConnection::State::kClosing;
  connection.deadline_.Stop();
  connection.transport_.Close();
}

void UpstreamPool::OnClosed(UpstreamConnection& connection) {
  CHECK(connection.state_ == UpstreamConnection::State::kClosing);
  slab_.Free(&connection);
}

void UpstreamPool::PushIdle(UpstreamConnection& connection) {
  UpstreamEndpoint& endpoint = *connection.endpoint_;
  connection.next_idle_ = endpoint.idle_newest;
  connection.previous_idle_ = nullptr;
  if (endpoint.idle_newest != nullptr) {
    endpoint.idle_newest->previous_idle_ = &connection;
  } else {
    endpoint.idle_oldest = &connection;
  }
  endpoint.idle_newest = &connection;
  ++endpoint.idle_count;
  stats_->upstream_idle.Add();
}

void UpstreamPool::RemoveIdle(UpstreamConnection& connection) {
  UpstreamEndpoint& endpoint = *connection.endpoint_;
  if (connection.previous_idle_ != nullptr) {
    connection.previous_idle_->next_idle_ = connection.next_idle_;
  } else {
    endpoint.idle_newest = connection.next_idle_;
  }
  if (connection.next_idle_ != nullptr) {
    connection.next_idle_->previous_idle_ = connection.previous_idle_;
  } else {
    endpoint.idle_oldest = connection.previous_idle_;
  }
  --endpoint.idle_count;
  stats_->upstream_idle.Subtract();
}

void UpstreamPool::CloseIdle() {
  pooling_ = false;
  for (UpstreamEndpoint& endpoint : endpoints_) {
    while (endpoint.idle_newest != nullptr) Discard(*endpoint.idle_newest);
  }
}

}  // namespace edge::proxy
