// A thread of a node's pool: takes jobs, inspects, sends verdicts home, sleeps on its ring when
// there is nothing to do. Runs on any uring::Io.
//
// Before it sleeps it looks a little longer: being woken costs a message, and some 20 us until this
// thread runs. A worker is rung only for the first verdict in its list; what comes before the
// worker has looked rides along.

#pragma once

#include "proxy/waf/inspection_counters.h"
#include "proxy/waf/inspection_node.h"
#include "uring/clock.h"
#include "uring/io.h"

namespace edge::proxy::waf {

class InspectionThread {
 public:
  // None is owned; all outlive this. `number`: of this thread in the node.
  InspectionThread(InspectionNode* node, int number, uring::Io* io, const uring::Clock* clock,
                   Inspector* inspector, InspectionCounters* counters);

  // Until the node has been closed and all its jobs are done. Returns 0, or -errno of a kernel that
  // cannot go on.
  int Run();
  // Deals with the next job, if there is one; what Run does all the time. `did`: whether there was.
  // Returns as Run.
  int RunOne(bool* did);

 private:
  // For how long the queue is looked at before this thread sleeps: as long as it takes to be woken.
  static constexpr int64_t kSpinNs = 20'000;
  static constexpr int kPauses = 16;  // between two looks at the clock

  int Sleep();

  InspectionNode* const node_;
  const int number_;
  uring::Io* const io_;
  const uring::Clock* const clock_;
  Inspector* const inspector_;
  InspectionCounters* const counters_;
};

}  // namespace edge::proxy::waf
