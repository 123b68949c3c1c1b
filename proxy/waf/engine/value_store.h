// The distinct byte strings that a transaction looks at, and what is known of each: the results of
// transformations, and which candidates the prefilter found in it. Each is computed once, however
// many variables and rules come upon it.
//
// Memory is kept by Clear. One thread.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/byte_marks.h"
#include "proxy/waf/engine/prefilter.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/transformation.h"

namespace edge::waf {

using ValueId = uint32_t;

class ValueStore {
 public:
  ValueStore();

  void Clear();
  // `bytes` live until Clear.
  ValueId Intern(std::string_view bytes);
  ByteMarks marks(ValueId id) const { return values_[id].marks; }
  std::string_view bytes(ValueId id) const { return {values_[id].data, values_[id].size}; }
  // Transformations that are known to leave it as it is, each with its bit.
  uint64_t unchanged(ValueId id) const { return values_[id].unchanged; }
  static uint64_t BitOf(Transformation transformation) {
    return uint64_t{1} << static_cast<int>(transformation);
  }
  // `buffer`: room for one value. New texts are copied into the arena.
  ValueId Transformed(ValueId id, Transformation transformation, std::string& buffer,
                      TextArena& arena);

  // Candidates of a prefilter, in no order. Adds nothing certain if `all` is set: each may match.
  struct Candidates {
    std::span<const uint16_t> numbers;
    bool all = false;
  };
  Candidates CandidatesOf(ValueId id, int group, const Prefilter& prefilter,
                          PrefilterScratch& scratch);

  size_t size() const { return values_.size(); }

 private:
  struct Value {
    const char* data;
    uint32_t size;
    uint32_t hash;
    ByteMarks marks;
    uint64_t unchanged;  // a bit for each transformation that leaves it as it is
    uint32_t edges;      // into edges_, kNone: none
    struct Found {
      uint32_t begin;  // into candidates_
      uint16_t count;
      bool scanned;
      bool all;
    };
    std::array<Found, Program::kGroups> found;
  };
  // The result of a transformation that changed the value.
  struct Edge {
    uint32_t next;
    ValueId to;
    Transformation transformation;
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  static_assert(kTransformationCount <= 64);

  void Grow();

  std::vector<Value> values_;
  std::vector<Edge> edges_;
  std::vector<uint16_t> candidates_;
  std::vector<uint32_t> table_;  // open addressing; kNone: free. Its first mask_ + 1 are in use.
  size_t mask_;
};

}  // namespace edge::waf
