"""RFM tables of more rows than memory holds, and of so many that time per row must stay what it was.

    python -m benchmarks.large spill     # 200 million rows of Parquet, in bounded memory
    python -m benchmarks.large memory    # 10, 50 and 100 million rows in memory: seconds a row
    python -m benchmarks.large csv       # 5 million rows of CSV, beside Polars

Every measurement is a fresh process, whose peak memory the system tells (VmHWM). CPU time stands beside wall time:
on a machine that others use, it is what the work costs. The cache of machine code is warm.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SPILL_ROWS, SPILL_CUSTOMERS = 200_000_000, 20_000_000
PIECE = 10_000_000
MEMORY_ROWS = (10_000_000, 50_000_000, 100_000_000)
CSV_ROWS = 5_000_000
DAYS = 1_095
FIRST_DAY = np.datetime64("2022-01-01", "s").astype(np.int64)


def purchases(seed: int, rows: int, customers: int) -> pa.Table:
    """Shuffled purchases: few of most customers, many of some."""
    rng = np.random.default_rng(seed)
    who = (customers * rng.random(rows) ** 1.5).astype(np.int64)
    when = FIRST_DAY + rng.integers(0, DAYS * 86_400, rows)
    cents = rng.gamma(2.0, 1_500.0, rows).astype(np.int64) + 1
    return pa.table({"customer_id": who, "date": when.view("datetime64[s]"), "amount": cents / 100})


def peak_memory() -> int:
    """The most memory this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(*arguments: str) -> dict[str, float]:
    """What a fresh process measures."""
    command = [sys.executable, "-m", "benchmarks.large", "--child", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def measure(task: str, source: str, memory_limit: str) -> dict[str, float]:
    """Do one task in this process."""
    import lifeworth as lw

    lw.rfm_summary(purchases(0, 100_000, 10_000))  # machine code is loaded, and ids of both kinds are known
    data = source
    if task == "memory":
        rows = int(source)
        data = purchases(1, rows, rows // 10)
    before = peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    if task == "polars":
        import polars as pl

        frame = pl.read_csv(source, try_parse_dates=True)
        by_day = frame.group_by("customer_id", pl.col("date").dt.date()).agg(pl.col("amount").sum()).sort("date")
        table = by_day.group_by("customer_id").agg(
            pl.len() - 1, pl.col("date").first().alias("first"), pl.col("date").last().alias("last"),
            pl.col("amount").sum().alias("spend"), pl.col("amount").first().alias("first_spend"),
        )  # fmt: skip
        rows, customers = len(frame), len(table)
    else:
        table = lw.rfm_summary(data, memory_limit=memory_limit or None)
        rows, customers = table.audit.rows_in, len(table)
    return {
        "rows": rows,
        "customers": customers,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "before": before,
        "peak": peak_memory(),
    }


def tell(name: str, got: dict[str, float]) -> None:
    """One line of figures."""
    print(
        f"{name}: {got['rows']:,} rows, {got['customers']:,} customers, {got['wall']:.1f} s "
        f"({got['cpu']:.1f} s of CPU), {got['rows'] / got['wall'] / 1e6:.1f} million rows/s, "
        f"{1e9 * got['wall'] / got['rows']:.1f} ns a row ({1e9 * got['cpu'] / got['rows']:.1f} of CPU), "
        f"peak {got['peak'] / 2**30:.2f} GiB (before: {got['before'] / 2**30:.2f})",
        flush=True,
    )


def spill(folder: Path, rows: int, memory_limit: str) -> None:
    """Write Parquet piece by piece, and make a table of it in bounded memory."""
    for part in range(rows // PIECE):
        table = purchases(part, PIECE, SPILL_CUSTOMERS * rows // SPILL_ROWS)
        pq.write_table(table, folder / f"part-{part:03}.parquet", row_group_size=1 << 20)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{rows:,} rows of Parquet, {size / 2**30:.2f} GiB; memory_limit={memory_limit}", flush=True)
    tell("spilled", child("spill", str(folder), memory_limit))


def csv(folder: Path) -> None:
    """Read a CSV file with dates as text."""
    import pyarrow.csv

    path = folder / "purchases.csv"
    pyarrow.csv.write_csv(purchases(0, CSV_ROWS, CSV_ROWS // 10), path)
    days = folder / "days.csv"
    table = purchases(0, CSV_ROWS, CSV_ROWS // 10)
    pyarrow.csv.write_csv(table.set_column(1, "date", table["date"].cast(pa.date32(), safe=False)), days)
    for name, file in (("by second", path), ("by day", days)):
        tell(f"lifeworth, CSV {name}", child("csv", str(file), ""))
        tell(f"Polars, CSV {name}", child("polars", str(file), ""))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", choices=["spill", "memory", "csv", "polars"])
    parser.add_argument("--folder", default=None, help="where files go meanwhile; default, the temporary folder")
    parser.add_argument("--rows", type=int, default=SPILL_ROWS)
    parser.add_argument("--memory-limit", default="3GB")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    known, rest = parser.parse_known_args()
    if known.child:
        print(json.dumps(measure(known.problem, *rest)))
        return
    with tempfile.TemporaryDirectory(dir=known.folder) as name:
        if known.problem == "spill":
            spill(Path(name), known.rows, known.memory_limit)
        elif known.problem == "csv":
            csv(Path(name))
        else:
            for rows in MEMORY_ROWS:
                tell("in memory", child("memory", str(rows), ""))


if __name__ == "__main__":
    main()
