// Reads the small text files in which the kernel describes itself, below a root that tests replace.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace edge::uring {

// More than the longest of them: /proc/self/mountinfo of a machine with thousands of mounts.
inline constexpr size_t kSystemFileBytesMax = 4 << 20;

// The content of `path` ("proc/self/status") below `root`, without blanks and newlines at its end.
// nullopt if it does not exist, cannot be read or is too long: what it would have said is then
// unknown.
std::optional<std::string> ReadSystemFile(std::string_view root, std::string_view path);

// Where ReadSystemFile looks, for messages.
std::string SystemFilePath(std::string_view root, std::string_view path);

}  // namespace edge::uring
