// Puts the calling thread in its place: its CPU, the memory that it touches first, its name.
//
// A worker pins itself first, sets the memory policy second, and only then creates and touches its
// ring, buffers and slabs: memory comes from the node of the thread that touches it.

#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace edge::uring {

// Errors: InvalidArgument for a CPU that does not exist or is forbidden to us.
absl::Status PinThisThread(int cpu);

// Memory this thread touches first comes from `node` while it has some, and from the nearest one
// after that. Returns what is in force, for the log: a kernel without NUMA (ENOSYS) and a seccomp
// profile that forbids the call (EPERM: Docker's does) leave the default, which is the node of the
// CPU, and are no errors. set_mempolicy(2) is called directly, so libnuma is not needed.
absl::StatusOr<std::string> SetLocalMemoryPolicy(int node);

// At most 15 bytes are kept (pthread_setname_np(3)).
void NameThisThread(std::string_view name);

}  // namespace edge::uring
