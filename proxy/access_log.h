// The access log: one JSON object a line, gathered by each worker and written by the control
// thread.
//
// A worker never writes to the file: a full disk or a slow pipe must not stop it. It fills a batch
// and hands it over; the control thread writes it and hands it back. When the batches of a worker
// are all with the control thread, lines are dropped and counted.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proxy/control_message.h"
#include "uring/mailbox.h"

namespace edge::proxy {

struct LogBatch : ControlMessage {
  LogBatch() : ControlMessage(Kind::kLogBatch) {}

  static constexpr size_t kBytes = 64 << 10;
  // The longest line; what does not fit is cut.
  static constexpr size_t kLineBytesMax = 8 << 10;

  std::string text;
  uring::Mailbox* home = nullptr;  // of the worker it goes back to
};

// Where workers' batches go. Any thread.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void Submit(LogBatch* batch) = 0;
};

// The worker's side. Worker thread only.
class AccessLogBuffer {
 public:
  static constexpr int kBatches = 4;

  explicit AccessLogBuffer(LogSink* sink);  // not owned; outlives this

  // A string to append one line to, or nullptr: the line is to be dropped.
  std::string* BeginLine();
  void EndLine();
  // Hands over what is there.
  void Flush();

 private:
  void TakeBack();

  LogSink* const sink_;
  std::vector<std::unique_ptr<LogBatch>> batches_;
  std::vector<LogBatch*> free_;
  LogBatch* current_ = nullptr;
  uring::Mailbox returned_;
};

// Appends `text` as the inside of a JSON string (RFC 8259, 7). Bytes that are no UTF-8 are escaped
// as \u00XX, so that every line is valid JSON.
void AppendJsonEscaped(std::string& out, std::string_view text);

// Appends `,"key":"value"`, of the value at most `bytes_max` bytes. `key` is a literal.
void AppendJsonMember(std::string& out, std::string_view key, std::string_view value,
                      size_t bytes_max);

// The file behind the log. Control thread only.
class AccessLogFile {
 public:
  AccessLogFile() = default;
  ~AccessLogFile();
  // Opens (appending) or reopens. "-" is standard output.
  absl::Status Open(const std::string& path);
  // Writes whole batches; false when bytes were lost.
  bool Write(std::string_view text);

 private:
  int fd_ = -1;
};

}  // namespace edge::proxy
