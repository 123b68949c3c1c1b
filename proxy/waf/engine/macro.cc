#include "proxy/waf/engine/macro.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

constexpr size_t kTableSizeMin = 1024;  // CRS has some 400 names

// Such a regular expression finds what a search for its text does.
bool IsPlainText(std::string_view regex) {
  return !regex.empty() && std::all_of(regex.begin(), regex.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

bool ContainsLowered(std::string_view text, std::string_view lowered) {
  const auto found = std::search(
      text.begin(), text.end(), lowered.begin(), lowered.end(),
      [](char a, char b) { return absl::ascii_tolower(static_cast<unsigned char>(a)) == b; });
  return found != text.end();
}

// What stands between %{ and }: "tx.name", "REQUEST_HEADERS:Host", "MATCHED_VAR".
absl::StatusOr<Target> CompileReference(std::string_view text, const SourceLocation& where,
                                        StoredNames& names) {
  VariableSource source;
  const size_t dot = text.find_first_of(".:");
  source.name = absl::AsciiStrToUpper(text.substr(0, dot));
  if (dot != text.npos) {
    source.selector = VariableSource::Selector::kName;
    std::string_view key = text.substr(dot + 1);
    if (key.size() > 2 && key.front() == '/' && key.back() == '/' && source.name != "XML") {
      source.selector = VariableSource::Selector::kRegex;
      key = key.substr(1, key.size() - 2);
    }
    source.key = key;
  }
  return CompileTarget(source, where, names);
}

}  // namespace

StoredNames::StoredNames() : table_(kTableSizeMin, -1) {
  for (char digit = '0'; digit <= '9'; ++digit) Add(Variable::kTx, std::string_view(&digit, 1));
}

size_t StoredNames::Hash(Variable collection, std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u ^ static_cast<uint64_t>(collection);
  for (const char c : name) {
    hash = (hash ^ static_cast<uint8_t>(absl::ascii_tolower(static_cast<unsigned char>(c)))) *
           0x100000001b3u;
  }
  return hash ^ (hash >> 32);
}

int StoredNames::Add(Variable collection, std::string_view name) {
  if (const int found = Find(collection, name); found >= 0) return found;
  names_.push_back({.collection = collection, .name = std::string(name)});
  if (names_.size() * 2 > table_.size()) {
    table_.assign(table_.size() * 2, -1);
    for (size_t i = 0; i + 1 < names_.size(); ++i) Place(static_cast<int>(i));
  }
  const int slot = static_cast<int>(names_.size() - 1);
  Place(slot);
  return slot;
}

void StoredNames::Place(int slot) {
  size_t at = Hash(collection(slot), name(slot)) & (table_.size() - 1);
  while (table_[at] >= 0) at = (at + 1) & (table_.size() - 1);
  table_[at] = slot;
}

int StoredNames::Find(Variable wanted, std::string_view text) const {
  size_t at = Hash(wanted, text) & (table_.size() - 1);
  while (table_[at] >= 0) {
    if (collection(table_[at]) == wanted && absl::EqualsIgnoreCase(name(table_[at]), text)) break;
    at = (at + 1) & (table_.size() - 1);
  }
  return table_[at];
}

absl::StatusOr<Macro> CompileMacro(std::string_view text, const SourceLocation& where,
                                   StoredNames& names) {
  Macro macro;
  std::string plain;
  while (!text.empty()) {
    const size_t open = text.find("%{");
    const size_t close = open == text.npos ? text.npos : text.find('}', open);
    if (close == text.npos) break;
    plain += text.substr(0, open);
    auto target = CompileReference(text.substr(open + 2, close - open - 2), where, names);
    if (!target.ok()) return target.status();
    if (!plain.empty()) macro.pieces.push_back({.text = std::exchange(plain, {}), .variable = {}});
    macro.pieces.push_back(
        {.text = {}, .variable = std::make_unique<const Target>(*std::move(target))});
    text.remove_prefix(close + 1);
    // As libmodsecurity has it, a % may end it, too.
    if (absl::StartsWith(text, "%") && !absl::StartsWith(text, "%{")) text.remove_prefix(1);
  }
  plain += text;
  if (!plain.empty()) macro.pieces.push_back({.text = std::move(plain), .variable = {}});
  return macro;
}

absl::StatusOr<Target> CompileTarget(const VariableSource& source, const SourceLocation& where,
                                     StoredNames& names) {
  Target target;
  const std::optional<Variable> variable = FindVariable(source.name);
  if (!variable) {
    return SourceError(where, absl::StrCat("found variable ", source.name,
                                           "; expected one of the reference manual's"));
  }
  target.variable = *variable;
  target.count = source.count;
  if (source.selector == VariableSource::Selector::kNone) return target;
  const VariableInfo& info = InfoOf(*variable);
  if (!info.collection) {
    return SourceError(where, absl::StrCat("found ", source.name, ":", source.key, "; expected ",
                                           source.name, " alone, which has no members"));
  }
  target.key = source.key;
  if (*variable == Variable::kXml) {
    // The parser may take "/*" for an expression that has no end.
    target.selector = Target::Selector::kName;
    return target;
  }
  if (source.selector == VariableSource::Selector::kRegex) {
    if (IsPlainText(source.key)) {
      target.selector = Target::Selector::kSubstring;
      target.key = absl::AsciiStrToLower(source.key);
      return target;
    }
    target.selector = Target::Selector::kRegex;
    auto regex = MakeRegexWithoutMacros(absl::StrCat("(?i)", source.key), where);
    if (!regex.ok()) return regex.status();
    target.regex = *std::move(regex);
    return target;
  }
  if (absl::StrContains(source.key, "%{")) {
    auto name = CompileMacro(source.key, where, names);
    if (!name.ok()) return name.status();
    target.selector = Target::Selector::kMacro;
    target.name = std::make_shared<const Macro>(*std::move(name));
    return target;
  }
  target.selector = Target::Selector::kName;
  if (IsStored(*variable)) target.slot = names.Add(*variable, source.key);
  return target;
}

bool Selects(const Target& target, std::string_view key, OperatorScratch& scratch) {
  switch (target.selector) {
    case Target::Selector::kAll:
      return true;
    case Target::Selector::kName:
      if (target.variable == Variable::kXml) return target.key == key;
      return absl::EqualsIgnoreCase(target.key, key);
    case Target::Selector::kSubstring:
      return ContainsLowered(key, target.key);
    case Target::Selector::kRegex:
      return target.regex->Match(key, {}, scratch);
    case Target::Selector::kMacro:
      return false;
  }
  return false;
}

}  // namespace edge::waf
