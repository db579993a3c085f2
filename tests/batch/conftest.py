"""A real PostgreSQL server for all tests of a run, a database of its own for each; and jobs to run."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from servers import start_server

import lifeworth as lw
from lifeworth import cli

END = "1997-09-30"


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory) -> Iterator[str]:
    """The connection string of a server that belongs to these tests."""
    pytest.importorskip("adbc_driver_postgresql")
    # Below the folder of all users' temporary files: as root the server runs as another user, who must reach it.
    running = start_server(tmp_path_factory.mktemp("postgresql") / "data")
    yield running.get_uri()
    running.cleanup()


@pytest.fixture
def postgresql(postgresql_server, request) -> Iterator[str]:
    """The connection string of an empty database."""
    import adbc_driver_postgresql.dbapi as driver

    name = f"test_{abs(hash(request.node.nodeid)):x}"
    with driver.connect(postgresql_server, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield postgresql_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory, cdnow_sample):
    """Transactions whose ids are known by sight, and models to score them with; tests write elsewhere."""
    folder = tmp_path_factory.mktemp("shelf")
    known = cdnow_sample.assign(customer_id="KUNDE-" + cdnow_sample["customer_id"].astype(str))
    known.to_parquet(folder / "tx.parquet")
    rfm = lw.rfm_summary(known, observation_end=END)
    clv = lw.fit_clv(rfm, method="map")
    clv.save(folder / "good")
    failed = replace(clv.purchases.diagnostics, verdict="fail", reasons=("R-hat is 1.2.",))
    lw.CLV(replace(clv.purchases, diagnostics=failed), clv.spend).save(folder / "failed")
    return folder


def section(name, **keys):
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join([f"[{name}]", *lines])


@pytest.fixture
def make(shelf, tmp_path):
    """Write a job file; sections that are given take the place of the usual ones."""

    def make_job(**sections):
        usual = {
            "source": {"path": str(shelf / "tx.parquet")},
            "rfm": {"observation_end": END},
            "model": {"saved": str(shelf / "good")},
            "scores": {"horizon": "39W", "uncertainty": "mean", "rows_per_block": 900},
            "sink": {"path": "out/scores.parquet"},
            "records": {"metrics": "lifeworth.prom"},
        }
        text = "\n\n".join(section(name, **keys) for name, keys in {**usual, **sections}.items())
        (tmp_path / "job.toml").write_text('name = "nightly"\n' + text, encoding="utf-8")
        return tmp_path / "job.toml"

    return make_job


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command in this process; gives (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lifeworth", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return stopped.value.code or 0, out, err

    return run_command
