#include "uring/listener.h"

#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace edge::uring {
namespace {

// The kernel lowers it to net.core.somaxconn.
constexpr int kBacklog = 65535;

absl::StatusOr<int> ListenOnce(const SocketAddress& address, bool dual_stack, bool shared) {
  const int family = address.storage.ss_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto fail = [fd](const char* call) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::UnavailableError(absl::StrCat(call, ": ", std::strerror(error)));
  };
  if (fd < 0) return fail("socket");
  const int on = 1;
  const int v6_only = dual_stack ? 0 : 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return fail("SO_REUSEADDR");
  if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) {
    return fail("SO_REUSEPORT");
  }
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return fail("TCP_NODELAY");
  if (family == AF_INET6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) < 0) {
    return fail("IPV6_V6ONLY");
  }
  if (bind(fd, address.get(), address.length) < 0) return fail("bind");
  if (listen(fd, kBacklog) < 0) return fail("listen");
  return fd;
}

}  // namespace

absl::StatusOr<std::vector<int>> ListenShared(const SocketAddress& address, bool dual_stack,
                                              int count) {
  // SO_REUSEPORT would also share the address with another process of this user, which nobody asked
  // for. Without it the same bind tells.
  absl::StatusOr<int> probe = ListenOnce(address, dual_stack, /*shared=*/false);
  if (!probe.ok()) return probe.status();
  close(*probe);

  std::vector<int> fds;
  SocketAddress bound = address;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<int> fd = ListenOnce(bound, dual_stack, /*shared=*/true);
    if (fd.ok()) fds.push_back(*fd);
    absl::Status status = fd.status();
    if (status.ok() && i == 0) {
      absl::StatusOr<SocketAddress> local = LocalAddress(*fd);
      status = local.status();
      if (local.ok()) bound = *local;
    }
    if (!status.ok()) {
      for (const int open : fds) close(open);
      return status;
    }
  }
  return fds;
}

absl::StatusOr<SocketAddress> LocalAddress(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) < 0) {
    return absl::UnavailableError(absl::StrCat("getsockname: ", std::strerror(errno)));
  }
  return address;
}

bool HaveIpv6() {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  const bool usable = bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0;
  close(fd);
  return usable;
}

}  // namespace edge::uring
