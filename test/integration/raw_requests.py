"""Raw requests, sound and hostile, class by class, with what edge must say of each: the corpus of differential_test.

Each generator below is a row of CONFORMANCE.md, and makes its cases by varying position, case, white space or value, so that
a class is tried and not an example of it. Behind nearly every request stands NEXT, which a reader that lost count would
not find, or would find twice. The classes of request smuggling are in raw_smuggling.py.
"""

import itertools
import re
import sys

import raw_case
import raw_smuggling
from raw_case import HIDDEN, WEBSOCKET, around, cases_of, chunked, get, latin, request

# --- RFC 9112: messages ---


@cases_of("RFC 9112 2.2")
def line_ends():
    whole = get("X-A: 1") .decode("latin-1")
    ends = [match.start() for match in re.finditer("\r\n", whole)]
    for number, at in enumerate(ends[:-1]):
        part = "line" if number == 0 else "field"
        for end, kind in (("\n", "lf"), ("\r", "cr"), ("\r\r\n", "cr"), ("\n\r", "lf"), ("\r \n", "cr")):
            yield f"{end!r} ends line {number}", whole[:at] + end + whole[at + 2:], f"head.{part}.bare_{kind}"
    for end, reason in (("\n", "head.field.bare_lf"), ("\r", "head.field.bare_cr"), ("\r\r\n", "head.field.bare_cr")):
        yield f"{end!r} for the empty line", whole[:-2] + end, reason


@cases_of("RFC 9112 2.2")
def before_the_request():
    for count in (1, 2):
        yield f"{count} empty lines", "\r\n" * count + get().decode(), ""
    for count in (3, 5):
        yield f"{count} empty lines", "\r\n" * count + get().decode(), "request.line.empty_lines"
    yield "LF", b"\n" + get(), "head.line.bare_lf"
    yield "CRLF LF", b"\r\n\n" + get(), "head.line.bare_lf"
    yield "CR", b"\r" + get(), "head.line.bare_cr"
    yield "CR CRLF", b"\r\r\n" + get(), "head.line.bare_cr"
    yield "empty lines between two requests", get(body="\r\n"), ""
    for space in (" ", "\t", "  \t"):
        yield f"{space!r} before the first field", get(host=space + "Host: a"), "head.space_before_first_field"
        yield f"{space!r} alone in the first line", get(host=space), "head.space_before_first_field"


@cases_of("RFC 9112 2.3")
def versions():
    for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"):
        yield version, get(line=f"GET / {version}"), "head.version.unsupported"
    for version in ("HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "HTTP/1,1", "HTTP/a.b",
            "http/1.1",
                    "HTTPS/1.1", "HTP/1.1", "RTSP/1.0", "ICE/1.0", "1.1", "HTTP/+1.1", "HTTP/1.1\xff"):
        yield version, get(line=f"GET / {version}"), "head.version.malformed"
    yield "HTTP/1.0", get(line="GET / HTTP/1.0"), "", {"closes": True}


@cases_of("RFC 9112 3")
def request_lines():
    for line in ("GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/1.1  ", " GET / HTTP/1.1",
                 "GET / x HTTP/1.1", "GET", "GET / HTTP/1.1 HTTP/1.1"):
        yield repr(line), get(line=line), "request.line.spaces"
    for tabbed in ("GET\t/ HTTP/1.1", "GET /\tHTTP/1.1", "GET / HTTP/1.1\t", "\tGET / HTTP/1.1", "GET /\t HTTP/1.1"):
        yield repr(tabbed), get(line=tabbed), "request.line.spaces"
    for line in ("GET /", "GET / ", "POST /a"):
        yield f"{line!r}, as HTTP/0.9", get(line=line), "request.version.missing"
    yield "nothing behind the method", get(line="GET "), "request.target.empty"
    for control in "\x00\x01\x08\x0b\x0c\x1b\x1f\x7f":
        for at in (0, 3, 5, 14):
            line = "GET / HTTP/1.1"
            yield f"{control!r} at {at}", get(line=line[:at] + control + line[at:]), "head.line.control"


