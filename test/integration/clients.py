"""Clients of the tests: raw sockets, TLS by Python's ssl, curl, openssl s_client, wrk."""

import re
import socket
import ssl
import subprocess
import tempfile

from environment import TIMEOUT_S, find_program
from tls_socket import TlsSocket
from wire import Fields, Wire


def tls_context(minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.TLSv1_3, alpn=("http/1.1",)):
    """A client's context that takes edge's self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = minimum
    context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connect(port, tls=False, host="127.0.0.1", receive_buffer=None, segment=None, context=None, session=None):
    """A Wire to host:port. receive_buffer makes a slow reader's window small, segment the server's send buffer, which
    on loopback is megabytes otherwise; session is one to resume."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if segment:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
    sock.settimeout(TIMEOUT_S)
    try:
        sock.connect((host, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = TlsSocket(sock, context or tls_context(), "localhost", session)
    except BaseException:
        sock.close()
        raise
    return Wire(sock)


def get(port, target="/", fields="", tls=False, method="GET", host="test.example"):
    """One request on a connection of its own."""
    with connect(port, tls) as client:
        client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n")
        return client.read_response(method)


class CurlResult:
    """The last response that curl saw, and its exit status."""

    def __init__(self, exit_status, heads, body, error):
        self.exit_status = exit_status
        self.body = body
        self.error = error
        self.status = None
        self.fields = Fields()
        for head in heads.split("\r\n\r\n"):
            lines = head.split("\r\n")
            match = re.match(r"HTTP/(\S+) (\d+)", lines[0])
            if match:
                self.version, self.status = match[1], int(match[2])
                self.fields = Fields(tuple(line.split(": ", 1)) for line in lines[1:] if ": " in line)


def curl(*arguments, stdin=None, timeout_s=None):
    """Runs curl on its arguments; the body comes back in memory unless --output is among them."""
    timeout_s = timeout_s or TIMEOUT_S
    with tempfile.NamedTemporaryFile() as heads:
        command = [find_program("curl"), "--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time",
                   str(timeout_s), "--dump-header", heads.name, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout_s + 10)
        return CurlResult(done.returncode, heads.read().decode("latin-1"), done.stdout, done.stderr.decode())


def openssl_s_client(port, *arguments, stdin=b"", timeout_s=None):
    """The output of `openssl s_client` as text: what was negotiated, and what the server said."""
    command = [find_program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *arguments]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout_s or TIMEOUT_S)
    return done.stdout.decode("latin-1")


class WrkResult:
    """What wrk counted. `errors` sums its socket errors and its answers other than 2xx and 3xx."""

    def __init__(self, text):
        self.text = text
        requests = re.search(r"(\d+) requests in", text)
        if not requests:
            raise AssertionError(f"wrk measured nothing:\n{text}")
        self.requests = int(requests[1])
        self.requests_per_second = float(re.search(r"Requests/sec:\s+([0-9.]+)", text)[1])
        socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        self.errors = sum(int(number) for number in socket_errors.groups()) if socket_errors else 0
        bad_status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        self.errors += int(bad_status[1]) if bad_status else 0


def wrk(url, connections, seconds, threads=1, timeout_s=None):
    """A run of wrk that must not outlast its seconds by much."""
    command = [find_program("wrk"), "--threads", threads, "--connections", connections, "--duration", f"{seconds}s",
               "--timeout", f"{int(timeout_s or TIMEOUT_S)}s", url]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=seconds + 3 * TIMEOUT_S)
    return WrkResult(done.stdout + done.stderr)
