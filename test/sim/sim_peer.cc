#include "test/sim/sim_peer.h"

#include <algorithm>
#include <cerrno>

#include "absl/log/check.h"

namespace edge::sim {

Pace Pace::Any(Random& random, size_t bytes) {
  constexpr int64_t kTotalNsMax = 1'000'000'000;
  // No smaller than a thousandth of the whole, so that a run does not drown in events.
  const size_t least = bytes / 1000 + 1;
  const auto piece = [&] { return least + random.Skewed(64 << 10) - 1; };
  const auto gap = [&](size_t bytes_max) -> int64_t {
    if (random.Chance(0.5)) return 0;
    const size_t pieces = bytes / std::max<size_t>(bytes_max / 8, 1) + 1;
    return random.Between(0, kTotalNsMax / static_cast<int64_t>(pieces));
  };
  Pace pace;
  pace.write_bytes_max = piece();
  pace.write_gap_ns_max = gap(pace.write_bytes_max);
  pace.read_bytes_max = piece();
  pace.read_gap_ns_max = gap(pace.read_bytes_max);
  return pace;
}

void SimPeer::Attach(Endpoint* endpoint, const Pace& pace) {
  CHECK(endpoint_ == nullptr);
  endpoint_ = endpoint;
  endpoint_id_ = endpoint->id();
  pace_ = pace;
  endpoint->set_observer(this);
  OnReadable();
  ScheduleWrite();
}

void SimPeer::Write(std::string_view bytes) {
  if (finished_) return;
  output_.append(bytes);
  ScheduleWrite();
}

void SimPeer::FinishWriting() {
  finish_ = true;
  ScheduleWrite();
}

void SimPeer::StopWriting() {
  finished_ = true;
  output_.clear();
  written_ = 0;
}

void SimPeer::Close() {
  if (endpoint_ == nullptr) return;
  endpoint_->Close();
  endpoint_ = nullptr;
}

void SimPeer::Abort() {
  if (endpoint_ == nullptr) return;
  endpoint_->Abort();
  endpoint_ = nullptr;
}

void SimPeer::ResumeReading() {
  reading_paused_ = false;
  OnReadable();
}

void SimPeer::OnReadable() {
  if (endpoint_ == nullptr || ended_ || read_scheduled_ || reading_paused_) return;
  if (!endpoint_->readable()) return;
  read_scheduled_ = true;
  world_.scheduler.After(random_.Between(0, pace_.read_gap_ns_max), [this] {
    read_scheduled_ = false;
    ReadSome();
  });
}

void SimPeer::OnWritable() { ScheduleWrite(); }

void SimPeer::ScheduleWrite() {
  if (endpoint_ == nullptr || finished_ || write_scheduled_) return;
  if (unwritten() == 0 && !finish_) return;
  write_scheduled_ = true;
  world_.scheduler.After(random_.Between(0, pace_.write_gap_ns_max), [this] {
    write_scheduled_ = false;
    WriteSome();
  });
}

void SimPeer::WriteSome() {
  if (endpoint_ == nullptr || finished_) return;
  if (unwritten() > 0) {
    const size_t bytes = std::min<size_t>(unwritten(), random_.Skewed(pace_.write_bytes_max));
    const ssize_t result = endpoint_->Write(output_.data() + written_, bytes);
    if (result == -EAGAIN) return;  // OnWritable
    if (result < 0) {
      finished_ = true;
      output_.clear();
      written_ = 0;
      return OnWritten(true);
    }
    written_ += static_cast<size_t>(result);
    if (unwritten() > 0) return ScheduleWrite();
    output_.clear();
    written_ = 0;
    OnWritten(false);
    if (endpoint_ == nullptr || unwritten() > 0) return;
  }
  if (finish_ && !finished_) {
    finished_ = true;
    endpoint_->ShutdownSend();
  }
}

void SimPeer::ReadSome() {
  if (endpoint_ == nullptr || ended_ || reading_paused_) return;
  std::string bytes(random_.Skewed(pace_.read_bytes_max), 0);
  const ssize_t result = endpoint_->Read(bytes.data(), bytes.size());
  if (result == -EAGAIN) return;  // OnReadable
  if (result <= 0) {
    ended_ = true;
    // A write may have swallowed the error; the end is not an orderly one all the same.
    const bool cut = result == 0 && endpoint_->reset() && !endpoint_->fin_received();
    return OnEnd(cut ? ECONNRESET : static_cast<int>(-result));
  }
  bytes.resize(static_cast<size_t>(result));
  OnBytes(bytes);
  OnReadable();
}

}  // namespace edge::sim
