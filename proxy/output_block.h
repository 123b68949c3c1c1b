// Where bytes that edge writes itself (heads, chunk sizes, trailers) stay put until the kernel has
// taken them. It belongs to what closes after the socket that sends them: an exchange for its
// client, an upstream connection for its origin. Bump allocation, reset whenever everything was
// sent.
//
// A head that does not fit takes a large buffer of the worker for its time.
//
// Worker thread only.

#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "uring/buffer_loans.h"

namespace edge::proxy {

class OutputBlock {
 public:
  static constexpr size_t kInlineBytes = 6144;

  explicit OutputBlock(uring::BufferLoans* loans) : loans_(loans) {}  // not owned; outlives this
  OutputBlock(const OutputBlock&) = delete;
  OutputBlock& operator=(const OutputBlock&) = delete;
  ~OutputBlock() { Reset(); }

  // The room that is left. Write into it and Commit.
  std::span<char> Room() {
    return large_.valid() ? std::span(loans_->data(large_), loans_->size(large_)).subspan(used_)
                          : std::span<char>(inline_).subspan(used_);
  }
  std::string_view Commit(size_t bytes) {
    const std::string_view written(Room().data(), bytes);
    used_ += bytes;
    return written;
  }
  bool empty() const { return used_ == 0; }
  bool large() const { return large_.valid(); }

  // Everything committed has been sent.
  void Reset() {
    used_ = 0;
    if (large_.valid()) loans_->Unref(large_);
    large_ = {};
  }
  // Commits what `write` makes of the room but for its last `reserve` bytes: it takes a span and
  // returns how many bytes it wrote, or nullopt if there are too few. Then it is tried once more
  // with a large buffer, which only an empty block can take. nullopt: it does not fit there, either
  // (large() says so), or there was no such buffer.
  template <typename Write>
  std::optional<std::string_view> CommitWhat(Write write, size_t reserve = 0) {
    const auto attempt = [&]() -> std::optional<size_t> {
      const std::span<char> room = Room();
      if (room.size() < reserve) return std::nullopt;
      return write(room.first(room.size() - reserve));
    };
    std::optional<size_t> bytes = attempt();
    if (!bytes.has_value() && empty() && Enlarge()) bytes = attempt();
    if (!bytes.has_value()) return std::nullopt;
    return Commit(*bytes);
  }

 private:
  // Only when empty. False: there is no large buffer left, or it is used already.
  bool Enlarge() {
    if (large_.valid()) return false;
    large_ = loans_->Take(uring::BufferGroup::kBody);
    return large_.valid();
  }

  uring::BufferLoans* const loans_;
  size_t used_ = 0;
  uring::BufferId large_;
  std::array<char, kInlineBytes> inline_;
};

}  // namespace edge::proxy
