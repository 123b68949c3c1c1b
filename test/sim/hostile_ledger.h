// What hostile clients have asked, what origins have answered to it, and what must never happen and
// did. Asked and answered are bytes; wire_reader.h says what they mean.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/sim/hostile_scenario.h"
#include "test/sim/wire_reader.h"

namespace edge::sim {

class HostileLedger {
 public:
  // What an origin wrote on a connection in answer to one request.
  struct Answer {
    std::string method;              // of the request, as the origin saw it
    std::string bytes;               // so far
    bool ended = false;              // the origin ended the connection in order behind them
    bool unasked = false;            // begins with bytes from before the request
    int64_t written_ns = INT64_MAX;  // when the last of those was with the kernel
    // The origin has kept to the rules and written the whole.
    bool honest = false;
  };
  // All that was asked with one method and one target; mutation may have made it several.
  struct Request {
    struct Source {
      const WireMessage* message;
      const HostileClientScript* client;
    };
    std::vector<Source> sources;
    int heads_at_origins = 0;
    int64_t sent_ns = INT64_MAX;  // when the first of them was begun
    std::vector<std::shared_ptr<Answer>> answers;
  };

  explicit HostileLedger(const HostileScenario* scenario);  // not owned; outlives this

  // nullptr: nobody asked for that.
  Request* Find(std::string_view method, std::string_view target);

  // What an origin has written although it was not asked. Bytes that cross a request on their way
  // cannot be told from an answer to it, even before the origin has seen it.
  std::vector<std::shared_ptr<Answer>>& unasked() { return unasked_; }
  // Bytes that nobody asked for were taken for an answer to this, although they had been there for
  // long: on a connection that no request should have been sent on.
  bool WasNoticeable(const Answer& answer, const Request& request) const {
    return calm_ && answer.written_ns < request.sent_ns - kNoticedNs;
  }

  bool calm() const { return calm_; }
  // The proxy inspects requests: it asks for their bodies itself, and may deny them if it is not
  // calm.
  bool inspected() const { return inspected_; }
  void NoteInspected() { inspected_ = true; }

  void Violation(std::string what) { violations_.push_back(std::move(what)); }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  static constexpr int64_t kNoticedNs = 8'000'000'000;

  const bool calm_;
  bool inspected_ = false;
  std::vector<std::shared_ptr<Answer>> unasked_;
  std::map<std::pair<std::string, std::string>, Request> requests_;
  std::vector<std::string> violations_;
};

}  // namespace edge::sim
