#include "proxy/downstream_connection.h"

#include <algorithm>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace edge::proxy {

using uring::Socket;

DownstreamConnection::DownstreamConnection(uring::Loop* loop, Worker* worker)
    : worker_(worker),
      transport_(loop, this, uring::BufferGroup::kHead),
      deadline_(&loop->timers(), this,
                [](void* self) { static_cast<DownstreamConnection*>(self)->OnDeadline(); }) {}

void DownstreamConnection::Start(int fd, std::unique_ptr<tls::Session> session,
                                 const uring::SocketAddress& peer) {
  tls_ = session != nullptr;
  Adopt(fd, std::move(session), peer);
  if (!tls_) return EnterIdle();
  return AwaitClient(State::kHandshake);
}

void DownstreamConnection::StartWithProxyHeader(int fd, bool tls,
                                                const uring::SocketAddress& peer) {
  tls_ = tls;
  Adopt(fd, nullptr, peer);
  return AwaitClient(State::kProxyHeader);
}

void DownstreamConnection::Adopt(int fd, std::unique_ptr<tls::Session> session,
                                 const uring::SocketAddress& peer) {
  CHECK(state_ == State::kFree);
  started_ns_ = worker_->loop().now_ns();
  SetClient(peer);
  transport_.Adopt(fd, std::move(session));
}

// What comes before the first request is due within --header_timeout.
void DownstreamConnection::AwaitClient(State state) {
  state_ = state;
  worker_->busy_connections().PushNewest(*this);
  deadline_.Set(worker_->loop().now_ns() + worker_->settings().TlsHandshakeTimeoutNs());
  transport_.Receive(Socket::ReceiveMode::kMultishot);
}

void DownstreamConnection::SetClient(const uring::SocketAddress& client) {
  source_ = IpEndpoint::Of(client);
  address_size_ = static_cast<uint8_t>(WriteAddress(client, address_));
  trusted_proxy_ = worker_->IsTrustedProxy(client);
}

std::optional<ProxyAddresses> DownstreamConnection::Endpoints() const {
  switch (client_source_) {
    case ClientSource::kSocket: {
      uring::SocketAddress local;
      if (worker_->loop().io().LocalAddress(transport_.fd(), &local) != 0) return std::nullopt;
      return ProxyAddresses{.source = source_, .destination = IpEndpoint::Of(local)};
    }
    case ClientSource::kHeader:
      return ProxyAddresses{.source = source_, .destination = destination_};
    case ClientSource::kUnknown:
      return std::nullopt;
  }
  return std::nullopt;
}

void DownstreamConnection::ReadProxyHeader() {
  InputQueue& input = transport_.input();
  input.Gather(kProxyHeaderBytesMax);
  const ProxyHeader header = ParseProxyHeader(input.Front());
  if (header.status == ProxyHeader::Status::kNeedMore) return;
  if (header.status == ProxyHeader::Status::kRefused) return RefuseProxyHeader(header.error);
  worker_->stats().proxy_headers[static_cast<size_t>(header.version)].Add();
  input.Consume(header.bytes);
  client_source_ = header.addresses.has_value() ? ClientSource::kHeader : ClientSource::kUnknown;
  // Not the balancer itself, but somebody whom it does not name.
  if (!header.addresses.has_value() && !header.local) trusted_proxy_ = false;
  if (header.addresses.has_value()) {
    SetClient(header.addresses->source.ToSocketAddress());
    destination_ = header.addresses->destination;
  }
  if (tls_) {
    std::unique_ptr<tls::Session> session = worker_->NewTlsSession();
    if (session == nullptr) {
      worker_->stats().accept_errors.Add();
      return Abort(false);
    }
    // The handshake is due by the same deadline.
    state_ = State::kHandshake;
    transport_.StartTls(std::move(session));
    return transport_.Receive(Socket::ReceiveMode::kMultishot);
  }
  worker_->busy_connections().Remove(*this);
  EnterIdle();
  if (!input.empty()) OnInput();
}

void DownstreamConnection::RefuseProxyHeader(ProxyProtocolError error) {
  worker_->CountProxyProtocolError(error);
  return Abort(false);
}

void DownstreamConnection::OnHandshakeDone() {
  if (state_ != State::kHandshake) return;
  worker_->stats().tls_handshakes.Add();
  worker_->busy_connections().Remove(*this);
  EnterIdle();
}