@cases_of("RFC 9112 3")
def long_lines_and_heads():
    """Their limits, see also differential_test: these are not cut at every position."""
    def line(size):
        return "GET /" + "x" * (size - len("GET / HTTP/1.1")) + " HTTP/1.1"

    yield "line at the limit", get(line=line(8192)), ""
    for size in (8193, 8194, 9000):
        yield f"line of {size} bytes", get(line=line(size)), "head.line.too_long"
    head = len(get("X: "))
    yield "head at the limit", get("X: " + "x" * (32768 - head)), ""
    for size in (32769, 33000):
        yield f"head of {size} bytes", get("X: " + "x" * (size - head)), "head.too_large"
    yield "128 fields", get(*["X: 1"] * 126), ""
    yield "129 fields", get(*["X: 1"] * 127), "head.fields_too_many"


@cases_of("RFC 9112 3.2")
def hosts():
    for host in ("a", "a:80", "a:", "a:65535", "127.0.0.1:1", "[::1]", "[2001:db8::1]:8", "a.b-c_d~", "A.EXAMPLE", "%41"):
        yield f"Host {host}", get(host="Host: " + host), ""
    for host in ("a b", "a/b", "a?b", "a#b", "a\\b", "u@a", "[::1", "::1", "::g]", "[::1]x", "[]", "[::g]", "%00", "%zz",
            "\xe4", '"a"',
                 "a<b>", "a^", ":80", "a|b", "a`", "{a}"):
        yield f"Host {host!r}", get(host="Host: " + host), "request.host.invalid"
    for host in ("a:0", "a:65536", "a:99999", "a:x", "a:8 0", "a:+80", "a:-1", "a:080080", "http://a"):
        yield f"Host {host!r}", get(host="Host: " + host), "request.host.port"
    for space in ("", " ", "\t "):
        yield f"empty Host, {space!r}", get(host="Host:" + space), "request.host.empty"
    yield "no Host", get(host=None), "request.host.missing"
    for first, second in (("a", "a"), ("a", "b"), ("b", "a"), ("a", "")):
        yield f"Host twice, {first!r} {second!r}", get(f"Host: {second}", host=f"Host: {first}"), "request.host.repeated"
    for name in ("HOST", "host", "hOsT"):
        yield f"second as {name}", get(late=[f"{name}: a"]), "request.host.repeated"
        yield f"only as {name}", get(host=f"{name}: a"), ""
    yield "HTTP/1.0 without Host", get(line="GET / HTTP/1.0", host=None), "", {"closes": True}
    yield "HTTP/1.0 with two", get("Host: b", line="GET / HTTP/1.0"), "request.host.repeated"


@cases_of("RFC 9112 3.2.1")
def origin_form():
    for target in ("/", "/a/b/../c", "/a?b=c&d", "/?", "/?//", "/%41%2f", "/a|b", "/[]{}^`", "/a:b@c", "/;p=1",
            "/~!$&'()*+,",
                   "/a//b"):
        yield target, get(line=f"GET {target} HTTP/1.1"), "", {"seen": latin(f"GET {target} HTTP/1.1\r\n")}
    for target, reason in (
            ("/#x", "fragment"), ("/a?b#", "fragment"), ("/\\x", "backslash"), ("/a\\..\\b", "backslash"),
            ("/%", "percent"),
            ("/%0", "percent"), ("/%zz", "percent"), ("/a%4", "percent"), ("/%00", "nul"), ("/a?b=%00", "nul"),
            ("//x", "double_slash"), ("//a/b", "double_slash"), ("/\xff", "character"), ("/\x80", "character"),
            ('/"x"', "character"), ("/<x>", "character"), ("x", "authority_form"), ("?x", "form"),
            ("%2f", "authority_form"),
            ("\\", "form"), ("a/b", "form")):
        yield repr(target), get(line=f"GET {target} HTTP/1.1"), f"request.target.{reason}"


