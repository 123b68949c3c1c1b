"""edge --explain: what it says of a request, and that the running proxy does the same with it."""

import os
import re
import subprocess

import harness

# {name: (request, {what the explanation says})}
REFUSED = {
    "both framings": (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        {"part": "head", "status": "400", "reason": "framing.transfer_encoding.with_length", "rfc": "RFC 9112 6.1",
         "offset": "45"}),
    "no Host": (
        "GET / HTTP/1.1\r\n\r\n",
        {"part": "head", "status": "400", "reason": "request.host.missing", "rfc": "RFC 9112 3.2", "offset": "18"}),
    "bare LF": (
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        {"part": "head", "status": "400", "reason": "head.line.bare_lf", "rfc": "RFC 9112 2.2", "offset": "14"}),
    "fragment": (
        "\r\nGET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
        {"part": "head", "status": "400", "reason": "request.target.fragment", "rfc": "RFC 9112 3.2", "offset": "7"}),
    "unknown method": (
        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        {"part": "head", "status": "501", "reason": "request.method.unknown", "rfc": "RFC 9110 9.1", "offset": "0"}),
    "CONNECT": (
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        {"part": "head", "status": "405", "reason": "request.method.connect", "rfc": "RFC 9112 3.2.3", "offset": "0"}),
    "version": (
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        {"part": "head", "status": "505", "reason": "head.version.unsupported", "rfc": "RFC 9110 15.6.6",
         "offset": "6"}),
    "long head": (
        "GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 40_000 + "\r\n\r\n",
        {"part": "head", "status": "431", "reason": "head.too_large", "rfc": "RFC 6585 5", "offset": "32768"}),
    "chunk": (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
        {"part": "body", "status": "400", "reason": "chunk.data.line_end", "rfc": "RFC 9112 7.1", "offset": "64",
         "body": "chunked, 5 bytes"}),
    "trailer": (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
        {"part": "body", "status": "400", "reason": "trailer.forbidden", "rfc": "RFC 9110 6.5.1"}),
}

ACCEPTED = {
    "plain": "GET /a?b HTTP/1.1\r\nHost: a\r\nAccept:text/html \r\n\r\n",
    "length": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "chunked with trailers": "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n"
                             "\r\n2;x=\"y\"\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1 \r\n\r\n",
    "absolute-form": "GET http://b.example:81?x HTTP/1.1\r\nHost: a\r\n\r\n",
    "hop by hop": "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A, close\r\nX-A: 1\r\nKeep-Alive: 2\r\nX-B: 3\r\nProxy: x\r\n"
                  "X-Forwarded-For: 1.2.3.4\r\nX_B: 4\r\n\r\n",
    "HTTP/1.0": "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "HTTP/1.0 without Host": "GET / HTTP/1.0\r\n\r\n",
    "Max-Forwards": "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n",
}


