"""The first things that a newcomer sees: the welcome page, and a real origin behind edge."""

import time

import harness


class WelcomeTest(harness.EdgeTest):
    """Without --upstream edge answers by itself."""

    def setUp(self):
        self.edge = self.start_edge()

    def test_https_answers_within_a_second_of_start(self):
        started = time.monotonic()
        edge = self.start_edge()
        response = harness.curl(f"https://127.0.0.1:{edge.tls_port}/")
        self.assertEqual(response.status, 200, response.error)
        self.assertLess(time.monotonic() - started, 1.0 * harness.TIMEOUT_FACTOR)

    def test_page_says_what_edge_is_and_how_to_reach_an_origin(self):
        response = harness.get(self.edge.port, "/some/path?query=1")
        self.assertEqual(response.status, 200)
        page = response.body.decode()
        self.assertIn("edge", page)
        self.assertIn("/some/path?query=1", page)
        self.assertIn("--upstream", page)

    def test_page_shows_a_hostile_target_only_escaped(self):
        response = harness.get(self.edge.port, "/?q=<script>alert(1)</script>")
        self.assertNotIn(b"<script>alert", response.body)

    def test_log_says_that_there_is_no_upstream_and_that_the_certificate_is_self_signed(self):
        self.assertRegex(self.edge.log, r"(?i)welcome")
        self.assertRegex(self.edge.log, r"(?i)self-signed")

    def test_curl_speaks_http_1_0_and_1_1_plain_and_tls(self):
        for url in (f"http://127.0.0.1:{self.edge.port}/", f"https://127.0.0.1:{self.edge.tls_port}/"):
            for option in ("--http1.0", "--http1.1"):
                with self.subTest(url=url, option=option):
                    response = harness.curl(option, url)
                    self.assertEqual((response.exit_status, response.status), (0, 200), response.error)
                    self.assertGreater(len(response.body), 100)

    def test_http_1_0_response_closes_unless_keep_alive_was_asked_for(self):
        client = self.connect(self.edge.port)
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        self.assertEqual(response.status, 200)
        self.assertNotIn("Transfer-Encoding", response.fields)
        client.expect_closed()

    def test_head_has_the_length_of_get_and_no_body(self):
        client = self.connect(self.edge.port)
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.read_response("HEAD")
        self.assertEqual(head.status, 200)
        self.assertGreater(int(head.fields.get("Content-Length")), 0)
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(client.read_response("HEAD").status, 200)
        client.expect_closed()

    def test_request_body_is_read_past(self):
        client = self.connect(self.edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        client.read_response("POST")
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)


class NginxOriginTest(harness.EdgeTest):
    def setUp(self):
        self.origin = self.start_nginx_origin()
        (self.origin.root / "hello").write_text("hello from the origin\n")
        self.edge = self.start_edge(upstream=self.origin.url)

    def test_file_comes_through_plain_and_tls_by_http_1_0_and_1_1(self):
        for url in (f"http://127.0.0.1:{self.edge.port}/hello", f"https://127.0.0.1:{self.edge.tls_port}/hello"):
            for option in ("--http1.0", "--http1.1"):
                with self.subTest(url=url, option=option):
                    response = harness.curl(option, url)
                    self.assertEqual(response.status, 200, response.error)
                    self.assertEqual(response.body, b"hello from the origin\n")

    def test_status_and_fields_of_the_origin_are_kept(self):
        response = harness.get(self.edge.port, "/missing")
        self.assertEqual(response.status, 404)
        self.assertEqual(response.reason, "Not Found")
        self.assertIn("nginx", response.fields.get("Server"))
        self.assertNotIn("Proxy-Status", response.fields)

    def test_range_and_conditional_requests_come_through(self):
        url = f"https://127.0.0.1:{self.edge.tls_port}/hello"
        part = harness.curl("--range", "6-9", url)
        self.assertEqual((part.status, part.body), (206, b"from"))
        etag = harness.curl(url).fields.get("ETag")
        self.assertEqual(harness.curl("--header", f"If-None-Match: {etag}", url).status, 304)

    def test_one_client_connection_and_one_origin_connection_serve_many_requests(self):
        client = self.connect(self.edge.port)
        for _ in range(50):
            client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().body, b"hello from the origin\n")
        metrics = self.edge.metrics()
        self.assertEqual(metrics.value("edge_upstream_connects_total"), 1)
        self.assertEqual(metrics.value("edge_upstream_reuses_total"), 49)

    def test_openssl_negotiates_http_1_1_by_tls_1_2_and_1_3(self):
        for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            with self.subTest(option=option):
                request = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                text = harness.openssl_s_client(
                    self.edge.tls_port, option, "-alpn", "h2,http/1.1", "-ign_eof", stdin=request)
                self.assertIn("ALPN protocol: http/1.1", text)
                self.assertIn(version, text)
                self.assertIn("hello from the origin", text)


if __name__ == "__main__":
    harness.main()
