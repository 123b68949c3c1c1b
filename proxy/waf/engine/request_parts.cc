#include "proxy/waf/engine/request_parts.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace edge::waf {
namespace {

std::string_view TrimLeft(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  return text;
}

std::string_view TrimRight(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

// How much of "http://a.example/b" is before its path. 0 if it has none, or no scheme.
size_t AuthorityEnd(std::string_view target) {
  if (target.starts_with('/')) return 0;
  const size_t scheme = target.find(':');
  if (scheme == target.npos || target.substr(scheme + 1, 2) != "//") return 0;
  const size_t path = target.find('/', scheme + 3);
  return path == target.npos ? 0 : path;
}

}  // namespace

TargetParts SplitTarget(std::string_view target, TextArena& arena) {
  TargetParts parts;
  bool ignored = false;  // A '%' that is no escape is URLENCODED_ERROR only of arguments.
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  if (question != target.npos) {
    parts.has_query = true;
    parts.query = target.substr(question + 1);
  }
  const std::string_view path = target.substr(0, question);
  const size_t authority_end = AuthorityEnd(path);
  parts.uri = DecodePercent(target.substr(authority_end), false, arena, ignored);
  parts.filename = DecodePercent(path.substr(authority_end), false, arena, ignored);
  const size_t slash = parts.filename.find_last_of("/\\");
  if (slash != parts.filename.npos) parts.basename = parts.filename.substr(slash + 1);
  return parts;
}

bool SplitCookies(std::string_view value, size_t cookies_max, std::vector<Argument>& cookies) {
  value = TrimRight(value);
  size_t count = 0;
  while (!value.empty()) {
    const size_t end = value.find(';');
    const std::string_view pair = value.substr(0, end);
    value.remove_prefix(end == value.npos ? value.size() : end + 1);

    const size_t equals = pair.find('=');
    const std::string_view name = TrimLeft(pair.substr(0, equals));
    if (name.empty()) continue;
    if (count++ == cookies_max) return false;
    cookies.push_back({name, equals == pair.npos ? std::string_view() : pair.substr(equals + 1)});
  }
  return true;
}

std::string_view BasicUser(std::string_view authorization, TextArena& arena) {
  constexpr std::string_view kScheme = "Basic ";
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return {};
  std::string decoded;
  if (!absl::Base64Unescape(authorization.substr(kScheme.size()), &decoded)) return {};
  const size_t colon = decoded.find(':');
  if (colon == decoded.npos) return {};
  return arena.Copy(std::string_view(decoded).substr(0, colon));
}

std::string_view AuthType(std::string_view authorization) {
  return authorization.substr(0, authorization.find(' '));
}

std::string_view HostName(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == host.npos ? host : host.substr(0, end + 1);
  }
  return host.substr(0, host.find(':'));
}

BodyProcessor DefaultBodyProcessor(std::string_view content_type) {
  if (absl::StartsWithIgnoreCase(content_type, "application/x-www-form-urlencoded")) {
    return BodyProcessor::kUrlEncoded;
  }
  if (absl::StartsWithIgnoreCase(content_type, "multipart/form-data")) {
    return BodyProcessor::kMultipart;
  }
  // What is behind it, like a charset, does not matter, however it is written.
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t,"));
  const auto is = [&](std::string_view known) { return absl::EqualsIgnoreCase(type, known); };
  const auto ends_with = [&](std::string_view suffix) {
    return absl::StartsWithIgnoreCase(type, "application/") &&
           absl::EndsWithIgnoreCase(type, suffix);
  };
  if (is("application/json") || ends_with("+json")) return BodyProcessor::kJson;
  if (is("text/xml") || is("application/xml") || ends_with("+xml")) return BodyProcessor::kXml;
  return BodyProcessor::kNone;
}

BodyProcessor FindBodyProcessor(std::string_view name) {
  for (const BodyProcessor processor : {BodyProcessor::kUrlEncoded, BodyProcessor::kMultipart,
                                        BodyProcessor::kJson, BodyProcessor::kXml}) {
    if (absl::EqualsIgnoreCase(name, BodyProcessorName(processor))) return processor;
  }
  return BodyProcessor::kNone;
}

std::string_view BodyProcessorName(BodyProcessor processor) {
  switch (processor) {
    case BodyProcessor::kNone:
      return "";
    case BodyProcessor::kUrlEncoded:
      return "URLENCODED";
    case BodyProcessor::kMultipart:
      return "MULTIPART";
    case BodyProcessor::kJson:
      return "JSON";
    case BodyProcessor::kXml:
      return "XML";
  }
  return "";
}

}  // namespace edge::waf
