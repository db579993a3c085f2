"""Signals end a job at once, also while PostgreSQL works or somebody else holds a lock; what was there stays."""

import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from servers import start_server

from lifeworth.jobs.interrupts import Calls

driver = pytest.importorskip("adbc_driver_postgresql.dbapi")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Far more than the two seconds that are promised, on a machine that others use; far less than what is waited for.
PATIENCE = 100


def query(uri, statement, *parameters):
    with driver.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(statement, list(parameters) or None)
        return cursor.fetchall() if cursor.description else None


def wait_for(condition, seconds=400):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def started(job):
    return subprocess.Popen(
        [sys.executable, "-c", "from lifeworth.cli import main; main()", "run", str(job)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complete(job):
    process = started(job)
    _, err = process.communicate(timeout=PATIENCE * 4)
    assert process.returncode == 0, err


def end(process, number):
    """Send the signal once; the process ends as on Ctrl-C."""
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert err == "lifeworth: Interrupted: no output was left incomplete.\n"
    assert out == ""


@pytest.mark.parametrize("number", SIGNALS)
def test_while_a_query_works(make, tmp_path, postgresql, monkeypatch, number):
    monkeypatch.setenv("SHOP_URI", postgresql)
    source = "SELECT 1 AS customer_id, date '2024-01-01' AS date, 1.0::float8 AS amount FROM pg_sleep(600) AS sleeping"
    job = make(source={"postgresql": "${SHOP_URI}", "query": source}, rfm={})
    running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    process = started(job)
    wait_for(lambda: query(postgresql, running)[0][0] or process.poll() is not None)
    end(process, number)
    wait_for(lambda: not query(postgresql, running)[0][0], 10)  # the server is not left at work for nobody
    assert not (tmp_path / "out").exists()


def test_while_a_table_is_locked(make, postgresql, monkeypatch):
    monkeypatch.setenv("SHOP_URI", postgresql)
    job = make(sink={"postgresql": "${SHOP_URI}", "table": "scores"})
    complete(job)
    before = query(postgresql, "SELECT count(*), sum(clv) FROM scores")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with driver.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        for number in SIGNALS:
            process = started(job)
            wait_for(lambda process=process: query(postgresql, waiting)[0][0] or process.poll() is not None)
            end(process, number)
            wait_for(lambda: not query(postgresql, waiting)[0][0], 10)
        connection.rollback()
    assert query(postgresql, "SELECT count(*), sum(clv) FROM scores") == before
    complete(job)
    assert query(postgresql, "SELECT count(*), sum(clv) FROM scores") == before


def test_while_a_server_answers_nothing(make, tmp_path_factory, monkeypatch):
    """All of its processes are halted: a request to cancel is not answered, either."""
    data = tmp_path_factory.mktemp("halted") / "data"
    server = start_server(data)
    monkeypatch.setenv("SHOP_URI", server.get_uri())
    source = "SELECT 1 AS customer_id, date '2024-01-01' AS date, 1.0::float8 AS amount FROM pg_sleep(600) AS sleeping"
    process = started(make(source={"postgresql": "${SHOP_URI}", "query": source}, rfm={}))
    backends = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%sleeping%' AND pid <> pg_backend_pid()"
    wait_for(lambda: query(server.get_uri(), backends) or process.poll() is not None)
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    halted = [postmaster, *(pid for (pid,) in query(server.get_uri(), backends))]
    try:
        for pid in halted:
            os.kill(pid, signal.SIGSTOP)
        end(process, signal.SIGTERM)
    finally:
        for pid in halted:
            os.kill(pid, signal.SIGCONT)
        server.cleanup()


def test_rows_that_are_read_by_another_thread(postgresql, tmp_path):
    """A table larger than memory is read ahead, in a thread that hears no signals itself."""
    code = """
import os, signal, sys, threading
import lifeworth as lw
from lifeworth.jobs.sources import PostgreSQLSource
signal.signal(signal.SIGTERM, signal.default_int_handler)
text = "SELECT k AS customer_id, date '2024-01-01' AS date, 1.0::float8 AS amount FROM generate_series(1, 2000000) k "
text += "WHERE k < 1500000 OR pg_sleep(600) IS NOT NULL"
try:
    with PostgreSQLSource(sys.argv[1], query=text).transactions(["customer_id", "date", "amount"]) as rows:
        lw.rfm_summary(rows, memory_limit="64MB", threads=2)
except KeyboardInterrupt:
    print("heard")
"""
    process = subprocess.Popen([sys.executable, "-c", code, postgresql], stdout=subprocess.PIPE, text=True)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    wait_for(lambda: query(postgresql, sleeping)[0][0] or process.poll() is not None)
    time.sleep(1)  # until the thread that reads has given all it had
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE)[0] == "heard\n"
    wait_for(lambda: not query(postgresql, sleeping)[0][0], 10)


def test_calls_that_end_give_what_they_gave():
    calls = Calls()
    assert calls.run(lambda: 3) == 3
    with pytest.raises(ValueError, match="no"):
        calls.run(lambda: int("no"))


def test_a_stop_ends_what_waits_in_any_thread():
    calls, never = Calls(), threading.Event()
    told = []

    def wait():
        try:
            calls.run(never.wait, never.set)
        except KeyboardInterrupt as error:
            told.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(calls._running) == 3)
    with pytest.raises(KeyboardInterrupt), calls.heard():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert len(told) == 3
    assert never.is_set()
    with pytest.raises(KeyboardInterrupt):
        calls.run(lambda: 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_source_that_works_still_gives_its_rows(postgresql):
    from lifeworth.jobs.sources import PostgreSQLSource

    with PostgreSQLSource(postgresql, query="SELECT k FROM generate_series(1, 300000) AS k").reader() as rows:
        assert rows.read_all().to_pandas()["k"].tolist() == pd.RangeIndex(1, 300_001).tolist()
