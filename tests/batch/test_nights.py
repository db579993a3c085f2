"""Jobs night after night: segments, backtests and champions, pages, and tables that grow."""

import json
import os
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from conftest import END
from lifeworth.errors import DataError, FitError, SourceError
from lifeworth.jobs import dry_run, read_job, run_job
from lifeworth.jobs.models import Models, shelf_name
from lifeworth.jobs.segments import read_segments
from lifeworth.jobs.sources import DuckDBSource, FilesSource, PostgreSQLSource


def scores(folder):
    return pd.read_parquet(folder / "out/scores.parquet")


# --- segments --------------------------------------------------------------------------------------------


@pytest.fixture
def countries(shelf, tmp_path):
    """Transactions with a country; customers 1 to 9 have bought in two."""
    table = pd.read_parquet(shelf / "tx.parquet")
    number = table["customer_id"].str.removeprefix("KUNDE-").astype(int)
    table["country"] = np.select([number % 2 == 1, number % 50 == 0], ["de", None], "fr")
    table.loc[number % 100 == 2, "country"] = "lu"
    table.loc[(number < 10) & (table.index % 2 == 0), "country"] = "it"
    table.to_parquet(tmp_path / "tx.parquet")
    return table


def test_a_fit_for_each_segment_and_the_pooled_one_for_the_others(make, countries, tmp_path):
    model = {"method": "map", "by": "country", "least_per_segment": 100, "register_as": "shop"}
    ran = run_job(read_job(make(source={"path": "tx.parquet"}, model=model)))
    told = ran.manifest["model"]["segments"]
    assert list(told) == ["de", "fr", "it", "lu"]
    assert "fewer than model.least_per_segment" in told["lu"]["pooled_because"]
    rfm = lw.rfm_summary(countries, observation_end=END)
    country = countries.groupby("customer_id")["country"].agg(lambda values: set(values.dropna()))
    country = country.reindex(rfm.customer_id)
    found = scores(tmp_path)
    assert found["customer_id"].tolist() == rfm.customer_id.tolist()
    for name in ("de", "fr"):
        own = np.array([one == {name} for one in country])
        clv = lw.fit_clv(rfm.take(own), method="map")
        expected = clv.predict(rfm.take(own), "39W", uncertainty="mean")
        assert (found["segment"][own] == name).all()
        pd.testing.assert_frame_equal(found[own].drop(columns="segment").reset_index(drop=True), expected)
    others = found["segment"].isna().to_numpy()
    assert others.sum() == sum(one not in ({"de"}, {"fr"}) for one in country)
    assert others.sum() > 30
    pooled = lw.fit_clv(rfm, method="map").predict(rfm.take(others), "39W", uncertainty="mean")
    pd.testing.assert_frame_equal(found[others].drop(columns="segment").reset_index(drop=True), pooled)
    assert ran.manifest["scores"]["totals"]["value"]["expected"] == pytest.approx(found["clv"].sum(), rel=1e-9)
    assert lw.Registry(tmp_path / "models").names() == ["shop", "shop.de", "shop.fr"]
    # The same again is a night without news; the account of drift is for another.
    again = run_job(read_job(make(source={"path": "tx.parquet"}, model=model)))
    assert [one["version"] for one in again.manifest["model"]["registered"]] == [1, 1, 1]
    earlier = make(source={"path": "tx.parquet"}, model=model, rfm={"observation_end": "1997-06-30"})
    assert set(run_job(read_job(earlier)).manifest["model"]["drift"]) == {"shop", "shop.de", "shop.fr"}


