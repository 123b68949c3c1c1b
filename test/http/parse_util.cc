#include "test/http/parse_util.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "gtest/gtest.h"
#include "http/forwarding.h"

namespace edge::http {
namespace {

using Pieces = std::vector<std::string_view>;

Pieces ByteByByte(std::string_view bytes) {
  Pieces pieces;
  for (size_t i = 0; i < bytes.size(); ++i) pieces.push_back(bytes.substr(i, 1));
  return pieces;
}

void DumpFields(const MessageHead& head, std::string* out) {
  for (size_t i = 0; i < head.size(); ++i) {
    *out += std::string(head.name(i)) + ": " + std::string(head.value(i)) +
            (head.IsHopByHop(i) ? " (hop)\n" : "\n");
  }
}

std::string Framing(BodyFraming framing, uint64_t length) {
  switch (framing) {
    case BodyFraming::kNone:
      return "none";
    case BodyFraming::kLength:
      return "length " + std::to_string(length);
    case BodyFraming::kChunked:
      return "chunked";
    case BodyFraming::kUntilClose:
      return "until close";
  }
  return "";
}

std::string Dump(const RequestHead& head) {
  std::string out = std::string(head.method_name()) + " " + std::string(head.target()) +
                    (head.version == Version::kHttp11 ? " 1.1\n" : " 1.0\n");
  out += "path " + std::string(head.path()) + " query " + std::string(head.query()) + "\n";
  out += "host " + std::string(head.host()) + "\n";
  out += "body " + Framing(head.framing, head.content_length) + "\n";
  if (head.keep_alive) out += "keep-alive\n";
  if (head.expect_continue) out += "expect-continue\n";
  if (head.upgrade) out += "upgrade " + std::string(head.upgrade_protocol()) + "\n";
  if (head.accepts_trailers) out += "accepts-trailers\n";
  if (head.absolute_form) out += head.absolute_https ? "absolute https\n" : "absolute http\n";
  if (head.max_forwards) out += "max-forwards " + std::to_string(*head.max_forwards) + "\n";
  DumpFields(head, &out);
  return out;
}

std::string Dump(const ResponseHead& head) {
  std::string out = std::to_string(head.status) + " " + std::string(head.reason_phrase()) +
                    (head.version == Version::kHttp11 ? " 1.1\n" : " 1.0\n");
  out += "body " + Framing(head.framing, head.content_length) + "\n";
  if (head.keep_alive) out += "keep-alive\n";
  if (head.upgrade) out += "upgrade\n";
  if (head.has_content_length) {
    out += "content-length " + std::to_string(head.content_length) + "\n";
  }
  DumpFields(head, &out);
  return out;
}

std::string Serialize(const RequestHead& head) {
  RequestForwarding forwarding;
  forwarding.client_address = "192.0.2.1";
  forwarding.scheme = "http";
  forwarding.request_id = "id";
  forwarding.framing = head.framing;
  forwarding.content_length = head.content_length;
  forwarding.upgrade = head.upgrade;
  forwarding.expect_continue = head.expect_continue;
  forwarding.te_trailers = true;
  std::string out(head.bytes() + 1024, '\0');
  const std::optional<size_t> size = SerializeRequest(head, forwarding, out);
  EXPECT_TRUE(size.has_value());
  return out.substr(0, size.value_or(0));
}

std::string Serialize(const ResponseHead& head) {
  const ResponseForwarding plan = PlanResponse(head, Version::kHttp11, true);
  std::string out(head.bytes() + 1024, '\0');
  const std::optional<size_t> size = SerializeResponse(head, plan, out);
  EXPECT_TRUE(size.has_value());
  return out.substr(0, size.value_or(0));
}

// Feeds the pieces and grows the block when the parser asks for it; the old block is freed at once,
// so that a sanitizer sees every use of it.
template <typename Parser, typename Head>
HeadOutcome Feed(Parser* parser, Head* head, std::unique_ptr<char[]> block, size_t block_size,
                 const Pieces& pieces) {
  HeadOutcome outcome;
  size_t consumed = 0;
  for (std::string_view piece : pieces) {
    do {
      // A copy of its own size: reading beyond the piece is an error that a sanitizer sees.
      const std::unique_ptr<char[]> copy(new char[piece.size()]);
      piece.copy(copy.get(), piece.size());
      const HeadProgress progress = parser->Feed({copy.get(), piece.size()});
      EXPECT_LE(progress.consumed, piece.size());
      consumed += progress.consumed;
      piece.remove_prefix(progress.consumed);
      outcome.status = progress.status;
      if (progress.status == HeadStatus::kNeedSpace) {
        EXPECT_FALSE(piece.empty());
        block_size = std::min(block_size * 2 + 1, MessageHead::kBlockBytesMax);
        std::unique_ptr<char[]> larger(new char[block_size]);
        head->Rebind({larger.get(), block_size});
        block = std::move(larger);
      }
    } while (outcome.status == HeadStatus::kNeedSpace);
    if (outcome.status != HeadStatus::kNeedMore) break;
    EXPECT_TRUE(piece.empty());
  }
  outcome.refusal = parser->refusal();
  if (outcome.status == HeadStatus::kComplete) {
    outcome.consumed = consumed;
    outcome.head = Dump(*head);
    outcome.serialized = Serialize(*head);
  }
  return outcome;
}

HeadOutcome FeedRequest(const ValidationPolicy& policy, size_t block_size, const Pieces& pieces) {
  RequestParser parser(&policy);
  RequestHead head;
  std::unique_ptr<char[]> block(new char[block_size]);
  head.Bind({block.get(), block_size});
  parser.Start(&head);
  return Feed(&parser, &head, std::move(block), block_size, pieces);
}

HeadOutcome FeedResponse(const ResponseContext& context, size_t block_size, const Pieces& pieces) {
  ResponseParser parser(&context.policy);
  ResponseHead head;
  std::unique_ptr<char[]> block(new char[block_size]);
  head.Bind({block.get(), block_size});
  parser.Start(&head, context.request_method, context.upgrade_asked);
  return Feed(&parser, &head, std::move(block), block_size, pieces);
}

BodyOutcome FeedBody(BodyFraming framing, uint64_t length, const ValidationPolicy& policy,
                     size_t trailer_block_size, const Pieces& pieces) {
  BodyOutcome outcome;
  const std::unique_ptr<char[]> trailers(new char[trailer_block_size]);
  BodyReader reader;
  reader.Start(framing, length, &policy, {trailers.get(), trailer_block_size});
  size_t consumed = 0;
  for (std::string_view piece : pieces) {
    for (;;) {
      const BodyStep step = reader.Next(piece);
      consumed += step.consumed;
      piece.remove_prefix(step.consumed);
      outcome.data += step.data;
      outcome.event = step.event;
      if (step.event != BodyEvent::kData) break;
      EXPECT_FALSE(step.data.empty());
    }
    if (outcome.event != BodyEvent::kNeedMore) break;
    EXPECT_TRUE(piece.empty());
  }
  // A body without bytes, or whose last byte was the input's last, has its end yet to be asked for.
  if (outcome.event == BodyEvent::kNeedMore && reader.complete()) outcome.event = BodyEvent::kEnd;
  outcome.refusal = reader.refusal();
  if (outcome.event != BodyEvent::kRefused) outcome.consumed = consumed;
  if (outcome.event == BodyEvent::kEnd) outcome.trailers = std::string(reader.trailers());
  outcome.complete_at_eof = outcome.event != BodyEvent::kRefused && reader.CompleteAtEof();
  return outcome;
}

// `feed` takes pieces and a seed for the sizes of blocks.
template <typename Outcome, typename FeedPieces>
Outcome InEveryCut(std::string_view bytes, const FeedPieces& feed) {
  const Outcome whole = feed(Pieces{bytes}, size_t{0});
  EXPECT_TRUE(whole == feed(ByteByByte(bytes), size_t{1})) << "byte by byte";
  // Long inputs are the tests of limits, whose edges the two ways above have met.
  if (bytes.size() > 2000) return whole;
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    const bool same = whole == feed(Pieces{bytes.substr(0, cut), bytes.substr(cut)}, cut);
    EXPECT_TRUE(same) << "cut at " << cut;
    if (!same) break;
  }
  return whole;
}

}  // namespace

