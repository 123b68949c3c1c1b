// Mistakes in rules: one line that says where, what was found and what was expected; and what the
// compiler notes.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/rule_set.h"

namespace edge::waf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ErrorOf(std::string_view rules) {
  auto set = RuleSet::FromText(rules, "a.conf");
  return set.ok() ? "none" : std::string(set.status().message());
}

// So many times ",t:lowercase".
std::string Lowercase(int count) {
  std::string actions;
  for (int i = 0; i < count; ++i) actions += ",t:lowercase";
  return actions;
}

TEST(RuleCompiler, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"SecRule ARGS \"@rx a\" \"phase:1,deny\"",
       "a.conf:1: found a rule without id; expected id:NUMBER among its actions"},
      {"SecAction \"id:1\"\n\nSecAction \"id:1\"",
       "a.conf:3: found id:1, which a.conf:1 has; expected an id of its own"},
      {"SecRule ARGSS \"@rx a\" \"id:1\"",
       "a.conf:1: found variable ARGSS; expected one of the reference manual's"},
      {"SecRule REQUEST_URI:a \"@rx a\" \"id:1\"",
       "a.conf:1: found REQUEST_URI:a; expected REQUEST_URI alone, which has no members"},
      {"SecRule ARGS \"@rx a\" \"id:1,t:lower\"",
       "a.conf:1: found t:lower; expected a transformation of the reference manual"},
      {"SecRule ARGS \"@rx a\" \"id:1,denny\"",
       "a.conf:1: found action denny; expected one of the reference manual's"},
      {"SecAction \"id:1,exec:/bin/true\"",
       "a.conf:1: found action exec; expected one that is supported"},
      {"SecAction \"id:x\"", "a.conf:1: found id:x; expected a number from 1 to 2147483647"},
      {"SecAction \"id:1,phase:9\"",
       "a.conf:1: found phase:9; expected 1 to 5, request, response or logging"},
      {"SecAction \"id:1,severity:BAD\"",
       "a.conf:1: found severity:BAD; expected a number or EMERGENCY to DEBUG"},
      {"SecAction \"id:1,status:42\"",
       "a.conf:1: found status:42; expected a number from 200 to 599, not 204 or 304"},
      {"SecAction \"id:1,status:100\"",
       "a.conf:1: found status:100; expected a number from 200 to 599, not 204 or 304"},
      {"SecAction \"id:1,status:204\"",
       "a.conf:1: found status:204; expected a number from 200 to 599, not 204 or 304"},
      {"SecDefaultAction \"phase:1,deny,status:304\"",
       "a.conf:1: found status:304; expected a number from 200 to 599, not 204 or 304"},
      {"SecAction \"id:1,allow:all\"",
       "a.conf:1: found allow:all; expected allow, allow:phase or allow:request"},
      {"SecAction \"id:1,skip:x\"", "a.conf:1: found skip:x; expected a number of rules"},
      {"SecAction \"id:1,setvar:count=1\"",
       "a.conf:1: found setvar:count=1; expected a name in tx, ip, global, session, user or "
       "resource, like tx.name=1"},
      {"SecAction \"id:1,setvar:'tx.a=%{NOWHERE}'\"",
       "a.conf:1: found variable NOWHERE; expected one of the reference manual's"},
      {"SecAction \"id:1,ctl:ruleEngine=Maybe\"",
       "a.conf:1: found ctl:ruleEngine=Maybe; expected On, Off or DetectionOnly"},
      {"SecAction \"id:1,ctl:ruleRemoveById=a\"",
       "a.conf:1: found rule id a; expected a number or a range like 10-20"},
      {"SecAction \"id:1,ctl:ruleRemoveTargetById=12\"",
       "a.conf:1: found ctl:...=12; expected rules and a variable with ; between"},
      {"SecAction \"id:1,ctl:noSuchThing=1\"",
       "a.conf:1: found ctl:noSuchThing; expected a setting that is supported"},
      {"SecRule ARGS \"@rx a\" \\\n  \"id:1,chain\"",
       "a.conf:1: found chain with no rule behind it; expected the rule it is chained to"},
      {"SecRule ARGS \"@rx a\" \"id:1,chain\"\nSecMarker X",
       "a.conf:2: found SecMarker behind chain; expected the rule that is chained"},
      {"SecRule ARGS \"@rx a\" \"id:1,chain\"\nSecRule ARGS \"@rx b\" \"deny\"",
       "a.conf:2: found a disruptive action in a chained rule; expected it in the first of the "
       "chain"},
      {"SecDefaultAction \"phase:1,log\"",
       "a.conf:1: found SecDefaultAction without one; expected deny, drop, pass or the like"},
      {"SecDefaultAction \"phase:1,pass\"\nSecDefaultAction \"phase:1,deny\"",
       "a.conf:2: found SecDefaultAction for phase 1 again; expected one for each phase"},
      {"SecDefaultAction \"phase:1,pass,id:1\"",
       "a.conf:1: found SecDefaultAction phase:1,pass,id:1; expected phase, a disruptive action, "
       "log actions, status and transformations only"},
      {"SecRuleUpdateActionById 1 \"id:2\"\nSecAction \"id:1\"",
       "a.conf:1: found id, phase or chain; expected actions that may be changed"},
      {absl::StrCat("SecAction \"id:1", Lowercase(65), "\""),
       "a.conf:1: found too many transformations; expected at most 64"},
      {absl::StrCat("SecAction \"id:1", Lowercase(64),
                    "\"\nSecRuleUpdateActionById 1 \"t:lowercase\""),
       "a.conf:2: found too many transformations; expected at most 64"},
      {"SecRuleEngine Perhaps",
       "a.conf:1: found SecRuleEngine Perhaps; expected On, Off or DetectionOnly"},
      {"SecRequestBodyLimit many",
       "a.conf:1: found SecRequestBodyLimit many; expected a number up to 1073741824"},
      {"SecArgumentSeparator ab",
       "a.conf:1: found SecArgumentSeparator ab; expected one character"},
      {"SecHashEngine On", "a.conf:1: found SecHashEngine; expected a directive that is supported"},
  };
  for (const auto& [rules, error] : cases) EXPECT_EQ(ErrorOf(rules), error);
}

