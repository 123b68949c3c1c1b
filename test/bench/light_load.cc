// light_load: the cheapest closed-loop HTTP/1.1 client that tools/bench can put before every proxy
// it compares.
//
// Each connection sends the same GET, reads the response and sends again. Load generator and origin
// share one core and must outrun a proxy that has another to itself; wrk makes two epoll_ctl calls
// a request and parses responses whole, this makes none and looks only for the status and
// Content-Length. Large plain bodies are dropped in the kernel (MSG_TRUNC), not copied. One thread,
// one epoll loop.
//
//   light_load PORT TARGET CONNECTIONS SECONDS plain|tls [REQUESTS_PER_SECOND]
//
// With a rate the loop is open: requests are due at even intervals and go out on whichever
// connection is idle, and latency counts from when a request was due, so a stall is charged to all
// who would have come during it.
//
// ends after SECONDS or at SIGINT and prints one line of JSON: responses, errors (a response that
// is not 200, a connection that ends), p50_us, p99_us. It serves measuring only: wrk is what the
// tests use, because it judges responses better.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "openssl/ssl.h"

namespace edge::bench {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
// A body is dropped in the kernel when more than this is missing; below, a copy costs less than a
// second call.
constexpr size_t kDropBytesMin = 32 * 1024;
constexpr int kEventsMax = 256;
constexpr std::string_view kStatus = "HTTP/1.1 200 ";

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

volatile std::sig_atomic_t interrupted = 0;

struct Connection {
  int fd = -1;
  bssl::UniquePtr<SSL> ssl;
  bool in_body = false;
  uint64_t body_left = 0;
  std::string head;          // the beginning of a response head that came in pieces
  Clock::time_point due_at;  // of the request under way
};

// Latencies in buckets of about 2 %: enough for a percentile, and no memory a request.
class Histogram {
 public:
  void Add(double us) {
    const int bucket = us < 1 ? 0 : static_cast<int>(std::log2(us) * 32);
    ++buckets_[std::min<size_t>(bucket, buckets_.size() - 1)];
    ++count_;
  }
  double Percentile(double share) const {
    uint64_t below = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      below += buckets_[i];
      if (static_cast<double>(below) >= share * static_cast<double>(count_))
        return std::exp2(i / 32.0);
    }
    return 0;
  }

 private:
  std::vector<uint64_t> buckets_ = std::vector<uint64_t>(32 * 32);
  uint64_t count_ = 0;
};

class Load {
 public:
  // `rate`: requests a second over all connections; 0: each sends as soon as it can.
  Load(int port, std::string_view target, bool tls, int rate)
      : port_(port), tls_(tls), interval_(rate > 0 ? std::chrono::nanoseconds(1s) / rate : 0ns) {
    request_ = "GET " + std::string(target) +
               " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) + "\r\n\r\n";
    if (tls_) context_.reset(SSL_CTX_new(TLS_method()));
  }

  bool Open(size_t connections);
  void Run(std::chrono::seconds duration);
  void Print() const;

 private:
  bool OpenOne(Connection* connection);
  void OnReadable(Connection* connection);
  // Bytes read, 0 if none are there, -1 at the end of the connection.
  ssize_t Read(Connection* connection, bool* dropped);
  void Consume(Connection* connection, std::string_view bytes);
  bool ParseHead(Connection* connection, std::string_view head);
  void SendNext(Connection* connection);
  void SendDue();
  void CountLate();
  void Send(Connection* connection);
  void Fail(Connection* connection);

  const int port_;
  const bool tls_;
  const std::chrono::nanoseconds interval_;  // between requests; 0: none
  Clock::time_point due_;                    // the next request, if there is an interval
  std::deque<Connection*> idle_;             // if there is an interval
  std::string request_;
  bssl::UniquePtr<SSL_CTX> context_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  char buffer_[kReadBytes];
  Clock::time_point now_;
  uint64_t responses_ = 0;
  uint64_t errors_ = 0;
  Histogram latencies_;
};

bool Load::Open(size_t connections) {
  epoll_ = epoll_create1(0);
  for (size_t i = 0; i < connections; ++i) {
    connections_.push_back(std::make_unique<Connection>());
    if (!OpenOne(connections_.back().get())) return false;
  }
  return true;
}

// Blocking up to here: the measurement begins when all are open.
bool Load::OpenOne(Connection* connection) {
  connection->fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection->fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return false;
  const int on = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (tls_) {
    connection->ssl.reset(SSL_new(context_.get()));
    SSL_set_fd(connection->ssl.get(), connection->fd);
    SSL_set_tlsext_host_name(connection->ssl.get(), "localhost");
    if (SSL_connect(connection->ssl.get()) != 1) return false;
  }
  if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0) return false;
  epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

void Load::Run(std::chrono::seconds duration) {
  now_ = Clock::now();
  const Clock::time_point end = now_ + duration;
  due_ = now_;
  for (const auto& connection : connections_) SendNext(connection.get());
  epoll_event events[kEventsMax];
  while (now_ < end && interrupted == 0) {
    std::chrono::nanoseconds wait = 100ms;
    if (interval_ > 0ns && !idle_.empty()) wait = std::clamp(due_ - now_, 0ns, wait);
    const timespec timeout = {.tv_sec = 0, .tv_nsec = wait.count()};
    const int count = epoll_pwait2(epoll_, events, kEventsMax, &timeout, nullptr);
    now_ = Clock::now();
    for (int i = 0; i < count; ++i) OnReadable(static_cast<Connection*>(events[i].data.ptr));
    SendDue();
  }
  CountLate();
}

// Sends on this connection, at once or when the next request is due.
void Load::SendNext(Connection* connection) {
  if (interval_ > 0ns) return idle_.push_back(connection);
  connection->due_at = now_;
  Send(connection);
}

