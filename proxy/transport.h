// A byte stream to a peer, plain or TLS, as the HTTP side sees it: an input queue of plaintext, an
// output of parts that are sent from where they lie, and one way to close.
//
//   socket --> [cipher input --> tls::Session -->] input() --> owner
//   owner --> Write --> parts [--> tls::Session --> records] --> one sendmsg at a time
//
// Output is bounded: at most kPartsMax parts and kOutputBytesMax bytes wait or are on their way;
// CanWrite tells when there is room, OnOutputProgress when there may be again. A part either lies
// in a provided buffer, of which it takes one reference, or in memory that the owner keeps until
// everything is sent.
//
// Worker thread only.

#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/input_queue.h"
#include "tls/session.h"
#include "uring/socket.h"

namespace edge::proxy {

// Why a stream came to its end.
enum class InputEnd : uint8_t {
  kClean,      // FIN, and with TLS a close_notify before it
  kTruncated,  // FIN without close_notify
  kReset,      // an error of the socket
  kTlsFailed,  // the peer broke the TLS protocol or the handshake failed
};

class Transport final : private uring::Socket::Owner {
 public:
  static constexpr int kPartsMax = 8;
  static constexpr size_t kOutputBytesMax = 128 << 10;
  // Plaintext that may wait undecrypted-from; above it ciphertext stays as it is.
  static constexpr size_t kPlaintextMax = 64 << 10;

  class Owner {
   public:
    virtual ~Owner() = default;
    // The connect ended (0 or an errno). Only after Connect.
    virtual void OnConnected(int error) = 0;
    // The TLS handshake is done. Only with a session.
    virtual void OnHandshakeDone() = 0;
    virtual void OnInput() = 0;
    virtual void OnInputEnd(InputEnd end) = 0;
    // The kernel took bytes, so there may be room; `drained`: nothing is left to be sent.
    virtual void OnOutputProgress(bool drained) = 0;
    // The peer takes no more bytes (errno). Nothing written since is delivered.
    virtual void OnOutputFailed(int error) = 0;
    // The last callback: the memory may be freed.
    virtual void OnTransportClosed() = 0;
  };

  // `small_buffers`: where small receives take theirs from, see uring::BufferGroup.
  Transport(uring::Loop* loop, Owner* owner, uring::BufferGroup small_buffers);
  uring::BufferGroup small_buffers() const { return small_buffers_; }
  ~Transport() override;

  void Adopt(int fd, std::unique_ptr<tls::Session> session);
  // From the next byte of the input on, the stream is TLS. Only on a plain stream on which nothing
  // was written yet; Receive, called next, goes on with what is there.
  void StartTls(std::unique_ptr<tls::Session> session);
  // Returns 0 or an errno; see uring::Socket::Connect.
  int Connect(const uring::SocketAddress& address);

  // --- Input
  InputQueue& input() { return input_; }
  const InputQueue& input() const { return input_; }
  // What is to be read; see uring::Socket::ReceiveMode. Also resumes decryption that waited for
  // room.
  void Receive(uring::Socket::ReceiveMode mode);
  uring::Socket::ReceiveMode receive_mode() const { return wanted_; }
  bool input_ended() const { return input_ended_; }
  // Received and not consumed, decrypted or not.
  size_t bytes_held() const {
    return input_.bytes() + (tls_ == nullptr ? 0 : tls_->cipher_input.bytes());
  }

  // --- Output
  // Room for `parts` more parts, and for bytes at all.
  bool CanWrite(int parts = 1) const {
    return part_count_ + parts <= kPartsMax && output_bytes_ < kOutputBytesMax;
  }
  // Queues bytes; `buffer`, if valid, comes with one reference that is let go when they are sent.
  void Write(std::string_view bytes, uring::BufferId buffer = {});
  // Starts to send what is queued, unless a send is under way already.
  void Flush();
  // Nothing is queued or under way.
  bool drained() const { return part_count_ == 0 && !socket_.sending() && !CiphertextLeft(); }
  // For how long the peer has not taken all of what is being sent to it; 0: nothing is.
  int64_t SendingNs(int64_t now_ns) const {
    return socket_.sending() ? now_ns - send_started_ns_ : 0;
  }
  // Whether what is queued or on its way keeps a buffer of this group.
  bool OutputHolds(uring::BufferGroup group) const;
  // After what is queued: close_notify and FIN. Input goes on.
  void FinishOutput();

  // Forgets what is queued, cancels, closes; OnTransportClosed follows, never from within.
  void Close();

  bool open() const { return socket_.state() == uring::Socket::State::kOpen; }
  bool closed() const { return socket_.state() == uring::Socket::State::kClosed; }
  bool output_failed() const { return output_failed_; }
  const tls::Session* tls() const { return tls_ == nullptr ? nullptr : tls_->session.get(); }
  int fd() const { return socket_.fd(); }
  uring::Socket& socket() { return socket_; }
  uint64_t bytes_received() const { return bytes_received_; }  // on the wire
  uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  void OnConnected(uring::Socket&, int error) override;
  void OnReceived(uring::Socket&, uring::BufferId buffer, uint32_t size, bool more) override;
  void OnReceiveEnd(uring::Socket&, int error) override;
  void OnSent(uring::Socket&, int32_t result) override;
  void OnClosed(uring::Socket&) override;

  void Reset();
  void Decrypt();
  bool EncryptParts();
  bool CiphertextLeft() const { return tls_ != nullptr && tls_->session->outgoing_bytes() > 0; }
  void StartSend();
  void DropParts();
  void PopParts(size_t bytes);
  void LetGoOfSealed();
  void EndInput(InputEnd end);

  // What a TLS connection needs besides.
  struct Tls {
    Tls(Transport* transport, std::unique_ptr<tls::Session> session);
    std::unique_ptr<tls::Session> session;
    InputQueue cipher_input;
    // Waits for a buffer to decrypt into.
    uring::BufferWaiter buffer_waiter;
    // The records of the send under way. Not parts_: more may be written before the kernel reads
    // this.
    std::array<iovec, kPartsMax> records;
    size_t records_plaintext = 0;  // how many of output_bytes_ are in records already
    // What the records were sealed from. Kept until the kernel has them, though nobody reads it any
    // more: so the records of those who do not read can take no more memory than the buffers have,
    // and the worker sees the buffers run short.
    std::array<uring::BufferId, kPartsMax> sealed_buffers;
    uint8_t sealed_count = 0;
    bool plaintext_left = false;  // the session holds more than there was room for
    bool decrypting = false;
    bool receive_ended = false;  // the socket ended while ciphertext waited
    int receive_error = 0;
    bool handshake_done = false;
  };

  uring::Loop* const loop_;
  Owner* const owner_;
  const uring::BufferGroup small_buffers_;
  uring::Socket socket_;
  InputQueue input_;
  std::unique_ptr<Tls> tls_;  // nullptr: plain
  std::array<iovec, kPartsMax> parts_;
  std::array<uring::BufferId, kPartsMax> part_buffers_;
  uint64_t bytes_received_ = 0;
  int64_t send_started_ns_ = 0;
  uint64_t bytes_sent_ = 0;
  size_t output_bytes_ = 0;  // plaintext queued or on its way
  uint8_t part_count_ = 0;
  uring::Socket::ReceiveMode wanted_ = uring::Socket::ReceiveMode::kOff;
  bool input_ended_ = false;
  bool output_failed_ = false;
  bool finish_output_ = false;  // FIN once all is sent
};

}  // namespace edge::proxy
