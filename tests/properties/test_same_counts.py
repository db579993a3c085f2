"""One shop, every way in: whatever reads transactions counts the same purchases and the same money.

What is expected is counted by `rfm_reference`, in plain Python.
"""

import datetime as dt
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rfm_reference import UnclearError, period_of, reference, reference_split

import lifeworth as lw
from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate import alive_paths
from lifeworth.evaluate.data_views import five_views
from lifeworth.rfm import duckdb as pushdown_module
from lifeworth.rfm import source as sources

TRAIN_END = dt.datetime(2024, 4, 30)
POLICIES = ["net", "same_period", "drop"]


def shop_rows():
    """Refunds of the same day and later, of all and of a part, with and without a purchase; missing values; doubles."""
    day = dt.datetime(2024, 1, 2, 9)
    after = lambda days: day + dt.timedelta(days=days)  # noqa: E731
    special = {
        1: [(0, 1000.0), (7, 1920.14), (18, -393.29)],  # a part, of the latest
        2: [(0, 40.0), (10, 60.0), (20, 40.0), (30, -40.0)],  # all, of the latest of equal amount
        3: [(0, 25.0), (9, 30.0), (12, -25.0)],  # all of the first: the birth moves
        4: [(0, 50.0), (0, 30.0), (0, -30.0)],  # on the same day
        5: [(0, 50.0), (0, 30.0), (8, -30.0)],  # one of two orders of a day
        6: [(0, 20.0), (5, -20.0)],  # nothing left
        7: [(0, -15.0), (4, 80.0), (9, 10.0), (11, -100.0)],  # before any purchase; more than all there is
        8: [(0, 0.1), (0, 0.2), (3, 5.0), (4, -0.3)],  # 0.1 + 0.2 is not 0.3
        9: [(0, 0.0), (6, 12.0), (8, -12.0)],  # an order for nothing stays
        10: [(0, 70.0), (110, 30.0), (130, -70.0), (140, -10.0)],  # after the end of calibration
        11: [(0, 70.0), (130, -20.0), (135, 9.0), (136, -9.0)],
        12: [(0, 10.0), (20, 10.0), (40, -3.3), (41, -3.3), (42, -3.4)],  # in parts
        13: [(0, 35.0), (30, None), (60, 20.0)],  # an amount is missing
        14: [(0, 35.0), (30, 20.0), (30, 20.0), (45, -20.0), (45, -20.0)],  # equal rows
        15: [(115, 90.0), (150, 90.0), (151, -90.0)],  # new after the end of calibration
    }
    rows = [(who, after(days), money) for who, bought in special.items() for days, money in bought]
    chance = np.random.default_rng(11)
    for who in range(20, 90):
        bought = np.unique(chance.integers(0, 180, chance.integers(1, 9)))
        for days in bought.tolist():
            money = round(float(chance.gamma(2, 20)), 2)
            rows.append((who, after(days), money))
            fate = chance.random()
            if fate < 0.12:
                rows.append((who, after(days + int(chance.integers(0, 30))), -money))
            elif fate < 0.24:
                rows.append((who, after(days + int(chance.integers(0, 30))), -round(money * chance.random(), 2)))
            elif fate < 0.30:
                rows.append((who, after(days), None))
            elif fate < 0.36:
                rows.append(rows[-1])
    rows += [(None, after(3), 9.0), (20, None, 9.0), (21, None, -9.0)]
    order = np.random.default_rng(3).permutation(len(rows))
    return [rows[i] for i in order]


ROWS = shop_rows()


def frame_of(rows):
    who, when, money = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "customer_id": pd.array(who, dtype="Int64"),
            "date": pd.Series(when, dtype="datetime64[us]"),
            "amount": pd.array(money, dtype="Float64").astype("float64"),
        }
    )


def distinct(rows):
    return list(dict.fromkeys(rows))


# ---- ways in ----------------------------------------------------------------------------------------------------


def files(frame, folder):
    folder = folder / "files"
    folder.mkdir()
    for number, start in enumerate(range(0, len(frame), 100)):
        frame.iloc[start : start + 100].to_parquet(folder / f"{number}.parquet")
    return folder


def parquet(frame, folder):
    frame.to_parquet(folder / "shop.parquet")
    return folder / "shop.parquet"


def csv(frame, folder):
    frame.to_csv(folder / "shop.csv", index=False)
    return folder / "shop.csv"


def batches(frame, folder):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=50))


