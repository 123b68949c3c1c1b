#include "test/sim/sim_client.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "test/sim/body.h"

namespace edge::sim {
namespace {

using Manners = ClientScript::Manners;
using Outcome = Ledger::Outcome;

// For 100 (Continue), after which the body is sent all the same (RFC 9110, 10.1.1).
constexpr int64_t kContinueNsMax = 1'000'000'000;

}  // namespace

SimClient::SimClient(SimNetwork* network, const Scenario* scenario, size_t index, Ledger* ledger,
                     Random random)
    : SimPeer(&network->world(), random),
      network_(*network),
      scenario_(*scenario),
      index_(index),
      ledger_(*ledger) {}

void SimClient::Start(const uring::SocketAddress& server) {
  world().scheduler.After(script().start_ns, [this, server] {
    network_.Connect(SimAddress(100, static_cast<uint16_t>(1000 + index_)), server,
                     [this](int error, Endpoint* endpoint) { OnConnected(error, endpoint); });
  });
}

void SimClient::OnConnected(int error, Endpoint* endpoint) {
  if (error != 0) return Finish();
  state_ = State::kTalking;
  Attach(endpoint, script().pace);
  if (script().misbehaves_at_ns > 0) {
    world().scheduler.After(script().misbehaves_at_ns, [this] { Misbehave(); });
  }
  SendMore();
}

void SimClient::Misbehave() {
  if (state_ != State::kTalking) return;
  world().Log("client misbehaves", {{"client", int64_t(index_)}, {"how", int(script().manners)}});
  switch (script().manners) {
    case Manners::kAborts:
      Abort();
      return Finish();
    case Manners::kLeaves:
      Close();
      return Finish();
    case Manners::kStalls:
      stalled_ = true;
      StopWriting();
      return;
    case Manners::kDeaf:
      // It does not look any more; the connection stays for as long as the other side likes.
      PauseReading();
      return Finish();
    case Manners::kGood:
    case Manners::kHalfCloses:
      return;
  }
}

void SimClient::Finish() { state_ = State::kDone; }

// --- Sending

void SimClient::SendMore() {
  if (state_ != State::kTalking || stalled_ || awaiting_continue_ || last_response_ || thinking_) {
    return;
  }
  while (sent_ < script().exchanges.size() && sent_ - answered_ < script().pipeline) {
    const ExchangeScript& exchange = scenario_.exchange(script().exchanges[sent_]);
    // Nobody pipelines behind a request that may change the protocol.
    if (exchange.tunnel_bytes > 0 && sent_ > answered_) return;
    ++sent_;
    ledger_.entry(exchange.id).sent = true;
    world().Log("client sends", {{"client", int64_t(index_)}, {"id", int64_t(exchange.id)}});
    SendRequest(exchange);
    if (exchange.expect_continue && exchange.body_bytes > 0) {
      awaiting_continue_ = true;
      const size_t number = sent_;
      world().scheduler.After(kContinueNsMax, [this, number] {
        if (awaiting_continue_ && sent_ == number) Continue();
      });
      return;
    }
    SendBody(exchange);
  }
  if (sent_ == script().exchanges.size() && script().manners == Manners::kHalfCloses &&
      !awaiting_continue_ && scenario_.exchange(script().exchanges.back()).tunnel_bytes == 0) {
    FinishWriting();
  }
}

void SimClient::SendRequest(const ExchangeScript& exchange) {
  std::string head = absl::StrCat(exchange.method, " /x/", exchange.id,
                                  exchange.http10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n",
                                  "Host: sim.test\r\nUser-Agent: sim\r\n");
  if (exchange.framing == Framing::kLength) {
    absl::StrAppend(&head, "Content-Length: ", exchange.body_bytes, "\r\n");
  } else if (exchange.framing == Framing::kChunked) {
    absl::StrAppend(&head, "Transfer-Encoding: chunked\r\n");
    if (exchange.trailers) absl::StrAppend(&head, "Trailer: X-Sim-Trailer\r\n");
  }
  for (const auto& [name, value] : PadFields(RequestBodyKey(exchange.id), exchange.pad_bytes)) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  if (exchange.expect_continue) absl::StrAppend(&head, "Expect: 100-continue\r\n");
  if (exchange.says_close) {
    absl::StrAppend(&head, "Connection: close\r\n");
  } else if (exchange.tunnel_bytes > 0) {
    absl::StrAppend(&head, "Connection: Upgrade\r\nUpgrade: sim\r\n");
  } else {
    absl::StrAppend(&head, "Connection: X-Sim-Hop\r\nX-Sim-Hop: for the next hop only\r\n");
  }
  absl::StrAppend(&head, "\r\n");
  Write(head);
}

// The body that was held back, and what follows it.
void SimClient::Continue() {
  awaiting_continue_ = false;
  if (state_ != State::kTalking || stalled_) return;
  SendBody(scenario_.exchange(script().exchanges[sent_ - 1]));
  SendMore();
}

void SimClient::SendBody(const ExchangeScript& exchange) {
  const uint64_t key = RequestBodyKey(exchange.id);
  if (exchange.framing == Framing::kLength) {
    Write(BodyBytes(key, 0, exchange.body_bytes));
  } else if (exchange.framing == Framing::kChunked) {
    uint64_t offset = 0;
    while (offset < exchange.body_bytes) {
      const uint64_t size = random().Skewed(exchange.body_bytes - offset);
      Write(absl::StrCat(absl::Hex(size), "\r\n", BodyBytes(key, offset, size), "\r\n"));
      offset += size;
    }
    Write(absl::StrCat("0\r\n", exchange.trailers ? "X-Sim-Trailer: end\r\n" : "", "\r\n"));
  }
}

// --- Receiving

void SimClient::OnBytes(std::string_view bytes) {
  if (state_ != State::kTalking) return;
  if (!reader_.Feed(bytes)) {
    ledger_.Violation(answering().id, absl::StrCat("client could not read: ", reader_.error()));
    Abort();
    return Finish();
  }
  // Who has not read the head, because it was late or too long for the memory at hand, does not
  // know that HEAD has no body in its answer.
  const int status = ledger_.entry(LastAnswered().id).status;
  const bool unread = status == 408 || (status == 503 && LastAnswered().pad_bytes > 0);
  const bool tolerated = unread && LastAnswered().head();
  if (reader_.left_over() > 0 && !tolerated) {
    ledger_.Violation(absl::StrCat("client ", index_, ": ", reader_.left_over(),
                                   " bytes after the last response"));
    Abort();
    Finish();
  }
}

void SimClient::OnHead(const ReadHead& head) {
  const ExchangeScript& exchange = answering();
  if (answered_ >= sent_) {
    ledger_.Violation(exchange.id, "a response to a request that was not sent");
  }
  if (head.interim()) {
    if (exchange.http10) ledger_.Violation(exchange.id, "1xx to an HTTP/1.0 client");
    if (head.status == 103) ++interim_read_;
    if (head.status == 100 && awaiting_continue_ && sent_ == answered_ + 1) Continue();
    return;
  }
  in_response_ = true;
  body_read_ = 0;
  Ledger::Entry& entry = ledger_.entry(exchange.id);
  entry.status = head.status;
  const std::string* id = head.Find("x-sim-id");
  from_origin_ = id != nullptr;
  if (from_origin_) {
    if (*id != absl::StrCat(exchange.id)) {
      ledger_.Violation(exchange.id, absl::StrCat("got the response to exchange ", *id));
    }
    CheckFields(head);
    if (head.status != exchange.answer.status) {
      ledger_.Violation(exchange.id, absl::StrCat("status ", head.status, " instead of ",
                                                  exchange.answer.status));
    }
  } else if (head.status < 400) {
    ledger_.Violation(exchange.id, absl::StrCat("nobody's status ", head.status));
  }
  const std::string* connection = head.Find("connection");
  // HTTP/1.0 stays open only if the server says so.
  last_response_ = connection != nullptr && *connection == "close";
  if (exchange.http10 && (connection == nullptr || *connection != "keep-alive")) {
    last_response_ = true;
  }
  if (reader_.until_close()) last_response_ = true;
  if (head.status == 101) {
    if (exchange.tunnel_bytes == 0) ledger_.Violation(exchange.id, "101 that was not asked for");
    Write(BodyBytes(RequestBodyKey(exchange.id), 0, exchange.tunnel_bytes));
  }
  // A final answer before the body was asked for: it is not sent any more, and the connection
  // cannot go on.
  if (awaiting_continue_ && sent_ == answered_ + 1) {
    awaiting_continue_ = false;
    last_response_ = true;
  }
}

void SimClient::CheckFields(const ReadHead& head) {
  const ExchangeScript& exchange = answering();
  if (head.Find("x-sim-hop") != nullptr) {
    ledger_.Violation(exchange.id, "a field that the origin's Connection named");
  }
  for (const auto& [name, value] :
       PadFields(ResponseBodyKey(exchange.id), exchange.answer.pad_bytes)) {
    const std::string* found = head.Find(name);
    if (found == nullptr || *found != value) {
      ledger_.Violation(exchange.id, absl::StrCat("field ", name, " of the response"));
    }
  }
  if (!exchange.http10 && interim_read_ != exchange.answer.interim_responses) {
    ledger_.Violation(exchange.id, absl::StrCat(interim_read_, " interim responses instead of ",
                                                exchange.answer.interim_responses));
  }
}

void SimClient::OnBody(std::string_view bytes) {
  const ExchangeScript& exchange = answering();
  if (from_origin_) {
    if (body_read_ + bytes.size() > exchange.answer.body_bytes) {
      ledger_.Violation(exchange.id, "a response longer than the origin's");
    } else if (!IsBodyAt(ResponseBodyKey(exchange.id), body_read_, bytes)) {
      ledger_.Violation(exchange.id,
                        absl::StrCat("wrong bytes in the response, near ", body_read_));
    }
  }
  body_read_ += bytes.size();
  ledger_.entry(exchange.id).outcome = Outcome::kCut;
}

void SimClient::OnMessageEnd() {
  const ExchangeScript& exchange = answering();
  Ledger::Entry& entry = ledger_.entry(exchange.id);
  entry.outcome = from_origin_ ? Outcome::kFromOrigin : Outcome::kFromProxy;
  world().Log("client answered",
              {{"id", int64_t(exchange.id)}, {"status", entry.status}, {"origin", from_origin_}});
  interim_read_ = 0;
  if (from_origin_) {
    const bool trailers =
        exchange.answer.trailers && !exchange.http10 && exchange.answer_has_body();
    if (trailers && reader_.trailers().size() != 1) {
      ledger_.Violation(exchange.id, absl::StrCat(reader_.trailers().size(), " trailers"));
    }
    const uint64_t expected = exchange.answer_has_body() ? exchange.answer.body_bytes : 0;
    if (body_read_ != expected) {
      ledger_.Violation(exchange.id,
                        absl::StrCat("looks complete with ", body_read_, " bytes of ", expected));
    } else if (entry.answers_complete == 0) {
      ledger_.Violation(exchange.id, "complete, although no origin sent it to its end");
    }
  }
  in_response_ = false;
  ++answered_;
  if (answered_ == script().exchanges.size() || last_response_) {
    reader_.Stop();
    if (!last_response_ || random().Chance(0.5)) Close();
    // Else the other side is to end the connection, which OnEnd waits for.
    if (!open()) Finish();
    return;
  }
  thinking_ = true;
  world().scheduler.After(random().Between(0, script().think_ns_max), [this] {
    thinking_ = false;
    SendMore();
  });
}

void SimClient::OnTunnel(std::string_view bytes) {
  const ExchangeScript& exchange = answering();
  Ledger::Entry& entry = ledger_.entry(exchange.id);
  if (!IsBodyAt(RequestBodyKey(exchange.id), tunnel_read_, bytes)) {
    ledger_.Violation(exchange.id, "wrong bytes in the tunnel");
  }
  tunnel_read_ += bytes.size();
  entry.outcome = Outcome::kCut;
  if (tunnel_read_ < exchange.tunnel_bytes) return;
  entry.outcome = Outcome::kFromOrigin;
  in_response_ = false;
  reader_.Stop();
  ++answered_;
  if (random().Chance(0.5)) {
    FinishWriting();  // the end comes back through the tunnel
  } else {
    Close();
    Finish();
  }
}

bool SimClient::AnswersHead() {
  return answered_ < script().exchanges.size() && answering().head();
}

void SimClient::OnEnd(int error) {
  if (state_ != State::kTalking) return;
  world().Log("client end", {{"client", int64_t(index_)}, {"error", error}});
  // An orderly end completes a body that lasts until then; a reset does not.
  if (error == 0 && in_response_ && reader_.until_close()) reader_.FeedEnd();
  if (in_response_) ledger_.entry(answering().id).outcome = Outcome::kCut;
  Close();
  Finish();
}

}  // namespace edge::sim
