#include "test/sim/scenario.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace edge::sim {
namespace {

using End = AnswerScript::End;
using Manners = ClientScript::Manners;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;

uint64_t BodyBytesOf(Random& random) {
  if (random.Chance(0.15)) return 0;
  // Mostly small: the interesting sizes are those around the buffers'.
  return random.Skewed(random.Chance(0.05) ? 400'000 : 20'000);
}

bool Misbehaving(Trouble trouble) { return trouble == Trouble::kPeers || trouble == Trouble::kAny; }

class Maker {
 public:
  Maker(Trouble trouble, Random& random) : random_(random) { scenario_.trouble = trouble; }

  Scenario Make() {
    // A connection that an origin closes silently may meet any request; only some can be sent
    // again, so where that happens there are no others.
    silent_closes_ = random_.Chance(0.3);
    const size_t origins = 1 + random_.Below(3);
    for (size_t i = 0; i < origins; ++i) scenario_.origins.push_back(MakeOrigin(i));
    const size_t clients = random_.Skewed(8);
    for (size_t i = 0; i < clients; ++i) MakeClient();
    if (random_.Chance(0.2)) scenario_.drain_at_ns = random_.Between(0, 3 * kSecond);
    return std::move(scenario_);
  }

 private:
  OriginScript MakeOrigin(size_t index) {
    OriginScript origin;
    origin.pace = Pace::Any(random_, 100'000);
    // With one that listens among them, the others are no trouble to a client.
    origin.listens = index == 0 || !random_.Chance(0.2);
    if (Misbehaving(scenario_.trouble) && random_.Chance(0.05)) origin.listens = false;
    return origin;
  }

  void MakeClient() {
    ClientScript client;
    const size_t count = random_.Skewed(10);
    uint64_t bytes = 1000;
    bool last = false;
    bool must_succeed = true;  // so far, on this connection
    for (size_t i = 0; i < count && !last; ++i) {
      ExchangeScript exchange = MakeExchange();
      exchange.id = scenario_.exchanges.size();
      must_succeed = must_succeed && exchange.answer.end == End::kComplete;
      exchange.must_succeed = must_succeed;
      // What is not read to its end takes the connection with it.
      if (exchange.answer.early) must_succeed = false;
      // Nothing follows on this connection.
      last = exchange.says_close || exchange.answer.tunnel || exchange.http10 ||
             exchange.answer.framing == Framing::kUntilClose || exchange.answer.early;
      bytes += exchange.body_bytes + exchange.answer.body_bytes + exchange.tunnel_bytes +
               exchange.pad_bytes + exchange.answer.pad_bytes;
      client.exchanges.push_back(exchange.id);
      scenario_.exchanges.push_back(exchange);
    }
    client.pace = Pace::Any(random_, bytes);
    client.pipeline = random_.Chance(0.3) ? 1 + random_.Below(5) : 1;
    // What ends the connection without order may destroy the responses that are still on their way.
    if (client.pipeline > 1 && !must_succeed) {
      for (const uint64_t id : client.exchanges) scenario_.exchanges[id].must_succeed = false;
    }
    client.start_ns = random_.Between(0, random_.Chance(0.5) ? kMs : 2 * kSecond);
    client.think_ns_max = random_.Chance(0.7) ? 0 : random_.Between(0, kSecond);
    if (random_.Chance(0.2)) client.manners = Manners::kHalfCloses;
    if (Misbehaving(scenario_.trouble) && random_.Chance(0.3)) {
      constexpr Manners kBad[] = {Manners::kAborts, Manners::kLeaves, Manners::kStalls,
                                  Manners::kDeaf};
      client.manners = kBad[random_.Below(std::size(kBad))];
      client.misbehaves_at_ns = static_cast<int64_t>(random_.Skewed(2 * kSecond));
      for (const uint64_t id : client.exchanges) scenario_.exchanges[id].must_succeed = false;
    }
    scenario_.clients.push_back(std::move(client));
  }

  ExchangeScript MakeExchange() {
    ExchangeScript exchange;
    if (silent_closes_) {
      exchange.method = random_.Chance(0.8) ? "GET" : "HEAD";
    } else {
      constexpr const char* kMethods[] = {"GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"};
      exchange.method = kMethods[random_.Below(std::size(kMethods))];
    }
    exchange.http10 = random_.Chance(0.05);
    if (exchange.method == "POST" || exchange.method == "PUT" || exchange.method == "PATCH") {
      exchange.body_bytes = BodyBytesOf(random_);
      const bool chunked = !exchange.http10 && random_.Chance(0.5);
      exchange.framing = chunked ? Framing::kChunked : Framing::kLength;
      exchange.trailers = chunked && random_.Chance(0.3);
      exchange.expect_continue = !exchange.http10 && random_.Chance(0.2);
    }
    exchange.says_close = random_.Chance(0.1);
    exchange.pad_bytes = PadBytes();
    MakeAnswer(exchange);
    return exchange;
  }

  // Most heads are short; some are longer than what is at hand for them.
  uint64_t PadBytes() { return random_.Chance(0.1) ? random_.Skewed(16'000) : 0; }

  void MakeAnswer(ExchangeScript& exchange) {
    AnswerScript& answer = exchange.answer;
    constexpr int kStatuses[] = {200, 200, 200, 200, 201, 204, 304, 404, 500, 503};
    answer.status = kStatuses[random_.Below(std::size(kStatuses))];
    answer.interim_responses = random_.Chance(0.1) ? 1 + static_cast<int>(random_.Below(3)) : 0;
    answer.delay_ns = random_.Chance(0.3) ? random_.Between(0, kSecond) : 0;
    answer.body_bytes = exchange.answer_has_body() ? BodyBytesOf(random_) : 0;
    answer.http10 = random_.Chance(0.05);
    answer.pad_bytes = PadBytes();
    answer.says_close = answer.http10 || random_.Chance(0.1);
    answer.closes_silently = silent_closes_ && random_.Chance(0.4);
    if (exchange.answer_has_body()) {
      const uint64_t draw = random_.Below(10);
      if (draw < 4 && !answer.http10) {
        answer.framing = Framing::kChunked;
        answer.trailers = random_.Chance(0.3);
      } else if (draw == 4) {
        answer.framing = Framing::kUntilClose;
        answer.says_close = true;
      }
    }
    if (exchange.method == "GET" && !exchange.http10 && random_.Chance(0.04)) {
      answer = {};
      answer.status = 101;
      answer.tunnel = true;
      answer.framing = Framing::kNone;
      exchange.says_close = false;
      exchange.tunnel_bytes = random_.Skewed(30'000);
    }
    if (!Misbehaving(scenario_.trouble)) return;
    answer.early = exchange.body_bytes > 0 && !answer.tunnel && random_.Chance(0.1);
    if (random_.Chance(0.15)) {
      constexpr End kEnds[] = {End::kFinInBody,       End::kResetInBody, End::kFinBeforeHead,
                               End::kResetBeforeHead, End::kStallInBody, End::kSilent};
      answer.end = kEnds[random_.Below(std::size(kEnds))];
      const bool in_body = answer.end == End::kFinInBody || answer.end == End::kStallInBody ||
                           answer.end == End::kResetInBody;
      if (in_body && (!exchange.answer_has_body() || answer.body_bytes == 0 || answer.tunnel)) {
        answer.end = End::kFinBeforeHead;
      }
      // Nobody can tell an orderly end too early from the end.
      if (answer.end == End::kFinInBody && answer.framing == Framing::kUntilClose) {
        answer.end = End::kResetInBody;
      }
    }
  }

  Random& random_;
  Scenario scenario_;
  bool silent_closes_ = false;
};

}  // namespace

std::string Scenario::Describe() const {
  constexpr const char* kFramings[] = {"none", "length", "chunked", "until-close"};
  constexpr const char* kEnds[] = {"complete",        "fin-in-body",       "reset-in-body",
                                   "fin-before-head", "reset-before-head", "stall-in-body",
                                   "silent"};
  constexpr const char* kManners[] = {"good", "half-closes", "aborts", "leaves", "stalls", "deaf"};
  std::string text;
  const auto flag = [&text](bool is, const char* name) {
    if (is) absl::StrAppend(&text, " ", name);
  };
  for (size_t i = 0; i < clients.size(); ++i) {
    const ClientScript& client = clients[i];
    absl::StrAppend(&text, "client ", i, ": ", kManners[static_cast<int>(client.manners)],
                    " pipeline=", client.pipeline, "\n");
    for (const uint64_t id : client.exchanges) {
      const ExchangeScript& exchange = exchanges[id];
      const AnswerScript& answer = exchange.answer;
      absl::StrAppend(&text, "  ", id, ": ", exchange.method,
                      " framing=", kFramings[static_cast<int>(exchange.framing)],
                      " bytes=", exchange.body_bytes, " pad=", exchange.pad_bytes);
      flag(exchange.http10, "http/1.0");
      flag(exchange.trailers, "trailers");
      flag(exchange.expect_continue, "expect");
      flag(exchange.says_close, "close");
      absl::StrAppend(&text, " -> ", answer.status,
                      " framing=", kFramings[static_cast<int>(answer.framing)],
                      " bytes=", answer.body_bytes, " pad=", answer.pad_bytes,
                      " interim=", answer.interim_responses, " delay_ms=", answer.delay_ns / kMs,
                      " end=", kEnds[static_cast<int>(answer.end)]);
      flag(answer.http10, "http/1.0");
      flag(answer.trailers, "trailers");
      flag(answer.says_close, "close");
      flag(answer.closes_silently, "closes-silently");
      flag(answer.early, "early");
      flag(answer.tunnel, "tunnel");
      flag(!exchange.must_succeed, "(may fail)");
      text += '\n';
    }
  }
  for (size_t i = 0; i < origins.size(); ++i) {
    if (!origins[i].listens) absl::StrAppend(&text, "origin ", i, ": does not listen\n");
  }
  if (drain_at_ns >= 0) absl::StrAppend(&text, "drains at ", drain_at_ns / kMs, " ms\n");
  return text;
}

Scenario Scenario::Make(Trouble trouble, Random& random) { return Maker(trouble, random).Make(); }

}  // namespace edge::sim
