"""Conversations made up at random: good ones must come out unchanged, and bad ones must leave nothing behind.

The seed is printed; EDGE_TEST_SEED repeats a run (its timing differs). Counts, not clocks, bound it.
"""

import hashlib
import os
import random
import threading

import harness

SEED = int(os.environ.get("EDGE_TEST_SEED") or random.randrange(2**32))
CONVERSATIONS = 60 if harness.SANITIZER else 200
SIZES = (0, 1, 2, 100, 4095, 4096, 4097, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000)


def frame(rng, body, trailers=True):
    """(fields, framed body): a Content-Length or chunks of random sizes."""
    if rng.random() < 0.5:
        return f"Content-Length: {len(body)}\r\n", body
    framed, position = [], 0
    while position < len(body):
        size = min(rng.choice((1, 2, 10, 1000, 16_384, 70_000)), len(body) - position)
        framed.append(f"{size:x}\r\n".encode() + body[position : position + size] + b"\r\n")
        position += size
    end = b"0\r\nX-Trailer: t\r\n\r\n" if trailers and rng.random() < 0.3 else b"0\r\n\r\n"
    return "Transfer-Encoding: chunked\r\n", b"".join(framed) + end


def send_in_pieces(rng, wire, data):
    position = 0
    while position < len(data):
        size = rng.choice((1, 7, 100, 1460, 5000, 100_000, 1_000_000))
        if len(data) - position > 20_000:
            size = max(size, 1460)  # single bytes of a large body only take time
        wire.send(data[position : position + size])
        position += size


class Conversation:
    """Some requests in a row, what their bodies are, and what the origin will answer to each."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.exchanges = []
        self.tls = rng.random() < 0.5
        self.pipelined = rng.random() < 0.5
        # Python's TLS sockets must not be written by one thread and read by another: what is pipelined over TLS has to
        # fit into the sockets, so that it can be sent before anything is read.
        sizes = SIZES[:4] if self.tls and self.pipelined else SIZES
        for number in range(rng.randint(1, 8)):
            body = rng.randbytes(rng.choice(sizes))
            method = rng.choice(("GET", "HEAD", "POST", "PUT"))
            self.exchanges.append((method, f"/{seed}/{number}", body if method in ("POST", "PUT") else None))
        self.rng = rng

    def request(self, method, target, body):
        fields, framed = frame(self.rng, body) if body is not None else ("", b"")
        return f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode() + framed


def response_body(target, request_body):
    """What the origin answers: as long and as random as the target says, so both sides can work it out."""
    rng = random.Random(target)
    return hashlib.sha256(request_body).digest() + rng.randbytes(rng.choice(SIZES))


def answer(connection):
    """An origin's script: answers each request as its target says, in random framing and random pieces."""
    while request := connection.read_request():
        rng = random.Random("origin" + request.target)
        body = response_body(request.target, request.body)
        if rng.random() < 0.2:
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
        fields, framed = frame(rng, body)
        closing = rng.random() < 0.1
        if closing:
            fields, framed = ("Connection: close\r\n", body) if request.method != "HEAD" else (
                fields + "Connection: close\r\n", framed)
        head = f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode()
        send_in_pieces(rng, connection, head + (b"" if request.method == "HEAD" else framed))
        if closing:
            return


