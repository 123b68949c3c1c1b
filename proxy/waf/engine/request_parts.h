// What rules name of a request's target and fields: query string, file name, cookies, user, and
// which processor its body is for, as libmodsecurity 3.0.14 has them.
//
// Everything is lenient, as origins are: what is odd is for the rules to judge. Views of what was
// given or of the arena. One thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/url_encoded.h"

namespace edge::waf {

// Decoding is of %XX only, once. A fragment ("#...") is in none of these.
struct TargetParts {
  std::string_view uri;       // REQUEST_URI: decoded, without scheme and authority
  std::string_view filename;  // REQUEST_FILENAME, PATH_INFO: its path
  std::string_view basename;  // REQUEST_BASENAME: behind the last slash or backslash; may be empty
  std::string_view query;     // QUERY_STRING: as it was received
  bool has_query = false;
};
TargetParts SplitTarget(std::string_view target, TextArena& arena);

// REQUEST_COOKIES of one Cookie field's value, which is not decoded. Appends no more than
// `cookies_max`; false if there were more.
bool SplitCookies(std::string_view value, size_t cookies_max, std::vector<Argument>& cookies);

// REMOTE_USER of an Authorization field's value; empty if it is not Basic.
std::string_view BasicUser(std::string_view authorization, TextArena& arena);
// AUTH_TYPE.
std::string_view AuthType(std::string_view authorization);
// SERVER_NAME of a Host field's value.
std::string_view HostName(std::string_view host);

enum class BodyProcessor : uint8_t { kNone, kUrlEncoded, kMultipart, kJson, kXml };
// The one that is chosen without a rule. JSON and XML only where the set has no rule that chooses
// them.
BodyProcessor DefaultBodyProcessor(std::string_view content_type);
// By the names of ctl:requestBodyProcessor, without regard to case. kNone: unknown.
BodyProcessor FindBodyProcessor(std::string_view name);
// REQBODY_PROCESSOR; empty for kNone.
std::string_view BodyProcessorName(BodyProcessor processor);

}  // namespace edge::waf
