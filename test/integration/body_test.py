"""Bodies of every size arrive unchanged, both ways, by every framing, plain and over TLS, with nginx as the origin."""

import hashlib
import os
import re
import subprocess

import harness

KIB = 1024
MIB = 1024 * KIB
LARGE = int(os.environ.get("EDGE_TEST_LARGE_BODY_MIB") or (64 if harness.SANITIZER else 1024)) * MIB
SIZES = (0, 1, 16 * KIB, MIB)
# Files may be stored by PUT; an added trailer makes nginx answer HTTP/1.1 with chunks.
NGINX = """
    location / { dav_methods PUT; create_full_put_path on; }
    location /chunked/ { alias %s/; add_trailer X-Origin-Trailer end; }
"""


def write_body(path, size):
    """A file in which no piece can be left out, doubled or moved unnoticed; returns its SHA-256."""
    block = os.urandom(min(size, MIB))
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        written = 0
        while written < size:
            # Each MiB begins with its number.
            piece = (written.to_bytes(8, "big") + block[8:])[: size - written]
            file.write(piece)
            digest.update(piece)
            written += len(piece)
    return digest.hexdigest()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def curl_to_sha256(*arguments):
    """Runs curl and hashes its output as it comes, so that a GiB needs no room."""
    command = [harness.find_program("curl"), "--silent", "--show-error", "--fail", "--insecure", "--noproxy", "*",
               "--max-time", str(60 * harness.TIMEOUT_FACTOR), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        digest = hashlib.sha256()
        while piece := child.stdout.read(MIB):
            digest.update(piece)
        error = child.stderr.read().decode()
    if child.returncode != 0:
        raise AssertionError(f"curl {arguments} ended with {child.returncode}: {error}")
    return digest.hexdigest()


class BodyTest(harness.EdgeTest):
    def setUp(self):
        www = self.directory / "nginx" / "www"
        self.origin = self.start_nginx_origin(NGINX % www)
        self.edge = self.start_edge(upstream=self.origin.url)
        self.bases = (f"http://127.0.0.1:{self.edge.port}", f"https://127.0.0.1:{self.edge.tls_port}")

    def check_download(self, size):
        expected = write_body(self.origin.root / "body", size)
        for base in self.bases:
            for version in ("--http1.0", "--http1.1"):
                for path in ("/body", "/chunked/body"):
                    with self.subTest(size=size, base=base, version=version, path=path):
                        self.assertEqual(curl_to_sha256(version, base + path), expected)

    def check_upload(self, size):
        source = self.directory / "source"
        expected = write_body(source, size)
        length = ()
        chunked = ("--header", "Transfer-Encoding: chunked")
        for base in self.bases:
            for version, framing in (("--http1.0", length), ("--http1.1", length), ("--http1.1", chunked)):
                if framing and size == 0:
                    continue  # curl 7.88 hangs by itself; message_test.py has the empty chunked body
                with self.subTest(size=size, base=base, version=version, framing=framing):
                    stored = self.origin.root / "stored"
                    stored.unlink(missing_ok=True)
                    # Without Expect curl sends at once, which is the harder case; message_test.py has the other.
                    curl_to_sha256(version, *framing, "--header", "Expect:", "--upload-file", source, base + "/stored")
                    self.assertEqual(sha256(stored), expected)

    def test_download_of_small_and_middling_bodies(self):
        for size in SIZES:
            self.check_download(size)

    def test_upload_of_small_and_middling_bodies(self):
        for size in SIZES:
            self.check_upload(size)

    def test_download_of_a_large_body(self):
        self.check_download(LARGE)

    def test_upload_of_a_large_body(self):
        self.check_upload(LARGE)

    def test_http_1_0_client_gets_no_chunks(self):
        write_body(self.origin.root / "body", 100 * KIB)
        client = self.connect(self.edge.port)
        client.send("GET /chunked/body HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        self.assertIn(response.framing, ("close", "length"))
        self.assertEqual(len(response.body), 100 * KIB)

    def test_sizes_around_the_buffers_of_edge(self):
        """A body that ends just before, at or after the end of a buffer must be whole all the same."""
        client = self.connect(self.edge.port)
        for near in (4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB):
            # The head takes some hundred bytes of the first buffer.
            for size in (*range(near - 3, near + 4), *range(near - 600, near, 37)):
                expected = write_body(self.origin.root / "body", size)
                for path in ("/body", "/chunked/body"):
                    client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
                    response = client.read_response()
                    self.assertEqual(hashlib.sha256(response.body).hexdigest(), expected, (size, path))

    def test_byte_counters_cover_the_bodies(self):
        write_body(self.origin.root / "body", MIB)
        harness.get(self.edge.port, "/body")
        sent = self.edge.metrics().value("edge_downstream_bytes_total", direction="sent")
        self.assertGreaterEqual(sent, MIB)
        self.assertLess(sent, MIB + 64 * KIB)
        source = self.directory / "source"
        write_body(source, MIB)
        curl_to_sha256("--upload-file", source, self.bases[0] + "/stored")
        received = self.edge.metrics().value("edge_downstream_bytes_total", direction="received")
        self.assertGreaterEqual(received, MIB)
        self.assertLess(received, MIB + 64 * KIB)

    def test_nothing_is_left_in_flight(self):
        """After the last response every buffer is back in its pool."""
        write_body(self.origin.root / "body", MIB)
        for base in self.bases:
            curl_to_sha256(base + "/body")

        def all_back():
            metrics = self.edge.metrics()
            free = metrics.by_label("edge_buffers_free", "pool")
            total = metrics.by_label("edge_buffers_total", "pool")
            # The scrape itself goes to the control thread, which has no buffers in these pools.
            return free == total

        harness.wait_until(all_back, "all buffers free")

    def test_origin_saw_one_framing_per_request(self):
        source = self.directory / "source"
        write_body(source, 5 * KIB)
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        for framing in ((), ("--header", "Transfer-Encoding: chunked")):
            curl_to_sha256(*framing, "--upload-file", source, f"http://127.0.0.1:{edge.port}/stored")
        heads = [request.raw_head for request in origin.requests]
        self.assertEqual([request.framing for request in origin.requests], ["length", "chunked"])
        self.assertEqual([len(re.findall(rb"(?i)content-length|transfer-encoding", head)) for head in heads], [1, 1])


if __name__ == "__main__":
    harness.main()
