"""Bodies in motion: back-pressure, early replies, and messages cut off in the middle."""

import contextlib
import hashlib
import socket
import threading

import attackers
import harness

MIB = 1024 * 1024


def settled(read):
    """The value of read() once it has stopped growing."""
    level = -1
    while level != read():
        level = read()
        threading.Event().wait(0.3)
    return level


class BackPressureTest(harness.EdgeTest):
    def buffers_in_use(self, edge):
        metrics = edge.metrics()
        return {
            pool: total - metrics.value("edge_buffers_free", pool=pool)
            for pool, total in metrics.by_label("edge_buffers_total", "pool").items()
        }

    def test_slow_reader_of_a_huge_response_costs_a_bounded_number_of_buffers(self):
        huge = 10 * 1024 * MIB
        sent = [0]

        def script(connection):
            connection.read_request()
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {huge}\r\n\r\n")
            block = b"x" * MIB
            while sent[0] < huge:
                connection.send(block)
                sent[0] += len(block)

        for tls in (False, True):
            with self.subTest(tls=tls):
                sent[0] = 0
                edge = self.start_edge(upstream=self.start_raw_origin(script).url)
                idle_memory = edge.memory_bytes("Rss")
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls, receive_buffer=64 * 1024)
                client.keep_received = False
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_exact(64 * 1024)
                self.assertLess(settled(lambda: sent[0]), 64 * MIB)
                in_use = self.buffers_in_use(edge)
                # Up to 32 buffers of overshoot of the small kind; a handful of the large.
                self.assertLessEqual(in_use["head"], 40)
                self.assertLessEqual(in_use["body"], 16)
                if not harness.SANITIZER:
                    self.assertLess(edge.memory_bytes("Rss") - idle_memory, 8 * MIB)
                # And it still flows.
                client.read_exact(32 * MIB)
                client.reset()
                harness.wait_until(lambda: not any(self.buffers_in_use(edge).values()), "buffers back after a reset")

    def test_many_slow_readers_do_not_starve_a_quick_one(self):
        body = b"x" * (4 * MIB)
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, body)))
        edge = self.start_edge("--buffers=128", "--body_buffers=16", upstream=origin.url)
        slow = []
        for _ in range(64):
            client = self.connect(edge.port, receive_buffer=8 * 1024)
            client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            client.read_exact(100)
            slow.append(client)
        for _ in range(5):
            self.assertEqual(len(harness.get(edge.port, "/quick").body), len(body))
        for client in slow:
            client.reset()

    def test_readers_that_stall_give_way_when_they_hold_all_buffers(self):
        """Each keeps a buffer in a send that does not end, and there are more of them than buffers."""
        body = b"x" * (8 * MIB)
        origin = self.start_raw_origin(harness.serve(
            lambda request: harness.ok(request, body if request.target == "/huge" else b"quick")))
        edge = self.start_edge("--buffers=16", "--body_buffers=8", "--upstream_timeout=20s", upstream=origin.url)
        stalled = []
        for _ in range(40):
            client = self.connect(edge.port, receive_buffer=8 * 1024)
            client.send("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
            stalled.append(client)
        harness.wait_until(
            lambda: edge.metrics().value("edge_buffers_free", pool="origin") == 0, "no buffer left for origins")
        for _ in range(5):
            self.assertEqual(harness.get(edge.port, "/quick").body, b"quick")
        self.assertGreater(edge.metrics().value("edge_connections_shed_total"), 0)
        for client in stalled:
            client.reset()
        harness.wait_until(lambda: not any(self.buffers_in_use(edge).values()), "buffers back")

    def test_many_pipelining_clients_do_not_starve_a_quick_one(self):
        """What is pipelined behind a request that waits must not hold all buffers for long: who hoards is closed."""
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.check_that_hoarders_give_way(tls)

    def test_a_tunnel_is_not_closed_for_pipelining_clients(self):
        """What waits in a tunnel whose origin is slow is not pipelined behind anything."""
        size = 64 * MIB
        sent = [0]

        def upload(client):
            while sent[0] < size:
                client.send(b"x" * MIB)
                sent[0] += MIB

        def fill_tunnel(edge):
            client = self.connect(edge.port)
            client.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: sink\r\n\r\n")
            self.assertEqual(client.read_response().status, 101)
            sender = threading.Thread(target=upload, args=(client,))
            sender.start()
            self.assertLess(settled(lambda: sent[0]), size)

            def finish():
                self.assertEqual(client.read_exact(2), b"ok")
                sender.join()
                client.reset()

            return finish

        self.check_that_hoarders_give_way(False, fill_tunnel, tunnel_size=size)

    def check_that_hoarders_give_way(self, tls, fill_tunnel=None, tunnel_size=0):
        release = threading.Event()

        def script(connection):
            while request := connection.read_request():
                if request.target == "/tunnel":
                    connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sink\r\n\r\n")
                    connection.wait_for(release)
                    connection.keep_received = False
                    connection.read_exact(tunnel_size)
                    return connection.send("ok")
                if request.target == "/held":
                    connection.wait_for(release)
                connection.send(harness.ok(request))

        def pipeline(client):
            # As much as the sockets take, however little of it edge reads.
            with contextlib.suppress(OSError):
                client.send(request.format("/held") + request.format("/next") * 10_000)

        origin = self.start_raw_origin(script)
        edge = self.start_edge("--buffers=128", "--body_buffers=16", upstream=origin.url)
        finish_tunnel = fill_tunnel(edge) if fill_tunnel else None
        request = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"
        clients = [self.connect(edge.tls_port if tls else edge.port, tls=tls) for _ in range(32)]
        senders = [threading.Thread(target=pipeline, args=(client,)) for client in clients]
        for sender in senders:
            sender.start()
        origin.wait_for_requests(1)
        for _ in range(5):
            self.assertEqual(harness.get(edge.tls_port if tls else edge.port, "/quick", tls=tls).status, 200)
        self.assertGreater(edge.metrics().value("edge_connections_shed_total"), 0)
        release.set()
        if finish_tunnel:
            finish_tunnel()
        for client in clients:
            with contextlib.suppress(OSError):
                client.socket.shutdown(socket.SHUT_RDWR)  # ends a send that still waits
            client.reset()
        for sender in senders:
            sender.join()
        harness.wait_until(lambda: not any(self.buffers_in_use(edge).values()), "buffers back")

    def test_large_heads_of_open_exchanges_hold_no_large_buffers(self):
        """A response may take for ever; what its head and its request's needed is free by then."""
        release = threading.Event()

        def script(connection):
            connection.read_request()
            connection.send(f"HTTP/1.1 200 OK\r\nX-Large: {'y' * 7000}\r\nContent-Length: 8\r\n\r\nbegu")
            connection.wait_for(release)
            connection.send("n ok")

        edge = self.start_edge("--body_buffers=16", upstream=self.start_raw_origin(script).url)
        clients = []
        for _ in range(24):
            client = self.connect(edge.port)
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {'x' * 7000}\r\n\r\n")
            response = client.read_response(body=False)
            self.assertEqual(response.status, 200)
            self.assertEqual(client.read_exact(4), b"begu")
            clients.append(client)
        self.assertEqual(self.buffers_in_use(edge)["body"], 0)
        release.set()
        for client in clients:
            self.assertEqual(client.read_exact(4), b"n ok")

    def test_slow_origin_holds_back_the_upload(self):
        may_read = threading.Event()
        size = 256 * MIB
        digest = hashlib.sha256()

        def script(connection):
            connection.keep_received = False
            head = connection.read_request_head()
            connection.wait_for(may_read)
            connection.read_request_body(head, sink=digest.update)
            connection.respond(body=digest.hexdigest())

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
        sent = [0]
        expected = hashlib.sha256()

        def upload():
            block = bytes(range(256)) * 4096
            while sent[0] < size:
                client.send(block)
                expected.update(block)
                sent[0] += len(block)

        sender = threading.Thread(target=upload)
        sender.start()
        self.assertLess(settled(lambda: sent[0]), 64 * MIB)
        self.assertLessEqual(self.buffers_in_use(edge)["body"], 16)
        may_read.set()
        sender.join()
        self.assertEqual(client.read_response("POST").body.decode(), expected.hexdigest())


class EarlyReplyTest(harness.EdgeTest):
    """The origin answers before it has the whole request."""

    def test_early_reply_reaches_the_client_while_it_still_sends(self):
        def script(connection):
            connection.read_request_head()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
            for piece in connection.body_pieces(connection.requests[0]):
                connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            connection.send("0\r\n\r\n")

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                response = client.read_response("POST", body=False)
                pieces = client.body_pieces(response)
                self.assertEqual(next(pieces), b"early")
                for number in range(20):  # one piece at a time: each must come back before the next is sent
                    client.send(f"4\r\n{number:04}\r\n")
                    self.assertEqual(next(pieces), f"{number:04}".encode())
                client.send("0\r\n\r\n")
                self.assertEqual(list(pieces), [])

    def test_refusal_reaches_a_client_that_never_finishes_its_body(self):
        """CVE-2025-4366: the rest of the body must not become a request, so both connections end."""

        def script(connection):
            connection.read_request_head()
            connection.respond(413, "too large")
            connection.at_eof()

        origin = self.start_raw_origin(script, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + "x" * 1000)
        response = client.read_response("POST")
        self.assertEqual((response.status, response.body), (413, b"too large"))
        client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        client.expect_closed()
        self.assertEqual(harness.get(edge.port).status, 200)
        self.assertEqual(len(origin.connections), 2)
        self.assertNotIn("/smuggled", [request.target for request in origin.requests])

    def test_client_that_sends_on_after_a_refusal_can_read_it(self):
        """Lingering close: a reset would take the response out of the client's hands."""

        def script(connection):
            while connection.has_more():
                request = connection.read_request_head()
                connection.respond(413, "too large")
                connection.read_request_body(request)

        refusing_origin = self.start_edge(upstream=self.start_raw_origin(script).url)
        refusing_edge = self.start_edge("--body_bytes_max=1000", upstream=self.start_raw_origin().url)
        for edge, by_edge in ((refusing_origin, False), (refusing_edge, True)):
            for tls in (False, True) * 10:
                with self.subTest(by_edge=by_edge, tls=tls), harness.connect(
                        edge.tls_port if tls else edge.port, tls=tls) as client:
                    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
                    with contextlib.suppress(*attackers.SENDING_FAILED):  # edge need not read forever
                        client.send(b"x" * 3_000_000)
                    response = client.read_response("POST")
                    self.assertEqual((response.status, "Proxy-Status" in response.fields), (413, by_edge))


class CutOffTest(harness.EdgeTest):
    """A message that the origin did not finish must never look whole (RFC 9112, 8)."""

    # Small pools, so that the memory ceiling is low.
    SMALL = ("--max_connections=64", "--buffers=128", "--body_buffers=16")

    RESPONSES = {
        "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000,
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5000 + b"\r\n",
        "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 5000,
        "within the trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer",
    }

    def check(self, response, ending, tls, version="1.1"):
        def script(connection):
            connection.read_request()
            connection.send(response)
            ending(connection)

        edge = self.start_edge(*self.SMALL, upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n")
        with self.assertRaises(harness.IncompleteMessage):
            client.read_response()

    def test_client_sees_an_incomplete_message_when_the_origin_closes(self):
        for name, response in self.RESPONSES.items():
            for tls in (False, True):
                with self.subTest(framing=name, tls=tls):
                    self.check(response, lambda connection: connection.close_write(), tls)

    def test_client_sees_an_incomplete_message_when_the_origin_resets(self):
        for name, response in self.RESPONSES.items():
            with self.subTest(framing=name):
                self.check(response, lambda connection: connection.reset(), False)

    def test_http_1_0_client_sees_a_reset(self):
        """Its response ends at close, so only a reset can tell it that something is missing."""
        self.check(self.RESPONSES["chunked"], lambda connection: connection.close_write(), False, "1.0")

    def test_http_1_0_client_over_tls_sees_no_close_notify(self):
        self.check(self.RESPONSES["chunked"], lambda connection: connection.close_write(), True, "1.0")

    def test_malformed_chunk_ends_the_response(self):
        self.check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
                   lambda connection: connection.at_eof(), False)

    def test_origin_that_closes_before_its_head_is_502(self):
        for response in (b"", b"HTTP/1.1 200 OK\r\nContent-Le"):
            with self.subTest(response=response):
                def script(connection, response=response):
                    connection.read_request()
                    connection.send(response)

                edge = self.start_edge(*self.SMALL, upstream=self.start_raw_origin(script).url)
                self.assertEqual(harness.get(edge.port, method="POST", fields="Content-Length: 0\r\n").status, 502)

    def test_client_that_leaves_ends_the_origins_work(self):
        left = threading.Event()

        def script(connection):
            connection.read_request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    connection.send(b"x" * 65_536)
            except ConnectionError:
                left.set()

        for tls in (False, True):
            with self.subTest(tls=tls):
                left.clear()
                edge = self.start_edge(*self.SMALL, upstream=self.start_raw_origin(script).url)
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_exact(1000)
                client.reset()
                self.assertTrue(left.wait(harness.TIMEOUT_S))
                harness.wait_until(lambda: edge.metrics().value("edge_connections_active") == 0, "no connection left")

    def test_client_that_leaves_while_uploading_cuts_off_the_request(self):
        outcome = []
        done = threading.Event()

        def script(connection):
            connection.read_request_head()
            try:
                connection.read_request_body(connection.requests[0])
                outcome.append("whole")
            except harness.IncompleteMessage:
                outcome.append("incomplete")
            done.set()

        edge = self.start_edge(*self.SMALL, upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        client.close()
        self.assertTrue(done.wait(harness.TIMEOUT_S))
        self.assertEqual(outcome, ["incomplete"])


if __name__ == "__main__":
    harness.main()
