// The inside of a transaction: one program run over one request.
//
//   transaction.cc       phases: which rule is next
//   rule_evaluation.cc   whether a rule matches
//   rule_outcome.cc      what is done when it does
//   dynamic_values.cc    variables that change while rules run, and macros
//
// All texts that it holds outlive the inspection: they are the caller's, the program's or the
// arena's. One thread at a time.

#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/deadline.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/request_variables.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/stored_values.h"
#include "proxy/waf/engine/target_values.h"
#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/transaction.h"

namespace edge::waf {

struct Scratch::Memory : WorkingMemory {};

// A value of a dynamic list, or of a macro.
struct DynamicItem {
  Variable variable;
  std::string_view key;
  std::string_view value;
};

struct Transaction::State {
 public:
  void Begin(std::shared_ptr<const RuleSet> rules, EngineMode mode);
  void End();
  void Prepare(WorkingMemory& memory);
  void InspectRequest(const RequestView& request);
  void InspectResponse(const ResponseView& response);
  void InspectEnd();

  // --- Results
  Decision decision;
  Decision would_be;
  std::vector<RuleMatch> matches;
  bool pcre_limit_exceeded = false;
  int64_t deadline_ns = Deadline::kNone;
  bool out_of_time = false;
  bool limits_exceeded() const {
    return pcre_limit_exceeded || variables.limits_exceeded() || arena.over_budget();
  }
  int64_t TxNumber(std::string_view name) const;

 private:
  // What of a request was let pass by a rule.
  enum class Allowed : uint8_t { kNothing, kPhase, kRequest, kAll };
  // A value that matched, as MATCHED_VARS has it.
  struct MatchedValue {
    std::string_view name;
    std::string_view value;
  };

  // --- Phases
  void RunPhase(int phase);
  void RunRules(const std::vector<Rule>& rules);
  bool Inspecting() const;
  bool Decided() const { return decision.kind != Decision::Kind::kPass; }
  void DecideLimit();
  // Whether the phase ends where it is.
  bool MustStop() { return memory->operators.deadline().Late() || arena.over_budget(); }

  // --- Whether rules match
  bool RunChain(const Rule* first);
  bool Evaluate(const Rule& rule);
  void EvaluateStatic(const Rule& rule, std::string_view argument);
  void EvaluateEachStep(const Rule& rule, std::string_view argument);
  void EvaluateDynamic(const Rule& rule, std::string_view argument);
  void Try(const Rule& rule, std::string_view argument, Variable variable, std::string_view key,
           std::string_view value, bool lasting);
  void KeepMatch(const Rule& rule, Variable variable, std::string_view key, std::string_view value,
                 bool lasting, bool operator_matched);
  bool TargetRemoved(const Rule& rule, Variable variable, std::string_view key);
  bool AnyTargetRemoved(const Rule& rule) const;

  // --- What they do
  void SetVariables(const Rule& rule);
  void Set(const SetVariable& set);
  void FinishChain(const Rule* first);
  void FinishRule(const Rule& rule);
  void Do(const Action& action);
  void Decide(const Rule& rule);
  void Report(const Rule* first, bool disruptive);

  // --- Dynamic values
  void AppendMembers(const Target& target, const std::vector<Target>* exclusions,
                     std::vector<DynamicItem>& items);
  void AppendDynamic(const Target& target, std::vector<DynamicItem>& items);
  void AppendStored(const Target& target, std::vector<DynamicItem>& items);
  void AppendTime(Variable variable, std::vector<DynamicItem>& items);
  void AppendRule(const Target& target, std::vector<DynamicItem>& items);
  std::string_view FirstValue(const Target& target);
  // Cut at `bytes_max`, unless it is one variable alone.
  std::string_view Expand(const Macro& macro, size_t bytes_max);
  std::string_view Number(int64_t number);

  std::shared_ptr<const RuleSet> rule_set;
  const Program* program = nullptr;
  WorkingMemory* memory = nullptr;
  TextArena arena;
  RequestVariables variables;
  TargetValues targets;
  StoredValues stored;

  EngineMode mode_limit = EngineMode::kOff;  // as given to Begin
  EngineMode rules_mode = EngineMode::kOn;   // as the rules have it by now
  EngineMode mode() const { return std::min(mode_limit, rules_mode); }
  int phase = 0;
  int64_t begin_us = 0;
  // Of the rules that are run, and as it would be were decisions taken.
  Allowed allowed = Allowed::kNothing;
  Allowed would_allow = Allowed::kNothing;
  BodyProcessor processor = BodyProcessor::kNone;
  std::optional<bool> request_body_access;
  std::optional<bool> response_body_access;
  int highest_severity = 0;
  std::string_view session_id;
  std::string_view user_id;
  std::vector<MatchedValue> matched;
  RuleBits removed_rules;
  bool any_rule_removed = false;
  std::vector<const TargetRemoval*> removed_targets;

  // --- Of the chain that is being run
  const Rule* first_rule = nullptr;
  const Rule* current_rule = nullptr;
  bool rule_matched = false;
  // Of its last match.
  std::string_view reported_variable;
  std::string_view reported_bytes;
  size_t skip = 0;
  std::optional<size_t> jump;

  std::vector<DynamicItem> items;
  // Of macros that are being put together, one within the other.
  std::vector<DynamicItem> macro_items;
  std::vector<std::string_view> macro_texts;
  std::vector<Member> members;
  std::vector<int> steps;
};

}  // namespace edge::waf
