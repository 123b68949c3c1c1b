"""Classes of request smuggling, as a part of the corpus of raw_requests.py.

In most of them a request /smuggled lies where a lax reader would see one; it must not reach an origin as a request.
"""

import itertools
import re

from raw_case import HIDDEN, WEBSOCKET, around, cases_of, chunked, get, latin, request


@cases_of("smuggling CL.TE")
def cl_te():
    body = "0\r\n\r\n" + HIDDEN
    for length, coding in itertools.product((len(body), 6, 0), ("chunked", "Chunked", "x", "identity", "\tchunked")):
        for first in (True, False):
            pair = [f"Content-Length: {length}", f"Transfer-Encoding: {coding}"]
            yield f"{length}, {coding!r}, {'length' if first else 'coding'} first", request(
                *(pair if first else pair[::-1]), body=body), "framing.transfer_encoding.with_length"


@cases_of("smuggling TE.CL")
def te_cl():
    body = f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n"
    for length in (4, 0, 1, len(body)):
        yield f"length {length}", request(
            "Transfer-Encoding: chunked", f"Content-Length: {length}", body=body), "framing.transfer_encoding.with_length"
    hidden = {
        "Content-Length : 4": "head.field.space_before_colon",
        "Content-Length\x00: 4": "head.field.name_invalid",
        "X: y\nContent-Length: 4": "head.field.bare_lf",
        "X: y\rContent-Length: 4": "head.field.bare_cr",
        "X:\r\n Content-Length: 4": "head.field.fold",
    }
    for field, reason in hidden.items():
        yield f"hidden as {field!r}", chunked(body, field), reason


@cases_of("smuggling TE.TE")
def te_te():
    hidden = {
        "Transfer-Encoding: x": "framing.transfer_encoding.repeated",
        "Transfer-Encoding: xchunked": "framing.transfer_encoding.repeated",
        "Transfer-encoding: identity": "framing.transfer_encoding.repeated",
        "Transfer-Encoding : x": "head.field.space_before_colon",
        "Transfer-Encoding\t: x": "head.field.space_before_colon",
        "Transfer-Encoding\x0b: x": "head.field.name_invalid",
        "Transfer-Encoding:\x0bx": "head.field.control",
        "Transfer-Encoding: x\x00": "head.field.nul",
        "Transfer-Encoding\r\n : x": "head.field.colon_missing",
        "Transfer-Encoding:\r\n x": "head.field.fold",
        "X: y\nTransfer-Encoding: x": "head.field.bare_lf",
        "X: y\rTransfer-Encoding: x": "head.field.bare_cr",
        "Transfer\xadEncoding: x": "head.field.name_invalid",
    }
    for field, reason in hidden.items():
        # A second field is refused at its first byte, before what is wrong with it comes to light.
        second = "framing.transfer_encoding.repeated" if re.match("(?i)transfer-encoding: ?[^\r]", field) else reason
        yield f"{field!r} behind chunked", chunked("0\r\n\r\n" + HIDDEN, field), second
        yield f"{field!r} before chunked", request(field, late=["Transfer-Encoding: chunked"],
            body="0\r\n\r\n" + HIDDEN), reason


@cases_of("smuggling CL.0")
def cl_0():
    for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
        yield method, request(f"Content-Length: {len(HIDDEN)}", line=f"{method} / HTTP/1.1",
            body=HIDDEN), "", {"body": latin(HIDDEN)}
    yield "absolute-form", request(f"Content-Length: {len(HIDDEN)}", line="POST http://a/ HTTP/1.1",
        body=HIDDEN), "", {"body": latin(HIDDEN)}
    for field in ("Connection: close, content-length", "Connection: Content-Length"):
        yield field, request(field, f"Content-Length: {len(HIDDEN)}", body=HIDDEN), "", {
            "body": latin(HIDDEN), "closes": "close" in field}


