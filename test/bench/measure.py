"""One measurement: load through one proxy, and what the kernel says that it cost.

Connections are opened and warmed up first. Then a window begins and ends with one reading each of the proxy's CPU time,
of the cores, and of the origin's count of requests, so neither start-up nor TLS handshakes are in the numbers.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LOAD_TIMEOUT_S = 10
# A load is ended by signal; this only bounds it when nobody is left to send one.
LOAD_SECONDS_MAX = 60


class Failed(Exception):
    """A measurement that gave no number."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    tls: bool
    body: int
    connections: int

    @property
    def name(self):
        size = {1024: "1k", 65_536: "64k", 1_048_576: "1m"}[self.body]
        return f"{'tls' if self.tls else 'plain'}-{size}-{self.connections}"


@dataclasses.dataclass
class Sample:
    """What one window gave. Times in microseconds a request are CPU time."""

    requests_per_second: float
    cpu_us: float            # of the proxy's threads, from the scheduler's clock
    user_us: float           # of that, split as the timer tick saw it
    system_us: float
    core_us: float           # of the proxy's core, which holds softirq work that the kernel charged to nobody
    own_busy: float          # share of the window that the proxy's threads ran
    proxy_busy: float        # share of the window that the proxy's core was not idle, by whomever
    far_busy: float          # the same of the core of load generator and origin
    far_us: float            # CPU of load generator and origin a request; over cpu_us, the proxy cannot be kept busy
    memory_mib: float        # PSS of all of the proxy's processes, under load
    p99_ms: float            # by the load generator, with its warm-up
    errors: int
    edge: dict               # edge's own counters over the window, if it is edge


def cpu_seconds(pids):
    """(precise total, user, system) of all threads. The split is by ticks, so it is scaled to the total."""
    total = user = system = 0.0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user += int(fields[11]) * TICK_S
        system += int(fields[12]) * TICK_S
    return total, user, system


