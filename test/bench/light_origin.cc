// light_origin: the cheapest HTTP/1.1 origin that tools/bench can put behind every proxy it
// compares.
//
// The load generator and the origin share one core and must outrun a proxy that has another to
// itself, so this one does almost nothing a request: one epoll loop, one thread, a response that
// was built beforehand, bodies over 16 KiB by sendfile from memory. It trusts its input (proxies
// under test, on loopback) and is of no other use.
//
//   light_origin       prints "light_origin: listening on 127.0.0.1:PORT" and serves until SIGTERM
//   GET /bytes/N       N bytes, at most kBodyBytesMax; so does POST, once its body is here
//   GET /requests      how many requests for /bytes/ were answered so far, as text
//
// Requests come one at a time on a connection, which is how a proxy sends them to an origin. A body
// has a Content-Length, and is dropped in the kernel (MSG_TRUNC).

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edge::bench {
namespace {

constexpr size_t kHeadBytesMax = 16 << 10;
constexpr size_t kBodyBytesMax = 64 << 20;
// Up to here head and body leave in one send of one prepared string.
constexpr size_t kPreparedBodyBytesMax = 16 << 10;
constexpr int kEventsMax = 256;
constexpr std::string_view kBytesTarget = "GET /bytes/";
constexpr std::string_view kPostTarget = "POST /bytes/";
constexpr std::string_view kCountTarget = "GET /requests ";

struct Connection {
  int fd;
  bool waits_to_send = false;
  std::string input;  // the beginning of a head, if it came in pieces; or all of a head before
                      // a body
  size_t dropped_left = 0;  // of the body of the request in `input`
  std::string_view head;    // what is left to send of the prepared part (not owned)
  std::string own_head;     // backs `head` when the response is not a prepared one
  off_t body_offset = 0;    // next byte of the body to send by sendfile
  off_t body_end = 0;
};

// 0: there is none.
size_t ContentLength(std::string_view head) {
  // Proxies write the name as it came, and with capitals or without.
  constexpr std::string_view kNames[] = {"\r\nContent-Length: ", "\r\ncontent-length: "};
  size_t length = 0;
  for (const std::string_view name : kNames) {
    const size_t at = head.find(name);
    if (at == head.npos) continue;
    std::from_chars(head.data() + at + name.size(), head.data() + head.size(), length);
  }
  return length;
}

class Origin {
 public:
  bool Start();
  void Run();

 private:
  struct Prepared {
    std::string bytes;
    size_t sent_by_file = 0;
  };

  void Accept();
  void OnReadable(Connection* connection);
  void OnBody(Connection* connection);
  void AnswerInput(Connection* connection);
  void Answer(Connection* connection, std::string_view request);
  void Send(Connection* connection);
  void Watch(Connection* connection, bool send);
  void Close(Connection* connection);
  const Prepared& Prepare(size_t body_bytes);

  int epoll_ = -1;
  int listener_ = -1;
  int body_file_ = -1;
  uint64_t requests_ = 0;
  std::map<size_t, Prepared> prepared_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
};

bool Origin::Start() {
  epoll_ = epoll_create1(0);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  body_file_ = memfd_create("body", 0);
  const std::string block(1 << 20, 'x');
  for (size_t written = 0; written < kBodyBytesMax; written += block.size()) {
    if (write(body_file_, block.data(), block.size()) != static_cast<ssize_t>(block.size()))
      return false;
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener_, 4096) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return false;
  }
  epoll_event event = {.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) return false;
  std::printf("light_origin: listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return true;
}

void Origin::Run() {
  epoll_event events[kEventsMax];
  while (true) {
    const int count = epoll_wait(epoll_, events, kEventsMax, -1);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (connection == nullptr) {
        Accept();
      } else if (connection->waits_to_send) {
        Send(connection);
      } else {
        OnReadable(connection);
      }
    }
  }
}

void Origin::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connections_.size() <= static_cast<size_t>(fd)) connections_.resize(fd + 1);
    connections_[fd] = std::make_unique<Connection>();
    connections_[fd]->fd = fd;
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = connections_[fd].get()}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
}

