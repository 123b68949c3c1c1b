// edge: an HTTP edge proxy on io_uring. See README.md.

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "absl/log/globals.h"
#include "absl/log/initialize.h"
#include "proxy/explain.h"
#include "proxy/flags.h"
#include "proxy/server.h"

namespace edge::proxy {
namespace {

constexpr int kExitRunTime = 1;  // bind failed, a name has no address, ...
constexpr int kExitMistake = 2;  // in flags or configuration, or an unusable kernel

int ExitStatus(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ? kExitRunTime
                                                                          : kExitMistake;
}

int Fail(const absl::Status& status, int exit_status) {
  std::fprintf(stderr, "edge: %s\n", std::string(status.message()).c_str());
  return exit_status;
}

int Main(std::span<const char* const> arguments) {
  // bazel run changes the working directory.
  const char* base_directory = std::getenv("BUILD_WORKING_DIRECTORY");
  absl::StatusOr<CommandLine> command_line =
      ParseCommandLine(arguments, base_directory == nullptr ? "" : base_directory);
  if (!command_line.ok()) return Fail(command_line.status(), kExitMistake);
  switch (command_line->action) {
    case CommandLine::Action::kHelp:
      std::fputs(HelpText().c_str(), stdout);
      return 0;
    case CommandLine::Action::kVersion:
      std::puts("edge 0.1.0");
      return 0;
    case CommandLine::Action::kRun:
      break;
  }
  if (command_line->config.explain) {
    const absl::StatusOr<int> exit_status = RunExplain(command_line->config);
    return exit_status.ok() ? *exit_status : Fail(exit_status.status(), kExitMistake);
  }
  const bool check = command_line->config.check;
  Server server(std::move(command_line->config));
  if (absl::Status status = server.Prepare(); !status.ok()) {
    return Fail(status, check && absl::IsUnavailable(status) ? kExitRunTime : ExitStatus(status));
  }
  if (check) {
    std::fputs(server.Report().c_str(), stdout);
    return 0;
  }
  if (absl::Status status = server.Run(); !status.ok()) return Fail(status, ExitStatus(status));
  return 0;
}

}  // namespace
}  // namespace edge::proxy

int main(int argc, char** argv) {
  absl::InitializeLog();
  absl::SetStderrThreshold(absl::LogSeverityAtLeast::kInfo);
  return edge::proxy::Main(std::span<const char* const>(argv + 1, static_cast<size_t>(argc - 1)));
}