def core_seconds(core):
    """(busy, all) of a core so far. Time stolen by the hypervisor counts as neither."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, idle, iowait, irq, softirq = (int(word) * TICK_S for word in line.split()[1:8])
            busy = user + nice + system + irq + softirq
            return busy, busy + idle + iowait
    raise RuntimeError(f"no cpu{core} in /proc/stat")


def memory_bytes(pids):
    """Proportional set size: shared pages are counted once over all who share them."""
    return sum(int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) * 1024
               for pid in pids)


class WrkLoad:
    """A run of wrk on one core, which goes on until finish() or stop()."""

    def __init__(self, scenario, port, core):
        scheme = "https" if scenario.tls else "http"
        url = f"{scheme}://127.0.0.1:{port}/bytes/{scenario.body}"
        self._start(["wrk", "--threads", "1", "--connections", str(scenario.connections), "--duration",
                     f"{LOAD_SECONDS_MAX}s", "--timeout", f"{LOAD_TIMEOUT_S}s", "--latency", url], core)

    def _start(self, command, core):
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    def wait_until_warm(self, scenario, origin, warm_up_s):
        """Until every connection had the time for a request, handshakes are over; and then for the warm-up."""
        deadline = time.monotonic() + LOAD_SECONDS_MAX / 2
        start = origin.requests()
        while origin.requests() - start < 2 * scenario.connections:
            if time.monotonic() > deadline or self.child.poll() is not None:
                raise Failed("the load does not get going")
            time.sleep(0.05)
        time.sleep(warm_up_s)

    def finish(self):
        """Ends it: (errors, p99 in ms)"""
        self.child.send_signal(signal.SIGINT)
        try:
            text, _ = self.child.communicate(timeout=LOAD_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failed("the load generator does not end") from None
        try:
            return self._parse(text)
        except (AttributeError, ValueError):
            raise Failed(f"the load generator measured nothing:\n{text}") from None

    def _parse(self, text):
        errors = 0
        for match in re.finditer(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text):
            errors += sum(map(int, match.groups()))
        for match in re.finditer(r"Non-2xx or 3xx responses: (\d+)", text):
            errors += int(match[1])
        value, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", text).groups()
        return errors, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class LightLoad(WrkLoad):
    """The same by test/bench/light_load.cc, whose binary is `binary`."""

    binary = ""

    def __init__(self, scenario, port, core):
        self._start([self.binary, str(port), f"/bytes/{scenario.body}", str(scenario.connections),
                     str(LOAD_SECONDS_MAX), "tls" if scenario.tls else "plain"], core)

    def _parse(self, text):
        found = json.loads(text)
        return found["errors"], found["p99_us"] / 1000


class Reading:
    """All counters at one moment."""

    def __init__(self, pids, far_pids, cores, origin, edge_counters):
        self.time = time.monotonic()
        self.requests = origin.requests()
        self.cpu, self.user, self.system = cpu_seconds(pids)
        self.far_cpu, _, _ = cpu_seconds(far_pids)
        self.cores = [core_seconds(core) for core in cores]
        self.edge = edge_counters()


def measure(make_load, scenario, server, origin, cores, warm_up_s, window_s, edge_counters=dict):
    load = make_load(scenario, server.port, cores[1])
    try:
        load.wait_until_warm(scenario, origin, warm_up_s)
        pids, far_pids = server.pids, [load.child.pid, *origin.server.pids]
        before = Reading(pids, far_pids, cores, origin, edge_counters)
        time.sleep(window_s)
        after = Reading(pids, far_pids, cores, origin, edge_counters)
        memory = memory_bytes(pids)
        errors, p99_ms = load.finish()
    finally:
        load.stop()
    requests = after.requests - before.requests
    if requests <= 0:
        raise Failed(f"no request got through {server.name} in {window_s} s ({errors} errors):\n{server.log}")
    cpu = after.cpu - before.cpu
    user, system = after.user - before.user, after.system - before.system
    busy = [(b[0] - a[0]) / max(b[1] - a[1], TICK_S) for a, b in zip(before.cores, after.cores)]
    return Sample(
        requests_per_second=requests / (after.time - before.time),
        cpu_us=cpu / requests * 1e6,
        user_us=cpu * user / max(user + system, TICK_S) / requests * 1e6,
        system_us=cpu * system / max(user + system, TICK_S) / requests * 1e6,
        core_us=(after.cores[0][0] - before.cores[0][0]) / requests * 1e6,
        own_busy=cpu / (after.time - before.time),
        proxy_busy=busy[0],
        far_busy=busy[1],
        far_us=(after.far_cpu - before.far_cpu) / requests * 1e6,
        memory_mib=memory / 2**20,
        p99_ms=p99_ms,
        errors=errors,
        edge={
            "requests": requests,
            "seconds": after.time - before.time,
            **{name: after.edge[name] - before.edge[name] for name in after.edge},
        },
    )


def system_calls_per_request(make_load, scenario, server, origin, cores, warm_up_s, window_s):
    """Counted by perf in a pass of its own, since counting costs. None if perf cannot.

    perf starts late and ends late by some milliseconds, so the calls a second of its own window are divided by the
    requests a second of ours.
    """
    load = make_load(scenario, server.port, cores[1])
    try:
        load.wait_until_warm(scenario, origin, warm_up_s)
        command = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p",
                   ",".join(map(str, server.pids)), "--", "sleep", str(window_s)]
        result = {}

        def count():
            result["perf"] = subprocess.run(command, capture_output=True, text=True, timeout=window_s + 10)

        counter = threading.Thread(target=count)
        requests, started = origin.requests(), time.monotonic()
        try:
            counter.start()
            counter.join()
            requests, elapsed = origin.requests() - requests, time.monotonic() - started
        finally:
            load.stop()
        match = re.search(r"^(\d+),[^,]*,raw_syscalls:sys_enter,(\d+)", result["perf"].stderr, re.M)
        if not match:
            return None
        # The third number is the time that the counter ran, in ns, summed over threads that all ran as long.
        return int(match[1]) / window_s / (requests / elapsed)
    except (OSError, KeyError):
        return None
    finally:
        load.stop()


def edge_counters(admin_port):
    """Edge's own counters of ring and loop, summed over workers."""
    import socket

    with socket.create_connection(("127.0.0.1", admin_port), 5) as admin:
        admin.sendall(b"GET /metrics HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: admin.recv(65_536), b"")).decode()
    counters = {}
    for name in ("edge_ring_enters_total", "edge_ring_completions_total", "edge_loop_busy_seconds_sum",
                 "edge_worker_cpu_seconds_total", "edge_ring_enobufs_total"):
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)", text, re.M)
        if values:
            counters[name] = sum(map(float, values))
    return counters
