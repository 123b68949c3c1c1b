#include "proxy/waf/engine/transformation.h"

#include "absl/strings/match.h"
#include "proxy/waf/engine/transformation_internal.h"

namespace edge::waf {
namespace {

struct Entry {
  std::string_view name;
  Transformation transformation;
  bool (*function)(std::string_view, std::string&);
};

// In the order of the enumeration, so that it is also the table of functions.
constexpr Entry kEntries[kTransformationCount] = {
    {"base64Decode", Transformation::kBase64Decode, transformation::Base64Decode},
    {"base64DecodeExt", Transformation::kBase64DecodeExt, transformation::Base64DecodeExt},
    {"base64Encode", Transformation::kBase64Encode, transformation::Base64Encode},
    {"cmdLine", Transformation::kCmdLine, transformation::CmdLine},
    {"compressWhitespace", Transformation::kCompressWhitespace, transformation::CompressWhitespace},
    {"cssDecode", Transformation::kCssDecode, transformation::CssDecode},
    {"escapeSeqDecode", Transformation::kEscapeSeqDecode, transformation::EscapeSeqDecode},
    {"hexDecode", Transformation::kHexDecode, transformation::HexDecode},
    {"hexEncode", Transformation::kHexEncode, transformation::HexEncode},
    {"htmlEntityDecode", Transformation::kHtmlEntityDecode, transformation::HtmlEntityDecode},
    {"jsDecode", Transformation::kJsDecode, transformation::JsDecode},
    {"length", Transformation::kLength, transformation::Length},
    {"lowercase", Transformation::kLowercase, transformation::Lowercase},
    {"md5", Transformation::kMd5, transformation::Md5},
    {"normalisePath", Transformation::kNormalisePath, transformation::NormalisePath},
    {"normalisePathWin", Transformation::kNormalisePathWin, transformation::NormalisePathWin},
    {"parityEven7bit", Transformation::kParityEven7bit, transformation::ParityEven7bit},
    {"parityOdd7bit", Transformation::kParityOdd7bit, transformation::ParityOdd7bit},
    {"parityZero7bit", Transformation::kParityZero7bit, transformation::ParityZero7bit},
    {"removeComments", Transformation::kRemoveComments, transformation::RemoveComments},
    {"removeCommentsChar", Transformation::kRemoveCommentsChar, transformation::RemoveCommentsChar},
    {"removeNulls", Transformation::kRemoveNulls, transformation::RemoveNulls},
    {"removeWhitespace", Transformation::kRemoveWhitespace, transformation::RemoveWhitespace},
    {"replaceComments", Transformation::kReplaceComments, transformation::ReplaceComments},
    {"replaceNulls", Transformation::kReplaceNulls, transformation::ReplaceNulls},
    {"sha1", Transformation::kSha1, transformation::Sha1},
    {"sqlHexDecode", Transformation::kSqlHexDecode, transformation::SqlHexDecode},
    {"trim", Transformation::kTrim, transformation::Trim},
    {"trimLeft", Transformation::kTrimLeft, transformation::TrimLeft},
    {"trimRight", Transformation::kTrimRight, transformation::TrimRight},
    {"uppercase", Transformation::kUppercase, transformation::Uppercase},
    {"urlDecode", Transformation::kUrlDecode, transformation::UrlDecode},
    {"urlDecodeUni", Transformation::kUrlDecodeUni, transformation::UrlDecodeUni},
    {"urlEncode", Transformation::kUrlEncode, transformation::UrlEncode},
    {"utf8toUnicode", Transformation::kUtf8ToUnicode, transformation::Utf8ToUnicode},
};

constexpr bool InOrder() {
  for (int i = 0; i < kTransformationCount; ++i) {
    if (static_cast<int>(kEntries[i].transformation) != i) return false;
  }
  return true;
}
static_assert(InOrder());

struct Alias {
  std::string_view name;
  Transformation transformation;
};

constexpr Alias kAliases[] = {
    {"cmd_line", Transformation::kCmdLine},
    {"compress_whitespace", Transformation::kCompressWhitespace},
    {"normalizePath", Transformation::kNormalisePath},
    {"normalizePathWin", Transformation::kNormalisePathWin},
};

}  // namespace

std::optional<Transformation> FindTransformation(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (absl::EqualsIgnoreCase(entry.name, name)) return entry.transformation;
  }
  for (const Alias& alias : kAliases) {
    if (absl::EqualsIgnoreCase(alias.name, name)) return alias.transformation;
  }
  return std::nullopt;
}

std::string_view TransformationName(Transformation transformation) {
  return kEntries[static_cast<int>(transformation)].name;
}

bool Transform(Transformation transformation, std::string_view in, std::string& out) {
  return kEntries[static_cast<int>(transformation)].function(in, out);
}

}  // namespace edge::waf
