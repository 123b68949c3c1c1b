// BoringSSL's transport for a Session: reads from the input of the Read in progress, writes onto
// the session's outgoing queue by pinning the record buffer that BoringSSL sealed into.
//
// Never refuses a write (the queue has no limit of its own, see Session::Write), so BoringSSL never
// holds on to a half-written record. A read with no input left says "retry".
#pragma once

#include "openssl/base.h"

namespace edge::tls {

class Session;

struct SessionBio {
  // A BIO whose callbacks work on `session`, which outlives it. nullptr: out of memory.
  static bssl::UniquePtr<BIO> New(Session* session);
  // The session behind a BIO that New made.
  static Session* FromBio(BIO* bio);

 private:
  static int Read(BIO* bio, char* out, int size);
  static int Write(BIO* bio, const char* data, int size);
  static long Control(BIO* bio, int command, long number, void* pointer);
  static const BIO_METHOD* Method();
};

}  // namespace edge::tls
