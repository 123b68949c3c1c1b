// Whether a rule matches: its values, looked up or worked out, against its operator.

#include <algorithm>
#include <utility>

#include "proxy/waf/engine/transaction_state.h"

namespace edge::waf {
namespace {

// Of MATCHED_VARS: more values of one request are not told apart by any rule.
constexpr size_t kMatchedValuesMax = 10'000;
// Of the key in MATCHED_VAR_NAME, which each match has a copy of.
constexpr size_t kKeyBytesMax = 1024;
// Of RuleMatch::matched.
constexpr size_t kReportedBytesMax = 512;
// Of an operator's argument with macros: lists of methods, extensions, types.
constexpr size_t kArgumentBytesMax = 64 << 10;

bool IsPartOf(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

}  // namespace

bool Transaction::State::RunChain(const Rule* first) {
  first_rule = first;
  reported_variable = reported_bytes = {};
  for (size_t i = 0; i < first->chain_rules; ++i) {
    if (!Evaluate(first[i])) return false;
  }
  FinishChain(first);
  return true;
}

bool Transaction::State::Evaluate(const Rule& rule) {
  current_rule = &rule;
  rule_matched = false;
  if (rule.unconditional) {
    SetVariables(rule);
    return true;
  }
  // The rule that most requests stop at.
  const bool none =
      rule.needs.known() && !rule.multi_match && !targets.AnyHas(rule.node, rule.needs);
  if (!none) {
    const std::string_view argument = Expand(rule.argument, kArgumentBytesMax);
    if (rule.node < 0) {
      EvaluateDynamic(rule, argument);
    } else if (rule.multi_match) {
      EvaluateEachStep(rule, argument);
    } else {
      EvaluateStatic(rule, argument);
    }
  }
  if (!rule_matched) matched.clear();
  return rule_matched;
}

void Transaction::State::EvaluateStatic(const Rule& rule, std::string_view argument) {
  const std::vector<TargetValues::Item>& list = targets.Items(rule.list);
  const std::span<const ValueId> values = targets.Values(rule.node);
  const bool removed = AnyTargetRemoved(rule);
  const int group = program->lists[static_cast<size_t>(rule.list)].group;
  for (size_t i = 0; i < values.size(); ++i) {
    if (rule.needs.known() && !targets.Has(values[i], group, rule.needs)) continue;
    if (removed && TargetRemoved(rule, list[i].variable, list[i].key)) continue;
    Try(rule, argument, list[i].variable, list[i].key, targets.bytes(values[i]), true);
  }
}

// multiMatch: the value as it is, and behind each transformation that changed it.
void Transaction::State::EvaluateEachStep(const Rule& rule, std::string_view argument) {
  steps.clear();
  for (int node = rule.node; node >= 0; node = program->nodes[static_cast<size_t>(node)].parent) {
    steps.push_back(node);
  }
  std::reverse(steps.begin(), steps.end());
  const std::vector<TargetValues::Item>& list = targets.Items(rule.list);
  const bool removed = AnyTargetRemoved(rule);
  const int group = program->lists[static_cast<size_t>(rule.list)].group;
  for (size_t i = 0; i < list.size(); ++i) {
    if (removed && TargetRemoved(rule, list[i].variable, list[i].key)) continue;
    for (size_t step = 0; step < steps.size(); ++step) {
      const ValueId value = targets.Values(steps[step])[i];
      if (step > 0 && value == targets.Values(steps[step - 1])[i]) continue;
      if (rule.needs.known() && !targets.Has(value, group, rule.needs)) continue;
      Try(rule, argument, list[i].variable, list[i].key, targets.bytes(value), true);
    }
  }
}

void Transaction::State::EvaluateDynamic(const Rule& rule, std::string_view argument) {
  const TargetList& list = program->lists[static_cast<size_t>(rule.list)];
  items.clear();
  for (const Target& target : list.targets) AppendMembers(target, &list.exclusions, items);
  const bool removed = AnyTargetRemoved(rule);
  for (const DynamicItem& item : items) {
    if (MustStop()) return;
    if (removed && TargetRemoved(rule, item.variable, item.key)) continue;
    std::string_view value = item.value;
    bool lasting = true;
    if (rule.multi_match) Try(rule, argument, item.variable, item.key, value, lasting);
    for (const Transformation transformation : rule.chain) {
      if (!Transform(transformation, value, memory->buffer)) continue;
      std::swap(memory->buffer, memory->other_buffer);
      value = memory->other_buffer;
      lasting = false;
      if (rule.multi_match) Try(rule, argument, item.variable, item.key, value, lasting);
    }
    if (!rule.multi_match) Try(rule, argument, item.variable, item.key, value, lasting);
  }
}

void Transaction::State::Try(const Rule& rule, std::string_view argument, Variable variable,
                             std::string_view key, std::string_view value, bool lasting) {
  if (MustStop()) return;
  OperatorScratch& scratch = memory->operators;
  scratch.limit_exceeded = false;
  const bool operator_matched = rule.op->Match(value, argument, scratch);
  // With no answer even a negated operator does not match.
  if (scratch.deadline().passed()) return;
  if (value.size() > Deadline::kLongBytes) scratch.deadline().LookNext();
  if (scratch.limit_exceeded) {
    scratch.deadline().LookNext();
    if (!pcre_limit_exceeded) stored.Set(program->limits_slot, "1");
    pcre_limit_exceeded = true;
  }
  if (operator_matched && rule.capture) {
    // Captures are views of the value, or of the scratch's memory.
    if (!lasting) {
      const std::string_view kept = arena.Copy(value);
      for (size_t i = 0; i < scratch.capture_count; ++i) {
        std::string_view& capture = scratch.captures[i];
        if (IsPartOf(capture, value)) {
          capture = kept.substr(static_cast<size_t>(capture.data() - value.data()), capture.size());
        }
      }
      if (IsPartOf(scratch.matched, value)) {
        scratch.matched = kept.substr(static_cast<size_t>(scratch.matched.data() - value.data()),
                                      scratch.matched.size());
      }
      value = kept;
      lasting = true;
    }
    for (size_t i = 0; i < scratch.capture_count; ++i) {
      const std::string_view capture = scratch.captures[i];
      if (capture.data() == nullptr) continue;  // TX stays as it was
      stored.Set(static_cast<int>(i), IsPartOf(capture, value) ? capture : arena.Copy(capture));
    }
  }
  if (operator_matched == rule.negated) return;
  KeepMatch(rule, variable, key, value, lasting, operator_matched);
}

void Transaction::State::KeepMatch(const Rule& rule, Variable variable, std::string_view key,
                                   std::string_view value, bool lasting, bool operator_matched) {
  rule_matched = true;
  const std::string_view variable_name = InfoOf(variable).name;
  std::string_view name = variable_name;
  if (!key.empty()) {
    key = key.substr(0, kKeyBytesMax);
    const size_t bytes = variable_name.size() + 1 + key.size();
    char* const text = arena.Allocate(bytes);
    char* at = std::copy(variable_name.begin(), variable_name.end(), text);
    *at++ = ':';
    std::copy(key.begin(), key.end(), at);
    name = {text, bytes};
  }
  if (!lasting) {
    const std::string_view kept = arena.Copy(value);
    std::string_view& bytes = memory->operators.matched;
    if (operator_matched && IsPartOf(bytes, value)) {
      bytes = kept.substr(static_cast<size_t>(bytes.data() - value.data()), bytes.size());
    }
    value = kept;
  }
  if (matched.size() < kMatchedValuesMax) matched.push_back({.name = name, .value = value});
  reported_variable = name;
  reported_bytes =
      (operator_matched ? memory->operators.matched : value).substr(0, kReportedBytesMax);
  if (!IsPartOf(reported_bytes, value)) reported_bytes = arena.Copy(reported_bytes);
  SetVariables(rule);
}

bool Transaction::State::AnyTargetRemoved(const Rule& rule) const {
  // As in libmodsecurity, of a chain only the first rule has an id.
  return &rule == first_rule &&
         std::any_of(removed_targets.begin(), removed_targets.end(),
                     [&](const TargetRemoval* removal) { return removal->rules.Has(rule.number); });
}

bool Transaction::State::TargetRemoved(const Rule& rule, Variable variable, std::string_view key) {
  return std::any_of(
      removed_targets.begin(), removed_targets.end(), [&](const TargetRemoval* removal) {
        return removal->rules.Has(rule.number) && removal->target.variable == variable &&
               Selects(removal->target, key, memory->operators);
      });
}

}  // namespace edge::waf
