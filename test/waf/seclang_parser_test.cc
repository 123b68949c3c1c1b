#include "proxy/waf/engine/seclang_parser.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

namespace edge::waf {
namespace {

std::string Describe(const VariableSource& variable) {
  std::string text =
      absl::StrCat(variable.exclude ? "!" : "", variable.count ? "&" : "", variable.name);
  if (variable.selector == VariableSource::Selector::kName)
    absl::StrAppend(&text, ":", variable.key);
  if (variable.selector == VariableSource::Selector::kRegex) {
    absl::StrAppend(&text, ":/", variable.key, "/");
  }
  return text;
}

std::string Describe(const ActionSource& action) {
  return absl::StrCat(action.name, action.argument.empty() ? "" : "=", action.argument);
}

template <typename List>
std::string DescribeAll(const List& list) {
  return absl::StrJoin(list, " ", [](std::string* out, const auto& each) {
    absl::StrAppend(out, "[", Describe(each), "]");
  });
}

// "LINE: what stands there"
std::string Describe(const SourceItem& item) {
  if (const auto* directive = std::get_if<DirectiveSource>(&item)) {
    return absl::StrCat(directive->where.line, ": ", directive->name, " ",
                        absl::StrJoin(directive->arguments, "|"));
  }
  const auto& rule = std::get<RuleSource>(item);
  return absl::StrCat(rule.where.line, ": ", DescribeAll(rule.variables), " ",
                      rule.negated ? "!" : "", rule.operator_name, "(", rule.operator_argument,
                      ") ", DescribeAll(rule.actions));
}

// Each item on a line of its own, or the error.
std::string Parsed(std::string_view text) {
  const auto items = ParseRuleText(text, "a.conf");
  if (!items.ok()) return std::string(items.status().message());
  return absl::StrJoin(*items, "\n",
                       [](std::string* out, const auto& item) { out->append(Describe(item)); });
}

std::string Variables(std::string_view list) {
  const auto variables = ParseVariables(list, {.file = "a.conf", .line = 7});
  return variables.ok() ? DescribeAll(*variables) : std::string(variables.status().message());
}

std::string Actions(std::string_view list) {
  const auto actions = ParseActions(list, {.file = "a.conf", .line = 7});
  return actions.ok() ? DescribeAll(*actions) : std::string(actions.status().message());
}

// NAME(ARGUMENT) of `SecRule ARGS OPERATOR`
std::string Operator(std::string_view written) {
  const auto items = ParseRuleText(absl::StrCat("SecRule ARGS ", written), "a.conf");
  if (!items.ok()) return std::string(items.status().message());
  const auto& rule = std::get<RuleSource>(items->front());
  return absl::StrCat(rule.negated ? "!" : "", rule.operator_name, "(", rule.operator_argument,
                      ")");
}

// --- Lines

TEST(SecLangLineTest, ARuleGoesOnBehindABackslash) {
  EXPECT_EQ(Parsed("SecRule ARGS \\\n  \"@rx a\" \\\n  \"id:1,\\\n  deny\"\nSecMarker END\n"),
            "1: [ARGS] rx(a) [id=1] [deny]\n5: SecMarker END");
}

TEST(SecLangLineTest, ABackslashMayEndTheFile) {
  EXPECT_EQ(Parsed("SecMarker END \\"), "1: SecMarker END");
  EXPECT_EQ(Parsed("\\\n\\\n\\"), "");
}

TEST(SecLangLineTest, LinesMayEndInCrlf) {
  EXPECT_EQ(Parsed("SecRule ARGS \"@rx a\" \\\r\n  \"id:1\"\r\nSecMarker END\r\n"),
            "1: [ARGS] rx(a) [id=1]\n3: SecMarker END");
}

TEST(SecLangLineTest, CommentsAndEmptyLinesSayNothing) {
  EXPECT_EQ(Parsed("# SecMarker A\n\n  \t\n   # b\nSecMarker C\n#"), "5: SecMarker C");
}

TEST(SecLangLineTest, ADirectiveInACommentTakesItsLinesAlong) {
  EXPECT_EQ(Parsed("# SecRule ARGS a \\\n  \"id:1\"\nSecMarker A"), "3: SecMarker A");
  EXPECT_EQ(Parsed("#SecAction \\\n#  \"id:1\"\nSecMarker A"), "3: SecMarker A");
}

TEST(SecLangLineTest, ARuleBehindACommentWithABackslashCounts) {
  EXPECT_EQ(Parsed("# below C:\\\nSecMarker A"), "2: SecMarker A");
}

TEST(SecLangLineTest, AHashWithinALineIsNoComment) {
  EXPECT_EQ(Operator("\"@rx a#b\""), "rx(a#b)");
}

// --- Variables

TEST(SecLangVariableTest, NamesAreUpperCaseAndKeysAsWritten) {
  EXPECT_EQ(Variables("args|&Args_Get|!ARGS:Name|tx.Score"),
            "[ARGS] [&ARGS_GET] [!ARGS:Name] [TX:Score]");
}

TEST(SecLangVariableTest, ACommaSeparatesToo) {
  EXPECT_EQ(Variables("ARGS,!ARGS:a"), "[ARGS] [!ARGS:a]");
}

TEST(SecLangVariableTest, RegularExpressionsBetweenSlashes) {
  EXPECT_EQ(Variables("ARGS:/^id_/|TX:/a{1,2}/|XML:/*"), "[ARGS:/^id_/] [TX:/a{1,2}/] [XML:/*]");
  EXPECT_EQ(Variables("ARGS:/a\\/b/|ARGS"), "[ARGS:/a\\/b/] [ARGS]");
}

TEST(SecLangVariableTest, QuotedOnesMayHoldBarsAndBlanks) {
  EXPECT_EQ(Variables("REQUEST_HEADERS:'/(a|b c)/'|TX:'/X\\\\\\/Y/'|ARGS"),
            "[REQUEST_HEADERS:/(a|b c)/] [TX:/X\\\\\\/Y/] [ARGS]");
  EXPECT_EQ(Parsed("SecRule ARGS:'/a b/'|TX:'/c d/' x"), "1: [ARGS:/a b/] [TX:/c d/] rx(x) ");
}

TEST(SecLangVariableTest, PathsOfXmlAreNames) {
  EXPECT_EQ(Variables("XML:/*|XML://@*|XML:/bookstore/book[text()]"),
            "[XML:/*] [XML://@*] [XML:/bookstore/book[text()]]");
  EXPECT_EQ(Variables("XML://a/*[local-name()='some-tag']"),
            "[XML://a/*[local-name()='some-tag']]");
}

TEST(SecLangVariableTest, AListMayBeInQuotes) {
  EXPECT_EQ(Parsed("SecRule \"ARGS | !ARGS:/a b/\" x"), "1: [ARGS] [!ARGS:/a b/] rx(x) ");
}

TEST(SecLangVariableTest, MistakesAreToldWithWhatWasExpected) {
  constexpr std::string_view kVariable = "; expected a variable, like ARGS, &ARGS or !ARGS:name";
  EXPECT_EQ(Variables(""), absl::StrCat("a.conf:7: found the end of the line", kVariable));
  EXPECT_EQ(Variables("ARGS||TX"), absl::StrCat("a.conf:7: found '|TX'", kVariable));
  EXPECT_EQ(Variables("ARGS|"), absl::StrCat("a.conf:7: found the end of the line", kVariable));
  EXPECT_EQ(Variables("!&ARGS"), absl::StrCat("a.conf:7: found '!&ARGS'", kVariable));
  EXPECT_EQ(Variables("ARGS-NAMES"),
            "a.conf:7: found '-NAMES' behind ARGS; expected | or the end of the variables");
  EXPECT_EQ(Variables("ARGS:|TX"),
            "a.conf:7: found '|TX'; expected a name or /regex/ behind ARGS:");
  EXPECT_EQ(Variables("ARGS:'/a/|TX"),
            "a.conf:7: found '\\'/a/|TX' without its end; expected a regular expression between '/ "
            "and /'");
  EXPECT_EQ(
      Variables("ARGS:'/a/'b"),
      "a.conf:7: found '\\'/a/\\'b' without its end; expected a regular expression between '/ "
      "and /'");
}

// --- Operators

TEST(SecLangOperatorTest, NamesAreLowerCaseAndArgumentsAsWritten) {
  EXPECT_EQ(Operator("\"@beginsWith /Admin\""), "beginswith(/Admin)");
  EXPECT_EQ(Operator("\"!@streq a b\""), "!streq(a b)");
  EXPECT_EQ(Operator("\"! @rx a\""), "!rx(a)");
  EXPECT_EQ(Operator("@detectSQLi"), "detectsqli()");
  EXPECT_EQ(Operator("\"@detectSQLi \""), "detectsqli()");
}

TEST(SecLangOperatorTest, ExactlyOneBlankBelongsToTheName) {
  EXPECT_EQ(Operator("\"@streq  a \""), "streq( a )");
}

TEST(SecLangOperatorTest, WithoutANameItIsAPattern) {
  EXPECT_EQ(Operator("\"^a b$\""), "rx(^a b$)");
  EXPECT_EQ(Operator("\"!^a$\""), "!rx(^a$)");
  EXPECT_EQ(Operator("^a$"), "rx(^a$)");
  EXPECT_EQ(Operator("\"\""), "rx()");
  EXPECT_EQ(Operator("\"@\""), "rx(@)");
  EXPECT_EQ(Operator("\"rx a\""), "rx(rx a)");
}

TEST(SecLangOperatorTest, ABackslashKeepsAQuoteInTheText) {
  EXPECT_EQ(Operator(R"("@contains a=\"b\"")"), R"(contains(a="b"))");
  EXPECT_EQ(Operator(R"("@rx a\\")"), R"(rx(a\\))");
  EXPECT_EQ(Operator(R"("@rx a\\\"")"), R"(rx(a\\"))");
  EXPECT_EQ(Operator(R"("@rx \d\.\'")"), R"(rx(\d\.\'))");
  EXPECT_EQ(Operator("'@rx a\"b'"), "rx(a\"b)");
}

TEST(SecLangOperatorTest, MistakesAreToldWithWhatWasExpected) {
  EXPECT_EQ(Operator(""),
            "a.conf:1: found the end of SecRule; expected an operator, like \"@rx pattern\"");
  EXPECT_EQ(Operator("\"@rx a"),
            "a.conf:1: found '\\\"@rx a' without a closing quote; expected \" at its end");
  EXPECT_EQ(
      Operator("\"@rx a\"\"id:1\""),
      "a.conf:1: found '\\\"id:1\\\"' behind a closing quote; expected a blank or the end of the "
      "line");
  EXPECT_EQ(Operator("\"@a.example\""),
            "a.conf:1: found '.example' behind @a; expected a blank (a pattern that begins with @ "
            "needs @rx before it)");
}

// --- Actions

TEST(SecLangActionTest, NamesAreLowerCaseAndArgumentsAsWritten) {
  EXPECT_EQ(Actions("ID:1,phase:'2', skipAfter:END , t:urlDecodeUni,deny"),
            "[id=1] [phase=2] [skipafter=END] [t=urlDecodeUni] [deny]");
}

TEST(SecLangActionTest, QuotedArgumentsMayHoldCommas) {
  EXPECT_EQ(Actions("msg:'a, b',logdata:'%{TX.0}: it\\'s',tag:'',deny"),
            "[msg=a, b] [logdata=%{TX.0}: it's] [tag] [deny]");
}

TEST(SecLangActionTest, ArgumentsMayHoldColonsAndEqualSigns) {
  EXPECT_EQ(Actions("ctl:ruleRemoveTargetById=1-9;ARGS:a,setvar:tx.a=+%{tx.b},setvar:'!tx.c'"),
            "[ctl=ruleRemoveTargetById=1-9;ARGS:a] [setvar=tx.a=+%{tx.b}] [setvar=!tx.c]");
  EXPECT_EQ(Actions("xmlns:soap='http://a/,b',redirect:http://a:80/"),
            "[xmlns=soap='http://a/,b'] [redirect=http://a:80/]");
}

TEST(SecLangActionTest, MistakesAreToldWithWhatWasExpected) {
  constexpr std::string_view kAction = "; expected an action, like deny or msg:'text'";
  EXPECT_EQ(Actions(""), absl::StrCat("a.conf:7: found the end of the actions", kAction));
  EXPECT_EQ(Actions("id:1,"), absl::StrCat("a.conf:7: found the end of the actions", kAction));
  EXPECT_EQ(Actions("id:1,,deny"), absl::StrCat("a.conf:7: found ',deny'", kAction));
  EXPECT_EQ(Actions("deny log"),
            "a.conf:7: found 'log' behind deny; expected a comma or the end of the actions");
  EXPECT_EQ(Actions("msg:'a'b"),
            "a.conf:7: found 'b' behind msg; expected a comma or the end of the actions");
  EXPECT_EQ(Actions("msg:'a,deny"),
            "a.conf:7: found '\\'a,deny' without a closing quote; expected ' at its end");
}

// --- Directives

TEST(SecLangDirectiveTest, NamesAreSpelledAsInTheManual) {
  EXPECT_EQ(Parsed("secruleengine On\nSECRULE args x\nsecXMLExternalEntity Off"),
            "1: SecRuleEngine On\n2: [ARGS] rx(x) \n3: SecXmlExternalEntity Off");
}

TEST(SecLangDirectiveTest, ArgumentsMayBeInQuotes) {
  EXPECT_EQ(Parsed("SecComponentSignature \"OWASP CRS/3.3.7\""),
            "1: SecComponentSignature OWASP CRS/3.3.7");
  EXPECT_EQ(Parsed("SecAuditLogRelevantStatus \"^(?:5|4(?!04))\""),
            "1: SecAuditLogRelevantStatus ^(?:5|4(?!04))");
  EXPECT_EQ(Parsed("SecRuleRemoveById 1 \"2-3\" 4"), "1: SecRuleRemoveById 1|2-3|4");
  EXPECT_EQ(Parsed("SecRuleUpdateTargetByTag test !ARGS:'/k.*/'"),
            "1: SecRuleUpdateTargetByTag test|!ARGS:'/k.*/'");
  EXPECT_EQ(Parsed("SecDefaultAction \"phase:1,log,pass\""),
            "1: SecDefaultAction phase:1,log,pass");
}

TEST(SecLangDirectiveTest, WithoutUseButKnownTheyAreKept) {
  EXPECT_EQ(
      Parsed(
          "SecAuditLogParts ABIJDEFHZ\nSecTmpDir /tmp/\nSecUnicodeMapFile unicode.mapping 20127"),
      "1: SecAuditLogParts ABIJDEFHZ\n2: SecTmpDir /tmp/\n"
      "3: SecUnicodeMapFile unicode.mapping|20127");
}

TEST(SecLangDirectiveTest, AnActionHasNoVariables) {
  EXPECT_EQ(Parsed("SecAction \"id:1,pass\""), "1:  () [id=1] [pass]");
}

TEST(SecLangDirectiveTest, TheLastQuoteOfARuleMayBeMissing) {
  EXPECT_EQ(Parsed("SecRule ARGS x \"id:1,deny \nSecMarker A"),
            "1: [ARGS] rx(x) [id=1] [deny]\n2: SecMarker A");
  EXPECT_EQ(Parsed("SecRule ARGS x \"\""), "1: [ARGS] rx(x) ");
}

TEST(SecLangDirectiveTest, MistakesAreToldWithWhatWasExpected) {
  EXPECT_EQ(Parsed("SecMarker A\nSecRul ARGS x"),
            "a.conf:2: found 'SecRul'; expected a directive, such as SecRule");
  EXPECT_EQ(Parsed("<IfModule a>"),
            "a.conf:1: found '<IfModule'; expected a directive, such as Include");
  EXPECT_EQ(
      Parsed("SecRule"),
      "a.conf:1: found the end of SecRule; expected variables and an operator, like ARGS \"@rx "
      "pattern\"");
  EXPECT_EQ(Parsed("SecRule ARGS x id:1 deny"),
            "a.conf:1: found 'deny'; expected the end of SecRule");
  EXPECT_EQ(Parsed("SecAction"),
            "a.conf:1: found the end of SecAction; expected actions, like \"id:1,phase:1,pass\"");
  EXPECT_EQ(Parsed("SecAction \"id:1\" b"), "a.conf:1: found 'b'; expected the end of SecAction");
  EXPECT_EQ(Parsed("SecMarker"), "a.conf:1: found the end of SecMarker; expected an argument");
  EXPECT_EQ(Parsed("SecMarker A B"), "a.conf:1: found 'B'; expected the end of SecMarker");
  EXPECT_EQ(Parsed("SecRuleUpdateTargetById 1"),
            "a.conf:1: found the end of SecRuleUpdateTargetById; expected two arguments");
}

TEST(SecLangDirectiveTest, AMistakeNamesItsOwnLineWithinARule) {
  EXPECT_EQ(Parsed("\nSecRule ARGS|\\\n-TX \\\n  x"),
            "a.conf:3: found '-TX'; expected a variable, like ARGS, &ARGS or !ARGS:name");
  EXPECT_EQ(Parsed("SecAction \\\n  \"id:1,\\\n  phase:1,\\\n  msg:'a' b,\\\n  deny\""),
            "a.conf:4: found 'b,  deny' behind msg; expected a comma or the end of the actions");
}

TEST(SecLangDirectiveTest, WhatIsFoundIsShownInOneShortLine) {
  EXPECT_EQ(Parsed(absl::StrCat("Se\x01\xff", std::string(100, 'x'))),
            absl::StrCat("a.conf:1: found 'Se\\x01\\xff", std::string(56, 'x'),
                         "...'; expected a directive, such as SecXmlExternalEntity"));
}

// --- Files

class SecLangFileTest : public testing::Test {
 protected:
  SecLangFileTest() {
    std::string name = absl::StrCat(testing::TempDir(), "/seclang.XXXXXX");
    folder_ = mkdtemp(name.data());
    mkdir(Path("rules").c_str(), 0700);
  }

  std::string Path(std::string_view name) const { return absl::StrCat(folder_, "/", name); }

  void Write(std::string_view name, std::string_view text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
  }

  // FILE:LINE of each item, or the error; without the folder.
  std::string Places(const std::vector<std::string>& names) const {
    std::vector<std::string> patterns;
    for (const std::string& name : names) patterns.push_back(Path(name));
    const auto items = ParseRuleFiles(patterns);
    std::string text =
        items.ok() ? absl::StrJoin(*items, " ",
                                   [](std::string* out, const SourceItem& item) {
                                     const auto& where = std::get<DirectiveSource>(item).where;
                                     absl::StrAppend(out, where.file, ":", where.line);
                                   })
                   : std::string(items.status().message());
    return absl::StrReplaceAll(text, {{folder_ + "/", ""}});
  }

  std::string folder_;
};

TEST_F(SecLangFileTest, AGlobNamesFilesInTheOrderOfTheirBytes) {
  Write("rules/b.conf", "SecMarker A\n");
  Write("rules/a.conf", "SecMarker A\nSecMarker B\n");
  Write("rules/Z.conf", "SecMarker A\n");
  Write("rules/a.data", "nothing");
  EXPECT_EQ(Places({"rules/*.conf"}),
            "rules/Z.conf:1 rules/a.conf:1 rules/a.conf:2 rules/b.conf:1");
  EXPECT_EQ(Places({"rules/b.conf", "rules/[aZ].conf"}),
            "rules/b.conf:1 rules/Z.conf:1 rules/a.conf:1 rules/a.conf:2");
}

TEST_F(SecLangFileTest, IncludeStandsForTheFilesItNames) {
  Write("main.conf", "SecMarker A\nInclude rules/*.conf\ninclude \"rules/b.conf\"\nSecMarker B\n");
  Write("rules/a.conf", "Include b.conf\nSecMarker A\n");
  Write("rules/b.conf", "SecMarker A\n");
  EXPECT_EQ(Places({"main.conf"}),
            "main.conf:1 rules/b.conf:1 rules/a.conf:2 rules/b.conf:1 rules/b.conf:1 main.conf:4");
}

TEST_F(SecLangFileTest, IncludeTakesAnAbsolutePath) {
  Write("main.conf", absl::StrCat("Include ", Path("rules/a.conf")));
  Write("rules/a.conf", "SecMarker A");
  EXPECT_EQ(Places({"main.conf"}), "rules/a.conf:1");
}

TEST_F(SecLangFileTest, ANameWithBracketsIsAFileFirst) {
  Write("a[1].conf", "SecMarker A");
  EXPECT_EQ(Places({"a[1].conf"}), "a[1].conf:1");
}

TEST_F(SecLangFileTest, AMistakeInAnIncludedFileNamesThatFile) {
  Write("main.conf", "Include rules/a.conf");
  Write("rules/a.conf", "\nSecMarker");
  EXPECT_EQ(Places({"main.conf"}),
            "rules/a.conf:2: found the end of SecMarker; expected an argument");
}

TEST_F(SecLangFileTest, WhatCannotBeReadIsAnError) {
  Write("main.conf", "\nInclude b.conf");
  Write("folder.conf", "Include rules");
  Write("glob.conf", "Include rules/*.conf");
  EXPECT_EQ(Places({"a.conf"}), "'a.conf': No such file or directory");
  EXPECT_EQ(Places({"rules/*"}), "'rules/*': matches no file");
  EXPECT_EQ(Places({"rules"}), "'rules': not a regular file");
  EXPECT_EQ(
      Places({"main.conf"}),
      "main.conf:2: found Include of 'b.conf': No such file or directory; expected a file or a "
      "glob, absolute or beside this file");
  EXPECT_EQ(Places({"folder.conf"}),
            "folder.conf:1: found Include of 'rules': not a regular file; expected rules");
  EXPECT_EQ(
      Places({"glob.conf"}),
      "glob.conf:1: found Include of 'rules/*.conf': matches no file; expected a file or a glob, "
      "absolute or beside this file");
}

TEST_F(SecLangFileTest, APipeIsNotWaitedFor) {
  ASSERT_EQ(mkfifo(Path("pipe.conf").c_str(), 0600), 0);
  EXPECT_EQ(Places({"pipe.conf"}), "'pipe.conf': not a regular file");
}

TEST_F(SecLangFileTest, AFileThatIncludesItselfIsAnError) {
  Write("a.conf", "Include a.conf");
  EXPECT_EQ(
      Places({"a.conf"}),
      "a.conf:1: found Include within 16 others; expected files that do not include themselves");
}

TEST_F(SecLangFileTest, FilesThatMultiplyAreAnError) {
  for (const char* name : {"rules/a.conf", "rules/b.conf", "rules/c.conf"}) {
    Write(name, "SecMarker A\n");
  }
  // 3 to the power of the depth: each file of a level includes three of the next.
  for (int level = 0; level < 12; ++level) {
    const std::string next = level == 0 ? "rules/*.conf" : absl::StrCat("l", level - 1, "?.conf");
    for (const char* name : {"a", "b", "c"}) {
      Write(absl::StrCat("l", level, name, ".conf"), absl::StrCat("Include ", next));
    }
  }
  EXPECT_EQ(
      Places({"l11a.conf"}),
      "l0a.conf:1: found Include of more than 10000 files or 64 MiB of rules; expected rules");
}

TEST_F(SecLangFileTest, AFileThatIsTooLargeIsAnError) {
  Write("large.conf", std::string((16 << 20) + 1, '\n'));
  EXPECT_EQ(Places({"large.conf"}), "'large.conf': a file of more than 16 MiB");
  Write("large.conf", std::string(16 << 20, '\n'));
  EXPECT_EQ(Places({"large.conf"}), "");
}

}  // namespace
}  // namespace edge::waf
