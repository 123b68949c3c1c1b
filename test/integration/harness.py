"""The verbs of an integration test: start an edge and origins, talk through it, look at what happened.

    class GreetingTest(harness.EdgeTest):
        def test_edge_forwards_the_body(self):
            origin = self.start_raw_origin()
            edge = self.start_edge(upstream=origin.url)
            response = harness.get(edge.port, "/greeting")
            self.assertEqual(response.body, b"ok")

Everything started is stopped when the test ends, in reverse order, and edge must then end with status 0, so that a
report of a sanitizer fails the test. If a test fails, the logs of all that it started are printed.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

from clients import connect, curl, get, openssl_s_client, tls_context, wrk
from environment import (
    EDGE_BINARY,
    REPOSITORY,
    SANITIZER,
    TIMEOUT_FACTOR,
    TIMEOUT_S,
    find_program,
    pause,
    seconds,
    wait_until,
)
from haproxy import Haproxy
from origins import NginxOrigin, RawOrigin, RefusingOrigin, UnreachableOrigin, ok, serve
from processes import Edge, Process
from wire import Fields, IncompleteMessage, ProtocolError, Wire

__all__ = [
    "EDGE_BINARY", "REPOSITORY", "SANITIZER", "TIMEOUT_FACTOR", "TIMEOUT_S", "Edge", "EdgeTest", "Fields", "Haproxy",
    "IncompleteMessage", "NginxOrigin", "Process", "ProtocolError", "RawOrigin", "RefusingOrigin", "UnreachableOrigin",
    "Wire", "connect", "curl", "find_program", "get", "main", "ok", "openssl_s_client", "pause", "seconds", "serve",
    "tls_context", "wait_until", "wrk",
]

# One of each, so that every test has both edge.port and edge.tls_port.
LISTEN = "http://127.0.0.1:0,https://127.0.0.1:0"


class EdgeTest(unittest.TestCase):
    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        self._started = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="edge-", dir=os.environ.get("TEST_TMPDIR")))
        try:
            super().run(result)
            if len(result.failures) + len(result.errors) > before:
                print(f"\n--- {self.id()} failed", file=sys.stderr)
                for started in self._started:
                    print(started.describe(), file=sys.stderr)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
        return result

    # --- edge ---

    def start_edge(self, *flags, upstream=None, listen=LISTEN, cores="1", admin="127.0.0.1:0", **options):
        """An edge that is ready. `upstream` is a URL or a list of them."""
        edge = self.launch_edge(*self.edge_flags(upstream, listen, cores, admin), *flags, **options)
        self.addCleanup(self._stop_edge, edge)
        return edge.wait_ready()

    def launch_edge(self, *flags, **options):
        """An edge with these flags and no others, which need not come up."""
        number = sum(isinstance(started, Edge) for started in self._started)
        edge = Edge(flags, self.directory, name=f"edge{number or ''}", **options)
        self._started.append(edge)
        self.addCleanup(edge.kill)
        return edge

    @staticmethod
    def edge_flags(upstream=None, listen=LISTEN, cores="1", admin="127.0.0.1:0"):
        flags = [f"--listen={listen}", f"--cores={cores}", f"--admin={admin}"]
        if upstream:
            flags.append("--upstream=" + (upstream if isinstance(upstream, str) else ",".join(upstream)))
        return flags

    def _stop_edge(self, edge):
        edge.sigint()
        self.assertEqual(edge.wait_exit(), 0, "exit status of edge")
        # Whatever a test did to it, and whoever ended it. A sanitizer has memory of its own.
        if not SANITIZER:
            self.assertGreater(edge.last_peak_bytes, 0)
            self.assertLessEqual(edge.last_peak_bytes, edge.memory_ceiling_bytes, "peak memory of edge")

    # --- origins ---

    def start_nginx_origin(self, server="", http="", listen=""):
        number = sum(isinstance(started, NginxOrigin) for started in self._started)
        origin = NginxOrigin(self.directory, server, name=f"nginx{number or ''}", http=http, listen=listen)
        self._started.append(origin)
        self.addCleanup(origin.kill)
        return origin.wait_ready()

    def start_haproxy(self, body, bind=""):
        number = sum(isinstance(started, Haproxy) for started in self._started)
        haproxy = Haproxy(self.directory, body, bind, name=f"haproxy{number or ''}")
        self._started.append(haproxy)
        self.addCleanup(haproxy.kill)
        return haproxy

    def start_raw_origin(self, *scripts, port=0):
        origin = RawOrigin(*scripts, port=port)
        self._started.append(origin)
        self.addCleanup(origin.close)
        return origin

    def start_refusing_origin(self):
        return self._closed_later(RefusingOrigin())

    def start_unreachable_origin(self):
        return self._closed_later(UnreachableOrigin())

    # --- clients ---

    def connect(self, port, **options):
        return self._closed_later(connect(port, **options))

    def flood(self, port, count, data=b""):
        """That many connections, with these bytes sent on each."""
        clients = []
        for _ in range(count):
            clients.append(self.connect(port))
            clients[-1].send(data)
        return clients

    def check_rests(self, enters_total, enters_per_second_max=100):
        """What is there causes no work, so edge waits. One with nothing to do calls io_uring_enter for its timers, of which
        the shortest run ten times a second, on two listeners, and for this question; one that spins hundreds of thousands
        of times. `enters_total()` asks for edge_ring_enters_total."""
        before, started = enters_total(), time.monotonic()
        time.sleep(2)
        self.assertLess(enters_total() - before, enters_per_second_max * (time.monotonic() - started))

    def _closed_later(self, thing):
        self.addCleanup(thing.close)
        return thing


def main():
    unittest.main(verbosity=2)
