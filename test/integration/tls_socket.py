"""A blocking TLS client socket that one thread may read while another one sends.

Python's SSLSocket uses one OpenSSL object from both threads at once, which OpenSSL forbids: under load it loses bytes or
ends the connection. Here the object is used under a lock, and never while a system call blocks.
"""

import ssl
import threading

READ_BYTES = 65_536


class TlsSocket:
    """As much of a socket as Wire needs. An end of file without close_notify raises SSLEOFError."""

    def __init__(self, sock, context, server_hostname, session=None):
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname, session=session)
        self._lock = threading.Lock()          # of _tls and both BIOs
        self._sending = threading.RLock()      # records leave in the order in which they were made
        # The time-out of sending stays as it is: a short one for reading must not cut a record in two.
        self._write_side = sock.dup()
        self._write_side.settimeout(sock.gettimeout())
        try:
            self._until(self._tls.do_handshake)
        except BaseException:
            self._write_side.close()
            raise

    def _until(self, action):
        """Runs an action, reading from the socket as long as it wants more."""
        while True:
            try:
                with self._lock:
                    result = action()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
            data = self._socket.recv(READ_BYTES)
            with self._lock:
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    def _flush(self):
        # Whoever sends already takes these along: a reader that waited for it would not read meanwhile.
        while self._outgoing.pending and self._sending.acquire(blocking=False):
            try:
                with self._lock:
                    records = self._outgoing.read()
                self._write_side.sendall(records)
            finally:
                self._sending.release()

    def recv(self, size):
        try:
            return self._until(lambda: self._tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data):
        with self._sending:
            with self._lock:
                self._tls.write(data)
            self._flush()

    @property
    def tcp(self):
        """The socket below, for bytes that are no records or not read as such."""
        return self._socket

    def settimeout(self, seconds):
        self._socket.settimeout(seconds)

    def setsockopt(self, *arguments):
        self._socket.setsockopt(*arguments)

    def shutdown(self, how):
        """Of the TCP connection: no close_notify."""
        self._socket.shutdown(how)

    def close(self):
        self._socket.close()
        self._write_side.close()

    def fileno(self):
        return self._socket.fileno()

    @property
    def session(self):
        return self._tls.session

    @property
    def session_reused(self):
        return self._tls.session_reused