class ExplainTest(harness.EdgeTest):
    def run_explain(self, request, *flags):
        request = request.encode("latin-1") if isinstance(request, str) else request
        return subprocess.run([harness.EDGE_BINARY, "--explain", *flags], input=request, capture_output=True,
                              timeout=harness.TIMEOUT_S, check=False)

    def explain(self, request, *flags):
        """(exit status, {key: value}, forwarded head)."""
        done = self.run_explain(request, *flags)
        self.assertEqual(done.stderr, b"")
        text, _, head = done.stdout.partition(b"\n\n")
        lines = [line.partition(": ")[::2] for line in text.decode().splitlines()]
        self.assertEqual(len(dict(lines)), len(lines), "a key twice")
        return done.returncode, dict(lines), head

    def test_refusals_say_where_and_why(self):
        for name, (request, expected) in REFUSED.items():
            with self.subTest(name):
                status, said, head = self.explain(request)
                self.assertEqual(status, 1)
                self.assertEqual(said["verdict"], "refused")
                self.assertEqual({key: said.get(key) for key in expected}, expected)
                # What comes before a refused body is on its way to the origin already.
                self.assertEqual(bool(head), expected["part"] == "body")

    def test_bytes_around_the_offset_are_shown_escaped(self):
        _, said, _ = self.explain("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\x1b[31m\r\n\r\n")
        self.assertEqual(said["reason"], "head.field.control")
        self.assertEqual(said["near"], r".1\r\nHost: a\r\nX:  >>> \x01\x1b[31m\r\n\r\n")

    def test_the_proxy_refuses_for_the_same_reason(self):
        origin = self.start_raw_origin(lambda connection: connection.read_to_eof())
        edge = self.start_edge(upstream=origin.url)
        for name, (request, expected) in REFUSED.items():
            with self.subTest(name):
                client = self.connect(edge.port)
                client.send(request)
                response = client.read_response()
                self.assertEqual(str(response.status), expected["status"])
                self.assertIn(f'details="{expected["reason"]}"', response.fields.get("Proxy-Status"))

    def test_accepted_request_is_shown_as_it_is_forwarded(self):
        status, said, head = self.explain(ACCEPTED["chunked with trailers"] + "GET /next")
        self.assertEqual(status, 0)
        size = len(ACCEPTED["chunked with trailers"])
        self.assertEqual(said, {
            "verdict": "accepted", "request": f"{size} of {size + 9} bytes", "connection": "may be kept",
            "body": "chunked, 5 bytes", "trailer": "X-Sum: 1"})
        self.assertEqual(head.decode(), (
            "POST / HTTP/1.1\r\nHost: a\r\nVia: 1.1 edge\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
            f"X-Forwarded-Host: a\r\nX-Request-Id: {'0' * 32}\r\nConnection: TE\r\nTE: trailers\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"))

    def test_the_proxy_forwards_the_same_head(self):
        origin = self.start_raw_origin()
        listen = "http://127.0.0.1:0"
        edge = self.start_edge(upstream=origin.url, listen=listen)
        for name, request in ACCEPTED.items():
            with self.subTest(name):
                status, said, head = self.explain(request, f"--upstream={origin.url}", f"--listen={listen}")
                self.assertEqual((status, said["verdict"]), (0, "accepted"))
                client = self.connect(edge.port)
                client.send(request)
                self.assertEqual(client.read_response().status, 200)
                seen = origin.requests[-1]
                forwarded = re.sub(rb"(?<=X-Request-Id: )[0-9a-f]{32}", b"0" * 32, seen.raw_head)
                forwarded = forwarded.replace(b"X-Forwarded-For: 127.0.0.1\r\n", b"X-Forwarded-For: 192.0.2.1\r\n")
                self.assertEqual(head, forwarded)
                self.assertEqual(said["body"].split()[-2], str(len(seen.body)))
                self.assertEqual(said.get("trailer"), next((f"{k}: {v}" for k, v in seen.trailers.pairs), None))

    def test_flags_about_forwarding_and_limits_count(self):
        request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
        for flags, expected in (((), b": 192.0.2.1\r\n"),
                                (("--forwarded_fields=append",), b": 198.51.100.7, 192.0.2.1\r\n"),
                                (("--trusted_proxies=192.0.2.0/24",), b": 198.51.100.7, 192.0.2.1\r\n")):
            with self.subTest(flags=flags):
                self.assertIn(b"X-Forwarded-For" + expected, self.explain(request, *flags)[2])
        self.assertNotIn(b"X-Forwarded-For", self.explain(request, "--forwarded_fields=drop")[2])
        long = "GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 10_000 + "\r\n\r\n"
        self.assertEqual(self.explain(long)[1]["verdict"], "accepted")
        self.assertEqual(self.explain(long, "--body_buffer_size=16384")[1]["reason"], "head.too_large")

    def test_incomplete_requests_are_a_verdict_of_their_own(self):
        for request, part in (("", "head"), ("\r\n", "head"), ("GET / HT", "head"), ("GET / HTTP/1.1\r\nHost: a\r\n", "head"),
                              ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", "body"),
                              ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "body")):
            with self.subTest(request=request):
                status, said, head = self.explain(request)
                self.assertEqual((status, said["verdict"], said["part"]), (1, "incomplete", part))
                self.assertEqual(bool(head), part == "body")

    def test_every_beginning_of_a_good_request_is_incomplete(self):
        request = ACCEPTED["length"]
        for size in range(0, len(request), 7):
            self.assertEqual(self.explain(request[:size])[1]["verdict"], "incomplete", request[:size])

    def test_what_edge_answers_itself_is_not_forwarded(self):
        status, said, head = self.explain("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
        self.assertEqual((status, head), (0, b""))
        self.assertIn("Max-Forwards", said["forwarded"])

    def test_a_head_that_grows_out_of_its_buffer_is_refused_as_the_proxy_refuses_it(self):
        # The host goes on twice, in Host and in X-Forwarded-Host.
        request = "GET / HTTP/1.1\r\nHost: " + "a" * 32_700 + "\r\n\r\n"
        status, said, head = self.explain(request)
        self.assertEqual((status, said["verdict"], said["status"], head), (1, "refused", "431", b""))
        self.assertEqual(said["reason"], "head.too_large_to_forward")
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        client.send(request)
        response = client.read_response()
        self.assertEqual(response.status, 431)
        self.assertIn(f'details="{said["reason"]}"', response.fields.get("Proxy-Status"))
        self.assertEqual(edge.metrics().value("edge_refusals_total", reason=said["reason"]), 1)

    def test_input_is_bounded(self):
        done = self.run_explain(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + bytes(17 << 20))
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn(b"--explain", done.stderr)

    def test_mistakes_in_flags_are_exit_2(self):
        self.assertEqual(self.run_explain("GET", "--explain=perhaps").returncode, 2)
        self.assertEqual(self.run_explain("GET", "--nonsense").returncode, 2)

    def test_the_example_of_the_readme(self):
        readme = (harness.REPOSITORY / "README.md").read_text()
        section = re.search(r"^## Ask why\n(.*?)^## ", readme, re.M | re.S)[1]
        command, output = re.search(r"```sh\n(.*?)```.*?```\n(.*?)```", section, re.S).groups()
        command = command.replace("bazel-bin/proxy/edge", '"$EDGE"')
        done = subprocess.run(["bash", "-c", command], env=dict(os.environ, EDGE=harness.EDGE_BINARY),
                              capture_output=True, text=True, timeout=harness.TIMEOUT_S, check=False)
        self.assertEqual((done.stdout, done.stderr), (output, ""))


if __name__ == "__main__":
    harness.main()