@pytest.mark.parametrize("kind", ["parquet", "csv", "duckdb", "postgresql"])
def test_segments_are_read_wherever_transactions_are(kind, tmp_path, postgresql):
    table = pd.DataFrame(
        {
            "customer_id": [5, 5, 7, 7, 11, 13, 13, None],
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(8), unit="D"),
            "amount": 1.0,
            "zone": ["b", "b", "a", "b", None, None, "a", "a"],
        }
    ).astype({"customer_id": "Int64"})
    if kind in ("parquet", "csv"):
        getattr(table, f"to_{kind}")(tmp_path / f"tx.{kind}", index=False)
        source = FilesSource(str(tmp_path / f"tx.{kind}"))
    elif kind == "duckdb":
        table.to_parquet(tmp_path / "tx.parquet")
        source = DuckDBSource(":memory:", query=f"SELECT * FROM '{tmp_path}/tx.parquet'")
    else:
        import adbc_driver_postgresql.dbapi as driver
        import pyarrow as pa

        with driver.connect(postgresql) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("tx", pa.Table.from_pandas(table, preserve_index=False))
            connection.commit()
        source = PostgreSQLSource(postgresql, "tx")
    with source.transactions(["customer_id", "date", "amount"]) as rows:
        rfm = lw.rfm_summary(rows)
    found = read_segments(source, "customer_id", "zone", rfm)
    assert rfm.customer_id.tolist() == [5, 7, 11, 13]
    assert found.names == ("a", "b")
    assert found.codes.tolist() == [1, -1, -1, 0]
    if kind == "parquet":
        with pytest.raises(DataError, match="no column 'zon'"):
            read_segments(source, "customer_id", "zon", rfm)
        table[table["customer_id"] != 5].to_parquet(tmp_path / "tx.parquet")
        with pytest.raises(SourceError, match="changed while it was read"):
            read_segments(source, "customer_id", "zone", rfm)


def test_too_many_segments(tmp_path):
    n = 1200
    table = pd.DataFrame({"customer_id": range(n), "date": "2024-01-01", "amount": 1.0, "zone": range(n)})
    table.to_parquet(tmp_path / "tx.parquet")
    with pytest.raises(DataError, match="'zone' has 1,200 values, more than the 1,000 segments"):
        read_segments(FilesSource(str(tmp_path / "tx.parquet")), "customer_id", "zone", lw.rfm_summary(table))


def test_names_on_the_shelf_are_names_and_differ():
    names = [shelf_name("shop", one) for one in (None, "de", "DE", "d e", "d/e", "日本", "", "x" * 200)]
    assert names[:3] == ["shop", "shop.de", "shop.DE"]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) for name in names)


def test_draws_of_unequal_number_add_up():
    known = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    many = {name: np.full(3, value) for name, value in known.items()}
    rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end=END).take(np.arange(6))
    from lifeworth.jobs.segments import Segments

    models = Models(
        lw.CLV(lw.BetaGeo().from_parameters(known, "W")), {"a": lw.CLV(lw.BetaGeo().from_parameters(many, "W"))}
    )
    halves = Segments(("a",), np.array([0, -1, 0, -1, 0, -1], dtype=np.int32))
    frame, sums = models.predict_both(rfm, halves, {"horizon": "39W", "uncertainty": "mean"})
    whole = models.pooled.predict(rfm, "39W", uncertainty=None)
    np.testing.assert_allclose(frame["expected_purchases"], whole["expected_purchases"], rtol=1e-12)  # sums of 3 draws
    np.testing.assert_allclose(sums["purchases"], np.full(3, whole["expected_purchases"].sum()), rtol=1e-12)


# --- the gate --------------------------------------------------------------------------------------------


