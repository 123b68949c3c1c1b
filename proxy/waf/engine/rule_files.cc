#include "proxy/waf/engine/rule_files.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace edge::waf {
namespace {

absl::Status FileError(std::string_view path, int error) {
  return absl::NotFoundError(absl::StrCat("'", path, "': ", std::strerror(error)));
}

}  // namespace

std::string BesideFile(std::string_view path, std::string_view file) {
  const size_t slash = file.rfind('/');
  if (absl::StartsWith(path, "/") || slash == file.npos) return std::string(path);
  return absl::StrCat(file.substr(0, slash + 1), path);
}

absl::StatusOr<std::vector<std::string>> FindRuleFiles(const std::string& pattern) {
  // A file whose name has brackets is no glob.
  struct stat attributes;
  if (stat(pattern.c_str(), &attributes) == 0) return std::vector<std::string>{pattern};
  const int error = errno;
  if (pattern.find_first_of("*?[") == pattern.npos) return FileError(pattern, error);

  glob_t found = {};
  const absl::Cleanup free_found = [&] { globfree(&found); };
  const int status = glob(pattern.c_str(), GLOB_ERR | GLOB_NOSORT, nullptr, &found);
  if (status == GLOB_NOMATCH) {
    return absl::NotFoundError(absl::StrCat("'", pattern, "': matches no file"));
  }
  if (status != 0) return FileError(pattern, status == GLOB_NOSPACE ? ENOMEM : errno);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  // Not by glob(): its order is that of the locale.
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::StatusOr<std::string> ReadRuleFile(const std::string& path) {
  // Non-blocking, so that opening a pipe does not wait for its other end.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return FileError(path, errno);
  const absl::Cleanup close_file = [&] { close(file); };
  struct stat attributes;
  if (fstat(file, &attributes) != 0) return FileError(path, errno);
  if (!S_ISREG(attributes.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "': not a regular file"));
  }
  std::string text;
  while (text.size() <= kRuleFileBytesMax) {
    constexpr size_t kStep = 64 << 10;
    const size_t size = text.size();
    text.resize(size + kStep);
    const ssize_t bytes = read(file, text.data() + size, kStep);
    if (bytes < 0 && errno != EINTR) return FileError(path, errno);
    text.resize(size + static_cast<size_t>(std::max<ssize_t>(bytes, 0)));
    if (bytes == 0) return text;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", path, "': a file of more than ", kRuleFileBytesMax >> 20, " MiB"));
}

}  // namespace edge::waf
