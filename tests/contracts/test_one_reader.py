"""One reader: everything that takes transactions takes the same options, and gives the same for `Transactions`.

Functions are found by their signatures, so that a new one is held to the same.
"""

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lifeworth as lw
from lifeworth.cli.inputs import Rows
from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate import alive_paths
from lifeworth.evaluate.appraisal import appraise
from lifeworth.evaluate.data_views import five_views
from lifeworth.jobs.job import SourceSection
from lifeworth.jobs.job_sections import RFMSection
from lifeworth.rfm import source as sources
from lifeworth.transactions import READING_OPTIONS, Reading
from lifeworth.transactions import columns as parsing

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Reading)}
FIT = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
# Options that a function does not have, and why.
DOCUMENTED = {
    "train_test_split": {"observation_end"},  # test_end
    "RFMState": {"observation_end", "duplicates"},  # an end per update; earlier rows are not compared with later ones
    "spark.train_test_split": {"observation_end"},
}


def functions():
    """All functions and classes of the package that take a table of transactions and the names of its columns."""
    for module in pkgutil.walk_packages(lw.__path__, "lifeworth."):
        if module.name.startswith(("lifeworth.kernels", "lifeworth.cli", "lifeworth.jobs")):
            continue
        for name, thing in vars(importlib.import_module(module.name)).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.name or not callable(thing):
                continue
            if not inspect.isfunction(thing) and not inspect.isfunction(getattr(thing, "__init__", None)):
                continue  # made in C, without a signature
            parameters = inspect.signature(thing).parameters
            if thing is not Reading and getattr(parameters.get("customer_id"), "default", None) == "customer_id":
                yield ("spark." if module.name.startswith("lifeworth.spark") else "") + name, thing


FUNCTIONS = dict(functions())


def test_the_functions_are_found():
    expected = {
        "Transactions", "rfm_summary", "train_test_split", "RFMState", "cohort_table", "historical_clv",
        "clv_definitions", "backtest", "compare_clv", "track_purchases", "alive_paths", "five_views", "appraise",
        "spark.rfm_summary", "spark.train_test_split",
    }  # fmt: skip
    assert expected <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_and_defaults_are_the_same_everywhere(name):
    thing = FUNCTIONS[name]
    parameters = inspect.signature(thing).parameters
    missing = set(READING_OPTIONS) - parameters.keys()
    assert missing == DOCUMENTED.get(name, set())
    found = {option: parameters[option].default for option in READING_OPTIONS if option in parameters}
    assert found == {option: DEFAULTS[option] for option in found}
    assert inspect.Parameter.VAR_KEYWORD not in {one.kind for one in parameters.values()}


def test_commands_and_jobs_have_the_same_options():
    command = {field.name: field.default for field in dataclasses.fields(Rows)}
    assert {name: command.get(name) for name in READING_OPTIONS} == DEFAULTS
    fields = {**SourceSection.model_fields, **RFMSection.model_fields}
    assert {name: fields[name].default for name in READING_OPTIONS} == DEFAULTS


OTHERWISE = {"spark.rfm_summary", "spark.train_test_split", "clv_definitions"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - OTHERWISE))
def test_a_name_of_another_system_is_answered(name):
    with pytest.raises(TypeError, match=r"datetime_col'\. datetime_col is date here"):
        FUNCTIONS[name](pd.DataFrame(), datetime_col="when")


# ---- the same results -----------------------------------------------------------------------------------------------


