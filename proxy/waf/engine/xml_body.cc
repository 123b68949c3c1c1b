// XML as its text and its attributes' values: XML:/* is all character data of the document, with
// entities and CDATA sections resolved, and XML://@* each attribute but namespace declarations.
//
// Read by expat, without namespaces (an undeclared prefix is no error for libmodsecurity either).
// Not by libxml2, which libmodsecurity is built with: an engine that reads hostile bodies takes the
// parser with less in it, and Debian's source package of libxml2 is an old release whose fixes are
// patches beside it. What that costs: no validation by schema or DTD, and encodings other than
// UTF-8, UTF-16, ISO-8859-1 and ASCII are errors.
//
// Nothing outside of the body is ever read: external entities are left out. Internal ones may
// make the document larger only within limits.

#include <algorithm>
#include <cstring>

#include "absl/log/check.h"
#include "expat.h"
#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

// Entities may make ten of a byte once a document is as large as this; expat's own limits are a
// hundred times from 8 MiB on, which is half a second of work.
constexpr float kAmplificationMax = 10;
constexpr unsigned long long kAmplificationFromBytes = 1 << 20;

// No body is inspected that is larger; offsets have 32 bits.
constexpr size_t kBodyBytesMax = 64 << 20;

// An element that entities make costs a hundred bytes and time, but next to no body.
constexpr size_t kElementsMax = 50'000;

constexpr std::string_view kMistake = "XML: Failed parsing document.";

class Reader {
 public:
  Reader(const BodyLimits& limits, TextArena& arena, ParsedBody& parsed)
      : limits_(limits), arena_(arena), parsed_(parsed), parser_(parsed.xml_parser.get()) {}

  void Read(std::string_view body);

 private:
  // --- Called by expat
  static void OnStart(void* reader, const XML_Char* name, const XML_Char** attributes) {
    static_cast<Reader*>(reader)->Start(name, attributes);
  }
  static void OnEnd(void* reader, const XML_Char*) {
    auto* self = static_cast<Reader*>(reader);
    // Behind a start that was refused there is still the end of an empty element.
    if (!self->parsed_.error) self->End();
  }
  static void OnText(void* reader, const XML_Char* text, int size) {
    static_cast<Reader*>(reader)->Text({text, static_cast<size_t>(size)});
  }

  void Start(std::string_view name, const XML_Char** attributes);
  void End();
  void Text(std::string_view text);
  void Stop(std::string_view text);
  void EndsEarly(std::string_view body);
  std::string_view TextFrom(size_t offset) const { return {text_ + offset, text_size_ - offset}; }

  const BodyLimits& limits_;
  TextArena& arena_;
  ParsedBody& parsed_;
  XML_ParserStruct* const parser_;

  // All character data so far, in the arena. While an element is open its `text` is only where it
  // begins: `end` is that offset.
  char* text_ = nullptr;
  size_t text_size_ = 0;
  size_t text_capacity_ = 0;
  uint32_t depth_ = 0;
  uint32_t innermost_ = 0;  // of the open elements; none if depth_ is 0
};

void Reader::Read(std::string_view body) {
  XML_SetUserData(parser_, this);
  XML_SetElementHandler(parser_, OnStart, OnEnd);
  XML_SetCharacterDataHandler(parser_, OnText);
  XML_SetBillionLaughsAttackProtectionMaximumAmplification(parser_, kAmplificationMax);
  XML_SetBillionLaughsAttackProtectionActivationThreshold(parser_, kAmplificationFromBytes);

  const XML_Status status =
      XML_Parse(parser_, body.data(), static_cast<int>(body.size()), XML_TRUE);
  if (status != XML_STATUS_OK && !parsed_.error) {
    parsed_.error = true;
    parsed_.error_text = kMistake;
    EndsEarly(body);
  }
  while (depth_ > 0) End();
  if (!parsed_.xml_elements.empty()) {
    parsed_.xml_text.insert(parsed_.xml_text.begin(), parsed_.xml_elements.front().text);
  }
}

