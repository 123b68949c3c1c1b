#include "http/message_head.h"

#include <cstring>

#include "absl/log/check.h"

namespace edge::http {

void MessageHead::Bind(std::span<char> block) {
  CHECK_LE(block.size(), kBlockBytesMax);
  block_ = block.data();
  capacity_ = static_cast<uint32_t>(block.size());
  Clear();
}

void MessageHead::Rebind(std::span<char> larger_block) {
  CHECK_LE(larger_block.size(), kBlockBytesMax);
  CHECK_GE(larger_block.size(), used_);
  std::memcpy(larger_block.data(), block_, used_);
  block_ = larger_block.data();
  capacity_ = static_cast<uint32_t>(larger_block.size());
}

void MessageHead::Clear() {
  used_ = 0;
  size_ = 0;
  present_ = 0;
  repeated_ = 0;
}

std::optional<std::string_view> MessageHead::Find(FieldId id) const {
  if (!Has(id)) return std::nullopt;
  for (size_t i = 0; i < size_; ++i) {
    if (fields_[i].id == id) return value(i);
  }
  return std::nullopt;
}

size_t MessageHead::Count(FieldId id) const {
  if (!Repeats(id)) return Has(id) ? 1 : 0;
  size_t count = 0;
  for (size_t i = 0; i < size_; ++i) count += fields_[i].id == id;
  return count;
}

std::optional<std::string_view> MessageHead::Find(std::string_view name) const {
  for (size_t i = 0; i < size_; ++i) {
    if (EqualsIgnoreCase(this->name(i), name)) return value(i);
  }
  return std::nullopt;
}

std::string_view RequestHead::query() const {
  const std::string_view whole = target();
  return path_size_ < whole.size() ? whole.substr(path_size_ + 1u) : std::string_view();
}

}  // namespace edge::http
