#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

class JsonBodyTest : public testing::Test {
 protected:
  // "name=value" a line, and "error" at the end if there is one.
  std::string Parse(std::string_view body) {
    parsed_.Clear();
    arena_.Clear();
    ParseJson(body, limits_, arena_, parsed_);
    std::string lines;
    for (const Argument& argument : parsed_.arguments) {
      absl::StrAppend(&lines, argument.name, "=", argument.value, "\n");
    }
    if (parsed_.error) lines += parsed_.ends_early ? "early" : "error";
    EXPECT_EQ(parsed_.error, !parsed_.error_text.empty());
    return lines;
  }

  BodyLimits limits_;
  TextArena arena_;
  ParsedBody parsed_;
};

TEST_F(JsonBodyTest, NamesArePaths) {
  EXPECT_EQ(Parse(R"({"a":"1","b":{"c":"2","d":{"e":"3"}},"f":"4"})"),
            "json.a=1\njson.b.c=2\njson.b.d.e=3\njson.f=4\n");
}

TEST_F(JsonBodyTest, ElementsOfArraysAreNumbered) {
  EXPECT_EQ(Parse(R"({"a":[1,[2,3],{"b":4},5]})"),
            "json.a.array_0=1\njson.a.array_1.array_0=2\njson.a.array_1.array_1=3\n"
            "json.a.array_2.b=4\njson.a.array_3=5\n");
  EXPECT_EQ(Parse(R"(["x",{}, [],"y"])"), "json.array_0=x\njson.array_3=y\n");
}

TEST_F(JsonBodyTest, ValuesKeepTheirText) {
  EXPECT_EQ(Parse(R"([true,false,null,-0.5e+10,0,12E3,""])"),
            "json.array_0=true\njson.array_1=false\njson.array_2=\njson.array_3=-0.5e+10\n"
            "json.array_4=0\njson.array_5=12E3\njson.array_6=\n");
}

TEST_F(JsonBodyTest, ValueAloneIsADocument) {
  EXPECT_EQ(Parse(" \"x\" "), "json=x\n");
  EXPECT_EQ(Parse("12"), "json=12\n");
  EXPECT_EQ(Parse("{}"), "");
  EXPECT_EQ(Parse("[[[]]]"), "");
}

TEST_F(JsonBodyTest, EmptyKeyHasAName) {
  EXPECT_EQ(Parse(R"({"":1,"a":{"":2}})"), "json.empty-key=1\njson.a.empty-key=2\n");
}

TEST_F(JsonBodyTest, EscapesAreDecodedInKeysAndValues) {
  EXPECT_EQ(Parse(R"({"\u0061\n":"\u003cscript\u003E\"\\\/\b\f\n\r\t"})"),
            "json.a\n=<script>\"\\/\b\f\n\r\t\n");
  EXPECT_EQ(Parse(R"(["\u00e9\u20AC\ud83d\ude00"])"), "json.array_0=\u00e9\u20ac\U0001f600\n");
  EXPECT_EQ(Parse(R"(["a\u0000b"])"), std::string("json.array_0=a\0b\n", 17));
}

TEST_F(JsonBodyTest, LoneSurrogateIsAQuestionMarkAndEatsNothing) {
  EXPECT_EQ(Parse(R"(["\ud800x"])"), "json.array_0=?x\n");
  EXPECT_EQ(Parse(R"(["\ud800\n"])"), "json.array_0=?\n\n");
  EXPECT_EQ(Parse(R"(["\ud800"])"), "json.array_0=?\n");
}

TEST_F(JsonBodyTest, LongStringsAreSearchedToTheirEnd) {
  // Every position of what ends a run of plain bytes, against a step of eight bytes.
  for (size_t size = 0; size < 40; ++size) {
    const std::string plain(size, 'p');
    EXPECT_EQ(Parse(absl::StrCat("[\"", plain, "\"]")), absl::StrCat("json.array_0=", plain, "\n"));
    EXPECT_EQ(Parse(absl::StrCat("[\"", plain, "\\\"q\"]")),
              absl::StrCat("json.array_0=", plain, "\"q\n"));
    EXPECT_EQ(Parse(absl::StrCat("[\"", plain, "\u00e9q\"]")),
              absl::StrCat("json.array_0=", plain, "\u00e9q\n"));
    EXPECT_EQ(Parse(absl::StrCat("[\"", plain, "\x01q\"]")),
              absl::StrCat("json.array_0=", plain, "\nerror"));
    EXPECT_EQ(Parse(absl::StrCat("[\"", plain, "\xff\"]")),
              absl::StrCat("json.array_0=", plain, "\nerror"));
    EXPECT_EQ(Parse(absl::StrCat("[\"", plain)), absl::StrCat("json.array_0=", plain, "\nearly"));
  }
}

TEST_F(JsonBodyTest, WhiteSpaceMayBeAnywhere) {
  EXPECT_EQ(Parse("\t{ \"a\"\r\n:\v[ 1\f,\n2 ] } "), "json.a.array_0=1\njson.a.array_1=2\n");
}

