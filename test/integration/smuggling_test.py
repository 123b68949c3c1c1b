"""Requests whose end two readers may see at different places: the origin must see nothing that it should not.

Each case is sent on one connection with a second request, /smuggled, hidden where a lax reader would find it. Edge may
refuse, or forward one well-framed request; it may never let /smuggled through as a request of its own, or forward framing
that it received (CONFORMANCE.md, "Smuggling").
"""

import re

import harness
from raw_case import HIDDEN

# {name: bytes behind "POST / HTTP/1.1\r\nHost: a\r\n"}. All of them must be refused.
REFUSED = {
    "CL.TE": f"Content-Length: {5 + len(HIDDEN)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE.CL": f"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n",
    "TE.TE, second unknown": f"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE.TE, first unknown": f"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "TE twice": f"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "chunked twice": f"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "leading comma": f"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "identity, chunked": f"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "identity": f"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n{HIDDEN}",
    "quoted": f'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n{HIDDEN}',
    "parameter": f"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{HIDDEN}",
    "gzip, chunked": f"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "not last": f"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n{HIDDEN}",
    "empty TE": f"Transfer-Encoding:\r\nContent-Length: 0\r\n\r\n{HIDDEN}",
    "empty TE alone": f"Transfer-Encoding: \r\n\r\n{HIDDEN}",
    "space before the colon": f"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "tab before the colon": f"Content-Length\t: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "vertical tab": f"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "NUL": f"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n{HIDDEN}",
    "obs-fold": f"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "folded name": f"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "bare LF in the head": f"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "bare CR in the head": f"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    "empty name": f": y\r\nContent-Length: 0\r\n\r\n{HIDDEN}",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "list of lengths": f"Content-Length: 0, {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "empty length": f"Content-Length:\r\n\r\n{HIDDEN}",
    "plus": f"Content-Length: +{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "minus": f"Content-Length: -{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "hex length": f"Content-Length: 0x{len(HIDDEN):x}\r\n\r\n{HIDDEN}",
    "length with a space": f"Content-Length: {len(HIDDEN)} 0\r\n\r\n{HIDDEN}",
    "length that overflows": f"Content-Length: {2**64 + len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "second Host": f"Host: b\r\nContent-Length: 0\r\n\r\n{HIDDEN}",
}

# Chunked bodies that are wrong after the head was already forwarded: what the origin has is an incomplete request.
BAD_CHUNKS = {
    "minus size": f"-1\r\n{HIDDEN}",
    "0x size": f"0x5\r\nhello\r\n0\r\n\r\n{HIDDEN}",
    "empty size": f"\r\n{HIDDEN}",
    "space before size": f" 5\r\nhello\r\n0\r\n\r\n{HIDDEN}",
    "size that overflows": f"10000000000000005\r\nhello\r\n0\r\n\r\n{HIDDEN}",
    "no CRLF after data": f"5\r\nhelloXX0\r\n\r\n{HIDDEN}",
    "LF after size": f"5\nhello\r\n0\r\n\r\n{HIDDEN}",
    "LF after data": f"5\r\nhello\n0\r\n\r\n{HIDDEN}",
    "LF after last chunk": f"0\n\n{HIDDEN}",
    "bare CR in extension": f"5;a\rb\r\nhello\r\n0\r\n\r\n{HIDDEN}",
    "LF in extension": f"0;\n{HIDDEN}",
    "NUL in size": f"5\x00\r\nhello\r\n0\r\n\r\n{HIDDEN}",
}


OK_HEAD = "HTTP/1.1 200 OK\r\n"
# {reason: responses that edge must not believe}: what stands behind them may be a second response.
MALFORMED_RESPONSES = {
    "head.field.space_before_colon": [f"{OK_HEAD}Content-Length : 5\r\n\r\nhello", f"{OK_HEAD}X\t: y\r\n\r\n"],
    "head.field.fold": [f"{OK_HEAD}X: y\r\n z\r\n\r\n", f"{OK_HEAD}Content-Length:\r\n 5\r\n\r\nhello"],
    "head.field.bare_lf": [f"{OK_HEAD}X: y\nContent-Length: 5\r\n\r\nhello"],
    "head.field.bare_cr": [f"{OK_HEAD}X: y\rContent-Length: 5\r\n\r\nhello"],
    "head.line.bare_lf": ["HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"],
    "head.line.bare_cr": ["HTTP/1.1 200 OK\rContent-Length: 5\r\n\r\nhello"],
    "head.field.nul": [f"{OK_HEAD}X: y\x00\r\nContent-Length: 5\r\n\r\nhello"],
    "framing.transfer_encoding.with_length": [
        f"{OK_HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"{OK_HEAD}Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello"],
    "framing.transfer_encoding.not_chunked": [
        f"{OK_HEAD}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", f"{OK_HEAD}Transfer-Encoding: gzip\r\n\r\n"],
    "framing.transfer_encoding.repeated": [
        f"{OK_HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    "framing.transfer_encoding.empty": [f"{OK_HEAD}Transfer-Encoding: \r\n\r\n"],
    "framing.transfer_encoding.http10": ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    "framing.content_length.repeated": [
        f"{OK_HEAD}Content-Length: 5\r\nContent-Length: {second}\r\n\r\nhello" for second in (5, 6, 40)],
    "framing.content_length.invalid": [
        f"{OK_HEAD}Content-Length: {length}\r\n\r\nhello" for length in ("", "-5", "+5", "5,5", "0x5", "five")],
    "response.status.invalid": ["HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 600 Odd\r\n\r\n"],
    "response.line.malformed": ["nonsense\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n"],
    "head.version.unsupported": ["HTTP/2.0 200 OK\r\n\r\n", "HTTP/0.9 200 OK\r\n\r\n"],
    "head.version.malformed": ["HTTP/1 200 OK\r\n\r\n"],
    "response.switching.unasked": ["HTTP/1.1 101 Odd\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"],
    "response.interim.with_length": [
        f"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello{OK_HEAD}Content-Length: 0\r\n\r\n",
        f"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{OK_HEAD}Content-Length: 0\r\n\r\n"],
}


class ResponseTest(harness.EdgeTest):
    def test_malformed_responses_are_502_and_end_the_origins_connection(self):
        closed = []

        def script(connection):
            request = connection.read_request()
            reason, number = request.target[1:].split("/")
            connection.send(MALFORMED_RESPONSES[reason][int(number)])
            closed.append(connection.at_eof())

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        for reason, responses in MALFORMED_RESPONSES.items():
            for number, response in enumerate(responses):
                with self.subTest(response=response):
                    before = len(closed)
                    # Not idempotent, so that it is answered by the first origin connection and no other.
                    answer = harness.get(edge.port, f"/{reason}/{number}", method="POST")
                    self.assertEqual(answer.status, 502)
                    self.assertRegex(answer.fields.get("Proxy-Status"),
                                     rf'^edge; error=http_\w+; details="{re.escape(reason)}"$')
                    harness.wait_until(lambda: len(closed) > before, "the origin's connection has ended")
        self.assertEqual(set(closed), {True})


class SmugglingTest(harness.EdgeTest):
    def setUp(self):
        self.origin = self.start_raw_origin()
        self.edge = self.start_edge(upstream=self.origin.url)

    def exchange(self, data):
        """All that a client gets for `data`, until edge closes."""
        with harness.connect(self.edge.port) as client:
            client.send(data)
            client.close_write()
            try:
                return client.read_to_eof()
            except harness.IncompleteMessage:
                return bytes(client.received)

    def assert_one_200(self, answer):
        self.assertRegex(answer, rb"^HTTP/1\.1 200 ")
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)

    def expect_nothing_smuggled(self):
        self.assertNotIn("/smuggled", [request.target for request in self.origin.requests])
        for connection in self.origin.connections:
            for request in connection.requests:
                self.assertNotIn("smuggled", str(request.fields))

    def test_ambiguous_heads_are_refused_and_the_origin_sees_nothing(self):
        for name, rest in REFUSED.items():
            with self.subTest(name=name):
                before = len(self.origin.requests)
                answer = self.exchange(f"POST / HTTP/1.1\r\nHost: a\r\n{rest}")
                self.assertRegex(answer, rb"^HTTP/1\.1 (400|501) ")
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
                self.assertEqual(len(self.origin.requests), before)

    def test_transfer_encoding_in_http_1_0_is_refused(self):
        for connection in ("", "Connection: keep-alive\r\n"):
            answer = self.exchange(f"POST / HTTP/1.0\r\nHost: a\r\n{connection}Transfer-Encoding: chunked\r\n\r\n"
                                   f"0\r\n\r\n{HIDDEN}")
            self.assertRegex(answer, rb"^HTTP/1\.[01] 400 ")
        self.assertEqual(self.origin.requests, [])

    def test_malformed_chunks_end_both_connections(self):
        """For the origin the request never has an end, and nothing comes behind it."""
        seen = []

        def script(connection):
            request = connection.read_request_head()
            try:
                connection.read_request_body(request)
                seen.append((request.target, "whole"))
            except harness.IncompleteMessage:
                seen.append((request.target, "incomplete"))

        origin = self.start_raw_origin(script)
        edge = self.start_edge(upstream=origin.url)
        for number, (name, body) in enumerate(BAD_CHUNKS.items()):
            with self.subTest(name=name), harness.connect(edge.port) as client:
                client.send(f"POST /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n")
                origin.wait_for_requests(number + 1)
                client.send(body)
                response = client.read_response("POST")
                self.assertEqual((response.status, response.fields.get("Connection")), (400, "close"))
                client.expect_closed()
                harness.wait_until(lambda number=number: len(seen) > number, "the origin's connection has ended")
                self.assertEqual(seen[-1], (f"/{number}", "incomplete"))
        self.assertEqual(len(seen), len(BAD_CHUNKS))

    def test_body_of_a_get_is_no_second_request(self):
        """CL.0 and TE.0: an origin that ignores bodies of GET would read the body as a request."""
        for framing in (f"Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
                        f"Transfer-Encoding: chunked\r\n\r\n{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n"):
            with self.subTest(framing=framing):
                self.assert_one_200(self.exchange(f"GET / HTTP/1.1\r\nHost: a\r\n{framing}"))
                request = self.origin.requests[-1]
                self.assertEqual((request.target, request.fields.get("Host"), request.body), ("/", "a", HIDDEN.encode()))
                self.expect_nothing_smuggled()
        self.assertEqual(len(self.origin.requests), 2)

    def test_0_cl_with_expect_does_not_shift_the_next_request(self):
        def refuse_early(connection):
            connection.read_request_head()
            connection.respond(200, "early")
            connection.at_eof()

        origin = self.start_raw_origin(refuse_early, harness.serve(harness.ok))
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {len(HIDDEN)}\r\n\r\n")
        self.assertEqual(client.read_response("POST").body, b"early")
        try:
            client.send(HIDDEN)
        except ConnectionError:
            pass
        client.expect_closed()
        self.assertNotIn("/smuggled", [request.target for request in origin.requests])

    def test_chunk_extensions_and_sizes_are_not_forwarded_as_received(self):
        answer = self.exchange("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               '2;ext=value\r\nhe\r\n3 ; ext="quoted"\r\nllo\r\n0;last\r\n\r\n')
        self.assert_one_200(answer)
        (request,) = self.origin.requests
        self.assertEqual((request.framing, request.body), ("chunked", b"hello"))
        for dropped in (b"ext", b"last", b";"):
            self.assertNotIn(dropped, self.origin.received)

    def test_name_with_underscore_does_not_pass_for_a_framing_field(self):
        answer = self.exchange(f"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: {len(HIDDEN)}\r\n\r\n")
        self.assert_one_200(answer)
        (request,) = self.origin.requests
        self.assertEqual(request.body, b"")
        self.assertNotIn(b"Content_Length", self.origin.received)

    def test_host_and_length_survive_whatever_connection_names(self):
        answer = self.exchange("POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\n"
                               f"Content-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}")
        self.assert_one_200(answer)
        (request,) = self.origin.requests
        self.assertEqual((request.fields.get("Host"), request.fields.get("Content-Length")), ("a", str(len(HIDDEN))))
        self.assertEqual(request.body, HIDDEN.encode())

    def test_request_behind_an_error_is_never_served(self):
        answer = self.exchange(f"GET / HTTP/1.1\r\nHost: a b\r\n\r\n{HIDDEN}")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "))
        self.assertEqual(self.origin.requests, [])


if __name__ == "__main__":
    harness.main()
