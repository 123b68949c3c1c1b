#include "proxy/waf/engine/seclang_lists.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace edge::waf {
namespace {

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// A name in front of `rest`, which may be empty.
std::string_view TakeName(std::string_view& rest) {
  const auto end = std::find_if_not(rest.begin(), rest.end(), IsNameCharacter);
  const std::string_view name = rest.substr(0, static_cast<size_t>(end - rest.begin()));
  rest.remove_prefix(name.size());
  return name;
}

// What stands from `at` on, where `rest` is its remainder.
std::string_view Since(const char* at, std::string_view rest) {
  return {at, static_cast<size_t>(rest.data() - at) + rest.size()};
}

void SkipBlanks(std::string_view& rest) {
  while (!rest.empty() && IsBlank(rest.front())) rest.remove_prefix(1);
}

// --- Variables

bool SeparatesVariables(char c) { return c == '|' || c == ','; }

// The slash that ends a regular expression: not escaped, and with `behind` and then the end of the
// variable following. npos: none.
size_t FindRegexEnd(std::string_view text, std::string_view behind) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '/' && absl::StartsWith(text.substr(i + 1), behind)) {
      const std::string_view next = text.substr(i + 1 + behind.size());
      if (next.empty() || SeparatesVariables(next.front()) || IsBlank(next.front())) return i;
    }
  }
  return text.npos;
}

// Takes a regular expression between `open` and its mirror image.
bool TakeRegex(std::string_view& rest, std::string_view open, VariableSource& variable) {
  if (!absl::StartsWith(rest, open)) return false;
  const std::string_view inside = rest.substr(open.size());
  const std::string_view behind = open.substr(0, open.size() - 1);
  // Without quotes a bar ends the variable: XML:/*|ARGS:/a/ has one regular expression.
  const size_t end = FindRegexEnd(behind.empty() ? inside.substr(0, inside.find('|')) : inside,  //
                                  behind);
  if (end == inside.npos || end == 0) return false;
  variable.selector = VariableSource::Selector::kRegex;
  variable.key = inside.substr(0, end);
  rest = inside.substr(end + open.size());
  return true;
}

absl::Status TakeKey(std::string_view& rest, Locate locate, VariableSource& variable) {
  if (TakeRegex(rest, "'/", variable) || TakeRegex(rest, "/", variable)) return absl::OkStatus();
  if (absl::StartsWith(rest, "'/")) {
    return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " without its end"),
                   "a regular expression between '/ and /'");
  }
  const auto end = std::find_if(rest.begin(), rest.end(), SeparatesVariables);
  std::string_view key = TrimBlanks(rest.substr(0, static_cast<size_t>(end - rest.begin())));
  if (key.empty()) {
    return Mistake(locate(rest.data()), Shown(rest),
                   absl::StrCat("a name or /regex/ behind ", variable.name, ":"));
  }
  rest.remove_prefix(static_cast<size_t>(end - rest.begin()));
  if (key.size() > 2 && key.front() == '\'' && key.back() == '\'') {
    key = key.substr(1, key.size() - 2);
  }
  variable.selector = VariableSource::Selector::kName;
  variable.key = key;
  return absl::OkStatus();
}

absl::StatusOr<VariableSource> TakeVariable(std::string_view& rest, Locate locate) {
  VariableSource variable;
  const char* at = rest.data();
  if (!rest.empty() && (rest.front() == '&' || rest.front() == '!')) {
    variable.count = rest.front() == '&';
    variable.exclude = rest.front() == '!';
    rest.remove_prefix(1);
  }
  const std::string_view name = TakeName(rest);
  if (name.empty()) {
    return Mistake(locate(at), Shown(Since(at, rest)),
                   "a variable, like ARGS, &ARGS or !ARGS:name");
  }
  variable.name = absl::AsciiStrToUpper(name);
  if (!rest.empty() && (rest.front() == ':' || rest.front() == '.')) {
    rest.remove_prefix(1);
    if (auto status = TakeKey(rest, locate, variable); !status.ok()) return status;
  }
  return variable;
}

// --- Operators

