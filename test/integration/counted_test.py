"""nginx, HAProxy and a strict origin behind edge see exactly the requests that edge counted: none more, and none twice.

The corpus of raw_requests.py goes through edge to each of them. What edge says of itself, in its access log and metrics,
is then compared request by request with what the server says of itself. Behind nginx and HAProxy stands the strict origin
too, so what they made of a request is known to the last byte of its body.
"""

import collections
import itertools
import json
import re
import signal

import harness
import raw_requests
from raw_sending import FilingOrigin, Sending, expected_verdict

# Their own limits on heads are lower than edge's, and not what is tried here.
NGINX_HTTP = """
  client_header_buffer_size 64k;
  large_client_header_buffers 4 64k;
  log_format seen escape=json '{"id":"$http_x_request_id","method":"$request_method","target":"$request_uri",'
                              '"status":$status}';
"""
NGINX_SERVER = """
    access_log %s seen;
    location / {
      proxy_pass http://127.0.0.1:%d;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
    }
"""
# Connections on which nothing came are no requests: edge opens one for a request whose body then turns out to be wrong.
HAPROXY = """
  mode http
  log stdout len 65535 format raw local0
  option dontlognull
  http-request set-var(txn.id) req.hdr(x-request-id)
  log-format "{\\"id\\":\\"%%[var(txn.id)]\\",\\"method\\":\\"%%HM\\",\\"target\\":\\"%%HU\\",\\"status\\":%%ST}"
  default_backend behind
backend behind
  mode http
  server behind 127.0.0.1:%d
global
  tune.bufsize 65536
  tune.http.maxhdr 256
  tune.http.logurilen 16384
"""

# Requests that edge rightly forwards and nginx 1.22 refuses on its own: it cannot parse an asterisk-form (RFC 9112
# 3.2.4), and offers no TRACE.
NOT_OF_NGINX = (b"OPTIONS * ", b"TRACE / ")

# Lines that a worker of edge has memory for: 224 KiB.
LINES_AHEAD_MAX = 400

Request = collections.namedtuple("Request", "identity method target")


def request(identity, method, target):
    """As edge's log tells of it, which cuts long targets."""
    return Request(identity, method, target[:1024])


def count(lines, wanted):
    """Requests in lines of an access log, and how often."""
    return collections.Counter(request(line["request_id"], line["method"],
        line["path"]) for line in lines if wanted(line))


class CountedTest(harness.EdgeTest):
    def send_corpus(self, url, leave_out=()):
        """Sends all but what needs an origin that answers early, and then ends edge, so that all logs are complete."""
        log = self.directory / "edge.log"
        edge = self.start_edge("--trusted_proxies=127.0.0.1/32", f"--access_log={log}", upstream=url)
        lines = written = 0  # of the access log
        self.cases = {}  # {id of the first request of a case: the case}
        for number, case in enumerate(raw_requests.corpus()):
            if case.early or (not case.reason and case.data.startswith(leave_out)):
                continue
            sending = Sending(edge.port, case, "whole", [case.stream], number)
            self.cases[sending.identities[0]] = case
            sending.send(0)
            self.assertEqual(sending.finish(), expected_verdict(case), str(case))
            lines += len(expected_verdict(case))
            # Edge drops lines rather than wait for its log, so the test waits.
            if lines > written + LINES_AHEAD_MAX:
                harness.wait_until(lambda: log.read_bytes().count(b"\n") > written, "edge has written lines of its log")
                written = log.read_bytes().count(b"\n")
        metrics = edge.metrics()
        edge.sigterm()
        edge.wait_exit()
        self.log = [json.loads(line) for line in log.read_text().splitlines()]
        self.check_verdicts()
        # Those that were forwarded and answered, and those of which an origin may have seen a part.
        tried = [line for line in self.log if line["upstream"]]
        self.forwarded = count(tried, lambda line: not line["reason"])
        self.broken_off = count(tried, lambda line: line["reason"])
        self.assertEqual(metrics.value("edge_requests_total"), len(self.log))
        self.assertEqual(metrics.value("edge_requests_total", **{"class": "2xx"}), sum(self.forwarded.values()))
        self.assertEqual(metrics.value("edge_upstream_connects_total") + metrics.value("edge_upstream_reuses_total"),
                         len(tried) + metrics.value("edge_upstream_retries_total"))
        self.assertEqual(max(self.forwarded.values()), 1)

    def check_verdicts(self):
        """One case came after the other, and so must their requests in the access log, each with its status and reason."""
        logged = ((line["status"], line["reason"]) for line in self.log)
        for case in self.cases.values():
            expected = ((0, "client.closed"),) if case.cut_off else expected_verdict(case)
            self.assertEqual(tuple(itertools.islice(logged, len(expected))), expected, str(case))
        self.assertEqual(list(logged), [])

    def check(self, complete, parts, who):
        problems = {
            "seen, but not counted": complete - self.forwarded, "counted, but not seen": self.forwarded - complete,
            "seen in part, but not counted": parts - self.broken_off}
        for what, requests in problems.items():
            self.assertEqual(len(requests), 0, f"{who}: {what}: {dict(itertools.islice(requests.items(), 20))}")
        print(f"{len(self.cases)} streams, {len(self.log)} requests; {who}: {sum(complete.values())} forwarded and seen, "
              f"{sum(parts.values())} of {sum(self.broken_off.values())} broken off seen in part")

    def check_origin(self, origin):
        """What the strict origin read."""
        complete, parts = collections.Counter(), collections.Counter()
        for identity, views in origin.views.items():
            for view in views:
                method, target, _ = view.head.decode("latin-1").split(" ", 2)
                (complete if view.complete else parts)[request(identity, method, target)] += 1
                case = self.cases.get(identity)
                if view.complete and case:
                    self.assertEqual(view.body, case.body, str(case))
        self.check(complete, parts, "the strict origin")

    def check_server(self, text, who):
        """What nginx or HAProxy logged. Another status than the origin's 200 is right only for what was broken off."""
        seen = [{"request_id": line.pop("id"), "path": line.pop("target"), **line}
                for line in map(json.loads, re.findall(r"^\{.*\}$", text, re.M))]
        self.check(count(seen, lambda line: line["status"] == 200), count(seen, lambda line: line["status"] != 200), who)

    def test_strict_origin(self):
        origin = FilingOrigin()
        server = self.start_raw_origin(origin)
        self.send_corpus(server.url)
        server.close()
        self.check_origin(origin)

    def test_nginx(self):
        origin = FilingOrigin()
        server = self.start_raw_origin(origin)
        log = self.directory / "seen.log"
        nginx = self.start_nginx_origin(NGINX_SERVER % (log, server.port), NGINX_HTTP)
        self.send_corpus(nginx.url, leave_out=NOT_OF_NGINX)
        nginx.kill()
        server.close()
        self.check_server(log.read_text(), "nginx")
        self.check_origin(origin)

    def test_haproxy(self):
        origin = FilingOrigin()
        server = self.start_raw_origin(origin)
        haproxy = self.start_haproxy(HAPROXY % server.port)
        self.send_corpus(haproxy.url)
        # It ends when its last connection has, and with that all that it logs.
        haproxy.signal(signal.SIGUSR1)
        haproxy.wait_exit()
        server.close()
        self.check_server(haproxy.output, "HAProxy")
        self.check_origin(origin)


if __name__ == "__main__":
    harness.main()
