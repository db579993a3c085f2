"""What is refused, and what the audit's notes say, of data that is not what it seems: on every way into the product."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lifeworth as lw
from lifeworth.errors import DataError

# ---- duplicates -------------------------------------------------------------------------------------------------

SPELLINGS = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "b", "c", "c", "d", "d"],
        "date": [
            "2024-01-05", "2024-01-05", "2024-01-05", "2024-01-05 00:00:00", "2024-01-06", "2024-01-06",
            "2024-01-06", "2024-01-06",
        ],
        "amount": ["10.0", "10.00", "7", "7.0", "$1,200.50", "1200.5", "3", "4"],
    }
)  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "frame", "arrow", "polars"])
def test_duplicates_are_compared_by_value(form, tmp_path):
    data = SPELLINGS
    if form == "csv":
        SPELLINGS.to_csv(data := tmp_path / "a.csv", index=False)
    if form == "arrow":
        data = pa.Table.from_pandas(SPELLINGS)
    if form == "polars":
        data = pl.from_pandas(SPELLINGS)
    rfm = lw.rfm_summary(data, duplicates="drop", decimal=".")
    assert rfm.audit.left_out == {"equal to an earlier row": 3}
    assert rfm.past_spend.tolist() == [10.0, 7.0, 1200.5, 7.0]
    worth = lw.historical_clv(data, by="customer_id", duplicates="drop", decimal=".")
    assert worth["clv"].tolist() == [10.0, 7.0, 1200.5, 7.0]
    assert lw.cohort_table(data, duplicates="drop", decimal=".")["revenue"].sum() == 1224.5


def test_rows_that_cannot_be_read_are_not_duplicates():
    many = [{"customer_id": k, "date": "2024-01-05", "amount": "1"} for k in range(2, 100)]
    rows = pd.DataFrame([{"customer_id": 1, "date": "2024-01-05", "amount": text} for text in ("x", "y")] + many)
    assert lw.rfm_summary(rows, duplicates="drop").audit.left_out == {"with an unreadable or infinite amount": 2}


# ---- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        pd.to_datetime(["2024-01-05", "2024-01-06"]),
        pd.to_datetime(["2024-01-05", "2024-01-06"]).tz_localize("UTC"),
        pd.to_datetime(["2024-01-05", "2024-01-06"]).date,
        ["2024-01-05", "2024-01-06"],
        pd.Categorical(["2024-01-05 10:00:00", "2024-01-06 11:30:00"]),
    ],
)
@pytest.mark.parametrize("form", [pd.DataFrame, pa.Table.from_pandas])
def test_dates_are_no_customer_ids(ids, form, tmp_path):
    data = form(pd.DataFrame({"customer_id": ids, "date": [3, 4], "amount": [1.0, 2.0]}))
    said = "'customer_id' holds dates or times, which are no customer ids: check whether it was swapped with another column"
    with pytest.raises(DataError, match=said):
        lw.rfm_summary(data)
    with pytest.raises(DataError, match=said):
        lw.historical_clv(data)
    with pytest.raises(DataError, match=said):
        lw.cohort_table(data)
    with pytest.raises(DataError, match=said):
        lw.RFMState(tmp_path / "state").update(data)
    table = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data)
    with pytest.raises(DataError, match=said):
        lw.rfm_summary(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()), memory_limit="100 MB")


@pytest.mark.parametrize("form", [pd.DataFrame, pa.Table.from_pandas])
def test_float32_ids_that_have_become_one_are_refused(form, tmp_path):
    ids = np.array([2**24, 2**24 + 1], dtype=np.float32)
    assert ids[0] == ids[1]
    data = form(pd.DataFrame({"customer_id": ids, "date": "2024-01-05", "amount": 1.0}))
    said = "ids of type float(32)? of 16,777,216 and above, where neighbouring whole numbers have become one value"
    with pytest.raises(DataError, match=said):
        lw.rfm_summary(data)
    with pytest.raises(DataError, match=said):
        lw.RFMState(tmp_path / "state").update(data)
    small = form(pd.DataFrame({"customer_id": ids / 2, "date": "2024-01-05", "amount": 1.0}))
    assert lw.rfm_summary(small).customer_id.tolist() == [2**23]


def test_epoch_times_say_how_they_are_converted():
    for scale, unit in ((1, "seconds"), (1_000, "milliseconds"), (1_000_000, "microseconds")):
        for values in ([1704067200 * scale] * 3, [1704067200.0 * scale + 0.5] * 3, [str(1704067200 * scale)] * 3):
            rows = pd.DataFrame({"customer_id": [1, 2, 3], "date": values, "amount": 1.0})
            with pytest.raises(
                DataError, match=rf"If these are {unit} since 1970 \(.* is 2024-01-01 in UTC\), convert"
            ):
                lw.rfm_summary(rows)


def test_a_line_for_excel_is_named(tmp_path):
    for mark in ";,":
        (path := tmp_path / "a.csv").write_text(
            f"sep={mark}\ncustomer_id{mark}date{mark}amount\n1{mark}2024-01-05{mark}3\n"
        )
        with pytest.raises(DataError, match=r"a.csv begins with a line for Excel, 'sep=', .*: delete this line"):
            lw.rfm_summary(path)


def test_naive_times_with_a_time_zone_say_what_to_do():
    rows = pd.DataFrame({"customer_id": [1], "date": ["2024-01-05 10:00:00"], "amount": 1.0})
    with pytest.raises(DataError, match=r'omit time_zone .* if they are UTC, say so .* \.dt\.tz_localize\("UTC"\)'):
        lw.rfm_summary(rows, time_zone="Europe/London")


def test_a_method_called_on_the_class_says_so():
    known = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    with pytest.raises(TypeError, match=r"called on an object, not on its class: write BetaGeo\(\)\.from_parameters"):
        lw.BetaGeo.from_parameters(known, "W")
    with pytest.raises(TypeError, match=r"write BetaGeo\(\)\.from_parameters"):
        lw.BetaGeo.from_parameters(values=known, time_unit="W")
