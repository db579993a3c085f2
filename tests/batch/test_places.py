"""Sources and sinks: every kind both ways, whole or not at all, and nothing pasted into SQL."""

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.jobs.databases import failed, quoted
from lifeworth.jobs.sinks import DuckDBSink, FilesSink, PostgreSQLSink
from lifeworth.jobs.sources import DuckDBSource, FilesSource, PostgreSQLSource

driver = pytest.importorskip("adbc_driver_postgresql.dbapi")
duckdb = pytest.importorskip("duckdb")

TABLE = pa.table({"customer_id": ["a", "b", "ü"], "count": pa.array([1, 2, None], pa.int64()), "value": [0.1, 2.5, -3]})
# Names that would end a quotation, a statement or a string, if they were pasted as they are.
HOSTILE = 'x"; DROP TABLE y; --'


def place(kind, folder, uri, mode="replace", table="scores", schema=None):
    """A sink of a kind, and the source that reads what it wrote."""
    if kind == "postgresql":
        return PostgreSQLSink(uri, table, schema, mode), PostgreSQLSource(uri, table, schema)
    if kind == "duckdb":
        path = str(folder / "shop.duckdb")
        return DuckDBSink(path, table, schema, mode), DuckDBSource(path, table, schema)
    path = str(folder / (f"scores.{kind}" if mode == "replace" else "scores"))
    return FilesSink(path, mode, kind), FilesSource(path)


def stream(table, batch=2):
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=batch))


def broken(table, error):
    """Some rows, and then what goes wrong."""

    def batches():
        yield table.to_batches()[0]
        raise error

    return pa.RecordBatchReader.from_batches(table.schema, batches())


def content(source, columns=None):
    with source.reader(columns) as rows:
        table = rows.read_all()
    return table.sort_by(table.column_names[0]).to_pylist()


@pytest.fixture(params=["parquet", "csv", "duckdb", "postgresql"])
def kind(request):
    return request.param


def same(found, expected, kind):
    if kind != "csv":
        assert found == expected
        return
    for row, wanted in zip(found, expected, strict=True):
        numbers = {n: None if v is None else float(v) if n == "value" else v for n, v in row.items()}
        assert numbers == {n: v if n == "value" or v is None else str(v) for n, v in wanted.items()}


def test_rows_come_back_as_they_went(kind, tmp_path, postgresql):
    sink, source = place(kind, tmp_path, postgresql)
    assert sink.write(stream(TABLE), "one") == 3
    same(content(source), TABLE.to_pylist(), kind)
    assert content(source, ["customer_id"]) == [{"customer_id": name} for name in ("a", "b", "ü")]
    # A second run leaves nothing of the first.
    assert sink.write(stream(TABLE.slice(1)), "two") == 2
    same(content(source), TABLE.slice(1).to_pylist(), kind)