void DownstreamConnection::EnterIdle() {
  state_ = State::kIdle;
  listed_idle_ = true;
  idle_since_ns_ = worker_->loop().now_ns();
  worker_->idle_connections().PushNewest(*this);
  const int64_t timeout_ns =
      worker_->draining() ? kDrainIdleNs : worker_->settings().idle_timeout_ns;
  deadline_.Set(worker_->loop().now_ns() + timeout_ns);
  transport_.Receive(Socket::ReceiveMode::kMultishot);
}

void DownstreamConnection::OnInput() {
  switch (state_) {
    case State::kProxyHeader:
      return ReadProxyHeader();
    case State::kIdle:
      worker_->idle_connections().Remove(*this);
      listed_idle_ = false;
      worker_->busy_connections().PushNewest(*this);
      exchange_ = worker_->NewExchange(this);
      if (exchange_ == nullptr) return Abort(false);
      state_ = State::kExchange;
      ++requests_;
      deadline_.Set(worker_->loop().now_ns() + worker_->settings().header_timeout_ns);
      return exchange_->OnClientInput();
    case State::kExchange:
      return exchange_->OnClientInput();
    case State::kLingering:
      return transport_.input().Clear();
    case State::kFree:
    case State::kHandshake:
    case State::kClosing:
      return;
  }
}

void DownstreamConnection::OnInputEnd(InputEnd end) {
  switch (state_) {
    case State::kProxyHeader:
      // A connection without a byte is how load balancers see whether edge is there.
      if (transport_.input().empty()) return Abort(false);
      return RefuseProxyHeader(ProxyProtocolError::kClosedEarly);
    case State::kHandshake:
      worker_->stats().tls_handshake_failures.Add();
      // An alert may be on its way.
      if (end == InputEnd::kTlsFailed) return Linger();
      return Abort(false);
    case State::kExchange:
      return exchange_->OnClientInputEnd(end);
    case State::kIdle:
      // A close_notify is answered by one (RFC 8446, 6.1).
      if (tls_ && end == InputEnd::kClean) return CloseIdle();
      return Abort(false);
    case State::kLingering:
      // Ours may still be on its way; OnOutputProgress or the deadline comes.
      if (end == InputEnd::kClean && !transport_.drained()) return;
      return Abort(false);
    case State::kFree:
    case State::kClosing:
      return;
  }
}

void DownstreamConnection::OnOutputProgress(bool drained) {
  if (state_ == State::kExchange) return exchange_->OnClientOutputProgress(drained);
  if (state_ == State::kLingering && drained && transport_.input_ended()) Abort(false);
}

void DownstreamConnection::OnOutputFailed(int) {
  if (state_ != State::kFree && state_ != State::kClosing) Abort(false);
}

void DownstreamConnection::OnDeadline() {
  switch (state_) {
    case State::kProxyHeader:
      worker_->stats().client_timeouts.Add();
      return RefuseProxyHeader(ProxyProtocolError::kTimeout);
    case State::kHandshake:
      worker_->stats().tls_handshake_failures.Add();
      worker_->stats().client_timeouts.Add();
      return Abort(false);
    case State::kIdle:
      return CloseIdle();
    case State::kExchange:
      return exchange_->OnClientDeadline();
    case State::kLingering:
      return Abort(false);
    case State::kFree:
    case State::kClosing:
      return;
  }
}

bool DownstreamConnection::MayGoOn() const {
  const Settings& settings = worker_->settings();
  return !worker_->draining() && requests_ < settings.connection_requests_max &&
         worker_->loop().now_ns() - started_ns_ < settings.connection_age_max_ns;
}

void DownstreamConnection::FinishExchange(bool keep_alive) {
  CHECK(state_ == State::kExchange);
  const bool more_to_come =
      exchange_->request_state() != Exchange::RequestState::kDone || !transport_.input().empty();
  worker_->FreeExchange(exchange_);
  exchange_ = nullptr;
  ReportBytes();
  if (!keep_alive) {
    // With nothing unread, close(2) sends FIN behind the response. With TLS close_notify comes
    // first.
    if (!more_to_come && !tls_) return Abort(false);
    return Linger();
  }
  worker_->busy_connections().Remove(*this);
  if (transport_.input_ended() && transport_.input().empty()) {
    worker_->busy_connections().PushNewest(*this);
    return Linger();
  }
  EnterIdle();
  // The next request may be here already (pipelining).
  if (state_ == State::kIdle && !transport_.input().empty()) OnInput();
}

void DownstreamConnection::CloseIdle() {
  CHECK(state_ == State::kIdle);
  worker_->idle_connections().Remove(*this);
  listed_idle_ = false;
  worker_->busy_connections().PushNewest(*this);
  Linger();
}

