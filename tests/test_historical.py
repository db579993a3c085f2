"""The classic formulas, against sums done by hand."""

import datetime as dt
import math
from decimal import Decimal
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError

# 2023 has 365 days; a year is 365.2425.
YEAR = 365 / 365.2425


def purchases(*rows, columns=("customer_id", "date", "amount", "shop")):
    return pd.DataFrame(rows, columns=list(columns))


TX = purchases(
    ("ann", "2023-01-01", 10.0, "north"),
    ("ann", "2023-01-01T18:00", 5.0, "north"),  # the same day: the same order
    ("ann", "2023-04-11", 25.0, "south"),
    ("bob", "2023-06-01", 40.0, "north"),
    ("eve", "2023-12-31", 20.0, "south"),
)


def test_revenue_per_customer_by_hand():
    worth = lw.historical_clv(TX)
    assert worth.index.tolist() == ["all"]
    assert worth.loc["all"].to_dict() == {"customers": 3, "orders": 4, "revenue": 100.0, "clv": 100 / 3}


def test_order_value_frequency_duration_by_hand():
    worth = lw.historical_clv(TX, method="aov_frequency_duration").loc["all"]
    duration = 100 / 365.2425 / 3  # ann's 100 days, and none of the others'
    assert worth["average_order_value"] == 25.0
    assert worth["purchase_frequency"] == pytest.approx(4 / 3 / YEAR, rel=1e-14)
    assert worth["relationship_duration"] == pytest.approx(duration, rel=1e-14)
    assert worth["clv"] == pytest.approx(25 * 4 / 3 / YEAR * duration, rel=1e-14)


def test_a_duration_of_ones_own():
    worth = lw.historical_clv(TX, "aov_frequency_duration", duration=3, margin=0.2).loc["all"]
    assert worth["relationship_duration"] == 3.0
    assert worth["clv"] == pytest.approx(25 * 4 / 3 / YEAR * 3 * 0.2, rel=1e-14)
    for years in (np.int64(3), np.float32(3), 3.0):
        again = lw.historical_clv(TX, "aov_frequency_duration", duration=years, margin=0.2)
        assert again["clv"].item() == worth["clv"]


def test_margin_is_a_share_of_revenue():
    full, third, none = (lw.historical_clv(TX, margin=margin)["clv"].item() for margin in (1, np.float64(0.3), 0))
    assert (third, none) == (full * 0.3, 0.0)


def test_by_column():
    worth = lw.historical_clv(TX, by="shop")
    assert worth.index.name == "shop"
    assert worth.to_dict("index") == {
        "north": {"customers": 2, "orders": 2, "revenue": 55.0, "clv": 27.5},
        "south": {"customers": 2, "orders": 2, "revenue": 45.0, "clv": 22.5},
    }
    durations = lw.historical_clv(TX, "aov_frequency_duration", by="shop")["relationship_duration"]
    assert durations.tolist() == [0.0, 0.0]  # within one shop, nobody came back on another day


def test_by_customer():
    worth = lw.historical_clv(TX, "aov_frequency_duration", by="customer_id")
    assert worth.index.tolist() == ["ann", "bob", "eve"]
    assert worth["revenue"].tolist() == [40.0, 40.0, 20.0]
    assert worth["relationship_duration"].tolist() == pytest.approx([100 / 365.2425, 0, 0], rel=1e-14)


@pytest.mark.parametrize("method", ["revenue_per_customer", "aov_frequency_duration"])
def test_customers_without_a_group_are_not_lost(method):
    frame = TX.assign(shop=["north", "north", None, "north", None])
    worth = lw.historical_clv(frame, method, by="shop")
    assert worth["revenue"].tolist() == [55.0, 45.0]
    assert worth.index[0] == "north"
    assert pd.isna(worth.index[1])
    if method == "aov_frequency_duration":
        assert (worth["relationship_duration"] == 0.0).all()


@pytest.mark.parametrize("dtype", ["category", "string", object, "str"])
def test_groups_of_any_type(dtype):
    worth = lw.historical_clv(TX.assign(shop=TX["shop"].astype(dtype)), "aov_frequency_duration", by="shop")
    assert [str(name) for name in worth.index] == ["north", "south"]
    assert worth["customers"].tolist() == [2, 2]


def test_groups_stay_with_their_rows_where_others_are_left_out(dressed):
    bad = purchases((None, "2023-01-01", 1.0, "x"), ("ann", None, 1.0, "y"), ("ann", "2023-01-01", None, "z"))
    frame = pd.concat([bad, TX], ignore_index=True)
    worth = lw.historical_clv(dressed(frame), by="shop")
    assert worth["revenue"].to_dict() == {"north": 55.0, "south": 45.0}


