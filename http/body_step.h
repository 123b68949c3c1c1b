#pragma once

// What the readers of bodies answer.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace edge::http {

enum class BodyEvent : uint8_t {
  kNeedMore,  // all bytes consumed, the body goes on
  kData,      // `data` is body; call again with the rest
  kEnd,       // the body is complete; bytes beyond `consumed` are not its own
  kRefused,   // see refusal()
};

struct BodyStep {
  BodyEvent event;
  size_t consumed;        // framing and data
  std::string_view data;  // with kData, a part of the bytes given, never empty
};

}  // namespace edge::http
