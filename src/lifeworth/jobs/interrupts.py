"""Calls that block in a driver, run so that signals are handled meanwhile.

Python runs signal handlers between its own instructions, and therefore not while the main thread waits inside a driver
for a server. Here the call is made in another thread, and the main thread waits in Python.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Seconds that a cancelled call has to end, so that its connection can be closed.
PATIENCE = 1.0
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Calls:
    """The calls to one server.

    Parameters
    ----------
    ignored : errors of cancelling and closing after a stop, which are ignored.

    Attributes
    ----------
    stopped : whether this process was asked to stop.
    """

    def __init__(self, *ignored: type[Exception]) -> None:
        self.stopped = False
        self._ignored = ignored
        self._deadline = 0.0
        self._running: dict[threading.Thread, tuple[threading.Event, Callable[[], None] | None]] = {}

    def run[T](self, function: Callable[[], T], cancel: Callable[[], None] | None = None) -> T:
        """Call a function, and return its result.

        Parameters
        ----------
        function : may block.
        cancel : makes the function end, called from another thread; None: it cannot be cancelled.

        Raises
        ------
        KeyboardInterrupt
            If a signal was received; the function may still be running.
        """
        if self.stopped:
            raise KeyboardInterrupt
        over = threading.Event()
        results: list[T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(function())
            except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
                errors.append(error)
            finally:
                self._running.pop(threading.current_thread(), None)
                over.set()

        thread = threading.Thread(target=work, name="lifeworth-call", daemon=True)
        self._running[thread] = (over, cancel)
        try:
            thread.start()
            over.wait()
        except BaseException:
            self.stop()
            raise
        if self.stopped or not (results or errors):
            raise KeyboardInterrupt
        if errors:
            raise errors[0]
        return results[0]

    def stop(self) -> None:
        """Cancel all calls, and end the waiting for them in all threads."""
        if not self.stopped:
            self._deadline = time.monotonic() + PATIENCE
        self.stopped = True
        for over, cancel in list(self._running.values()):
            if cancel is not None:
                # In a separate thread: cancelling a statement is a request to the server, which may not answer.
                threading.Thread(target=self._quietly, args=(cancel,), name="lifeworth-cancel", daemon=True).start()
            over.set()

    def end(self, close: Callable[[], None]) -> None:
        """Close a connection; after a stop, wait at most `PATIENCE` seconds and then abandon it."""
        if not self.stopped:
            self.run(close)
            return
        for thread in list(self._running):
            thread.join(max(self._deadline - time.monotonic(), 0.0))
        if not self._running:
            closing = threading.Thread(target=self._quietly, args=(close,), name="lifeworth-close", daemon=True)
            closing.start()
            closing.join(max(self._deadline - time.monotonic(), 0.1))

    def _quietly(self, function: Callable[[], None]) -> None:
        with suppress(*self._ignored):
            function()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Stop all calls on a signal that ends this process or raises KeyboardInterrupt.

        If the block runs outside the main thread, signals are left unchanged.
        """
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
                handler = signal.getsignal(number)
                if callable(handler):  # neither ignored, as by nohup, nor the system's default
                    before[number] = handler

        def stop(number: int, frame: Any) -> None:
            self.stop()
            before[number](number, frame)

        try:
            for number in before:
                signal.signal(number, stop)
            yield
        finally:
            for number, handler in before.items():
                if signal.getsignal(number) is stop:
                    signal.signal(number, handler)