def test_a_reader_that_can_be_read_once():
    import pyarrow as pa

    table = pa.Table.from_pandas(TX)
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))
    assert lw.historical_clv(reader, by="cohort")["revenue"].tolist() == [40.0, 40.0, 20.0]


@pytest.mark.parametrize(
    ("groups", "labels"),
    [
        ([True, True, False, True, False], [False, True]),
        ([1.5, 1.5, -2.0, 1.5, -2.0], [-2.0, 1.5]),
        (pd.to_datetime(["2024", "2024", "2023", "2024", "2023"]), [pd.Timestamp("2023"), pd.Timestamp("2024")]),
        ([dt.date(2024, 1, 1)] * 2 + [dt.date(2023, 1, 1), dt.date(2024, 1, 1), dt.date(2023, 1, 1)], None),
        ([Decimal(2), Decimal(2), Decimal(1), Decimal(2), Decimal(1)], [Decimal(1), Decimal(2)]),
        (["b", "b", 7, "b", 7], [7, "b"]),  # of two types: by type, then text
        ([(2, 1), (2, 1), (1, 9), (2, 1), (1, 9)], None),
        (pd.Categorical(["low", "low", "high", "low", "high"], categories=["none", "high", "low"], ordered=True), None),
        (["<b>'; DROP--", "<b>'; DROP--", "", "<b>'; DROP--", ""], ["", "<b>'; DROP--"]),
    ],
)
def test_groups_of_every_kind(groups, labels):
    worth = lw.historical_clv(TX.assign(shop=groups), by="shop")
    assert worth["revenue"].tolist() == [45.0, 55.0]
    assert worth["customers"].tolist() == [2, 2]
    if labels is not None:
        assert worth.index.tolist() == labels
    missing = pd.Series(groups).where([True, True, True, True, False])
    worth = lw.historical_clv(TX.assign(shop=missing), by="shop")
    assert worth["revenue"].tolist() == [25.0, 55.0, 20.0]
    assert worth.index.isna().tolist() == [False, False, True]


def test_groups_that_are_lists_are_refused():
    with pytest.raises(DataError, match=r"'shop' holds values that cannot be groups, such as lists"):
        lw.historical_clv(TX.assign(shop=[[1]] * 5), by="shop")


@pytest.mark.parametrize("name", ["clv", "customer", "days", "index", "{0}", "ä 'x' \n"])
def test_groups_of_any_name(name):
    frame = TX.rename(columns={"shop": name})
    for method in ("revenue_per_customer", "first_purchase_windows"):
        worth = lw.historical_clv(frame, method, by=name)
        assert worth.index.names[0] == name
        assert len(worth) in (2, 10)


def test_every_row_is_accounted_for():
    frame = purchases(
        (None, "2023-02-01", 1.0, "x"),
        ("ann", None, 1.0, "x"),
        ("ann", "2023-02-31", 1.0, "x"),
        ("ann", "2023-02-01", None, "x"),
        ("ann", "2023-02-01", np.inf, "x"),
        ("ann", "2022-12-31", 9.0, "x"),
        ("ann", "2022-12-31", -1.0, "x"),
        ("ann", "2024-01-01", 9.0, "x"),
        ("bob", "2023-03-01", 9.0, "x"),
        ("bob", "2023-03-01", -9.0, "x"),
        ("ann", "2023-04-01", 30.0, "x"),
        ("ann", "2023-04-01", -10.0, "x"),
        ("ann", "2023-04-01", 30.0, "x"),
    )
    worth = lw.historical_clv(frame, start="2023-01-01", end="2023-12-31")
    assert worth["revenue"].item() == 50.0
    audit = lw.Audit.from_dict(worth.attrs["rows"])
    assert (audit.rows_in, audit.rows_used, audit.refunds) == (13, 3, 2)
    assert (audit.customers, audit.customers_left_out) == (1, 1)
    assert audit.left_out == {
        "with a missing customer id": 1,
        "with a missing date": 1,
        "with an unreadable date": 1,
        "with a missing amount": 1,
        "with an unreadable or infinite amount": 1,
        "after the end": 1,
        "before the start": 2,
        "in periods that refunds brought to nothing": 2,
    }
    assert "13 rows in, 3 used for 1 customers; left out: 1 with a missing customer id," in worth.attrs["audit"]
    dropped = lw.historical_clv(frame, start="2023-01-01", end="2023-12-31", refunds="drop", duplicates="drop")
    left_out = dropped.attrs["rows"]["left_out"]
    assert (left_out["dropped as refunds"], left_out["equal to an earlier row"]) == (2, 1)
    assert left_out["before the start"] == 2
    assert dropped["revenue"].item() == 39.0


