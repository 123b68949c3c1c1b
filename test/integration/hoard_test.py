"""Connections that hold buffers without using them give way to those that need one, however little each holds."""

import contextlib
import threading

import attackers
import harness

HELD = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


class HoardTest(harness.EdgeTest):
    def setUp(self):
        self.hold = threading.Event()

    def tearDown(self):
        self.hold.set()  # before the origin is stopped, which waits for its scripts

    def script(self, connection):
        while request := connection.read_request():
            if request.target == "/tunnel":
                connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                return self.hold.wait(10 * harness.TIMEOUT_S)  # and does not read
            if request.target == "/held":
                self.hold.wait(10 * harness.TIMEOUT_S)
            connection.send(harness.ok(request))

    def test_a_byte_behind_a_request_that_waits(self):
        edge = self.start_edge("--buffers=16", "--body_buffers=8", "--max_connections=100", "--upstream_timeout=10m",
                               upstream=self.start_raw_origin(self.script).url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                for _ in range(12):
                    with contextlib.suppress(ConnectionError):
                        self.connect(edge.tls_port if tls else edge.port, tls=tls).send(HELD + b"G")
                self.assertEqual(harness.get(edge.port, "/quick").status, 200)
        self.assertGreater(edge.metrics().value("edge_connections_shed_total"), 0)

    def test_tunnels_whose_origin_does_not_read(self):
        edge = self.start_edge("--buffers=64", "--body_buffers=16", "--max_connections=100", "--idle_timeout=10m",
                               upstream=self.start_raw_origin(self.script).url)
        for _ in range(40):
            client = self.connect(edge.port)
            client.send(UPGRADE)
            self.assertEqual(client.read_response().status, 101)
            attackers.Attack(client, b"", attackers.repeated(b"x"))
        self.assertEqual(harness.get(edge.port, "/quick").status, 200)


if __name__ == "__main__":
    harness.main()
