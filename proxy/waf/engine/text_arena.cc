#include "proxy/waf/engine/text_arena.h"

#include <algorithm>
#include <cstring>

#include "absl/log/check.h"

namespace edge::waf {
namespace {

constexpr size_t RoundUp(size_t bytes) {
  constexpr size_t kAlignment = alignof(std::max_align_t);
  return (bytes + kAlignment - 1) & ~(kAlignment - 1);
}

}  // namespace

char* TextArena::Allocate(size_t bytes) {
  const size_t wanted = RoundUp(bytes);
  // What is left of a block that is too small for this is not used any more: it makes every
  // allocation quick, and wastes less than half of the memory.
  while (current_ < blocks_.size() && blocks_[current_].size - blocks_[current_].used < wanted) {
    ++current_;
  }
  if (current_ == blocks_.size()) {
    const size_t size = std::max(wanted, kBlockBytes);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size, 0});
  }
  Block& block = blocks_[current_];
  char* place = block.bytes.get() + block.used;
  block.used += wanted;
  used_bytes_ += wanted;
  return place;
}

void TextArena::Shrink(size_t bytes, size_t used) {
  CHECK_LE(used, bytes);
  Block& block = blocks_[current_];
  CHECK_GE(block.used, RoundUp(bytes));
  block.used -= RoundUp(bytes) - RoundUp(used);
  used_bytes_ -= RoundUp(bytes) - RoundUp(used);
}

std::string_view TextArena::Copy(std::string_view text) {
  if (text.empty()) return {};
  char* place = Allocate(text.size());
  std::memcpy(place, text.data(), text.size());
  return {place, text.size()};
}

void TextArena::Clear() {
  size_t kept = 0;
  std::erase_if(blocks_, [&kept](Block& block) {
    block.used = 0;
    if (block.size > kKeptBytes - kept) return true;
    kept += block.size;
    return false;
  });
  current_ = 0;
  used_bytes_ = 0;
}

size_t TextArena::allocated_bytes() const {
  size_t sum = 0;
  for (const Block& block : blocks_) sum += block.size;
  return sum;
}

}  // namespace edge::waf
