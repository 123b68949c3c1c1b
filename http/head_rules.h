#pragma once

// What the fields of a head mean for its framing and its connection: the rules that requests and
// responses share.
//
// Pure functions over a head whose fields are complete; refusals carry offsets into its block.

#include <cstdint>
#include <string_view>

#include "http/message_head.h"
#include "http/reason.h"

namespace edge::http {

// What the framing fields say. At most one of the two is true.
struct FramingFields {
  bool chunked = false;
  bool has_length = false;
  uint64_t length = 0;
};

struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
};

class HeadRules {
 public:
  // RFC 9112 6.1 to 6.3 with nothing left to interpretation: one Content-Length in its one
  // canonical form, or one Transfer-Encoding that is `chunked`, or neither.
  static Refusal ReadFraming(const MessageHead& head, Version version, FramingFields* out);

  // Reads the Connection fields and marks what they name as hop-by-hop (RFC 9110 7.6.1), unless it
  // is a field that must never be lost that way. Refuses more than `options_max` options.
  static Refusal ReadConnection(MessageHead* head, uint32_t options_max, ConnectionOptions* out);

  // Whether the connection persists after the message (RFC 9112 9.3).
  static bool KeepsAlive(Version version, const ConnectionOptions& options);

  // Offset of the `n`th (from 0) field line with that id; of the head's end if there is none.
  static size_t LineOffset(const MessageHead& head, FieldId id, size_t n = 0);
};

}  // namespace edge::http
