#include "http/field.h"

#include <string>

#include "gtest/gtest.h"

namespace edge::http {
namespace {

std::string ToUpper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

TEST(Field, EveryNameIsFoundInAnyCase) {
  size_t named = 0;
  for (size_t i = 0; i < kFieldIdCount; ++i) {
    const FieldId id = static_cast<FieldId>(i);
    const std::string_view name = FieldName(id);
    if (name.empty()) continue;
    ++named;
    EXPECT_EQ(LookupField(name), id) << name;
    EXPECT_EQ(LookupField(ToUpper(name)), id) << name;
    EXPECT_EQ(LookupField(ToLower(name)), id) << name;
  }
  EXPECT_EQ(named, kFieldIdCount - 2);  // all but kOther and kXForwardedOther
}

TEST(Field, NearMissesAreOtherFields) {
  for (size_t i = 0; i < kFieldIdCount; ++i) {
    const std::string name(FieldName(static_cast<FieldId>(i)));
    if (name.empty()) continue;
    for (size_t at = 0; at < name.size(); ++at) {
      for (char c : {'x', '_', '0', '~', '.'}) {
        std::string changed = name;
        if (changed[at] == c) continue;
        changed[at] = c;
        const FieldId found = LookupField(changed);
        // A changed letter may make another known name, or an X-Forwarded field.
        if (found == FieldId::kOther || found == FieldId::kXForwardedOther) continue;
        EXPECT_TRUE(EqualsIgnoreCase(FieldName(found), changed)) << changed;
      }
    }
    EXPECT_NE(LookupField(name + "x"), static_cast<FieldId>(i)) << name;
    EXPECT_NE(LookupField(name.substr(1)), static_cast<FieldId>(i)) << name;
    EXPECT_NE(LookupField(name.substr(0, name.size() - 1)), static_cast<FieldId>(i)) << name;
  }
}

TEST(Field, UnknownNamesAreOther) {
  EXPECT_EQ(LookupField("X-Custom"), FieldId::kOther);
  EXPECT_EQ(LookupField("h"), FieldId::kOther);
  EXPECT_EQ(LookupField("Content_Length"), FieldId::kOther);
  EXPECT_EQ(LookupField("X-Forwarded-"), FieldId::kOther);
  EXPECT_EQ(LookupField(""), FieldId::kOther);
}

TEST(Field, AllXForwardedNamesAreKnown) {
  EXPECT_EQ(LookupField("X-Forwarded-For"), FieldId::kXForwardedFor);
  EXPECT_EQ(LookupField("X-Forwarded-Port"), FieldId::kXForwardedOther);
  EXPECT_EQ(LookupField("x-forwarded-anything"), FieldId::kXForwardedOther);
  EXPECT_EQ(LookupField("x-real-ip"), FieldId::kXForwardedOther);
}

TEST(Field, NamesCompareWithoutRegardToCase) {
  EXPECT_TRUE(EqualsIgnoreCase("", ""));
  EXPECT_TRUE(EqualsIgnoreCase("aBc-1", "AbC-1"));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
  EXPECT_FALSE(EqualsIgnoreCase("a", "b"));
  // Bytes that differ in the bit that makes letters lower case, but are no letters.
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
  EXPECT_FALSE(EqualsIgnoreCase("^", "~"));
  EXPECT_FALSE(EqualsIgnoreCase("-", "\r"));
}

}  // namespace
}  // namespace edge::http
