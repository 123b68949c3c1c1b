// Virtual TCP: connections between two endpoints, listeners with a backlog, bounded buffers on both
// sides, half-close and reset, as Linux does them.
//
//     Endpoint A                                  Endpoint B
//     Write --> send queue ==latency, segments==> receive queue --> Read
//     Read  <-- receive queue <================== send queue    <-- Write
//
// An endpoint belongs either to the simulated kernel (sim_io.h) or to a scripted peer (sim_peer.h);
// it does not know which. What it models of Linux, because programs depend on it:
//  - Bytes received before a reset can still be read; then its error is reported once, to whichever
//  of Read
//    and Write comes first; after that Read returns 0 and Write EPIPE. (A reset can so look like an
//    orderly end to a reader whose writer has swallowed the error.)
//  - Closing with unread bytes resets the connection and drops what was still to be sent.
//  - Bytes that arrive at a closed endpoint reset the connection.
//
// Observers are told from events of the scheduler only, never from within a call of theirs.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test/sim/world.h"
#include "uring/io.h"

namespace edge::sim {

// 10.0.0.`host`:`port`.
uring::SocketAddress SimAddress(uint8_t host, uint16_t port);

class SimNetwork;

class Endpoint {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void OnReadable() = 0;  // bytes, the end of the stream or an error
    virtual void OnWritable() = 0;  // room in the send queue, or an error
  };

  Endpoint(SimNetwork* network, int id);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  void set_observer(Observer* observer) { observer_ = observer; }  // not owned; nullptr: nobody

  // Read and Write would not return -EAGAIN.
  bool readable() const { return !received_.empty() || fin_received_ || reset_; }
  bool writable() const { return to_send_.size() < send_capacity_ || fin_asked_ || reset_; }
  size_t received_bytes() const { return received_.size(); }

  // Bytes taken or given; 0 at the end of the stream; -EAGAIN, -ECONNRESET, -EPIPE.
  ssize_t Read(char* to, size_t bytes_max);
  ssize_t Write(const char* from, size_t bytes);
  // 0 or -ENOTCONN.
  int ShutdownSend();
  // The endpoint is not to be used any more by its owner; the network frees it.
  void Close();
  // The same with a reset (SO_LINGER of zero).
  void Abort();
  // The network resets the connection, on both sides. Observers are told by an event.
  void Break();

  int id() const { return id_; }
  bool reset() const { return reset_; }
  // To the other side's kernel.
  uint64_t bytes_delivered() const { return bytes_delivered_; }
  bool fin_received() const { return fin_received_; }
  const uring::SocketAddress& local_address() const { return local_address_; }
  const uring::SocketAddress& remote_address() const { return remote_address_; }

 private:
  friend class SimNetwork;

  // A queue of bytes that gives memory back when it is empty.
  class Bytes {
   public:
    bool empty() const { return size() == 0; }
    size_t size() const { return bytes_.size() - begin_; }
    const char* data() const { return bytes_.data() + begin_; }
    void Append(const char* from, size_t bytes) { bytes_.append(from, bytes); }
    void Consume(size_t bytes);
    void Clear();

   private:
    std::string bytes_;
    size_t begin_ = 0;
  };

  void ScheduleTransfer(int64_t delay_ns);
  void Transfer();
  void SendReset();
  void OnReset();
  int TakeError();

  SimNetwork* const network_;
  const int id_;
  Endpoint* other_ = nullptr;
  Observer* observer_ = nullptr;
  uring::SocketAddress local_address_;
  uring::SocketAddress remote_address_;
  int64_t latency_ns_ = 0;
  size_t send_capacity_ = 0;
  size_t receive_capacity_ = 0;
  Bytes to_send_;
  Bytes received_;
  uint64_t bytes_delivered_ = 0;
  int error_ = 0;  // to be reported once
  bool transfer_scheduled_ = false;
  bool fin_asked_ = false;  // nothing more is written
  bool fin_sent_ = false;
  bool fin_received_ = false;
  bool reset_ = false;   // by either side
  bool closed_ = false;  // its owner has let go of it
};

class Listener {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void OnPending() = 0;  // a connection is in the backlog
  };

  void set_observer(Observer* observer) { observer_ = observer; }
  bool pending() const { return !backlog_.empty(); }
  // The connection that has waited longest; nullptr if there is none.
  Endpoint* Accept();
  // Connects that come from now on get no answer, and are tried again.
  void RefuseHandshakes() { refusing_ = true; }
  // Resets what is in the backlog; connects are refused from now on.
  void Close();
  bool closed() const { return closed_; }

 private:
  friend class SimNetwork;
  std::deque<Endpoint*> backlog_;
  size_t backlog_max_ = 0;
  Observer* observer_ = nullptr;
  bool refusing_ = false;
  bool closed_ = false;
};

class SimNetwork {
 public:
  explicit SimNetwork(World* world);  // not owned; outlives this
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // Several listeners may share an address, as with SO_REUSEPORT.
  Listener* Listen(const uring::SocketAddress& address, size_t backlog_max);

  // Connects; `done` gets an errno and nullptr, or 0 and the endpoint, which it must use or close.
  // With a full backlog the SYN is sent again, until ETIMEDOUT.
  using ConnectDone = std::function<void(int error, Endpoint* endpoint)>;
  void Connect(const uring::SocketAddress& from, const uring::SocketAddress& to, ConnectDone done);

  World& world() { return *world_; }
  Random& random() { return random_; }
  // Endpoints that neither their owner nor the network has done with.
  size_t open_endpoints() const;

 private:
  friend class Endpoint;

  // One try to connect on its way.
  struct Syn {
    uring::SocketAddress from;
    uring::SocketAddress to;
    ConnectDone done;
    int64_t latency_ns;
    int tries;
  };
  void OnSyn(std::shared_ptr<Syn> syn);
  Endpoint* NewEndpoint(int64_t latency_ns, const uring::SocketAddress& local,
                        const uring::SocketAddress& remote);

  World* const world_;
  Random random_;
  std::map<std::string, std::vector<Listener*>> listeners_;  // by address
  std::vector<std::unique_ptr<Listener>> all_listeners_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // by id
};

}  // namespace edge::sim
