"""RFM tables: against pymc-marketing and CLVTools, across calibration and holdout, with awkward money and time."""

import json
import math
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.rfm import rfm_metadata


def purchases(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


def random_log(seed, customers=60, rows=600):
    rng = np.random.default_rng(seed)
    when = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 500 * 24 * 60, rows), unit="min")
    return pd.DataFrame(
        {
            "customer_id": rng.integers(1, customers, rows),
            "date": when,
            "amount": rng.gamma(2.0, 10.0, rows).round(2) + 0.01,
        }
    )


def assert_same(got, expected):
    """Same customers in the same order, same counts and times; money up to the order of summation."""
    assert got["customer_id"].tolist() == expected["customer_id"].tolist()
    for name in ("frequency", "recency", "T"):
        assert got[name].tolist() == expected[name].tolist(), name
    np.testing.assert_allclose(got["monetary_value"], expected["monetary_value"], rtol=1e-12)  # sums of a few hundred


# --- other systems ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["h", "D", "W", "M"])
@pytest.mark.parametrize("log", ["cdnow", 1, 2])
@pytest.mark.parametrize("end", [None, "early"])
def test_equals_pymc_marketing_cell_for_cell(unit, log, end, cdnow_sample):
    from pymc_marketing.clv.utils import rfm_summary

    frame = cdnow_sample[cdnow_sample["amount"] > 0] if log == "cdnow" else random_log(log)
    # pymc-marketing cuts at the first instant of a period: an end at midnight on the first of a month,
    # a Monday, means the same to both.
    end = None if end is None else ("1997-12-01" if log == "cdnow" else "2023-05-01")
    expected = rfm_summary(frame, "customer_id", "date", "amount", observation_period_end=end, time_unit=unit)
    got = lw.rfm_summary(frame, period=unit, time_unit=unit, observation_end=end)
    assert_same(got.to_pandas(), expected)
    assert got.frequency.dtype == np.int64
    assert got.recency.dtype == got.T.dtype == np.float64


@pytest.mark.parametrize(("period", "unit", "factor"), [("h", "D", 24), ("h", "W", 168), ("D", "W", 7)])
@pytest.mark.parametrize("end", [None, "2023-11-06"])
def test_equals_pymc_marketing_with_a_longer_unit(period, unit, factor, end):
    """Its time_unit is our period, and its time_scaler the periods in our unit of time."""
    from pymc_marketing.clv.utils import rfm_summary

    log = random_log(5)
    expected = rfm_summary(
        log, "customer_id", "date", "amount", observation_period_end=end, time_unit=period, time_scaler=factor
    )
    got = lw.rfm_summary(log, period=period, time_unit=unit, observation_end=end).to_pandas()
    assert got["customer_id"].tolist() == expected["customer_id"].tolist()
    assert got["frequency"].tolist() == expected["frequency"].tolist()
    for name in ("recency", "T", "monetary_value"):  # a division by 7 here, of hours by 168 there
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12)


def test_equals_clvtools_on_cdnow(cdnow_sample, cdnow_reference):
    calibration, holdout = lw.train_test_split(cdnow_sample, train_end="1997-09-30")
    table = calibration.to_pandas()
    assert table["customer_id"].tolist() == cdnow_reference["customer_id"].tolist()
    assert table["frequency"].tolist() == cdnow_reference["frequency"].tolist()
    for name in ("recency", "T", "monetary_value"):  # the file has 12 decimals
        np.testing.assert_allclose(table[name], cdnow_reference[name], rtol=0, atol=6e-13)
    assert holdout["customer_id"].tolist() == table["customer_id"].tolist()
    assert holdout["frequency"].tolist() == cdnow_reference["holdout_frequency"].tolist()
    np.testing.assert_allclose(holdout["spend"], cdnow_reference["holdout_spend"], rtol=1e-12)
    assert holdout.attrs == {"length": 39.0, "start": "1997-10-01T00:00:00", "end": "1998-06-30T00:00:00"}


def test_whole_cdnow_adds_up():
    tx = lw.load_cdnow()
    rfm = lw.rfm_summary(tx, observation_end="1998-06-30")
    days = tx.groupby(["customer_id", "date"])["amount"].sum()
    assert (len(tx), len(rfm)) == (69_659, 23_570)
    assert int((rfm.frequency + 1).sum()) == len(days)
    assert rfm.past_spend.sum() == pytest.approx(tx["amount"].sum(), rel=1e-12)  # sums of 70,000 in two orders
    assert rfm.audit.left_out == {}


def test_orders_for_nothing_are_purchases(cdnow_sample):
    """Eight of the sample's orders cost nothing; the published counts hold with them."""
    assert int((cdnow_sample["amount"] == 0).sum()) == 8
    rfm = lw.rfm_summary(purchases(("a", "2024-01-01", 5.0), ("a", "2024-01-08", 0.0), ("b", "2024-01-08", 0.0)))
    assert rfm.frequency.tolist() == [1, 0]
    assert rfm.recency.tolist() == [1.0, 0.0]
    assert rfm.monetary_value.tolist() == [0.0, 0.0]


# --- any table, any id -----------------------------------------------------------------------------------


