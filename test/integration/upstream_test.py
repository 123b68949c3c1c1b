"""Origins that fail: stale pooled connections, refusals, silence, back-off, and who else takes the load."""

import threading
import time

import harness


class PoolTest(harness.EdgeTest):
    def test_request_on_a_stale_pooled_connection_is_retried_on_a_fresh_one(self):
        """The origin closes as the second request reaches it: no answer has begun, and GET may be sent again."""

        def answer_once_then_close(connection):
            connection.send(harness.ok(connection.read_request()))
            connection.read_request()

        origin = self.start_raw_origin(answer_once_then_close, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port, "/1").status, 200)
        self.assertEqual(harness.get(edge.port, "/2").status, 200)
        self.assertEqual([request.target for request in origin.requests], ["/1", "/2", "/2"])
        self.assertEqual(edge.metrics().value("edge_upstream_retries_total"), 1)

    def test_reset_of_a_stale_pooled_connection_is_retried(self):
        def answer_once_then_reset(connection):
            connection.send(harness.ok(connection.read_request()))
            connection.read_request()
            connection.reset()

        origin = self.start_raw_origin(answer_once_then_reset, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port, "/1").status, 200)
        self.assertEqual(harness.get(edge.port, "/2").status, 200)

    def test_post_is_not_sent_twice(self):
        """POST is not idempotent: the origin may have acted on it before it closed (RFC 9112, 9.3.1)."""

        def answer_once_then_close(connection):
            connection.send(harness.ok(connection.read_request()))
            connection.read_request()

        origin = self.start_raw_origin(answer_once_then_close, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port, "/1").status, 200)
        self.assertEqual(harness.get(edge.port, "/2", method="POST", fields="Content-Length: 0\r\n").status, 502)
        self.assertEqual([request.target for request in origin.requests], ["/1", "/2"])

    def test_chunked_request_is_not_sent_again_without_its_end(self):
        """Its last chunk was consumed with the first try; the origin would wait for it for ever."""

        def answer_once_then_close(connection):
            connection.send(harness.ok(connection.read_request()))
            connection.read_request()

        origin = self.start_raw_origin(answer_once_then_close, harness.serve(harness.ok))
        edge = self.start_edge("--upstream_timeout=3s", upstream=origin.url)
        self.assertEqual(harness.get(edge.port, "/1").status, 200)
        client = self.connect(edge.port)
        client.send("PUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertEqual(client.read_response("PUT").status, 502)
        self.assertEqual([request.target for request in origin.requests], ["/1", "/2"])

    def test_request_on_a_fresh_connection_is_not_retried(self):
        origin = self.start_raw_origin(lambda connection: connection.read_request())
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port).status, 502)
        self.assertEqual(len(origin.requests), 1)

    def test_connection_that_the_origin_closed_while_idle_is_not_used(self):
        closed = threading.Event()

        def answer_and_close(connection):
            connection.send(harness.ok(connection.read_request()))
            connection.close()
            closed.set()

        origin = self.start_raw_origin(answer_and_close, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port, "/1").status, 200)
        self.assertTrue(closed.wait(harness.TIMEOUT_S))
        response = harness.get(edge.port, "/2", method="POST", fields="Content-Length: 2\r\n\r\nhi")
        # Nothing was sent on the closed connection, so even a POST goes through, or edge had not yet seen the end.
        self.assertIn(response.status, (200, 502))
        self.assertEqual(harness.get(edge.port, "/3").status, 200)

    def test_bytes_on_an_idle_pooled_connection_close_it(self):
        """An answer to nothing would be taken for the answer to the next request."""
        first_is_done = threading.Event()
        poisoned = threading.Event()

        def poison(connection):
            connection.send(harness.ok(connection.read_request()))
            connection.wait_for(first_is_done)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            assert connection.at_eof()
            poisoned.set()

        origin = self.start_raw_origin(poison, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port).body, b"ok")
        first_is_done.set()
        self.assertTrue(poisoned.wait(harness.TIMEOUT_S))
        self.assertEqual(harness.get(edge.port).body, b"ok")

    def test_bytes_behind_a_response_are_not_the_next_response(self):
        def two_for_one(connection):
            while request := connection.read_request():
                connection.send(harness.ok(request) + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

        edge = self.start_edge(upstream=self.start_raw_origin(two_for_one).url)
        client = self.connect(edge.port)
        for _ in range(5):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().body, b"ok")

    def test_connection_close_of_the_origin_is_obeyed(self):
        origin = self.start_raw_origin(harness.serve(
            lambda request: harness.ok(request, fields="Connection: close\r\n")))
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        for _ in range(3):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(len(origin.connections), 3)
        self.assertEqual(edge.metrics().value("edge_upstream_reuses_total"), 0)

    def request_times(self, count, *flags, pause=None):
        """How many connections edge opened for `count` requests in a row."""
        origin = self.start_raw_origin()
        edge = self.start_edge(*flags, upstream=origin.url)
        for _ in range(count):
            self.assertEqual(harness.get(edge.port).status, 200)
            if pause:
                pause(origin)
        return len(origin.connections)

    def test_pool_keeps_no_more_idle_connections_than_it_may(self):
        self.assertEqual(self.request_times(5), 1)
        self.assertEqual(self.request_times(5, "--upstream_idle_max=0"), 5)

    def test_pool_closes_connections_that_were_idle_for_long(self):
        def until_closed(origin):
            self.assertTrue(harness.wait_until(lambda: origin.connections[-1].socket.fileno() < 0, "the connection closed"))

        self.assertEqual(self.request_times(2, "--upstream_idle_timeout=200ms", pause=until_closed), 2)

    def test_pool_does_not_keep_connections_beyond_their_age(self):
        wait = threading.Event()
        self.assertGreaterEqual(self.request_times(8, "--upstream_age_max=200ms", pause=lambda _: wait.wait(0.1)), 3)

    def test_http_1_0_origin_is_served_from_a_connection_each(self):
        def script(connection):
            connection.read_request()
            connection.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        for _ in range(3):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().body, b"ok")