def shop(ids="numbers"):
    """A shop with 300 refunds, equal rows, missing values and rows after the end."""
    frame = lw.simulate_transactions(400, seed=5, start="2024-01-01", end="2024-12-31").transactions
    chance = np.random.default_rng(2)
    back = frame.iloc[chance.choice(len(frame), 300, replace=False)].copy()
    share = np.where(chance.random(300) < 0.5, 1.0, chance.random(300).round(2))
    back["amount"] = -(back["amount"] * share).round(2)
    back["date"] = back["date"] + pd.to_timedelta(chance.integers(0, 40, 300), unit="D")
    equal = frame.iloc[chance.choice(len(frame), 60, replace=False)]
    faulty = frame.iloc[:6].copy()
    faulty["date"] = faulty["date"].where(faulty.index >= 3)
    faulty["amount"] = faulty["amount"].where(faulty.index < 3)
    frame = pd.concat([frame, back, equal, faulty], ignore_index=True)
    frame = frame.iloc[chance.permutation(len(frame))].reset_index(drop=True)
    frame["channel"] = np.where(frame["customer_id"] % 3, "shop", "web")
    number = frame["customer_id"].astype("int64")
    made = {
        "numbers": number,
        "text": "c-" + number.astype("str") + "é",
        "codes": ("C" + number.astype("str").str.zfill(5)).astype("str"),
        "long": number.map(lambda one: f"customer with a long name, number {one:03}"),
        "sparse": number * 2_862_933_555_777,
        "categories": ("c" + number.astype("str")).astype("category"),
        "missing": number.where(number % 50 > 0).astype("Int64"),
        "uuid": number.map(lambda one: f"{one * 7919 % 10007:08x}-0000-4000-8000-{one:012x}"),
        "objects": number.map(lambda one: (one, "x")).astype(object),
    }
    frame["customer_id"] = made[ids]
    return frame.rename(columns={"customer_id": "who", "date": "when", "amount": "paid"})


def arrow(frame, folder):
    return pa.Table.from_pandas(frame, preserve_index=False)


def binary(frame, folder):
    table = arrow(frame, folder)
    return table.set_column(0, "who", table["who"].cast(pa.string()).cast(pa.binary()))


def views(frame, folder):
    table = arrow(frame, folder)
    return table.set_column(0, "who", table["who"].cast(pa.string()).cast(pa.string_view()))


def csv(frame, folder):
    frame.to_csv(folder / "shop.csv", index=False)
    return folder / "shop.csv"


def parquet(frame, folder):
    frame.to_parquet(folder / "shop.parquet")
    return str(folder / "shop.parquet")


def relation(frame, folder):
    return pytest.importorskip("duckdb").connect().from_df(frame)


def lazy(frame, folder):
    return pytest.importorskip("polars").from_pandas(frame).lazy()


def batches(frame, folder):
    table = arrow(frame, folder)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=97))


NAMES = {"customer_id": "who", "date": "when", "amount": "paid"}
END = "2024-10-31"
WAYS = {
    **{ids: (lambda frame, folder: frame, ids) for ids in
       ("numbers", "text", "codes", "long", "sparse", "categories", "missing", "uuid")},
    "arrow": (arrow, "text"), "binary": (binary, "text"), "views": (views, "long"), "csv": (csv, "codes"),
    "parquet": (parquet, "uuid"), "duckdb": (relation, "numbers"), "polars, lazy": (lazy, "text"),
    "batches": (batches, "text"),
}  # fmt: skip
OPTIONS = [{}, {"refunds": "drop", "duplicates": "drop", "observation_end": END}, {"period": "W", "time_unit": "D"}]


def same(one, other):
    if isinstance(one, lw.RFM):
        for field in dataclasses.fields(one):
            mine, theirs = getattr(one, field.name), getattr(other, field.name)
            if field.name == "customer_id":
                pd.testing.assert_index_equal(mine, theirs, exact=True)
            elif isinstance(mine, np.ndarray):
                np.testing.assert_array_equal(mine, theirs)
            elif field.name != "_source":
                assert mine == theirs
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert one.attrs == other.attrs
    elif isinstance(one, tuple):
        for mine, theirs in zip(one, other, strict=True):
            same(mine, theirs)
    else:
        assert one == other


