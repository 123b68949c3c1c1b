// Breaks HTTP/1.1 messages, byte by byte or where it hurts: start lines, framing, chunks, trailers,
// line ends, lengths of everything. What comes out may be sound, bad, or mean something else;
// wire_reader.h tells.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "test/sim/random.h"

namespace edge::sim {

enum class MessageKind : uint8_t { kRequest, kResponse };

struct Mutation {
  std::string_view name;
  bool requests;
  bool responses;
  // Changes `message`; `other` is a whole message of the same kind. May find nothing to change.
  void (*apply)(std::string& message, std::string_view other, Random& random);
};

// All of them: for counting.
std::span<const Mutation> AllMutations();

// Applies one of those for this kind, and says which.
const Mutation& Mutate(MessageKind kind, std::string& message, std::string_view other,
                       Random& random);

}  // namespace edge::sim
