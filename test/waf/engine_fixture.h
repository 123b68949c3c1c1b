// Rule sets and requests for tests of the rule engine.

#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"

namespace edge::waf {

// A request that owns its texts.
struct TestRequest {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Host", "shop.example.com"},
      {"User-Agent",
       "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
       "Chrome/124.0.0.0 Safari/537.36"},
      {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}};
  std::string body;
  bool body_cut = false;

  // Good until this is changed. Adds Content-Length and Content-Type for a form to `form`.
  RequestView View() {
    views_.clear();
    for (const auto& [name, value] : fields) views_.push_back({.name = name, .value = value});
    RequestView view;
    view.client_address = "192.0.2.33";
    view.client_port = 40000;
    view.server_address = "198.51.100.1";
    view.server_port = 443;
    view.method = method;
    view.target = target;
    view.protocol = "HTTP/1.1";
    view.fields = views_;
    view.body = body;
    view.body_cut = body_cut;
    view.id = "0192f0c1-7d2e-7c3a-9a51-2f4b6c8d0e1f";
    view.time_unix_us = 1'700'000'000'000'000;
    return view;
  }

  TestRequest& SetBody(std::string_view type, std::string_view text) {
    method = "POST";
    fields.emplace_back("Content-Type", type);
    fields.emplace_back("Content-Length", absl::StrCat(text.size()));
    body = text;
    return *this;
  }

 private:
  std::vector<FieldView> views_;
};

inline TestRequest Get(std::string_view target) {
  TestRequest request;
  request.target = target;
  return request;
}

inline TestRequest Form(std::string_view body) {
  TestRequest request;
  return request.SetBody("application/x-www-form-urlencoded", body);
}

// The Core Rule Set as its documentation says, at a paranoia level.
inline std::string CrsText(int paranoia_level) {
  const char* root = std::getenv("TEST_SRCDIR");
  const std::string crs = absl::StrCat(root == nullptr ? ".." : root, "/crs/");
  return absl::StrCat(
      "SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\n"
      "SecResponseBodyMimeType text/plain text/html text/xml\n"
      "SecRule REQUEST_HEADERS:Content-Type \"@rx ^(?:application(?:/soap\\+|/)|text/)xml\" "
      "\"id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML\"\n"
      "SecRule REQUEST_HEADERS:Content-Type \"@rx ^application/json\" "
      "\"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"
      "Include ",
      crs,
      "crs-setup.conf.example\n"
      "SecAction \"id:900000,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level=",
      paranoia_level,
      "\"\n"
      "Include ",
      crs, "rules/*.conf\n");
}

inline std::shared_ptr<const RuleSet> Compile(std::string_view text) {
  auto rules = RuleSet::FromText(text, "test.conf");
  CHECK_OK(rules);
  return *std::move(rules);
}

}  // namespace edge::waf
