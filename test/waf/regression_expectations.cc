#include "test/waf/regression_expectations.h"

#include <array>
#include <cctype>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "pcre2.h"

namespace edge::waf {
namespace {

using Kind = Expectation::Kind;

std::string Probe(std::string_view variable, std::string_view operator_text) {
  return absl::StrCat("SecRule ", variable, " ", operator_text, " \"id:", kProbeId,
                      ",phase:5,pass,log,t:none\"\n");
}

// "...Target value: "X" \(Variable: NAME\)": every part but the first may be missing.
Expectation TargetValue(std::string_view text) {
  Expectation expectation{.kind = Kind::kTargetValue};
  const size_t variable = text.find("Variable");
  std::string_view value = text.substr(0, variable);
  if (variable != text.npos) {
    std::string_view name = text.substr(variable);
    name.remove_prefix(
        std::min(name.size(), name.find(": ") == name.npos ? 0 : name.find(": ") + 2));
    // What ends the line of the log.
    for (const std::string_view end : {"[\\s\\S]*Rule returned 1", "\\)", "."}) {
      absl::ConsumeSuffix(&name, end);
    }
    expectation.variable = name;
    for (const std::string_view begin : {"\\(", "(", ".", " "}) absl::ConsumeSuffix(&value, begin);
    absl::ConsumeSuffix(&value, " ");
  }
  absl::ConsumeSuffix(&value, " ");
  bool whole = false;
  if (absl::ConsumePrefix(&value, "\\\"") || absl::ConsumePrefix(&value, "\"")) {
    whole = absl::ConsumeSuffix(&value, "\\\"") || absl::ConsumeSuffix(&value, "\"") ||
            absl::ConsumeSuffix(&value, ".");
  } else if (value.size() >= 3 && value.front() == '.' && value.back() == '.') {
    value = value.substr(1, value.size() - 2);
    whole = true;
  }
  expectation.pattern = absl::StrCat("^(?:", value, whole ? ")$" : ")");
  return expectation;
}

struct Mapping {
  const char* expected;  // matched against the expectation's own text
  Kind kind;
  const char* argument;  // of a probe; "$1" is the first group
  const char* probe_operator;
};

// The first that fits counts. In a probe's operator $1 is the group as it stands, a regular
// expression.
constexpr Mapping kMappings[] = {
    {R"(^name: a\.\*variable: 1\.\*$)", Kind::kProbeMatches, "ARGS_POST:a", "^1"},
    {R"re(^Adding request argument \\\(BODY\\\): name "(\w+)", value "(.*)"$)re",
     Kind::kProbeMatches, "ARGS_POST:$1", "^(?:$2)$"},
    {R"(^Skipped rule id (?:\\?')?(\d+))", Kind::kRuleUnmatched, nullptr, nullptr},
    {R"(\\\[9\\\] Skipped rule id \\'(\d+))", Kind::kRuleUnmatched, nullptr, nullptr},
    {R"(^Rule id: (\d+) was skipped)", Kind::kRuleUnmatched, nullptr, nullptr},
    {R"(^Rule: (\d+))", Kind::kRuleEvaluated, nullptr, nullptr},
    {R"(Rule returned 1)", Kind::kAnyRuleMatched, nullptr, nullptr},
    {R"(Rule returned 0)", Kind::kSomeRuleUnmatched, nullptr, nullptr},
    {R"(^Saving msg: (.*)$)", Kind::kMessage, nullptr, nullptr},
    {R"(^(Invalid character in request headers|Failed to parse request body)$)", Kind::kMessage,
     nullptr, nullptr},
    {R"(Running action deny|action: deny)", Kind::kDenied, nullptr, nullptr},
    {R"(Rule engine disabled, returning)", Kind::kNothingMatched, nullptr, nullptr},
    {R"re(^Executing operator "(?:Contains|PmFromFile)" with param)re", Kind::kLoaded, nullptr,
     nullptr},
    {R"(^Executing (?:operator "Rx|unconditional))", Kind::kAnyRuleMatched, nullptr, nullptr},
    {R"(^Added \w+ match TX\.0: (.*)$)", Kind::kAnyRuleMatched, nullptr, nullptr},
    {R"(^TX:msg with value: (.*)$)", Kind::kProbeMatches, "TX:msg", "^\\s*$1"},
    {R"(^Response Content-Type is .* not marked to be inspected)", Kind::kProbeDoesNotMatch,
     "RESPONSE_BODY", "."},
    {R"(^Setting environment variable: (\w+) to ([\w=]+)$)", Kind::kProbeMatches, "ENV:$1", "^$2$"},
    {R"(^Setting SecRuleEngine to Disabled)", Kind::kProbeDoesNotMatch, "REQUEST_METHOD", "."},
    {R"(^Request body excluding files is bigger)", Kind::kProbeMatches, "REQBODY_ERROR_MSG",
     "excluding files"},
    {R"(^Skipping request argument, over limit)", Kind::kProbeMatches, "REQBODY_ERROR", "^1$"},
    {R"(^json\.[\w.]+$)", Kind::kProbeMatches, "ARGS_NAMES", "^$0$"},
    {R"(Duplicate Content-Disposition name|no filename= but filename)", Kind::kProbeMatches,
     "REQBODY_ERROR_MSG", "Invalid Content-Disposition header"},
    {R"((?:Multipart: )?(Invalid Content-Disposition header) \\\(-)", Kind::kProbeMatches,
     "REQBODY_ERROR_MSG", "$1"},
    {R"(^XML: Failed parsing document|parsing error: |^Final boundary missing|No boundaries found|)"
     R"(Part missing|Invalid Content-Disp|header missing name|)"
     R"(Invalid part header|)"
     R"(^Invalid boundary in C-T|Multiple boundary parameters|Upload file limit)",
     Kind::kProbeMatches, "REQBODY_ERROR_MSG", "$'"},
    // A later mistake of the same body hides it.
    {R"(header name missing)", Kind::kProbeMatches, "REQBODY_ERROR", "^1$"},
    {R"(boundary was quoted)", Kind::kProbeMatches, "MULTIPART_BOUNDARY_QUOTED", "^1$"},
    {R"(boundary whitespace in C-T)", Kind::kProbeMatches, "MULTIPART_BOUNDARY_WHITESPACE", "^1$"},
    {R"(seen data before first boundary)", Kind::kProbeMatches, "MULTIPART_DATA_BEFORE", "^1$"},
    {R"(incorrect line endings used)", Kind::kProbeMatches, "MULTIPART_LF_LINE", "^1$"},
    {R"(invalid quoting used)", Kind::kProbeMatches, "MULTIPART_INVALID_QUOTING", "^1$"},
    {R"(Invalid parameter after boundary|^Multipart: Boundary: |^-----------)", Kind::kProbeMatches,
     "REQBODY_PROCESSOR", "^MULTIPART$"},
    {R"re(^Added file part to the list: name "(\w+)" file name "([\w.]+)")re", Kind::kProbeMatches,
     "FILES:$1", "^$2$"},
    {R"(^ARGS:(\w+)$)", Kind::kProbeMatches, "ARGS:$1", "."},
    {R"(^Added regex subexpression TX\\?\.(\d): (\w+)$)", Kind::kProbeMatches, "TX:$1", "^$2$"},
    {R"(^/test; )", Kind::kLog, nullptr, nullptr},
    {R"(^\.\*$)", Kind::kLoaded, nullptr, nullptr},
};

bool MapPart(std::string_view text, std::vector<Expectation>& expectations) {
  constexpr std::string_view kTarget = "Target value: ";
  if (const size_t target = text.find(kTarget); target != text.npos) {
    expectations.push_back(TargetValue(text.substr(target + kTarget.size())));
    return true;
  }
  // What a transformation made is the value that the operator is given.
  const auto transformed = SearchGroups("(?:t:\\w+|lowercase):( \".*|)$", text);
  if (!transformed.empty()) {
    expectations.push_back(TargetValue(absl::StripPrefix(transformed[1], " ")));
    return true;
  }
  // The end of such a line, or its variable alone.
  const auto target = SearchGroups("^(.*)\" (?:\\\\\\(|\\.)Variable: (.*)$", text);
  if (!target.empty()) {
    Expectation expectation = TargetValue(absl::StrCat("\" (Variable: ", target[2]));
    expectation.pattern = absl::StrCat("(?:", target[1], ")$");
    expectations.push_back(expectation);
    return true;
  }
  if (text.starts_with("Variable: ")) {
    expectations.push_back(TargetValue(text));
    return true;
  }

  // Somewhere in what a rule looked at.
  if (Search("^[0-9a-z]{20,}$", text)) {
    expectations.push_back({.kind = Kind::kTargetValue, .pattern = std::string(text)});
    return true;
  }
  for (const Mapping& mapping : kMappings) {
    const std::vector<std::string> groups = SearchGroups(mapping.expected, text);
    if (groups.empty()) continue;
    Expectation expectation{.kind = mapping.kind, .pattern = std::string(text)};
    if (groups.size() > 1) {
      expectation.pattern = groups[1];
      (void)absl::SimpleAtoi(groups[1], &expectation.rule_id);
    }
    if (mapping.argument != nullptr) {
      std::string variable = mapping.argument;
      std::string pattern = mapping.probe_operator;
      for (size_t i = 0; i < groups.size(); ++i) {
        const std::string name = absl::StrCat("$", i);
        variable = absl::StrReplaceAll(variable, {{name, groups[i]}});
        pattern = absl::StrReplaceAll(pattern, {{name, groups[i]}});
      }
      pattern = absl::StrReplaceAll(pattern, {{"$'", text}});
      expectation.rules = Probe(variable, QuoteRegex(pattern));
    }
    expectations.push_back(expectation);
    return true;
  }
  return false;
}

// The end of what stands at `begin`: quoted, or a word.
size_t SkipWord(std::string_view text, size_t begin) {
  const bool quoted = begin < text.size() && text[begin] == '"';
  size_t i = begin + (quoted ? 1 : 0);
  for (; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (quoted ? text[i] == '"' : std::isspace(static_cast<unsigned char>(text[i])) != 0) {
      break;
    }
  }
  return std::min(text.size(), quoted ? i + 1 : i);
}

size_t SkipSpace(std::string_view text, size_t i) {
  while (i < text.size() &&
         (std::isspace(static_cast<unsigned char>(text[i])) != 0 || text.substr(i, 2) == "\\\n")) {
    ++i;
  }
  return i;
}

}  // namespace

