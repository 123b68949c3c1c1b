#pragma once

// Reader and writer of the chunked transfer coding (RFC 9112 7.1). The reader is strict and written
// here, without llhttp: one canonical form of a size, CRLF only, extensions checked, bounded and
// dropped, trailers kept apart.
//
// A member of a body pump, one thread, no I/O, no allocation. Data is handed out as parts of the
// caller's bytes; nothing of them is kept but trailers, which go into the block that is lent to
// Start.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/body_step.h"
#include "http/reason.h"
#include "http/validation_policy.h"

namespace edge::http {

class ChunkReader {
 public:
  using Event = BodyEvent;
  using Step = BodyStep;

  // A new body. Both are not owned and outlive the body. Trailers that may be forwarded are written
  // into `trailer_block`; without one they are checked and dropped. A trailer section that does not
  // fit is refused, and so is a chunk that would make the body longer than `bytes_max`.
  void Start(const ValidationPolicy* policy, std::span<char> trailer_block = {},
             uint64_t bytes_max = UINT64_MAX);

  // Call in a loop with what was not consumed. Not after kEnd or kRefused, until Start.
  [[nodiscard]] Step Next(std::string_view bytes);

  const Refusal& refusal() const { return refusal_; }
  // kEnd was returned.
  bool complete() const { return state_ == State::kDone; }
  // Data bytes of the current chunk that are still to come.
  uint64_t chunk_remaining() const { return remaining_; }

  // After kEnd: the trailers that may be forwarded, as lines "Name: value\r\n". Fields of the deny
  // list are not among them: framing, routing, authentication and hop-by-hop fields are refused,
  // other fields that RFC 9110 6.5.1 keeps out of trailers are dropped.
  std::string_view trailers() const { return {trailer_block_.data(), trailers_end_}; }

 private:
  // In the order in which Take() tells their kinds apart.
  enum class State : uint8_t {
    kSizeFirst,  // before the first digit
    kSize,       // after a digit
    kSizeLf,     // after the size line's CR
    kData,
    kDataCr,
    kDataLf,

    kExtensionSpace,      // white space after the size or after an extension: only ";" may follow
    kExtensionNameStart,  // after ";"
    kExtensionName,
    kExtensionNameSpace,  // white space after a name: "=" or ";" may follow
    kExtensionValueStart,
    kExtensionToken,
    kExtensionQuoted,
    kExtensionQuotedPair,
    kExtensionEnd,  // after a closing quote

    kTrailerStart,  // at the start of a trailer line or of the last, empty one
    kTrailerName,
    kTrailerValueStart,
    kTrailerValue,
    kTrailerLf,  // after a trailer line's CR
    kEndLf,      // after the CR of the empty line

    kDone,
    kRefused,
  };

  Reason Take(char c);
  Reason TakeExtension(char c);
  Reason TakeTrailer(char c);
  Reason Store(char c);
  Reason JudgeTrailer();
  Reason FinishTrailer();
  std::span<char> LineBlock() { return keeps_trailers_ ? trailer_block_ : std::span(scratch_); }

  const ValidationPolicy* policy_ = nullptr;
  std::span<char> trailer_block_;
  uint64_t offset_ = 0;      // of the body, for refusals
  uint64_t remaining_ = 0;   // the size being read, then the data still to come
  uint64_t bytes_left_ = 0;  // that chunks to come may have
  uint32_t leading_zeros_ = 0;
  uint32_t extension_bytes_ = 0;   // of this chunk
  uint32_t extensions_bytes_ = 0;  // of all chunks
  uint32_t trailer_section_bytes_ = 0;
  uint32_t trailer_fields_ = 0;
  uint32_t trailers_end_ = 0;  // of the complete lines in the block
  uint32_t line_end_ = 0;      // of the line being read, which starts at trailers_end_
  State state_ = State::kRefused;
  bool keeps_trailers_ = false;
  bool keeps_line_ = false;
  Refusal refusal_;
  // Holds a name when no block was lent; longer than any name with a meaning.
  std::array<char, 32> scratch_;
};

// "\r\n" + 16 digits + "\r\n".
inline constexpr size_t kChunkHeaderBytesMax = 20;

// Writes a chunk's size line and, unless `first`, before it the CRLF that ends the chunk before.
// Size 0 is the last chunk: trailers and an empty line ("\r\n") must follow. Returns the bytes
// written, at most kChunkHeaderBytesMax.
size_t WriteChunkHeader(char* out, uint64_t size, bool first);

}  // namespace edge::http
