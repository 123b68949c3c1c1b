"""How messages are framed and ordered: pipelining, trailers, HEAD, 204, 304, 1xx, and responses that end at close."""

import threading

import harness


class PipeliningTest(harness.EdgeTest):
    def test_pipelined_responses_keep_the_order_of_the_requests(self):
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, request.target.encode())))
        edge = self.start_edge(upstream=origin.url)
        for tls in (False, True):
            with self.subTest(tls=tls):
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send("".join(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n" for number in range(100)))
                for number in range(100):
                    self.assertEqual(client.read_response().body, f"/{number}".encode())

    def test_pipelined_bodies_do_not_mix(self):
        origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, request.body[::-1])))
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send(
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
            "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            "POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\ngh")
        self.assertEqual([client.read_response("POST").body for _ in range(4)], [b"cba", b"fed", b"", b"hg"])

    def test_empty_chunked_body_is_a_body(self):
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                    "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([client.read_response().status for _ in range(2)], [200, 200])
        self.assertIn(origin.requests[0].framing, ("chunked", "length"))
        self.assertEqual([request.target for request in origin.requests], ["/1", "/2"])

    def test_a_slow_first_response_holds_back_the_second(self):
        first_may_answer = threading.Event()

        def script(connection):
            while request := connection.read_request():
                if request.target == "/slow":
                    connection.wait_for(first_may_answer)
                connection.send(harness.ok(request, request.target.encode()))

        origin = self.start_raw_origin(script)
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.wait_for_requests(1)
        self.assertFalse(client.has_input(0.05))
        first_may_answer.set()
        self.assertEqual([client.read_response().body for _ in range(2)], [b"/slow", b"/fast"])

    def test_requests_behind_connection_close_are_not_served(self):
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
        self.assertEqual(response.fields.get("Connection"), "close")
        client.expect_closed()
        self.assertEqual([request.target for request in origin.requests], ["/1"])

    def test_a_client_that_half_closes_gets_all_its_responses(self):
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.close_write()
        self.assertEqual([client.read_response().status for _ in range(2)], [200, 200])
        client.expect_closed()

    def test_a_head_that_comes_byte_by_byte_is_served(self):
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        for byte in b"POST /bytes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
            client.send(bytes([byte]))
        self.assertEqual(client.read_response("POST").status, 200)
        self.assertEqual(origin.requests[0].body, b"abc")

    def test_a_response_that_comes_byte_by_byte_is_served(self):
        def script(connection):
            connection.read_request()
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
                connection.send(bytes([byte]))

        origin = self.start_raw_origin(script)
        edge = self.start_edge(upstream=origin.url)
        self.assertEqual(harness.get(edge.port).body, b"abc")


class TrailerTest(harness.EdgeTest):
    def test_trailers_of_a_request_reach_the_origin_as_trailers(self):
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                    "3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n")
        self.assertEqual(client.read_response("POST").status, 200)
        (request,) = origin.requests
        self.assertEqual(request.body, b"abc")
        self.assertNotIn("X-Sum", request.fields)
        self.assertEqual(request.trailers.pairs, [("X-Sum", "42")])

    def test_trailers_of_a_response_reach_the_client_as_trailers(self):
        origin = self.start_raw_origin(harness.serve(lambda request: (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n")))
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")
        response = client.read_response()
        self.assertEqual(response.body, b"abc")
        self.assertNotIn("X-Sum", response.fields)
        self.assertEqual(response.trailers.pairs, [("X-Sum", "42")])

    def test_framing_and_routing_fields_in_trailers_never_reach_the_origin(self):
        for field in ("Transfer-Encoding: chunked", "Content-Length: 5", "Host: evil", "Connection: close",
                      "Authorization: x", "X-Forwarded-For: 6.6.6.6"):
            with self.subTest(field=field):
                origin = self.start_raw_origin()
                edge = self.start_edge(upstream=origin.url)
                with harness.connect(edge.port) as client:
                    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                f"3\r\nabc\r\n0\r\n{field}\r\n\r\n")
                    client.close_write()
                    client.read_to_eof()
                self.assertNotIn(b"0\r\n" + field.split(":")[0].encode(), origin.received)


class BodilessTest(harness.EdgeTest):
    """The origin's Content-Length tells of a body that does not come; the next response must still be found."""

    def start(self, *responses):
        answers = iter(responses)
        origin = self.start_raw_origin(harness.serve(lambda request: next(answers)))
        return self.connect(self.start_edge(upstream=origin.url).port)

    def test_head_keeps_the_length_and_the_connection(self):
        client = self.start(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response("HEAD").fields.get("Content-Length"), "1000")
        self.assertEqual(client.read_response().body, b"ok")

    def test_head_of_a_chunked_resource_has_no_body(self):
        client = self.start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response("HEAD").status, 200)
        self.assertEqual(client.read_response().body, b"ok")

    def test_204_and_304_have_no_body(self):
        client = self.start(b"HTTP/1.1 204 No Content\r\n\r\n",
                            b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 1000\r\n\r\n',
                            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        self.assertEqual(client.read_response().status, 204)
        self.assertEqual(client.read_response().status, 304)
        self.assertEqual(client.read_response().body, b"ok")


class InterimResponseTest(harness.EdgeTest):
    def test_103_is_forwarded_before_the_response_comes(self):
        final_may_come = threading.Event()

        def script(connection):
            connection.read_request()
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            connection.wait_for(final_may_come)
            connection.respond(body="done")

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(client.has_input(harness.TIMEOUT_S))
        final_may_come.set()
        response = client.read_response()
        self.assertEqual([interim.status for interim in response.interim], [103])
        self.assertEqual(response.interim[0].fields.get("Link"), "</style.css>; rel=preload")
        self.assertEqual(response.body, b"done")

    def test_several_interim_responses_keep_their_order(self):
        edge = self.start_edge(upstream=self.start_raw_origin(harness.serve(lambda request: (
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + harness.ok(request)))).url)
        response = harness.get(edge.port)
        self.assertEqual([interim.status for interim in response.interim], [102, 103])
        self.assertEqual(response.body, b"ok")

    def test_large_interim_response_and_large_response_at_once(self):
        """Neither fits the memory for a head beside the other, and the first not even alone."""

        def script(connection):
            connection.read_request()
            early = "".join(f"Link: </{i}>; rel=preload{'x' * 1000}\r\n" for i in range(8))
            late = "".join(f"X-Late-{i}: {'y' * 1000}\r\n" for i in range(8))
            connection.send(f"HTTP/1.1 103 Early Hints\r\n{early}\r\n"
                            f"HTTP/1.1 200 OK\r\n{late}Content-Length: 2\r\n\r\nok")

        client = self.connect(self.start_edge(upstream=self.start_raw_origin(script).url).port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
        self.assertEqual((response.status, response.body), (200, b"ok"))
        self.assertEqual([len(interim.fields.all("Link")) for interim in response.interim], [8])
        self.assertEqual(response.fields.get("X-Late-7"), "y" * 1000)

    def test_http_1_0_client_gets_no_interim_response(self):
        edge = self.start_edge(upstream=self.start_raw_origin(harness.serve(
            lambda request: b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + harness.ok(request))).url)
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response().interim, [])

    def test_endless_interim_responses_end_in_502(self):
        def script(connection):
            connection.read_request()
            for _ in range(100_000):
                connection.send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        response = harness.get(edge.port)
        self.assertEqual(response.status, 502)
        self.assertLess(len(response.interim), 1000)


class ExpectTest(harness.EdgeTest):
    def test_origin_decides_about_expect_100_continue(self):
        def script(connection):
            head = connection.read_request_head()
            assert head.fields.get("Expect") == "100-continue", head
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_request_body(head)
            connection.respond(body=head.body)

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        interim = client.read_line()
        self.assertTrue(interim.startswith(b"HTTP/1.1 100"), interim)
        while client.read_line():
            pass
        client.send("hello")
        self.assertEqual(client.read_response("POST").body, b"hello")

    def test_origin_that_refuses_spares_the_body(self):
        def script(connection):
            connection.read_request_head()
            connection.respond(417)
            connection.read_to_eof()

        origin = self.start_raw_origin(script)
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_response("POST")
        self.assertEqual((response.status, response.interim), (417, []))
        # Whether the client now sends five bytes of body or a new request nobody can tell, so edge closes.
        client.expect_closed()
        self.assertTrue(origin.received.endswith(b"\r\n\r\n"))

    def test_client_that_says_nothing_after_100_is_told_that_it_was_late(self):
        def script(connection):
            connection.read_request_head()
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            connection.at_eof()

        edge = self.start_edge("--idle_timeout=500ms", "--upstream_timeout=3s",
                               upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_response("POST")
        self.assertEqual(([interim.status for interim in response.interim], response.status), ([100], 408))

    def test_client_that_does_not_wait_is_served(self):
        def script(connection):
            request = connection.read_request()
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            connection.respond(body=request.body)

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        self.assertEqual(client.read_response("POST").body, b"hello")

    def test_curl_with_expect_gets_through(self):
        edge = self.start_edge(upstream=self.start_nginx_origin("location / { dav_methods PUT; }").url)
        source = self.directory / "source"
        source.write_bytes(b"x" * 2_000_000)
        response = harness.curl("--header", "Expect: 100-continue", "--upload-file", source,
                                f"https://127.0.0.1:{edge.tls_port}/stored")
        self.assertEqual(response.status, 201, response.error)


class CloseDelimitedTest(harness.EdgeTest):
    """Responses of an origin that says neither length nor chunks: they end when it closes."""

    def start(self, version="1.1"):
        def script(connection):
            connection.read_request()
            connection.send(f"HTTP/{version} 200 OK\r\nX-Kind: close\r\n\r\n")
            connection.send(b"x" * 100_000)

        return self.start_edge(upstream=self.start_raw_origin(script).url)

    def test_http_1_1_client_gets_a_response_that_says_its_end(self):
        for version in ("1.0", "1.1"):
            with self.subTest(origin_version=version):
                client = self.connect(self.start(version).port)
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                response = client.read_response()
                self.assertEqual(len(response.body), 100_000)
                self.assertIn(response.framing, ("chunked", "close"))
                if response.framing == "chunked":
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(client.read_response().status, 200)

    def test_http_1_0_client_gets_it_until_close(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                edge = self.start()
                client = self.connect(edge.tls_port if tls else edge.port, tls=tls)
                client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
                response = client.read_response()
                self.assertEqual((response.framing, len(response.body)), ("close", 100_000))

    def test_close_of_tls_is_announced(self):
        """read_response raises IncompleteMessage for an end without close_notify, which could be an attacker's cut."""
        edge = self.start()
        client = self.connect(edge.tls_port, tls=True)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(len(client.read_response().body), 100_000)
        client.expect_closed()


if __name__ == "__main__":
    harness.main()
