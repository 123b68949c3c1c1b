// The command line and the configuration file: one table of settings, read by both.
//
// Not absl::flags: its parser ends the process by itself with a status of its own, and cannot read
// the same settings from YAML.

#pragma once

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/config.h"

namespace edge::proxy {

// What the command line asks for.
struct CommandLine {
  enum class Action { kRun, kHelp, kVersion };
  Action action = Action::kRun;
  Config config;
};

// Reads `arguments` (without the program's name) and the file that --config names. A flag given
// overrides the file's key. Relative paths are resolved against `base_directory` unless it is
// empty. Any mistake is InvalidArgument with one line: the flag or file, line and key, what was
// found, what was expected.
absl::StatusOr<CommandLine> ParseCommandLine(std::span<const char* const> arguments,
                                             const std::string& base_directory);

// The text of --help: every setting with its default and meaning.
std::string HelpText();

}  // namespace edge::proxy
