// The way from client to origin: head, lease, head anew, body.

#include <algorithm>

#include "absl/log/check.h"
#include "proxy/downstream_connection.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace edge::proxy {

using uring::Socket;

void Exchange::ReadRequestHead() {
  InputQueue& input = client_->transport().input();
  while (!input.empty()) {
    const http::HeadProgress progress = request_parser_.Feed(input.Front());
    if (progress.consumed > 0) input.Consume(progress.consumed);
    switch (progress.status) {
      case http::HeadStatus::kNeedMore:
        continue;
      case http::HeadStatus::kNeedSpace:
        if (!Grow(request_block_, request_)) {
          request_state_ = RequestState::kAbandoned;
          return ReplyError({.status = 503, .details = "no memory left for a large request head"});
        }
        continue;
      case http::HeadStatus::kRefused:
        return Refuse(request_parser_.refusal().reason);
      case http::HeadStatus::kComplete:
        return OnRequestHead();
    }
  }
  // The end came behind the request before this one.
  if (client_->transport().input_ended()) client_->Abort(false);
}

void Exchange::OnRequestHead() {
  head_complete_ = true;
  log_method_ = request_.method_name();
  log_host_ = request_.host();
  log_target_ = request_.target();
  request_state_ = RequestState::kWaiting;
  client_->deadline().Clear();
  const http::ValidationPolicy& policy = worker_->settings().policy;
  request_body_.Start(request_.framing, request_.content_length, &policy, request_trailers_,
                      policy.request_body_bytes_max);
  ChooseRequestId();
  if (request_.max_forwards == 0u) {
    // RFC 9110, 7.6.2: the last hop answers itself.
    LocalResponse response;
    response.extra_fields = AllowField();
    return ReplyLocally(response);
  }
  if (worker_->inspection() != nullptr) return BeginInspection();
  return Forward();
}

void Exchange::Forward() {
  request_state_ = RequestState::kWaiting;
  if (worker_->upstreams().empty()) {
    return ReplyLocally(
        worker_->local_origin().Respond(request_, client_->address(), client_->tls()));
  }
  return StartUpstream();
}

// Leases a connection; called again for each attempt.
void Exchange::StartUpstream() {
  ++attempts_;
  const bool fresh = attempts_ > 1;
  const UpstreamPool::Lease lease = worker_->upstreams().Acquire(this, tried_, fresh);
  switch (lease.status) {
    case UpstreamPool::LeaseStatus::kReady:
      upstream_ = lease.connection;
      upstream_name_ = upstream_->endpoint().name;
      return OnUpstreamReady();
    case UpstreamPool::LeaseStatus::kConnecting:
      upstream_ = lease.connection;
      upstream_name_ = upstream_->endpoint().name;
      return;
    case UpstreamPool::LeaseStatus::kNoneLeft:
      if (tried_.any()) return ReplyConnectFailed();  // counted already
      CountUpstreamError(UpstreamError::kNoneLeft);
      return ReplyError({.status = 503,
                         .error = "destination_unavailable",
                         .details = "every upstream is backing off"});
    case UpstreamPool::LeaseStatus::kLocalLimit:
      CountUpstreamError(UpstreamError::kLocalLimit);
      return ReplyError({.status = 503,
                         .error = "connection_limit_reached",
                         .details = "no connection to an origin can be opened"});
  }
}

void Exchange::OnUpstreamConnected() { OnUpstreamReady(); }

void Exchange::OnUpstreamConnectFailed(int error) {
  connect_error_ = error == ETIMEDOUT    ? UpstreamError::kConnectTimeout
                   : IsLocalLimit(error) ? UpstreamError::kLocalLimit
                                         : UpstreamError::kConnectRefused;
  tried_[upstream_->endpoint().index] = true;
  upstream_ = nullptr;  // the pool has ended the lease
  CountUpstreamError(connect_error_);
  // Nothing of the request has left, so another origin may get it whatever its method.
  if (attempts_ < kAttemptsMax && tried_.count() < worker_->upstreams().endpoint_count()) {
    worker_->stats().upstream_retries.Add();
    return StartUpstream();
  }
  return ReplyConnectFailed();
}

