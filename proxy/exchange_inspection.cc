// Inspection of a request, between its head and the origin.
//
//   block:   head --> [kGathering: body] --> kInspecting --> verdict --> Forward, or a local reply
//   detect:  head --> Forward at once; a copy is submitted when the body has passed, or enough of
//   it
//
// In block mode no byte of a request reaches an origin before the verdict on it. A body is gathered
// up to --waf_body_bytes_max; what is beyond follows the verdict and is not looked at, which is a
// verdict of its own (oversize).

#include <algorithm>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "proxy/downstream_connection.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace edge::proxy {

using uring::Socket;
using waf::Verdict;

namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
// What goes into one part of a send.
constexpr size_t kSliceBytes = 32 << 10;

}  // namespace

void Exchange::BeginInspection() {
  const InspectionSettings& settings = worker_->settings().inspection;
  const bool block = settings.mode == InspectionSettings::Mode::kBlock;
  const waf::Lane lane = block ? waf::Lane::kBlock : waf::Lane::kDetect;
  if (!MakeJob()) {
    worker_->CountShed(lane);
    return block ? Decide(Verdict::kShed) : Forward();
  }
  if (!block) {
    // Of a body that is not forwarded, only the head is looked at.
    if (request_body_.complete() || worker_->upstreams().empty()) SubmitCopy();
    return Forward();
  }
  if (request_body_.complete()) return AwaitVerdict();
  request_state_ = RequestState::kGathering;
  if (request_.expect_continue) {
    // RFC 9110, 10.1.1: nobody else can say so before the body is there.
    client_->transport().Write(kContinue);
    client_->transport().Flush();
    if (response_state_ == ResponseState::kFinished) return;
  }
  return GatherRequest();
}

// A copy of the head. False: there is no memory for it.
bool Exchange::MakeJob() {
  job_ = worker_->inspection()->NewJob();
  if (job_ == nullptr) return false;
  waf::InspectedRequest::Peers peers{.client_address = client_->address()};
  char server[kAddressTextMax];
  if (const std::optional<ProxyAddresses> endpoints = client_->Endpoints(); endpoints.has_value()) {
    const uring::SocketAddress local = endpoints->destination.ToSocketAddress();
    peers.client_port = endpoints->source.port;
    peers.server_address = {server, WriteAddress(local, server)};
    peers.server_port = endpoints->destination.port;
  }
  job_->request.Begin(request_, peers, request_id(), worker_->loop().WallNs());
  job_->rules = worker_->rules();
  if (worker_->inspection()->Account(*job_)) return true;
  job_.reset();
  return false;
}

void Exchange::GatherRequest() {
  Transport& client = client_->transport();
  const size_t bytes_max = worker_->settings().inspection.body_bytes_max;
  InputQueue& input = client.input();
  while (!input.empty()) {
    // No more of the body than that can be in as many bytes. When there is no room left one byte
    // tells whether the body goes on.
    const size_t room = std::max<size_t>(bytes_max - job_->request.body().size(), 1);
    const std::string_view bytes = input.Front().substr(0, room);
    if (!worker_->inspection()->MayGrow(*job_, bytes.size())) {
      worker_->CountShed(waf::Lane::kBlock);
      return Decide(Verdict::kShed);
    }
    const http::BodyReader::Step step = request_body_.Next(bytes);
    job_->request.AppendBody(step.data);
    if (step.consumed > 0) input.Consume(step.consumed);
    if (step.event == http::BodyEvent::kRefused) return Refuse(request_body_.refusal().reason);
    const bool oversize = job_->request.body().size() > bytes_max;
    if (oversize) job_->request.CutBody();
    if (step.event == http::BodyEvent::kEnd || request_body_.complete()) {
      job_->request.AppendTrailers(request_body_.trailers());
      return AwaitVerdict();
    }
    if (oversize) return AwaitVerdict();
  }
  if (client.input_ended()) return client_->Abort(false);
  sending_.Earn(client.bytes_received() - earned_received_, now_ns());
  earned_received_ = client.bytes_received();
  WaitForClient();
  const bool large = request_body_.remaining() > kLargeBodyBytes &&
                     !worker_->BuffersShort(uring::BufferGroup::kBody);
  // Last: it may decrypt, and so come back here.
  client.Receive(large ? Socket::ReceiveMode::kOnceLarge : Socket::ReceiveMode::kMultishot);
}

