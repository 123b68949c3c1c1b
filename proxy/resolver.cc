#include "proxy/resolver.h"

#include <ares.h>
#include <poll.h>

#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/address.h"

namespace edge::proxy {
namespace {

struct Answer {
  bool done = false;
  int status = ARES_ENOTINITIALIZED;
  std::vector<uring::SocketAddress> addresses;
};

void OnAnswer(void* argument, int status, int /*timeouts*/, ares_addrinfo* result) {
  auto& answer = *static_cast<Answer*>(argument);
  answer.done = true;
  answer.status = status;
  if (result == nullptr) return;
  for (const ares_addrinfo_node* node = result->nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_addrlen > sizeof(sockaddr_storage)) continue;
    uring::SocketAddress address;
    std::memcpy(&address.storage, node->ai_addr, node->ai_addrlen);
    address.length = node->ai_addrlen;
    answer.addresses.push_back(address);
  }
  ares_freeaddrinfo(result);
}

}  // namespace

absl::StatusOr<std::vector<uring::SocketAddress>> Resolve(const std::string& host, uint16_t port,
                                                          absl::Duration timeout) {
  if (const auto address = ParseAddress(host, port); address.has_value()) {
    return std::vector<uring::SocketAddress>{*address};
  }
  const auto error = [&](std::string_view why) {
    return absl::UnavailableError(absl::StrCat("the name '", host, "' has no address: ", why));
  };
  if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) return error("c-ares does not start");
  const absl::Cleanup library = [] { ares_library_cleanup(); };
  ares_channel_t* channel = nullptr;
  if (const int status = ares_init(&channel); status != ARES_SUCCESS) {
    return error(ares_strerror(status));
  }
  const absl::Cleanup destroy = [channel] { ares_destroy(channel); };

  Answer answer;
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  ares_getaddrinfo(channel, host.c_str(), std::to_string(port).c_str(), &hints, OnAnswer, &answer);
  const absl::Time deadline = absl::Now() + timeout;
  while (!answer.done) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    const int bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    pollfd polled[ARES_GETSOCK_MAXNUM];
    nfds_t count = 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      short events = 0;
      if (ARES_GETSOCK_READABLE(bits, i)) events |= POLLIN;
      if (ARES_GETSOCK_WRITABLE(bits, i)) events |= POLLOUT;
      if (events != 0) polled[count++] = {.fd = sockets[i], .events = events, .revents = 0};
    }
    if (absl::Now() >= deadline) return error("no answer in time");
    poll(polled, count, 50);
    for (nfds_t i = 0; i < count; ++i) {
      const int fd = polled[i].fd;
      ares_process_fd(channel, (polled[i].revents & ~POLLOUT) != 0 ? fd : ARES_SOCKET_BAD,
                      (polled[i].revents & POLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
    }
    if (count == 0) ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
  if (answer.addresses.empty()) return error(ares_strerror(answer.status));
  return answer.addresses;
}

}  // namespace edge::proxy
