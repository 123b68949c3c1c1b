// The variables that rules write: TX, IP, GLOBAL, SESSION, USER, RESOURCE and ENV, for one
// transaction.
//
// Names that stand in the rules have a slot of their own; others, made by macros, get one behind
// those as they come. Values are views that outlive the transaction. One thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "proxy/waf/engine/macro.h"
#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/variable.h"

namespace edge::waf {

class StoredValues {
 public:
  // `names` outlives this.
  void Begin(const StoredNames* names);

  std::optional<std::string_view> Get(int slot) const;
  // The slot of any name. -1: nothing was ever stored under it.
  int Find(Variable collection, std::string_view name) const;
  // Makes one if there is none; -1 if there are too many. `name` is copied.
  int Make(Variable collection, std::string_view name, TextArena& arena);
  void Set(int slot, std::string_view value);
  void Unset(int slot);
  // All that are set, in the order of slots.
  void ForEach(Variable collection,
               absl::FunctionRef<void(std::string_view name, std::string_view value)> visit) const;

 private:
  // CRS makes one for each field of a request with some of its rules.
  static constexpr size_t kMadeMax = 10'000;

  struct Value {
    std::string_view text;
    bool set;
  };
  struct Made {
    Variable collection;
    std::string_view name;
    size_t hash;
  };
  std::string_view NameOf(size_t slot) const;
  Variable CollectionOf(size_t slot) const;
  void Place(size_t made);

  const StoredNames* names_ = nullptr;
  std::vector<Value> values_;    // by slot
  std::vector<Made> made_;       // of slots behind those of names_
  std::vector<int> made_table_;  // open addressing into made_; -1: free
};

// The number at the beginning of a text, 0 if there is none or it is too large: what rules count
// with.
int64_t LeadingNumber(std::string_view text);

}  // namespace edge::waf
