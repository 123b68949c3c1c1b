#include "proxy/waf/inspected_request.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace edge::proxy::waf {

void InspectedRequest::Begin(const http::RequestHead& head, const Peers& peers, std::string_view id,
                             int64_t wall_ns) {
  size_t bytes = head.method_name().size() + head.target().size() + id.size() +
                 peers.client_address.size() + peers.server_address.size();
  for (size_t i = 0; i < head.size(); ++i) bytes += head.name(i).size() + head.value(i).size();
  head_.clear();
  head_.reserve(bytes);  // the views must not move
  const auto copy = [this](std::string_view text) {
    head_.append(text);
    return std::string_view(head_).substr(head_.size() - text.size());
  };
  method_ = copy(head.method_name());
  target_ = copy(head.target());
  protocol_ = head.version == http::Version::kHttp11 ? "HTTP/1.1" : "HTTP/1.0";
  id_ = copy(id);
  peers_ = peers;
  peers_.client_address = copy(peers.client_address);
  peers_.server_address = copy(peers.server_address);
  fields_.clear();
  for (size_t i = 0; i < head.size(); ++i) {
    const std::string_view name = copy(head.name(i));
    fields_.push_back({name, copy(head.value(i))});
  }
  body_.clear();
  body_cut_ = false;
  wall_ns_ = wall_ns;
}

void InspectedRequest::AppendTrailers(std::string_view lines) {
  trailers_.assign(lines);
  for (std::string_view rest = trailers_; !rest.empty();) {
    const size_t end = std::min(rest.find("\r\n"), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    const size_t colon = line.find(':');
    if (colon == line.npos) continue;
    fields_.push_back({line.substr(0, colon), absl::StripAsciiWhitespace(line.substr(colon + 1))});
  }
}

void InspectedRequest::Clear() {
  // Not by assignment, which may keep the memory.
  if (head_.capacity() > kKeptBytesMax) std::string().swap(head_);
  if (body_.capacity() > kKeptBytesMax) std::string().swap(body_);
  head_.clear();
  body_.clear();
  fields_.clear();
}

}  // namespace edge::proxy::waf