def counted(make, options, tx):
    """What the cheap functions give, of a table that is made anew for each of them, or of `Transactions`."""
    given = (lambda: (tx, {})) if tx is not None else (lambda: (make(), options))

    def run(function, *before, **others):
        data, reading = given()
        return function(*before, data, **others, **reading)

    # A split ends at the end of observation, which is its test_end.
    whole = {name: value for name, value in options.items() if name != "observation_end"}
    yield "rfm", run(lw.rfm_summary)
    test_end = options.get("observation_end")
    if tx is None:
        yield "split", lw.train_test_split(make(), **whole, train_end="2024-07-31", test_end=test_end)
    else:
        yield "split", lw.train_test_split(tx, "2024-07-31")
    yield "cohorts", run(lw.cohort_table)
    yield "historical", run(lw.historical_clv, by="who")
    yield "by channel", run(lw.historical_clv, by="channel", start="2024-03-01", end="2024-09-30")
    if options.get("period", "D") == "D":
        yield "definitions", run(lw.clv_definitions, margin=0.4)
    found = run(five_views)
    yield "views", (found.customers, found.periods, found.cohort, found.cohorts, found.health)
    by_day = {**options, "period": "D", "time_unit": "W"}
    rfm = lw.rfm_summary(make(), **{**by_day, "observation_end": "2024-08-18"})
    yield "tracking", run(lw.track_purchases, FIT, rfm, simulations=2)
    few = rfm.customer_id[rfm.frequency > 2][:5].tolist()
    yield "paths", run(lambda data, **reading: alive_paths(FIT, data, few, **reading))


@pytest.mark.parametrize("options", OPTIONS, ids=["as they are", "dropped", "by week"])
@pytest.mark.parametrize("way", WAYS)
def test_transactions_give_what_the_table_gives(way, options, tmp_path):
    make, ids = WAYS[way]
    frame = shop(ids)
    options = {**NAMES, **options}
    tx = lw.Transactions(make(frame, tmp_path), **options)
    mine = dict(counted(lambda: make(frame, tmp_path), options, tx))
    theirs = dict(counted(lambda: make(frame, tmp_path), options, None))
    for name, result in mine.items():
        if name == "cohorts":
            # 1e-12: a sum over customers, in the order of their ids, or of the hashes of ids that are used in place
            np.testing.assert_allclose(result["revenue"], theirs[name]["revenue"], rtol=1e-12, atol=1e-9)
            result, theirs[name] = (one.drop(columns="revenue") for one in (result, theirs[name]))
        same(result, theirs[name])
    same(tx.rfm(), theirs["rfm"])
    same(tx.split("2024-07-31"), theirs["split"])
    assert tx.audit == theirs["rfm"].audit


@pytest.mark.parametrize("options", OPTIONS[:2], ids=["as they are", "dropped"])
def test_evaluations_of_transactions_are_those_of_the_table(options):
    frame, options = shop(), {**NAMES, **options}
    tx = lw.Transactions(frame, **options)
    how = {"method": "map", "bootstrap": 0, "baselines": ["own_rate"]}
    mine, theirs = (
        lw.backtest(data, 2, "6W", futures=0, **how, **reading) for data, reading in ((tx, {}), (frame, options))
    )
    same(mine.scores, theirs.scores)
    for one, other in zip(mine.cuts, theirs.cuts, strict=True):
        same(one.rfm, other.rfm)
        np.testing.assert_array_equal(one.value, other.value)
    mine, theirs = (
        lw.compare_clv(data, "2024-07-31", **how, **reading) for data, reading in ((tx, {}), (frame, options))
    )
    same(mine.customers, theirs.customers)
    same(mine.earned, theirs.earned)


@pytest.mark.parametrize("options", [{}, {"refunds": "drop"}, {"period": "W"}, {"observation_end": END}])
def test_orders_are_the_purchases_of_the_rfm_table(options):
    tx = lw.Transactions(shop(), **NAMES, **options)
    rfm, orders = tx.rfm(), tx.orders()
    assert list(orders.columns) == ["customer_id", "date", "amount"]
    by = orders.groupby("customer_id")
    assert by.size().index.tolist() == rfm.customer_id.tolist()
    np.testing.assert_array_equal(by.size() - 1, rfm.frequency)
    np.testing.assert_allclose(by["amount"].sum(), rfm.past_spend, rtol=1e-12)  # sums of a few amounts
    assert orders["date"].max() <= rfm.observation_end
    without = lw.Transactions(shop(), **{**NAMES, "amount": None}).orders()
    assert list(without.columns) == ["customer_id", "date"]


