// An asynchronous operation that lives inside its owner.
//
// An Operation is what the kernel (or the simulated kernel) is given as user data. It is embedded
// in the object whose memory the operation uses, so nothing is allocated to start one, and the
// destructor CHECKs the rule that keeps io_uring memory-safe: an owner is freed only after its last
// completion has come.
//
// user_data is the address in the low 48 bits and a 16-bit generation above it. Slots live in slabs
// whose memory is never unmapped while the ring lives, so a completion that arrives for an earlier
// use of the slot is recognised by its generation and counted, never delivered.
//
// Worker thread only.

#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"

namespace edge::uring {

// Which pool of provided buffers a receive takes from; see io.h. Clients and origins have pools of
// their own: a request that waits for its response holds buffers of the one, and what it waits for
// comes in the other, so that clients can not starve the responses that would free their buffers.
enum class BufferGroup : uint8_t {
  kHead = 0,    // small buffers for clients: request heads, small bodies, handshakes
  kBody = 1,    // large buffers: bodies whose length is known to be large
  kOrigin = 2,  // small buffers for origins: response heads, small bodies
};
inline constexpr int kBufferGroups = 3;

// A provided buffer that the kernel has filled and edge now holds: the group in the upper two bits,
// the index below.
class BufferId {
 public:
  constexpr BufferId() = default;
  constexpr BufferId(BufferGroup group, uint16_t index)
      : value_(static_cast<uint16_t>(static_cast<uint16_t>(group) << 14 | index)) {}
  constexpr bool valid() const { return value_ != kNone; }
  constexpr BufferGroup group() const { return static_cast<BufferGroup>(value_ >> 14); }
  constexpr uint16_t index() const { return value_ & 0x3fff; }
  constexpr bool operator==(const BufferId&) const = default;

 private:
  static constexpr uint16_t kNone = 0xffff;  // of a group that does not exist
  uint16_t value_ = kNone;
};
inline constexpr size_t kBuffersPerGroupMax = 0x4000;
// How many buffers one RecvNow fills at most.
inline constexpr size_t kBuffersPerReceiveMax = 4;

struct Completion {
  int32_t result = 0;       // what the system call would return, errors as -errno
  BufferId buffer;          // filled by a receive that selected one
  bool more = false;        // a multishot operation stays armed
  bool bytes_left = false;  // a receive that left bytes in the socket (a hint)
};

class Operation {
 public:
  // Called by Io::Dispatch, never from within a call that starts or cancels an operation. Unless
  // `completion.more`, the operation is no longer in flight and may be started again from the
  // handler.
  using Handler = void (*)(Operation& operation, const Completion& completion);

  Operation(void* owner, Handler handler) : owner_(owner), handler_(handler) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() { CHECK(!in_flight_) << "operation freed before its last completion"; }

  bool in_flight() const { return in_flight_; }

  template <typename Owner>
  Owner& owner() const {
    return *static_cast<Owner*>(owner_);
  }

  // The rest is for implementations of Io.

  // Marks the operation in flight and returns the user data of this use of it.
  uint64_t Arm() {
    CHECK(!in_flight_) << "operation started twice";
    in_flight_ = true;
    generation_ = ++last_generation_;
    return user_data();
  }
  uint64_t user_data() const {
    return static_cast<uint64_t>(generation_) << 48 | reinterpret_cast<uint64_t>(this);
  }
  // A note of the implementation's own about this use, for instance the buffer group.
  uint8_t tag() const { return tag_; }
  void set_tag(uint8_t tag) { tag_ = tag; }
  // The operation that `user_data` names, or nullptr if it has been started anew since.
  static Operation* FromUserData(uint64_t user_data) {
    auto* operation = reinterpret_cast<Operation*>(user_data & 0xffff'ffff'ffffULL);
    return operation->in_flight_ && operation->generation_ == user_data >> 48 ? operation : nullptr;
  }
  void Complete(const Completion& completion) {
    in_flight_ = completion.more;
    handler_(*this, completion);
  }

 private:
  // Of the thread, not of the slot, so that it goes on when a slot gets a new object.
  static inline thread_local uint16_t last_generation_ = 0;

  void* owner_;
  Handler handler_;
  uint16_t generation_ = 0;
  bool in_flight_ = false;
  uint8_t tag_ = 0;
};

// Makes a Handler of a member function: Operation recv_{this, Bind<&Socket::OnRecv>()}.
namespace internal {
template <typename T>
struct MemberOf;
template <typename Owner>
struct MemberOf<void (Owner::*)(const Completion&)> {
  using type = Owner;
};
}  // namespace internal

template <auto kMethod>
constexpr Operation::Handler Bind() {
  return [](Operation& operation, const Completion& completion) {
    using Owner = typename internal::MemberOf<decltype(kMethod)>::type;
    (operation.owner<Owner>().*kMethod)(completion);
  };
}

}  // namespace edge::uring
