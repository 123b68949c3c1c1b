#include "test/uring/interleavings.h"

#include <utility>

#include "gtest/gtest.h"

namespace edge::uring {
namespace {

constexpr size_t kStackBytes = 256 << 10;

}  // namespace

Interleavings* Interleavings::current_ = nullptr;

uint64_t Interleavings::Explore(const std::function<void(Interleavings&)>& setup) {
  path_.clear();
  uint64_t runs = 0;
  complete_ = false;
  while (runs < options_.runs_max) {
    Run(setup);
    ++runs;
    if (deadlock_ || testing::Test::HasFailure()) return runs;
    if (!NextPath()) {
      complete_ = true;
      break;
    }
  }
  return runs;
}

void Interleavings::Thread(std::function<void()> body) {
  auto thread = std::make_unique<Context>();
  thread->stack = std::make_unique<char[]>(kStackBytes);
  thread->body = std::move(body);
  threads_.push_back(std::move(thread));
}

void Interleavings::Start(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Context*>(uintptr_t{high} << 32 | low);
  self->body();
  self->done = true;
  Interleavings* const explorer = current_;
  swapcontext(&self->context, &explorer->scheduler_);
}

void Interleavings::Run(const std::function<void(Interleavings&)>& setup) {
  threads_.clear();
  at_end_ = nullptr;
  depth_ = 0;
  running_ = -1;
  preemptions_ = 0;
  setup(*this);  // points outside of threads do nothing: current_ is not set
  current_ = this;
  for (const std::unique_ptr<Context>& thread : threads_) {
    getcontext(&thread->context);
    thread->context.uc_stack.ss_sp = thread->stack.get();
    thread->context.uc_stack.ss_size = kStackBytes;
    thread->context.uc_link = nullptr;
    const auto address = reinterpret_cast<uintptr_t>(thread.get());
    makecontext(&thread->context, reinterpret_cast<void (*)()>(&Interleavings::Start), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
  }
  for (;;) {
    running_ = Choose();
    if (running_ < 0) break;
    threads_[static_cast<size_t>(running_)]->waits_for = nullptr;
    swapcontext(&scheduler_, &threads_[static_cast<size_t>(running_)]->context);
  }
  current_ = nullptr;
  for (const std::unique_ptr<Context>& thread : threads_) {
    if (!thread->done) {
      deadlock_ = true;
      ADD_FAILURE() << "deadlock: a thread waits for what never comes";
      return;
    }
  }
  if (at_end_) at_end_();
}

std::vector<int> Interleavings::Runnable() {
  std::vector<int> runnable;
  for (size_t i = 0; i < threads_.size(); ++i) {
    const Context& thread = *threads_[i];
    if (thread.done || (thread.waits_for && !thread.waits_for())) continue;
    // The one that runs first: going on is no preemption.
    if (static_cast<int>(i) == running_) {
      runnable.insert(runnable.begin(), running_);
    } else {
      runnable.push_back(static_cast<int>(i));
    }
  }
  return runnable;
}

// Who goes on; -1: nobody can.
int Interleavings::Choose() {
  std::vector<int> runnable = Runnable();
  if (runnable.empty()) return -1;
  const bool can_go_on = runnable.front() == running_;
  if (can_go_on && preemptions_ == options_.preemptions_max) return running_;
  if (runnable.size() == 1) return runnable.front();
  if (depth_ == path_.size()) {
    path_.push_back({runnable.front(), {runnable.begin() + 1, runnable.end()}});
  }
  const int chosen = path_[depth_++].chosen;
  if (can_go_on && chosen != running_) ++preemptions_;
  return chosen;
}

// Turns to the next path, depth first. False: all were tried.
bool Interleavings::NextPath() {
  while (!path_.empty() && path_.back().left.empty()) path_.pop_back();
  if (path_.empty()) return false;
  path_.back().chosen = path_.back().left.back();
  path_.back().left.pop_back();
  return true;
}

void Interleavings::Point() {
  Interleavings* const explorer = current_;
  if (explorer == nullptr || explorer->running_ < 0) return;
  Context& self = *explorer->threads_[static_cast<size_t>(explorer->running_)];
  swapcontext(&self.context, &explorer->scheduler_);
}

void Interleavings::WaitUntil(std::function<bool()> condition) {
  Interleavings* const explorer = current_;
  Context& self = *explorer->threads_[static_cast<size_t>(explorer->running_)];
  self.waits_for = std::move(condition);
  swapcontext(&self.context, &explorer->scheduler_);
}

}  // namespace edge::uring
