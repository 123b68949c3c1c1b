"""How the corpus of raw_requests.py is sent, and an origin that files what it saw of it: for the tests that use it."""

import collections
import itertools
import re

import harness
import raw_case

# What the origin made of one request. `complete`: it saw the end of the body.
View = collections.namedtuple("View", "head body trailers complete")


def expected_verdict(case):
    """((status, reason of a refusal), ...) that a client must get for it."""
    if case.reason:
        return ((case.status, case.reason),)
    if case.cut_off:
        return ()
    verdict = ((200, ""),) * case.served
    if case.behind:
        return (*verdict, (400, case.behind))
    return verdict if case.closes else (*verdict, (200, ""))


class FilingOrigin:
    """A script for RawOrigin: reads requests strictly, and files what it saw under their X-Request-Id."""

    def __init__(self):
        self.views = collections.defaultdict(list)
        self._shared = {}

    def __call__(self, connection):
        connection.keep_received = False
        connection.socket.settimeout(None)  # edge keeps it pooled while there is nothing to forward
        while connection.has_more():
            request = connection.read_request_head()
            connection.requests.clear()
            early = request.target == "/early"
            if early:
                connection.respond(body="ok")
            body = []
            try:
                connection.read_request_body(request, body.append)
                complete = True
            except harness.IncompleteMessage:
                complete = False
            identity = request.fields.get("X-Request-Id")
            head = request.raw_head.replace(identity.encode("latin-1"), b"ID")
            view = View(head, b"".join(body), tuple(request.trailers.pairs), complete)
            self.views[identity].append(self._shared.setdefault(view, view))
            if early or not complete:
                return
            connection.send(harness.ok(request))


class Sending:
    """One case on its way, in pieces."""

    def __init__(self, port, case, how, pieces, number):
        self.case, self.how = case, how
        self.identities = (f"{number:011d}m", f"{number:011d}n")
        names = [identity.encode() for identity in self.identities]
        # The cuts may lie within the ids, so they are filled in after cutting.
        whole = b"".join(pieces).replace(raw_case.ID, names[0]).replace(raw_case.NEXT_ID, names[1])
        ends = itertools.accumulate(map(len, pieces))
        self.pieces = [whole[end - len(piece):end] for piece, end in zip(pieces, ends)]
        self.client = harness.connect(port)

    def send(self, index):
        """Sends a piece, if there is one; edge may have closed before."""
        if index >= len(self.pieces):
            return
        try:
            self.client.send(self.pieces[index])
            if self.case.cut_off and index == len(self.pieces) - 1:
                self.client.close_write()
        except OSError:
            pass

    def finish(self):
        """The verdict: ((status, reason), ...), when edge has closed."""
        verdict = []
        with self.client as client:
            while not client.at_eof():
                method = self.case.method if not verdict else "GET"
                response = client.read_response(method)
                details = re.search(r'details="([^"]*)"', response.fields.get("Proxy-Status", ""))
                verdict.append((response.status, details[1] if details else ""))
        return tuple(verdict)
