// Life and ends of an exchange: local replies, the tunnel, time-outs, and the one place where it
// finishes.

#include "proxy/exchange.h"

#include <algorithm>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/downstream_connection.h"
#include "proxy/worker.h"

namespace edge::proxy {

using uring::Socket;

Exchange::Exchange(Worker* worker, DownstreamConnection* connection)
    : worker_(worker),
      client_(connection),
      started_ns_(worker->loop().now_ns()),
      earned_received_(connection->transport().bytes_received()),
      // What was sent before is no progress of this exchange; the SYN counts as one byte.
      acknowledged_(connection->transport().bytes_sent() + 1),
      sending_(worker->settings().RequestBodyTimeoutNs(), worker->settings().client_rate_min),
      reading_(worker->settings().ResponseWriteTimeoutNs(), worker->settings().client_rate_min),
      request_parser_(&worker->settings().policy),
      response_parser_(&worker->settings().policy),
      output_(&worker->loop().buffers()) {
  request_.Bind(request_block_.bytes);
  request_parser_.Start(&request_);
  worker_->stats().exchanges_active.Add();
}

Exchange::~Exchange() {
  CHECK(upstream_ == nullptr) << "exchange freed with a lease";
  LetGoOfJob();
  FreeBlock(request_block_);
  FreeBlock(response_block_);
  worker_->stats().exchanges_active.Subtract();
}

int64_t Exchange::now_ns() const { return worker_->loop().now_ns(); }

// Moves a head that has outgrown its block into a large buffer. False: it is too large for that as
// well, or there is no buffer left.
bool Exchange::Grow(HeadBlock& block, http::MessageHead& head) {
  uring::BufferLoans& buffers = worker_->loop().buffers();
  if (block.large.valid()) return false;
  block.large = buffers.Take(uring::BufferGroup::kBody);
  if (!block.large.valid()) return false;
  const size_t size = std::min(buffers.size(block.large), http::MessageHead::kBlockBytesMax);
  head.Rebind(std::span(buffers.data(block.large), size));
  return true;
}

// Large buffers are lent while bytes move: both heads are with the other side now, and a body may
// take for ever. Only what the access log says of the request is kept.
void Exchange::LetGoOfHeads() {
  FreeBlock(response_block_);
  if (!request_block_.large.valid()) return;
  char* out = request_block_.bytes.data();
  const auto keep = [&out](std::string_view& text, size_t bytes_max) {
    const size_t bytes = text.copy(out, bytes_max);
    text = {out, bytes};
    out += bytes;
  };
  keep(log_method_, kLogMethodBytesMax);
  keep(log_host_, kLogHostBytesMax);
  keep(log_target_, kLogTargetBytesMax);
  FreeBlock(request_block_);
}

void Exchange::FreeBlock(HeadBlock& block) {
  if (block.large.valid()) worker_->loop().buffers().Unref(block.large);
  block.large = {};
}

// How bytes that go from one side to the other are to be received. One stalled reader may hold
// some, as long as there are plenty; when buffers are scarce, no side receives before the other has
// taken all it was given, so that many stalled readers hold one buffer each and the others go on.
Socket::ReceiveMode Exchange::NextReceive(Transport& from, Transport& to, bool large) const {
  using Mode = Socket::ReceiveMode;
  if (from.input().bytes() >= kQueueBytesMax) return Mode::kOff;
  if (to.drained()) {
    // The last large ones are not for those who may keep them.
    if (large && !worker_->BuffersShort(uring::BufferGroup::kBody)) return Mode::kOnceLarge;
    return worker_->BuffersScarce(from.small_buffers()) ? Mode::kOnce : Mode::kMultishot;
  }
  const auto group = large ? uring::BufferGroup::kBody : from.small_buffers();
  if (worker_->BuffersScarce(group)) return Mode::kOff;
  return large ? Mode::kOnceLarge : Mode::kMultishot;
}

// The log, the client and the origin get the same one: a trusted proxy's, which is forwarded as it
// is, if it is a plain text of bearable size, so that it can stand in a line of JSON and on a page
// as well.
void Exchange::ChooseRequestId() {
  if (!client_->trusted_proxy()) return MakeRequestId();
  const std::string_view given = request_.Find(http::FieldId::kXRequestId).value_or("");
  const bool plain = std::all_of(given.begin(), given.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("-._~:+/=@").find(c) != std::string_view::npos;
  });
  if (!plain || given.empty() || given.size() > request_id_.size()) return MakeRequestId();
  request_id_bytes_ = static_cast<uint8_t>(given.copy(request_id_.data(), given.size()));
}

