"""The proxies that are compared, and the origin behind them: how each is configured and started.

Each proxy is one worker on one core, with keep-alive to the client and to the origin, no access log and buffers that fit
the bodies. Where a setting was a choice, the faster one was taken for the peers. All serve the same certificate and
are held to one TLS 1.3 cipher suite, the one that edge prefers.
"""

import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = REPOSITORY / ".deps/bin"
START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 10
TLS_SUITE = "TLS_AES_128_GCM_SHA256"

NGINX_PROXY = """\
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 16384; accept_mutex off; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  upstream origin {{
    server 127.0.0.1:{origin};
    keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 1h;
  }}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    listen 127.0.0.1:{tls_port} ssl reuseport backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites {suite};
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering {buffering};
      proxy_buffer_size {buffer_size};
      proxy_buffers 32 {buffer_size};
      proxy_busy_buffers_size {busy_size};
      proxy_max_temp_file_size 0;
    }}
  }}
}}
"""

NGINX_ORIGIN = """\
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 16384; accept_mutex off; }}
http {{
  access_log off;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  open_file_cache max=100;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /bytes/1024 {{ return 200 "{kib}"; }}
    location /bytes/ {{ alias {www}/; }}
    location = /requests {{ stub_status; }}
  }}
}}
"""

HAPROXY = """\
global
  nbthread 1
  maxconn 4096
  tune.bufsize {bufsize}
  ssl-default-bind-ciphersuites {suite}
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  option http-keep-alive
  option splice-auto
  http-reuse always
frontend front
  bind 127.0.0.1:{port} backlog 4096
  bind 127.0.0.1:{tls_port} ssl crt {pem} alpn http/1.1
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin} pool-max-conn 1024
"""