@cases_of("smuggling 0.CL")
def zero_cl():
    length = f"{len(HIDDEN)}"
    hidden = {
        f"Content-Length : {length}": "head.field.space_before_colon",
        f"X: y\nContent-Length: {length}": "head.field.bare_lf",
        f"X: y\rContent-Length: {length}": "head.field.bare_cr",
        f"Content-Length:\r\n {length}": "head.field.fold",
        f"Content-Length: {length}\x0b": "framing.content_length.invalid",
        f"\x00Content-Length: {length}": "head.field.name_invalid",
        f"Content-Length\xa0: {length}": "head.field.name_invalid",
        f"Content-Length: +{length}": "framing.content_length.invalid",
    }
    for field, reason in hidden.items():
        for where, data in around(field, body=HIDDEN):
            yield f"{field!r}, {where}", data, reason
    for expect in ("100-continue", "100-Continue"):
        for line in ("GET / HTTP/1.1", "POST / HTTP/1.1"):
            yield f"{line} with Expect: {expect}", request(
                f"Expect: {expect}", f"Content-Length: {length}", line=line, body=HIDDEN), "", {"body": latin(HIDDEN)}
    for expect, reason in (("y 100-continue", "request.expect.unsupported"), ("100-continue\x0b", "head.field.control"),
                           ("\r\n 100-continue", "head.field.fold")):
        yield f"Expect:{expect!r}", request(f"Expect:{expect}", f"Content-Length: {length}", body=HIDDEN), reason


@cases_of("smuggling TE.0")
def te_0():
    body = f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n"
    for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
        yield method, chunked(body, line=f"{method} / HTTP/1.1"), "", {"body": latin(HIDDEN)}
    yield "Connection names it", chunked(body, "Connection: Transfer-Encoding"), "", {"body": latin(HIDDEN)}


@cases_of("smuggling chunk extensions")
def smuggling_by_extension():
    for line in ("2;\nxx", "2;a\nxx", "2;a\rxx", "2 ;\nxx", '2;a="\n"', "2;a=\"\r\n\"", "2 \r\n", "2;\r\n", "0;\n",
            "0;a=\n"):
        reason = "chunk.size.line_end" if line in ("2;a\nxx", "2;a\rxx") else "chunk.extension.invalid"
        yield repr(line), chunked(line + "\r\nxx\r\n0\r\n\r\n" + HIDDEN), reason, {"in_body": True}
    for inner in (f"2;a={'x' * 60}", '2;a="' + "\\\"" * 20 + '"'):
        yield inner, chunked(inner + "\r\nxx\r\n0\r\n\r\n"), "", {"body": b"xx", "unseen": b";a"}


@cases_of("smuggling chunk terminators")
def smuggling_by_terminator():
    for end in ("\n", "\r", "\n\r", "\r\r\n", "", " \r\n", "XX"):
        yield f"data ended by {end!r}", chunked(f"2\r\nxx{end}0\r\n\r\n{HIDDEN}"), "chunk.data.line_end", {"in_body": True}
    for end in ("\n", "\r0", "\r\r\n"):
        yield f"size ended by {end!r}", chunked(f"2{end}xx\r\n0\r\n\r\n{HIDDEN}"), "chunk.size.line_end", {"in_body": True}
        yield f"last size ended by {end!r}", chunked(f"2\r\nxx\r\n0{end}\r\n{HIDDEN}"), "chunk.size.line_end", {"in_body": True}
    for end in ("\n", "\r\r\n", "\rX"):
        yield f"body ended by {end!r}", chunked(f"2\r\nxx\r\n0\r\n{end}{HIDDEN}"), "trailer.invalid", {"in_body": True}
    for size, reason in (("0x2", "invalid"), ("10000000000000002", "overflow")):
        yield f"size {size}", chunked(f"{size}\r\nxx\r\n0\r\n\r\n{HIDDEN}"), f"chunk.size.{reason}", {"in_body": True}
    # 2 for who keeps 32 bits of it. To edge the rest never comes.
    yield "size 100000002", chunked(f"100000002\r\nxx\r\n0\r\n\r\n{HIDDEN}"), "", {"cut_off": True, "served": 0}