constexpr std::string_view kDefaultOperator = "rx";

// --- Actions

// The end of an argument without quotes around it: a comma, but none within the quotes of
// xmlns:a='b,c'.
size_t FindBareArgumentEnd(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') return i;
    if (absl::StartsWith(text.substr(i), "='")) {
      const size_t close = FindClosingQuote(text.substr(i + 2), '\'');
      if (close != text.npos) i += 2 + close;
    }
  }
  return text.size();
}

absl::StatusOr<std::string> TakeArgument(std::string_view& rest, Locate locate) {
  SkipBlanks(rest);
  if (absl::StartsWith(rest, "'")) {
    const size_t end = FindClosingQuote(rest.substr(1), '\'');
    if (end == rest.npos) {
      return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " without a closing quote"),
                     "' at its end");
    }
    const std::string_view text = rest.substr(1, end);
    rest.remove_prefix(end + 2);
    return Unescape(Unescape(text, '"'), '\'');
  }
  const std::string_view text = rest.substr(0, FindBareArgumentEnd(rest));
  rest.remove_prefix(text.size());
  return Unescape(TrimBlanks(text), '"');
}

absl::StatusOr<ActionSource> TakeAction(std::string_view& rest, Locate locate) {
  SkipBlanks(rest);
  const char* at = rest.data();
  const std::string_view name = TakeName(rest);
  if (name.empty()) {
    return Mistake(locate(at), rest.empty() ? "the end of the actions" : Shown(rest),
                   "an action, like deny or msg:'text'");
  }
  ActionSource action{.name = absl::AsciiStrToLower(name)};
  if (absl::StartsWith(rest, ":")) {
    rest.remove_prefix(1);
    auto argument = TakeArgument(rest, locate);
    if (!argument.ok()) return argument.status();
    action.argument = *std::move(argument);
  }
  SkipBlanks(rest);
  if (!rest.empty() && rest.front() != ',') {
    return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " behind ", name),
                   "a comma or the end of the actions");
  }
  return action;
}

}  // namespace

absl::StatusOr<std::vector<VariableSource>> ReadVariables(std::string_view text, Locate locate) {
  std::vector<VariableSource> variables;
  std::string_view rest = text;
  while (true) {
    SkipBlanks(rest);
    auto variable = TakeVariable(rest, locate);
    if (!variable.ok()) return variable.status();
    SkipBlanks(rest);
    if (!rest.empty() && !SeparatesVariables(rest.front())) {
      return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " behind ", variable->name),
                     "| or the end of the variables");
    }
    variables.push_back(*std::move(variable));
    if (rest.empty()) return variables;
    rest.remove_prefix(1);
  }
}

absl::Status ReadOperator(const Word& word, Locate locate, RuleSource& rule) {
  std::string_view rest = word.text;
  const auto value = [&](std::string_view text) {
    return Word{.text = text, .quote = word.quote}.Value();
  };
  SkipBlanks(rest);
  rule.negated = absl::StartsWith(rest, "!");
  if (rule.negated) rest.remove_prefix(1);
  SkipBlanks(rest);
  if (rest.size() < 2 || rest[0] != '@' || !IsNameCharacter(rest[1])) {
    rule.operator_name = kDefaultOperator;
    rule.operator_argument = value(rest);
    return absl::OkStatus();
  }
  rest.remove_prefix(1);
  const std::string_view name = TakeName(rest);
  if (!rest.empty() && !IsBlank(rest.front())) {
    return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " behind @", name),
                   "a blank (a pattern that begins with @ needs @rx before it)");
  }
  rule.operator_name = absl::AsciiStrToLower(name);
  if (!TrimBlanks(rest).empty()) rule.operator_argument = value(rest.substr(1));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ActionSource>> ReadActions(std::string_view text, Locate locate) {
  std::vector<ActionSource> actions;
  std::string_view rest = text;
  while (true) {
    auto action = TakeAction(rest, locate);
    if (!action.ok()) return action.status();
    actions.push_back(*std::move(action));
    if (rest.empty()) return actions;
    rest.remove_prefix(1);
  }
}

}  // namespace edge::waf
