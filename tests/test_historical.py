"""The classic formulas, against sums done by hand."""

import math

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
