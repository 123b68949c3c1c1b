#include "test/waf/language_cases.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace edge::waf {
namespace {

// Texts of the cases have bytes as \xHH, and then as \uHHHH, of which the low byte counts. Each is
// replaced wherever it occurs, and what that makes is looked at again, as libmodsecurity does it.
// It takes letters beyond F too, and reads as much of a number as there is.
void ReplaceBytes(std::string& text, char kind, size_t digits) {
  size_t from = 0;
  while (true) {
    const size_t at = text.find(std::string{'\\', kind}, from);
    if (at == text.npos) return;
    const std::string escape = text.substr(at, 2 + digits);
    const bool valid = escape.size() == 2 + digits &&
                       std::all_of(escape.begin() + 2, escape.end(),
                                   [](unsigned char c) { return std::isalnum(c) != 0; });
    if (!valid) {
      from = at + 1;
      continue;
    }
    const char byte = static_cast<char>(std::strtoul(escape.c_str() + 2, nullptr, 16));
    absl::StrReplaceAll({{escape, std::string_view(&byte, 1)}}, &text);
    from = 0;
  }
}

std::string Text(const nlohmann::json& test, const char* member) {
  const auto found = test.find(member);
  return found == test.end() ? "" : found->get<std::string>();
}

std::string Bytes(const nlohmann::json& test, const char* member) {
  std::string text = Text(test, member);
  ReplaceBytes(text, 'x', 2);
  ReplaceBytes(text, 'u', 4);
  return text;
}

}  // namespace

std::string LanguageCasesFolder() {
  return absl::StrCat(std::getenv("TEST_SRCDIR"),
                      "/modsecurity_tests/test/test-cases/secrules-language-tests/");
}

std::vector<std::string> LanguageCaseFiles(std::string_view kind) {
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat(LanguageCasesFolder(), kind))) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().stem());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<LanguageCase> ReadLanguageCases(std::string_view kind, std::string_view file) {
  const std::string path = absl::StrCat(LanguageCasesFolder(), kind, "/", file, ".json");
  std::ifstream in(path);
  const nlohmann::json tests = nlohmann::json::parse(in, nullptr, false);
  EXPECT_TRUE(tests.is_array() && !tests.empty()) << path;
  std::vector<LanguageCase> cases;
  for (const nlohmann::json& test : tests) {
    cases.push_back({.name = Text(test, "name"),
                     .param = Text(test, "param"),
                     .input = Bytes(test, "input"),
                     .output = Bytes(test, "output"),
                     .matches = test.value("ret", 0) != 0,
                     .resource = Text(test, "resource")});
  }
  return cases;
}

}  // namespace edge::waf