// As the last connect failed.
void Exchange::ReplyConnectFailed() {
  switch (connect_error_) {
    case UpstreamError::kConnectTimeout:
      return ReplyError({.status = 504,
                         .error = "connection_timeout",
                         .details = "the origin did not accept the connection in time"});
    case UpstreamError::kLocalLimit:
      return ReplyError({.status = 503,
                         .error = "connection_limit_reached",
                         .details = "no connection to an origin can be opened"});
    default:
      return ReplyError({.status = 502,
                         .error = "connection_refused",
                         .details = "the origin refused the connection"});
  }
}

void Exchange::OnUpstreamReady() {
  if (!WriteRequestHead()) {
    if (!upstream_->output().large()) {
      request_state_ = RequestState::kAbandoned;
      CountUpstreamError(UpstreamError::kLocalLimit);
      return ReplyError({.status = 503,
                         .error = "proxy_internal_error",
                         .details = "no memory left for a large request head"});
    }
    return Refuse(http::Reason::kHeadTooLargeToForward);
  }
  response_state_ = ResponseState::kHead;
  origin_cut_ = false;
  response_.Bind(response_block_.bytes);
  response_parser_.Start(&response_, request_.method, request_.upgrade);
  WaitForOrigin();
  if (upstream_->transport().receive_mode() == Socket::ReceiveMode::kOff) {
    upstream_->ReceiveHead();
  }
  const bool gathered = verdict_.has_value() && job_ != nullptr;
  if (gathered) upstream_->KeepBody(std::move(job_));
  if (request_body_.complete() && !gathered) {
    request_state_ = RequestState::kDone;
    return upstream_->transport().Flush();
  }
  request_state_ = RequestState::kBody;
  return PumpRequest();
}

// Behind the PROXY header, if the origin wants one.
bool Exchange::WriteRequestHead() {
  http::RequestForwarding forwarding =
      http::PlanRequest(request_,
                        {.address = client_->address(),
                         .tls = client_->tls(),
                         .trusted_proxy = client_->trusted_proxy()},
                        worker_->settings().forwarded_fields);
  forwarding.request_id = request_id();
  // Edge has given the leave already.
  if (verdict_.has_value() && job_ != nullptr) forwarding.expect_continue = false;
  forwarding.host_if_absent = upstream_->endpoint().name;
  OutputBlock& output = upstream_->output();
  const auto head = output.CommitWhat([&](std::span<char> room) -> std::optional<size_t> {
    // This connection is new: nobody's bytes are on it yet.
    size_t written = 0;
    if (const ProxyProtocol version = upstream_->endpoint().proxy_protocol;
        version != ProxyProtocol::kNone) {
      const auto header = WriteProxyHeader(version, client_->Endpoints(), room);
      if (!header.has_value()) return std::nullopt;
      written = *header;
    }
    const auto bytes = http::SerializeRequest(request_, forwarding, room.subspan(written));
    if (!bytes.has_value()) return std::nullopt;
    return written + *bytes;
  });
  if (!head.has_value()) return false;
  upstream_->transport().Write(*head);
  request_chunk_open_ = false;
  return true;
}

