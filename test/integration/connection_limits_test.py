"""Limits that flags set: how much a request may bring, how long a connection and a response may last, and how slow a
client may be."""

import itertools
import threading
import time

import harness
from harness import pause, seconds

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# Small pools, so that the memory ceiling is low.
SMALL = ("--max_connections=64", "--buffers=128", "--body_buffers=16")


class BodySizeTest(harness.EdgeTest):
    def setUp(self):
        self.origin = self.start_raw_origin()
        self.edge = self.start_edge("--body_bytes_max=1000", upstream=self.origin.url)

    def refusals(self):
        return self.edge.metrics().get("edge_refusals_total", reason="request.body.too_large")

    def expect_413(self, request):
        client = self.connect(self.edge.port)
        client.send(request)
        response = client.read_response("POST")
        self.assertEqual(response.status, 413)
        self.assertIn("request.body.too_large", response.fields.get("Proxy-Status"))
        client.expect_closed()

    def test_announced_length_above_the_limit_is_refused_before_the_origin_sees_it(self):
        self.expect_413("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
        self.expect_413("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(self.origin.requests, [])
        self.assertEqual(self.refusals(), 2)

    def test_chunk_that_passes_the_limit_is_refused(self):
        self.expect_413("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        f"3e7\r\n{'x' * 999}\r\n2\r\n")
        self.assertEqual(self.refusals(), 1)

    def test_body_of_exactly_the_limit_passes(self):
        for framing, body in (("Content-Length: 1000", "x" * 1000),
                              ("Transfer-Encoding: chunked", f"3e7\r\n{'x' * 999}\r\n1\r\nx\r\n0\r\n\r\n")):
            with self.subTest(framing=framing):
                client = self.connect(self.edge.port)
                client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}")
                self.assertEqual(client.read_response("POST").status, 200)
        self.assertEqual([len(request.body) for request in self.origin.requests], [1000, 1000])

    def test_responses_have_no_such_limit(self):
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, b"x" * 5000)))
        edge = self.start_edge("--body_bytes_max=1000", upstream=origin.url)
        self.assertEqual(len(harness.get(edge.port).body), 5000)


