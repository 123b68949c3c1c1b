#include "test/waf/regression_cases.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace edge::waf {
namespace {

using Json = nlohmann::ordered_json;

const Json& Member(const Json& object, const char* name) {
  static const Json kNone = Json::object();
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

std::string Text(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? value.dump() : "";
}

uint16_t Number(const Json& object, const char* name, uint16_t otherwise) {
  const Json& value = Member(object, name);
  return value.is_number() ? value.get<uint16_t>() : otherwise;
}

// Lists of lines, each with its end.
std::string Lines(const Json& object, const char* name) {
  std::string text;
  for (const Json& line : Member(object, name))
    absl::StrAppend(&text, line.get<std::string>(), "\n");
  return text;
}

std::vector<std::pair<std::string, std::string>> Fields(const Json& object) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [name, value] : Member(object, "headers").items()) {
    fields.emplace_back(name, value.get<std::string>());
  }
  return fields;
}

}  // namespace

std::string RegressionFolder() {
  return absl::StrCat(std::getenv("TEST_SRCDIR"), "/modsecurity_tests/test");
}

std::vector<std::string> RegressionFiles() {
  std::vector<std::string> files;
  const std::string folder = absl::StrCat(RegressionFolder(), "/test-cases/regression");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           folder, std::filesystem::directory_options::follow_directory_symlink)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().stem());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<RegressionCase> ReadRegressionCases(std::string_view file) {
  const std::string path =
      absl::StrCat(RegressionFolder(), "/test-cases/regression/", file, ".json");
  std::ifstream in(path);
  const Json tests = Json::parse(in, nullptr, false);
  EXPECT_TRUE(tests.is_array() && !tests.empty()) << path;
  std::vector<RegressionCase> cases;
  for (const Json& test : tests) {
    const Json& client = Member(test, "client");
    const Json& server = Member(test, "server");
    const Json& request = Member(test, "request");
    const Json& response = Member(test, "response");
    const Json& expected = Member(test, "expected");
    cases.push_back({.file = std::string(file),
                     .title = Text(test, "title"),
                     .resource = Text(test, "resource"),
                     .rules = Lines(test, "rules"),
                     .client_address = Text(client, "ip"),
                     .client_port = Number(client, "port", 0),
                     .server_address = Text(server, "ip"),
                     .server_port = Number(server, "port", 0),
                     .host_name = Text(server, "hostname"),
                     .method = Text(request, "method"),
                     .uri = Text(request, "uri"),
                     .http_version = Text(request, "http_version"),
                     .request_fields = Fields(request),
                     .request_body = Lines(request, "body"),
                     .response_protocol = Text(response, "protocol"),
                     .response_fields = Fields(response),
                     .response_body = Lines(response, "body"),
                     .http_code = Number(expected, "http_code", 200),
                     .redirect_url = Text(expected, "redirect_url"),
                     .parser_error = Text(expected, "parser_error"),
                     .debug_log = Text(expected, "debug_log"),
                     .error_log = Text(expected, "error_log"),
                     .audit_log = Text(expected, "audit_log")});
  }
  return cases;
}

}  // namespace edge::waf