def test_every_form_gives_the_same_table(dressed):
    frame = random_log(3, customers=9, rows=80)
    expected = lw.rfm_summary(frame, observation_end="2024-02-29", refunds="error")
    got = lw.rfm_summary(dressed(frame), observation_end="2024-02-29", refunds="error")
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
    assert got.audit == expected.audit


def test_split_of_every_form(dressed):
    frame = random_log(4, customers=9, rows=80)
    expected = lw.train_test_split(frame, train_end="2023-09-30", period="W")
    got = lw.train_test_split(dressed(frame), train_end="2023-09-30", period="W")
    pd.testing.assert_frame_equal(got[0].to_pandas(), expected[0].to_pandas(), check_exact=True)
    pd.testing.assert_frame_equal(got[1], expected[1], check_exact=True)


def test_columns_of_other_names_and_no_money():
    frame = random_log(5).rename(columns={"customer_id": "who", "date": "when", "amount": "paid"})
    with_money = lw.rfm_summary(frame, "who", "when", "paid")
    without = lw.rfm_summary(frame, "who", "when", None)
    assert without.monetary_value is None
    assert without.past_spend is None
    assert list(without.to_pandas().columns) == ["customer_id", "frequency", "recency", "T"]
    pd.testing.assert_frame_equal(without.to_pandas(), with_money.to_pandas().drop(columns="monetary_value"))
    _, holdout = lw.train_test_split(frame, "who", "when", None, train_end="2023-09-30")
    assert list(holdout.columns) == ["customer_id", "frequency"]


# --- time ------------------------------------------------------------------------------------------------


def test_an_afternoon_on_the_last_day_is_calibration():
    frame = purchases(("a", "2024-06-01", 1.0), ("a", "2024-06-30T14:00", 2.0), ("a", "2024-07-01T00:00", 4.0))
    for train_end in ("2024-06-30", "2024-06-30T09:00", pd.Timestamp("2024-06-30 23:59")):
        calibration, holdout = lw.train_test_split(frame, train_end=train_end, time_unit="D")
        assert (calibration.frequency.tolist(), calibration.recency.tolist(), calibration.T.tolist()) == (
            [1],
            [29],
            [29],
        )
        assert calibration.past_spend.tolist() == [3.0]
        assert holdout[["frequency", "spend"]].to_numpy().tolist() == [[1, 4.0]]
        assert calibration.observation_end == pd.Timestamp("2024-06-30")
        assert holdout.attrs["length"] == 1.0


def test_a_week_is_on_one_side_of_the_edge():
    # Friday 28 June to Tuesday 2 July 2024: the week of the edge ends on Sunday 30 June.
    days = ["2024-06-17", "2024-06-28", "2024-06-30T23:59", "2024-07-01", "2024-07-02", "2024-07-12"]
    frame = pd.DataFrame({"customer_id": "a", "date": days, "amount": 1.0})
    calibration, holdout = lw.train_test_split(frame, train_end="2024-06-26", period="W", time_unit="W")
    assert calibration.frequency.tolist() == [1]
    assert calibration.recency.tolist() == calibration.T.tolist() == [1.0]
    assert calibration.monetary_value.tolist() == [2.0]
    assert holdout["frequency"].tolist() == [2]
    assert holdout["spend"].tolist() == [3.0]
    assert holdout.attrs["length"] == 2.0


def test_months_on_both_sides():
    frame = purchases(("a", "2024-01-31", 1.0), ("a", "2024-02-29", 2.0), ("a", "2024-03-01", 4.0))
    calibration, holdout = lw.train_test_split(frame, train_end="2024-02-01", period="M", time_unit="M")
    assert (calibration.frequency.tolist(), calibration.T.tolist()) == ([1], [1.0])
    assert holdout[["frequency", "spend"]].to_numpy().tolist() == [[1, 4.0]]


@pytest.mark.parametrize("period", ["h", "D", "W", "M"])
def test_dates_without_a_time_of_day_are_midnights(period):
    log = random_log(11)
    log["date"] = log["date"].dt.normalize()
    table = pa.Table.from_pandas(log)
    days = table.set_column(1, "date", table["date"].cast(pa.date32()))
    expected = lw.rfm_summary(log, period=period)
    pd.testing.assert_frame_equal(
        lw.rfm_summary(days, period=period).to_pandas(), expected.to_pandas(), check_exact=True
    )


def test_the_end_of_observation_moves_T_alone():
    frame = purchases(("a", "2024-01-01", 1.0), ("a", "2024-01-15", 1.0))
    ages = [lw.rfm_summary(frame, observation_end=end).T.item() for end in (None, "2024-01-15", "2024-01-29")]
    assert ages == [2.0, 2.0, 4.0]
    assert lw.rfm_summary(frame, observation_end="2024-01-29").recency.item() == 2.0


def test_an_end_with_a_zone_is_read_on_the_wall_clock_of_the_data():
    zone = "Europe/Berlin"
    frame = purchases(("a", "2024-06-01T12:00", 1.0), ("a", "2024-06-30T23:30", 2.0), ("a", "2024-07-01T01:00", 4.0))
    frame["date"] = pd.to_datetime(frame["date"]).dt.tz_localize(zone)
    # 30 June 23:00 UTC is 1 July in Berlin.
    for end, frequency in {"2024-06-30": 1, "2024-06-30T20:00Z": 1, "2024-06-30T23:00Z": 2, "2024-07-01": 2}.items():
        assert lw.rfm_summary(frame, observation_end=end).frequency.tolist() == [frequency], end
    calibration, holdout = lw.train_test_split(frame, train_end=pd.Timestamp("2024-06-30", tz=zone))
    assert (calibration.frequency.item(), holdout["frequency"].item()) == (1, 1)


