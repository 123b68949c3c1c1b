// The rules of a rule set as they are executed: everything looked up, resolved and interned.
//
//   Rule --list--> TargetList    which values of a request it looks at
//        --node--> ChainNode     those values after its transformations
//        --needs--> ValueNeeds    what a value must have for the rule to be tried on it
//
// Rules with the same variables share a list, rules with the same beginning of transformations
// share nodes: a transaction computes each once.
//
// Immutable after the compiler made it; shared by all threads.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/byte_marks.h"
#include "proxy/waf/engine/macro.h"
#include "proxy/waf/engine/operator.h"
#include "proxy/waf/engine/prefilter.h"
#include "proxy/waf/engine/request_parts.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/rule_source.h"
#include "proxy/waf/engine/transformation.h"
#include "proxy/waf/engine/variable.h"
#include "proxy/waf/engine/xml_path.h"

namespace edge::waf {

inline constexpr int kPhaseMax = 5;

// A set of rules, by their number.
class RuleBits {
 public:
  void Resize(size_t rules) { words_.assign((rules + 63) / 64, 0); }
  void Set(size_t rule) { words_[rule / 64] |= uint64_t{1} << (rule % 64); }
  bool Has(size_t rule) const { return (words_[rule / 64] >> (rule % 64) & 1) != 0; }
  void Add(const RuleBits& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  bool None() const {
    for (const uint64_t word : words_) {
      if (word != 0) return false;
    }
    return true;
  }

 private:
  std::vector<uint64_t> words_;
};

struct TargetList {
  std::vector<Target> targets;
  std::vector<Target> exclusions;
  // As of VariableInfo, for all of them together.
  bool dynamic = false;
  uint8_t final_phase = 1;
  int group = 0;  // which prefilter
};

// The values of a list behind one more transformation; the first node of a list has none.
struct ChainNode {
  int list = 0;
  int parent = -1;
  Transformation transformation = Transformation::kLowercase;
};

// What a value must have to be matched; see MatchNeeds.
struct ValueNeeds {
  ByteMarks bytes = 0;  // one of these, unless 0
  ByteMarks or_bytes =
      0;               // and one of these, or a literal of the candidate, unless there is neither
  int candidate = -1;  // in the prefilter of the list's group; -1: none

  bool known() const { return bytes != 0 || or_bytes != 0 || candidate >= 0; }
};

struct SetVariable {
  enum class Operation : uint8_t { kSet, kAdd, kSubtract, kUnset };
  Operation operation = Operation::kSet;
  Variable collection = Variable::kTx;
  int slot = -1;  // -1: the name has macros
  Macro name;
  Macro value;
};

// What ctl:ruleRemoveTargetById and its like take away, and from which rules.
struct TargetRemoval {
  RuleBits rules;
  Target target;
};

// Done when a rule, with those chained to it, has matched; in their order.
struct Action {
  enum class Kind : uint8_t {
    kSetSessionId,        // text
    kSetUserId,           // text
    kSetEnv,              // set
    kSkip,                // number of rules
    kSkipAfter,           // number: index of the next rule of the phase; -1: none
    kRuleEngine,          // mode
    kRemoveRules,         // rules
    kRemoveTarget,        // removal
    kRequestBodyAccess,   // number: 0 or 1
    kResponseBodyAccess,  // likewise
    kRequestBodyProcessor,
  };
  Kind kind = Kind::kSkip;
  int number = 0;
  EngineMode mode = EngineMode::kOn;
  BodyProcessor processor = BodyProcessor::kNone;
  Macro text;
  SetVariable set;
  RuleBits rules;
  TargetRemoval removal;
};

enum class Disruption : uint8_t {
  kNone,
  kDeny,
  kDrop,
  kRedirect,
  kAllow,         // from here on, until phase 5
  kAllowPhase,    // for the rest of the phase
  kAllowRequest,  // for the rest of phases 1 and 2
};

struct Rule {
  int64_t id = 0;
  int phase = 1;
  SourceLocation where;
  size_t number = 0;  // in RuleBits; of the chain's first rule

  // --- When it matches
  bool unconditional = false;  // SecAction
  int list = 0;
  int node = -1;  // -1: the list is dynamic, and `chain` is applied to each value
  std::vector<Transformation> chain;
  bool multi_match = false;
  std::shared_ptr<const Operator> op;
  Macro argument;
  bool negated = false;
  bool capture = false;
  ValueNeeds needs;
  // Itself and those behind it in its chain, which all must match.
  size_t chain_rules = 1;

  // --- What happens at each value that matches
  std::vector<SetVariable> set_variables;

  // --- What happens when it and those chained to it have matched
  std::vector<Action> actions;
  Disruption disruption = Disruption::kNone;
  uint16_t status = 403;
  Macro redirect;
  Macro message;
  Macro log_data;
  std::vector<Macro> tags;
  int severity = -1;
  std::string revision;
  std::string version;
  bool logged = true;
};

enum class LimitAction : uint8_t { kReject, kProcessPartial };

// What directives other than rules say.
struct EngineSettings {
  EngineMode mode = EngineMode::kOff;
  bool request_body_access = true;
  // By Content-Type alone. False where rules do it: they may mean to leave some bodies out.
  bool chooses_json = true;
  bool chooses_xml = true;
  bool response_body_access = false;
  std::optional<uint64_t> request_body_bytes_max;
  LimitAction request_body_limit_action = LimitAction::kReject;
  std::optional<uint64_t> request_body_no_files_bytes_max;
  std::optional<uint64_t> response_body_bytes_max;
  LimitAction response_body_limit_action = LimitAction::kReject;
  std::optional<std::vector<std::string>> response_mime_types;  // none given: all
  char argument_separator = '&';
  size_t arguments_max = 1000;
  size_t json_depth_max = 512;
  // libmodsecurity counts files only where it keeps them.
  bool upload_keep_files = false;
  size_t upload_files_max = 100;
  std::string web_app_id;
  // Of rules that want more of a document than XML:/* and XML://@*, by their keys.
  std::map<std::string, XmlPath, std::less<>> xml_paths;
};

class Program {
 public:
  // Differs for all programs of a process: of the scratch that was prepared for one.
  uint64_t serial = 0;
  EngineSettings settings;
  // By phase; followers of a chain behind its first rule.
  std::array<std::vector<Rule>, kPhaseMax + 1> phases;
  size_t rules = 0;  // of RuleBits
  std::vector<TargetList> lists;
  std::vector<ChainNode> nodes;
  StoredNames names;
  int limits_slot = -1;  // TX:MSC_PCRE_LIMITS_EXCEEDED, which the engine sets
  // By group: requests, responses.
  static constexpr int kGroups = 2;
  std::array<Prefilter, kGroups> prefilters;
  // Off in tests only, to compare: every rule is then evaluated on every value.
  bool use_prefilter = true;
  std::vector<std::string> notes;
};

}  // namespace edge::waf
