"""The admin listener and the access log: what an operator sees."""

import json
import re

import harness

LOG_KEYS = {
    "time", "request_id", "client", "method", "host", "path", "protocol", "status", "bytes_received", "bytes_sent",
    "duration_us", "upstream", "reason", "retries", "tls_version",
}


class AdminTest(harness.EdgeTest):
    def test_health_and_readiness(self):
        edge = self.start_edge()
        for target in ("/healthz", "/readyz"):
            self.assertEqual(edge.admin(target).status, 200)

    def test_unknown_paths_and_methods_are_refused(self):
        edge = self.start_edge()
        self.assertEqual(edge.admin("/nonsense").status, 404)
        self.assertEqual(edge.admin("/healthz", method="POST", fields="Content-Length: 0\r\n").status, 405)
        self.assertEqual(edge.admin("/healthz", method="HEAD").status, 200)

    def test_garbage_does_not_disturb_it(self):
        edge = self.start_edge()
        for garbage in (b"\x00" * 100, b"GET\r\n\r\n", b"x" * 100_000, b"GET / HTTP/1.1\r\n"):
            with harness.connect(edge.admin_port) as client:
                try:
                    client.send(garbage)
                    client.close_write()
                    client.read_to_eof()
                except (ConnectionError, harness.IncompleteMessage):
                    pass
        self.assertEqual(edge.admin("/healthz").status, 200)

    def test_silent_clients_do_not_block_it(self):
        edge = self.start_edge()
        silent = [self.connect(edge.admin_port) for _ in range(20)]
        self.assertEqual(edge.admin("/healthz").status, 200)
        self.assertEqual(len(silent), 20)

    def test_metrics_are_in_the_prometheus_format(self):
        edge = self.start_edge(upstream=self.start_raw_origin().url, cores="2")
        harness.get(edge.port)
        response = edge.admin("/metrics")
        self.assertIn("text/plain; version=0.0.4", response.fields.get("Content-Type"))
        metrics = edge.metrics()  # raises for whatever is not in the format
        for name, kind in (
            ("edge_connections_active", "gauge"), ("edge_connections_accepted_total", "counter"),
            ("edge_requests_total", "counter"), ("edge_downstream_bytes_total", "counter"),
            ("edge_upstream_connects_total", "counter"), ("edge_upstream_reuses_total", "counter"),
            ("edge_upstream_retries_total", "counter"), ("edge_ring_enters_total", "counter"),
            ("edge_ring_completions_total", "counter"), ("edge_ring_enobufs_total", "counter"),
            ("edge_ring_cq_overflows_total", "counter"), ("edge_loop_busy_seconds", "histogram"),
            ("edge_buffers_free", "gauge"), ("edge_buffers_total", "gauge"), ("edge_refusals_total", "counter"),
            ("edge_upstream_errors_total", "counter"),
        ):
            self.assertEqual(metrics.types.get(name), kind, name)
        self.assertEqual(set(metrics.by_label("edge_connections_active", "worker")), {"0", "1"})
        self.assertEqual(set(metrics.by_label("edge_buffers_free", "pool")), {"head", "body", "origin"})

    def test_counters_count_what_happened(self):
        statuses = iter((200, 200, 204, 302, 404, 500))
        origin = self.start_raw_origin(harness.serve(
            lambda request: f"HTTP/1.1 {(status := next(statuses))} X\r\n".encode()
            + (b"" if status == 204 else b"Content-Length: 0\r\n") + b"\r\n"))
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        for _ in range(6):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.read_response()
        # A request is counted when its last completion has come, which may be after the client has its response.
        harness.wait_until(lambda: edge.metrics().get("edge_requests_total") == 6, "6 requests counted")
        metrics = edge.metrics()
        counted = metrics.by_label("edge_requests_total", "class")
        self.assertEqual({key: value for key, value in counted.items() if value},
                         {"2xx": 3, "3xx": 1, "4xx": 1, "5xx": 1})
        self.assertEqual(metrics.value("edge_connections_active"), 1)
        self.assertEqual(metrics.value("edge_connections_accepted_total"), 1)
        self.assertEqual(metrics.value("edge_upstream_connects_total"), 1)
        self.assertEqual(metrics.value("edge_upstream_reuses_total"), 5)
        self.assertEqual(metrics.value("edge_ring_cq_overflows_total"), 0)
        client.close()
        harness.wait_until(lambda: edge.metrics().value("edge_connections_active") == 0, "the connection gone")

    def test_counters_never_fall(self):
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        before = edge.metrics()
        for _ in range(20):
            harness.get(edge.port)
        after = edge.metrics()
        for key, value in before.samples.items():
            if before.types.get(key[0]) == "counter" or re.search("_(bucket|count|sum)$", key[0]):
                self.assertGreaterEqual(after.samples[key], value, key)