@pytest.mark.parametrize("argument", ["observation_end", "train_end", "test_end", "start", "end"])
def test_an_end_with_a_zone_where_the_data_have_none_is_refused(argument):
    frame = random_log(6)
    aware = pd.Timestamp("2023-12-31T23:00", tz="America/New_York")
    calls = {
        "observation_end": lambda: lw.rfm_summary(frame, observation_end=aware),
        "train_end": lambda: lw.train_test_split(frame, train_end=aware),
        "test_end": lambda: lw.train_test_split(frame, train_end="2023-06-30", test_end=aware),
        "start": lambda: lw.historical_clv(frame, start=aware),
        "end": lambda: lw.historical_clv(frame, end=aware),
    }
    with pytest.raises(UsageError, match=rf"^{argument}=.* has a time zone and the dates in the table have none"):
        calls[argument]()


def test_a_lonely_last_date_is_pointed_out():
    frame = purchases(("a", "2024-01-01", 1.0), ("a", "2024-02-01", 1.0), ("b", "9999-12-31", 1.0))
    assert "9999-12-31, long after the one before it, 2024-02-01: see observation_end" in str(
        lw.rfm_summary(frame).audit
    )
    assert lw.rfm_summary(frame, observation_end="2024-02-01").audit.notes == ()
    _, holdout = lw.train_test_split(frame, train_end="2024-01-15", test_end="2024-02-15")
    assert holdout["frequency"].tolist() == [1]
    calibration, _ = lw.train_test_split(frame, train_end="2024-01-15")
    assert "see test_end" in str(calibration.audit)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"train_end": "2024-03-01"}, r"There is no holdout: train_end 2024-03-01 is not before .* 2024-03-01"),
        ({"train_end": "2025-03-01"}, r"There is no holdout.*Choose an earlier train_end"),
        ({"train_end": "2024-02-01", "test_end": "2024-02-01"}, r"There is no holdout"),
        ({"train_end": "2023-01-01"}, r"No customer has a purchase up to 2023-01-01"),
    ],
)
def test_edges_that_leave_nothing(options, match):
    frame = purchases(("a", "2024-01-01", 1.0), ("a", "2024-03-01", 1.0))
    with pytest.raises(DataError, match=match):
        lw.train_test_split(frame, **options)


def test_the_holdout_may_outlast_the_data_or_end_before():
    frame = purchases(("a", "2024-01-01", 1.0), ("a", "2024-01-15", 2.0), ("a", "2024-01-29", 4.0))
    _, longer = lw.train_test_split(frame, train_end="2024-01-08", test_end="2024-12-30")
    _, shorter = lw.train_test_split(frame, train_end="2024-01-08", test_end="2024-01-22")
    assert (longer.attrs["length"], longer["spend"].item()) == (51.0, 6.0)
    assert (shorter.attrs["length"], shorter["spend"].item()) == (2.0, 2.0)


@pytest.mark.parametrize("options", [{"period": "w"}, {"time_unit": "Y"}, {"refunds": "maybe"}, {"refunds": None}])
def test_settings_that_do_not_exist(options):
    with pytest.raises(UsageError, match=r"is not a (time unit|policy)"):
        lw.rfm_summary(random_log(0), **options)


# --- money -----------------------------------------------------------------------------------------------


def test_a_day_with_only_a_refund_is_no_purchase():
    frame = purchases(("a", "2024-01-01", 30.0), ("a", "2024-01-08", -10.0), ("b", "2024-01-01", -5.0))
    rfm = lw.rfm_summary(frame)
    assert rfm.customer_id.tolist() == ["a"]
    assert (rfm.frequency.tolist(), rfm.monetary_value.tolist()) == ([0], [0.0])
    assert rfm.past_spend.tolist() == [20.0]
    left_out = {"refunds taken off earlier purchases": 1, "refunds without an earlier purchase": 1}
    assert (rfm.audit.left_out, rfm.audit.refunds_netted, rfm.audit.refunds_unmatched) == (left_out, 10.0, 5.0)
    assert (rfm.audit.refunds, rfm.audit.customers, rfm.audit.customers_left_out) == (2, 1, 1)


@pytest.mark.parametrize("amounts", [(0.1, 0.2, -0.3), (10.0, -10.0), (1e9, 0.1, -1e9, -0.1)])
def test_a_day_that_nets_to_nothing_is_no_purchase(amounts):
    frame = purchases(("a", "2024-01-01", 30.0), *(("a", "2024-01-08", amount) for amount in amounts))
    for order in (frame, frame[::-1]):
        rfm = lw.rfm_summary(order)
        assert (rfm.frequency.tolist(), rfm.past_spend.tolist()) == ([0], [30.0])
        assert rfm.audit.left_out == {"in periods that refunds brought to nothing": len(amounts)}


