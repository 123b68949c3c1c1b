"""Requests as files, runs of stream_load over them, and what its samples say."""

import collections
import dataclasses
import math
import os
import pathlib
import subprocess
import threading

import attacks
import measure

NO_RESPONSE, NEVER_SENT = 0, -1
# stream_load waits for so long for the last responses.
GRACE_S = 5


@dataclasses.dataclass(frozen=True)
class Sample:
    due_ns: int      # CLOCK_MONOTONIC
    latency_ns: int
    status: int


@dataclasses.dataclass
class Stream:
    """A stream of stream_load.cc, which says what its options are."""

    name: str
    path: pathlib.Path
    connections: int = 16
    rate: float = 0
    begin_s: float = 0
    end_s: float = 10
    count: int = 0
    spread: bool = False
    fresh: bool = False

    @property
    def specification(self):
        words = [self.name, str(self.path), f"connections={self.connections}", f"rate={self.rate:.6f}",
                 f"from={self.begin_s}", f"until={self.end_s}"]
        words += [f"count={self.count}"] * bool(self.count) + ["spread"] * self.spread + ["fresh"] * self.fresh
        return ",".join(words)


def write_request(path, target, body=b"", content_type=""):
    """Writes a request to a file: POST if it has a body. Its fields are what a browser sends."""
    head = [f"{'POST' if body else 'GET'} {target} HTTP/1.1", "Host: localhost",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Language: en-US,en;q=0.5"]
    if body:
        head += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    path.write_bytes("\r\n".join([*head, "", ""]).encode() + body)
    return path


class Run:
    """A run of stream_load on one core, until finish()."""

    binary = ""

    def __init__(self, port, core, streams):
        self._seconds = max(stream.end_s for stream in streams) + GRACE_S + measure.LOAD_TIMEOUT_S
        self._names = [stream.name for stream in streams]
        self.child = subprocess.Popen([self.binary, str(port), *(stream.specification for stream in streams)],
                                      stdout=subprocess.PIPE, text=True,
                                      preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        attacks.make_urgent(self.child.pid)
        # Read aside, so that whoever waits need not.
        self._text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        self._text = self.child.stdout.read()

    def finish(self):
        """{name: samples in the order in which they were due}"""
        try:
            status = self.child.wait(self._seconds)
        except subprocess.TimeoutExpired:
            raise measure.Failed("the load generator does not end") from None
        finally:
            self.stop()
        if status != 0:
            raise measure.Failed(f"the load generator ended with status {status}")
        samples = collections.defaultdict(list, {name: [] for name in self._names})
        for line in self._text.splitlines():
            name, *numbers = line.split()
            samples[name].append(Sample(*map(int, numbers)))
        return {name: sorted(found, key=lambda sample: sample.due_ns) for name, found in samples.items()}

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self._reader.join()


def percentile_ms(samples, share):
    """Of the latencies, by rank; nan without samples."""
    ordered = sorted(sample.latency_ns for sample in samples)
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] / 1e6


def statuses(samples):
    return collections.Counter(sample.status for sample in samples)


def not_served(samples):
    """How many did not come back with 200."""
    return sum(sample.status != 200 for sample in samples)
