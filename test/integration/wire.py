"""HTTP/1.1 messages over a blocking socket, read strictly, for both ends of the tests.

A Wire is one connection of a test: it sends exact bytes, keeps every byte that it saw, and reads requests or responses
by the letter of RFC 9112. Whatever edge writes that a strict peer would refuse raises ProtocolError, and a message that
ends too early raises IncompleteMessage, so no test has to look for either. Every read is bounded by TIMEOUT_S.
"""

import re
import socket
import ssl
import struct

from environment import TIMEOUT_S

HEAD_BYTES_MAX = 256 * 1024
READ_BYTES = 256 * 1024

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/(1\.[01])")
STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")


class ProtocolError(Exception):
    """The peer sent what RFC 9112 does not allow."""


class IncompleteMessage(Exception):
    """The peer closed, or reset, before its message was whole."""


class Fields:
    """The fields of a head in the order received. Names compare without case; values are text (latin-1)."""

    def __init__(self, pairs=()):
        self.pairs = list(pairs)

    def all(self, name):
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def get(self, name, default=None):
        """The only value of a field; a field that stands twice is an error of the test's expectation."""
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f"{name} stands {len(values)} times: {values}")
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))

    def __repr__(self):
        return repr(self.pairs)


class Message:
    """A request or a response that was read whole. `raw_head` is its head as it came."""

    def __init__(self, raw_head, fields):
        self.raw_head = raw_head
        self.fields = fields
        self.body = b""
        self.trailers = Fields()
        self.framing = "none"  # or "length", "chunked", "close"
        self.interim = []      # the 1xx responses before a response

    def __repr__(self):
        return f"<{self.raw_head!r} body={len(self.body)} bytes {self.body[:200]!r}>"