// Moves the body as far as the origin's connection has room.
void Exchange::PumpRequest() {
  Transport& client = client_->transport();
  Transport& origin = upstream_->transport();
  OutputBlock& output = upstream_->output();
  uring::BufferLoans& buffers = worker_->loop().buffers();
  const bool chunked = request_.framing == http::BodyFraming::kChunked;
  if (!PumpGathered()) {
    client_to_send_ = false;
    origin.Flush();
    WaitForClient();
    WaitForOrigin();
    // What is behind the gathered body is enough for now.
    return client.Receive(Socket::ReceiveMode::kOff);
  }
  if (request_body_.complete()) return EndRequest();
  while (!client.input().empty() && origin.CanWrite(3) &&
         (!chunked || output.Room().size() >= kChunkAndEndBytesMax)) {
    const http::BodyReader::Step step = request_body_.Next(client.input().Front());
    if (!step.data.empty()) {
      if (chunked) {
        const size_t bytes =
            http::WriteChunkHeader(output.Room().data(), step.data.size(), !request_chunk_open_);
        origin.Write(output.Commit(bytes));
        request_chunk_open_ = true;
      }
      const uring::BufferId buffer = client.input().front_buffer();
      buffers.Ref(buffer);
      origin.Write(step.data, buffer);
      request_body_bytes_ += step.data.size();
      if (job_ != nullptr) CopyForInspection(step.data);
    }
    if (step.consumed > 0) client.input().Consume(step.consumed);
    if (step.event == http::BodyEvent::kRefused) {
      return Refuse(request_body_.refusal().reason);
    }
    if (step.event == http::BodyEvent::kEnd || request_body_.complete()) return EndRequest();
  }
  origin.Flush();
  if (client.input_ended() && client.input().empty()) return client_->Abort(false);
  return ReceiveRequest();
}

void Exchange::EndRequest() {
  Transport& origin = upstream_->transport();
  if (job_ != nullptr) SubmitCopy();
  if (request_.framing == http::BodyFraming::kChunked) {
    OutputBlock& output = upstream_->output();
    CHECK_GE(output.Room().size(), kChunkAndEndBytesMax);
    char* out = output.Room().data();
    size_t bytes = http::WriteChunkHeader(out, 0, !request_chunk_open_);
    bytes += request_body_.trailers().copy(out + bytes, kTrailerBytesMax);
    bytes += std::string_view("\r\n").copy(out + bytes, 2);
    origin.Write(output.Commit(bytes));
  }
  request_state_ = RequestState::kDone;
  // From now on the client is waited for only if it has to read.
  WaitForClient();
  WaitForOrigin();
  origin.Flush();
  // Back to what a connection between requests has.
  client_->transport().Receive(Socket::ReceiveMode::kMultishot);
}

void Exchange::ReceiveRequest() {
  Transport& client = client_->transport();
  const bool large = request_body_.remaining() > kLargeBodyBytes;
  const Socket::ReceiveMode mode = NextReceive(client, upstream_->transport(), large);
  // A client that waits for leave to send waits for the origin, and so does one whose bytes the
  // origin does not take.
  const bool waits_for_leave = request_.expect_continue && interim_responses_ == 0 &&
                               request_body_bytes_ == 0 && response_state_ == ResponseState::kHead;
  sending_.Earn(client.bytes_received() - earned_received_, now_ns());
  earned_received_ = client.bytes_received();
  client_to_send_ = mode != Socket::ReceiveMode::kOff && !waits_for_leave;
  WaitForClient();
  WaitForOrigin();
  // Last: it may decrypt, and so come back here or end the request.
  client.Receive(mode);
}

// Drops the rest of the body after a local reply.
void Exchange::DiscardRequest() {
  Transport& client = client_->transport();
  InputQueue& input = client.input();
  while (!input.empty()) {
    const http::BodyReader::Step step = request_body_.Next(input.Front());
    if (step.consumed > 0) input.Consume(step.consumed);
    discarded_bytes_ += step.consumed;
    if (step.event == http::BodyEvent::kRefused || discarded_bytes_ > kDiscardBytesMax) {
      request_state_ = RequestState::kAbandoned;
      input.Clear();
      close_after_ = true;
      return MaybeFinish();
    }
    if (step.event == http::BodyEvent::kEnd || request_body_.complete()) {
      request_state_ = RequestState::kDone;
      client.Receive(Socket::ReceiveMode::kMultishot);
      return MaybeFinish();
    }
  }
  if (client.input_ended()) {
    request_state_ = RequestState::kAbandoned;
    close_after_ = true;
    return MaybeFinish();
  }
  client.Receive(Socket::ReceiveMode::kMultishot);
}

}  // namespace edge::proxy
