"""One raw request of the corpus in raw_requests.py: its bytes, what edge must say of it, and how such requests are written.

In the bytes ID and NEXT_ID stand for X-Request-Id values of the same size, which whoever sends them fills in.
"""

import dataclasses

ID = b"@request-id@"
NEXT_ID = b"@the-next-id"
NEXT = b"GET /next HTTP/1.1\r\nHost: n\r\nX-Request-Id: " + NEXT_ID + b"\r\nConnection: close\r\n\r\n"
# Without these HAProxy refuses an Upgrade to websocket.
WEBSOCKET = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

# The status of each reason is part of its contract; all others are 400.
STATUS = {
    "head.line.too_long": 414,
    "request.method.unknown": 501,
    "request.method.connect": 405,
    "head.version.unsupported": 505,
    "head.too_large": 431,
    "head.fields_too_many": 431,
    "trailer.too_large": 431,
    "trailer.too_many": 431,
    "request.expect.unsupported": 417,
    "framing.transfer_encoding.unknown": 501,
}


@dataclasses.dataclass
class Case:
    section: str         # of CONFORMANCE.md: "RFC 9112 2.2", "llhttp", or "smuggling CL.TE"
    name: str
    data: bytes          # the request, and whatever belongs to its class behind it, but not NEXT
    reason: str = ""     # the id of the refusal; "": accepted
    body: bytes = b""    # what the origin must decode, if accepted
    trailers: tuple = () # ((name, value), ...) that must reach it behind the body, if accepted
    closes: bool = False     # accepted, and the connection ends with it, so NEXT is not served
    cut_off: bool = False    # the client ends within the request, and sends no NEXT
    in_body: bool = False    # refused behind the head, of which the origin may have seen a part
    seen: bytes = b""        # lines that must stand in the head at the origin
    unseen: bytes = b""      # bytes that must not reach the origin
    early: bool = False      # /early: the origin answers the head and the connection ends, whatever the body does
    served: int = 1          # requests among `data`; those behind the first have no id
    behind: str = ""         # accepted, and what stands behind it in `data` is refused for this

    @property
    def status(self):
        return STATUS.get(self.reason, 400) if self.reason else 200

    @property
    def method(self):
        return self.data.lstrip(b"\r\n").split(b" ")[0].decode("latin-1")

    @property
    def stream(self):
        """All that the client sends."""
        return self.data if self.cut_off or self.early else self.data + NEXT

    def __str__(self):
        return f"{self.section}: {self.name}"


def latin(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def request(*fields, line="POST / HTTP/1.1", host="Host: a", body="", late=()):
    """A request whose X-Request-Id stands between `fields` and `late`."""
    lines = [line, *([host] if host is not None else []), *fields, b"X-Request-Id: " + ID, *late]
    return b"\r\n".join(latin(part) for part in lines) + b"\r\n\r\n" + latin(body)


def get(*fields, **options):
    return request(*fields, line=options.pop("line", "GET / HTTP/1.1"), **options)


def chunked(body, *fields, **options):
    return request("Transfer-Encoding: chunked", *fields, body=body, **options)


def cases_of(section):
    """Marks a generator of (name, data, reason, {further members of Case}), of which the last may be left out."""

    def mark(generator):
        generator.section = section
        return generator

    return mark


def cases_in(module):
    """All cases of a module's marked generators, in their order."""
    cases = []
    for generator in vars(module).values():
        if hasattr(generator, "section"):
            for name, data, reason, *further in generator():
                cases.append(Case(generator.section, name, latin(data), reason, **(further[0] if further else {})))
    return cases


def around(field, **options):
    """A field in front of X-Request-Id, and behind it: (where, request)."""
    yield "early", request(field, **options)
    yield "late", request(late=[field], **options)
