#include "proxy/waf/engine/rule_compiler.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/match_needs.h"
#include "proxy/waf/engine/rule_actions.h"
#include "proxy/waf/engine/rule_settings.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

std::atomic<uint64_t> next_serial = 1;

// The prefilter's numbers are of 16 bits.
constexpr size_t kCandidatesMax = 60'000;

// A rule that is not yet part of the program.
struct Draft {
  const RuleSource* source = nullptr;
  RuleActions actions;
  std::vector<Target> targets;
  std::vector<Target> exclusions;
  std::shared_ptr<const Operator> op;
  Macro argument;
};

// A rule with those chained to it, or a marker.
struct Step {
  std::vector<Draft> chain;
  std::string marker;
};

// What tells two lists of variables apart: names are without regard to case, but not expressions
// (\s is not \S) and paths of XML.
std::string KeyOf(const Target& target) {
  const bool is_name =
      target.selector == Target::Selector::kName && target.variable != Variable::kXml;
  return absl::StrCat(static_cast<int>(target.variable), target.count ? "&" : ":",
                      static_cast<int>(target.selector), ":", target.key.size(), ":",
                      is_name ? absl::AsciiStrToLower(target.key) : target.key, ";");
}

class Compiler {
 public:
  explicit Compiler(bool use_prefilter) {
    program_->serial = next_serial.fetch_add(1, std::memory_order_relaxed);
    program_->use_prefilter = use_prefilter;
    program_->limits_slot = program_->names.Add(Variable::kTx, "MSC_PCRE_LIMITS_EXCEEDED");
  }

  absl::StatusOr<std::unique_ptr<const Program>> Compile(const std::vector<SourceItem>& items);

 private:
  // --- Reading
  absl::Status ReadRule(const RuleSource& source);
  absl::Status ReadDirective(const DirectiveSource& directive);
  absl::Status ReadDefaultAction(const DirectiveSource& directive);
  absl::Status ReadTargets(const std::vector<VariableSource>& sources, const SourceLocation& where,
                           Draft& draft);
  absl::Status CheckChained(const Draft& draft);
  absl::Status CheckFirst(const Draft& draft);

  // --- Exclusions
  absl::Status Exclude(const DirectiveSource& directive);
  absl::Status UpdateActions(const DirectiveSource& directive);
  absl::StatusOr<RuleSelection> ReadSelection(const DirectiveSource& directive);
  static bool Matches(const RuleSelection& selection, const Draft& draft);

  // --- Building
  void LookAtBodyRules();
  absl::Status Place();
  Rule MakeRule(Step& step, size_t position, size_t number);
  void SetOutcome(const Step& step, size_t position, Rule& rule);
  void ResolveMarkers(const Step& step, size_t position, size_t after, Rule& rule);
  int InternList(const Draft& draft);
  int InternNode(int list, const std::vector<Transformation>& chain);
  void AddNeeds(const RuleSource& source, Rule& rule);
  absl::Status BuildPrefilters();

  std::unique_ptr<Program> program_ = std::make_unique<Program>();
  std::vector<Step> steps_;
  bool chain_open_ = false;  // the last step's last rule says chain
  std::map<int, RuleActions> defaults_;
  std::vector<const DirectiveSource*> exclusions_;
  std::map<int64_t, const SourceLocation*> ids_;
  std::map<std::string, int> lists_;
  std::map<std::pair<int, std::vector<Transformation>>, int> nodes_;
  // By phase: names of markers and how many rules of the phase stand before each.
  std::array<std::multimap<std::string, size_t>, kPhaseMax + 1> markers_;
  std::array<std::vector<std::vector<std::string>>, Program::kGroups> literals_;
  std::array<std::map<std::string, int>, Program::kGroups> candidates_;
  std::set<std::string> notes_seen_;
};

absl::Status Compiler::ReadTargets(const std::vector<VariableSource>& sources,
                                   const SourceLocation& where, Draft& draft) {
  for (const VariableSource& source : sources) {
    auto target = CompileTarget(source, where, program_->names);
    if (!target.ok()) return target.status();
    if (target->variable == Variable::kXml && !target->key.empty() && target->key != "/*" &&
        target->key != "//@*") {
      auto path = XmlPath::Parse(target->key);
      if (!path.ok()) return SourceError(where, path.status().message());
      program_->settings.xml_paths.emplace(target->key, *std::move(path));
    }
    (source.exclude ? draft.exclusions : draft.targets).push_back(*std::move(target));
  }
  return absl::OkStatus();
}

