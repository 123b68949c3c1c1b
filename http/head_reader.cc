#include "http/head_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/log/check.h"
#include "http/chars.h"

namespace edge::http {
namespace {

// Bytes are copied into the block in steps of this size, so that at most one step of a body is
// copied for nothing.
constexpr size_t kCopyStep = 1024;

// Values that llhttp sees itself: its own checks of framing stand behind ours.
constexpr bool ShowsValue(FieldId id) {
  return id == FieldId::kContentLength || id == FieldId::kTransferEncoding;
}

// Fields about the connection they come on (RFC 9110 7.6.1), and `Proxy`, which must not reach a
// CGI as HTTP_PROXY.
constexpr uint64_t kHopByHopFields =
    FieldBit(FieldId::kConnection) | FieldBit(FieldId::kHttp2Settings) |
    FieldBit(FieldId::kKeepAlive) | FieldBit(FieldId::kProxy) |
    FieldBit(FieldId::kProxyAuthenticate) | FieldBit(FieldId::kProxyAuthenticationInfo) |
    FieldBit(FieldId::kProxyAuthorization) | FieldBit(FieldId::kProxyConnection) |
    FieldBit(FieldId::kTe) | FieldBit(FieldId::kTransferEncoding) | FieldBit(FieldId::kUpgrade);

}  // namespace

// A parser that has read a start line and expects the first field. Each message starts from a copy:
// real start lines are judged by start_line.h alone, which is stricter, and reading them twice
// would cost as much as three fields.
const llhttp_t& HeadReader::AtFirstField(Kind kind) {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_header_field_complete = &HeadReader::OnNameComplete;
    s.on_header_value_complete = &HeadReader::OnValueComplete;
    s.on_headers_complete = &HeadReader::OnHeadComplete;
    return s;
  }();
  static const auto read_line = [](llhttp_type_t type, std::string_view line) {
    llhttp_t llhttp;
    llhttp_init(&llhttp, type, &settings);
    CHECK_EQ(llhttp_execute(&llhttp, line.data(), line.size()), HPE_OK);
    return llhttp;
  };
  static const llhttp_t request = read_line(HTTP_REQUEST, "GET / HTTP/1.1\r\n");
  static const llhttp_t response = read_line(HTTP_RESPONSE, "HTTP/1.1 200 OK\r\n");
  return kind == Kind::kRequest ? request : response;
}

HeadReader::HeadReader(Kind kind, const ValidationPolicy* policy) : kind_(kind) {
  UsePolicy(policy);
}

void HeadReader::UsePolicy(const ValidationPolicy* policy) {
  CHECK_EQ(FindProblem(*policy), "");
  policy_ = policy;
}

void HeadReader::Start(MessageHead* head) {
  DCHECK(head->block_ != nullptr) << "Bind a block first";
  head_ = head;
  head_->Clear();
  llhttp_ = AtFirstField(kind_);
  llhttp_.data = this;
  refusal_ = Refusal();
  // RFC 9112 2.2 lets a server skip empty lines, not a client.
  stage_ = kind_ == Kind::kRequest ? Stage::kEmptyLines : Stage::kStartLine;
  skipped_ = 0;
  empty_lines_ = 0;
  scanned_ = 0;
  line_begin_ = 0;
  fields_ = 0;
}

HeadProgress HeadReader::Feed(std::string_view bytes) {
  CHECK(stage_ < Stage::kComplete) << "Start a new message first";
  size_t consumed = 0;
  if (stage_ <= Stage::kEmptyLineLf) {
    consumed = SkipEmptyLines(bytes);
    if (stage_ == Stage::kRefused) return {HeadStatus::kRefused, consumed};
  }
  while (consumed < bytes.size()) {
    const size_t limit = std::min(head_->capacity_, policy_->head_bytes_max);
    if (head_->used_ == limit) {
      if (limit < policy_->head_bytes_max) return {HeadStatus::kNeedSpace, consumed};
      Stop(Reason::kHeadTooLarge, limit);
      return {HeadStatus::kRefused, consumed};
    }
    const size_t step = std::min({bytes.size() - consumed, limit - head_->used_, kCopyStep});
    std::memcpy(head_->block_ + head_->used_, bytes.data() + consumed, step);
    head_->used_ += static_cast<uint32_t>(step);
    consumed += step;
    switch (Advance()) {
      case Progress::kNeedMore:
        break;
      case Progress::kComplete:
        consumed -= head_->used_ - scanned_;
        head_->used_ = scanned_;
        return {HeadStatus::kComplete, consumed};
      case Progress::kRefused:
        return {HeadStatus::kRefused, consumed};
    }
  }
  return {HeadStatus::kNeedMore, consumed};
}