def relation(frame, folder):
    return pytest.importorskip("duckdb").connect().from_df(frame)


def text(frame, folder):
    return frame.assign(customer_id=frame["customer_id"].astype("str"))


WAYS = {
    "pandas": (lambda frame, folder: frame, {}),
    "ids of text": (text, {}),
    "polars": (lambda frame, folder: pytest.importorskip("polars").from_pandas(frame), {}),
    "parquet": (parquet, {}),
    "parquet, spilled": (parquet, {"memory_limit": 1}),
    "folder": (files, {}),
    "folder, spilled": (files, {"memory_limit": 1}),
    "csv": (csv, {}),
    "batches": (batches, {}),
    "batches, spilled": (batches, {"memory_limit": 1}),
    "duckdb": (relation, {"pushdown": False}),
    "duckdb, pushed down": (relation, {"pushdown": True}),
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
EVERY_POLICY = pytest.mark.parametrize("refunds", POLICIES)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(sources, "_FEWEST_ROWS", 50)
    monkeypatch.setattr(sources, "_GROWTH", 1e9)
    monkeypatch.setattr(pushdown_module, "_PART", 40)
    monkeypatch.setattr(pushdown_module, "_BATCH", 20)


def by_number(ids):
    return [int(who) for who in ids]


def numbers_of(rfm):
    columns = zip(rfm.frequency, rfm.recency, rfm.T, rfm.monetary_value, rfm.past_spend, strict=True)
    return dict(zip(by_number(rfm.customer_id), [tuple(map(float, row)) for row in columns], strict=True))


def same_numbers(found, expected):
    assert sorted(found) == sorted(expected)
    for who, row in expected.items():
        # 1e-12: sums of a few amounts in floating point
        np.testing.assert_allclose(found[who], row, rtol=1e-12, atol=1e-9, err_msg=str(who))


def same_account(audit, rows, expected, further=()):
    assert audit.rows_in == len(rows)
    assert audit.left_out == expected.left_out | dict(further)
    assert audit.rows_used == expected.used
    assert audit.refunds == expected.refunds
    # 1e-4 each: what an audit rounds to, at every refund that it adds
    np.testing.assert_allclose(audit.refunds_netted, float(expected.netted), atol=1e-4 * len(rows))
    np.testing.assert_allclose(audit.refunds_unmatched, float(expected.unmatched), atol=1e-4 * len(rows))


def purchases_of(expected):
    return sum(map(len, expected.purchases.values()))


# ---- RFM tables -------------------------------------------------------------------------------------------------


@EVERY_WAY
@EVERY_POLICY
def test_the_rfm_table(way, refunds, tmp_path, small_parts):
    make, how = WAYS[way]
    expected = reference(ROWS, "D", "W", refunds=refunds)
    rfm = lw.rfm_summary(make(frame_of(ROWS), tmp_path), refunds=refunds, **how)
    same_numbers(numbers_of(rfm), expected.customers)
    same_account(rfm.audit, ROWS, expected)
    assert rfm.audit.customers_left_out == expected.customers_left_out


@EVERY_WAY
@EVERY_POLICY
def test_calibration_and_holdout(way, refunds, tmp_path, small_parts):
    make, how = WAYS[way]
    calibration, later = reference_split(ROWS, "D", "W", TRAIN_END, refunds=refunds)
    rfm, holdout = lw.train_test_split(make(frame_of(ROWS), tmp_path), train_end=TRAIN_END, refunds=refunds, **how)
    same_numbers(numbers_of(rfm), calibration.customers)
    found = zip(holdout["frequency"].astype(float), holdout["spend"], strict=True)
    same_numbers(dict(zip(by_number(holdout["customer_id"]), found, strict=True)), later)
    # What was paid before and after is what was paid in all.
    whole = lw.rfm_summary(frame_of(ROWS), refunds=refunds)
    past = pd.Series(whole.past_spend, index=by_number(whole.customer_id)).reindex(by_number(rfm.customer_id))
    np.testing.assert_allclose(rfm.past_spend + holdout["spend"], past.fillna(0.0), atol=1e-9)


@EVERY_WAY
@EVERY_POLICY
def test_transactions(way, refunds, tmp_path, small_parts):
    """One object for all: whatever is made of it counts the purchases that the table alone gives."""
    make, how = WAYS[way]
    expected = reference(ROWS, "D", "W", refunds=refunds)
    calibration, later = reference_split(ROWS, "D", "W", TRAIN_END, refunds=refunds)
    tx = lw.Transactions(make(frame_of(ROWS), tmp_path), refunds=refunds, **how)
    same_numbers(numbers_of(tx.rfm()), expected.customers)
    if way == "batches, spilled":  # they can be counted once
        return
    same_account(tx.audit, ROWS, expected)
    rfm, holdout = tx.split(TRAIN_END)
    same_numbers(numbers_of(rfm), calibration.customers)
    found = zip(holdout["frequency"].astype(float), holdout["spend"], strict=True)
    same_numbers(dict(zip(by_number(holdout["customer_id"]), found, strict=True)), later)
    orders = tx.orders()
    days = orders["date"].dt.date.map(dt.date.toordinal)
    found = {}
    for who, day, money in zip(by_number(orders["customer_id"]), days, orders["amount"], strict=True):
        found.setdefault(who, []).append((day, money))
    wanted = {who: bought for who, bought in expected.purchases.items() if bought}
    assert sorted(found) == sorted(wanted)
    for who, bought in wanted.items():
        # 1e-12: sums of a few amounts in floating point
        np.testing.assert_allclose(np.array(found[who]), np.array(bought, dtype=float), rtol=1e-12, atol=1e-9)
    worth = lw.historical_clv(tx, by="customer_id")
    found = zip(worth["orders"].astype(float), worth["revenue"], strict=True)
    same_numbers(
        dict(zip(by_number(worth.index), found, strict=True)),
        {who: (row[0] + 1, row[4]) for who, row in expected.customers.items()},
    )
    assert lw.cohort_table(tx)["purchases"].sum() == purchases_of(expected)


@EVERY_POLICY
@pytest.mark.parametrize("nights", [2, 9])
@pytest.mark.parametrize("order", ["by time", "as they come"])
def test_nights(refunds, nights, order, tmp_path):
    frame = frame_of(ROWS)
    if order == "by time":
        frame = frame.sort_values("date", kind="stable")
    state = None
    for piece in np.array_split(np.arange(len(frame)), nights):
        state = lw.RFMState(tmp_path, refunds=refunds)
        table = state.update(frame.iloc[piece])
    expected = reference(ROWS, "D", "W", refunds=refunds)
    same_numbers(numbers_of(table), expected.customers)
    same_account(table.audit, ROWS, expected)
    assert table.audit.to_dict() == lw.rfm_summary(frame, refunds=refunds).audit.to_dict()
    assert lw.RFMState(tmp_path, refunds=refunds).table().to_pandas().equals(table.to_pandas())


def test_equal_rows_once():
    expected = reference(distinct(ROWS), "D", "W")
    rfm = lw.rfm_summary(frame_of(ROWS), duplicates="drop")
    same_numbers(numbers_of(rfm), expected.customers)
    assert len(ROWS) - len(distinct(ROWS)) == rfm.audit.left_out["equal to an earlier row"] > 5


def test_the_order_of_rows_changes_no_digit():
    first = lw.rfm_summary(frame_of(ROWS))
    for seed in range(20):
        rows = [ROWS[i] for i in np.random.default_rng(seed).permutation(len(ROWS))]
        other = lw.rfm_summary(frame_of(rows))
        assert other.past_spend.tolist() == first.past_spend.tolist()
        assert other.monetary_value.tolist() == first.monetary_value.tolist()
        assert other.audit.to_dict() == first.audit.to_dict()


def test_the_command_line(tmp_path):
    out = tmp_path / "rfm.parquet"
    for refunds in POLICIES:
        arguments = [str(csv(frame_of(ROWS), tmp_path)), "--out", str(out), "--refunds", refunds]
        command = [sys.executable, "-c", "from lifeworth.cli import main; main()", "rfm", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        expected = reference(ROWS, "D", "W", refunds=refunds)
        table = pd.read_parquet(out)
        found = {int(row.customer_id): (row.frequency, row.monetary_value) for row in table.itertuples()}
        same_numbers(found, {who: (row[0], row[3]) for who, row in expected.customers.items()})


# ---- everything else that reads transactions ------------------------------------------------------------------------


HISTORICAL = [way for way, (_, how) in WAYS.items() if not how or how == {"pushdown": False}]


@pytest.mark.parametrize("way", HISTORICAL)
@EVERY_POLICY
def test_historical_values(way, refunds, tmp_path):
    make, _ = WAYS[way]
    expected = reference(ROWS, "D", "D", refunds=refunds)
    worth = lw.historical_clv(make(frame_of(ROWS), tmp_path), by="customer_id", refunds=refunds)
    found = zip(worth["orders"].astype(float), worth["revenue"], strict=True)
    same_numbers(
        dict(zip(by_number(worth.index), found, strict=True)),
        {who: (row[0] + 1, row[4]) for who, row in expected.customers.items()},
    )
    audit = lw.Audit.from_dict(worth.attrs["rows"])
    same_account(audit, ROWS, expected)
    assert audit.customers_left_out == expected.customers_left_out


@EVERY_POLICY
def test_every_formula_has_the_same_orders_and_money(refunds):
    expected = reference(ROWS, "D", "D", refunds=refunds)
    money = sum(row[4] for row in expected.customers.values())
    options = {
        "present_value": {"discount_rate": 0.1}, "todays_money": {"inflation": 0.02},
        "cost_to_revenue": {"cost_ratio": 0.5}, "retention": {"discount_rate": 0.1},
    }  # fmt: skip
    for method in (
        "revenue_per_customer", "aov_frequency_duration", "net_value", "present_value", "todays_money",
        "cost_to_revenue", "contribution_margin", "retention",
    ):  # fmt: skip
        table = lw.historical_clv(frame_of(ROWS), method, refunds=refunds, **options.get(method, {}))
        assert table["customers"].item() == len(expected.customers), method
        assert table["orders"].item() == purchases_of(expected), method
        np.testing.assert_allclose(table["revenue"].item(), money, rtol=1e-12)
    definitions = lw.clv_definitions(frame_of(ROWS), refunds=refunds)
    np.testing.assert_allclose(definitions.loc["revenue_per_customer", "clv"], money / len(expected.customers))


@EVERY_POLICY
def test_cohorts_and_views(refunds):
    expected = reference(ROWS, "D", "D", refunds=refunds)
    money = sum(row[4] for row in expected.customers.values())
    table = lw.cohort_table(frame_of(ROWS), refunds=refunds)
    assert table["purchases"].sum() == purchases_of(expected)
    np.testing.assert_allclose(table["revenue"].sum(), money, rtol=1e-12)
    first = {}
    for purchases in expected.purchases.values():
        month = dt.date.fromordinal(purchases[0][0]).replace(day=1)
        first[month] = first.get(month, 0) + 1
    newest = table[table["age"] == 0]
    assert dict(zip(newest["cohort"].dt.date, newest["customers"], strict=True)) == first
    views = five_views(frame_of(ROWS), refunds=refunds)
    assert views.health["new"].sum() == len(expected.customers)
    np.testing.assert_allclose(views.health["revenue"].sum(), money, rtol=1e-12)
    assert views.cohorts["customers"].sum() == len(expected.customers)


@EVERY_POLICY
def test_backtests_and_comparisons(refunds):
    calibration, later = reference_split(ROWS, "D", "W", TRAIN_END, TRAIN_END + dt.timedelta(days=42), refunds)
    bt = lw.backtest(frame_of(ROWS), [TRAIN_END], "6W", models=[], refunds=refunds, bootstrap=0)
    (cut,) = bt.cuts
    same_numbers(numbers_of(cut.rfm), calibration.customers)
    found = zip(cut.purchases, cut.value, strict=True)
    same_numbers(dict(zip(by_number(cut.rfm.customer_id), found, strict=True)), later)
    told = lw.compare_clv(
        frame_of(ROWS), TRAIN_END, "6W", method="map", baselines=["own_rate"], refunds=refunds, bootstrap=0
    ).customers  # fmt: skip
    found = zip(told["frequency"].astype(float), told["past_value"], told["actual_value"], strict=True)
    same_numbers(
        dict(zip(by_number(told["customer_id"]), found, strict=True)),
        {who: (row[0], row[4], later[who][1]) for who, row in calibration.customers.items()},
    )


FIT_BY_DAY = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 30.9, "a": 0.793, "b": 2.426}, time_unit="D")
FIT = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")


