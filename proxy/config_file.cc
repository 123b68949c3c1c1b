#include "proxy/config_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "yaml-cpp/yaml.h"

namespace edge::proxy {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

absl::Status Mistake(const std::string& path, int line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", what));
}

}  // namespace

absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: cannot open '", path, "': ", std::strerror(errno)));
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("--config: '", path, "' is larger than 1 MiB"));
  }

  std::vector<ConfigEntry> entries;
  std::set<std::string> keys;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return entries;
    if (!root.IsMap()) return Mistake(path, root.Mark().line + 1, "expected a mapping of settings");
    for (const auto& pair : root) {
      ConfigEntry entry;
      entry.line = pair.first.Mark().line + 1;
      if (!pair.first.IsScalar()) return Mistake(path, entry.line, "expected a name as key");
      entry.key = pair.first.Scalar();
      if (!keys.insert(entry.key).second) {
        return Mistake(path, entry.line, absl::StrCat(entry.key, ": found twice, expected once"));
      }
      if (pair.second.IsScalar()) {
        entry.value = pair.second.Scalar();
      } else if (pair.second.IsSequence()) {
        std::vector<std::string> items;
        for (const YAML::Node& item : pair.second) {
          if (!item.IsScalar()) {
            return Mistake(path, item.Mark().line + 1,
                           absl::StrCat(entry.key, ": expected a list of plain values"));
          }
          items.push_back(item.Scalar());
        }
        entry.value = absl::StrJoin(items, ",");
      } else if (!pair.second.IsNull()) {
        return Mistake(path, entry.line,
                       absl::StrCat(entry.key, ": found a mapping, expected a value or a list"));
      }
      entries.push_back(std::move(entry));
    }
  } catch (const YAML::Exception& exception) {
    return Mistake(path, exception.mark.line + 1,
                   absl::StrCat("not YAML: ", absl::StrReplaceAll(exception.msg, {{"\n", " "}})));
  }
  return entries;
}

}  // namespace edge::proxy
