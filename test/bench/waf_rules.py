"""Rules and requests of which some cost a few milliseconds of real rule CPU, by calibration.

The rules are the built-in set, which every request passes, and some more that look at one argument: a regular
expression whose work grows with the third power of the argument's length, and that no prefilter can decide, since it calls
its own group, which the prefilter does not know.
"""

import pathlib
import re

import edge_metrics
import measure
import streams

LIGHT_TARGET = "/bytes/1024?page=2&sort=name&q=blue+garden+chair"
HEAVY_RULES = 16
# Of `a`s: the last two bytes let the regular expression hope to the end.
HEAVY_RULE = r'SecRule ARGS:heavy "@rx (a+)a*(?1)c{number}?" "id:{id},phase:2,t:none,pass,nolog"'
HEAVY_END = "dc"
FIRST_ID = 990_000

REQUESTS = 50       # of each measurement, one at a time
TRIES = 10
TOLERANCE = 0.05


def builtin_rules():
    source = (pathlib.Path(__file__).resolve().parents[2] / "proxy/waf/engine/builtin_rules.cc").read_text()
    found = re.search(r'R"seclang\((.*?)\)seclang"', source, re.S)
    if not found:
        raise measure.Failed("proxy/waf/engine/builtin_rules.cc holds no rules")
    return found[1]


def write_rules(directory):
    path = directory / "heavy.conf"
    heavy = [HEAVY_RULE.replace("{number}", str(number)).replace("{id}", str(FIRST_ID + number))
             for number in range(HEAVY_RULES)]
    path.write_text("\n".join([builtin_rules(), *heavy, ""]))
    return path


def write_light(directory):
    return streams.write_request(directory / "light.http", LIGHT_TARGET)


def write_heavy(directory, length):
    return streams.write_request(directory / "heavy.http", f"/bytes/1024?heavy={'a' * length}{HEAVY_END}")


def inspected(edge, core, request):
    """(service time in seconds, CPU of edge in seconds) for one such request, all of which pass."""
    before, cpu = edge.metrics(), measure.cpu_seconds(edge.pids)[0]
    samples = streams.Run(edge.port, core, [streams.Stream("one", request, connections=1, count=REQUESTS)]).finish()["one"]
    after, cpu = edge.metrics(), measure.cpu_seconds(edge.pids)[0] - cpu
    between = edge_metrics.Between(before, after)
    if streams.not_served(samples) or between.value("edge_waf_verdicts_total", verdict="allow") != REQUESTS:
        raise measure.Failed(f"of {REQUESTS} requests not all were inspected and passed: {streams.statuses(samples)}")
    return between.mean("edge_waf_service_seconds"), cpu / REQUESTS


class Heavy:
    """A request that costs about so many milliseconds, and what it was found to cost."""

    def __init__(self, bench, rules, target_ms):
        length = 60
        with bench.start("--waf=block", f"--waf_rules={rules}", "--waf_deadline=1s") as edge:
            light, light_cpu = inspected(edge, bench.far_core, write_light(bench.directory))
            self.light_ms = light * 1e3
            for _ in range(TRIES):
                self.path = write_heavy(bench.directory, length)
                service, cpu = inspected(edge, bench.far_core, self.path)
                # By CPU, which does not depend on what else the machine does.
                self.length, self.service_ms, self.cpu_ms = length, service * 1e3, (cpu - light_cpu) * 1e3
                if abs(self.cpu_ms / target_ms - 1) < TOLERANCE:
                    return
                growth = (target_ms / max(self.cpu_ms, target_ms / 100)) ** (1 / 3)
                length = round(length * max(0.5, min(2, growth)))
        raise measure.Failed(f"no argument was found that costs {target_ms} ms; one of {self.length} bytes costs "
                             f"{self.cpu_ms:.2f} ms")

    def describe(self):
        return (f"heavy: {HEAVY_RULES} regular expressions over an argument of {self.length} bytes, found to cost "
                f"{self.cpu_ms:.2f} ms CPU more than a light request; {self.service_ms:.2f} ms service time, of a light "
                f"one {self.light_ms * 1e3:.0f} us, which has the built-in rules alone")
