"""Many at once: connections that are never used, never finished or never read, up to the limit and beyond.

Good clients are served again, or all along; nothing spins; what is held is given back. That edge's memory stays below
the ceiling that it printed is checked at the end of every test, see harness.py.
"""

import contextlib
import resource
import threading

import attackers
import harness

MIB = 1024**2
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Never-"
# Each TLS handshake costs a sanitizer many times as much.
FLOOD = 300 if harness.SANITIZER else 1000
# Small pools, so that the ceiling is low.
SMALL = ("--buffers=512", "--body_buffers=64", "--upstream_idle_max=1")


class FloodTest(harness.EdgeTest):
    @classmethod
    def setUpClass(cls):
        # For the clients here and the edge that inherits it.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def wait_for_active(self, edge, condition, what):
        harness.wait_until(lambda: condition(edge.metrics().value("edge_connections_active")), what)


class ConnectionFloodTest(FloodTest):
    def test_idle_connections_up_to_the_limit_give_way_to_good_clients(self):
        edge = self.start_edge(*SMALL, f"--max_connections={FLOOD}")
        for port, tls in ((edge.port, False), (edge.tls_port, True)):
            with self.subTest(tls=tls):
                self.flood(edge.port, FLOOD + 100)
                self.wait_for_active(edge, lambda active: active >= FLOOD, "a full edge")
                for _ in range(20):
                    self.assertEqual(harness.get(port, tls=tls).status, 200)
        self.assertGreater(edge.metrics().value("edge_connections_evicted_total"), 0)

    def test_heads_that_never_end_give_way_after_header_timeout(self):
        edge = self.start_edge(*SMALL, f"--max_connections={FLOOD}", "--header_timeout=2s")
        slow = self.flood(edge.port, FLOOD, HALF_A_HEAD)
        self.assertEqual(harness.get(edge.port).status, 200)
        for client in slow:
            self.assertEqual(client.read_response().status, 408)
        self.assertGreaterEqual(edge.metrics().value("edge_client_timeouts_total"), FLOOD)

    def test_connections_that_come_and_go_are_forgotten(self):
        edge = self.start_edge(*SMALL, "--max_connections=100")
        for _ in range(20):
            for client in self.flood(edge.port, 100, HALF_A_HEAD):
                client.reset()
        self.assertEqual(harness.get(edge.port).status, 200)
        self.wait_for_active(edge, lambda active: active == 0, "no connection left")


class TlsFloodTest(FloodTest):
    def test_handshakes_that_never_end_give_way_after_header_timeout(self):
        hello = attackers.client_hello()
        for name, data in (("nothing", b""), ("half a ClientHello", hello[:100]), ("a ClientHello", hello)):
            with self.subTest(sent=name):
                edge = self.start_edge(*SMALL, f"--max_connections={FLOOD}", "--header_timeout=3s")
                self.flood(edge.tls_port, FLOOD, data)
                self.assertEqual(harness.get(edge.tls_port, tls=True).status, 200)
                self.wait_for_active(edge, lambda active: active == 0, "no connection left")
                self.assertEqual(edge.metrics().value("edge_tls_handshake_failures_total"), FLOOD)
                self.check_rests(lambda edge=edge: edge.metrics().value("edge_ring_enters_total"))

    def test_records_that_never_end_stay_below_the_memory_ceiling(self):
        """Each makes edge keep a large record that its last byte would complete."""
        edge = self.start_edge(*SMALL, f"--max_connections={FLOOD}")
        clients = []
        for _ in range(FLOOD):
            client = self.connect(edge.tls_port, tls=True)
            client.socket.tcp.sendall(b"\x17\x03\x03\x41\x00" + b"x" * 16_600)
            clients.append(client)
        self.wait_for_active(edge, lambda active: active == FLOOD, "a full edge")
        self.assertEqual(harness.get(edge.port).status, 200)

    def test_garbage_ends_the_connection(self):
        edge = self.start_edge("--header_timeout=2s")
        for name, data in (("text", b"x" * 100), ("zeros", bytes(100_000)), ("a record of no type", b"\xff" * 100),
                           ("a record over the limit", b"\x16\x03\x01\xff\xff" + b"x" * 70_000),
                           ("empty records", b"\x16\x03\x01\x00\x00" * 10_000),
                           ("alerts", b"\x15\x03\x01\x00\x02\x01\x00" * 10_000)):
            with self.subTest(sent=name):
                client = self.connect(edge.tls_port)
                with contextlib.suppress(ConnectionError):
                    client.send(data)
                with contextlib.suppress(harness.IncompleteMessage):
                    client.read_to_eof()
        self.wait_for_active(edge, lambda active: active == 0, "no connection left")
        self.assertEqual(edge.metrics().value("edge_tls_handshake_failures_total"), 6)


