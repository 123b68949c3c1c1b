"""At the limits of accepting: --max_connections reached by clients that cannot give way, and no descriptor left.

Edge neither spins nor loses anybody: who knocks waits in the backlog, and is served as soon as there is room.
"""

import os
import pathlib
import re
import threading
import unittest

import harness
import metrics

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HELD = "GET /held HTTP/1.1\r\nHost: a\r\n\r\n"
HALF_A_HEAD = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
KNOCKING = 100
# Small pools, so that the memory ceiling is low.
SMALL = ("--buffers=512", "--body_buffers=64")
# Edge keeps 128 of its descriptors for itself and shares the others among clients and origins.
DESCRIPTORS = 128 + 400
# What is left of them, because edge starts with the rest open and does not know: fewer than it counts on.
DESCRIPTORS_FREE_ABOUT = 60


class AcceptTest(harness.EdgeTest):
    def start(self, *flags, with_origin=True, **options):
        """An edge whose origin, if any, answers /held only when self.release is set."""
        self.release = threading.Event()
        self.addCleanup(self.release.set)

        def script(connection):
            while request := connection.read_request():
                if request.target == "/held":
                    connection.wait_for(self.release)
                connection.send(harness.ok(request))

        self.origin = self.start_raw_origin(script)
        self.edge = self.start_edge(*SMALL, *flags, upstream=self.origin.url if with_origin else None, **options)
        # Opened while there are descriptors.
        self.admin = self.connect(self.edge.admin_port)
        self.metric("edge_ready")

    def start_with_few_descriptors(self, **options):
        ballast = [os.open("/dev/null", os.O_RDONLY) for _ in range(DESCRIPTORS - DESCRIPTORS_FREE_ABOUT)]
        try:
            self.start(pass_fds=ballast, prefix=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"), **options)
        finally:
            for number in ballast:
                os.close(number)

    def fill_descriptors(self, leave=0):
        """Clients in the middle of their heads, until edge has no descriptor left but so many."""
        active = self.metric("edge_connections_active")
        clients = self.flood(self.edge.port, DESCRIPTORS - self.edge.descriptors() - leave, HALF_A_HEAD)
        harness.wait_until(lambda: self.metric("edge_connections_active") == active + len(clients), "all accepted")
        self.assertEqual(self.edge.descriptors(), DESCRIPTORS - leave)
        return clients

    def metric(self, name, **labels):
        self.admin.send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n")
        return metrics.parse(self.admin.read_response().body.decode()).value(name, **labels)

    def check_all_answered(self, clients):
        for client in clients:
            self.assertEqual(client.read_response().status, 200)


class ConnectionLimitTest(AcceptTest):
    def test_edge_rests_at_the_limit_and_serves_those_who_waited(self):
        self.start("--max_connections=10")
        busy = self.flood(self.edge.port, 10, HELD)
        self.origin.wait_for_requests(10)
        waiting = self.flood(self.edge.port, KNOCKING, HELD.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        self.check_rests(lambda: self.metric("edge_ring_enters_total"))
        self.release.set()
        self.check_all_answered(busy + waiting)


# UndefinedBehaviorSanitizer reads memory that it doubts through a pipe, and takes the lack of a descriptor for a bad
# object.
@unittest.skipIf(harness.SANITIZER == "asan", "a sanitizer needs descriptors of its own")
class DescriptorLimitTest(AcceptTest):
    def test_table_of_descriptors_does_not_grow_under_load(self):
        """Growing it, the kernel lets the worker wait for tens of milliseconds."""
        def table_size():
            status = pathlib.Path(f"/proc/{self.edge.pid}/status").read_text()
            return int(re.search(r"^FDSize:\s+(\d+)", status, re.M)[1])

        self.start()
        before = table_size()
        self.check_all_answered(self.flood(self.edge.port, 300, GET))
        self.assertEqual(table_size(), before)

    def test_edge_rests_without_descriptors_and_serves_those_who_waited(self):
        self.start_with_few_descriptors(with_origin=False)
        busy = self.fill_descriptors()
        waiting = self.flood(self.edge.port, KNOCKING, HALF_A_HEAD)
        harness.wait_until(lambda: self.metric("edge_accept_errors_total") > 0, "an accept that fails")
        self.check_rests(lambda: self.metric("edge_ring_enters_total"))
        for client in busy:
            client.close()
        for client in waiting:
            client.send("\r\n")
        self.check_all_answered(waiting)

    def test_idle_clients_give_way(self):
        self.start_with_few_descriptors(with_origin=False)
        self.check_all_answered(self.flood(self.edge.port, 10, GET))
        self.fill_descriptors()
        self.check_all_answered(self.flood(self.edge.port, 3, GET))
        self.assertGreaterEqual(self.metric("edge_connections_evicted_total"), 3)

    def test_pooled_connections_to_origins_give_way_when_no_client_is_idle(self):
        self.start_with_few_descriptors()
        once = self.flood(self.edge.port, 10, HELD)
        self.origin.wait_for_requests(10)
        self.release.set()
        self.check_all_answered(once)
        for client in once:
            client.close()
        harness.wait_until(lambda: self.metric("edge_connections_active") == 0, "no client left")
        self.assertEqual(self.metric("edge_upstream_idle"), 10)
        self.fill_descriptors()
        self.check_all_answered(self.flood(self.edge.port, 3, GET))

    def test_connection_to_an_origin_that_finds_no_descriptor_is_503_and_no_more(self):
        self.start_with_few_descriptors()
        (held,) = self.flood(self.edge.port, 1, HELD)
        self.origin.wait_for_requests(1)
        self.fill_descriptors(leave=1)
        (client,) = self.flood(self.edge.port, 1, HELD)
        self.assertEqual(client.read_response().status, 503)
        self.assertEqual(self.metric("edge_upstream_errors_total", kind="local_limit"), 1)
        self.release.set()
        self.check_all_answered([held])
        client.send(GET)
        self.check_all_answered([client])


if __name__ == "__main__":
    harness.main()
