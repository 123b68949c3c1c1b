// libmodsecurity's own regression cases, run on this engine. A test for each of its files.
//
// Compared are the status that the rules give, where a redirect goes, that rules with a mistake are
// refused, and what the case expects of the logs as far as it says something about matches
// (regression_expectations.h; of an error log: message, data, line, variable and value of a rule
// that matched). Cases that expect something else are in kLeftOut with the reason; kNotYet are
// those that should pass and do not.

#include <unistd.h>

#include <cstdlib>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"
#include "test/waf/regression_cases.h"
#include "test/waf/regression_expectations.h"

namespace edge::waf {
namespace {

struct LeftOut {
  std::string_view file;
  std::string_view title;  // its beginning; empty: all cases of the file
  std::string_view reason;
};

constexpr std::string_view kOffsets = "offsets of values in the request, which only its log has";
constexpr std::string_view kPersistent = "collections that outlive a request";
constexpr std::string_view kScripts = "scripts";
constexpr std::string_view kAuditLog = "its audit log";
constexpr std::string_view kNetwork = "rules and lists from the network";
constexpr std::string_view kPlaces = "databases of places";
constexpr std::string_view kFuzzyHash = "fuzzy hashes";
constexpr std::string_view kXmlDocument = "validation of XML by schema or DTD";
constexpr std::string_view kLineBreaks =
    "line breaks in fields of multipart are kept; libmodsecurity loses them";
constexpr std::string_view kStrictRules =
    "a mistake of the rules is an error here; libmodsecurity guesses what was meant";
constexpr std::string_view kLimitRejects =
    "a body over its limit is rejected unless the rules say otherwise, as the manual has it";

constexpr std::string_view kOwnAnswer = "answers of the proxy itself are not inspected";

constexpr LeftOut kLeftOut[] = {
    {"offset-variable", "", kOffsets},
    {"variable-ARGS_POST_NAMES", "Testing Variables :: ARGS_POST_NAMES (3/x)", kOffsets},
    {"auditlog", "", kAuditLog},
    {"action-exec", "", kScripts},
    {"action-expirevar", "", kPersistent},
    {"action-initcol", "", kPersistent},
    {"action-setrsc", "", kPersistent},
    {"action-setsid", "", kPersistent},
    {"action-setuid", "", kPersistent},
    {"collection-lua", "", kScripts},
    {"collection-regular_expression_selection", "", kPersistent},
    {"collection-resource", "", kPersistent},
    {"issue-1831", "Invalid actions break CRS 3.1 on rule 912160 - 4", kPersistent},
    {"variable-RULE", "Testing Variables :: RULE (7/7)", kPersistent},
    {"config-secremoterules", "", kNetwork},
    {"operator-ipMatchFromFile", "Testing Operator :: @ipMatchFromFile - https", kNetwork},
    {"directive-sec_rule_script", "", kScripts},
    {"operator-fuzzyhash", "", kFuzzyHash},
    {"operator-inpectFile", "", kScripts},
    {"issue-2427", "", kScripts},
    {"request-body-parser-xml", "", kXmlDocument},
    {"request-body-parser-xml-validade-dtd", "", kXmlDocument},
    {"config-xml_external_entity", "", kXmlDocument},
    {"variable-GEO", "", kPlaces},
    {"request-body-parser-multipart-crlf", "", kLineBreaks},
    {"issue-1831", "Invalid actions break CRS 3.1 on rule 912160 - 1", kStrictRules},
    {"issue-1831", "Invalid actions break CRS 3.1 on rule 912160 - 2", kStrictRules},
    {"issue-1960", "SecRuleEngine DetectionOnly with disruptive", kStrictRules},
    {"rule-920200", "", kStrictRules},
    {"operator-rx", "Testing Operator :: @rx with non-compiling pattern", kStrictRules},
    {"variable-INBOUND_DATA_ERROR", "Testing Variables :: INBOUND_DATA_ERROR (1/1)", kLimitRejects},
    {"variable-OUTBOUND_DATA_ERROR", "Testing Variables :: OUTBOUND_DATA_ERROR (2/2)",
     kLimitRejects},
    {"variable-STATUS", "Testing Variables :: STATUS (2/2)", kOwnAnswer},
};

// What this engine should pass and does not. One that passes is an error, so that it leaves the
// list.
constexpr LeftOut kNotYet[] = {
    {"action-ctl_rule_engine", "Testing CtlRuleEngine (3)",
     "whoever runs the engine in detection only wants no rule to decide"},
    {"action-ctl_rule_engine", "Testing CtlRuleEngine (4)",
     "whoever runs the engine in detection only wants no rule to decide"},
    {"config-body_limits", "SecResponseBodyLimitAction Reject",
     "a body that is not inspected has no limit"},
    {"config-update-target-by-id",
     "SecRuleUpdateTargetById - exclude from ARGS_NAMES using regex (m",
     "an ARGS that is taken out is not taken out of ARGS_NAMES"},
    {"issue-1941", "Failed to load locate the unicode map file from: ... 4/n",
     "SecUnicodeMapFile has no effect"},
};

// What they expect of the debug log is only how it words something; the rest is compared.
constexpr std::pair<std::string_view, std::string_view> kWording[] = {
    {"action-allow", "Testing allow action (1/3)"},
    {"action-ctl_request_body_access", "Testing CtlRequestBodyAccess (1)"},
    {"action-ctl_request_body_processor", "Testing CtlRequestBodyProcessor=XML (1)"},
    {"action-ctl_rule_engine", "Testing CtlRuleEngine (2)"},
    {"action-ctl_rule_engine", "Testing CtlRuleEngine (6)"},
    {"action-ctl_rule_engine", "Testing CtlRuleEngine (7)"},
    {"action-tag", "Testing action :: tag 1"},
    {"action-tag", "Testing action :: tag 2"},
    {"config-secdefaultaction", "Testing action :: SecDefaultAction: status + redirect"},
    {"config-update-action-by-id", "SecRuleUpdateActionById (3/n)"},
    {"config-update-action-by-id", "SecRuleUpdateActionById (4/n)"},
    {"config-update-action-by-id", "SecRuleUpdateActionById (5/n)"},
    {"fn-setHostname", "Testing function :: setRequestHostName"},
    {"issue-1812", "Converting"},
    {"operator-rx", "Testing Operator :: @rx with PCRE"},
};

bool IsWording(const RegressionCase& test) {
  for (const auto& [file, title] : kWording) {
    if (test.file == file && test.title.starts_with(title)) return true;
  }
  return false;
}

const LeftOut* Find(std::span<const LeftOut> list, const RegressionCase& test) {
  for (const LeftOut& entry : list) {
    if (test.file == entry.file && test.title.starts_with(entry.title)) return &entry;
  }
  return nullptr;
}

std::vector<FieldView> Views(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::vector<FieldView> views;
  for (const auto& [name, value] : fields) views.push_back({name, value});
  return views;
}

// What came of a case with some rules.
struct Outcome {
  struct Match {
    int64_t rule_id;
    std::string message;
    std::string variable;
    std::string matched;
    std::string log;  // as libmodsecurity words it, as far as we know it
  };
  std::string load_error;
  size_t rules = 0;
  uint16_t status = 200;
  std::string redirect;
  std::vector<Match> matches;