// What is left of a body that was cut is text for the rules, as it stands.
void Reader::EndsEarly(std::string_view body) {
  switch (XML_GetErrorCode(parser_)) {
    case XML_ERROR_NO_ELEMENTS:
    case XML_ERROR_UNCLOSED_TOKEN:
    case XML_ERROR_PARTIAL_CHAR:
    case XML_ERROR_UNCLOSED_CDATA_SECTION:
      break;
    default:
      return;
  }
  parsed_.ends_early = true;
  const XML_Index offset = XML_GetCurrentByteIndex(parser_);
  if (offset >= 0 && static_cast<size_t>(offset) < body.size()) {
    parsed_.xml_text.push_back(body.substr(static_cast<size_t>(offset)));
  }
}

void Reader::Start(std::string_view name, const XML_Char** attributes) {
  if (parsed_.error) return;
  if (depth_ >= limits_.depth_max) return Stop("Parsing depth limit exceeded");
  if (parsed_.xml_elements.size() >= kElementsMax) {
    parsed_.arguments_limit_exceeded = true;
    return Stop("too many elements");
  }
  XmlElement element;
  element.name = arena_.Copy(name);
  const size_t colon = element.name.find(':');
  if (colon != element.name.npos) element.prefix = element.name.substr(0, colon);
  element.parent = innermost_;
  innermost_ = static_cast<uint32_t>(parsed_.xml_elements.size());
  ++depth_;
  element.end = static_cast<uint32_t>(text_size_);
  element.attributes_begin = static_cast<uint32_t>(parsed_.xml_attributes.size());
  for (; attributes[0] != nullptr; attributes += 2) {
    const std::string_view attribute = attributes[0];
    if (attribute == "xmlns" || attribute.starts_with("xmlns:")) continue;
    if (parsed_.xml_attributes.size() >= limits_.arguments_max) {
      parsed_.arguments_limit_exceeded = true;
      Stop("too many attributes");
      break;
    }
    parsed_.xml_attribute_names.push_back(arena_.Copy(attribute));
    parsed_.xml_attributes.push_back(arena_.Copy(attributes[1]));
  }
  element.attributes_end = static_cast<uint32_t>(parsed_.xml_attributes.size());
  parsed_.xml_elements.push_back(element);
}

void Reader::End() {
  XmlElement& element = parsed_.xml_elements[innermost_];
  element.text = TextFrom(element.end);
  element.end = static_cast<uint32_t>(parsed_.xml_elements.size());
  innermost_ = element.parent;
  --depth_;
}

void Reader::Text(std::string_view text) {
  if (parsed_.error || depth_ == 0) return;
  if (text_size_ + text.size() > text_capacity_) {
    text_capacity_ = std::max<size_t>(2 * text_capacity_, text_size_ + text.size() + 256);
    char* const grown = arena_.Allocate(text_capacity_);
    if (text_size_ > 0) std::memcpy(grown, text_, text_size_);
    text_ = grown;
  }
  std::memcpy(text_ + text_size_, text.data(), text.size());
  text_size_ += text.size();
  parsed_.xml_elements[innermost_].has_text = true;
}

void Reader::Stop(std::string_view text) {
  parsed_.error = true;
  parsed_.error_text = text;
  XML_StopParser(parser_, XML_FALSE);
}

}  // namespace

void XmlParserDeleter::operator()(XML_ParserStruct* parser) const { XML_ParserFree(parser); }

void ParseXml(std::string_view body, const BodyLimits& limits, TextArena& arena,
              ParsedBody& parsed) {
  if (parsed.xml_parser == nullptr) {
    parsed.xml_parser.reset(XML_ParserCreate(nullptr));
    CHECK(parsed.xml_parser != nullptr);  // no memory
  } else {
    CHECK_EQ(XML_ParserReset(parsed.xml_parser.get(), nullptr), XML_TRUE);
  }
  Reader(limits, arena, parsed).Read(body.substr(0, kBodyBytesMax));
}

}  // namespace edge::waf
