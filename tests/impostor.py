"""Who poses as Redis under a certificate of its own, and keeps what it is told."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HANDSHAKE = b"\x16"
"""The first byte of TLS."""


class Impostor:
    """Answers nothing. `heard` is what came in clear or was meant to be secret; `callers` counts who tried."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._ear = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._ear.getsockname()[1]
        self.heard = b""
        self.callers = 0

    def listen(self) -> None:
        """Until `close`."""
        with suppress(OSError):
            while True:
                caller, _ = self._ear.accept()
                self.callers += 1
                threading.Thread(target=self._hear, args=(caller,), daemon=True).start()

    def close(self) -> None:
        self._ear.shutdown(socket.SHUT_RDWR)
        self._ear.close()

    def _hear(self, caller: socket.socket) -> None:
        # A caller that hangs up in the middle of a handshake is what we hope for.
        with caller, suppress(OSError):
            caller.settimeout(5)
            first = caller.recv(1024, socket.MSG_PEEK)
            if not first.startswith(HANDSHAKE):
                self.heard += first
                return
            with self._tls.wrap_socket(caller, server_side=True) as secret:
                self.heard += secret.recv(1024)


@contextmanager
def posing(certificate: Path, key: Path) -> Iterator[Impostor]:
    impostor = Impostor(certificate, key)
    thread = threading.Thread(target=impostor.listen)
    thread.start()
    try:
        yield impostor
    finally:
        impostor.close()
        thread.join()
