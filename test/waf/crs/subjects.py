"""What is tested: something that takes raw requests and tells which rules matched.

    with Engine(...) as subject:
        answers = subject.answers([b"GET / HTTP/1.1\\r\\n...", ...])     in the same order

Engine asks the engine alone, without a proxy. Nginx and Edge are servers on loopback: each request comes from an address
of its own (127.1.0.0/16 and so on), by which its lines in the log are found once all are answered. So nothing has to wait
for a log in between, and several requests are under way at once.
"""

import collections
import concurrent.futures
import json
import pathlib
import re
import socket
import struct
import subprocess

import environment
import origins
import processes
import verdict

# CRS's own backend is httpbin, which has few paths. Cases that expect 404 count on that.
ORIGIN_LOCATIONS = """\
location = / { return 200 ok; }
location = /post { return 200 ok; }
location / { return 404 none; }
"""

# Cases whose requests promise more than they send wait for the server's patience; others need not wait for those.
IN_FLIGHT = 8
ANSWER_S = 3


class Engine:
    """crs_runner: edge's parser and rule engine in a process without sockets."""

    def __init__(self, runner, configuration):
        self._child = subprocess.Popen([runner, configuration], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._child.stdin.close()
        self._child.stdout.close()
        status = self._child.wait()
        if status != 0 and not error[0]:
            raise RuntimeError(f"the runner ended with status {status}")

    def answers(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        self._child.stdin.write(struct.pack(">I", len(request)) + request)
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the runner has ended")
        answer = json.loads(line)
        return verdict.Answer(answer["status"], *matched_rules(answer), answer["refused"])


class _Server:
    """A server on `port`. finish() lets it end what is under way, and itself; read_log() is then {client's address: (ids,
    texts, the parser's reason)}."""

    def answers(self, requests):
        clients = [f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(1, len(requests) + 1)]
        with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
            statuses = list(pool.map(lambda pair: exchange(self.port, *pair), zip(requests, clients)))
        self.finish()
        logged = self.read_log()
        return [verdict.Answer(status, *logged.get(client, (frozenset(), "", "")))
                for client, status in zip(clients, statuses)]


def exchange(port, request, client):
    """Sends a request, whatever it is, and returns the status of the first response; None without one."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_S, source_address=(client, 0)) as connection:
            connection.sendall(request)
            while not is_answer(received, request.startswith(b"HEAD")):
                data = connection.recv(65536)
                if not data:
                    break
                received += data
    except OSError:
        pass  # closed or silent: what has come until then counts
    head = re.match(rb"HTTP/1\.[01] (\d{3})", received)
    return int(head[1]) if head else None


def is_answer(received, of_head):
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    return of_head or re.match(rb"HTTP/1\.[01] [23]04", head) or (length and len(body) >= int(length[1]))


class Nginx(_Server):
    """nginx with libmodsecurity, as Debian packages them."""

    CONFIGURATION = """\
user root;
worker_processes 1;
error_log {directory}/error.log info;
pid {directory}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  # Which connection of the error log is whose.
  log_format done '$connection $remote_addr';
  access_log {directory}/access.log done;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  scgi_temp_path {directory}/scgi;
  uwsgi_temp_path {directory}/uwsgi;
  client_max_body_size 0;
  large_client_header_buffers 8 64k;
  client_header_timeout 2s;
  client_body_timeout 2s;
  server {{
    listen 127.0.0.1:{port};
    modsecurity on;
    modsecurity_rules_file {rules};
    location / {{
      proxy_pass http://unix:{directory}/origin;
    }}
  }}
  server {{
    listen unix:{directory}/origin;
    access_log off;
    {locations}
  }}
}}
"""

    def __init__(self, rules, directory):
        self._directory = pathlib.Path(directory)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        configuration = self._directory / "nginx.conf"
        configuration.write_text(self.CONFIGURATION.format(
            directory=directory, rules=rules, port=self.port, locations=ORIGIN_LOCATIONS))
        self._process = processes.Process(
            "nginx", [environment.find_program("nginx-modsecurity"), "-e", "stderr", "-p", directory, "-c", configuration],
            directory)
        environment.wait_until(self._ready, "nginx listens", 30)

    def _ready(self):
        if not self._process.running:
            raise RuntimeError(self._process.describe())
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except ConnectionRefusedError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()

    def finish(self):
        """Ends nginx once it has logged all that is under way."""
        self._process.signal(3)  # SIGQUIT
        self._process.wait_exit(30)

    def read_log(self):
        connection_of = dict(
            reversed(line.split()) for line in (self._directory / "access.log").read_text().splitlines())
        ids = collections.defaultdict(set)
        texts = collections.defaultdict(str)
        for line in (self._directory / "error.log").read_text(errors="replace").splitlines():
            found = re.search(r'\*(\d+) ModSecurity: .*?\[id "(\d+)"\]', line)
            if found:
                ids[found[1]].add(int(found[2]))
                texts[found[1]] += line
        return {client: (frozenset(ids[number]), texts[number], "") for client, number in connection_of.items()}


class Edge(_Server):
    """edge, with what it logs of each request."""

    def __init__(self, mode, rules, directory):
        # One that wants all of a body before it answers: without that a request which is not whole would get an answer.
        self._origin = origins.NginxOrigin(
            directory, f"client_body_timeout 2s; location / {{ proxy_pass http://unix:{directory}/origin; }}",
            http=f"server {{ listen unix:{directory}/origin; access_log off; {ORIGIN_LOCATIONS} }}")
        self._origin.wait_ready()
        self._edge = processes.Edge(
            # Nothing is shed: the queue of copies holds all.
            ["--listen=http://127.0.0.1:0", "--cores=1", f"--upstream={self._origin.url}", "--admin=", "--access_log=-",
             f"--waf={mode}", f"--waf_rules={rules}", "--waf_deadline=60s",
             "--waf_queue=65536", "--waf_memory_bytes_max=1000000000"], directory)
        self._edge.wait_ready()
        self.port = self._edge.port

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._edge.kill()
        self._origin.kill()

    def finish(self):
        self._edge.sigint()
        self._edge.wait_exit(30)

    def read_log(self):
        logged = {}
        for line in self._edge.output.splitlines():
            entry = json.loads(line)
            client = entry["client"].partition(":")[0]
            ids, text, refused = logged.get(client, (frozenset(), "", ""))
            more_ids, more_text = matched_rules(entry.get("waf", {}))
            logged[client] = (ids | more_ids, text + more_text, refused or parser_reason(entry))
        return logged


def parser_reason(entry):
    """Why edge's parser refused the request of an entry of the access log, if it did."""
    reason = entry.get("reason", "")
    return reason if reason.partition(".")[0] in ("chunk", "framing", "head", "request", "trailer") else ""


def matched_rules(waf):
    """(ids, texts) of what edge logs of a request's rules."""
    rules = waf.get("rules", [])
    return frozenset([rule["id"] for rule in rules] + waf.get("more_rules", [])), " ".join(rule.get("data", "") for rule in rules)
