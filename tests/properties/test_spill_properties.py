"""What does not fit in memory is counted part by part, and gives what it would have given as one table."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth.errors import LifeworthError
from lifeworth.rfm import source as sources

DATES = st.datetimes(dt.datetime(2023, 11, 20), dt.datetime(2024, 3, 10))
AMOUNTS = st.integers(-2_000, 10_000).map(lambda cents: cents / 100)

# As many forms of ids as there are ways to tell customers apart.
IDS = {
    "int64": lambda ids: pa.array(ids, pa.int64()),
    "int8": lambda ids: pa.array(ids, pa.int8()),
    "uint64": lambda ids: pa.array([None if i is None else 2**64 - 1 - i for i in ids], pa.uint64()),
    "far apart": lambda ids: pa.array([None if i is None else i * 2**55 for i in ids], pa.int64()),
    "float": lambda ids: pa.array([None if i is None else float(i) for i in ids], pa.float64()),
    "text": lambda ids: pa.array([None if i is None else "Zoë " * i for i in ids], pa.string()),
    "large text": lambda ids: pa.array([None if i is None else f"c{i % 3}" for i in ids], pa.large_string()),
    "text views": lambda ids: pa.array(
        [None if i is None else "a long, long name " * i for i in ids], pa.string_view()
    ),
    "binary": lambda ids: pa.array([None if i is None else bytes([i]) * i for i in ids], pa.binary()),
    "fixed": lambda ids: pa.array([None if i is None else bytes([i]) * 16 for i in ids], pa.binary(16)),
    "dictionary": lambda ids: pa.array([None if i is None else f"c{i}" for i in ids], pa.string()).dictionary_encode(),
    "dictionary of numbers": lambda ids: pa.array(ids, pa.int32()).dictionary_encode(),
    "dictionary of bytes": lambda ids: pa.array(
        [None if i is None else bytes([i]) for i in ids], pa.binary()
    ).dictionary_encode(),
}
TIMES = {
    "us": lambda dates: pa.array(dates, pa.timestamp("us")),
    "s": lambda dates: pa.array(dates, pa.timestamp("us")).cast(pa.timestamp("s"), safe=False),
    "zone": lambda dates: pa.array(dates, pa.timestamp("ms", "Asia/Tokyo")),
    "days": lambda dates: pa.array([None if date is None else date.date() for date in dates], pa.date32()),
    "text": lambda dates: pa.array([None if date is None else str(date) for date in dates], pa.string()),
    "other text": lambda dates: pa.array([None if date is None else f"{date:%d.%m.%Y}" for date in dates], pa.string()),
    "numbers": lambda dates: pa.array([None if date is None else int(f"{date:%Y%m%d}") for date in dates], pa.int64()),
}
MONEY = {
    "float": lambda amounts: pa.array(amounts, pa.float64()),
    "text": lambda amounts: pa.array([None if amount is None else str(amount) for amount in amounts], pa.string()),
}


def outcome(function, *arguments, **options):
    """What comes out, as values to compare; or the sentence of an error."""
    try:
        got = function(*arguments, **options)
    except LifeworthError as error:
        return f"{type(error).__name__}: {error}"
    return got


def assert_same(got, expected):
    if isinstance(expected, str) or isinstance(got, str):
        assert got == expected
        return
    if isinstance(expected, tuple):
        pd.testing.assert_frame_equal(got[1], expected[1], check_exact=True)
        assert got[1].attrs == expected[1].attrs
        got, expected = got[0], expected[0]
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
    for name in ("frequency", "recency", "T", "monetary_value", "past_spend"):
        one, other = getattr(got, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist(), name
    assert got.observation_end == expected.observation_end
    assert got.audit == expected.audit


@pytest.fixture
def few_rows(monkeypatch):
    """Batches of a few rows, so that a small table takes many."""
    monkeypatch.setattr(sources, "_FEWEST_ROWS", 7)
    monkeypatch.setattr(sources, "_MOST_BITS", 2)
    monkeypatch.setattr(sources, "_UNKNOWN_BITS", 2)


def reader(table, rows=5):
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 6)), st.one_of(st.none(), DATES), st.one_of(st.none(), AMOUNTS)),
    min_size=1,
    max_size=40,
)


@given(
    ROWS,
    st.sampled_from(sorted(IDS)),
    st.sampled_from(sorted(TIMES)),
    st.sampled_from(sorted(MONEY)),
    st.sampled_from("hDWM"),
    st.sampled_from(["net", "drop", "error"]),
    st.sampled_from([None, "2024-01-15"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_stream_gives_what_the_table_gives(few_rows, rows, ids, times, money, period, refunds, end):
    who, when, amount = zip(*rows, strict=True)
    table = pa.table({"customer_id": IDS[ids](who), "date": TIMES[times](when), "amount": MONEY[money](amount)})
    options = {"period": period, "refunds": refunds, "observation_end": end}
    expected = outcome(lw.rfm_summary, table, **options)
    assert_same(outcome(lw.rfm_summary, reader(table), memory_limit=1, **options), expected)
    options = {"period": period, "refunds": refunds, "train_end": "2024-01-10", "test_end": end}
    expected = outcome(lw.train_test_split, table, **options)
    assert_same(outcome(lw.train_test_split, reader(table), memory_limit=1, **options), expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ids", sorted(IDS))
def test_files_of_every_form_of_id(ids, threads, few_rows, tmp_path):
    rng = np.random.default_rng(5)
    n = 1_000
    who = [None if i == 0 else i for i in rng.integers(0, 100, n).tolist()]
    when = [
        None if i == 0 else dt.datetime(2023, 1, 1) + dt.timedelta(minutes=i)
        for i in rng.integers(0, 500_000, n).tolist()
    ]
    table = pa.table(
        {
            "customer_id": IDS[ids](who),
            "date": TIMES["us"](when),
            "amount": MONEY["float"](rng.integers(-100, 2_000, n) / 100),
        }
    )
    for part in range(3):
        cut = table.slice(part * n // 3, (part + 1) * n // 3 - part * n // 3)
        pq.write_table(cut, tmp_path / f"part-{part}.parquet", row_group_size=150)
    expected = lw.rfm_summary(tmp_path, period="W", threads=threads)
    assert_same(lw.rfm_summary(tmp_path, period="W", threads=threads, memory_limit=1), expected)
    assert expected.audit.rows_in == n
    assert_same(lw.rfm_summary(table, period="W"), expected)
