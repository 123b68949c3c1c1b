// What a rule consists of: its list of variables, its operator, its list of actions. The shape of
// them: whether a variable, an operator or an action exists is for the compiler to say.

#pragma once

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/waf/engine/rule_source.h"
#include "proxy/waf/engine/seclang_text.h"

namespace edge::waf {

// `ARGS|!ARGS:name|&REQUEST_HEADERS:/^X-/|XML:/*`; a comma separates as well as a bar.
absl::StatusOr<std::vector<VariableSource>> ReadVariables(std::string_view text, Locate locate);

// `!@rx pattern`: sets what `rule` says about its operator. The argument is all behind one blank.
absl::Status ReadOperator(const Word& word, Locate locate, RuleSource& rule);

// `id:1,phase:'2',msg:'one, two',ctl:ruleEngine=Off`.
absl::StatusOr<std::vector<ActionSource>> ReadActions(std::string_view text, Locate locate);

}  // namespace edge::waf