class HeadSizeTest(harness.EdgeTest):
    def expect(self, edge, request, status, reason):
        client = self.connect(edge.port)
        client.send(request)
        response = client.read_response()
        self.assertEqual(response.status, status)
        self.assertIn(reason, response.fields.get("Proxy-Status"))

    def test_limits_of_the_head_are_those_of_the_flags(self):
        edge = self.start_edge("--request_line_bytes_max=100", "--head_bytes_max=8192", "--fields_max=8",
                               upstream=self.start_raw_origin().url)
        fits = "GET /" + "x" * (100 - len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: a\r\n\r\n"
        client = self.connect(edge.port)
        client.send(fits)
        self.assertEqual(client.read_response().status, 200)
        self.expect(edge, fits.replace("/x", "/xx"), 414, "head.line.too_long")
        fields = "".join(f"F{i}: v\r\n" for i in range(8))
        self.expect(edge, f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n", 431, "head.fields_too_many")
        self.expect(edge, f"GET / HTTP/1.1\r\nHost: a\r\nX: {'y' * 9000}\r\n\r\n", 431, "head.too_large")

    def test_names_with_underscores_follow_the_flag(self):
        request = "GET / HTTP/1.1\r\nHost: a\r\nUser_Name: eve\r\n\r\n"
        origin = self.start_raw_origin()
        edge = self.start_edge("--underscore_names=refuse", upstream=origin.url)
        self.expect(edge, request, 400, "request.field.underscore")
        self.assertEqual(origin.requests, [])
        edge = self.start_edge("--underscore_names=pass", upstream=origin.url)
        client = self.connect(edge.port)
        client.send(request)
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual(origin.requests[-1].fields.get("User_Name"), "eve")

    def test_interim_responses_are_counted(self):
        def talk(connection):
            connection.read_request()
            connection.send("HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        for limit, status in ((3, 200), (2, 502)):
            with self.subTest(limit=limit):
                edge = self.start_edge(f"--interim_responses_max={limit}", upstream=self.start_raw_origin(talk).url)
                self.assertEqual(harness.get(edge.port).status, status)


class LifetimeTest(harness.EdgeTest):
    def test_last_request_of_a_connection_is_answered_with_close(self):
        origin = self.start_raw_origin()
        for upstream in (origin.url, None):
            with self.subTest(upstream=upstream):
                edge = self.start_edge("--connection_requests_max=3", upstream=upstream)
                client = self.connect(edge.port)
                closes = []
                for _ in range(3):
                    client.send(GET)
                    closes.append(client.read_response().fields.get("Connection"))
                self.assertEqual(closes, [None, None, "close"])
                client.expect_closed()
                self.assertEqual(harness.get(edge.port).status, 200)

    def test_old_connection_ends_behind_a_response(self):
        edge = self.start_edge("--connection_age_max=300ms", upstream=self.start_raw_origin().url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                started = time.monotonic()
                close = None
                while close is None and time.monotonic() - started < harness.TIMEOUT_S:
                    threading.Event().wait(0.01)
                    client.send(GET)
                    response = client.read_response()
                    self.assertEqual(response.status, 200)
                    close = response.fields.get("Connection")
                self.assertEqual(close, "close")
                client.expect_closed()

    def test_response_that_never_ends_is_cut(self):
        """It never looks whole: its last chunk is missing, or the end of the connection is no orderly one."""
        chunked = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nagain\r\n")
        until_close = (b"HTTP/1.1 200 OK\r\n\r\n", b"again")
        for (head, piece), version, tls in itertools.product((chunked, until_close), ("1.1", "1.0"), (False, True)):
            with self.subTest(head=head, version=version, tls=tls):
                def script(connection, head=head, piece=piece):
                    connection.read_request()
                    connection.send(head)
                    while True:
                        connection.send(piece)
                        threading.Event().wait(0.01)

                edge = self.start_edge(*SMALL, f"--response_time_max={seconds(0.3)}",
                                       upstream=self.start_raw_origin(script).url)
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                started = time.monotonic()
                client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n")
                with self.assertRaises(harness.IncompleteMessage):
                    client.read_response()
                self.assertGreater(time.monotonic() - started, 0.25 * harness.TIMEOUT_FACTOR)
                self.assertEqual(edge.metrics().value("edge_upstream_errors_total", kind="response_timeout"), 1)


class SeparateTimeoutsTest(harness.EdgeTest):
    """Each has a clock and a flag of its own: the one that is short ends what it is for, and nothing else."""

    def never(self, connection):
        connection.read_request()
        connection.at_eof()

    def test_handshake(self):
        edge = self.start_edge("--tls_handshake_timeout=300ms")
        client = self.connect(edge.tls_port)
        client.read_to_eof()
        self.assertEqual(edge.metrics().value("edge_tls_handshake_failures_total"), 1)

    def test_request_body(self):
        edge = self.start_edge("--request_body_timeout=300ms", upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        self.assertEqual(client.read_response("POST").status, 408)

    def test_response_write(self):
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, b"x" * (8 << 20))))
        edge = self.start_edge("--response_write_timeout=300ms", upstream=origin.url)
        client = self.connect(edge.port, receive_buffer=4096, segment=536)
        client.send(GET)
        harness.wait_until(lambda: edge.metrics().value("edge_client_timeouts_total") == 1, "it is given up")

    def test_first_byte(self):
        edge = self.start_edge("--upstream_first_byte_timeout=300ms", upstream=self.start_raw_origin(self.never).url)
        self.assertEqual(harness.get(edge.port).status, 504)
        self.assertEqual(edge.metrics().value("edge_upstream_errors_total", kind="first_byte_timeout"), 1)

    def test_between_bytes(self):
        def stop(connection):
            connection.read_request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
            connection.at_eof()

        edge = self.start_edge("--upstream_first_byte_timeout=600s", "--upstream_timeout=300ms",
                               upstream=self.start_raw_origin(stop).url)
        with self.assertRaises(harness.IncompleteMessage):
            harness.get(edge.port)
        self.assertEqual(edge.metrics().value("edge_upstream_errors_total", kind="idle_timeout"), 1)


class SlowClientTest(harness.EdgeTest):
    """What is slow, and no attack: those that are cut off are in slow_test."""

    def test_without_a_rate_a_byte_now_and_then_will_do(self):
        edge = self.start_edge(f"--idle_timeout={seconds(2)}", "--client_rate_min=0", upstream=self.start_raw_origin().url)
        self.send_in_pieces(edge, [b"x"] * 25)

    def test_body_at_the_rate_is_waited_for(self):
        edge = self.start_edge(f"--idle_timeout={seconds(2)}", "--client_rate_min=1000",
                               upstream=self.start_raw_origin().url)
        self.send_in_pieces(edge, [b"x" * 2000] * 25)

    def send_in_pieces(self, edge, pieces):
        """A body that takes longer than --idle_timeout."""
        client = self.connect(edge.port)
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {sum(map(len, pieces))}\r\n\r\n")
        for piece in pieces:
            pause(0.1)
            client.send(piece)
        self.assertEqual(client.read_response("POST").status, 200)


if __name__ == "__main__":
    harness.main()
