// One TLS connection: bytes in, bytes out. No sockets, no callbacks, no buffers of its own.
//
// The owner (a connection of the proxy) receives ciphertext and offers it to Read, which fills
// plaintext into the owner's buffer. It offers plaintext to Write. Both may put ciphertext on the
// outgoing queue (handshake flights, alerts, records), which the owner sends when it likes; the
// queue's blocks are the very buffers that BoringSSL sealed the records into.
//
//   Read:  received bytes --> record buffer (copied by BoringSSL) --> opened in place --> `output`
//   Write: `plaintext` --> sealed into a pool block --> outgoing queue --> sendmsg from that block
//
// Worker thread only. A session that is idle, all records read and all outgoing bytes sent, holds
// no record buffer. Session never blocks and never calls back.
//
//   kHandshake --> kOpen --> kPeerClosed --+
//       |            |                     +--> kClosed
//       |            +-----> kWriteClosed -+
//       +--> kClosed (Close)          any --> kFailed
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "openssl/base.h"
#include "tls/ciphertext_queue.h"
#include "tls/context.h"
#include "tls/error.h"

namespace edge::tls {

class Session {
 public:
  enum class State : uint8_t {
    kHandshake,    // Keys are not agreed; nothing can be written.
    kOpen,         // Both directions work.
    kPeerClosed,   // The peer has ended its direction (close_notify, or the transport's end, see
                   // OnTransportEof); writing still works.
    kWriteClosed,  // Close() has ended ours; reading still works.
    kClosed,       // Both ended.
    kFailed,       // error() says why. The outgoing queue may hold an alert that is worth sending.
  };

  enum class ReadStatus : uint8_t {
    kNeedInput,   // All input is consumed, all plaintext is delivered.
    kOutputFull,  // Call again with room in `output`, even if no input is left.
    kClosed,      // The peer's close_notify; further input is not looked at.
    kFailed,      // state() is kFailed.
  };
  struct [[nodiscard]] ReadResult {
    ReadStatus status;
    size_t consumed;  // bytes taken from `input`; the rest has to be offered again
    size_t produced;  // bytes put into `output`, with any status: records before a bad one count
  };

  // nullptr: out of memory. The context may be destroyed before the session.
  static std::unique_ptr<Session> NewServer(const ServerContext& context);

  // CHECKs that no send is in flight: join it, or TakeOutgoing, first.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  State state() const { return state_; }
  bool handshake_done() const { return handshake_done_; }

  // Takes ciphertext, drives the handshake, and puts plaintext into `output`. Nothing of `input` or
  // `output` is kept past the call. Records may be cut anywhere. `output` may be empty during the
  // handshake. Look at outgoing_bytes() after every call.
  ReadResult Read(std::span<const std::byte> input, std::span<std::byte> output);

  // Encrypts all of `plaintext` into records of at most 16 KiB on the outgoing queue. CHECKs that
  // the handshake is done and that Close has not been called. False: the session has failed. There
  // is no limit here: the caller stops writing while outgoing_bytes() is above its high-water mark.
  [[nodiscard]] bool Write(std::span<const std::byte> plaintext);
  // The same for several pieces, in order. Small neighbours share a record: a record costs more
  // than copying a few KiB into a common buffer. Large pieces are sealed from where they are.
  [[nodiscard]] bool Writev(std::span<const iovec> pieces);

  // Ends our direction: queues close_notify (nothing while the handshake is not done). Reading goes
  // on. No effect when repeated or failed.
  void Close();

  // The transport has ended. True if the peer had announced it by close_notify; otherwise error()
  // is kTruncated, and the caller decides what that means for what it was reading: state() becomes
  // kPeerClosed (or kClosed), so that a reply can still be written; kFailed during the handshake.
  [[nodiscard]] bool OnTransportEof();

  // Outgoing ciphertext; see CiphertextQueue for lending.
  size_t outgoing_count() const { return outgoing_.count(); }
  size_t outgoing_bytes() const { return outgoing_.bytes(); }
  size_t FillIovec(std::span<iovec> out, size_t bytes_max = std::numeric_limits<size_t>::max()) {
    return outgoing_.FillIovec(out, bytes_max);
  }
  void ConsumeOutgoing(size_t bytes) { outgoing_.Consume(bytes); }
  // Hands the blocks over, to outlive the session while a send is in flight.
  CiphertextQueue TakeOutgoing();

  const Error& error() const { return error_; }

  // What was agreed; empty or "none" before it was. Views live as long as the session.
  std::string_view alpn() const;
  std::string_view server_name() const;  // SNI, as the client sent it: not validated
  const char* version_name() const;      // "TLSv1.3"
  const char* cipher_name() const;       // "TLS_AES_128_GCM_SHA256"
  bool resumed() const;

  // One line for the admin page: state, version, bytes queued, last error.
  std::string DebugString() const;

 private:
  friend struct SessionBio;  // tls/bio.h: BoringSSL's side of the transport

  explicit Session(bssl::UniquePtr<SSL> ssl);

  static void OnLibraryInfo(const SSL* ssl, int type, int value);

  ReadStatus ReadRecords(std::span<std::byte> output, size_t& produced);
  bool Seal(std::span<const std::byte> plaintext);
  void EndReading();
  void Fail(Error error);

  bssl::UniquePtr<SSL> ssl_;
  // What is left of the input of the Read in progress; empty between calls.
  std::span<const std::byte> input_;
  CiphertextQueue outgoing_;
  uint64_t bytes_received_ = 0;
  Error error_;
  State state_ = State::kHandshake;
  bool handshake_done_ = false;
  uint8_t alert_sent_ = 0;
};

}  // namespace edge::tls
