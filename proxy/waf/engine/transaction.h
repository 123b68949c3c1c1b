// One request and its response under inspection: phases 1 to 5, and what was decided.
//
// The memory is reused for the next request (Begin), so that in a steady state nothing is
// allocated. One thread at a time; the scratch is of the thread that runs it.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/rule_set.h"

namespace edge::waf {

struct FieldView {
  std::string_view name;
  std::string_view value;
};

// Everything a request is inspected by. The bytes outlive the transaction.
struct RequestView {
  std::string_view client_address;
  uint16_t client_port = 0;
  std::string_view server_address;
  uint16_t server_port = 0;
  std::string_view method;
  std::string_view target;    // as it was received
  std::string_view protocol;  // "HTTP/1.1"
  std::span<const FieldView> fields;
  std::string_view body;  // what is inspected of it
  bool body_cut = false;  // there was more of it
  std::string_view id;    // UNIQUE_ID
  int64_t time_unix_us = 0;
};

struct ResponseView {
  uint16_t status = 0;
  std::string_view protocol;
  std::span<const FieldView> fields;
  std::string_view body;
  bool body_cut = false;
};

// A rule that matched, in the order of matching. Views: of the transaction or the rule set.
struct RuleMatch {
  int64_t rule_id = 0;
  int phase = 0;
  std::string_view message;   // msg, with macros expanded
  std::string_view data;      // logdata, likewise
  std::string_view variable;  // "ARGS:name"
  std::string_view matched;   // the bytes that did
  int severity = -1;          // 0 emergency to 7; -1: none
  const SourceLocation* where = nullptr;
  bool disruptive = false;  // decided about the request, or would have
  bool logged = true;       // nolog: false
};

struct Decision {
  enum class Kind : uint8_t { kPass, kDeny, kDrop, kRedirect };
  Kind kind = Kind::kPass;
  uint16_t status = 403;      // kDeny, kRedirect
  std::string_view redirect;  // kRedirect
  int64_t rule_id = 0;        // that decided
};

// Of one thread: memory of matches.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  friend class Transaction;
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

class Transaction {
 public:
  Transaction();
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // Forgets what was and begins with a request. `rules` is kept until End or the next Begin.
  // `mode`: with kDetectionOnly everything matches and counts and nothing is decided.
  void Begin(std::shared_ptr<const RuleSet> rules, EngineMode mode);
  // What was told of the request ends.
  void End();
  // Until when phases 1 to 4 may run, by CLOCK_MONOTONIC; then they stop where they are, having
  // decided nothing. The clock is looked at between values, and in a value of more than 4 KiB
  // between groups of places where a match of a pattern may begin; what one such place may take is
  // limited. Kept until the next Begin.
  void SetDeadline(int64_t monotonic_ns);

  // Phases 1 and 2, until something is decided. The views must last until End.
  const Decision& InspectRequest(const RequestView& request, Scratch& scratch);
  // Phase 3, and 4 if there is a body to be inspected.
  const Decision& InspectResponse(const ResponseView& response, Scratch& scratch);
  // Phase 5, which decides nothing.
  void InspectEnd(Scratch& scratch);

  const Decision& decision() const;
  // What would have been decided, in kDetectionOnly; else as decision().
  const Decision& would_be_decision() const;
  const std::vector<RuleMatch>& matches() const;
  // A number of collection TX, 0 if there is none: "anomaly_score".
  int64_t TxNumber(std::string_view name) const;
  // The engine's limits were passed: pcre2 gave up on a rule, there were too many arguments, or the
  // memory for texts was used up, with which all phases end.
  bool limits_exceeded() const;
  // The deadline came before the last rule.
  bool out_of_time() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace edge::waf
