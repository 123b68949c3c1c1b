#include "test/sim/wire_reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace edge::sim {
namespace {

using State = WireMessage::State;
using Body = WireMessage::Body;

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// One message of a stream. A function that returns false has set the state.
class Reader {
 public:
  Reader(std::string_view stream, size_t begin) : stream_(stream), next_(begin) {
    message_.begin = begin;
  }

  WireMessage Request() {
    if (ReadRequestLine() && ReadFields() && ReadRequestFraming()) ReadBody(false);
    return std::move(message_);
  }

  WireMessage Response(std::string_view method, bool ended) {
    if (ReadStatusLine() && ReadFields() && ReadResponseFraming(method)) ReadBody(ended);
    return std::move(message_);
  }

 private:
  enum class Line : uint8_t { kWhole, kCut, kBad };

  bool Stop(State state) {
    message_.state = state;
    return false;
  }

  // Up to CRLF. A CR or LF alone, or another control character, is bad as soon as it is there.
  Line Next(std::string_view* line) {
    const size_t begin = next_;
    for (size_t i = begin; i < stream_.size(); ++i) {
      if (stream_[i] == '\r') {
        if (i + 1 == stream_.size()) return Line::kCut;
        if (stream_[i + 1] != '\n') return Line::kBad;
        *line = stream_.substr(begin, i - begin);
        next_ = i + 2;
        return Line::kWhole;
      }
      if (HasControl(stream_.substr(i, 1))) return Line::kBad;
    }
    return Line::kCut;
  }

  bool NextOfHead(std::string_view* line) {
    const Line result = Next(line);
    return result == Line::kWhole || Stop(result == Line::kCut ? State::kHeadCut : State::kHeadBad);
  }

  bool ReadVersion(std::string_view version) {
    message_.http10 = version == "HTTP/1.0";
    return version == "HTTP/1.1" || message_.http10 || Stop(State::kHeadBad);
  }

  bool ReadRequestLine() {
    std::string_view line;
    do {
      if (!NextOfHead(&line)) return false;
    } while (line.empty());
    const std::vector<std::string_view> parts = absl::StrSplit(line, ' ');
    if (parts.size() != 3 || !IsToken(parts[0])) return Stop(State::kHeadBad);
    message_.method = parts[0];
    return ReadTarget(parts[1]) && ReadVersion(parts[2]);
  }

  bool ReadTarget(std::string_view target) {
    if (target.empty()) return Stop(State::kHeadBad);
    message_.target = target;
    const size_t scheme = target.find("://");
    if (target[0] == '/' || target == "*" || scheme == std::string_view::npos) return true;
    target.remove_prefix(scheme + 3);
    const size_t path = std::min(target.find_first_of("/?"), target.size());
    message_.host = target.substr(0, path);
    absolute_ = true;
    target.remove_prefix(path);
    if (target.empty() && message_.method == "OPTIONS") {
      message_.target = "*";
    } else {
      message_.target = absl::StrCat(target.starts_with('/') ? "" : "/", target);
    }
    return true;
  }

