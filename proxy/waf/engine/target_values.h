// What the static lists of a program stand for in one transaction: the members that a list selects,
// their values behind each chain of transformations, and the union of what the prefilter found in
// them. Each is worked out when a rule first asks, and again only in a phase in which more is
// known.
//
// One thread.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/operator.h"
#include "proxy/waf/engine/prefilter.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/request_variables.h"
#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/value_store.h"

namespace edge::waf {

// What is lent for the time of one inspection.
struct WorkingMemory {
  OperatorScratch operators;
  PrefilterScratch prefilter;
  std::string buffer;
  std::string other_buffer;
  uint64_t prepared_for = 0;  // Program::serial
};

class TargetValues {
 public:
  struct Item {
    Variable variable;
    std::string_view key;  // empty: the variable is not a collection
    ValueId value;
  };

  // All outlive this.
  void Begin(const Program* program, const RequestVariables* variables, TextArena* arena);
  // Forgets all values, and gives back memory that only an unusual request needs.
  void End();
  void BeginPhase(int phase, WorkingMemory* memory);

  const std::vector<Item>& Items(int list);
  // As many as Items(list of the node).
  std::span<const ValueId> Values(int node);
  // False: no value of the node has what is needed.
  bool AnyHas(int node, const ValueNeeds& needs);
  bool Has(ValueId value, int group, const ValueNeeds& needs);

  std::string_view bytes(ValueId value) const { return store_.bytes(value); }

 private:
  // `phase`: in which it was worked out; 0: not yet.
  struct Collection {
    int phase = 0;
    std::vector<Item> items;
  };
  struct Node {
    int phase = 0;
    // Its values are those of this node, which may be itself.
    int same_as = -1;
    std::vector<ValueId> values;
    ByteMarks marks = 0;  // of all values together
    // Transformations that are known to change none of them; see ValueStore::unchanged.
    uint64_t unchanged = 0;
    bool scanned = false;
    bool any = false;  // some value may have any candidate
    std::vector<uint64_t> candidates;
  };

  bool Holds(int phase, int final_phase) const {
    return phase != 0 && (phase == phase_ || phase >= final_phase);
  }
  const std::vector<Item>& CollectionItems(Variable variable);
  void Compute(int node);
  void Add(ValueId value, Node& node);
  void Scan(Node& node, int group);
  // Whether to stop before a value; see WorkingMemory::operators.
  bool LateBefore(ValueId value);
  bool Excluded(const TargetList& list, Variable variable, std::string_view key);

  const Program* program_ = nullptr;
  const RequestVariables* variables_ = nullptr;
  TextArena* arena_ = nullptr;
  WorkingMemory* memory_ = nullptr;
  int phase_ = 0;
  ValueStore store_;
  std::array<Collection, kVariableCount> collections_;
  std::vector<Collection> lists_;
  std::vector<Node> nodes_;
  std::vector<Member> members_;
};

}  // namespace edge::waf