@pytest.mark.parametrize("way", HISTORICAL)
@EVERY_POLICY
def test_tracking(way, refunds, tmp_path):
    make, _ = WAYS[way]
    # Weeks are counted from the end of calibration: this one has whole weeks on both sides.
    data, start = frame_of(ROWS), dt.datetime(2024, 1, 2)
    end = start + dt.timedelta(days=7 * 17 - 1)
    calibration, later = reference_split(ROWS, "D", "W", end, refunds=refunds)
    rfm, _ = lw.train_test_split(make(data, tmp_path), train_end=end, refunds=refunds)
    tmp_path = tmp_path / "again"
    tmp_path.mkdir()
    tracking = lw.track_purchases(FIT, rfm, make(data, tmp_path), refunds=refunds, simulations=2)
    before = tracking["week_end"] <= end
    assert tracking.loc[before, "actual"].sum() == rfm.frequency.sum()
    assert rfm.frequency.sum() == sum(row[0] for row in calibration.customers.values())
    whole = reference(ROWS, "D", "W", refunds=refunds)
    last = period_of(end, "D") + 7 * int((~before).sum())
    edge = period_of(end, "D")
    counted = sum(edge < number <= last for who in later for number, _ in whole.purchases.get(who, []))
    assert tracking.loc[~before, "actual"].sum() == counted > 20


