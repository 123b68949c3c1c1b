// A scenario: which clients ask for what, how the origins answer, and who misbehaves. Made from a
// seed; immutable while it runs.
//
// Every exchange has an id, which is in its target ("/x/<id>") and in the origin's answer
// ("X-Sim-Id"), and from which both bodies follow (body.h).

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "test/sim/random.h"
#include "test/sim/sim_peer.h"

namespace edge::sim {

enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

// How an origin answers one request.
struct AnswerScript {
  enum class End : uint8_t {
    kComplete,
    kFinInBody,  // an orderly end of the stream before the message is complete
    kResetInBody,
    kFinBeforeHead,
    kResetBeforeHead,
    kStallInBody,  // silence after a part
    kSilent,       // no answer at all
  };
  int status = 200;
  Framing framing = Framing::kLength;
  uint64_t body_bytes = 0;
  uint64_t pad_bytes = 0;     // of fields in the head
  bool trailers = false;      // with kChunked
  int interim_responses = 0;  // 103 before the answer
  bool http10 = false;
  bool says_close = false;  // Connection: close, and closes
  bool closes_silently =
      false;             // keeps the connection as far as the client knows, and closes it later
  bool early = false;    // answers when it has the head, and then reads the rest of the request
  bool tunnel = false;   // 101, then echoes
  int64_t delay_ns = 0;  // before the answer, and before a silent close
  End end = End::kComplete;
};

struct ExchangeScript {
  uint64_t id = 0;
  std::string method = "GET";
  bool http10 = false;
  Framing framing = Framing::kNone;  // of the request
  uint64_t body_bytes = 0;
  uint64_t pad_bytes = 0;  // of fields in the head
  bool trailers = false;
  bool expect_continue = false;
  bool says_close = false;
  uint64_t tunnel_bytes = 0;  // sent after a 101, and expected back
  AnswerScript answer;
  // Whatever is to be hidden, the client gets the whole answer.
  bool must_succeed = false;

  bool idempotent() const { return method != "POST" && method != "PATCH"; }
  bool head() const { return method == "HEAD"; }
  // The answer has a body on the wire.
  bool answer_has_body() const { return !head() && answer.status != 204 && answer.status != 304; }
};

struct ClientScript {
  enum class Manners : uint8_t {
    kGood,
    kHalfCloses,  // FIN after its last request; reads all answers
    kAborts,      // reset at some time
    kLeaves,      // closes at some time, whatever is unread
    kStalls,      // stops sending at some time, for good
    kDeaf,        // stops reading at some time, for good
  };
  std::vector<uint64_t> exchanges;
  size_t pipeline = 1;  // requests sent before the first one's answer is there
  Pace pace;
  int64_t start_ns = 0;
  int64_t think_ns_max = 0;
  Manners manners = Manners::kGood;
  int64_t misbehaves_at_ns = 0;  // after its start
};

struct OriginScript {
  bool listens = true;
  Pace pace;
};

// What kind of trouble a scenario has.
enum class Trouble : uint8_t {
  kNone,     // no faults, everybody behaves
  kHidden,   // faults of the kernel that are to be hidden; everybody behaves
  kPeers,    // the same, and peers misbehave
  kAny,      // every fault, and peers misbehave
  kHostile,  // the same, and peers break HTTP: hostile_scenario.h
};

struct Scenario {
  static Scenario Make(Trouble trouble, Random& random);

  // A line for each client, exchange and origin.
  std::string Describe() const;

  const ExchangeScript& exchange(uint64_t id) const { return exchanges.at(id); }
  bool exists(uint64_t id) const { return id < exchanges.size(); }

  Trouble trouble = Trouble::kNone;
  std::deque<ExchangeScript> exchanges;  // by id
  std::vector<ClientScript> clients;
  std::vector<OriginScript> origins;
  int64_t drain_at_ns = -1;  // in the middle of it; -1: when the clients have done
};

}  // namespace edge::sim
