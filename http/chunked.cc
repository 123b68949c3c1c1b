#include "http/chunked.h"

#include <algorithm>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "http/chars.h"
#include "http/field.h"

namespace edge::http {
namespace {

// As trailers these could change where the message goes, who sent it or where it ends (RFC
// 9110 6.5.1). Nobody sends them in good faith.
constexpr uint64_t kRefusedTrailers =
    FieldBit(FieldId::kAuthorization) | FieldBit(FieldId::kConnection) |
    FieldBit(FieldId::kContentLength) | FieldBit(FieldId::kCookie) | FieldBit(FieldId::kExpect) |
    FieldBit(FieldId::kForwarded) | FieldBit(FieldId::kHost) | FieldBit(FieldId::kHttp2Settings) |
    FieldBit(FieldId::kKeepAlive) | FieldBit(FieldId::kMaxForwards) |
    FieldBit(FieldId::kProxyAuthorization) | FieldBit(FieldId::kProxyConnection) |
    FieldBit(FieldId::kTe) | FieldBit(FieldId::kTrailer) | FieldBit(FieldId::kTransferEncoding) |
    FieldBit(FieldId::kUpgrade) | FieldBit(FieldId::kXForwardedFor) |
    FieldBit(FieldId::kXForwardedHost) | FieldBit(FieldId::kXForwardedOther) |
    FieldBit(FieldId::kXForwardedProto);

// These describe the content or the response; a recipient that merges them late has acted without
// them. They do no harm by being there, so they are dropped.
constexpr uint64_t kDroppedTrailers =
    FieldBit(FieldId::kAge) | FieldBit(FieldId::kCacheControl) |
    FieldBit(FieldId::kContentEncoding) | FieldBit(FieldId::kContentRange) |
    FieldBit(FieldId::kContentType) | FieldBit(FieldId::kDate) | FieldBit(FieldId::kExpires) |
    FieldBit(FieldId::kIfMatch) | FieldBit(FieldId::kIfModifiedSince) |
    FieldBit(FieldId::kIfNoneMatch) | FieldBit(FieldId::kIfRange) |
    FieldBit(FieldId::kIfUnmodifiedSince) | FieldBit(FieldId::kLocation) |
    FieldBit(FieldId::kPragma) | FieldBit(FieldId::kProxy) | FieldBit(FieldId::kProxyAuthenticate) |
    FieldBit(FieldId::kProxyAuthenticationInfo) | FieldBit(FieldId::kRange) |
    FieldBit(FieldId::kRetryAfter) | FieldBit(FieldId::kSetCookie) | FieldBit(FieldId::kVary) |
    FieldBit(FieldId::kVia) | FieldBit(FieldId::kWwwAuthenticate) | FieldBit(FieldId::kXRequestId);

// What may follow inside the quotes of an extension's value: qdtext, RFC 9110 5.6.4.
bool IsQuotedText(char c) { return (!IsControl(c) || c == '\t') && c != '"' && c != '\\'; }

}  // namespace

void ChunkReader::Start(const ValidationPolicy* policy, std::span<char> trailer_block,
                        uint64_t bytes_max) {
  policy_ = policy;
  keeps_trailers_ = !trailer_block.empty();
  trailer_block_ = trailer_block;
  offset_ = 0;
  remaining_ = 0;
  bytes_left_ = bytes_max;
  leading_zeros_ = 0;
  extension_bytes_ = 0;
  extensions_bytes_ = 0;
  trailer_section_bytes_ = 0;
  trailer_fields_ = 0;
  trailers_end_ = 0;
  line_end_ = 0;
  state_ = State::kSizeFirst;
  refusal_ = Refusal();
}

ChunkReader::Step ChunkReader::Next(std::string_view bytes) {
  CHECK(state_ < State::kDone) << "Start a new body first";
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (state_ == State::kData) {
      const size_t size = static_cast<size_t>(std::min<uint64_t>(bytes.size() - i, remaining_));
      remaining_ -= size;
      if (remaining_ == 0) state_ = State::kDataCr;
      offset_ += i + size;
      return {Event::kData, i + size, bytes.substr(i, size)};
    }
    const Reason reason = Take(bytes[i]);
    if (reason != Reason::kNone) {
      refusal_ = {reason, offset_ + i};
      state_ = State::kRefused;
      return {Event::kRefused, i, {}};
    }
    if (state_ == State::kDone) {
      offset_ += i + 1;
      return {Event::kEnd, i + 1, {}};
    }
  }
  offset_ += bytes.size();
  return {Event::kNeedMore, bytes.size(), {}};
}

