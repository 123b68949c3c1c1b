#include "proxy/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace edge::proxy {

AccessLogBuffer::AccessLogBuffer(LogSink* sink) : sink_(sink) {
  for (int i = 0; i < kBatches; ++i) {
    batches_.push_back(std::make_unique<LogBatch>());
    LogBatch* batch = batches_.back().get();
    batch->text.reserve(LogBatch::kBytes);
    batch->home = &returned_;
    free_.push_back(batch);
  }
}

void AccessLogBuffer::TakeBack() {
  for (uring::MailboxNode* node = returned_.TakeAll(); node != nullptr;) {
    auto* batch = static_cast<LogBatch*>(node);
    node = node->next;
    batch->text.clear();
    free_.push_back(batch);
  }
}

std::string* AccessLogBuffer::BeginLine() {
  if (current_ == nullptr) {
    if (free_.empty()) TakeBack();
    if (free_.empty()) return nullptr;
    current_ = free_.back();
    free_.pop_back();
  }
  return &current_->text;
}

void AccessLogBuffer::EndLine() {
  if (current_->text.size() + LogBatch::kLineBytesMax > LogBatch::kBytes) Flush();
}

void AccessLogBuffer::Flush() {
  if (current_ == nullptr || current_->text.empty()) return;
  LogBatch* batch = current_;
  current_ = nullptr;
  sink_->Submit(batch);
}

namespace {

// The length of the UTF-8 sequence at the front of `text` (RFC 3629), 0 if there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = byte(0);
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) >= 0xa0) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

void AppendJsonEscaped(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c >= 0x20 && c < 0x7f) {
      out.push_back(static_cast<char>(c));
    } else if (c >= 0x80 && (length = Utf8Length(text)) > 0) {
      out.append(text.substr(0, length));
    } else {
      length = 1;
      out.append("\\u00");
      out.push_back(kDigits[c >> 4]);
      out.push_back(kDigits[c & 15]);
    }
    text.remove_prefix(length);
  }
}

void AppendJsonMember(std::string& out, std::string_view key, std::string_view value,
                      size_t bytes_max) {
  absl::StrAppend(&out, ",\"", key, "\":\"");
  AppendJsonEscaped(out, value.substr(0, bytes_max));
  out.push_back('"');
}

AccessLogFile::~AccessLogFile() {
  if (fd_ > STDERR_FILENO) close(fd_);
}

absl::Status AccessLogFile::Open(const std::string& path) {
  const int fd = path == "-" ? STDOUT_FILENO
                             : open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::UnavailableError(
        absl::StrCat("--access_log: cannot open '", path, "': ", std::strerror(errno)));
  }
  if (fd_ > STDERR_FILENO) close(fd_);
  fd_ = fd;
  return absl::OkStatus();
}

bool AccessLogFile::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd_, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace edge::proxy
