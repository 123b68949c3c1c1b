"""The PROXY protocol: a load balancer tells edge who the client is, and edge tells an origin."""

import ipaddress
import json
import socket
import struct
import time

import harness
from tls_socket import TlsSocket

LISTEN = "proxy+http://127.0.0.1:0,proxy+https://127.0.0.1:0"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# What a test's header says of its client, and what that client connected to.
CLIENT, DESTINATION = ("192.0.2.7", 4096), ("198.51.100.2", 443)


def v1(source=CLIENT, destination=DESTINATION):
    family = "TCP6" if ":" in source[0] else "TCP4"
    return f"PROXY {family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()


def v2_raw(version_command, family, rest):
    return SIGNATURE + struct.pack("!BBH", version_command, family, len(rest)) + rest


def v2(source=CLIENT, destination=DESTINATION, tlvs=b""):
    ips = [ipaddress.ip_address(host) for host, _ in (source, destination)]
    family = 0x21 if ips[0].version == 6 else 0x11
    return v2_raw(0x21, family, ips[0].packed + ips[1].packed + struct.pack("!HH", source[1], destination[1]) + tlvs)


V2_LOCAL = v2_raw(0x20, 0, b"")


def read_header(connection):
    """The PROXY header at the beginning of an origin's connection: (version, source, destination), or (version,)."""
    start = connection.read_exact(6)
    if start == b"PROXY ":
        words = connection.read_line().decode().split(" ")
        if words == ["UNKNOWN"]:
            return (1,)
        family, source, destination, source_port, destination_port = words
        assert family == ("TCP6" if ":" in source else "TCP4"), words
        return 1, (source, int(source_port)), (destination, int(destination_port))
    fixed = start + connection.read_exact(10)
    assert fixed[:12] == SIGNATURE, fixed
    version_command, family, length = struct.unpack("!BBH", fixed[12:])
    rest = connection.read_exact(length)
    if version_command == 0x20:
        assert (family, length) == (0, 0), fixed
        return (2,)
    assert version_command == 0x21 and (family, length) in ((0x11, 12), (0x21, 36)), fixed
    size = 4 if family == 0x11 else 16
    source_port, destination_port = struct.unpack("!HH", rest[2 * size:])
    return (2, (str(ipaddress.ip_address(rest[:size])), source_port),
            (str(ipaddress.ip_address(rest[size:2 * size])), destination_port))


class ProxiedOrigin:
    """A raw origin that expects a header on each connection, and remembers who each request came from."""

    def __init__(self, test, respond=harness.ok):
        self.headers = []
        self.served = []

        def script(connection):
            header = read_header(connection)
            self.headers.append(header)
            while request := connection.read_request():
                self.served.append((header, request))
                connection.send(respond(request))

        self.raw = test.start_raw_origin(script)
        self.port = self.raw.port

    def url(self, version):
        return f"proxy{version}+http://127.0.0.1:{self.port}"


