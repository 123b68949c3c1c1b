// A small ring to try a kernel on, and what such a trial needs: everything it opens is closed when
// it ends, however it ends. For kernel_features.cc; workers use UringIo.
//
// One thread.

#pragma once

#include <liburing.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace edge::uring {

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class TrialRing {
 public:
  static constexpr unsigned kEntries = 16;
  static constexpr unsigned kBuffers = 8;
  static constexpr unsigned kBufferBytes = 64;
  static constexpr uint16_t kBufferGroup = 0;
  // Completions of a trial come at once: a kernel that owes one for so long does not work.
  static constexpr int64_t kPatienceNs = 2'000'000'000;

  TrialRing() = default;
  TrialRing(const TrialRing&) = delete;
  TrialRing& operator=(const TrialRing&) = delete;
  ~TrialRing() {
    if (buffers_ != nullptr) io_uring_free_buf_ring(&ring_, buffers_, kBuffers, kBufferGroup);
    if (open_) io_uring_queue_exit(&ring_);
  }

  // Returns 0 or -errno, like all that follows.
  int Open(unsigned flags) {
    params_.flags = flags;
    if ((flags & IORING_SETUP_CQSIZE) != 0) params_.cq_entries = 2 * kEntries;
    const int error = io_uring_queue_init_params(kEntries, &ring_, &params_);
    open_ = error == 0;
    return error;
  }

  int ProvideBuffers() {
    int error = 0;
    buffers_ = io_uring_setup_buf_ring(&ring_, kBuffers, kBufferGroup, 0, &error);
    if (buffers_ == nullptr) return error;
    memory_.resize(size_t{kBuffers} * kBufferBytes);
    for (unsigned i = 0; i < kBuffers; ++i) {
      io_uring_buf_ring_add(buffers_, memory_.data() + size_t{i} * kBufferBytes, kBufferBytes,
                            static_cast<uint16_t>(i), kBuffers - 1, static_cast<int>(i));
    }
    io_uring_buf_ring_advance(buffers_, kBuffers);
    return 0;
  }

  // An entry to prepare; trials never queue more than a few.
  io_uring_sqe* NextSqe() { return io_uring_get_sqe(&ring_); }

  // Submits what is queued and waits for one completion; -ETIME when none came.
  int Next(io_uring_cqe* completion, int64_t patience_ns = kPatienceNs) {
    __kernel_timespec timeout{patience_ns / 1'000'000'000, patience_ns % 1'000'000'000};
    io_uring_cqe* cqe = nullptr;
    int result = 0;
    do {
      result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
    } while (result == -EINTR);
    if (cqe == nullptr) return result < 0 ? result : -ETIME;
    *completion = *cqe;
    io_uring_cqe_seen(&ring_, cqe);
    return 0;
  }

  io_uring* get() { return &ring_; }
  uint32_t features() const { return params_.features; }

 private:
  io_uring ring_{};
  io_uring_params params_{};
  io_uring_buf_ring* buffers_ = nullptr;
  std::vector<std::byte> memory_;
  bool open_ = false;
};

}  // namespace edge::uring
