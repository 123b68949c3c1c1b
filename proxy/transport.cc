#include "proxy/transport.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "absl/log/check.h"

namespace edge::proxy {
namespace {

using uring::BufferGroup;
using uring::BufferId;
using uring::Socket;

// The plaintext of one TLS record (RFC 8446, 5.1), and what sealing adds to it: 22 bytes, or 29
// with TLS 1.2.
constexpr size_t kRecordBytesMax = 16384;
constexpr size_t kRecordOverheadMax = 64;

}  // namespace

Transport::Tls::Tls(Transport* transport, std::unique_ptr<tls::Session> session)
    : session(std::move(session)),
      cipher_input(&transport->loop_->buffers()),
      buffer_waiter(transport, [](void* self) { static_cast<Transport*>(self)->Decrypt(); }) {}

Transport::Transport(uring::Loop* loop, Owner* owner, uring::BufferGroup small_buffers)
    : loop_(loop),
      owner_(owner),
      small_buffers_(small_buffers),
      socket_(loop, this, small_buffers),
      input_(&loop->buffers()) {}

Transport::~Transport() { DropParts(); }

void Transport::Reset() {
  input_ended_ = output_failed_ = finish_output_ = false;
  bytes_received_ = bytes_sent_ = 0;
  wanted_ = Socket::ReceiveMode::kOff;
}

void Transport::Adopt(int fd, std::unique_ptr<tls::Session> session) {
  socket_.Adopt(fd);
  Reset();
  if (session != nullptr) tls_ = std::make_unique<Tls>(this, std::move(session));
}

void Transport::StartTls(std::unique_ptr<tls::Session> session) {
  CHECK(tls_ == nullptr && bytes_sent_ == 0 && drained());
  tls_ = std::make_unique<Tls>(this, std::move(session));
  tls_->cipher_input.TakeAll(input_);
}

int Transport::Connect(const uring::SocketAddress& address) {
  if (const int error = socket_.Connect(address); error != 0) return error;
  Reset();
  send_started_ns_ = loop_->now_ns();  // the socket counts its connect as a send
  return 0;
}

void Transport::OnConnected(Socket&, int error) { owner_->OnConnected(error); }

// --- Input
// ------------------------------------------------------------------------------------------------

void Transport::Receive(Socket::ReceiveMode mode) {
  wanted_ = mode;
  const bool plaintext_to_come =
      tls_ != nullptr && (tls_->plaintext_left || !tls_->cipher_input.empty());
  if (plaintext_to_come && mode != Socket::ReceiveMode::kOff) return Decrypt();
  socket_.Receive(mode);
}

void Transport::OnReceived(Socket&, BufferId buffer, uint32_t size, bool more) {
  bytes_received_ += size;
  // Behind a close_notify or what broke the protocol: nobody will ever read it.
  if (input_ended_) return loop_->buffers().Unref(buffer);
  (tls_ == nullptr ? input_ : tls_->cipher_input).Append(buffer, size);
  if (more) return;
  if (tls_ != nullptr) return Decrypt();
  wanted_ = socket_.receive_mode();
  owner_->OnInput();
}

// Turns ciphertext into plaintext as far as there is room for it. The owner is called once per
// round and may consume, write, change what is to be received, or close; it does not re-enter here.
void Transport::Decrypt() {
  if (tls_->decrypting) return;
  tls_->decrypting = true;
  InputQueue& cipher_input = tls_->cipher_input;
  uring::BufferLoans& buffers = loop_->buffers();
  while (open() && !input_ended_ && (!cipher_input.empty() || tls_->plaintext_left) &&
         input_.bytes() < kPlaintextMax) {
    // A handshake brings no plaintext. Bulk goes into large buffers, everything else into small
    // ones.
    const bool handshake = !tls_->session->handshake_done();
    const bool bulk = cipher_input.bytes() > kRecordBytesMax / 2;
    BufferId plaintext;
    if (!handshake) plaintext = buffers.Take(bulk ? BufferGroup::kBody : small_buffers_);
    if (!handshake && !plaintext.valid()) {
      plaintext = buffers.Take(bulk ? small_buffers_ : BufferGroup::kBody);
    }
    if (!handshake && !plaintext.valid()) {
      if (!tls_->buffer_waiter.waiting()) buffers.Wait(small_buffers_, tls_->buffer_waiter);
      break;
    }
    const std::span<char> room =
        handshake ? std::span<char>() : std::span(buffers.data(plaintext), buffers.size(plaintext));
    size_t produced = 0;
    auto status = tls::Session::ReadStatus::kNeedInput;
    do {
      const tls::Session::ReadResult result =
          tls_->session->Read(std::as_bytes(std::span(cipher_input.Front())),
                              std::as_writable_bytes(room.subspan(produced)));
      if (result.consumed > 0) cipher_input.Consume(result.consumed);
      produced += result.produced;
      status = result.status;
    } while (status == tls::Session::ReadStatus::kNeedInput && !cipher_input.empty());
    tls_->plaintext_left = status == tls::Session::ReadStatus::kOutputFull;
    if (produced > 0) {
      input_.Append(plaintext, static_cast<uint32_t>(produced));
    } else if (plaintext.valid()) {
      buffers.Unref(plaintext);
    }
    Flush();  // handshake flights, alerts
    if (!tls_->handshake_done && tls_->session->handshake_done()) {
      tls_->handshake_done = true;
      owner_->OnHandshakeDone();
    }
    if (produced > 0 && open()) {
      if (wanted_ != Socket::ReceiveMode::kMultishot) wanted_ = Socket::ReceiveMode::kOff;
      owner_->OnInput();
    }
    if (!open()) break;
    if (status == tls::Session::ReadStatus::kClosed) {
      EndInput(InputEnd::kClean);
    } else if (status == tls::Session::ReadStatus::kFailed) {
      EndInput(InputEnd::kTlsFailed);
    }
  }
  tls_->decrypting = false;
  // Nothing to go on with here: what the owner asked for (or a record's missing bytes) comes from
  // the wire.
  if (!open() || input_ended_ || !cipher_input.empty() || tls_->plaintext_left) return;
  if (tls_->receive_ended) return OnReceiveEnd(socket_, tls_->receive_error);
  socket_.Receive(wanted_);
}

void Transport::EndInput(InputEnd end) {
  if (input_ended_) return;
  input_ended_ = true;
  if (tls_ != nullptr) tls_->cipher_input.Clear();
  socket_.Receive(Socket::ReceiveMode::kOff);
  owner_->OnInputEnd(end);
}

void Transport::OnReceiveEnd(Socket&, int error) {
  if (tls_ != nullptr && (!tls_->cipher_input.empty() || tls_->plaintext_left)) {
    // What was received before the end comes first; Decrypt comes back here.
    tls_->receive_ended = true;
    tls_->receive_error = error;
    return;
  }
  if (error != 0) return EndInput(InputEnd::kReset);
  if (tls_ != nullptr && !tls_->session->OnTransportEof()) return EndInput(InputEnd::kTruncated);
  EndInput(InputEnd::kClean);
}

// --- Output
// -----------------------------------------------------------------------------------------------

void Transport::Write(std::string_view bytes, BufferId buffer) {
  if (bytes.empty() || output_failed_ || !open()) {
    if (buffer.valid()) loop_->buffers().Unref(buffer);
    return;
  }
  CHECK_LT(part_count_, kPartsMax) << "Write without room";
  parts_[part_count_] = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  part_buffers_[part_count_] = buffer;
  ++part_count_;
  output_bytes_ += bytes.size();
}

void Transport::Flush() {
  if (!open() || socket_.sending() || output_failed_) return;
  StartSend();
}

void Transport::StartSend() {
  send_started_ns_ = loop_->now_ns();
  if (tls_ == nullptr) {
    if (part_count_ > 0) socket_.Send(std::span(parts_.data(), part_count_));
    return;
  }
  if (!EncryptParts()) {
    output_failed_ = true;
    DropParts();
    return owner_->OnOutputFailed(EPROTO);
  }
  if (finish_output_ && tls_->handshake_done && part_count_ == 0) tls_->session->Close();
  if (!CiphertextLeft()) return;
  const size_t count =
      tls_->session->FillIovec(tls_->records, kOutputBytesMax + kPartsMax * kRecordOverheadMax);
  socket_.Send(std::span(tls_->records.data(), count));
}

// Seals what is queued into records, unless records of before are still on their way.
bool Transport::EncryptParts() {
  if (part_count_ == 0 || !tls_->handshake_done || tls_->sealed_count > 0) return true;
  if (tls_->session->state() == tls::Session::State::kFailed) {
    // The alert goes out; the end of the input tells the owner.
    DropParts();
    return true;
  }
  const bool ok = tls_->session->Writev(std::span(parts_.data(), part_count_));
  tls_->sealed_buffers = part_buffers_;
  tls_->sealed_count = part_count_;
  part_count_ = 0;
  tls_->records_plaintext = output_bytes_;
  return ok;
}

bool Transport::OutputHolds(BufferGroup group) const {
  const auto holds = [group](std::span<const BufferId> buffers) {
    return std::any_of(buffers.begin(), buffers.end(), [group](const BufferId& buffer) {
      return buffer.valid() && buffer.group() == group;
    });
  };
  return holds(std::span(part_buffers_.data(), part_count_)) ||
         (tls_ != nullptr && holds(std::span(tls_->sealed_buffers.data(), tls_->sealed_count)));
}

void Transport::LetGoOfSealed() {
  for (int i = 0; i < tls_->sealed_count; ++i) {
    if (tls_->sealed_buffers[i].valid()) loop_->buffers().Unref(tls_->sealed_buffers[i]);
  }
  tls_->sealed_count = 0;
}

void Transport::OnSent(Socket&, int32_t result) {
  if (result < 0) {
    output_failed_ = true;
    if (tls_ != nullptr) tls_->session->ConsumeOutgoing(0);
    DropParts();
    return owner_->OnOutputFailed(-result);
  }
  bytes_sent_ += static_cast<uint64_t>(result);
  if (tls_ == nullptr) {
    PopParts(static_cast<size_t>(result));
  } else {
    tls_->session->ConsumeOutgoing(static_cast<size_t>(result));
    if (!CiphertextLeft()) {
      output_bytes_ -= tls_->records_plaintext;
      tls_->records_plaintext = 0;
      LetGoOfSealed();
    }
  }
  StartSend();
  if (output_failed_) return;
  const bool is_drained = drained();
  if (is_drained && finish_output_) {
    finish_output_ = false;
    socket_.ShutdownSend();
  }
  owner_->OnOutputProgress(is_drained);
}

void Transport::PopParts(size_t bytes) {
  output_bytes_ -= bytes;
  int done = 0;
  while (done < part_count_ && bytes >= parts_[done].iov_len) {
    bytes -= parts_[done].iov_len;
    if (part_buffers_[done].valid()) loop_->buffers().Unref(part_buffers_[done]);
    ++done;
  }
  if (bytes > 0) {
    parts_[done].iov_base = static_cast<char*>(parts_[done].iov_base) + bytes;
    parts_[done].iov_len -= bytes;
  }
  for (int i = done; done > 0 && i < part_count_; ++i) {
    parts_[i - done] = parts_[i];
    part_buffers_[i - done] = part_buffers_[i];
  }
  part_count_ = static_cast<uint8_t>(part_count_ - done);
}

void Transport::DropParts() {
  for (int i = 0; i < part_count_; ++i) {
    if (part_buffers_[i].valid()) loop_->buffers().Unref(part_buffers_[i]);
  }
  part_count_ = 0;
  output_bytes_ = 0;
  if (tls_ == nullptr) return;
  tls_->records_plaintext = 0;
  LetGoOfSealed();
}

void Transport::FinishOutput() {
  if (!open() || output_failed_) return;
  // Behind records that are on their way there may be parts that are not sealed yet; then the
  // close_notify comes behind those, see StartSend.
  if (tls_ != nullptr && tls_->handshake_done && tls_->sealed_count == 0) {
    if (!EncryptParts()) return;
    tls_->session->Close();
    Flush();
  }
  if (drained()) {
    socket_.ShutdownSend();
  } else {
    finish_output_ = true;
  }
}

// --- End
// ----------------------------------------------------------------------------------------------------

void Transport::Close() {
  if (tls_ != nullptr) loop_->buffers().StopWaiting(tls_->buffer_waiter);
  socket_.Close();
}

void Transport::OnClosed(Socket&) {
  // Only now is the kernel done with the parts' bytes.
  DropParts();
  input_.Clear();
  if (tls_ != nullptr) tls_->session->ConsumeOutgoing(0);
  tls_ = nullptr;
  owner_->OnTransportClosed();
}

}  // namespace edge::proxy
