#include "test/sim/hostile_origin.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "test/sim/http_reader.h"
#include "test/sim/mutator.h"
#include "test/sim/sim_peer.h"

namespace edge::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;

// Attempts that the proxy makes for one request.
constexpr int kAttemptsMax = 4;

// What the proxy writes itself, and what else is judged for itself.
bool IsOfProxy(std::string_view name) {
  constexpr std::string_view kNames[] = {
      "host", "via",    "x-request-id",      "connection", "upgrade",     "content-length",
      "te",   "expect", "transfer-encoding", "forwarded",  "max-forwards"};
  return name.starts_with("x-forwarded-") ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool IsIdempotent(std::string_view method) {
  constexpr std::string_view kNames[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
  return std::find(std::begin(kNames), std::end(kNames), method) != std::end(kNames);
}

}  // namespace

class HostileOrigin::Connection final : public SimPeer, private HttpReader::Handler {
 public:
  Connection(HostileOrigin* origin, Random random)
      : SimPeer(&origin->network_.world(), random), origin_(*origin) {}

  void Begin(Endpoint* endpoint, const Pace& pace);

 private:
  enum class State : uint8_t {
    kReading,    // a request, or waiting for one
    kAnswering,  // its answer has not been written yet
    kTunnel,
    kDone,  // reads and drops
  };
  // What follows when everything is written.
  enum class Then : uint8_t { kGoOn, kClose, kHalfClose, kReset, kStall };
  using Source = HostileLedger::Request::Source;

  bool Misbehaves() { return random().Chance(origin_.scenario_.origin_trouble); }
  void Violation(std::string_view what);
  void Count(std::string_view what) { world().coverage.Count(what); }
  void Emit(std::string_view bytes);
  void EndInOrder(bool close);
  void CloseNow();
  void CheckReuse();
  void CheckHead(const ReadHead& head);
  void AnswerLater();
  void Answer(uint64_t number);
  void DisturbIdle(uint64_t number);

  // SimPeer
  void OnBytes(std::string_view bytes) override;
  void OnEnd(int error) override;
  void OnWritten(bool failed) override;
  // HttpReader::Handler
  void OnHead(const ReadHead& head) override;
  void OnBody(std::string_view bytes) override;
  void OnMessageEnd() override;
  void OnTunnel(std::string_view bytes) override;

  HostileOrigin& origin_;
  HttpReader reader_{HttpReader::Kind::kRequests, this};
  State state_ = State::kReading;
  uint64_t number_ = 0;  // of the request on this connection
  HostileLedger::Request* request_ = nullptr;
  std::vector<Source> sources_;  // that the request may be
  std::string method_;
  size_t body_bytes_ = 0;
  size_t tunnel_bytes_ = 0;
  bool request_ended_ = false;
  // What has been written since the last request.
  std::shared_ptr<HostileLedger::Answer> answer_ = std::make_shared<HostileLedger::Answer>();
  // What of that is behind the answer.
  std::shared_ptr<HostileLedger::Answer> unasked_;
  bool answered_ = false;  // all that is to be written of the answer has been handed over
  bool sound_ = false;     // nothing is wrong with it
  Then then_ = Then::kGoOn;
};

HostileOrigin::HostileOrigin(SimNetwork* network, const HostileScenario* scenario, size_t index,
                             const uring::SocketAddress& address, HostileLedger* ledger,
                             uint64_t* keys, Random random)
    : network_(*network),
      scenario_(*scenario),
      index_(index),
      ledger_(*ledger),
      keys_(*keys),
      random_(random),
      listener_(network->Listen(address, 1024)) {
  listener_->set_observer(this);
}

HostileOrigin::~HostileOrigin() = default;

void HostileOrigin::OnPending() {
  while (Endpoint* endpoint = listener_->Accept()) {
    connections_.push_back(std::make_unique<Connection>(this, random_.Fork()));
    connections_.back()->Begin(endpoint, scenario_.origins[index_]);
  }
}

void HostileOrigin::Connection::Violation(std::string_view what) {
  origin_.ledger_.Violation(
      absl::StrCat("origin end ", endpoint_id(), ", request ", number_, ": ", what));
}

void HostileOrigin::Connection::Begin(Endpoint* endpoint, const Pace& pace) {
  Attach(endpoint, pace);
  if (!Misbehaves() || !Misbehaves()) return;
  // Before anything was asked.
  const uint64_t choice = random().Below(4);
  Count("origin: speaks or ends before it is asked");
  if (choice == 0) return Close();
  if (choice == 1) return Abort();
  std::string bytes = MakeHonestAnswer(++origin_.keys_, "GET", false, random()).bytes;
  if (choice == 2) Mutate(MessageKind::kResponse, bytes, std::string(bytes), random());
  Emit(bytes);
}

// --- Reading

void HostileOrigin::Connection::OnBytes(std::string_view bytes) {
  if (state_ == State::kDone) return;
  if (!reader_.Feed(bytes)) {
    Violation(absl::StrCat("could not read: ", reader_.error()));
    state_ = State::kDone;
    Abort();
  }
}

// The request before this one has left the connection as one that can be used.
void HostileOrigin::Connection::CheckReuse() {
  const auto last = answer_;
  answer_ = std::make_shared<HostileLedger::Answer>();
  std::string_view rest = last->bytes;
  if (number_ > 0) {
    const WireResponse response = ReadResponse(last->bytes, method_, last->ended);
    const bool usable = response.final.complete() && response.final.keep_alive && request_ended_;
    if (!usable) Violation("on a connection whose last response forbids it");
    rest.remove_prefix(std::min(response.final.end, rest.size()));
  }
  if (rest.empty()) return;
  // The same one: who has taken it for an answer already, reads on.
  if (unasked_ != nullptr) answer_ = std::move(unasked_);
  answer_->bytes = rest;
  answer_->unasked = true;
  Count("origin: request behind bytes that nobody asked for");
  if (origin_.ledger_.WasNoticeable(*answer_, *request_)) {
    Violation("on a connection that had unasked-for bytes on it for long");
  }
}

void HostileOrigin::Connection::OnHead(const ReadHead& head) {
  request_ = origin_.ledger_.Find(head.method, head.target);
  if (request_ == nullptr) {
    Violation(absl::StrCat("nobody asked for: ", head.method, " ", head.target));
    state_ = State::kDone;
    return reader_.Stop();
  }
  CheckReuse();
  ++number_;
  world().Log("origin request", {{"end", endpoint_id()}, {"number", int64_t(number_)}});
  method_ = head.method;
  answer_->method = method_;
  request_->answers.push_back(answer_);
  body_bytes_ = 0;
  answered_ = request_ended_ = sound_ = false;
  then_ = Then::kGoOn;
  state_ = State::kAnswering;
  CheckHead(head);
  const int heads_max =
      static_cast<int>(request_->sources.size()) * (IsIdempotent(method_) ? kAttemptsMax : 1);
  if (++request_->heads_at_origins > heads_max) {
    Violation(absl::StrCat(method_, " came ", request_->heads_at_origins, " times"));
  }
  const bool hostile = std::any_of(sources_.begin(), sources_.end(),
                                   [](const Source& source) { return !source.client->behaves; });
  Count(hostile ? "origin: request of a hostile client" : "origin: request of a good client");
  if (head.Find("upgrade") != nullptr && random().Chance(0.7)) {
    Count("origin: agrees to an upgrade");
    reader_.StartTunnel();
    state_ = State::kTunnel;
    tunnel_bytes_ = 0;
    return Emit("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sim\r\n\r\n");
  }
  if (Misbehaves() && random().Chance(0.3)) {
    Count("origin: answers before the request is read");
    return AnswerLater();
  }
  if (head.Find("expect") != nullptr && !Misbehaves()) Emit("HTTP/1.1 100 Continue\r\n\r\n");
}

void HostileOrigin::Connection::CheckHead(const ReadHead& head) {
  sources_.clear();
  for (const Source& source : request_->sources) {
    const WireMessage& message = *source.message;
    const bool fields = std::all_of(head.fields.begin(), head.fields.end(), [&](const auto& field) {
      return IsOfProxy(field.first) || message.Has(field.first, field.second);
    });
    const std::string* length = head.Find("content-length");
    const bool framed = message.framing == WireMessage::Body::kChunked
                            ? head.Count("transfer-encoding") == 1
                        : message.framing == WireMessage::Body::kLength
                            ? length != nullptr && *length == absl::StrCat(message.length)
                            : length == nullptr && head.Count("transfer-encoding") == 0;
    const std::string* host = head.Find("host");
    const bool named = host != nullptr && (message.host.empty() || *host == message.host);
    if (fields && framed && named) sources_.push_back(source);
  }
  if (sources_.empty()) Violation("fields, framing or Host are not those that were sent");
  if (head.version != "HTTP/1.1") Violation(absl::StrCat("version ", head.version));
  if (head.Count("host") != 1) Violation(absl::StrCat(head.Count("host"), " times Host"));
  const auto allow = [&](const char* name, std::initializer_list<std::string_view> values) {
    const std::string* value = head.Find(name);
    if (value == nullptr) return;
    const bool allowed = std::find(values.begin(), values.end(), *value) != values.end();
    if (!allowed || head.Count(name) > 1) Violation(absl::StrCat(name, ": ", *value));
  };
  const bool upgrade = head.Find("upgrade") != nullptr;
  if (upgrade) {
    allow("connection", {"Upgrade", "Upgrade, TE"});
    if (head.Find("connection") == nullptr) Violation("Upgrade without Connection");
  } else {
    allow("connection", {"TE"});
  }
  allow("te", {"trailers"});
  allow("expect", {"100-continue"});
  for (const char* name : {"keep-alive", "proxy-connection", "proxy"}) allow(name, {});
  if (head.Count("via") == 0) Violation("no Via");
}

void HostileOrigin::Connection::OnBody(std::string_view bytes) {
  if (sources_.empty()) return;
  std::erase_if(sources_, [&](const Source& source) {
    return source.message->body.compare(std::min(body_bytes_, source.message->body.size()),
                                        bytes.size(), bytes) != 0;
  });
  body_bytes_ += bytes.size();
  if (sources_.empty()) Violation(absl::StrCat("wrong bytes in the body, before ", body_bytes_));
}

void HostileOrigin::Connection::OnMessageEnd() {
  const bool whole = std::any_of(sources_.begin(), sources_.end(), [&](const Source& source) {
    const WireMessage& message = *source.message;
    return message.complete() && message.body.size() == body_bytes_ &&
           std::all_of(reader_.trailers().begin(), reader_.trailers().end(), [&](const auto& t) {
             return std::find(message.trailers.begin(), message.trailers.end(), t) !=
                    message.trailers.end();
           });
  });
  if (!whole && !sources_.empty()) {
    Violation(absl::StrCat("looks complete with ", body_bytes_, " bytes, and is not"));
  }
  request_ended_ = true;
  AnswerLater();
}

void HostileOrigin::Connection::OnTunnel(std::string_view bytes) {
  if (!sources_.empty()) {
    std::erase_if(sources_, [&](const Source& source) {
      return source.client->stream.compare(source.message->end + tunnel_bytes_, bytes.size(),
                                           bytes) != 0;
    });
    if (sources_.empty()) Violation("wrong bytes in the tunnel");
  }
  tunnel_bytes_ += bytes.size();
  Emit(bytes);
}

void HostileOrigin::Connection::OnEnd(int error) {
  world().Log("origin end", {{"end", endpoint_id()}, {"error", error}});
  if (state_ == State::kTunnel && error == 0) return EndInOrder(false);
  if (state_ == State::kAnswering && error == 0 && request_ended_) return;  // answers all the same
  state_ = State::kDone;
  CloseNow();
}

// What was not written yet never leaves: it is no part of the answer.
void HostileOrigin::Connection::CloseNow() {
  if (answer_ != nullptr) {
    answer_->bytes.resize(answer_->bytes.size() - std::min(unwritten(), answer_->bytes.size()));
  }
  Close();
}

// --- Answering

void HostileOrigin::Connection::Emit(std::string_view bytes) {
  answer_->bytes.append(bytes);
  Write(bytes);
  if (state_ == State::kTunnel) return;
  std::string_view rest = answer_->bytes;
  if (number_ > 0) {
    const WireMessage final = ReadResponse(rest, method_, false).final;
    rest.remove_prefix(final.complete() && answered_ ? final.end : rest.size());
  }
  if (rest.empty()) return;
  if (unasked_ == nullptr) {
    unasked_ = std::make_shared<HostileLedger::Answer>();
    unasked_->unasked = true;
    origin_.ledger_.unasked().push_back(unasked_);
  }
  unasked_->bytes = rest;
  unasked_->written_ns = INT64_MAX;
}

void HostileOrigin::Connection::EndInOrder(bool close) {
  answer_->ended = true;
  if (unasked_ != nullptr) unasked_->ended = true;
  close ? CloseNow() : FinishWriting();
}

void HostileOrigin::Connection::AnswerLater() {
  const int64_t delay_ns = random().Chance(0.3) ? random().Between(0, kSecond) : 0;
  world().scheduler.After(delay_ns, [this, number = number_] { Answer(number); });
}

void HostileOrigin::Connection::Answer(uint64_t number) {
  if (!open() || state_ != State::kAnswering || number != number_ || answered_) return;
  answered_ = true;
  HonestAnswer answer =
      MakeHonestAnswer(++origin_.keys_, method_, origin_.scenario_.squeeze, random());
  sound_ = request_ended_ && !answer_->unasked;
  then_ = answer.closes ? Then::kClose : Then::kGoOn;
  if (Misbehaves()) {
    const std::string other =
        MakeHonestAnswer(++origin_.keys_, method_, origin_.scenario_.squeeze, random()).bytes;
    for (uint64_t n = random().Chance(0.2) ? 2 : 1; n > 0; --n) {
      const Mutation& mutation = Mutate(MessageKind::kResponse, answer.bytes, other, random());
      Count(absl::StrCat("response mutation ", mutation.name));
    }
    sound_ = false;
    // Whether it still says that it closes, nobody knows.
    if (random().Chance(0.5)) then_ = random().Chance(0.5) ? Then::kClose : Then::kGoOn;
  }
  if (Misbehaves() && random().Chance(0.3)) {
    Count("origin: cuts its answer");
    answer.bytes.resize(random().Chance(0.4) ? 0 : random().Below(answer.bytes.size() + 1));
    constexpr Then kThen[] = {Then::kClose, Then::kHalfClose, Then::kReset, Then::kStall};
    then_ = kThen[random().Below(std::size(kThen))];
    sound_ = false;
  }
  if (answer.bytes.empty()) return OnWritten(false);
  Emit(answer.bytes);
}

void HostileOrigin::Connection::OnWritten(bool failed) {
  if (unasked_ != nullptr && !failed) unasked_->written_ns = world().scheduler.NowNs();
  if (failed || state_ != State::kAnswering || !answered_) return;
  if (sound_) answer_->honest = true;
  switch (then_) {
    case Then::kClose:
      state_ = State::kDone;
      return EndInOrder(request_ended_);
    case Then::kHalfClose:
      state_ = State::kDone;
      return EndInOrder(false);
    case Then::kReset:
      state_ = State::kDone;
      // Not at once, so that what was written has a chance to arrive.
      world().scheduler.After(random().Between(0, 5 * kMs), [this] { Abort(); });
      return;
    case Then::kStall:
      state_ = State::kDone;
      return;
    case Then::kGoOn:
      break;
  }
  if (!request_ended_) return;
  state_ = State::kReading;
  if (!Misbehaves()) return;
  const int64_t delay_ns = random().Chance(0.5) ? 0 : random().Between(0, 3 * kSecond);
  world().scheduler.After(delay_ns, [this, number = number_] { DisturbIdle(number); });
}

// On a connection that the proxy may think of as one to use again.
void HostileOrigin::Connection::DisturbIdle(uint64_t number) {
  if (!open() || state_ != State::kReading || number != number_ || !reader_.between_messages()) {
    return;
  }
  Count("origin: speaks or ends while idle");
  const uint64_t choice = random().Below(5);
  if (choice == 0) {
    state_ = State::kDone;
    return EndInOrder(true);
  }
  if (choice == 1) {
    // A reset destroys what has not arrived.
    answer_->honest = false;
    state_ = State::kDone;
    return Abort();
  }
  if (choice == 2) return Emit("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
  std::string bytes = MakeHonestAnswer(++origin_.keys_, "GET", false, random()).bytes;
  if (choice == 3) Mutate(MessageKind::kResponse, bytes, std::string(bytes), random());
  Emit(bytes);
}

}  // namespace edge::sim
