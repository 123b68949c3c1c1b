#include "tls/session.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "openssl/err.h"
#include "openssl/ssl.h"
#include "tls/bio.h"

namespace edge::tls {
namespace {

// The library decides on "not TLS" when it has the first record's header.
constexpr uint64_t kRecordHeaderBytes = 5;

// Neighbouring pieces share a record while together they have at most this many bytes. Measured by
// test/bench/tls_bench: a record of its own for a response's head costs 260 ns; copying head and
// body into one saves all of that with a body of 1 KiB, most of it with 8 KiB, nothing with 16 KiB.
constexpr size_t kGatherBytesMax = 8192;

// The largest piece for SSL_read and SSL_write, which take an int.
constexpr size_t kLibraryBytesMax = size_t{1} << 30;

// The first byte of a TLS connection is a record type (20 to 24), that of an SSL 2 hello has its
// top bit set. A capital letter is the start of a request line (RFC 9112 section 3): all registered
// methods are upper case, and so is the preface of HTTP/2.
bool LooksLikeText(std::byte first) { return first >= std::byte{'A'} && first <= std::byte{'Z'}; }

std::string_view StateName(Session::State state) {
  switch (state) {
    case Session::State::kHandshake:
      return "handshake";
    case Session::State::kOpen:
      return "open";
    case Session::State::kPeerClosed:
      return "peer-closed";
    case Session::State::kWriteClosed:
      return "write-closed";
    case Session::State::kClosed:
      return "closed";
    case Session::State::kFailed:
      return "failed";
  }
  return "unknown";
}

}  // namespace

std::unique_ptr<Session> Session::NewServer(const ServerContext& context) {
  bssl::UniquePtr<SSL> ssl(SSL_new(context.ssl_context()));
  if (ssl == nullptr) return nullptr;
  std::unique_ptr<Session> session(new Session(std::move(ssl)));
  bssl::UniquePtr<BIO> bio = SessionBio::New(session.get());
  if (bio == nullptr) return nullptr;
  SSL* raw = session->ssl_.get();
  BIO_up_ref(bio.get());
  SSL_set0_rbio(raw, bio.get());
  SSL_set0_wbio(raw, bio.release());
  SSL_set_accept_state(raw);
  SSL_set_info_callback(raw, &Session::OnLibraryInfo);
  // Frees what only the handshake needs; established connections are what there are many of.
  SSL_set_shed_handshake_config(raw, 1);
  return session;
}

Session::Session(bssl::UniquePtr<SSL> ssl) : ssl_(std::move(ssl)) {}

Session::~Session() = default;

void Session::OnLibraryInfo(const SSL* ssl, int type, int value) {
  if (type != SSL_CB_WRITE_ALERT) return;
  // `value` is level and description; close_notify is 0 and stays "none".
  SessionBio::FromBio(SSL_get_rbio(ssl))->alert_sent_ = static_cast<uint8_t>(value & 0xff);
}

Session::ReadResult Session::Read(std::span<const std::byte> input, std::span<std::byte> output) {
  size_t produced = 0;
  if (state_ == State::kFailed) return {ReadStatus::kFailed, 0, 0};
  if (state_ == State::kPeerClosed || state_ == State::kClosed) {
    return {ReadStatus::kClosed, 0, 0};
  }
  if (ABSL_PREDICT_FALSE(bytes_received_ == 0 && !input.empty() && LooksLikeText(input[0]))) {
    Fail({.code = ErrorCode::kPlaintext});
    return {ReadStatus::kFailed, 0, 0};
  }
  RecordPool::BeginCall();
  input_ = input;
  const ReadStatus status = ReadRecords(output, produced);
  const size_t consumed = input.size() - input_.size();
  input_ = {};
  bytes_received_ += consumed;
  if (ABSL_PREDICT_FALSE(status == ReadStatus::kFailed) && bytes_received_ <= kRecordHeaderBytes &&
      ERR_GET_REASON(error_.library_code) == SSL_R_WRONG_VERSION_NUMBER) {
    error_.code = ErrorCode::kNotTls;
  }
  return {status, consumed, produced};
}

Session::ReadStatus Session::ReadRecords(std::span<std::byte> output, size_t& produced) {
  SSL* ssl = ssl_.get();
  while (true) {
    int result;
    if (ABSL_PREDICT_FALSE(!handshake_done_)) {
      result = SSL_do_handshake(ssl);
      if (result == 1) {
        handshake_done_ = true;
        state_ = State::kOpen;
        continue;
      }
    } else if (output.size() == produced) {
      // Nothing is left to do only if the library holds no plaintext and there is no further input.
      return input_.empty() && SSL_pending(ssl) == 0 ? ReadStatus::kNeedInput
                                                     : ReadStatus::kOutputFull;
    } else {
      const size_t room = std::min<size_t>(output.size() - produced, kLibraryBytesMax);
      result = SSL_read(ssl, output.data() + produced, static_cast<int>(room));
      if (ABSL_PREDICT_TRUE(result > 0)) {
        produced += static_cast<size_t>(result);
        // Asking once more would only be told so.
        if (input_.empty() && SSL_pending(ssl) == 0) return ReadStatus::kNeedInput;
        continue;
      }
    }
    switch (SSL_get_error(ssl, result)) {
      case SSL_ERROR_WANT_READ:
        DCHECK(input_.empty());
        return ReadStatus::kNeedInput;
      case SSL_ERROR_ZERO_RETURN:
        if (!handshake_done_) {
          Fail({.code = ErrorCode::kEofInHandshake});
          return ReadStatus::kFailed;
        }
        EndReading();
        return ReadStatus::kClosed;
      default:
        Fail(TakeLibraryError());
        return ReadStatus::kFailed;
    }
  }
}

bool Session::Write(std::span<const std::byte> plaintext) {
  CHECK(handshake_done_);
  if (state_ == State::kFailed) return false;
  CHECK(state_ == State::kOpen || state_ == State::kPeerClosed) << "written after Close";
  return Seal(plaintext);
}

bool Session::Writev(std::span<const iovec> pieces) {
  CHECK(handshake_done_);
  if (state_ == State::kFailed) return false;
  CHECK(state_ == State::kOpen || state_ == State::kPeerClosed) << "written after Close";
  // Holds plaintext only during this call; on the stack, where it is in the cache.
  std::array<std::byte, kGatherBytesMax> gathered;
  size_t gathered_bytes = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::span<const std::byte> piece(static_cast<const std::byte*>(pieces[i].iov_base),
                                           pieces[i].iov_len);
    if (piece.size() > gathered.size() - gathered_bytes) {
      if (!Seal({gathered.data(), gathered_bytes})) return false;
      gathered_bytes = 0;
    }
    // What follows nothing and is followed by nothing needs no copy, nor does what is large.
    const bool alone = gathered_bytes == 0 && i + 1 == pieces.size();
    if (alone || piece.size() > gathered.size()) {
      if (!Seal(piece)) return false;
    } else if (!piece.empty()) {
      std::memcpy(gathered.data() + gathered_bytes, piece.data(), piece.size());
      gathered_bytes += piece.size();
    }
  }
  return Seal({gathered.data(), gathered_bytes});
}