def test_tracking_by_policies_and_equal_rows():
    rows = distinct(ROWS)
    rfm, _ = lw.train_test_split(frame_of(ROWS), train_end="2024-04-29", duplicates="drop")
    once = lw.track_purchases(FIT, rfm, frame_of(rows), simulations=2)
    pd.testing.assert_frame_equal(lw.track_purchases(FIT, rfm, frame_of(ROWS), duplicates="drop", simulations=2), once)
    with pytest.raises(DataError, match="rows have a negative amount"):
        lw.track_purchases(FIT, rfm, frame_of(ROWS), refunds="error")
    with pytest.raises(UsageError, match="is not a policy"):
        lw.track_purchases(FIT, rfm, frame_of(ROWS), refunds="ignore")


def test_tracking_and_paths_without_money():
    """Refunds and rows without an amount are purchases where nothing is known of money, in all of them alike."""
    rfm = lw.rfm_summary(frame_of(ROWS), amount=None)
    tracking = lw.track_purchases(FIT, rfm, frame_of(ROWS).drop(columns="amount"), simulations=2)
    assert tracking["actual"].sum() == rfm.frequency.sum()
    paths = alive_paths(FIT, frame_of(ROWS), [13], amount=None)
    assert paths["purchase"].sum() == rfm.frequency[by_number(rfm.customer_id).index(13)] + 1 == 3