@cases_of("smuggling CVE-2023-25725, empty field name")
def empty_names():
    for name, framing in itertools.product(("", " ", "\t"), ("Content-Length: 5", "Transfer-Encoding: chunked", "")):
        reason = "head.field.fold" if name else "head.field.name_empty"
        fields = [framing] if framing else []
        yield f"{name!r}: and then {framing!r}", request(f"{name}: x", *fields, body="hello"), reason
        yield f"{framing!r} and then {name!r}:", request(*fields, late=[f"{name}:"], body="hello"), reason


@cases_of("smuggling CVE-2023-40225, empty Content-Length")
def empty_lengths():
    for space, name in itertools.product(("", " ", "\t", " \t "), ("Content-Length", "content-length")):
        for where, data in around(f"{name}:{space}", body=HIDDEN):
            yield f"{name}:{space!r}, {where}", data, "framing.content_length.invalid"
    for first, second in (("", "5"), ("5", ""), ("", "")):
        yield f"{first!r} and {second!r}", request(
            f"Content-Length: {first}", late=[f"Content-Length: {second}"], body=HIDDEN), "framing.content_length.invalid"


@cases_of("smuggling CVE-2025-4366, early reply to an undrained body")
def early_replies():
    """The origin answers the head of a request for /early; edge must end both connections and read no request behind."""
    for method in ("GET", "POST"):
        line = f"{method} /early HTTP/1.1"
        yield f"{method} with a length", request(f"Content-Length: {len(HIDDEN) + 1}", line=line, body=HIDDEN), "", {
            "early": True, "closes": True}
        yield f"{method} with chunks", chunked(f"{len(HIDDEN) + 1:x}\r\n{HIDDEN}", line=line), "", {
            "early": True, "closes": True}
        yield f"{method} with Expect", request(
            "Expect: 100-continue", f"Content-Length: {len(HIDDEN) + 1}", line=line, body=HIDDEN), "", {
                "early": True, "closes": True}


@cases_of("smuggling CVE-2026-2833, Upgrade before the origin agreed")
def early_upgrades():
    """What stands behind is the next request, and is read as one; it never went through a tunnel."""
    for protocol, body in itertools.product(("websocket", "h2c", "foo", "HTTP/2.0", "TLS/1.2"), ("", "hi")):
        fields = ["Connection: Upgrade", f"Upgrade: {protocol}"] + ([f"Content-Length: {len(body)}"] if body else [])
        fields += WEBSOCKET if protocol == "websocket" else ()
        tunnel = protocol in ("websocket", "foo") and not body
        yield f"{protocol} with {body!r}", request(*fields, body=body), "", {
            "body": latin(body), "seen": latin(f"Upgrade: {protocol}\r\n") if tunnel else b"",
            "unseen": b"" if tunnel else latin(protocol)}
    yield "two requests behind", get("Connection: Upgrade", "Upgrade: foo",
        body="GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"), "", {"served": 2}
    yield "frames behind", get("Connection: Upgrade", "Upgrade: websocket", *WEBSOCKET,
        body="\x81\x05hello"), "", {"behind": "head.line.control"}


@cases_of("smuggling by other differences")
def other_differences():
    yield "a request line among the fields", request("GET /smuggled HTTP/1.1\r\nHost: a"), "head.field.space_before_colon"
    yield "a request behind a refused one", request("Bad Field: x", body=HIDDEN), "head.field.space_before_colon"
    yield "a request in a value", request("X-A: x\rGET /smuggled HTTP/1.1"), "head.field.bare_cr"
    yield "a NUL ends a line elsewhere", request("X-A: x\x00\r\nContent-Length: 5", body="hello"), "head.field.nul"
    for host, reason in (("a\r\nHost: b", "request.host.repeated"), ("a@b", "request.host.invalid"), ("a,b", "")):
        yield f"Host {host!r}", get(host=f"Host: {host}"), reason
