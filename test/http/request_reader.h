#pragma once

// Reads one request as an exchange does: head, the head anew, body; from pieces of any sizes. What
// came of it is plain values, so that two readings can be compared.
//
// Without GoogleTest, because fuzz targets use it too: a broken invariant CHECKs.

#include <cstddef>
#include <cstdint>
#include <string>

#include "http/message_head.h"
#include "http/reason.h"
#include "http/validation_policy.h"
#include "test/http/pieces.h"

namespace edge::http {

struct ReadingOptions {
  ValidationPolicy policy;
  size_t block_bytes =
      MessageHead::kBlockBytesMax;    // of the head's first block; it grows on demand
  size_t trailer_block_bytes = 2048;  // 0: trailers are checked and dropped
};

struct RequestOutcome {
  enum class Verdict : uint8_t { kAccepted, kRefused, kIncomplete };
  Verdict verdict = Verdict::kIncomplete;
  Refusal refusal;      // kRefused; the offset is from the request's first byte
  size_t consumed = 0;  // kAccepted: head and body

  // Once the head was complete.
  std::string forwarded;
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;
  std::string body;      // as far as it came
  std::string trailers;  // kAccepted

  friend bool operator==(const RequestOutcome&, const RequestOutcome&) = default;
};

RequestOutcome ReadRequest(const Pieces& pieces, const ReadingOptions& options = {});

// The outcome on a few lines, for the report of a difference.
std::string ToString(const RequestOutcome& outcome);

}  // namespace edge::http
