#include "uring/system_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace edge::uring {

std::string SystemFilePath(std::string_view root, std::string_view path) {
  return absl::StrCat(absl::StripSuffix(root, "/"), "/", absl::StripPrefix(path, "/"));
}

std::optional<std::string> ReadSystemFile(std::string_view root, std::string_view path) {
  const int fd = open(SystemFilePath(root, path).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string content;
  char buffer[4096];
  ssize_t bytes = 0;
  while (content.size() <= kSystemFileBytesMax) {
    bytes = read(fd, buffer, sizeof buffer);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) break;
    content.append(buffer, static_cast<size_t>(bytes));
  }
  close(fd);
  if (bytes != 0) return std::nullopt;
  absl::StripTrailingAsciiWhitespace(&content);
  return content;
}

}  // namespace edge::uring