// One byte of anything but data.
Reason ChunkReader::Take(char c) {
  if (state_ >= State::kTrailerStart) return TakeTrailer(c);
  if (state_ >= State::kExtensionSpace && state_ <= State::kExtensionEnd) {
    if (c != '\r' && (++extension_bytes_ > policy_->chunk_extension_bytes_max ||
                      ++extensions_bytes_ > policy_->chunk_extensions_bytes_max)) {
      return Reason::kChunkExtensionTooLong;
    }
    return TakeExtension(c);
  }
  switch (state_) {
    case State::kSizeFirst:
      if (!IsChar(c, kCharHex)) return Reason::kChunkSizeInvalid;
      remaining_ = HexValue(c);
      leading_zeros_ = 0;
      extension_bytes_ = 0;
      state_ = State::kSize;
      return Reason::kNone;
    case State::kSize:
      if (IsChar(c, kCharHex)) {
        // A digit after nothing but zeros makes the last of those a leading one.
        if (remaining_ == 0 && ++leading_zeros_ > policy_->chunk_size_leading_zeros_max) {
          return Reason::kChunkSizeNotCanonical;
        }
        if (remaining_ >> 59 != 0) return Reason::kChunkSizeOverflow;
        remaining_ = remaining_ << 4 | HexValue(c);
        return Reason::kNone;
      }
      if (c == '\r') {
        state_ = State::kSizeLf;
        return Reason::kNone;
      }
      if (c == '\n') return Reason::kChunkLineEnd;
      if (c != ';' && !IsSpace(c)) return Reason::kChunkSizeInvalid;
      // Bad white space before ";" must be parsed (RFC 9110 5.6.3), so it counts as a part of the
      // extension.
      ++extension_bytes_;
      if (++extensions_bytes_ > policy_->chunk_extensions_bytes_max) {
        return Reason::kChunkExtensionTooLong;
      }
      state_ = c == ';' ? State::kExtensionNameStart : State::kExtensionSpace;
      return Reason::kNone;
    case State::kSizeLf:
      if (c != '\n') return Reason::kChunkLineEnd;
      if (remaining_ > bytes_left_) return Reason::kBodyTooLarge;
      bytes_left_ -= remaining_;
      state_ = remaining_ == 0 ? State::kTrailerStart : State::kData;
      return Reason::kNone;
    case State::kDataCr:
      if (c != '\r') return Reason::kChunkDataEnd;
      state_ = State::kDataLf;
      return Reason::kNone;
    case State::kDataLf:
      if (c != '\n') return Reason::kChunkDataEnd;
      state_ = State::kSizeFirst;
      return Reason::kNone;
    default:
      LOG(FATAL) << "state " << static_cast<int>(state_) << " takes no byte";
  }
}

// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 7.1.1. Checked to its
// end, because a line that two recipients split differently is a smuggling vector, and then
// dropped.
Reason ChunkReader::TakeExtension(char c) {
  // Where an extension is complete, the line may end, the next extension begin or white space go
  // on.
  const auto after_extension = [this](char next) {
    if (next == '\r') {
      state_ = State::kSizeLf;
    } else if (next == ';') {
      state_ = State::kExtensionNameStart;
    } else if (IsSpace(next)) {
      state_ = State::kExtensionSpace;
    } else {
      return next == '\n' ? Reason::kChunkLineEnd : Reason::kChunkExtensionInvalid;
    }
    return Reason::kNone;
  };
  switch (state_) {
    case State::kExtensionSpace:
      if (IsSpace(c)) return Reason::kNone;
      if (c != ';') return Reason::kChunkExtensionInvalid;
      state_ = State::kExtensionNameStart;
      return Reason::kNone;
    case State::kExtensionNameStart:
      if (IsSpace(c)) return Reason::kNone;
      if (!IsChar(c, kCharToken)) return Reason::kChunkExtensionInvalid;
      state_ = State::kExtensionName;
      return Reason::kNone;
    case State::kExtensionName:
      if (IsChar(c, kCharToken)) return Reason::kNone;
      if (c == '=') {
        state_ = State::kExtensionValueStart;
        return Reason::kNone;
      }
      if (IsSpace(c)) {
        state_ = State::kExtensionNameSpace;
        return Reason::kNone;
      }
      return after_extension(c);
    case State::kExtensionNameSpace:
      if (IsSpace(c)) return Reason::kNone;
      if (c != '=' && c != ';') return Reason::kChunkExtensionInvalid;
      state_ = c == '=' ? State::kExtensionValueStart : State::kExtensionNameStart;
      return Reason::kNone;
    case State::kExtensionValueStart:
      if (IsSpace(c)) return Reason::kNone;
      if (c == '"') {
        state_ = State::kExtensionQuoted;
        return Reason::kNone;
      }
      if (!IsChar(c, kCharToken)) return Reason::kChunkExtensionInvalid;
      state_ = State::kExtensionToken;
      return Reason::kNone;
    case State::kExtensionToken:
      if (IsChar(c, kCharToken)) return Reason::kNone;
      return after_extension(c);
    case State::kExtensionQuoted:
      if (c == '"') {
        state_ = State::kExtensionEnd;
      } else if (c == '\\') {
        state_ = State::kExtensionQuotedPair;
      } else if (!IsQuotedText(c)) {
        return Reason::kChunkExtensionInvalid;
      }
      return Reason::kNone;
    case State::kExtensionQuotedPair:
      if (IsControl(c) && c != '\t') return Reason::kChunkExtensionInvalid;
      state_ = State::kExtensionQuoted;
      return Reason::kNone;
    case State::kExtensionEnd:
      return after_extension(c);
    default:
      LOG(FATAL) << "state " << static_cast<int>(state_) << " is not of an extension";
  }
}