absl::Status Compiler::ReadRule(const RuleSource& source) {
  Draft draft{.source = &source};
  auto actions = ReadRuleActions(source.actions, source.where, program_->names);
  if (!actions.ok()) return actions.status();
  draft.actions = *std::move(actions);
  for (std::string& note : draft.actions.notes) program_->notes.push_back(std::move(note));
  if (auto status = ReadTargets(source.variables, source.where, draft); !status.ok()) return status;
  if (!source.variables.empty()) {
    auto op = MakeOperator(source.operator_name, source.operator_argument, source.where);
    if (!op.ok()) return op.status();
    draft.op = *std::move(op);
    if (const std::string_view note = draft.op->Note(); !note.empty()) {
      program_->notes.push_back(
          absl::StrCat(source.where.file, ":", source.where.line, ": ", note));
    }
    if (absl::StrContains(source.operator_argument, "%{")) {
      // A regular expression may have these bytes and mean no variable.
      auto argument = CompileMacro(source.operator_argument, source.where, program_->names);
      if (argument.ok()) draft.argument = *std::move(argument);
    }
  }
  if (draft.argument.empty() && !source.operator_argument.empty()) {
    draft.argument.pieces.push_back({.text = source.operator_argument, .variable = {}});
  }
  const bool continues = chain_open_;
  if (auto status = continues ? CheckChained(draft) : CheckFirst(draft); !status.ok()) {
    return status;
  }
  chain_open_ = draft.actions.chained;
  if (!continues) steps_.emplace_back();
  steps_.back().chain.push_back(std::move(draft));
  return absl::OkStatus();
}

absl::Status Compiler::CheckChained(const Draft& draft) {
  if (!draft.actions.disruption) return absl::OkStatus();
  return SourceError(draft.source->where,
                     "found a disruptive action in a chained rule; expected it in the first of the "
                     "chain");
}

absl::Status Compiler::CheckFirst(const Draft& draft) {
  const SourceLocation& where = draft.source->where;
  if (!draft.actions.id) {
    // libmodsecurity lets SecAction have none.
    if (draft.op == nullptr) return absl::OkStatus();
    return SourceError(where, "found a rule without id; expected id:NUMBER among its actions");
  }
  const auto [known, added] = ids_.emplace(*draft.actions.id, &where);
  if (added) return absl::OkStatus();
  return SourceError(
      where, absl::StrCat("found id:", *draft.actions.id, ", which ", known->second->file, ":",
                          known->second->line, " has; expected an id of its own"));
}

absl::Status Compiler::ReadDirective(const DirectiveSource& directive) {
  auto setting = ReadSetting(directive, program_->settings, program_->notes);
  if (!setting.ok()) return setting.status();
  if (*setting) return absl::OkStatus();
  if (directive.name == "SecMarker") {
    if (chain_open_) {
      return SourceError(directive.where,
                         "found SecMarker behind chain; expected the rule that is "
                         "chained");
    }
    steps_.push_back({.chain = {}, .marker = directive.arguments.front()});
    return absl::OkStatus();
  }
  if (directive.name == "SecDefaultAction") return ReadDefaultAction(directive);
  // They are about rules that may stand behind them, too, as in libmodsecurity.
  exclusions_.push_back(&directive);
  return absl::OkStatus();
}

absl::Status Compiler::ReadDefaultAction(const DirectiveSource& directive) {
  auto sources = ParseActions(directive.arguments.front(), directive.where);
  if (!sources.ok()) return sources.status();
  auto actions = ReadRuleActions(*sources, directive.where, program_->names);
  if (!actions.ok()) return actions.status();
  const auto unexpected = [&](std::string_view found, std::string_view expected) {
    return SourceError(directive.where,
                       absl::StrCat("found SecDefaultAction ", found, "; expected ", expected));
  };
  if (!actions->disruption) return unexpected("without one", "deny, drop, pass or the like");
  if (actions->id || actions->chained || actions->transformations_reset || actions->capture ||
      actions->multi_match || !actions->actions.empty() || !actions->set_variables.empty()) {
    return unexpected(directive.arguments.front(),
                      "phase, a disruptive action, log actions, status and transformations only");
  }
  const int phase = actions->phase.value_or(1);
  if (!defaults_.emplace(phase, *std::move(actions)).second) {
    return unexpected(absl::StrCat("for phase ", phase, " again"), "one for each phase");
  }
  return absl::OkStatus();
}

