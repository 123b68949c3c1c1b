// Counts the calls of malloc, calloc and realloc that this thread makes while `count_allocations`.
//
// Included by the one source file of a test. The linker puts it before the library's (ld(1),
// --wrap). Not with sanitizers: they have a malloc of their own.

#pragma once

#include <cstddef>
#include <cstdint>

namespace {

thread_local bool count_allocations = false;
thread_local uint64_t allocations = 0;

}  // namespace

extern "C" {
void* __real_malloc(size_t);
void* __real_calloc(size_t, size_t);
void* __real_realloc(void*, size_t);
void* __wrap_malloc(size_t size) {
  if (count_allocations) ++allocations;
  return __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  if (count_allocations) ++allocations;
  return __real_calloc(count, size);
}
void* __wrap_realloc(void* old, size_t size) {
  if (count_allocations) ++allocations;
  return __real_realloc(old, size);
}
}
