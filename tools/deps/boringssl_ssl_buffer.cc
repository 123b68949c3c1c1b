// Compiles BoringSSL's ssl/ssl_buffer.cc with its record buffers taken from edge's record pool.
//
// That file allocates and frees one buffer per TLS record, by malloc and free itself: the hooks
// that BoringSSL has for its other memory (OPENSSL_memory_alloc) do not reach it. So the two calls
// are renamed, in this one file. All headers that it uses are included first: their guards keep the
// macros away from them.
//
// The functions are weak, as BoringSSL's own hooks are: a program that does not link //tls gets
// malloc and free.
#include <assert.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "src/crypto/internal.h"
#include "src/ssl/internal.h"

extern "C" {
void* edge_tls_record_alloc(size_t size) __attribute__((weak));
void edge_tls_record_free(void* data) __attribute__((weak));
}

static inline void* AllocateRecordBuffer(size_t size) {
  return edge_tls_record_alloc != nullptr ? edge_tls_record_alloc(size) : malloc(size);
}

static inline void FreeRecordBuffer(void* data) {
  if (edge_tls_record_free != nullptr) {
    edge_tls_record_free(data);
  } else {
    free(data);
  }
}

#define malloc AllocateRecordBuffer
#define free FreeRecordBuffer
#include "src/ssl/ssl_buffer.cc"
