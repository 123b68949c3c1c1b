#include "uring/placement.h"

#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/uring/child_process.h"
#include "uring/topology.h"

namespace edge::uring {
namespace {

using testing::HasSubstr;

int MemoryPolicyOfThisThread() {
  int policy = -1;
  EXPECT_EQ(syscall(SYS_get_mempolicy, &policy, nullptr, 0, nullptr, 0), 0);
  return policy;
}

// Each test runs in a thread of its own, so that the others keep their place.
void InThread(void (*function)()) { std::thread(function).join(); }

TEST(PlacementTest, PinsTheCallingThread) {
  InThread([] {
    const std::vector<int> cpus = *AffinityOfThisThread();
    for (const int cpu : cpus) {
      ASSERT_TRUE(PinThisThread(cpu).ok());
      EXPECT_EQ(*AffinityOfThisThread(), std::vector<int>{cpu});
      EXPECT_EQ(sched_getcpu(), cpu);
    }
  });
}

TEST(PlacementTest, ACpuThatDoesNotExistIsAnError) {
  InThread([] {
    for (const int cpu : {-1, 8191, 8192, 1 << 30}) {
      const absl::Status status = PinThisThread(cpu);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << cpu;
      EXPECT_THAT(status.message(), HasSubstr(std::to_string(cpu)));
    }
  });
}

TEST(PlacementTest, PrefersMemoryOfTheNode) {
  InThread([] {
    const auto topology = Topology::Read("/", *AffinityOfThisThread());
    ASSERT_TRUE(topology.ok());
    const int node = topology->nodes().front().id;
    const auto policy = SetLocalMemoryPolicy(node);
    ASSERT_TRUE(policy.ok()) << policy.status();
    if (*policy == "memory from node " + std::to_string(node) + " preferred") {
      EXPECT_EQ(MemoryPolicyOfThisThread(), MPOL_PREFERRED);
    } else {
      EXPECT_THAT(*policy, HasSubstr("default"));  // a kernel or a sandbox without the call
    }
  });
}

TEST(PlacementTest, ANodeWithoutMemoryUsesTheNearest) {
  const std::string result =
      RunInChild([]() -> std::string { return SetLocalMemoryPolicy(1023).value_or("error"); });
  // Where the call is forbidden, the default remains.
  EXPECT_THAT(result, testing::AnyOf("node 1023 has no memory, that of the nearest is used",
                                     HasSubstr("left at its default")));
}

TEST(PlacementTest, ANodeNumberBeyondAllKernelsIsAnError) {
  EXPECT_FALSE(SetLocalMemoryPolicy(-1).ok());
  EXPECT_FALSE(SetLocalMemoryPolicy(1024).ok());
}

TEST(PlacementTest, AKernelOrProfileThatRefusesLeavesTheDefault) {
  for (const int error : {ENOSYS, EPERM}) {
    const std::string result = RunInChild([error]() -> std::string {
      if (!RefuseSystemCalls({SYS_set_mempolicy}, error)) return "<no seccomp>";
      return SetLocalMemoryPolicy(0).value_or("error");
    });
    EXPECT_THAT(result, HasSubstr("memory policy left at its default: set_mempolicy: "));
    EXPECT_THAT(result, HasSubstr(error == EPERM ? "not permitted" : "not implemented"));
  }
}

TEST(PlacementTest, NamesTheThreadAndKeepsTheFirstFifteenBytes) {
  InThread([] {
    NameThisThread("worker-with-a-long-name");
    char name[16];
    ASSERT_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    EXPECT_STREQ(name, "worker-with-a-l");
  });
}

}  // namespace
}  // namespace edge::uring
