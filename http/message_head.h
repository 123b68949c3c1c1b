#pragma once

// The head of a message: its fields as offsets into one block of bytes, and what they mean.
//
// Owned by an exchange; the block is lent by the caller and must outlive the head's use of it
// (until Bind, Rebind or Clear). One thread. A parser fills it; until the parser says kComplete
// only started fields are there. Invariants: every offset lies within the block; names are tokens,
// values have no CR, LF or NUL and no white space around them; at most kFieldsMax fields. String
// views handed out point into the block.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/field.h"
#include "http/method.h"

namespace edge::http {

enum class Version : uint8_t { kHttp10, kHttp11 };

// How the end of a body is found (RFC 9112 6.3).
enum class BodyFraming : uint8_t {
  kNone,        // no body
  kLength,      // content_length bytes, which may be 0
  kChunked,     // chunks and a trailer section
  kUntilClose,  // responses only: all there is until the origin closes
};

class MessageHead {
 public:
  static constexpr size_t kFieldsMax = 128;
  static constexpr size_t kBlockBytesMax = 65535;  // offsets are 16 bits wide

  MessageHead() = default;
  MessageHead(const MessageHead&) = delete;
  MessageHead& operator=(const MessageHead&) = delete;

  // Lends a block and empties the head. CHECKs that the block has at most kBlockBytesMax bytes.
  void Bind(std::span<char> block);
  // Moves what was read so far into a larger block. The old block may be freed afterwards; views
  // into it may not be used any more.
  void Rebind(std::span<char> larger_block);
  // Empties the head and keeps the block.
  void Clear();

  size_t size() const { return size_; }
  FieldId id(size_t i) const { return fields_[i].id; }
  std::string_view name(size_t i) const {
    return View(fields_[i].name_begin, fields_[i].name_size);
  }
  std::string_view value(size_t i) const {
    return View(fields_[i].value_begin, fields_[i].value_size);
  }
  // RFC 9110 7.6.1: belongs to the connection it came on and is not forwarded: hop-by-hop by its
  // name, or named by Connection. Valid once the head is complete.
  bool IsHopByHop(size_t i) const { return (fields_[i].flags & kFlagHopByHop) != 0; }

  bool Has(FieldId id) const { return (present_ & FieldBit(id)) != 0; }
  // The first such field's value. Not for kOther.
  std::optional<std::string_view> Find(FieldId id) const;
  size_t Count(FieldId id) const;
  // Whether Count(id) is above 1.
  bool Repeats(FieldId id) const { return (repeated_ & FieldBit(id)) != 0; }
  // By any name, without regard to case; a pass over all fields.
  std::optional<std::string_view> Find(std::string_view name) const;

  // Bytes of the block in use.
  size_t bytes() const { return used_; }
  size_t block_size() const { return capacity_; }

 protected:
  struct Slice {
    uint16_t begin = 0;
    uint16_t size = 0;
  };
  std::string_view View(uint16_t begin, uint16_t size) const { return {block_ + begin, size}; }
  std::string_view View(Slice slice) const { return View(slice.begin, slice.size); }

 private:
  friend class HeadReader;     // fills block and fields
  friend class HeadRules;      // marks hop-by-hop fields
  friend class RequestParser;  // shortens an absolute-form
  friend class ForwardWriter;  // copies whole lines

  struct Field {
    uint16_t name_begin;
    uint16_t name_size;
    uint16_t value_begin;
    uint16_t value_size;
    FieldId id;
    uint8_t flags;
  };
  static constexpr uint8_t kFlagHopByHop = 1;
  static constexpr uint8_t kFlagCanonical =
      2;  // the block has exactly "name: value\r\n", not empty

  // The caller has checked kFieldsMax.
  Field& Append(FieldId id) {
    repeated_ |= present_ & FieldBit(id);
    present_ |= FieldBit(id);
    fields_[size_].id = id;
    return fields_[size_++];
  }

  char* block_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t used_ = 0;
  uint32_t size_ = 0;
  uint64_t present_ = 0;   // bit i: FieldId i occurs
  uint64_t repeated_ = 0;  // bit i: it occurs more than once
  std::array<Field, kFieldsMax> fields_;
};

// A request's head. All members are valid once RequestParser said kComplete.
struct RequestHead : MessageHead {
  Method method = Method::kGet;
  Version version = Version::kHttp11;
  BodyFraming framing = BodyFraming::kNone;
  // The client may send another request on its connection after this one.
  bool keep_alive = false;
  // `Expect: 100-continue` of an HTTP/1.1 client: it waits before it sends the body.
  bool expect_continue = false;
  // `Connection: upgrade` and one Upgrade field, HTTP/1.1. Never for h2c, which edge does not
  // tunnel.
  bool upgrade = false;
  // `TE: trailers`: the client takes trailers.
  bool accepts_trailers = false;
  // The target came in absolute-form, so host() is from it and not from Host.
  bool absolute_form = false;
  // Absolute-form only: its scheme was https.
  bool absolute_https = false;
  uint64_t content_length = 0;  // with kLength
  // RFC 9110 7.6.2, OPTIONS and TRACE only: at 0 the proxy answers itself instead of forwarding.
  std::optional<uint32_t> max_forwards;

  std::string_view method_name() const { return MethodName(method); }
  // Origin-form or "*"; an absolute-form has been cut down to that.
  std::string_view target() const { return View(target_); }
  std::string_view path() const { return View(target_.begin, path_size_); }
  // Without its "?"; empty both for no query and an empty one.
  std::string_view query() const;
  // The effective authority, "host[:port]" as received. Empty only for HTTP/1.0 without Host.
  std::string_view host() const { return View(host_); }
  // The Upgrade field's value; empty without one.
  std::string_view upgrade_protocol() const { return Find(FieldId::kUpgrade).value_or(""); }

 private:
  friend class RequestParser;
  Slice target_;
  Slice host_;
  uint16_t path_size_ = 0;
};

// A response's head. All members are valid once ResponseParser said kComplete.
struct ResponseHead : MessageHead {
  uint16_t status = 0;
  Version version = Version::kHttp11;
  BodyFraming framing = BodyFraming::kNone;
  // The origin's connection can carry another exchange after this body.
  bool keep_alive = false;
  // 101 that was asked for: the bytes after the head are the other protocol's.
  bool upgrade = false;
  // A Content-Length was there. With framing kNone (HEAD, 304) it tells what a GET would have.
  bool has_content_length = false;
  uint64_t content_length = 0;

  bool interim() const { return status < 200 && status != 101; }
  std::string_view reason_phrase() const { return View(reason_phrase_); }

 private:
  friend class ResponseParser;
  Slice reason_phrase_;
};

}  // namespace edge::http