void Load::SendDue() {
  if (interval_ == 0ns) return;
  for (; due_ <= now_ && !idle_.empty(); due_ += interval_) {
    Connection* connection = idle_.front();
    idle_.pop_front();
    connection->due_at = due_;
    Send(connection);
  }
}

void Load::OnReadable(Connection* connection) {
  // TLS may hold decrypted bytes that epoll does not tell of.
  do {
    bool dropped = false;
    const ssize_t count = Read(connection, &dropped);
    if (count < 0) return Fail(connection);
    if (count == 0) return;
    if (dropped) {
      connection->body_left -= count;
      if (connection->body_left == 0) Consume(connection, {});
    } else {
      Consume(connection, std::string_view(buffer_, count));
    }
  } while (connection->ssl != nullptr && connection->fd >= 0);
}

ssize_t Load::Read(Connection* connection, bool* dropped) {
  if (connection->ssl != nullptr) {
    const int count = SSL_read(connection->ssl.get(), buffer_, sizeof(buffer_));
    if (count > 0) return count;
    return SSL_get_error(connection->ssl.get(), count) == SSL_ERROR_WANT_READ ? 0 : -1;
  }
  *dropped = connection->in_body && connection->body_left > kDropBytesMin;
  // What TCP drops it does not copy, so the length may be more than the buffer has.
  iovec space = {.iov_base = buffer_,
                 .iov_len = *dropped ? connection->body_left : sizeof(buffer_)};
  msghdr message = {};
  message.msg_iov = &space;
  message.msg_iovlen = 1;
  const ssize_t count = recvmsg(connection->fd, &message, *dropped ? MSG_TRUNC : 0);
  if (count > 0) return count;
  return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

// Takes bytes of a response; at its end counts it and sends the next request.
void Load::Consume(Connection* connection, std::string_view bytes) {
  if (!connection->in_body) {
    connection->head.append(bytes);
    const size_t end = connection->head.find("\r\n\r\n");
    if (end == std::string::npos) return;
    if (!ParseHead(connection, std::string_view(connection->head).substr(0, end + 2)))
      return Fail(connection);
    bytes = bytes.substr(bytes.size() - (connection->head.size() - end - 4));
    connection->head.clear();
    connection->in_body = true;
  }
  if (bytes.size() > connection->body_left) return Fail(connection);
  connection->body_left -= bytes.size();
  if (connection->body_left > 0) return;
  connection->in_body = false;
  ++responses_;
  latencies_.Add(std::chrono::duration<double, std::micro>(now_ - connection->due_at).count());
  SendNext(connection);
}

bool Load::ParseHead(Connection* connection, std::string_view head) {
  if (!head.starts_with(kStatus)) return false;
  // Proxies write the name with capitals or without.
  size_t at = head.find("\r\nContent-Length: ");
  if (at == std::string_view::npos) at = head.find("\r\ncontent-length: ");
  if (at == std::string_view::npos) return false;
  const char* digits = head.data() + at + std::strlen("\r\nContent-Length: ");
  return std::from_chars(digits, head.data() + head.size(), connection->body_left).ec ==
         std::errc();
}

// What was due and has no response yet.
void Load::CountLate() {
  if (interval_ == 0ns) return;
  const auto count = [this](Clock::time_point due) {
    latencies_.Add(std::chrono::duration<double, std::micro>(now_ - due).count());
  };
  for (const auto& connection : connections_) {
    if (std::find(idle_.begin(), idle_.end(), connection.get()) == idle_.end())
      count(connection->due_at);
  }
  for (; due_ <= now_; due_ += interval_) count(due_);
}

void Load::Send(Connection* connection) {
  // A request is far smaller than a socket's buffer: it goes whole or not at all.
  const ssize_t sent =
      connection->ssl != nullptr
          ? SSL_write(connection->ssl.get(), request_.data(), static_cast<int>(request_.size()))
          : send(connection->fd, request_.data(), request_.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request_.size())) Fail(connection);
}

void Load::Fail(Connection* connection) {
  ++errors_;
  close(connection->fd);
  connection->fd = -1;
  connection->in_body = false;
  connection->head.clear();
  std::erase(idle_, connection);
  if (!OpenOne(connection)) return;
  SendNext(connection);
}

void Load::Print() const {
  std::printf("{\"responses\": %llu, \"errors\": %llu, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
              static_cast<unsigned long long>(responses_), static_cast<unsigned long long>(errors_),
              latencies_.Percentile(0.5), latencies_.Percentile(0.99));
}

}  // namespace
}  // namespace edge::bench

int main(int argc, char** argv) {
  // BoringSSL has no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, [](int) { edge::bench::interrupted = 1; });
  const std::vector<std::string_view> arguments(argv, argv + argc);
  int port = 0;
  int connections = 0;
  int seconds = 0;
  int rate = 0;
  const auto number = [](std::string_view text, int* value) {
    return std::from_chars(text.data(), text.data() + text.size(), *value).ec == std::errc() &&
           *value > 0;
  };
  if (arguments.size() < 6 || arguments.size() > 7 || !number(arguments[1], &port) ||
      !number(arguments[3], &connections) || !number(arguments[4], &seconds) ||
      (arguments[5] != "plain" && arguments[5] != "tls") ||
      (arguments.size() == 7 && !number(arguments[6], &rate))) {
    std::fprintf(stderr, "usage: light_load PORT TARGET CONNECTIONS SECONDS plain|tls [RATE]\n");
    return 2;
  }
  edge::bench::Load load(port, arguments[2], arguments[5] == "tls", rate);
  if (!load.Open(connections)) {
    std::perror("light_load: cannot open its connections");
    return 1;
  }
  load.Run(std::chrono::seconds(seconds));
  load.Print();
}
