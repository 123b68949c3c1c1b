"""Who is waited for when both directions move: a time-out is never that of the side that has nothing to do."""

import threading

import harness


def connect_slow_reader(test, port):
    return test.connect(port, receive_buffer=4096, segment=536)


class DuplexTimeTest(harness.EdgeTest):
    def test_upload_behind_an_early_response_head_takes_the_time_it_needs(self):
        """The origin has begun to answer and waits for the body: it is not late."""
        def answer_early(connection):
            head = connection.read_request_head()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            connection.read_request_body(head)
            connection.send("done")

        edge = self.start_edge("--upstream_timeout=500ms", upstream=self.start_raw_origin(answer_early).url)
        client = self.connect(edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            threading.Event().wait(0.1)
            client.send("x")
        self.assertEqual(client.read_response("POST").body, b"done")

    def test_slow_reader_of_an_early_response_is_no_late_origin(self):
        size = 1_000_000

        def answer_early(connection):
            head = connection.read_request_head()
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
            connection.read_request_body(head)

        edge = self.start_edge("--upstream_timeout=500ms", upstream=self.start_raw_origin(answer_early).url)
        client = connect_slow_reader(self, edge.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        response = client.read_response("POST", body=False)
        client.send("x")  # the end of the request, while the response waits for its reader
        threading.Event().wait(2)
        self.assertEqual(sum(len(piece) for piece in client.body_pieces(response)), size)
        self.assertEqual(edge.metrics().value("edge_upstream_errors_total"), 0)

    def test_time_of_a_response_ends_at_a_slow_reader_too(self):
        """All of it is in edge at once; what takes long is the client."""
        for size in (300_000, 8_000_000):
            with self.subTest(size=size):
                origin = self.start_raw_origin(harness.serve(
                    lambda request, size=size: harness.ok(request, b"x" * size)))
                edge = self.start_edge("--response_time_max=700ms", "--client_rate_min=0", upstream=origin.url)
                client = connect_slow_reader(self, edge.port)
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_response(body=False)
                harness.wait_until(
                    lambda edge=edge: edge.metrics().value("edge_upstream_errors_total", kind="response_timeout") == 1,
                    "the response is cut")


if __name__ == "__main__":
    harness.main()
