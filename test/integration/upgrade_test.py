"""Upgrade: a tunnel, but only after the origin's 101, and no byte sent around it is lost."""

import base64
import hashlib
import os
import threading

import harness

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UPGRADE = (
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def accept_upgrade(connection):
    request = connection.read_request_head()
    assert request.fields.get("Upgrade") == "websocket", request
    assert "upgrade" in request.fields.get("Connection").lower(), request
    key = request.fields.get("Sec-WebSocket-Key") + GUID
    digest = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    return (f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {digest}\r\n\r\n")


def echo(connection):
    """A script that accepts and then sends back what comes, until the client closes its side."""
    connection.send(accept_upgrade(connection))
    while data := connection.read_some():
        connection.send(data)


class TunnelTest(harness.EdgeTest):
    def open_tunnel(self, script, tls=False, *flags):
        self.origin = self.start_raw_origin(script)
        self.edge = self.start_edge(*flags, upstream=self.origin.url)
        client = self.connect(self.edge.tls_port if tls else self.edge.port, tls=tls)
        client.send(UPGRADE)
        response = client.read_response()
        self.assertEqual(response.status, 101)
        self.assertEqual(response.fields.get("Upgrade"), "websocket")
        self.assertEqual(response.fields.get("Connection").lower(), "upgrade")
        self.assertEqual(response.fields.get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        return client

    def test_bytes_go_both_ways_unchanged(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.open_tunnel(echo, tls)
                for size in (1, 125, 65_536, 1_000_000):
                    data = os.urandom(size)
                    sender = threading.Thread(target=client.send, args=(data,))
                    sender.start()
                    self.assertEqual(client.read_exact(size), data)
                    sender.join()

    def test_bytes_right_behind_the_101_reach_the_client(self):
        def script(connection):
            connection.send(accept_upgrade(connection).encode() + b"\x81\x05hello")
            connection.read_to_eof()

        client = self.open_tunnel(script)
        self.assertEqual(client.read_exact(7), b"\x81\x05hello")

    def test_bytes_right_behind_the_request_reach_the_origin_after_its_101(self):
        """A client may guess that the upgrade will be accepted. Its bytes wait; they are no second request."""
        seen = []

        def script(connection):
            answer = accept_upgrade(connection)
            seen.append(connection.has_input(0.05))
            connection.send(answer)
            connection.send(connection.read_exact(5)[::-1])
            connection.read_to_eof()

        origin = self.start_raw_origin(script)
        client = self.connect(self.start_edge(upstream=origin.url).port)
        client.send(UPGRADE + "early")
        self.assertEqual(client.read_response().status, 101)
        self.assertEqual(client.read_exact(5), b"ylrae")
        self.assertEqual(seen, [False])

    def test_an_upgrade_that_the_origin_declines_leaves_http(self):
        """Bytes behind the request are then the next request (CVE-2026-2833: they must not have been tunnelled)."""
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, request.target.encode())))
        client = self.connect(self.start_edge(upstream=origin.url).port)
        client.send(UPGRADE + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response().body, b"/chat")
        self.assertEqual(client.read_response().body, b"/next")
        self.assertEqual([request.target for request in origin.requests], ["/chat", "/next"])

    def test_101_that_nobody_asked_for_is_502(self):
        origin = self.start_raw_origin(harness.serve(
            lambda request: b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        self.assertEqual(harness.get(self.start_edge(upstream=origin.url).port).status, 502)

    def test_end_of_the_client_reaches_the_origin_which_may_still_answer(self):
        def script(connection):
            connection.send(accept_upgrade(connection))
            connection.send(b"got " + connection.read_to_eof())

        client = self.open_tunnel(script)
        client.send("last words")
        client.close_write()
        self.assertEqual(client.read_to_eof(), b"got last words")

    def test_end_of_the_origin_reaches_the_client(self):
        def script(connection):
            connection.send(accept_upgrade(connection) + "bye")

        for tls in (False, True):
            with self.subTest(tls=tls):
                self.assertEqual(self.open_tunnel(script, tls).read_to_eof(), b"bye")

    def test_reset_by_the_client_reaches_the_origin_as_one(self):
        """An orderly end would make what was cut look whole."""
        reset = threading.Event()

        def script(connection):
            connection.send(accept_upgrade(connection))
            try:
                connection.read_to_eof()
            except harness.IncompleteMessage:
                reset.set()

        client = self.open_tunnel(script)
        client.reset()
        self.assertTrue(reset.wait(harness.TIMEOUT_S))

    def test_last_words_of_an_origin_that_reads_no_more_reach_the_client(self):
        """It closes with bytes of the client unread, so edge's sends fail; what it said before counts."""
        go = threading.Event()
        words = b"z" * 300_000

        def script(connection):
            connection.send(accept_upgrade(connection))
            connection.wait_for(go)
            connection.send(words)
            connection.close_write()
            connection.wait_for(self.read_all)

        self.read_all = threading.Event()
        client = self.open_tunnel(script)
        client.send(b"x" * 100_000)
        go.set()
        self.assertEqual(client.read_exact(len(words)), words)
        self.read_all.set()

    def test_idle_tunnel_is_closed_after_idle_timeout(self):
        client = self.open_tunnel(echo, False, "--idle_timeout=500ms")
        client.send("x")
        self.assertEqual(client.read_exact(1), b"x")
        self.assertTrue(client.at_eof())

    def test_busy_tunnel_outlives_idle_timeout(self):
        client = self.open_tunnel(echo, False, "--idle_timeout=1s")
        ticks = threading.Event()
        for _ in range(8):  # 1.6 s in all, and never more than 0.2 s of silence
            client.send("x")
            self.assertEqual(client.read_exact(1), b"x")
            ticks.wait(0.2)
        client.send("y")
        self.assertEqual(client.read_exact(1), b"y")

    def test_slow_reader_of_a_tunnel_slows_the_origin_down(self):
        total = 64 * 1024 * 1024
        sent = []

        def script(connection):
            connection.send(accept_upgrade(connection))
            block = b"x" * 65_536
            for _ in range(total // len(block)):
                connection.send(block)
                sent.append(len(block))

        client = self.open_tunnel(script)
        client.read_exact(1)
        # The origin fills the sockets' buffers and edge's own, and then stands still.
        level = -1
        while level != sum(sent):
            level = sum(sent)
            self.assertFalse(threading.Event().wait(0.2))
        self.assertLess(level, total // 2)
        self.assertEqual(sum(map(len, iter(client.read_some, b""))), total - 1)


if __name__ == "__main__":
    harness.main()