@pytest.mark.parametrize(("amounts", "left"), [((10.0, -12.0), 28.0), ((0.0, -0.0, -1e-3), 29.999)])
def test_a_day_that_nets_to_less_than_nothing_lowers_an_earlier_purchase(amounts, left):
    frame = purchases(("a", "2024-01-01", 30.0), *(("a", "2024-01-08", amount) for amount in amounts))
    for order in (frame, frame[::-1]):
        rfm = lw.rfm_summary(order)
        assert (rfm.frequency.tolist(), rfm.past_spend.tolist()) == ([0], [left])
        assert rfm.audit.left_out == {"refunds taken off earlier purchases": len(amounts)}
        same_period = lw.rfm_summary(order, refunds="same_period")
        assert (same_period.frequency.tolist(), same_period.past_spend.tolist()) == ([0], [30.0])
        assert same_period.audit.left_out == {"in periods that refunds brought to nothing": len(amounts)}


def test_a_first_day_that_nets_to_nothing_is_no_birth():
    frame = purchases(
        ("a", "2024-01-01", 5.0), ("a", "2024-01-01", -5.0), ("a", "2024-01-08", 7.0), ("b", "2024-01-15", 1.0)
    )
    rfm = lw.rfm_summary(frame)
    assert rfm.T.tolist() == [1.0, 0.0]
    assert rfm.past_spend.tolist() == [7.0, 1.0]


def test_a_refund_lowers_its_own_day():
    frame = purchases(("a", "2024-01-01", 30.0), ("a", "2024-01-08T10:00", 20.0), ("a", "2024-01-08T09:00", -5.0))
    net, drop = lw.rfm_summary(frame), lw.rfm_summary(frame, refunds="drop")
    assert (net.frequency.tolist(), net.monetary_value.tolist()) == ([1], [15.0])
    assert (drop.frequency.tolist(), drop.monetary_value.tolist()) == ([1], [20.0])
    assert (net.audit.rows_used, net.audit.left_out) == (3, {})
    assert (drop.audit.rows_used, drop.audit.left_out) == (2, {"dropped as refunds": 1})
    with pytest.raises(DataError, match=r'1 rows have a negative amount \(first customers: a\).*refunds="net".*"drop"'):
        lw.rfm_summary(frame, refunds="error")


def test_refunds_in_the_holdout():
    frame = purchases(
        ("a", "2024-01-01", 30.0),
        ("a", "2024-02-05", 20.0),
        ("a", "2024-02-05", -5.0),
        ("a", "2024-02-12", -8.0),
        ("a", "2024-02-19", 4.0),
        ("a", "2024-02-19", -4.0),
    )
    calibration, holdout = lw.train_test_split(frame, train_end="2024-01-31")
    assert holdout[["frequency", "spend"]].to_numpy().tolist() == [[1, 7.0]]
    _, same_period = lw.train_test_split(frame, train_end="2024-01-31", refunds="same_period")
    assert same_period[["frequency", "spend"]].to_numpy().tolist() == [[1, 15.0]]
    assert calibration.audit.left_out == {"in the holdout": 5}
    _, dropped = lw.train_test_split(frame, train_end="2024-01-31", refunds="drop")
    assert dropped[["frequency", "spend"]].to_numpy().tolist() == [[2, 24.0]]
    with pytest.raises(DataError, match=r"3 rows have a negative amount"):
        lw.train_test_split(frame, train_end="2024-01-31", refunds="error")
    # A refund after the end of everything is nobody's business.
    lw.train_test_split(frame, train_end="2024-01-31", test_end="2024-02-01", refunds="error")


def test_refunds_alone_are_one_sentence():
    with pytest.raises(DataError, match=r"No customer has a purchase up to 2024-01-02: 2 rows in, 0 used"):
        lw.rfm_summary(purchases(("a", "2024-01-01", -1.0), ("b", "2024-01-02", -1.0)))


def test_money_beyond_all_counting_is_a_sentence():
    frame = purchases(("a", "2024-01-01", 1e308), ("a", "2024-01-02", 1e308), ("a", "2024-01-03", 1e308))
    with pytest.raises(DataError, match=r"too large to be added up"):
        lw.rfm_summary(frame)


# --- the audit -------------------------------------------------------------------------------------------


def test_every_reason_stands_in_the_audit():
    frame = purchases(
        ("a", "2024-01-01", 10.0),
        ("a", "2024-01-08", 10.0),
        (None, "2024-01-01", 10.0),
        ("b", None, 10.0),
        ("b", "not a day", 10.0),
        ("b", "2024-01-01", None),
        ("b", "2024-01-01", math.inf),
        ("c", "2024-01-02", -1.0),
        ("d", "2024-09-01", 5.0),
        ("e", "2024-02-15", 5.0),
    )
    calibration, holdout = lw.train_test_split(frame, train_end="2024-01-31", test_end="2024-03-01")
    audit = calibration.audit
    assert audit.left_out == {
        "with a missing customer id": 1,
        "with a missing date": 1,
        "with an unreadable date": 1,
        "with a missing amount": 1,
        "with an unreadable or infinite amount": 1,
        "after the end": 1,
        "refunds without an earlier purchase": 1,
        "in the holdout": 1,
    }
    assert (audit.rows_in, audit.rows_used, audit.customers, audit.customers_left_out) == (10, 2, 1, 3)
    assert audit.examples["with an unreadable date"] == ["not a day"]
    assert audit.to_pandas()["rows"].tolist() == [10, *audit.left_out.values(), 2]
    assert holdout["customer_id"].tolist() == ["a"]


