"""Time limits on clients: the whole request head, and connections that say nothing."""

import time

import harness
from harness import pause, seconds


class HeaderTimeoutTest(harness.EdgeTest):
    def expect_closed_or_408(self, client):
        """A client that was slow gets 408 or nothing, and then the end."""
        if not client.at_eof():
            self.assertEqual(client.read_response().status, 408)
            client.expect_closed()

    def test_head_that_never_ends_is_cut_off(self):
        edge = self.start_edge(f"--header_timeout={seconds(0.5)}", upstream=self.start_raw_origin().url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Never-")
                self.expect_closed_or_408(client)

    def test_limit_is_for_the_whole_head_not_for_silence(self):
        """Slowloris: a byte now and then must not buy more time."""
        edge = self.start_edge(f"--header_timeout={seconds(1)}", upstream=self.start_raw_origin().url)
        started = time.monotonic()
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n")
        closed = False
        while not closed and time.monotonic() - started < harness.TIMEOUT_S:
            try:
                client.send("X")
            except ConnectionError:
                break
            closed = client.has_input(0.1)
        self.assertGreaterEqual(time.monotonic() - started, 0.9 * harness.TIMEOUT_FACTOR)
        self.assertLess(time.monotonic() - started, 5 * harness.TIMEOUT_FACTOR)
        self.expect_closed_or_408(client)

    def test_tls_handshake_that_never_ends_is_cut_off(self):
        edge = self.start_edge(f"--header_timeout={seconds(0.5)}")
        client = self.connect(edge.tls_port)
        client.send(b"\x16\x03\x01\x02\x00\x01")
        client.read_to_eof()

    def test_slow_body_is_no_slow_head(self):
        edge = self.start_edge(f"--header_timeout={seconds(1)}", upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            pause(0.2)
            client.send("x")
        self.assertEqual(client.read_response("POST").status, 200)

    def test_limit_begins_anew_for_each_request(self):
        edge = self.start_edge(f"--header_timeout={seconds(1.5)}", upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        for _ in range(6):
            pause(0.3)
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)


class IdleTimeoutTest(harness.EdgeTest):
    def test_idle_keep_alive_connection_is_closed_without_a_word(self):
        edge = self.start_edge(f"--idle_timeout={seconds(0.5)}", upstream=self.start_raw_origin().url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_response()
                client.expect_closed()
        harness.wait_until(lambda: edge.metrics().value("edge_connections_active") == 0, "no connection left")

    def test_connection_that_never_says_anything_is_closed(self):
        edge = self.start_edge(f"--idle_timeout={seconds(0.5)}", f"--header_timeout={seconds(0.5)}")
        client = self.connect(edge.port)
        if not client.at_eof():
            self.assertEqual(client.read_response().status, 408)

    def test_waiting_for_a_slow_origin_is_not_idle(self):
        def slow(connection):
            request = connection.read_request()
            pause(1.5)
            connection.send(harness.ok(request))

        edge = self.start_edge(f"--idle_timeout={seconds(0.5)}", upstream=self.start_raw_origin(slow).url)
        self.assertEqual(harness.get(edge.port).status, 200)

    def test_slow_answer_to_an_upload_is_waited_for(self):
        """Longer than the client may be silent: the upload is over, and its time has stopped."""
        size = 8 * 1024 * 1024

        def slow(connection):
            connection.keep_received = False
            head = connection.read_request_head()
            pause(0.3)  # edge holds the upload back meanwhile
            connection.read_request_body(head)
            pause(2)
            connection.respond(body=b"done")

        edge = self.start_edge(f"--idle_timeout={seconds(1.5)}", upstream=self.start_raw_origin(slow).url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
                client.send(b"x" * size)
                self.assertEqual(client.read_response("POST").body, b"done")

    def test_slow_reader_that_reads_on_gets_all_of_its_response(self):
        """One send of edge's takes longer than a client may be idle, but the client is not idle."""
        size = 600_000
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, b"x" * size)))
        edge = self.start_edge(f"--idle_timeout={seconds(1.5)}", upstream=origin.url)
        client = self.connect(edge.port, receive_buffer=4096, segment=536)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = 0
        for piece in client.body_pieces(client.read_response(body=False)):
            got += len(piece)
            pause(0.03)
        self.assertEqual(got, size)

    def test_half_of_a_request_and_an_end_gets_its_answer_and_the_end(self):
        edge = self.start_edge(upstream=self.start_refusing_origin().url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        client.close_write()
        try:
            self.assertEqual(client.read_response("POST").status, 502)
        except harness.IncompleteMessage:
            return  # the end came first: nobody waits for an answer to half a request
        client.expect_closed()

    def test_requests_keep_a_connection_alive(self):
        edge = self.start_edge(f"--idle_timeout={seconds(2)}", upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        for _ in range(10):
            pause(0.25)
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)


if __name__ == "__main__":
    harness.main()