def test_a_backtest_stands_between_a_fit_and_the_champion(make, shelf, tmp_path):
    gate = {"backtest": "13W", "most_bias": 0.9}
    fitted = {"method": "map", "register_as": "shop"}
    ran = run_job(read_job(make(model=fitted, gate=gate)))
    told = ran.manifest["model"]["backtest"]
    calibration, holdout = lw.train_test_split(shelf / "tx.parquet", train_end="1997-07-01", test_end=END)
    clv = lw.fit_clv(calibration, method="map")
    expected = clv.purchases.expected_purchases(calibration, 13).sum() / holdout["frequency"].sum() - 1
    assert told["candidate"]["purchases"]["bias"] == pytest.approx(expected, rel=1e-9)
    assert (told["train_end"], told["length"], "champion" in told) == ("1997-07-01", 13.0, False)
    registry = lw.Registry(tmp_path / "models")
    assert registry.champion("shop") == 1
    before = scores(tmp_path)
    # A narrower gate: nothing is published, the fit is kept and says why it is not the champion.
    narrow = {"backtest": "13W", "most_bias": abs(expected) / 2}
    later = {"observation_end": "1997-10-05"}
    with pytest.raises(FitError, match=r"did not pass its backtest: nothing was published. For the 13 weeks after"):
        run_job(read_job(make(model=fitted, gate=narrow, rfm=later)))
    assert (registry.versions("shop"), registry.champion("shop")) == ([1, 2], 1)
    pd.testing.assert_frame_equal(scores(tmp_path), before)
    # Or the champion's scores rather than none.
    ran = run_job(read_job(make(model=fitted, gate=narrow | {"otherwise": "champion"}, rfm=later)))
    assert ran.manifest["model"]["scored_with"] == "champion"
    assert "gate.most_bias is" in ran.manifest["model"]["refused"]
    assert ran.manifest["model"]["backtest"]["champion"]["purchases"]["mae"] > 0
    assert registry.champion("shop") == 1
    rfm = lw.rfm_summary(shelf / "tx.parquet", observation_end="1997-10-05")
    pd.testing.assert_frame_equal(scores(tmp_path), registry.load("shop").predict(rfm, "39W", uncertainty="mean"))


def test_a_fit_that_is_worse_than_the_champion(make, tmp_path):
    good = {"method": "map", "register_as": "shop"}
    run_job(read_job(make(model=good)))
    registry = lw.Registry(tmp_path / "models")
    gate = {"backtest": "13W", "most_bias": 9.0, "most_worse": 0.0}
    rfm = {"observation_end": "1997-09-01"}
    bad = make(model=good | {"purchases": "pareto_nbd"}, gate=gate, rfm=rfm)
    ran_or_not = None
    try:
        ran_or_not = run_job(read_job(bad))
    except FitError as error:
        assert "above the champion's, and gate.most_worse is 0" in str(error)
        assert registry.champion("shop") == 1
    account = sorted(tmp_path.glob("runs/nightly/*/manifest.json"))[-1]
    told = json.loads(account.read_text())["model"]["backtest"]
    worse = told["candidate"]["purchases"]["mae"] > told["champion"]["purchases"]["mae"]
    assert worse == (ran_or_not is None)


def test_a_backtest_that_cannot_be_made_passes_nobody(make, tmp_path):
    job = make(model={"method": "map"}, gate={"backtest": "10Y"})
    with pytest.raises(FitError, match=r"nothing was published. The backtest could not be run: .*"):
        run_job(read_job(job))
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_of_segments_backtest_and_nights(make, countries, tmp_path):
    job = make(
        source={"path": "tx.parquet"}, model={"by": "country"}, gate={"backtest": "13W"}, rfm={"incremental": True}
    )
    told = " ".join(dry_run(read_job(job)))
    assert "country (" in told
    assert "Fit a separate model for each country with at least 500 repeat" in told
    assert "Hold out the last 13W, and continue if the predicted purchases are within 25%" in told
    assert "Recount only customers who occur in files that are new since the last run." in told
    with pytest.raises(DataError, match="no column 'land'"):
        dry_run(read_job(make(source={"path": "tx.parquet"}, model={"by": "land"})))


# --- the page --------------------------------------------------------------------------------------------


