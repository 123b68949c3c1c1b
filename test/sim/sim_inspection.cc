#include "test/sim/sim_inspection.h"

#include <string>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace edge::sim {
namespace {

using Mode = proxy::InspectionSettings::Mode;
using proxy::waf::Verdict;

proxy::waf::InspectionNodeOptions NodeOptions(bool honest, Random& random) {
  const auto jobs = static_cast<uint32_t>(honest ? 1024 : 1 + random.Skewed(16));
  return {.jobs_max = {jobs, jobs}, .threads = 1};
}

}  // namespace

SimInspection::SimInspection(World* world, SimNetwork* network, bool honest, Random random)
    : world_(*world),
      random_(random),
      honest_(honest),
      node_(NodeOptions(honest, random_)),
      io_(network, {}),
      thread_(&node_, 0, &io_, &world->scheduler.clock(), this, &counters_),
      pause_ns_max_(static_cast<int64_t>(random_.Skewed(1'000'000'000))) {}

void SimInspection::Use(proxy::InspectionSettings& settings, proxy::WorkerOptions& options) {
  settings.mode = random_.Chance(0.8) ? Mode::kBlock : Mode::kDetect;
  settings.body_bytes_max = random_.Chance(0.3) ? random_.Skewed(100'000) : 131072;
  settings.pass_on_oversize = honest_ || random_.Chance(0.5);
  settings.pass_on_overload = honest_ || random_.Chance(0.5);
  if (random_.Chance(0.3)) settings.deadline_ns = static_cast<int64_t>(random_.Skewed(50'000'000));
  if (!honest_ && random_.Chance(0.2)) settings.memory_bytes_max = random_.Skewed(200'000);
  if (random_.Chance(0.2)) {
    options.inline_inspector = std::make_unique<Inline>(this);
  } else {
    options.inspection_node = &node_;
  }
}

void SimInspection::BeforeTurn() {
  if (scheduled_ || node_.Empty()) return;
  scheduled_ = true;
  world_.scheduler.After(random_.Between(0, pause_ns_max_), [this] { RunThread(); });
}

void SimInspection::RunThread() {
  scheduled_ = false;
  bool did = true;
  while (did && random_.Chance(0.7)) CHECK_EQ(thread_.RunOne(&did), 0);
  BeforeTurn();
}

Verdict SimInspection::Inspect(proxy::waf::InspectionJob& job) {
  // Every byte is looked at: a sanitizer sees those that are gone.
  uint64_t sum = 0;
  const auto look = [&sum](std::string_view text) {
    for (const char c : text) sum += static_cast<unsigned char>(c);
  };
  look(job.request.target());
  for (const auto& field : job.request.fields()) look(absl::StrCat(field.name, field.value));
  look(job.request.body());
  Verdict verdict = job.request.body_cut() ? Verdict::kOversize : Verdict::kAllow;
  if (!honest_ && random_.Chance(0.1)) {
    verdict = Verdict::kBlock;
    constexpr uint16_t kStatuses[] = {403, 0, 429};
    job.status = kStatuses[(sum + random_.Below(3)) % 3];
  }
  world_.coverage.Count(absl::StrCat("inspected: ", proxy::waf::VerdictName(verdict)));
  return verdict;
}

}  // namespace edge::sim
