#include "http/framing.h"

#include <algorithm>

namespace edge::http {

void BodyReader::Start(BodyFraming framing, uint64_t length, const ValidationPolicy* policy,
                       std::span<char> trailer_block, uint64_t bytes_max) {
  framing_ = framing;
  remaining_ = framing == BodyFraming::kLength ? length : 0;
  chunks_.Start(policy, trailer_block, bytes_max);
}

BodyReader::Step BodyReader::Next(std::string_view bytes) {
  switch (framing_) {
    case BodyFraming::kNone:
      return {Event::kEnd, 0, {}};
    case BodyFraming::kLength: {
      if (remaining_ == 0) return {Event::kEnd, 0, {}};
      if (bytes.empty()) return {Event::kNeedMore, 0, {}};
      const size_t size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), remaining_));
      remaining_ -= size;
      return {Event::kData, size, bytes.substr(0, size)};
    }
    case BodyFraming::kChunked:
      if (chunks_.complete()) return {Event::kEnd, 0, {}};
      return chunks_.Next(bytes);
    case BodyFraming::kUntilClose:
      if (bytes.empty()) return {Event::kNeedMore, 0, {}};
      return {Event::kData, bytes.size(), bytes};
  }
  return {Event::kRefused, 0, {}};
}

bool BodyReader::complete() const {
  switch (framing_) {
    case BodyFraming::kNone:
      return true;
    case BodyFraming::kLength:
      return remaining_ == 0;
    case BodyFraming::kChunked:
      return chunks_.complete();
    case BodyFraming::kUntilClose:
      return false;
  }
  return false;
}

bool BodyReader::CompleteAtEof() const {
  return framing_ == BodyFraming::kUntilClose || complete();
}

uint64_t BodyReader::remaining() const {
  return framing_ == BodyFraming::kChunked ? chunks_.chunk_remaining() : remaining_;
}

}  // namespace edge::http