def test_a_page_that_names_no_customer(make, tmp_path):
    fitted = {"method": "laplace", "draws": 200, "register_as": "shop"}
    run_job(read_job(make(model=fitted, rfm={"observation_end": "1997-06-30"})))
    ran = run_job(read_job(make(model=fitted, gate={"backtest": "13W", "most_bias": 9}, records={"report": True})))
    page = (ran.folder / "report.html").read_text(encoding="utf-8")
    assert "KUNDE" not in page
    for told in (
        "2,357",
        "Drift from the champion",
        "Predicted purchases / actual purchases",
        "Predicted customer lifetime value",
    ):
        assert told in page
    assert "https://" not in re.sub(r"<a [^>]*>", "", page).replace("https://www.w3.org", "")


# --- nights ----------------------------------------------------------------------------------------------


def test_incremental_nights_are_those_of_whole_ones(make, shelf, tmp_path):
    table = pd.read_parquet(shelf / "tx.parquet")
    days = tmp_path / "days"
    days.mkdir()
    cuts = ["1997-01-01", "1997-09-01", "1997-09-15", "1997-09-30", "1997-10-05"]
    late = table.index % 97 == 0  # these come a night late
    pieces = [table[(table["date"] >= a) & (table["date"] < b) & ~late] for a, b in pairwise(cuts)]
    pieces += [table[late & (table["date"] < "1997-10-05")].assign(amount=lambda t: t["amount"] * -0.5)]
    model = {"saved": str(shelf / "good")}
    grown = {"source": {"path": "days"}, "rfm": {"incremental": True, "currency": "USD"}, "model": model}
    for number, piece in enumerate(pieces):
        piece.to_parquet(days / f"{number}.parquet")
        ran = run_job(read_job(make(**grown)))
        told = ran.manifest["incremental"]
        assert told == {"files": number + 1, "new_files": 1, "from_the_start": number == 0}
        wanted = lw.rfm_summary(days, currency="USD")
        expected = lw.load(shelf / "good").predict(wanted, "39W", uncertainty="mean")
        pd.testing.assert_frame_equal(scores(tmp_path), expected, check_exact=True)
        assert ran.manifest["rfm"]["audit"] == wanted.audit.to_dict()
        whole = run_job(read_job(make(**grown | {"rfm": {"currency": "USD"}})))
        assert whole.manifest["rfm"]["fingerprint"] == ran.manifest["rfm"]["fingerprint"]
    assert run_job(read_job(make(**grown))).manifest["incremental"]["new_files"] == 0
    # A file that has changed, or is gone, or other settings: all from the start.
    pieces[1].head(20).to_parquet(days / "1.parquet")
    assert run_job(read_job(make(**grown))).manifest["incremental"]["from_the_start"]
    (days / "2.parquet").unlink()
    assert run_job(read_job(make(**grown))).manifest["incremental"]["from_the_start"]
    dropped = {"incremental": True, "refunds": "drop"}
    ran = run_job(read_job(make(**grown | {"rfm": dropped})))
    assert ran.manifest["incremental"]["from_the_start"]
    assert ran.manifest["rfm"]["customers"] == len(lw.rfm_summary(days, refunds="drop"))


