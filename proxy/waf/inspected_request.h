// A copy of a request, for inspection: the exchange it came from may end at any time.
//
// Filled by the worker, read by one inspection thread; the job that holds it says whose turn it is.
// Its memory is used again for the next request.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/message_head.h"

namespace edge::proxy::waf {

class InspectedRequest {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };
  // Who sent it to whom. Addresses as text, without a port.
  struct Peers {
    std::string_view client_address;
    uint16_t client_port = 0;
    std::string_view server_address;
    uint16_t server_port = 0;
  };

  // Copies the head; `id` is the request's. The body comes with AppendBody.
  void Begin(const http::RequestHead& head, const Peers& peers, std::string_view id,
             int64_t wall_ns);
  void AppendBody(std::string_view bytes) { body_.append(bytes); }
  // By how much the memory grows to have room for `bytes` more of the body; 0: there is room.
  size_t BodyGrowth(size_t bytes) const {
    const size_t wanted = body_.size() + bytes;
    return wanted <= body_.capacity() ? 0
                                      : std::max(wanted, 2 * body_.capacity()) - body_.capacity();
  }
  void ReserveBody(size_t bytes) { body_.reserve(body_.capacity() + BodyGrowth(bytes)); }
  // Lines of a trailer section: fields like the others, which an origin may merge.
  void AppendTrailers(std::string_view lines);
  // There is more of the body, which is not looked at.
  void CutBody() { body_cut_ = true; }
  // Forgets everything; memory above what most requests need is given back.
  void Clear();

  std::string_view method() const { return method_; }
  std::string_view target() const { return target_; }
  std::string_view protocol() const { return protocol_; }
  std::string_view id() const { return id_; }
  const Peers& peers() const { return peers_; }
  const std::vector<Field>& fields() const { return fields_; }
  std::string_view body() const { return body_; }
  bool body_cut() const { return body_cut_; }
  int64_t wall_ns() const { return wall_ns_; }
  // Memory that this holds.
  size_t bytes_held() const {
    return sizeof *this + head_.capacity() + trailers_.capacity() + body_.capacity() +
           fields_.capacity() * sizeof(Field);
  }

 private:
  static constexpr size_t kKeptBytesMax = 16 << 10;

  std::string head_;  // what the views are of, but for the body and trailers
  std::string trailers_;
  std::string_view method_;
  std::string_view target_;
  std::string_view protocol_;
  std::string_view id_;
  Peers peers_;
  std::vector<Field> fields_;
  std::string body_;
  bool body_cut_ = false;
  int64_t wall_ns_ = 0;
};

}  // namespace edge::proxy::waf
