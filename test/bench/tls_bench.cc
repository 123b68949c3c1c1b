// What TLS costs, without a network: sealing, opening, handshakes, memory. One thread, one core.
//
//   bazel run //test/bench:tls_bench
//
// Times are the thread's CPU time of the server's calls only; the client's work between them is not
// counted. Each figure is the median of kRounds rounds. "cold" walks through kColdSessions
// connections, each with a record in flight, as a worker under load does; "hot" uses one connection
// over and over.

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "openssl/mem.h"
#include "test/tls/test_client.h"
#include "tls/session.h"

namespace edge::tls {
namespace {

constexpr int kRounds = 7;
constexpr size_t kColdSessions = 512;
constexpr size_t kMemorySessions = 1000;

double CpuSeconds() {
  timespec now;
  CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double Median(const std::function<double()>& round) {
  std::array<double, kRounds> results;
  for (double& result : results) result = round();
  std::sort(results.begin(), results.end());
  return results[kRounds / 2];
}

struct Connection {
  explicit Connection(uint16_t version)
      : client({.version_min = version, .version_max = version}),
        session(Session::NewServer(*TestContext())) {
    CHECK(RunHandshake(client, *session));
  }
  TestClient client;
  std::unique_ptr<Session> session;
};

std::vector<std::unique_ptr<Connection>> Connect(size_t count) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (size_t i = 0; i < count; ++i) {
    connections.push_back(std::make_unique<Connection>(TLS1_3_VERSION));
    // The first record carries the tickets.
    CHECK(connections.back()->session->Write(Bytes("x")));
    (void)TakeOutgoing(*connections.back()->session);
  }
  return connections;
}

// Nanoseconds to seal one message on each connection and hand it over, by `seal` and, when
// `copy_to` is not null, by copying the ciphertext as a transport without pinning has to.
double SealNanoseconds(std::vector<std::unique_ptr<Connection>>& connections,
                       const std::function<void(Session&)>& seal, char* copy_to,
                       size_t copy_stride) {
  const size_t repeats = std::max<size_t>(1, 4096 / connections.size());
  return Median([&] {
    const double begin = CpuSeconds();
    for (size_t repeat = 0; repeat < repeats; ++repeat) {
      for (size_t i = 0; i < connections.size(); ++i) {
        Session& session = *connections[i]->session;
        seal(session);
        if (copy_to == nullptr) continue;
        std::array<iovec, 8> pieces;
        char* out = copy_to + i * copy_stride;
        const size_t count = session.FillIovec(pieces);
        size_t copied = 0;
        for (size_t j = 0; j < count; ++j) {
          std::memcpy(out + copied, pieces[j].iov_base, pieces[j].iov_len);
          copied += pieces[j].iov_len;
        }
        session.ConsumeOutgoing(copied);
      }
      // The kernel has taken all of them.
      for (const auto& connection : connections) {
        connection->session->ConsumeOutgoing(connection->session->outgoing_bytes());
      }
    }
    return (CpuSeconds() - begin) * 1e9 / static_cast<double>(repeats * connections.size());
  });
}

void BenchSealing() {
  std::printf("\nsealing, TLS 1.3 AES-128-GCM, ns a message\n");
  std::printf("%8s %12s %12s %12s %12s\n", "bytes", "hot pinned", "hot copied", "cold pinned",
              "cold copied");
  auto hot = Connect(1);
  auto cold = Connect(kColdSessions);
  RecordPool::SetLimits({.blocks_max = {1024, 1024, 1024}});
  constexpr size_t kStride = 17 * 1024;
  std::vector<char> copies(kColdSessions * kStride);
  for (size_t bytes : {64, 1024, 4096, 16384}) {
    const std::string plaintext = Pattern(bytes);
    const auto seal = [&](Session& session) { CHECK(session.Write(Bytes(plaintext))); };
    std::printf("%8zu", bytes);
    for (auto* connections : {&hot, &cold}) {
      std::printf(" %12.0f", SealNanoseconds(*connections, seal, nullptr, 0));
      std::printf(" %12.0f", SealNanoseconds(*connections, seal, copies.data(), kStride));
    }
    std::printf("\n");
  }
}

void BenchGathering() {
  std::printf("\nresponse head of 250 bytes and a body, ns for both\n");
  std::printf("%8s %16s %16s\n", "body", "two records", "one, copied");
  auto connections = Connect(1);
  std::string head = Pattern(250);
  for (size_t bytes : {256, 1024, 2048, 3800, 8192, 16000}) {
    std::string body = Pattern(bytes);
    std::array<std::byte, 16384> gathered;
    const auto two = [&](Session& session) {
      CHECK(session.Write(Bytes(head)));
      CHECK(session.Write(Bytes(body)));
    };
    const auto one = [&](Session& session) {
      std::memcpy(gathered.data(), head.data(), head.size());
      std::memcpy(gathered.data() + head.size(), body.data(), body.size());
      CHECK(session.Write(std::span(gathered).first(head.size() + body.size())));
    };
    std::printf("%8zu %16.0f %16.0f\n", bytes, SealNanoseconds(connections, two, nullptr, 0),
                SealNanoseconds(connections, one, nullptr, 0));
  }
}

void BenchOpening() {
  std::printf("\nopening, TLS 1.3 AES-128-GCM, ns a record\n%8s %12s\n", "bytes", "hot");
  auto connections = Connect(1);
  std::vector<std::byte> output(65536);
  for (size_t bytes : {64, 300, 1024, 4096, 16384}) {
    const std::string plaintext = Pattern(bytes);
    constexpr int kRecords = 500;
    const double nanoseconds = Median([&] {
      for (int i = 0; i < kRecords; ++i) connections[0]->client.Write(plaintext);
      const std::string sent = connections[0]->client.TakeSent();
      std::span<const std::byte> rest = Bytes(sent);
      const size_t record_bytes = sent.size() / kRecords;
      const double begin = CpuSeconds();
      while (!rest.empty()) {
        CHECK_EQ(connections[0]->session->Read(rest.first(record_bytes), output).produced, bytes);
        rest = rest.subspan(record_bytes);
      }
      return (CpuSeconds() - begin) * 1e9 / kRecords;
    });
    std::printf("%8zu %12.0f\n", bytes, nanoseconds);
  }
}

// Server CPU seconds of one handshake.
double HandshakeSeconds(const TestClientOptions& options) {
  constexpr int kHandshakes = 100;
  return Median([&] {
    double seconds = 0;
    for (int i = 0; i < kHandshakes; ++i) {
      TestClient client(options);
      double begin = CpuSeconds();
      auto session = Session::NewServer(*TestContext());
      seconds += CpuSeconds() - begin;
      for (int flight = 0; flight < 3 && !session->handshake_done(); ++flight) {
        client.Handshake();
        const std::string sent = client.TakeSent();
        begin = CpuSeconds();
        (void)session->Read(Bytes(sent), {});
        seconds += CpuSeconds() - begin;
        client.Receive(TakeOutgoing(*session));
      }
      CHECK(session->handshake_done());
      CHECK_EQ(session->resumed(), options.session != nullptr);
      begin = CpuSeconds();
      session = nullptr;
      seconds += CpuSeconds() - begin;
    }
    return seconds / kHandshakes;
  });
}

bssl::UniquePtr<SSL_SESSION> Ticket(uint16_t version) {
  Connection connection(version);
  CHECK(connection.session->Write(Bytes("x")));
  connection.client.Receive(TakeOutgoing(*connection.session));
  CHECK_EQ(connection.client.Read(), "x");
  return bssl::UpRef(connection.client.ticket());
}

void BenchHandshakes() {
  std::printf("\nhandshakes, P-256 certificate, X25519, server CPU only\n%8s %10s %14s %12s\n",
              "version", "", "microseconds", "a second");
  for (uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const bssl::UniquePtr<SSL_SESSION> ticket = Ticket(version);
    for (SSL_SESSION* session : {static_cast<SSL_SESSION*>(nullptr), ticket.get()}) {
      const double seconds =
          HandshakeSeconds({.version_min = version, .version_max = version, .session = session});
      std::printf("%8s %10s %14.1f %12.0f\n", version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3",
                  session == nullptr ? "full" : "resumed", seconds * 1e6, 1 / seconds);
    }
  }
}

// Bytes that malloc has handed out, its own headers included.
size_t HeapBytes() { return mallinfo2().uordblks; }

void BenchMemory() {
  std::printf("\nmemory of a session, bytes of the heap each, %zu sessions; sizeof(Session) %zu\n",
              kMemorySessions, sizeof(Session));
  std::printf("%8s %14s %14s %14s\n", "version", "created", "idle", "record blocks");
  for (uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    RecordPool::Trim();
    std::vector<std::unique_ptr<Session>> sessions;
    sessions.reserve(kMemorySessions);
    size_t before = HeapBytes();
    for (size_t i = 0; i < kMemorySessions; ++i) {
      sessions.push_back(Session::NewServer(*TestContext()));
    }
    const size_t created = (HeapBytes() - before) / kMemorySessions;
    sessions.clear();
    before = HeapBytes();
    const int64_t blocks_before = RecordPool::Stats().blocks_in_use;
    for (size_t i = 0; i < kMemorySessions; ++i) {
      Connection connection(version);
      // One exchange, so that the session is like a keep-alive connection between requests.
      connection.client.Write("request");
      (void)ReadAll(*connection.session, connection.client.TakeSent());
      CHECK(connection.session->Write(Bytes("response")));
      (void)TakeOutgoing(*connection.session);
      sessions.push_back(std::move(connection.session));
    }
    const int64_t blocks = RecordPool::Stats().blocks_in_use - blocks_before;
    RecordPool::Trim();
    std::printf("%8s %14zu %14zu %14ld\n", version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3",
                created, (HeapBytes() - before) / kMemorySessions, static_cast<long>(blocks));
  }
}

}  // namespace
}  // namespace edge::tls

int main() {
  edge::tls::BenchMemory();
  edge::tls::BenchSealing();
  edge::tls::BenchGathering();
  edge::tls::BenchOpening();
  edge::tls::BenchHandshakes();
  return 0;
}