# --- the first weeks of real shops -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "frequency", "T"),
    [
        (purchases(("a", "2024-01-01", 1.0)), [0], [0.0]),
        (purchases(("a", "2024-01-01", 1.0), ("a", "2024-01-15", 1.0)), [1], [2.0]),
        (
            purchases(("a", "2024-01-01", 1.0), ("b", "2024-01-01T23:59", 1.0), ("b", "2024-01-01", 2.0)),
            [0, 0],
            [0.0] * 2,
        ),
        (purchases(("a", "2024-01-01", 1.0), ("b", "2024-01-08", 1.0)), [0, 0], [1.0, 0.0]),
    ],
    ids=["one row", "one customer", "all on one day", "everybody once"],
)
def test_small_beginnings(frame, frequency, T):
    rfm = lw.rfm_summary(frame)
    assert (rfm.frequency.tolist(), rfm.T.tolist()) == (frequency, T)
    assert "customers" in repr(rfm)


def test_a_log_that_ends_at_the_zero_of_time():
    """1970-01-01 is the time 0, which is no sign of a log without times: periods before it have their place."""
    days = np.datetime64("1970-01-01", "s") - np.arange(1_000).astype("timedelta64[D]")
    frame = pd.DataFrame({"customer_id": np.arange(1_000) % 100, "date": days, "amount": 1.0})
    rfm = lw.rfm_summary(frame, time_unit="D")
    assert rfm.frequency.tolist() == [9] * 100
    assert rfm.T.tolist() == [900.0 + i for i in range(100)]