class AccessLogTest(harness.EdgeTest):
    def lines(self, path, count):
        """The first `count` lines, each parsed, when they are there."""
        def complete():
            text = path.read_text() if path.exists() else ""
            return text.count("\n") >= count and text

        return [json.loads(line) for line in harness.wait_until(complete, f"{count} lines in {path}").splitlines()]

    def test_each_request_is_one_json_object_on_a_line(self):
        path = self.directory / "access.log"
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, b"x" * 1000)))
        edge = self.start_edge(f"--access_log={path}", upstream=origin.url)
        client = self.connect(edge.port)
        client.send("POST /path?query HTTP/1.1\r\nHost: www.example\r\nContent-Length: 5\r\n\r\nhello")
        client.read_response("POST")
        response = harness.get(edge.tls_port, "/secure", tls=True)
        self.assertEqual(response.status, 200)
        first, second = self.lines(path, 2)
        self.assertLessEqual(LOG_KEYS, set(first), first)
        self.assertEqual((first["method"], first["host"], first["path"], first["status"]),
                         ("POST", "www.example", "/path?query", 200))
        self.assertTrue(first["client"].startswith("127.0.0.1"), first)
        self.assertIn("1.1", first["protocol"])
        self.assertGreaterEqual(first["bytes_received"], 5)
        self.assertGreaterEqual(first["bytes_sent"], 1000)
        self.assertIsInstance(first["duration_us"], int)
        self.assertIn(str(origin.port), first["upstream"])
        self.assertEqual(first["retries"], 0)
        self.assertEqual(first["request_id"], origin.requests[0].fields.get("X-Request-Id"))
        self.assertFalse(first["tls_version"])
        self.assertEqual(second["tls_version"].replace(" ", "").replace("v", ""), "TLS1.3")
        self.assertRegex(first["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d")

    def test_hostile_bytes_are_escaped(self):
        path = self.directory / "access.log"
        edge = self.start_edge(f"--access_log={path}", upstream=self.start_raw_origin().url)
        harness.get(edge.port, "/a'b%22%0a&c", fields='User-Agent: "}\\\r\n', host='www.example')
        with harness.connect(edge.port) as client:
            client.send(b'GET /"\\ HTTP/1.1\r\nHost: a"b\r\n\r\n')
            client.close_write()
            client.read_to_eof()
        self.assertEqual(self.lines(path, 1)[0]["path"], "/a'b%22%0a&c")

    def test_refused_and_failed_requests_say_why(self):
        path = self.directory / "access.log"
        edge = self.start_edge(f"--access_log={path}", upstream=self.start_refusing_origin().url)
        harness.get(edge.port)
        with harness.connect(edge.port) as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\nBad Field: x\r\n\r\n")
            self.assertEqual(client.read_response().status, 400)
        failed, refused = self.lines(path, 2)
        self.assertEqual(failed["status"], 502)
        self.assertTrue(failed["reason"], failed)
        self.assertEqual(refused["status"], 400)
        self.assertTrue(refused["reason"], refused)

    def test_dash_is_standard_output(self):
        edge = self.start_edge("--access_log=-", upstream=self.start_raw_origin().url)
        harness.get(edge.port, "/to-stdout")
        (line,) = self.lines(edge.stdout_path, 1)
        self.assertEqual(line["path"], "/to-stdout")

    def test_no_line_is_lost_at_the_beginning(self):
        """A worker's memory for lines is some 600, and must come back as they are written, also right after the start. A busy
        machine may be too slow for that once, but not each time."""
        dropped = []
        for attempt in range(4):
            path = self.directory / f"access.log.{attempt}"
            edge = self.start_edge(f"--access_log={path}")
            client = self.connect(edge.port)
            for _ in range(1500):
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_response()
            dropped.append(edge.metrics().value("edge_access_log_dropped_total"))
        self.assertIn(0, dropped)

    def test_no_line_is_lost_at_the_end(self):
        path = self.directory / "access.log"
        edge = self.start_edge(f"--access_log={path}", upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        for number in range(500):
            client.send(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")
            client.read_response()
        client.close()
        edge.sigterm()
        self.assertEqual(edge.wait_exit(), 0)
        self.assertEqual([line["path"] for line in self.lines(path, 500)], [f"/{number}" for number in range(500)])


if __name__ == "__main__":
    harness.main()
