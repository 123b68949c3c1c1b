// The way from origin to client: interim responses, head, body, and what happens when the origin
// fails.

#include <algorithm>
#include <cerrno>

#include "absl/log/check.h"
#include "proxy/downstream_connection.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace edge::proxy {

using uring::Socket;

void Exchange::OnUpstreamInput() {
  switch (response_state_) {
    case ResponseState::kHead:
      return ReadResponseHead();
    case ResponseState::kBody:
      return PumpResponse();
    case ResponseState::kTunnel:
      return PumpTunnel();
    case ResponseState::kNone:
    case ResponseState::kSending:
    case ResponseState::kFinished:
      return;
  }
}

void Exchange::OnUpstreamInputEnd(InputEnd end) {
  // Linux reports a reset once, to the send or the receive, whichever asks first (sk_err): after a
  // failed send an end is no orderly one.
  origin_cut_ = end != InputEnd::kClean || upstream_->transport().output_failed();
  if (response_state_ == ResponseState::kTunnel) {
    // What the origin said before goes first.
    tunnel_down_cut_ = tunnel_down_cut_ || end != InputEnd::kClean;
    return PumpTunnel();
  }
  if (response_state_ == ResponseState::kBody) {
    // What was received before the end goes first.
    if (!upstream_->transport().input().empty()) return;
    return PumpResponse();
  }
  if (!upstream_->transport().input().empty()) return;  // an interim response waits for room
  return OnOriginFailed(UpstreamError::kClosedEarly, end == InputEnd::kClean
                                                         ? "the origin closed the connection"
                                                         : "the origin reset the connection");
}

void Exchange::OnUpstreamOutputProgress(bool) {
  if (response_state_ == ResponseState::kTunnel) return PumpTunnel();
  if (request_state_ == RequestState::kBody) return PumpRequest();
}

void Exchange::OnUpstreamOutputFailed(int error) {
  if (response_state_ == ResponseState::kTunnel) {
    tunnel_up_ended_ = true;  // it reads no more; its receive tells what it still said
    // EPIPE comes after the origin's FIN and cuts nothing. Any other error is told once, and the
    // receive will end as if by a FIN.
    if (error != EPIPE && !upstream_->transport().input_ended()) tunnel_down_cut_ = true;
    return PumpTunnel();
  }
  // The origin takes no more, but it may have answered before it stopped reading: the response, or
  // the end of the connection, is what decides.
  if (request_state_ == RequestState::kBody) {
    request_state_ = RequestState::kAbandoned;
    WaitForClient();
    client_->transport().Receive(Socket::ReceiveMode::kOff);
    WaitForOrigin();
  }
  Transport& origin = upstream_->transport();
  if (response_state_ == ResponseState::kHead && origin.input_ended() && origin.input().empty()) {
    return OnOriginFailed(UpstreamError::kClosedEarly, "the origin reset the connection");
  }
}

void Exchange::OnUpstreamDeadline() {
  if (response_state_ == ResponseState::kHead) {
    return OnOriginFailed(UpstreamError::kFirstByteTimeout, "the origin did not answer in time");
  }
  if (now_ns() >= ResponseEndsNs()) {
    return OnOriginFailed(UpstreamError::kResponseTimeout, "the response takes too long");
  }
  return OnOriginFailed(UpstreamError::kIdleTimeout, "the origin stopped in the middle");
}

// Sets the time by which the origin has to answer, or to go on with its answer: unless it is the
// client that is waited for. With bytes of the response left the origin may have nothing more to
// say.
void Exchange::WaitForOrigin() {
  const Settings& settings = worker_->settings();
  Transport& origin = upstream_->transport();
  Deadline& deadline = upstream_->deadline();
  if (response_state_ == ResponseState::kHead) {
    if (AwaitsBody()) return deadline.Clear();
    return deadline.Set(now_ns() + settings.UpstreamFirstByteTimeoutNs());
  }
  const bool client_reads_first =
      origin.receive_mode() == Socket::ReceiveMode::kOff || !origin.input().empty();
  if (AwaitsBody() || client_reads_first) return deadline.Set(ResponseEndsNs());
  deadline.Set(std::min(now_ns() + settings.upstream_timeout_ns, ResponseEndsNs()));
}