def free_port():
    """A port that was free a moment ago; the servers here are started one at a time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(directory):
    """A self-signed P-256 certificate: (certificate, key, both in one file)."""
    certificate, key, pem = (pathlib.Path(directory) / name for name in ("cert.pem", "key.pem", "both.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    pem.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, key, pem


class Server:
    """A started program, pinned to one core, or a set of them. `pids` are those of all its processes.

    `own_session`: so that it has a scheduling group of its own, see prefer()."""

    def __init__(self, name, command, core, directory, own_session=False):
        cores = core if isinstance(core, set) else {core}
        self.name = name
        self.log_path = pathlib.Path(directory) / f"{name}.log"

        def prepare():
            os.sched_setaffinity(0, cores)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        with open(self.log_path, "wb") as log:
            self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=subprocess.STDOUT, preexec_fn=prepare, start_new_session=own_session)

    def prefer(self):
        """Over everything of normal priority outside of its session, while its own threads' nice values keep their
        meaning among themselves (sched(7), autogroups). Where the kernel or our rights do not allow it, nothing changes."""
        try:
            pathlib.Path(f"/proc/{self.child.pid}/autogroup").write_text("-20")
        except OSError:
            return

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for(self, condition, what, timeout_s=START_TIMEOUT_S):
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start with status {self.child.returncode}:\n{self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: no {what} within {timeout_s} s:\n{self.log}")
            time.sleep(0.01)

    def wait_for_port(self, port):
        def connects():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False

        self.wait_for(connects, f"answer on port {port}")

    @property
    def pids(self):
        """The program's process and its children (nginx's worker)."""
        pids = [self.child.pid]
        for pid in pids:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        return pids

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                for pid in reversed(self.pids):
                    os.kill(pid, 9)
                self.child.wait()


class Peer:
    """A proxy to compare: what it is called, its version, and how to start it before an origin."""

    def __init__(self, name, binary, kind):
        self.name = name
        self.binary = str(binary)
        self.kind = kind
        self.version = self._version()
        self.is_nginx = kind == "nginx"

    def _version(self):
        if self.kind == "edge":
            return "this tree"
        done = subprocess.run([self.binary, "-v"], capture_output=True, text=True, timeout=START_TIMEOUT_S)
        return re.search(r"(nginx/\S+|HAProxy version \S+)", done.stdout + done.stderr)[1]

    def start(self, scenario, origin_port, core, certificate, directory):
        directory = pathlib.Path(directory) / self.name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        values = {
            "directory": directory, "origin": origin_port, "port": free_port(), "tls_port": free_port(),
            "certificate": certificate[0], "key": certificate[1], "pem": certificate[2], "suite": TLS_SUITE,
            **self.tuning(scenario),
        }
        command = getattr(self, f"_{self.kind}_command")(values)
        server = Server(self.name, command, core, directory)
        try:
            if self.kind == "edge":
                server.wait_for(lambda: "edge: ready" in server.log, "'edge: ready'")
            else:
                server.wait_for_port(values["port"])
                server.wait_for_port(values["tls_port"])
        except RuntimeError:
            server.stop()
            raise
        server.port = values["tls_port"] if scenario.tls else values["port"]
        server.admin_port = values.get("admin_port")
        return server

    def tuning(self, scenario):
        """What depends on the bodies. The better of what was tried, see test/bench/README.md."""
        if self.kind == "nginx":
            if scenario.body <= 4096:
                return {"buffering": "on", "buffer_size": "8k", "busy_size": "16k"}
            return {"buffering": "off", "buffer_size": "256k", "busy_size": "512k"}
        if self.kind == "haproxy":
            return {"bufsize": 16384 if scenario.body <= 16384 else 32768}
        return {}

    def configuration(self, scenario):
        """The configuration or command line as text, for the report."""
        places = {"directory": "DIR", "origin": "ORIGIN", "port": "PORT", "tls_port": "TLS_PORT", "suite": TLS_SUITE,
                  "certificate": "CERT", "key": "KEY", "pem": "PEM", "admin_port": "ADMIN"}
        if self.kind == "nginx":
            return NGINX_PROXY.format(**places, **self.tuning(scenario))
        if self.kind == "haproxy":
            return HAPROXY.format(**places, **self.tuning(scenario))
        return " ".join(map(str, self._edge_command(places)))

    def _nginx_command(self, values):
        path = values["directory"] / "nginx.conf"
        path.write_text(NGINX_PROXY.format(**values))
        return [self.binary, "-p", values["directory"], "-c", path, "-e", "stderr"]

    def _haproxy_command(self, values):
        path = values["directory"] / "haproxy.cfg"
        path.write_text(HAPROXY.format(**values))
        return [self.binary, "-db", "-f", path]

    def _edge_command(self, values):
        values.setdefault("admin_port", free_port())
        return [
            self.binary, f"--listen=http://127.0.0.1:{values['port']},https://127.0.0.1:{values['tls_port']}",
            f"--upstream=http://127.0.0.1:{values['origin']}", f"--tls_cert={values['certificate']}",
            f"--tls_key={values['key']}", f"--admin=127.0.0.1:{values['admin_port']}",
        ]


def find_peers(edge_binary):
    """All that is there: every nginx and HAProxy that tools/setup --bench unpacked, and edge. And what is missing."""
    peers, missing = [], []
    for kind in ("nginx", "haproxy"):
        found = sorted(PROGRAMS.glob(f"{kind}*"))
        if not found and shutil.which(kind, path=os.environ["PATH"] + ":/usr/sbin"):
            found = [pathlib.Path(shutil.which(kind, path=os.environ["PATH"] + ":/usr/sbin"))]
        if not found:
            missing.append(f"{kind} (tools/setup --bench unpacks it)")
        for path in found:
            try:
                peers.append(Peer(path.name, path, kind))
            except (OSError, TypeError, subprocess.SubprocessError) as error:
                missing.append(f"{path.name} (does not run: {error})")
    if os.path.exists(edge_binary):
        peers.append(Peer("edge", edge_binary, "edge"))
    else:
        missing.append(f"edge ({edge_binary} is not there)")
    return peers, missing


class Origin:
    """The same origin for all proxies: nginx, or light_origin, with its own count of requests."""

    def __init__(self, kind, light_binary, core, directory):
        self.kind = kind
        directory = pathlib.Path(directory) / "origin"
        www = directory / "www"
        www.mkdir(parents=True)
        if kind == "light":
            self.server = Server("light_origin", [light_binary], core, directory)
            self.server.wait_for(lambda: "listening on" in self.server.log, "port")
            self.port = int(re.search(r"listening on \S+:(\d+)", self.server.log)[1])
            self.version = "light_origin"
        else:
            for size in (65_536, 1_048_576):
                (www / str(size)).write_bytes(b"x" * size)
            self.port = free_port()
            path = directory / "nginx.conf"
            path.write_text(NGINX_ORIGIN.format(directory=directory, www=www, port=self.port, kib="x" * 1024))
            nginx = Peer("nginx", PROGRAMS / "nginx", "nginx")
            self.server = Server("nginx-origin", [nginx.binary, "-p", directory, "-c", path, "-e", "stderr"], core,
                                 directory)
            self.server.wait_for_port(self.port)
            self.version = nginx.version
        self._counter = socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT_S)

    def requests(self):
        """How many requests it has answered so far, over a connection kept open for this."""
        self._counter.sendall(b"GET /requests HTTP/1.1\r\nHost: origin\r\n\r\n")
        answer = b""
        while not (match := re.search(rb"\r\n\r\n(.+)", answer, re.S)) or (
                self.kind == "nginx" and b"Waiting" not in answer):
            piece = self._counter.recv(65_536)
            if not piece:
                raise RuntimeError("the origin has closed")
            answer += piece
        # nginx's stub_status: "accepts handled requests" and their numbers on the next line.
        return int(match[1].split(b"requests")[1].split()[2] if self.kind == "nginx" else match[1])

    def stop(self):
        self._counter.close()
        self.server.stop()
