#include "http/start_line.h"

#include "http/chars.h"

namespace edge::http {
namespace {

constexpr size_t kVersionSize = 8;  // "HTTP/1.1"

// HTTP-name "/" DIGIT "." DIGIT, case-sensitive (RFC 9112 2.3).
Reason ParseVersion(std::string_view text, Version* out) {
  if (text.size() != kVersionSize || text.substr(0, 5) != "HTTP/" || !IsChar(text[5], kCharDigit) ||
      text[6] != '.' || !IsChar(text[7], kCharDigit)) {
    return Reason::kVersionMalformed;
  }
  if (text[5] != '1' || text[7] > '1') return Reason::kVersionUnsupported;
  *out = text[7] == '1' ? Version::kHttp11 : Version::kHttp10;
  return Reason::kNone;
}

}  // namespace

Refusal ParseRequestLine(std::string_view line, const ValidationPolicy& policy, RequestLine* out) {
  size_t method_size = 0;
  while (method_size < line.size() && IsChar(line[method_size], kCharToken)) ++method_size;
  if (method_size == line.size()) return {Reason::kLineSpaces, method_size};
  if (line[method_size] != ' ') return {Reason::kMethodInvalid, method_size};
  if (method_size == 0) return {Reason::kLineSpaces, 0};

  const size_t target_begin = method_size + 1;
  if (target_begin == line.size()) return {Reason::kTargetEmpty, target_begin};
  if (line[target_begin] == ' ') return {Reason::kLineSpaces, target_begin};
  const size_t target_end = line.find(' ', target_begin);
  if (target_end == std::string_view::npos) return {Reason::kVersionMissing, line.size()};

  const size_t version_begin = target_end + 1;
  const std::string_view version = line.substr(version_begin);
  if (const size_t space = version.find(' '); space != std::string_view::npos) {
    return {Reason::kLineSpaces, version_begin + space};
  }
  if (version.empty()) return {Reason::kVersionMissing, version_begin};
  if (const Reason reason = ParseVersion(version, &out->version); reason != Reason::kNone) {
    return {reason, version_begin};
  }

  const std::optional<Method> method = LookupMethod(line.substr(0, method_size));
  if (!method) return {Reason::kMethodUnknown, 0};
  if (*method == Method::kConnect) return {Reason::kMethodConnect, 0};
  out->method = *method;

  Target target;
  const std::string_view raw = line.substr(target_begin, target_end - target_begin);
  if (const Refusal refusal = ParseTarget(raw, *method, policy, &target); refusal) {
    return {refusal.reason, target_begin + refusal.offset};
  }
  const auto offset = [line](std::string_view part) {
    return static_cast<uint16_t>(part.data() - line.data());
  };
  out->form = target.form;
  out->https = target.https;
  out->path_begin = offset(target.path_and_query);
  out->path_and_query_size = static_cast<uint16_t>(target.path_and_query.size());
  out->path_size = static_cast<uint16_t>(target.path_size);
  out->authority_begin = target.form == TargetForm::kAbsolute ? offset(target.authority) : 0;
  out->authority_size = static_cast<uint16_t>(target.authority.size());
  return {};
}

Refusal ParseStatusLine(std::string_view line, const ValidationPolicy& policy, StatusLine* out) {
  // "HTTP/1.1 200" and, after a space, a reason phrase of any size.
  constexpr size_t kStatusBegin = kVersionSize + 1;
  constexpr size_t kStatusEnd = kStatusBegin + 3;
  if (line.substr(0, 5) != "HTTP/") return {Reason::kStatusLineMalformed, 0};
  const std::string_view version = line.substr(0, line.find(' '));
  if (const Reason reason = ParseVersion(version, &out->version); reason != Reason::kNone) {
    return {reason, 0};
  }
  if (line.size() < kStatusEnd) return {Reason::kStatusLineMalformed, line.size()};
  unsigned status = 0;
  for (size_t i = kStatusBegin; i < kStatusEnd; ++i) {
    if (!IsChar(line[i], kCharDigit)) return {Reason::kStatusLineMalformed, i};
    status = status * 10 + HexValue(line[i]);
  }
  const bool space = line.size() > kStatusEnd;
  if (space ? line[kStatusEnd] != ' ' : !policy.status_line_without_space) {
    return {Reason::kStatusLineMalformed, kStatusEnd};
  }
  if (status < 100 || status > 599) return {Reason::kStatusInvalid, kStatusBegin};
  out->status = static_cast<uint16_t>(status);
  out->reason_begin = static_cast<uint16_t>(space ? kStatusEnd + 1 : kStatusEnd);
  out->reason_size = static_cast<uint16_t>(line.size() - out->reason_begin);
  return {};
}

}  // namespace edge::http