// The latest time for the last byte of an origin's response.
int64_t Exchange::ResponseEndsNs() const {
  const int64_t time_max_ns = worker_->settings().response_time_max_ns;
  if (time_max_ns == INT64_MAX || response_began_ns_ == 0) return INT64_MAX;
  return response_began_ns_ + time_max_ns;
}

void Exchange::ReadResponseHead() {
  InputQueue& input = upstream_->transport().input();
  if (first_byte_ns_ == 0 && !input.empty()) {
    if (AnswersNothing() && MayRetry()) {
      return OnOriginFailed(UpstreamError::kClosedEarly, "the origin spoke before it was asked");
    }
    first_byte_ns_ = now_ns();
  }
  while (!input.empty()) {
    // An interim head before this one goes first, or there might be no room for both.
    if (interim_responses_ > 0 && !output_.empty()) {
      return upstream_->transport().Receive(Socket::ReceiveMode::kOff);
    }
    const http::HeadProgress progress = response_parser_.Feed(input.Front());
    if (progress.consumed > 0) input.Consume(progress.consumed);
    switch (progress.status) {
      case http::HeadStatus::kNeedMore:
        continue;
      case http::HeadStatus::kNeedSpace:
        if (!Grow(response_block_, response_)) {
          return OnOriginFailed(UpstreamError::kLocalLimit, "no memory left for a large head");
        }
        continue;
      case http::HeadStatus::kRefused:
        return OnOriginRefused(response_parser_.refusal().reason);
      case http::HeadStatus::kComplete:
        break;
    }
    if (response_.interim()) {
      if (!ForwardInterim()) return;
      continue;
    }
    if (!OnResponseHead()) return;
    if (response_.upgrade) return StartTunnel();
    return PumpResponse();
  }
  if (upstream_->transport().input_ended()) {
    return OnOriginFailed(UpstreamError::kClosedEarly, "the origin closed the connection");
  }
  if (upstream_->transport().receive_mode() == Socket::ReceiveMode::kOff) {
    upstream_->ReceiveHead();
  }
}

// Whether the first bytes from a reused connection are no response to this request, which has not
// been sent: what an origin says when it closes an idle connection (408, for instance) may be in
// the same batch as the request.
bool Exchange::AnswersNothing() const {
  return upstream_->reused() && request_state_ == RequestState::kDone && request_body_bytes_ == 0 &&
         !upstream_->transport().drained();
}

// 1xx: passed on to a client that can know it (RFC 9110, 15.2). False: the exchange has failed.
bool Exchange::ForwardInterim() {
  if (++interim_responses_ > worker_->settings().policy.interim_responses_max) {
    OnOriginRefused(http::Reason::kInterimTooMany);
    return false;
  }
  if (request_.version == http::Version::kHttp11) {
    const http::ResponseForwarding forwarding{.client_version = request_.version};
    const auto head = output_.CommitWhat(
        [&](std::span<char> room) { return http::SerializeResponse(response_, forwarding, room); });
    if (!head.has_value()) {
      OnHeadTooLargeToForward();
      return false;
    }
    client_->transport().Write(*head);
    client_->transport().Flush();
    if (response_state_ == ResponseState::kFinished) return false;
  }
  const bool leave = response_.status == 100;
  response_.Clear();
  response_parser_.Start(&response_, request_.method, request_.upgrade);
  if (leave && request_state_ == RequestState::kBody &&
      client_->transport().receive_mode() != Socket::ReceiveMode::kOff) {
    // It may send now: from here on the client is waited for.
    client_to_send_ = true;
    WaitForClient();
  }
  WaitForOrigin();
  return true;
}

