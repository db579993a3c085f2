"""DuckDB relations: fetched, or brought in order by DuckDB and counted in parts; the same table to the last bit."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError
from lifeworth.rfm import duckdb as relations

duckdb = pytest.importorskip("duckdb")

IDS = {
    "INTEGER": "(i * 7919) % 97",
    "BIGINT": "((i * 7919) % 97 - 50) * 1000000000000",
    "UBIGINT": "18446744073709551615::UBIGINT - ((i * 7919) % 97)::UBIGINT",
    "TINYINT": "(i * 7919) % 97 - 50",
    "VARCHAR": "CASE WHEN i % 50 = 7 THEN '' WHEN i % 50 = 8 THEN chr(8195) || chr(9) WHEN i % 2 = 0 THEN "
    "'é ' || (i * 7919) % 97 ELSE 'a customer with a long name ' || (i * 7919) % 97 END",
    "BLOB": "encode('k' || (i * 7919) % 97) || '\\x00'::BLOB",
    "UUID": "md5(((i * 7919) % 97)::VARCHAR)",
}
DATES = {
    "DATE": "DATE '2023-12-20' + ((i * 31) % 90)::INTEGER",
    "TIMESTAMP": "TIMESTAMP '1969-11-20 00:00:00.000001' + to_minutes((i * 7907) % 130000)",
    "TIMESTAMP_S": "TIMESTAMP '2023-12-20' + to_seconds((i * 999983) % 7000000)",
    "TIMESTAMP_NS": "TIMESTAMP '2023-12-20' + to_seconds((i * 999983) % 7000000)",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ '2024-02-20 03:30:00+00' + to_minutes((i * 7907) % 60000)",
}
AMOUNTS = {
    "DOUBLE": "CASE i % 60 WHEN 1 THEN 'NaN'::DOUBLE WHEN 2 THEN 'inf'::DOUBLE WHEN 3 THEN NULL WHEN 4 THEN -0.0 "
    "ELSE ((i * 7877) % 1000) / 10.0 - 9.9 END",
    "FLOAT": "((i * 7877) % 1000) / 10.0",
    "DECIMAL(12,2)": "((i * 7877) % 1000) / 10.0 - 5",
    "INTEGER": "(i * 7877) % 1000 - 30",
}


def relation(ids="INTEGER", dates="TIMESTAMP", amounts="DOUBLE", rows=3000, zone="Europe/Berlin"):
    con = duckdb.connect()
    con.execute(f"SET TimeZone = '{zone}'")
    con.execute(
        f"CREATE TABLE log AS SELECT CASE WHEN i % 40 = 11 THEN NULL ELSE ({IDS[ids]})::{ids} END AS customer_id, "
        f'CASE WHEN i % 70 = 12 THEN NULL ELSE ({DATES[dates]})::{dates} END AS "date", '
        f"({AMOUNTS[amounts]})::{amounts} AS amount FROM (SELECT range AS i FROM range({rows}))"
    )
    return con.table("log")


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of some hundred rows, handed over in batches that cut customers apart."""
    monkeypatch.setattr(relations, "_BATCH", 64)
    monkeypatch.setattr(relations, "_PART", 300)


def assert_same(got, expected):
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
    if expected.past_spend is not None:
        assert got.past_spend.tobytes() == expected.past_spend.tobytes()
        assert got.monetary_value.tobytes() == expected.monetary_value.tobytes()
    # Which rows are shown as examples depends on the order that rows come in; how many there are does not.
    assert replace(got.audit, examples={}) == replace(expected.audit, examples={})
    assert {reason: len(shown) for reason, shown in got.audit.examples.items()} == {
        reason: len(shown) for reason, shown in expected.audit.examples.items()
    }
    assert got.observation_end == expected.observation_end


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("period", ["h", "D", "W", "M"])
def test_ids_of_every_type(small_parts, ids, period):
    log = relation(ids)
    for refunds in ("net", "drop"):
        expected = lw.rfm_summary(log, period=period, refunds=refunds, pushdown=False)
        assert_same(lw.rfm_summary(log, period=period, refunds=refunds, pushdown=True), expected)
    assert len(expected) > 50


@pytest.mark.parametrize("dates", DATES)
@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_dates_and_amounts_of_every_type(small_parts, dates, amounts, zone):
    log = relation("VARCHAR", dates, amounts, zone=zone)
    options = {"period": "D", "observation_end": "1970-01-20" if dates == "TIMESTAMP" else "2024-03-01"}
    assert_same(lw.rfm_summary(log, pushdown=True, **options), lw.rfm_summary(log, pushdown=False, **options))
    assert_same(lw.rfm_summary(log, amount=None, pushdown=True), lw.rfm_summary(log, amount=None, pushdown=False))


@pytest.mark.parametrize("test_end", [None, "2024-03-10"])
def test_splits(small_parts, test_end):
    log = relation("VARCHAR", "DATE")
    for amount in ("amount", None):
        ways = [
            lw.train_test_split(log, amount=amount, train_end="2024-01-31", test_end=test_end, pushdown=way)
            for way in (True, False)
        ]
        assert_same(ways[0][0], ways[1][0])
        pd.testing.assert_frame_equal(ways[0][1], ways[1][1], check_exact=True)
        assert ways[0][1].attrs == ways[1][1].attrs