class FailureTest(harness.EdgeTest):
    """Each failure has its status, and its name in Proxy-Status (RFC 9209, 2.3)."""

    def check(self, edge, status, error, method="GET"):
        response = harness.get(edge.port, method=method)
        self.assertEqual(response.status, status)
        value = response.fields.get("Proxy-Status")
        self.assertRegex(value, r"^edge; ?error=[a-z_]+")
        self.assertIn(f"error={error}", value)
        return response

    def test_refused_connect_is_502(self):
        edge = self.start_edge(upstream=self.start_refusing_origin().url)
        self.check(edge, 502, "connection_refused")

    def test_connect_time_out_is_504(self):
        edge = self.start_edge("--connect_timeout=500ms", upstream=self.start_unreachable_origin().url)
        self.check(edge, 504, "connection_timeout")
        self.assertGreaterEqual(edge.metrics().value("edge_upstream_errors_total", kind="connect_timeout"), 1)

    def test_origin_that_does_not_answer_is_504(self):
        def silent(connection):
            connection.read_request()
            connection.at_eof()

        edge = self.start_edge("--upstream_timeout=1s", upstream=self.start_raw_origin(silent).url)
        started = time.monotonic()
        self.check(edge, 504, "http_response_timeout")
        self.assertGreaterEqual(time.monotonic() - started, 0.9)

    def test_origin_that_stops_within_its_head_is_504(self):
        def stalling(connection):
            connection.read_request()
            connection.send("HTTP/1.1 200 OK\r\nContent-")
            connection.at_eof()

        edge = self.start_edge("--upstream_timeout=500ms", upstream=self.start_raw_origin(stalling).url)
        self.check(edge, 504, "")

    def test_origin_that_stops_within_its_body_leaves_an_incomplete_message(self):
        def stalling(connection):
            connection.read_request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            connection.at_eof()

        edge = self.start_edge("--upstream_timeout=500ms", upstream=self.start_raw_origin(stalling).url)
        with self.assertRaises(harness.IncompleteMessage):
            harness.get(edge.port)

    def test_slow_but_steady_origin_is_waited_for(self):
        """--upstream_timeout counts from byte to byte, not over the whole response."""

        def drip(connection):
            connection.read_request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for _ in range(8):
                threading.Event().wait(0.25)
                connection.send("x")

        edge = self.start_edge("--upstream_timeout=1s", upstream=self.start_raw_origin(drip).url)
        self.assertEqual(harness.get(edge.port).body, b"x" * 8)


class SeveralUpstreamsTest(harness.EdgeTest):
    def test_load_is_spread_over_all(self):
        origins = [self.start_raw_origin() for _ in range(3)]
        edge = self.start_edge(upstream=[origin.url for origin in origins])
        for _ in range(150):
            self.assertEqual(harness.get(edge.port).status, 200)
        for origin in origins:
            self.assertGreater(len(origin.requests), 10)

    def test_busy_upstream_gets_less_than_an_idle_one(self):
        """Power of two choices on requests in flight: with two upstreams the idle one is always the choice."""
        release = threading.Event()

        def stuck(connection):
            while request := connection.read_request():
                connection.wait_for(release)
                connection.send(harness.ok(request))

        slow, quick = self.start_raw_origin(stuck), self.start_raw_origin()
        edge = self.start_edge(upstream=[slow.url, quick.url])
        clients = []
        while not slow.requests:
            client = self.connect(edge.port)
            client.send("GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            clients.append(client)
            harness.wait_until(lambda: len(slow.requests) + len(quick.requests) == len(clients), "the request")
        for _ in range(20):
            self.assertEqual(harness.get(edge.port).status, 200)
        self.assertEqual(len(slow.requests), 1)
        release.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)

    def test_failing_upstream_is_passed_over(self):
        """A refused connect has sent nothing, so the request goes to the next upstream: the client sees no failure."""
        refusing, working = self.start_refusing_origin(), self.start_raw_origin()
        edge = self.start_edge(upstream=[refusing.url, working.url])
        statuses = [harness.get(edge.port).status for _ in range(100)]
        self.assertEqual(statuses, [200] * 100)
        # Some connects were tried, but not one for every other request.
        failures = edge.metrics().value("edge_upstream_errors_total", kind="connect_failed")
        self.assertLess(failures, 25)

    def test_failed_upstream_is_tried_again_after_a_back_off(self):
        refusing = self.start_refusing_origin()
        edge = self.start_edge(upstream=refusing.url)
        self.assertEqual(harness.get(edge.port).status, 502)
        refusing.close()
        origin = self.start_raw_origin(port=refusing.port)
        harness.wait_until(lambda: harness.get(edge.port).status == 200, "the upstream used again", 30)
        self.assertGreaterEqual(len(origin.requests), 1)

    def test_no_upstream_left_is_503(self):
        edge = self.start_edge(upstream=[self.start_refusing_origin().url, self.start_refusing_origin().url])
        responses = [harness.get(edge.port) for _ in range(30)]
        statuses = {response.status for response in responses}
        self.assertLessEqual(statuses, {502, 503})
        self.assertIn(503, statuses)
        last = next(response for response in responses if response.status == 503)
        self.assertIn("error=destination_unavailable", last.fields.get("Proxy-Status"))
        self.assertGreaterEqual(edge.metrics().value("edge_upstream_errors_total", kind="none_left"), 1)


if __name__ == "__main__":
    harness.main()