def test_the_account_survives_a_file(tmp_path):
    worth = lw.historical_clv(TX, by="shop", acquisition_cost=1e6)
    worth.to_parquet(tmp_path / "worth.parquet")
    again = pd.read_parquet(tmp_path / "worth.parquet")
    pd.testing.assert_frame_equal(again, worth)
    assert again.attrs == worth.attrs
    assert again.attrs["notes"]


def test_the_last_digit_of_an_order_is_not_that_of_the_order_of_rows():
    rows = [("ann", "2023-01-01", amount, "x") for amount in (0.1, 0.2, 0.3, 0.7, -0.4)]
    revenue = {lw.historical_clv(purchases(*some))["revenue"].item() for some in permutations(rows)}
    assert len(revenue) == 1
    assert revenue.pop() == pytest.approx(0.9, rel=1e-15)


def test_customers_in_several_groups_are_told_of():
    assert lw.historical_clv(TX).attrs["notes"] == []
    assert lw.historical_clv(TX, by="shop").attrs["notes"][0].startswith("1 more customers are counted in groups")
    assert lw.historical_clv(TX, by="shop", assign="first_order").attrs["notes"] == []


def test_the_account_is_that_of_the_rfm_table(cdnow_sample):
    frame = pd.concat([cdnow_sample, cdnow_sample.head(40).assign(amount=-5.0)], ignore_index=True)
    for refunds in ("net", "drop"):
        audit = lw.rfm_summary(frame, observation_end="1997-09-30", refunds=refunds).audit.to_dict()
        rows = lw.historical_clv(frame, end="1997-09-30", refunds=refunds).attrs["rows"]
        assert {**rows, "notes": []} == {**audit, "notes": []}


def test_a_lazy_table_that_changes_its_order_is_read_once():
    pl = pytest.importorskip("polars")
    frames = iter([pl.from_pandas(TX), pl.from_pandas(TX[::-1])])
    lazy = pl.LazyFrame(TX.head(0)).map_batches(
        lambda _: next(frames), schema=pl.from_pandas(TX).schema, projection_pushdown=False
    )
    assert lw.historical_clv(lazy, by="shop")["revenue"].to_dict() == {"north": 55.0, "south": 45.0}


def test_a_window_takes_both_its_days():
    worth = lw.historical_clv(TX, start="2023-04-11", end="2023-06-01")
    assert worth.loc["all", ["customers", "orders", "revenue"]].tolist() == [2, 2, 65.0]
    frequency = lw.historical_clv(TX, "aov_frequency_duration", start="2023-04-11", end="2023-06-01")
    assert frequency["purchase_frequency"].item() == pytest.approx(1 / (52 / 365.2425), rel=1e-14)  # 52 days


def test_a_window_by_months_is_whole_months():
    worth = lw.historical_clv(TX, start="2023-04-20", end="2023-06-20", period="M")
    assert worth.loc["all", ["customers", "revenue"]].tolist() == [2, 65.0]


def test_a_window_on_the_wall_clock_of_the_data():
    frame = TX.assign(date=pd.to_datetime(TX["date"], format="ISO8601").dt.tz_localize("Asia/Tokyo"))
    # 2023-05-31 16:00 in London is 1 June in Tokyo.
    assert lw.historical_clv(frame, end="2023-05-31T16:00Z")["revenue"].item() == 80.0
    assert lw.historical_clv(frame, end="2023-05-31T14:00Z")["revenue"].item() == 40.0
    cohorts = lw.historical_clv(frame, by="cohort")
    assert cohorts.index.strftime("%Y-%m").tolist() == ["2023-01", "2023-06", "2023-12"]
    # Half a day of value at a yearly rate, on the data's own clock.
    when = [
        lw.historical_clv(frame.tail(1), "present_value", discount_rate=1, as_of=as_of)["clv"].item()
        for as_of in ("2023-12-31T12:00", "2023-12-31T03:00Z")
    ]
    assert when == pytest.approx([20 * 2 ** (0.5 / 365.2425)] * 2, rel=1e-14)


def test_windows_by_the_hour():
    frame = purchases(
        ("ann", "2023-01-01T09:30", 1.0, "x"),
        ("ann", "2023-01-02T08:59", 2.0, "x"),
        ("ann", "2023-01-02T09:00", 4.0, "x"),
    )
    worth = lw.historical_clv(frame, "first_purchase_windows", windows=[1], period="h")
    assert worth[["orders", "revenue"]].to_numpy().tolist() == [[2, 3.0]]


