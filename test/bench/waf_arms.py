"""Four arms: what requests that cost 5 ms of rules do to those that cost almost nothing.

    quiet    inspection in the pool, without the heavy requests
    inline   inspection on the worker's loop
    pool     inspection in the pool
    detect   in the pool, of copies

All have the same light requests at the same constant rate, and the heavy ones come at the same random moments, one in each
interval. A few connections are new, each for one request.
"""

import dataclasses
import math
import random
import statistics
import time

import edge_metrics
import measure
import streams

ARMS = {
    "quiet": ("--waf=block",),
    "inline": ("--waf=block", "--waf_placement=inline"),
    "pool": ("--waf=block",),
    "detect": ("--waf=detect",),
}
HEAVY_SHARE = 0.01
NEW_CONNECTIONS_PER_SECOND = 20
WARM_UP_S = 1
# The load generator's connections are open and its clock runs before the window begins.
LEAD_S = 0.5
SATURATION_S = 2
SATURATION_CONNECTIONS = 8
RATIO_MAX = 1.3
LOOP_BUSY_P99_MAX_US = 200


@dataclasses.dataclass
class Window:
    """One round of one arm."""

    light_p50_ms: float
    light_p99_ms: float
    light_p999_ms: float
    light_max_ms: float
    accept_p50_ms: float
    accept_p99_ms: float
    loop_p99_us: float
    loop_max_us: float      # a bound of the histogram: the longest turn took at most that
    heavy_p50_ms: float     # nan without heavy requests, like the next two
    heavy_p99_ms: float
    saturation: float       # heavy requests inspected a second
    errors: int


def load(light, heavy, rate, begin_s, end_s):
    """The streams of an arm; `heavy`: nothing, if there is none."""
    share = dict(begin_s=begin_s, end_s=end_s)
    found = [
        streams.Stream("light", light, connections=64, rate=rate * (1 - HEAVY_SHARE), **share),
        streams.Stream("accept", light, connections=16, rate=NEW_CONNECTIONS_PER_SECOND, spread=True, fresh=True, **share),
    ]
    if heavy:
        found.append(streams.Stream("heavy", heavy, connections=32, rate=rate * HEAVY_SHARE, spread=True, **share))
    return found


def run_round(arm, bench, flags, light, heavy, rate, seconds):
    with bench.start(*ARMS[arm], *flags) as edge:
        wanted = heavy.path if arm != "quiet" else None
        streams.Run(edge.port, bench.far_core, load(light, wanted, rate, 0, WARM_UP_S)).finish()
        run = streams.Run(edge.port, bench.far_core, load(light, wanted, rate, LEAD_S, LEAD_S + seconds))
        try:
            time.sleep(LEAD_S * 0.8)
            before = edge.metrics()
            found = run.finish()
        finally:
            run.stop()
        window = edge_metrics.Between(before, edge.metrics())
        return Window(
            *(streams.percentile_ms(found["light"], share) for share in (0.5, 0.99, 0.999, 1)),
            *(streams.percentile_ms(found["accept"], share) for share in (0.5, 0.99)),
            window.percentile("edge_loop_busy_seconds", 0.99) * 1e6,
            window.highest_bound("edge_loop_busy_seconds") * 1e6,
            *(streams.percentile_ms(found.get("heavy", []), share) for share in (0.5, 0.99)),
            saturation(arm, edge, bench, heavy) if wanted else math.nan,
            sum(streams.not_served(samples) for samples in found.values()))


def saturation(arm, edge, bench, heavy):
    """Heavy requests inspected a second when there is always another one. In detect mode what is too much is shed."""
    stream = streams.Stream("heavy", heavy.path, connections=SATURATION_CONNECTIONS, end_s=SATURATION_S)
    before = edge.metrics()
    samples = streams.Run(edge.port, bench.far_core, [stream]).finish()["heavy"]
    seconds = max(sample.due_ns + sample.latency_ns for sample in samples) - min(sample.due_ns for sample in samples)
    if arm == "detect":
        return edge_metrics.Between(before, edge.metrics()).value("edge_waf_service_seconds_count") / (seconds / 1e9)
    return (len(samples) - streams.not_served(samples)) / (seconds / 1e9)


def measure_arms(arguments, bench, flags, light, heavy):
    """Prints the table; returns (what missed its goal, all windows)."""
    print(f"rate: {arguments.rate:g} requests/s, open loop, of which {HEAVY_SHARE:.0%} are heavy, and "
          f"{NEW_CONNECTIONS_PER_SECOND} new connections/s; windows of {arguments.seconds:g} s after {WARM_UP_S} s; "
          f"{arguments.rounds} rounds, order shuffled (seed {arguments.seed}); median [least-most]")
    busy = arguments.rate * HEAVY_SHARE * heavy.cpu_ms / 1e3
    print(f"the heavy requests keep one inspection thread busy for {busy:.1%} of the time; there are {arguments.waf_threads}")
    order = random.Random(arguments.seed)
    windows = {arm: [] for arm in ARMS}
    for _ in range(arguments.rounds):
        for arm in order.sample(list(ARMS), len(ARMS)):
            windows[arm].append(run_round(arm, bench, flags, light, heavy, arguments.rate, arguments.seconds))
    print_tables(windows)
    return judge(windows), {arm: [vars(window) for window in found] for arm, found in windows.items()}


TABLES = (  # of (heading, field, format)
    (("light p50 ms", "light_p50_ms", ".2f"), ("p99", "light_p99_ms", ".2f"), ("p99.9", "light_p999_ms", ".2f"),
     ("max", "light_max_ms", ".1f"), ("accept p50 ms", "accept_p50_ms", ".2f"), ("p99", "accept_p99_ms", ".2f"),
     ("errors", "errors", ".0f")),
    (("loop busy p99 us", "loop_p99_us", ".0f"), ("max at most us", "loop_max_us", ".0f"),
     ("heavy p50 ms", "heavy_p50_ms", ".1f"), ("p99", "heavy_p99_ms", ".1f"), ("saturation/s", "saturation", ".0f")),
)


def spread(values, form):
    if any(map(math.isnan, values)):
        return "-"
    return f"{statistics.median_high(values):{form}} [{min(values):{form}}-{max(values):{form}}]"


def print_tables(windows):
    for columns in TABLES:
        rows = [["arm", *(heading for heading, _, _ in columns)]]
        for arm, found in windows.items():
            rows.append([arm, *(spread([getattr(window, field) for window in found], form) for _, field, form in columns)])
        print_rows(rows)


def print_rows(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  " + row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])), sep="  ")
    print(flush=True)


def judge(windows):
    def median(arm, field):
        return statistics.median_high(getattr(window, field) for window in windows[arm])

    missed = []
    for arm in ("inline", "pool", "detect"):
        print(f"  {arm}: light p99 {median(arm, 'light_p99_ms') / median('quiet', 'light_p99_ms'):.2f} times quiet, p99.9 "
              f"{median(arm, 'light_p999_ms') / median('quiet', 'light_p999_ms'):.2f} times")
    ratio = median("pool", "light_p99_ms") / median("quiet", "light_p99_ms")
    if not ratio <= RATIO_MAX:
        missed.append(f"pool: light p99 {ratio:.2f} times quiet, not {RATIO_MAX}")
    loop = median("pool", "loop_p99_us")
    if not loop < LOOP_BUSY_P99_MAX_US:
        missed.append(f"pool: loop-busy p99 {loop:.0f} us, not {LOOP_BUSY_P99_MAX_US}")
    errors = sum(window.errors for found in windows.values() for window in found)
    if errors:
        missed.append(f"{errors} requests of the arms were not served")
    return missed

