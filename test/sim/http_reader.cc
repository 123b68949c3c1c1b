#include "test/sim/http_reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace edge::sim {
namespace {

constexpr size_t kLineBytesMax = 64 << 10;

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// Decimal without sign or leading zero.
bool ReadDecimal(std::string_view text, uint64_t* value) {
  if (text.empty() || (text[0] == '0' && text.size() > 1)) return false;
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) return false;
  return absl::SimpleAtoi(text, value);
}

bool ReadHex(std::string_view text, uint64_t* value) {
  if (text.empty() || text.size() > 15 || (text[0] == '0' && text.size() > 1)) return false;
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isxdigit)) return false;
  return absl::SimpleHexAtoi(text, value);
}

}  // namespace

const std::string* ReadHead::Find(std::string_view name) const {
  for (const auto& [field, value] : fields) {
    if (field == name) return &value;
  }
  return nullptr;
}

size_t ReadHead::Count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(fields.begin(), fields.end(),
                                           [&](const auto& field) { return field.first == name; }));
}

bool HttpReader::Fail(std::string error) {
  state_ = State::kFailed;
  error_ = std::move(error);
  return false;
}

bool HttpReader::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kFailed:
        return false;
      case State::kStopped:
        left_over_ += bytes.size();
        return true;
      case State::kTunnel:
        handler_->OnTunnel(bytes);
        return true;
      case State::kUntilClose:
        handler_->OnBody(bytes);
        return true;
      case State::kLengthBody:
      case State::kChunkData: {
        const size_t size = std::min<uint64_t>(bytes.size(), body_left_);
        handler_->OnBody(bytes.substr(0, size));
        bytes.remove_prefix(size);
        body_left_ -= size;
        if (body_left_ > 0 || state_ == State::kStopped) break;
        if (state_ == State::kChunkData) {
          state_ = State::kChunkEnd;
        } else {
          OnEnd();
        }
        break;
      }
      default: {  // lines
        const size_t size = bytes.find('\n');
        if (size == std::string_view::npos) {
          line_.append(bytes);
          if (line_.size() > kLineBytesMax) return Fail("line too long");
          return true;
        }
        line_.append(bytes.substr(0, size));
        bytes.remove_prefix(size + 1);
        if (line_.empty() || line_.back() != '\r') return Fail("LF without CR");
        line_.pop_back();
        if (line_.find('\r') != std::string::npos) return Fail("CR within a line");
        if (!OnLine()) return false;
        line_.clear();
      }
    }
  }
  return state_ != State::kFailed;
}

bool HttpReader::FeedEnd() {
  switch (state_) {
    case State::kFailed:
      return false;
    case State::kUntilClose:
      OnEnd();
      return true;
    case State::kTunnel:
    case State::kStopped:
      return true;
    default:
      return between_messages() ? true : Fail("the stream ended within a message");
  }
}

bool HttpReader::OnLine() {
  switch (state_) {
    case State::kStartLine:
      return OnStartLine();
    case State::kFields:
      return line_.empty() ? OnHeadEnd() : OnField();
    case State::kChunkSize:
      if (!ReadHex(line_, &body_left_)) return Fail(absl::StrCat("chunk size: ", line_));
      state_ = body_left_ == 0 ? State::kTrailers : State::kChunkData;
      return true;
    case State::kChunkEnd:
      if (!line_.empty()) return Fail("chunk longer than its size");
      state_ = State::kChunkSize;
      return true;
    case State::kTrailers:
      if (line_.empty()) {
        OnEnd();
        return state_ != State::kFailed;
      }
      return OnField();
    default:
      return Fail("unexpected line");
  }
}

