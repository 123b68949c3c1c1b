#include "proxy/waf/engine/request_body.h"

#include "proxy/waf/engine/kept_memory.h"

namespace edge::waf {
namespace {

// Documents with more elements are rare, and 100 KiB of "<a>" has thirty times as many.
constexpr size_t kKeptElements = 1000;

}  // namespace

void ParsedBody::Clear() {
  // What the parser keeps grows with the document, too.
  if (xml_elements.capacity() > kKeptElements) xml_parser.reset();
  Empty(arguments);
  Empty(files);
  Empty(part_headers);
  Empty(xml_text);
  Empty(xml_attributes);
  Empty(xml_attribute_names);
  Empty(xml_elements);
  multipart = {};
  multipart_name = {};
  multipart_filename = {};
  url_encoding_error = false;
  error = false;
  error_text = {};
  ends_early = false;
  arguments_limit_exceeded = false;
  files_bytes = 0;
  no_files_bytes = 0;
}

}  // namespace edge::waf
