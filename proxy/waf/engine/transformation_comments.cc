// Transformations of comments of C, HTML and SQL. Two of them have oddities of libmodsecurity that
// rules were written against; each is said where it is.

#include "proxy/waf/engine/transformation_internal.h"

namespace edge::waf::transformation {
namespace {

constexpr std::string_view kHtmlBegin = "<!--";
constexpr std::string_view kHtmlEnd = "-->";

// The first byte with which a comment may begin or end, and which has a successor that fits.
size_t FindComment(std::string_view in) {
  if (in.empty()) return 0;
  const char* bytes = in.data();
  const size_t last = in.size() - 1;
  const size_t found = FindPosition(last, [bytes](size_t i) {
    const char c = bytes[i];
    const char next = bytes[i + 1];
    return ((c == '/') & (next == '*')) | ((c == '*') & (next == '/')) |
           ((c == '<') & (next == '!')) | ((c == '-') & (next == '-')) | (c == '#');
  });
  return found == last && bytes[last] != '#' ? in.size() : found;
}

}  // namespace

bool RemoveComments(std::string_view in, std::string& out) {
  const size_t prefix = FindComment(in);
  if (prefix == in.size()) return false;
  Writer writer(out, in, prefix, in.size());
  bool in_comment = false;
  size_t i = prefix;
  while (i < in.size()) {
    const std::string_view rest = in.substr(i);
    if (!in_comment) {
      if (rest.starts_with("/*")) {
        in_comment = true;
        i += 2;
      } else if (rest.starts_with(kHtmlBegin)) {
        in_comment = true;
        i += kHtmlBegin.size();
      } else if (rest.starts_with("--") || rest.front() == '#') {
        break;  // the rest is a comment
      } else {
        writer.Put(rest.front());
        ++i;
      }
      continue;
    }
    const size_t end_bytes = rest.starts_with("*/") ? 2 : rest.starts_with(kHtmlEnd) ? 3 : 0;
    if (end_bytes == 0) {
      ++i;
      continue;
    }
    in_comment = false;
    i += end_bytes;
    // What follows is copied without a look, even if it begins a comment; at the end it is a NUL.
    writer.Put(i < in.size() ? in[i] : '\0');
    ++i;
  }
  if (in_comment) writer.Put(' ');
  writer.Finish();
  return out != in;
}

bool RemoveCommentsChar(std::string_view in, std::string& out) {
  const size_t prefix = FindComment(in);
  if (prefix == in.size()) return false;
  Writer writer(out, in, prefix, in.size());
  size_t i = prefix;
  while (i < in.size()) {
    const std::string_view rest = in.substr(i);
    if (rest.starts_with("/*") || rest.starts_with("*/")) {
      i += 2;
    } else if (rest.starts_with(kHtmlBegin)) {
      i += kHtmlBegin.size();
    } else if (rest.starts_with(kHtmlEnd)) {
      i += kHtmlEnd.size();
    } else if (rest.starts_with("--")) {
      i += 2;
    } else if (rest.front() == '#') {
      i += 1;
    } else {
      writer.Put(rest.front());
      ++i;
    }
  }
  writer.Finish();
  return out.size() != in.size();
}

bool ReplaceComments(std::string_view in, std::string& out) {
  const size_t prefix = in.find("/*");
  if (prefix == in.npos) return false;
  Writer writer(out, in, prefix, in.size());
  size_t i = prefix;
  while (i < in.size()) {
    if (!in.substr(i).starts_with("/*")) {
      writer.Put(in[i++]);
      continue;
    }
    // One space for a comment, whether it ends or not.
    const size_t end = in.find("*/", i + 2);
    writer.Put(' ');
    i = end == in.npos ? in.size() : end + 2;
  }
  writer.Finish();
  return true;
}

}  // namespace edge::waf::transformation
