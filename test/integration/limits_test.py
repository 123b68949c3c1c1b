"""Messages with a part that never ends, or ends far too late: refused at the limit, while the sender still sends.

Nothing but edge's answer, or the end of the connection, stops these senders. That edge's memory stays below the ceiling
that it printed is checked at the end of every test, see harness.py.
"""

import threading

import attackers
import harness
from attackers import numbered, repeated

KIB, MIB, GIB = 1024, 1024**2, 1024**3
# Small pools, so that the ceiling is low.
FLAGS = ("--access_log=-", "--max_connections=64", "--buffers=128", "--body_buffers=16")

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED_REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\n"
CHUNKED_RESPONSE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE_FIELD = b"X: " + b"y" * KIB + b"\r\n"

# How each begins, how it goes on for ever, and how it is refused.
ENDLESS_REQUEST_HEADS = {
    "empty lines": (b"", lambda: repeated(b"\r\n"), 400, "request.line.empty_lines"),
    "method": (b"", lambda: repeated(b"G"), 414, "head.line.too_long"),
    "request line": (b"GET /", lambda: repeated(b"a"), 414, "head.line.too_long"),
    "field name": (REQUEST, lambda: repeated(b"x"), 431, "head.too_large"),
    "field value": (REQUEST + b"X: ", lambda: repeated(b"x"), 431, "head.too_large"),
    "space before a value": (REQUEST + b"X:", lambda: repeated(b" "), 431, "head.too_large"),
    "fields": (REQUEST, lambda: numbered("X-{}: y\r\n"), 431, "head.fields_too_many"),
    "fields without a value": (REQUEST, lambda: repeated(b"X:\r\n"), 431, "head.fields_too_many"),
    "large fields": (REQUEST, lambda: repeated(LARGE_FIELD), 431, "head.too_large"),
    "cookies": (REQUEST, lambda: numbered("Cookie: a{}=b\r\n"), 431, "head.fields_too_many"),
    "connection options": (REQUEST + b"Connection: ", lambda: numbered("x{}, "), 431, "head.too_large"),
}
ENDLESS_REQUEST_BODIES = {
    "chunk size": (b"", lambda: repeated(b"1"), 400, "chunk.size.overflow"),
    "zeros of a chunk size": (b"", lambda: repeated(b"0"), 400, "chunk.size.leading_zeros"),
    "chunk extension": (b"1;x=", lambda: repeated(b"y"), 400, "chunk.extension.too_long"),
    "quoted chunk extension": (b'1;x="', lambda: repeated(b"\\y"), 400, "chunk.extension.too_long"),
    "chunk extensions": (b"1", lambda: numbered(";x{}=y"), 400, "chunk.extension.too_long"),
    "chunks with an extension each": (b"", lambda: repeated(b"1;x=y\r\na\r\n"), 400, "chunk.extension.too_long"),
    "trailer name": (b"0\r\n", lambda: repeated(b"x"), 431, "trailer.too_large"),
    "trailer value": (b"0\r\nX: ", lambda: repeated(b"y"), 431, "trailer.too_large"),
    "trailers": (b"0\r\n", lambda: numbered("X-{}: y\r\n"), 431, "trailer.too_many"),
}
ENDLESS_RESPONSE_HEADS = {
    "status line": (b"HTTP/1.1 200 ", lambda: repeated(b"O"), "head.line.too_long"),
    "field name": (RESPONSE, lambda: repeated(b"x"), "head.too_large"),
    "field value": (RESPONSE + b"X: ", lambda: repeated(b"x"), "head.too_large"),
    "fields": (RESPONSE, lambda: numbered("X-{}: y\r\n"), "head.fields_too_many"),
    "large fields": (RESPONSE, lambda: repeated(LARGE_FIELD), "head.too_large"),
    "cookies": (RESPONSE, lambda: numbered("Set-Cookie: a{}=b\r\n"), "head.fields_too_many"),
    "fields of a 103": (b"HTTP/1.1 103 Early\r\n", lambda: numbered("Link: <{}>\r\n"), "head.fields_too_many"),
    "interim responses": (b"", lambda: repeated(b"HTTP/1.1 103 Early\r\n\r\n"), "response.interim.too_many"),
    "empty lines": (b"", lambda: repeated(b"\r\n"), "response.line.malformed"),
}
ENDLESS_RESPONSE_BODIES = {
    name: (beginning, pieces, reason) for name, (beginning, pieces, _, reason) in ENDLESS_REQUEST_BODIES.items()
}


class LimitsTest(harness.EdgeTest):
    def check_nothing_left(self, edge):
        def nothing_left():
            metrics = edge.metrics()
            free = metrics.by_label("edge_buffers_free", "pool")
            total = metrics.by_label("edge_buffers_total", "pool")
            return free == total and metrics.value("edge_exchanges_active") == 0

        harness.wait_until(nothing_left, "every buffer back and no exchange left")


