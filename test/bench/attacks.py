"""Attacks by slowhttptest, and what a good client measures meanwhile.

All sockets are in a network namespace of their own (enter_namespace), whose loopback has Ethernet's MTU: with the 64 KiB
of the usual one every socket buffer takes megabytes, so responses fit into the kernel and no reader is ever slow.
"""

import dataclasses
import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import time

import measure

CONNECTIONS = 4000
CONNECTIONS_PER_SECOND = 4000
# How long an attack may take to open them before the window begins. With the window it is less than the 10 s after which
# edge ends a slow head.
OPEN_SECONDS_MAX = 4
MTU = 1500
# The good client: an even rate, far below what any of the proxies could serve.
GOOD_CONNECTIONS = 8
GOOD_REQUESTS_PER_SECOND = 500
GOOD_BODY_BYTES = 1024

# Of slowhttptest: -i seconds between two pieces of a head or body, -s the length that is announced; -w and -y the
# range of receive windows, -z bytes read every -n seconds.
ATTACKS = {
    "slow head": ("-H", "-i", "1"),
    "slow body": ("-B", "-i", "1", "-s", "100000"),
    "slow read": ("-X", "-w", "256", "-y", "512", "-n", "1", "-z", "16"),
}
SLOW_READ_BODY_BYTES = 262_144

SIOCSIFFLAGS, SIOCSIFMTU = 0x8914, 0x8922
IFF_UP_LOOPBACK = 0x1 | 0x8


def in_namespace():
    return os.environ.get("EDGE_BENCH_NAMESPACE") == "1"


def enter_namespace(command):
    """Becomes this command in a network namespace of its own."""
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--"]
    tried = subprocess.run([*unshare, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise measure.Failed(f"no network namespace to be had, as root or with user namespaces ({tried.stderr.strip()})")
    os.execvpe("unshare", [*unshare, *command], dict(os.environ, EDGE_BENCH_NAMESPACE="1"))


def set_up_namespace():
    """Its loopback is down at first."""
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si", b"lo", MTU))
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP_LOOPBACK))


@dataclasses.dataclass
class Window:
    """What the good client saw."""

    p50_ms: float
    p99_ms: float
    responses: int
    errors: int
    attackers: int  # connections that the attack had open at its best


def make_urgent(pid):
    """Real-time priority, so that what else the machine does is not in the latencies. False: not allowed."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(1))
        return True
    except PermissionError:
        return False


def open_connections(port):
    """Established connections whose server's side is this port."""
    count = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        count += state == "01" and int(local.rpartition(":")[2], 16) == port
    return count


class Attack:
    """A run of slowhttptest on one core, which goes on for longer than the window."""

    def __init__(self, name, port, core, seconds):
        body = SLOW_READ_BODY_BYTES if name == "slow read" else GOOD_BODY_BYTES
        command = ["slowhttptest", *ATTACKS[name], "-c", str(CONNECTIONS), "-r", str(CONNECTIONS_PER_SECOND), "-l",
                   str(int(seconds) + OPEN_SECONDS_MAX + 10), "-u", f"http://127.0.0.1:{port}/bytes/{body}"]
        self.name = name
        self.output = tempfile.TemporaryFile()
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
                                      preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    def wait_until_open(self, port):
        """Until all are open, or some seconds have passed: some proxies close those that attack."""
        deadline = time.monotonic() + OPEN_SECONDS_MAX
        while open_connections(port) < 0.95 * CONNECTIONS and time.monotonic() < deadline:
            self.check_goes_on()
            time.sleep(0.05)

    def check_goes_on(self):
        if self.child.poll() is not None:
            self.output.seek(0)
            said = self.output.read().decode(errors="replace").strip()[-500:]
            raise measure.Failed(f"slowhttptest ({self.name}) ended by itself, with status {self.child.returncode}: {said}")

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.output.close()


def measure_window(light_load, port, core, seconds, urgent):
    """The good client alone, or beside whatever attack runs."""
    command = [light_load, str(port), f"/bytes/{GOOD_BODY_BYTES}", str(GOOD_CONNECTIONS), str(seconds), "plain",
               str(GOOD_REQUESTS_PER_SECOND)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                             preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    if urgent:
        make_urgent(child.pid)
    attackers = 0
    deadline = time.monotonic() + seconds + measure.LOAD_TIMEOUT_S
    while child.poll() is None:
        attackers = max(attackers, open_connections(port) - GOOD_CONNECTIONS)
        if time.monotonic() > deadline:
            child.kill()
            raise measure.Failed("the good client does not end")
        time.sleep(0.25)
    if child.returncode != 0:
        raise measure.Failed("the good client cannot connect")
    found = json.loads(child.stdout.read())
    return Window(found["p50_us"] / 1000, found["p99_us"] / 1000, found["responses"], found["errors"], max(attackers, 0))
