#include "test/sim/sim_buffers.h"

#include <algorithm>
#include <cstring>

#include "absl/log/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define EDGE_SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EDGE_SIM_ASAN 1
#endif
#endif
#ifdef EDGE_SIM_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace edge::sim {
namespace {

using uring::BufferGroup;
using uring::BufferId;

// What is read from a buffer that was given back, without AddressSanitizer.
constexpr int kReturnedByte = 0xdd;
// What lies in a buffer beyond the bytes that were received, or in one taken for edge's own use.
constexpr int kUnwrittenByte = 0xcd;

void Forbid([[maybe_unused]] std::byte* memory, [[maybe_unused]] size_t size) {
#ifdef EDGE_SIM_ASAN
  ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

void Allow([[maybe_unused]] std::byte* memory, [[maybe_unused]] size_t size) {
#ifdef EDGE_SIM_ASAN
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

}  // namespace

SimBuffers::SimBuffers(const Options& options, uint32_t first_window, Random random)
    : random_(random) {
  for (int i = 0; i < uring::kBufferGroups; ++i) {
    CHECK_LE(options[i].buffers, uring::kBuffersPerGroupMax);
    Group& group = groups_[i];
    const size_t bytes = size_t{options[i].buffers} * options[i].bytes_each;
    group.bytes_each = options[i].bytes_each;
    group.window = std::clamp(first_window, 1u, std::max(options[i].buffers, 1u));
    group.states.assign(options[i].buffers, State::kFree);
    group.memory = std::make_unique_for_overwrite<std::byte[]>(bytes);
    Forbid(group.memory.get(), bytes);
    for (uint32_t index = 0; index < options[i].buffers; ++index) {
      group.stack.push_back(static_cast<uint16_t>(index));
    }
  }
  Refill();
}

SimBuffers::~SimBuffers() {
  for (Group& group : groups_) Allow(group.memory.get(), group.states.size() * group.bytes_each);
}

std::byte* SimBuffers::Address(BufferId id) {
  Group& group = Of(id.group());
  CHECK_LT(id.index(), group.states.size()) << "no such buffer";
  return group.memory.get() + size_t{id.index()} * group.bytes_each;
}

void SimBuffers::Move(BufferId id, State from, State to) {
  CHECK(id.valid());
  Group& group = Of(id.group());
  CHECK_LT(id.index(), group.states.size()) << "no such buffer";
  State& state = group.states[id.index()];
  CHECK(state == from) << "buffer " << id.index() << " of group " << static_cast<int>(id.group())
                       << " is in state " << static_cast<int>(state) << " and not "
                       << static_cast<int>(from) << " when it moves to " << static_cast<int>(to);
  state = to;
}

uint16_t SimBuffers::Draw(std::vector<uint16_t>& from) {
  std::swap(from[random_.Below(from.size())], from.back());
  const uint16_t index = from.back();
  from.pop_back();
  return index;
}

void SimBuffers::Refill() {
  for (int i = 0; i < uring::kBufferGroups; ++i) {
    Group& group = groups_[i];
    while (group.window_buffers.size() < group.window && !group.stack.empty()) {
      const uint16_t index = Draw(group.stack);
      Move(BufferId(static_cast<BufferGroup>(i), index), State::kFree, State::kWindow);
      group.window_buffers.push_back(index);
    }
  }
}

BufferId SimBuffers::Select(BufferGroup id) {
  Group& group = Of(id);
  if (group.window_buffers.empty()) {
    if (!group.stack.empty()) {
      group.window = std::min<uint32_t>(group.window * 2, static_cast<uint32_t>(total(id)));
    }
    return {};
  }
  const BufferId buffer(id, Draw(group.window_buffers));
  Move(buffer, State::kWindow, State::kFilled);
  return buffer;
}

void SimBuffers::Unselect(BufferId id) {
  Move(id, State::kFilled, State::kWindow);
  Of(id.group()).window_buffers.push_back(id.index());
}

void SimBuffers::Fill(BufferId id, const char* bytes, size_t size) {
  std::byte* memory = Address(id);
  const size_t room = bytes_each(id.group());
  CHECK_LE(size, room);
  Allow(memory, room);
  std::memcpy(memory, bytes, size);
  std::memset(memory + size, kUnwrittenByte, room - size);
  Forbid(memory, room);
}

void SimBuffers::Hand(BufferId id) {
  Move(id, State::kFilled, State::kLent);
  Allow(Address(id), bytes_each(id.group()));
}

std::byte* SimBuffers::Data(BufferId id) {
  CHECK(id.valid());
  CHECK(Of(id.group()).states.at(id.index()) == State::kLent)
      << "address asked of buffer " << id.index() << ", which edge does not hold";
  return Address(id);
}

size_t SimBuffers::lent() const {
  size_t lent = 0;
  for (int i = 0; i < uring::kBufferGroups; ++i) {
    lent += total(static_cast<BufferGroup>(i)) - free(static_cast<BufferGroup>(i));
  }
  return lent;
}

BufferId SimBuffers::Take(BufferGroup id) {
  Group& group = Of(id);
  if (group.stack.empty()) return {};
  const BufferId buffer(id, Draw(group.stack));
  Move(buffer, State::kFree, State::kLent);
  Allow(Address(buffer), group.bytes_each);
  std::memset(Address(buffer), kUnwrittenByte, group.bytes_each);
  return buffer;
}

void SimBuffers::Return(BufferId id) {
  Move(id, State::kLent, State::kFree);
  std::memset(Address(id), kReturnedByte, bytes_each(id.group()));
  Forbid(Address(id), bytes_each(id.group()));
  Of(id.group()).stack.push_back(id.index());
}

}  // namespace edge::sim
