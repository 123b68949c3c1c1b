"""Programs that a test starts: each with its output in a file, stopped by its own pid, and never left behind."""

import json
import os
import pathlib
import re
import signal
import subprocess

import metrics
from environment import EDGE_BINARY, TIMEOUT_S, wait_until


class Process:
    """A child whose standard output and error go to files in `directory`."""

    def __init__(self, name, command, directory, env=None, pass_fds=()):
        self.name = name
        self.command = [str(word) for word in command]
        self.stdout_path = pathlib.Path(directory) / f"{name}.stdout"
        self.stderr_path = pathlib.Path(directory) / f"{name}.stderr"
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, pass_fds=pass_fds)
        self.pid = self.child.pid

    @property
    def log(self):
        return self.stderr_path.read_text(errors="replace")

    @property
    def output(self):
        return self.stdout_path.read_text(errors="replace")

    @property
    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        if self.running:
            self.child.send_signal(number)

    def sigterm(self):
        self.signal(signal.SIGTERM)

    def sigint(self):
        self.signal(signal.SIGINT)

    def wait_exit(self, timeout_s=None):
        """The exit status, when it has ended."""
        try:
            return self.child.wait(TIMEOUT_S if timeout_s is None else timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} (pid {self.pid}) does not end") from None

    def kill(self):
        if self.running:
            self.child.kill()
        self.child.wait()

    def describe(self):
        """Its command line and the ends of its output, for the report of a failure."""
        state = "running" if self.running else f"exit status {self.child.returncode}"
        lines = [f"--- {self.name} (pid {self.pid}, {state}): {' '.join(self.command)}"]
        for what, text in (("stderr", self.log), ("stdout", self.output)):
            if text:
                cut = "..." if len(text) > 20_000 else ""
                lines.append(f"--- {self.name} {what}:\n{cut}{text[-20_000:].rstrip()}")
        return "\n".join(lines)


class Edge(Process):
    """A running edge. `port` and `tls_port` are those of its first http and https listener, `proxy_port` and
    `proxy_tls_port` of its first that expect a PROXY header. `prefix` is a program that becomes edge: prlimit, say."""

    def __init__(self, flags, directory, name="edge", prefix=(), **options):
        super().__init__(name, [*prefix, EDGE_BINARY, *flags], directory, **options)
        self.last_peak_bytes = 0  # peak_memory_bytes() as it was when somebody ended it

    def signal(self, number):
        if self.running and number in (signal.SIGINT, signal.SIGTERM):
            self.last_peak_bytes = self.peak_memory_bytes() or self.last_peak_bytes
        super().signal(number)

    def wait_ready(self):
        def ready():
            if not self.running:
                raise AssertionError(f"edge ended at start with status {self.child.returncode}:\n{self.log}")
            return "edge: ready" in self.log

        wait_until(ready, "'edge: ready' on edge's standard error")
        self.listeners = [
            (scheme, host, int(port))
            for scheme, host, port in re.findall(r"listening on ((?:proxy\+)?https?)://(\S+):(\d+)", self.log)
        ]
        admin = re.search(r"admin on http://(\S+):(\d+)", self.log)
        self.admin_port = int(admin[2]) if admin else None
        return self

    def _first_port(self, wanted):
        for scheme, _, port in self.listeners:
            if scheme == wanted:
                return port
        raise AssertionError(f"edge has no {wanted} listener: {self.listeners}")

    @property
    def port(self):
        return self._first_port("http")

    @property
    def tls_port(self):
        return self._first_port("https")

    @property
    def proxy_port(self):
        return self._first_port("proxy+http")

    @property
    def proxy_tls_port(self):
        return self._first_port("proxy+https")

    def admin(self, target, method="GET", fields=""):
        """A response of the admin listener."""
        import clients  # clients.py knows sockets, and needs nothing from here

        with clients.connect(self.admin_port) as client:
            client.send(f"{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{fields}\r\n")
            return client.read_response(method)

    def metrics(self):
        response = self.admin("/metrics")
        assert response.status == 200, response
        return metrics.parse(response.body.decode())

    def threads(self):
        """The names of its threads. One called iou-wrk-... means that the ring had to hand work to a kernel thread."""
        names = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            try:
                names.append(pathlib.Path(f"/proc/{self.pid}/task/{task}/comm").read_text().strip())
            except FileNotFoundError:
                pass
        return names

    def memory_bytes(self, field="Pss"):
        """A field of smaps_rollup: Rss, Pss, Private_Dirty, ..."""
        rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", rollup, re.M)[1]) * 1024

    def access_log(self, count):
        """The entries on its standard output (--access_log=-), parsed, when there are at least `count`."""
        def lines():
            whole = self.output.rpartition("\n")[0].splitlines()
            return whole if len(whole) >= count else None

        return [json.loads(line) for line in wait_until(lines, f"{count} lines of the access log")]

    @property
    def memory_ceiling_bytes(self):
        """What its log promised at start."""
        return float(re.search(r"edge: memory at most ([0-9.]+) MiB of edge's own", self.log)[1]) * 2**20

    def peak_memory_bytes(self):
        """The most that was ever resident, its text included; 0 if it has just ended. /proc keeps it, so no moment is
        missed."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
        return int(peak[1]) * 1024 if peak else 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