void DownstreamConnection::OnDrain() {
  if (state_ == State::kIdle) deadline_.Set(worker_->loop().now_ns() + kDrainIdleNs);
}

void DownstreamConnection::Linger() {
  transport_.FinishOutput();
  if (transport_.input_ended() && transport_.drained()) return Abort(false);
  state_ = State::kLingering;
  transport_.input().Clear();
  deadline_.Set(worker_->loop().now_ns() + kLingerNs);
  transport_.Receive(Socket::ReceiveMode::kMultishot);
}

void DownstreamConnection::Abort(bool reset) {
  if (state_ == State::kFree || state_ == State::kClosing) return;
  if (listed_idle_) {
    worker_->idle_connections().Remove(*this);
    listed_idle_ = false;
  } else {
    worker_->busy_connections().Remove(*this);
  }
  state_ = State::kClosing;
  deadline_.Stop();
  if (exchange_ != nullptr) {
    reset = reset || exchange_->NeedsReset();
    exchange_->Abandon();
  }
  if (reset) worker_->loop().io().ResetOnClose(transport_.fd());
  transport_.Close();
}

void DownstreamConnection::ReportBytes() {
  worker_->stats().bytes_received.Add(transport_.bytes_received() - reported_received_);
  worker_->stats().bytes_sent.Add(transport_.bytes_sent() - reported_sent_);
  reported_received_ = transport_.bytes_received();
  reported_sent_ = transport_.bytes_sent();
}

void DownstreamConnection::CloseNow() { Abort(false); }

void DownstreamConnection::NoteReason(std::string_view id) {
  if (exchange_ != nullptr) exchange_->NoteReason(id);
}

int64_t DownstreamConnection::StalledNs(int64_t now_ns) const {
  const bool holds =
      transport_.OutputHolds(uring::BufferGroup::kOrigin) ||
      (exchange_ != nullptr && exchange_->ResponseHolds(uring::BufferGroup::kOrigin));
  return holds ? transport_.SendingNs(now_ns) : 0;
}

int64_t DownstreamConnection::TunnelStalledNs(int64_t now_ns) const {
  return state_ == State::kExchange ? exchange_->TunnelStalledNs(now_ns) : 0;
}

int64_t DownstreamConnection::UploadStalledNs(int64_t now_ns) const {
  return state_ == State::kExchange ? exchange_->UploadStalledNs(now_ns) : 0;
}

void DownstreamConnection::ShedUpload() { exchange_->ShedUpload(); }

void DownstreamConnection::OnTransportClosed() {
  ReportBytes();
  if (exchange_ != nullptr) worker_->FreeExchange(exchange_);
  exchange_ = nullptr;
  state_ = State::kFree;
  worker_->FreeConnection(this);
}

size_t DownstreamConnection::HoardedBytes() const {
  const bool behind = state_ == State::kExchange &&
                      (exchange_->request_state() == Exchange::RequestState::kWaiting ||
                       exchange_->request_state() == Exchange::RequestState::kInspecting ||
                       exchange_->request_state() == Exchange::RequestState::kDone ||
                       exchange_->request_state() == Exchange::RequestState::kAbandoned);
  // What a tunnel carries is not behind anything.
  const bool tunnel = behind && exchange_->response_state() == Exchange::ResponseState::kTunnel;
  return behind && !tunnel ? transport_.bytes_held() : 0;
}

std::string DownstreamConnection::DebugString() const {
  static constexpr const char* kNames[] = {"free",     "proxy header", "handshake", "idle",
                                           "exchange", "lingering",    "closing"};
  std::string text =
      absl::StrCat("client=", address(), tls_ ? " tls" : " plain",
                   " state=", kNames[static_cast<int>(state_)], " requests=", requests_,
                   " in=", transport_.bytes_received(), " out=", transport_.bytes_sent());
  if (exchange_ != nullptr) absl::StrAppend(&text, " ", exchange_->DebugString());
  return text;
}

void ConnectionList::PushNewest(DownstreamConnection& connection) {
  connection.next_ = nullptr;
  connection.previous_ = newest_;
  (newest_ != nullptr ? newest_->next_ : oldest_) = &connection;
  newest_ = &connection;
}

void ConnectionList::Remove(DownstreamConnection& connection) {
  (connection.previous_ != nullptr ? connection.previous_->next_ : oldest_) = connection.next_;
  (connection.next_ != nullptr ? connection.next_->previous_ : newest_) = connection.previous_;
  connection.next_ = connection.previous_ = nullptr;
}

}  // namespace edge::proxy
