#pragma once

// The part that requests and responses share: bytes into the head's block, the start line checked
// on its raw bytes, the field lines through llhttp, the limits.
//
// A member of RequestParser and ResponseParser; not used alone. One thread, no I/O, no allocation.
// llhttp reads the block and not the caller's bytes, so its tokens are offsets into the block and a
// token is in one piece however the bytes came. Values other than those of framing fields are not
// shown to llhttp: it looks at one byte after another, and a scan for control characters does the
// same check 16 at a time. llhttp then sees the field as empty, and judges whatever ended the scan.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message_head.h"
#include "http/reason.h"
#include "http/start_line.h"
#include "http/validation_policy.h"
#include "llhttp.h"

namespace edge::http {

enum class HeadStatus : uint8_t {
  kNeedMore,   // all bytes consumed, the head goes on
  kComplete,   // the head is there; the rest of the bytes is body or the next message
  kNeedSpace,  // the block is full below head_bytes_max: Rebind a larger one and feed the rest
  kRefused,    // see refusal(); the connection must be closed after the answer
};

struct HeadProgress {
  HeadStatus status;
  size_t consumed;  // bytes of this Feed that belong to the head
};

class HeadReader {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };

  // `policy`: not owned, outlives this. CHECKs that FindProblem() has nothing to say about it.
  HeadReader(Kind kind, const ValidationPolicy* policy);
  HeadReader(const HeadReader&) = delete;
  HeadReader& operator=(const HeadReader&) = delete;

  void Start(MessageHead* head);
  // After kComplete the start line and the fields are there, each well-formed; what they mean
  // together is the caller's part.
  HeadProgress Feed(std::string_view bytes);
  // For what the caller finds at a complete head: the refusal's offset is one into the block.
  void Refuse(const Refusal& refusal) { Stop(refusal.reason, refusal.offset); }
  // From the next Start on. Not owned, outlives this or the call after it.
  void UsePolicy(const ValidationPolicy* policy);

  const ValidationPolicy& policy() const { return *policy_; }
  const Refusal& refusal() const { return refusal_; }
  bool started() const {
    if (stage_ == Stage::kStartLine) return head_->bytes() > 0;
    return stage_ > Stage::kStartLine && head_ != nullptr;
  }
  const RequestLine& request_line() const { return request_line_; }
  const StatusLine& status_line() const { return status_line_; }

  // What llhttp is lenient about; 0 is strict. For the test that guards it.
  unsigned lenient_flags() const { return llhttp_.lenient_flags; }

 private:
  enum class Stage : uint8_t {
    kEmptyLines,   // before a request line: CRLFs are skipped
    kEmptyLineLf,  // after the CR of such a line
    kStartLine,    // the start line is not complete
    kFields,       // llhttp reads
    kValue,        // a value is scanned, which llhttp does not see yet
    kComplete,
    kRefused,
  };
  enum class Progress : uint8_t { kNeedMore, kComplete, kRefused };

  size_t SkipEmptyLines(std::string_view bytes);
  Progress Advance();
  Progress ScanStartLine();
  Progress ReadFields();
  bool BeginValue();
  bool ScanValue();
  bool ShowValue();
  Progress Stop(Reason reason, size_t block_offset);
  void ExplainError();
  Refusal ExplainLine(size_t end) const;
  bool ValueOverflows() const;
  void FinishField();

  static const llhttp_t& AtFirstField(Kind kind);
  static int OnNameComplete(llhttp_t* llhttp);
  static int OnValueComplete(llhttp_t* llhttp);
  static int OnHeadComplete(llhttp_t* llhttp);

  const ValidationPolicy* policy_;
  MessageHead* head_ = nullptr;
  llhttp_t llhttp_{};
  Refusal refusal_;
  RequestLine request_line_;
  StatusLine status_line_;
  const Kind kind_;
  Stage stage_ = Stage::kComplete;
  FieldId field_id_ = FieldId::kOther;
  // Of the message: what was skipped before the block's first byte.
  uint32_t skipped_ = 0;
  uint32_t empty_lines_ = 0;
  // Offsets into the block.
  uint32_t scanned_ = 0;     // bytes before it were looked at
  uint32_t line_begin_ = 0;  // of the field line that is being read
  uint32_t name_size_ = 0;   // the name starts at line_begin_
  uint32_t value_begin_ = 0;
  uint32_t value_end_ = 0;  // white space around it included
  uint32_t fields_ = 0;     // dropped ones included
};

}  // namespace edge::http
