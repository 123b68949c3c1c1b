"""Medians, spread and ratios of the rounds, as the table that tools/bench prints."""

import statistics


class Summary:
    """Median and extremes of one quantity over the rounds."""

    def __init__(self, values):
        self.median = statistics.median(values)
        self.low = min(values)
        self.high = max(values)

    def as_json(self):
        return {"median": self.median, "low": self.low, "high": self.high}


QUANTITIES = ("cpu_us", "user_us", "system_us", "core_us", "requests_per_second", "own_busy", "proxy_busy", "far_busy",
              "far_us", "memory_mib", "p99_ms")


def summarise(samples):
    """{quantity: Summary} of one proxy in one scenario."""
    return {name: Summary([getattr(sample, name) for sample in samples]) for name in QUANTITIES}


def fastest_nginx(rows):
    """The name of the nginx with the least CPU a request, or None. `rows` is {peer: summaries}."""
    nginx = [peer for peer in rows if peer.is_nginx]
    return min(nginx, key=lambda peer: rows[peer]["cpu_us"].median) if nginx else None


HEADER = (
    f"  {'proxy':<15} {'CPU us/request':>22} {'ratio':>6} {'user':>6} {'system':>7} {'core us':>8} {'requests/s':>11} "
    f"{'calls/req':>9} {'memory MiB':>10} {'p99 ms':>7} {'own':>5} {'core':>5} {'far':>5} {'errors':>6}"
)


def table(scenario_name, rows, calls, errors):
    """The lines for one scenario. `calls` is {peer: system calls a request or None}."""
    base = fastest_nginx(rows)
    lines = [f"{scenario_name}" + (f"   (ratio: to {base.name})" if base else ""), HEADER]
    for peer, row in rows.items():
        cpu = row["cpu_us"]
        ratio = f"{cpu.median / rows[base]['cpu_us'].median:.2f}" if base else "-"
        count = calls.get(peer)
        lines.append(
            f"  {peer.name:<15} {f'{cpu.median:.2f} [{cpu.low:.2f}-{cpu.high:.2f}]':>22} {ratio:>6} "
            f"{row['user_us'].median:>6.2f} {row['system_us'].median:>7.2f} {row['core_us'].median:>8.2f} "
            f"{row['requests_per_second'].median:>11.0f} {'-' if count is None else f'{count:.2f}':>9} "
            f"{row['memory_mib'].median:>10.1f} {row['p99_ms'].median:>7.2f} {row['own_busy'].median:>5.0%} "
            f"{row['proxy_busy'].median:>5.0%} {row['far_busy'].median:>5.0%} {errors[peer]:>6}")
    far = [row["far_us"].median for row in rows.values()]
    lines.append(f"  load generator and origin took {min(far):.2f} to {max(far):.2f} us CPU a request")
    idle = [peer.name for peer, row in rows.items() if row["proxy_busy"].median < 0.9]
    if idle:
        lines.append(f"  not at its limit: {', '.join(idle)} (core under 90 % busy: load generator and origin are the "
                     "limit, so requests/s says nothing of it)")
    return lines
