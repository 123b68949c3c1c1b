#include "proxy/waf/engine/transaction.h"

#include <chrono>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "proxy/waf/engine/kept_memory.h"
#include "proxy/waf/engine/transaction_state.h"

namespace edge::waf {
namespace {

constexpr int kNoSeverity = 255;  // HIGHEST_SEVERITY before any match

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Scratch::Scratch() : memory_(std::make_unique<Memory>()) {}
Scratch::~Scratch() = default;

void Transaction::State::Begin(std::shared_ptr<const RuleSet> rules, EngineMode engine_mode) {
  rule_set = std::move(rules);
  program = &rule_set->program();
  decision = would_be = {};
  matches.clear();
  pcre_limit_exceeded = false;
  deadline_ns = Deadline::kNone;
  out_of_time = false;
  arena.Clear();
  variables.Begin(&program->settings, &arena);
  targets.Begin(program, &variables, &arena);
  stored.Begin(&program->names);
  mode_limit = engine_mode;
  rules_mode = EngineMode::kOn;
  phase = 0;
  begin_us = NowUs();
  allowed = would_allow = Allowed::kNothing;
  processor = BodyProcessor::kNone;
  request_body_access.reset();
  response_body_access.reset();
  highest_severity = kNoSeverity;
  session_id = user_id = {};
  matched.clear();
  removed_rules.Resize(program->rules);
  any_rule_removed = false;
  removed_targets.clear();
  skip = 0;
}

void Transaction::State::End() {
  // What is told of them is the arena's.
  decision = would_be = {};
  Empty(matches);
  Empty(matched);
  Empty(items);
  Empty(members);
  targets.End();
  variables.End();
  arena.Clear();
  rule_set.reset();
  program = nullptr;
}

void Transaction::State::Prepare(WorkingMemory& working_memory) {
  memory = &working_memory;
  if (memory->prepared_for == program->serial) return;
  for (const Prefilter& prefilter : program->prefilters) {
    // Only memory can lack.
    CHECK_OK(prefilter.Prepare(memory->prefilter));
  }
  memory->prepared_for = program->serial;
}

bool Transaction::State::Inspecting() const {
  return program != nullptr && mode() != EngineMode::kOff && !Decided() && !out_of_time &&
         !arena.over_budget();
}

void Transaction::State::InspectRequest(const RequestView& request) {
  if (!Inspecting()) return;
  variables.SetRequest(request);
  processor = variables.default_processor();
  RunPhase(1);
  if (!Inspecting()) return;
  if (request_body_access.value_or(program->settings.request_body_access)) {
    variables.SetRequestBody(processor);
    if (variables.request_body_over_limit() &&
        program->settings.request_body_limit_action == LimitAction::kReject) {
      DecideLimit();
      if (Decided()) return;
    }
  }
  RunPhase(2);
}

void Transaction::State::InspectResponse(const ResponseView& response) {
  if (!Inspecting()) return;
  variables.SetResponse(response);
  RunPhase(3);
  if (!Inspecting() || response.body.empty()) return;
  const EngineSettings& settings = program->settings;
  if (!response_body_access.value_or(settings.response_body_access)) return;
  bool wanted = !settings.response_mime_types.has_value();
  if (!wanted) {
    for (const std::string& type : *settings.response_mime_types) {
      wanted |= absl::EqualsIgnoreCase(type, variables.response_content_type());
    }
  }
  if (!wanted) return;
  variables.SetResponseBody();
  if (variables.response_body_over_limit() &&
      settings.response_body_limit_action == LimitAction::kReject) {
    DecideLimit();
    if (Decided()) return;
  }
  RunPhase(4);
}

void Transaction::State::InspectEnd() {
  if (program == nullptr || mode() == EngineMode::kOff) return;
  RunPhase(5);
}

// A body longer than its limit, where the rules say that it is to be refused.
void Transaction::State::DecideLimit() {
  if (rules_mode != EngineMode::kOn) return;
  if (would_be.kind == Decision::Kind::kPass) would_be = {.kind = Decision::Kind::kDeny};
  if (mode() == EngineMode::kOn) decision = would_be;
}

void Transaction::State::RunPhase(int number) {
  phase = number;
  if (allowed == Allowed::kAll && phase != kPhaseMax) return;
  if (allowed == Allowed::kRequest && phase <= 2) return;
  allowed = Allowed::kNothing;
  if (would_allow == Allowed::kPhase || (would_allow == Allowed::kRequest && phase > 2)) {
    would_allow = Allowed::kNothing;
  }
  // The phase of logging says what was found until then.
  Deadline& deadline = memory->operators.deadline();
  deadline.Set(phase == kPhaseMax ? Deadline::kNone : deadline_ns);
  deadline.Look();  // a phase may have no rules
  targets.BeginPhase(phase, memory);
  RunRules(program->phases[static_cast<size_t>(phase)]);
  out_of_time |= deadline.passed();
}

void Transaction::State::RunRules(const std::vector<Rule>& rules) {
  const bool was_decided = Decided();
  for (size_t i = 0; i < rules.size();) {
    if (MustStop()) return;
    const Rule& rule = rules[i];
    const size_t next = i + rule.chain_rules;
    if (skip > 0) {
      --skip;
      i = next;
      continue;
    }
    if (any_rule_removed && removed_rules.Has(rule.number)) {
      i = next;
      continue;
    }
    jump.reset();
    if (RunChain(&rule)) {
      if (Decided() && !was_decided) return;
      if (allowed != Allowed::kNothing) return;
    }
    i = jump.value_or(next);
  }
}

int64_t Transaction::State::TxNumber(std::string_view name) const {
  if (program == nullptr) return 0;
  const int slot = stored.Find(Variable::kTx, name);
  return slot < 0 ? 0 : LeadingNumber(stored.Get(slot).value_or(""));
}

Transaction::Transaction() : state_(std::make_unique<State>()) {}
Transaction::~Transaction() = default;

void Transaction::Begin(std::shared_ptr<const RuleSet> rules, EngineMode mode) {
  state_->Begin(std::move(rules), mode);
}

void Transaction::SetDeadline(int64_t monotonic_ns) { state_->deadline_ns = monotonic_ns; }

bool Transaction::out_of_time() const { return state_->out_of_time; }

void Transaction::End() { state_->End(); }

const Decision& Transaction::InspectRequest(const RequestView& request, Scratch& scratch) {
  state_->Prepare(*scratch.memory_);
  state_->InspectRequest(request);
  return state_->decision;
}

const Decision& Transaction::InspectResponse(const ResponseView& response, Scratch& scratch) {
  state_->Prepare(*scratch.memory_);
  state_->InspectResponse(response);
  return state_->decision;
}

void Transaction::InspectEnd(Scratch& scratch) {
  state_->Prepare(*scratch.memory_);
  state_->InspectEnd();
}

const Decision& Transaction::decision() const { return state_->decision; }
const Decision& Transaction::would_be_decision() const { return state_->would_be; }
const std::vector<RuleMatch>& Transaction::matches() const { return state_->matches; }
int64_t Transaction::TxNumber(std::string_view name) const { return state_->TxNumber(name); }
bool Transaction::limits_exceeded() const { return state_->limits_exceeded(); }

}  // namespace edge::waf