@cases_of("RFC 9112 3.2.2")
def absolute_form():
    for target, line, host in (
            ("http://b", "GET / HTTP/1.1", "b"), ("http://b/", "GET / HTTP/1.1", "b"),
            ("HTTP://b:81/x?y", "GET /x?y HTTP/1.1", "b:81"),
            ("http://b?x", "GET /?x HTTP/1.1", "b"), ("https://[::1]:1/", "GET / HTTP/1.1", "[::1]:1"),
            ("http://a", "GET / HTTP/1.1", "a")):
        yield f"{target} replaces Host", get(line=f"GET {target} HTTP/1.1"), "", {
            "seen": latin(f"{line}\r\nHost: {host}\r\n"), "unseen": b"://"}
    yield "without Host", get(line="GET http://b/ HTTP/1.1", host=None), "request.host.missing"
    yield "with a bad Host", get(line="GET http://b/ HTTP/1.1", host="Host: a b"), "request.host.invalid"
    for target, reason in (
            ("ftp://a/", "scheme"), ("ws://a/", "scheme"), ("httpx://a/", "scheme"), ("http:///x", "host"),
            ("http://", "host"),
            ("http://u@a/", "userinfo"), ("http://u:p@a/", "userinfo"), ("http://@a/", "userinfo"),
            ("http://a:0/", "port"),
            ("http://a:65536/", "port"), ("http://a:99999", "port"), ("http://a:x/", "port"), ("http://[::g]/", "host"),
            ("http://a//b", "double_slash"), ("http://a/#c", "fragment"), ("http://a\\b", "backslash"),
            ("http:/a", "form"),
            ("http:a", "form"), ("http://a/%00", "nul")):
        yield repr(target), get(line=f"GET {target} HTTP/1.1"), f"request.target.{reason}"


@cases_of("RFC 9112 3.2.3")
def authority_form():
    for target in ("a:443", "a", "/", "http://a/", "[::1]:443"):
        yield f"CONNECT {target}", get(line=f"CONNECT {target} HTTP/1.1"), "request.method.connect"
    for field in ("Content-Length: 5", "Transfer-Encoding: chunked"):
        yield f"CONNECT with {field}", get(field, line="CONNECT a:443 HTTP/1.1", body=HIDDEN), "request.method.connect"
    for method, target in itertools.product(("GET", "OPTIONS"), ("a:443", "127.0.0.1:80", "a.example", "[::1]:1")):
        yield f"{method} {target}", get(line=f"{method} {target} HTTP/1.1"), "request.target.authority_form"


@cases_of("RFC 9112 3.2.4")
def asterisk_form():
    yield "OPTIONS *", get(line="OPTIONS * HTTP/1.1"), "", {"seen": b"OPTIONS * HTTP/1.1\r\n"}
    for method in ("GET", "POST", "TRACE", "HEAD"):
        yield f"{method} *", get(line=f"{method} * HTTP/1.1"), "request.target.asterisk"
    yield "OPTIONS **", get(line="OPTIONS ** HTTP/1.1"), "request.target.form"
    yield "OPTIONS /*", get(line="OPTIONS /* HTTP/1.1"), ""


@cases_of("RFC 9112 5.1")
def field_lines():
    for space in (" ", "\t", "  "):
        for name in ("X-A", "Content-Length", "Transfer-Encoding", "Host"):
            for where, data in around(f"{name}{space}: 5"):
                yield f"{name}{space!r} before the colon, {where}", data, "head.field.space_before_colon"
    for field, reason in (("X A: 1", "space_before_colon"), ("X", "colon_missing"), ("Content-Length", "colon_missing"),
                          (": x", "name_empty"), (":", "name_empty"), (" : x", "fold")):
        for where, data in around(field):
            yield f"{field!r}, {where}", data, f"head.field.{reason}"
    for before, after in itertools.product(("", " ", "\t", "  \t "), ("", " ", "\t ")):
        yield f"{before!r} before and {after!r} behind a value", request(f"X-A:{before}v w{after}"), "", {"seen": b"X-A: v w\r\n"}
        yield f"{before!r} before and {after!r} behind a length", request(
            f"Content-Length:{before}2{after}", body="hi"), "", {"body": b"hi", "seen": b"Content-Length: 2\r\n"}
    for before, after in (("\t", ""), ("", " "), ("  ", "\t ")):
        yield f"{before!r} before and {after!r} behind chunked", request(
            f"Transfer-Encoding:{before}chunked{after}", body="2\r\nhi\r\n0\r\n\r\n"), "", {"body": b"hi"}


@cases_of("RFC 9112 5.2")
def folded_lines():
    for space in (" ", "\t"):
        for field in ("X-A: 1", "Content-Length: 5", "Transfer-Encoding: chunked", "X-A:"):
            for where, data in around(f"{field}\r\n{space}y"):
                yield f"{field} and a line with {space!r}, {where}", data, "head.field.fold"
        yield f"a last line of {space!r}", get(late=[space]), "head.field.fold"
        yield f"a name on a folded line, {space!r}", get(f"X-A: 1\r\n{space}Content-Length: 5"), "head.field.fold"


