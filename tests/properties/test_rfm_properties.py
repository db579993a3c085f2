"""What must hold for any log of purchases: nothing lost, nothing twice, and no thanks to the order of rows."""

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth.errors import DataError
from lifeworth.periods import TIME_UNITS, elapsed, horizon_length, period_ordinal, period_ordinals, period_starts

UNITS = st.sampled_from(TIME_UNITS)
DATES = st.datetimes(dt.datetime(2023, 11, 20), dt.datetime(2024, 3, 10))
# Cents: sums of them in any order agree to well below a cent.
AMOUNTS = st.integers(-2_000, 10_000).map(lambda cents: cents / 100)
POSITIVE = st.integers(1, 10_000).map(lambda cents: cents / 100)


IDS = st.integers(1, 6)


def logs(ids=IDS, dates=DATES, amounts=AMOUNTS, min_size=1):
    return st.lists(st.tuples(ids, dates, amounts), min_size=min_size, max_size=40)


def table(rows):
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


def untidy_logs():
    return logs(
        st.one_of(st.none(), st.just(""), st.text("ab", min_size=1, max_size=2)),
        st.one_of(st.none(), st.just("tomorrow"), DATES.map(str)),
        st.one_of(st.none(), st.just("n/a"), st.just("inf"), AMOUNTS.map(str)),
    )


def accounted(audit, rows):
    return audit.rows_in == rows == audit.rows_used + sum(audit.left_out.values())


# --- time ------------------------------------------------------------------------------------------------


@given(st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 1)), UNITS)
def test_a_date_lies_in_its_period_and_periods_touch(date, unit):
    stamp = pd.Timestamp(date)
    ordinal = period_ordinal(stamp, unit)
    start, end = period_starts(np.array([ordinal, ordinal + 1]), unit)
    assert start <= stamp.to_datetime64() < end
    assert period_ordinals(np.array([start, end - np.timedelta64(1, "s")]), unit).tolist() == [ordinal, ordinal]


@given(st.integers(-10_000, 10_000), st.integers(0, 5_000), st.integers(0, 5_000), UNITS, UNITS)
def test_time_elapsed_grows_and_adds_up(start, first, second, period, unit):
    def between(begin, end):
        return elapsed(np.array([begin]), end, period, unit).item()

    total = between(start, start + first + second)
    assert total >= between(start, start + first) >= 0.0
    assert (total == 0.0) == (first + second == 0)
    parts = between(start, start + first) + between(start + first, start + first + second)
    np.testing.assert_allclose(parts, total, rtol=1e-12)  # three roundings


@given(st.integers(1, 500), st.sampled_from("hDWMY"), UNITS, st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)))
def test_a_longer_horizon_is_longer(amount, unit, time_unit, end):
    stamp = pd.Timestamp(end)
    lengths = [horizon_length(f"{n}{unit}", time_unit, stamp) for n in (amount, amount + 1)]
    assert 0.0 < lengths[0] < lengths[1]


# --- the account of rows ---------------------------------------------------------------------------------


@given(
    untidy_logs(), UNITS, st.sampled_from(["net", "same_period", "drop"]), st.one_of(st.none(), st.just("2024-01-15"))
)
def test_every_row_is_accounted_for(rows, period, refunds, end):
    try:
        rfm = lw.rfm_summary(table(rows), period=period, refunds=refunds, observation_end=end)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert accounted(rfm.audit, len(rows))
    assert len(rfm) == rfm.audit.customers
    assert rfm.audit.rows_used >= int(rfm.frequency.sum()) + len(rfm)


@given(untidy_logs(), UNITS)
def test_every_row_is_accounted_for_on_both_sides(rows, period):
    try:
        calibration, _ = lw.train_test_split(table(rows), train_end="2024-01-10", test_end="2024-02-20", period=period)
    except DataError:
        return
    assert accounted(calibration.audit, len(rows))


# --- order and names -------------------------------------------------------------------------------------


