// What a regression case expects of libmodsecurity's debug log, as something that can be asked of
// this engine.
//
// Such a case proves most often that a variable had a value, by a line of the log that every
// comparison writes, whether or not it matches. Here it is asked with rules: the case is run once
// more with an operator that matches exactly that value, or with a rule of our own at its end.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace edge::waf {

struct Expectation {
  enum class Kind {
    // A rule of the case, with `pattern` as its operator, matches a variable like `variable`.
    kTargetValue,
    // `rules`, which are put behind those of the case, match.
    kProbeMatches,
    kProbeDoesNotMatch,
    kRuleMatched,    // `rule_id`
    kRuleUnmatched,  // `rule_id`
    kRuleEvaluated,  // `rule_id`, whether or not it matches
    kAnyRuleMatched,
    kSomeRuleUnmatched,
    kMessage,  // of a rule that matched is like `pattern`
    kLog,      // its message, data or variable
    kDenied,
    kNothingMatched,
    // All rules, and if there is an Include then more.
    kLoaded,
  };
  Kind kind;
  std::string pattern;
  std::string variable;
  std::string rules;
  int64_t rule_id = 0;
};

// Id of the rules that are put behind a case's.
inline constexpr int64_t kProbeId = 9000001;

// All must hold. Nothing: what it says cannot be asked.
std::optional<std::vector<Expectation>> MapDebugLog(std::string_view debug_log);

// Where a SecRule is in a text of rules.
struct RulePlace {
  size_t begin = 0;
  size_t operator_begin = 0;  // with its quotes
  size_t operator_end = 0;
  size_t actions_begin = 0;
  size_t end = 0;        // of the actions
  int64_t rule_id = 0;   // 0: it has none, or is behind another one in a chain
  int64_t first_id = 0;  // of its chain
  bool chain = false;
};
std::vector<RulePlace> FindRules(std::string_view rules);

// As the operator of a rule, in quotes.
std::string QuoteRegex(std::string_view pattern);

// By pcre2. False also if the pattern is none.
bool Search(std::string_view pattern, std::string_view text);
// The groups of the match, the whole first; empty if there is none.
std::vector<std::string> SearchGroups(std::string_view pattern, std::string_view text);

}  // namespace edge::waf
