"""TLS as clients meet it: versions, ALPN, closing, and records that come in pieces."""

import socket
import ssl
import threading

import harness

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class ManualTls:
    """A TLS client that handles records by hand, so that they can be cut, delayed and half-closed."""

    def __init__(self, port, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), harness.TIMEOUT_S)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or harness.tls_context()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def _step(self, action, send):
        """Runs an action until it wants no more input."""
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                send(self._outgoing.read())
                data = self.socket.recv(65_536)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    def handshake(self, send=None):
        send = send or self.socket.sendall
        self._step(self.tls.do_handshake, send)
        send(self._outgoing.read())

    def write(self, data, send=None):
        self.tls.write(data)
        (send or self.socket.sendall)(self._outgoing.read())

    def send_close_notify(self, send=None):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        (send or self.socket.sendall)(self._outgoing.read())

    def read_to_end(self):
        """All until close_notify; an end without it raises."""
        data = b""
        while True:
            try:
                piece = self._step(lambda: self.tls.read(65_536), self.socket.sendall)
            except ssl.SSLZeroReturnError:
                return data
            if not piece:
                return data
            data += piece

    def close(self):
        self.socket.close()


class TlsTest(harness.EdgeTest):
    def setUp(self):
        self.origin = self.start_raw_origin(harness.serve(lambda request: harness.ok(request, request.body + b"ok")))
        self.edge = self.start_edge("--header_timeout=3s", upstream=self.origin.url)

    def manual(self, context=None):
        return self._closed_later(ManualTls(self.edge.tls_port, context))

    def byte_by_byte(self, client):
        def send(data):
            for byte in data:
                client.socket.sendall(bytes([byte]))

        return send

    def test_tls_1_2_and_1_3_are_spoken(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                context = harness.tls_context(minimum=version, maximum=version)
                client = self.connect(self.edge.tls_port, tls=True, context=context)
                client.send(REQUEST)
                self.assertEqual(client.read_response().body, b"ok")
                client.expect_closed()

    def test_older_versions_are_refused(self):
        text = harness.openssl_s_client(self.edge.tls_port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertIn("Cipher is (NONE)", text)

    def test_client_without_alpn_is_served(self):
        client = self.connect(self.edge.tls_port, tls=True, context=harness.tls_context(alpn=()))
        client.send(REQUEST)
        self.assertEqual(client.read_response().body, b"ok")

    def test_client_that_speaks_only_h2_is_refused_by_alert(self):
        text = harness.openssl_s_client(self.edge.tls_port, "-alpn", "h2")
        self.assertIn("no application protocol", text)

    def test_handshake_and_request_may_come_byte_by_byte(self):
        client = self.manual()
        client.handshake(self.byte_by_byte(client))
        client.write(REQUEST, self.byte_by_byte(client))
        self.assertTrue(client.read_to_end().endswith(b"\r\n\r\nok"))

    def test_request_may_come_with_the_end_of_the_handshake(self):
        client = self.manual()
        held = []
        client._step(client.tls.do_handshake, client.socket.sendall)
        held.append(client._outgoing.read())
        client.write(REQUEST, held.append)
        client.socket.sendall(b"".join(held))
        self.assertTrue(client.read_to_end().endswith(b"\r\n\r\nok"))

    def test_records_of_one_byte_are_read(self):
        client = self.manual()
        client.handshake()
        for byte in REQUEST:
            client.write(bytes([byte]))
        self.assertTrue(client.read_to_end().endswith(b"\r\n\r\nok"))

    def test_client_that_has_sent_close_notify_gets_its_response(self):
        """close_notify ends one direction only (RFC 8446, 6.1)."""
        client = self.manual()
        client.handshake()
        client.write(REQUEST)
        client.send_close_notify()
        self.assertTrue(client.read_to_end().endswith(b"\r\n\r\nok"))

    def test_close_notify_of_an_idle_client_is_answered_by_one(self):
        client = self.manual()
        client.handshake()
        client.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        data = b""
        while not data.endswith(b"ok"):
            data += client._step(lambda: client.tls.read(65_536), client.socket.sendall)
        client.send_close_notify()
        self.assertEqual(client.read_to_end(), b"")

    def test_what_comes_behind_close_notify_is_not_kept(self):
        release = threading.Event()

        def script(connection):
            while request := connection.read_request():
                if request.target == "/held":
                    connection.wait_for(release)
                connection.send(harness.ok(request))

        edge = self.start_edge("--buffers=64", upstream=self.start_raw_origin(script).url)
        client = self._closed_later(ManualTls(edge.tls_port))
        client.handshake()
        flight = []
        client.write(b"POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", flight.append)
        client.send_close_notify(flight.append)
        # At once, so that the end is known before the origin's connection is there.
        client.socket.sendall(b"".join(flight))
        client.socket.settimeout(1)
        try:
            for _ in range(64):
                client.socket.sendall(b"j" * 65_536)
        except OSError:
            pass  # edge may stop reading
        for _ in range(5):
            self.assertEqual(harness.get(edge.tls_port, tls=True).status, 200)
        release.set()

    def test_many_large_records_at_once_are_read(self):
        body = bytes(range(256)) * 2000
        client = self.manual()
        client.handshake()
        client.write(f"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        self.assertTrue(client.read_to_end().endswith(body + b"ok"))

    def test_plain_http_on_the_tls_port_ends(self):
        client = self.connect(self.edge.tls_port)
        client.send(REQUEST)
        try:
            answer = client.read_to_eof()
        except harness.IncompleteMessage:
            return
        self.assertNotIn(b" 200 ", answer)

    def test_broken_record_ends_the_connection_with_an_alert_and_nothing_reaches_the_origin(self):
        client = self.manual()
        client.handshake()
        client.write(REQUEST, lambda data: client.socket.sendall(data[:-1] + bytes([data[-1] ^ 1])))
        self.assertRaises(ssl.SSLError, client.read_to_end)
        self.assertEqual(self.origin.requests, [])

    def test_renegotiation_is_refused(self):
        text = harness.openssl_s_client(self.edge.tls_port, "-tls1_2", stdin=b"R\n")
        self.assertNotIn("verify return:1\nverify return:1\nread R BLOCK", text)
        self.assertEqual(harness.get(self.edge.tls_port, tls=True).status, 200)

    def test_key_update_is_followed(self):
        text = harness.openssl_s_client(self.edge.tls_port, "-tls1_3", stdin=b"K\n" + REQUEST)
        self.assertIn("KEYUPDATE", text)
        self.assertEqual(harness.get(self.edge.tls_port, tls=True).status, 200)

    def test_sessions_are_resumed(self):
        context = harness.tls_context()
        client = self.connect(self.edge.tls_port, tls=True, context=context)
        client.send(REQUEST)
        client.read_response()
        resumed = self.connect(self.edge.tls_port, tls=True, context=context, session=client.socket.session)
        resumed.send(REQUEST)
        self.assertEqual(resumed.read_response().status, 200)
        self.assertTrue(resumed.socket.session_reused)


if __name__ == "__main__":
    harness.main()