@given(logs(), UNITS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, period, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    try:
        expected = lw.rfm_summary(table(rows), period=period)
    except DataError:
        assume(False)
    got = lw.rfm_summary(table(shuffled), period=period)
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
    assert got.past_spend.tolist() == expected.past_spend.tolist()
    assert got.audit.left_out == expected.audit.left_out


@given(logs(amounts=POSITIVE), st.sampled_from([str, float, "c{:03d}".format, lambda n: f" {n}", np.int8]))
def test_the_type_of_ids_changes_nothing_but_ids(rows, rename):
    expected = lw.rfm_summary(table(rows))
    renamed = lw.rfm_summary(table([(rename(who), *rest) for who, *rest in rows]))
    assert [rename(who) for who in expected.customer_id] == renamed.customer_id.tolist()
    columns = ["frequency", "recency", "T", "monetary_value"]
    pd.testing.assert_frame_equal(renamed.to_pandas()[columns], expected.to_pandas()[columns], check_exact=True)


@given(logs(amounts=POSITIVE), logs(ids=st.integers(7, 9), amounts=POSITIVE))
def test_a_customers_numbers_do_not_depend_on_the_others(rows, others):
    end = "2024-03-10"
    alone = lw.rfm_summary(table(rows), observation_end=end).to_pandas()
    together = lw.rfm_summary(table(others + rows), observation_end=end).to_pandas()
    pd.testing.assert_frame_equal(together[together["customer_id"] <= 6], alone, check_exact=True)


# --- meaning ---------------------------------------------------------------------------------------------


@given(logs(), UNITS, UNITS)
def test_a_table_is_one_that_from_frame_takes(rows, period, unit):
    try:
        rfm = lw.rfm_summary(table(rows), period=period, time_unit=unit)
    except DataError:
        assume(False)
    again = lw.RFM.from_frame(rfm.to_pandas(), unit, rfm.observation_end, period)
    pd.testing.assert_frame_equal(again.to_pandas(), rfm.to_pandas(), check_exact=True)
    assert ((rfm.frequency > 0) == (rfm.recency > 0)).all()


@given(logs(amounts=POSITIVE))
def test_money_adds_up(rows):
    frame = table(rows)
    rfm = lw.rfm_summary(frame)
    spent = frame.groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(rfm.past_spend, spent, rtol=1e-12)
    firsts = rfm.past_spend - rfm.frequency * rfm.monetary_value
    assert (firsts > 0.009).all()  # the first purchase of each was a cent or more


@given(logs(amounts=POSITIVE, min_size=2), UNITS, st.dates(dt.date(2023, 11, 20), dt.date(2024, 3, 10)))
def test_calibration_and_holdout_lose_nothing_and_count_nothing_twice(rows, period, edge):
    frame = table(rows)
    whole = lw.rfm_summary(frame, period=period)
    try:
        calibration, holdout = lw.train_test_split(frame, train_end=edge, period=period)
    except DataError:
        assume(False)
    assert holdout["customer_id"].tolist() == calibration.customer_id.tolist()
    known = whole.take(np.isin(whole.customer_id, calibration.customer_id))
    np.testing.assert_array_equal(known.frequency, calibration.frequency + holdout["frequency"])
    np.testing.assert_allclose(known.past_spend, calibration.past_spend + holdout["spend"], rtol=1e-12)
    # The holdout's length is what everybody's age grows by.
    np.testing.assert_allclose(known.T, calibration.T + holdout.attrs["length"], rtol=1e-12)
    assert whole.audit.rows_used == calibration.audit.rows_used + calibration.audit.left_out.get("in the holdout", 0)


@given(logs(), st.dates(dt.date(2023, 11, 20), dt.date(2024, 3, 10)))
def test_calibration_is_the_summary_up_to_its_end(rows, edge):
    frame = table(rows)
    try:
        calibration, _ = lw.train_test_split(frame, train_end=edge)
    except DataError:
        assume(False)
    pd.testing.assert_frame_equal(
        calibration.to_pandas(), lw.rfm_summary(frame, observation_end=edge).to_pandas(), check_exact=True
    )


@given(logs(amounts=POSITIVE))
def test_historical_worth_is_what_the_table_says(rows):
    frame = table(rows)
    rfm = lw.rfm_summary(frame)
    worth = lw.historical_clv(frame, by="customer_id")
    assert worth["orders"].tolist() == (rfm.frequency + 1).tolist()
    np.testing.assert_allclose(worth["revenue"], rfm.past_spend, rtol=1e-12)
    total = lw.historical_clv(frame)
    assert total["customers"].item() == len(rfm)
    np.testing.assert_allclose(total["revenue"].item(), worth["revenue"].sum(), rtol=1e-12)