def test_a_state_takes_transactions(tmp_path):
    frame = shop("text")
    tx = lw.Transactions(frame, **NAMES)
    state = lw.RFMState(tmp_path / "state", **NAMES)
    same(state.update(tx).to_pandas(), lw.rfm_summary(frame, **NAMES).to_pandas())
    assert state.table().audit.to_dict() == tx.audit.to_dict()
    other = lw.RFMState(tmp_path / "other", **NAMES, refunds="drop")
    with pytest.raises(UsageError, match="refunds='net'"):
        other.update(tx)


def test_nothing_after_the_end_of_observation_is_tracked():
    frame = shop()
    rfm = lw.rfm_summary(frame, **NAMES, observation_end="2024-08-18")
    found = lw.track_purchases(FIT, rfm, frame, **NAMES, observation_end=END, simulations=2)
    assert found["week_end"].max() <= pd.Timestamp(END)
    early = frame[frame["when"] < "2024-11-01"]
    same(found, lw.track_purchases(FIT, rfm, early, **NAMES, observation_end=END, simulations=2))


# ---- parsed once ----------------------------------------------------------------------------------------------------


@pytest.fixture
def parses(monkeypatch):
    """Numbers of times that columns are parsed, by function and column."""
    seen = Counter()

    def counting(function):
        def counted(pieces, name, *others, **options):
            seen[function.__name__, name] += 1
            return function(pieces, name, *others, **options)

        return counted

    for function in (parsing.read_times, parsing.read_amounts, parsing.read_ids):
        wrapped = counting(function)
        for module in [one for name, one in sys.modules.items() if name.startswith("lifeworth.")]:
            if vars(module).get(function.__name__) is function:
                monkeypatch.setattr(module, function.__name__, wrapped)
    return seen


ONCE = {("read_ids", "who"): 1, ("read_times", "when"): 1, ("read_amounts", "paid"): 1}


@pytest.mark.parametrize("way", ["text", "csv", "polars, lazy", "batches"])
def test_a_backtest_and_a_comparison_parse_rows_once(way, parses, tmp_path):
    make, ids = WAYS[way]
    how = {"method": "map", "bootstrap": 0, "baselines": ["own_rate"], **NAMES}
    lw.backtest(make(shop(ids), tmp_path), 3, "6W", futures=0, **how)
    assert parses == ONCE
    parses.clear()
    lw.compare_clv(make(shop(ids), tmp_path), "2024-07-31", **how)
    assert parses == ONCE
    parses.clear()
    lw.clv_definitions(make(shop(ids), tmp_path), **NAMES)
    assert parses == ONCE


def test_an_appraisal_parses_rows_once(parses, tmp_path):
    appraise(csv(shop("text"), tmp_path), "6W", 2, **NAMES, method="map", draws=50)
    assert parses == ONCE


