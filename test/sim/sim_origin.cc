#include "test/sim/sim_origin.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "test/sim/body.h"

namespace edge::sim {

using End = AnswerScript::End;

class SimOrigin::Connection final : public SimPeer, private HttpReader::Handler {
 public:
  Connection(SimOrigin* origin, Random random)
      : SimPeer(&origin->network_.world(), random), origin_(*origin) {}

 private:
  enum class State : uint8_t {
    kReading,    // a request, or waiting for one
    kAnswering,  // its answer has not been written yet; more requests wait
    kTunnel,
    kDone,  // reads and drops
  };

  Ledger::Entry& entry() { return origin_.ledger_.entry(exchange_->id); }
  void Violation(std::string_view what) {
    if (exchange_ == nullptr) return origin_.ledger_.Violation(absl::StrCat("origin: ", what));
    origin_.ledger_.Violation(exchange_->id, absl::StrCat("at the origin: ", what));
  }

  void CheckHead(const ReadHead& head);
  void AnswerLater();
  void Answer(uint64_t number);
  void AfterAnswer(uint64_t number);
  std::string AnswerHead() const;

  // SimPeer
  void OnBytes(std::string_view bytes) override;
  void OnEnd(int error) override;
  void OnWritten(bool failed) override;
  // HttpReader::Handler
  void OnHead(const ReadHead& head) override;
  void OnBody(std::string_view bytes) override;
  void OnMessageEnd() override;
  void OnTunnel(std::string_view bytes) override;

