// What happened in a run, as a hash and, if asked for, as lines on standard error. Two runs with
// the same hash did the same things in the same order at the same times; no pointer and no real
// time goes in.

#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "test/sim/random.h"

namespace edge::sim {

class Trace {
 public:
  struct Field {
    const char* name;
    int64_t value;
  };

  explicit Trace(bool verbose = false) : verbose_(verbose) {}

  void Add(int64_t now_ns, const char* what, std::initializer_list<Field> fields) {
    Fold(static_cast<uint64_t>(now_ns));
    for (const char* c = what; *c != 0; ++c) Fold(static_cast<uint64_t>(*c));
    for (const Field& field : fields) Fold(static_cast<uint64_t>(field.value));
    ++events_;
    if (verbose_) Print(now_ns, what, fields);
  }

  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }
  bool verbose() const { return verbose_; }

  // Of bytes that move, to be added as a field.
  static int64_t HashBytes(std::string_view bytes);

 private:
  void Fold(uint64_t value) { hash_ = Mix(hash_ * 31 + value); }
  void Print(int64_t now_ns, const char* what, std::initializer_list<Field> fields) const;

  const bool verbose_;
  uint64_t hash_ = 0;
  uint64_t events_ = 0;
};

}  // namespace edge::sim