// False: the exchange has failed.
bool Exchange::OnResponseHead() {
  // A request that is not read to its end leaves bytes that nobody may take for another request.
  const bool request_pending = request_state_ != RequestState::kDone;
  const bool keep_alive =
      request_.keep_alive && !request_pending && !NoMoreRequests() && client_->MayGoOn();
  http::ResponseForwarding forwarding = http::PlanResponse(response_, request_.version, keep_alive);
  forwarding.date = worker_->DateText();
  forwarding.request_id = request_id();
  // The end of an empty chunked body may come before any of this is sent.
  const auto head = output_.CommitWhat(
      [&](std::span<char> room) { return http::SerializeResponse(response_, forwarding, room); },
      /*reserve=*/kEmptyChunkedBytes);
  if (!head.has_value()) {
    OnHeadTooLargeToForward();
    return false;
  }
  response_began_ns_ = now_ns();
  status_ = response_.status;
  close_after_ = forwarding.close;
  client_framing_ = forwarding.framing;
  origin_keep_alive_ = response_.keep_alive;
  response_started_ = true;
  response_chunk_open_ = false;
  response_state_ = ResponseState::kBody;
  response_body_.Start(response_.framing, response_.content_length, &worker_->settings().policy,
                       response_trailers_);
  upstream_->NoteResponseSize(
      response_.framing == http::BodyFraming::kLength ? response_.content_length : 0);
  client_->transport().Write(*head);
  LetGoOfHeads();
  return true;
}

// Moves the body as far as the client's connection has room.
void Exchange::PumpResponse() {
  Transport& client = client_->transport();
  Transport& origin = upstream_->transport();
  uring::BufferLoans& buffers = worker_->loop().buffers();
  const bool chunked = client_framing_ == http::BodyFraming::kChunked;
  if (response_body_.complete()) return EndResponse();
  while (!origin.input().empty() && client.CanWrite(3) &&
         (!chunked || output_.Room().size() >= kChunkAndEndBytesMax)) {
    const http::BodyReader::Step step = response_body_.Next(origin.input().Front());
    if (!step.data.empty()) {
      if (chunked) {
        const size_t bytes =
            http::WriteChunkHeader(output_.Room().data(), step.data.size(), !response_chunk_open_);
        client.Write(output_.Commit(bytes));
        response_chunk_open_ = true;
      }
      const uring::BufferId buffer = origin.input().front_buffer();
      buffers.Ref(buffer);
      client.Write(step.data, buffer);
      response_body_bytes_ += step.data.size();
    }
    if (step.consumed > 0) origin.input().Consume(step.consumed);
    if (step.event == http::BodyEvent::kRefused) {
      return OnOriginRefused(response_body_.refusal().reason);
    }
    if (step.event == http::BodyEvent::kEnd || response_body_.complete()) return EndResponse();
  }
  if (origin.input().empty() && origin.input_ended()) {
    if (!origin_cut_ && response_body_.CompleteAtEof()) {
      origin_keep_alive_ = false;
      return EndResponse();
    }
    return OnOriginFailed(UpstreamError::kClosedEarly, "the origin closed in the middle");
  }
  client.Flush();
  if (response_state_ == ResponseState::kFinished) return;
  return ReceiveResponse();
}

// Asks the origin for more, or waits for the client.
void Exchange::ReceiveResponse() {
  Transport& client = client_->transport();
  Transport& origin = upstream_->transport();
  const uint64_t size = std::max(response_body_.remaining(), response_body_bytes_);
  upstream_->NoteResponseSize(size);
  const Socket::ReceiveMode mode = NextReceive(origin, client, upstream_->large_responses());
  origin.Receive(mode);
  WaitForOrigin();
  WaitForClient();
}