@cases_of("RFC 9112 6.1")
def transfer_codings():
    for coding in ("chunked", "CHUNKED", "Chunked", "cHUNKED"):
        yield coding, request(f"Transfer-Encoding: {coding}", body="1\r\nx\r\n0\r\n\r\n"), "", {
            "body": b"x", "seen": b"Transfer-Encoding: chunked\r\n"}
    for coding in ("gzip, chunked", "x, chunked", "gzip,chunked", "deflate , chunked", "gzip;q=1, chunked",
            "a, b, chunked"):
        yield coding, request(f"Transfer-Encoding: {coding}", body="0\r\n\r\n"), "framing.transfer_encoding.unknown"
    for first, second in (("chunked", "chunked"), ("chunked", "x"), ("x", "chunked"), ("", "chunked"), ("chunked", "")):
        yield f"two: {first!r} {second!r}", request(
            f"Transfer-Encoding: {first}", late=[f"transfer-encoding: {second}"],
            body="0\r\n\r\n"), "framing.transfer_encoding.repeated"
    for coding, connection in itertools.product(("chunked", "gzip, chunked", "x", ""), ("close", "keep-alive")):
        yield f"HTTP/1.0 with {coding!r} and {connection}", request(
            f"Transfer-Encoding: {coding}", f"Connection: {connection}", line="POST / HTTP/1.0",
            body="0\r\n\r\n"), "framing.transfer_encoding.http10"
    for length, coding in itertools.product(("0", "5", "05", "", "x"), ("chunked", "gzip", "", "identity")):
        pair = (f"Content-Length: {length}", f"Transfer-Encoding: {coding}")
        yield f"length {length!r}, then {coding!r}", request(*pair, body="0\r\n\r\n"), (
            "framing.content_length.invalid" if length in ("", "x") else "framing.transfer_encoding.with_length")
        yield f"{coding!r}, then length {length!r}", request(
            pair[1], late=[pair[0]], body="0\r\n\r\n"), "framing.transfer_encoding.with_length"


@cases_of("RFC 9112 6.3")
def body_lengths():
    for coding in ("gzip", "identity", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", ", chunked",
            "identity, chunked",
                   "chunked, identity", "xchunked", "chunke", "chunked;", "chunked;q=1", '"chunked"', "'chunked'",
                   "chunked x",
                   "chunked\tx", "chunked chunked", "\xa0chunked", "chunked\xff"):
        yield f"{coding!r}, chunked not last", request(
            f"Transfer-Encoding: {coding}", body="0\r\n\r\n"), "framing.transfer_encoding.not_chunked"
    for size in (0, 1, 2, 9, 10, 40):
        yield f"length {size}", request(f"Content-Length: {size}", body="\n" * size), "", {"body": b"\n" * size}
    for length in ("+5", "-5", "5,5", "5, 5", "5 5", "0 18446744073709551616", "0x5", "5.", "5.0", "5e1", "five", "5;", "\xb2",
                   "5\xa0", "1_0", '"5"'):
        yield f"length {length!r}", request(f"Content-Length: {length}", body="hello"), "framing.content_length.invalid"
    for length in ("9223372036854775808", "18446744073709551616", "18446744073709551621", "9" * 30):
        yield f"length {length}", request(f"Content-Length: {length}", body="hello"), "framing.content_length.overflow"
    for first, second in (("5", "5"), ("5", "6"), ("0", "5"), ("5", "x")):
        yield f"lengths {first!r} and {second!r}", request(
            f"Content-Length: {first}", late=[f"content-length: {second}"],
            body="hello"), "framing.content_length.repeated"
    yield "neither", request(), "", {"seen": b"POST / HTTP/1.1\r\n"}


