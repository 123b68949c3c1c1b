// The request path in the steady state calls malloc not once: plain, and with TLS but for record
// buffers, which come from a pool.
//
// A worker runs on a real ring in this thread; clients and the origin are threads of the test. The
// linker replaces malloc and its siblings (see the BUILD file) by ones that count the calls of this
// thread.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/log/check.h"
#include "gtest/gtest.h"
#include "openssl/ssl.h"
#include "proxy/worker.h"
#include "test/counting_malloc.h"
#include "tls/context.h"
#include "tls/record_pool.h"
#include "uring/clock.h"
#include "uring/listener.h"
#include "uring/uring_io.h"

namespace edge::proxy {
namespace {

constexpr int kClients = 8;
// Of TLS: read and write buffers, and records that the kernel still reads.
constexpr int kRecordsPerClientMax = 4;
constexpr uint64_t kWarmUp = 2000;
constexpr uint64_t kMeasured = 5000;

uring::SocketAddress Loopback() {
  uring::SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.length = sizeof v4;
  return address;
}

int Listen() {
  absl::StatusOr<std::vector<int>> fds = uring::ListenShared(Loopback(), false, 1);
  CHECK_OK(fds);
  return fds->front();
}

int ConnectTo(const uring::SocketAddress& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(connect(fd, address.get(), address.length), 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// Answers each request, which has no body, with 1 KiB. Ends with its connections.
class Origin {
 public:
  Origin() : fd_(Listen()), address_(*uring::LocalAddress(fd_)) {
    thread_ = std::thread([this] {
      while (true) {
        const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        connections_.emplace_back([fd] { Serve(fd); });
      }
    });
  }
  ~Origin() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    for (std::thread& connection : connections_) connection.join();
    close(fd_);
  }
  const uring::SocketAddress& address() const { return address_; }

 private:
  static void Serve(int fd) {
    const std::string response =
        "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + std::string(1024, 'x');
    std::string input;
    char bytes[4096];
    while (true) {
      const ssize_t size = read(fd, bytes, sizeof bytes);
      if (size <= 0) break;
      input.append(bytes, static_cast<size_t>(size));
      for (size_t end; (end = input.find("\r\n\r\n")) != input.npos;) {
        input.erase(0, end + 4);
        if (write(fd, response.data(), response.size()) < 0) break;
      }
    }
    close(fd);
  }

  const int fd_;
  const uring::SocketAddress address_;
  std::thread thread_;
  std::vector<std::thread> connections_;
};

// Sends requests on one kept-alive connection until told to stop.
class Client {
 public:
  Client(const uring::SocketAddress& address, bool tls, std::atomic<uint64_t>* done,
         const std::atomic<bool>* stop)
      : thread_([=] { Run(address, tls, done, stop); }) {}
  ~Client() { thread_.join(); }

 private:
  static void Run(const uring::SocketAddress& address, bool tls, std::atomic<uint64_t>* done,
                  const std::atomic<bool>* stop) {
    const int fd = ConnectTo(address);
    bssl::UniquePtr<SSL_CTX> context;
    bssl::UniquePtr<SSL> ssl;
    if (tls) {
      context.reset(SSL_CTX_new(TLS_client_method()));
      ssl.reset(SSL_new(context.get()));
      SSL_set_fd(ssl.get(), fd);
      CHECK_EQ(SSL_connect(ssl.get()), 1);
    }
    const std::string request =
        "GET /path?query=1 HTTP/1.1\r\nHost: www.example\r\nUser-Agent: test\r\nAccept: */*\r\n"
        "Accept-Encoding: gzip\r\nCookie: a=b\r\n\r\n";
    while (!stop->load()) {
      const int size = static_cast<int>(request.size());
      CHECK_EQ(tls ? SSL_write(ssl.get(), request.data(), size)
                   : static_cast<int>(write(fd, request.data(), request.size())),
               size);
      std::string response;
      size_t expected = 0;
      while (expected == 0 || response.size() < expected) {
        char bytes[4096];
        const int got = tls ? SSL_read(ssl.get(), bytes, sizeof bytes)
                            : static_cast<int>(read(fd, bytes, sizeof bytes));
        CHECK_GT(got, 0);
        response.append(bytes, static_cast<size_t>(got));
        const size_t end = response.find("\r\n\r\n");
        if (end != response.npos) expected = end + 4 + 1024;
      }
      CHECK_EQ(response.substr(0, 12), "HTTP/1.1 200");
      done->fetch_add(1);
    }
    close(fd);
  }

  std::thread thread_;
};

class SteadyStateTest : public testing::TestWithParam<bool> {};

TEST_P(SteadyStateTest, RequestsAllocateNothing) {
  const bool tls = GetParam();
  Origin origin;
  const int listener = Listen();
  const uring::SocketAddress address = *uring::LocalAddress(listener);

  uring::SystemClock clock;
  absl::StatusOr<std::unique_ptr<uring::UringIo>> io =
      uring::UringIo::Create({.submission_entries = 256,
                              .completion_entries = 1024,
                              .head = {256, 4096},
                              .origin = {256, 4096},
                              .body = {16, 65536}});
  ASSERT_TRUE(io.ok()) << io.status();
  auto settings = std::make_shared<Settings>();
  settings->max_connections = 64;
  settings->upstreams.push_back({"origin", origin.address()});
  auto stats = std::make_unique<WorkerStats>();
  WorkerOptions options;
  options.settings = settings;
  options.listeners.push_back({.fd = listener, .tls = tls});
  options.stats = stats.get();
  if (tls) {
    const std::vector<std::string> names = {"localhost"};
    options.tls = *tls::ServerContext::SelfSigned(names, {});
  }
  Worker worker(io->get(), &clock, std::move(options));
  worker.Start();

  std::atomic<uint64_t> done = 0;
  std::atomic<bool> stop = false;
  uint64_t measured_from = 0;
  tls::RecordPoolStats before;
  {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<Client>(address, tls, &done, &stop));
    }
    while (done < kWarmUp) ASSERT_EQ(worker.RunTurn(clock.NowNs() + 100'000'000), 0);
    measured_from = done;
    before = tls::RecordPool::Stats();
    allocations = 0;
    count_allocations = true;
    while (done < measured_from + kMeasured) {
      ASSERT_EQ(worker.RunTurn(clock.NowNs() + 100'000'000), 0);
    }
    count_allocations = false;
    stop = true;
    while (stats->connections_active.Read() > 0) {
      ASSERT_EQ(worker.RunTurn(clock.NowNs() + 100'000'000), 0);
    }
  }
  // The pool of TLS records grows until it holds what all clients need at once, which may be more
  // than ever before at any time; and not by the number of requests.
  const tls::RecordPoolStats& after = tls::RecordPool::Stats();
  const uint64_t pool_growth = after.system_allocations - before.system_allocations;
  EXPECT_EQ(allocations, pool_growth) << "in " << kMeasured << " requests";
  EXPECT_LE(after.system_allocations, uint64_t{kRecordsPerClientMax} * kClients);
  // Each request is opened from one record, each response sealed into one and sent from there.
  EXPECT_EQ(after.pins - before.pins >= kMeasured, tls);
  EXPECT_EQ(stats->ring_stale_completions.Read(), 0u);

  worker.CloseAll();
  while (!worker.finished()) ASSERT_EQ(worker.RunTurn(clock.NowNs() + 100'000'000), 0);
}

INSTANTIATE_TEST_SUITE_P(PlainAndTls, SteadyStateTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Tls" : "Plain"; });

}  // namespace
}  // namespace edge::proxy