def test_one_customer_larger_than_a_part_and_rows_of_nobody(small_parts):
    con = duckdb.connect()
    log = con.sql(
        "SELECT CASE WHEN range < 1000 THEN NULL WHEN range < 3000 THEN 5 ELSE range END AS customer_id, "
        "DATE '2024-01-01' + (range % 90)::INTEGER AS date, range / 7 AS amount FROM range(3200)"
    )
    assert_same(lw.rfm_summary(log, pushdown=True), lw.rfm_summary(log, pushdown=False))


def test_text_is_told_apart_by_bytes_whatever_the_database_does(small_parts):
    con = duckdb.connect()
    con.execute("SET default_collation = 'NOCASE'")
    log = con.sql(
        "SELECT chr((65 + range % 26 + 32 * (range % 2))::INTEGER) AS customer_id, "
        "DATE '2024-01-01' + (range % 90)::INTEGER AS date, 1.5 AS amount FROM range(3201)"
    )
    got = lw.rfm_summary(log, pushdown=True)
    assert_same(got, lw.rfm_summary(log, pushdown=False))
    assert len(got) == 26


def test_names_that_need_quotes():
    log = duckdb.connect().sql('SELECT 1 AS "who\'s ""it""", DATE \'2024-01-01\' AS "select", 2.5 AS "a b"')
    for way in (True, False, None):
        assert lw.rfm_summary(log, 'who\'s "it"', "select", "a b", pushdown=way).past_spend.tolist() == [2.5]


# --- the choice ------------------------------------------------------------------------------------------


def test_what_fits_is_fetched_and_what_does_not_is_pushed_down(small_parts, monkeypatch):
    log = relation()
    expected = lw.rfm_summary(log, pushdown=False)
    parts = []
    whole_customers = relations._whole_customers
    monkeypatch.setattr(relations, "_whole_customers", lambda *given: parts.append(1) or whole_customers(*given))
    assert_same(lw.rfm_summary(log), expected)
    assert parts == []
    monkeypatch.setattr(relations, "_free_memory", lambda: 1000)
    assert_same(lw.rfm_summary(log), expected)
    assert parts == [1]


def test_free_memory_is_known():
    assert 2**20 < relations._free_memory() < 2**50


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ("customer_id::DOUBLE AS customer_id", r"column 'customer_id' is DOUBLE, and not TINYINT, .* or UUID"),
        ("strftime(date, '%Y-%m-%d') AS date", r"column 'date' is VARCHAR, and not DATE"),
        ("amount::VARCHAR AS amount", r"column 'amount' is VARCHAR, and not TINYINT"),
    ],
)
def test_what_cannot_be_pushed_down_is_fetched_or_refused(column, match):
    log = relation(amounts="INTEGER").filter("date IS NOT NULL AND customer_id IS NOT NULL")
    odd = log.project(f"* REPLACE ({column})")
    with pytest.raises(UsageError, match=rf"pushdown=True is impossible: {match}.*; cast the column"):
        lw.rfm_summary(odd, pushdown=True)
    assert lw.rfm_summary(odd).frequency.tolist() == lw.rfm_summary(log).frequency.tolist()


def test_pushdown_needs_a_relation():
    frame = pd.DataFrame({"customer_id": [1], "date": ["2024-01-01"], "amount": [1.0]})
    with pytest.raises(UsageError, match=r"pushdown=True needs a DuckDB relation, and not DataFrame"):
        lw.rfm_summary(frame, pushdown=True)
    with pytest.raises(UsageError, match=r"pushdown='yes' must be True, False or None"):
        lw.rfm_summary(frame, pushdown="yes")
    assert len(lw.rfm_summary(frame, pushdown=False)) == 1


def test_duckdb_is_imported_by_nobody_else():
    code = (
        "import sys, pandas as pd, lifeworth as lw\n"
        "lw.rfm_summary(pd.DataFrame({'customer_id': [1], 'date': ['2024-01-01'], 'amount': [1.0]}))\n"
        "assert 'duckdb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- one sentence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        ("LIMIT 0", {}, r"has no rows"),
        ("WHERE customer_id IS NULL", {}, r"None of the \d+ rows can be used: \d+ with a missing customer id"),
        ("WHERE amount < 0", {}, r"No customer has a purchase up to"),
        ("", {"refunds": "error"}, r"rows have a negative amount \(first customers: -?\d+, -?\d+, -?\d+\)"),
        ("", {"observation_end": "1950-01-01"}, r"No customer has a purchase up to 1950-01-01"),
        ("", {"date": "day"}, r"no column 'day'; it has: customer_id, date, amount"),
        ("", {"amount": "date"}, r"must be different columns"),
    ],
)
def test_errors_are_those_of_any_table(small_parts, change, options, match):
    log = relation().query("log_view", f"SELECT * FROM log_view {change}") if change else relation()
    for way in (True, False):
        with pytest.raises((DataError, UsageError), match=match) as caught:
            lw.rfm_summary(log, pushdown=way, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"There is no holdout"):
        lw.train_test_split(relation(), train_end="2030-01-01", pushdown=True)


def test_sums_are_those_of_ascending_amounts(small_parts):
    """Three amounts of one day have several sums in floating point; all ways must find the same."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(0, 40, 4000),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 12, 4000), unit="D"),
            "amount": 10.0 ** rng.uniform(-6, 6, 4000) * rng.choice([1, 1, 1, -1], 4000),
        }
    )
    frame.loc[7, "amount"] = math.nan
    log = duckdb.connect().from_df(frame)
    assert_same(lw.rfm_summary(log, pushdown=True), lw.rfm_summary(frame))