  SimOrigin& origin_;
  HttpReader reader_{HttpReader::Kind::kRequests, this};
  State state_ = State::kReading;
  const ExchangeScript* exchange_ = nullptr;  // the one that is read or answered
  uint64_t number_ = 0;                       // of the request on this connection
  uint64_t body_read_ = 0;
  bool answered_ = false;  // or about to be
  bool request_ended_ = false;
  bool half_closed_ = false;  // by the other side
  bool close_when_written_ = false;
  bool abort_when_written_ = false;
  bool answer_ends_ = false;  // what is being written completes the answer
};

SimOrigin::SimOrigin(SimNetwork* network, const Scenario* scenario, size_t index,
                     const Options& options, Ledger* ledger, Random random)
    : network_(*network),
      scenario_(*scenario),
      index_(index),
      behind_proxy_(options.behind_proxy),
      ledger_(*ledger),
      random_(random) {
  if (!scenario_.origins[index_].listens) return;
  listener_ = network_.Listen(options.address, 1024);
  listener_->set_observer(this);
}

SimOrigin::~SimOrigin() = default;

void SimOrigin::OnPending() {
  while (Endpoint* endpoint = listener_->Accept()) {
    connections_.push_back(std::make_unique<Connection>(this, random_.Fork()));
    connections_.back()->Attach(endpoint, scenario_.origins[index_].pace);
  }
}

// --- Reading

void SimOrigin::Connection::OnBytes(std::string_view bytes) {
  if (state_ == State::kDone) return;
  if (!reader_.Feed(bytes)) {
    Violation(absl::StrCat("could not read: ", reader_.error()));
    state_ = State::kDone;
    Abort();
  }
}

void SimOrigin::Connection::OnHead(const ReadHead& head) {
  if (state_ == State::kAnswering) {
    Violation("another request before the answer to the last");
    return reader_.Stop();
  }
  exchange_ = nullptr;
  uint64_t id = 0;
  if (!head.target.starts_with("/x/") || !absl::SimpleAtoi(head.target.substr(3), &id) ||
      !origin_.scenario_.exists(id)) {
    Violation(absl::StrCat("target ", head.target));
    return reader_.Stop();
  }
  exchange_ = &origin_.scenario_.exchange(id);
  ++number_;
  body_read_ = 0;
  answered_ = request_ended_ = answer_ends_ = false;
  state_ = State::kAnswering;
  world().Log("origin request", {{"end", endpoint_id()}, {"id", int64_t(id)}});
  CheckHead(head);
  if (++entry().requests_at_origins > 1 && !exchange_->idempotent()) {
    Violation(absl::StrCat(head.method, " came twice"));
  }
  if (exchange_->expect_continue && head.Find("expect") != nullptr && !exchange_->answer.early) {
    Write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (exchange_->answer.early) AnswerLater();
}

void SimOrigin::Connection::CheckHead(const ReadHead& head) {
  if (head.method != exchange_->method) Violation(absl::StrCat("method ", head.method));
  if (head.Count("host") != 1 || *head.Find("host") != "sim.test") Violation("Host");
  for (const auto& [name, value] : PadFields(RequestBodyKey(exchange_->id), exchange_->pad_bytes)) {
    const std::string* found = head.Find(name);
    if (found == nullptr || *found != value) Violation(absl::StrCat("field ", name));
  }
  if (!origin_.behind_proxy_) return;
  if (head.version != "HTTP/1.1") Violation(absl::StrCat("version ", head.version));
  for (const char* name : {"via", "x-request-id", "x-forwarded-for"}) {
    if (head.Count(name) != 1) Violation(absl::StrCat(head.Count(name), " times ", name));
  }
  if (head.Find("x-sim-hop") != nullptr) Violation("a field that Connection named");
  const bool has_length = head.Find("content-length") != nullptr;
  if (has_length != (exchange_->framing == Framing::kLength)) Violation("Content-Length");
  const bool is_chunked = head.Find("transfer-encoding") != nullptr;
  if (is_chunked != (exchange_->framing == Framing::kChunked)) Violation("Transfer-Encoding");
}

void SimOrigin::Connection::OnBody(std::string_view bytes) {
  if (body_read_ + bytes.size() > exchange_->body_bytes) {
    Violation("a request longer than the client's");
  } else if (!IsBodyAt(RequestBodyKey(exchange_->id), body_read_, bytes)) {
    Violation(absl::StrCat("wrong bytes in the request, near ", body_read_));
  }
  body_read_ += bytes.size();
}

void SimOrigin::Connection::OnMessageEnd() {
  if (body_read_ != exchange_->body_bytes) {
    Violation(
        absl::StrCat("looks complete with ", body_read_, " bytes of ", exchange_->body_bytes));
  }
  if (exchange_->trailers && reader_.trailers().size() != 1) {
    Violation(absl::StrCat(reader_.trailers().size(), " trailers"));
  }
  ++entry().complete_at_origins;
  request_ended_ = true;
  if (!exchange_->answer.early) {
    AnswerLater();
  } else if (answered_ && unwritten() == 0) {
    OnWritten(false);
  }
}

void SimOrigin::Connection::OnTunnel(std::string_view bytes) {
  body_read_ += bytes.size();
  Write(bytes);
}

void SimOrigin::Connection::OnEnd(int error) {
  world().Log("origin end", {{"end", endpoint_id()}, {"error", error}});
  if (state_ == State::kTunnel && error == 0) return FinishWriting();
  if (state_ == State::kAnswering && error == 0 && request_ended_) {
    half_closed_ = true;  // and waits for the answer
    return;
  }
  state_ = State::kDone;
  // The script's reset is not made orderly by a client that went first.
  abort_when_written_ ? Abort() : Close();
}

// --- Answering

void SimOrigin::Connection::AnswerLater() {
  const int64_t delay_ns = random().Between(0, exchange_->answer.delay_ns);
  world().scheduler.After(delay_ns, [this, number = number_] { Answer(number); });
}

std::string SimOrigin::Connection::AnswerHead() const {
  const AnswerScript& answer = exchange_->answer;
  std::string head = absl::StrCat(answer.http10 ? "HTTP/1.0 " : "HTTP/1.1 ", answer.status,
                                  " Reason\r\nX-Sim-Id: ", exchange_->id, "\r\nServer: sim\r\n");
  for (const auto& [name, value] : PadFields(ResponseBodyKey(exchange_->id), answer.pad_bytes)) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  if (answer.tunnel) {
    return absl::StrCat(head, "Connection: Upgrade\r\nUpgrade: sim\r\n\r\n");
  }
  if (answer.status != 204 && answer.status != 304) {
    if (answer.framing == Framing::kLength) {
      absl::StrAppend(&head, "Content-Length: ", answer.body_bytes, "\r\n");
    } else if (answer.framing == Framing::kChunked) {
      absl::StrAppend(&head, "Transfer-Encoding: chunked\r\n");
    }
  }
  if (answer.says_close) {
    absl::StrAppend(&head, "Connection: close\r\n");
  } else if (origin_.behind_proxy_) {
    absl::StrAppend(&head, "Connection: X-Sim-Hop\r\nX-Sim-Hop: for the next hop only\r\n");
  }
  absl::StrAppend(&head, "\r\n");
  return head;
}

void SimOrigin::Connection::Answer(uint64_t number) {
  if (!open() || state_ != State::kAnswering || number != number_) return;
  const AnswerScript& answer = exchange_->answer;
  answered_ = true;
  if (answer.end == End::kSilent) return;
  if (answer.end == End::kFinBeforeHead || answer.end == End::kResetBeforeHead) {
    state_ = State::kDone;
    return answer.end == End::kFinBeforeHead ? Close() : Abort();
  }
  for (int i = 0; i < answer.interim_responses; ++i) {
    Write("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
  }
  std::string bytes = AnswerHead();
  uint64_t body_bytes = exchange_->answer_has_body() ? answer.body_bytes : 0;
  const bool cut = answer.end == End::kFinInBody || answer.end == End::kResetInBody ||
                   answer.end == End::kStallInBody;
  if (cut) body_bytes = random().Below(body_bytes);
  const uint64_t key = ResponseBodyKey(exchange_->id);
  if (answer.framing == Framing::kChunked && exchange_->answer_has_body()) {
    uint64_t offset = 0;
    while (offset < body_bytes) {
      const uint64_t size = random().Skewed(body_bytes - offset);
      absl::StrAppend(&bytes, absl::Hex(size), "\r\n", BodyBytes(key, offset, size), "\r\n");
      offset += size;
    }
    if (!cut) absl::StrAppend(&bytes, "0\r\n", answer.trailers ? "X-Sim-End: 1\r\n" : "", "\r\n");
  } else {
    bytes += BodyBytes(key, 0, body_bytes);
  }
  answer_ends_ = !cut;
  close_when_written_ = answer.end == End::kFinInBody || (!cut && answer.says_close);
  abort_when_written_ = answer.end == End::kResetInBody;
  if (answer.tunnel) {
    state_ = State::kTunnel;
    reader_.StartTunnel();
  }
  // Noted when it is handed to the kernel, which is before anybody can have read its end.
  Write(bytes);
}

void SimOrigin::Connection::OnWritten(bool failed) {
  if (!answered_ || exchange_ == nullptr) return;
  if (failed) {
    // What was not taken is lost; the reader will see the end.
    return;
  }
  if (answer_ends_) {
    answer_ends_ = false;
    ++entry().answers_complete;
  }
  if (abort_when_written_) {
    state_ = State::kDone;
    // Not at once, so that what was written has a chance to arrive.
    world().scheduler.After(random().Between(0, 5'000'000), [this] { Abort(); });
    return;
  }
  if (state_ != State::kAnswering) return;
  if (close_when_written_) {
    state_ = State::kDone;
    if (request_ended_) return Close();
    // Lingering, as the request is still coming (RFC 9112, 9.6).
    return FinishWriting();
  }
  if (exchange_->answer.end != End::kComplete || !request_ended_) return;
  state_ = State::kReading;
  if (half_closed_) return Close();
  if (exchange_->answer.closes_silently) {
    const int64_t delay_ns = random().Between(0, exchange_->answer.delay_ns);
    world().scheduler.After(delay_ns, [this, number = number_] { AfterAnswer(number); });
  }
}

// The end of a connection that the other side thinks it may use again.
void SimOrigin::Connection::AfterAnswer(uint64_t number) {
  if (!open() || number != number_ || state_ != State::kReading) return;
  state_ = State::kDone;
  Close();
}

}  // namespace edge::sim