class HeaderFirst:
    """As much of a socket as TlsSocket needs; `header` goes out in one piece with the first bytes that are sent, or all
    of it in pieces of `step` bytes."""

    def __init__(self, port, header, step=None):
        self.socket = socket.create_connection(("127.0.0.1", port), harness.TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header = header
        self.step = step

    def sendall(self, data):
        data, self.header = self.header + bytes(data), b""
        step = self.step or len(data)
        for at in range(0, len(data), step):
            self.socket.sendall(data[at:at + step])

    def dup(self):
        return self

    def __getattr__(self, name):
        return getattr(self.socket, name)


class ProxiedEdgeTest(harness.EdgeTest):
    """Verbs: an edge with listeners that expect a header, and clients that send one."""

    def start(self, *flags, source="127.0.0.0/8", listen=LISTEN, **options):
        self.origin = self.start_raw_origin()
        options.setdefault("upstream", self.origin.url)
        self.edge = self.start_edge(f"--proxy_protocol_from={source}", *flags, listen=listen, **options)
        return self.edge

    def client(self, header, tls=False, step=None):
        sock = HeaderFirst(self.edge.proxy_tls_port if tls else self.edge.proxy_port, header, step)
        wrapped = TlsSocket(sock, harness.tls_context(), "localhost") if tls else sock
        return self._closed_later(harness.Wire(wrapped))

    def raw_client(self, data=b"", tls=False):
        client = self.connect(self.edge.proxy_tls_port if tls else self.edge.proxy_port)
        client.send(data)
        return client

    def errors(self):
        counts = self.edge.metrics().by_label("edge_proxy_protocol_errors_total", "reason")
        return {reason: int(count) for reason, count in counts.items() if count}

    def headers(self, version):
        return self.edge.metrics().value("edge_proxy_protocol_headers_total", version=str(version))

    def ask(self, client, fields=""):
        """The request that the origin saw."""
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
        self.assertEqual(client.read_response().status, 200)
        return self.origin.requests[-1]

    @staticmethod
    def bytes_until_end(client):
        try:
            return client.read_to_eof()
        except ConnectionResetError:  # it closes with bytes unread
            return b""


class ListenerTest(ProxiedEdgeTest):
    def test_source_of_the_header_is_the_client(self):
        log = self.directory / "access.log"
        self.start(f"--access_log={log}")
        announced = []
        for tls in (False, True):
            for header in (v1, v2):
                for source, destination in ((CLIENT, DESTINATION), (("2001:db8::7", 1), ("2001:db8::8", 65535))):
                    with self.subTest(tls=tls, header=header.__name__, source=source):
                        client = self.client(header(source, destination), tls)
                        seen = self.ask(client)
                        self.assertEqual(seen.fields.all("X-Forwarded-For"), [source[0]])
                        self.assertEqual(seen.fields.get("X-Forwarded-Proto"), "https" if tls else "http")
                        self.assertEqual(self.ask(client).fields.all("X-Forwarded-For"), [source[0]])
                        announced += [source[0]] * 2
        self.assertEqual((self.headers(1), self.headers(2)), (4, 4))
        self.assertEqual(self.errors(), {})
        harness.wait_until(lambda: log.read_text().count("\n") == len(announced), "a line for each request")
        self.assertEqual([json.loads(line)["client"] for line in log.read_text().splitlines()], announced)

    def test_local_and_unknown_leave_the_address_of_the_socket(self):
        self.start()
        for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ::1 ::1 1 2\r\n", V2_LOCAL, v2_raw(0x21, 0, b""),
                       v2_raw(0x21, 0x31, b"u" * 216)):
            for tls in (False, True):
                with self.subTest(header=header, tls=tls):
                    self.assertEqual(self.ask(self.client(header, tls)).fields.all("X-Forwarded-For"), ["127.0.0.1"])

    def test_clients_that_a_trusted_balancer_does_not_name_are_not_trusted(self):
        """LOCAL is the balancer itself; UNKNOWN is anybody."""
        self.start("--trusted_proxies=127.0.0.1")
        theirs = "X-Forwarded-For: 203.0.113.9\r\n"
        for header, expected in ((V2_LOCAL, "203.0.113.9, 127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
                                 (v2_raw(0x21, 0, b""), "127.0.0.1"), (v2_raw(0x21, 0x31, b"u" * 216), "127.0.0.1")):
            with self.subTest(header=header):
                self.assertEqual(self.ask(self.client(header), theirs).fields.all("X-Forwarded-For"), [expected])

    def test_trusted_proxies_are_judged_by_the_announced_source(self):
        self.start("--trusted_proxies=192.0.2.0/24")
        theirs = "X-Forwarded-For: 203.0.113.9\r\n"
        self.assertEqual(self.ask(self.client(v1()), theirs).fields.all("X-Forwarded-For"), ["203.0.113.9, 192.0.2.7"])
        self.assertEqual(self.ask(self.client(v1(("198.18.0.1", 1))), theirs).fields.all("X-Forwarded-For"),
                         ["198.18.0.1"])

    def test_balancer_itself_need_not_be_trusted(self):
        self.start("--trusted_proxies=127.0.0.1")
        self.assertEqual(self.ask(self.client(v2()), "X-Forwarded-For: 203.0.113.9\r\n").fields.all("X-Forwarded-For"),
                         ["192.0.2.7"])

    def test_header_may_come_in_any_pieces_and_what_follows_is_not_lost(self):
        self.start()
        for tls in (False, True):
            for header in (v1(), v2(), v2(tlvs=b"\x04\x03\x00" + b"n" * 768)):
                for step in (None, 1, 7):
                    with self.subTest(tls=tls, header=header[:20], step=step):
                        client = self.client(header, tls, step)
                        self.assertEqual(self.ask(client).fields.all("X-Forwarded-For"), ["192.0.2.7"])

    def test_header_may_be_cut_anywhere(self):
        self.start()
        for header in (v1(), v2()):
            data = header + REQUEST
            for cut in range(1, len(header) + 2):
                client = self.raw_client(data[:cut])
                client.send(data[cut:])
                self.assertEqual(client.read_response().status, 200, cut)
                client.close()
        self.assertEqual({request.fields.get("X-Forwarded-For") for request in self.origin.requests}, {"192.0.2.7"})
        self.assertEqual(self.errors(), {})

    def test_longest_header_fits_the_smallest_buffers(self):
        self.start("--buffer_size=1024")
        longest = v2(tlvs=b"\x04\x03\xe1" + b"n" * 993)
        self.assertEqual(len(longest), 1024)
        for tls in (False, True):
            for step in (None, 257, 300, 512, 1000, 1023):
                self.assertEqual(self.ask(self.client(longest, tls, step)).fields.all("X-Forwarded-For"), ["192.0.2.7"])

    def test_requests_in_one_piece_with_the_header_are_answered(self):
        self.start()
        client = self.raw_client(v2() + REQUEST + REQUEST)
        client.close_write()
        for _ in range(2):
            self.assertEqual(client.read_response().status, 200)
        client.expect_closed()

    def test_large_body_follows_the_header(self):
        self.start(upstream=self.start_raw_origin(harness.serve(lambda r: harness.ok(r, r.body))).url)
        body = bytes(range(256)) * 4096
        for tls in (False, True):
            client = self.client(v2(), tls)
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertEqual(client.read_response("POST").body, body)

    def test_other_sources_are_closed_at_once(self):
        self.start(source="192.0.2.0/24,::1")
        for count, tls in enumerate((False, True), 1):
            client = self.connect(self.edge.proxy_tls_port if tls else self.edge.proxy_port)
            self.assertEqual(client.read_to_eof(), b"")
            self.assertEqual(self.errors(), {"source.not_allowed": count})
        self.assertEqual(self.edge.metrics().value("edge_connections_active"), 0)

    def test_header_is_never_optional(self):
        self.start()
        for count, (data, tls) in enumerate(((REQUEST, False), (REQUEST, True), (b"\x16\x03\x01\x02\x00\x01\x00", True),
                                             (b"\x16\x03\x01\x02\x00\x01\x00", False)), 1):
            client = self.raw_client(data, tls)
            self.assertEqual(self.bytes_until_end(client), b"")
            self.assertEqual(self.errors(), {"missing": count})
        self.assertEqual(self.origin.requests, [])
        self.assertEqual(self.edge.metrics().value("edge_refusals_total"), 0)

    def test_what_is_malformed_is_closed_and_counted_by_reason(self):
        self.start()
        cases = [
            ("v1.too_long", b"PROXY TCP4 " + b"1" * 96),
            ("v1.syntax", b"PROXY TCP4  192.0.2.7 198.51.100.2 1 2\r\n"),
            ("v1.syntax", v1().replace(b"\r\n", b"\n")),
            ("v1.address", v1(("192.0.2.256", 1))),
            ("v1.port", v1(("192.0.2.7", "01"))),
            ("v2.version", v2_raw(0x31, 0x11, b"x" * 12)),
            ("v2.command", v2_raw(0x22, 0x11, b"x" * 12)),
            ("v2.family", v2_raw(0x21, 0x12, b"x" * 12)),
            ("v2.length", v2_raw(0x21, 0x11, b"x" * 11)),
            ("v2.length", SIGNATURE + b"\x21\x11\xff\xff"),
            ("v2.tlv", v2(tlvs=b"\x04\x00\x01")),
            ("v2.checksum", v2(tlvs=b"\x03\x00\x04abcd")),
        ]
        expected = {}
        for tls in (False, True):
            for reason, header in cases:
                with self.subTest(header=header, tls=tls):
                    self.assertEqual(self.bytes_until_end(self.raw_client(header + REQUEST, tls)), b"")
                    expected[reason] = expected.get(reason, 0) + 1
                    self.assertEqual(self.errors(), expected)
        self.assertEqual(self.origin.requests, [])

    def test_late_header_is_closed(self):
        self.start("--header_timeout=300ms")
        for count, (data, tls) in enumerate(((b"", False), (b"", True), (v1()[:-1], False), (v2()[:-1], True)), 1):
            self.assertEqual(self.raw_client(data, tls).read_to_eof() if data == b"" else
                             self.bytes_until_end(self.raw_client(data, tls)), b"")
            self.assertEqual(self.errors(), {"timeout": count})

    def test_limit_is_for_the_whole_header_and_the_handshake(self):
        self.start("--header_timeout=1s")
        started = time.monotonic()
        client = self.raw_client(v1()[:6], tls=True)
        closed = False
        while not closed and time.monotonic() - started < harness.TIMEOUT_S:
            try:
                client.send("1")
            except ConnectionError:
                break
            closed = client.has_input(0.1)
        self.assertEqual(self.errors(), {"timeout": 1})
        client = self.raw_client(v2() + b"\x16\x03\x01\x02\x00\x01", tls=True)
        self.assertEqual(self.bytes_until_end(client), b"")
        self.assertEqual(self.errors(), {"timeout": 1})
        self.assertEqual(self.edge.metrics().value("edge_tls_handshake_failures_total"), 1)

    def test_end_within_the_header_is_counted_and_one_before_it_is_not(self):
        self.start()
        for tls in (False, True):
            self.raw_client(b"", tls).close()
            client = self.raw_client(v2()[:20], tls)
            client.close_write()
            self.assertEqual(client.read_to_eof(), b"")
        harness.wait_until(lambda: self.edge.metrics().value("edge_connections_active") == 0, "all closed")
        self.assertEqual(self.errors(), {"closed_early": 2})

    def test_ordinary_listener_takes_no_header(self):
        self.start(listen=LISTEN + "," + "http://127.0.0.1:0")
        client = self.connect(self.edge.port)
        client.send(v1() + REQUEST)
        self.assertEqual(client.read_response().status, 400)
        self.assertEqual(harness.get(self.edge.port).status, 200)
        self.assertEqual(self.headers(1), 0)

    def test_half_headers_do_not_starve_others(self):
        """Each holds a receive buffer, of which there are eight."""
        self.start("--buffers=16", "--header_timeout=10m", listen=LISTEN + ",http://127.0.0.1:0")
        halves = [self.raw_client(v1()[:10]) for _ in range(12)]
        harness.wait_until(lambda: self.edge.metrics().value("edge_buffers_free", pool="head") == 0, "no buffer left")
        self.assertEqual(harness.get(self.edge.port).status, 200)
        harness.wait_until(lambda: self.edge.metrics().value("edge_connections_shed_total") > 0, "shedding")
        # Those that came first gave way.
        self.assertEqual(self.bytes_until_end(halves[0]), b"")

    def test_drain_waits_for_a_client_whose_header_is_on_its_way(self):
        self.start()
        client = self.raw_client(v1()[:10])
        harness.wait_until(lambda: self.edge.metrics().value("edge_connections_active") == 1, "connection")
        self.edge.sigterm()
        harness.wait_until(lambda: "draining" in self.edge.log, "drain")
        client.send(v1()[10:] + REQUEST)
        self.assertEqual(client.read_response().status, 200)
        client.expect_closed()
        self.assertEqual(self.edge.wait_exit(), 0)


class BalancerTest(ProxiedEdgeTest):
    """Real senders: HAProxy and curl."""

    def check(self, server, tls, version):
        self.start()
        edge_port = self.edge.proxy_tls_port if tls else self.edge.proxy_port
        haproxy = self.start_haproxy(f"  mode tcp\n  default_backend edge\n"
                                     f"backend edge\n  mode tcp\n  server edge 127.0.0.1:{edge_port} {server}\n")
        scheme = "https" if tls else "http"
        answer = harness.curl("--interface", "127.0.0.5", f"{scheme}://127.0.0.1:{haproxy.port}/")
        self.assertEqual(answer.status, 200, answer.error)
        self.assertEqual(self.origin.requests[-1].fields.all("X-Forwarded-For"), ["127.0.0.5"])
        harness.wait_until(lambda: self.headers(version) >= 1, "header")
        self.assertEqual(self.errors(), {})

    def test_haproxy_send_proxy(self):
        self.check("send-proxy", tls=False, version=1)

    def test_haproxy_send_proxy_with_tls_passed_through(self):
        self.check("send-proxy", tls=True, version=1)

    def test_haproxy_send_proxy_v2(self):
        self.check("send-proxy-v2", tls=False, version=2)

    def test_haproxy_send_proxy_v2_with_tlvs_and_tls_passed_through(self):
        self.check("send-proxy-v2 proxy-v2-options crc32c,unique-id,authority", tls=True, version=2)

    def test_haproxy_health_checks_are_local(self):
        self.start()
        self.start_haproxy(f"  mode tcp\n  default_backend edge\nbackend edge\n  mode tcp\n"
                           f"  server edge 127.0.0.1:{self.edge.proxy_port} send-proxy-v2 check inter 100ms\n")
        harness.wait_until(lambda: self.headers(2) >= 3, "health checks")
        self.assertEqual(self.errors(), {})

    def test_curl(self):
        self.start()
        for tls in (False, True):
            url = f"https://127.0.0.1:{self.edge.proxy_tls_port}" if tls else f"http://127.0.0.1:{self.edge.proxy_port}"
            answer = harness.curl("--haproxy-protocol", "--interface", "127.0.0.6", url)
            self.assertEqual(answer.status, 200, answer.error)
            self.assertEqual(self.origin.requests[-1].fields.all("X-Forwarded-For"), ["127.0.0.6"])
        self.assertEqual(self.headers(1), 2)


class UpstreamTest(harness.EdgeTest):
    def client(self, port, host="127.0.0.1"):
        sock = socket.create_connection(("127.0.0.1", port), harness.TIMEOUT_S, source_address=(host, 0))
        return self._closed_later(harness.Wire(sock))

    def ask(self, client, request=REQUEST):
        client.send(request)
        response = client.read_response()
        self.assertEqual(response.status, 200)
        return response

    def test_origin_is_told_the_client_and_what_it_connected_to(self):
        for version in (1, 2):
            origin = ProxiedOrigin(self)
            edge = self.start_edge(upstream=origin.url(version))
            client = self.client(edge.port, "127.0.0.5")
            self.ask(client)
            self.assertEqual(origin.headers, [(version, client.socket.getsockname(), ("127.0.0.1", edge.port))])

    def test_origin_is_told_of_ipv6_clients(self):
        for version in (1, 2):
            origin = ProxiedOrigin(self)
            edge = self.start_edge(upstream=origin.url(version), listen="http://[::1]:0")
            client = self.connect(edge.port, host="::1")
            self.ask(client)
            self.assertEqual(origin.headers, [(version, client.socket.getsockname()[:2], ("::1", edge.port))])

    def test_ipv4_client_of_a_dual_stack_listener_is_ipv4(self):
        origin = ProxiedOrigin(self)
        edge = self.start_edge(upstream=origin.url(2), listen="http://:0")
        client = self.client(edge.port)
        self.ask(client)
        self.assertEqual(origin.headers, [(2, client.socket.getsockname(), ("127.0.0.1", edge.port))])

    def test_header_of_the_client_is_passed_on(self):
        for version in (1, 2):
            origin = ProxiedOrigin(self)
            edge = self.start_edge("--proxy_protocol_from=127.0.0.1", upstream=origin.url(version), listen=LISTEN)
            for header, expected in ((v1(), (version, CLIENT, DESTINATION)), (v2(), (version, CLIENT, DESTINATION)),
                                     (b"PROXY UNKNOWN\r\n", (version,)), (V2_LOCAL, (version,))):
                self.ask(self.client(edge.proxy_port), header + REQUEST)
                self.assertEqual(origin.headers[-1], expected)

    def test_connection_speaks_for_one_client_and_is_never_pooled(self):
        for version in (1, 2):
            origin = ProxiedOrigin(self)
            edge = self.start_edge(upstream=origin.url(version))
            clients = [self.client(edge.port, f"127.0.0.{number}") for number in (5, 6)]
            for _ in range(5):
                for client in clients:
                    self.ask(client)
            self.assertEqual([header[1] for header, _ in origin.served],
                             [client.socket.getsockname() for client in clients] * 5)
            self.assertEqual(len(origin.raw.connections), 10)
            metrics = edge.metrics()
            self.assertEqual(metrics.value("edge_upstream_reuses_total"), 0)
            self.assertEqual(metrics.value("edge_upstream_idle"), 0)

    def test_clients_at_the_same_time_are_told_apart(self):
        origin = ProxiedOrigin(self, lambda request: harness.ok(request, b"x" * 20_000))
        edge = self.start_edge(upstream=origin.url(2))
        clients = [self.client(edge.port, f"127.0.0.{number}") for number in range(2, 42)]
        for round_number in range(3):
            for number, client in enumerate(clients):
                client.send(f"GET /{number}/{round_number} HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                self.assertEqual(len(client.read_response().body), 20_000)
        self.assertEqual(len(origin.served), 120)
        for header, request in origin.served:
            number = int(request.target.split("/")[1])
            self.assertEqual(header[1], clients[number].socket.getsockname())

    def test_other_origins_are_pooled_as_ever(self):
        proxied, plain = ProxiedOrigin(self), self.start_raw_origin()
        edge = self.start_edge(upstream=[proxied.url(1), plain.url])
        client = self.client(edge.port)
        harness.wait_until(lambda: self.ask(client) and len(proxied.served) > 3 and len(plain.requests) > 3, "both")
        self.assertEqual(len(proxied.headers), len(proxied.served))
        self.assertEqual(len(plain.connections), 1)

    def test_retry_after_a_refused_connect_writes_the_header_anew(self):
        refusing, origin = self.start_refusing_origin(), ProxiedOrigin(self)
        edge = self.start_edge(upstream=[refusing.url.replace("http", "proxy1+http"), origin.url(2)])
        client = self.client(edge.port)
        harness.wait_until(lambda: self.ask(client) and edge.metrics().value("edge_upstream_retries_total") > 0,
                           "a retry")
        self.assertEqual(set(origin.headers), {(2, client.socket.getsockname(), ("127.0.0.1", edge.port))})

    def test_large_head_and_body_follow_the_header(self):
        origin = ProxiedOrigin(self, lambda request: harness.ok(request, request.body))
        for version in (1, 2):
            edge = self.start_edge(upstream=origin.url(version))
            body = b"b" * 300_000
            for size in [10, 3000, *range(5800, 6000, 10), 20_000]:
                client = self.client(edge.port)
                client.send(f"POST / HTTP/1.1\r\nHost: a\r\nX-Large: {'x' * size}\r\nContent-Length: {len(body)}\r\n\r\n")
                client.send(body)
                self.assertEqual(client.read_response("POST").body, body)
                header, request = origin.served[-1]
                self.assertEqual(header, (version, client.socket.getsockname(), ("127.0.0.1", edge.port)))
                self.assertEqual(len(request.fields.get("X-Large")), size)
                client.close()

    def test_nginx_reads_the_header(self):
        """nginx answers with what it understood."""
        nginx = self.start_nginx_origin(
            'location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr '
            '$proxy_protocol_server_port"; }', listen="proxy_protocol")
        self.check_receiver(nginx.port)

    def test_haproxy_reads_the_header(self):
        """HAProxy answers with what it understood."""
        haproxy = self.start_haproxy('  mode http\n  http-request return status 200 content-type text/plain '
                                     'lf-string "%[src] %[src_port] %[dst] %[dst_port]"\n', bind="accept-proxy")
        self.check_receiver(haproxy.port)

    def check_receiver(self, port):
        for version in (1, 2):
            edge = self.start_edge("--proxy_protocol_from=127.0.0.1", upstream=f"proxy{version}+http://127.0.0.1:{port}",
                                   listen="http://127.0.0.1:0," + LISTEN)
            for host in ("127.0.0.5", "127.0.0.6", "127.0.0.5"):
                client = self.client(edge.port, host)
                self.assertEqual(self.ask(client).body.decode(),
                                 f"{host} {client.socket.getsockname()[1]} 127.0.0.1 {edge.port}")
            source, destination = ("2001:db8::7", 1), ("2001:db8::8", 65535)
            self.assertEqual(self.ask(self.client(edge.proxy_port), v2(source, destination) + REQUEST).body.decode(),
                             "2001:db8::7 1 2001:db8::8 65535")


class CommandLineTest(harness.EdgeTest):
    def test_listener_without_allowed_sources_is_a_mistake(self):
        edge = self.launch_edge("--listen=proxy+https://127.0.0.1:0", "--admin=")
        self.assertEqual(edge.wait_exit(), 2)
        self.assertEqual(edge.log, "edge: --proxy_protocol_from: found nothing, expected the address blocks that may "
                                   "connect to 'proxy+https://127.0.0.1:0'\n")

    def test_check_and_start_say_who_may_connect(self):
        flags = ["--listen=proxy+http://127.0.0.1:0", "--proxy_protocol_from=10.0.0.0/8,::1", "--admin=",
                 "--upstream=proxy2+http://127.0.0.1:1"]
        edge = self.launch_edge("--check", *flags)
        self.assertEqual(edge.wait_exit(), 0)
        self.assertRegex(edge.output, r"(?m)^listener proxy\+http://127.0.0.1:\d+, PROXY headers from 10.0.0.0/8, ::1$")
        edge = self.launch_edge(*flags).wait_ready()
        self.assertRegex(edge.log,
                         r"listening on proxy\+http://127.0.0.1:\d+, PROXY headers from 10.0.0.0/8, ::1\n")
        self.assertIn("upstreams: 127.0.0.1:1 (PROXY header, version 2)\n", edge.log)


if __name__ == "__main__":
    harness.main()
