#include "proxy/waf/engine/request_parts.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace edge::waf {
namespace {

TEST(SplitTargetTest, PathAndQueryAreTakenApart) {
  TextArena arena;
  const TargetParts parts = SplitTarget("/a%20dir/file%2Ephp?x=%41+b#end", arena);
  EXPECT_EQ(parts.uri, "/a dir/file.php?x=A+b");
  EXPECT_EQ(parts.filename, "/a dir/file.php");
  EXPECT_EQ(parts.basename, "file.php");
  EXPECT_EQ(parts.query, "x=%41+b");
  EXPECT_TRUE(parts.has_query);
}

TEST(SplitTargetTest, EncodedDelimitersDoNotDelimit) {
  TextArena arena;
  const TargetParts parts = SplitTarget("/a%3Fb%23c", arena);
  EXPECT_EQ(parts.filename, "/a?b#c");
  EXPECT_FALSE(parts.has_query);
  // But a decoded slash ends the folder for REQUEST_BASENAME.
  EXPECT_EQ(SplitTarget("/a%2Fb", arena).basename, "b");
  EXPECT_EQ(SplitTarget("/a%5Cb", arena).basename, "b");
}

TEST(SplitTargetTest, FolderHasNoBasename) {
  TextArena arena;
  EXPECT_EQ(SplitTarget("/a/b/", arena).basename, "");
  EXPECT_EQ(SplitTarget("/", arena).basename, "");
  EXPECT_EQ(SplitTarget("*", arena).basename, "");
}

TEST(SplitTargetTest, SchemeAndAuthorityAreNoPartOfThePath) {
  TextArena arena;
  const TargetParts parts = SplitTarget("http://a.example:80/b/c?d=/e", arena);
  EXPECT_EQ(parts.uri, "/b/c?d=/e");
  EXPECT_EQ(parts.filename, "/b/c");
  EXPECT_EQ(SplitTarget("/http://a.example/b", arena).uri, "/http://a.example/b");
  // Without a path nothing is taken away.
  EXPECT_EQ(SplitTarget("http://a.example?b/c", arena).uri, "http://a.example?b/c");
}

TEST(SplitTargetTest, BadEscapesStay) {
  TextArena arena;
  EXPECT_EQ(SplitTarget("/%zz%4", arena).filename, "/%zz%4");
  EXPECT_EQ(SplitTarget("", arena).filename, "");
  EXPECT_EQ(SplitTarget("?", arena).uri, "?");
}

using Cookies = std::vector<std::pair<std::string_view, std::string_view>>;

Cookies Split(std::string_view value, size_t cookies_max = 100) {
  std::vector<Argument> cookies;
  SplitCookies(value, cookies_max, cookies);
  Cookies pairs;
  for (const Argument& cookie : cookies) pairs.emplace_back(cookie.name, cookie.value);
  return pairs;
}

TEST(SplitCookiesTest, PairsAreSeparatedBySemicolons) {
  EXPECT_EQ(Split("a=1; b=2=3;c"), (Cookies{{"a", "1"}, {"b", "2=3"}, {"c", ""}}));
}

TEST(SplitCookiesTest, SpaceIsTrimmedOnlyBeforeNamesAndAtTheEnd) {
  EXPECT_EQ(Split(" \ta =  1 ;  b= 2 \r\n"), (Cookies{{"a ", "  1 "}, {"b", " 2"}}));
}

TEST(SplitCookiesTest, NamelessOnesAreLeftOut) {
  EXPECT_EQ(Split(";; =1; ;b=2;"), (Cookies{{"b", "2"}}));
  EXPECT_EQ(Split(""), Cookies());
  EXPECT_EQ(Split("   "), Cookies());
}

TEST(SplitCookiesTest, NothingIsDecoded) { EXPECT_EQ(Split("a=%41+b"), (Cookies{{"a", "%41+b"}})); }

TEST(SplitCookiesTest, CountIsLimited) {
  std::vector<Argument> cookies;
  EXPECT_TRUE(SplitCookies("a=1;b=2", 2, cookies));
  EXPECT_EQ(cookies.size(), 2);
  EXPECT_FALSE(SplitCookies("a=1;b=2;c=3", 2, cookies));
  EXPECT_EQ(cookies.size(), 4);
}

TEST(BasicUserTest, UserIsBeforeTheColon) {
  TextArena arena;
  EXPECT_EQ(BasicUser("Basic QWxhZGRpbjpPcGVuU2VzYW1l", arena), "Aladdin");
  EXPECT_EQ(BasicUser("basic QWxhZGRpbjpPcGVuU2VzYW1l", arena), "Aladdin");
  EXPECT_EQ(BasicUser("Bearer QWxhZGRpbjpPcGVuU2VzYW1l", arena), "");
  EXPECT_EQ(BasicUser("Basic QWxhZGRpbg==", arena), "");  // no colon
  EXPECT_EQ(BasicUser("Basic !!!", arena), "");
  EXPECT_EQ(BasicUser("Basic", arena), "");
}

TEST(RequestPartsTest, AuthTypeIsTheFirstWord) {
  EXPECT_EQ(AuthType("Basic abc"), "Basic");
  EXPECT_EQ(AuthType("Negotiate"), "Negotiate");
  EXPECT_EQ(AuthType(""), "");
}

TEST(RequestPartsTest, HostNameHasNoPort) {
  EXPECT_EQ(HostName("a.example:8080"), "a.example");
  EXPECT_EQ(HostName("a.example"), "a.example");
  EXPECT_EQ(HostName("[::1]:8080"), "[::1]");
  EXPECT_EQ(HostName("[::1"), "[::1");
}

TEST(RequestPartsTest, ContentTypeChoosesTheProcessorByItsBeginning) {
  EXPECT_EQ(DefaultBodyProcessor("application/x-www-form-urlencoded; charset=utf-8"),
            BodyProcessor::kUrlEncoded);
  EXPECT_EQ(DefaultBodyProcessor("Multipart/Form-Data; boundary=a"), BodyProcessor::kMultipart);
  EXPECT_EQ(DefaultBodyProcessor("application/json"), BodyProcessor::kJson);
  EXPECT_EQ(DefaultBodyProcessor("text/xml"), BodyProcessor::kXml);
}

TEST(RequestPartsTest, ProcessorsAreFoundByTheirNames) {
  for (const BodyProcessor processor : {BodyProcessor::kUrlEncoded, BodyProcessor::kMultipart,
                                        BodyProcessor::kJson, BodyProcessor::kXml}) {
    EXPECT_EQ(FindBodyProcessor(BodyProcessorName(processor)), processor);
  }
  EXPECT_EQ(FindBodyProcessor("json"), BodyProcessor::kJson);
  EXPECT_EQ(FindBodyProcessor("JSON2"), BodyProcessor::kNone);
}

}  // namespace
}  // namespace edge::waf