class Wire:
    """One connection. Not for several threads at once, but for one that reads and one that sends."""

    def __init__(self, sock):
        sock.settimeout(TIMEOUT_S)
        self.socket = sock
        self.received = bytearray()  # everything ever read, unless keep_received is turned off
        self.keep_received = True
        self._buffer = bytearray()
        self._eof = False

    # --- bytes ---

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.socket.sendall(data)

    def _fill(self):
        """Reads more into the buffer; False at end of file."""
        if self._eof:
            return False
        try:
            data = self.socket.recv(READ_BYTES)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            # With TLS an end without close_notify is no end: somebody may have cut the message.
            raise IncompleteMessage(f"reset after {bytes(self._buffer[-200:])!r}") from error
        except socket.timeout as error:
            raise TimeoutError(f"nothing came for {TIMEOUT_S} s after {bytes(self._buffer[-200:])!r}") from error
        if not data:
            self._eof = True
            return False
        if self.keep_received:
            self.received += data
        self._buffer += data
        return True

    def read_some(self, size_max=READ_BYTES):
        """What is there, up to size_max; b"" at end of file."""
        if not self._buffer and not self._fill():
            return b""
        data = bytes(self._buffer[:size_max])
        del self._buffer[:size_max]
        return data

    def read_exact(self, size):
        parts = []
        while size > 0:
            data = self.read_some(size)
            if not data:
                raise IncompleteMessage(f"closed with {size} bytes missing")
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def read_line(self):
        end = self._find(b"\r\n")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if b"\n" in line or b"\r" in line:
            raise ProtocolError(f"a bare CR or LF in {line!r}")
        return line

    def _find(self, mark):
        start = 0
        while True:
            position = self._buffer.find(mark, start)
            if position >= 0:
                return position
            if len(self._buffer) > HEAD_BYTES_MAX:
                raise ProtocolError(f"no {mark!r} in {HEAD_BYTES_MAX} bytes")
            start = max(0, len(self._buffer) - len(mark) + 1)
            if not self._fill():
                raise IncompleteMessage(f"closed after {bytes(self._buffer[-200:])!r}")

    def read_to_eof(self):
        """Everything until the peer closes in an orderly way."""
        parts = []
        while data := self.read_some():
            parts.append(data)
        return b"".join(parts)

    def expect_closed(self):
        """The peer must close without another byte; a reset will do."""
        try:
            rest = self.read_to_eof()
        except IncompleteMessage:
            return
        if rest:
            raise ProtocolError(f"bytes after the last message: {rest[:500]!r}")

    def has_more(self):
        """Waits: True when a byte is there, False at an orderly end. A reset raises IncompleteMessage."""
        return bool(self._buffer) or self._fill()

    def at_eof(self):
        """Waits for a byte or the end. A reset counts as the end."""
        try:
            return not self.has_more()
        except IncompleteMessage:
            return True

    def has_input(self, within_s=0.0):
        """True if a byte or the end comes by then: for asserting that nothing has come yet."""
        if self._buffer or self._eof:
            return True
        self.socket.settimeout(max(within_s, 0.001))
        try:
            self._fill()
            return True
        except TimeoutError:
            return False
        except IncompleteMessage:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)

    # --- messages ---

    def read_request(self, body=True, sink=None):
        """The next request, or None if the peer closed before its first byte."""
        if not self._buffer and not self._fill():
            return None
        request = self.read_request_head()
        if body:
            self.read_request_body(request, sink)
        return request

    def read_request_head(self):
        raw, start_line, fields = self._read_head()
        match = REQUEST_LINE.fullmatch(start_line)
        if not match:
            raise ProtocolError(f"not a request line: {start_line!r}")
        request = Message(raw, fields)
        request.method, request.target, request.version = (part.decode("ascii") for part in match.groups())
        request.framing = self._framing(fields, default="none")
        return request

    def read_request_body(self, request, sink=None):
        self._read_body(request, sink)
        return request

    def read_response(self, method="GET", body=True, sink=None):
        """The next final response; 1xx before it are in its `interim`. 101 is final."""
        interim = []
        while True:
            raw, start_line, fields = self._read_head()
            match = STATUS_LINE.fullmatch(start_line)
            if not match:
                raise ProtocolError(f"not a status line: {start_line!r}")
            response = Message(raw, fields)
            response.version = match[1].decode()
            response.status = int(match[2])
            response.reason = match[3].decode("latin-1")
            if response.status < 200:
                for name in ("Content-Length", "Transfer-Encoding"):
                    if name in fields:
                        raise ProtocolError(f"{response.status} with {name}")
            if response.status < 200 and response.status != 101:
                interim.append(response)
                continue
            break
        response.interim = interim
        framing = self._framing(fields, default="close")
        if response.status == 204 and framing != "close":
            raise ProtocolError(f"204 with framing fields: {fields}")
        if method == "HEAD" or response.status in (101, 204, 304):
            framing = "none"
        response.framing = framing
        if body:
            self._read_body(response, sink)
        return response

    def _read_head(self):
        end = self._find(b"\r\n\r\n") + 4
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        lines = raw[:-4].split(b"\r\n")
        return raw, lines[0], self._parse_fields(lines[1:])

    @staticmethod
    def _parse_fields(lines):
        pairs = []
        for line in lines:
            match = FIELD_LINE.fullmatch(line)
            if not match:
                raise ProtocolError(f"not a field line: {line!r}")
            pairs.append((match[1].decode("ascii"), match[2].decode("latin-1")))
        return Fields(pairs)

    @staticmethod
    def _framing(fields, default):
        lengths = fields.all("Content-Length")
        codings = fields.all("Transfer-Encoding")
        if lengths and codings:
            raise ProtocolError(f"Content-Length and Transfer-Encoding: {fields}")
        if codings:
            if codings != ["chunked"]:
                raise ProtocolError(f"Transfer-Encoding: {codings}")
            return "chunked"
        if lengths:
            if len(lengths) > 1 or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lengths[0]):
                raise ProtocolError(f"Content-Length: {lengths}")
            return "length"
        return default

    def _read_body(self, message, sink):
        parts = []
        write = sink or parts.append
        for piece in self.body_pieces(message):
            write(piece)
        message.body = b"".join(parts)

    def body_pieces(self, message):
        """Yields a body as it comes, and leaves the trailers in the message."""
        if message.framing == "length":
            yield from self._pieces(int(message.fields.get("Content-Length")))
        elif message.framing == "chunked":
            while True:
                line = self.read_line()
                if not CHUNK_SIZE.fullmatch(line):
                    raise ProtocolError(f"chunk size line {line!r} (edge drops extensions)")
                size = int(line, 16)
                if size == 0:
                    break
                yield from self._pieces(size)
                if self.read_exact(2) != b"\r\n":
                    raise ProtocolError("no CRLF after a chunk")
            lines = []
            while line := self.read_line():
                lines.append(line)
            message.trailers = self._parse_fields(lines)
        elif message.framing == "close":
            while data := self.read_some():
                yield data

    def _pieces(self, size):
        while size > 0:
            data = self.read_some(min(size, READ_BYTES))
            if not data:
                raise IncompleteMessage(f"closed with {size} bytes of the body missing")
            size -= len(data)
            yield data

    # --- the end ---

    def close_write(self):
        """Half-close: sends FIN and goes on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
