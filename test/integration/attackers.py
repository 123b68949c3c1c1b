"""What attackers send: pieces without end, at full speed or a few bytes at a time, until they are stopped."""

import contextlib
import itertools
import ssl
import threading

from environment import TIMEOUT_S

# What a send on a connection that the other side has ended may raise.
SENDING_FAILED = (OSError, ssl.SSLError)
PIECE_BYTES = 16 * 1024


def repeated(piece):
    """The same for ever."""
    return itertools.repeat(piece * max(1, PIECE_BYTES // len(piece)))


def numbered(text):
    """text.format(0), text.format(1) and so on for ever, many in a piece."""
    for start in itertools.count(0, 500):
        yield "".join(text.format(number) for number in range(start, start + 500)).encode()


class Attack:
    """A thread that sends a beginning and then pieces, until that fails or stop() is called.

    With `pause_s` it sends the pieces byte by byte, with that much time between them.
    """

    def __init__(self, wire, beginning, pieces, pause_s=0):
        self.sent_bytes = 0
        self._stop = threading.Event()
        if pause_s:
            pieces = (bytes([byte]) for piece in pieces for byte in piece)
        self._thread = threading.Thread(target=self._run, args=(wire, beginning, pieces, pause_s), daemon=True)
        self._thread.start()

    def _run(self, wire, beginning, pieces, pause_s):
        with contextlib.suppress(*SENDING_FAILED):
            wire.send(beginning)
            for piece in pieces:
                wire.send(piece)
                self.sent_bytes += len(piece)
                if self._stop.wait(pause_s):
                    return

    def wait_cut_off(self):
        """Until edge has ended its connection; it does not stop by itself."""
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), f"after {self.sent_bytes} bytes it may still send"

    def stop(self):
        self._stop.set()
        self._thread.join(TIMEOUT_S)


def client_hello():
    """The first flight of a TLS client."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), flight := ssl.MemoryBIO(),
                                                           server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return flight.read()
