"""Overload: heavy requests at four times what the pool can inspect, and light ones beside them, for a minute.

    0.5 s       light requests alone: quiet p99
    a minute    heavy and light                       memory, wake-ups, what became of each request
    3 s         light requests alone again            how long until they are as they were

Every request of the load generator has to be found again in edge's count of verdicts.
"""

import dataclasses
import os
import pathlib
import time

import edge_metrics
import streams

FACTOR = 4
POLICIES = ("reject", "pass")
QUIET_S = 4
LEAD_S = 1.0
RECOVERY_S = 3
HEAVY_CONNECTIONS = 512
LIGHT_CONNECTIONS = 256
# Memory is taken as flat if it would grow by less in a minute; the first part of the window is not counted, in which the
# queue fills for the first time.
SLOPE_MAX_KIB_PER_S = 1024 / 60
SETTLED_AFTER_S = 3
# Light requests are as they were when of so many in a row, over quiet p99 by more than this ratio, at most so many are: one of a
# hundred is anyway, and other programs on the machine make it some more.
RECOVERED_RATIO = 1.3
RECOVERED_REQUESTS = 50
RECOVERED_LATE_MAX = 3
RECOVERY_MAX_MS = 100
WAKEUPS_PER_JOB_MAX = 0.2
POLL_S = 0.02
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024


@dataclasses.dataclass
class Found:
    """One overload by one policy."""

    policy: str
    quiet_p99_ms: float
    rss_mib: list                  # by second
    slope_kib_per_s: float
    light_served: float            # share of the light requests during the overload
    light_p99_ms: float            # of those
    heavy_served: float
    inspected_per_second: float
    statuses: dict                 # of all requests of the whole run
    verdicts: dict
    recovery_ms: float             # until light requests are at quiet p99; inf: not within 3 s
    queue_empty_ms: float          # likewise of the queue
    wakeups_per_job: float


def rss_kib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KIB


def slope(points):
    """Of a straight line through (x, y) with the least squares."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def watch(edge, seconds, begin):
    """[(second, RSS in KiB)], then [(time in ns, queue depth)] around the end of the overload."""
    memory, depths = [], []
    for second in range(int(seconds) + 1):
        time.sleep(max(0.0, begin + LEAD_S + second - time.monotonic()))
        memory.append((second, rss_kib(edge.pids[0])))
    saturated = edge.metrics()
    # No longer than needed: a scrape costs the light requests something.
    ended = begin + LEAD_S + seconds + POLL_S
    while not depths or (time.monotonic() < ended + RECOVERY_S / 2 and not (depths[-1][0] > ended * 1e9 and depths[-1][1] == 0)):
        depths.append((time.monotonic_ns(), edge.metrics().value("edge_waf_queue_depth")))
        time.sleep(POLL_S)
    return memory, saturated, depths


def recovery_ms(light, end_ns, quiet_p99_ms):
    """From the last heavy request to the first light one from which on hardly any is late."""
    after = [sample for sample in light if sample.due_ns >= end_ns]
    late = [sample.status != 200 or sample.latency_ns > RECOVERED_RATIO * quiet_p99_ms * 1e6 for sample in after]
    for i in range(len(after) - RECOVERED_REQUESTS):
        if not late[i] and sum(late[i:i + RECOVERED_REQUESTS]) <= RECOVERED_LATE_MAX:
            return (after[i].due_ns - end_ns) / 1e6
    return float("inf")


def served(samples):
    return [sample for sample in samples if sample.status == 200]


def overload(policy, arguments, bench, flags, light, heavy):
    seconds = arguments.overload_seconds
    capacity = arguments.waf_threads * 1e3 / heavy.cpu_ms
    with bench.start("--waf=block", f"--waf_overload={policy}", *flags) as edge:
        first = edge.metrics()
        quiet = streams.Run(edge.port, bench.far_core, [
            streams.Stream("light", light, connections=LIGHT_CONNECTIONS, rate=arguments.rate, end_s=QUIET_S)]).finish()
        quiet_p99_ms = streams.percentile_ms(quiet["light"], 0.99)
        run = streams.Run(edge.port, bench.far_core, [
            streams.Stream("light", light, connections=LIGHT_CONNECTIONS, rate=arguments.rate, begin_s=LEAD_S / 2,
                           end_s=LEAD_S + seconds + RECOVERY_S),
            streams.Stream("heavy", heavy.path, connections=HEAVY_CONNECTIONS, rate=FACTOR * capacity, begin_s=LEAD_S,
                           end_s=LEAD_S + seconds, spread=True)])
        try:
            begin = time.monotonic()
            time.sleep(LEAD_S)
            before = edge.metrics()
            memory, saturated, depths = watch(edge, seconds, begin)
            found = run.finish()
        finally:
            run.stop()
        whole, window = edge_metrics.Between(first, edge.metrics()), edge_metrics.Between(before, saturated)
    begin_ns, end_ns = found["heavy"][0].due_ns, found["heavy"][-1].due_ns
    during = [sample for sample in found["light"] if begin_ns <= sample.due_ns <= end_ns]
    empty = [at for at, depth in depths if at > end_ns and depth == 0]
    jobs = window.value("edge_waf_jobs_total")
    everything = quiet["light"] + found["light"] + found["heavy"]
    return Found(
        policy, quiet_p99_ms, [kib / 1024 for _, kib in memory],
        slope(memory[SETTLED_AFTER_S:]),
        len(served(during)) / len(during), streams.percentile_ms(served(during), 0.99),
        len(served(found["heavy"])) / len(found["heavy"]),
        window.value("edge_waf_service_seconds_count") / seconds,
        dict(streams.statuses(everything)),
        {verdict: int(whole.value("edge_waf_verdicts_total", mode="block", verdict=verdict))
         for verdict in ("allow", "block", "shed", "timeout", "oversize")},
        recovery_ms(found["light"], end_ns, quiet_p99_ms),
        (empty[0] - end_ns) / 1e6 if empty else float("inf"),
        window.value("edge_waf_wakeups_total") / jobs if jobs else float("inf"))


def mismatch(found):
    """What of the requests is not in edge's counts, or the other way round; nothing, if all is."""
    verdicts, statuses = found.verdicts, dict(found.statuses)
    not_inspected = verdicts["shed"] + verdicts["timeout"]
    expected = {200: verdicts["allow"] + (not_inspected if found.policy == "pass" else 0),
                503: not_inspected if found.policy == "reject" else 0}
    expected = {status: count for status, count in expected.items() if count}
    if verdicts["block"] or verdicts["oversize"] or statuses != expected:
        return f"requests by status {statuses}, but verdicts {verdicts}"
    return ""