@cases_of("RFC 9112 7.1")
def chunks():
    for parts in (("hello",), ("h", "ello"), ("h", "e", "l", "l", "o"), ("\r\n", "0\r\n\r\n"), ("x" * 16,), ("x" * 26,)):
        for case in ("x", "X"):
            body = "".join(f"{len(part):{case}}\r\n{part}\r\n" for part in parts) + "0\r\n\r\n"
            yield f"{parts}, {case}", chunked(body), "", {"body": latin("".join(parts))}
    yield "none", chunked("0\r\n\r\n"), ""
    for size, reason in (
            ("", "invalid"), (" 3", "invalid"), ("\t3", "invalid"), ("+3", "invalid"), ("-3", "invalid"),
            ("0x3", "invalid"),
            ("g", "invalid"), ("3g", "invalid"), ("3,", "invalid"), ("3.", "invalid"), ("3_", "invalid"),
            ("3\x00", "invalid"),
            ("\xb3", "invalid"), ("03", "leading_zeros"), ("00", "leading_zeros"),
            ("0000000000000000003", "leading_zeros"),
            ("8000000000000000", "overflow"), ("FFFFFFFFFFFFFFFF", "overflow"), ("10000000000000003", "overflow"),
            ("3" * 17, "overflow")):
        for first in ("", "1\r\nx\r\n"):
            yield f"size {size!r}{' of the second' if first else ''}", chunked(
                f"{first}{size}\r\nabc\r\n0\r\n\r\n"), f"chunk.size.{reason}", {"in_body": True}
    for body in ("3\nabc\r\n0\r\n\r\n", "3\rabc\r\n0\r\n\r\n", "0\n\r\n", "0\r\r\n\r\n", "3\r\r\nabc\r\n0\r\n\r\n"):
        yield repr(body), chunked(body), "chunk.size.line_end", {"in_body": True}
    for body in ("3\r\nabc\n0\r\n\r\n", "3\r\nabc\r0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n",
            "3\r\nab\r\n0\r\n\r\n",
                 "3\r\nabc\r\r\n0\r\n\r\n", "3\r\nabc \r\n0\r\n\r\n", "3\r\nabc;x\r\n0\r\n\r\n"):
        yield repr(body), chunked(body), "chunk.data.line_end", {"in_body": True}
    yield "an empty line for a size", chunked("3\r\nabc\r\n\r\n0\r\n\r\n"), "chunk.size.invalid", {"in_body": True}


@cases_of("RFC 9112 7.1.1")
def chunk_extensions():
    for extension in (";a", ";a=b", ';a="b"', " ; a = b", r';a="\"\\"', ";a;b=c;d", '\t;a="\xe4"', ';a=";"', ';a="b c"'):
        yield f"{extension!r}", chunked(f"3{extension}\r\nabc\r\n0{extension}\r\n\r\n"), "", {
            "body": b"abc", "unseen": latin(extension.strip())}
    for extension, reason in (
            (";", "extension.invalid"), (";=", "extension.invalid"), (";a=", "extension.invalid"),
            (";a b", "extension.invalid"),
            (";a=b c", "extension.invalid"), (';a="b', "extension.invalid"), (';a="b"c', "extension.invalid"),
            (';a="\x01"', "extension.invalid"), (";\x7f", "extension.invalid"), (" x", "extension.invalid"),
            (";a,b", "extension.invalid"),
            (" ", "extension.invalid"), ("\t", "extension.invalid"), (";;a", "extension.invalid"),
            (";a\x00", "extension.invalid"),
            (";a\n", "size.line_end"), (";a=b\n", "size.line_end"), (";a\rx", "size.line_end")):
        for size in ("3", "0"):
            yield f"{size}{extension!r}", chunked(f"{size}{extension}\r\nabc\r\n0\r\n\r\n"), f"chunk.{reason}", {"in_body": True}
    for extension in (";\n", " ;\n", ';a="\n"', ';a="\r\n"', ";\r\n"):
        yield f"line end in {extension!r}", chunked(
            f"3{extension}\r\nabc\r\n0\r\n\r\n"), "chunk.extension.invalid", {"in_body": True}


