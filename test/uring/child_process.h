// Runs a function in a child process, where it may limit itself for good: by a seccomp filter that
// answers a system call with an error, by resource limits, by giving up privileges.

#pragma once

#include <functional>
#include <string>
#include <vector>

namespace edge::uring {

// Returns what `function` returned in the child; a note in angle brackets if the child died
// instead. Only for tests without other threads.
std::string RunInChild(const std::function<std::string()>& function);

// From now on these system calls answer with `error`, in this process and its children. If
// `argument1` is not negative, only calls whose second argument it is. False if that cannot be had
// here.
bool RefuseSystemCalls(const std::vector<int>& calls, int error, int argument1 = -1);

}  // namespace edge::uring
