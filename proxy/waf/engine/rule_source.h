// A SecLang file as it stands: directives in their order, with nothing looked up yet. What the
// parser makes and the compiler reads.
//
// Immutable once parsed. Texts are copies: nothing points into the file.

#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace edge::waf {

// Where something stands, for errors and for the log.
struct SourceLocation {
  std::string file;
  int line = 0;  // of its first line, from 1
};

// `ARGS`, `&ARGS`, `!ARGS:name`, `REQUEST_HEADERS:/^X-/`, `XML:/*`.
struct VariableSource {
  enum class Selector : uint8_t { kNone, kName, kRegex };
  std::string name;  // upper case
  bool count = false;
  bool exclude = false;
  Selector selector = Selector::kNone;
  std::string key;  // a name as it was written, or a regular expression without its slashes
};

// `id:12`, `msg:'text'` without its quotes, `t:none`, `deny`.
struct ActionSource {
  std::string name;      // lower case
  std::string argument;  // empty: none
};

// SecRule, and SecAction with neither variables nor an operator.
struct RuleSource {
  SourceLocation where;
  std::vector<VariableSource> variables;
  bool negated = false;
  std::string operator_name;  // lower case, without @; "rx" where none was written
  std::string operator_argument;
  std::vector<ActionSource> actions;
};

// SecMarker, SecDefaultAction, SecRuleRemoveById, SecRequestBodyLimit, ...; Include is resolved.
struct DirectiveSource {
  SourceLocation where;
  std::string name;  // as it is spelt in the reference manual: SecRuleRemoveById
  std::vector<std::string> arguments;
};

using SourceItem = std::variant<RuleSource, DirectiveSource>;

}  // namespace edge::waf
