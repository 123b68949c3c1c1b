"""What a test finds around it: binaries, a place for files, and how patient to be.

Waits are decided by conditions; the limits here only turn a hang into a failure. They are stretched for sanitizer
builds of edge, which are found out by looking into the binary, or by EDGE_TEST_TIMEOUT_FACTOR.
"""

import os
import pathlib
import shutil
import time

REPOSITORY = pathlib.Path(os.path.realpath(__file__)).parents[2]


def _edge_binary():
    path = os.environ.get("EDGE_BINARY") or str(REPOSITORY / "bazel-bin/proxy/edge")
    return os.path.abspath(path)


def _sanitizer(binary):
    """"asan", "tsan" or "": the name of the sanitizer that a binary was built with."""
    try:
        data = pathlib.Path(binary).read_bytes()
    except OSError:
        return ""
    for mark, name in ((b"__asan_init", "asan"), (b"__tsan_init", "tsan")):
        if mark in data:
            return name
    return ""


EDGE_BINARY = _edge_binary()
SANITIZER = _sanitizer(EDGE_BINARY)
TIMEOUT_FACTOR = float(os.environ.get("EDGE_TEST_TIMEOUT_FACTOR") or (4 if SANITIZER else 1))
# The longest that anything may take that should happen at once.
TIMEOUT_S = 10 * TIMEOUT_FACTOR


def seconds(count):
    """The value of a flag of edge's that is a time, stretched like all limits: a client that a test means to be quick
    enough is so on a slow machine too."""
    return f"{round(count * TIMEOUT_FACTOR * 1000)}ms"


def pause(count):
    """Lets so many seconds pass, stretched in the same way: for peers that are slow on purpose."""
    time.sleep(count * TIMEOUT_FACTOR)


def find_program(name):
    """A server or tool: from $EDGE_<NAME>, what tools/setup unpacked, or the PATH."""
    named = os.environ.get("EDGE_" + name.upper())
    unpacked = REPOSITORY / ".deps/bin" / name
    path = named or (str(unpacked) if unpacked.exists() else None)
    path = path or shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise FileNotFoundError(f"{name} is missing: run tools/setup test")
    return path


def wait_until(condition, what, timeout_s=None):
    """Polls until condition() is true and returns what it said; AssertionError names `what` if that takes too long."""
    timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.005)
