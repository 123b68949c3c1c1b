#include "test/sim/sim_network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/log/check.h"

namespace edge::sim {
namespace {

// As tcp_syn_retries and the first retransmission time-out of Linux, with a constant pace.
constexpr int kSynTriesMax = 6;
constexpr int64_t kSynRetryNs = 1'000'000'000;

// Between segments of the same flight.
constexpr int64_t kSegmentGapNsMax = 20'000;

std::string KeyOf(const uring::SocketAddress& address) {
  CHECK_EQ(address.storage.ss_family, AF_INET) << "the simulated network has IPv4 only";
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  std::string key(reinterpret_cast<const char*>(&v4->sin_addr), sizeof v4->sin_addr);
  key.append(reinterpret_cast<const char*>(&v4->sin_port), sizeof v4->sin_port);
  return key;
}

}  // namespace

uring::SocketAddress SimAddress(uint8_t host, uint16_t port) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(0x0a000000u | host);
  uring::SocketAddress address;
  std::memcpy(&address.storage, &v4, sizeof v4);
  address.length = sizeof v4;
  return address;
}

// --- Endpoint

void Endpoint::Bytes::Consume(size_t bytes) {
  begin_ += bytes;
  if (begin_ == bytes_.size()) {
    Clear();
  } else if (begin_ >= 64 << 10 && begin_ * 2 >= bytes_.size()) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
}

void Endpoint::Bytes::Clear() {
  bytes_ = std::string();
  begin_ = 0;
}

Endpoint::Endpoint(SimNetwork* network, int id) : network_(network), id_(id) {}

int Endpoint::TakeError() {
  const int error = error_;
  error_ = 0;
  return error;
}

ssize_t Endpoint::Read(char* to, size_t bytes_max) {
  CHECK(!closed_);
  if (!received_.empty()) {
    const size_t bytes = std::min(bytes_max, received_.size());
    std::memcpy(to, received_.data(), bytes);
    received_.Consume(bytes);
    // The window opens.
    if (!other_->to_send_.empty() || other_->fin_asked_) other_->ScheduleTransfer(latency_ns_);
    return static_cast<ssize_t>(bytes);
  }
  if (fin_received_) return 0;
  if (error_ != 0) return -TakeError();
  return reset_ ? 0 : -EAGAIN;
}

ssize_t Endpoint::Write(const char* from, size_t bytes) {
  CHECK(!closed_);
  if (error_ != 0) return -TakeError();
  if (reset_ || fin_asked_) return -EPIPE;
  const size_t room = send_capacity_ - to_send_.size();
  if (room == 0) return -EAGAIN;
  bytes = std::min(bytes, room);
  to_send_.Append(from, bytes);
  ScheduleTransfer(latency_ns_);
  return static_cast<ssize_t>(bytes);
}

int Endpoint::ShutdownSend() {
  CHECK(!closed_);
  if (reset_) return -ENOTCONN;
  fin_asked_ = true;
  ScheduleTransfer(latency_ns_);
  return 0;
}

void Endpoint::Close() {
  CHECK(!closed_);
  if (!received_.empty()) return Abort();
  closed_ = true;
  observer_ = nullptr;
  fin_asked_ = true;
  ScheduleTransfer(latency_ns_);
}

void Endpoint::Abort() {
  CHECK(!closed_);
  closed_ = true;
  observer_ = nullptr;
  SendReset();
  received_.Clear();
}

void Endpoint::Break() {
  CHECK(!closed_);
  if (reset_) return;
  reset_ = true;
  to_send_.Clear();
  error_ = ECONNRESET;
  Scheduler& scheduler = network_->world().scheduler;
  scheduler.After(0, [this] {
    if (observer_ != nullptr) observer_->OnReadable();
    if (observer_ != nullptr) observer_->OnWritable();
  });
  scheduler.After(latency_ns_, [other = other_] { other->OnReset(); });
}

void Endpoint::SendReset() {
  if (reset_) return;
  reset_ = true;
  to_send_.Clear();
  World& world = network_->world();
  world.Log("reset sent", {{"end", id_}});
  world.scheduler.After(latency_ns_, [other = other_] { other->OnReset(); });
}

void Endpoint::OnReset() {
  if (reset_) return;
  reset_ = true;
  to_send_.Clear();
  // tcp_reset() of Linux: EPIPE in CLOSE_WAIT.
  error_ = fin_received_ ? EPIPE : ECONNRESET;
  network_->world().Log("reset received", {{"end", id_}, {"unread", int64_t(received_.size())}});
  if (observer_ != nullptr) observer_->OnReadable();
  if (observer_ != nullptr) observer_->OnWritable();
}

void Endpoint::ScheduleTransfer(int64_t delay_ns) {
  if (transfer_scheduled_ || reset_ || (to_send_.empty() && (!fin_asked_ || fin_sent_))) return;
  transfer_scheduled_ = true;
  network_->world().scheduler.After(delay_ns, [this] { Transfer(); });
}

