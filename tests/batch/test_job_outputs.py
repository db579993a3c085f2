"""A job writes nothing over what it reads, whatever kinds of places these are."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

import lifeworth as lw
from lifeworth.errors import UsageError
from lifeworth.jobs import dry_run

duckdb = pytest.importorskip("duckdb")


def digests(folder):
    """Of all files below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def shop(shelf, tmp_path):
    """A folder with transactions in files and in a database, and other names for them."""
    (tmp_path / "orders").mkdir()
    shutil.copy(shelf / "tx.parquet", tmp_path / "orders" / "a.parquet")
    shutil.copy(shelf / "tx.parquet", tmp_path / "orders.parquet")
    shutil.copytree(shelf / "good", tmp_path / "model")
    (tmp_path / "soft.parquet").symlink_to("orders.parquet")
    os.link(tmp_path / "orders.parquet", tmp_path / "hard.parquet")
    (tmp_path / "here").symlink_to(tmp_path, target_is_directory=True)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        orders = str(shelf / "tx.parquet")
        connection.execute("CREATE TABLE Orders AS SELECT * FROM read_parquet($1)", [orders])
        connection.execute(f"CREATE VIEW filed AS SELECT * FROM '{tmp_path / 'orders.parquet'}'")
    (tmp_path / "soft.duckdb").symlink_to("shop.duckdb")
    return tmp_path


FILE = {"path": "orders.parquet"}
IN_DATABASE = {"duckdb": "shop.duckdb", "table": "Orders"}
QUERY = {"duckdb": ":memory:", "query": "SELECT * FROM 'orders.parquet' WHERE customer_id <> '*'"}


@pytest.mark.parametrize(
    ("source", "others"),
    [
        (FILE, {"sink": {"path": "./orders.parquet"}}),
        (FILE, {"sink": {"path": "soft.parquet"}}),
        (FILE, {"sink": {"path": "hard.parquet"}}),
        (FILE, {"sink": {"path": "here/orders.parquet"}}),
        ({"path": "soft.parquet"}, {"sink": {"path": "hard.parquet"}}),
        ({"path": "orders"}, {"sink": {"path": "orders/scores.parquet"}}),
        ({"path": "orders"}, {"sink": {"path": "here/orders/new/scores.parquet"}}),
        ({"path": "orders"}, {"sink": {"path": "orders/scores", "mode": "append"}}),
        ({"path": "ord*.parquet"}, {"sink": {"path": "orders.parquet"}}),
        ({"path": "*.parquet"}, {"sink": {"path": "scores.parquet"}}),
        ({"path": "**/a.parquet"}, {"sink": {"path": "orders/2026/a.parquet"}}),
        (FILE, {"records": {"metrics": "orders.parquet"}}),
        (FILE, {"records": {"metrics": "job.toml"}}),
        (FILE, {"records": {"metrics": "out/scores.parquet"}}),
        ({"path": "orders"}, {"records": {"folder": "orders/runs"}}),
        (FILE, {"sink": {"path": "model/purchases/scores.parquet"}, "model": {"saved": "model"}}),
        (IN_DATABASE, {"sink": {"duckdb": "soft.duckdb", "table": "orders"}}),
        (IN_DATABASE, {"sink": {"duckdb": "here/shop.duckdb", "table": "ORDERS", "schema": "main"}}),
        (
            {"duckdb": "shop.duckdb", "query": "SELECT * FROM Orders"},
            {"sink": {"duckdb": "shop.duckdb", "table": "orders"}},
        ),
        ({"duckdb": "shop.duckdb", "table": "filed"}, {"sink": {"path": "soft.parquet"}}),
        (QUERY, {"sink": {"path": "hard.parquet"}}),
        ({**QUERY, "query": "SELECT * FROM read_parquet(['orders.parquet'])"}, {"sink": {"path": "./orders.parquet"}}),
        ({**QUERY, "query": "SELECT * FROM read_parquet('ord*.parquet')"}, {"sink": {"path": "soft.parquet"}}),
        (
            {**QUERY, "query": "SELECT * FROM read_parquet($1)", "parameters": ["orders/*.parquet"]},
            {"sink": {"path": "orders/scores.parquet"}},
        ),
    ],
)
def test_a_job_does_not_write_over_what_it_reads(shop, make, monkeypatch, source, others):
    monkeypatch.chdir(shop)
    path = make(source=source, **others)
    before = digests(shop)
    for run in (dry_run, lw.run_job):
        with pytest.raises(UsageError, match=r"overwritten|would be a part of|would replace|same file"):
            run(lw.read_job(path))
        assert digests(shop) == before


@pytest.mark.parametrize(
    ("source", "sink"),
    [
        ({"path": "orders"}, {"path": "orders/_scores/scores.parquet"}),
        ({"path": "orders/*.parquet"}, {"path": "scores.parquet"}),
        (IN_DATABASE, {"duckdb": "soft.duckdb", "table": "scores"}),
        (QUERY, {"path": "scores.parquet"}),
    ],
)
def test_what_lies_apart_is_written(shop, make, monkeypatch, source, sink):
    monkeypatch.chdir(shop)
    before = digests(shop)
    for _ in range(2):
        assert lw.run_job(lw.read_job(make(source=source, sink=sink))).manifest["output"]["rows"] == 2357
    after = digests(shop)
    kept = [name for name in before if not name.endswith((".duckdb", "job.toml"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    with duckdb.connect("shop.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM Orders").fetchall() == [(6919,)]


def test_a_job_made_in_python(shop, monkeypatch):
    monkeypatch.chdir(shop)
    job = lw.Job(name="n", source=FILE, scores={"horizon": "13W"}, sink={"path": str(Path.cwd() / "orders.parquet")})
    with pytest.raises(UsageError, match=r"sink.path .* would be overwritten"):
        lw.run_job(job)