void Exchange::AwaitVerdict() {
  request_state_ = RequestState::kInspecting;
  WaitForClient();
  if (worker_->inspection()->Submit(*job_, waf::Lane::kBlock, this)) return;
  worker_->NoteVerdict(*job_, job_->verdict);
  return OnVerdict(*job_);
}

void Exchange::OnVerdict(waf::InspectionJob& job) {
  CHECK(request_state_ == RequestState::kInspecting);
  return Decide(job.verdict);
}

// What becomes of the request, by its verdict and the policy.
void Exchange::Decide(Verdict verdict) {
  const InspectionSettings& settings = worker_->settings().inspection;
  verdict_ = verdict;
  request_state_ = RequestState::kInspecting;
  WaitForClient();  // nothing is expected of it
  switch (verdict) {
    case Verdict::kAllow:
      return PassOn();
    case Verdict::kBlock: {
      NoteReason("waf.block");
      if (job_->status == 0) return client_->Abort(true);
      const std::string location =
          job_->redirect.empty() ? "" : absl::StrCat("Location: ", job_->redirect, "\r\n");
      return ReplyError({.status = job_->status,
                         .error = "http_request_denied",
                         .details = "denied by a rule",
                         .extra_fields = location});
    }
    case Verdict::kShed:
    case Verdict::kTimeout:
      if (settings.pass_on_overload) return PassOn();
      NoteReason(verdict == Verdict::kShed ? "waf.shed" : "waf.timeout");
      return ReplyError({.status = 503,
                         .error = "proxy_internal_error",
                         .details = "too many requests wait for inspection"});
    case Verdict::kOversize:
      if (settings.pass_on_oversize) return PassOn();
      NoteReason("waf.oversize");
      return ReplyError({.status = 413,
                         .error = "http_request_denied",
                         .details = "the body is larger than what is inspected"});
  }
}

void Exchange::PassOn() {
  // What was gathered is forwarded from the job. So is the end of a body in chunks that was read up
  // to it, even if nothing was in it.
  if (job_ != nullptr && job_->request.body().empty() &&
      request_.framing != http::BodyFraming::kChunked) {
    job_.reset();
  }
  return Forward();
}

// --- The gathered body, on its way to the origin

// Writes as much of it as there is room for, and leaves room for the end of a body in chunks. True:
// all of it is written.
bool Exchange::PumpGathered() {
  const std::string_view body = upstream_->body();
  Transport& origin = upstream_->transport();
  OutputBlock& output = upstream_->output();
  const bool chunked = request_.framing == http::BodyFraming::kChunked;
  const auto has_room = [&] {
    return origin.CanWrite(3) && (!chunked || output.Room().size() >= kChunkAndEndBytesMax);
  };
  while (gathered_sent_ < body.size()) {
    if (!has_room()) return false;
    const std::string_view slice = body.substr(gathered_sent_, kSliceBytes);
    if (chunked) {
      const size_t bytes =
          http::WriteChunkHeader(output.Room().data(), slice.size(), !request_chunk_open_);
      origin.Write(output.Commit(bytes));
      request_chunk_open_ = true;
    }
    origin.Write(slice);
    gathered_sent_ += slice.size();
    request_body_bytes_ += slice.size();
  }
  if (request_body_.complete() && !has_room()) return false;
  upstream_->LetGoOfBody();
  return true;
}

// --- The copy of a request that goes on meanwhile

void Exchange::CopyForInspection(std::string_view bytes) {
  const size_t bytes_max = worker_->settings().inspection.body_bytes_max;
  const std::string_view copied = bytes.substr(0, bytes_max - job_->request.body().size());
  if (!worker_->inspection()->MayGrow(*job_, copied.size())) {
    worker_->CountShed(waf::Lane::kDetect);
    return job_.reset();
  }
  job_->request.AppendBody(copied);
  if (copied.size() == bytes.size()) return;
  job_->request.CutBody();
  SubmitCopy();
}

void Exchange::SubmitCopy() {
  waf::InspectionJob& job = *job_;
  if (worker_->inspection()->Submit(job, waf::Lane::kDetect, nullptr)) {
    // It comes back to nobody.
    (void)job_.release();
    return;
  }
  worker_->NoteVerdict(job, job.verdict);
  job_.reset();
}

// The request goes no further. A verdict is of no use any more; but a copy is inspected as far as
// it came.
void Exchange::LetGoOfJob() {
  if (job_ == nullptr) return;
  if (worker_->settings().inspection.mode == InspectionSettings::Mode::kBlock) return job_.reset();
  job_->request.CutBody();
  SubmitCopy();
}

}  // namespace edge::proxy
