#include "http/uri.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "http/chars.h"
#include "http/field.h"

namespace edge::http {
namespace {

// Where a check stopped. The reasons differ between a target and Host, so the caller names them.
enum class AuthorityProblem : uint8_t { kNone, kEmpty, kHost, kPort };

struct AuthorityCheck {
  AuthorityProblem problem = AuthorityProblem::kNone;
  size_t offset = 0;
};

// Two hexadecimal digits behind the "%" at `percent`, and not those of NUL.
Reason CheckPercent(std::string_view text, size_t percent) {
  if (text.size() - percent < 3 || !IsChar(text[percent + 1], kCharHex) ||
      !IsChar(text[percent + 2], kCharHex)) {
    return Reason::kTargetPercent;
  }
  if (text[percent + 1] == '0' && text[percent + 2] == '0') return Reason::kTargetNul;
  return Reason::kNone;
}

// [ ":" [ 1*5DIGIT ] ] from `from` to the end. RFC 3986 3.2.3 allows an empty port.
AuthorityCheck CheckPort(std::string_view authority, size_t from) {
  if (from == authority.size()) return {};
  if (authority[from] != ':') return {AuthorityProblem::kHost, from};
  const std::string_view digits = authority.substr(from + 1);
  if (digits.empty()) return {};
  if (digits.size() > 5) return {AuthorityProblem::kPort, from + 1};
  unsigned port = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (!IsChar(digits[i], kCharDigit)) return {AuthorityProblem::kPort, from + 1 + i};
    port = port * 10 + HexValue(digits[i]);
  }
  if (port == 0 || port > 65535) return {AuthorityProblem::kPort, from + 1};
  return {};
}

// host [ ":" port ] of RFC 3986 3.2.2 and 3.2.3, without user information; http does not allow an
// empty host.
AuthorityCheck CheckAuthority(std::string_view authority) {
  if (authority.empty()) return {AuthorityProblem::kEmpty, 0};
  if (authority[0] == '[') {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos || !IsIpv6Address(authority.substr(1, close - 1))) {
      return {AuthorityProblem::kHost, 0};
    }
    return CheckPort(authority, close + 1);
  }
  size_t i = 0;
  for (; i < authority.size() && authority[i] != ':'; ++i) {
    if (IsChar(authority[i], kCharHost)) continue;
    if (authority[i] != '%' || CheckPercent(authority, i) != Reason::kNone) {
      return {AuthorityProblem::kHost, i};
    }
  }
  if (i == 0) return {AuthorityProblem::kEmpty, 0};
  return CheckPort(authority, i);
}

// [ path ] [ "?" query ] from `from` to the end.
Refusal CheckPathAndQuery(std::string_view target, size_t from, const ValidationPolicy& policy,
                          Target* out) {
  if (!policy.double_slash_target && target.substr(from, 2) == "//") {
    return {Reason::kTargetDoubleSlash, from};
  }
  const int allowed =
      policy.browser_target_characters ? kCharTarget | kCharBrowserTarget : kCharTarget;
  for (size_t i = from; i < target.size(); ++i) {
    const char c = target[i];
    if (IsChar(c, allowed)) continue;
    if (c == '%') {
      if (const Reason reason = CheckPercent(target, i); reason != Reason::kNone) {
        return {reason, i};
      }
      continue;
    }
    if (c == '#') return {Reason::kTargetFragment, i};
    if (c == '\\') return {Reason::kTargetBackslash, i};
    return {Reason::kTargetCharacter, i};
  }
  out->path_and_query = target.substr(from);
  out->path_size = std::min(target.find('?', from), target.size()) - from;
  return {};
}

// scheme "://" authority [ path ] [ "?" query ]
Refusal ParseAbsolute(std::string_view target, size_t scheme_size, const ValidationPolicy& policy,
                      Target* out) {
  const std::string_view scheme = target.substr(0, scheme_size);
  out->form = TargetForm::kAbsolute;
  out->https = EqualsIgnoreCase(scheme, "https");
  if (!out->https && !EqualsIgnoreCase(scheme, "http")) return {Reason::kTargetScheme, 0};

  const size_t begin = scheme_size + 3;
  size_t end = target.find_first_of("/?#\\", begin);
  if (end == std::string_view::npos) end = target.size();
  const std::string_view authority = target.substr(begin, end - begin);
  if (const size_t at = authority.find('@'); at != std::string_view::npos) {
    return {Reason::kTargetUserinfo, begin + at};
  }
  const AuthorityCheck check = CheckAuthority(authority);
  if (check.problem != AuthorityProblem::kNone) {
    const bool port = check.problem == AuthorityProblem::kPort;
    return {port ? Reason::kTargetPort : Reason::kTargetHost, begin + check.offset};
  }
  out->authority = authority;
  return CheckPathAndQuery(target, end, policy, out);
}

}  // namespace

Refusal ParseTarget(std::string_view target, Method method, const ValidationPolicy& policy,
                    Target* out) {
  if (target.empty()) return {Reason::kTargetEmpty, 0};
  if (target[0] == '/') {
    out->form = TargetForm::kOrigin;
    return CheckPathAndQuery(target, 0, policy, out);
  }
  if (target == "*") {
    if (method != Method::kOptions) return {Reason::kTargetAsterisk, 0};
    out->form = TargetForm::kAsterisk;
    out->path_and_query = target;
    out->path_size = 1;
    return {};
  }
  size_t scheme_size = 0;
  if (IsChar(target[0], kCharAlpha)) {
    while (scheme_size < target.size() &&
           (IsChar(target[scheme_size], kCharAlpha | kCharDigit) || target[scheme_size] == '+' ||
            target[scheme_size] == '-' || target[scheme_size] == '.')) {
      ++scheme_size;
    }
  }
  if (scheme_size > 0 && target.substr(scheme_size, 3) == "://") {
    return ParseAbsolute(target, scheme_size, policy, out);
  }
  // The grammar of hosts has "*" in it, but who writes that does not mean a host.
  if (target[0] != '*' && CheckAuthority(target).problem == AuthorityProblem::kNone) {
    return {Reason::kTargetAuthorityForm, 0};
  }
  return {Reason::kTargetForm, 0};
}

Refusal CheckHost(std::string_view host) {
  const AuthorityCheck check = CheckAuthority(host);
  switch (check.problem) {
    case AuthorityProblem::kNone:
      return {};
    case AuthorityProblem::kEmpty:
      return {host.empty() ? Reason::kHostEmpty : Reason::kHostInvalid, check.offset};
    case AuthorityProblem::kHost:
      return {Reason::kHostInvalid, check.offset};
    case AuthorityProblem::kPort:
      return {Reason::kHostPort, check.offset};
  }
  return {};
}

bool IsIpv6Address(std::string_view text) {
  // inet_pton wants a terminator and takes exactly the grammar of RFC 3986 3.2.2.
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(buffer)) return false;
  text.copy(buffer, text.size());
  buffer[text.size()] = '\0';
  if (text.find('\0') != std::string_view::npos) return false;
  in6_addr address;
  return inet_pton(AF_INET6, buffer, &address) == 1;
}

}  // namespace edge::http
