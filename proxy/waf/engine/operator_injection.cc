// @detectSQLi and @detectXSS, by libinjection.
//
// Most values of a request are a word or a number, which libinjection never takes for an injection:
// it is not asked about them.

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "libinjection.h"
#include "proxy/waf/engine/operator_internal.h"

namespace edge::waf::operators {
namespace {

// Longer than any name of an event handler's attribute.
constexpr size_t kLongestNameBytes = 64;

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsWordByte(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// One token of SQL, and no fingerprint of libinjection's list is of one token that is a word or a
// number. A number that runs into a word is two tokens.
bool IsOneToken(std::string_view value) {
  if (value.empty()) return true;
  return IsDigit(value.front()) ? std::all_of(value.begin(), value.end(), IsDigit)
                                : std::all_of(value.begin(), value.end(), IsWordByte);
}

class DetectSqli : public Operator {
 public:
  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    if (IsOneToken(value)) return false;
    auto& fingerprint = scratch.memory().fingerprint;
    if (libinjection_sqli(value.data(), value.size(), fingerprint.data()) == 0) return false;
    return MatchedCapture(scratch, value,
                          {fingerprint.data(), strnlen(fingerprint.data(), fingerprint.size())});
  }
};

class DetectXss : public Operator {
 public:
  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    // An injection is a tag, or an attribute with a value.
    if (value.find('<') == value.npos && value.find('=') == value.npos) return false;
    // It compares names of attributes without looking for the end of the value, so the value gets
    // one: bytes that no name has.
    std::string& padded = scratch.memory().padded;
    padded.assign(value);
    padded.append(kLongestNameBytes, '\0');
    return libinjection_xss(padded.data(), value.size()) != 0 &&
           MatchedCapture(scratch, value, value);
  }
};

}  // namespace

Made MakeInjectionOperator(std::string_view name, std::string_view, const SourceLocation&) {
  if (name == "detectsqli") return std::make_unique<DetectSqli>();
  return std::make_unique<DetectXss>();
}

}  // namespace edge::waf::operators