def test_dates_without_a_time_of_day_by_hours():
    """A date is the midnight it begins with, in hours as in any other period."""
    days = pa.array([pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-03"), pd.Timestamp("2024-01-03")]).cast("date32")
    log = pa.table({"customer_id": ["a", "a", "b"], "date": days, "amount": [1.0, 2.0, 3.0]})
    rfm = lw.rfm_summary(log, period="h", time_unit="h")
    assert (rfm.recency.tolist(), rfm.T.tolist()) == ([48.0, 0.0], [48.0, 0.0])
    assert rfm.observation_end == pd.Timestamp("2024-01-03")


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("kind", ["string", "object"])
def test_examples_that_are_blank_can_be_seen(kind, limit, tmp_path):
    frame = purchases(("", "2024-01-05", 1.0), (" \n", "2024-01-05", 1.0), ("a", "2024-01-05", 1.0), ("b", " ", 1.0))
    data = frame.astype({"customer_id": "string" if kind == "string" else object})
    if limit is not None:
        data.to_parquet(tmp_path / "tx.parquet")
        data = tmp_path / "tx.parquet"
    examples = lw.rfm_summary(data, memory_limit=limit).audit.examples
    assert examples == {"with a missing customer id": ["''", r"' \n'"], "with an unreadable date": ["' '"]}


def test_times_beyond_all_years_are_counted_and_shown():
    when = pa.array([0, 2**62, -(2**62)], pa.timestamp("s"))
    rfm = lw.rfm_summary(pa.table({"customer_id": [1, 2, 3], "date": when}), amount=None)
    assert rfm.audit.left_out == {"with a date outside the years 1 to 9999": 2}
    assert rfm.audit.examples == {"with a date outside the years 1 to 9999": [str(2**62), str(-(2**62))]}


def test_one_time_buyers_alone_make_a_table_and_no_fit():
    rfm = lw.rfm_summary(purchases(*((i, f"2024-01-{1 + i % 28:02}", 5.0) for i in range(100))))
    assert (len(rfm), int(rfm.frequency.sum())) == (100, 0)
    with pytest.raises(DataError) as caught:
        lw.BetaGeo().fit(rfm, method="map")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError):
        lw.GammaGamma().fit(rfm, method="map")


# --- tables made elsewhere -------------------------------------------------------------------------------

MADE = pd.DataFrame(
    {
        "customer_id": ["b", "c", "a"],
        "frequency": [0, 2, 1],
        "recency": [0.0, 3.5, 2.0],
        "T": [5.0, 6.0, 2.0],
        "monetary_value": [0.0, 4.0, 9.0],
    }
)


def test_a_table_made_elsewhere_in_every_form(dressed):
    got = lw.RFM.from_frame(dressed(MADE), "W", observation_end="2024-06-30", currency="EUR")
    expected = MADE.sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(got.to_pandas(), expected, check_exact=True)
    assert (got.time_unit, got.period, got.currency) == ("W", None, "EUR")
    assert lw.RFM.from_frame(dressed(MADE), "W", period="D").period == "D"
    assert got.observation_end == pd.Timestamp("2024-06-30")
    assert (got.audit.rows_in, got.audit.rows_used, got.audit.customers) == (3, 3, 3)


def test_a_table_of_pymc_marketing_as_it_is():
    from pymc_marketing.clv.utils import rfm_summary

    log = random_log(7)
    made = rfm_summary(log, "customer_id", "date", "amount", time_unit="W")
    ours = lw.rfm_summary(log, period="W", time_unit="W")
    assert_same(lw.RFM.from_frame(made, "W").to_pandas(), ours.to_pandas())


@pytest.mark.parametrize("name", ["customer_id", "id", None])
def test_ids_may_stand_in_the_index(name):
    """As in the tables of lifetimes, whose index has the name of the column of ids."""
    made = MADE.set_index("customer_id").rename_axis(name)
    got = lw.RFM.from_frame(made, "W")
    pd.testing.assert_frame_equal(got.to_pandas(), MADE.sort_values("customer_id", ignore_index=True))
    assert "customer_id" not in made.columns


@pytest.mark.parametrize("index", [None, pd.MultiIndex.from_product([["a"], [1, 2, 3]])])
def test_row_numbers_are_no_ids(index):
    made = MADE.drop(columns="customer_id")
    with pytest.raises(DataError, match=r"missing: customer_id; it has: frequency"):
        lw.RFM.from_frame(made if index is None else made.set_index(index), "W")


def test_first_customers_of_every_problem_are_those_of_the_index():
    made = MADE.set_index("customer_id").assign(T=-1.0)
    with pytest.raises(DataError, match=r"T is negative \(3 rows; customer b, c, a\)"):
        lw.RFM.from_frame(made, "W")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_the_mean_of_no_repeat_purchase_may_be_missing(missing):
    got = lw.RFM.from_frame(MADE.assign(monetary_value=pd.Series([missing, 4.0, 9.0], dtype=object)), "W")
    assert got.monetary_value.tolist() == [9.0, 0.0, 4.0]
    with pytest.raises(DataError, match=r"monetary_value is not a finite number \(1 row; customer c\)"):
        lw.RFM.from_frame(MADE.assign(monetary_value=[0.0, math.nan, 9.0]), "W")


def test_every_problem_in_one_message():
    bad = pd.DataFrame(
        {
            "customer_id": ["a", "a", None, "d", "e", "f", "g", "h", "i"],
            "frequency": [-1, 1, 1, 1.5, 1, 1, 0, None, 1],
            "recency": [0, 1, 1, 1, -1, 9, 1, 1, "x"],
            "T": [5, 5, -5, 5, 5, 5, 5, math.inf, 5],
            "monetary_value": [1, -1, 1, 1, 1, 1, 1, 1, math.nan],
        }
    )
    with pytest.raises(DataError) as caught:
        lw.RFM.from_frame(bad, "W")
    text = str(caught.value)
    for part in (
        "customer_id is missing (1 row; customer None)",
        "a customer stands in more than one row (1 row; customer a)",
        "frequency is negative (1 row; customer a)",
        "frequency is not a whole number (1 row; customer d)",
        "frequency is not a finite number (1 row; customer h)",
        "recency is negative (1 row; customer e)",
        "recency is greater than T (2 rows; customer None, f)",
        "recency is above 0 without a repeat purchase (1 row; customer g)",
        "recency is not a finite number (1 row; customer i)",
        "T is negative (1 row; customer None)",
        "T is not a finite number (1 row; customer h)",
        "monetary_value is negative (1 row; customer a)",
        "monetary_value is not a finite number (1 row; customer i)",
    ):
        assert part in text.replace("nan", "None"), part
    assert "\n" not in text


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (MADE[["customer_id", "T"]], r"missing: frequency, recency; it has: customer_id, T"),
        (MADE.head(0), r"has no rows"),
        (pd.concat([MADE, MADE[["T"]]], axis=1), r"more than one column named 'T'"),
        (MADE.assign(customer_id=pd.Series([1, "1", 2], dtype=object)), r"mixes ids of type int and str"),
        (MADE.assign(customer_id=[1.5, 2.0, 3.0]), r"fractional"),
        (MADE.assign(frequency=[0, 2, 1e300]), r"beyond all counting"),
        (MADE.assign(past_spend=[1.0, -1.0, 1.0]), r"past_spend is negative \(1 row; customer c\)"),
        ([1, 2], r"is not a table"),
    ],
)
def test_tables_that_are_none(frame, match):
    with pytest.raises(DataError, match=match):
        lw.RFM.from_frame(frame, "W")


def test_a_unit_is_asked_for_and_checked():
    with pytest.raises(UsageError, match=r"time_unit='weeks' is not a time unit"):
        lw.RFM.from_frame(MADE, "weeks")
    with pytest.raises(UsageError, match=r"period="):
        lw.RFM.from_frame(MADE, "W", period="weeks")
    with pytest.raises(UsageError, match=r"observation_end="):
        lw.RFM.from_frame(MADE, "W", observation_end="30/06/2024")


def test_ids_become_what_they_are_in_transactions():
    for column in (
        [3.0, 2.0, 1.0],
        pd.array([3, 2, 1], dtype="UInt8"),
        pd.Categorical([3, 2, 1], categories=[3, 1, 2]),
    ):
        got = lw.RFM.from_frame(MADE.assign(customer_id=column), "W")
        assert got.customer_id.dtype.kind in "iu"
        assert got.customer_id.tolist() == [1, 2, 3]
        assert got.frequency.tolist() == [1, 2, 0]