  bool Matched(int64_t rule_id) const {
    for (const Match& match : matches) {
      if (match.rule_id == rule_id) return true;
    }
    return false;
  }
};

// A chain at whose end there is no rule never matches in libmodsecurity; here it is a mistake of
// the rules. A few dozen cases end like that.
void RemoveOpenChain(RegressionCase& test) {
  const std::vector<RulePlace> rules = FindRules(test.rules);
  if (!rules.empty() && rules.back().chain) test.rules.resize(rules.back().begin);
}

void Apply(const Decision& decision, Outcome& outcome) {
  switch (decision.kind) {
    case Decision::Kind::kPass:
      break;
    case Decision::Kind::kRedirect:
      outcome.redirect = decision.redirect;
      [[fallthrough]];
    case Decision::Kind::kDeny:
      outcome.status = decision.status;
      break;
    case Decision::Kind::kDrop:
      outcome.status = 403;
      break;
  }
}

Outcome Run(const RegressionCase& test, std::string_view rules_text) {
  Outcome outcome;
  std::string text(rules_text);
  // Without a word about it libmodsecurity evaluates rules and decides nothing.
  if (!absl::StrContainsIgnoreCase(text, "SecRuleEngine")) text += "SecRuleEngine DetectionOnly\n";
  const auto rules = RuleSet::FromText(text, test.file + ".json");
  if (!rules.ok()) {
    outcome.load_error = std::string(rules.status().message());
    return outcome;
  }
  outcome.rules = (*rules)->rules();

  const std::vector<FieldView> request_fields = Views(test.request_fields);
  const std::string protocol =
      absl::StrCat("HTTP/", test.http_version.empty() ? "1.1" : test.http_version);
  RequestView request;
  request.client_address = test.client_address;
  request.client_port = test.client_port;
  request.server_address = test.server_address;
  request.server_port = test.server_port;
  request.method = test.method;
  request.target = test.uri;
  request.protocol = protocol;
  request.fields = request_fields;
  request.body = test.request_body;
  request.id = "158452185432.518410";
  request.time_unix_us = 1'700'000'000'000'000;

  Scratch scratch;
  Transaction transaction;
  transaction.Begin(*rules, (*rules)->mode());
  Apply(transaction.InspectRequest(request, scratch), outcome);
  const std::vector<FieldView> response_fields = Views(test.response_fields);
  if (transaction.decision().kind == Decision::Kind::kPass) {
    ResponseView response;
    response.status = outcome.status;
    response.protocol = test.response_protocol;
    response.fields = response_fields;
    response.body = test.response_body;
    Apply(transaction.InspectResponse(response, scratch), outcome);
  }
  transaction.InspectEnd(scratch);
  for (const RuleMatch& match : transaction.matches()) {
    std::string log =
        absl::StrCat("Access denied with code ", outcome.status, " (phase ", match.phase,
                     "). Matched \"Operator against variable `", match.variable, "' (Value: `",
                     match.matched, "' ) [line \"", match.where != nullptr ? match.where->line : 0,
                     "\"] [id \"", match.rule_id, "\"] [msg \"", match.message, "\"] [data \"",
                     match.data, "\"] [severity \"", match.severity, "\"]");
    outcome.matches.push_back({match.rule_id, std::string(match.message),
                               std::string(match.variable), std::string(match.matched), log});
  }
  transaction.End();
  return outcome;
}

// Some rule of the case has such a value as its target. Of several targets that match, a match
// names one; all of them are in MATCHED_VARS_NAMES, which a rule that is chained to it can see.
bool HasTargetValue(const RegressionCase& test, const Expectation& expectation) {
  for (const RulePlace& place : FindRules(test.rules)) {
    std::string rules = test.rules;
    rules.replace(place.operator_begin, place.operator_end - place.operator_begin,
                  QuoteRegex(expectation.pattern));
    const Outcome outcome = Run(test, rules);
    if (place.rule_id == 0 && place.first_id != 0) {
      // The chain matches only if this rule does, and this rule has only its own targets.
      const std::string_view targets =
          std::string_view(test.rules).substr(place.begin, place.operator_begin - place.begin);
      const size_t name_size = std::min(expectation.variable.find_first_of(":\\("),  //
                                        expectation.variable.size());
      if (outcome.Matched(place.first_id) &&
          absl::StrContains(targets, expectation.variable.substr(0, name_size))) {
        return true;
      }
      continue;
    }
    for (const Outcome::Match& match : outcome.matches) {
      if ((place.rule_id == 0 || match.rule_id == place.rule_id) &&
          Search(expectation.variable, match.variable)) {
        return true;
      }
    }
    if (place.chain || place.rule_id == 0) continue;
    rules = test.rules;
    rules.replace(
        place.end - 1, 1,
        absl::StrCat(",chain\"\nSecRule MATCHED_VARS_NAMES ", QuoteRegex(expectation.variable)));
    rules.replace(place.operator_begin, place.operator_end - place.operator_begin,
                  QuoteRegex(expectation.pattern));
    if (Run(test, rules).Matched(place.rule_id)) return true;
  }
  return false;
}

// Even if its operator would not match: it gets one that does.
bool IsEvaluated(const RegressionCase& test, int64_t rule_id) {
  for (const RulePlace& place : FindRules(test.rules)) {
    if (place.rule_id != rule_id) continue;
    std::string rules = test.rules;
    rules.replace(place.operator_begin, place.operator_end - place.operator_begin,
                  "\"@unconditionalMatch\"");
    return Run(test, rules).Matched(rule_id);
  }
  return false;
}

bool Holds(const RegressionCase& test, const Outcome& outcome, const Expectation& expectation) {
  switch (expectation.kind) {
    case Expectation::Kind::kTargetValue:
      return HasTargetValue(test, expectation);
    case Expectation::Kind::kProbeMatches:
    case Expectation::Kind::kProbeDoesNotMatch: {
      const Outcome probed = Run(test, absl::StrCat(test.rules, expectation.rules));
      EXPECT_EQ(probed.load_error, "");
      return probed.Matched(kProbeId) == (expectation.kind == Expectation::Kind::kProbeMatches);
    }
    case Expectation::Kind::kRuleMatched:
      return outcome.Matched(expectation.rule_id);
    case Expectation::Kind::kRuleUnmatched:
      return !outcome.Matched(expectation.rule_id);
    case Expectation::Kind::kRuleEvaluated:
      return IsEvaluated(test, expectation.rule_id);
    case Expectation::Kind::kAnyRuleMatched:
      return !outcome.matches.empty();
    case Expectation::Kind::kSomeRuleUnmatched: {
      std::set<int64_t> ids;
      for (const Outcome::Match& match : outcome.matches) ids.insert(match.rule_id);
      return ids.size() < outcome.rules || outcome.rules == 0;
    }
    case Expectation::Kind::kMessage:
      for (const Outcome::Match& match : outcome.matches) {
        if (Search(expectation.pattern, match.message)) return true;
      }
      return false;
    case Expectation::Kind::kLog:
      for (const Outcome::Match& match : outcome.matches) {
        if (Search(expectation.pattern, match.log)) return true;
      }
      return false;
    case Expectation::Kind::kDenied:
      return outcome.status != 200;
    case Expectation::Kind::kNothingMatched:
      return outcome.matches.empty();
    case Expectation::Kind::kLoaded:
      return outcome.rules >=
             FindRules(test.rules).size() + (absl::StrContains(test.rules, "Include ") ? 1 : 0);
  }
  return false;
}

// The operator and its parameter are not in a match.
std::string WithoutOperator(std::string_view error_log) {
  const size_t variable = error_log.find("against variable");
  if (variable != error_log.npos) return std::string(error_log.substr(variable));
  return absl::StrContains(error_log, "Operator") ? "Matched \"Operator" : std::string(error_log);
}

// What is wrong, empty if the case passes.
std::string Check(const RegressionCase& test) {
  const Outcome outcome = Run(test, test.rules);
  if (!test.parser_error.empty()) {
    return outcome.load_error.empty() ? "the rules' mistake was not found: " + test.parser_error
                                      : "";
  }
  if (!outcome.load_error.empty()) return outcome.load_error;
  if (outcome.status != test.http_code) {
    return absl::StrCat("status ", outcome.status, ", expected ", test.http_code);
  }
  if (!test.redirect_url.empty() && outcome.redirect != test.redirect_url) {
    return absl::StrCat("redirect to '", outcome.redirect, "', expected ", test.redirect_url);
  }
  if (!test.error_log.empty()) {
    const std::string pattern = WithoutOperator(test.error_log);
    std::string logs;
    for (const Outcome::Match& match : outcome.matches) absl::StrAppend(&logs, match.log, "\n");
    if (!Search(pattern, logs)) {
      return absl::StrCat("expected in the error log: ", pattern, "\n", logs);
    }
  }
  if (IsWording(test)) return "";
  const auto expectations = MapDebugLog(test.debug_log);
  if (!expectations) return "nothing of this engine stands for: " + test.debug_log;
  for (const Expectation& expectation : *expectations) {
    if (!Holds(test, outcome, expectation)) {
      return absl::StrCat("expected in the debug log: ", test.debug_log, "\n  asked with ",
                          expectation.rules, expectation.pattern, " ", expectation.variable);
    }
  }
  return "";
}

class ModSecurityRegressionTest : public testing::TestWithParam<std::string> {
 protected:
  std::set<const LeftOut*> failed_;  // of kNotYet
};

TEST_P(ModSecurityRegressionTest, CasesPass) {
  // Files in rules are named relative to it.
  ASSERT_EQ(chdir(RegressionFolder().c_str()), 0);
  // As its own runner sets it, for a case that looks at it.
  setenv("MODSECURITY", "ModSecurity 3.0.14 regression tests", 1);
  int passed = 0;
  int left_out = 0;
  int not_yet = 0;
  for (RegressionCase& test : ReadRegressionCases(GetParam())) {
    if (Find(kLeftOut, test) != nullptr) {
      ++left_out;
      continue;
    }
    RemoveOpenChain(test);
    const std::string mistake = Check(test);
    if (mistake.empty()) {
      ++passed;
    } else if (const LeftOut* entry = Find(kNotYet, test); entry != nullptr) {
      printf("not yet: %s: %s: %s: %s\n", GetParam().c_str(), test.title.c_str(),
             std::string(entry->reason).c_str(), mistake.c_str());
      failed_.insert(entry);
      ++not_yet;
    } else {
      ADD_FAILURE() << test.title << ": " << mistake;
    }
  }
  for (const LeftOut& entry : kNotYet) {
    if (entry.file == GetParam() && !failed_.contains(&entry)) {
      ADD_FAILURE() << entry.title << ": passes now, take it off kNotYet";
    }
  }
  printf("%s: %d passed, %d left out, %d not yet\n", GetParam().c_str(), passed, left_out, not_yet);
}

INSTANTIATE_TEST_SUITE_P(, ModSecurityRegressionTest, testing::ValuesIn(RegressionFiles()),
                         [](const auto& info) {
                           return absl::StrReplaceAll(info.param, {{"-", "_"}});
                         });

TEST(ModSecurityRegressionListTest, WhatIsLeftOutExists) {
  std::vector<RegressionCase> tests;
  for (const std::string& file : RegressionFiles()) {
    for (RegressionCase& test : ReadRegressionCases(file)) tests.push_back(std::move(test));
  }
  EXPECT_GT(tests.size(), 600);
  const auto expect_found = [&tests](std::span<const LeftOut> list) {
    for (const LeftOut& entry : list) {
      bool found = false;
      for (const RegressionCase& test : tests) found |= Find(list, test) == &entry;
      EXPECT_TRUE(found) << entry.file << ": " << entry.title;
    }
  };
  expect_found(kLeftOut);
  expect_found(kNotYet);
}

}  // namespace
}  // namespace edge::waf
