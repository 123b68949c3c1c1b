// One request on its way through inspection, and what comes back.
//
// The memory is the worker's. It lends the job to the node with Submit and has it back when the
// verdict is in its mailbox, whatever happens: a client that leaves meanwhile only sets
// `cancelled`. In between nobody but one inspection thread touches it.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/waf/inspected_request.h"
#include "proxy/waf/verdict.h"
#include "uring/io.h"
#include "uring/mailbox.h"

namespace edge::waf {
class RuleSet;
}  // namespace edge::waf

namespace edge::proxy::waf {

struct InspectionJob;

// Who waits for a verdict; a worker's thread calls.
class VerdictWaiter {
 public:
  virtual ~VerdictWaiter() = default;
  // May end the waiter, and with it the job.
  virtual void OnVerdict(InspectionJob& job) = 0;
};

struct InspectionJob : uring::MailboxNode {
  // --- Set by the worker before Submit
  uring::Mailbox* home = nullptr;  // where the verdict goes; outlives the job
  uring::DoorbellTarget home_doorbell;
  Lane lane = Lane::kBlock;
  int64_t queued_ns = 0;  // monotonic
  // By which a thread has to have taken it; it may then take as long again.
  int64_t deadline_ns = 0;
  InspectedRequest request;
  std::shared_ptr<const edge::waf::RuleSet> rules;
  // --- The worker's, at any time
  VerdictWaiter* waiter = nullptr;  // nullptr: nobody
  bool out = false;                 // lent to the node
  size_t bytes_counted = 0;         // of the client's memory budget
  // --- Set by the worker at any time, read by the inspection thread
  std::atomic<bool> cancelled{false};
  // --- Set by the inspection thread
  Verdict verdict = Verdict::kShed;
  uint16_t status = 0;   // kBlock: of the response; 0: the connection is to be dropped
  std::string redirect;  // kBlock with a status of 3xx: where to
  std::string report;    // members of a JSON object, for the log; empty: no rule matched
  int64_t taken_ns = 0;
  int64_t done_ns = 0;
};

// What looks at requests. One for each thread, which has scratch memory of its own; with
// --waf_placement=inline the worker's.
class Inspector {
 public:
  virtual ~Inspector() = default;
  // Sets what the job says about the verdict, and returns it.
  virtual Verdict Inspect(InspectionJob& job) = 0;
};

}  // namespace edge::proxy::waf
