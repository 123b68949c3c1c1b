#include "tls/bio.h"

#include <algorithm>
#include <cstring>

#include "absl/log/check.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "tls/session.h"

namespace edge::tls {

const BIO_METHOD* SessionBio::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "edge session");
    CHECK(made != nullptr);
    CHECK(BIO_meth_set_read(made, &SessionBio::Read));
    CHECK(BIO_meth_set_write(made, &SessionBio::Write));
    CHECK(BIO_meth_set_ctrl(made, &SessionBio::Control));
    return made;
  }();
  return method;
}

bssl::UniquePtr<BIO> SessionBio::New(Session* session) {
  bssl::UniquePtr<BIO> bio(BIO_new(Method()));
  if (bio != nullptr) {
    BIO_set_data(bio.get(), session);
    BIO_set_init(bio.get(), 1);
  }
  return bio;
}

Session* SessionBio::FromBio(BIO* bio) { return static_cast<Session*>(BIO_get_data(bio)); }

int SessionBio::Read(BIO* bio, char* out, int size) {
  Session* session = FromBio(bio);
  BIO_clear_retry_flags(bio);
  const size_t bytes = std::min(session->input_.size(), static_cast<size_t>(std::max(size, 0)));
  if (bytes == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(out, session->input_.data(), bytes);
  session->input_ = session->input_.subspan(bytes);
  return static_cast<int>(bytes);
}

int SessionBio::Write(BIO* bio, const char* data, int size) {
  Session* session = FromBio(bio);
  BIO_clear_retry_flags(bio);
  if (size <= 0) return size;
  // Records are pinned where they are. BoringSSL frees the buffer right after this call, without
  // writing to it again (tls_write_buffer_flush). Handshake flights live in other memory.
  RecordBlock* block = RecordPool::Pin(data, static_cast<size_t>(size));
  if (block == nullptr) block = RecordPool::PinCopy(data, static_cast<size_t>(size));
  if (block == nullptr) {
    // No retry flag, so that this is an error and not "try again".
    ERR_put_error(ERR_LIB_USER, 0, ERR_R_MALLOC_FAILURE, __FILE__, __LINE__);
    return -1;
  }
  session->outgoing_.Push(block);
  return size;
}

long SessionBio::Control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace edge::tls
