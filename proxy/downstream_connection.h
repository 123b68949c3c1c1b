// A client's connection: what remains between its requests.
//
//                             +-- TLS --> kHandshake --+
//   kFree --> [kProxyHeader] -+                        +--> kIdle <--> kExchange --> kLingering
//                             +-------- plain ---------+      |            |             |
//                                                             |            |             v
//                                                             +------------+---> kClosing --> kFree
//
// On a listener that asks for it, a PROXY header comes first and says who the client is; until it
// is there, bytes are raw, with TLS or without. If it is not valid the connection is closed: there
// may be nobody who understands an answer.
//
// Kept small: an idle connection is this object and, with TLS, a session; it holds no buffer and no
// exchange.
//
// Closing with bytes unread would make the kernel send RST, which can destroy the response on its
// way. So where the client may still be sending, edge sends FIN and reads on for a while (RFC
// 9112, 9.6).
//
// Worker thread only. Lives in the worker's slab.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/address.h"
#include "proxy/deadline.h"
#include "proxy/proxy_protocol.h"
#include "proxy/transport.h"

namespace edge::proxy {

class Exchange;
class Worker;

class DownstreamConnection final : private Transport::Owner {
 public:
  enum class State : uint8_t {
    kFree,         // a slot, no connection
    kProxyHeader,  // the PROXY header is not whole
    kHandshake,    // TLS is being agreed on
    kIdle,         // no byte of a request is there
    kExchange,     // a request is being read or answered
    kLingering,    // FIN is sent; what the client still sends is dropped
    kClosing,      // waits for the last completions
  };

  DownstreamConnection(uring::Loop* loop, Worker* worker);  // neither owned; both outlive this

  // Takes over an accepted socket.
  void Start(int fd, std::unique_ptr<tls::Session> session, const uring::SocketAddress& peer);
  // The same, but a PROXY header comes first.
  void StartWithProxyHeader(int fd, bool tls, const uring::SocketAddress& peer);

  // --- For the exchange
  Transport& transport() { return transport_; }
  Deadline& deadline() { return deadline_; }
  std::string_view address() const { return {address_, address_size_}; }
  bool trusted_proxy() const { return trusted_proxy_; }
  bool tls() const { return tls_; }
  // Whether another request may follow the present one: the limits of a connection's requests and
  // age, and a drain, say no.
  bool MayGoOn() const;
  // The client, and what it connected to; nullopt: a PROXY header said that nobody is known, or the
  // kernel cannot tell.
  std::optional<ProxyAddresses> Endpoints() const;
  // The exchange is over and is freed by this call.
  void FinishExchange(bool keep_alive);
  // Closes without further ado; with `reset` the client sees RST, for a response that would
  // otherwise look complete.
  void Abort(bool reset);

  // --- For the worker
  State state() const { return state_; }
  // Begins to close an idle connection: FIN, then lingering.
  void CloseIdle();
  // The worker drains: an idle connection goes soon.
  void OnDrain();
  // Closes at once, whatever the state.
  void CloseNow();
  // kIdle: since when.
  int64_t idle_since_ns() const { return idle_since_ns_; }
  // Bytes of requests that wait behind the present one.
  size_t HoardedBytes() const;
  // Part of a PROXY header is there, in a buffer.
  bool HoldsHalfHeader() const {
    return state_ == State::kProxyHeader && !transport_.input().empty();
  }
  // For how long the client has not taken all of what is being sent to it; 0: nothing is.
  int64_t StalledNs(int64_t now_ns) const;
  // Ends a client that has stalled; what the kernel has still to send is of no use, either.
  void ShedReader() { Abort(true); }
  // For how long the origin has not taken all of what is being sent to it for this client.
  int64_t UploadStalledNs(int64_t now_ns) const;
  int64_t TunnelStalledNs(int64_t now_ns) const;
  // Gives up a request whose origin does not take it.
  void ShedUpload();
  // Why edge is about to close it, for the access log.
  void NoteReason(std::string_view id);
  void MarkEvicted() { evicted_ = true; }
  bool evicted() const { return evicted_; }
  std::string DebugString() const;

 private:
  friend class ConnectionList;

  // How long a client may take to stop sending after edge has ended the connection.
  static constexpr int64_t kLingerNs = 2'000'000'000;
  // An idle connection stays that long in a drain: a request may be on its way.
  static constexpr int64_t kDrainIdleNs = 500'000'000;

  void OnConnected(int) override {}
  void OnHandshakeDone() override;
  void OnInput() override;
  void OnInputEnd(InputEnd end) override;
  void OnOutputProgress(bool drained) override;
  void OnOutputFailed(int error) override;
  void OnTransportClosed() override;
  void OnDeadline();
  void Adopt(int fd, std::unique_ptr<tls::Session> session, const uring::SocketAddress& peer);
  void AwaitClient(State state);
  void ReadProxyHeader();
  void RefuseProxyHeader(ProxyProtocolError error);
  void SetClient(const uring::SocketAddress& client);
  void EnterIdle();
  void Linger();
  void ReportBytes();

  // Where the addresses come from.
  enum class ClientSource : uint8_t {
    kSocket,   // the client is the socket's peer
    kHeader,   // the PROXY header said
    kUnknown,  // the PROXY header said that it is somebody else, or nobody, without an address
  };

  Worker* const worker_;
  Transport transport_;
  Deadline deadline_;
  Exchange* exchange_ = nullptr;          // owned by the worker's slab
  DownstreamConnection* next_ = nullptr;  // in the worker's list of idle or of other connections
  DownstreamConnection* previous_ = nullptr;
  State state_ = State::kFree;
  bool tls_ = false;
  bool trusted_proxy_ = false;
  bool listed_idle_ = false;
  bool evicted_ = false;
  int64_t started_ns_ = 0;
  int64_t idle_since_ns_ = 0;
  ClientSource client_source_ = ClientSource::kSocket;
  uint8_t address_size_ = 0;
  IpEndpoint source_;
  IpEndpoint destination_;  // kHeader
  uint32_t requests_ = 0;
  uint64_t reported_received_ = 0;  // of the transport's counters, what the stats have already
  uint64_t reported_sent_ = 0;
  char address_[kAddressTextMax];
};

// The worker's connections, in order of when they entered the list.
class ConnectionList {
 public:
  DownstreamConnection* oldest() const { return oldest_; }
  void PushNewest(DownstreamConnection& connection);
  void Remove(DownstreamConnection& connection);
  static DownstreamConnection* Next(DownstreamConnection& connection) { return connection.next_; }

 private:
  DownstreamConnection* oldest_ = nullptr;
  DownstreamConnection* newest_ = nullptr;
};

}  // namespace edge::proxy
