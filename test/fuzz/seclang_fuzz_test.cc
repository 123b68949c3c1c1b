// A file of SecLang rules.
//
//   - A mistake is one printable line that names the file, a line that it has, what was found and
//     what was expected.
//   - What was read, written anew in one plain style, is read as the same; at the line it is
//     written on.
//   - Line ends of either kind, empty lines and a comment in front make no difference but to the
//     line numbers, and twice the text is twice the items.
//   - Lists of variables and of actions on their own: any bytes.
//
// Inputs with Include are left out: what they find would depend on the machine.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

constexpr std::string_view kName = "fuzz.conf";

using Items = std::vector<SourceItem>;

// --- Comparing

std::string Describe(const VariableSource& v) {
  return absl::StrCat(v.exclude, v.count, static_cast<int>(v.selector), v.name, ":", v.key);
}

std::string Describe(const ActionSource& action) {
  return absl::StrCat(action.name, ":", action.argument);
}

template <typename List>
std::string DescribeAll(const List& list) {
  return absl::StrJoin(list, "\n", [](std::string* out, const auto& each) {
    absl::StrAppend(out, absl::CHexEscape(Describe(each)));
  });
}

// All of an item but where it stands.
std::string Describe(const SourceItem& item) {
  if (const auto* directive = std::get_if<DirectiveSource>(&item)) {
    return absl::StrCat(directive->name, "\n",
                        absl::CHexEscape(absl::StrJoin(directive->arguments, "\n")));
  }
  const auto& rule = std::get<RuleSource>(item);
  return absl::StrCat(DescribeAll(rule.variables), "\n", rule.negated, rule.operator_name, " ",
                      absl::CHexEscape(rule.operator_argument), "\n", DescribeAll(rule.actions));
}

int LineOf(const SourceItem& item) {
  return std::visit([](const auto& each) { return each.where.line; }, item);
}

// --- Writing

// nullopt: in quotes it would be read as something else, because a backslash before a quote or at
// the end is its own.
std::optional<std::string> Escape(std::string_view text, std::string_view quotes) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (i + 1 == text.size() || absl::StrContains(quotes, text[i + 1])) return std::nullopt;
      escaped.push_back(text[i++]);
    } else if (absl::StrContains(quotes, text[i])) {
      escaped.push_back('\\');
    }
    escaped.push_back(text[i]);
  }
  return escaped;
}

std::optional<std::string> Write(const VariableSource& variable) {
  if (variable.key.find_first_of("\"' \t") != std::string::npos) return std::nullopt;
  std::string text =
      absl::StrCat(variable.exclude ? "!" : "", variable.count ? "&" : "", variable.name);
  switch (variable.selector) {
    case VariableSource::Selector::kNone:
      return text;
    case VariableSource::Selector::kName:
      return absl::StrCat(text, ":", variable.key);
    case VariableSource::Selector::kRegex:
      return absl::StrCat(text, ":'/", variable.key, "/'");
  }
  return std::nullopt;
}

std::optional<std::string> Write(const ActionSource& action) {
  const auto argument = Escape(action.argument, "'\"");
  if (!argument.has_value()) return std::nullopt;
  return argument->empty() ? action.name : absl::StrCat(action.name, ":'", *argument, "'");
}

template <typename List>
std::optional<std::string> WriteAll(const List& list, std::string_view separator) {
  std::vector<std::string> texts;
  for (const auto& each : list) {
    const auto text = Write(each);
    if (!text.has_value()) return std::nullopt;
    texts.push_back(*text);
  }
  return absl::StrJoin(texts, separator);
}

std::optional<std::string> Write(const SourceItem& item) {
  if (const auto* directive = std::get_if<DirectiveSource>(&item)) {
    std::string text = directive->name;
    for (const std::string& argument : directive->arguments) {
      const auto escaped = Escape(argument, "\"");
      if (!escaped.has_value()) return std::nullopt;
      absl::StrAppend(&text, " \"", *escaped, "\"");
    }
    return text;
  }
  const auto& rule = std::get<RuleSource>(item);
  const auto actions = WriteAll(rule.actions, ", ");
  if (!actions.has_value()) return std::nullopt;
  if (rule.variables.empty()) return absl::StrCat("SecAction \"", *actions, "\"");
  const auto variables = WriteAll(rule.variables, "|");
  const auto argument = Escape(rule.operator_argument, "\"");
  if (!variables.has_value() || !argument.has_value()) return std::nullopt;
  return absl::StrCat("SecRule ", *variables, " \"", rule.negated ? "!" : "", "@",
                      rule.operator_name, " ", *argument, "\" \"", *actions, "\"");
}

