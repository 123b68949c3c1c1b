#include "test/sim/hostile_scenario.h"

#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "test/sim/body.h"
#include "test/sim/mutator.h"

namespace edge::sim {
namespace {

using End = HostileClientScript::End;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;
// Keys of the bodies that clients send; origins' come above.
constexpr uint64_t kRequestKeys = uint64_t{1} << 32;
constexpr uint64_t kLargeBodyBytes = 400'000;

uint64_t BodyBytesOf(bool large, Random& random) {
  if (large) return random.Below(kLargeBodyBytes);
  if (random.Chance(0.2)) return 0;
  return random.Skewed(random.Chance(0.1) ? kLargeBodyBytes : 10'000);
}

std::string Chunked(uint64_t key, uint64_t bytes, std::string_view trailers, Random& random) {
  std::string body;
  for (uint64_t offset = 0; offset < bytes;) {
    const uint64_t size = random.Skewed(bytes - offset);
    absl::StrAppend(&body, absl::Hex(size), "\r\n", BodyBytes(key, offset, size), "\r\n");
    offset += size;
  }
  return absl::StrCat(body, "0\r\n", trailers, "\r\n");
}

void AppendPad(std::string& head, uint64_t key, Random& random) {
  if (!random.Chance(0.1)) return;
  for (const auto& [name, value] : PadFields(key, random.Skewed(8000))) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
}

struct Message {
  std::string head;
  std::string body;
  bool expects = false;
  bool last = false;
};

class Maker {
 public:
  Maker(bool calm, Random& random, Coverage& coverage)
      : calm_(calm), random_(random), coverage_(coverage) {}

  HostileScenario Make() {
    HostileScenario scenario;
    scenario.calm = calm_;
    for (uint64_t i = 1 + random_.Below(3); i > 0; --i) {
      scenario.origins.push_back(Pace::Any(random_, 100'000));
    }
    scenario.origin_trouble = random_.Chance(0.2) ? 0 : 0.02 + 0.1 * double(random_.Below(6));
    squeeze_ = scenario.squeeze = !calm_ && random_.Chance(0.2);
    // Now and then more than the slabs are made for.
    const size_t clients = random_.Chance(0.01) ? 100 : random_.Skewed(8);
    for (size_t i = 0; i < clients; ++i) {
      HostileClientScript client = MakeClient(i, clients > 50);
      for (const HostileClientScript::Piece& piece : client.pieces) client.stream += piece.bytes;
      client.requests = ReadRequests(client.stream);
      scenario.clients.push_back(std::move(client));
    }
    if (random_.Chance(0.15)) scenario.drain_at_ns = random_.Between(0, 3 * kSecond);
    if (!calm_ && random_.Chance(0.15)) scenario.stop_at_ns = random_.Between(0, 3 * kSecond);
    return scenario;
  }

 private:
  HostileClientScript MakeClient(size_t index, bool small) {
    HostileClientScript client;
    client.behaves = random_.Chance(0.4);
    const bool hoards = squeeze_ && !client.behaves && random_.Chance(0.5);
    const size_t count = small ? 1 : hoards ? 60 : random_.Skewed(12);
    const size_t pipeline = random_.Chance(0.4) ? 1 + random_.Below(5) : 1;
    std::string previous = absl::StrCat(MakeMessage(index, count, small).head);
    uint64_t bytes = 1000;
    for (size_t i = 0; i < count; ++i) {
      Message message = MakeMessage(index, i, small);
      const bool waits = client.behaves || (!hoards && random_.Chance(0.5));
      const size_t answers_before = waits && i >= pipeline ? i + 1 - pipeline : 0;
      const int64_t pause_ns = hoards ? 0 : Pause();
      std::string whole = message.head + message.body;
      bytes += whole.size();
      if (!client.behaves && random_.Chance(hoards ? 0.01 : 0.6)) {
        for (uint64_t n = random_.Chance(0.2) ? 2 : 1; n > 0; --n) {
          const Mutation& mutation = Mutate(MessageKind::kRequest, whole, previous, random_);
          coverage_.Count(absl::StrCat("request mutation ", mutation.name));
        }
        client.pieces.push_back({whole, answers_before, false, pause_ns});
      } else if (message.expects && random_.Chance(0.8)) {
        client.pieces.push_back({message.head, answers_before, false, pause_ns});
        client.pieces.push_back({message.body, answers_before, true, 0});
      } else {
        client.pieces.push_back({whole, answers_before, false, pause_ns});
      }
      previous = std::move(whole);
      if (client.behaves && message.last) break;
    }
    client.pace = Pace::Any(random_, bytes);
    client.start_ns = random_.Between(0, random_.Chance(0.3) ? 20 * kSecond : kSecond);
    client.patience_ns = random_.Between(0, random_.Chance(0.3) ? 100 * kSecond : kSecond);
    client.listener = random_.Below(2);
    if (random_.Chance(0.2)) client.end = End::kHalfCloses;
    if (!client.behaves && random_.Chance(0.3)) {
      constexpr End kEnds[] = {End::kAborts, End::kLeaves, End::kStalls, End::kDeaf};
      client.end = kEnds[random_.Below(std::size(kEnds))];
      client.end_ns = static_cast<int64_t>(random_.Skewed(2 * kSecond));
    }
    if (squeeze_ && !client.behaves && random_.Chance(0.5)) {
      client.end = End::kDeaf;
      client.end_ns = 1 + static_cast<int64_t>(random_.Below(10 * kMs));
      client.patience_ns = random_.Between(0, 100 * kSecond);
    }
    return client;
  }

  int64_t Pause() {
    if (random_.Chance(0.6)) return 0;
    return random_.Between(0, random_.Chance(0.2) ? 15 * kSecond : kSecond);
  }

  Message MakeMessage(size_t client, size_t number, bool small) {
    constexpr const char* kMethods[] = {"GET", "GET",    "GET",   "HEAD",   "POST",
                                        "PUT", "DELETE", "PATCH", "OPTIONS"};
    Message message;
    const uint64_t key = ++keys_;
    const std::string method = small ? "GET" : kMethods[random_.Below(std::size(kMethods))];
    const bool http10 = random_.Chance(0.05);
    // The mark makes the target one that no mutation of another can become.
    message.head =
        absl::StrCat(method, " /", client, "/", number, "/", absl::Hex(Mix(key), absl::kZeroPad16),
                     http10 ? " HTTP/1.0" : " HTTP/1.1",
                     "\r\nHost: sim.test\r\nX-Sim-Mark: ", Mix(key + kRequestKeys), "\r\n");
    if (method == "POST" || method == "PUT" || method == "PATCH") {
      // Without a body a request may be sent again, if it is idempotent.
      const uint64_t bytes = random_.Chance(0.2) ? 0 : BodyBytesOf(/*large=*/false, random_);
      if (!http10 && random_.Chance(0.5)) {
        absl::StrAppend(&message.head, "Transfer-Encoding: chunked\r\n");
        const bool trailers = random_.Chance(0.3);
        message.body =
            Chunked(key, bytes, trailers ? absl::StrCat("X-Sim-End: ", key, "\r\n") : "", random_);
      } else {
        absl::StrAppend(&message.head, "Content-Length: ", bytes, "\r\n");
        message.body = BodyBytes(key, 0, bytes);
      }
      message.expects = !http10 && !message.body.empty() && random_.Chance(0.2);
      if (message.expects) absl::StrAppend(&message.head, "Expect: 100-continue\r\n");
    }
    AppendPad(message.head, key, random_);
    message.last = http10 || random_.Chance(0.1);
    if (message.last && !http10) absl::StrAppend(&message.head, "Connection: close\r\n");
    absl::StrAppend(&message.head, "\r\n");
    return message;
  }

  const bool calm_;
  Random& random_;
  Coverage& coverage_;
  bool squeeze_ = false;
  uint64_t keys_ = 0;
};

}  // namespace

HonestAnswer MakeHonestAnswer(uint64_t key, const std::string& method, bool large, Random& random) {
  constexpr int kStatuses[] = {200, 200, 200, 200, 201, 204, 304, 404, 500, 503};
  HonestAnswer answer;
  const int status = kStatuses[random.Below(std::size(kStatuses))];
  const bool http10 = random.Chance(0.05);
  for (uint64_t n = random.Chance(0.1) ? 1 + random.Below(3) : 0; n > 0; --n) {
    absl::StrAppend(&answer.bytes, "HTTP/1.1 103 Early Hints\r\nX-Sim-Hint: ", key, "\r\n\r\n");
  }
  absl::StrAppend(&answer.bytes, http10 ? "HTTP/1.0 " : "HTTP/1.1 ", status,
                  " Reason\r\nX-Sim-Mark: ", Mix(key + 2 * kRequestKeys), "\r\n");
  AppendPad(answer.bytes, key + kRequestKeys, random);
  answer.closes = http10 || random.Chance(0.1);
  const bool has_body = method != "HEAD" && status != 204 && status != 304;
  const uint64_t bytes = BodyBytesOf(large, random);
  std::string body;
  const uint64_t framing = random.Below(10);
  if (status != 204 && status != 304) {
    if (framing < 4 && !http10) {
      absl::StrAppend(&answer.bytes, "Transfer-Encoding: chunked\r\n");
      const bool trailers = random.Chance(0.3);
      body = Chunked(key + kRequestKeys, bytes,
                     trailers ? absl::StrCat("X-Sim-End: ", key, "\r\n") : "", random);
    } else {
      if (framing > 4) absl::StrAppend(&answer.bytes, "Content-Length: ", bytes, "\r\n");
      answer.closes = answer.closes || framing <= 4;
      body = BodyBytes(key + kRequestKeys, 0, bytes);
    }
  }
  if (answer.closes && !http10) absl::StrAppend(&answer.bytes, "Connection: close\r\n");
  absl::StrAppend(&answer.bytes, "\r\n", has_body ? body : "");
  return answer;
}

std::string HostileScenario::Describe() const {
  constexpr const char* kEnds[] = {"waits", "half-closes", "aborts", "leaves", "stalls", "deaf"};
  constexpr const char* kStates[] = {"head-cut", "head-bad", "body-cut", "body-bad", "complete"};
  std::string text =
      absl::StrCat(calm ? "calm" : "faults", " origin-trouble=", origin_trouble,
                   " drain_at_ms=", drain_at_ns / kMs, " stop_at_ms=", stop_at_ns / kMs, "\n");
  for (size_t i = 0; i < clients.size(); ++i) {
    const HostileClientScript& client = clients[i];
    absl::StrAppend(&text, "client ", i, client.behaves ? ": behaves, " : ": hostile, ",
                    kEnds[static_cast<int>(client.end)], ", ", client.pieces.size(), " pieces\n");
    for (const WireMessage& request : client.requests) {
      absl::StrAppend(&text, "  ", request.begin, "-", request.end, " ",
                      kStates[static_cast<int>(request.state)], " ", request.method, " ",
                      absl::CHexEscape(request.target), " body=", request.body.size(),
                      request.keep_alive ? "" : " close", "\n");
    }
    if (!client.behaves) {
      absl::StrAppend(&text, absl::CHexEscape(client.stream.substr(0, 4000)), "\n");
    }
  }
  return text;
}

HostileScenario HostileScenario::Make(bool calm, Random& random, Coverage& coverage) {
  return Maker(calm, random, coverage).Make();
}

}  // namespace edge::sim
