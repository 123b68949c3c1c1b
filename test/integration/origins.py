"""Origins that stand behind edge: a real nginx, and raw ones that follow a script and log what they saw."""

import os
import pathlib
import socket
import threading

from environment import TIMEOUT_S, find_program, wait_until
from processes import Process
from wire import IncompleteMessage, Wire

NGINX_CONFIGURATION = """
user root;
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  default_type application/octet-stream;
{http}
  server {{
    listen 127.0.0.1:{port} backlog=4096 {listen};
    root {root};
{server}
  }}
}}
"""


class NginxOrigin(Process):
    """nginx serving `root` on a free port, with one worker process. `http` and `server` are added to those blocks, `listen`
    to the parameters of its listen directive."""

    def __init__(self, directory, server="", name="nginx", http="", listen=""):
        self.directory = pathlib.Path(directory) / name
        self.root = self.directory / "www"
        self.root.mkdir(parents=True)
        # nginx inherits the listening socket, as in its own binary upgrade: no port can be taken in between.
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        self.port = listener.getsockname()[1]
        configuration = self.directory / "nginx.conf"
        configuration.write_text(
            NGINX_CONFIGURATION.format(directory=self.directory, root=self.root, port=self.port, http=http, server=server,
                                       listen=listen)
        )
        environment = dict(os.environ, NGINX=f"{listener.fileno()};")
        command = [find_program("nginx"), "-p", self.directory, "-c", configuration, "-e", "stderr"]
        super().__init__(name, command, directory, env=environment, pass_fds=[listener.fileno()])
        listener.close()
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_ready(self):
        def ready():
            if not self.running:
                raise AssertionError(f"nginx ended at start:\n{self.log}")
            return (self.directory / "nginx.pid").exists()

        wait_until(ready, "nginx's pid file")
        return self

    def kill(self):
        # The worker of a master that is killed would live on.
        self.sigterm()
        self.wait_exit()


class OriginConnection(Wire):
    """One connection of a RawOrigin, as its script sees it. `requests` are those that were read on it."""

    def __init__(self, sock, origin, index):
        super().__init__(sock)
        self.origin = origin
        self.index = index
        self.requests = []

    def read_request_head(self):
        request = super().read_request_head()
        self.requests.append(request)
        return request

    def respond(self, status=200, body=b"", fields="", reason="Whatever"):
        if isinstance(body, str):
            body = body.encode()
        self.send(f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

    def wait_for(self, event):
        """Waits for a threading.Event of the test."""
        assert event.wait(TIMEOUT_S), "the test never set the event that the origin's script waits for"


def serve(responder):
    """A script that answers each request on a connection with the bytes, or by the call, of `responder(request)`."""

    def script(connection):
        while request := connection.read_request():
            connection.send(responder(request))

    return script


def ok(request, body=b"ok", fields=""):
    """A plain response to any request."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode()
    return head + (b"" if request.method == "HEAD" else body)


class RawOrigin:
    """A TCP server that runs one script per connection, in a thread each.

    The first connection follows the first script, and so on; the last script serves all that come later. What a script
    raises is kept and raised again by close(), but for connections that edge ended, which are edge's right.
    """

    def __init__(self, *scripts, port=0):
        self.scripts = scripts or (serve(ok),)
        self.connections = []
        self.failures = []
        self._threads = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listener.settimeout(TIMEOUT_S * 100)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                connection = OriginConnection(sock, self, len(self.connections))
                self.connections.append(connection)
                script = self.scripts[min(connection.index, len(self.scripts) - 1)]
                thread = threading.Thread(target=self._run, args=(script, connection), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _run(self, script, connection):
        try:
            script(connection)
        except (IncompleteMessage, ConnectionError):
            pass
        except BaseException as error:  # pylint: disable=broad-except
            self.failures.append((connection.index, error))
        finally:
            connection.close()

    @property
    def requests(self):
        """All requests seen so far, on all connections."""
        return [request for connection in list(self.connections) for request in list(connection.requests)]

    @property
    def received(self):
        """All bytes seen so far, connection after connection."""
        return b"".join(bytes(connection.received) for connection in list(self.connections))

    def wait_for_requests(self, count):
        wait_until(lambda: len(self.requests) >= count, f"{count} requests at the origin")
        return self.requests

    def wait_for_connections(self, count):
        wait_until(lambda: len(self.connections) >= count, f"{count} connections at the origin")
        return self.connections

    def stop_listening(self):
        """Further connects are refused; those that are open stay."""
        # shutdown() wakes the thread in accept(); close() alone would leave the socket listening under it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join(TIMEOUT_S)

    def close(self):
        """Ends all and raises what a script ran into."""
        if self._accepter.is_alive():
            self.stop_listening()
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        if self.failures:
            index, error = self.failures[0]
            raise AssertionError(f"the origin's script failed on connection {index}: {error!r}") from error

    def describe(self):
        lines = [f"--- origin on port {self.port}: {len(self.connections)} connections"]
        for connection in self.connections:
            data = bytes(connection.received[:2000])
            lines.append(f"--- connection {connection.index}, {len(connection.received)} bytes seen: {data!r}")
        return "\n".join(lines)


class RefusingOrigin:
    """A port that is taken but refuses every connect."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self._socket.close()


class UnreachableOrigin:
    """A port where a connect neither succeeds nor fails: its accept queue is full and nobody accepts."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.settimeout(0.25)
            self._fillers.append(filler)
            try:
                filler.connect(("127.0.0.1", self.port))
            except socket.timeout:
                return
        raise AssertionError("the accept queue does not fill")

    def close(self):
        for filler in self._fillers:
            filler.close()
        self._listener.close()
