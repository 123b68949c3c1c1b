#include "proxy/waf/engine/rule_actions.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

// libmodsecurity holds them as int.
constexpr int64_t kRuleIdMax = 2147483647;
// More rules than any set has.
constexpr int kSkipMax = 1'000'000;

constexpr std::array<std::string_view, 8> kSeverities = {
    "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};

// Which libmodsecurity 3 refuses, too.
constexpr std::string_view kRefused[] = {
    "append",
    "deprecatevar",
    "exec",
    "pause",
    "prepend",
    "proxy",
    "sanitisearg",
    "sanitisematched",
    "sanitisematchedbytes",
    "sanitiserequestheader",
    "sanitiseresponseheader",
};

absl::StatusOr<bool> ReadOnOff(std::string_view text, std::string_view what,
                               const SourceLocation& where) {
  for (const std::string_view on : {"on", "true"}) {
    if (absl::EqualsIgnoreCase(text, on)) return true;
  }
  for (const std::string_view off : {"off", "false"}) {
    if (absl::EqualsIgnoreCase(text, off)) return false;
  }
  return SourceError(where, absl::StrCat("found ", what, "=", text, "; expected On or Off"));
}

// Reads the actions of one rule, one after the other.
class Reader {
 public:
  Reader(const SourceLocation& where, StoredNames& names) : where_(where), names_(names) {}

  absl::Status Read(const ActionSource& source);
  RuleActions Take() { return std::move(result_); }

 private:
  // For actions whose argument is theirs alone.
  absl::StatusOr<bool> ReadFlag(const ActionSource& source);
  absl::StatusOr<bool> ReadDisruption(const ActionSource& source);
  absl::StatusOr<bool> ReadText(const ActionSource& source);
  absl::StatusOr<bool> ReadCollection(const ActionSource& source);
  absl::StatusOr<bool> ReadFlow(const ActionSource& source);

  absl::Status ReadId(std::string_view text);
  absl::Status ReadPhase(std::string_view text);
  absl::Status ReadSeverity(std::string_view text);
  absl::Status ReadStatus(std::string_view text);
  absl::Status ReadTransformation(std::string_view name);
  absl::StatusOr<SetVariable> ReadSetVariable(std::string_view text, Variable fixed);
  absl::Status ReadControl(std::string_view text);
  absl::Status ReadControlOfRules(std::string_view name, std::string_view value);
  absl::Status ReadRemoval(RuleSelection::By by, std::string_view value, bool of_target);

  absl::Status Unexpected(std::string_view found, std::string_view expected) const {
    return SourceError(where_, absl::StrCat("found ", found, "; expected ", expected));
  }
  absl::Status SetMacro(std::string_view text, Macro& macro) {
    auto compiled = CompileMacro(text, where_, names_);
    if (!compiled.ok()) return compiled.status();
    macro = *std::move(compiled);
    return absl::OkStatus();
  }
  void Note(std::string_view text) {
    result_.notes.push_back(absl::StrCat(where_.file, ":", where_.line, ": ", text));
  }

  const SourceLocation& where_;
  StoredNames& names_;
  RuleActions result_;
};

absl::Status Reader::Read(const ActionSource& source) {
  for (const std::string_view refused : kRefused) {
    if (source.name == refused) {
      return Unexpected(absl::StrCat("action ", source.name), "one that is supported");
    }
  }
  for (auto read : {&Reader::ReadFlag, &Reader::ReadDisruption, &Reader::ReadText,
                    &Reader::ReadCollection, &Reader::ReadFlow}) {
    auto known = (this->*read)(source);
    if (!known.ok()) return known.status();
    if (*known) return absl::OkStatus();
  }
  return Unexpected(absl::StrCat("action ", source.name), "one of the reference manual's");
}

absl::StatusOr<bool> Reader::ReadFlag(const ActionSource& source) {
  if (source.name == "capture") {
    result_.capture = true;
  } else if (source.name == "chain") {
    result_.chained = true;
  } else if (source.name == "multimatch") {
    result_.multi_match = true;
  } else if (source.name == "log" || source.name == "auditlog") {
    result_.logged = true;
  } else if (source.name == "nolog" || source.name == "noauditlog") {
    result_.logged = false;
  } else {
    return false;
  }
  if (!source.argument.empty()) {
    return Unexpected(absl::StrCat(source.name, ":", source.argument),
                      absl::StrCat(source.name, " without an argument"));
  }
  return true;
}

absl::StatusOr<bool> Reader::ReadDisruption(const ActionSource& source) {
  if (source.name == "block") {
    result_.block = true;
  } else if (source.name == "deny") {
    result_.disruption = Disruption::kDeny;
  } else if (source.name == "drop") {
    result_.disruption = Disruption::kDrop;
  } else if (source.name == "pass") {
    result_.disruption = Disruption::kNone;
  } else if (source.name == "redirect") {
    if (source.argument.empty()) return Unexpected("redirect", "an address behind redirect:");
    result_.disruption = Disruption::kRedirect;
    if (auto status = SetMacro(source.argument, result_.redirect); !status.ok()) return status;
  } else if (source.name == "allow") {
    if (source.argument.empty()) {
      result_.disruption = Disruption::kAllow;
    } else if (absl::EqualsIgnoreCase(source.argument, "phase")) {
      result_.disruption = Disruption::kAllowPhase;
    } else if (absl::EqualsIgnoreCase(source.argument, "request")) {
      result_.disruption = Disruption::kAllowRequest;
    } else {
      return Unexpected(absl::StrCat("allow:", source.argument),
                        "allow, allow:phase or allow:request");
    }
  } else if (source.name == "status") {
    if (auto status = ReadStatus(source.argument); !status.ok()) return status;
  } else {
    return false;
  }
  return true;
}

absl::StatusOr<bool> Reader::ReadText(const ActionSource& source) {
  const std::string& text = source.argument;
  absl::Status status;
  if (source.name == "id") {
    status = ReadId(text);
  } else if (source.name == "phase") {
    status = ReadPhase(text);
  } else if (source.name == "severity") {
    status = ReadSeverity(text);
  } else if (source.name == "t") {
    status = ReadTransformation(text);
  } else if (source.name == "msg") {
    result_.message_text = text;
    status = SetMacro(text, result_.message.emplace());
  } else if (source.name == "logdata") {
    status = SetMacro(text, result_.log_data.emplace());
  } else if (source.name == "tag") {
    result_.tag_texts.push_back(text);
    status = SetMacro(text, result_.tags.emplace_back());
  } else if (source.name == "rev") {
    result_.revision = text;
  } else if (source.name == "ver") {
    result_.version = text;
  } else if (source.name == "accuracy" || source.name == "maturity") {
    int number;
    if (!absl::SimpleAtoi(text, &number)) {
      status = Unexpected(absl::StrCat(source.name, ":", text), "a number");
    }
  } else if (source.name == "xmlns" && text.empty()) {
    status = Unexpected("xmlns", "xmlns:prefix=http://address");
  } else if (source.name == "xmlns") {
    // XPath expressions find elements by their names alone, so it is only looked at.
    const size_t equals = text.find('=');
    std::string_view address = std::string_view(text).substr(std::min(equals, text.size() - 1) + 1);
    if (address.size() > 2 && address.front() == '\'') address.remove_prefix(1);
    if (equals == text.npos || equals == 0 || !absl::StartsWith(address, "http://")) {
      status = Unexpected(absl::StrCat("xmlns:", text), "xmlns:prefix=http://address");
    }
  } else {
    return false;
  }
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<bool> Reader::ReadCollection(const ActionSource& source) {
  const std::string& text = source.argument;
  if (source.name == "setvar") {
    auto set = ReadSetVariable(text, Variable::kTx);
    if (!set.ok()) return set.status();
    result_.set_variables.push_back(*std::move(set));
  } else if (source.name == "setenv") {
    auto set = ReadSetVariable(text, Variable::kEnv);
    if (!set.ok()) return set.status();
    result_.actions.emplace_back();
    result_.actions.back().kind = Action::Kind::kSetEnv;
    result_.actions.back().set = *std::move(set);
  } else if (source.name == "setsid" || source.name == "setuid" || source.name == "setrsc") {
    Macro macro;
    if (auto status = SetMacro(text, macro); !status.ok()) return status;
    Note(absl::StrCat(source.name, ": its collection lasts for one request"));
    if (source.name == "setrsc") return true;
    result_.actions.emplace_back();
    result_.actions.back().kind =
        source.name == "setsid" ? Action::Kind::kSetSessionId : Action::Kind::kSetUserId;
    result_.actions.back().text = std::move(macro);
  } else if (source.name == "initcol") {
    const std::string_view name = std::string_view(text).substr(0, text.find('='));
    const auto collection = FindVariable(absl::AsciiStrToUpper(name));
    if (name.size() == text.size() || !collection || !IsStored(*collection)) {
      return Unexpected(absl::StrCat("initcol:", text), "initcol:ip=key, or global or resource");
    }
    Note(absl::StrCat("initcol:", name, ": the collection lasts for one request"));
  } else if (source.name == "expirevar") {
    Note(absl::StrCat("expirevar:", text, ": collections last for one request"));
  } else {
    return false;
  }
  return true;
}

absl::StatusOr<bool> Reader::ReadFlow(const ActionSource& source) {
  if (source.name == "skip") {
    int count;
    if (!absl::SimpleAtoi(source.argument, &count) || count < 0 || count > kSkipMax) {
      return Unexpected(absl::StrCat("skip:", source.argument), "a number of rules");
    }
    result_.actions.emplace_back();
    result_.actions.back().kind = Action::Kind::kSkip;
    result_.actions.back().number = count;
  } else if (source.name == "skipafter") {
    if (source.argument.empty()) return Unexpected("skipAfter", "the name of a SecMarker");
    result_.markers.emplace_back(result_.actions.size(), source.argument);
    result_.actions.emplace_back();
    result_.actions.back().kind = Action::Kind::kSkipAfter;
  } else if (source.name == "ctl") {
    if (auto status = ReadControl(source.argument); !status.ok()) return status;
  } else {
    return false;
  }
  return true;
}

absl::Status Reader::ReadId(std::string_view text) {
  int64_t id;
  if (!absl::SimpleAtoi(text, &id) || id < 1 || id > kRuleIdMax) {
    return Unexpected(absl::StrCat("id:", text), absl::StrCat("a number from 1 to ", kRuleIdMax));
  }
  result_.id = id;
  return absl::OkStatus();
}

absl::Status Reader::ReadPhase(std::string_view text) {
  int phase;
  if (absl::SimpleAtoi(text, &phase) && phase >= 1 && phase <= kPhaseMax) {
    result_.phase = phase;
  } else if (absl::EqualsIgnoreCase(text, "request")) {
    result_.phase = 2;
  } else if (absl::EqualsIgnoreCase(text, "response")) {
    result_.phase = 4;
  } else if (absl::EqualsIgnoreCase(text, "logging")) {
    result_.phase = 5;
  } else {
    return Unexpected(absl::StrCat("phase:", text), "1 to 5, request, response or logging");
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadSeverity(std::string_view text) {
  for (size_t i = 0; i < kSeverities.size(); ++i) {
    if (absl::EqualsIgnoreCase(text, kSeverities[i])) result_.severity = static_cast<int>(i);
  }
  int number;
  if (absl::SimpleAtoi(text, &number) && number >= 0 && number <= 255) result_.severity = number;
  if (result_.severity) return absl::OkStatus();
  return Unexpected(absl::StrCat("severity:", text), "a number or EMERGENCY to DEBUG");
}

absl::Status Reader::ReadStatus(std::string_view text) {
  int status;
  // Behind what is below 200 there is another response, and 204 and 304 have no body.
  if (!absl::SimpleAtoi(text, &status) || status < 200 || status > 599 || status == 204 ||
      status == 304) {
    return Unexpected(absl::StrCat("status:", text), "a number from 200 to 599, not 204 or 304");
  }
  result_.status = static_cast<uint16_t>(status);
  return absl::OkStatus();
}

absl::Status Reader::ReadTransformation(std::string_view name) {
  if (absl::EqualsIgnoreCase(name, "none")) {
    result_.transformations.clear();
    result_.transformations_reset = true;
    return absl::OkStatus();
  }
  const std::optional<Transformation> found = FindTransformation(name);
  if (!found) {
    return Unexpected(absl::StrCat("t:", name), "a transformation of the reference manual");
  }
  if (result_.transformations.size() >= kTransformationsMax) {
    return Unexpected("too many transformations", absl::StrCat("at most ", kTransformationsMax));
  }
  result_.transformations.push_back(*found);
  return absl::OkStatus();
}

// "tx.name=value", "tx.name=+1", "tx.name", "!tx.name"; of setenv: "name=value".
absl::StatusOr<SetVariable> Reader::ReadSetVariable(std::string_view text, Variable fixed) {
  const std::string_view all = text;
  const auto unexpected = [&] {
    return Unexpected(absl::StrCat(fixed == Variable::kEnv ? "setenv:" : "setvar:", all),
                      fixed == Variable::kEnv
                          ? "setenv:name=value"
                          : "a name in tx, ip, global, session, user or resource, like tx.name=1");
  };
  SetVariable set;
  set.collection = fixed;
  if (absl::ConsumePrefix(&text, "!")) set.operation = SetVariable::Operation::kUnset;
  if (fixed != Variable::kEnv) {
    const size_t dot = text.find_first_of(".:");
    if (dot == text.npos) return unexpected();
    const auto collection = FindVariable(absl::AsciiStrToUpper(text.substr(0, dot)));
    if (!collection || !IsStored(*collection) || *collection == Variable::kEnv) return unexpected();
    set.collection = *collection;
    text.remove_prefix(dot + 1);
  }
  // A macro in the name may have an equals sign of its own.
  size_t equals = 0;
  for (int depth = 0; equals < text.size(); ++equals) {
    if (absl::StartsWith(text.substr(equals), "%{")) ++depth;
    if (text[equals] == '}' && depth > 0) --depth;
    if (text[equals] == '=' && depth == 0) break;
  }
  const std::string_view name = absl::StripAsciiWhitespace(text.substr(0, equals));
  if (name.empty()) return unexpected();
  std::string_view value = equals < text.size() ? text.substr(equals + 1) : "1";
  if (set.operation != SetVariable::Operation::kUnset && equals < text.size()) {
    if (absl::ConsumePrefix(&value, "+")) {
      set.operation = SetVariable::Operation::kAdd;
    } else if (absl::ConsumePrefix(&value, "-")) {
      set.operation = SetVariable::Operation::kSubtract;
    }
  }
  if (absl::StrContains(name, "%{")) {
    if (auto status = SetMacro(name, set.name); !status.ok()) return status;
  } else {
    set.slot = names_.Add(set.collection, name);
  }
  if (auto status = SetMacro(value, set.value); !status.ok()) return status;
  return set;
}

absl::Status Reader::ReadControl(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = equals == text.npos ? "" : text.substr(equals + 1);
  if (value.empty()) return Unexpected(absl::StrCat("ctl:", text), "ctl:name=value");
  const auto is = [&](std::string_view known) { return absl::EqualsIgnoreCase(name, known); };

  if (is("ruleEngine")) {
    Action action;
    action.kind = Action::Kind::kRuleEngine;
    if (absl::EqualsIgnoreCase(value, "on")) {
      action.mode = EngineMode::kOn;
    } else if (absl::EqualsIgnoreCase(value, "off")) {
      action.mode = EngineMode::kOff;
    } else if (absl::EqualsIgnoreCase(value, "detectiononly")) {
      action.mode = EngineMode::kDetectionOnly;
    } else {
      return Unexpected(absl::StrCat("ctl:", text), "On, Off or DetectionOnly");
    }
    result_.actions.push_back(std::move(action));
    return absl::OkStatus();
  }
  if (is("requestBodyProcessor")) {
    Action action;
    action.kind = Action::Kind::kRequestBodyProcessor;
    action.processor = FindBodyProcessor(value);
    if (action.processor == BodyProcessor::kNone) {
      return Unexpected(absl::StrCat("ctl:", text), "URLENCODED, MULTIPART, JSON or XML");
    }
    result_.actions.push_back(std::move(action));
    return absl::OkStatus();
  }
  if (is("requestBodyAccess") || is("responseBodyAccess")) {
    auto on = ReadOnOff(value, name, where_);
    if (!on.ok()) return on.status();
    Action action;
    action.kind = is("requestBodyAccess") ? Action::Kind::kRequestBodyAccess
                                          : Action::Kind::kResponseBodyAccess;
    action.number = *on ? 1 : 0;
    result_.actions.push_back(std::move(action));
    return absl::OkStatus();
  }
  // REQUEST_BODY is always there, and there is no audit log.
  if (is("forceRequestBodyVariable") || is("auditEngine") || is("auditLogParts")) {
    return absl::OkStatus();
  }
  return ReadControlOfRules(name, value);
}

absl::Status Reader::ReadControlOfRules(std::string_view name, std::string_view value) {
  struct Control {
    std::string_view name;
    RuleSelection::By by;
    bool of_target;
  };
  constexpr Control kControls[] = {
      {"ruleRemoveById", RuleSelection::By::kId, false},
      {"ruleRemoveByTag", RuleSelection::By::kTag, false},
      {"ruleRemoveByMsg", RuleSelection::By::kMessage, false},
      {"ruleRemoveTargetById", RuleSelection::By::kId, true},
      {"ruleRemoveTargetByTag", RuleSelection::By::kTag, true},
      {"ruleRemoveTargetByMsg", RuleSelection::By::kMessage, true},
  };
  for (const Control& control : kControls) {
    if (absl::EqualsIgnoreCase(name, control.name)) {
      return ReadRemoval(control.by, value, control.of_target);
    }
  }
  return Unexpected(absl::StrCat("ctl:", name), "a setting that is supported");
}

absl::Status Reader::ReadRemoval(RuleSelection::By by, std::string_view value, bool of_target) {
  RuleSelection selection{.by = by};
  Action action;
  action.kind = Action::Kind::kRemoveRules;
  if (of_target) {
    action.kind = Action::Kind::kRemoveTarget;
    const size_t semicolon = value.find(';');
    if (semicolon == value.npos) {
      return Unexpected(absl::StrCat("ctl:...=", value), "rules and a variable with ; between");
    }
    auto variables = ParseVariables(value.substr(semicolon + 1), where_);
    if (!variables.ok()) return variables.status();
    if (variables->size() != 1) return Unexpected(value, "one variable behind ;");
    auto target = CompileTarget(variables->front(), where_, names_);
    if (!target.ok()) return target.status();
    action.removal.target = *std::move(target);
    value = value.substr(0, semicolon);
  }
  if (by == RuleSelection::By::kId) {
    auto ids = ReadRuleIds(value, where_);
    if (!ids.ok()) return ids.status();
    selection.ids = *std::move(ids);
  } else {
    selection.text = value;
  }
  result_.selections.emplace_back(result_.actions.size(), std::move(selection));
  result_.actions.push_back(std::move(action));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RuleActions> ReadRuleActions(const std::vector<ActionSource>& sources,
                                            const SourceLocation& where, StoredNames& names) {
  Reader reader(where, names);
  for (const ActionSource& source : sources) {
    if (auto status = reader.Read(source); !status.ok()) return status;
  }
  return reader.Take();
}

absl::StatusOr<std::vector<std::pair<int64_t, int64_t>>> ReadRuleIds(std::string_view text,
                                                                     const SourceLocation& where) {
  std::vector<std::pair<int64_t, int64_t>> ids;
  for (std::string_view item : absl::StrSplit(text, absl::ByAnyChar(" ,"), absl::SkipEmpty())) {
    const size_t dash = item.find('-');
    int64_t first;
    int64_t last;
    const bool ok = absl::SimpleAtoi(item.substr(0, dash), &first) &&
                    absl::SimpleAtoi(dash == item.npos ? item : item.substr(dash + 1), &last);
    if (!ok || first < 0 || last < first) {
      return SourceError(
          where, absl::StrCat("found rule id ", item, "; expected a number or a range like 10-20"));
    }
    ids.emplace_back(first, last);
  }
  if (ids.empty()) return SourceError(where, "found no rule id; expected one or more");
  return ids;
}

}  // namespace edge::waf