def test_a_run_that_is_repeated_replaces_its_own_rows(kind, tmp_path, postgresql):
    sink, source = place(kind, tmp_path, postgresql, "append")
    sink.write(stream(TABLE.slice(0, 1)), "2026-01-01")
    sink.write(stream(TABLE.slice(1, 1)), "2026-01-02")
    sink.write(stream(TABLE.slice(2, 1)), "2026-01-01")
    found = sorted((row["run_id"], row["customer_id"]) for row in content(source))
    assert found == [("2026-01-01", "ü"), ("2026-01-02", "b")]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_run_that_breaks_leaves_what_was_there(kind, mode, tmp_path, postgresql):
    sink, source = place(kind, tmp_path, postgresql, mode)
    with pytest.raises(DataError, match="a bad block"):
        sink.write(broken(TABLE, DataError("a bad block")), "one")
    with pytest.raises(SourceError):  # there is nothing yet
        content(source)
    sink.write(stream(TABLE), "one")
    before = content(source)
    for error in (DataError("a bad block"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            sink.write(broken(TABLE.slice(0, 1), error), "one")
        assert content(source) == before
    if kind in ("parquet", "csv"):
        assert not list(tmp_path.rglob(".*")), "no temporary file is left"


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_hostile_names_are_names(kind, tmp_path, postgresql):
    sink, source = place(kind, tmp_path, postgresql, "append", HOSTILE, "s'\"; --")
    table = TABLE.rename_columns(["customer_id", 'c"; --', "%s $1"])
    sink.write(stream(table), "one")
    sink.write(stream(table), "one")
    assert content(source, ["customer_id", 'c"; --', "%s $1"]) == table.to_pylist()


def test_a_run_id_is_checked():
    for bad in ("", "../up", "a/b", "a b", "x'; --", "x" * 101, ".hidden"):
        with pytest.raises(UsageError, match="run id"):
            FilesSink("scores", "append").file(bad)
    assert FilesSink("scores", "append").file("2026-01-01") == Path("scores/2026-01-01.parquet")


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_rows_of_other_columns(kind, tmp_path, postgresql):
    sink, source = place(kind, tmp_path, postgresql)
    sink.write(stream(TABLE), "one")
    other = TABLE.append_column("more", pa.array([1.0, 2.0, 3.0]))
    appending, _ = place(kind, tmp_path, postgresql, "append")
    with pytest.raises(SourceError, match="has no column 'run_id' and no column 'more'"):
        appending.write(stream(other), "one")
    assert content(source) == TABLE.to_pylist()
    sink.write(stream(other), "one")  # replaced as a whole
    assert content(source) == other.to_pylist()


def run_sql(uri, *statements):
    with driver.connect(uri) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        found = cursor.fetchall() if cursor.description else None
        connection.commit()
        return found


def test_a_postgresql_table_is_kept_with_what_hangs_on_it(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE scores (customer_id varchar(9) PRIMARY KEY, count int, value numeric(9, 3), "
        "note text DEFAULT '-')",
        "CREATE VIEW loud AS SELECT upper(customer_id) AS name, value, note FROM scores",
        "CREATE ROLE reader",
        "GRANT SELECT ON scores TO reader",
    )
    sink = PostgreSQLSink(postgresql, "scores")
    for _ in range(2):
        sink.write(stream(TABLE), "one")
    assert run_sql(postgresql, "SELECT name, value::text, note FROM loud ORDER BY value") == [
        ("Ü", "-3.000", "-"),
        ("A", "0.100", "-"),
        ("B", "2.500", "-"),
    ]
    assert run_sql(postgresql, "SELECT has_table_privilege('reader', 'scores', 'SELECT')") == [(True,)]
    # Columns the table has not would cost the view its table: the database refuses, and all stays as it is.
    with pytest.raises(SourceError, match=r"cannot drop table scores because other objects depend on it\.$"):
        sink.write(stream(TABLE.append_column("more", TABLE["value"])), "one")
    assert run_sql(postgresql, "SELECT count(*) FROM loud") == [(3,)]


def test_readers_see_the_old_rows_until_the_new_ones_are_all_there(postgresql):
    sink = PostgreSQLSink(postgresql, "scores")
    sink.write(stream(TABLE), "one")
    seen = []

    def batches():
        for batch in TABLE.slice(1).to_batches(max_chunksize=1):
            seen.append(run_sql(postgresql, "SELECT count(*) FROM scores")[0][0])
            with pytest.raises(SourceError, match="is being written by another run"):
                sink.write(stream(TABLE), "two")
            yield batch

    sink.write(pa.RecordBatchReader.from_batches(TABLE.schema, batches()), "one")
    assert seen == [3, 3]
    assert run_sql(postgresql, "SELECT count(*) FROM scores") == [(2,)]


END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "


def test_a_database_that_goes_away_while_it_is_written(postgresql):
    sink = PostgreSQLSink(postgresql, "scores")
    sink.write(stream(TABLE), "one")

    def batches():
        yield TABLE.to_batches()[0]
        run_sql(postgresql, END_OTHERS + "pg_backend_pid()")
        for _ in range(1000):  # more than any buffer on the way holds
            yield TABLE.to_batches()[0]

    with pytest.raises(SourceError, match="PostgreSQL localhost/test_") as caught:
        sink.write(pa.RecordBatchReader.from_batches(TABLE.schema, batches()), "two")
    assert "\n" not in str(caught.value)
    assert content(PostgreSQLSource(postgresql, "scores")) == TABLE.to_pylist()


def test_a_database_that_goes_away_while_it_is_read(postgresql):
    query = (
        "SELECT i AS customer_id, date '2026-01-01' AS date, 1.0::float AS amount FROM generate_series(1, 3000000) i"
    )
    names = ["customer_id", "date", "amount"]
    with (
        pytest.raises(SourceError, match="PostgreSQL localhost/test_") as caught,
        PostgreSQLSource(postgresql, query=query).transactions(names) as rows,
    ):
        rows.read_next_batch()
        run_sql(postgresql, END_OTHERS + "pg_backend_pid()")
        lw.rfm_summary(rows, *names)
    assert "\n" not in str(caught.value)


def test_types_of_postgresql(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE odd (u uuid, n numeric(10, 2), free numeric, whole numeric(12, 0), d date, t timestamptz)",
        "INSERT INTO odd VALUES ('6f0c7a62-52c4-4f5c-9fc0-3f5b9d6c8f10', 12.50, 1e3, 123456789012, '2026-01-31', "
        "'2026-01-31 12:00+02'), (NULL, 'NaN', NULL, NULL, NULL, NULL)",
        "CREATE TABLE dear (price money)",
    )
    with PostgreSQLSource(postgresql, "odd").reader() as rows:
        kinds = [str(kind) for kind in rows.schema.types]
        first, second = rows.read_all().to_pylist()
    assert kinds == ["string", "double", "double", "int64", "date32[day]", "timestamp[us, tz=UTC]"]
    assert first["u"] == "6f0c7a62-52c4-4f5c-9fc0-3f5b9d6c8f10"
    assert (first["n"], first["free"], first["whole"]) == (12.5, 1000.0, 123456789012)
    assert first["t"] == dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC)
    assert np.isnan(second.pop("n"))
    assert set(second.values()) == {None}
    with (
        pytest.raises(DataError, match=r"column 'price' has the type money; cast it to numeric"),
        PostgreSQLSource(postgresql, "dear").reader(),
    ):
        pass


def test_transactions_give_the_same_rfm_from_everywhere(kind, tmp_path, postgresql, cdnow_sample):
    expected = lw.rfm_summary(cdnow_sample).to_pandas()
    sink, source = place(kind, tmp_path, postgresql)
    sink.write(pa.Table.from_pandas(cdnow_sample, preserve_index=False).to_reader(), "one")
    names = ["customer_id", "date", "amount"]
    with source.transactions(names) as rows:
        pd.testing.assert_frame_equal(lw.rfm_summary(rows, *names).to_pandas(), expected)
    with source.transactions(names) as rows:  # put aside on disk
        pd.testing.assert_frame_equal(lw.rfm_summary(rows, *names, memory_limit="1MB").to_pandas(), expected)


def test_numeric_amounts_of_postgresql(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE orders AS SELECT 'c' || i % 7 AS who, date '2026-01-01' + i AS day, (i * 1.25)::numeric(9, 2) AS "
        "paid FROM generate_series(1, 100) i",
    )
    with PostgreSQLSource(postgresql, "orders").transactions(["who", "day", "paid"]) as rows:
        rfm = lw.rfm_summary(rows, "who", "day", "paid")
    assert rfm.past_spend.sum() == float(sum(Decimal(i) * Decimal("1.25") for i in range(1, 101)))


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_a_query_takes_values_as_parameters(kind, tmp_path, postgresql):
    sink, _ = place(kind, tmp_path, postgresql)
    sink.write(stream(TABLE), "one")
    where = {"uri": postgresql} if kind == "postgresql" else {"path": str(tmp_path / "shop.duckdb")}
    maker = PostgreSQLSource if kind == "postgresql" else DuckDBSource
    sql = "SELECT * FROM scores WHERE customer_id = $1 OR value > $2 -- both"
    source = maker(**where, query=sql, parameters=("a' OR 1 = 1 --", 1.0))
    assert [row["customer_id"] for row in content(source, ["value", "customer_id"])] == ["b"]
    with pytest.raises(DataError, match="has no column 'none'"):
        content(source, ["none"])
    with pytest.raises(UsageError, match="by a table or by a query"):
        content(maker(**where))
    # What is read cannot be written to by the way.
    with pytest.raises((SourceError, UsageError)):
        content(maker(**where, query="DELETE FROM scores"))
    assert len(content(maker(**where, table="scores"))) == 3


def test_duckdb_in_memory_reads_files(tmp_path):
    pq.write_table(TABLE, tmp_path / "t.parquet")
    source = DuckDBSource(":memory:", query="SELECT * FROM read_parquet($1)", parameters=(str(tmp_path / "t.parquet"),))
    assert content(source) == TABLE.to_pylist()
    assert source.fingerprint() == []


def test_a_fingerprint_notices_a_change(tmp_path):
    sink, source = place("parquet", tmp_path, None)
    sink.write(stream(TABLE), "one")
    before = source.fingerprint()
    assert source.fingerprint() == before
    sink.write(stream(TABLE.slice(1)), "one")
    assert source.fingerprint() != before


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_what_is_not_there_is_one_sentence(kind, tmp_path, postgresql):
    sink, _ = place(kind, tmp_path, postgresql)
    sink.write(stream(TABLE), "one")
    _, missing = place(kind, tmp_path, postgresql, table="none")
    with pytest.raises(SourceError, match="does not exist") as caught:
        content(missing)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("postgresql://ann:topsecret@localhost:1/shop", "Connection refused"),
        ("host=localhost port=1 password=topsecret", "Connection refused"),
    ],
)
def test_no_sentence_holds_a_password(uri, reason):
    with pytest.raises(SourceError, match=reason) as caught:
        content(PostgreSQLSource(uri, "scores"))
    with pytest.raises(SourceError, match=reason) as written:
        PostgreSQLSink(uri, "scores").write(stream(TABLE), "one")
    for text in (str(caught.value), str(written.value), repr(PostgreSQLSource(uri, "scores"))):
        assert "topsecret" not in text
        assert "\n" not in text


