// libmodsecurity's cases of single operators and transformations
// (test/test-cases/secrules-language-tests), which tools/setup fetches.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace edge::waf {

struct LanguageCase {
  std::string name;   // of the operator or transformation
  std::string param;  // the operator's argument
  std::string input;
  std::string output;    // of a transformation
  bool matches = false;  // of an operator
  std::string resource;  // what libmodsecurity must be built with for it; empty: nothing
};

// The folder with the files that cases name.
std::string LanguageCasesFolder();

// The names of the files in a folder of cases, "operators" or "transformations", sorted.
std::vector<std::string> LanguageCaseFiles(std::string_view kind);

// A file's cases; fails the test, and gives none, if there are none.
std::vector<LanguageCase> ReadLanguageCases(std::string_view kind, std::string_view file);

}  // namespace edge::waf
