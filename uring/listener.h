// Listening sockets: one for each worker on the same address, between which the kernel spreads
// connections (SO_REUSEPORT, socket(7)). Made before the workers start, so that a bind error is one
// error of the start, and privileged ports need no privilege later.

#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "uring/io.h"

namespace edge::uring {

// Makes `count` sockets that listen on `address`; with port 0 the kernel chooses one port for all
// of them. IPv6 sockets take IPv4 as well if `dual_stack`. They are blocking and have TCP_NODELAY,
// which accepted sockets inherit. Errors: Unavailable with the system's reason (address in use, no
// permission, ...).
absl::StatusOr<std::vector<int>> ListenShared(const SocketAddress& address, bool dual_stack,
                                              int count);

// The address a socket is bound to.
absl::StatusOr<SocketAddress> LocalAddress(int fd);

// Whether IPv6 sockets can be made here.
bool HaveIpv6();

}  // namespace edge::uring
