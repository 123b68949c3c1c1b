// Messages from workers to the control thread; one mailbox takes them all.

#pragma once

#include <cstdint>

#include "uring/mailbox.h"

namespace edge::proxy {

struct ControlMessage : uring::MailboxNode {
  enum class Kind : uint8_t {
    kNotice,    // a worker has started or ended: look at its phase
    kLogBatch,  // lines to be written; see access_log.h
    kSlowTurn,  // a turn that took long; see slow_turn.h
  };
  explicit ControlMessage(Kind kind) : kind(kind) {}
  const Kind kind;
};

}  // namespace edge::proxy
