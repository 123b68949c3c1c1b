// SecLang's transformations (t:lowercase and so on), as libmodsecurity 3.0.14 does them.
//
// Pure functions of bytes; any thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace edge::waf {

enum class Transformation : uint8_t {
  kBase64Decode,
  kBase64DecodeExt,
  kBase64Encode,
  kCmdLine,
  kCompressWhitespace,
  kCssDecode,
  kEscapeSeqDecode,
  kHexDecode,
  kHexEncode,
  kHtmlEntityDecode,
  kJsDecode,
  kLength,
  kLowercase,
  kMd5,
  kNormalisePath,
  kNormalisePathWin,
  kParityEven7bit,
  kParityOdd7bit,
  kParityZero7bit,
  kRemoveComments,
  kRemoveCommentsChar,
  kRemoveNulls,
  kRemoveWhitespace,
  kReplaceComments,
  kReplaceNulls,
  kSha1,
  kSqlHexDecode,
  kTrim,
  kTrimLeft,
  kTrimRight,
  kUppercase,
  kUrlDecode,
  kUrlDecodeUni,
  kUrlEncode,
  kUtf8ToUnicode,
};
inline constexpr int kTransformationCount = static_cast<int>(Transformation::kUtf8ToUnicode) + 1;

// By its name in a rule, without regard to case; also normalizePath and the like. Not "none", which
// is the compiler's.
std::optional<Transformation> FindTransformation(std::string_view name);
std::string_view TransformationName(Transformation transformation);

// Writes the transformed bytes into `out`, whose capacity is reused, and returns true; false: they
// are as before, and `out` has no meaning. `in` may not be a view of `out`.
[[nodiscard]] bool Transform(Transformation transformation, std::string_view in, std::string& out);

}  // namespace edge::waf