  bool ReadStatusLine() {
    std::string_view line;
    if (!NextOfHead(&line)) return false;
    if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
      return Stop(State::kHeadBad);
    }
    for (const char c : line.substr(9, 3)) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return Stop(State::kHeadBad);
      message_.status = message_.status * 10 + (c - '0');
    }
    if (message_.status < 100 || message_.status > 599) return Stop(State::kHeadBad);
    return ReadVersion(line.substr(0, 8));
  }

  static bool ReadField(std::string_view line, WireFields* fields) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return false;
    fields->emplace_back(absl::AsciiStrToLower(line.substr(0, colon)),
                         Trim(line.substr(colon + 1)));
    return true;
  }

  bool ReadFields() {
    for (;;) {
      std::string_view line;
      if (!NextOfHead(&line)) return false;
      if (line.empty()) break;
      if (!ReadField(line, &message_.fields)) return Stop(State::kHeadBad);
    }
    message_.head_end = next_;
    const std::string* host = message_.Find("host");
    if (!absolute_ && host != nullptr) message_.host = *host;
    bool close = false;
    bool keep_alive = false;
    for (const auto& [name, value] : message_.fields) {
      if (name != "connection") continue;
      for (const std::string_view option : absl::StrSplit(value, ',')) {
        close = close || absl::EqualsIgnoreCase(Trim(option), "close");
        keep_alive = keep_alive || absl::EqualsIgnoreCase(Trim(option), "keep-alive");
        message_.upgrade = message_.upgrade || absl::EqualsIgnoreCase(Trim(option), "upgrade");
      }
    }
    message_.keep_alive = !close && (!message_.http10 || keep_alive);
    return true;
  }

  size_t Count(std::string_view name) const {
    return static_cast<size_t>(
        std::count_if(message_.fields.begin(), message_.fields.end(),
                      [name](const auto& field) { return field.first == name; }));
  }

  bool ReadFramingFields() {
    const size_t codings = Count("transfer-encoding");
    const size_t lengths = Count("content-length");
    if (codings + lengths > 1) return Stop(State::kHeadBad);
    if (codings == 1) {
      message_.framing = Body::kChunked;
      const bool chunked = absl::EqualsIgnoreCase(*message_.Find("transfer-encoding"), "chunked");
      return (chunked && !message_.http10) || Stop(State::kHeadBad);
    }
    if (lengths == 0) return true;
    message_.framing = Body::kLength;
    const std::string& digits = *message_.Find("content-length");
    if (digits.empty() || digits.size() > 19 || (digits[0] == '0' && digits.size() > 1)) {
      return Stop(State::kHeadBad);
    }
    for (const char c : digits) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return Stop(State::kHeadBad);
      message_.length = message_.length * 10 + static_cast<uint64_t>(c - '0');
    }
    return true;
  }

  bool ReadRequestFraming() {
    if (Count("host") > 1) return Stop(State::kHeadBad);
    return ReadFramingFields();
  }

  bool ReadResponseFraming(std::string_view method) {
    if (!ReadFramingFields()) return false;
    const int status = message_.status;
    const bool has_body = message_.framing == Body::kChunked || message_.length > 0;
    if (status < 200) {
      if (message_.framing != Body::kNone) return Stop(State::kHeadBad);
      return true;
    }
    if (status == 204 && has_body) message_.keep_alive = false;
    if (status == 204 || status == 304 || method == "HEAD") {
      message_.framing = Body::kNone;
    } else if (message_.framing == Body::kNone) {
      message_.framing = Body::kUntilClose;
      message_.keep_alive = false;
    }
    return true;
  }

  void ReadBody(bool ended) {
    message_.state = State::kComplete;
    switch (message_.framing) {
      case Body::kNone:
        break;
      case Body::kLength:
        message_.body = stream_.substr(next_, message_.length);
        next_ += message_.body.size();
        if (message_.body.size() < message_.length) message_.state = State::kBodyCut;
        break;
      case Body::kUntilClose:
        message_.body = stream_.substr(next_);
        next_ = stream_.size();
        if (!ended) message_.state = State::kBodyCut;
        break;
      case Body::kChunked:
        message_.state = ReadChunks();
        break;
    }
    message_.end = next_;
  }

  State ReadChunks() {
    const auto of = [](Line line) {
      return line == Line::kCut ? State::kBodyCut : State::kBodyBad;
    };
    std::string_view line;
    for (;;) {
      if (const Line result = Next(&line); result != Line::kWhole) return of(result);
      size_t digits = 0;
      uint64_t size = 0;
      for (; digits < line.size() && absl::ascii_isxdigit(static_cast<unsigned char>(line[digits]));
           ++digits) {
        if (size >> 59 != 0) return State::kBodyBad;
        const char c = absl::ascii_tolower(static_cast<unsigned char>(line[digits]));
        size = size << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
      }
      const std::string_view extensions = Trim(line.substr(digits));
      if (digits == 0 || (!extensions.empty() && extensions[0] != ';')) return State::kBodyBad;
      if (size == 0) break;
      message_.body.append(stream_.substr(next_, size));
      if (stream_.size() - next_ < size) return State::kBodyCut;
      next_ += size;
      if (const Line result = Next(&line); result != Line::kWhole) return of(result);
      if (!line.empty()) return State::kBodyBad;
    }
    for (;;) {
      if (const Line result = Next(&line); result != Line::kWhole) return of(result);
      if (line.empty()) return State::kComplete;
      if (!ReadField(line, &message_.trailers)) return State::kBodyBad;
    }
  }

  const std::string_view stream_;
  size_t next_;
  bool absolute_ = false;
  WireMessage message_;
};

}  // namespace

const std::string* WireMessage::Find(std::string_view name) const {
  for (const auto& [field, value] : fields) {
    if (field == name) return &value;
  }
  return nullptr;
}

bool WireMessage::Has(std::string_view name, std::string_view value) const {
  return std::any_of(fields.begin(), fields.end(), [&](const auto& field) {
    return field.first == name && field.second == value;
  });
}

std::vector<WireMessage> ReadRequests(std::string_view stream) {
  std::vector<WireMessage> requests;
  size_t next = 0;
  while (next < stream.size()) {
    requests.push_back(Reader(stream, next).Request());
    if (!requests.back().complete() || !requests.back().keep_alive) break;
    next = requests.back().end;
  }
  return requests;
}

WireResponse ReadResponse(std::string_view stream, std::string_view method, bool ended) {
  WireResponse response;
  size_t next = 0;
  for (;;) {
    response.final = Reader(stream, next).Response(method, ended);
    const WireMessage& head = response.final;
    if (!head.has_head() || head.status >= 200 || head.status == 101) return response;
    next = head.end;
    response.interim.push_back(std::move(response.final));
  }
}

}  // namespace edge::sim