void Exchange::MakeRequestId() {
  static constexpr char kDigits[] = "0123456789abcdef";
  request_id_bytes_ = kOwnRequestIdBytes;
  for (size_t half = 0; half < request_id_bytes_; half += 16) {
    uint64_t random = worker_->Random();
    for (size_t i = 0; i < 16; ++i, random >>= 4) request_id_[half + i] = kDigits[random & 15];
  }
}

// --- Events of the client's connection
// ------------------------------------------------------------------

void Exchange::OnClientInput() {
  switch (request_state_) {
    case RequestState::kHead:
      return ReadRequestHead();
    case RequestState::kGathering:
      return GatherRequest();
    case RequestState::kBody:
      return PumpRequest();
    case RequestState::kDiscarding:
      return DiscardRequest();
    case RequestState::kDone:
      if (response_state_ == ResponseState::kTunnel) return PumpTunnel();
      [[fallthrough]];
    case RequestState::kInspecting:
    case RequestState::kWaiting:
      // Pipelined requests, or a body whose verdict or origin is not there yet: what the kernel has
      // handed over already is enough.
      return client_->transport().Receive(Socket::ReceiveMode::kOff);
    case RequestState::kAbandoned:
      // Nobody will read it.
      client_->transport().input().Clear();
      return client_->transport().Receive(Socket::ReceiveMode::kOff);
  }
}

void Exchange::OnClientInputEnd(InputEnd end) {
  if (response_state_ == ResponseState::kTunnel) {
    // Many speakers of WebSocket end without close_notify; the protocol has an end of its own.
    const bool in_order = end == InputEnd::kClean || end == InputEnd::kTruncated;
    return in_order ? PumpTunnel() : client_->Abort(false);
  }
  client_half_closed_ = true;
  // A client that has said all it had to say may shut down its sending side and still read the
  // response.
  const bool may_read_on =
      end == InputEnd::kClean &&
      (request_state_ == RequestState::kDone || request_state_ == RequestState::kAbandoned ||
       ((request_state_ == RequestState::kWaiting || request_state_ == RequestState::kInspecting ||
         request_state_ == RequestState::kBody) &&
        request_body_.complete()));
  if (may_read_on) return;
  // What is still queued may complete the request.
  if (end == InputEnd::kClean && !client_->transport().input().empty() &&
      request_state_ != RequestState::kHead) {
    return;
  }
  client_->Abort(false);
}

// A client that has shut down its sending side still gets the responses to what it sent before.
bool Exchange::NoMoreRequests() const {
  return client_half_closed_ && client_->transport().input().empty();
}

// Sets the time by which the client has to have moved bytes: those of its body, if it is the one to
// send, and those of a response that waits for it.
void Exchange::WaitForClient() {
  const int64_t now = now_ns();
  if (AwaitsBody()) {
    sending_.Wait(now);
  } else {
    sending_.Pause(now);
  }
  if (client_->transport().drained()) {
    reading_.Pause(now);
  } else {
    reading_.Wait(now);
  }
  client_->deadline().Set(ClientDueNs());
}

int64_t Exchange::ClientDueNs() const {
  return std::min({sending_.until_ns(), reading_.until_ns(), ResponseEndsNs()});
}

void Exchange::OnClientOutputProgress(bool drained) {
  if (drained) output_.Reset();
  switch (response_state_) {
    case ResponseState::kHead:
      // An interim response was waiting for room.
      WaitForClient();
      return ReadResponseHead();
    case ResponseState::kBody:
      return PumpResponse();
    case ResponseState::kSending:
      WaitForClient();
      return MaybeFinish();
    case ResponseState::kTunnel:
      return PumpTunnel();
    case ResponseState::kNone:
    case ResponseState::kFinished:
      return;
  }
}

void Exchange::OnClientDeadline() {
  if (response_state_ == ResponseState::kTunnel) {
    NoteReason("tunnel.idle");
    return client_->Abort(false);
  }
  if (reading_.waiting()) {
    // What a slow reader has read only the kernel knows: it may take longer for one send than this
    // time, and has taken what it acknowledges late.
    const uint64_t acknowledged = worker_->loop().io().BytesAcknowledged(client_->transport().fd());
    if (acknowledged > acknowledged_) {
      reading_.Earn(acknowledged - acknowledged_, now_ns());
      acknowledged_ = acknowledged;
    }
    if (ClientDueNs() > now_ns()) return WaitForClient();
  }
  if (now_ns() >= ResponseEndsNs()) {
    CountUpstreamError(UpstreamError::kResponseTimeout);
    return AbortResponse();
  }
  worker_->stats().client_timeouts.Add();
  NoteReason("client.timeout");
  const bool waiting_for_client =
      request_state_ == RequestState::kHead || request_state_ == RequestState::kGathering ||
      request_state_ == RequestState::kBody || request_state_ == RequestState::kDiscarding;
  if (!response_started_ && waiting_for_client && request_parser_.started()) {
    request_state_ = RequestState::kAbandoned;
    return ReplyError({.status = 408, .details = "the request did not arrive in time"});
  }
  // It does not read its response, or never began a request.
  client_->Abort(response_started_);
}

