#pragma once

// Parsers of message heads. They take bytes in any pieces, keep copies of what they need in the
// block that the head was bound to, and either complete the head or refuse it. They never read a
// byte of a body.
//
// Owned by a connection (RequestParser: downstream, ResponseParser: upstream), one thread, no I/O,
// no allocation. The verdict, the head and the refusal's offset do not depend on how the bytes were
// cut.
//
// llhttp (no lenient flag) finds the tokens of the field section; what it lets through is refused
// here, on the raw bytes of the block and on the completed fields. See http/README.md.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/head_reader.h"
#include "http/message_head.h"
#include "http/reason.h"
#include "http/validation_policy.h"

namespace edge::http {

class RequestParser {
 public:
  // `policy`: not owned, outlives this.
  explicit RequestParser(const ValidationPolicy* policy)
      : reader_(HeadReader::Kind::kRequest, policy) {}

  // A new message. `head` is bound to a block, not owned, and used until the parser completes or
  // refuses.
  void Start(RequestHead* head);
  // Not after kComplete or kRefused, until Start.
  [[nodiscard]] HeadProgress Feed(std::string_view bytes);

  // Another policy from the next Start on, after a reload: a connection outlives its configuration.
  void UsePolicy(const ValidationPolicy* policy) { reader_.UsePolicy(policy); }

  const Refusal& refusal() const { return reader_.refusal(); }
  // A byte of the message was seen; leading empty lines do not count. When false, a client that
  // closes has not left anything half done.
  bool started() const { return reader_.started(); }
  // A HEAD request was begun, whatever became of it: no answer to it has content (RFC 9110 9.3.2).
  bool asked_by_head() const;

 private:
  Refusal Complete();
  void SetTarget(const RequestLine& line);

  HeadReader reader_;
  RequestHead* head_ = nullptr;
};

class ResponseParser {
 public:
  explicit ResponseParser(const ValidationPolicy* policy)
      : reader_(HeadReader::Kind::kResponse, policy) {}

  // `request_method` decides whether there is a body (HEAD). `upgrade_asked`: the request was
  // forwarded with Upgrade, so that 101 is an answer to it. A 1xx head completes like any other;
  // Start again for the next one.
  void Start(ResponseHead* head, Method request_method, bool upgrade_asked = false);
  [[nodiscard]] HeadProgress Feed(std::string_view bytes);

  // Another policy from the next Start on, after a reload: a connection outlives its configuration.
  void UsePolicy(const ValidationPolicy* policy) { reader_.UsePolicy(policy); }

  const Refusal& refusal() const { return reader_.refusal(); }
  bool started() const { return reader_.started(); }

 private:
  Refusal Complete();

  HeadReader reader_;
  ResponseHead* head_ = nullptr;
  Method request_method_ = Method::kGet;
  bool upgrade_asked_ = false;
};

}  // namespace edge::http