HeadReader::Progress HeadReader::Stop(Reason reason, size_t block_offset) {
  stage_ = Stage::kRefused;
  refusal_ = {reason, skipped_ + block_offset};
  return Progress::kRefused;
}

// Returns the bytes skipped; afterwards the stage is kStartLine if there are others.
size_t HeadReader::SkipEmptyLines(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (stage_ == Stage::kEmptyLines) {
      if (c == '\n') {
        Stop(Reason::kLineBareLf, 0);
        return i;
      }
      if (c != '\r') {
        stage_ = Stage::kStartLine;
        return i;
      }
      if (empty_lines_ == policy_->leading_empty_lines_max) {
        Stop(Reason::kLineEmptyLines, 0);
        return i;
      }
      stage_ = Stage::kEmptyLineLf;
    } else {
      if (c != '\n') {
        Stop(Reason::kLineBareCr, 0);
        return i;
      }
      ++empty_lines_;
      skipped_ += 2;
      stage_ = Stage::kEmptyLines;
    }
  }
  return bytes.size();
}

HeadReader::Progress HeadReader::Advance() {
  if (stage_ == Stage::kStartLine) {
    const Progress progress = ScanStartLine();
    if (progress != Progress::kComplete) return progress;
    stage_ = Stage::kFields;
  }
  return ReadFields();
}

// kComplete when the line is there and sound.
HeadReader::Progress HeadReader::ScanStartLine() {
  const char* block = head_->block_;
  const size_t limit =
      kind_ == Kind::kRequest ? policy_->request_line_bytes_max : policy_->status_line_bytes_max;
  // A CR may stand at `limit`; anything else there is too much.
  const size_t end = std::min<size_t>(head_->used_, limit + 1);
  size_t i = FindControl(block, scanned_, end);
  while (kind_ == Kind::kResponse && i < end && block[i] == '\t')
    i = FindControl(block, i + 1, end);
  scanned_ = static_cast<uint32_t>(i);
  if (i == limit + 1 || (i == limit && i < end && block[i] != '\r')) {
    return Stop(Reason::kLineTooLong, limit);
  }
  if (i == end) return Progress::kNeedMore;
  if (block[i] == '\n') return Stop(Reason::kLineBareLf, i);
  if (block[i] == '\t') return Stop(Reason::kLineSpaces, i);
  if (block[i] != '\r') return Stop(Reason::kLineControl, i);
  if (i + 1 == head_->used_) return Progress::kNeedMore;
  if (block[i + 1] != '\n') return Stop(Reason::kLineBareCr, i);

  const std::string_view line(block, i);
  const Refusal refusal = kind_ == Kind::kRequest ? ParseRequestLine(line, *policy_, &request_line_)
                                                  : ParseStatusLine(line, *policy_, &status_line_);
  if (refusal) return Stop(refusal.reason, refusal.offset);
  line_begin_ = static_cast<uint32_t>(i + 2);
  scanned_ = line_begin_;
  return Progress::kComplete;
}