# --- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [lambda n: n, str, "Zoë {}".format])
def test_a_round_trip_through_parquet_keeps_everything(ids, tmp_path):
    log = random_log(8)
    log["customer_id"] = log["customer_id"].map(ids)
    log.loc[len(log)] = [log["customer_id"][0], pd.NaT, 3.0]
    rfm = lw.rfm_summary(log, period="D", time_unit="W", observation_end="2024-03-31", currency="CHF")
    rfm.to_parquet(tmp_path / "rfm.parquet")
    again = lw.RFM.read_parquet(tmp_path / "rfm.parquet")
    pd.testing.assert_frame_equal(again.to_pandas(), rfm.to_pandas(), check_exact=True)
    assert again.past_spend.tolist() == rfm.past_spend.tolist()
    for name in ("time_unit", "period", "observation_end", "currency"):
        assert getattr(again, name) == getattr(rfm, name)
    assert again.audit.to_dict() == rfm.audit.to_dict()
    assert again.audit.left_out["with a missing date"] == 1


def test_a_table_without_money_or_end_through_parquet(tmp_path):
    rfm = lw.RFM.from_frame(MADE.drop(columns="monetary_value"), "M")
    rfm.to_parquet(tmp_path / "rfm.parquet")
    again = lw.RFM.read_parquet(tmp_path / "rfm.parquet")
    assert (again.monetary_value, again.past_spend, again.observation_end) == (None, None, None)
    assert (again.time_unit, again.period) == ("M", None)


def test_rows_of_a_file_put_into_another_order_keep_their_money(tmp_path):
    rfm = lw.rfm_summary(random_log(9))
    rfm.to_parquet(tmp_path / "rfm.parquet")
    table = pq.read_table(tmp_path / "rfm.parquet")
    pq.write_table(table.take(pa.array(np.random.default_rng(0).permutation(len(rfm)))), tmp_path / "other.parquet")
    other = lw.RFM.read_parquet(tmp_path / "other.parquet")
    pd.testing.assert_frame_equal(other.to_pandas(), rfm.to_pandas(), check_exact=True)
    assert other.past_spend.tolist() == rfm.past_spend.tolist()


def test_a_file_of_somebody_else(tmp_path):
    MADE.to_parquet(tmp_path / "plain.parquet")
    assert rfm_metadata(tmp_path / "plain.parquet") is None
    with pytest.raises(DataError, match=r"not an RFM table written by lifeworth: use RFM.from_frame"):
        lw.RFM.read_parquet(tmp_path / "plain.parquet")
    assert len(lw.RFM.from_frame(tmp_path / "plain.parquet", "W")) == 3
    (tmp_path / "damaged.parquet").write_text("x")
    for name in ("damaged.parquet", "none.parquet"):
        with pytest.raises(SourceError, match=name):
            lw.RFM.read_parquet(tmp_path / name)


@pytest.mark.parametrize("about", [b"{", b"[]", json.dumps({"time_unit": "W"}).encode()])
def test_damaged_metadata_is_a_sentence(about, tmp_path):
    table = pa.Table.from_pandas(MADE).replace_schema_metadata({b"lifeworth": about})
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(DataError, match=r"odd.parquet is damaged"):
        lw.RFM.read_parquet(tmp_path / "odd.parquet")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.parquet").mkdir()
    rfm = lw.RFM.from_frame(MADE, "W")
    with pytest.raises(SourceError, match=r"cannot be written: .*file is a file, not a folder"):
        rfm.to_parquet(tmp_path / "file" / "rfm.parquet")
    with pytest.raises(SourceError, match=r"folder.parquet cannot be written: Is a directory"):
        rfm.to_parquet(tmp_path / "folder.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.parquet"]
    assert (tmp_path / "file").read_text() == "mine"


def test_take_keeps_customers_and_their_numbers_together():
    rfm = lw.rfm_summary(random_log(10))
    some = rfm.take(rfm.frequency > 5)
    expected = rfm.to_pandas()[rfm.frequency > 5].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.to_pandas(), expected)
    assert some.past_spend.tolist() == rfm.past_spend[rfm.frequency > 5].tolist()
    assert some.time_unit == rfm.time_unit


# --- duplicates and threads ------------------------------------------------------------------------------


def test_rows_that_came_twice_are_dropped_if_asked(dressed):
    frame = pd.DataFrame(
        {
            "customer_id": [7, 7, 7, 7, 8, 8],
            "date": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-08", "2024-01-08", "2024-01-08", None]),
            "amount": [1.0, 2.0, 2.0, 3.0, 2.0, 2.0],
        }
    )
    kept, dropped = (lw.rfm_summary(dressed(frame), duplicates=policy) for policy in ("keep", "drop"))
    assert (kept.past_spend.tolist(), dropped.past_spend.tolist()) == ([8.0, 2.0], [6.0, 2.0])
    assert kept.audit.left_out == {"with a missing date": 1}
    assert dropped.audit.left_out == {"with a missing date": 1, "equal to an earlier row": 1}
    assert dropped.audit.examples["equal to an earlier row"] == ["7"]
    with pytest.raises(UsageError, match=r'duplicates=None is not a policy: use "keep" or "drop"'):
        lw.rfm_summary(frame, duplicates=None)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_a_number_of_threads_that_is_none(threads):
    with pytest.raises(UsageError, match=r"threads=.* must be a whole number of at least 1, or None"):
        lw.rfm_summary(random_log(1), threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads):
    frame = random_log(2, customers=20_000, rows=120_000)
    expected, got = lw.rfm_summary(frame), lw.rfm_summary(frame, threads=threads)
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
    assert got.audit == expected.audit


