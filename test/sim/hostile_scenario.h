// Who does what in a hostile run: clients that send mutated bytes beside clients that behave, on
// the same proxy and the same connections to origins, which break their answers as well. Made from
// a seed; immutable while it runs.
//
// Every message has a target and bodies of its own, so that a byte in the wrong place is noticed.
// What a client's mutated stream means is what wire_reader.h makes of it.

#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "test/sim/coverage.h"
#include "test/sim/random.h"
#include "test/sim/sim_peer.h"
#include "test/sim/wire_reader.h"

namespace edge::sim {

struct HostileClientScript {
  // What is written at once.
  struct Piece {
    std::string bytes;
    size_t answers_before = 0;     // waits for so many final answers, within its patience
    bool awaits_continue = false;  // ... for 100 (Continue)
    int64_t pause_ns = 0;          // ... and then for as long
  };
  enum class End : uint8_t {
    kWaits,       // until everything is answered or the proxy closes
    kHalfCloses,  // behind its last byte
    kAborts,      // resets at end_ns
    kLeaves,      // closes at end_ns
    kStalls,      // writes no more from end_ns on
    kDeaf,        // reads no more from end_ns on
  };
  bool behaves = false;
  std::vector<Piece> pieces;
  Pace pace;
  int64_t start_ns = 0;
  int64_t patience_ns = 0;  // how long it waits for an answer, if it does not behave
  End end = End::kWaits;
  int64_t end_ns = 0;  // after its start
  size_t listener = 0;
  std::string stream;                 // all pieces
  std::vector<WireMessage> requests;  // that are in it
};

struct HostileScenario {
  // `calm`: nothing but the peers is to blame for what fails.
  static HostileScenario Make(bool calm, Random& random, Coverage& coverage);

  std::string Describe() const;

  bool calm = false;
  std::deque<HostileClientScript> clients;
  std::vector<Pace> origins;
  double origin_trouble = 0;  // how often an origin does something wrong, an occasion
  // Few buffers, and clients that hold them: they pipeline and do not read. Answers are large.
  bool squeeze = false;
  int64_t drain_at_ns = -1;
  int64_t stop_at_ns = -1;  // everything is closed at once
};

// The bytes of an answer that breaks no rule. `key`: of its body, never used twice.
struct HonestAnswer {
  std::string bytes;
  bool closes = false;  // its end is the end of the connection, or it says that this is near
};
HonestAnswer MakeHonestAnswer(uint64_t key, const std::string& method, bool large, Random& random);

}  // namespace edge::sim