def test_a_report_of_the_command_line_parses_rows_once(parses, tmp_path, monkeypatch):
    from lifeworth.cli import main

    frame = lw.load_cdnow(sample=True)
    frame["customer_id"] = "c-" + frame["customer_id"].astype("str") + "é"
    frame.columns = ["who", "when", "paid"]
    path, out = csv(frame, tmp_path), tmp_path / "report.html"
    names = [f"--{option.replace('_', '-')}={name}" for option, name in NAMES.items()]
    arguments = ["report", str(path), "--out", str(out), "--horizon=6W", "--cutoffs=2", "--draws=50", *names]
    monkeypatch.setattr(sys, "argv", ["lifeworth", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert out.exists()
    assert parses == ONCE


def test_transactions_are_parsed_once_for_all(parses, tmp_path):
    tx = lw.Transactions(csv(shop("text"), tmp_path), **NAMES)
    assert parses == ONCE
    rfm = tx.rfm("2024-08-18")
    tx.split("2024-07-31"), tx.orders(), tx.audit, repr(tx), tx._repr_html_()
    lw.cohort_table(tx), lw.historical_clv(tx, by="channel"), lw.clv_definitions(tx), five_views(tx)
    lw.track_purchases(FIT, rfm, tx, simulations=2), alive_paths(FIT, tx, rfm.customer_id[:2])
    lw.backtest(tx, 2, "6W", method="map", bootstrap=0, futures=0, baselines=["own_rate"])
    lw.compare_clv(tx, "2024-07-31", method="map", bootstrap=0, baselines=["own_rate"])
    assert parses == ONCE


# ---- what contradicts -----------------------------------------------------------------------------------------------


def test_options_beside_transactions():
    tx = lw.Transactions(shop(), **NAMES, observation_end=END)
    same(lw.rfm_summary(tx, refunds="net", period="D"), tx.rfm())
    for call in (lw.rfm_summary, lw.historical_clv, lw.backtest, lw.clv_definitions):
        with pytest.raises(UsageError, match=r"read with refunds='net', which refunds='drop' contradicts"):
            call(tx, refunds="drop")
    with pytest.raises(UsageError, match=r"customer_id='who', period='D', which customer_id='id', period='W'"):
        lw.cohort_table(tx, customer_id="id", period="W")
    with pytest.raises(UsageError, match=r"train_end='2024-12-01' is after the end of observation, '2024-10-31'"):
        lw.train_test_split(tx, "2024-12-01")
    for late in (
        lambda: tx.rfm("2024-11-01"),
        lambda: lw.rfm_summary(tx, "2024-11-01"),
        lambda: tx.split("2024-06-30", "2024-12-31"),
        lambda: lw.historical_clv(tx, end="2024-12-31"),
        lambda: lw.compare_clv(tx, "2024-06-30", observation_end="2024-12-31"),
    ):
        with pytest.raises(UsageError, match=r"is after the end of observation, '2024-10-31'"):
            late()
    with pytest.raises(UsageError, match="are Transactions already"):
        lw.Transactions(tx)
    with pytest.raises(UsageError, match="name the column that has them"):
        lw.compare_clv(lw.Transactions(shop(), **{**NAMES, "amount": None}), "2024-06-30")


def test_dates_by_position():
    frame = shop()
    tx = lw.Transactions(frame, **NAMES)
    train_end, test_end = "2024-06-30", "2024-09-30"
    expected = lw.train_test_split(frame, **NAMES, train_end=train_end, test_end=test_end)
    for found in (
        lw.train_test_split(tx, train_end, test_end),
        lw.train_test_split(tx, train_end, test_end=test_end),
        lw.train_test_split(tx, train_end=train_end, test_end=test_end),
        tx.split(train_end, test_end),
        lw.train_test_split(frame, "who", "when", "paid", train_end=train_end, test_end=test_end),
    ):
        same(found, expected)
    same(lw.rfm_summary(tx, train_end), lw.rfm_summary(frame, **NAMES, observation_end=train_end))
    same(lw.cohort_table(tx, "W"), lw.cohort_table(frame, "who", "when", "paid", "W"))
    with pytest.raises(TypeError, match="takes 3 positional arguments but 4 were given"):
        lw.train_test_split(tx, "a", "b", "c")
    with pytest.raises(TypeError, match="multiple values for argument 'train_end'"):
        lw.train_test_split(tx, train_end, train_end=train_end)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'train_end'"):
        lw.train_test_split(tx)


# ---- in memory, and not ---------------------------------------------------------------------------------------------


def test_a_table_may_change_afterwards():
    frame = shop()
    expected = lw.rfm_summary(frame, **NAMES)
    tx = lw.Transactions(frame, **NAMES)
    frame["paid"] = 1.0
    frame.loc[:, "who"] = 1
    same(tx.rfm(), expected)
    assert lw.historical_clv(tx, by="channel").shape[0] == 2


def test_transactions_in_another_process():
    tx = lw.Transactions(shop("text"), **NAMES)
    other = pickle.loads(pickle.dumps(tx))
    same(other.rfm(), tx.rfm())
    assert repr(other) == repr(tx)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(sources, "_FEWEST_ROWS", 50)
    monkeypatch.setattr(sources, "_GROWTH", 1e9)


@pytest.mark.parametrize("way", ["csv", "parquet"])
def test_files_that_do_not_fit_are_streamed(way, tmp_path, small_parts, parses):
    make, ids = WAYS[way]
    frame = shop(ids)
    tx = lw.Transactions(make(frame, tmp_path), **NAMES, memory_limit=1)
    assert not tx.is_read
    assert "not in memory" in repr(tx) and "not in memory" in tx._repr_html_()
    same(tx.rfm().to_pandas(), lw.rfm_summary(frame, **NAMES).to_pandas())
    same(tx.split("2024-06-30")[1], lw.train_test_split(frame, **NAMES, train_end="2024-06-30")[1])
    assert len(tx) == len(frame)
    assert not tx.is_read
    assert ("read_ids", "who") not in parses or parses["read_ids", "who"] > 3  # in parts
    # What looks at rows side by side reads them into memory.
    assert lw.historical_clv(tx)["customers"].item() == len(tx.rfm())
    assert tx.is_read


def test_relations_that_duckdb_sorts_are_not_read(tmp_path):
    frame = shop()
    tx = lw.Transactions(relation(frame, tmp_path), **NAMES, pushdown=True)
    assert not tx.is_read
    for _ in range(2):
        same(tx.rfm().to_pandas(), lw.rfm_summary(frame, **NAMES).to_pandas())
    assert len(tx.orders()) == (tx.rfm().frequency + 1).sum()


def test_batches_that_do_not_fit_are_counted_once(tmp_path, small_parts):
    frame = shop("text")
    tx = lw.Transactions(batches(frame, tmp_path), **NAMES, memory_limit=1)
    same(tx.rfm().to_pandas(), lw.rfm_summary(frame, **NAMES).to_pandas())
    with pytest.raises(UsageError, match="counted already, which is possible once"):
        tx.rfm()


def test_files_that_change_are_noticed(tmp_path):
    path = csv(shop(), tmp_path)
    tx = lw.Transactions(path, **NAMES)
    csv(shop().head(500), tmp_path)
    with pytest.raises(DataError, match="it has changed, so read it again"):
        lw.historical_clv(tx, by="channel")


# ---- how they show themselves ---------------------------------------------------------------------------------------


def test_how_transactions_show_themselves():
    tx = lw.Transactions(
        lw.load_cdnow(sample=True).assign(customer_id=lambda one: "<b>" + one["customer_id"].astype(str))
    )
    assert repr(tx) == "Transactions(6,919 rows, 2,357 customers, 1997-01-01 to 1998-06-30)"
    assert len(tx) == 6919
    card = tx._repr_html_()
    assert "Transactions" in card and "The account of rows" in card and "refunds" in card
    assert "<b>1" not in card and "&lt;b&gt;1" in card
    assert "to 1997-09-30" in repr(lw.Transactions(lw.load_cdnow(sample=True), observation_end="1997-09-30"))


def test_problems_are_told_when_transactions_are_made():
    frame = shop()
    with pytest.raises(DataError, match="no column 'customer_id'"):
        lw.Transactions(frame)
    with pytest.raises(DataError, match="there is nothing to count"):
        lw.Transactions(frame.head(0), **NAMES)
    with pytest.raises(UsageError, match="is not a policy"):
        lw.Transactions(frame, **NAMES, refunds="ignore")
    with pytest.raises(UsageError, match="threads=0 must be"):
        lw.Transactions(frame, **NAMES, threads=0)
