"""A real HAProxy: before edge as a TCP load balancer, or behind it as an origin."""

import pathlib
import socket

from environment import find_program
from processes import Process

CONFIGURATION = """
global
  maxconn 500
defaults
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend test
  bind fd@{descriptor} {bind}
{body}
"""


class Haproxy(Process):
    """HAProxy on a free port; `bind` are options of its listener, `body` is the rest of its frontend."""

    def __init__(self, directory, body, bind="", name="haproxy"):
        # It inherits the listening socket, so that a client may connect at once.
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.port = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            configuration = pathlib.Path(directory) / f"{name}.cfg"
            configuration.write_text(
                CONFIGURATION.format(descriptor=listener.fileno(), bind=bind, body=body))
            command = [find_program("haproxy"), "-db", "-f", configuration]
            super().__init__(name, command, directory, pass_fds=[listener.fileno()])
