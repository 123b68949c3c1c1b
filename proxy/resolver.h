// Names to addresses, by c-ares: a static binary cannot use the system's getaddrinfo, which loads
// modules.
//
// Blocking, for the start only.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "uring/io.h"

namespace edge::proxy {

// All addresses of `host` (a name, or an address), each with `port`. Asks /etc/hosts and the name
// servers of /etc/resolv.conf. Unavailable says what went wrong.
absl::StatusOr<std::vector<uring::SocketAddress>> Resolve(const std::string& host, uint16_t port,
                                                          absl::Duration timeout);

}  // namespace edge::proxy
