// Prints YAML files as one JSON array on standard output, each as {"path": ..., "document": ...},
// for test programs in Python, whose standard library reads no YAML.
//
// Every scalar becomes a string as it is written (0x10 stays that), null becomes null. A file that
// is no YAML ends it with status 1 and a line.

#include <cstdio>
#include <string>
#include <string_view>

#include "yaml-cpp/yaml.h"

namespace {

void AppendString(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < ' ') {
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned char>(c));
      out.append(escaped);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void AppendNode(const YAML::Node& node, std::string& out) {
  const char* separator = "";
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      out.append("null");
      return;
    case YAML::NodeType::Scalar:
      AppendString(node.Scalar(), out);
      return;
    case YAML::NodeType::Sequence:
      out.push_back('[');
      for (const YAML::Node& element : node) {
        out.append(separator);
        AppendNode(element, out);
        separator = ",";
      }
      out.push_back(']');
      return;
    case YAML::NodeType::Map:
      out.push_back('{');
      for (const auto& member : node) {
        out.append(separator);
        AppendString(member.first.Scalar(), out);
        out.push_back(':');
        AppendNode(member.second, out);
        separator = ",";
      }
      out.push_back('}');
      return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string out = "[";
  for (int i = 1; i < argc; ++i) {
    try {
      const YAML::Node document = YAML::LoadFile(argv[i]);
      out.append(i == 1 ? "{\"path\":" : ",\n{\"path\":");
      AppendString(argv[i], out);
      out.append(",\"document\":");
      AppendNode(document, out);
      out.push_back('}');
    } catch (const YAML::Exception& error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.what());
      return 1;
    }
  }
  out.append("]\n");
  return std::fwrite(out.data(), 1, out.size(), stdout) == out.size() ? 0 : 1;
}
