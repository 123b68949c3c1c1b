"""What comes of a request does not depend on how its bytes arrive: the corpus of raw_requests.py, through sockets.

Each request goes through edge in one piece, byte by byte, and in two pieces cut at every position. Each time the client
must get the same verdict (statuses and reasons, those that the corpus names), and the origin the same head, decoded body
and trailers, or nothing. Beside that `edge --explain` must say the same of it.

Many exchanges are under way at once, in step: all first pieces are sent, edge has begun to read as many requests by its
own count, and only then the second pieces follow. So no request that is cut in two is joined again by the kernel, as long
as its first piece fits one of edge's buffers. Behind the first byte of those that come byte by byte nothing waits, so
there edge may get some together. What needs every cut to be exact is in the unit tests RequestSplit.*, without sockets.
"""

import collections
import itertools
import os
import pathlib
import re
import subprocess

import harness
import raw_case
import raw_requests
from raw_sending import FilingOrigin, Sending, expected_verdict

IN_FLIGHT = 64
# Requests larger than this (lines and heads at their limits) are cut at every 509th position, and sent in such steps
# instead of bytes.
CUT_EVERYWHERE_BYTES_MAX = 1000
COARSE_STEP = 509
# A sanitizer makes edge slow, so with one each request is cut at every seventh position only.
CUTS_STEP = 7 if harness.SANITIZER else 1
FAILURES_SHOWN = 20


def my_cases():
    """The cases of this shard (Bazel's test sharding), or all."""
    status_file = os.environ.get("TEST_SHARD_STATUS_FILE")
    if status_file:
        pathlib.Path(status_file).touch()
    cases = raw_requests.corpus()
    return cases[int(os.environ.get("TEST_SHARD_INDEX", 0))::int(os.environ.get("TEST_TOTAL_SHARDS", 1))]


def ways_to_send(case):
    """(name, pieces of case.stream)."""
    stream = case.stream
    yield "whole", [stream]
    coarse = len(stream) > CUT_EVERYWHERE_BYTES_MAX
    step = COARSE_STEP if coarse else 1
    yield "byte by byte", [stream[at:at + step] for at in range(0, len(stream), step)]
    step = COARSE_STEP if coarse else CUTS_STEP
    for cut in range(step, len(case.data) + (0 if stream == case.data else 1), step):
        yield f"cut at {cut}", [stream[:cut], stream[cut:]]


def batches(ways):
    """Lists of those (case, way, pieces) that are sent in step.

    That edge has begun a request for each of a batch tells that it has read every first piece, if none of these is more
    than one request. What may be more goes alone, and what comes whole has nothing to wait for."""
    groups = {"whole": [], "cut": [], "cut, of several requests": []}
    for way in ways:
        case, _, pieces = way
        several = case.served > 1 or case.behind
        groups["whole" if len(pieces) == 1 else "cut, of several requests" if several else "cut"].append(way)
    for name, group in groups.items():
        size = 1 if name == "cut, of several requests" else IN_FLIGHT
        yield from (group[at:at + size] for at in range(0, len(group), size))


class Begun:
    """How many requests edge has begun to read, by its metrics: asked often, so without parsing all of them."""

    ACTIVE = re.compile(rb"^edge_exchanges_active\{[^}]*\} ([0-9]+)$", re.M)
    DONE = re.compile(rb"^edge_requests_total\{[^}]*\} ([0-9]+)$", re.M)

    def __init__(self, edge):
        self._client = harness.connect(edge.admin_port)

    def _read(self):
        self._client.send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n")
        body = self._client.read_response().body
        return tuple(sum(map(int, series.findall(body))) for series in (self.ACTIVE, self.DONE))

    def when_idle(self):
        """The count, when nothing is under way any more."""
        harness.wait_until(lambda: self._read()[0] == 0, "edge has nothing to do")
        return self._read()[1]

    def wait_for(self, count):
        harness.wait_until(lambda: sum(self._read()) >= count, f"edge has begun to read {count} requests")

    def close(self):
        self._client.close()


