#include "uring/kernel_features.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/uring/child_process.h"
#include "test/uring/made_up_tree.h"

namespace edge::uring {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// What detection says: its description, or its error.
std::string Detect(std::string_view root = "/") {
  const absl::StatusOr<KernelFeatures> features = DetectKernelFeatures(root);
  if (features.ok()) return features->Describe();
  if (features.status().code() != absl::StatusCode::kFailedPrecondition) return "<wrong code>";
  return std::string(features.status().message());
}

std::string DetectUnderFilter(const std::vector<int>& calls, int error, int argument1 = -1,
                              std::string_view root = "/") {
  return RunInChild([&]() -> std::string {
    if (!RefuseSystemCalls(calls, error, argument1)) return "<no seccomp>";
    return Detect(root);
  });
}

int OpenDescriptors() {
  int open = 0;
  for (int fd = 0; fd < 256; ++fd) open += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return open;
}

TEST(KernelFeaturesTest, FindsWhatThisKernelHasAndLeavesNothingOpen) {
  const int open_before = OpenDescriptors();
  const absl::StatusOr<KernelFeatures> features = DetectKernelFeatures();
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(OpenDescriptors(), open_before);
  EXPECT_FALSE(features->release.empty());
  rlimit files;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_cur != RLIM_INFINITY) {
    EXPECT_EQ(features->open_files, files.rlim_cur);
  }
}

TEST(KernelFeaturesTest, DescribesItselfOnSeveralLines) {
  KernelFeatures features;
  features.release = "6.18.1";
  features.no_iowait = true;
  features.memlock_bytes = 8388608;
  features.open_files = 1024;
  features.io_uring_disabled = 0;
  EXPECT_EQ(features.Describe(),
            "kernel 6.18.1: everything edge needs of io_uring works\n"
            "  idle loops not counted as I/O wait (NO_IOWAIT, Linux 6.15): yes\n"
            "  zero-copy send (Linux 6.1): no\n"
            "  receive bundles (Linux 6.10): no\n"
            "  registered ring descriptors (Linux 5.18): no\n"
            "  restriction of opcodes (Linux 5.10): no\n"
            "  RLIMIT_MEMLOCK: 8388608 bytes\n"
            "  RLIMIT_NOFILE: 1024, at most unlimited\n"
            "  kernel.io_uring_disabled: 0\n"
            "  seccomp filter: no\n");
}

// --- Every failure is one line with cause and remedy
// ------------------------------------------------------

TEST(KernelFeaturesTest, ARefusedCallNamesTheThreeCauses) {
  for (const int call : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
    for (const int error : {EPERM, ENOSYS}) {
      const std::string message = DetectUnderFilter({call}, error);
      const char* const name = call == SYS_io_uring_setup   ? "io_uring_setup"
                               : call == SYS_io_uring_enter ? "io_uring_enter"
                                                            : "io_uring_register";
      EXPECT_THAT(message, StartsWith(name));
      EXPECT_THAT(message, HasSubstr(error == EPERM ? "Operation not permitted"
                                                    : "Function not implemented"));
      EXPECT_THAT(message, AllOf(HasSubstr("a seccomp profile (a filter is active: let it allow "
                                           "io_uring_setup, io_uring_enter and io_uring_register)"),
                                 HasSubstr("kernel.io_uring_disabled"), HasSubstr("gVisor")));
      EXPECT_THAT(message, Not(HasSubstr("\n")));
    }
  }
}

TEST(KernelFeaturesTest, ARefusedCallTellsTheSettingOfTheKernel) {
  MadeUpTree tree;
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_setup}, EPERM, -1, tree.root()),
              HasSubstr("kernel.io_uring_disabled (this kernel has no such setting)"));
  tree.Write("proc/sys/kernel/io_uring_disabled", "0");
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_setup}, EPERM, -1, tree.root()),
              HasSubstr("kernel.io_uring_disabled (it is 0, so that is not the cause)"));
  tree.Write("proc/sys/kernel/io_uring_disabled", "2");
  tree.Write("proc/self/status", "Name:\tedge\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0");
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_setup}, EPERM, -1, tree.root()),
              AllOf(HasSubstr("it is 2: run 'sysctl -w kernel.io_uring_disabled=0'"),
                    HasSubstr("no filter is active; one must allow io_uring_setup")));
}

TEST(KernelFeaturesTest, AKernelWithoutASetUpFlagIsTooOld) {
  // A filter cannot look into the parameters, so it is the first flag that is found missing.
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_setup}, EINVAL),
              AllOf(StartsWith("the kernel lacks IORING_SETUP_CQSIZE (Linux 5.5): edge needs Linux "
                               "6.1 or newer, this is "),
                    Not(HasSubstr("\n"))));
}

TEST(KernelFeaturesTest, AKernelWithoutBufferRingsIsTooOld) {
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_register}, EINVAL, IORING_REGISTER_PBUF_RING),
              StartsWith("the kernel lacks rings of provided buffers (Linux 5.19)"));
}

TEST(KernelFeaturesTest, TooLittleLockedMemoryNamesTheLimit) {
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_setup}, ENOMEM),
              AllOf(StartsWith("io_uring_setup: Cannot allocate memory; "),
                    HasSubstr("RLIMIT_MEMLOCK"), HasSubstr("ulimit -l"), Not(HasSubstr("\n"))));
}

TEST(KernelFeaturesTest, TheLimitOnLockedMemoryIsNoticedWhereItCounts) {
  const std::string result = RunInChild([]() -> std::string {
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) return "<no rlimit>";
    // CAP_IPC_LOCK would lift the limit: give all capabilities up.
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct nothing[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capset, &header, nothing) != 0) return "<no capset>";
    return Detect();
  });
  // Linux 5.12 to 6.13 do not count rings.
  EXPECT_THAT(result,
              testing::AnyOf(HasSubstr("which is 0 bytes"), HasSubstr("RLIMIT_MEMLOCK: 0 bytes")));
}

TEST(KernelFeaturesTest, TooFewDescriptorsNameTheLimit) {
  const int open_before = OpenDescriptors();
  bool enough = false;
  for (int more = 0; !enough; ++more) {
    ASSERT_LT(more, 20);
    const std::string result = RunInChild([&]() -> std::string {
      // Two ends of a pipe more than before, of which the child needs one.
      const rlimit few{static_cast<rlim_t>(open_before + 2 + more), 4096};
      if (setrlimit(RLIMIT_NOFILE, &few) != 0) return "<no rlimit>";
      return Detect();
    });
    enough = absl::StrContains(result, "everything edge needs");
    if (!enough) {
      EXPECT_THAT(result, AllOf(HasSubstr("Too many open files"), HasSubstr("ulimit -n"))) << more;
    }
  }
}

TEST(KernelFeaturesTest, WantedFeaturesAreNotNeeded) {
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_register}, EINVAL, IORING_REGISTER_RING_FDS),
              AllOf(HasSubstr("registered ring descriptors (Linux 5.18): no\n"),
                    HasSubstr("seccomp filter: yes\n")));
  EXPECT_THAT(DetectUnderFilter({SYS_io_uring_register}, EINVAL, IORING_REGISTER_RESTRICTIONS),
              HasSubstr("restriction of opcodes (Linux 5.10): no\n"));
}

}  // namespace
}  // namespace edge::uring
