#include "proxy/waf/engine/transformation.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "test/waf/language_cases.h"

namespace edge::waf {
namespace {

// A value after a transformation, changed or not. The string that takes it has been used before, as
// in a transaction.
std::string Transformed(Transformation transformation, std::string_view in) {
  std::string out = "left over from another value";
  return Transform(transformation, in, out) ? out : std::string(in);
}

class LibmodsecurityCases : public testing::TestWithParam<std::string> {};

TEST_P(LibmodsecurityCases, Pass) {
  // A transformation of ModSecurity 2, which libmodsecurity does not have; it does not run this
  // file.
  if (GetParam() == "phpArgsNames") GTEST_SKIP();
  for (LanguageCase& test : ReadLanguageCases("transformations", GetParam())) {
    // One of its cases is wrong behind a NUL (it counts on "\0 ", and has a byte 0). libmodsecurity
    // does not see that, because it cuts all texts there.
    if (GetParam() == "cssDecode") {
      test.input = test.input.c_str();
      test.output = test.output.c_str();
    }
    const auto transformation = FindTransformation(test.name);
    ASSERT_TRUE(transformation.has_value()) << test.name;
    EXPECT_EQ(absl::CHexEscape(Transformed(*transformation, test.input)),
              absl::CHexEscape(test.output))
        << absl::CHexEscape(test.input);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, LibmodsecurityCases,
                         testing::ValuesIn(LanguageCaseFiles("transformations")),
                         [](const auto& info) { return info.param; });

TEST(TransformationTest, AreFoundByNameWhateverItsCase) {
  for (int i = 0; i < kTransformationCount; ++i) {
    const auto transformation = static_cast<Transformation>(i);
    const std::string name(TransformationName(transformation));
    EXPECT_EQ(FindTransformation(name), transformation) << name;
    EXPECT_EQ(FindTransformation(Transformed(Transformation::kUppercase, name)), transformation);
  }
  EXPECT_EQ(FindTransformation("normalizePath"), Transformation::kNormalisePath);
  EXPECT_EQ(FindTransformation("normalizePathWin"), Transformation::kNormalisePathWin);
  EXPECT_EQ(FindTransformation("none"), std::nullopt);
  EXPECT_EQ(FindTransformation(""), std::nullopt);
  EXPECT_EQ(FindTransformation("lowercas"), std::nullopt);
}

struct Untouched {
  Transformation transformation;
  std::string_view value;
};

// What has nothing to be changed is not copied.
TEST(TransformationTest, SayThatNothingChanged) {
  constexpr std::string_view kOrdinary =
      "plain text of more than thirty-two bytes, with nothing in it";
  constexpr Untouched kCases[] = {
      {Transformation::kCmdLine, "cat file"},
      {Transformation::kCompressWhitespace, kOrdinary},
      {Transformation::kCssDecode, kOrdinary},
      {Transformation::kEscapeSeqDecode, kOrdinary},
      {Transformation::kHtmlEntityDecode, kOrdinary},
      {Transformation::kHtmlEntityDecode, "a & b &unknown; &# &#x &"},
      {Transformation::kJsDecode, kOrdinary},
      {Transformation::kLowercase, kOrdinary},
      {Transformation::kNormalisePath, "/a.b/c/.d/e"},
      {Transformation::kNormalisePathWin, "/a.b/c/.d/e"},
      {Transformation::kRemoveComments, "a - b / c * d < e ! f"},
      {Transformation::kRemoveCommentsChar, "a - b / c * d < e ! f"},
      {Transformation::kReplaceComments, "a */ b"},
      {Transformation::kRemoveNulls, kOrdinary},
      {Transformation::kRemoveWhitespace, "nospace"},
      {Transformation::kReplaceNulls, kOrdinary},
      {Transformation::kSqlHexDecode, "0 x0 0xg0 10"},
      {Transformation::kTrim, kOrdinary},
      {Transformation::kUppercase, "UPPER 1"},
      {Transformation::kUrlDecode, "100% %zz %4"},
      {Transformation::kUrlDecodeUni, "100% %zz %4 %u12 %uzzzz %u"},
      {Transformation::kUrlEncode, "abc*XYZ09"},
      {Transformation::kUtf8ToUnicode, kOrdinary},
  };
  for (const Untouched& c : kCases) {
    std::string out;
    EXPECT_FALSE(Transform(c.transformation, c.value, out))
        << TransformationName(c.transformation) << " '" << c.value << "' became '" << out << "'";
  }
}

// The quick search looks at blocks of bytes, so what it searches for stands at every place of them.
TEST(TransformationTest, FindTheOnlyByteThatChangesWhereverItIs) {
  for (size_t size = 1; size <= 80; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::string value(size, 'x');
      value[at] = 'Q';
      std::string expected(size, 'x');
      expected[at] = 'q';
      ASSERT_EQ(Transformed(Transformation::kLowercase, value), expected);
      value[at] = '+';
      expected[at] = ' ';
      ASSERT_EQ(Transformed(Transformation::kUrlDecodeUni, value), expected);
      value[at] = '"';
      expected.erase(at, 1);
      ASSERT_EQ(Transformed(Transformation::kCmdLine, value), expected);
      value[at] = '#';
      expected = std::string(at, 'x');
      ASSERT_EQ(Transformed(Transformation::kRemoveComments, value), expected);
    }
  }
}

TEST(TransformationTest, CutEscapesAreReadWithinTheValueOnly) {
  // Each prefix is a buffer of its own, so that a sanitizer sees a read past its end.
  const std::string_view kEscapes[] = {
      "%u0041",           "\\u0041", "\\x41",    "\\101",  "\\000041", "&#x41;", "&#65;", "&quot;",
      "\xf0\x9f\x98\x80", "/*a*/",   "<!--a-->", "0x4141", "/../",     "QUE=",   "--",    "\\\n"};
  for (const std::string_view whole : kEscapes) {
    for (size_t size = 0; size <= whole.size(); ++size) {
      const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      for (int i = 0; i < kTransformationCount; ++i) {
        std::string out;
        const bool changed = Transform(static_cast<Transformation>(i),
                                       std::string_view(cut.data(), cut.size()), out);
        EXPECT_TRUE(!changed || out.size() <= 4 * size + 20) << out.size();
      }
    }
  }
}

TEST(TransformationTest, NumericEntitiesOfAnyLengthHaveALowByte) {
  EXPECT_EQ(Transformed(Transformation::kHtmlEntityDecode, "&#x141;"), "A");
  EXPECT_EQ(Transformed(Transformation::kHtmlEntityDecode, "&#" + std::string(100, '9') + ";"),
            "\xff");
  EXPECT_EQ(Transformed(Transformation::kHtmlEntityDecode, "&#x" + std::string(100, '0') + "41"),
            "A");
}

TEST(TransformationTest, HexDecodeOfOneByteIsEmpty) {
  std::string out;
  EXPECT_TRUE(Transform(Transformation::kHexDecode, "4", out));
  EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace edge::waf