void Endpoint::Transfer() {
  transfer_scheduled_ = false;
  if (reset_) return;
  World& world = network_->world();
  Random& random = network_->random();
  if (other_->closed_ && (!to_send_.empty() || other_->reset_)) {
    world.scheduler.After(latency_ns_, [this] { OnReset(); });
    return;
  }
  if (world.Occurs(&FaultPlan::reset, random)) {
    other_->OnReset();
    OnReset();
    return;
  }
  if (!to_send_.empty()) {
    const size_t room = other_->receive_capacity_ - other_->received_.size();
    if (room == 0) return;  // Read schedules again
    const size_t bytes =
        std::min({to_send_.size(), room, size_t{random.Skewed(world.shape.segment_bytes_max)}});
    other_->received_.Append(to_send_.data(), bytes);
    to_send_.Consume(bytes);
    bytes_delivered_ += bytes;
    world.Log("segment", {{"from", id_}, {"to", other_->id_}, {"bytes", int64_t(bytes)}});
    if (observer_ != nullptr) observer_->OnWritable();
    if (other_->observer_ != nullptr) other_->observer_->OnReadable();
  }
  if (!to_send_.empty() || (fin_asked_ && !fin_sent_ && random.Chance(0.3))) {
    return ScheduleTransfer(random.Between(0, kSegmentGapNsMax));
  }
  if (fin_asked_ && !fin_sent_) {
    fin_sent_ = true;
    other_->fin_received_ = true;
    world.Log("fin", {{"from", id_}, {"to", other_->id_}});
    if (other_->observer_ != nullptr) other_->observer_->OnReadable();
  }
}

// --- Listener

Endpoint* Listener::Accept() {
  if (backlog_.empty()) return nullptr;
  Endpoint* endpoint = backlog_.front();
  backlog_.pop_front();
  return endpoint;
}

void Listener::Close() {
  closed_ = true;
  observer_ = nullptr;
  while (Endpoint* endpoint = Accept()) endpoint->Abort();
}

// --- SimNetwork

SimNetwork::SimNetwork(World* world) : world_(world), random_(world->random.Fork()) {}

Listener* SimNetwork::Listen(const uring::SocketAddress& address, size_t backlog_max) {
  all_listeners_.push_back(std::make_unique<Listener>());
  Listener* listener = all_listeners_.back().get();
  listener->backlog_max_ = backlog_max;
  listeners_[KeyOf(address)].push_back(listener);
  return listener;
}

Endpoint* SimNetwork::NewEndpoint(int64_t latency_ns, const uring::SocketAddress& local,
                                  const uring::SocketAddress& remote) {
  const auto buffer_bytes = [&] {
    const NetworkShape& shape = world_->shape;
    return static_cast<size_t>(random_.Between(static_cast<int64_t>(shape.buffer_bytes_min),
                                               static_cast<int64_t>(shape.buffer_bytes_max)));
  };
  endpoints_.push_back(std::make_unique<Endpoint>(this, static_cast<int>(endpoints_.size())));
  Endpoint* endpoint = endpoints_.back().get();
  endpoint->latency_ns_ = latency_ns;
  endpoint->local_address_ = local;
  endpoint->remote_address_ = remote;
  endpoint->send_capacity_ = buffer_bytes();
  endpoint->receive_capacity_ = buffer_bytes();
  return endpoint;
}

void SimNetwork::Connect(const uring::SocketAddress& from, const uring::SocketAddress& to,
                         ConnectDone done) {
  const int64_t latency_ns = 1000 + random_.Between(0, world_->shape.latency_ns_max);
  auto syn = std::make_shared<Syn>(Syn{from, to, std::move(done), latency_ns, 0});
  world_->scheduler.After(latency_ns, [this, syn] { OnSyn(syn); });
}

void SimNetwork::OnSyn(std::shared_ptr<Syn> syn) {
  std::vector<Listener*>& all = listeners_[KeyOf(syn->to)];
  std::erase_if(all, [](const Listener* listener) { return listener->closed(); });
  if (all.empty()) {
    world_->scheduler.After(syn->latency_ns, [syn] { syn->done(ECONNREFUSED, nullptr); });
    return;
  }
  Listener* listener = all[random_.Below(all.size())];
  if (listener->refusing_ || listener->backlog_.size() >= listener->backlog_max_) {
    if (++syn->tries == kSynTriesMax) return syn->done(ETIMEDOUT, nullptr);
    world_->scheduler.After(kSynRetryNs, [this, syn] { OnSyn(syn); });
    return;
  }
  Endpoint* client = NewEndpoint(syn->latency_ns, syn->from, syn->to);
  Endpoint* server = NewEndpoint(syn->latency_ns, syn->to, syn->from);
  client->other_ = server;
  server->other_ = client;
  world_->Log("established", {{"client", client->id()}, {"server", server->id()}});
  listener->backlog_.push_back(server);
  if (listener->observer_ != nullptr) listener->observer_->OnPending();
  world_->scheduler.After(syn->latency_ns, [syn, client] { syn->done(0, client); });
}

size_t SimNetwork::open_endpoints() const {
  return static_cast<size_t>(
      std::count_if(endpoints_.begin(), endpoints_.end(),
                    [](const auto& endpoint) { return !endpoint->closed_; }));
}

}  // namespace edge::sim
