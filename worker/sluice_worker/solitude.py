"""Documents run side by side, a suspect alone: if the engine dies again, everybody knows under whom."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Solitude:
    """A lock that many share or one has; who wants it alone goes before those who come later to share it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._wanting = 0
        self._is_taken = False

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        """Waits while somebody is alone, or wants to be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._wanting and not self._is_taken)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until nobody else is within."""
        with self._changed:
            self._wanting += 1
            self._changed.wait_for(lambda: not self._sharing and not self._is_taken)
            self._wanting -= 1
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()