// --- Exclusions

bool Compiler::Matches(const RuleSelection& selection, const Draft& draft) {
  switch (selection.by) {
    case RuleSelection::By::kId:
      return draft.actions.id &&
             std::any_of(selection.ids.begin(), selection.ids.end(), [&](const auto& range) {
               return range.first <= *draft.actions.id && *draft.actions.id <= range.second;
             });
    case RuleSelection::By::kTag:
      return std::find(draft.actions.tag_texts.begin(), draft.actions.tag_texts.end(),
                       selection.text) != draft.actions.tag_texts.end();
    case RuleSelection::By::kMessage:
      return draft.actions.message && draft.actions.message_text == selection.text;
  }
  return false;
}

absl::StatusOr<RuleSelection> Compiler::ReadSelection(const DirectiveSource& directive) {
  RuleSelection selection;
  if (directive.name.ends_with("ByTag")) {
    selection.by = RuleSelection::By::kTag;
    selection.text = directive.arguments.front();
  } else if (directive.name.ends_with("ByMsg")) {
    selection.by = RuleSelection::By::kMessage;
    selection.text = directive.arguments.front();
  } else {
    std::string text = directive.arguments.front();
    if (directive.name == "SecRuleRemoveById") {
      for (size_t i = 1; i < directive.arguments.size(); ++i) {
        absl::StrAppend(&text, " ", directive.arguments[i]);
      }
    }
    auto ids = ReadRuleIds(text, directive.where);
    if (!ids.ok()) return ids.status();
    selection.ids = *std::move(ids);
  }
  return selection;
}

