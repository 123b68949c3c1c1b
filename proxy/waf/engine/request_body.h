// The bodies of requests as named arguments: urlencoded forms, multipart/form-data, JSON, XML, and
// what is wrong with them, as libmodsecurity 3.0.14 sees it (the MULTIPART_* variables of its
// reference manual).
//
// Everything has a limit. Each parser reads a body that is whole, or cut at the limit of what is
// inspected. Views point into the body, or into the arena of the result. One thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/url_encoded.h"

struct XML_ParserStruct;  // expat's

namespace edge::waf {

struct FilePart {
  std::string_view name;      // FILES_NAMES: of the form's field
  std::string_view filename;  // FILES
  std::string_view content;   // FILES_SIZES, FILES_TMP_CONTENT
};

struct PartHeader {
  std::string_view part;  // name of the field
  std::string_view line;  // "Name: value"
};

struct BodyLimits {
  size_t arguments_max = 1000;  // SecArgumentsLimit
  size_t depth_max = 512;       // SecRequestBodyJsonDepthLimit; also of XML
  size_t parts_max = 1000;
  // SecUploadFileLimit, which libmodsecurity has only where files are kept. More set
  // MULTIPART_FILE_LIMIT_EXCEEDED and are still inspected.
  size_t files_max = SIZE_MAX;
};

// The MULTIPART_* variables, each 0 or 1 but for the one that says otherwise.
struct MultipartFlags {
  bool strict_error = false;
  // Of MULTIPART_UNMATCHED_BOUNDARY: 0 none; 1 the last line that looks like a boundary is not
  // ours; 2 it is. Rules ask for "@eq 1".
  uint8_t unmatched_boundary = 0;
  bool boundary_quoted = false;
  bool boundary_whitespace = false;
  bool data_before = false;
  bool data_after = false;
  bool header_folding = false;
  bool lf_line = false;
  bool crlf_lf_lines = false;
  bool missing_semicolon = false;
  bool invalid_quoting = false;
  bool invalid_part = false;
  bool invalid_header_folding = false;
  bool file_limit_exceeded = false;
};

// An element of an XML document. They are in the order of their start tags, so that what is inside
// of one is the elements behind it up to `end`.
struct XmlElement {
  std::string_view name;    // with its prefix
  std::string_view prefix;  // of `name`, may be empty
  // All text inside of it, also that of elements in it.
  std::string_view text;
  bool has_text = false;  // of its own
  uint32_t parent = 0;    // in xml_elements; the root's is the root
  uint32_t end = 0;
  uint32_t attributes_begin = 0;
  uint32_t attributes_end = 0;  // in xml_attributes
};

struct XmlParserDeleter {
  void operator()(XML_ParserStruct* parser) const;
};

struct ParsedBody {
  // ARGS_POST; but JSON's, which have names like json.a.b, are in ARGS only.
  std::vector<Argument> arguments;
  std::vector<FilePart> files;
  std::vector<PartHeader> part_headers;          // MULTIPART_PART_HEADERS
  std::vector<std::string_view> xml_text;        // XML:/*
  std::vector<std::string_view> xml_attributes;  // XML://@*
  std::vector<std::string_view> xml_attribute_names;
  std::vector<XmlElement> xml_elements;
  MultipartFlags multipart;
  std::string_view multipart_name;      // MULTIPART_NAME: of the last part
  std::string_view multipart_filename;  // MULTIPART_FILENAME
  bool url_encoding_error = false;      // URLENCODED_ERROR
  bool error = false;                   // REQBODY_ERROR
  std::string_view error_text;  // REQBODY_ERROR_MSG behind "JSON parsing error: " and the like
  // There is an error because the body ends too early, and no other. No mistake of the client if
  // the body was cut.
  bool ends_early = false;
  bool arguments_limit_exceeded = false;
  size_t files_bytes = 0;     // FILES_COMBINED_SIZE
  size_t no_files_bytes = 0;  // what SecRequestBodyNoFilesLimit limits of multipart

  // Its memory is used again for the next document.
  std::unique_ptr<XML_ParserStruct, XmlParserDeleter> xml_parser;

  void Clear();
};

// Each appends to `parsed` (which was cleared) what it finds.
void ParseUrlEncoded(std::string_view body, char separator, const BodyLimits& limits,
                     TextArena& arena, ParsedBody& parsed);
void ParseMultipart(std::string_view content_type, std::string_view body, const BodyLimits& limits,
                    TextArena& arena, ParsedBody& parsed);
void ParseJson(std::string_view body, const BodyLimits& limits, TextArena& arena,
               ParsedBody& parsed);
void ParseXml(std::string_view body, const BodyLimits& limits, TextArena& arena,
              ParsedBody& parsed);

}  // namespace edge::waf
