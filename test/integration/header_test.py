"""What edge changes in a head, and what it leaves alone."""

import json
import re

import harness


class RequestFieldTest(harness.EdgeTest):
    def setUp(self):
        self.origin = self.start_raw_origin()
        self.edge = self.start_edge(upstream=self.origin.url)

    def forwarded(self, fields="", start_line="GET /path HTTP/1.1", host="Host: www.example:8080\r\n", tls=False):
        """The request as the origin saw it."""
        client = self.connect(self.edge.tls_port if tls else self.edge.port, tls=tls)
        client.send(f"{start_line}\r\n{host}{fields}\r\n")
        self.assertEqual(client.read_response().status, 200)
        return self.origin.requests[-1]

    def test_host_passes_unchanged(self):
        self.assertEqual(self.forwarded().fields.get("Host"), "www.example:8080")

    def test_end_to_end_fields_keep_their_names_values_and_order(self):
        sent = [("X-One", "1"), ("Accept", "*/*"), ("X-Two", "a, b"), ("Cookie", "a=b; c=d"), ("X-One", "again"),
                ("Authorization", "Basic eDp5"), ("X-Empty", ""), ("x-LOWER", "ok"), ("X-Obs", "caf\xe9")]
        request = self.forwarded("".join(f"{name}: {value}\r\n" for name, value in sent))
        kept = [pair for pair in request.fields.pairs if pair[0].lower() in {name.lower() for name, _ in sent}]
        self.assertEqual([(name.lower(), value) for name, value in kept],
                         [(name.lower(), value) for name, value in sent])

    def test_target_passes_unchanged(self):
        for target in ("/", "/a/b?c=d&e", "/%41%2f%2e%2e", "/a/../b", "//double", "/?", "/;p=1", "/a+b~c"):
            with self.subTest(target=target):
                client = self.connect(self.edge.port)
                client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
                if client.read_response().status == 200:
                    self.assertEqual(self.origin.requests[-1].target, target)

    def test_hop_by_hop_fields_are_removed(self):
        request = self.forwarded("Connection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\nX-Private: 1\r\n"
                                 "Proxy-Connection: keep-alive\r\nTE: gzip\r\nX-Public: 1\r\n")
        for name in ("X-Private", "Keep-Alive", "Proxy-Connection"):
            self.assertNotIn(name, request.fields)
        self.assertNotIn("gzip", request.fields.get("TE", ""))
        self.assertNotIn("private", (request.fields.get("Connection") or "").lower())
        self.assertEqual(request.fields.get("X-Public"), "1")

    def test_connection_cannot_remove_fields_that_matter(self):
        """RFC 9110, 7.6.1 read with care: a client could otherwise hide what edge itself says."""
        request = self.forwarded("Connection: Host, Cookie, Authorization, X-Forwarded-For, X-Request-Id, Via\r\n"
                                 "Cookie: a=b\r\nAuthorization: Basic eDp5\r\n")
        for name in ("Host", "Cookie", "Authorization", "X-Forwarded-For", "X-Request-Id", "Via"):
            self.assertIn(name, request.fields)

    def test_connection_cannot_remove_content_length(self):
        client = self.connect(self.edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello")
        self.assertEqual(client.read_response("POST").status, 200)
        self.assertEqual(self.origin.requests[-1].body, b"hello")

    def test_via_is_appended(self):
        self.assertRegex(self.forwarded().fields.get("Via"), r"^1\.1 \S+$")
        request = self.forwarded("Via: 1.0 first\r\n")
        self.assertRegex(", ".join(request.fields.all("Via")), r"^1\.0 first, 1\.1 \S+$")
        self.assertRegex(self.forwarded(start_line="GET / HTTP/1.0").fields.get("Via"), r"^1\.0 \S+$")

    def test_forwarded_fields_say_where_the_request_came_from(self):
        request = self.forwarded()
        self.assertEqual(request.fields.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(request.fields.get("X-Forwarded-Proto"), "http")
        self.assertEqual(request.fields.get("X-Forwarded-Host"), "www.example:8080")
        self.assertEqual(self.forwarded(tls=True).fields.get("X-Forwarded-Proto"), "https")

    def test_forwarded_fields_of_a_client_are_replaced(self):
        request = self.forwarded("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: gopher\r\n"
                                 "X-Forwarded-Host: evil\r\n")
        self.assertEqual(request.fields.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(request.fields.get("X-Forwarded-Proto"), "http")
        self.assertEqual(request.fields.get("X-Forwarded-Host"), "www.example:8080")
        self.assertNotIn(b"6.6.6.6", request.raw_head)

    def test_each_request_has_an_id_of_its_own(self):
        ids = {self.forwarded().fields.get("X-Request-Id") for _ in range(20)}
        self.assertEqual(len(ids), 20)
        for value in ids:
            self.assertRegex(value, r"^[0-9a-zA-Z-]{16,}$")
        self.assertNotEqual(self.forwarded("X-Request-Id: forged\r\n").fields.get("X-Request-Id"), "forged")

    def test_absolute_form_replaces_host(self):
        request = self.forwarded(start_line="GET http://real.example:81/x?y HTTP/1.1", host="Host: real.example:81\r\n")
        self.assertEqual((request.target, request.fields.get("Host")), ("/x?y", "real.example:81"))
        request = self.forwarded(start_line="GET http://real.example HTTP/1.1", host="Host: real.example\r\n")
        self.assertEqual((request.target, request.fields.get("Host")), ("/", "real.example"))
        client = self.connect(self.edge.port)
        client.send("GET http://real.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n")
        if client.read_response().status == 200:  # it may be refused, but Host must never win
            self.assertEqual(self.origin.requests[-1].fields.get("Host"), "real.example")

    def test_options_of_the_server_keeps_the_asterisk(self):
        client = self.connect(self.edge.port)
        client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        if client.read_response("OPTIONS").status == 200:
            self.assertEqual(self.origin.requests[-1].target, "*")

    def test_max_forwards_counts_down_and_ends_at_edge(self):
        """RFC 9110, 7.6.2."""
        for method in ("OPTIONS", "TRACE"):
            request = self.forwarded("Max-Forwards: 2\r\n", start_line=f"{method} / HTTP/1.1")
            self.assertEqual(request.fields.get("Max-Forwards"), "1")
            before = len(self.origin.requests)
            client = self.connect(self.edge.port)
            client.send(f"{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
            response = client.read_response(method)
            self.assertEqual(response.status, 200)
            self.assertIn("OPTIONS", response.fields.get("Allow"))
            self.assertEqual(len(self.origin.requests), before)
        self.assertEqual(self.forwarded("Max-Forwards: 2\r\n").fields.get("Max-Forwards"), "2")

    def test_http_1_0_request_becomes_http_1_1_with_a_host(self):
        request = self.forwarded(start_line="GET /old HTTP/1.0")
        self.assertEqual((request.version, request.fields.get("Host")), ("1.1", "www.example:8080"))

    def test_white_space_around_values_is_trimmed(self):
        request = self.forwarded("X-Padded:  \t value \t \r\n")
        self.assertIn(b"X-Padded: value\r\n", re.sub(rb"(?i)x-padded", b"X-Padded", request.raw_head))


class ForwardedPolicyTest(harness.EdgeTest):
    """What becomes of X-Forwarded-* and X-Request-Id that a client sends."""

    SENT = ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: first.example\r\n"
            "X-Request-Id: 0123456789abcdef-given\r\n")

    def forwarded(self, *flags):
        origin = self.start_raw_origin()
        edge = self.start_edge(*flags, upstream=origin.url)
        self.assertEqual(harness.get(edge.port, fields=self.SENT).status, 200)
        return origin.requests[0].fields

    def test_values_of_a_trusted_proxy_are_kept(self):
        fields = self.forwarded("--trusted_proxies=10.0.0.0/8,127.0.0.0/8")
        self.assertEqual(", ".join(fields.all("X-Forwarded-For")), "6.6.6.6, 127.0.0.1")
        self.assertEqual(fields.get("X-Forwarded-Proto"), "https")
        self.assertEqual(fields.get("X-Forwarded-Host"), "first.example")
        self.assertEqual(fields.get("X-Request-Id"), "0123456789abcdef-given")

    def test_log_response_and_origin_have_the_id_of_a_trusted_proxy(self):
        """Unless it could not stand in a line of the log or on a page; the origin gets that one too, edge goes by its own."""
        log = self.directory / "access.log"
        origin = self.start_raw_origin()
        edge = self.start_edge("--trusted_proxies=127.0.0.0/8", f"--access_log={log}", upstream=origin.url)
        plain = ["0123456789abcdef-given", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "Root=1-67891233-abcdef0123", "x" * 64]
        others = ["x" * 65, "a b", '"quoted"', "<b>", "caf\xe9"]
        answered = [harness.get(edge.port, fields=f"X-Request-Id: {given}\r\n").fields.get("X-Request-Id")
                    for given in plain + others]
        self.assertEqual([request.fields.get("X-Request-Id") for request in origin.requests], plain + others)
        self.assertEqual(answered[:len(plain)], plain)
        for own in answered[len(plain):]:
            self.assertRegex(own, "^[0-9a-f]{32}$")
        edge.sigterm()
        edge.wait_exit()
        self.assertEqual([json.loads(line)["request_id"] for line in log.read_text().splitlines()], answered)

    def test_proxies_not_named_are_not_trusted(self):
        fields = self.forwarded("--trusted_proxies=10.0.0.0/8")
        self.assertEqual(fields.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(fields.get("X-Forwarded-Proto"), "http")
        self.assertNotEqual(fields.get("X-Request-Id"), "0123456789abcdef-given")

    def test_append_adds_to_what_the_client_sent(self):
        fields = self.forwarded("--forwarded_fields=append")
        self.assertEqual(", ".join(fields.all("X-Forwarded-For")), "6.6.6.6, 127.0.0.1")

    def test_drop_sends_none(self):
        fields = self.forwarded("--forwarded_fields=drop")
        for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"):
            self.assertNotIn(name, fields)


class ResponseFieldTest(harness.EdgeTest):
    def respond(self, response, fields="", version="1.1"):
        edge = self.start_edge(upstream=self.start_raw_origin(harness.serve(lambda request: response)).url)
        client = self.connect(edge.port)
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")
        return client.read_response()

    def test_end_to_end_fields_keep_their_names_values_and_order(self):
        response = self.respond(b"HTTP/1.1 299 Odd Status\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\nSet-Cookie: b=2\r\n"
                                b"Server: origin\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nX-Empty:\r\n\r\n")
        self.assertEqual((response.status, response.reason), (299, "Odd Status"))
        self.assertEqual(response.fields.all("Set-Cookie"), ["a=1", "b=2"])
        self.assertEqual(response.fields.get("Server"), "origin")
        self.assertEqual(response.fields.get("Date"), "Sat, 21 Nov 2026 10:00:00 GMT")
        self.assertEqual(response.fields.get("X-Empty"), "")

    def test_hop_by_hop_fields_are_removed(self):
        response = self.respond(b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\n"
                                b"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nContent-Length: 0\r\n\r\n")
        for name in ("X-Private", "Keep-Alive", "Proxy-Connection"):
            self.assertNotIn(name, response.fields)

    def test_upgrade_of_a_plain_response_is_removed(self):
        response = self.respond(b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")
        self.assertNotIn("Upgrade", response.fields)

    def test_version_is_edges_own(self):
        self.assertEqual(self.respond(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").version, "1.1")

    def test_keep_alive_of_an_http_1_0_client_is_answered(self):
        response = self.respond(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Connection: keep-alive\r\n", "1.0")
        self.assertIn(response.fields.get("Connection", "close").lower(), ("keep-alive", "close"))


class LocalReplyTest(harness.EdgeTest):
    """Edge's own errors: a small body in the form that the client takes."""

    def setUp(self):
        self.edge = self.start_edge(upstream=self.start_refusing_origin().url)

    def test_browser_gets_html(self):
        response = harness.get(self.edge.port, fields="Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n")
        self.assertEqual(response.status, 502)
        self.assertTrue(response.fields.get("Content-Type").startswith("text/html"))
        self.assertIn(b"502", response.body)
        self.assertIn(b"<html", response.body.lower())

    def test_program_gets_json(self):
        response = harness.get(self.edge.port, fields="Accept: application/json\r\n")
        self.assertEqual(response.fields.get("Content-Type").split(";")[0], "application/json")
        self.assertEqual(json.loads(response.body)["status"], 502)

    def test_head_gets_no_body(self):
        response = harness.get(self.edge.port, method="HEAD")
        self.assertEqual((response.status, response.body), (502, b""))

    def test_head_gets_no_body_even_if_it_is_refused(self):
        """RFC 9110, 9.3.2: a peer that pools connections would take the body for the next response."""
        for start in ("HEAD / HTTP/1.1\r\n\r\n", "HEAD * HTTP/1.1\r\nHost: a\r\n\r\n", "\r\nHEAD /\r\n\r\n",
                      "HEAD / HTTP/1.1\r\nHost: a\r\nX: " + "a" * 40_000):
            with self.subTest(start=start[:40]), harness.connect(self.edge.port) as client:
                client.send(start)
                self.assertIn(client.read_response("HEAD").status, (400, 431))
                client.expect_closed()

    def test_keep_alive_survives_a_failed_upstream(self):
        client = self.connect(self.edge.port)
        for _ in range(3):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(client.read_response().status, (502, 503))

    def test_malformed_request_is_400_and_closes(self):
        client = self.connect(self.edge.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nBad Field: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
        self.assertEqual((response.status, response.fields.get("Connection")), (400, "close"))
        client.expect_closed()
        refusals = self.edge.metrics().by_label("edge_refusals_total", "reason")
        self.assertEqual(sum(refusals.values()), 1, refusals)

    def test_refused_method_comes_with_those_that_are_allowed(self):
        """RFC 9110, 15.5.6."""
        with harness.connect(self.edge.port) as client:
            client.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
            allowed = client.read_response().fields.get("Allow").split(", ")
        self.assertIn("GET", allowed)
        self.assertIn("PATCH", allowed)
        self.assertNotIn("CONNECT", allowed)

    def test_limits_have_their_own_statuses(self):
        for start, status in (
            ("GET /" + "a" * 100_000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "a" * 100_000 + "\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\n" + "X: a\r\n" * 5000 + "\r\n", 431),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
            ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            ("GET / HTTP/1.1\r\n\r\n", 400),
        ):
            with self.subTest(start=start[:60], status=status):
                with harness.connect(self.edge.port) as client:
                    try:
                        client.send(start)
                    except ConnectionError:
                        pass
                    self.assertEqual(client.read_response().status, status)


if __name__ == "__main__":
    harness.main()
