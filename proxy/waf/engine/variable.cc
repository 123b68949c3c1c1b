#include "proxy/waf/engine/variable.h"

#include <array>
#include <cstddef>

namespace edge::waf {
namespace {

constexpr VariableInfo Scalar(std::string_view name, uint8_t final_phase) {
  return {.name = name, .collection = false, .dynamic = false, .final_phase = final_phase};
}
constexpr VariableInfo Collection(std::string_view name, uint8_t final_phase) {
  return {.name = name, .collection = true, .dynamic = false, .final_phase = final_phase};
}
constexpr VariableInfo Changing(std::string_view name) {
  return {.name = name, .collection = false, .dynamic = true, .final_phase = 1};
}
constexpr VariableInfo ChangingCollection(std::string_view name) {
  return {.name = name, .collection = true, .dynamic = true, .final_phase = 1};
}

constexpr std::array<VariableInfo, kVariableCount> kVariables = {
    Collection("ARGS", 2),
    Scalar("ARGS_COMBINED_SIZE", 2),
    Collection("ARGS_GET", 1),
    Collection("ARGS_GET_NAMES", 1),
    Collection("ARGS_NAMES", 2),
    Collection("ARGS_POST", 2),
    Collection("ARGS_POST_NAMES", 2),
    Scalar("AUTH_TYPE", 1),
    Changing("DURATION"),
    ChangingCollection("ENV"),
    Collection("FILES", 2),
    Scalar("FILES_COMBINED_SIZE", 2),
    Collection("FILES_NAMES", 2),
    Collection("FILES_SIZES", 2),
    Collection("FILES_TMP_CONTENT", 2),
    Collection("FILES_TMPNAMES", 2),
    Scalar("FULL_REQUEST", 2),
    Scalar("FULL_REQUEST_LENGTH", 2),
    ChangingCollection("GEO"),
    ChangingCollection("GLOBAL"),
    Changing("HIGHEST_SEVERITY"),
    Scalar("INBOUND_DATA_ERROR", 2),
    ChangingCollection("IP"),
    Changing("MATCHED_VAR"),
    Changing("MATCHED_VAR_NAME"),
    ChangingCollection("MATCHED_VARS"),
    ChangingCollection("MATCHED_VARS_NAMES"),
    Scalar("MODSEC_BUILD", 1),
    Changing("MSC_PCRE_ERROR"),
    Changing("MSC_PCRE_LIMITS_EXCEEDED"),
    Scalar("MULTIPART_BOUNDARY_QUOTED", 2),
    Scalar("MULTIPART_BOUNDARY_WHITESPACE", 2),
    Scalar("MULTIPART_CRLF_LF_LINES", 2),
    Scalar("MULTIPART_DATA_AFTER", 2),
    Scalar("MULTIPART_DATA_BEFORE", 2),
    Scalar("MULTIPART_FILE_LIMIT_EXCEEDED", 2),
    Collection("MULTIPART_FILENAME", 2),
    Scalar("MULTIPART_HEADER_FOLDING", 2),
    Scalar("MULTIPART_INVALID_HEADER_FOLDING", 2),
    Scalar("MULTIPART_INVALID_PART", 2),
    Scalar("MULTIPART_INVALID_QUOTING", 2),
    Scalar("MULTIPART_LF_LINE", 2),
    Scalar("MULTIPART_MISSING_SEMICOLON", 2),
    Collection("MULTIPART_NAME", 2),
    Collection("MULTIPART_PART_HEADERS", 2),
    Scalar("MULTIPART_STRICT_ERROR", 2),
    Scalar("MULTIPART_UNMATCHED_BOUNDARY", 2),
    Scalar("OUTBOUND_DATA_ERROR", 4),
    Scalar("PATH_INFO", 1),
    Scalar("QUERY_STRING", 1),
    Scalar("REMOTE_ADDR", 1),
    Scalar("REMOTE_HOST", 1),
    Scalar("REMOTE_PORT", 1),
    Scalar("REMOTE_USER", 1),
    Scalar("REQBODY_ERROR", 2),
    Scalar("REQBODY_ERROR_MSG", 2),
    Changing("REQBODY_PROCESSOR"),  // ctl:requestBodyProcessor
    Scalar("REQBODY_PROCESSOR_ERROR", 2),
    Scalar("REQBODY_PROCESSOR_ERROR_MSG", 2),
    Scalar("REQUEST_BASENAME", 1),
    Scalar("REQUEST_BODY", 2),
    Scalar("REQUEST_BODY_LENGTH", 2),
    Collection("REQUEST_COOKIES", 1),
    Collection("REQUEST_COOKIES_NAMES", 1),
    Scalar("REQUEST_FILENAME", 1),
    Collection("REQUEST_HEADERS", 1),
    Collection("REQUEST_HEADERS_NAMES", 1),
    Scalar("REQUEST_LINE", 1),
    Scalar("REQUEST_METHOD", 1),
    Scalar("REQUEST_PROTOCOL", 1),
    Scalar("REQUEST_URI", 1),
    Scalar("REQUEST_URI_RAW", 1),
    ChangingCollection("RESOURCE"),
    Scalar("RESPONSE_BODY", 4),
    Scalar("RESPONSE_CONTENT_LENGTH", 4),
    Scalar("RESPONSE_CONTENT_TYPE", 3),
    Collection("RESPONSE_HEADERS", 3),
    Collection("RESPONSE_HEADERS_NAMES", 3),
    Scalar("RESPONSE_PROTOCOL", 3),
    Scalar("RESPONSE_STATUS", 3),
    ChangingCollection("RULE"),
    Scalar("SERVER_ADDR", 1),
    Scalar("SERVER_NAME", 1),
    Scalar("SERVER_PORT", 1),
    ChangingCollection("SESSION"),
    Changing("SESSIONID"),
    Scalar("STATUS_LINE", 3),
    Changing("TIME"),
    Changing("TIME_DAY"),
    Changing("TIME_EPOCH"),
    Changing("TIME_HOUR"),
    Changing("TIME_MIN"),
    Changing("TIME_MON"),
    Changing("TIME_SEC"),
    Changing("TIME_WDAY"),
    Changing("TIME_YEAR"),
    ChangingCollection("TX"),
    Scalar("UNIQUE_ID", 1),
    Scalar("URLENCODED_ERROR", 2),
    ChangingCollection("USER"),
    Changing("USERID"),
    Scalar("WEBAPPID", 1),
    Collection("XML", 2),
};
static_assert(!kVariables.back().name.empty(), "a variable without its line");

// Other names of the same thing.
struct Alias {
  std::string_view name;
  Variable variable;
};
constexpr Alias kAliases[] = {
    {"MULTIPART_SEMICOLON_MISSING", Variable::kMultipartMissingSemicolon},
    {"STATUS", Variable::kResponseStatus},
    {"USERAGENT_IP", Variable::kRemoteAddr},
    {"WEBAPP_ID", Variable::kWebAppId},
};

}  // namespace

const VariableInfo& InfoOf(Variable variable) { return kVariables[static_cast<size_t>(variable)]; }

std::optional<Variable> FindVariable(std::string_view name) {
  for (size_t i = 0; i < kVariables.size(); ++i) {
    if (kVariables[i].name == name) return static_cast<Variable>(i);
  }
  for (const Alias& alias : kAliases) {
    if (alias.name == name) return alias.variable;
  }
  return std::nullopt;
}

bool IsStored(Variable variable) {
  switch (variable) {
    case Variable::kTx:
    case Variable::kIp:
    case Variable::kGlobal:
    case Variable::kSession:
    case Variable::kUser:
    case Variable::kResource:
    case Variable::kEnv:
      return true;
    default:
      return false;
  }
}

}  // namespace edge::waf
