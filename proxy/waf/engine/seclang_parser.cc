#include "proxy/waf/engine/seclang_parser.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/rule_files.h"
#include "proxy/waf/engine/seclang_directives.h"
#include "proxy/waf/engine/seclang_lists.h"
#include "proxy/waf/engine/seclang_text.h"

namespace edge::waf {
namespace {

// Files that include files. CRS needs two; a file that includes itself must end.
constexpr int kIncludeDepthMax = 16;
// All files together: a few that include one another by globs multiply within the depth.
constexpr size_t kFilesMax = 10000;
constexpr size_t kTotalBytesMax = 64 << 20;

// One run over some files: collects items, and counts what it may read.
class Parser {
 public:
  // A file's text. The error says no place.
  absl::StatusOr<std::string> Read(const std::string& path);
  absl::Status ParseText(std::string_view text, std::string_view name);
  std::vector<SourceItem> TakeItems() { return std::move(items_); }

 private:
  absl::Status ParseDirective(const LogicalLine& line, std::string_view name);
  absl::Status ParseRule(const SourceLocation& where, std::string_view rest, Locate locate);
  absl::Status ParseAction(const SourceLocation& where, std::string_view rest, Locate locate);
  absl::Status ParseOther(const SourceLocation& where, const DirectiveShape& shape,
                          std::string_view rest, Locate locate);
  absl::Status Include(const SourceLocation& where, const std::string& path);

  std::vector<SourceItem> items_;
  int depth_ = 0;
  size_t files_ = 0;
  size_t bytes_ = 0;
};

// What is missing behind the words of a directive.
absl::Status Missing(const SourceLocation& where, std::string_view directive,
                     std::string_view expected) {
  return Mistake(where, absl::StrCat("the end of ", directive), expected);
}

absl::Status CheckEnd(std::string_view rest, std::string_view directive, Locate locate) {
  rest = TrimBlanks(rest);
  if (rest.empty()) return absl::OkStatus();
  return Mistake(locate(rest.data()), Shown(rest), absl::StrCat("the end of ", directive));
}

absl::StatusOr<std::string> Parser::Read(const std::string& path) {
  auto text = ReadRuleFile(path);
  if (!text.ok()) return text.status();
  if (++files_ > kFilesMax || (bytes_ += text->size()) > kTotalBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kFilesMax, " files or ", kTotalBytesMax >> 20, " MiB of rules"));
  }
  return text;
}

