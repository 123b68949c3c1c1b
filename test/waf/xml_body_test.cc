#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

class XmlBodyTest : public testing::Test {
 protected:
  // Texts and attributes, and "error" or "early" at the end.
  std::string Parse(std::string_view body) {
    parsed_.Clear();
    arena_.Clear();
    ParseXml(body, limits_, arena_, parsed_);
    EXPECT_EQ(parsed_.error, !parsed_.error_text.empty());
    return absl::StrCat(absl::StrJoin(parsed_.xml_text, "|"), ";",
                        absl::StrJoin(parsed_.xml_attributes, "|"), ";",
                        parsed_.error ? (parsed_.ends_early ? "early" : "error") : "");
  }

  BodyLimits limits_;
  TextArena arena_;
  ParsedBody parsed_;
};

TEST_F(XmlBodyTest, TextIsAllCharacterDataAndAttributesAreValues) {
  EXPECT_EQ(Parse("<?xml version=\"1.0\"?><a x=\"1\">one<b y='2' z=\"3\">two</b>\n three</a>"),
            "onetwo\n three;1|2|3;");
}

TEST_F(XmlBodyTest, ReferencesAndCdataAreResolved) {
  EXPECT_EQ(Parse("<a x='&lt;&#x41;'>&lt;script&gt;<![CDATA[<b>&amp;]]>&#65;</a>"),
            "<script><b>&amp;A;<A;");
}

TEST_F(XmlBodyTest, CommentsInstructionsAndNamespacesAreNoText) {
  EXPECT_EQ(Parse("<n:a xmlns='u' xmlns:n='v' n:x='1'><!-- c --><?p i?>t<m:b/></n:a>"), "t;1;");
}

TEST_F(XmlBodyTest, EmptyElementIsEmptyText) {
  EXPECT_EQ(Parse("<a/>"), ";;");
  EXPECT_EQ(parsed_.xml_text.size(), 1);
}

TEST_F(XmlBodyTest, ElementsAreInOrderWithWhatIsInsideOfThem) {
  Parse("<r>0<p:a x='1' y='2'>1<b>2</b></p:a><c/></r>");
  ASSERT_EQ(parsed_.xml_elements.size(), 4);
  const auto& elements = parsed_.xml_elements;
  EXPECT_EQ(elements[0].name, "r");
  EXPECT_EQ(elements[0].end, 4);
  EXPECT_EQ(elements[0].text, "012");
  EXPECT_EQ(elements[1].name, "p:a");
  EXPECT_EQ(elements[1].prefix, "p");
  EXPECT_EQ(elements[1].text, "12");
  EXPECT_EQ(elements[1].end, 3);
  EXPECT_EQ(elements[1].attributes_begin, 0);
  EXPECT_EQ(elements[1].attributes_end, 2);
  EXPECT_EQ(parsed_.xml_attribute_names[1], "y");
  EXPECT_EQ(elements[2].parent, 1);
  EXPECT_EQ(elements[3].parent, 0);
  EXPECT_EQ(elements[3].text, "");
  EXPECT_TRUE(elements[2].has_text);
  EXPECT_FALSE(elements[3].has_text);
}

TEST_F(XmlBodyTest, WhatIsNotXmlIsAnError) {
  for (const std::string_view body :
       {"x", "<a></b>", "<a x=1/>", "<a x='1' x='2'/>", "<a/><b/>", "<a/>x", "<a>&nope;</a>",
        "<a>&</a>", "<a>]]></a>", "<a x='<'/>", "<a>\x01</a>", "<a>\xff</a>", "<?xml version='9",
        "<?xml version='1.0' encoding='nope'?><a/>", " <?xml version='1.0'?><a/>", "</a>",
        "{\"a\":1}"}) {
    Parse(body);
    EXPECT_TRUE(parsed_.error) << body;
  }
  EXPECT_EQ(Parse(""), ";;early");
}

TEST_F(XmlBodyTest, WhatCameBeforeAMistakeStays) {
  EXPECT_EQ(Parse("<a x='1'>attack</b>"), "attack;1;error");
}

TEST_F(XmlBodyTest, CutBodyIsReadToItsEnd) {
  EXPECT_EQ(Parse("<a x='1'>atta"), "atta;1;early");
  EXPECT_EQ(Parse("<a>t<b x='attack"), "t|<b x='attack;;early");
  EXPECT_EQ(Parse("<a>t<![CDATA[atta"), "tatta;;early");
  EXPECT_EQ(Parse("<a x='attack"), "<a x='attack;;early");
}