void Origin::OnReadable(Connection* connection) {
  if (connection->dropped_left > 0) return OnBody(connection);
  char buffer[kHeadBytesMax];
  const ssize_t received = recv(connection->fd, buffer, sizeof(buffer), 0);
  if (received <= 0) {
    if (received == 0 || (errno != EAGAIN && errno != EINTR)) Close(connection);
    return;
  }
  const std::string_view bytes(buffer, received);
  if (connection->input.empty() && bytes.ends_with("\r\n\r\n") && bytes.starts_with("GET ")) {
    return Answer(connection, bytes);
  }
  connection->input.append(bytes);
  const size_t head_end = connection->input.find("\r\n\r\n");
  if (head_end == std::string::npos) {
    if (connection->input.size() > kHeadBytesMax) return Close(connection);
    return;
  }
  const size_t head_bytes = head_end + 4;
  const size_t body_bytes =
      ContentLength(std::string_view(connection->input).substr(0, head_bytes));
  const size_t body_here = connection->input.size() - head_bytes;
  if (body_here > body_bytes) return Close(connection);
  connection->input.resize(head_bytes);
  connection->dropped_left = body_bytes - body_here;
  if (connection->dropped_left > 0) return OnBody(connection);
  return AnswerInput(connection);
}

void Origin::OnBody(Connection* connection) {
  // What TCP drops it does not copy: there is no buffer.
  const ssize_t dropped = recv(connection->fd, nullptr, connection->dropped_left, MSG_TRUNC);
  if (dropped <= 0) {
    if (dropped == 0 || (errno != EAGAIN && errno != EINTR)) Close(connection);
    return;
  }
  connection->dropped_left -= dropped;
  if (connection->dropped_left == 0) return AnswerInput(connection);
}

void Origin::AnswerInput(Connection* connection) {
  const std::string request = std::exchange(connection->input, {});
  Answer(connection, request);
}

void Origin::Answer(Connection* connection, std::string_view request) {
  const std::string_view target = request.starts_with(kPostTarget) ? kPostTarget : kBytesTarget;
  if (request.starts_with(target)) {
    size_t body_bytes = 0;
    const char* digits = request.data() + target.size();
    std::from_chars(digits, request.data() + request.size(), body_bytes);
    if (body_bytes > kBodyBytesMax) return Close(connection);
    const Prepared& prepared = Prepare(body_bytes);
    connection->head = prepared.bytes;
    connection->body_offset = 0;
    connection->body_end = static_cast<off_t>(prepared.sent_by_file);
    ++requests_;
  } else if (request.starts_with(kCountTarget)) {
    const std::string count = std::to_string(requests_);
    connection->own_head =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(count.size()) + "\r\n\r\n" + count;
    connection->head = connection->own_head;
    connection->body_end = connection->body_offset = 0;
  } else {
    return Close(connection);
  }
  Send(connection);
}

const Origin::Prepared& Origin::Prepare(size_t body_bytes) {
  const auto found = prepared_.find(body_bytes);
  if (found != prepared_.end()) return found->second;
  Prepared prepared;
  prepared.bytes =
      "HTTP/1.1 200 OK\r\nServer: light\r\nContent-Type: "
      "application/octet-stream\r\nContent-Length: " +
      std::to_string(body_bytes) + "\r\n\r\n";
  if (body_bytes <= kPreparedBodyBytesMax) {
    prepared.bytes.append(body_bytes, 'x');
  } else {
    prepared.sent_by_file = body_bytes;
  }
  return prepared_[body_bytes] = std::move(prepared);
}

void Origin::Send(Connection* connection) {
  while (!connection->head.empty()) {
    const bool more = connection->body_offset < connection->body_end;
    const ssize_t sent = send(connection->fd, connection->head.data(), connection->head.size(),
                              MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent < 0) {
      if (errno == EAGAIN) return Watch(connection, true);
      return Close(connection);
    }
    connection->head.remove_prefix(sent);
  }
  while (connection->body_offset < connection->body_end) {
    const ssize_t sent = sendfile(connection->fd, body_file_, &connection->body_offset,
                                  connection->body_end - connection->body_offset);
    if (sent < 0) {
      if (errno == EAGAIN) return Watch(connection, true);
      return Close(connection);
    }
  }
  Watch(connection, false);
}

void Origin::Watch(Connection* connection, bool send) {
  if (connection->waits_to_send == send) return;
  connection->waits_to_send = send;
  epoll_event event = {
      .events = send ? static_cast<uint32_t>(EPOLLOUT) : static_cast<uint32_t>(EPOLLIN),
      .data = {.ptr = connection}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->fd, &event);
}

void Origin::Close(Connection* connection) {
  const int fd = connection->fd;
  close(fd);
  connections_[fd].reset();
}

}  // namespace
}  // namespace edge::bench

int main() {
  // sendfile has no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  edge::bench::Origin origin;
  if (!origin.Start()) {
    std::perror("light_origin");
    return 1;
  }
  origin.Run();
}
