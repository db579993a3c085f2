"""Tables of databases: only lifeworth's own are emptied or dropped, and every value comes back as it went."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_places import TABLE, content, driver, duckdb, place, run_sql, stream

import lifeworth as lw
from lifeworth.errors import DataError, SourceError
from lifeworth.jobs.sinks import DuckDBSink, PostgreSQLSink
from lifeworth.jobs.sources import PostgreSQLSource

assert driver
assert duckdb

ORDERS = [
    "CREATE TABLE orders (customer_id text, date date, amount numeric(9, 2))",
    "INSERT INTO orders VALUES ('a', '2026-01-05', 5), ('b', '2026-01-06', 7)",
]
LARGE = [0, 5, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("kind", ["parquet", "csv", "duckdb", "postgresql"])
def test_whole_numbers_of_64_bits_come_back_the_same(kind, mode, tmp_path, postgresql):
    sink, source = place(kind, tmp_path, postgresql, mode)
    table = pa.table({"customer_id": pa.array(LARGE, pa.uint64()), "clv": np.arange(7.0)})
    for _ in range(2):
        assert sink.write(stream(table), "one") == 7
    assert sorted(int(row["customer_id"]) for row in content(source, ["customer_id"])) == LARGE
    orders = pd.DataFrame({"customer_id": np.array(LARGE, np.uint64), "date": "2026-01-05", "clv": 1.0})
    with source.transactions(["customer_id", "clv"]) as rows:
        got = (
            lw.RFM.from_frame(pa.table(rows.read_all()).to_pandas().assign(frequency=0, recency=0.0, T=1.0), "W")
            if kind == "postgresql"
            else None
        )
    assert got is None or [int(one) for one in got.customer_id] == sorted(orders["customer_id"])


def test_whole_numbers_below_the_sign_still_fit_a_bigint(postgresql):
    run_sql(postgresql, "CREATE TABLE scores (customer_id bigint, clv float)")
    sink = PostgreSQLSink(postgresql, "scores")
    small = pa.table({"customer_id": pa.array([1, 2**63 - 1], pa.uint64()), "clv": [0.5, 1.0]})
    assert sink.write(stream(small), "one") == 2
    assert run_sql(postgresql, "SELECT customer_id FROM scores ORDER BY 1") == [(1,), (2**63 - 1,)]
    with pytest.raises(SourceError, match="out of range"):
        sink.write(stream(pa.table({"customer_id": pa.array([2**63], pa.uint64()), "clv": [0.5]})), "two")
    assert run_sql(postgresql, "SELECT count(*) FROM scores") == [(2,)]


def test_a_job_keeps_ids_of_64_bits(postgresql, make, shelf, tmp_path):
    orders = pd.read_parquet(shelf / "tx.parquet")
    codes, _ = pd.factorize(orders["customer_id"])
    orders["customer_id"] = np.uint64(2**63) + codes.astype(np.uint64)
    orders.to_parquet(tmp_path / "orders.parquet")
    path = make(source={"path": "orders.parquet"}, sink={"postgresql": postgresql, "table": "scores"})
    lw.run_job(lw.read_job(path))
    assert run_sql(postgresql, "SELECT min(customer_id), max(customer_id) FROM scores") == [
        (str(2**63), str(int(orders["customer_id"].max())))
    ]


def test_numbers_of_many_digits_are_read_as_they_are(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE wide (id numeric(20, 0), wider numeric(38, 0), free numeric)",
        "INSERT INTO wide VALUES (18446744073709551615, -12345678901234567890123456789012345678, 9007199254740992)",
    )
    (row,) = content(PostgreSQLSource(postgresql, "wide"))
    assert row == {
        "id": Decimal(2**64 - 1),
        "wider": Decimal("-12345678901234567890123456789012345678"),
        "free": 2.0**53,
    }
    run_sql(postgresql, "INSERT INTO wide (free) VALUES (9007199254740993)")
    with pytest.raises(DataError, match=r"Column 'free' contains whole numbers of more than 15 digits.*cast it"):
        content(PostgreSQLSource(postgresql, "wide"))


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_table_of_somebody_else_is_not_replaced(postgresql, mode):
    run_sql(postgresql, *ORDERS)
    sink = PostgreSQLSink(postgresql, "orders", mode=mode)
    with pytest.raises(SourceError, match=r"was not created by lifeworth|has no column"):
        sink.write(stream(TABLE), "one")
    assert run_sql(postgresql, "SELECT customer_id FROM orders ORDER BY 1") == [("a",), ("b",)]


def test_a_table_with_more_columns_is_somebody_elses_until_its_comment_says_so(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE customers (customer_id text, count int, value float, email text)",
        "INSERT INTO customers VALUES ('a', 1, 2.0, 'a@example.org')",
        "COMMENT ON TABLE customers IS 'It''s \\ ours'",
    )
    sink = PostgreSQLSink(postgresql, "customers")
    with pytest.raises(SourceError, match=r"""COMMENT ON TABLE "public"\."customers" IS 'written by lifeworth'"""):
        sink.write(stream(TABLE), "one")
    assert run_sql(postgresql, "SELECT email FROM customers") == [("a@example.org",)]
    run_sql(postgresql, "COMMENT ON TABLE customers IS 'Scores, Written by Lifeworth'")
    assert sink.write(stream(TABLE), "one") == 3
    run_sql(postgresql, "TRUNCATE customers", "COMMENT ON TABLE customers IS 'It''s \\ ours'")
    for _ in range(2):  # without rows, there is nothing to lose, and the table is marked
        assert sink.write(stream(TABLE), "one") == 3
    assert run_sql(postgresql, "SELECT obj_description('customers'::regclass)") == [
        ("It's \\ ours (written by lifeworth)",)
    ]


def test_exactly_the_columns_written_are_enough(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE scores (value float, count bigint, customer_id text)",
        "INSERT INTO scores VALUES (1.0, 1, 'z')",
    )
    assert PostgreSQLSink(postgresql, "scores").write(stream(TABLE), "one") == 3
    assert content(PostgreSQLSource(postgresql, "scores"), TABLE.column_names) == TABLE.to_pylist()


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_view_is_no_table(postgresql, mode):
    run_sql(
        postgresql,
        "CREATE TABLE people (run_id text, customer_id text, count bigint, value float)",
        "INSERT INTO people VALUES ('one', 'a', 1, 1.0)",
        "CREATE VIEW scores AS SELECT * FROM people",
    )
    with pytest.raises(SourceError, match="is a view, not a table"):
        PostgreSQLSink(postgresql, "scores", mode=mode).write(stream(TABLE), "one")
    assert run_sql(postgresql, "SELECT count(*) FROM people") == [(1,)]


@pytest.mark.parametrize("schema", [None, "public"])
@pytest.mark.parametrize("name", ["lifeworth_rows", "scores"])
def test_no_name_clashes_with_that_of_staged_rows(postgresql, name, schema):
    run_sql(postgresql, f"CREATE TABLE {name} (customer_id varchar(9), count int, value numeric(9, 3))")
    sink = PostgreSQLSink(postgresql, name, schema)
    for _ in range(2):
        assert sink.write(stream(TABLE), "one") == 3
        assert run_sql(postgresql, f"SELECT count(*) FROM public.{name}") == [(3,)]


def test_rows_that_a_trigger_swallows_are_noticed(postgresql):
    run_sql(
        postgresql,
        "CREATE TABLE scores (customer_id text, count bigint, value float)",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF NEW.customer_id = ''b'' THEN RETURN NULL; END IF; RETURN NEW; END'",
        "CREATE TRIGGER less BEFORE INSERT ON scores FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    with pytest.raises(SourceError, match="has 2 rows after 3 were written"):
        PostgreSQLSink(postgresql, "scores").write(stream(TABLE), "one")
    assert run_sql(postgresql, "SELECT count(*) FROM scores") == [(0,)]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("customer_id text, count bigint, value bigint", "column 'value' is bigint and would change 2 values"),
        ("customer_id text, count bigint, value numeric(12, 0)", r"'value' is numeric\(12,0\) and would change 2"),
        ("customer_id char(4), count bigint, value float", r"'customer_id' is character\(4\) and would change 3"),
        ("customer_id varchar(1), count smallint, value numeric(12, 2)", None),
        ("customer_id text, count numeric, value real", None),
        ("customer_id text, count text, value text", None),
    ],
)
def test_types_that_would_change_values_are_refused(postgresql, columns, reason):
    run_sql(postgresql, f"CREATE TABLE scores ({columns})")
    sink = PostgreSQLSink(postgresql, "scores")
    if reason is None:
        assert sink.write(stream(TABLE), "one") == 3
        return
    with pytest.raises(SourceError, match=reason):
        sink.write(stream(TABLE), "one")
    assert run_sql(postgresql, "SELECT count(*) FROM scores") == [(0,)]


def test_an_id_that_a_type_would_change_is_refused(postgresql):
    run_sql(postgresql, "CREATE TABLE scores (customer_id bigint, value float)")
    with pytest.raises(SourceError, match="'customer_id' is bigint and would change 1 values"):
        PostgreSQLSink(postgresql, "scores").write(
            stream(pa.table({"customer_id": ["7", "007"], "value": [1.0, 2]})), "r"
        )
    run_sql(postgresql, "DROP TABLE scores", "CREATE TABLE scores (customer_id float, value float)")
    large = pa.table({"customer_id": [5, 2**53 + 1], "value": [1.0, 2.0]})
    with pytest.raises(SourceError, match="'customer_id' is double precision and would change 1 values"):
        PostgreSQLSink(postgresql, "scores").write(stream(large), "r")


def test_duckdb_tables_are_owned_alike(tmp_path):
    path = str(tmp_path / "shop.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 'a' AS customer_id, DATE '2026-01-05' AS date, 5.0 AS amount")
        connection.execute("CREATE TABLE scores AS SELECT 1.0 AS value, 2 AS count, 'z' AS customer_id")
    for name in ("orders", "ORDERS"):
        with pytest.raises(SourceError, match="was not created by lifeworth"):
            DuckDBSink(path, name).write(stream(TABLE), "one")
    assert DuckDBSink(path, "scores").write(stream(TABLE), "one") == 3
    assert DuckDBSink(path, "lifeworth_rows").write(stream(TABLE), "one") == 3
    wider = TABLE.append_column("more", pa.array([1.0, 2.0, 3.0]))
    assert DuckDBSink(path, "scores").write(stream(wider), "two") == 3  # it is marked by now
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchall() == [(1,)]
        connection.execute("CREATE TABLE log (run_id text, customer_id text, count int, value int)")
    with pytest.raises(SourceError, match="column 'value' is INTEGER and would change 2 values"):
        DuckDBSink(path, "log", mode="append").write(stream(TABLE), "one")
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE log ALTER value TYPE FLOAT")
    assert DuckDBSink(path, "log", mode="append").write(stream(TABLE), "one") == 3
