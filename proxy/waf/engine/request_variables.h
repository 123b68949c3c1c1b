// The static variables of a transaction: what rules see of a request and its response. A value is
// worked out when a rule first asks for its variable, and belongs to the arena or to the bytes of
// the caller.
//
// One thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/request_body.h"
#include "proxy/waf/engine/request_parts.h"
#include "proxy/waf/engine/text_arena.h"
#include "proxy/waf/engine/transaction.h"
#include "proxy/waf/engine/variable.h"

namespace edge::waf {

// A member of a collection, or the value of another variable, with no key then.
struct Member {
  std::string_view key;
  std::string_view value;
};

class RequestVariables {
 public:
  // Both outlive what is between Begin and End.
  void Begin(const EngineSettings* settings, TextArena* arena);
  void End() { parsed_.Clear(); }
  void SetRequest(const RequestView& request);
  // Reads the body as `processor` says.
  void SetRequestBody(BodyProcessor processor);
  void SetResponse(const ResponseView& response);
  void SetResponseBody();

  // Of a static variable: all its members. Others have none here.
  void Append(Variable variable, std::vector<Member>& members) const;

  const RequestView& request() const { return request_; }
  const ResponseView& response() const { return response_; }
  BodyProcessor default_processor() const { return default_processor_; }
  std::string_view remote_user() const { return remote_user_; }
  std::string_view response_content_type() const { return response_content_type_; }
  // Bodies are longer than SecRequestBodyLimit or SecResponseBodyLimit.
  bool request_body_over_limit() const { return request_body_over_limit_; }
  bool response_body_over_limit() const { return response_body_over_limit_; }
  // Some arguments or cookies were left out.
  bool limits_exceeded() const { return limits_exceeded_; }

 private:
  void ReadFields();
  void AppendArguments(Variable variable, std::vector<Member>& members) const;
  bool AppendMultipart(Variable variable, std::vector<Member>& members) const;
  void AppendFiles(Variable variable, std::vector<Member>& members) const;
  std::string_view Number(uint64_t number) const;
  std::string_view Joined(std::initializer_list<std::string_view> texts) const;
  std::string_view FullRequest() const;
  std::string_view BodyError() const;

  const EngineSettings* settings_ = nullptr;
  TextArena* arena_ = nullptr;
  RequestView request_;
  ResponseView response_;
  TargetParts target_;
  std::vector<Argument> cookies_;
  std::vector<Argument> query_arguments_;
  ParsedBody parsed_;
  BodyProcessor default_processor_ = BodyProcessor::kNone;
  BodyProcessor processor_ = BodyProcessor::kNone;  // of parsed_
  std::string_view content_type_;
  std::string_view auth_type_;
  std::string_view remote_user_;
  std::string_view server_name_;
  std::string_view request_body_;
  std::string_view response_body_;
  // FULL_REQUEST, which is a copy: made once for each time that it changes.
  mutable std::optional<std::string_view> full_request_;
  std::string_view response_content_type_;
  bool query_encoding_error_ = false;
  bool no_files_over_limit_ = false;
  bool body_error_ = false;
  bool request_body_over_limit_ = false;
  bool response_body_over_limit_ = false;
  bool limits_exceeded_ = false;
};

}  // namespace edge::waf
