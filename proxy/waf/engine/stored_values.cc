#include "proxy/waf/engine/stored_values.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace edge::waf {
namespace {

constexpr size_t kTableSizeMin = 64;

}  // namespace

int64_t LeadingNumber(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  const bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;
    number = number * 10 + (c - '0');
    if (number > int64_t{std::numeric_limits<int32_t>::max()}) return 0;
  }
  return negative ? -number : number;
}

void StoredValues::Begin(const StoredNames* names) {
  names_ = names;
  values_.assign(names->size(), Value{.text = {}, .set = false});
  if (!made_.empty() || made_table_.empty()) {
    made_.clear();
    made_table_.assign(kTableSizeMin, -1);
  }
}

std::optional<std::string_view> StoredValues::Get(int slot) const {
  const Value& value = values_[static_cast<size_t>(slot)];
  if (!value.set) return std::nullopt;
  return value.text;
}

int StoredValues::Find(Variable collection, std::string_view name) const {
  if (const int slot = names_->Find(collection, name); slot >= 0) return slot;
  if (made_.empty()) return -1;
  const size_t hash = StoredNames::Hash(collection, name);
  const size_t mask = made_table_.size() - 1;
  for (size_t at = hash & mask; made_table_[at] >= 0; at = (at + 1) & mask) {
    const Made& made = made_[static_cast<size_t>(made_table_[at])];
    if (made.hash == hash && made.collection == collection &&
        absl::EqualsIgnoreCase(made.name, name)) {
      return static_cast<int>(names_->size()) + made_table_[at];
    }
  }
  return -1;
}

void StoredValues::Place(size_t made) {
  const size_t mask = made_table_.size() - 1;
  size_t at = made_[made].hash & mask;
  while (made_table_[at] >= 0) at = (at + 1) & mask;
  made_table_[at] = static_cast<int>(made);
}

int StoredValues::Make(Variable collection, std::string_view name, TextArena& arena) {
  if (const int slot = Find(collection, name); slot >= 0) return slot;
  if (made_.size() == kMadeMax) return -1;
  made_.push_back({.collection = collection,
                   .name = arena.Copy(name),
                   .hash = StoredNames::Hash(collection, name)});
  values_.push_back({.text = {}, .set = false});
  if (made_.size() * 2 > made_table_.size()) {
    made_table_.assign(made_table_.size() * 2, -1);
    for (size_t i = 0; i + 1 < made_.size(); ++i) Place(i);
  }
  Place(made_.size() - 1);
  return static_cast<int>(values_.size() - 1);
}

void StoredValues::Set(int slot, std::string_view value) {
  values_[static_cast<size_t>(slot)] = {.text = value, .set = true};
}

void StoredValues::Unset(int slot) {
  values_[static_cast<size_t>(slot)] = {.text = {}, .set = false};
}

std::string_view StoredValues::NameOf(size_t slot) const {
  return slot < names_->size() ? names_->name(static_cast<int>(slot))
                               : made_[slot - names_->size()].name;
}

Variable StoredValues::CollectionOf(size_t slot) const {
  return slot < names_->size() ? names_->collection(static_cast<int>(slot))
                               : made_[slot - names_->size()].collection;
}

void StoredValues::ForEach(
    Variable collection,
    absl::FunctionRef<void(std::string_view name, std::string_view value)> visit) const {
  for (size_t slot = 0; slot < values_.size(); ++slot) {
    if (values_[slot].set && CollectionOf(slot) == collection) {
      visit(NameOf(slot), values_[slot].text);
    }
  }
}

}  // namespace edge::waf