std::optional<std::vector<Expectation>> MapDebugLog(std::string_view debug_log) {
  std::vector<Expectation> expectations;
  if (debug_log.empty()) return expectations;
  // Several lines of the log, unless it is one that has this in it.
  bool split = false;
  for (const std::string_view between : {"[\\s\\S]*", ".*"}) {
    if (!absl::StrContains(debug_log, between) || absl::StrContains(debug_log, "Target value") ||
        debug_log.starts_with("name: a")) {
      continue;
    }
    split = true;
    for (const std::string_view part : absl::StrSplit(debug_log, between, absl::SkipEmpty())) {
      split = split && MapPart(part, expectations);
    }
    if (split) return expectations;
    expectations.clear();
  }
  if (MapPart(debug_log, expectations)) return expectations;
  return std::nullopt;
}

std::vector<RulePlace> FindRules(std::string_view rules) {
  constexpr std::string_view kDirective = "secrule";
  std::vector<RulePlace> places;
  size_t line = 0;
  while (line < rules.size()) {
    size_t i = SkipSpace(rules, line);
    if (absl::EqualsIgnoreCase(rules.substr(i, kDirective.size()), kDirective) &&
        i + kDirective.size() < rules.size() &&
        std::isspace(static_cast<unsigned char>(rules[i + kDirective.size()])) != 0) {
      RulePlace place;
      place.begin = i;
      i = SkipWord(rules, SkipSpace(rules, i + kDirective.size()));
      place.operator_begin = SkipSpace(rules, i);
      place.operator_end = SkipWord(rules, place.operator_begin);
      // They may be missing.
      place.actions_begin = SkipSpace(rules, place.operator_end);
      place.end = place.actions_begin < rules.size() && rules[place.actions_begin] == '"'
                      ? SkipWord(rules, place.actions_begin)
                      : place.operator_end;
      i = place.end;
      if (place.end > place.actions_begin) {
        const std::string_view actions =
            rules.substr(place.actions_begin, place.end - place.actions_begin);
        const auto id = SearchGroups("\\bid:\\s*'?(\\d+)", actions);
        if (!id.empty()) (void)absl::SimpleAtoi(id[1], &place.rule_id);
        place.chain = Search("[\",]\\s*chain\\s*[\",]", actions);
      }
      place.first_id = place.rule_id;
      if (!places.empty() && places.back().chain) {
        place.rule_id = 0;
        place.first_id = places.back().first_id;
      }
      places.push_back(place);
    }
    const size_t end = rules.find('\n', i);
    if (end == rules.npos) break;
    line = end + 1;
  }
  return places;
}

std::string QuoteRegex(std::string_view pattern) {
  return absl::StrCat("\"@rx ", absl::StrReplaceAll(pattern, {{"\\\"", "\\x22"}, {"\"", "\\x22"}}),
                      "\"");
}

std::vector<std::string> SearchGroups(std::string_view pattern, std::string_view text) {
  int error = 0;
  size_t offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_DOTALL | PCRE2_MULTILINE, &error, &offset, nullptr);
  if (code == nullptr) return {};
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(code, nullptr);
  const absl::Cleanup free = [&] {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  };
  const int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                                match, nullptr);
  std::vector<std::string> groups;
  const size_t* ends = pcre2_get_ovector_pointer(match);
  for (int i = 0; i < count; ++i) {
    const size_t begin = ends[2 * i];
    groups.emplace_back(begin == PCRE2_UNSET ? std::string_view()
                                             : text.substr(begin, ends[2 * i + 1] - begin));
  }
  return groups;
}

bool Search(std::string_view pattern, std::string_view text) {
  return !SearchGroups(pattern, text).empty();
}

}  // namespace edge::waf
