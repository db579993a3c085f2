"""Counting step by step on several threads: places in order, and errors that come out."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import lifeworth as lw
from lifeworth.rfm.aggregate import Turns


def test_tasks_get_their_places_in_order_however_they_end():
    turns, seen = Turns(), []
    sizes = [3, 0, 5, 1, 2, 0, 7, 4]

    def work(task):
        with turns.watched(task):
            time.sleep(0.02 * (task % 3 == 0))
            return turns.place(task, sizes[task], lambda: seen.append(task))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == [0, 3, 3, 8, 9, 11, 11, 18]
    assert seen == list(range(8))


@pytest.mark.parametrize("bad", [0, 2, 5])
def test_a_task_that_fails_is_what_is_told_and_nobody_waits(bad):
    turns = Turns()

    def work(task):
        with turns.watched(task):
            if task == bad:
                raise MemoryError("of this one")
            time.sleep(0.01 * (task < bad))
            return turns.place(task, 1, lambda: None)

    with ThreadPoolExecutor(3) as pool:
        results = pool.map(work, range(6), timeout=20)
        with pytest.raises(MemoryError, match="of this one"):
            list(results)


def test_a_kernel_that_fails_ends_the_count(monkeypatch):
    """The error comes out, no thread is left waiting, and the next count is right."""
    from lifeworth.kernels.counting import summary as kernels
    from lifeworth.rfm import engine

    rng = np.random.default_rng(1)
    rows = pa.table(
        {
            "customer_id": rng.integers(0, 40_000, 200_000),
            "date": np.datetime64("2024-01-01") + rng.integers(0, 300, 200_000).astype("timedelta64[D]"),
            "amount": rng.gamma(2.0, 10.0, 200_000),
        }
    )
    wanted = lw.rfm_summary(rows, threads=1).to_pandas()
    monkeypatch.setattr(engine, "_ENTRIES_PER_STEP", 10_000)
    calls, kernel = [], kernels.summarise_direct_plain

    def failing(*arguments):
        calls.append(arguments[3])
        if len(calls) == 7:
            raise MemoryError("no room")
        return kernel(*arguments)

    failing.compile = kernel.compile
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "summarise_direct_plain", failing)
        with pytest.raises(MemoryError, match="no room"):
            lw.rfm_summary(rows, threads=4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lifeworth")]
    assert lw.rfm_summary(rows, threads=4).to_pandas().equals(wanted)


def odd_rows(rng, n, customers):
    """Rows of which most are plain, in blocks of 512: where there is one that is not, it is found."""
    when = np.datetime64("2023-01-01", "s") + rng.integers(0, 700 * 86_400, n).astype("timedelta64[s]")
    return rng.integers(0, customers, n), when, rng.gamma(2.0, 10.0, n).round(2)


@pytest.mark.parametrize("place", [0, 511, 512, 5_000, 70_000, 119_999])
@pytest.mark.parametrize("kind", ["refund", "no date", "no amount", "infinite", "far", "late", "no id"])
def test_one_odd_row_among_many(place, kind):
    """As the same rows without it are counted, and told in the account with its number."""
    rng = np.random.default_rng(place)
    ids, when, amount = odd_rows(rng, 120_000, 30_000)
    if kind in ("refund", "late"):
        ids[place] = 77_777  # somebody else, whom nothing else is known of
    columns = {"customer_id": pa.array(ids), "date": pa.array(when), "amount": pa.array(amount)}
    keep = np.arange(len(ids)) != place
    plain = pa.table(columns).filter(pa.array(keep))
    at = pa.array(~keep)
    if kind == "refund":
        amount[place] = -1.0
        columns["amount"] = pa.array(amount)
    elif kind in ("far", "late"):
        when[place] = np.datetime64("12000-01-01" if kind == "far" else "2026-01-01")
        columns["date"] = pa.array(when)
    elif kind == "infinite":
        amount[place] = np.inf
        columns["amount"] = pa.array(amount)
    else:
        name = {"no date": "date", "no amount": "amount", "no id": "customer_id"}[kind]
        columns[name] = pc.if_else(at, pa.scalar(None, columns[name].type), columns[name])
    end = "2025-01-01"
    wanted = lw.rfm_summary(plain, observation_end=end)
    found = lw.rfm_summary(pa.table(columns), observation_end=end, threads=2)
    assert found.to_pandas().equals(wanted.to_pandas())
    assert found.audit.rows_in == 120_000
    assert sum(found.audit.left_out.values()) == 1
    assert found.audit.rows_used == wanted.audit.rows_used == 119_999
