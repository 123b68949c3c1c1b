"""The harness itself: a strict reader that let mistakes pass would make every other test pass."""

import socket
import unittest

import metrics
import wire


def reader(data):
    """A Wire whose peer has sent `data` and closed."""
    ours, theirs = socket.socketpair()
    theirs.sendall(data)
    theirs.close()
    return wire.Wire(ours)


class WireTest(unittest.TestCase):
    def test_reads_responses_of_every_framing(self):
        with reader(b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"
                    b"HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n"
                    b"HTTP/1.1 200 OK\r\n\r\nrest") as client:
            first = client.read_response()
            self.assertEqual((len(first.interim), first.body), (1, b"ok"))
            second = client.read_response()
            self.assertEqual((second.body, second.trailers.pairs), (b"ok", [("X", "y")]))
            self.assertEqual(client.read_response().body, b"")
            self.assertEqual(client.read_response().body, b"rest")

    def test_refuses_malformed_responses(self):
        for head in (b"HTTP/1.1  200 OK", b"HTTP/1.1 200", b"HTTP/2 200 OK", b"HTTP/1.1 200 OK\r\nX : y",
                     b"HTTP/1.1 200 OK\r\nX: y\r\n z", b"HTTP/1.1 200 OK\r\nX: \x00", b"HTTP/1.1 200 OK\r\nX: a\rb",
                     b"HTTP/1.1 200 OK\r\nX: a\nY: b", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 01", b"HTTP/1.1 200 OK\r\nContent-Length: +1",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", b"HTTP/1.1 204 X\r\nContent-Length: 0",
                     b"HTTP/1.1 103 X\r\nContent-Length: 0"):
            with self.subTest(head=head), reader(head + b"\r\n\r\n12345") as client:
                self.assertRaises(wire.ProtocolError, client.read_response)

    def test_refuses_malformed_chunks(self):
        for body in (b"0x2\r\nok\r\n0\r\n\r\n", b"2;ext\r\nok\r\n0\r\n\r\n", b"2\r\nokXX0\r\n\r\n", b"-1\r\n\r\n",
                     b"2 \r\nok\r\n0\r\n\r\n", b"2\nok\r\n0\r\n\r\n"):
            with self.subTest(body=body), reader(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body) as client:
                self.assertRaises(wire.ProtocolError, client.read_response)

    def test_tells_of_incomplete_messages(self):
        for data in (b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"):
            with self.subTest(data=data), reader(data) as client:
                self.assertRaises(wire.IncompleteMessage, client.read_response)


class MetricsTest(unittest.TestCase):
    GOOD = (
        "# HELP a_total Counts.\n# TYPE a_total counter\n"
        'a_total{worker="0",class="2xx"} 3\na_total{worker="1",class="2xx"} 4\na_total{worker="1",class="5xx"} 1\n'
        '# TYPE h histogram\nh_bucket{le="0.1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 0.5\nh_count 2\n'
    )

    def test_adds_up_series(self):
        found = metrics.parse(self.GOOD)
        self.assertEqual(found.value("a_total"), 8)
        self.assertEqual(found.value("a_total", **{"class": "2xx"}), 7)
        self.assertEqual(found.by_label("a_total", "worker"), {"0": 3, "1": 5})
        self.assertRaises(KeyError, found.value, "b_total")

    def test_refuses_what_the_format_forbids(self):
        for bad in (self.GOOD[:-1], self.GOOD + "a_total 1\n", self.GOOD + "unknown 1\n", self.GOOD + "# TYPE h gauge\n",
                    self.GOOD.replace('h_bucket{le="+Inf"} 2', 'h_bucket{le="+Inf"} 0'),
                    self.GOOD.replace('h_bucket{le="+Inf"} 2\n', ""), self.GOOD.replace("h_sum 0.5\n", ""),
                    self.GOOD.replace('worker="1",class="5xx"', 'worker="1",class="2xx"'),
                    self.GOOD.replace(" 3\n", " -3\n"), self.GOOD.replace(" 3\n", " three\n"),
                    self.GOOD.replace('"0"', "0")):
            with self.subTest(bad=bad[-60:]):
                self.assertRaises(metrics.FormatError, metrics.parse, bad)


if __name__ == "__main__":
    unittest.main(verbosity=2)