@cases_of("RFC 9112 7.1.2")
def trailers():
    for lines, trailers in (("X-Sum: 1\r\n", (("X-Sum", "1"),)), ("ETag: x\r\n", (("ETag", "x"),)),
                            ("X-Sum:\r\nX-B: \t2 \r\n", (("X-Sum", ""), ("X-B", "2"))),
                            ("X-Sum: 1\r\nx-sum: 2\r\n", (("X-Sum", "1"), ("x-sum", "2")))):
        yield repr(lines), chunked("3\r\nabc\r\n0\r\n" + lines + "\r\n"), "", {"body": b"abc", "trailers": trailers}
    for line in (": x", "X", " X: y", "\tX: y", "X : y", "X: \x01", "X:\x7f", "X:\x00", "X: a\nY: b", "X: a\rY",
            "X:\r\n y", "X\xff: y",
                 "X: y\n"):
        for first in ("", "X-Sum: 1\r\n"):
            yield f"{first!r} {line!r}", chunked(f"0\r\n{first}{line}\r\n\r\n"), "trailer.invalid", {"in_body": True}
    for end in ("\n", "\r\r\n", "\rx"):
        yield f"ended by {end!r}", chunked("0\r\nX: y\r\n" + end), "trailer.invalid", {"in_body": True}
    for size in (2100, 9000):  # more than is forwarded, and more than is read
        yield f"{size} bytes", chunked("0\r\nX: " + "y" * size + "\r\n\r\n"), "trailer.too_large", {"in_body": True}
    yield "many", chunked("0\r\n" + "X: y\r\n" * 33 + "\r\n"), "trailer.too_many", {"in_body": True}


@cases_of("RFC 9110 6.5.1")
def forbidden_trailers():
    for name in ("Host", "Content-Length", "Transfer-Encoding", "Connection", "Authorization", "Cookie",
            "X-Forwarded-For", "TE",
                 "Trailer", "Upgrade", "Expect", "Max-Forwards", "Keep-Alive", "Proxy-Authorization", "Forwarded"):
        for spelling, first in ((name, ""), (name.lower(), "X-Sum: 1\r\n"), (name.swapcase(), "")):
            yield f"{first!r} {spelling}", chunked(f"0\r\n{first}{spelling}: 1\r\n\r\n"), "trailer.forbidden", {"in_body": True}
    for name in ("Content-Encoding", "Content-Type", "Content-Range", "Set-Cookie", "Cache-Control", "X-Request-Id",
            "Via", "Range"):
        yield f"{name} is dropped", chunked(f"3\r\nabc\r\n0\r\n{name}: zzz\r\n\r\n"), "", {
            "body": b"abc", "unseen": b"zzz"}


@cases_of("RFC 9112 8")
def incomplete_requests():
    for data in (request("Content-Length: 10", body="hello"), request("Content-Length: 10"),
                 *map(chunked, ("", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\nX: y\r\n",
                                "0\r\nX: y\r\n\r"))):
        head, _, body = data.partition(b"\r\n\r\n")
        yield f"{head[26:45]!r} {body!r}", data, "", {"cut_off": True, "served": 0}
    for data in (b"G", b"GET / HTTP/1.1\r\n", get()[:-2], get()[:-1]):
        yield f"a head of {len(data)} bytes", data, "", {"cut_off": True, "served": 0}


@cases_of("RFC 9112 9.3")
def persistence():
    for option in ("close", "Close", "x, close", "close, keep-alive", "keep-alive,close", ",close", "close,"):
        yield f"Connection: {option}", get(f"Connection: {option}"), "", {"closes": True}
    for option in ("keep-alive", "x", "closed", '"close"', "", ",", "close x"):
        yield f"Connection: {option!r}", get(f"Connection: {option}"), "", {"seen": b"X-Request-Id"}
    yield "HTTP/1.0 keep-alive", get("Connection: keep-alive", line="GET / HTTP/1.0"), ""
    yield "HTTP/1.0 close", get("Connection: close", line="GET / HTTP/1.0"), "", {"closes": True}
    yield "HTTP/1.0 with a length", request("Content-Length: 5", line="POST / HTTP/1.0", body="hello"), "", {
        "body": b"hello", "closes": True}
    yield "two Connection fields", get("Connection: x", late=["Connection: close"]), "", {"closes": True}


@cases_of("RFC 9112 9.3.2")
def pipelines():
    plain = b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    for count in (1, 2, 5):
        yield f"{count + 2} requests", get(body=plain * count), "", {"served": count + 1}
    second = b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nho"
    yield "bodies between", request("Content-Length: 2", body="hi") + second, "", {
        "body": b"hi", "served": 2}
    yield "chunks between", chunked("2\r\nhi\r\n0\r\n\r\n") + plain, "", {"body": b"hi", "served": 2}


# --- RFC 9110: semantics ---