// The trailer section and the empty line that ends the body.
Reason ChunkReader::TakeTrailer(char c) {
  if (++trailer_section_bytes_ > policy_->trailer_bytes_max + 2) return Reason::kTrailerTooLarge;
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return Reason::kNone;
      }
      if (!IsChar(c, kCharToken)) return Reason::kTrailerInvalid;  // a fold as well
      if (trailer_fields_ == policy_->trailer_fields_max) return Reason::kTrailersTooMany;
      ++trailer_fields_;
      line_end_ = trailers_end_;
      state_ = State::kTrailerName;
      return Store(c);
    case State::kTrailerName: {
      if (IsChar(c, kCharToken)) return Store(c);
      if (c != ':') return Reason::kTrailerInvalid;
      const Reason reason = JudgeTrailer();
      if (reason != Reason::kNone) return reason;
      if (Store(':') != Reason::kNone || Store(' ') != Reason::kNone) {
        return Reason::kTrailerTooLarge;
      }
      state_ = State::kTrailerValueStart;
      return Reason::kNone;
    }
    case State::kTrailerValueStart:
      if (IsSpace(c)) return Reason::kNone;
      state_ = State::kTrailerValue;
      [[fallthrough]];
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerLf;
        return Reason::kNone;
      }
      if (IsControl(c) && c != '\t') return Reason::kTrailerInvalid;
      return Store(c);
    case State::kTrailerLf:
      if (c != '\n') return Reason::kTrailerInvalid;
      state_ = State::kTrailerStart;
      return FinishTrailer();
    case State::kEndLf:
      if (c != '\n') return Reason::kTrailerInvalid;
      state_ = State::kDone;
      return Reason::kNone;
    default:
      LOG(FATAL) << "state " << static_cast<int>(state_) << " is not of a trailer";
  }
}

// Appends to the line that is being read. A line that will be dropped needs its name only, and only
// as much of it as the longest name that is known.
Reason ChunkReader::Store(char c) {
  const std::span<char> block = LineBlock();
  if (line_end_ == block.size()) {
    return keeps_trailers_ ? Reason::kTrailerTooLarge : Reason::kNone;
  }
  block[line_end_++] = c;
  return Reason::kNone;
}

// The name is complete: may this field be a trailer, and is it one to forward?
Reason ChunkReader::JudgeTrailer() {
  const std::string_view name(LineBlock().data() + trailers_end_, line_end_ - trailers_end_);
  const FieldId id = LookupField(name);
  if ((kRefusedTrailers & FieldBit(id)) != 0) return Reason::kTrailerForbidden;
  const bool underscore = name.find('_') != std::string_view::npos;
  if (underscore && policy_->underscore_names == UnderscoreNames::kRefuse) {
    return Reason::kTrailerForbidden;
  }
  keeps_line_ = (kDroppedTrailers & FieldBit(id)) == 0 &&
                !(underscore && policy_->underscore_names == UnderscoreNames::kDrop);
  return Reason::kNone;
}

Reason ChunkReader::FinishTrailer() {
  if (!keeps_trailers_ || !keeps_line_) return Reason::kNone;
  while (IsSpace(trailer_block_[line_end_ - 1])) --line_end_;  // ends at the colon at the latest
  if (trailer_block_.size() - line_end_ < 2) return Reason::kTrailerTooLarge;
  trailer_block_[line_end_++] = '\r';
  trailer_block_[line_end_++] = '\n';
  trailers_end_ = line_end_;
  return Reason::kNone;
}

size_t WriteChunkHeader(char* out, uint64_t size, bool first) {
  constexpr char kDigits[] = "0123456789abcdef";
  char* p = out;
  if (!first) {
    *p++ = '\r';
    *p++ = '\n';
  }
  int shift = 60;
  while (shift > 0 && size >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *p++ = kDigits[size >> shift & 15];
  *p++ = '\r';
  *p++ = '\n';
  return static_cast<size_t>(p - out);
}

}  // namespace edge::http