TEST(RuleCompiler, ErrorsOfOperatorsAndOfTheParserPassThrough) {
  EXPECT_THAT(ErrorOf("SecRule ARGS \"@nosuch a\" \"id:1\""), HasSubstr("a.conf:1: "));
  EXPECT_THAT(ErrorOf("SecRule ARGS \"@rx (\" \"id:1\""), HasSubstr("a.conf:1: "));
  EXPECT_THAT(ErrorOf("\nSecNonsense On"), HasSubstr("a.conf:2: "));
}

TEST(RuleCompiler, ARuleThatIsRemovedStillMustBeRight) {
  EXPECT_THAT(ErrorOf("SecAction \"id:1,denny\"\nSecRuleRemoveById 1"), HasSubstr("denny"));
}

TEST(RuleCompiler, LibmodsecurityLetsSecActionHaveNoId) {
  EXPECT_EQ(ErrorOf("SecAction \"phase:1,pass\"\nSecAction \"phase:1,pass\""), "none");
}

TEST(RuleCompiler, NotesWhatHasNoEffect) {
  auto set = RuleSet::FromText(
      "SecAuditEngine On\nSecDebugLogLevel 3\nSecAction \"id:1,phase:1,skipAfter:NOWHERE\"",
      "a.conf");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT((*set)->notes(),
              ElementsAre("a.conf:1: SecAuditEngine has no effect here",
                          "a.conf:2: SecDebugLogLevel has no effect here",
                          "a.conf:3: skipAfter:NOWHERE: no such SecMarker follows; the rest of the "
                          "phase is skipped"));
}

TEST(RuleCompiler, NotesThatNothingLooksAtErrorsOfBodies) {
  constexpr std::string_view kRule = "SecRule ARGS \"@rx a\" \"id:1,phase:2\"\n";
  auto without = RuleSet::FromText(kRule, "a.conf");
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_THAT((*without)->notes(), ElementsAre(HasSubstr("no rule looks at REQBODY_ERROR")));
  auto with = RuleSet::FromText(
      absl::StrCat(kRule, "SecRule REQBODY_ERROR \"!@eq 0\" \"id:2,phase:2,deny\""), "a.conf");
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_THAT((*with)->notes(), ElementsAre());
}

TEST(RuleCompiler, ReadsTheMode) {
  const auto mode = [](std::string_view rules) {
    return (*RuleSet::FromText(rules, "a.conf"))->mode();
  };
  EXPECT_EQ(mode("SecRuleEngine On"), EngineMode::kOn);
  EXPECT_EQ(mode("SecRuleEngine detectiononly"), EngineMode::kDetectionOnly);
  EXPECT_EQ(mode(""), EngineMode::kOff);
}

TEST(RuleCompiler, SharesListsAndChains) {
  auto set = RuleSet::FromText(
      "SecRule ARGS|!ARGS:x \"@rx a\" \"id:1,t:none,t:lowercase,t:trim\"\n"
      "SecRule ARGS|!ARGS:X \"@rx b\" \"id:2,t:none,t:lowercase\"\n"
      "SecRule ARGS \"@rx b\" \"id:3,t:none,t:lowercase\"",
      "a.conf");
  ASSERT_TRUE(set.ok()) << set.status();
  const Program& program = (*set)->program();
  EXPECT_EQ(program.lists.size(), 2);
  // Of the first list: as it is, lowercase, trim; of the other the first two.
  EXPECT_EQ(program.nodes.size(), 5);
}

TEST(RuleCompiler, NoPatternsAreTheBuiltInRules) {
  auto set = RuleSet::Load({});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_GE((*set)->rules(), 20);
  EXPECT_EQ((*set)->mode(), EngineMode::kOn);
}

}  // namespace
}  // namespace edge::waf
