#pragma once

// Reads a body whatever its framing is, and knows whether it is complete.
//
// A member of a body pump, one thread, no I/O, no allocation.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/body_step.h"
#include "http/chunked.h"
#include "http/message_head.h"
#include "http/reason.h"
#include "http/validation_policy.h"

namespace edge::http {

class BodyReader {
 public:
  using Event = BodyEvent;
  using Step = BodyStep;

  // A new body; `length` counts with kLength only. `policy` and `trailer_block` are for kChunked,
  // see ChunkReader; so is `bytes_max`: a chunk that would make the body longer is refused.
  void Start(BodyFraming framing, uint64_t length, const ValidationPolicy* policy,
             std::span<char> trailer_block = {}, uint64_t bytes_max = UINT64_MAX);

  // Call in a loop with what was not consumed, until kNeedMore, kEnd or kRefused. Never takes a
  // byte beyond the body. kUntilClose never says kEnd: its end is the connection's.
  [[nodiscard]] Step Next(std::string_view bytes);

  // Every byte of the body was seen. True from the start for kNone and a length of 0, never for
  // kUntilClose.
  bool complete() const;
  // Whether the body is complete when the peer ends the connection in order now: with a FIN, and
  // over TLS with close_notify before it. False means truncated. After a reset no body is complete
  // that complete() does not call so (RFC 9112 8).
  bool CompleteAtEof() const;
  // Bytes still to come, where that is known: kLength. For kChunked, of the current chunk.
  // Otherwise 0.
  uint64_t remaining() const;

  BodyFraming framing() const { return framing_; }
  const Refusal& refusal() const { return chunks_.refusal(); }
  std::string_view trailers() const { return chunks_.trailers(); }

 private:
  BodyFraming framing_ = BodyFraming::kNone;
  uint64_t remaining_ = 0;
  ChunkReader chunks_;
};

}  // namespace edge::http
