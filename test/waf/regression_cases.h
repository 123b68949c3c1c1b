// libmodsecurity's own regression cases: a request and its response, the rules they pass, and what
// is expected of them.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edge::waf {

struct RegressionCase {
  std::string file;  // without ".json"
  std::string title;
  std::string resource;  // a library that libmodsecurity may be built without

  std::string rules;
  std::string client_address;
  uint16_t client_port = 0;
  std::string server_address;
  uint16_t server_port = 0;
  std::string host_name;
  std::string method;
  std::string uri;
  std::string http_version;
  std::vector<std::pair<std::string, std::string>> request_fields;
  std::string request_body;
  std::string response_protocol;
  std::vector<std::pair<std::string, std::string>> response_fields;
  std::string response_body;

  uint16_t http_code = 200;
  std::string redirect_url;
  // Regular expressions.
  std::string parser_error;
  std::string debug_log;
  std::string error_log;
  std::string audit_log;
};

// Where paths in rules start.
std::string RegressionFolder();
std::vector<std::string> RegressionFiles();
std::vector<RegressionCase> ReadRegressionCases(std::string_view file);

}  // namespace edge::waf
