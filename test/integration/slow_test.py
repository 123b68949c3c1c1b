"""Peers that send or read a little at a time, in whatever part of a message: each is ended within its limit.

A byte every 50 ms stands for one every second, and limits are as much shorter. Nothing but edge's answer, or the end of
the connection, stops a slow sender. What edge writes in its access log tells that it was the limit, and the time until
then that it was neither less nor much more.
"""

import concurrent.futures
import time

import attackers
import harness
from attackers import repeated
from harness import seconds

PAUSE_S = 0.05  # with TLS each byte is a record of 23
MIB = 1024 * 1024
LIMIT_S = 1
# Small pools, so that the memory ceiling is low.
POOLS = ("--access_log=-", "--max_connections=64", "--buffers=512", "--body_buffers=64")
FLAGS = (*POOLS, f"--header_timeout={seconds(LIMIT_S)}", f"--idle_timeout={seconds(LIMIT_S)}", "--client_rate_min=1000")

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
# What comes at once, and what then drips.
SLOW_HEADS = {
    "method": (b"", b"G"),
    "target": (b"GET /", b"a"),
    "field name": (REQUEST, b"x"),
    "field value": (REQUEST + b"X: ", b"x"),
    "fields": (REQUEST, b"X: y\r\n"),
    "second request": (REQUEST + b"\r\n" + REQUEST, b"X: y\r\n"),
}
SLOW_BODIES = {
    "body": (POST + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "end of a body": (POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 999_000, b"x"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
    "chunk extension": (CHUNKED + b"1;x=", b"y"),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"y"),
}


class SlowTest(harness.EdgeTest):
    def check_timed_out(self, edge, count, **expected):
        """What the access log says of the last `count` requests that did not go well."""
        entries = [entry for entry in edge.access_log(count) if entry["status"] != 200 or entry["reason"]]
        self.assertEqual(len(entries), count)
        for entry in entries:
            self.assertEqual({key: entry[key] for key in expected}, expected)


    def check_time(self, started, limit_s=LIMIT_S, ended=None):
        """From before the connection began: so the limit is the least. Some more is right on a machine that is busy."""
        elapsed = (ended or time.monotonic()) - started
        self.assertGreater(elapsed, 0.95 * limit_s * harness.TIMEOUT_FACTOR)
        self.assertLess(elapsed, (limit_s + 4) * harness.TIMEOUT_FACTOR)


class SlowRequestTest(SlowTest):
    def check_all_408(self, edge, cases, pause_s=PAUSE_S, limit_s=LIMIT_S):
        def read(client, count):
            """The last of so many responses, and when it was there."""
            responses = [client.read_response("POST") for _ in range(count)]
            self.assertEqual([response.status for response in responses[:-1]], [200] * (count - 1))
            return responses[-1], time.monotonic()

        clients = []
        with concurrent.futures.ThreadPoolExecutor(2 * len(cases)) as readers:
            for name, (at_once, dripping) in cases.items():
                for tls in (False, True):
                    started = time.monotonic()
                    client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                    attack = attackers.Attack(client, at_once, repeated(dripping), pause_s)
                    answer = readers.submit(read, client, 2 if name == "second request" else 1)
                    clients.append((name, tls, started, attack, answer))
            for name, tls, started, attack, answer in clients:
                with self.subTest(slow=name, tls=tls):
                    response, ended = answer.result()
                    self.assertEqual((response.status, response.fields.get("Connection")), (408, "close"))
                    self.check_time(started, limit_s, ended)
                    attack.wait_cut_off()
        self.assertEqual(edge.metrics().value("edge_client_timeouts_total"), len(clients))
        return len(clients)

    def test_slow_heads_are_408(self):
        edge = self.start_edge(*FLAGS)
        count = self.check_all_408(edge, SLOW_HEADS)
        good = 2  # what came before the second requests
        entries = edge.access_log(count + good)
        self.assertEqual(sorted((entry["status"], entry["reason"]) for entry in entries),
                         [(200, "")] * good + [(408, "client.timeout")] * count)

    def test_a_byte_every_second_is_408_after_header_timeout(self):
        """At the pace that is meant."""
        edge = self.start_edge(*POOLS, f"--header_timeout={seconds(3)}")
        self.check_all_408(edge, {"head": SLOW_HEADS["field value"]}, pause_s=1, limit_s=3)

    def test_slow_bodies_are_408_and_never_whole_for_the_origin(self):
        whole = []
        origin = self.start_raw_origin(lambda connection: whole.append(connection.read_request()))
        edge = self.start_edge(*FLAGS, upstream=origin.url)
        count = self.check_all_408(edge, SLOW_BODIES)
        self.check_timed_out(edge, count, status=408, reason="client.timeout")
        self.assertEqual(whole, [])

    def test_slow_body_of_a_request_that_was_answered_early_ends_the_connection(self):
        def script(connection):
            connection.read_request_head()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
            connection.at_eof() or connection.read_to_eof()

        edge = self.start_edge(*FLAGS, upstream=self.start_raw_origin(script).url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                started = time.monotonic()
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                attack = attackers.Attack(client, CHUNKED, repeated(b"1\r\nx\r\n"), PAUSE_S)
                with self.assertRaises(harness.IncompleteMessage):
                    client.read_response("POST")
                self.check_time(started)
                attack.wait_cut_off()
        self.check_timed_out(edge, 2, status=200, reason="client.timeout")

    def test_slow_tls_handshake_is_ended_without_a_word(self):
        edge = self.start_edge(*FLAGS)
        hello = attackers.client_hello()
        started = time.monotonic()
        client = self.connect(edge.tls_port)
        attack = attackers.Attack(client, b"", repeated(hello), PAUSE_S)
        self.assertTrue(client.at_eof())
        self.check_time(started)
        attack.wait_cut_off()
        self.assertEqual(edge.metrics().value("edge_tls_handshake_failures_total"), 1)


class SlowReaderTest(SlowTest):
    def test_reader_of_a_byte_now_and_then_is_reset(self):
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, b"x" * (16 * MIB))))
        edge = self.start_edge(*FLAGS, upstream=origin.url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                started = time.monotonic()
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls, receive_buffer=4096, segment=536)
                client.send(REQUEST + b"\r\n")
                sock = client.socket.tcp if tls else client.socket

                def given_up(sock=sock, number=int(tls) + 1):
                    sock.recv(1)
                    return edge.metrics().value("edge_client_timeouts_total") == number

                harness.wait_until(given_up, "the slow reader is given up")
                self.check_time(started)
                with self.assertRaises(ConnectionResetError):
                    while sock.recv(MIB):
                        pass
        self.check_timed_out(edge, 2, status=200, reason="client.timeout")


class SlowOriginTest(SlowTest):
    def start(self, at_once, dripping):
        def script(connection):
            connection.read_request()
            attackers.Attack(connection, at_once, repeated(dripping), PAUSE_S).wait_cut_off()

        return self.start_edge(*FLAGS, f"--upstream_timeout={seconds(LIMIT_S)}", upstream=self.start_raw_origin(script).url)

    def test_slow_head_is_504(self):
        for at_once, dripping in ((b"", b"H"), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")):
            with self.subTest(at_once=at_once):
                edge = self.start(at_once, dripping)
                started = time.monotonic()
                self.assertEqual(harness.get(edge.port).status, 504)
                self.check_time(started)
                self.check_timed_out(edge, 1, status=504, reason="upstream.first_byte_timeout")


if __name__ == "__main__":
    harness.main()
