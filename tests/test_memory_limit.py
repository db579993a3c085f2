"""memory_limit holds for files that are small on disk only, and for one customer with very many rows."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.errors import DataError
from lifeworth.rfm import source

# Counts a file; prints what was said, and the memory in bytes that this took beyond what importing takes.
MEASURED = """
import resource, sys
import lifeworth as lw
lw.rfm_summary(lw.load_cdnow(sample=True))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(len(lw.rfm_summary(sys.argv[1], memory_limit=sys.argv[2], threads=2)))
except lw.LifeworthError as error:
    print(type(error).__name__, error)
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def measured(path, limit):
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path), limit], capture_output=True, text=True, check=True, timeout=550
    )
    said, taken = done.stdout.splitlines()
    return said, int(taken)


def test_many_rows_of_one_customer_are_refused_before_memory_is_taken(tmp_path):
    n = 1 << 20
    rows = pa.table(
        {
            "customer_id": pa.repeat(pa.scalar(7), n),
            "date": pa.repeat(pa.scalar("2024-01-01").cast(pa.timestamp("s")), n),
            "amount": pa.repeat(pa.scalar(1.0), n),
        }
    )
    with pq.ParquetWriter(tmp_path / "one.parquet", rows.schema, compression="zstd") as writer:
        for _ in range(16):
            writer.write_table(rows)
    assert (tmp_path / "one.parquet").stat().st_size < 1e6  # in memory, 24 bytes for each of 16 million rows
    said, taken = measured(tmp_path / "one.parquet", "100MB")
    assert said.startswith("DataError A single customer, or a few, have more than ")
    assert said.endswith("fit in 100 MB of memory: raise memory_limit, or leave out an id that stands for everybody.")
    assert taken < 200e6  # 100 MB, and what the system has not yet taken back


def test_text_that_unfolds_is_refused_before_it_does(tmp_path):
    text = pa.array(["x" * 2_000_000])
    ids = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), text)
    rows = pa.table(
        {
            "customer_id": ids,
            "date": pa.repeat(pa.scalar("2024-01-01").cast(pa.timestamp("s")), 1000),
            "amount": pa.repeat(pa.scalar(1.0), 1000),
        }
    )
    pq.write_table(rows, tmp_path / "text.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "text.parquet").stat().st_size < 20_000  # in memory, 2 GB
    said, taken = measured(tmp_path / "text.parquet", "100MB")
    assert said.startswith("DataError Rows of ")
    assert "take about 2 MB each in the columns customer_id, date, amount" in said
    assert taken < 200e6


def test_equal_rows_that_fit_are_counted(tmp_path, cdnow_sample, monkeypatch):
    """A file whose size says nothing of what it takes goes through files, with the same table."""
    cdnow_sample.to_parquet(tmp_path / "rows.parquet")
    found = lw.rfm_summary(tmp_path / "rows.parquet", memory_limit="300KB")
    assert found.to_pandas().equals(lw.rfm_summary(cdnow_sample).to_pandas())
    monkeypatch.setattr(source, "_LEAST_BUDGET", 0)  # so that few rows do not fit
    with pytest.raises(DataError, match="A single customer, or a few, have more than"):
        lw.rfm_summary(
            pa.RecordBatchReader.from_batches(
                (table := pa.Table.from_pandas(cdnow_sample.assign(customer_id=1), preserve_index=False)).schema,
                table.to_batches(),
            ),
            memory_limit="300KB",
        )
