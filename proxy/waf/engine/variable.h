// The variables of SecLang (ARGS, REQUEST_HEADERS, TX, ...): their names, and what the compiler and
// a transaction must know about each. Where their values come from is request_variables.h's.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace edge::waf {

// In the order of the table in variable.cc.
enum class Variable : uint8_t {
  kArgs,
  kArgsCombinedSize,
  kArgsGet,
  kArgsGetNames,
  kArgsNames,
  kArgsPost,
  kArgsPostNames,
  kAuthType,
  kDuration,
  kEnv,
  kFiles,
  kFilesCombinedSize,
  kFilesNames,
  kFilesSizes,
  kFilesTmpContent,
  kFilesTmpNames,
  kFullRequest,
  kFullRequestLength,
  kGeo,
  kGlobal,
  kHighestSeverity,
  kInboundDataError,
  kIp,
  kMatchedVar,
  kMatchedVarName,
  kMatchedVars,
  kMatchedVarsNames,
  kModsecBuild,
  kMscPcreError,
  kMscPcreLimitsExceeded,
  kMultipartBoundaryQuoted,
  kMultipartBoundaryWhitespace,
  kMultipartCrlfLfLines,
  kMultipartDataAfter,
  kMultipartDataBefore,
  kMultipartFileLimitExceeded,
  kMultipartFilename,
  kMultipartHeaderFolding,
  kMultipartInvalidHeaderFolding,
  kMultipartInvalidPart,
  kMultipartInvalidQuoting,
  kMultipartLfLine,
  kMultipartMissingSemicolon,
  kMultipartName,
  kMultipartPartHeaders,
  kMultipartStrictError,
  kMultipartUnmatchedBoundary,
  kOutboundDataError,
  kPathInfo,
  kQueryString,
  kRemoteAddr,
  kRemoteHost,
  kRemotePort,
  kRemoteUser,
  kReqbodyError,
  kReqbodyErrorMsg,
  kReqbodyProcessor,
  kReqbodyProcessorError,
  kReqbodyProcessorErrorMsg,
  kRequestBasename,
  kRequestBody,
  kRequestBodyLength,
  kRequestCookies,
  kRequestCookiesNames,
  kRequestFilename,
  kRequestHeaders,
  kRequestHeadersNames,
  kRequestLine,
  kRequestMethod,
  kRequestProtocol,
  kRequestUri,
  kRequestUriRaw,
  kResource,
  kResponseBody,
  kResponseContentLength,
  kResponseContentType,
  kResponseHeaders,
  kResponseHeadersNames,
  kResponseProtocol,
  kResponseStatus,
  kRule,
  kServerAddr,
  kServerName,
  kServerPort,
  kSession,
  kSessionId,
  kStatusLine,
  kTime,
  kTimeDay,
  kTimeEpoch,
  kTimeHour,
  kTimeMin,
  kTimeMon,
  kTimeSec,
  kTimeWday,
  kTimeYear,
  kTx,
  kUniqueId,
  kUrlencodedError,
  kUser,
  kUserId,
  kWebAppId,
  kXml,
};
inline constexpr int kVariableCount = static_cast<int>(Variable::kXml) + 1;

struct VariableInfo {
  std::string_view name;
  // Has members with names, so that a selector means something.
  bool collection;
  // May change while a phase runs, by rules or by time: nothing about it is remembered.
  bool dynamic;
  // Static variables: the phase at whose beginning the value is final; before, it is what is known
  // so far (ARGS without those of the body).
  uint8_t final_phase;
};

const VariableInfo& InfoOf(Variable variable);
// `name` in upper case.
std::optional<Variable> FindVariable(std::string_view name);
// TX, IP, GLOBAL, SESSION, USER, RESOURCE and ENV: setvar and its like write there.
bool IsStored(Variable variable);

}  // namespace edge::waf
