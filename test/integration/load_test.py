"""Edge under load: not one error, no futex, no helper threads, little memory for idle connections, both workers at work.

These tests keep the machine busy and measure, so Bazel runs each program alone.
"""

import os
import re
import resource
import subprocess
import threading
import unittest

import harness

SECONDS = int(os.environ.get("EDGE_TEST_LOAD_SECONDS") or 5)
ORIGIN = 'location / { return 200 "%s"; }' % ("x" * 1024)


class LoadTest(harness.EdgeTest):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def check_load(self, edge, url, connections=512):
        result = harness.wrk(url, connections, SECONDS)
        self.assertEqual(result.errors, 0, result.text)
        self.assertGreater(result.requests, 1000, result.text)
        metrics = edge.metrics()
        self.assertEqual(metrics.value("edge_ring_cq_overflows_total"), 0)
        self.assertEqual(metrics.get("edge_requests_total", **{"class": "5xx"}), 0)
        self.assertEqual([name for name in edge.threads() if name.startswith("iou-wrk")], [])
        harness.wait_until(lambda: edge.metrics().value("edge_connections_active") == 0, "no connection left")
        return result

    def test_512_connections_plain_and_tls_see_no_error(self):
        edge = self.start_edge(upstream=self.start_nginx_origin(ORIGIN).url, cores="auto")
        self.check_load(edge, f"http://127.0.0.1:{edge.port}/")
        self.check_load(edge, f"https://127.0.0.1:{edge.tls_port}/")

    def test_connection_for_each_request_sees_no_error(self):
        edge = self.start_edge(upstream=self.start_nginx_origin(ORIGIN).url, cores="auto")
        stop = threading.Event()
        failures, served = [], [0]

        def client(tls):
            while not stop.is_set():
                try:
                    response = harness.get(edge.tls_port if tls else edge.port, tls=tls)
                    self.assertEqual((response.status, len(response.body)), (200, 1024))
                    served[0] += 1
                except Exception as error:  # pylint: disable=broad-except
                    failures.append(repr(error))
                    return

        threads = [threading.Thread(target=client, args=(number % 4 == 0,)) for number in range(16)]
        for thread in threads:
            thread.start()
        stop.wait(SECONDS)
        stop.set()
        for thread in threads:
            thread.join(harness.TIMEOUT_S)
        self.assertEqual(failures, [])
        self.assertGreater(served[0], 100)

    def test_large_responses_to_many_connections_see_no_error(self):
        origin = self.start_nginx_origin()
        (origin.root / "large").write_bytes(b"x" * 1_048_576)
        edge = self.start_edge(upstream=origin.url, cores="auto")
        for url in (f"http://127.0.0.1:{edge.port}/large", f"https://127.0.0.1:{edge.tls_port}/large"):
            result = harness.wrk(url, 128, SECONDS)
            self.assertEqual(result.errors, 0, result.text)

    def test_few_buffers_starve_nobody(self):
        edge = self.start_edge("--buffers=16", "--body_buffers=8", upstream=self.start_nginx_origin(ORIGIN).url)
        self.check_load(edge, f"http://127.0.0.1:{edge.port}/", connections=256)

    def test_load_is_shared_by_the_workers(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two cores")
        edge = self.start_edge(cores="2")
        clients = [self.connect(edge.port) for _ in range(400)]
        for client in clients:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.read_response()
        accepted = edge.metrics().by_label("edge_connections_accepted_total", "worker")
        self.assertEqual(sum(accepted.values()), 400)
        self.assertGreater(min(accepted.values()), 100)


class SteadyStateTest(harness.EdgeTest):
    def system_calls(self, edge, seconds):
        """{name: count} of what edge calls while under load, by strace."""
        report = self.directory / "strace"
        command = [harness.find_program("strace"), "-f", "-c", "-o", report, "-p", str(edge.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            try:
                # strace says so for each thread that it has taken hold of.
                for line in tracer.stderr:
                    if "attached" in line:
                        break
                    if "not permitted" in line or "failed" in line:
                        self.skipTest(f"strace may not trace here: {line.strip()}")
                threading.Event().wait(seconds)
            finally:
                tracer.send_signal(2)
        calls = {}
        for line in report.read_text().splitlines():
            match = re.fullmatch(r"\s*[0-9.]+\s+[0-9.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)", line)
            if match:
                calls[match[2]] = int(match[1])
        return calls

    @unittest.skipIf(harness.SANITIZER, "sanitizers make system calls of their own")
    def test_steady_load_makes_no_futex_call_and_less_than_one_call_a_request(self):
        edge = self.start_edge(upstream=self.start_nginx_origin(ORIGIN).url)
        load = threading.Thread(target=harness.wrk, args=(f"http://127.0.0.1:{edge.port}/", 64, SECONDS + 4))
        load.start()
        try:
            harness.wait_until(lambda: edge.metrics().get("edge_requests_total") > 1000, "1000 requests")
            before = edge.metrics()
            calls = self.system_calls(edge, 2)
            after = edge.metrics()
        finally:
            load.join()
        self.assertEqual(calls.get("futex", 0), 0, calls)
        for name in ("mmap", "munmap", "brk", "madvise", "recvfrom", "sendto", "read", "write", "epoll_wait"):
            self.assertLess(calls.get(name, 0), 20, calls)
        requests = after.value("edge_requests_total") - before.value("edge_requests_total")
        enters = after.value("edge_ring_enters_total") - before.value("edge_ring_enters_total")
        self.assertGreater(requests, 100)
        # tools/bench measures the real number, with the core to itself.
        self.assertLess(enters / requests, 1.0)

    def test_10_000_idle_connections_cost_at_most_1_kib_each_and_hold_no_buffer(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        count = min(10_000, hard - 500)
        # Without an upstream, for which edge would keep back half of the descriptors.
        edge = self.start_edge("--idle_timeout=10m", "--header_timeout=10m")

        def open_idle(number):
            clients = []
            for _ in range(number):
                client = self.connect(edge.port)
                client.keep_received = False
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_response()
                clients.append(client)
            return clients

        open_idle(100)  # touches what is touched once
        before = edge.memory_bytes("Rss")
        open_idle(count - 100)
        each = (edge.memory_bytes("Rss") - before) / (count - 100)
        metrics = edge.metrics()
        print(f"{count} idle connections: {each:.0f} bytes of edge's memory each")
        self.assertEqual(metrics.value("edge_connections_active"), count)
        self.assertEqual(metrics.by_label("edge_buffers_free", "pool"), metrics.by_label("edge_buffers_total", "pool"))
        if not harness.SANITIZER:
            self.assertLessEqual(each, 1024)

    def test_memory_does_not_grow_from_run_to_run(self):
        edge = self.start_edge(upstream=self.start_nginx_origin(ORIGIN).url)
        url = f"http://127.0.0.1:{edge.port}/"
        harness.wrk(url, 256, 2)
        harness.wait_until(lambda: edge.metrics().value("edge_connections_active") == 0, "no connection left")
        before, descriptors = edge.memory_bytes("Rss"), edge.descriptors()
        for _ in range(3):
            harness.wrk(url, 256, 1)
            harness.wait_until(lambda: edge.metrics().value("edge_connections_active") == 0, "no connection left")
        if not harness.SANITIZER:
            self.assertLess(edge.memory_bytes("Rss") - before, 1_000_000)
        # Idle upstream connections may stay.
        self.assertLess(edge.descriptors() - descriptors, 256)


class ConnectionLimitTest(harness.EdgeTest):
    def test_longest_idle_connection_gives_way_to_a_new_one(self):
        edge = self.start_edge("--max_connections=10", upstream=self.start_raw_origin().url)
        clients = []
        for _ in range(10):
            client = self.connect(edge.port)
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)
            clients.append(client)
        self.assertEqual(harness.get(edge.port).status, 200)
        clients[0].expect_closed()
        self.assertLessEqual(edge.metrics().value("edge_connections_active"), 10)

    def test_connections_beyond_the_limit_wait_while_all_are_busy(self):
        release = threading.Event()

        def script(connection):
            while request := connection.read_request():
                if request.target == "/held":
                    connection.wait_for(release)
                connection.send(harness.ok(request))

        origin = self.start_raw_origin(script)
        edge = self.start_edge("--max_connections=10", upstream=origin.url)
        request = "GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        clients = [self.connect(edge.port) for _ in range(10)]
        for client in clients:
            client.send(request)
        origin.wait_for_requests(10)
        for _ in range(30):
            client = self.connect(edge.port)
            client.send(request)
            clients.append(client)
        self.assertFalse(clients[-1].has_input(0.2))
        # A few that the kernel had accepted before edge could pause may be served too.
        self.assertLess(len(origin.requests), 20)
        release.set()
        answered = 0
        for client in clients:
            if client.has_more():
                self.assertEqual(client.read_response().status, 200)
                answered += 1
        self.assertEqual(answered, len(clients))


if __name__ == "__main__":
    harness.main()