@cases_of("RFC 9110 5.1")
def field_names():
    for byte in "()<>@,;\\\"/[]?={}\x00\x01\x0b\x7f\x80\xe4\xff":
        for where, data in around(f"X{byte}A: 1"):
            yield f"{byte!r} in a name, {where}", data, "head.field.name_invalid"
    yield "all that a token may have", get("!#$%&'*+-.^`|~1: x"), "", {"seen": b"!#$%&'*+-.^`|~1: x\r\n"}
    for name in ("X_A", "Content_Length", "Transfer_Encoding", "_", "HOST_"):
        for where, data in around(f"{name}: 5"):
            yield f"{name} is dropped, {where}", data, "", {"unseen": latin(name)}


@cases_of("RFC 9110 5.5")
def field_values():
    for control in (chr(code) for code in [*range(32), 127] if chr(code) not in "\t\r\n"):
        reason = "head.field.nul" if control == "\x00" else "head.field.control"
        yield f"{control!r} in a value", get(f"X-A: 1{control}2"), reason
    for name, control in itertools.product(("Host", "Transfer-Encoding", "Connection"), "\x00\x0b"):
        reason = "head.field.nul" if control == "\x00" else "head.field.control"
        yield f"{control!r} in {name}", request(f"{name}:{control}", host=None if name == "Host" else "Host: a"), reason
        yield f"{control!r} in Content-Length, behind {name}", request(f"{name}: x", f"Content-Length:{control}", host=(
            None if name == "Host" else "Host: a")), (
                "framing.transfer_encoding.with_length" if name == "Transfer-Encoding" else "framing.content_length.invalid")
    for value in ("", "a, b", "\xe4\xff", "a \t b", ":", r'"q;\""', "a" * 40):
        yield f"value {value!r}", get(f"X-A: {value}"), "", {"seen": latin(f"X-A: {value}".rstrip()) + b"\r\n"}


@cases_of("RFC 9110 7.6.1")
def connection_options():
    for option in ("X-A", "x-a", "X-B, X-A", "X-A,X-A", "keep-alive, X-A"):
        for where, data in around("X-A: secret\r\nConnection: " + option):
            yield f"{option} names X-A, {where}", data, "", {"unseen": b"secret"}
    for name, value in (("Host", None), ("Cookie", "k=v"), ("Authorization", "Basic eDp5"), ("X-Request-Id", None),
            ("Via", "1.1 x"),
                        ("X-Forwarded-For", "1.2.3.4"), ("Content-Type", "a/b")):
        fields = [f"Connection: {name}"] + ([f"{name}: {value}"] if value else [])
        yield f"{name} cannot be removed", request(*fields), "", {"seen": latin(f"{name}: {value or ''}")}
    for name, value, body, decoded in (("Content-Length", "5", "hello", b"hello"),
                                       ("Transfer-Encoding", "chunked", "1\r\nx\r\n0\r\n\r\n", b"x")):
        data = request(f"{name}: {value}", late=[f"Connection: {name}"], body=body)
        yield f"{name} cannot be removed", data, "", {"body": decoded, "seen": latin(name)}
    for name in ("Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Proxy", "TE", "Upgrade",
            "HTTP2-Settings"):
        yield f"{name} goes no further", get(f"{name}: zzz"), "", {"unseen": b"zzz"}
    yield "too many options", get("Connection: " + "a," * 33), "head.connection.too_many"


@cases_of("RFC 9110 7.6.2")
def max_forwards():
    for value in ("-1", "x", "", "1 1", "1,1"):
        for method in ("OPTIONS", "TRACE"):
            yield f"{method} {value!r}", get(f"Max-Forwards: {value}",
                line=f"{method} / HTTP/1.1"), "request.max_forwards.invalid"
        yield f"GET {value!r}", get(f"Max-Forwards: {value}"), ""
    yield "is lowered", get("Max-Forwards: 3", line="OPTIONS / HTTP/1.1"), "", {"seen": b"Max-Forwards: 2\r\n"}
    yield "is not lowered for GET", get("Max-Forwards: 3"), "", {"seen": b"Max-Forwards: 3\r\n"}


@cases_of("RFC 9110 7.6.3")
def via():
    yield "none", get(), "", {"seen": b"Via: 1.1 edge\r\n"}
    yield "one", get("Via: 1.0 x"), "", {"seen": b"1.0 x"}
    yield "of HTTP/1.0", get(line="GET / HTTP/1.0"), "", {"seen": b"Via: 1.0 edge\r\n", "closes": True}