TEST_F(XmlBodyTest, CutAnywhereIsEarlyAndNeverMore) {
  const std::string body =
      "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'x'>]><a x='&lt;\u00e9'>t&e;<b><![CDATA[c]]>"
      "</b><!-- d --></a>";
  ASSERT_FALSE(Parse(body).ends_with("error"));
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_TRUE(Parse(body.substr(0, size)).ends_with("early")) << size;
  }
}

TEST_F(XmlBodyTest, InternalEntitiesAreTextAndExternalOnesAreNot) {
  EXPECT_EQ(Parse("<!DOCTYPE a [<!ENTITY e '&lt;x>'>]><a>1&e;2</a>"), "1<x>2;;");
  EXPECT_EQ(Parse("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>1&e;2</a>"), "12;;");
  EXPECT_EQ(Parse("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a>1</a>"), "1;;");
  EXPECT_EQ(Parse("<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://a.example/p'>%p;]><a>1</a>"), "1;;");
}

TEST_F(XmlBodyTest, EntitiesExpandWithinLimits) {
  std::string body = "<!DOCTYPE a [<!ENTITY e0 'lollollollol'>";
  for (int i = 1; i < 20; ++i) {
    absl::StrAppend(&body, "<!ENTITY e", i, " '");
    for (int j = 0; j < 10; ++j) absl::StrAppend(&body, "&e", i - 1, ";");
    body += "'>";
  }
  body += "]><a>&e19;</a>";
  EXPECT_TRUE(Parse(body).ends_with("error"));
  EXPECT_LT(arena_.allocated_bytes(), size_t{8} << 20);
  // One large entity, used again and again.
  body = absl::StrCat("<!DOCTYPE a [<!ENTITY e '", std::string(50000, 'x'), "'>]><a>");
  for (int i = 0; i < 20000; ++i) body += "&e;";
  EXPECT_TRUE(Parse(body + "</a>").ends_with("error"));
  EXPECT_LT(arena_.allocated_bytes(), size_t{16} << 20);
  // One that contains itself.
  EXPECT_TRUE(
      Parse("<!DOCTYPE a [<!ENTITY e '&f;'><!ENTITY f '&e;'>]><a>&e;</a>").ends_with("error"));
}

TEST_F(XmlBodyTest, DepthIsLimited) {
  limits_.depth_max = 3;
  EXPECT_EQ(Parse("<a><b><c>t</c></b></a>"), "t;;");
  EXPECT_TRUE(Parse("<a><b><c><d/></c></b></a>").ends_with("error"));
  EXPECT_TRUE(absl::StrContains(parsed_.error_text, "depth"));
  limits_.depth_max = 512;
  std::string body;
  for (int i = 0; i < 200000; ++i) body += "<a>";
  EXPECT_TRUE(Parse(body).ends_with("error"));
  EXPECT_EQ(parsed_.xml_elements.size(), 512);
}

TEST_F(XmlBodyTest, AttributesAreLimited) {
  limits_.arguments_max = 2;
  EXPECT_EQ(Parse("<a x='1' y='2'/>"), ";1|2;");
  EXPECT_EQ(Parse("<a x='1'><b y='2' z='3'/>t</a>"), ";1|2;error");
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);
}

TEST_F(XmlBodyTest, ElementsAreLimited) {
  std::string body = "<!DOCTYPE a [<!ENTITY e '";
  for (int i = 0; i < 100; ++i) body += "<b/>";
  body += "'>]><a>";
  for (int i = 0; i < 2000; ++i) body += "&e;";
  EXPECT_TRUE(Parse(body + "</a>").ends_with("error"));
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);
  EXPECT_EQ(parsed_.xml_elements.size(), 50'000);
  // And nothing of them is kept.
  parsed_.Clear();
  EXPECT_EQ(parsed_.xml_elements.capacity(), 0);
  EXPECT_EQ(parsed_.xml_parser, nullptr);
}

TEST_F(XmlBodyTest, OtherUnicodeEncodingsAreRead) {
  std::string utf16("\xff\xfe", 2);
  for (const char c : std::string_view("<a>attack</a>")) utf16 += std::string{c, '\0'};
  EXPECT_EQ(Parse(utf16), "attack;;");
  EXPECT_EQ(Parse("<?xml version='1.0' encoding='iso-8859-1'?><a>\xe9</a>"), "\u00e9;;");
}

TEST_F(XmlBodyTest, ParserIsUsedAgainAfterAnything) {
  const std::string good = Parse("<a x='1'>t</a>");
  limits_.depth_max = 1;
  for (const std::string_view body :
       {"<a><b/>", "<a", "x", "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;"}) {
    Parse(body);
    EXPECT_EQ(Parse("<a x='1'>t</a>"), good);
  }
  // Nothing is left of the entity.
  EXPECT_TRUE(Parse("<a>&e;</a>").ends_with("error"));
}

}  // namespace
}  // namespace edge::waf
