// Chunked bodies.
//
//   - Where the bytes are cut changes nothing, nor does a block for trailers that is large enough.
//   - A lax reader, one that looks for nothing but sizes and CRLFs, finds the same data and the
//   same
//     end: nothing is hidden in what was let through.
//   - Data and trailers written anew are read back as they were.
//
// Byte 3 of the input: the size of the trailers' block, times 4.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/ascii.h"
#include "http/chars.h"
#include "http/chunked.h"
#include "http/field.h"
#include "test/fuzz/fuzz_input.h"
#include "test/http/pieces.h"

namespace edge::http {
namespace {

struct Outcome {
  BodyEvent event = BodyEvent::kNeedMore;
  Refusal refusal;
  size_t consumed = 0;  // kEnd
  std::string data;
  std::string trailers;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Read(const Pieces& pieces, const ValidationPolicy& policy, size_t trailer_block_bytes) {
  Outcome outcome;
  PieceReader input(pieces);
  const std::unique_ptr<char[]> trailers(new char[trailer_block_bytes]);
  ChunkReader reader;
  reader.Start(&policy, {trailers.get(), trailer_block_bytes});
  for (std::string_view bytes; input.Next(&bytes);) {
    const BodyStep step = reader.Next(bytes);
    CHECK_LE(step.consumed, bytes.size());
    CHECK_EQ(step.event == BodyEvent::kData, !step.data.empty());
    CHECK(step.event != BodyEvent::kNeedMore || step.consumed == bytes.size());
    if (!step.data.empty()) {
      // A part of what was given, and not of what is still to come.
      CHECK(step.data.data() >= bytes.data());
      CHECK(step.data.data() + step.data.size() == bytes.data() + step.consumed);
    }
    outcome.data += step.data;
    input.Consume(step.consumed);
    outcome.event = step.event;
    if (step.event == BodyEvent::kRefused) {
      CHECK(reader.refusal());
      CHECK(!reader.complete());
      outcome.refusal = reader.refusal();
      return outcome;
    }
    if (step.event == BodyEvent::kEnd) {
      CHECK(reader.complete());
      outcome.consumed = input.consumed();
      outcome.trailers = std::string(reader.trailers());
      return outcome;
    }
  }
  outcome.event = BodyEvent::kNeedMore;
  return outcome;
}

// Decodes `bytes` as carelessly as one can; the body is known to be accepted. Returns its size.
size_t ReadLaxly(std::string_view bytes, std::string* data) {
  size_t at = 0;
  for (;;) {
    uint64_t size = 0;
    for (; at < bytes.size() && absl::ascii_isxdigit(static_cast<unsigned char>(bytes[at])); ++at) {
      size = size * 16 + HexValue(bytes[at]);
    }
    // Whatever stands behind the size: extensions, or what a server takes for them.
    at = bytes.find('\n', at) + 1;
    if (size == 0) break;
    CHECK_LE(size, bytes.size() - at);
    data->append(bytes.substr(at, size));
    at += size;
    CHECK_EQ(bytes.substr(at, 2), "\r\n");
    at += 2;
  }
  // The trailer section ends at the first line that is empty but for a CR.
  for (;;) {
    const size_t end = bytes.find('\n', at);
    CHECK_NE(end, bytes.npos);
    const bool last = end - at <= 1;
    at = end + 1;
    if (last) return at;
  }
}

// "Name: value\r\n" each; none of them a field that decides about framing or routing.
void CheckTrailers(std::string_view trailers) {
  while (!trailers.empty()) {
    const size_t end = trailers.find("\r\n");
    CHECK_NE(end, trailers.npos);
    const std::string_view line = trailers.substr(0, end);
    trailers.remove_prefix(end + 2);
    const size_t colon = line.find(':');
    CHECK_NE(colon, line.npos);
    CHECK(IsToken(line.substr(0, colon)));
    for (const char c : line) CHECK(!IsControl(c) || c == '\t');
    switch (LookupField(line.substr(0, colon))) {
      case FieldId::kHost:
      case FieldId::kContentLength:
      case FieldId::kTransferEncoding:
      case FieldId::kConnection:
      case FieldId::kTe:
      case FieldId::kTrailer:
      case FieldId::kUpgrade:
      case FieldId::kAuthorization:
      case FieldId::kCookie:
      case FieldId::kSetCookie:
      case FieldId::kXForwardedFor:
        LOG(FATAL) << "a forbidden trailer: " << line;
      default:
        break;
    }
  }
}

std::string WriteAnew(const Outcome& read, size_t chunk_bytes) {
  std::string out;
  char header[kChunkHeaderBytesMax];
  bool first = true;
  for (size_t at = 0; at < read.data.size(); at += chunk_bytes) {
    const std::string_view chunk = std::string_view(read.data).substr(at, chunk_bytes);
    out.append(header, WriteChunkHeader(header, chunk.size(), first));
    out += chunk;
    first = false;
  }
  out.append(header, WriteChunkHeader(header, 0, first));
  return out + read.trailers + "\r\n";
}

void Run(const FuzzInput& input) {
  const ValidationPolicy policy = FuzzPolicy(input.policy);
  const size_t trailer_block_bytes = size_t{4} * input.choice;
  const Outcome whole = Read(Whole(input.bytes), policy, trailer_block_bytes);
  const Outcome cut = Read(CutAt(input.bytes, input.position()), policy, trailer_block_bytes);
  CHECK(whole == cut) << Describe(whole.refusal.reason).id << " "
                      << Describe(cut.refusal.reason).id;
  CHECK(whole == Read(ByteByByte(input.bytes), policy, trailer_block_bytes)) << "byte by byte";

  switch (whole.event) {
    case BodyEvent::kEnd: {
      const std::string_view body = input.bytes.substr(0, whole.consumed);
      CHECK(Read(Whole(body), policy, trailer_block_bytes) == whole) << "what follows counts";
      std::string lax;
      CHECK_EQ(ReadLaxly(body, &lax), body.size());
      CHECK_EQ(lax, whole.data);
      CheckTrailers(whole.trailers);
      const std::string anew = WriteAnew(whole, 1 + input.cut % 300);
      ValidationPolicy strict;
      strict.underscore_names = policy.underscore_names;
      const Outcome again = Read(Whole(anew), strict, anew.size());
      CHECK(again.event == BodyEvent::kEnd) << Describe(again.refusal.reason).id;
      CHECK_EQ(again.consumed, anew.size());
      CHECK_EQ(again.data, whole.data);
      CHECK_EQ(again.trailers, whole.trailers);
      break;
    }
    case BodyEvent::kRefused:
      CHECK_LT(whole.refusal.offset, input.bytes.size());
      CHECK(Read(Whole(input.bytes.substr(0, whole.refusal.offset)), policy, trailer_block_bytes)
                .event == BodyEvent::kNeedMore)
          << "refused before the offset";
      break;
    case BodyEvent::kNeedMore:
    case BodyEvent::kData:
      break;
  }
}

}  // namespace
}  // namespace edge::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::http::Run(edge::http::FuzzInput(data, size));
  return 0;
}