bool Session::Seal(std::span<const std::byte> plaintext) {
  RecordPool::BeginCall();
  while (!plaintext.empty()) {
    const size_t bytes = std::min(plaintext.size(), kLibraryBytesMax);
    // The BIO takes everything, so this is all or an error.
    const int written = SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(bytes));
    if (ABSL_PREDICT_FALSE(written <= 0)) {
      Fail(TakeLibraryError());
      return false;
    }
    DCHECK_EQ(static_cast<size_t>(written), bytes);
    plaintext = plaintext.subspan(static_cast<size_t>(written));
  }
  return true;
}

void Session::Close() {
  switch (state_) {
    case State::kHandshake:
      // There are no keys to say it under, and the peer does not wait for it.
      state_ = State::kClosed;
      return;
    case State::kOpen:
    case State::kPeerClosed:
      RecordPool::BeginCall();
      // 0: queued; 1: queued, and the peer's has come.
      if (SSL_shutdown(ssl_.get()) < 0) {
        Fail(TakeLibraryError());
        return;
      }
      state_ = state_ == State::kOpen ? State::kWriteClosed : State::kClosed;
      return;
    case State::kWriteClosed:
    case State::kClosed:
    case State::kFailed:
      return;
  }
}

bool Session::OnTransportEof() {
  switch (state_) {
    case State::kHandshake:
      Fail({.code = ErrorCode::kEofInHandshake});
      return false;
    case State::kOpen:
    case State::kWriteClosed:
      error_ = {.code = ErrorCode::kTruncated};
      EndReading();
      return false;
    case State::kPeerClosed:
    case State::kClosed:
      return error_.ok();
    case State::kFailed:
      return false;
  }
  return false;
}

void Session::EndReading() {
  DCHECK(state_ == State::kOpen || state_ == State::kWriteClosed);
  state_ = state_ == State::kOpen ? State::kPeerClosed : State::kClosed;
}

void Session::Fail(Error error) {
  if (state_ == State::kFailed) return;
  error.alert_sent = alert_sent_;
  error_ = error;
  state_ = State::kFailed;
}

CiphertextQueue Session::TakeOutgoing() { return std::move(outgoing_); }

std::string_view Session::alpn() const {
  const uint8_t* data = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

std::string_view Session::server_name() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : std::string_view();
}

const char* Session::version_name() const {
  return handshake_done_ ? SSL_get_version(ssl_.get()) : "none";
}

const char* Session::cipher_name() const {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
  return cipher != nullptr ? SSL_CIPHER_standard_name(cipher) : "none";
}

bool Session::resumed() const { return handshake_done_ && SSL_session_reused(ssl_.get()); }

std::string Session::DebugString() const {
  std::string text = absl::StrCat("tls=", StateName(state_), " version=", version_name(),
                                  " cipher=", cipher_name(), " outgoing=", outgoing_.bytes());
  if (!error_.ok()) absl::StrAppend(&text, " error=\"", error_.ToString(), "\"");
  return text;
}

}  // namespace edge::tls
