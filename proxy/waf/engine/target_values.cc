#include "proxy/waf/engine/target_values.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "proxy/waf/engine/kept_memory.h"

namespace edge::waf {

void TargetValues::Begin(const Program* program, const RequestVariables* variables,
                         TextArena* arena) {
  program_ = program;
  variables_ = variables;
  arena_ = arena;
  phase_ = 0;
  store_.Clear();
  for (Collection& collection : collections_) collection.phase = 0;
  lists_.resize(program->lists.size());
  for (Collection& list : lists_) list.phase = 0;
  nodes_.resize(program->nodes.size());
  for (Node& node : nodes_) node.phase = 0;
}

void TargetValues::End() {
  store_.Clear();
  for (Collection& collection : collections_) Empty(collection.items);
  for (Collection& list : lists_) Empty(list.items);
  for (Node& node : nodes_) Empty(node.values);
  Empty(members_);
}

void TargetValues::BeginPhase(int phase, WorkingMemory* memory) {
  phase_ = phase;
  memory_ = memory;
}

const std::vector<TargetValues::Item>& TargetValues::CollectionItems(Variable variable) {
  Collection& collection = collections_[static_cast<size_t>(variable)];
  if (Holds(collection.phase, InfoOf(variable).final_phase)) return collection.items;
  collection.phase = phase_;
  collection.items.clear();
  members_.clear();
  variables_->Append(variable, members_);
  for (const Member& member : members_) {
    collection.items.push_back(
        {.variable = variable, .key = member.key, .value = store_.Intern(member.value)});
  }
  return collection.items;
}

bool TargetValues::Excluded(const TargetList& list, Variable variable, std::string_view key) {
  return std::any_of(list.exclusions.begin(), list.exclusions.end(), [&](const Target& exclusion) {
    return exclusion.variable == variable && Selects(exclusion, key, memory_->operators);
  });
}

const std::vector<TargetValues::Item>& TargetValues::Items(int list) {
  Collection& items = lists_[static_cast<size_t>(list)];
  const TargetList& targets = program_->lists[static_cast<size_t>(list)];
  if (Holds(items.phase, targets.final_phase)) return items.items;
  items.phase = phase_;
  items.items.clear();
  for (const Target& target : targets.targets) {
    uint64_t count = 0;
    for (const Item& item : CollectionItems(target.variable)) {
      if (!Selects(target, item.key, memory_->operators)) continue;
      if (!targets.exclusions.empty() && Excluded(targets, target.variable, item.key)) continue;
      if (!target.count) items.items.push_back(item);
      ++count;
    }
    if (!target.count) continue;
    char digits[20];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), count).ptr;
    const std::string_view text(digits, static_cast<size_t>(end - digits));
    items.items.push_back({.variable = target.variable,
                           .key = target.key,
                           .value = store_.Intern(arena_->Copy(text))});
  }
  return items.items;
}

bool TargetValues::LateBefore(ValueId value) {
  Deadline& deadline = memory_->operators.deadline();
  if (bytes(value).size() > Deadline::kLongBytes) deadline.LookNext();
  return deadline.Late() || arena_->over_budget();
}

void TargetValues::Compute(int index) {
  const ChainNode& chain = program_->nodes[static_cast<size_t>(index)];
  Node& node = nodes_[static_cast<size_t>(index)];
  node.phase = phase_;
  node.same_as = index;
  node.scanned = false;
  node.values.clear();
  node.marks = 0;
  node.unchanged = ~uint64_t{0};
  if (chain.parent < 0) {
    for (const Item& item : Items(chain.list)) Add(item.value, node);
    return;
  }
  const std::span<const ValueId> before = Values(chain.parent);
  const int same_as = nodes_[static_cast<size_t>(chain.parent)].same_as;
  Node& same = nodes_[static_cast<size_t>(same_as)];
  const uint64_t bit = ValueStore::BitOf(chain.transformation);
  node.same_as = same_as;
  // Most transformations change no value of a benign request.
  if ((same.unchanged & bit) != 0) return;
  for (size_t i = 0; i < before.size(); ++i) {
    ValueId to = before[i];
    if (LateBefore(to)) {
      // There are as many values as before, and nothing relies on them: no rule is tried any more
      // in this phase, and the last one works them out anew.
      node.phase = 0;
    } else {
      to = store_.Transformed(to, chain.transformation, memory_->buffer, *arena_);
    }
    if (to != before[i] && node.same_as != index) {
      node.same_as = index;
      for (size_t j = 0; j < i; ++j) Add(before[j], node);
    }
    if (node.same_as == index) Add(to, node);
  }
  if (node.same_as == same_as && node.phase != 0) same.unchanged |= bit;
}

void TargetValues::Add(ValueId value, Node& node) {
  node.values.push_back(value);
  node.marks |= store_.marks(value);
  node.unchanged &= store_.unchanged(value);
}

std::span<const ValueId> TargetValues::Values(int index) {
  const Node& node = nodes_[static_cast<size_t>(index)];
  const ChainNode& chain = program_->nodes[static_cast<size_t>(index)];
  if (!Holds(node.phase, program_->lists[static_cast<size_t>(chain.list)].final_phase)) {
    Compute(index);
  }
  return nodes_[static_cast<size_t>(node.same_as)].values;
}

void TargetValues::Scan(Node& node, int group) {
  const Prefilter& prefilter = program_->prefilters[static_cast<size_t>(group)];
  node.scanned = true;
  node.any = false;
  node.candidates.assign((prefilter.candidates() + 63) / 64, 0);
  for (const ValueId value : node.values) {
    if (LateBefore(value)) {
      node.scanned = false;
      node.any = true;
      return;
    }
    const ValueStore::Candidates found =
        store_.CandidatesOf(value, group, prefilter, memory_->prefilter);
    node.any |= found.all;
    for (const uint16_t candidate : found.numbers) {
      node.candidates[candidate / 64] |= uint64_t{1} << (candidate % 64);
    }
  }
}

bool TargetValues::AnyHas(int index, const ValueNeeds& needs) {
  Values(index);
  Node& node = nodes_[static_cast<size_t>(nodes_[static_cast<size_t>(index)].same_as)];
  if (needs.bytes != 0 && (node.marks & needs.bytes) == 0) return false;
  if ((node.marks & needs.or_bytes) != 0) return true;
  if (needs.candidate < 0) return needs.or_bytes == 0;
  if (!node.scanned) {
    const int list = program_->nodes[static_cast<size_t>(index)].list;
    Scan(node, program_->lists[static_cast<size_t>(list)].group);
  }
  const auto bit = static_cast<size_t>(needs.candidate);
  return node.any || (node.candidates[bit / 64] >> (bit % 64) & 1) != 0;
}

bool TargetValues::Has(ValueId value, int group, const ValueNeeds& needs) {
  const ByteMarks marks = store_.marks(value);
  if (needs.bytes != 0 && (marks & needs.bytes) == 0) return false;
  if ((marks & needs.or_bytes) != 0) return true;
  if (needs.candidate < 0) return needs.or_bytes == 0;
  const ValueStore::Candidates found = store_.CandidatesOf(
      value, group, program_->prefilters[static_cast<size_t>(group)], memory_->prefilter);
  return found.all || std::find(found.numbers.begin(), found.numbers.end(),
                                static_cast<uint16_t>(needs.candidate)) != found.numbers.end();
}

}  // namespace edge::waf