HeadOutcome ParseRequest(std::string_view bytes, const ValidationPolicy& policy) {
  return InEveryCut<HeadOutcome>(bytes, [&](const Pieces& pieces, size_t seed) {
    return FeedRequest(policy, seed == 0 ? MessageHead::kBlockBytesMax : 1 + seed % 61, pieces);
  });
}

HeadOutcome ParseResponse(std::string_view bytes, const ResponseContext& context) {
  return InEveryCut<HeadOutcome>(bytes, [&](const Pieces& pieces, size_t seed) {
    return FeedResponse(context, seed == 0 ? MessageHead::kBlockBytesMax : 1 + seed % 61, pieces);
  });
}

BodyOutcome ReadBody(std::string_view bytes, BodyFraming framing, uint64_t length,
                     const ValidationPolicy& policy, size_t trailer_block_size) {
  return InEveryCut<BodyOutcome>(bytes, [&](const Pieces& pieces, size_t) {
    return FeedBody(framing, length, policy, trailer_block_size, pieces);
  });
}

std::string Verdict(const HeadOutcome& outcome) {
  switch (outcome.status) {
    case HeadStatus::kComplete:
      return "ok";
    case HeadStatus::kRefused:
      return std::string(Describe(outcome.refusal.reason).id);
    default:
      return "more";
  }
}

std::string Verdict(const BodyOutcome& outcome) {
  switch (outcome.event) {
    case BodyEvent::kEnd:
      return "ok";
    case BodyEvent::kRefused:
      return std::string(Describe(outcome.refusal.reason).id);
    default:
      return "more";
  }
}

std::string RequestVerdict(std::string_view bytes, const ValidationPolicy& policy) {
  return Verdict(ParseRequest(bytes, policy));
}

std::string ResponseVerdict(std::string_view bytes, const ResponseContext& context) {
  return Verdict(ParseResponse(bytes, context));
}

std::string Lines(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\r\n";
  return out + "\r\n";
}

namespace {

std::string WithFields(std::vector<std::string> lines, const std::vector<std::string>& fields) {
  lines.insert(lines.end(), fields.begin(), fields.end());
  return Lines(lines);
}

}  // namespace

std::string Get(const std::vector<std::string>& fields) {
  return WithFields({"GET / HTTP/1.1", "Host: a"}, fields);
}

std::string Post(const std::vector<std::string>& fields) {
  return WithFields({"POST / HTTP/1.1", "Host: a"}, fields);
}

std::string Ok(const std::vector<std::string>& fields) {
  return WithFields({"HTTP/1.1 200 OK"}, fields);
}

}  // namespace edge::http
