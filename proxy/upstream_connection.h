// A connection to an origin: connecting, leased to one exchange, or pooled.
//
//   kFree --> kConnecting --> kLeased <--> kIdle
//                 |              |           |
//                 +------------- kClosing <--+ --> kFree (back in the slab)
//
// Its receive stays armed while it is pooled, so that an origin's close is seen before the next
// request is sent into it: bytes or an end on an idle connection close it.
//
// Whether a response is large is known only once its head is there, too late to choose the buffers
// for its first bytes. So each connection goes by what the last responses were: after large ones it
// receives into large buffers, otherwise into small ones by a multishot receive that never has to
// be armed again.
//
// Worker thread only. Lives in the worker's slab; owned by the pool.

#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "proxy/deadline.h"
#include "proxy/output_block.h"
#include "proxy/transport.h"
#include "proxy/waf/inspection_client.h"

namespace edge::proxy {

class UpstreamPool;
struct UpstreamEndpoint;

class UpstreamConnection final : private Transport::Owner {
 public:
  enum class State : uint8_t {
    kFree,        // a slot, no connection
    kConnecting,  // leased, not usable yet
    kLeased,      // an exchange uses it
    kIdle,        // pooled
    kClosing,     // nobody's; waits for its last completions
  };

  // Who has the lease. Not told anything any more once the lease has ended.
  class Lessee {
   public:
    virtual ~Lessee() = default;
    virtual void OnUpstreamConnected() = 0;
    // 0 < error: of connect(2); ETIMEDOUT also for --connect_timeout. The lease is over.
    virtual void OnUpstreamConnectFailed(int error) = 0;
    virtual void OnUpstreamInput() = 0;
    virtual void OnUpstreamInputEnd(InputEnd end) = 0;
    virtual void OnUpstreamOutputProgress(bool drained) = 0;
    virtual void OnUpstreamOutputFailed(int error) = 0;
    virtual void OnUpstreamDeadline() = 0;
  };

  UpstreamConnection(uring::Loop* loop, UpstreamPool* pool);  // neither owned; both outlive this

  Transport& transport() { return transport_; }
  Deadline& deadline() { return deadline_; }
  // What the lessee writes itself; lives as long as a send may read it.
  OutputBlock& output() { return output_; }
  // A body that was gathered for inspection, and is sent from where it lies.
  void KeepBody(waf::JobHandle job) {
    body_ = std::move(job);
    body_done_ = false;
  }
  std::string_view body() const {
    return body_ == nullptr ? std::string_view() : body_->request.body();
  }
  // The lessee has written all it wants of it: its memory goes when no send reads it any more.
  void LetGoOfBody();
  UpstreamEndpoint& endpoint() { return *endpoint_; }
  State state() const { return state_; }
  // It carried a request before: the origin may have closed it meanwhile, so a failure may be
  // retried.
  bool reused() const { return requests_ > 1; }

  // Waits for the head of a response, or for the end of an idle connection.
  void ReceiveHead();
  // Notes the size of a response for the next one; `bytes` counts its body as far as it is known.
  void NoteResponseSize(uint64_t bytes);
  bool large_responses() const { return large_responses_; }

 private:
  friend class UpstreamPool;

  // Bodies above this are worth large buffers: more than fit a few small ones.
  static constexpr uint64_t kLargeResponseBytes = 12 << 10;

  void OnConnected(int error) override;
  void OnHandshakeDone() override {}
  void OnInput() override;
  void OnInputEnd(InputEnd end) override;
  void OnOutputProgress(bool drained) override;
  void OnOutputFailed(int error) override;
  void OnTransportClosed() override;
  void OnDeadline();

  UpstreamPool* const pool_;
  Transport transport_;
  Deadline deadline_;
  OutputBlock output_;
  waf::JobHandle body_;
  bool body_done_ = false;
  UpstreamEndpoint* endpoint_ = nullptr;
  Lessee* lessee_ = nullptr;
  UpstreamConnection* next_idle_ = nullptr;  // more recently used first
  UpstreamConnection* previous_idle_ = nullptr;
  int64_t created_ns_ = 0;
  uint32_t requests_ = 0;
  State state_ = State::kFree;
  bool large_responses_ = false;
};

}  // namespace edge::proxy
