// The provided buffers of a simulated kernel, which trusts nobody: each buffer knows who holds it,
// memory that edge does not hold is poisoned, and holding one twice or giving it back twice ends
// the program.
//
//     kFree --Refill--> kWindow --Select--> kFilled --Hand--> kLent --Return--> kFree
//       |                  ^------Unselect-----+                ^
//       +-----------------------Take----------------------------+
//
// As in uring_io.h, the kernel is given a window of the free buffers, which grows when it proves
// too small.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "test/sim/random.h"
#include "uring/operation.h"

namespace edge::sim {

struct SimBufferOptions {
  uint32_t buffers = 0;
  uint32_t bytes_each = 0;
};

class SimBuffers {
 public:
  // By the number of the group.
  using Options = std::array<SimBufferOptions, uring::kBufferGroups>;

  SimBuffers(const Options& options, uint32_t first_window, Random random);
  ~SimBuffers();
  SimBuffers(const SimBuffers&) = delete;
  SimBuffers& operator=(const SimBuffers&) = delete;

  // --- The kernel's side

  // Gives free buffers to the kernel, as many as the window says. Once a turn.
  void Refill();
  // A receive takes a buffer; !valid() if the window is empty, which then grows if there are free
  // ones.
  uring::BufferId Select(uring::BufferGroup group);
  // Nothing was received into it after all.
  void Unselect(uring::BufferId id);
  // Writes what was received; memory stays poisoned.
  void Fill(uring::BufferId id, const char* bytes, size_t size);
  // The completion reaches edge.
  void Hand(uring::BufferId id);

  // --- Edge's side, as in uring/io.h

  std::byte* Data(uring::BufferId id);
  size_t bytes_each(uring::BufferGroup group) const { return Of(group).bytes_each; }
  size_t total(uring::BufferGroup group) const { return Of(group).states.size(); }
  size_t free(uring::BufferGroup group) const {
    return Of(group).stack.size() + Of(group).window_buffers.size();
  }
  size_t own(uring::BufferGroup group) const { return Of(group).stack.size(); }
  uring::BufferId Take(uring::BufferGroup group);
  // Held by edge, or about to be.
  size_t lent() const;
  void Return(uring::BufferId id);

 private:
  enum class State : uint8_t {
    kFree,    // nobody's
    kWindow,  // the kernel may choose it
    kFilled,  // chosen, its completion not yet dispatched
    kLent,    // edge's
  };
  struct Group {
    uint32_t bytes_each = 0;
    uint32_t window = 0;
    std::vector<State> states;
    std::vector<uint16_t> stack;           // of kFree
    std::vector<uint16_t> window_buffers;  // of kWindow
    std::unique_ptr<std::byte[]> memory;
  };

  Group& Of(uring::BufferGroup group) { return groups_[static_cast<int>(group)]; }
  const Group& Of(uring::BufferGroup group) const { return groups_[static_cast<int>(group)]; }
  std::byte* Address(uring::BufferId id);
  void Move(uring::BufferId id, State from, State to);
  uint16_t Draw(std::vector<uint16_t>& from);

  std::array<Group, uring::kBufferGroups> groups_;
  Random random_;
};

}  // namespace edge::sim