class RequestLimitsTest(LimitsTest):
    def check_all_refused(self, edge, cases):
        """Each client gets its answer while it still sends, and then its connection ends under it."""
        attacks = []
        for name, (beginning, pieces, status, reason) in cases.items():
            for tls in (False, True):
                with self.subTest(endless=name, tls=tls):
                    before = edge.metrics().value("edge_refusals_total", reason=reason)
                    client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                    attacks.append(attackers.Attack(client, beginning, pieces()))
                    response = client.read_response("POST")
                    self.assertEqual((response.status, response.fields.get("Connection")), (status, "close"))
                    self.assertIn(reason, response.fields.get("Proxy-Status"))
                    self.assertEqual(edge.metrics().value("edge_refusals_total", reason=reason), before + 1)
        for attack in attacks:
            attack.wait_cut_off()
        self.check_nothing_left(edge)
        expected = sorted((status, reason) for _, _, status, reason in cases.values() for _ in range(2))
        entries = edge.access_log(len(expected))
        self.assertEqual(sorted((entry["status"], entry["reason"]) for entry in entries), expected)

    def test_heads_that_never_end_are_refused(self):
        origin = self.start_raw_origin()
        self.check_all_refused(self.start_edge(*FLAGS, upstream=origin.url), ENDLESS_REQUEST_HEADS)
        self.assertEqual(origin.connections, [])

    def test_bodies_with_a_part_that_never_ends_are_refused_and_never_whole_for_the_origin(self):
        whole = []

        def script(connection):
            whole.append(connection.read_request())

        cases = {name: (CHUNKED_REQUEST + beginning, *rest)
                 for name, (beginning, *rest) in ENDLESS_REQUEST_BODIES.items()}
        self.check_all_refused(self.start_edge(*FLAGS, upstream=self.start_raw_origin(script).url), cases)
        self.assertEqual([request for request in whole if request], [])

    def test_head_of_a_gib_is_answered_to_a_client_that_reads_only_when_it_is_done(self):
        """RFC 9112, 9.6: what edge does not read must not take the answer from the client's hands."""
        edge = self.start_edge(*FLAGS, upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        block = b"x" * MIB
        sent = 0
        try:
            client.send(REQUEST + b"X: ")
            while sent < GIB:
                client.send(block)
                sent += len(block)
        except ConnectionError:
            pass  # edge does not listen for ever
        self.assertEqual(client.read_response().status, 431)
        client.expect_closed()

    def test_hundred_thousand_fields_are_refused(self):
        edge = self.start_edge(*FLAGS, upstream=self.start_raw_origin().url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                fields = "".join(f"X-{number}: y\r\n" for number in range(100_000))
                client.send(REQUEST + fields.encode() + b"\r\n")
                self.assertEqual(client.read_response().status, 431)
                client.expect_closed()

    def test_hundred_thousand_chunks_of_a_byte_are_a_body(self):
        origin_saw = []
        origin = self.start_raw_origin(harness.serve(
            lambda request: origin_saw.append(len(request.body)) or harness.ok(request)))
        edge = self.start_edge(*FLAGS, upstream=origin.url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send(CHUNKED_REQUEST + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
                self.assertEqual(client.read_response("POST").status, 200)
        self.assertEqual(origin_saw, [100_000] * 2)


class ResponseLimitsTest(LimitsTest):
    def start_attacking_origin(self, cases, beginning_of_all=b""):
        """An origin that answers /name with the case of that name; `ended` counts the connections it was cut off."""
        self.ended = threading.Semaphore(0)

        def script(connection):
            request = connection.read_request()
            if request is None:
                return
            beginning, pieces, _ = cases[request.target[1:].replace("_", " ")]
            try:
                connection.send(beginning_of_all + beginning)
                for piece in pieces():
                    connection.send(piece)
            except ConnectionError:
                self.ended.release()

        return self.start_raw_origin(script)

    def check_all_cut_off(self, edge, cases, attack):
        for name, case in cases.items():
            for tls in (False, True):
                with self.subTest(endless=name, tls=tls):
                    with harness.connect(edge.tls_port if tls else edge.port, tls=tls) as client:
                        client.send(f"GET /{name.replace(' ', '_')} HTTP/1.1\r\nHost: a\r\n\r\n")
                        attack(client, *case)
        for _ in range(2 * len(cases)):
            self.assertTrue(self.ended.acquire(timeout=harness.TIMEOUT_S), "an origin may still send")
        self.check_nothing_left(edge)
        entries = edge.access_log(2 * len(cases))
        self.assertEqual(sorted(entry["reason"] for entry in entries),
                         sorted(reason for _, _, reason in cases.values() for _ in range(2)))
        self.assertEqual(edge.metrics().value("edge_upstream_errors_total", kind="invalid_response"), 2 * len(cases))

    def test_heads_that_never_end_are_502(self):
        origin = self.start_attacking_origin(ENDLESS_RESPONSE_HEADS)
        edge = self.start_edge(*FLAGS, upstream=origin.url)

        def attack(client, beginning, pieces, reason):
            response = client.read_response()
            self.assertEqual(response.status, 502)
            self.assertIn(reason, response.fields.get("Proxy-Status"))

        self.check_all_cut_off(edge, ENDLESS_RESPONSE_HEADS, attack)

    def test_bodies_with_a_part_that_never_ends_are_incomplete_for_the_client(self):
        origin = self.start_attacking_origin(ENDLESS_RESPONSE_BODIES, CHUNKED_RESPONSE)
        edge = self.start_edge(*FLAGS, upstream=origin.url)

        def attack(client, beginning, pieces, reason):
            with self.assertRaises(harness.IncompleteMessage):
                client.read_response()

        self.check_all_cut_off(edge, ENDLESS_RESPONSE_BODIES, attack)

    def test_head_of_a_gib_is_502(self):
        sent = [0]
        ended = threading.Event()

        def script(connection):
            connection.read_request()
            try:
                connection.send(RESPONSE + b"X: ")
                while sent[0] < GIB:
                    connection.send(b"x" * MIB)
                    sent[0] += MIB
            except ConnectionError:
                ended.set()

        edge = self.start_edge(*FLAGS, upstream=self.start_raw_origin(script).url)
        self.assertEqual(harness.get(edge.port).status, 502)
        self.assertTrue(ended.wait(harness.TIMEOUT_S), f"the origin may send on after {sent[0]} bytes")

    def test_hundred_thousand_fields_are_502(self):
        fields = "".join(f"X-{number}: y\r\n" for number in range(100_000)).encode()
        origin = self.start_raw_origin(lambda connection: connection.read_request() and connection.send(
            RESPONSE + fields + b"Content-Length: 0\r\n\r\n"))
        edge = self.start_edge(*FLAGS, upstream=origin.url)
        for tls in (False, True):
            self.assertEqual(harness.get(edge.tls_port if tls else edge.port, tls=tls).status, 502)

    def test_hundred_thousand_chunks_of_a_byte_are_a_body(self):
        origin = self.start_raw_origin(lambda connection: connection.read_request() and connection.send(
            CHUNKED_RESPONSE + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"))
        edge = self.start_edge(*FLAGS, upstream=origin.url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.assertEqual(len(harness.get(edge.tls_port if tls else edge.port, tls=tls).body), 100_000)

    def test_response_that_never_ends_flows_for_as_long_as_the_client_reads(self):
        """No limit ends it, and none of it stays in edge."""
        for beginning, piece in ((CHUNKED_RESPONSE, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
                                 (RESPONSE + b"\r\n", b"x" * 65_536)):
            for tls in (False, True):
                with self.subTest(beginning=beginning, tls=tls):
                    ended = threading.Event()

                    def script(connection, beginning=beginning, piece=piece, ended=ended):
                        connection.read_request()
                        try:
                            connection.send(beginning)
                            while True:
                                connection.send(piece)
                        except ConnectionError:
                            ended.set()

                    edge = self.start_edge(*FLAGS, upstream=self.start_raw_origin(script).url)
                    client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                    client.keep_received = False
                    client.send(REQUEST + b"\r\n")
                    client.read_exact(256 * MIB)
                    client.reset()
                    self.assertTrue(ended.wait(harness.TIMEOUT_S), "the origin may still send")
                    self.check_nothing_left(edge)

    def test_origin_that_answers_before_it_is_asked_and_never_reads(self):
        """Its answer is taken, the request is cut off, and neither connection is used again."""
        def script(connection):
            connection.respond(403, b"no")
            connection.at_eof() if connection.index else connection.wait_for(answered)

        answered = threading.Event()
        origin = self.start_raw_origin(script)
        edge = self.start_edge(*FLAGS, upstream=origin.url)
        client = self.connect(edge.port)
        attack = attackers.Attack(client, CHUNKED_REQUEST, repeated(b"1\r\nx\r\n"))
        self.assertEqual(client.read_response("POST").body, b"no")
        attack.wait_cut_off()
        answered.set()
        self.assertEqual(harness.get(edge.port).status, 403)
        self.assertEqual(len(origin.connections), 2)
        self.check_nothing_left(edge)


if __name__ == "__main__":
    harness.main()
