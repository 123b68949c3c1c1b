"""The ends of edge: SIGTERM drains, a second one or SIGINT stops at once, and nothing that had begun is lost."""

import signal
import socket
import threading
import time

import harness

REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def refuses(port):
    """True once a connect is refused (or reset, in the moment of closing)."""
    try:
        with socket.create_connection(("127.0.0.1", port), harness.TIMEOUT_S):
            return False
    except ConnectionError:
        return True


class DrainTest(harness.EdgeTest):
    def start_held(self, *flags, tls=False):
        """An edge with one request in flight, whose response the origin holds back until self.release is set."""
        self.release = threading.Event()

        def script(connection):
            while request := connection.read_request():
                if request.target == "/held":
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbegu")
                    connection.wait_for(self.release)
                    connection.send("n ok")
                else:
                    connection.send(harness.ok(request))

        self.origin = self.start_raw_origin(script)
        self.edge = self.start_edge(*flags, upstream=self.origin.url)
        self.client = self.connect(self.edge.tls_port if tls else self.edge.port, tls=tls)
        self.client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        self.origin.wait_for_requests(1)
        return self.edge

    def test_request_in_flight_finishes_and_edge_ends_with_0(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                edge = self.start_held(tls=tls)
                edge.sigterm()
                harness.wait_until(lambda: refuses(edge.port), "listener closed")
                self.assertTrue(edge.running)
                self.release.set()
                self.assertEqual(self.client.read_response().body, b"begun ok")
                self.client.expect_closed()
                self.assertEqual(edge.wait_exit(), 0)

    def test_stop_in_a_response_that_ends_at_close_is_a_reset(self):
        """The client could not tell a FIN from the end of the response."""

        def script(connection):
            connection.read_request()
            connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it")
            connection.at_eof()

        edge = self.start_edge(upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response(body=False)
        self.assertEqual(response.framing, "close")
        self.assertEqual(client.read_exact(10), b"half of it")
        edge.sigint()
        self.assertRaises(harness.IncompleteMessage, client.read_to_eof)

    def test_response_that_begins_while_draining_says_connection_close(self):
        may_answer = threading.Event()

        def script(connection):
            request = connection.read_request()
            connection.wait_for(may_answer)
            connection.send(harness.ok(request))

        origin = self.start_raw_origin(script)
        edge = self.start_edge(upstream=origin.url)
        client = self.connect(edge.port)
        client.send(REQUEST)
        origin.wait_for_requests(1)
        edge.sigterm()
        harness.wait_until(lambda: refuses(edge.port), "listener closed")
        may_answer.set()
        response = client.read_response()
        self.assertEqual((response.status, response.fields.get("Connection")), (200, "close"))
        client.expect_closed()
        self.assertEqual(edge.wait_exit(), 0)

    def test_idle_connections_are_closed_and_do_not_hold_up_the_end(self):
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        idle = [self.connect(edge.tls_port if tls else edge.port, tls=tls) for tls in (False, True) * 10]
        for client in idle[:10]:
            client.send(REQUEST)
            self.assertEqual(client.read_response().status, 200)
        started = time.monotonic()
        edge.sigterm()
        for client in idle:
            client.expect_closed()
            client.close()
        self.assertEqual(edge.wait_exit(), 0)
        self.assertLess(time.monotonic() - started, 8 * harness.TIMEOUT_FACTOR)

    def test_request_sent_before_the_signal_on_an_idle_connection_is_answered(self):
        """Its bytes are in the socket, but edge, stopped for the moment, has not read them when the signal comes."""
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        clients = [self.connect(edge.tls_port if tls else edge.port, tls=tls) for tls in (False, True) * 25]
        for client in clients:
            client.send(REQUEST)
            self.assertEqual(client.read_response().status, 200)
        edge.signal(signal.SIGSTOP)
        for client in clients:
            client.send(REQUEST)
        edge.sigterm()
        edge.signal(signal.SIGCONT)
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
            client.close()
        self.assertEqual(edge.wait_exit(), 0)

    def test_connection_in_the_accept_queue_is_served(self):
        """The kernel has accepted it, so its client has sent its request and must not be reset."""
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        edge.signal(signal.SIGSTOP)
        clients = [self.connect(edge.port) for _ in range(50)]
        for client in clients:
            client.send(REQUEST)
        edge.sigterm()
        edge.signal(signal.SIGCONT)
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
            client.close()
        self.assertEqual(edge.wait_exit(), 0)

    def test_request_that_crosses_the_close_of_an_idle_connection_sees_no_reset(self):
        """Idle connections half-close and linger: the client reads an orderly end and may send its request again."""
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        clients = [self.connect(edge.tls_port if tls else edge.port, tls=tls) for tls in (False, True) * 25]
        for client in clients:
            client.send(REQUEST)
            self.assertEqual(client.read_response().status, 200)
        edge.sigterm()
        for client in clients:
            client.send(REQUEST)
            if client.has_more():  # raises after a reset
                self.assertEqual(client.read_response().status, 200)
            client.close()
        self.assertEqual(edge.wait_exit(), 0)

    def test_upload_in_flight_finishes(self):
        edge = self.start_edge(upstream=self.start_raw_origin().url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + "x" * 1_000_000)
        edge.sigterm()
        harness.wait_until(lambda: refuses(edge.port), "listener closed")
        client.send("x" * 1_000_000)
        self.assertEqual(client.read_response("POST").status, 200)
        self.assertEqual(edge.wait_exit(), 0)

    def test_drain_ends_at_drain_timeout(self):
        edge = self.start_held("--drain_timeout=1s")
        started = time.monotonic()
        edge.sigterm()
        self.assertEqual(edge.wait_exit(), 0)
        elapsed = time.monotonic() - started
        self.assertGreater(elapsed, 0.9)
        self.assertLess(elapsed, 5 * harness.TIMEOUT_FACTOR)
        self.release.set()
        with self.assertRaises(harness.IncompleteMessage):
            self.client.read_response()

    def test_second_sigterm_stops_at_once(self):
        edge = self.start_held("--drain_timeout=1h")
        edge.sigterm()
        harness.wait_until(lambda: refuses(edge.port), "listener closed")
        self.assertTrue(edge.running)
        edge.sigterm()
        self.assertEqual(edge.wait_exit(), 0)
        self.release.set()

    def test_sigint_stops_at_once(self):
        edge = self.start_held("--drain_timeout=1h")
        edge.sigint()
        self.assertEqual(edge.wait_exit(), 0)
        self.release.set()

    def test_readiness_fails_and_accepting_goes_on_for_drain_delay(self):
        edge = self.start_edge("--drain_delay=2s", upstream=self.start_raw_origin().url)
        self.assertEqual(edge.admin("/readyz").status, 200)
        edge.sigterm()
        harness.wait_until(lambda: edge.admin("/readyz").status == 503, "/readyz to fail")
        self.assertEqual(edge.admin("/healthz").status, 200)
        self.assertEqual(harness.get(edge.port).status, 200)
        self.assertEqual(edge.wait_exit(), 0)

    def test_tunnel_ends_at_drain_timeout(self):
        def script(connection):
            connection.read_request_head()
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            while data := connection.read_some():
                connection.send(data)

        # A connect in the middle of the drain is refused only when it is tried again, a second later.
        edge = self.start_edge("--drain_timeout=3s", upstream=self.start_raw_origin(script).url)
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        self.assertEqual(client.read_response().status, 101)
        edge.sigterm()
        harness.wait_until(lambda: refuses(edge.port), "listener closed")
        client.send("still open")
        self.assertEqual(client.read_exact(10), b"still open")
        self.assertEqual(edge.wait_exit(), 0)

    def test_drain_under_load_loses_no_request(self):
        """Clients that reuse their connections until edge closes them. A connect that is refused is no loss, nor is a
        connection that ends in order before the first byte of a response: it was idle when edge closed it. A reset is,
        and so is half a response."""
        edge = self.start_edge(upstream=self.start_nginx_origin("location / { return 200 hello; }").url, cores="2")
        lost, served = [], [0]
        stop = threading.Event()

        def client(tls):
            while not stop.is_set():
                try:
                    connection = harness.connect(edge.tls_port if tls else edge.port, tls=tls)
                except OSError:
                    return
                with connection:
                    connection.keep_received = False
                    earlier = 0  # responses on this connection
                    while not stop.is_set():
                        try:
                            connection.send(REQUEST)
                            if not connection.has_more():
                                return
                            response = connection.read_response()
                        except (harness.IncompleteMessage, OSError) as error:
                            lost.append(f"{error!r} after {earlier} responses, tls={tls}")
                            return
                        if response.status != 200 or response.body != b"hello":
                            lost.append(repr(response))
                        served[0] += 1
                        earlier += 1
                        if response.fields.get("Connection") == "close":
                            connection.expect_closed()
                            break

        threads = [threading.Thread(target=client, args=(number % 2 == 1,)) for number in range(16)]
        for thread in threads:
            thread.start()
        harness.wait_until(lambda: served[0] > 500, "500 requests served")
        edge.sigterm()
        self.assertEqual(edge.wait_exit(), 0)
        stop.set()
        for thread in threads:
            thread.join(harness.TIMEOUT_S)
        self.assertEqual(lost, [])


if __name__ == "__main__":
    harness.main()
