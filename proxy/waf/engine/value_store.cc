#include "proxy/waf/engine/value_store.h"

#include <algorithm>
#include <cstring>

#include "absl/hash/hash.h"
#include "proxy/waf/engine/kept_memory.h"

namespace edge::waf {
namespace {

// Enough for most requests; Clear costs in proportion.
constexpr size_t kTableSizeMin = 512;
// A transformation of urlDecodeUni, htmlEntityDecode and so on may double a value once; more memory
// than this is given back.
constexpr size_t kTableSizeKept = 1 << 16;

}  // namespace

ValueStore::ValueStore() : table_(kTableSizeMin, kNone), mask_(kTableSizeMin - 1) {}

void ValueStore::Clear() {
  if (table_.size() > kTableSizeKept) {
    table_.resize(kTableSizeKept);
    table_.shrink_to_fit();
  }
  Empty(values_);
  Empty(edges_);
  Empty(candidates_);
  mask_ = kTableSizeMin - 1;
  std::fill_n(table_.begin(), kTableSizeMin, kNone);
}

ValueId ValueStore::Intern(std::string_view bytes) {
  const auto hash = static_cast<uint32_t>(absl::HashOf(bytes));
  size_t at = hash & mask_;
  while (table_[at] != kNone) {
    const Value& value = values_[table_[at]];
    if (value.hash == hash && value.size == bytes.size() &&
        (bytes.empty() || std::memcmp(value.data, bytes.data(), bytes.size()) == 0)) {
      return table_[at];
    }
    at = (at + 1) & mask_;
  }
  const auto id = static_cast<ValueId>(values_.size());
  table_[at] = id;
  values_.push_back({.data = bytes.data(),
                     .size = static_cast<uint32_t>(bytes.size()),
                     .hash = hash,
                     .marks = MarksOf(bytes),
                     .unchanged = 0,
                     .edges = kNone,
                     .found = {}});
  if (values_.size() * 2 > mask_ + 1) Grow();
  return id;
}

void ValueStore::Grow() {
  mask_ = mask_ * 2 + 1;
  if (table_.size() <= mask_) table_.resize(mask_ + 1);
  std::fill_n(table_.begin(), mask_ + 1, kNone);
  for (size_t id = 0; id < values_.size(); ++id) {
    size_t at = values_[id].hash & mask_;
    while (table_[at] != kNone) at = (at + 1) & mask_;
    table_[at] = static_cast<uint32_t>(id);
  }
}

ValueId ValueStore::Transformed(ValueId id, Transformation transformation, std::string& buffer,
                                TextArena& arena) {
  const uint64_t bit = BitOf(transformation);
  if ((values_[id].unchanged & bit) != 0) return id;
  for (uint32_t i = values_[id].edges; i != kNone; i = edges_[i].next) {
    if (edges_[i].transformation == transformation) return edges_[i].to;
  }
  if (!Transform(transformation, bytes(id), buffer)) {
    values_[id].unchanged |= bit;
    return id;
  }
  // Interned first as the buffer, so that the arena gets only what is new.
  const size_t before = values_.size();
  const ValueId to = Intern(buffer);
  if (values_.size() != before) values_[to].data = arena.Copy(buffer).data();
  edges_.push_back({.next = values_[id].edges, .to = to, .transformation = transformation});
  values_[id].edges = static_cast<uint32_t>(edges_.size() - 1);
  return to;
}

ValueStore::Candidates ValueStore::CandidatesOf(ValueId id, int group, const Prefilter& prefilter,
                                                PrefilterScratch& scratch) {
  Value::Found& found = values_[id].found[static_cast<size_t>(group)];
  if (!found.scanned) {
    found.scanned = true;
    found.begin = static_cast<uint32_t>(candidates_.size());
    found.all = !prefilter.Scan(bytes(id), scratch,
                                [this](uint16_t candidate) { candidates_.push_back(candidate); });
    found.count =
        static_cast<uint16_t>(std::min<size_t>(candidates_.size() - found.begin, UINT16_MAX));
    // So many only if candidates with many patterns reported each: not worth remembering.
    if (found.count == UINT16_MAX) found.all = true;
  }
  return {.numbers = std::span(candidates_).subspan(found.begin, found.count), .all = found.all};
}

}  // namespace edge::waf
