"""Cohort tables: against a plain count in pandas, and over every way to cut time."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError
from lifeworth.rfm.engine import FEW_ROWS

FREQUENCIES = {"D": "D", "W": "W-SUN", "M": "M"}


def purchases(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


def plain_count(frame, cohort):
    """The same table by pandas' own periods: purchases of one day are one."""
    days = (
        frame.assign(day=frame["date"].dt.normalize()).groupby(["customer_id", "day"], as_index=False)["amount"].sum()
    )
    span = days["day"].dt.to_period(FREQUENCIES[cohort])
    first = span.groupby(days["customer_id"]).transform("min")
    days = days.assign(cohort=first.dt.start_time, age=[(a - b).n for a, b in zip(span, first, strict=True)])
    return days.groupby(["cohort", "age"]).agg(
        customers=("customer_id", "nunique"), purchases=("amount", "size"), revenue=("amount", "sum")
    )


@pytest.mark.parametrize("cohort", ["D", "W", "M"])
def test_equals_a_plain_count(cohort, cdnow_sample):
    got = lw.cohort_table(cdnow_sample, cohort=cohort)
    expected = plain_count(cdnow_sample, cohort)
    seen = got[got["customers"] > 0].set_index(["cohort", "age"])
    assert seen.index.tolist() == expected.index.tolist()
    assert seen["customers"].tolist() == expected["customers"].tolist()
    assert seen["purchases"].tolist() == expected["purchases"].tolist()
    np.testing.assert_allclose(seen["revenue"], expected["revenue"], rtol=1e-12)  # sums in another order
    # Every age up to the last date is there, bought or not, and none beyond.
    ages = got.groupby("cohort")["age"].agg(["min", "max", "size"])
    assert (ages["min"] == 0).all()
    assert (ages["size"] == ages["max"] + 1).all()
    ends = pd.PeriodIndex(ages.index, freq=FREQUENCIES[cohort]) + ages["max"].to_numpy()
    assert set(ends) == {pd.Period(cdnow_sample["date"].max(), freq=FREQUENCIES[cohort])}


def test_adds_up_to_the_rfm_table(cdnow_sample):
    rfm = lw.rfm_summary(cdnow_sample)
    got = lw.cohort_table(cdnow_sample)
    assert got.loc[got["age"] == 0, "customers"].sum() == len(rfm)
    assert got["purchases"].sum() == int((rfm.frequency + 1).sum())
    assert got["revenue"].sum() == pytest.approx(rfm.past_spend.sum(), rel=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_neither_order_nor_threads_change_a_digit(threads):
    cdnow = lw.load_cdnow()
    assert len(cdnow) >= FEW_ROWS  # fewer would be left to one thread
    expected = lw.cohort_table(cdnow, threads=1)
    got = lw.cohort_table(cdnow.sample(frac=1.0, random_state=threads), threads=threads)
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


def test_refunds_ends_and_no_money():
    frame = purchases(
        ("a", "2024-01-05", 10.0),
        ("a", "2024-02-05", 20.0),
        ("a", "2024-02-05", -20.0),
        ("b", "2024-02-29", 5.0),
        ("b", "2024-04-01", 7.0),
        ("c", "2024-02-01", -1.0),
    )
    got = lw.cohort_table(frame, observation_end="2024-03-31")
    assert got[["age", "customers", "purchases", "revenue"]].to_numpy().tolist() == [
        [0, 1, 1, 10.0],
        [1, 0, 0, 0.0],
        [2, 0, 0, 0.0],
        [0, 1, 1, 5.0],
        [1, 0, 0, 0.0],
    ]
    assert "1 after the end" in got.attrs["audit"]
    dropped = lw.cohort_table(frame, observation_end="2024-03-31", refunds="drop")
    assert dropped["revenue"].tolist() == [10.0, 20.0, 0.0, 5.0, 0.0]
    with pytest.raises(DataError, match="2 rows have a negative amount"):
        lw.cohort_table(frame, refunds="error")
    without = lw.cohort_table(frame, amount=None)
    assert list(without.columns) == ["cohort", "age", "customers", "purchases"]
    assert without["customers"].tolist() == [1, 1, 0, 0, 2, 0, 1]


def test_one_cohort_of_one_customer():
    got = lw.cohort_table(purchases(("a", "2024-01-05", 10.0)))
    assert got.to_numpy().tolist() == [[pd.Timestamp("2024-01-01"), 0, 1, 1, 10.0]]


def test_what_makes_no_cohorts_is_one_sentence():
    frame = purchases(("a", "2024-01-05", 10.0), ("a", "9999-01-05", 10.0))
    with pytest.raises(DataError, match="cohorts by month, more than the 600 that fit into a table: choose longer"):
        lw.cohort_table(frame)
    with pytest.raises(UsageError, match="Cohorts by day cannot be told apart where purchases are counted by week"):
        lw.cohort_table(frame, cohort="D", period="W")
    with pytest.raises(UsageError, match="cohort='Q' is not a time unit"):
        lw.cohort_table(frame, cohort="Q")
    with pytest.raises(DataError, match="No customer has a purchase that counts"):
        lw.cohort_table(frame, observation_end="2023-01-01")