HeadReader::Progress HeadReader::ReadFields() {
  while (scanned_ < head_->used_) {
    if (stage_ == Stage::kValue && !ScanValue()) break;
    const char* begin = head_->block_ + scanned_;
    const llhttp_errno_t error = llhttp_execute(&llhttp_, begin, head_->used_ - scanned_);
    if (error == HPE_OK) {
      scanned_ = head_->used_;
      break;
    }
    if (error != HPE_PAUSED) {
      ExplainError();
      return Progress::kRefused;
    }
    scanned_ = static_cast<uint32_t>(llhttp_get_error_pos(&llhttp_) - head_->block_);
    if (stage_ == Stage::kComplete) return Progress::kComplete;
    if (!BeginValue()) return Progress::kRefused;
    llhttp_resume(&llhttp_);
  }
  return Progress::kNeedMore;
}

// llhttp has read a name and its colon. False: refused.
bool HeadReader::BeginValue() {
  if (fields_ == policy_->fields_max) {
    Stop(Reason::kFieldsTooMany, line_begin_);
    return false;
  }
  ++fields_;
  value_begin_ = scanned_;
  value_end_ = scanned_;
  name_size_ = scanned_ - 1 - line_begin_;
  field_id_ = LookupField({head_->block_ + line_begin_, name_size_});
  if (!ShowsValue(field_id_)) stage_ = Stage::kValue;
  return true;
}

// Moves over a value to the byte that ends it and leaves that one to llhttp. False: the value goes
// on.
bool HeadReader::ScanValue() {
  const char* block = head_->block_;
  size_t i = FindControl(block, scanned_, head_->used_);
  while (i < head_->used_ && block[i] == '\t') i = FindControl(block, i + 1, head_->used_);
  scanned_ = static_cast<uint32_t>(i);
  if (i == head_->used_) return false;
  value_end_ = scanned_;
  stage_ = Stage::kFields;
  return true;
}

// Behind every colon llhttp pauses for BeginValue().
int HeadReader::OnNameComplete(llhttp_t*) { return HPE_PAUSED; }

int HeadReader::OnValueComplete(llhttp_t* llhttp) {
  auto* self = static_cast<HeadReader*>(llhttp->data);
  self->FinishField();
  return self->stage_ == Stage::kRefused ? HPE_USER : HPE_OK;
}

int HeadReader::OnHeadComplete(llhttp_t* llhttp) {
  static_cast<HeadReader*>(llhttp->data)->stage_ = Stage::kComplete;
  return HPE_PAUSED;
}

// llhttp has seen the line end and the first byte of the next line, so this one is not folded.
void HeadReader::FinishField() {
  const char* block = head_->block_;
  // ScanValue() found the end already, except of what llhttp has read.
  while (block[value_end_] != '\r') ++value_end_;
  const uint32_t name_begin = line_begin_;
  const uint32_t colon = name_begin + name_size_;
  const uint32_t line_end = value_end_;
  line_begin_ = line_end + 2;

  const std::string_view name(block + name_begin, name_size_);
  // Of the ids that are known only these two have names that are not known in full.
  const bool open_name = field_id_ == FieldId::kOther || field_id_ == FieldId::kXForwardedOther;
  if (kind_ == Kind::kRequest && open_name && policy_->underscore_names != UnderscoreNames::kPass) {
    const size_t underscore = name.find('_');
    if (underscore != std::string_view::npos) {
      if (policy_->underscore_names == UnderscoreNames::kRefuse) {
        Stop(Reason::kFieldNameUnderscore, name_begin + underscore);
      }
      return;
    }
  }

  uint32_t begin = value_begin_;
  uint32_t end = line_end;
  while (begin < end && IsSpace(block[begin])) ++begin;
  while (end > begin && IsSpace(block[end - 1])) --end;
  // fields_ counts dropped fields too and is at most kFieldsMax.
  MessageHead::Field& field = head_->Append(field_id_);
  field.name_begin = static_cast<uint16_t>(name_begin);
  field.name_size = static_cast<uint16_t>(name.size());
  field.value_begin = static_cast<uint16_t>(begin);
  field.value_size = static_cast<uint16_t>(end - begin);
  const bool hop_by_hop = (kHopByHopFields & FieldBit(field_id_)) != 0;
  const bool canonical =
      end == line_end && begin == colon + 2 && begin < end && block[colon + 1] == ' ';
  field.flags = static_cast<uint8_t>((hop_by_hop ? MessageHead::kFlagHopByHop : 0) |
                                     (canonical ? MessageHead::kFlagCanonical : 0));
}