def test_what_a_server_says_becomes_a_sentence():
    said = 'NOT_FOUND: Failed to prepare query: ERROR:  relation "t" does not exist\nLINE 1: x\n   ^\n\nQuery was: x'
    assert str(failed("PostgreSQL shop", Exception(said))) == 'PostgreSQL shop: relation "t" does not exist.'
    said = 'ALREADY_EXISTS: x: ERROR:  duplicate key "u"\nDETAIL:  Key (id)=(c-42) already exists.\n. SQLSTATE: 23505'
    assert str(failed("PostgreSQL shop", Exception(said))) == 'PostgreSQL shop: duplicate key "u".'
    said = 'IO: x: ERROR:  invalid input syntax for type integer: "c-42"\n. SQLSTATE: 22P02'
    assert str(failed("PostgreSQL shop", Exception(said))) == "PostgreSQL shop: invalid input syntax for type integer."
    with pytest.raises(UsageError):
        quoted("a", "b\0")


def test_paths_that_make_no_sense():
    with pytest.raises(UsageError, match=re.escape("scores.xlsx ends in neither .parquet nor .csv: give a file")):
        FilesSink("scores.xlsx")
    with pytest.raises(UsageError, match="to append, give a folder"):
        FilesSink("scores.csv", "append")


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for sink in (FilesSink(str(tmp_path / "file" / "s.parquet")), DuckDBSink(str(tmp_path / "file" / "d"), "t")):
        with pytest.raises(SourceError):
            sink.write(stream(TABLE), "one")