int64_t Exchange::UploadStalledNs(int64_t now_ns) const {
  // What a tunnel carries has its own pace, and its own time-out.
  if (upstream_ == nullptr || response_state_ == ResponseState::kTunnel) return 0;
  const Transport& origin = upstream_->transport();
  const uring::BufferGroup group = client_->transport().small_buffers();
  const bool holds = origin.OutputHolds(group) || client_->transport().input().Holds(group);
  return holds ? origin.SendingNs(now_ns) : 0;
}

int64_t Exchange::TunnelStalledNs(int64_t now_ns) const {
  if (upstream_ == nullptr || response_state_ != ResponseState::kTunnel) return 0;
  return std::max(upstream_->transport().SendingNs(now_ns), client_->transport().SendingNs(now_ns));
}

bool Exchange::ResponseHolds(uring::BufferGroup group) const {
  return upstream_ != nullptr && upstream_->transport().input().Holds(group);
}

void Exchange::ShedUpload() {
  ReplyError({.status = 503,
              .error = "proxy_internal_error",
              .details = "the origin does not read, and no memory is left to wait for it"});
}

void Exchange::Abandon() {
  if (response_state_ == ResponseState::kFinished) return;
  const bool tunnel = response_state_ == ResponseState::kTunnel;
  if (tunnel && upstream_ != nullptr && !(tunnel_up_ended_ && upstream_->transport().drained())) {
    // What was cut must not look ended.
    worker_->loop().io().ResetOnClose(upstream_->transport().fd());
  }
  if (!tunnel && reason_id_.empty()) NoteReason("client.closed");
  response_state_ = ResponseState::kFinished;
  LetGoOfJob();
  ReleaseUpstream(false);
  if (request_parser_.started()) worker_->OnExchangeDone(*this);
}

// --- Local replies
// ----------------------------------------------------------------------------------------

void Exchange::Refuse(http::Reason reason) {
  NoteReason(http::Describe(reason).id);
  worker_->stats().refusals[static_cast<size_t>(reason)].Add();
  // After a message that could not be understood nothing on this connection can be.
  request_state_ = RequestState::kAbandoned;
  const http::ReasonInfo& info = http::Describe(reason);
  ReplyError({.status = info.status, .error = "http_request_error", .details = info.id});
}

void Exchange::ReplyError(const ErrorReply& reply) {
  if (response_started_) return AbortResponse();
  if (request_id().empty()) MakeRequestId();
  const std::string_view accept =
      head_complete_ ? request_.Find(http::FieldId::kAccept).value_or("") : "";
  ReplyLocally(MakeErrorResponse(reply, accept, request_id()));
}

void Exchange::ReplyLocally(const LocalResponse& response) {
  CHECK(!response_started_);
  ReleaseUpstream(false);
  LetGoOfJob();
  if (request_state_ == RequestState::kWaiting || request_state_ == RequestState::kInspecting ||
      request_state_ == RequestState::kBody) {
    // Reading the rest keeps the connection; but not at any price, and not if the client waits for
    // leave.
    const bool worth_reading = !request_.expect_continue &&
                               request_body_.remaining() <= kDiscardBytesMax &&
                               request_body_.framing() != http::BodyFraming::kUntilClose;
    if (request_body_.complete()) {
      request_state_ = RequestState::kDone;
    } else {
      request_state_ = worth_reading ? RequestState::kDiscarding : RequestState::kAbandoned;
    }
  }
  const bool head_only =
      head_complete_ ? request_.method == http::Method::kHead : request_parser_.asked_by_head();
  close_after_ = request_state_ == RequestState::kAbandoned || !head_complete_ ||
                 !request_.keep_alive || NoMoreRequests() || !client_->MayGoOn();
  status_ = response.status;
  response_started_ = true;
  local_reply_ =
      absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status),
                   "\r\nDate: ", worker_->DateText(), "\r\nContent-Type: ", response.content_type,
                   "\r\nContent-Length: ", response.body.size(), "\r\nX-Request-Id: ", request_id(),
                   "\r\n", response.extra_fields,
                   close_after_                                 ? "Connection: close\r\n"
                   : request_.version == http::Version::kHttp10 ? "Connection: keep-alive\r\n"
                                                                : "",
                   "\r\n", head_only ? std::string_view() : std::string_view(response.body));
  if (head_complete_) LetGoOfHeads();
  response_body_bytes_ = head_only ? 0 : response.body.size();
  response_state_ = ResponseState::kSending;
  sending_.Fill(now_ns());
  Transport& transport = client_->transport();
  transport.Write(local_reply_);
  WaitForClient();
  transport.Flush();
  if (response_state_ == ResponseState::kFinished) return;
  if (request_state_ == RequestState::kDiscarding) return DiscardRequest();
}