def test_ids_of_another_type_are_said():
    frame = frame_of(ROWS)
    rfm = lw.rfm_summary(text(frame, None))
    with pytest.raises(DataError, match=r"ids are text such as '1' in the table and whole numbers such as 1 in column"):
        lw.track_purchases(FIT, rfm, frame)
    with pytest.raises(DataError, match=r"'1' has bought nothing .* are whole numbers such as 1"):
        alive_paths(FIT, frame, ["1"])


@EVERY_POLICY
def test_paths(refunds):
    frame = frame_of(ROWS)
    expected = reference(ROWS, "D", "W", refunds=refunds)
    for chunk in np.array_split(sorted(expected.customers), 2):
        paths = alive_paths(FIT, frame, chunk.tolist(), refunds=refunds)
        bought = paths[paths["purchase"]].groupby("customer_id")["date"].agg(["size", "min"])
        rfm = lw.rfm_summary(frame, refunds=refunds)
        at = [by_number(rfm.customer_id).index(who) for who in chunk]
        assert bought["size"].tolist() == [len(expected.purchases[who]) for who in chunk]
        assert bought["min"].dt.date.map(dt.date.toordinal).tolist() == [expected.purchases[who][0][0] for who in chunk]
        last = paths.groupby("customer_id")["probability_alive"].last()
        np.testing.assert_allclose(last, FIT.probability_alive(rfm)[at], rtol=1e-12)


def test_what_was_netted_is_told():
    frame = pd.DataFrame(
        {"customer_id": [1, 1, 1, 2], "date": pd.to_datetime(["2024-01-02", "2024-01-09", "2024-01-20", "2024-01-20"]),
         "amount": [1000.0, 1920.14, -393.29, -7.0]}
    )  # fmt: skip
    rfm = lw.rfm_summary(frame)
    assert rfm.past_spend.tolist() == pytest.approx([2526.85], rel=1e-15)  # the last digit of a sum
    assert rfm.monetary_value.tolist() == pytest.approx([1526.85], rel=1e-15)
    assert (rfm.audit.refunds_netted, rfm.audit.refunds_unmatched) == (393.29, 7.0)
    assert "Refunds of 393.29 were taken off purchases. Refunds of 7.00 have no purchase" in str(rfm.audit)
    assert "Refunds of 393.29 were taken off purchases." in rfm._repr_html_()
    assert lw.Audit.from_dict(json.loads(json.dumps(rfm.audit.to_dict()))) == lw.Audit(
        **{**vars(rfm.audit), "examples": {}}
    )