absl::Status Compiler::Exclude(const DirectiveSource& directive) {
  if (directive.name == "SecRuleUpdateActionById") return UpdateActions(directive);
  auto selection = ReadSelection(directive);
  if (!selection.ok()) return selection.status();
  const auto matches = [&](const Step& step) {
    return !step.chain.empty() && Matches(*selection, step.chain.front());
  };
  if (directive.name.starts_with("SecRuleRemove")) {
    std::erase_if(steps_, matches);
    return absl::OkStatus();
  }
  auto variables = ParseVariables(directive.arguments[1], directive.where);
  if (!variables.ok()) return variables.status();
  for (Step& step : steps_) {
    if (!matches(step) || step.chain.front().op == nullptr) continue;
    if (auto status = ReadTargets(*variables, directive.where, step.chain.front()); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Compiler::UpdateActions(const DirectiveSource& directive) {
  auto selection = ReadSelection(directive);
  if (!selection.ok()) return selection.status();
  auto sources = ParseActions(directive.arguments[1], directive.where);
  if (!sources.ok()) return sources.status();
  for (Step& step : steps_) {
    if (step.chain.empty() || !Matches(*selection, step.chain.front())) continue;
    auto read = ReadRuleActions(*sources, directive.where, program_->names);
    if (!read.ok()) return read.status();
    if (read->id || read->phase || read->chained) {
      return SourceError(directive.where,
                         "found id, phase or chain; expected actions that may be changed");
    }
    RuleActions& actions = step.chain.front().actions;
    if (read->transformations_reset) {
      actions.transformations.clear();
      actions.transformations_reset = true;
    }
    const auto append = [](auto& to, auto& from) {
      for (auto& item : from) to.push_back(std::move(item));
    };
    append(actions.transformations, read->transformations);
    if (actions.transformations.size() > kTransformationsMax) {
      return SourceError(directive.where, absl::StrCat("found too many transformations; expected "
                                                       "at most ",
                                                       kTransformationsMax));
    }
    append(actions.set_variables, read->set_variables);
    append(actions.tags, read->tags);
    append(actions.tag_texts, read->tag_texts);
    for (auto& [index, item] : read->selections) index += actions.actions.size();
    for (auto& [index, item] : read->markers) index += actions.actions.size();
    append(actions.selections, read->selections);
    append(actions.markers, read->markers);
    append(actions.actions, read->actions);
    if (read->disruption || read->block) {
      actions.disruption = read->disruption;
      actions.block = read->block;
      actions.redirect = std::move(read->redirect);
    }
    if (read->message) {
      actions.message = std::move(read->message);
      actions.message_text = read->message_text;
    }
    if (read->log_data) actions.log_data = std::move(read->log_data);
    if (read->status) actions.status = read->status;
    if (read->severity) actions.severity = read->severity;
    if (read->logged) actions.logged = read->logged;
    actions.capture |= read->capture;
    actions.multi_match |= read->multi_match;
  }
  return absl::OkStatus();
}

// --- Building

// What the set leaves to the engine of modsecurity.conf-recommended, which not everyone loads.
void Compiler::LookAtBodyRules() {
  bool inspects_bodies = false;
  bool sees_errors = false;
  for (const Step& step : steps_) {
    for (const Draft& draft : step.chain) {
      inspects_bodies |= step.chain.front().actions.phase == 2 && draft.op != nullptr;
      for (const Target& target : draft.targets) {
        sees_errors |= target.variable == Variable::kReqbodyError ||
                       target.variable == Variable::kReqbodyProcessorError;
      }
      for (const Action& action : draft.actions.actions) {
        if (action.kind != Action::Kind::kRequestBodyProcessor) continue;
        if (action.processor == BodyProcessor::kJson) program_->settings.chooses_json = false;
        if (action.processor == BodyProcessor::kXml) program_->settings.chooses_xml = false;
      }
    }
  }
  if (!inspects_bodies || sees_errors) return;
  program_->notes.push_back(
      "no rule looks at REQBODY_ERROR, so that a body that cannot be read is no reason to deny; "
      "modsecurity.conf-recommended has such rules");
}

int Compiler::InternList(const Draft& draft) {
  std::string key;
  for (const Target& target : draft.targets) key += KeyOf(target);
  key += "!";
  for (const Target& target : draft.exclusions) key += KeyOf(target);
  const auto [known, added] = lists_.emplace(key, static_cast<int>(program_->lists.size()));
  if (!added) return known->second;
  TargetList list{.targets = draft.targets, .exclusions = draft.exclusions};
  for (const Target& target : list.targets) {
    const VariableInfo& info = InfoOf(target.variable);
    list.dynamic |= info.dynamic || target.selector == Target::Selector::kMacro;
    list.final_phase = std::max(list.final_phase, info.final_phase);
    if (info.final_phase >= 3) list.group = 1;
  }
  program_->lists.push_back(std::move(list));
  return known->second;
}

int Compiler::InternNode(int list, const std::vector<Transformation>& chain) {
  const auto [known, added] =
      nodes_.emplace(std::pair(list, chain), static_cast<int>(program_->nodes.size()));
  if (!added) return known->second;
  // Its number must be behind its parent's.
  if (chain.empty()) {
    program_->nodes.push_back({.list = list});
    return known->second;
  }
  nodes_.erase(known);
  const int parent = InternNode(list, {chain.begin(), chain.end() - 1});
  const int node = static_cast<int>(program_->nodes.size());
  nodes_.emplace(std::pair(list, chain), node);
  program_->nodes.push_back({.list = list, .parent = parent, .transformation = chain.back()});
  return node;
}

// What `op` says of itself, or of a regular expression more than it can.
MatchNeeds NeedsOf(const RuleSource& source, const Rule& rule) {
  if (source.operator_name == "rx" && rule.argument.constant()) {
    return NeedsOfRegex(source.operator_argument);
  }
  std::vector<std::string> literals;
  for (PrefilterPattern& pattern : rule.op->Prefilter()) {
    if (!pattern.literal || pattern.expression.empty()) return {};
    literals.push_back(std::move(pattern.expression));
  }
  if (literals.empty()) return {};
  return NeedsOfLiterals(std::move(literals));
}

void Compiler::AddNeeds(const RuleSource& source, Rule& rule) {
  if (!program_->use_prefilter || rule.node < 0 || rule.negated) return;
  MatchNeeds needs = NeedsOf(source, rule);
  rule.needs.bytes = needs.bytes;
  if (needs.literals.empty()) {
    rule.needs.or_bytes = needs.or_bytes;
    return;
  }
  const auto group = static_cast<size_t>(program_->lists[static_cast<size_t>(rule.list)].group);
  std::string key;
  for (const std::string& literal : needs.literals) {
    absl::StrAppend(&key, literal.size(), ":", literal);
  }
  if (literals_[group].size() >= kCandidatesMax) return;
  const auto [known, added] =
      candidates_[group].emplace(std::move(key), static_cast<int>(literals_[group].size()));
  if (added) literals_[group].push_back(std::move(needs.literals));
  rule.needs.candidate = known->second;
  rule.needs.or_bytes = needs.or_bytes;
}

void Compiler::ResolveMarkers(const Step& step, size_t position, size_t after, Rule& rule) {
  const RuleActions& actions = step.chain[position].actions;
  for (const auto& [index, name] : actions.markers) {
    const auto& markers = markers_[static_cast<size_t>(rule.phase)];
    size_t target = SIZE_MAX;
    for (auto [i, end] = markers.equal_range(name); i != end; ++i) {
      if (i->second > after) target = std::min(target, i->second);
    }
    rule.actions[index].number = target == SIZE_MAX ? -1 : static_cast<int>(target);
    if (target == SIZE_MAX) {
      program_->notes.push_back(absl::StrCat(rule.where.file, ":", rule.where.line,
                                             ": skipAfter:", name,
                                             ": no such SecMarker follows; the rest of the "
                                             "phase is skipped"));
    }
  }
}

void Compiler::SetOutcome(const Step& step, size_t position, Rule& rule) {
  const auto found = defaults_.find(rule.phase);
  const RuleActions* defaults = found == defaults_.end() ? nullptr : &found->second;
  const RuleActions& actions = step.chain[position].actions;
  const Macro* redirect = &actions.redirect;
  if (actions.block) {
    if (defaults != nullptr) {
      rule.disruption = *defaults->disruption;
      redirect = &defaults->redirect;
    }
  } else {
    rule.disruption = actions.disruption.value_or(Disruption::kNone);
  }
  rule.status = rule.disruption == Disruption::kRedirect ? 302 : 403;
  // As with log actions: those of the first rule are done last, behind SecDefaultAction's.
  std::optional<uint16_t> status;
  for (size_t i = step.chain.size(); i-- > position;) {
    if (defaults != nullptr && defaults->status) status = defaults->status;
    if (step.chain[i].actions.status) status = step.chain[i].actions.status;
  }
  if (status) {
    const bool fits =
        rule.disruption != Disruption::kRedirect || (*status >= 301 && *status <= 307);
    if (fits) rule.status = *status;
  }
  for (const Macro::Piece& piece : redirect->pieces) {
    rule.redirect.pieces.push_back(
        {.text = piece.text,
         .variable = piece.variable == nullptr ? nullptr
                                               : std::make_unique<const Target>(*piece.variable)});
  }
  for (size_t i = step.chain.size(); i-- > position;) {
    if (defaults != nullptr && defaults->logged) rule.logged = *defaults->logged;
    if (step.chain[i].actions.logged) rule.logged = *step.chain[i].actions.logged;
  }
}

// Drafts stay, for selections of other rules: what is moved out of them is not needed there.
Rule Compiler::MakeRule(Step& step, size_t position, size_t number) {
  Draft& draft = step.chain[position];
  RuleActions& actions = draft.actions;
  Rule rule;
  rule.id = step.chain.front().actions.id.value_or(0);
  rule.phase = step.chain.front().actions.phase.value_or(1);
  rule.where = draft.source->where;
  rule.number = number;
  rule.unconditional = draft.op == nullptr;
  rule.chain_rules = step.chain.size() - position;
  rule.multi_match = actions.multi_match;
  rule.capture = actions.capture;
  rule.negated = draft.source->negated;
  rule.op = draft.op;
  rule.argument = std::move(draft.argument);
  const auto defaults = defaults_.find(rule.phase);
  if (!actions.transformations_reset && defaults != defaults_.end()) {
    rule.chain = defaults->second.transformations;
  }
  rule.chain.insert(rule.chain.end(), actions.transformations.begin(),
                    actions.transformations.end());
  if (!rule.unconditional) {
    rule.list = InternList(draft);
    if (!program_->lists[static_cast<size_t>(rule.list)].dynamic) {
      rule.node = InternNode(rule.list, rule.chain);
    }
    AddNeeds(*draft.source, rule);
  }
  SetOutcome(step, position, rule);
  rule.set_variables = std::move(actions.set_variables);
  rule.actions = std::move(actions.actions);
  if (actions.message) rule.message = *std::move(actions.message);
  if (actions.log_data) rule.log_data = *std::move(actions.log_data);
  rule.tags = std::move(actions.tags);
  rule.severity = actions.severity.value_or(-1);
  rule.revision = actions.revision;
  rule.version = actions.version;
  return rule;
}

absl::Status Compiler::Place() {
  // Where markers are, and how rules are numbered, is known before the first rule is made.
  std::array<size_t, kPhaseMax + 1> counts = {};
  for (const Step& step : steps_) {
    if (step.chain.empty()) {
      for (size_t phase = 1; phase <= kPhaseMax; ++phase) {
        markers_[phase].emplace(step.marker, counts[phase]);
      }
    } else {
      counts[static_cast<size_t>(step.chain.front().actions.phase.value_or(1))] +=
          step.chain.size();
      ++program_->rules;
    }
  }
  size_t number = 0;
  for (Step& step : steps_) {
    if (step.chain.empty()) continue;
    const auto phase = static_cast<size_t>(step.chain.front().actions.phase.value_or(1));
    std::vector<Rule>& rules = program_->phases[phase];
    const size_t first = rules.size();
    for (size_t i = 0; i < step.chain.size(); ++i) {
      Rule rule = MakeRule(step, i, number);
      ResolveMarkers(step, i, first, rule);
      for (const auto& [index, selection] : step.chain[i].actions.selections) {
        RuleBits bits;
        bits.Resize(program_->rules);
        size_t other = 0;
        for (const Step& candidate : steps_) {
          if (candidate.chain.empty()) continue;
          if (Matches(selection, candidate.chain.front())) bits.Set(other);
          ++other;
        }
        Action& action = rule.actions[index];
        (action.kind == Action::Kind::kRemoveTarget ? action.removal.rules : action.rules) =
            std::move(bits);
      }
      rules.push_back(std::move(rule));
    }
    ++number;
  }
  return absl::OkStatus();
}

absl::Status Compiler::BuildPrefilters() {
  for (size_t group = 0; group < Program::kGroups; ++group) {
    auto prefilter = Prefilter::Build(literals_[group]);
    if (!prefilter.ok()) return prefilter.status();
    program_->prefilters[group] = *std::move(prefilter);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const Program>> Compiler::Compile(
    const std::vector<SourceItem>& items) {
  for (const SourceItem& item : items) {
    const absl::Status status = std::holds_alternative<RuleSource>(item)
                                    ? ReadRule(std::get<RuleSource>(item))
                                    : ReadDirective(std::get<DirectiveSource>(item));
    if (!status.ok()) return status;
  }
  if (chain_open_) {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      if (step->chain.empty()) continue;
      return SourceError(step->chain.back().source->where,
                         "found chain with no rule behind it; expected the rule it is chained to");
    }
  }
  for (const DirectiveSource* directive : exclusions_) {
    if (auto status = Exclude(*directive); !status.ok()) return status;
  }
  LookAtBodyRules();
  if (auto status = Place(); !status.ok()) return status;
  if (program_->use_prefilter) {
    if (auto status = BuildPrefilters(); !status.ok()) return status;
  }
  std::erase_if(program_->notes,
                [this](const std::string& note) { return !notes_seen_.insert(note).second; });
  return std::unique_ptr<const Program>(std::move(program_));
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Program>> CompileRules(const std::vector<SourceItem>& items,
                                                            bool use_prefilter) {
  return Compiler(use_prefilter).Compile(items);
}

}  // namespace edge::waf
