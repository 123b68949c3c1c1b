// No memory is allocated for a request once a connection is warm, other than blocks of the record
// pool. Every allocation of the process is counted: malloc and its relatives are wrapped by the
// linker (--wrap), and operator new calls malloc. (Sanitizers have an operator new of their own,
// which is not counted; the ordinary build is the one that decides.)

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "test/tls/test_client.h"
#include "tls/session.h"

namespace {
thread_local uint64_t allocations = 0;
}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
extern "C" {
void* __real_malloc(size_t bytes);
void* __real_calloc(size_t count, size_t bytes);
void* __real_realloc(void* data, size_t bytes);
void* __wrap_malloc(size_t bytes) {
  ++allocations;
  return __real_malloc(bytes);
}
void* __wrap_calloc(size_t count, size_t bytes) {
  ++allocations;
  return __real_calloc(count, bytes);
}
void* __wrap_realloc(void* data, size_t bytes) {
  ++allocations;
  return __real_realloc(data, bytes);
}
}
// NOLINTEND(bugprone-reserved-identifier)

namespace edge::tls {
namespace {

// Reads one request and writes one response, as the proxy does; counts what that allocates.
class SteadyState : public ::testing::TestWithParam<uint16_t> {
 protected:
  SteadyState()
      : client_({.version_min = GetParam(), .version_max = GetParam()}),
        session_(Session::NewServer(*TestContext())),
        output_(65536) {
    EXPECT_TRUE(RunHandshake(client_, *session_));
  }

  void Exchange(std::string_view request, std::string& head, std::string& body) {
    client_.Write(request);
    const std::string sent = client_.TakeSent();
    std::vector<iovec> in_flight(64);

    const uint64_t before = allocations;
    const RecordPoolStats pool_before = RecordPool::Stats();
    const Session::ReadResult read = session_->Read(Bytes(sent), output_);
    const iovec pieces[] = {{head.data(), head.size()}, {body.data(), body.size()}};
    const bool written = session_->Writev(pieces);
    const size_t count = session_->FillIovec(in_flight);
    allocated_ += allocations - before;
    pins_ += RecordPool::Stats().pins - pool_before.pins;
    copies_ += RecordPool::Stats().copies - pool_before.copies;

    EXPECT_EQ(read.produced, request.size());
    EXPECT_TRUE(written);
    std::string ciphertext;
    for (size_t i = 0; i < count; ++i) {
      ciphertext.append(static_cast<const char*>(in_flight[i].iov_base), in_flight[i].iov_len);
    }
    const uint64_t before_consume = allocations;
    session_->ConsumeOutgoing(ciphertext.size());
    allocated_ += allocations - before_consume;
    client_.Receive(ciphertext);
    EXPECT_EQ(client_.Read(), head + body);
  }

  TestClient client_;
  std::unique_ptr<Session> session_;
  std::vector<std::byte> output_;
  uint64_t allocated_ = 0;
  uint64_t pins_ = 0;
  uint64_t copies_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Versions, SteadyState, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) {
                           return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_P(SteadyState, AllocatesNothingPerRequest) {
  std::string head = Pattern(250);
  std::string small = Pattern(1024);
  std::string large = Pattern(100000);
  for (int i = 0; i < 4; ++i) {
    Exchange("warm-up", head, small);
    Exchange("warm-up", head, large);
  }
  allocated_ = 0;
  pins_ = 0;
  copies_ = 0;
  for (int i = 0; i < 100; ++i) {
    Exchange(Pattern(300 + i), head, small);
    Exchange(Pattern(16384), head, large);
  }
  EXPECT_EQ(allocated_, 0u);
  // All of it was sent from where it was sealed: 1 record, and 1 for the head with 7 for the body.
  EXPECT_EQ(pins_, 100u * (1 + 8));
  EXPECT_EQ(copies_, 0u);
}

TEST_P(SteadyState, AllocatesNothingForRecordsThatArriveInPieces) {
  std::string head = Pattern(250);
  std::string small = Pattern(1024);
  for (int i = 0; i < 4; ++i) Exchange(Pattern(10000), head, small);
  client_.Write(Pattern(10000));
  const std::string sent = client_.TakeSent();
  const uint64_t before = allocations;
  size_t produced = 0;
  for (size_t at = 0; at < sent.size(); at += 100) {
    const std::span<const std::byte> rest = Bytes(sent).subspan(at);
    produced += session_->Read(rest.first(std::min<size_t>(100, rest.size())), output_).produced;
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(produced, 10000u);
}

TEST(AllocationCounterTest, Counts) {
  // Through volatile pointers, or the compiler leaves both out.
  const uint64_t before = allocations;
  void* volatile data = std::malloc(1);
  std::free(data);
  EXPECT_EQ(allocations, before + 1);
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
  int* volatile number = new int(1);
  delete number;
  EXPECT_EQ(allocations, before + 2);
#endif
}

}  // namespace
}  // namespace edge::tls