def test_a_refund_after_the_end_is_not_known_yet():
    rows = [(1, dt.datetime(2024, 1, 2), 50.0), (1, dt.datetime(2024, 2, 1), -50.0), (2, dt.datetime(2024, 1, 2), 1.0)]
    rfm = lw.rfm_summary(frame_of(rows), observation_end="2024-01-31")
    assert rfm.past_spend.tolist() == [50.0, 1.0]
    assert lw.rfm_summary(frame_of(rows)).customer_id.tolist() == [2]


# ---- the simulator knows the truth ------------------------------------------------------------------------------


def test_holdout_spend_is_the_simulators_own():
    shop = lw.simulate_transactions(1_000, seed=7, refunds=0.3)
    edge = "2025-01-31"
    _, holdout = lw.train_test_split(shop.transactions, train_end=edge)
    truth = shop.holdout(edge).set_index("customer_id").loc[holdout["customer_id"]]
    np.testing.assert_allclose(holdout["spend"], truth["spend"], atol=1e-9)
    whole = lw.rfm_summary(shop.transactions)
    np.testing.assert_allclose(whole.past_spend.sum(), shop.transactions["amount"].sum(), rtol=1e-12)
    bt = lw.backtest(shop.transactions, [edge], "26W", bootstrap=0, baselines=[])
    judged = bt.cuts[0]
    wanted = shop.holdout(edge, pd.Timestamp(edge) + pd.Timedelta("182D")).set_index("customer_id")["spend"]
    np.testing.assert_allclose(judged.value, wanted.loc[judged.rfm.customer_id], atol=1e-9)


# ---- random logs ------------------------------------------------------------------------------------------------

LOGS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 40),
        st.sampled_from([0.0, 0.1, 0.2, 0.3, 5.0, 10.0, 15.0, 20.0, -0.1, -0.2, -0.3, -5.0, -10.0, -15.0, -25.0, None]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=200)
@given(LOGS, st.sampled_from(POLICIES), st.sampled_from(["D", "W"]), st.integers(0, 40))
def test_random_logs(log, refunds, period, edge):
    start = dt.datetime(2024, 1, 1)
    rows = [(who, start + dt.timedelta(days=days), money) for who, days, money in log]
    end = start + dt.timedelta(days=edge)
    try:
        expected = reference(rows, period, period, refunds=refunds)
        calibration, later = reference_split(rows, period, period, end, refunds=refunds)
    except UnclearError:
        return
    frame, how = frame_of(rows), {"period": period, "refunds": refunds}
    if not expected.customers:
        for count in (lw.rfm_summary, lw.historical_clv, lw.cohort_table):
            with pytest.raises(DataError):
                count(frame, **how)
        return
    rfm = lw.rfm_summary(frame, time_unit=period, **how)
    same_numbers(numbers_of(rfm), expected.customers)
    same_account(rfm.audit, rows, expected)
    worth = lw.historical_clv(frame, by="customer_id", **how)
    found = zip(worth["orders"].astype(float), worth["revenue"], strict=True)
    same_numbers(
        dict(zip(by_number(worth.index), found, strict=True)),
        {who: (row[0] + 1, row[4]) for who, row in expected.customers.items()},
    )
    same_account(lw.Audit.from_dict(worth.attrs["rows"]), rows, expected)
    cohorts = lw.cohort_table(frame, cohort="W", **how)
    assert cohorts["purchases"].sum() == purchases_of(expected)
    if calibration.customers and period_of(end, period) < expected.last:
        known, holdout = lw.train_test_split(frame, time_unit=period, train_end=end, **how)
        same_numbers(numbers_of(known), calibration.customers)
        found = zip(holdout["frequency"].astype(float), holdout["spend"], strict=True)
        same_numbers(dict(zip(by_number(holdout["customer_id"]), found, strict=True)), later)
        end = period_of(end, period)
        born = min(number for bought in calibration.purchases.values() for number, _ in bought)
        if period == "D" and (end - born + 1) % 7 == 0:  # no week of calibration is cut off
            tracking = lw.track_purchases(FIT_BY_DAY, known, frame, refunds=refunds, simulations=1)
            inside = tracking["week_end"] <= known.observation_end
            assert tracking.loc[inside, "actual"].sum() == known.frequency.sum()