// llhttp stopped. Where it judged the framing, its number says why; for all else the bytes of the
// line do.
void HeadReader::ExplainError() {
  if (stage_ == Stage::kRefused) return;  // a callback has said it
  const bool had_length = head_->Has(FieldId::kContentLength);
  const bool had_encoding = head_->Has(FieldId::kTransferEncoding);
  switch (llhttp_get_errno(&llhttp_)) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      Stop(Reason::kContentLengthRepeated, line_begin_);
      return;
    case HPE_INVALID_CONTENT_LENGTH:
      if (had_encoding) {
        Stop(Reason::kTransferEncodingWithLength, line_begin_);
      } else {
        Stop(ValueOverflows() ? Reason::kContentLengthOverflow : Reason::kContentLengthInvalid,
             line_begin_);
      }
      return;
    case HPE_INVALID_TRANSFER_ENCODING:
      Stop(had_length     ? Reason::kTransferEncodingWithLength
           : had_encoding ? Reason::kTransferEncodingRepeated
                          : Reason::kTransferEncodingNotLast,
           line_begin_);
      return;
    default:
      break;
  }
  // Of an error llhttp points to the byte itself or to the one behind it.
  const size_t behind = static_cast<size_t>(llhttp_get_error_pos(&llhttp_) - head_->block_) + 1;
  const Refusal refusal = ExplainLine(std::min<size_t>(behind, head_->used_));
  if (refusal) {
    Stop(refusal.reason, refusal.offset);
  } else {
    Stop(Reason::kHeadRejected, line_begin_);
  }
}

// Whether llhttp refused the Content-Length at value_begin_ for its size: 2^64 has 20 digits. What
// stands behind the byte where it stopped may not be there yet and has no say.
bool HeadReader::ValueOverflows() const {
  const char* begin = head_->block_ + value_begin_;
  const char* end = llhttp_get_error_pos(&llhttp_);
  while (begin < end && IsSpace(*begin)) ++begin;
  while (begin < end && *begin == '0') ++begin;
  return end - begin >= 20 && std::all_of(begin, end, [](char c) { return IsChar(c, kCharDigit); });
}

// The first byte of the field line at line_begin_ that a field line cannot have, before `end`.
Refusal HeadReader::ExplainLine(size_t end) const {
  const char* block = head_->block_;
  size_t i = line_begin_;
  if (i >= end) return {};
  if (IsSpace(block[i])) {
    return {fields_ == 0 ? Reason::kSpaceBeforeFirstField : Reason::kFieldFold, i};
  }
  if (block[i] == ':') return {Reason::kFieldNameEmpty, i};
  if (block[i] == '\n') return {Reason::kFieldBareLf, i};
  if (block[i] == '\r') return {Reason::kFieldBareCr, i};  // of the empty line at the end
  while (i < end && IsChar(block[i], kCharToken)) ++i;
  if (i == end) return {};
  if (IsSpace(block[i])) return {Reason::kFieldSpaceBeforeColon, i};
  if (block[i] == '\r' || block[i] == '\n') return {Reason::kFieldColonMissing, i};
  if (block[i] != ':') return {Reason::kFieldNameInvalid, i};

  i = FindControl(block, i + 1, end);
  while (i < end && block[i] == '\t') i = FindControl(block, i + 1, end);
  if (i == end) return {};
  if (block[i] == '\n') return {Reason::kFieldBareLf, i};
  if (block[i] == '\0') return {Reason::kFieldNul, i};
  if (block[i] != '\r') return {Reason::kFieldControl, i};
  if (i + 1 < end && block[i + 1] != '\n') return {Reason::kFieldBareCr, i};
  if (i + 2 < end && IsSpace(block[i + 2])) return {Reason::kFieldFold, i + 2};
  return {};
}

}  // namespace edge::http
