// Request targets, Host values and IPv6 addresses.
//
//   - What passes has only characters of a URI, and its parts are where they should be.
//   - The same path is accepted behind an authority that is accepted as a Host, and the other way
//     round: a target and a Host are never judged differently.
//   - IPv6 addresses are those of the grammar of RFC 3986 3.2.2, read here once more.
//
// Byte 3 of the input chooses the method.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "http/uri.h"
#include "test/fuzz/fuzz_input.h"

namespace edge::http {
namespace {

// --- RFC 3986 3.2.2

bool IsIpv4(std::string_view text) {
  const std::vector<std::string_view> octets = absl::StrSplit(text, '.');
  if (octets.size() != 4) return false;
  for (const std::string_view octet : octets) {
    uint32_t value = 0;
    if (octet.empty() || octet.size() > 3 || (octet.size() > 1 && octet[0] == '0')) return false;
    for (const char c : octet) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    }
    if (!absl::SimpleAtoi(octet, &value) || value > 255) return false;
  }
  return true;
}

// The 16-bit pieces of `text`, -1 if it has none. An IPv4 address counts for two, and only stands
// at the end.
int CountPieces(std::string_view text, bool last) {
  if (text.empty()) return 0;
  const std::vector<std::string_view> pieces = absl::StrSplit(text, ':');
  int count = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (last && i + 1 == pieces.size() && IsIpv4(pieces[i])) return count + 2;
    if (pieces[i].empty() || pieces[i].size() > 4) return -1;
    for (const char c : pieces[i]) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return -1;
    }
    ++count;
  }
  return count;
}

bool IsIpv6(std::string_view text) {
  const size_t gap = text.find("::");
  if (gap == text.npos) return CountPieces(text, true) == 8;
  const int before = CountPieces(text.substr(0, gap), false);
  const int after = CountPieces(text.substr(gap + 2), true);
  return before >= 0 && after >= 0 && before + after <= 7;
}

// ---

void CheckAccepted(std::string_view text, const Target& target, const ValidationPolicy& policy) {
  for (const char c : text) {
    CHECK(c > ' ' && c < '\x7f' && c != '#' && c != '\\' && c != '"' && c != '<' && c != '>')
        << text;
  }
  CHECK(!absl::StrContains(text, "%00"));
  CHECK(text.ends_with(target.path_and_query));
  CHECK_LE(target.path_size, target.path_and_query.size());
  if (target.path_size < target.path_and_query.size()) {
    CHECK_EQ(target.path_and_query[target.path_size], '?');
  }
  CHECK(!absl::StrContains(target.path_and_query.substr(0, target.path_size), '?'));
  switch (target.form) {
    case TargetForm::kAsterisk:
      CHECK_EQ(text, "*");
      return;
    case TargetForm::kOrigin:
      CHECK(target.path_and_query == text && text.starts_with('/'));
      break;
    case TargetForm::kAbsolute: {
      CHECK(!target.authority.empty());
      CHECK(!absl::StrContains(target.authority, '@'));
      CHECK(!CheckHost(target.authority)) << target.authority;
      const size_t scheme = target.https ? 8 : 7;
      CHECK(absl::EqualsIgnoreCase(text.substr(0, scheme), target.https ? "https://" : "http://"));
      CHECK_EQ(scheme + target.authority.size() + target.path_and_query.size(), text.size());
      CHECK(target.authority.data() == text.data() + scheme);
      break;
    }
  }
  if (!policy.double_slash_target) CHECK(!target.path_and_query.starts_with("//"));
}

void CheckTarget(std::string_view text, Method method, const ValidationPolicy& policy) {
  Target target;
  const Refusal refusal = ParseTarget(text, method, policy, &target);
  const std::string behind_authority = "http://a.example:8" + std::string(text);
  Target absolute;
  const Refusal absolute_refusal = ParseTarget(behind_authority, method, policy, &absolute);
  if (text.starts_with('/')) {
    CHECK(refusal.reason == absolute_refusal.reason) << text;
    CHECK_EQ(refusal ? refusal.offset + 18 : 0, absolute_refusal.offset) << text;
  }
  if (refusal) {
    CHECK_LE(refusal.offset, text.size());
    return;
  }
  CheckAccepted(text, target, policy);
  if (target.form == TargetForm::kOrigin) {
    CHECK_EQ(absolute.path_and_query, target.path_and_query);
    CHECK_EQ(absolute.path_size, target.path_size);
    CHECK_EQ(absolute.authority, "a.example:8");
  }
}

void CheckHostValue(std::string_view text, const ValidationPolicy& policy) {
  const Refusal refusal = CheckHost(text);
  if (refusal) CHECK_LE(refusal.offset, text.size());
  Target target;
  const std::string absolute = "http://" + std::string(text) + "/x";
  const Refusal target_refusal = ParseTarget(absolute, Method::kGet, policy, &target);
  if (!refusal) {
    CHECK(!target_refusal) << text;
    CHECK_EQ(target.authority, text);
    CHECK_EQ(target.path_and_query, "/x");
  } else if (!target_refusal) {
    // What ends an authority made a shorter one of it.
    CHECK_NE(text.find_first_of("/?"), text.npos) << text;
  }
}

void Run(const FuzzInput& input) {
  const ValidationPolicy policy = FuzzPolicy(input.policy);
  const auto method = static_cast<Method>(input.choice % 8);
  CheckTarget(input.bytes, method, policy);
  CheckTarget(input.bytes.substr(0, input.position()), method, policy);
  CheckHostValue(input.bytes, policy);
  CHECK_EQ(IsIpv6Address(input.bytes), IsIpv6(input.bytes)) << input.bytes;
  CHECK_EQ(!CheckHost("[" + std::string(input.bytes) + "]:80"), IsIpv6(input.bytes)) << input.bytes;
}

}  // namespace
}  // namespace edge::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::http::Run(edge::http::FuzzInput(data, size));
  return 0;
}
