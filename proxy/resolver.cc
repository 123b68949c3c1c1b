#include "proxy/resolver.h"

#include <ares.h>
#include <poll.h>

#include <cstring>
#include <map>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/address.h"

namespace edge::proxy {
namespace {

struct Answer {
  std::map<ares_socket_t, short> waiting;  // the events that c-ares waits for
  bool done = false;
  int status = ARES_ENOTINITIALIZED;
  std::vector<uring::SocketAddress> addresses;
};

void OnSocketState(void* argument, ares_socket_t socket, int readable, int writable) {
  auto& answer = *static_cast<Answer*>(argument);
  const short events =
      static_cast<short>((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0));
  if (events == 0) {
    answer.waiting.erase(socket);
  } else {
    answer.waiting[socket] = events;
  }
}

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
  Answer answer;
  ares_options options{};
  options.sock_state_cb = OnSocketState;
  options.sock_state_cb_data = &answer;
  ares_channel_t* channel = nullptr;
  if (const int status = ares_init_options(&channel, &options, ARES_OPT_SOCK_STATE_CB);
      status != ARES_SUCCESS) {
    return error(ares_strerror(status));
  }
  const absl::Cleanup destroy = [channel] { ares_destroy(channel); };

  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  ares_getaddrinfo(channel, host.c_str(), std::to_string(port).c_str(), &hints, OnAnswer, &answer);
  const absl::Time deadline = absl::Now() + timeout;
  while (!answer.done) {
    if (absl::Now() >= deadline) return error("no answer in time");
    std::vector<pollfd> polled;
    polled.reserve(answer.waiting.size());
    for (const auto& [socket, events] : answer.waiting) {
      polled.push_back({.fd = socket, .events = events, .revents = 0});
    }
    poll(polled.data(), polled.size(), 50);
    for (const pollfd& ready : polled) {
      const bool readable = (ready.revents & ~POLLOUT) != 0;
      const bool writable = (ready.revents & POLLOUT) != 0;
      ares_process_fd(channel, readable ? ready.fd : ARES_SOCKET_BAD,
                      writable ? ready.fd : ARES_SOCKET_BAD);
    }
    if (polled.empty()) ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
  if (answer.addresses.empty()) return error(ares_strerror(answer.status));
  return answer.addresses;
}

}  // namespace edge::proxy
