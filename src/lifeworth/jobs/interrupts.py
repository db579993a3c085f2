"""Calls that block in a driver, made so that signals are heard while they last.

Python runs the handler of a signal between its own instructions, and so not while the main thread waits inside a driver
for a server. Here the call is made in another thread, and the main thread waits in Python.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Seconds that a call which was told to stop is given to end, so that its connection can be closed.
PATIENCE = 1.0
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Calls:
    """The calls to one server.

    Parameters
    ----------
    ignored : errors of cancelling and closing after a stop, when nothing else can be done.

    Attributes
    ----------
    stopped : whether somebody has asked this process to stop.
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
        cancel : makes the function end, called from another thread; None: nothing does.

        Raises
        ------
        KeyboardInterrupt : a signal came; the function may still be running.
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
        """Cancel all calls, and let those who wait for them, in whatever thread, wait no more."""
        if not self.stopped:
            self._deadline = time.monotonic() + PATIENCE
        self.stopped = True
        for over, cancel in list(self._running.values()):
            if cancel is not None:
                # In a thread of its own: to cancel a statement means to ask the server, which may not answer.
                threading.Thread(target=self._quietly, args=(cancel,), name="lifeworth-cancel", daemon=True).start()
            over.set()

    def end(self, close: Callable[[], None]) -> None:
        """Close a connection; after a stop within `PATIENCE`, or else leave it to the end of the process."""
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
        """Stop all calls when a signal comes that ends this process or raises KeyboardInterrupt.

        Where the block runs in another thread than the main one, signals are left alone.
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