def test_a_file_of_the_same_size_and_time_is_noticed(make, tmp_path):
    days = tmp_path / "days"
    days.mkdir()
    head = "customer_id,date,amount\n"
    (days / "0.csv").write_text(head + "7,1997-01-01,5\n8,1997-01-02,5\n")
    (days / "1.csv").write_text(head + "7,1997-02-01,5\n")
    job = make(source={"path": "days"}, rfm={"incremental": True})
    run_job(read_job(job))
    before = (days / "1.csv").stat()
    for replaced in (False, True):  # in place, and by another file
        path = days / ("new" if replaced else "1.csv")
        path.write_text(head + ("9" if replaced else "8") + ",1997-02-01,5\n")
        path.replace(days / "1.csv")
        os.utime(days / "1.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
        now = (days / "1.csv").stat()
        assert (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        ran = run_job(read_job(job))
        assert ran.manifest["incremental"]["from_the_start"]
        assert ran.manifest["rfm"]["customers"] == (3 if replaced else 2)
    # The same content under new times, as after a copy, costs no count.
    os.utime(days / "0.csv")
    (days / "1.csv").rename(days / "moved")
    (days / "1.csv").write_bytes((days / "moved").read_bytes())
    (days / "moved").unlink()
    for _ in range(2):
        told = run_job(read_job(job)).manifest["incremental"]
        assert told == {"files": 2, "new_files": 0, "from_the_start": False}


def test_ids_that_only_look_like_numbers_tonight(make, tmp_path, shelf):
    days = tmp_path / "days"
    days.mkdir()
    head = "customer_id,date,amount\n"
    (days / "0.csv").write_text(head + "7,1997-01-01,5\n8,1997-01-02,5\n")
    job = make(source={"path": "days"}, rfm={"incremental": True})
    run_job(read_job(job))
    (days / "1.csv").write_text(head + "a9,1997-02-01,5\n7,1997-02-01,5\n")  # now they are text, those before too
    ran = run_job(read_job(job))
    assert ran.manifest["incremental"]["from_the_start"]
    (days / "2.csv").write_text(head + "8,1997-03-01,5\n")
    ran = run_job(read_job(job))
    assert not ran.manifest["incremental"]["from_the_start"]
    assert ran.manifest["rfm"]["audit"] == lw.rfm_summary(days).audit.to_dict()
    assert scores(tmp_path)["customer_id"].tolist() == ["7", "8", "a9"]


def test_nights_have_the_notes_of_a_whole_count(make, shelf, tmp_path):
    table = pd.read_parquet(shelf / "tx.parquet")
    days = tmp_path / "days"
    days.mkdir()
    first, second = table[table["date"] < "1997-06-01"], table[table["date"] >= "1997-06-01"]
    grown = {"source": {"path": "days"}, "rfm": {"incremental": True}, "model": {"saved": str(shelf / "good")}}

    def notes_after(name, rows):
        rows.to_parquet(days / f"{name}.parquet")
        ran = run_job(read_job(make(**grown))).manifest
        assert not ran["incremental"]["from_the_start"] or name == "a"
        assert sorted(ran["rfm"]["audit"]["notes"]) == sorted(lw.rfm_summary(days).audit.notes)
        return " ".join(ran["rfm"]["audit"]["notes"])

    assert notes_after("a", first) == ""
    currency = np.where(np.arange(len(second)) == 7, "CHF", "USD")
    assert "'order_currency' names several currencies" in notes_after("b", second.assign(order_currency=currency))
    assert "File c.parquet has the same contents as a.parquet" in notes_after("c", first)


@pytest.mark.parametrize("kind", ["table", "query", "duckdb"])
def test_databases_have_the_notes_of_files(kind, shelf, tmp_path, postgresql):
    table = pd.read_parquet(shelf / "tx.parquet")
    n = len(table)
    table = table.assign(
        order_currency=np.where(np.arange(n) == n - 9, "CHF", "USD"),
        status=np.where(np.arange(n) == n - 5, "refunded", "paid"),
        remark="nothing",
    )
    table.to_parquet(tmp_path / "tx.parquet")
    if kind == "duckdb":
        source = DuckDBSource(":memory:", query=f"SELECT * FROM '{tmp_path}/tx.parquet'")
    else:
        import adbc_driver_postgresql.dbapi as driver
        import pyarrow as pa

        with driver.connect(postgresql) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("tx", pa.Table.from_pandas(table, preserve_index=False))
            connection.commit()
        asked = {"query": "SELECT * FROM tx WHERE amount >= $1;", "parameters": (0.0,)} if kind == "query" else {}
        source = PostgreSQLSource(postgresql, None if asked else "tx", **asked)
    wanted = lw.rfm_summary(tmp_path / "tx.parquet").audit.notes
    assert len(wanted) == 2
    with source.transactions(["customer_id", "date", "amount"]) as rows:
        if kind != "duckdb":
            assert "remark" not in rows.schema.names  # only what there are notes on is read
        assert lw.rfm_summary(rows).audit.notes == wanted
