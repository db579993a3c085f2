"""Spark: a standalone cluster on this machine, a master and two workers; its numbers are those of one process."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lifeworth as lw
from java import java_home
from lifeworth.errors import DataError, FitError, UsageError

pyspark = pytest.importorskip("pyspark")
from lifeworth import spark as on_spark  # noqa: E402
from lifeworth.spark.tables import fetched  # noqa: E402

PATIENCE = 120.0


def wait_until(condition, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class Cluster:
    """A master and two workers of one core each, in processes of their own."""

    def __init__(self, folder: Path, home: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "JAVA_HOME": home,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_HOME": str(Path(pyspark.__file__).parent),
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"spark://127.0.0.1:{self.port}"
        self.start("master.Master", "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0")
        wait_until(self.answers, "the master does not answer")
        self.workers = [self.worker() for _ in range(2)]

    def answers(self) -> bool:
        with socket.socket() as knock:
            return knock.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self, role: str, *arguments: str) -> subprocess.Popen[bytes]:
        name = f"{role.partition('.')[0]}-{len(self.processes)}"
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [f"{self.environment['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.deploy.{role}", *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """One worker more."""
        where = self.folder / f"work-{len(self.processes)}"
        return self.start(
            "worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g",
            "--webui-port", "0", "--work-dir", str(where), self.url,
        )  # fmt: skip

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Take a worker away without a word, its executor with it."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    home = java_home()
    if home is None:
        pytest.skip("Spark needs Java 17 or newer")
    running = Cluster(tmp_path_factory.mktemp("spark"), home)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def session(cluster):
    from pyspark.sql import SparkSession

    os.environ |= {name: cluster.environment[name] for name in ("JAVA_HOME", "SPARK_LOCAL_IP", "PYSPARK_PYTHON")}
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "512m",
        "spark.sql.shuffle.partitions": "6",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.sql.session.timeZone": "Europe/Berlin",
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(filter(None, [str(Path(lw.__file__).parents[1])])),
        "spark.sql.warehouse.dir": str(cluster.folder / "warehouse"),
        "spark.local.dir": str(cluster.folder / "local"),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySpark's own, of pandas 3
        builder = SparkSession.builder.master(cluster.url).appName("lifeworth tests")
        for key, value in settings.items():
            builder = builder.config(key, value)
        running = builder.getOrCreate()
    running.sparkContext.setLogLevel("ERROR")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def as_spark(session, cluster):
    """A table as a Spark DataFrame, by way of a Parquet file."""

    def put(table: pd.DataFrame | pa.Table, name: str):
        import pyarrow.parquet as pq

        table = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
        pq.write_table(
            table, cluster.folder / f"{name}.parquet", coerce_timestamps="us", allow_truncated_timestamps=True
        )
        return session.read.parquet(str(cluster.folder / f"{name}.parquet"))

    return put


def local(frame, by="customer_id") -> pd.DataFrame:
    return fetched(frame).to_pandas().sort_values(by, ignore_index=True)


def same_table(found: lw.RFM, wanted: lw.RFM) -> None:
    pd.testing.assert_frame_equal(found.to_pandas(), wanted.to_pandas(), check_exact=True)
    if wanted.past_spend is not None:
        np.testing.assert_array_equal(found.past_spend, wanted.past_spend)
    assert (found.time_unit, found.period, found.observation_end, found.currency) == (
        wanted.time_unit,
        wanted.period,
        wanted.observation_end,
        wanted.currency,
    )


@pytest.fixture(scope="module")
def shop(as_spark, cdnow_sample):
    return as_spark(cdnow_sample, "shop").repartition(4)


def test_from_transactions_to_scores_as_in_one_process(shop, cdnow_sample):
    rfm = on_spark.rfm_summary(shop, observation_end="1997-09-30", currency="USD")
    rfm.frame.cache()
    wanted = lw.rfm_summary(cdnow_sample, observation_end="1997-09-30", currency="USD")
    same_table(rfm.to_local(), wanted)
    clv, expected = on_spark.fit_clv(rfm), lw.fit_clv(wanted)
    for found, by_hand in ((clv.purchases, expected.purchases), (clv.spend, expected.spend)):
        assert found.origin.customers == by_hand.origin.customers
        for name in by_hand.draws:
            np.testing.assert_array_equal(found.draws[name], by_hand.draws[name])
    terms = {"discount_rate": 0.1, "margin": 0.4, "seed": 3}
    scores = on_spark.predict(clv, rfm, "12M", **terms)
    pd.testing.assert_frame_equal(local(scores), expected.predict(wanted, "12M", **terms), check_exact=True)
    few = on_spark.predict(clv, rfm, "39W", uncertainty=None)
    pd.testing.assert_frame_equal(local(few), expected.predict(wanted, "39W", uncertainty=None), check_exact=True)
    rfm.frame.unpersist()


def test_units_and_every_term_are_those_of_one_process(shop, cdnow_sample):
    rfm = on_spark.rfm_summary(shop, observation_end="1997-09-30", currency="USD")
    rfm.frame.cache()
    wanted = lw.rfm_summary(cdnow_sample, observation_end="1997-09-30", currency="USD")
    spend = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
    parameters = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    clv = lw.CLV(lw.BetaGeo().from_parameters(parameters, "W"), spend)
    terms = {"cost_per_order": 1.0, "cost_per_active_year": 2.0, "acquisition_cost": 9.0, "uncertainty": None}
    scores = local(on_spark.predict(clv, rfm, "12M", **terms))
    pd.testing.assert_frame_equal(scores, clv.predict(wanted, "12M", **terms), check_exact=True)
    for units, says in (
        (("W", "EUR"), "money in EUR and this RFM table in USD"),
        (("D", "USD"), 'time in "D" and this RFM table in "W"'),
        (("W", "USD", "M"), 'counted by "M"'),
    ):
        with pytest.raises(UsageError, match=says):
            on_spark.predict(lw.CLV(lw.BetaGeo().from_parameters(parameters, *units)), rfm, "12M")
    for name, wrong in (("margin", [0.3]), ("acquisition_cost", 1e308), ("cost_per_active_year", -1.0)):
        with pytest.raises(UsageError, match=name):
            on_spark.predict(clv, rfm, "12M", **{name: wrong})
    with pytest.raises(UsageError, match="a DataFrame alone has no time unit"):
        on_spark.predict(clv, rfm.frame, "12M")
    rfm.frame.unpersist()


def test_a_backtest_as_in_one_process(shop, cdnow_sample):
    calibration, holdout = on_spark.train_test_split(shop, train_end="1997-09-30")
    wanted, after = lw.train_test_split(cdnow_sample, train_end="1997-09-30")
    same_table(calibration.to_local(), wanted)
    pd.testing.assert_frame_equal(local(holdout.frame), after, check_exact=True)
    assert {"length": holdout.length, "start": holdout.start, "end": holdout.end} == after.attrs
    found = on_spark.backtest(shop, "1997-09-30", method="map")
    clv = lw.fit_clv(wanted, method="map")
    predicted = clv.predict(wanted, holdout.length, uncertainty=None)
    from lifeworth.evaluate.holdout import score

    purchases = score(predicted["expected_purchases"].to_numpy(), after["frequency"].to_numpy())
    np.testing.assert_equal(found["purchases"], purchases)
    np.testing.assert_equal(found["spend"], score(predicted["clv"].to_numpy(), after["spend"].to_numpy()))


@pytest.mark.parametrize("kind", ["text", "zoned", "money"])
def test_every_type_of_column(as_spark, kind):
    chance = np.random.default_rng(5)
    n = 400
    ids = chance.integers(0, 60, n)
    when = np.datetime64("2023-03-01T00:30") + chance.integers(0, 700 * 24 * 60, n).astype("timedelta64[m]")
    amount = chance.integers(-300, 3000, n) / 100
    missing = {
        "customer_id": chance.random(n) < 0.05,
        "date": chance.random(n) < 0.05,
        "amount": chance.random(n) < 0.05,
    }
    columns = {
        "text": {
            "customer_id": pa.array([f"kundé {i}" if i else " " for i in ids], mask=missing["customer_id"]),
            "date": pa.array(when.astype("datetime64[D]"), mask=missing["date"]),
            "amount": pa.array(np.where(ids == 3, np.nan, amount), mask=missing["amount"]),
        },
        "zoned": {
            "customer_id": pa.array(ids.astype(np.int32), mask=missing["customer_id"]),
            "date": pa.array(when.astype("datetime64[us]"), pa.timestamp("us", "Europe/Berlin"), mask=missing["date"]),
            "amount": pa.array(amount.astype(np.float32), mask=missing["amount"]),
        },
        "money": {
            "customer_id": pa.array(ids, mask=missing["customer_id"]),
            "date": pa.array(when.astype("datetime64[us]"), mask=missing["date"]),
            "amount": pa.array(amount, mask=missing["amount"]).cast(pa.decimal128(12, 2), safe=False),
        },
    }[kind]
    table = pa.table(columns)
    for settings in ({}, {"refunds": "drop", "period": "W", "duplicates": "drop"}):
        found = on_spark.rfm_summary(as_spark(table, kind), **settings)
        wanted = lw.rfm_summary(table, **settings)
        if kind == "zoned":  # Spark has no smaller whole numbers than these in an RFM table
            wanted = lw.rfm_summary(table.set_column(0, "customer_id", table.column(0).cast(pa.int64())), **settings)
        same_table(found.to_local(), wanted)


def as_written(kind):
    """Dates and amounts as shops write them, and how they are read."""
    chance = np.random.default_rng(8)
    n = 500
    when = np.datetime64("2023-03-01T00:30") + chance.integers(0, 500 * 24 * 60, n).astype("timedelta64[m]")
    days, amount = pd.Series(when), chance.integers(-300, 300_000, n) / 100
    german = [f"{value:,.2f} €".translate(str.maketrans(",.", ".,")) for value in amount]
    new_york = days.dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    columns, how = {
        "day first": ((days.dt.strftime("%d/%m/%Y %H:%M"), german), {"date_format": "%d/%m/%Y %H:%M", "decimal": ","}),
        "clear": ((days.dt.strftime("%Y/%m/%d"), german), {"decimal": ","}),
        "numbers": ((days.dt.strftime("%Y%m%d").astype(int), [f"{value:.2f}" for value in amount]), {}),
        "offsets": ((new_york.dt.strftime("%Y-%m-%dT%H:%M:%S%z"), amount), {"time_zone": "America/New_York"}),
        "one zone": (((days.dt.strftime("%Y-%m-%d %H:%M:%S") + "Z"), amount), {}),
        "moments": ((pa.array(when.astype("datetime64[us]"), pa.timestamp("us", "UTC")), german), {
            "time_zone": "Asia/Tokyo", "decimal": ","}),
        "by the session": ((pa.array(when.astype("datetime64[us]"), pa.timestamp("us", "Europe/Berlin")), german), {
            "decimal": ","}),
        "of the clock": ((pa.array(when.astype("datetime64[us]")), german), {"decimal": ","}),
    }[kind]  # fmt: skip
    dates, amounts = columns
    if isinstance(dates, pd.Series) and dates.dtype == "str":
        dates = dates.where(chance.random(n) > 0.006, "soon").mask(chance.random(n) < 0.03)
    ids = chance.integers(0, 70, n)
    table = pa.table({
        "customer_id": pa.array(ids, mask=ids == 69),
        "date": dates if isinstance(dates, pa.Array) else pa.array(dates, from_pandas=True),
        "amount": pa.array(amounts, mask=chance.random(n) < 0.03),
    })  # fmt: skip
    return table, how


@pytest.mark.parametrize(
    "kind", ["day first", "clear", "numbers", "offsets", "one zone", "moments", "by the session", "of the clock"]
)
def test_what_is_written_out_is_read_as_in_one_process(as_spark, kind):
    table, how = as_written(kind)
    many = as_spark(table, "written").repartition(3)
    for more in ({}, {"period": "h", "time_unit": "D", "observation_end": "2024-05-02"}):
        found = on_spark.rfm_summary(many, **how, **more)
        same_table(found.to_local(), lw.rfm_summary(table, **how, **more))
    if kind in ("offsets", "moments", "by the session", "one zone"):
        end = pd.Timestamp("2024-03-10 20:00", tz="UTC")  # another day in Tokyo
        found = on_spark.rfm_summary(many, **how, observation_end=end)
        same_table(found.to_local(), lw.rfm_summary(table, **how, observation_end=end))
    calibration, holdout = on_spark.train_test_split(many, train_end="2023-11-30", **how)
    wanted, after = lw.train_test_split(table, train_end="2023-11-30", **how)
    same_table(calibration.to_local(), wanted)
    pd.testing.assert_frame_equal(local(holdout.frame), after, check_exact=True)


@pytest.mark.parametrize(
    ("changed", "how", "said"),
    [
        ({"date": "31/01/2024"}, {}, 'is not a column of dates: .* date_format="%d/%m/%Y"'),
        ({"date": "2024-01-31"}, {"time_zone": "Europe/Berlin"}, "times without a time zone"),
        ({"date": "2024-01-31"}, {"time_zone": "Atlantis"}, "not the name of a time zone"),
        ({"amount": "1.234,56"}, {}, "is not a column of amounts: 10 of 10 values are not numbers"),
        ({"amount": "12,50 €"}, {"decimal": ";"}, "decimal=';' must be"),
        ({"amount": ["12,50 €", "12,50 $"] * 5}, {"decimal": ","}, r"mixes currencies \(EUR, USD\)"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_as_in_one_process(as_spark, changed, how, said):
    rows = pd.DataFrame({"customer_id": range(10), "date": "2024-01-31T10:00:00Z", "amount": "5.00"})
    rows = rows.assign(**changed)
    with pytest.raises((DataError, UsageError), match=said) as here:
        lw.rfm_summary(rows, **how)
    with pytest.raises(type(here.value)) as there:
        on_spark.rfm_summary(as_spark(rows, "unread"), **how)
    assert str(there.value) == str(here.value)


def test_only_rows_that_can_be_used_end_the_observation(as_spark):
    """Not those of nobody, however blank is written, nor those of a year that is no more in the calendar."""
    names = ["a", "b", "a", "", " ", "\t", "\u00a0 ", "\u3000\n", "b"]
    days = [*range(19_723, 19_731), 3_663_426]  # the last in the year 12000
    rows = pa.table({"customer_id": names, "date": pa.array(days, pa.int32()).cast(pa.date32()), "amount": [1.0] * 9})
    wanted = lw.rfm_summary(rows)
    assert str(wanted.observation_end.date()) == "2024-01-03"
    same_table(on_spark.rfm_summary(as_spark(rows, "blank")).to_local(), wanted)


def test_purchases_alone(shop, cdnow_sample):
    rfm = on_spark.rfm_summary(shop, amount=None, period="W", observation_end="1997-06-30")
    wanted = lw.rfm_summary(cdnow_sample, amount=None, period="W", observation_end="1997-06-30")
    same_table(rfm.to_local(), wanted)
    clv = on_spark.fit_clv(rfm, lw.ModifiedBetaGeo(), method="map")
    assert clv.spend is None
    expected = lw.fit_clv(wanted, lw.ModifiedBetaGeo(), method="map").predict(wanted, "26W", uncertainty="mean")
    scores = on_spark.predict(clv, rfm, "26W", uncertainty="mean")
    pd.testing.assert_frame_equal(local(scores), expected, check_exact=True)


def hostile(rows):
    """Transactions with much that an audit has to say something of."""
    rows = rows.reset_index(drop=True)
    n = len(rows)
    ids = ("c" + rows["customer_id"].astype(str)).astype(object)
    ids[[3, 500]] = "guest"
    ids[[4, 501]] = ["4711", "004711.0"]
    ids[[10, 11, 12]] = None
    ids[[13]] = "  "
    dates = pd.to_datetime(rows["date"]).astype("datetime64[us]").copy()
    dates[[20]] = pd.Timestamp("1970-01-01")
    dates[[30]] = pd.NaT
    amount = rows["amount"].astype(float).copy()
    amount[[40, 41]] = [np.nan, np.inf]
    amount[[50]] = -3.0
    status, currency = np.full(n, "paid", dtype=object), np.full(n, "EUR", dtype=object)
    status[n - 5], currency[n - 9] = "refunded", "CHF"
    return pd.DataFrame({
        "customer_id": ids, "date": dates, "amount": amount, "Financial Status": status, "order_currency": currency,
    })  # fmt: skip


def test_the_account_is_that_of_one_process(as_spark, cdnow_sample):
    rows = hostile(cdnow_sample)
    many = as_spark(rows, "hostile").repartition(4)
    for how in ({}, {"observation_end": "1998-01-31", "refunds": "drop", "duplicates": "drop"}):
        found, wanted = on_spark.rfm_summary(many, **how), lw.rfm_summary(rows, **how).audit
        assert len(wanted.notes) == 5
        assert found.audit.to_dict() == wanted.to_dict()
        assert found.to_local().audit.to_dict() == wanted.to_dict()
        assert found.audit.examples["ids to look at"] == wanted.examples["ids to look at"] == ["guest"]
    calibration, _ = on_spark.train_test_split(many, train_end="1997-09-30")
    wanted, _ = lw.train_test_split(rows, train_end="1997-09-30")
    assert calibration.audit.to_dict() == wanted.audit.to_dict()
    assert "in the holdout" in wanted.audit.left_out
    twice = pd.concat([rows.iloc[::7]] * 2)[["customer_id", "date", "amount"]].dropna()
    twice = twice[(twice["amount"] < 1e9) & (twice["customer_id"] != "guest")]
    twice.loc[twice.index[5], "date"] = pd.Timestamp("2204-05-01")
    found, wanted = on_spark.rfm_summary(as_spark(twice, "twice")), lw.rfm_summary(twice)
    assert found.audit.to_dict() == wanted.audit.to_dict()
    assert "Every row is there twice" in str(wanted.audit)
    assert "Observation ends with the last date, 2204-05-01" in str(wanted.audit)
    assert on_spark.rfm_summary(as_spark(cdnow_sample, "clean")).audit == lw.rfm_summary(cdnow_sample).audit


def test_what_cannot_be_is_said_before_anything_is_sent(shop, as_spark):
    with pytest.raises(DataError, match=r"has no column 'kunde'; it has: customer_id, date, amount"):
        on_spark.rfm_summary(shop, customer_id="kunde")
    with pytest.raises(UsageError, match="Column 'date' is of the type double, and not date"):
        on_spark.rfm_summary(shop.withColumn("date", shop["amount"]))
    with pytest.raises(DataError, match="times without a time zone"):
        on_spark.rfm_summary(shop, time_zone="Europe/Berlin")
    with pytest.raises(UsageError, match="observation_end='soon' is not a date"):
        on_spark.rfm_summary(shop, observation_end="soon")
    with pytest.raises(UsageError, match="'Q'"):
        on_spark.rfm_summary(shop, period="Q")
    with pytest.raises(DataError, match="No row can be used"):
        on_spark.rfm_summary(shop.where("amount < -1e9"))
    with pytest.raises(DataError, match="There is no holdout"):
        on_spark.train_test_split(shop, train_end="1999-01-01")
    rfm = on_spark.rfm_summary(shop, observation_end="1997-09-30")
    known = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
    with pytest.raises(UsageError, match="horizon"):
        on_spark.predict(lw.CLV(known), rfm, "soon")
    with pytest.raises(UsageError, match="formulas of covariates need the table of customers"):
        on_spark.fit_clv(rfm, lw.BetaGeo(purchase="channel"), method="map")
    known = lw.BetaGeo(purchase="channel").from_parameters(
        {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "purchase": {"channel[T.web]": 0.5}},
        "W",
        covariates={"channel": ["shop", "web"]},
    )
    with pytest.raises(UsageError, match=r"depends on covariates \(channel\), which tables on Spark do not have"):
        on_spark.predict(lw.CLV(known), rfm, "39W")
    from dataclasses import replace

    failed = replace(known, diagnostics=replace(known.diagnostics, verdict="fail"))
    with pytest.raises(FitError):
        on_spark.predict(lw.CLV(failed), rfm, "39W")


def test_a_worker_that_is_killed_mid_job_changes_nothing(session, cluster, shop, cdnow_sample):
    """The last test: the cluster is smaller after it."""
    context = session.sparkContext
    status = context._jsc.sc().getExecutorMemoryStatus

    def executors() -> int:
        return int(status().size()) - 1  # the driver is one of them

    wait_until(lambda: executors() == 2, "there are not two executors")
    wanted = lw.rfm_summary(cdnow_sample, observation_end="1997-09-30")
    clv = lw.fit_clv(wanted, method="map")
    many = on_spark.rfm_summary(shop.repartition(12), observation_end="1997-09-30")
    scores = on_spark.predict(clv, many, "12M")
    tracker, found = context.statusTracker(), []
    worker = threading.Thread(target=lambda: found.append(local(scores)))
    worker.start()

    def begun() -> bool:
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return any(stage is not None and 0 < stage.numCompletedTasks < stage.numTasks for stage in stages)

    wait_until(begun, "no stage was found at work")
    cluster.kill(cluster.workers[0])
    worker.join(PATIENCE)
    assert executors() == 1
    pd.testing.assert_frame_equal(found[0], clv.predict(wanted, "12M"), check_exact=True)


@pytest.mark.parametrize("refunds", ["net", "same_period", "drop"])
def test_refunds_as_in_one_process(as_spark, refunds):
    """Of the same day and later, whole and in part, and with rows that have no amount."""
    chance = np.random.default_rng(3)
    size = 4_000
    rows = pd.DataFrame(
        {
            "customer_id": chance.integers(0, 400, size),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 300, size), unit="D"),
            "amount": chance.choice([5.0, 7.5, 10.0, 12.25, 30.0, -5.0, -10.0, -12.25, -40.0, np.nan], size),
        }
    )
    data = as_spark(rows, f"refunds_{refunds}").repartition(4)
    wanted = lw.rfm_summary(rows, refunds=refunds)
    assert wanted.audit.refunds > 1_000
    same_table(on_spark.rfm_summary(data, refunds=refunds).to_local(), wanted)
    calibration, holdout = on_spark.train_test_split(data, train_end="2024-06-30", refunds=refunds)
    before, after = lw.train_test_split(rows, train_end="2024-06-30", refunds=refunds)
    same_table(calibration.to_local(), before)
    pd.testing.assert_frame_equal(local(holdout.frame), after, check_exact=True)
