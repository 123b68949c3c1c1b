// The peers' own HTTP/1.1 parser: small, byte by byte, and strict. It shares no code with edge, so
// that a mistake in edge's parser does not hide itself.
//
// What edge sends is canonical, so anything else is an error here: chunk extensions, leading zeros,
// white space around a value, a bare LF, two framings.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edge::sim {

struct ReadHead {
  // Of a request.
  std::string method;
  std::string target;
  // Of a response.
  int status = 0;

  std::string version;                                      // "HTTP/1.1"
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case

  // The value of the field; nullptr if there is none.
  const std::string* Find(std::string_view name) const;
  size_t Count(std::string_view name) const;
  bool interim() const { return status >= 100 && status < 200 && status != 101; }
};

class HttpReader {
 public:
  enum class Kind : uint8_t { kRequests, kResponses };

  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnHead(const ReadHead& head) = 0;
    virtual void OnBody(std::string_view bytes) = 0;
    // The message is complete. Not called for interim responses, which end with their head.
    virtual void OnMessageEnd() = 0;
    // Bytes after an Upgrade (see StartTunnel).
    virtual void OnTunnel(std::string_view) {}
    // The response that is about to be read answers HEAD.
    virtual bool AnswersHead() { return false; }
  };

  HttpReader(Kind kind, Handler* handler) : kind_(kind), handler_(handler) {}  // not owned

  // Reads on; false if what was read breaks the protocol, and then error() says how. Ends early
  // when a handler calls Stop.
  bool Feed(std::string_view bytes);
  // The stream has come to an orderly end: completes a body that lasts until then; false if a
  // message was cut.
  bool FeedEnd();
  // From a handler, or before Feed: what follows is not HTTP.
  void StartTunnel() { state_ = State::kTunnel; }
  // From a handler: nothing more is wanted.
  void Stop() { state_ = State::kStopped; }

  bool between_messages() const { return state_ == State::kStartLine && line_.empty(); }
  // Of the message that has just ended.
  const std::vector<std::pair<std::string, std::string>>& trailers() const { return trailers_; }
  // Bytes that came after Stop.
  uint64_t left_over() const { return left_over_; }
  bool until_close() const { return state_ == State::kUntilClose; }
  const std::string& error() const { return error_; }

 private:
  enum class State : uint8_t {
    kStartLine,
    kFields,
    kLengthBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kUntilClose,
    kTunnel,
    kStopped,
    kFailed,
  };

  bool Fail(std::string error);
  bool OnLine();
  bool OnStartLine();
  bool OnField();
  bool OnHeadEnd();
  void OnEnd();

  const Kind kind_;
  Handler* const handler_;
  State state_ = State::kStartLine;
  ReadHead head_;
  std::vector<std::pair<std::string, std::string>> trailers_;
  std::string line_;
  uint64_t body_left_ = 0;
  uint64_t left_over_ = 0;
  std::string error_;
};

}  // namespace edge::sim