class ConversationTest(harness.EdgeTest):
    def hold(self, edge, seed):
        conversation = Conversation(seed)
        client = harness.connect(edge.tls_port if conversation.tls else edge.port, tls=conversation.tls)
        with client:
            client.keep_received = False
            if conversation.pipelined:
                data = b"".join(conversation.request(*exchange) for exchange in conversation.exchanges)
                # Sent by a thread of its own: with everybody writing first, nobody would read.
                sender = threading.Thread(target=send_in_pieces, args=(conversation.rng, client, data))
                sender.start()
                for exchange in conversation.exchanges:
                    self.check(client, exchange)
                sender.join(harness.TIMEOUT_S)
            else:
                for exchange in conversation.exchanges:
                    send_in_pieces(conversation.rng, client, conversation.request(*exchange))
                    self.check(client, exchange)

    def check(self, client, exchange):
        method, target, body = exchange
        response = client.read_response(method)
        self.assertEqual(response.status, 200, (exchange, response))
        if method != "HEAD":
            self.assertEqual(response.body, response_body(target, body or b""), (method, target))

    def test_random_conversations_come_out_unchanged(self):
        print(f"EDGE_TEST_SEED={SEED}")
        origin = self.start_raw_origin(answer)
        edge = self.start_edge("--buffers=64", "--body_buffers=16", upstream=origin.url)
        failures = []

        def talk(first):
            for number in range(first, CONVERSATIONS, 4):
                try:
                    self.hold(edge, SEED + number)
                except BaseException as error:  # pylint: disable=broad-except
                    failures.append(f"conversation {SEED + number}: {error!r:.2000}")
                    return

        threads = [threading.Thread(target=talk, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        expect_nothing_left(edge)


def expect_nothing_left(edge):
    """All clients have gone: no connection, no exchange and no buffer may be in use."""

    def nothing_left():
        metrics = edge.metrics()
        return (metrics.value("edge_connections_active") == 0
                and metrics.get("edge_exchanges_active") == 0
                and metrics.by_label("edge_buffers_free", "pool") == metrics.by_label("edge_buffers_total", "pool"))

    try:
        harness.wait_until(nothing_left, "nothing left in use")
    except AssertionError as error:
        metrics = edge.metrics()
        raise AssertionError(
            f"{error}: {metrics.value('edge_connections_active')} connections, "
            f"{metrics.get('edge_exchanges_active')} exchanges, free buffers "
            f"{metrics.by_label('edge_buffers_free', 'pool')} of {metrics.by_label('edge_buffers_total', 'pool')}"
        ) from None


class MisbehaviourTest(harness.EdgeTest):
    """Clients and origins that break off, stall, reset and send garbage, many at once."""

    ENDINGS = ("close", "reset", "half-close")

    def misbehave_as_origin(self, connection):
        rng = random.Random(SEED * 1000 + connection.index)
        while True:
            if rng.random() < 0.1:
                return self.end(rng, connection)
            request = connection.read_request_head()
            if rng.random() < 0.8:
                connection.read_request_body(request)
            what = rng.randrange(10)
            if what == 0:
                return self.end(rng, connection)
            if what == 1:
                connection.send(rng.randbytes(rng.choice((1, 100, 10_000))))
                return self.end(rng, connection)
            if what == 2:
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + "x" * rng.randrange(100_000))
                return self.end(rng, connection)
            if what == 3:
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                return self.end(rng, connection)
            if what == 4:
                connection.send("HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 20")
                return self.end(rng, connection)
            body = b"x" * rng.choice(SIZES)
            fields, framed = frame(rng, body)
            connection.send(f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode() + (b"" if request.method == "HEAD" else framed))

    def end(self, rng, wire):
        ending = rng.choice(self.ENDINGS)
        if ending == "reset":
            wire.reset()
        elif ending == "half-close":
            try:
                wire.close_write()
                wire.at_eof()
            except (OSError, TimeoutError):
                pass
        wire.close()

    def misbehave_as_client(self, edge, rng):
        tls = rng.random() < 0.4
        client = harness.connect(edge.tls_port if tls else edge.port, tls=tls, receive_buffer=rng.choice((None, 4096)))
        client.keep_received = False
        client.socket.settimeout(0.3)
        try:
            for _ in range(rng.randint(0, 4)):
                method = rng.choice(("GET", "HEAD", "POST"))
                body = b"y" * rng.choice(SIZES)
                fields, framed = frame(rng, body) if method == "POST" else ("", b"")
                data = f"{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode() + framed
                what = rng.randrange(6)
                if what == 0:
                    client.send(data[: rng.randrange(len(data))])
                    break
                if what == 1:
                    client.send(rng.randbytes(200))
                    break
                client.send(data)
                if what == 2:
                    break
                if what == 3:
                    client.read_some(100)
                    break
                client.read_response(method)
            self.end(rng, client)
        except (OSError, harness.IncompleteMessage, harness.ProtocolError, TimeoutError):
            # What the origin made up may be cut off; what edge itself frames is judged by the other test.
            client.close()

    def test_nothing_is_left_of_broken_conversations(self):
        print(f"EDGE_TEST_SEED={SEED}")
        origin = harness.RawOrigin(self.misbehave_as_origin)
        origin.failures = _Ignored()
        self.addCleanup(origin.close)
        edge = self.start_edge("--buffers=64", "--body_buffers=16", "--header_timeout=2s", "--idle_timeout=2s",
                               "--upstream_timeout=2s", upstream=origin.url)
        descriptors = edge.descriptors()

        def client(number):
            rng = random.Random(SEED * 7919 + number)
            for _ in range(CONVERSATIONS // 4):
                try:
                    self.misbehave_as_client(edge, rng)
                except OSError:
                    if not edge.running:
                        return

        threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(edge.running, "edge has ended")
        expect_nothing_left(edge)
        # Idle upstream connections may stay, up to one a client.
        harness.wait_until(lambda: edge.descriptors() <= descriptors + 16, "descriptors closed")
        self.assertEqual([name for name in edge.threads() if name.startswith("iou-wrk")], [])


class _Ignored(list):
    """Failures of scripts that are meant to fail."""

    def append(self, _):
        pass


if __name__ == "__main__":
    harness.main()