// ---

void CheckMistake(const absl::Status& status, std::string_view name, int lines) {
  const std::string_view message = status.message();
  CHECK(std::all_of(message.begin(), message.end(), [](unsigned char c) {
    return absl::ascii_isprint(c);
  })) << absl::CHexEscape(message);
  CHECK(absl::StartsWith(message, absl::StrCat(name, ":"))) << message;
  CHECK(absl::StrContains(message, ": found ")) << message;
  CHECK(absl::StrContains(message, "; expected ")) << message;
  const std::string_view number = message.substr(name.size() + 1);
  int line = 0;
  CHECK(absl::SimpleAtoi(number.substr(0, number.find(':')), &line)) << message;
  CHECK_GE(line, 1) << message;
  CHECK_LE(line, lines) << message;
}

void CheckSame(const Items& a, const Items& b, int lines_between) {
  CHECK_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK_EQ(Describe(a[i]), Describe(b[i]));
    CHECK_EQ(LineOf(a[i]) + lines_between, LineOf(b[i])) << Describe(a[i]);
  }
}

void CheckWritten(const SourceItem& item) {
  const auto text = Write(item);
  if (!text.has_value()) return;
  const auto items = ParseRuleText(absl::StrCat("\n", *text, "\n"), kName);
  CHECK_OK(items) << absl::CHexEscape(*text);
  CHECK_EQ(items->size(), 1u) << absl::CHexEscape(*text);
  CHECK_EQ(Describe(items->front()), Describe(item)) << absl::CHexEscape(*text);
  CHECK_EQ(LineOf(items->front()), 2);
}

void CheckLists(std::string_view text) {
  const SourceLocation where{.file = std::string(kName), .line = 1};
  if (const auto actions = ParseActions(text, where); !actions.ok()) {
    CheckMistake(actions.status(), kName, 1);
  } else {
    CHECK(!actions->empty());
  }
  if (const auto variables = ParseVariables(text, where); !variables.ok()) {
    CheckMistake(variables.status(), kName, 1);
  } else {
    for (const VariableSource& variable : *variables) {
      CHECK_EQ(variable.key.empty(), variable.selector == VariableSource::Selector::kNone);
      CHECK(!(variable.count && variable.exclude));
    }
  }
}

void Run(std::string_view text) {
  if (absl::StrContainsIgnoreCase(text, "include")) return;
  CheckLists(text);

  const auto items = ParseRuleText(text, kName);
  const int lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;
  if (!items.ok()) {
    CheckMistake(items.status(), kName, lines);
    return;
  }
  for (const SourceItem& item : *items) {
    CHECK_GE(LineOf(item), 1);
    CHECK_LE(LineOf(item), lines);
    CheckWritten(item);
  }

  const auto moved = ParseRuleText(absl::StrCat("\n# A comment.\n", text), kName);
  CHECK_OK(moved);
  CheckSame(*items, *moved, 2);
  if (!absl::StrContains(text, '\r')) {
    const auto crlf = ParseRuleText(absl::StrReplaceAll(text, {{"\n", "\r\n"}}), kName);
    CHECK_OK(crlf);
    CheckSame(*items, *crlf, 0);
  }
  // A backslash at its end would join the halves.
  if (!absl::EndsWith(text, "\\") && !absl::EndsWith(text, "\\\r")) {
    const auto twice = ParseRuleText(absl::StrCat(text, "\n\n", text), kName);
    CHECK_OK(twice);
    CHECK_EQ(twice->size(), 2 * items->size());
    CheckSame(*items, {twice->begin() + static_cast<ptrdiff_t>(items->size()), twice->end()},
              lines + 1);
  }
}

}  // namespace
}  // namespace edge::waf

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::waf::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