class DifferentialTest(harness.EdgeTest):
    def setUp(self):
        self.cases = my_cases()
        self.problems = []

    def report(self, case, how, what):
        self.problems.append(f"{case}, {how}: {what}\n    {case.data[:300]!r}")

    def tearDown(self):
        if self.problems:
            shown = "\n".join(self.problems[:FAILURES_SHOWN])
            self.fail(f"{len(self.problems)} differences, the first of them:\n{shown}")

    def send_all(self, ways, edge, begun):
        """Sends each (case, way, pieces) and yields (Sending, verdict)."""
        numbers = itertools.count(1)
        for batch in batches(ways):
            sendings = [Sending(edge.port, *way, next(numbers)) for way in batch]
            before = begun.when_idle()
            for sending in sendings:
                sending.send(0)
            # Of empty lines alone edge does not say that it has them.
            begun.wait_for(before + sum(sending.pieces[0].strip(b"\r\n") != b"" for sending in sendings))
            for index in range(1, max(len(sending.pieces) for sending in sendings)):
                for sending in sendings:
                    sending.send(index)
            for sending in sendings:
                yield sending, sending.finish()

    def test_no_cut_makes_a_difference(self):
        origin = FilingOrigin()
        server = self.start_raw_origin(origin)
        edge = self.start_edge("--trusted_proxies=127.0.0.1/32", upstream=server.url)
        begun = self._closed_later(Begun(edge))
        ways = ((case, how, pieces) for case in self.cases for how, pieces in ways_to_send(case))
        sent = collections.defaultdict(list)  # {case: its sendings}
        refusals = collections.Counter()
        for sending, verdict in self.send_all(ways, edge, begun):
            sent[str(sending.case)].append((sending.how, sending.identities))
            refusals.update(reason for _, reason in verdict if reason)
            expected = expected_verdict(sending.case)
            if verdict != expected:
                self.report(sending.case, sending.how, f"verdict {verdict}, expected {expected}")
        counted = edge.metrics().by_label("edge_refusals_total", "reason")
        self.assertEqual({reason: count for reason, count in counted.items() if count}, refusals)
        # When both have ended the origin has filed all that will ever come.
        edge.sigint()
        edge.wait_exit()
        server.close()
        for case in self.cases:
            self.check_origin(case, sent[str(case)], origin.views)
        # What is left are the requests that the corpus has without an id, behind others.
        left = [view for views in origin.views.values() for view in views]
        expected = sum((case.served - 1) * len(sent[str(case)]) for case in self.cases if case.served > 1)
        self.assertEqual({view.head.split(b" ")[1] for view in left} - {b"/2"}, set())
        self.assertEqual(len(left), expected)
        count = sum(map(len, sent.values()))
        print(f"{len(self.cases)} requests, each whole, byte by byte and cut at every position: {count} exchanges")

    def check_origin(self, case, sendings, views_by_id):
        """What the origin saw must be the same for all sendings of a case, and what the corpus says."""
        accepted = not case.reason and not case.cut_off and not case.early
        served_next = accepted and not case.closes and not case.behind
        head = None
        for how, (main, following) in sendings:
            views = views_by_id.pop(main, [])
            if len(views_by_id.pop(following, [])) != served_next:
                self.report(case, how,
                    f"the request behind was {'not ' if served_next else ''}forwarded, or more than once")
            if len(views) > 1:
                self.report(case, how, f"forwarded {len(views)} times: {views}")
            if accepted and not views:
                self.report(case, how, "not forwarded")
            if case.reason and not case.in_body and views:
                self.report(case, how, f"refused, and forwarded: {views}")
            for view in views:
                head = head or view.head
                if view.head != head:
                    self.report(case, how, f"head {view.head!r}, elsewhere {head!r}")
                self.check_view(case, how, view, accepted)

    def check_view(self, case, how, view, accepted):
        if view.complete != accepted:
            self.report(case, how, f"{'complete' if view.complete else 'incomplete'} at the origin: {view}")
        if accepted and view.body != case.body:
            self.report(case, how, f"body {view.body!r}, expected {case.body!r}")
        if accepted and view.trailers != case.trailers:
            self.report(case, how, f"trailers {view.trailers}, expected {case.trailers}")
        if case.seen not in view.head:
            self.report(case, how, f"{case.seen!r} is missing in {view.head!r}")
        if case.unseen and case.unseen in view.head + repr(view.trailers).encode():
            self.report(case, how, f"{case.unseen!r} was forwarded: {view}")

    def test_explain_says_the_same(self):
        """The running proxy's verdicts are compared with the corpus above, its heads for one request each here."""
        origin = FilingOrigin()
        server = self.start_raw_origin(origin)
        listen = "http://127.0.0.1:0"
        edge = self.start_edge("--trusted_proxies=127.0.0.1/32", upstream=server.url, listen=listen)
        begun = self._closed_later(Begun(edge))
        ways = ((case, "whole", [case.stream]) for case in self.cases)
        for sending, _ in self.send_all(ways, edge, begun):
            case = sending.case
            identity = sending.identities[0].encode()
            data = case.stream.replace(raw_case.ID, identity)
            done = subprocess.run(
                [harness.EDGE_BINARY, "--explain", "--trusted_proxies=192.0.2.0/24", f"--upstream={server.url}",
                f"--listen={listen}"],
                input=data, capture_output=True, timeout=harness.TIMEOUT_S, check=False)
            text, _, head = done.stdout.replace(identity, b"ID").partition(b"\n\n")
            said = dict(line.partition(": ")[::2] for line in text.decode("latin-1").splitlines())
            verdict = "refused" if case.reason else "incomplete" if case.cut_off or case.early else "accepted"
            expected = {"verdict": verdict}
            if case.reason:
                expected.update(reason=case.reason, status=str(case.status), part="body" if case.in_body else "head")
            if {key: said.get(key) for key in expected} != expected:
                self.report(case, "explained", f"{text.decode('latin-1')}")
            for view in origin.views.get(sending.identities[0], []):
                forwarded = re.sub(rb"(?m)^(X-Forwarded-For: .*)127\.0\.0\.1\r$", rb"\g<1>192.0.2.1\r", view.head)
                if forwarded != head:
                    self.report(case, "explained", f"head {head!r}, forwarded {view.head!r}")


if __name__ == "__main__":
    harness.main()
