// What a stream of bytes means as HTTP/1.1, read as a whole and at leisure: the yardstick of the
// hostile scenarios, where nobody knows beforehand what a mutated message is.
//
// It shares no code with edge, and is at least as lenient wherever the RFCs leave a choice: what
// edge takes for a message must be one here, with the same start line, fields and body, and the
// next one must start at the same byte. What edge refuses may well be sound here (limits, policy).
// http_reader.h is its strict brother, which reads what edge sends.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edge::sim {

using WireFields = std::vector<std::pair<std::string, std::string>>;

struct WireMessage {
  enum class State : uint8_t {
    kHeadCut,  // the stream ends within the head
    kHeadBad,
    kBodyCut,  // ... within the body
    kBodyBad,
    kComplete,
  };
  enum class Body : uint8_t { kNone, kLength, kChunked, kUntilClose };

  State state = State::kHeadCut;
  std::string method;  // of a request
  std::string target;  // as an origin gets it: absolute-form cut down
  std::string host;    // that is meant; empty: none was named
  int status = 0;      // of a response
  bool http10 = false;
  WireFields fields;  // names in lower case, values trimmed
  WireFields trailers;
  Body framing = Body::kNone;
  uint64_t length = 0;  // with kLength
  std::string body;     // decoded, as far as it is there
  bool keep_alive = false;
  bool upgrade = false;  // Connection names it
  size_t begin = 0;      // in the stream, and so are these two
  size_t head_end = 0;   // if the head is sound
  size_t end = 0;        // if it is complete

  bool has_head() const { return state >= State::kBodyCut; }
  bool complete() const { return state == State::kComplete; }
  const std::string* Find(std::string_view name) const;
  bool Has(std::string_view name, std::string_view value) const;
};

// The requests of a client's whole stream. The last one may be cut or bad; behind a request that
// ends the connection nothing is read.
std::vector<WireMessage> ReadRequests(std::string_view stream);

// The response at the beginning of an origin's stream, to a request of this method, and the interim
// ones before it. `ended`: the stream has come to an orderly end.
struct WireResponse {
  std::vector<WireMessage> interim;
  WireMessage final;
};
WireResponse ReadResponse(std::string_view stream, std::string_view method, bool ended);

}  // namespace edge::sim