def measure_overload(arguments, bench, flags, light, heavy):
    """Prints what was found by each policy; returns (what missed its goal, all that was found)."""
    capacity = arguments.waf_threads * 1e3 / heavy.cpu_ms
    print(f"overload: {FACTOR * capacity:.0f} heavy requests/s, {FACTOR} times the pool's {capacity:.0f}, beside "
          f"{arguments.rate:g} light ones/s, for {arguments.overload_seconds} s")
    missed, results = [], []
    for policy in POLICIES:
        found = overload(policy, arguments, bench, flags, light, heavy)
        print_found(found)
        missed += judge(found)
        results.append(vars(found))
    return missed, results


def print_found(found):
    print(f"  --waf_overload={found.policy}")
    print(f"    memory: {found.slope_kib_per_s:+.1f} KiB/s; MiB by second: {' '.join(f'{mib:.1f}' for mib in found.rss_mib)}")
    print(f"    light: {found.light_served:.1%} served, p99 of these {found.light_p99_ms:.1f} ms (quiet "
          f"{found.quiet_p99_ms:.2f} ms); heavy: {found.heavy_served:.1%} served; {found.inspected_per_second:.0f} "
          "requests/s inspected")
    print(f"    requests by status: {found.statuses}; verdicts: {found.verdicts}: "
          f"{'NOT the same' if mismatch(found) else 'the same'}")
    print(f"    after the last heavy request: light ones at quiet p99 in {found.recovery_ms:.0f} ms, queue seen empty in "
          f"{found.queue_empty_ms:.0f} ms; wake-ups per job: {found.wakeups_per_job:.3f}", flush=True)


def judge(found):
    wrong = {
        f"memory grows by {found.slope_kib_per_s:.1f} KiB/s": found.slope_kib_per_s > SLOPE_MAX_KIB_PER_S,
        "no light request is served": found.light_served == 0,
        mismatch(found): mismatch(found) != "",
        f"recovery takes {found.recovery_ms:.0f} ms, not {RECOVERY_MAX_MS}": not found.recovery_ms < RECOVERY_MAX_MS,
        f"{found.wakeups_per_job:.2f} wake-ups per job, not {WAKEUPS_PER_JOB_MAX}":
            not found.wakeups_per_job < WAKEUPS_PER_JOB_MAX,
    }
    return [f"overload, {found.policy}: {what}" for what, is_wrong in wrong.items() if is_wrong]
