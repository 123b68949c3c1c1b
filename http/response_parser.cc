// The semantics of a response head: what its fields mean once they are all there.

#include "http/head_rules.h"
#include "http/parser.h"

namespace edge::http {

void ResponseParser::Start(ResponseHead* head, Method request_method, bool upgrade_asked) {
  head_ = head;
  request_method_ = request_method;
  upgrade_asked_ = upgrade_asked;
  reader_.Start(head);
}

HeadProgress ResponseParser::Feed(std::string_view bytes) {
  const HeadProgress progress = reader_.Feed(bytes);
  if (progress.status != HeadStatus::kComplete) return progress;
  if (const Refusal refusal = Complete(); refusal) {
    reader_.Refuse(refusal);
    return {HeadStatus::kRefused, progress.consumed};
  }
  return progress;
}

// Offsets of the refusals are into the block.
Refusal ResponseParser::Complete() {
  ResponseHead& head = *head_;
  const StatusLine& line = reader_.status_line();
  head.version = line.version;
  head.status = line.status;
  head.reason_phrase_ = {line.reason_begin, line.reason_size};

  FramingFields framing;
  if (const Refusal refusal = HeadRules::ReadFraming(head, head.version, &framing); refusal) {
    return refusal;
  }
  head.has_content_length = framing.has_length;
  head.content_length = framing.length;

  ConnectionOptions options;
  if (const Refusal refusal =
          HeadRules::ReadConnection(&head, reader_.policy().connection_options_max, &options);
      refusal) {
    return refusal;
  }
  head.keep_alive = HeadRules::KeepsAlive(head.version, options);
  head.upgrade = false;

  if (head.status < 200) {
    head.framing = BodyFraming::kNone;
    // RFC 9110 8.6 and RFC 9112 6.1 forbid both. An origin that believes in a body here and edge
    // would disagree about where the next response starts.
    if (framing.has_length || framing.chunked) {
      const FieldId id = framing.chunked ? FieldId::kTransferEncoding : FieldId::kContentLength;
      return {Reason::kInterimWithLength, HeadRules::LineOffset(head, id)};
    }
    if (head.status == 101) {
      if (!upgrade_asked_) return {Reason::kSwitchingUnasked, 0};
      if (!options.upgrade || !head.Has(FieldId::kUpgrade)) {
        return {Reason::kSwitchingIncomplete, 0};
      }
      head.upgrade = true;
    }
    return {};
  }
  if (head.status == 204) {
    // RFC 9112 6.3: ends with its head whatever the fields say. Should the origin have sent a body
    // all the same, its connection must not be used again. A length of 0 is common and harmless.
    head.framing = BodyFraming::kNone;
    if (framing.chunked || framing.length > 0) head.keep_alive = false;
  } else if (head.status == 304 || request_method_ == Method::kHead) {
    head.framing = BodyFraming::kNone;
  } else if (framing.chunked) {
    head.framing = BodyFraming::kChunked;
  } else if (framing.has_length) {
    head.framing = BodyFraming::kLength;
  } else {
    head.framing = BodyFraming::kUntilClose;
    head.keep_alive = false;
  }
  return {};
}

}  // namespace edge::http
