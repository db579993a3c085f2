"""Queries of a job read: they write no file, load no extension, change no setting, unless the job file allows it."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeworth.errors import SourceError, UsageError
from lifeworth.jobs import dry_run, read_job
from lifeworth.jobs.sources import DuckDBSource, PostgreSQLSource

TABLE = pa.table({"customer_id": ["a", "b"], "date": ["2026-01-01", "2026-01-02"], "amount": [1.0, 2.0]})
ROWS = "SELECT * FROM 'orders.parquet'"
COPY = "COPY (SELECT 1) TO 'OUT/made.csv'"
WRITING = {
    "COPY TO": COPY,
    "COPY TO before a SELECT": f"{COPY}; {ROWS}",
    "COPY TO after a SELECT": f"{ROWS}; {COPY}",
    "COPY TO as a common table expression": f"WITH made AS ({COPY}) {ROWS}",
    "COPY TO in a PIVOT": f"WITH made AS ({COPY}) PIVOT 'orders.parquet' ON customer_id USING sum(amount)",
    "COPY TO in a PIVOT's subquery": f"PIVOT (WITH made AS ({COPY}) {ROWS}) ON customer_id USING sum(amount)",
    "COPY TO in serialized SQL": "SELECT * FROM json_execute_serialized_sql(json_serialize_sql("
    f"$q$WITH made AS ({COPY}) SELECT * FROM made$q$))",
    "the same, qualified and quoted": 'SELECT * FROM system.main."JSON_Execute_Serialized_SQL"(json_serialize_sql('
    f"$q$WITH made AS ({COPY}) SELECT * FROM made$q$))",
    "SQL of a text": "SELECT * FROM query('SELECT * FROM json_execute_serial' || 'ized_sql(json_serialize_sql("
    f"$q$WITH made AS ({COPY}) SELECT * FROM made$q$))')",
    "EXPLAIN ANALYZE": f"EXPLAIN ANALYZE {COPY}",
    "EXPORT": "EXPORT DATABASE 'OUT/made'",
    "ATTACH": f"ATTACH 'OUT/made.duckdb' AS made; {ROWS}",
    "INSTALL": f"INSTALL httpfs; {ROWS}",
    "LOAD": f"LOAD httpfs; {ROWS}",
    "SET": f"SET autoload_known_extensions = true; {ROWS}",
    "PRAGMA": "PRAGMA enable_profiling",
    "CREATE SECRET": f"CREATE PERSISTENT SECRET made (TYPE s3); {ROWS}",
    "logging to a file": "SELECT * FROM enable_logging(storage_path := 'OUT/made')",
    "profiling to a file": "SELECT * FROM enable_profiling(save_location := 'OUT/made.json', format := 'json')",
    "network": "SELECT * FROM 'https://127.0.0.1:1/orders.parquet'",
    "PREPARE": f"PREPARE made AS {COPY}; EXECUTE made",
    "a variable of this process": "SELECT * FROM TABLE_OF_PYTHON",
}
READING = {
    "a file": ROWS,
    "FROM first": "FROM 'orders.parquet'",
    "read_parquet": "SELECT * FROM read_parquet('orders.parquet')",
    "parameters": "SELECT * FROM read_parquet($1) WHERE amount > $2",
    "several files": "SELECT * FROM read_parquet(['orders.parquet', 'orders.parquet'])",
    "an absolute path": "SELECT * FROM 'OUT/orders.parquet'",
    "CSV": "SELECT * FROM read_csv('orders.csv', all_varchar = true)",
    "WITH": f"WITH every AS ({ROWS}) SELECT * FROM every",
    "WITH RECURSIVE": "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) "
    "SELECT * FROM n, 'orders.parquet'",
    "UNION, ORDER, comments": f"-- all\n{ROWS} UNION ALL {ROWS} /* ; */ ORDER BY date -- done",
    "windows": f"SELECT *, row_number() OVER (PARTITION BY customer_id) AS n FROM ({ROWS}) QUALIFY n = 1",
    "VALUES": "SELECT * FROM (VALUES ('a', '2026-01-01', 1.0)) AS t(customer_id, date, amount)",
    "PIVOT with values": f"SELECT customer_id, '2026-01-01' AS date, 1 AS amount FROM (PIVOT ({ROWS}) ON date "
    "IN ('2026-01-01') USING sum(amount))",
    "casts": "SELECT customer_id, date::DATE AS date, amount::DECIMAL(9, 2) AS amount FROM 'orders.parquet'",
    "JSON": "SELECT json_extract_string('{\"a\": \"b\"}', '$.a') AS customer_id, date, amount FROM 'orders.parquet'",
}


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("duckdb")
    pq.write_table(TABLE, tmp_path / "orders.parquet")
    TABLE.to_pandas().to_csv(tmp_path / "orders.csv", index=False)
    return tmp_path


def files(folder):
    return {path for path in folder.rglob("*") if path.name != "job.toml"}


def job_of(folder, query, **more):
    source = {"duckdb": ":memory:", "query": query.replace("OUT", str(folder)), **more}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in source.items())
    (folder / "job.toml").write_text(
        f'name = "nightly"\n[source]\n{lines}\n[scores]\nhorizon = "12M"\n[sink]\npath = "s.parquet"\n', "utf-8"
    )
    return folder / "job.toml"


@pytest.mark.parametrize("kind", WRITING)
def test_a_query_that_does_more_than_read_is_refused(kind, folder, command, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))  # where secrets and extensions would be put
    TABLE_OF_PYTHON = TABLE  # noqa: F841 - DuckDB would find it by its name
    path = job_of(folder, WRITING[kind])
    before = files(folder)
    with pytest.raises((UsageError, SourceError)):
        dry_run(read_job(path))
    assert files(folder) == before
    for options in (("--dry-run",), ()):
        code, _, err = command("run", path, *options)
        assert code in (2, 5)
        assert len(err.strip().splitlines()) == 1
        assert "bug" not in err
    made = {path for path in files(folder) if "runs" not in path.parts}
    assert made == before


@pytest.mark.parametrize("kind", READING)
def test_a_query_that_reads_gives_its_rows(kind, folder):
    values = ["orders.parquet", 0.5] if kind == "parameters" else []
    job = read_job(job_of(folder, READING[kind], parameters=values))
    source = job.source.place(job.root)
    with source.reader(["customer_id", "date", "amount"]) as rows:
        assert rows.read_all().num_rows > 0
    assert dry_run(job)[0].startswith("Read DuckDB :memory: (query): customer_id")


def test_sql_that_is_none_gets_the_sentence_of_duckdb(folder):
    for query in ("SELEC 1", "SELECT (", "", ";"):
        with pytest.raises((SourceError, UsageError)) as caught:
            dry_run(read_job(job_of(folder, query)))
        assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="syntax error"):
        dry_run(read_job(job_of(folder, "SELEC 1")))


def test_a_job_may_allow_more_and_a_dry_run_still_runs_nothing(folder, command):
    query = f"{COPY}; SELECT * FROM 'orders.parquet'"
    path = job_of(folder, query, unrestricted_sql=True)
    code, out, _ = command("run", path, "--dry-run")
    assert code == 0
    assert "is not tried here, because source.unrestricted_sql lets it write" in out
    assert not (folder / "made.csv").exists()
    job = read_job(path)
    with job.source.place(job.root).reader() as rows:
        assert rows.read_all().num_rows == 2
    assert (folder / "made.csv").exists()


@pytest.mark.parametrize(
    "source", ['path = "x"', 'postgresql = "postgresql:///x"\nquery = "SELECT 1"', 'duckdb = "x"\ntable = "t"']
)
def test_only_a_query_of_duckdb_can_be_unrestricted(source, tmp_path):
    (tmp_path / "job.toml").write_text(
        f'name = "n"\n[source]\n{source}\nunrestricted_sql = true\n[scores]\nhorizon = 1\n[sink]\npath = "s.csv"\n',
        "utf-8",
    )
    with pytest.raises(UsageError, match="source has unrestricted_sql, which applies only to a query of DuckDB"):
        read_job(tmp_path / "job.toml")


def test_a_database_file_is_read_with_the_same_care(folder):
    import duckdb

    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS SELECT * FROM read_parquet($1)", [str(folder / "orders.parquet")])
    source = DuckDBSource(str(folder / "shop.duckdb"), "orders")
    with source.reader() as rows:
        assert rows.read_all().num_rows == 2
    for query in ("WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone", "DROP TABLE orders"):
        with pytest.raises(UsageError, match="must be one SELECT"), DuckDBSource(source.path, query=query).reader():
            pass
    with source.reader() as rows:
        assert rows.read_all().num_rows == 2


def test_postgresql_copies_to_no_file_of_its_server(postgresql, tmp_path):
    for number, query in enumerate(
        [
            "COPY (SELECT 1) TO '{}'",
            "-- x\nCOPY (SELECT 1) TO PROGRAM 'touch {}'",
            "SELECT 1) TO PROGRAM 'touch {}' --",
            "SELECT 1; COPY (SELECT 1) TO '{}'",
            "EXPLAIN ANALYZE SELECT 1",
        ]
    ):
        made = Path("/tmp") / f"{tmp_path.parent.name}_{tmp_path.name}_{number}"  # the server may write there
        with (
            pytest.raises((SourceError, UsageError)),
            PostgreSQLSource(postgresql, query=query.format(made)).reader() as rows,
        ):
            rows.read_all()
        assert not made.exists()
    for query in (
        "SELECT 1 AS a",
        "  (SELECT 1 AS a)",
        "/* a */ WITH t AS (SELECT 1 AS a) SELECT * FROM t",
        "VALUES (1)",
    ):
        with PostgreSQLSource(postgresql, query=query).reader() as rows:
            assert rows.read_all().num_rows == 1
