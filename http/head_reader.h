#pragma once

// The part that requests and responses share: bytes into the head's block, the start line checked
// on its raw bytes, the field lines through llhttp, the limits.
//
// A member of RequestParser and ResponseParser; not used alone. Offsets of llhttp's tokens are
// offsets into the block, because llhttp reads the block and not the caller's bytes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message_head.h"
#include "http/reason.h"
#include "http/validation_policy.h"
#include "llhttp.h"

namespace edge::http {

enum class HeadStatus : uint8_t {
  kNeedMore,   // all bytes consumed, the head goes on
  kComplete,   // the head is there; the rest of the bytes is body or the next message
  kNeedSpace,  // the block is full below head_bytes_max: Rebind a larger one and feed the rest
  kRefused,    // see refusal(); the connection must be closed after the answer
};

struct HeadProgress {
  HeadStatus status;
  size_t consumed;  // bytes of this Feed that belong to the head
};

class HeadReader {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };

  HeadReader(Kind kind, const ValidationPolicy* policy);
  HeadReader(const HeadReader&) = delete;
  HeadReader& operator=(const HeadReader&) = delete;

  void Start(MessageHead* head);
  HeadProgress Feed(std::string_view bytes);
  const Refusal& refusal() const { return refusal_; }
  bool started() const { return started_; }

 private:
  const ValidationPolicy* policy_;
  MessageHead* head_ = nullptr;
  Refusal refusal_;
  llhttp_t llhttp_;
  Kind kind_;
  bool started_ = false;
};

}  // namespace edge::http