def test_refunds():
    frame = purchases(
        ("ann", "2023-01-01", 30.0, "x"),
        ("ann", "2023-01-01", -10.0, "x"),
        ("bob", "2023-01-02", 5.0, "x"),
        ("bob", "2023-01-02", -5.0, "x"),
        ("eve", "2023-01-03", 0.1, "x"),
        ("eve", "2023-01-03", 0.2, "x"),
        ("eve", "2023-01-03", -0.3, "x"),
        ("kim", "2023-01-04", 0.0, "x"),
    )
    net, drop = lw.historical_clv(frame), lw.historical_clv(frame, refunds="drop")
    assert net.loc["all"].to_dict() == {"customers": 2, "orders": 2, "revenue": 20.0, "clv": 10.0}
    assert drop.loc["all", ["customers", "orders"]].tolist() == [4, 4]
    assert drop["revenue"].item() == pytest.approx(35.3, rel=1e-15)
    with pytest.raises(DataError, match=r"3 rows have a negative amount"):
        lw.historical_clv(frame, refunds="error")
    assert lw.historical_clv(frame, refunds="error", start="2023-01-04")["orders"].item() == 1


def test_agrees_with_the_rfm_table_on_cdnow(cdnow_sample):
    rfm = lw.rfm_summary(cdnow_sample, observation_end="1997-09-30")
    worth = lw.historical_clv(cdnow_sample, end="1997-09-30", by="customer_id")
    assert worth.index.tolist() == rfm.customer_id.tolist()
    assert worth["orders"].tolist() == (rfm.frequency + 1).tolist()
    np.testing.assert_allclose(worth["clv"], rfm.past_spend, rtol=1e-13)


def test_every_form_gives_the_same_worth(dressed):
    frame = TX.assign(date=pd.to_datetime(TX["date"], format="ISO8601"))
    expected = lw.historical_clv(frame, "aov_frequency_duration", by="shop")
    got = lw.historical_clv(dressed(frame), "aov_frequency_duration", by="shop")
    pd.testing.assert_frame_equal(got, expected, check_index_type=False)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "revenue"}, r"method='revenue' is not one of 'revenue_per_customer', 'aov_frequency_duration'"),
        ({"refunds": "keep"}, r"refunds='keep' is not a policy"),
        ({"period": "Y"}, r"period='Y' is not a time unit"),
        ({"margin": -0.1}, r"margin=-0.1 is a share of revenue"),
        ({"margin": math.nan}, r"margin=nan is a share"),
        ({"margin": "30%"}, r"margin='30%' is a share"),
        ({"duration": 0}, r"duration=0 must be a number of years above 0"),
        ({"duration": math.inf}, r"duration=inf must be"),
        ({"duration": "3"}, r"duration='3' must be"),
        ({"amount": None}, r"amount=None"),
        ({"start": "01/02/2023"}, r"start='01/02/2023' is not a date"),
        ({"end": 2023}, r"end=2023 is not a date"),
    ],
)
def test_what_makes_no_sense_is_the_users_error(options, match):
    with pytest.raises(UsageError, match=match):
        lw.historical_clv(TX, **options)


@pytest.mark.parametrize(
    ("frame", "options", "match"),
    [
        (TX, {"by": "town"}, r"no column 'town'; it has: customer_id, date, amount, shop"),
        (TX, {"start": "2024-01-01"}, r"no purchase between start and end"),
        (TX, {"end": "2022-01-01"}, r"no purchase between start and end"),
        (TX.assign(amount=-1.0), {"refunds": "drop"}, r"no purchase between start and end"),
        (TX, {"start": "2023-06-01", "end": "2023-01-01"}, r"no purchase between start and end"),
        (TX.assign(amount=-1.0), {}, r"no purchase between start and end"),
        (TX.assign(amount=None), {}, r"None of the 5 rows can be used: 5 with a missing amount"),
        (TX.assign(date=None), {}, r"None of the 5 rows can be used: 5 with a missing date"),
        (TX.head(0), {}, r"has no rows"),
    ],
)
@pytest.mark.parametrize("method", ["revenue_per_customer", "aov_frequency_duration"])
def test_data_that_hold_no_answer(frame, options, match, method):
    with pytest.raises(DataError, match=match):
        lw.historical_clv(frame, method, **options)


def test_one_order_alone():
    worth = lw.historical_clv(TX.head(1), "aov_frequency_duration").loc["all"]
    assert worth["customers"] == worth["orders"] == 1
    assert worth["clv"] == 0.0  # observed for a day, and gone the same day: what the formula says of newcomers
