// Rules that others wrote: the Core Rule Set, what comes with libmodsecurity, and the rules of its
// own regression cases. All of them parse, and the parser finds as many as a plain look at the
// lines does.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

std::string External(std::string_view path) {
  return absl::StrCat(std::getenv("TEST_SRCDIR"), "/", path);
}

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct Count {
  size_t rules = 0;
  size_t actions = 0;
  size_t markers = 0;
  size_t ids = 0;

  bool operator==(const Count&) const = default;
  friend void PrintTo(const Count& count, std::ostream* out) {
    *out << count.rules << " rules, " << count.actions << " actions, " << count.markers
         << " markers, " << count.ids << " ids";
  }
};

Count CountItems(const std::vector<SourceItem>& items) {
  Count count;
  for (const SourceItem& item : items) {
    if (const auto* directive = std::get_if<DirectiveSource>(&item)) {
      if (directive->name == "SecMarker") ++count.markers;
      continue;
    }
    const auto& rule = std::get<RuleSource>(item);
    ++(rule.variables.empty() ? count.actions : count.rules);
    for (const ActionSource& action : rule.actions) {
      if (action.name == "id") ++count.ids;
    }
  }
  return count;
}

// Line by line, with no idea of what a directive is.
Count CountLines(std::string_view text) {
  Count count;
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripLeadingAsciiWhitespace(line);
    if (absl::StartsWith(line, "#")) continue;
    if (absl::StartsWith(line, "SecRule ")) ++count.rules;
    if (absl::StartsWith(line, "SecAction ")) ++count.actions;
    if (absl::StartsWith(line, "SecMarker ")) ++count.markers;
    if (absl::StartsWith(line, "id:") || absl::StrContains(line, "\"id:")) ++count.ids;
  }
  return count;
}

TEST(SecLangCrsTest, AllOfTheCoreRuleSetIsFound) {
  const auto items =
      ParseRuleFiles({External("crs/crs-setup.conf.example"), External("crs/rules/*.conf*")});
  ASSERT_TRUE(items.ok()) << items.status();

  std::string text = ReadFile(External("crs/crs-setup.conf.example"));
  size_t files = 1;
  for (const auto& entry : std::filesystem::directory_iterator(External("crs/rules"))) {
    if (!absl::StrContains(entry.path().filename().string(), ".conf")) continue;
    text += ReadFile(entry.path());
    ++files;
  }
  EXPECT_EQ(files, 35);
  EXPECT_EQ(CountItems(*items), CountLines(text));
  EXPECT_EQ(CountItems(*items), (Count{.rules = 792, .actions = 10, .markers = 40, .ids = 635}));
}

TEST(SecLangCrsTest, EachRuleStandsWhereItsFileHasIt) {
  const std::string path = External("crs/rules/REQUEST-942-APPLICATION-ATTACK-SQLI.conf");
  const auto items = ParseRuleFiles({path});
  ASSERT_TRUE(items.ok()) << items.status();
  const std::vector<std::string> lines = absl::StrSplit(ReadFile(path), '\n');
  size_t rules = 0;
  for (const SourceItem& item : *items) {
    const auto* rule = std::get_if<RuleSource>(&item);
    if (rule == nullptr) continue;
    ++rules;
    EXPECT_EQ(rule->where.file, path);
    EXPECT_TRUE(absl::StartsWith(
        absl::StripLeadingAsciiWhitespace(lines[static_cast<size_t>(rule->where.line) - 1]),
        "SecRule "))
        << rule->where.line;
  }
  EXPECT_GT(rules, 50);
}

TEST(SecLangCrsTest, ARuleIsReadAsItIsWritten) {
  const auto items = ParseRuleFiles({External("crs/rules/REQUEST-920-PROTOCOL-ENFORCEMENT.conf")});
  ASSERT_TRUE(items.ok()) << items.status();
  const auto found = std::find_if(items->begin(), items->end(), [](const SourceItem& item) {
    const auto* rule = std::get_if<RuleSource>(&item);
    return rule != nullptr && !rule->actions.empty() && rule->actions[0].argument == "920120";
  });
  ASSERT_NE(found, items->end());
  const auto& rule = std::get<RuleSource>(*found);
  ASSERT_EQ(rule.variables.size(), 2);
  EXPECT_EQ(rule.variables[0].name, "FILES_NAMES");
  EXPECT_EQ(rule.variables[1].name, "FILES");
  EXPECT_EQ(rule.operator_name, "rx");
  EXPECT_TRUE(absl::EndsWith(rule.operator_argument, R"(;|['"=\x5c])")) << rule.operator_argument;
  EXPECT_EQ(rule.actions.back().name, "setvar");
  EXPECT_EQ(rule.actions.back().argument, "tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}");
}

TEST(SecLangCrsTest, TheConfigurationThatLibmodsecurityRecommendsIsFound) {
  const std::string path = External("modsecurity_tests/modsecurity.conf-recommended");
  const auto items = ParseRuleFiles({path});
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_EQ(CountItems(*items), CountLines(ReadFile(path)));
  EXPECT_EQ(std::get<DirectiveSource>(items->front()).name, "SecRuleEngine");
  EXPECT_EQ(std::get<DirectiveSource>(items->front()).arguments[0], "DetectionOnly");
}

// --- libmodsecurity's own cases

// Of its parser's mistakes those that are of SecLang's shape. The others are the compiler's to
// find.
bool IsMalformed(std::string_view title) {
  return title == "Testing Action :: id (5/6)" || title == "Include - bad rule" ||
         title == "Include - missing file" || title == "Include - missing at include" ||
         title == "Include (7/8)";
}

TEST(SecLangCrsTest, TheRulesOfLibmodsecuritysCasesParse) {
  const std::string folder = External("modsecurity_tests/test/");
  // Its files include one another from there.
  std::filesystem::current_path(folder);
  size_t cases = 0;
  size_t malformed = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder + "test-cases/regression")) {
    if (entry.path().extension() != ".json") continue;
    const auto tests = nlohmann::json::parse(ReadFile(entry.path()));
    for (const auto& test : tests) {
      if (!test.contains("rules")) continue;
      ++cases;
      const std::string title = test.value("title", "");
      const auto rules = test["rules"].get<std::vector<std::string>>();
      const auto items = ParseRuleText(absl::StrJoin(rules, "\n"), folder + "case.conf");
      if (IsMalformed(title)) ++malformed;
      EXPECT_NE(items.ok(), IsMalformed(title))
          << entry.path() << ": " << title << ": " << items.status();
    }
  }
  EXPECT_EQ(malformed, 5);
  EXPECT_GT(cases, 600);
}

}  // namespace
}  // namespace edge::waf
