#include "test/http/request_reader.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/log/check.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "http/forwarding.h"
#include "http/framing.h"
#include "http/parser.h"

namespace edge::http {
namespace {

std::string Forwarded(const RequestHead& head) {
  const RequestForwarding forwarding{
      .client_address = "192.0.2.1",
      .scheme = "http",
      .request_id = "00000000000000000000000000000000",
      .host_if_absent = "origin",
      .framing = head.framing,
      .content_length = head.content_length,
      .upgrade = head.upgrade,
      .expect_continue = head.expect_continue,
      .te_trailers = true,
  };
  // The host stands in it twice.
  std::string out(2 * head.bytes() + 1024, '\0');
  const std::optional<size_t> size = SerializeRequest(head, forwarding, out);
  CHECK(size.has_value());
  out.resize(*size);
  return out;
}

void ReadBody(PieceReader* input, const RequestHead& head, const ReadingOptions& options,
              RequestOutcome* outcome) {
  const std::unique_ptr<char[]> trailers(new char[options.trailer_block_bytes]);
  const size_t begin = input->consumed();
  BodyReader body;
  body.Start(head.framing, head.content_length, &options.policy,
             {trailers.get(), options.trailer_block_bytes}, options.policy.request_body_bytes_max);
  while (!body.complete()) {
    std::string_view bytes;
    if (!input->Next(&bytes)) return;
    const BodyStep step = body.Next(bytes);
    CHECK_EQ(step.event == BodyEvent::kData, !step.data.empty());
    CHECK(step.event != BodyEvent::kNeedMore || step.consumed == bytes.size());
    outcome->body += step.data;
    input->Consume(step.consumed);
    if (step.event == BodyEvent::kRefused) {
      outcome->verdict = RequestOutcome::Verdict::kRefused;
      outcome->refusal = {body.refusal().reason, begin + body.refusal().offset};
      return;
    }
  }
  outcome->verdict = RequestOutcome::Verdict::kAccepted;
  outcome->consumed = input->consumed();
  outcome->trailers = std::string(body.trailers());
}

}  // namespace

RequestOutcome ReadRequest(const Pieces& pieces, const ReadingOptions& options) {
  RequestOutcome outcome;
  PieceReader input(pieces);
  size_t block_bytes = options.block_bytes;
  std::unique_ptr<char[]> block(new char[block_bytes]);
  RequestHead head;
  head.Bind({block.get(), block_bytes});
  RequestParser parser(&options.policy);
  parser.Start(&head);
  for (std::string_view bytes; input.Next(&bytes);) {
    const HeadProgress progress = parser.Feed(bytes);
    CHECK(progress.status != HeadStatus::kNeedMore || progress.consumed == bytes.size());
    input.Consume(progress.consumed);
    switch (progress.status) {
      case HeadStatus::kNeedMore:
        continue;
      case HeadStatus::kNeedSpace: {
        CHECK_LT(progress.consumed, bytes.size());
        block_bytes = std::min(2 * block_bytes + 1, MessageHead::kBlockBytesMax);
        std::unique_ptr<char[]> larger(new char[block_bytes]);
        head.Rebind({larger.get(), block_bytes});
        block = std::move(larger);  // the old one is gone at once: a sanitizer sees every use of it
        continue;
      }
      case HeadStatus::kRefused:
        CHECK(parser.refusal());
        outcome.verdict = RequestOutcome::Verdict::kRefused;
        outcome.refusal = parser.refusal();
        return outcome;
      case HeadStatus::kComplete:
        break;
    }
    CHECK(!parser.refusal());
    outcome.forwarded = Forwarded(head);
    outcome.framing = head.framing;
    outcome.content_length = head.content_length;
    ReadBody(&input, head, options, &outcome);
    return outcome;
  }
  return outcome;
}

std::string ToString(const RequestOutcome& outcome) {
  std::string out;
  switch (outcome.verdict) {
    case RequestOutcome::Verdict::kAccepted:
      out = absl::StrCat("accepted, ", outcome.consumed, " bytes");
      break;
    case RequestOutcome::Verdict::kRefused:
      out = absl::StrCat("refused, ", Describe(outcome.refusal.reason).id, " at ",
                         outcome.refusal.offset);
      break;
    case RequestOutcome::Verdict::kIncomplete:
      out = "incomplete";
      break;
  }
  return absl::StrCat(out, "\nforwarded: ", absl::CHexEscape(outcome.forwarded),
                      "\nbody: ", absl::CHexEscape(outcome.body),
                      "\ntrailers: ", absl::CHexEscape(outcome.trailers), "\n");
}

}  // namespace edge::http