@cases_of("RFC 9110 7.8")
def upgrades():
    """The origin never agrees, so HTTP goes on (see upgrade_test for one that does)."""
    for protocol in ("websocket", "WebSocket", "foo/2", "websocket, foo"):
        yield protocol, get("Connection: upgrade", f"Upgrade: {protocol}",
            *WEBSOCKET), "", {"seen": latin(f"Upgrade: {protocol}\r\n")}
    yield "not named by Connection", get("Upgrade: websocket"), "", {"unseen": b"websocket"}
    yield "HTTP/1.0", get("Connection: upgrade", "Upgrade: websocket", line="GET / HTTP/1.0"), "", {
        "unseen": b"websocket", "closes": True}


@cases_of("RFC 9110 8.6")
def content_lengths():
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH"):
        yield f"{method} with a body", request("Content-Length: 2", line=f"{method} / HTTP/1.1",
            body="hi"), "", {"body": b"hi"}
    for length in ("00", "05", "005", "0" * 20 + "5"):
        yield f"length {length}", request(f"Content-Length: {length}",
            body="hello"), "framing.content_length.leading_zeros"


@cases_of("RFC 9110 9.1")
def methods():
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "LOCK", "QUERY"):
        yield method, get(line=f"{method} / HTTP/1.1"), "", {"seen": latin(f"{method} / HTTP/1.1\r\n")}
    for method in ("get", "Get", "BREW", "GETX", "PRI", "G", "!", "X" * 40, "M-SEARCH", "SOURCE", "PURGE"):
        yield method, get(line=f"{method} / HTTP/1.1"), "request.method.unknown"
    for byte in "()<>@,;:\\\"/[]?={}\x80\xff":
        yield f"G{byte}T", get(line=f"G{byte}T / HTTP/1.1"), "request.method.invalid"
    yield "TRACE with a body", request("Content-Length: 1", line="TRACE / HTTP/1.1", body="x"), "request.trace.body"
    yield "TRACE with chunks", chunked("0\r\n\r\n", line="TRACE / HTTP/1.1"), "request.trace.body"


@cases_of("RFC 9110 10.1.1")
def expectations():
    for value in ("100-continue", "100-Continue", "100-CONTINUE"):
        yield f"{value} with a body", request(f"Expect: {value}", "Content-Length: 2", body="hi"), "", {"body": b"hi"}
        yield f"{value} without one", get(f"Expect: {value}"), "", {"unseen": b"Expect"}
    for value in ("x", "", "100", "100-continued", "100-continue, x", "100-continue, 100-continue", "y 100-continue",
            "200-ok"):
        for where, data in around(f"Expect: {value}", body=HIDDEN):
            yield f"{value!r}, {where}", data, "request.expect.unsupported"


# --- what llhttp lets through ---


@cases_of("llhttp")
def llhttp_traps():
    for space, where in itertools.product(("", " ", "\t"), ("alone", "before a length", "behind a length")):
        lines = {"alone": [], "before a length": [], "behind a length": ["Content-Length: 5"]}[where]
        late = ["Content-Length: 5"] if where == "before a length" else []
        reason = "framing.transfer_encoding." + ("empty" if where == "alone" else "with_length")
        yield f"empty Transfer-Encoding {space!r} {where}", request(*lines, f"Transfer-Encoding:{space}", late=late,
            body="hello"), reason
    yield "HTTP/0.9 with keep-alive", get("Connection: keep-alive", line="GET /"), "request.version.missing"
    for name in ("Content_Length: 5", "Transfer_Encoding: chunked", "Connection_: close"):
        yield f"{name} is no framing", request(name), "", {"unseen": latin(name.split(":")[0])}
    for lines in ("Host: b", "Transfer-Encoding:", "Connection: close"):
        yield f"{lines} in trailers", chunked(f"0\r\n{lines}\r\n\r\n"), "trailer.forbidden", {"in_body": True}
    yield "CONNECT with a body", request("Content-Length: 5", line="CONNECT a:1 HTTP/1.1",
        body="hello"), "request.method.connect"


def corpus():
    cases = raw_case.cases_in(sys.modules[__name__]) + raw_case.cases_in(raw_smuggling)
    names = [str(case) for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"names that stand for two cases: {sorted(twice)}"
    return cases
