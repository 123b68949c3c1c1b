// One request and its response: two state machines, one for each direction, that share a client
// connection, a lease of a connection to an origin, and the memory for two heads.
//
//   client --input--> RequestParser --> route, lease --> head anew --> origin
//                     BodyReader ------- body parts, from where they were received -->
//   client <-- body parts, from where they were received ------- BodyReader <--input-- origin
//          <-- head anew <------------------------- ResponseParser <--
//
// Both pumps move bytes only while the far side has room; what is not moved stays in the queue of
// the side it came from, and a queue above its mark is not filled further. So a slow reader costs a
// bounded number of buffers, whatever the size of the body.
//
// Lives in the worker's slab from the first byte of a request until the response is with the kernel
// (or the client's socket has closed): the client's sends read its memory. Worker thread only.
//
// exchange.cc: life and ends. exchange_request.cc: client to origin. exchange_response.cc: origin
// to client. exchange_inspection.cc: between the request's head and the origin, if there is a WAF.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/framing.h"
#include "http/message_head.h"
#include "http/parser.h"
#include "proxy/http_settings.h"
#include "proxy/local_reply.h"
#include "proxy/output_block.h"
#include "proxy/patience.h"
#include "proxy/stats.h"
#include "proxy/upstream_pool.h"
#include "proxy/waf/inspection_client.h"

namespace edge::proxy {

class DownstreamConnection;
class Worker;

class Exchange final : public UpstreamConnection::Lessee, private waf::VerdictWaiter {
 public:
  enum class RequestState : uint8_t {
    kHead,        // reading the head
    kGathering,   // the head is complete; its body is gathered, to be inspected before any of it is
                  // forwarded
    kInspecting,  // the verdict is awaited
    kWaiting,     // the head is complete; no connection to an origin yet
    kBody,        // the head is on its way to the origin; the body follows
    kDiscarding,  // edge answers itself; the body is read and dropped
    kDone,        // everything was received, and passed on or dropped
    kAbandoned,   // will not be read to its end: the client's connection closes after the response
  };
  enum class ResponseState : uint8_t {
    kNone,      // nothing was asked of an origin yet
    kHead,      // waiting for the origin's head, or for the rest of it
    kBody,      // the head is on its way to the client; the body follows
    kSending,   // everything is with the client's transport, not all of it with the kernel
    kTunnel,    // 101: bytes of another protocol, both ways
    kFinished,  // over; the exchange is about to be freed
  };

  // `connection` is not owned and outlives this.
  Exchange(Worker* worker, DownstreamConnection* connection);
  ~Exchange() override;

  // --- From the client's connection. Each may end the exchange, and with it this object, through
  // --- DownstreamConnection::FinishExchange, so callers return right after.
  void OnClientInput();
  void OnClientInputEnd(InputEnd end);
  void OnClientOutputProgress(bool drained);
  void OnClientDeadline();
  // For how long the origin has not taken all of what is being sent to it; 0: nothing is.
  int64_t UploadStalledNs(int64_t now_ns) const;
  // For how long either end of a tunnel has not taken all of what is being sent to it.
  int64_t TunnelStalledNs(int64_t now_ns) const;
  // Whether the response keeps buffers of this group.
  bool ResponseHolds(uring::BufferGroup group) const;
  // The worker needs the buffers of a request that its origin does not take.
  void ShedUpload();
  // The client's connection is closing: let go of everything but the memory.
  void Abandon();
  // Only a reset can tell the client that the response is cut: its end is marked by the close.
  bool NeedsReset() const {
    return client_framing_ == http::BodyFraming::kUntilClose &&
           (response_state_ == ResponseState::kBody || response_state_ == ResponseState::kSending);
  }

  // Why edge, and not the origin, decided about the response; `id` is a literal.
  void NoteReason(std::string_view id) { reason_id_ = id; }

  RequestState request_state() const { return request_state_; }
  ResponseState response_state() const { return response_state_; }
  // One line for /connections.
  std::string DebugString() const;

 private:
  friend class AccessLogEntry;

  static constexpr size_t kHeadBlockBytes = 4096;
  // "0\r\n\r\n", and what may precede the end of a body that has chunks.
  static constexpr size_t kEmptyChunkedBytes = 5;
  static constexpr size_t kChunkAndEndBytesMax =
      2 * http::kChunkHeaderBytesMax + kTrailerBytesMax + 2;
  static constexpr size_t kRequestIdBytesMax = 64;  // a trusted proxy's; a UUID has 36
  static constexpr size_t kOwnRequestIdBytes = 32;
  // Longer ones are cut in the access log, so that a line keeps to LogBatch::kLineBytesMax even if
  // each byte is escaped.
  static constexpr size_t kLogMethodBytesMax = 32;
  static constexpr size_t kLogHostBytesMax = 256;
  static constexpr size_t kLogTargetBytesMax = 1024;
  // Bytes that may wait in a queue before its side is not read any further.
  static constexpr size_t kQueueBytesMax = 64 << 10;
  // The rest of a request's body that is read after edge has answered itself, to keep the
  // connection.
  static constexpr uint64_t kDiscardBytesMax = 256 << 10;
  // Bodies above this are received into large buffers.
  static constexpr uint64_t kLargeBodyBytes = 12 << 10;
  // Origins that a request may fail on before it is given up.
  static constexpr int kAttemptsMax = 4;

  // A block for a head: inline, or a large buffer once the head has outgrown it.
  struct HeadBlock {
    std::array<char, kHeadBlockBytes> bytes;
    uring::BufferId large;
  };

