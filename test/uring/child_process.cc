#include "test/uring/child_process.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace edge::uring {

std::string RunInChild(const std::function<std::string()>& function) {
  int ends[2];
  if (pipe(ends) != 0) return "<no pipe>";
  const pid_t child = fork();
  if (child < 0) return "<no fork>";
  if (child == 0) {
    const std::string result = function();
    const bool written =
        write(ends[1], result.data(), result.size()) == static_cast<ssize_t>(result.size());
    _exit(written && !testing::Test::HasFailure() ? 0 : 1);
  }
  close(ends[1]);
  std::string result;
  char buffer[4096];
  for (ssize_t bytes = 0; (bytes = read(ends[0], buffer, sizeof buffer)) > 0;) {
    result.append(buffer, static_cast<size_t>(bytes));
  }
  close(ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) result += "<child failed>";
  return result;
}

bool RefuseSystemCalls(const std::vector<int>& calls, int error, int argument1) {
  std::vector<sock_filter> filter;
  const auto load = [&](size_t offset) {
    filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  };
  const uint32_t refuse = SECCOMP_RET_ERRNO | static_cast<uint32_t>(error);
  for (const int call : calls) {
    load(offsetof(seccomp_data, nr));
    if (argument1 < 0) {
      filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    } else {
      filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 3));
      load(offsetof(seccomp_data, args) + sizeof(uint64_t));  // its low half: little endian
      filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(argument1), 0, 1));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, refuse));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace edge::uring