absl::Status Parser::ParseText(std::string_view text, std::string_view name) {
  LineReader lines(text);
  while (const LogicalLine* line = lines.Next()) {
    if (auto status = ParseDirective(*line, name); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Parser::ParseDirective(const LogicalLine& line, std::string_view name) {
  const auto locate = [&](const char* at) {
    return SourceLocation{.file = std::string(name), .line = line.LineAt(at)};
  };
  std::string_view rest = TrimBlanks(line.text());
  const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
  const SourceLocation where = locate(word.data());
  const DirectiveShape* shape = FindDirective(word);
  if (shape == nullptr) {
    return Mistake(where, Shown(word),
                   absl::StrCat("a directive, such as ", NearestDirective(word)));
  }
  rest.remove_prefix(word.size());
  if (shape->name == "SecRule") return ParseRule(where, rest, locate);
  if (shape->name == "SecAction") return ParseAction(where, rest, locate);
  return ParseOther(where, *shape, rest, locate);
}

absl::Status Parser::ParseRule(const SourceLocation& where, std::string_view rest, Locate locate) {
  RuleSource rule{.where = where};
  auto variables = TakeVariablesWord(rest, locate);
  if (!variables.ok()) return variables.status();
  if (!variables->has_value()) {
    return Missing(where, "SecRule", "variables and an operator, like ARGS \"@rx pattern\"");
  }
  auto read = ReadVariables((*variables)->text, locate);
  if (!read.ok()) return read.status();
  rule.variables = *std::move(read);

  const auto operation = TakeWord(rest, locate);
  if (!operation.ok()) return operation.status();
  if (!operation->has_value()) {
    return Missing(locate(rest.data()), "SecRule", "an operator, like \"@rx pattern\"");
  }
  if (auto status = ReadOperator(**operation, locate, rule); !status.ok()) return status;

  const auto actions = TakeActionsWord(rest, locate);
  if (!actions.ok()) return actions.status();
  if (actions->has_value() && !TrimBlanks((*actions)->text).empty()) {
    auto list = ReadActions((*actions)->text, locate);
    if (!list.ok()) return list.status();
    rule.actions = *std::move(list);
  }
  if (auto status = CheckEnd(rest, "SecRule", locate); !status.ok()) return status;
  items_.emplace_back(std::move(rule));
  return absl::OkStatus();
}

absl::Status Parser::ParseAction(const SourceLocation& where, std::string_view rest,
                                 Locate locate) {
  RuleSource rule{.where = where};
  const auto actions = TakeActionsWord(rest, locate);
  if (!actions.ok()) return actions.status();
  if (!actions->has_value()) {
    return Missing(where, "SecAction", "actions, like \"id:1,phase:1,pass\"");
  }
  auto list = ReadActions((*actions)->text, locate);
  if (!list.ok()) return list.status();
  rule.actions = *std::move(list);
  if (auto status = CheckEnd(rest, "SecAction", locate); !status.ok()) return status;
  items_.emplace_back(std::move(rule));
  return absl::OkStatus();
}

absl::Status Parser::ParseOther(const SourceLocation& where, const DirectiveShape& shape,
                                std::string_view rest, Locate locate) {
  DirectiveSource directive{.where = where, .name = std::string(shape.name)};
  while (directive.arguments.size() < shape.arguments_max) {
    const auto word = TakeWord(rest, locate);
    if (!word.ok()) return word.status();
    if (!word->has_value()) break;
    directive.arguments.push_back((*word)->Value());
  }
  if (directive.arguments.size() < shape.arguments_min) {
    return Missing(locate(rest.data()), shape.name,
                   shape.arguments_min == 1 ? "an argument" : "two arguments");
  }
  if (auto status = CheckEnd(rest, shape.name, locate); !status.ok()) return status;
  if (shape.name == "Include") return Include(where, directive.arguments.front());
  items_.emplace_back(std::move(directive));
  return absl::OkStatus();
}

absl::Status Parser::Include(const SourceLocation& where, const std::string& path) {
  if (depth_ == kIncludeDepthMax) {
    return Mistake(where, absl::StrCat("Include within ", depth_, " others"),
                   "files that do not include themselves");
  }
  // libmodsecurity looks in the working directory first. What stands beside the file is surer to
  // be what its author meant.
  auto paths = FindRuleFiles(BesideFile(path, where.file));
  if (!paths.ok()) {
    if (auto there = FindRuleFiles(path); there.ok()) paths = std::move(there);
  }
  if (!paths.ok()) {
    return Mistake(where, absl::StrCat("Include of ", paths.status().message()),
                   "a file or a glob, absolute or beside this file");
  }
  ++depth_;
  for (const std::string& file : *paths) {
    const auto text = Read(file);
    if (!text.ok()) {
      return Mistake(where, absl::StrCat("Include of ", text.status().message()), "rules");
    }
    if (auto status = ParseText(*text, file); !status.ok()) return status;
  }
  --depth_;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<SourceItem>> ParseRuleFiles(const std::vector<std::string>& patterns) {
  Parser parser;
  for (const std::string& pattern : patterns) {
    const auto paths = FindRuleFiles(pattern);
    if (!paths.ok()) return paths.status();
    for (const std::string& path : *paths) {
      const auto text = parser.Read(path);
      if (!text.ok()) return text.status();
      if (auto status = parser.ParseText(*text, path); !status.ok()) return status;
    }
  }
  return parser.TakeItems();
}

absl::StatusOr<std::vector<SourceItem>> ParseRuleText(std::string_view text,
                                                      std::string_view name) {
  Parser parser;
  if (auto status = parser.ParseText(text, name); !status.ok()) return status;
  return parser.TakeItems();
}

absl::StatusOr<std::vector<ActionSource>> ParseActions(std::string_view text,
                                                       const SourceLocation& where) {
  return ReadActions(text, [&](const char*) { return where; });
}

absl::StatusOr<std::vector<VariableSource>> ParseVariables(std::string_view text,
                                                           const SourceLocation& where) {
  return ReadVariables(text, [&](const char*) { return where; });
}

}  // namespace edge::waf
