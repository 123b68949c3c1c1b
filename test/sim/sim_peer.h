// A scripted program at the other end of a virtual connection: writes what it is told to in pieces,
// when it feels like it, and reads as fast as its pace says. The base of the client and the origin
// of the proxy tests.
//
// Lives until the end of the simulation: events refer to it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "test/sim/random.h"
#include "test/sim/sim_network.h"

namespace edge::sim {

// How fast a peer is: bytes of one write or read at most, and the pause before the next one at
// most.
struct Pace {
  size_t write_bytes_max = 64 << 10;
  int64_t write_gap_ns_max = 0;
  size_t read_bytes_max = 64 << 10;
  int64_t read_gap_ns_max = 0;

  // Moves `bytes` within about a second at the slowest.
  static Pace Any(Random& random, size_t bytes);
};

class SimPeer : public Endpoint::Observer {
 public:
  SimPeer(World* world, Random random) : world_(*world), random_(random) {}
  SimPeer(const SimPeer&) = delete;
  SimPeer& operator=(const SimPeer&) = delete;

  void Attach(Endpoint* endpoint, const Pace& pace);

  void Write(std::string_view bytes);
  // FIN after what is to be written.
  void FinishWriting();
  // Nothing more is written, not even FIN.
  void StopWriting();
  void Close();
  void Abort();

  bool open() const { return endpoint_ != nullptr; }
  int endpoint_id() const { return endpoint_id_; }

 protected:
  // Bytes have been read. May close.
  virtual void OnBytes(std::string_view bytes) = 0;
  // Nothing more will come: 0 after a FIN, else an errno. Once.
  virtual void OnEnd(int error) = 0;
  // All that was to be written has been, or cannot be any more.
  virtual void OnWritten(bool failed) { (void)failed; }

  World& world() { return world_; }
  Random& random() { return random_; }
  size_t unwritten() const { return output_.size() - written_; }

  // While paused nothing is read, and the window closes.
  void PauseReading() { reading_paused_ = true; }
  void ResumeReading();

 private:
  void OnReadable() override;
  void OnWritable() override;
  void ScheduleWrite();
  void WriteSome();
  void ReadSome();

  World& world_;
  Random random_;
  Pace pace_;
  Endpoint* endpoint_ = nullptr;
  int endpoint_id_ = -1;
  std::string output_;
  size_t written_ = 0;
  bool finish_ = false;
  bool finished_ = false;  // FIN sent, or writing failed
  bool write_scheduled_ = false;
  bool read_scheduled_ = false;
  bool reading_paused_ = false;
  bool ended_ = false;
};

}  // namespace edge::sim
