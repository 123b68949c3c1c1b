#include "test/sim/hostile_client.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace edge::sim {
namespace {

using End = HostileClientScript::End;

// For 100 (Continue), after which the body is sent all the same (RFC 9110, 10.1.1).
constexpr int64_t kContinueNsMax = 1'000'000'000;
// When its bytes are out and nothing more happens.
constexpr int64_t kLeaveNs = 100'000'000'000;

// What the proxy writes itself.
bool IsOfProxy(std::string_view name) {
  constexpr std::string_view kNames[] = {"date",
                                         "via",
                                         "x-request-id",
                                         "connection",
                                         "upgrade",
                                         "content-length",
                                         "transfer-encoding"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool FieldsAreOf(const ReadHead& head, const WireMessage& message) {
  return std::all_of(head.fields.begin(), head.fields.end(), [&](const auto& field) {
    return IsOfProxy(field.first) || message.Has(field.first, field.second);
  });
}

}  // namespace

HostileClient::HostileClient(SimNetwork* network, const HostileClientScript* script, size_t index,
                             HostileLedger* ledger, Random random)
    : SimPeer(&network->world(), random),
      network_(*network),
      script_(*script),
      index_(index),
      ledger_(*ledger),
      from_origin_(script->requests.size()) {}

void HostileClient::Violation(std::string_view what) {
  ledger_.Violation(
      absl::StrCat("client ", index_, ", request ", answered_, ", at its end: ", what));
}

void HostileClient::Start(const uring::SocketAddress& server) {
  world().scheduler.After(script_.start_ns, [this, server] {
    network_.Connect(SimAddress(100, static_cast<uint16_t>(1000 + index_)), server,
                     [this](int error, Endpoint* endpoint) { OnConnected(error, endpoint); });
  });
}

void HostileClient::OnConnected(int error, Endpoint* endpoint) {
  if (error != 0) return Finish();
  state_ = State::kTalking;
  Attach(endpoint, script_.pace);
  if (script_.end_ns > 0) {
    world().scheduler.After(script_.end_ns, [this] { EndScript(); });
  }
  WriteMore();
}

void HostileClient::EndScript() {
  if (state_ != State::kTalking) return;
  world().Log("client misbehaves", {{"client", int64_t(index_)}, {"how", int(script_.end)}});
  switch (script_.end) {
    case End::kAborts:
      Abort();
      return Finish();
    case End::kLeaves:
      Close();
      return Finish();
    case End::kStalls:
      stalled_ = true;
      return StopWriting();
    case End::kDeaf:
      PauseReading();
      // The connection stays for as long as the other side likes.
      return world().scheduler.After(script_.patience_ns, [this] { Finish(); });
    case End::kWaits:
    case End::kHalfCloses:
      return;
  }
}

// --- Writing

void HostileClient::GiveUpWaiting(size_t piece) {
  if (next_piece_ != piece || state_ != State::kTalking) return;
  waited_for_ = piece;
  WriteMore();
}

void HostileClient::WriteMore() {
  while (state_ == State::kTalking && !stalled_ && next_piece_ < script_.pieces.size()) {
    const size_t number = next_piece_;
    const HostileClientScript::Piece& piece = script_.pieces[number];
    const bool ready =
        answered_ >= piece.answers_before && (!piece.awaits_continue || continue_read_);
    if (!ready && waited_for_ != number) {
      if (paused_for_ == number) return;
      paused_for_ = number;
      // A client that behaves waits for answers as long as it takes.
      if (piece.awaits_continue && answered_ >= piece.answers_before) {
        world().scheduler.After(kContinueNsMax, [this, number] { GiveUpWaiting(number); });
      } else if (!script_.behaves) {
        world().scheduler.After(script_.patience_ns, [this, number] { GiveUpWaiting(number); });
      }
      return;
    }
    if (piece.pause_ns > 0 && waited_for_ != number) {
      world().scheduler.After(piece.pause_ns, [this, number] { GiveUpWaiting(number); });
      return;
    }
    ++next_piece_;
    continue_read_ = false;
    world().Log("client sends", {{"client", int64_t(index_)}, {"piece", int64_t(number)}});
    for (const WireMessage& request : script_.requests) {
      const bool begins =
          request.begin >= written_ && request.begin < written_ + piece.bytes.size();
      HostileLedger::Request* record = ledger_.Find(request.method, request.target);
      if (begins && record != nullptr) {
        record->sent_ns = std::min(record->sent_ns, world().scheduler.NowNs());
      }
    }
    written_ += piece.bytes.size();
    Write(piece.bytes);
  }
  if (next_piece_ < script_.pieces.size() || stalled_ || state_ != State::kTalking) return;
  if (script_.end == End::kHalfCloses) FinishWriting();
  if (!script_.behaves) {
    world().scheduler.After(kLeaveNs, [this] {
      if (state_ != State::kTalking) return;
      Close();
      Finish();
    });
  }
}

// --- Reading

void HostileClient::OnBytes(std::string_view bytes) {
  if (state_ != State::kTalking) return;
  if (!reader_.Feed(bytes)) {
    Violation(absl::StrCat("could not read: ", reader_.error()));
    Abort();
    return Finish();
  }
  if (reader_.left_over() == 0) return;
  // Who refused the head did not know that HEAD has no body in its answer.
  const bool tolerated = answered_ > 0 && from_proxy_ && last_response_ &&
                         script_.requests[answered_ - 1].method == "HEAD";
  if (!tolerated) {
    Violation(absl::StrCat(reader_.left_over(), " bytes after the last response"));
    Abort();
    Finish();
  }
}

bool HostileClient::AnswersHead() {
  return answered_ < script_.requests.size() && answering().has_head() &&
         answering().method == "HEAD";
}

void HostileClient::Candidate::Read() {
  if (bytes_read == answer->bytes.size() && ended_read == answer->ended) return;
  bytes_read = answer->bytes.size();
  ended_read = answer->ended;
  response = ReadResponse(answer->bytes, method, answer->ended);
}

// The answer, or an interim response before it, as this head has it.
bool HostileClient::IsAnswer(const ReadHead& head, const WireResponse& response) {
  if (head.interim()) {
    return std::any_of(response.interim.begin(), response.interim.end(), [&](const auto& interim) {
      return interim.status == head.status && FieldsAreOf(head, interim);
    });
  }
  return response.final.has_head() && response.final.status == head.status &&
         response.interim.size() >= interim_read_ && FieldsAreOf(head, response.final);
}

void HostileClient::FindAnswers(const ReadHead& head) {
  answers_.clear();
  HostileLedger::Request* record = ledger_.Find(answering().method, answering().target);
  if (record == nullptr) return Violation("an answer to what is not a request");
  for (auto* answers : {&record->answers, &ledger_.unasked()}) {
    for (const auto& answer : *answers) {
      Candidate candidate{.answer = answer, .method = answering().method};
      candidate.Read();
      if (IsAnswer(head, candidate.response)) answers_.push_back(std::move(candidate));
    }
    if (!answers_.empty()) break;
  }
  if (!answers_.empty() && ledger_.WasNoticeable(*answers_[0].answer, *record)) {
    Violation("an answer that was there long before it was asked for");
  }
  if (answers_.empty()) {
    std::string fields;
    for (const auto& [name, value] : head.fields) absl::StrAppend(&fields, name, ": ", value, "; ");
    Violation(absl::StrCat("status ", head.status, " that no origin gave to this request, with ",
                           fields.substr(0, 500)));
  }
}

void HostileClient::OnHead(const ReadHead& head) {
  if (answered_ == script_.requests.size()) {
    Violation(absl::StrCat("status ", head.status, " to nothing that was asked"));
    return reader_.Stop();
  }
  const WireMessage& request = answering();
  if (written_ <= request.begin) Violation("answered before it was sent");
  if (ledger_.inspected() && head.status == 100 && head.fields.empty()) {
    continue_read_ = true;
    return WriteMore();
  }
  if (head.interim()) {
    ++interim_read_;
    if (request.http10) Violation("1xx to an HTTP/1.0 client");
    FindAnswers(head);
    if (head.status == 100) {
      continue_read_ = true;
      WriteMore();
    }
    return;
  }
  in_response_ = true;
  body_bytes_ = 0;
  const std::string* proxy_status = head.Find("proxy-status");
  from_proxy_ = proxy_status != nullptr && proxy_status->starts_with("edge");
  if (from_proxy_) {
    if (head.status < 400) Violation(absl::StrCat("status ", head.status, " of the proxy's own"));
    // Of an origin that breaks the rules; and where limits are low or memory is short.
    const bool honest = head.status == 502 || head.status == 504;
    const bool limited = head.status == 408 || head.status == 431 || head.status == 503;
    const bool denied =
        ledger_.inspected() && (head.status == 403 || head.status == 413 || head.status == 429);
    if (script_.behaves && !honest && !((limited || denied) && !ledger_.calm())) {
      Violation(absl::StrCat("status ", head.status, " to a sound request: ", *proxy_status));
    }
    world().coverage.Count(
        absl::StrCat(script_.behaves ? "good" : "hostile", " client refused with ", head.status));
  } else {
    FindAnswers(head);
  }
  const std::string* connection = head.Find("connection");
  last_response_ = connection != nullptr && absl::StrContains(*connection, "close");
  if (request.http10 && (connection == nullptr || !absl::StrContains(*connection, "keep-alive"))) {
    last_response_ = true;
  }
  if (reader_.until_close()) last_response_ = true;
  if (head.status == 101 && !request.upgrade) Violation("101 that was not asked for");
}

void HostileClient::OnBody(std::string_view bytes) {
  if (from_proxy_ || answers_.empty()) return;
  std::erase_if(answers_, [&](Candidate& candidate) {
    candidate.Read();
    return candidate.response.final.body.compare(body_bytes_, bytes.size(), bytes) != 0;
  });
  body_bytes_ += bytes.size();
  if (answers_.empty())
    Violation(absl::StrCat("wrong bytes in the response, before ", body_bytes_));
}

void HostileClient::OnMessageEnd() {
  world().Log(
      "client answered",
      {{"client", int64_t(index_)}, {"number", int64_t(answered_)}, {"proxy", from_proxy_}});
  if (from_proxy_) {
    world().coverage.Count(script_.behaves ? "good client got an error"
                                           : "hostile client got an error");
  } else {
    const bool is_answer = std::any_of(answers_.begin(), answers_.end(), [&](Candidate& candidate) {
      candidate.Read();
      const WireMessage& final = candidate.response.final;
      return final.complete() && final.body.size() == body_bytes_ &&
             std::all_of(reader_.trailers().begin(), reader_.trailers().end(), [&](const auto& t) {
               return std::find(final.trailers.begin(), final.trailers.end(), t) !=
                      final.trailers.end();
             });
    });
    if (!is_answer && !answers_.empty()) {
      Violation(absl::StrCat("looks complete with ", body_bytes_, " bytes, and is not"));
    }
    from_origin_[answered_] = true;
    for (const Candidate& candidate : answers_) {
      world().coverage.Count(absl::StrCat(script_.behaves ? "good" : "hostile", " client got ",
                                          candidate.answer->honest ? "an honest" : "a bad",
                                          " answer"));
      if (candidate.answer->unasked) world().coverage.Count("answer that began too early");
    }
  }
  in_response_ = false;
  interim_read_ = 0;
  ++answered_;
  if (last_response_ || answered_ == script_.requests.size()) {
    reader_.Stop();
    const bool closes = script_.behaves ? !last_response_ || random().Chance(0.5)
                                        : !last_response_ && random().Chance(0.5);
    if (closes) {
      Close();
      Finish();
    }
    return;
  }
  WriteMore();
}

void HostileClient::OnTunnel(std::string_view bytes) {
  if (answers_.empty()) return;
  std::erase_if(answers_, [&](const Candidate& candidate) {
    const size_t begin = candidate.response.final.head_end + tunnel_bytes_;
    return candidate.answer->bytes.compare(begin, bytes.size(), bytes) != 0;
  });
  tunnel_bytes_ += bytes.size();
  if (answers_.empty()) Violation("wrong bytes in the tunnel");
}

void HostileClient::OnEnd(int error) {
  if (state_ != State::kTalking) return;
  world().Log("client end", {{"client", int64_t(index_)}, {"error", error}});
  reset_ = error != 0;
  if (error == 0 && in_response_ && reader_.until_close()) reader_.FeedEnd();
  if (in_response_) world().coverage.Count("response cut");
  Close();
  Finish();
}

void HostileClient::JudgeEnd(bool retries) {
  if (!script_.behaves) return;
  for (size_t i = 0; i < script_.requests.size(); ++i) {
    const WireMessage& request = script_.requests[i];
    const HostileLedger::Request* record = ledger_.Find(request.method, request.target);
    if (record == nullptr || record->answers.empty() || from_origin_[i]) continue;
    const bool may_be_retried = request.body.empty() && request.method != "POST";
    if (retries && may_be_retried && i < answered_) continue;
    // A later response that was cut may have taken with it what was still on its way: the proxy
    // closes with requests unread.
    const bool pipelined =
        i + 1 < script_.requests.size() && script_.requests[i + 1].begin < written_;
    if (reset_ && pipelined) continue;
    if (record->answers.back()->honest) {
      ledger_.Violation(absl::StrCat("client ", index_, ": the answer to request ", i,
                                     ", which an origin gave, has not come"));
    }
  }
}

}  // namespace edge::sim