def test_purchases_given_for_an_rfm_table_are_answered():
    """The first thing that goes wrong for many: predictions asked of the purchases themselves."""
    with pytest.raises(DataError, match=r"it has: customer_id, date, amount. Purchases become one with rfm_summary.$"):
        lw.RFM.from_frame(pd.DataFrame({"customer_id": [1], "date": ["2024-01-01"], "amount": [1.0]}), "W")


# ---- 128 bits, written out --------------------------------------------------------------------------------------

SPELLED = {
    "uuid": lambda number: str(uuid.UUID(int=number)),
    "hexadecimal": "{:032x}".format,
    "in capitals": lambda number: str(uuid.UUID(int=number)).upper(),
    "braced now and then": lambda number: f"{uuid.UUID(int=number)}" if number % 7 else f"{{{uuid.UUID(int=number)}}}",
    "binary": lambda number: number.to_bytes(16),
}


@pytest.mark.parametrize("form", ["uuid", "hexadecimal"])
def test_what_is_not_hexadecimal_is_no_number(form):
    """Every byte that text can hold, in every place: an id that is spelled otherwise is another customer."""
    plain = SPELLED[form](0x_11111111_2222_4333_8444_555555555555)
    strays = [chr(code) for code in (*range(1, 128), 0x80, 0x3A9) if chr(code) not in "0123456789abcdef"]
    names = {plain, *(plain[:at] + stray + plain[at + 1 :] for at in range(len(plain)) for stray in strays)}
    rows = pd.DataFrame({"customer_id": sorted(names), "date": pd.Timestamp("2024-01-01"), "amount": 1.0})
    assert lw.rfm_summary(rows).customer_id.tolist() == sorted(names)
    # Where nearly all are what they look like, as well.
    usual = [SPELLED[form](number << 64) for number in range(2000)]
    for stray in ("g", "o", "G", "`", ":", "/"):
        odd = plain[:-1] + stray
        rows = pd.DataFrame({"customer_id": [*usual, odd], "date": pd.Timestamp("2024-01-01"), "amount": 1.0})
        assert lw.rfm_summary(rows).customer_id.tolist() == sorted([*usual, odd])


def test_many_ids_with_equal_halves_are_sorted_in_good_time():
    """Numbers written as UUIDs: sorting them by insertion would take hours."""
    numbers = np.random.default_rng(5).permutation(400_000)
    text = [f"00000000-0000-0000-0000-{number:012x}" for number in numbers]
    rows = pa.table({"customer_id": text, "date": np.full(len(text), np.datetime64("2024-01-01")), "amount": numbers})
    found = lw.rfm_summary(rows)
    assert found.customer_id.tolist() == sorted(text)
    assert (found.past_spend == np.arange(len(text))).all()


@pytest.mark.parametrize("spread", ["at random", "by time", "high halves alike", "in clumps"])
@pytest.mark.parametrize("form", SPELLED)
def test_ids_of_128_bits_are_told_apart_and_come_back(form, spread):
    """In blocks and threads of which some have no id at all, some all of them, and some a few."""
    chance = np.random.default_rng(3)
    rows, customers = 200_000, 30_000
    of_row = chance.integers(0, customers, rows)
    when = np.datetime64("2024-01-01") + chance.integers(0, 300, rows).astype("timedelta64[D]")
    amount = chance.integers(1, 5000, rows) / 100
    missing = chance.random(rows) < 0.01
    missing[:70_000] = False
    missing[131_072:196_608] = True
    numbers = {
        "at random": [int.from_bytes(chance.bytes(16)) for _ in range(customers)],
        "by time": [(number + 1) << 90 for number in range(customers)],
        "high halves alike": [(0xFEED << 112) + 3 * number for number in range(customers)],
        "in clumps": [(number % 40 << 100) + 3 * number for number in range(customers)],
    }[spread]
    names = [SPELLED[form](number) for number in numbers]
    order = sorted(range(customers), key=names.__getitem__)
    rank = np.empty(customers, dtype=np.int64)
    rank[order] = np.arange(customers)
    kind = pa.binary(16) if form == "binary" else pa.string()
    ids = pa.array([None if gone else names[at] for at, gone in zip(of_row, missing, strict=True)], kind)
    others = {"date": when, "amount": amount}
    found = lw.rfm_summary(pa.table({"customer_id": ids, **others}))
    wanted = lw.rfm_summary(pa.table({"customer_id": pa.array(rank[of_row], mask=missing), **others}))
    assert found.customer_id.tolist() == [names[order[at]] for at in wanted.customer_id]
    for name in ("frequency", "recency", "T", "monetary_value", "past_spend"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert found.audit.left_out == wanted.audit.left_out == {"with a missing customer id": int(missing.sum())}