TEST_F(JsonBodyTest, WhatIsNotJsonIsAnError) {
  for (const std::string_view body : {"a",
                                      "{a:1}",
                                      "{'a':1}",
                                      "{\"a\" 1}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{,}",
                                      "{1:2}",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "[1}",
                                      "{\"a\":1]",
                                      "]",
                                      "}",
                                      "{}{}",
                                      "[] x",
                                      "1 2",
                                      "01",
                                      "+1",
                                      ".5",
                                      "[1.]",
                                      "[1.e3]",
                                      "[1e]",
                                      "[-]",
                                      "[--1]",
                                      "truth",
                                      "nul1",
                                      "True",
                                      "[\"\\x\"]",
                                      "[\"\\u12g4\"]",
                                      "[\"\t\"]",
                                      "[\"\n\"]",
                                      "// c\n1",
                                      "/* c */1",
                                      "\xef\xbb\xbf{}",
                                      "NaN",
                                      "[\"\xc3(\"]",
                                      "[\"\x80\"]",
                                      "[\"\xf8\x88\x80\x80\x80\"]"}) {
    const std::string result = Parse(body);
    EXPECT_TRUE(result.ends_with("error")) << body << ": " << result;
    EXPECT_FALSE(parsed_.arguments_limit_exceeded);
  }
}

TEST_F(JsonBodyTest, WhatCameBeforeAMistakeStays) {
  EXPECT_EQ(Parse(R"({"a":"1","b":x)"), "json.a=1\nerror");
  EXPECT_EQ(Parse(R"({"a":"attack\x","b":1})"), "json.a=attack\nerror");
}

TEST_F(JsonBodyTest, CutBodyIsReadToItsEnd) {
  EXPECT_EQ(Parse(R"({"a":"1","b":"atta)"), "json.a=1\njson.b=atta\nearly");
  EXPECT_EQ(Parse(R"({"a":"1","b":"at\u00)"), "json.a=1\njson.b=at\nearly");
  EXPECT_EQ(Parse(R"({"a":"1","b":"at\)"), "json.a=1\njson.b=at\nearly");
  EXPECT_EQ(Parse(R"({"a":"1","b":tr)"), "json.a=1\nearly");
  EXPECT_EQ(Parse(R"({"a":"1","b":12)"), "json.a=1\njson.b=12\nearly");
  EXPECT_EQ(Parse(R"({"a":"1","b)"), "json.a=1\nearly");
  EXPECT_EQ(Parse("[\"\xc3"), "json.array_0=\nearly");
}

TEST_F(JsonBodyTest, CutAnywhereIsEarlyAndNeverMore) {
  const std::string body = R"({"a":["x\u00e9\ud83d\ude00",-1.5e3,true,{"b":null}],"c":"é"})";
  ASSERT_EQ(Parse(body).find("error"), std::string::npos);
  for (size_t size = 1; size < body.size(); ++size) {
    EXPECT_TRUE(Parse(body.substr(0, size)).ends_with("early")) << size;
  }
}

TEST_F(JsonBodyTest, EmptyBodyIsNoMistakeButBlankIs) {
  EXPECT_EQ(Parse(""), "");
  EXPECT_EQ(Parse("  "), "early");
}

TEST_F(JsonBodyTest, DepthIsLimited) {
  limits_.depth_max = 3;
  EXPECT_EQ(Parse("[[[1]]]"), "json.array_0.array_0.array_0=1\n");
  EXPECT_EQ(Parse("[[[[1]]]]"), "error");
  EXPECT_TRUE(absl::StrContains(parsed_.error_text, "depth"));
  EXPECT_EQ(Parse(R"({"a":{"b":{"c":{}}}})"), "error");
  limits_.depth_max = 512;
  EXPECT_EQ(Parse(std::string(1 << 20, '[')), "error");
}

TEST_F(JsonBodyTest, ArgumentsAreLimited) {
  limits_.arguments_max = 2;
  EXPECT_EQ(Parse("[1,2]"), "json.array_0=1\njson.array_1=2\n");
  EXPECT_FALSE(parsed_.arguments_limit_exceeded);
  EXPECT_EQ(Parse("[1,2,3]"), "json.array_0=1\njson.array_1=2\nerror");
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);
}

TEST_F(JsonBodyTest, LongPathsOfManyArgumentsAreLimited) {
  // 60 KiB of key, repeated in the names of 1000 arguments.
  std::string body = absl::StrCat("{\"", std::string(60000, 'k'), "\":[1");
  for (int i = 1; i < 1000; ++i) body += ",1";
  body += "]}";
  const std::string result = Parse(body);
  EXPECT_TRUE(result.ends_with("error"));
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);
  EXPECT_LT(arena_.allocated_bytes(), size_t{1} << 20);
}

TEST_F(JsonBodyTest, PlainStringsAreViewsOfTheBody) {
  const std::string body = R"({"a":"plain"})";
  Parse(body);
  ASSERT_EQ(parsed_.arguments.size(), 1);
  EXPECT_EQ(parsed_.arguments[0].value.data(), body.data() + body.find("plain"));
}

TEST_F(JsonBodyTest, SecondDocumentNeedsNoMoreMemory) {
  std::string body = "{\"list\":[";
  for (int i = 0; i < 900; ++i) absl::StrAppend(&body, i > 0 ? "," : "", "{\"name\":\"a\\u0041\"}");
  body += "]}";
  Parse(body);
  EXPECT_EQ(parsed_.arguments.size(), 900);
  const size_t allocated = arena_.allocated_bytes();
  Parse(body);
  EXPECT_EQ(arena_.allocated_bytes(), allocated);
}

}  // namespace
}  // namespace edge::waf