  // --- Client to origin
  void ReadRequestHead();
  void OnRequestHead();
  void Forward();
  void StartUpstream();
  void ReplyConnectFailed();
  void OnUpstreamReady();
  bool WriteRequestHead();
  void PumpRequest();
  void DiscardRequest();
  void EndRequest();
  void ReceiveRequest();
  uring::Socket::ReceiveMode NextReceive(Transport& from, Transport& to, bool large) const;

  // --- Inspection
  void BeginInspection();
  bool MakeJob();
  void Decide(waf::Verdict verdict);
  void GatherRequest();
  void AwaitVerdict();
  void PassOn();
  void OnVerdict(waf::InspectionJob& job) override;
  void CopyForInspection(std::string_view bytes);
  void SubmitCopy();
  void LetGoOfJob();
  bool PumpGathered();

  // --- Origin to client
  void OnUpstreamConnected() override;
  void OnUpstreamConnectFailed(int error) override;
  void OnUpstreamInput() override;
  void OnUpstreamInputEnd(InputEnd end) override;
  void OnUpstreamOutputProgress(bool drained) override;
  void OnUpstreamOutputFailed(int error) override;
  void OnUpstreamDeadline() override;
  void ReadResponseHead();
  bool OnResponseHead();
  bool ForwardInterim();
  bool AnswersNothing() const;
  void PumpResponse();
  void ReceiveResponse();
  void WaitForOrigin();
  int64_t ResponseEndsNs() const;
  void EndResponse();
  void OnOriginRefused(http::Reason reason);
  void OnHeadTooLargeToForward();
  void CountUpstreamError(UpstreamError error);
  void OnOriginFailed(UpstreamError error, std::string_view details);
  bool MayRetry() const;

  // --- Tunnel
  void StartTunnel();
  void PumpTunnel();

  // --- Ends
  void Refuse(http::Reason reason);
  void ReplyError(const ErrorReply& reply);
  void ReplyLocally(const LocalResponse& response);
  void ReleaseUpstream(bool reusable);
  void AbortResponse();
  void Finish(bool keep_alive);
  void MaybeFinish();
  bool NoMoreRequests() const;
  bool AwaitsBody() const {
    return request_state_ == RequestState::kDiscarding ||
           request_state_ == RequestState::kGathering ||
           (request_state_ == RequestState::kBody && client_to_send_);
  }
  int64_t ClientDueNs() const;
  void WaitForClient();
  bool Grow(HeadBlock& block, http::MessageHead& head);
  void FreeBlock(HeadBlock& block);
  void LetGoOfHeads();
  void ChooseRequestId();
  void MakeRequestId();
  std::string_view request_id() const { return {request_id_.data(), request_id_bytes_}; }
  int64_t now_ns() const;

  Worker* const worker_;
  DownstreamConnection* const client_;
  UpstreamConnection* upstream_ = nullptr;  // leased

  RequestState request_state_ = RequestState::kHead;
  ResponseState response_state_ = ResponseState::kNone;
  uint8_t attempts_ = 0;
  uint8_t interim_responses_ = 0;
  bool head_complete_ = false;       // of the request
  bool request_chunk_open_ = false;  // a chunk was written whose CRLF is still due
  bool response_chunk_open_ = false;
  bool response_started_ = false;  // bytes of a final response went to the client
  bool close_after_ = false;  // the response said, or the error demands, that the connection ends
  bool origin_keep_alive_ = false;
  bool origin_cut_ = false;  // its stream did not end in order
  bool client_half_closed_ = false;
  bool client_to_send_ = false;  // kBody: it is the client's turn, not the origin's to take
  bool tunnel_up_ended_ = false;
  bool tunnel_down_ended_ = false;
  bool tunnel_down_cut_ = false;
  UpstreamError connect_error_ = UpstreamError::kConnectRefused;  // of the last that failed
  uint16_t status_ = 0;                                           // as sent to the client
  UpstreamSet tried_;
  // The request under inspection; once it is forwarded, its gathered body until an origin's
  // connection is there to take it.
  waf::JobHandle job_;
  size_t gathered_sent_ = 0;
  std::optional<waf::Verdict> verdict_;

  int64_t started_ns_;
  int64_t first_byte_ns_ = 0;      // of the origin's first response, interim or not
  int64_t response_began_ns_ = 0;  // the origin's final response
  uint64_t request_body_bytes_ = 0;
  uint64_t response_body_bytes_ = 0;
  uint64_t discarded_bytes_ = 0;
  // What the client has earned its time with, on the wire.
  uint64_t earned_received_;
  uint64_t acknowledged_;  // by the client's kernel, when it was last asked
  Patience sending_;       // with a client that has to send
  Patience reading_;       // with one that has to read
  // Of the request, for the access log.
  std::string_view log_method_;
  std::string_view log_host_;
  std::string_view log_target_;
  std::string_view reason_id_;  // why edge answered itself; static, empty if it did not
  std::string_view
      upstream_name_;  // of the endpoint that was tried last; lives as long as the pool

  http::RequestParser request_parser_;
  http::ResponseParser response_parser_;
  http::BodyReader request_body_;
  http::BodyReader response_body_;
  http::BodyFraming client_framing_ = http::BodyFraming::kNone;  // of the response
  std::string local_reply_;
  std::array<char, kRequestIdBytesMax> request_id_;
  uint8_t request_id_bytes_ = 0;

  OutputBlock output_;  // to the client
  http::RequestHead request_;
  http::ResponseHead response_;
  HeadBlock request_block_;
  HeadBlock response_block_;
  std::array<char, kTrailerBytesMax> request_trailers_;
  std::array<char, kTrailerBytesMax> response_trailers_;
};

}  // namespace edge::proxy