class UnreadFloodTest(FloodTest):
    """Clients that ask and do not read, origins that are sent to and do not read."""

    LARGE = b"x" * (2 * MIB)

    def start_large_origin(self):
        return self.start_raw_origin(harness.serve(
            lambda request: harness.ok(request, self.LARGE if request.target == "/large" else b"ok")))

    def wait_until_stalled(self, edge):
        """Until nothing moves any more."""
        moved = [-1]

        def rests():
            before = moved[0]
            threading.Event().wait(0.5)
            moved[0] = edge.metrics().value("edge_ring_completions_total")
            return moved[0] - before < 20

        harness.wait_until(rests, "nothing moving")

    def test_pipelined_requests_without_end_are_held_back(self):
        """Neither the requests nor their responses pile up in edge; whoever reads again gets all of them."""
        edge = self.start_edge(*SMALL, upstream=self.start_large_origin().url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.keep_received = False
                sender = threading.Thread(target=client.send, args=(REQUEST * 20_000,))
                sender.start()
                self.wait_until_stalled(edge)
                for _ in range(20_000):
                    self.assertEqual(client.read_response().body, b"ok")
                sender.join()

    def test_responses_that_nobody_reads(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                edge = self.start_edge(*SMALL, "--max_connections=300", upstream=self.start_large_origin().url)
                port = edge.tls_port if tls else edge.port
                clients = []
                for _ in range(290):
                    clients.append(self.connect(port, tls=tls, receive_buffer=4096, segment=536))
                    clients[-1].send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
                for _ in range(5):
                    self.assertEqual(harness.get(port, tls=tls).status, 200)
                for client in clients:
                    client.reset()
                self.wait_for_active(edge, lambda active: active == 0, "no connection left")

    def test_readers_that_stall_give_way_before_they_hold_all_buffers(self):
        """They come at a rate at which there is time to tell them from others."""
        edge = self.start_edge(*SMALL, "--max_connections=600", upstream=self.start_large_origin().url)
        looks = without_buffers = 0
        for number in range(400):
            client = self.connect(edge.port, receive_buffer=4096, segment=536)
            client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            threading.Event().wait(0.01)
            if number % 10 == 9:
                looks += 1
                without_buffers += 0 in edge.metrics().by_label("edge_buffers_free", "pool").values()
            if number % 50 == 49:
                self.assertEqual(harness.get(edge.port).status, 200)
        self.assertGreater(edge.metrics().value("edge_connections_shed_total"), 0)
        # Nearly always, when everybody starves for a second before anything is done.
        self.assertLess(without_buffers, looks / 2)

    def test_uploads_to_an_origin_that_does_not_read_leave_room_for_others(self):
        hold = threading.Event()

        def script(connection):
            if connection.read_request_head().target == "/quick":
                return connection.respond()
            hold.wait(10 * harness.TIMEOUT_S)

        edge = self.start_edge("--buffers=128", "--body_buffers=16", "--max_connections=300", "--access_log=-",
                               upstream=self.start_raw_origin(script).url)
        for _ in range(60):
            client = self.connect(edge.port)
            head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"
            attackers.Attack(client, head, attackers.repeated(b"x"))
        harness.wait_until(lambda: edge.metrics().value("edge_connections_shed_total") > 0, "some given up")
        for _ in range(5):
            self.assertEqual(harness.get(edge.port, "/quick").status, 200)
        hold.set()
        self.wait_for_active(edge, lambda active: active == 0, "no connection left")
        shed = {entry["status"] for entry in edge.access_log(65) if entry["reason"] == "edge.shed"}
        self.assertEqual(shed, {503})

    def test_tunnels_whose_ends_do_not_read(self):
        hold = threading.Event()

        def script(connection):
            request = connection.read_request()
            if request.target == "/quick":
                return connection.send(harness.ok(request))
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sink\r\n\r\n")
            with contextlib.suppress(OSError):
                connection.socket.settimeout(1)
                connection.send(self.LARGE)
            connection.wait_for(hold)

        edge = self.start_edge(*SMALL, "--max_connections=100", "--idle_timeout=3s",
                               upstream=self.start_raw_origin(script).url)
        clients = []
        for number in range(60):
            tls = number % 2 == 0
            client = self.connect(edge.tls_port if tls else edge.port, tls=tls, receive_buffer=4096, segment=536)
            client.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: sink\r\n\r\n")
            self.assertEqual(client.read_response().status, 101)
            clients.append((client, attackers.Attack(client, b"", attackers.repeated(b"x"))))
        self.assertEqual(harness.get(edge.port, "/quick").status, 200)
        for _, attack in clients:
            attack.wait_cut_off()
        hold.set()
        self.wait_for_active(edge, lambda active: active == 0, "no connection left")


if __name__ == "__main__":
    harness.main()