void Exchange::EndResponse() {
  Transport& client = client_->transport();
  if (client_framing_ == http::BodyFraming::kChunked) {
    char* out = output_.Room().data();
    size_t bytes = http::WriteChunkHeader(out, 0, !response_chunk_open_);
    bytes += response_body_.trailers().copy(out + bytes, kTrailerBytesMax);
    bytes += std::string_view("\r\n").copy(out + bytes, 2);
    client.Write(output_.Commit(bytes));
  }
  response_state_ = ResponseState::kSending;
  if (response_.framing != http::BodyFraming::kLength) {
    upstream_->NoteResponseSize(response_body_bytes_);
  }
  if (request_state_ == RequestState::kBody) {
    // Answered before the request was read to its end: neither connection can go on.
    request_state_ = RequestState::kAbandoned;
    client.Receive(Socket::ReceiveMode::kOff);
  }
  if (request_state_ == RequestState::kAbandoned) close_after_ = true;
  ReleaseUpstream(origin_keep_alive_ && request_state_ == RequestState::kDone);
  WaitForClient();
  client.Flush();
  // Of a body that ends at close everything may be sent already.
  return MaybeFinish();
}

void Exchange::CountUpstreamError(UpstreamError error) {
  worker_->stats().upstream_errors[static_cast<size_t>(error)].Add();
  NoteReason(UpstreamErrorReason(error));
}

bool Exchange::MayRetry() const {
  return !response_started_ && interim_responses_ == 0 && request_body_bytes_ == 0 &&
         // Of a chunked body the end, and the trailers, have been taken from the input.
         request_.framing != http::BodyFraming::kChunked && request_body_.complete() &&
         attempts_ < kAttemptsMax && http::IsIdempotent(request_.method) && upstream_ != nullptr &&
         upstream_->reused() && first_byte_ns_ == 0;
}

void Exchange::OnOriginRefused(http::Reason reason) {
  worker_->stats().refusals[static_cast<size_t>(reason)].Add();
  return OnOriginFailed(UpstreamError::kInvalidResponse, http::Describe(reason).id);
}

void Exchange::OnHeadTooLargeToForward() {
  if (output_.large()) return OnOriginRefused(http::Reason::kHeadTooLargeToForward);
  return OnOriginFailed(UpstreamError::kLocalLimit, "no memory left for a large response head");
}

void Exchange::OnOriginFailed(UpstreamError error, std::string_view details) {
  if (error == UpstreamError::kClosedEarly && MayRetry()) {
    // The origin has closed a connection that it had kept open until then (RFC 9112, 9.3.1).
    worker_->stats().upstream_retries.Add();
    ReleaseUpstream(false);
    response_state_ = ResponseState::kNone;
    request_state_ = RequestState::kWaiting;
    first_byte_ns_ = 0;
    return StartUpstream();
  }
  CountUpstreamError(error);
  if (error == UpstreamError::kInvalidResponse) NoteReason(details);
  if (response_started_) {
    ReleaseUpstream(false);
    return AbortResponse();
  }
  switch (error) {
    case UpstreamError::kFirstByteTimeout:
      return ReplyError({.status = 504, .error = "http_response_timeout", .details = details});
    case UpstreamError::kIdleTimeout:
    case UpstreamError::kResponseTimeout:
      return ReplyError({.status = 504, .error = "connection_read_timeout", .details = details});
    case UpstreamError::kInvalidResponse:
      return ReplyError({.status = 502, .error = "http_protocol_error", .details = details});
    case UpstreamError::kLocalLimit:
      return ReplyError({.status = 503, .error = "proxy_internal_error", .details = details});
    case UpstreamError::kConnectRefused:
    case UpstreamError::kConnectTimeout:
    case UpstreamError::kClosedEarly:
    case UpstreamError::kNoneLeft:
      return ReplyError({.status = 502, .error = "connection_terminated", .details = details});
  }
}

}  // namespace edge::proxy