bool HttpReader::OnStartLine() {
  head_ = {};
  trailers_.clear();
  if (kind_ == Kind::kRequests) {
    const std::vector<std::string> parts = absl::StrSplit(line_, ' ');
    if (parts.size() != 3 || !IsToken(parts[0]) || parts[1].empty()) {
      return Fail(absl::StrCat("request line: ", line_));
    }
    head_.method = parts[0];
    head_.target = parts[1];
    head_.version = parts[2];
  } else {
    // "HTTP/1.1 200 reason"; the reason may be empty, its space may not be missing.
    uint64_t status = 0;
    if (line_.size() < 13 || line_[8] != ' ' || line_[12] != ' ' ||
        !ReadDecimal(line_.substr(9, 3), &status) || status < 100 || status > 599) {
      return Fail(absl::StrCat("status line: ", line_));
    }
    head_.version = line_.substr(0, 8);
    head_.status = static_cast<int>(status);
  }
  if (head_.version != "HTTP/1.1" && head_.version != "HTTP/1.0") {
    return Fail(absl::StrCat("version: ", head_.version));
  }
  state_ = State::kFields;
  return true;
}

bool HttpReader::OnField() {
  const size_t colon = line_.find(':');
  if (colon == std::string::npos || !IsToken(std::string_view(line_).substr(0, colon))) {
    return Fail(absl::StrCat("field: ", line_));
  }
  std::string_view value = std::string_view(line_).substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (value != absl::StripAsciiWhitespace(value)) return Fail(absl::StrCat("white space: ", line_));
  for (const char c : value) {
    // From 0x80 on it is obs-text (RFC 9110, 5.5).
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control && c != '\t') return Fail("control character in a field");
  }
  std::string name = absl::AsciiStrToLower(line_.substr(0, colon));
  if (state_ == State::kTrailers) {
    for (const std::string_view forbidden : {"host", "content-length", "transfer-encoding"}) {
      if (name == forbidden) return Fail(absl::StrCat("in the trailers: ", name));
    }
    trailers_.emplace_back(std::move(name), value);
    return true;
  }
  head_.fields.emplace_back(std::move(name), value);
  return true;
}

bool HttpReader::OnHeadEnd() {
  const bool answers_head = kind_ == Kind::kResponses && handler_->AnswersHead();
  const std::string* coding = head_.Find("transfer-encoding");
  const std::string* length = head_.Find("content-length");
  if (coding != nullptr && length != nullptr) return Fail("both framings");
  if (head_.Count("transfer-encoding") > 1 || head_.Count("content-length") > 1) {
    return Fail("a framing field twice");
  }
  if (coding != nullptr && (*coding != "chunked" || head_.version == "HTTP/1.0")) {
    return Fail(absl::StrCat("transfer-encoding: ", *coding));
  }
  uint64_t bytes = 0;
  if (length != nullptr && !ReadDecimal(*length, &bytes)) {
    return Fail(absl::StrCat("content-length: ", *length));
  }
  const int status = head_.status;
  if (kind_ == Kind::kResponses && (status < 200 || status == 204) &&
      (coding != nullptr || length != nullptr)) {
    return Fail(absl::StrCat("status ", status, " with a framing field"));
  }

  state_ = State::kStartLine;
  body_left_ = 0;
  const bool no_body = answers_head || status == 204 || status == 304;
  if (!head_.interim() && status != 101 && !no_body) {
    if (coding != nullptr) {
      state_ = State::kChunkSize;
    } else if (bytes > 0) {
      state_ = State::kLengthBody;
      body_left_ = bytes;
    } else if (length == nullptr && kind_ == Kind::kResponses) {
      state_ = State::kUntilClose;
    }
  } else if (status == 101) {
    state_ = State::kTunnel;
  }
  const State body = state_;
  handler_->OnHead(head_);
  if (state_ == State::kStopped) return true;
  if (body == State::kStartLine && state_ == body && !head_.interim()) handler_->OnMessageEnd();
  return true;
}

void HttpReader::OnEnd() {
  state_ = State::kStartLine;
  handler_->OnMessageEnd();
}

}  // namespace edge::sim