// --- Tunnel
// -------------------------------------------------------------------------------------------------

void Exchange::StartTunnel() {
  response_state_ = ResponseState::kTunnel;
  request_state_ = RequestState::kDone;
  close_after_ = true;
  upstream_->deadline().Clear();
  client_->transport().Flush();
  if (response_state_ == ResponseState::kFinished) return;
  PumpTunnel();
}

namespace {

// Moves what there is room for. True if any byte moved.
bool PumpRaw(Transport& from, Transport& to, uring::BufferLoans& buffers, uint64_t& bytes) {
  bool moved = false;
  while (!from.input().empty() && to.CanWrite()) {
    const std::string_view front = from.input().Front();
    const uring::BufferId buffer = from.input().front_buffer();
    buffers.Ref(buffer);
    to.Write(front, buffer);
    bytes += front.size();
    from.input().Consume(front.size());
    moved = true;
  }
  if (moved) to.Flush();
  return moved;
}

}  // namespace

void Exchange::PumpTunnel() {
  Transport& client = client_->transport();
  Transport& origin = upstream_->transport();
  uring::BufferLoans& buffers = worker_->loop().buffers();
  PumpRaw(client, origin, buffers, request_body_bytes_);
  PumpRaw(origin, client, buffers, response_body_bytes_);
  if (response_state_ == ResponseState::kFinished) return;
  if (tunnel_down_cut_ && origin.input_ended() && origin.input().empty() && client.drained()) {
    return client_->Abort(/*reset=*/true);
  }
  if (client.input_ended() && client.input().empty() && !tunnel_up_ended_) {
    tunnel_up_ended_ = true;
    origin.FinishOutput();
  }
  if (origin.input_ended() && origin.input().empty() && !tunnel_down_ended_ && !tunnel_down_cut_) {
    tunnel_down_ended_ = true;
    client.FinishOutput();
  }
  if (tunnel_up_ended_ && tunnel_down_ended_ && client.drained() && origin.drained()) {
    return client_->Abort(false);
  }
  client_->deadline().Set(now_ns() + worker_->settings().idle_timeout_ns);
  origin.Receive(NextReceive(origin, client, /*large=*/false));
  // Last: it may decrypt, and so come back here.
  client.Receive(NextReceive(client, origin, /*large=*/false));
}

// --- Ends
// ---------------------------------------------------------------------------------------------------

void Exchange::ReleaseUpstream(bool reusable) {
  if (upstream_ == nullptr) return;
  UpstreamConnection& upstream = *upstream_;
  upstream_ = nullptr;
  upstream.LetGoOfBody();
  worker_->upstreams().Release(upstream, reusable);
}

// The response can no longer be completed, and must not look complete. With a length or chunks its
// end is missing for all to see; a body that ends at close needs a reset.
void Exchange::AbortResponse() {
  close_after_ = true;
  client_->Abort(client_framing_ == http::BodyFraming::kUntilClose);
}

void Exchange::MaybeFinish() {
  if (response_state_ != ResponseState::kSending || !client_->transport().drained()) return;
  // A request whose rest is still being dropped is waited for, so that the connection can go on.
  if (request_state_ == RequestState::kDiscarding && !close_after_) return;
  Finish(!close_after_ && request_state_ == RequestState::kDone && !NoMoreRequests());
}

void Exchange::Finish(bool keep_alive) {
  ReleaseUpstream(false);
  response_state_ = ResponseState::kFinished;
  worker_->OnExchangeDone(*this);
  return client_->FinishExchange(keep_alive);
}

std::string Exchange::DebugString() const {
  static constexpr const char* kRequestNames[] = {"head", "gathering",  "inspecting", "waiting",
                                                  "body", "discarding", "done",       "abandoned"};
  static_assert(std::size(kRequestNames) == static_cast<size_t>(RequestState::kAbandoned) + 1);
  static constexpr const char* kResponseNames[] = {"none",    "head",   "body",
                                                   "sending", "tunnel", "finished"};
  std::string text =
      absl::StrCat("request=", kRequestNames[static_cast<int>(request_state_)],
                   " response=", kResponseNames[static_cast<int>(response_state_)],
                   " body_in=", request_body_bytes_, " body_out=", response_body_bytes_);
  if (!upstream_name_.empty()) absl::StrAppend(&text, " upstream=", upstream_name_);
  return text;
}

}  // namespace edge::proxy
