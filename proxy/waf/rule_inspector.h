// The rule engine as an inspector: one transaction for each request, and what the rules said of it
// as members of a JSON object.
//
// One for each thread. Memory is used again for the next request.

#pragma once

#include <string>
#include <vector>

#include "proxy/waf/engine/transaction.h"
#include "proxy/waf/inspection_job.h"

namespace edge::proxy::waf {

// What the engine sees of a request. Views of it, and of `fields`, which is filled.
edge::waf::RequestView ViewOf(const InspectedRequest& request,
                              std::vector<edge::waf::FieldView>& fields);

class RuleInspector final : public Inspector {
 public:
  Verdict Inspect(InspectionJob& job) override;

 private:
  // What the log says of one request: the line it stands in has a limit.
  static constexpr size_t kReportBytesMax = 5 << 10;
  static constexpr size_t kMoreBytesMax = 2 << 10;
  static constexpr size_t kMatchedBytesMax = 128;

  void WriteReport(InspectionJob& job) const;

  edge::waf::Scratch scratch_;
  edge::waf::Transaction transaction_;
  std::vector<edge::waf::FieldView> fields_;
};

}  // namespace edge::proxy::waf
