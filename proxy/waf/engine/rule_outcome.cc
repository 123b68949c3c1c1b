// What is done when a rule matches, and when it and those chained to it have.

#include <algorithm>

#include "proxy/waf/engine/transaction_state.h"

namespace edge::waf {
namespace {

// A log line's worth: what is logged may have the whole value that matched in it.
constexpr size_t kLogTextBytesMax = 2048;
// Of a value that is put together. One that is a single variable is not copied, and has no limit.
constexpr size_t kStoredTextBytesMax = 16 << 10;
constexpr size_t kNameBytesMax = 1024;
constexpr size_t kRedirectBytesMax = 8192;  // as long as a target may be

bool Refuses(Disruption disruption) {
  return disruption == Disruption::kDeny || disruption == Disruption::kDrop ||
         disruption == Disruption::kRedirect;
}

}  // namespace

void Transaction::State::SetVariables(const Rule& rule) {
  for (const SetVariable& set : rule.set_variables) Set(set);
}

void Transaction::State::Set(const SetVariable& set) {
  int slot = set.slot;
  if (slot < 0) {
    slot = stored.Make(set.collection, Expand(set.name, kNameBytesMax), arena);
    if (slot < 0) return;
  }
  switch (set.operation) {
    case SetVariable::Operation::kUnset:
      stored.Unset(slot);
      return;
    case SetVariable::Operation::kSet:
      stored.Set(slot, Expand(set.value, kStoredTextBytesMax));
      return;
    case SetVariable::Operation::kAdd:
    case SetVariable::Operation::kSubtract: {
      const int64_t by = LeadingNumber(Expand(set.value, kStoredTextBytesMax));
      const int64_t old = LeadingNumber(stored.Get(slot).value_or(""));
      stored.Set(slot, Number(set.operation == SetVariable::Operation::kAdd ? old + by : old - by));
      return;
    }
  }
}

void Transaction::State::FinishChain(const Rule* first) {
  for (size_t i = first->chain_rules; i-- > 0;) {
    current_rule = &first[i];
    FinishRule(first[i]);
  }
  Decide(*first);
  Report(first, Refuses(first->disruption));
}

void Transaction::State::FinishRule(const Rule& rule) {
  if (rule.severity >= 0) highest_severity = std::min(highest_severity, rule.severity);
  for (const Action& action : rule.actions) Do(action);
}

void Transaction::State::Do(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kSetSessionId:
      session_id = Expand(action.text, kStoredTextBytesMax);
      return;
    case Action::Kind::kSetUserId:
      user_id = Expand(action.text, kStoredTextBytesMax);
      return;
    case Action::Kind::kSetEnv:
      Set(action.set);
      return;
    case Action::Kind::kSkip:
      skip = static_cast<size_t>(action.number);
      return;
    case Action::Kind::kSkipAfter:
      jump = action.number < 0 ? SIZE_MAX : static_cast<size_t>(action.number);
      return;
    case Action::Kind::kRuleEngine:
      rules_mode = action.mode;
      return;
    case Action::Kind::kRemoveRules:
      removed_rules.Add(action.rules);
      any_rule_removed = true;
      return;
    case Action::Kind::kRemoveTarget:
      if (std::find(removed_targets.begin(), removed_targets.end(), &action.removal) ==
          removed_targets.end()) {
        removed_targets.push_back(&action.removal);
      }
      return;
    case Action::Kind::kRequestBodyAccess:
      request_body_access = action.number != 0;
      return;
    case Action::Kind::kResponseBodyAccess:
      response_body_access = action.number != 0;
      return;
    case Action::Kind::kRequestBodyProcessor:
      processor = action.processor;
      return;
  }
}

void Transaction::State::Decide(const Rule& rule) {
  // Not even what would be: that is said of requests that are only detected because the engine was
  // begun so, and here the rules want no more.
  if (rules_mode != EngineMode::kOn) return;
  switch (rule.disruption) {
    case Disruption::kNone:
      return;
    case Disruption::kAllow:
      would_allow = Allowed::kAll;
      break;
    case Disruption::kAllowPhase:
      would_allow = Allowed::kPhase;
      break;
    case Disruption::kAllowRequest:
      would_allow = Allowed::kRequest;
      break;
    case Disruption::kDeny:
    case Disruption::kDrop:
    case Disruption::kRedirect: {
      if (phase == kPhaseMax || would_allow != Allowed::kNothing) return;
      Decision made;
      made.kind = rule.disruption == Disruption::kDeny   ? Decision::Kind::kDeny
                  : rule.disruption == Disruption::kDrop ? Decision::Kind::kDrop
                                                         : Decision::Kind::kRedirect;
      made.status = rule.status;
      made.rule_id = rule.id;
      if (rule.disruption == Disruption::kRedirect) {
        made.redirect = Expand(rule.redirect, kRedirectBytesMax);
      }
      if (would_be.kind == Decision::Kind::kPass) would_be = made;
      if (mode() == EngineMode::kOn) decision = would_be = made;
      return;
    }
  }
  if (mode() == EngineMode::kOn) allowed = would_allow;
}

void Transaction::State::Report(const Rule* first, bool disruptive) {
  RuleMatch& match = matches.emplace_back();
  match.rule_id = first->id;
  match.phase = phase;
  match.variable = reported_variable;
  match.matched = reported_bytes;
  match.where = &first->where;
  match.disruptive = disruptive;
  match.logged = first->logged;
  // Of the first rule of the chain that has one.
  for (size_t i = 0; i < first->chain_rules; ++i) {
    const Rule& rule = first[i];
    current_rule = &rule;
    if (match.message.empty()) match.message = Expand(rule.message, kLogTextBytesMax);
    if (match.data.empty() && first->logged) match.data = Expand(rule.log_data, kLogTextBytesMax);
    if (match.severity < 0) match.severity = rule.severity;
  }
}

}  // namespace edge::waf
