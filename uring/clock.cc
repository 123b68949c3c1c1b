#include "uring/clock.h"

#include <ctime>

namespace edge::uring {
namespace {

int64_t Read(clockid_t id) {
  timespec time;
  clock_gettime(id, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

int64_t SystemClock::NowNs() const { return Read(CLOCK_MONOTONIC); }
int64_t SystemClock::WallNs() const { return Read(CLOCK_REALTIME); }

}  // namespace edge::uring
