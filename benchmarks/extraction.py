"""Time RFM extraction beside Polars, DuckDB and pymc-marketing, in one run, after their answers have been compared.

    python -m benchmarks.extraction [--rows 10_000_000] [--kinds numbers sparse text uuid binary sorted in-time]
                                    [--pymc-marketing] [--cold]

The input is in memory as an Arrow table: shuffled purchases, two in five customers, times to the second over 700
days. Rivals run the fastest query for the same columns that we could write; ours returns them sorted by customer
as well. Every figure is the best of a few runs, for the machine's other work only ever adds to it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import lifeworth as lw

RUNS = 5
DAY = 86_400_000_000
START = 18_519 * DAY
COLUMNS = ("frequency", "recency", "T", "monetary_value", "past_spend")


def purchases(rows: int, kind: str) -> pa.Table:
    """Purchases with ids of a kind; the customers behind them are the same for all kinds."""
    rng = np.random.default_rng(1)
    customers = max(rows * 2 // 5, 1)
    number = rng.integers(0, customers, rows)
    when = rng.integers(0, 700 * 86_400, rows) * 1_000_000 + START
    amount = rng.gamma(2.0, 10.0, rows).round(2)
    if kind in ("sorted", "in-time"):
        order = np.argsort(number if kind == "sorted" else when, kind="stable")
        number, when, amount = number[order], when[order], amount[order]
    ids: Any = pa.array(number)
    if kind == "sparse":
        ids = pa.array(number * 2_862_933_555_777)
    elif kind == "text":
        ids = ids.cast(pa.string())
    elif kind in ("binary", "uuid"):
        names = pa.Array.from_buffers(pa.binary(16), customers, [None, pa.py_buffer(rng.bytes(16 * customers))])
        if kind == "uuid":
            names = pa.array([name.hex() for name in names.to_pylist()])
            names = pa.array([f"{n[:8]}-{n[8:12]}-{n[12:16]}-{n[16:20]}-{n[20:]}" for n in names.to_pylist()])
        ids = names.take(ids)
    return pa.table({"customer_id": ids, "date": when.astype("datetime64[us]"), "amount": amount})


def with_polars(table: pa.Table) -> Callable[[], Any]:
    """Return the query in Polars: net by day, then by customer."""
    import polars as pl

    frame = pl.from_arrow(table)
    end = frame["date"].max().date()

    def query() -> Any:
        spent = pl.col("past_spend") - pl.col("first_spend")
        return (
            frame.lazy()
            .group_by("customer_id", pl.col("date").dt.date().alias("day"))
            .agg(pl.col("amount").sum())
            .group_by("customer_id")
            .agg(
                (pl.len() - 1).alias("frequency"),
                pl.col("day").min().alias("first"),
                pl.col("day").max().alias("last"),
                pl.col("amount").sum().alias("past_spend"),
                pl.col("amount").sort_by("day").first().alias("first_spend"),
            )
            .select(
                "customer_id",
                "frequency",
                ((pl.col("last") - pl.col("first")).dt.total_days() / 7).alias("recency"),
                ((pl.lit(end) - pl.col("first")).dt.total_days() / 7).alias("T"),
                pl.when(pl.col("frequency") > 0).then(spent / pl.col("frequency")).otherwise(0.0)
                .alias("monetary_value"),
                "past_spend",
            )
            .collect()
        )  # fmt: skip

    return query


def with_duckdb(table: pa.Table) -> Callable[[], Any]:
    """Return the query in DuckDB: net by day, then by customer."""
    import duckdb

    connection = duckdb.connect()
    connection.register("purchases", table)
    end = date.fromisoformat(str(np.max(table["date"].to_numpy()).astype("datetime64[D]")))
    text = f"""
        with days as (
            select customer_id, date::date as day, sum(amount) as amount from purchases group by 1, 2
        )
        select customer_id, count(*) - 1 as frequency, (max(day) - min(day)) / 7.0 as recency,
            (date '{end}' - min(day)) / 7.0 as "T",
            case when count(*) > 1 then (sum(amount) - arg_min(amount, day)) / (count(*) - 1) else 0 end
                as monetary_value,
            sum(amount) as past_spend
        from days group by 1
    """
    return lambda: connection.sql(text).to_arrow_table()


def ours(table: pa.Table) -> Callable[[], Any]:
    """Return our call."""
    return lambda: lw.rfm_summary(table)


def compare(mine: lw.RFM, other: Any) -> None:
    """Stop unless another system's table says the same."""
    theirs = other.to_pandas().sort_values("customer_id", ignore_index=True)
    assert mine.customer_id.tolist()[:1000] == theirs["customer_id"].tolist()[:1000]
    assert len(mine) == len(theirs)
    for name in COLUMNS:
        # Sums in other orders, and differences of sums where the first purchase is taken out again.
        np.testing.assert_allclose(getattr(mine, name), theirs[name].to_numpy(), rtol=1e-9, atol=1e-9)


def best(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor time of the best run."""
    wall, processor = [], []
    for _ in range(RUNS):
        start, start_processor = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    return min(wall), min(processor)


def peak_beyond_input(table: pa.Table) -> float:
    """How much more memory our call takes at its peak, as a multiple of the input."""
    if not os.path.exists("/proc/self/clear_refs"):  # noqa: PTH110 - another system than Linux
        return float("nan")

    def status(field: str) -> int:
        with open("/proc/self/status") as lines:  # noqa: PTH123
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")
    before = status("VmRSS")
    lw.rfm_summary(table)
    return (status("VmHWM") - before) / table.nbytes


def beside_pymc_marketing(rows: int = 2_500_000) -> None:
    """Compare with pymc-marketing's rfm_summary."""
    from pymc_marketing.clv import rfm_summary

    frame = purchases(rows, "numbers").to_pandas()

    def theirs() -> pd.DataFrame:
        return rfm_summary(frame, "customer_id", "date", "amount", time_unit="D")

    start = time.perf_counter()
    table = theirs().sort_values("customer_id", ignore_index=True)
    other = time.perf_counter() - start
    mine = lw.rfm_summary(frame, time_unit="D").to_pandas()
    for name in ("customer_id", "frequency", "recency", "T"):
        np.testing.assert_array_equal(mine[name], table[name])
    np.testing.assert_allclose(mine["monetary_value"], table["monetary_value"], rtol=1e-12)
    wall, _ = best(lambda: lw.rfm_summary(frame, time_unit="D"))
    print(f"{rows:,} rows: lifeworth {wall:.3f} s, pymc-marketing {other:.1f} s, {other / wall:.0f} times")


def first_call(cache: str) -> tuple[float, float]:
    """Seconds of the first and of the second call in a new process, beyond imports, with bytecode as when installed."""
    program = (
        "import time, numpy, pandas, numba, pyarrow, lifeworth as lw\n"
        "frame = lw.load_cdnow(sample=True); lw.rfm_summary\n"
        "start = time.perf_counter(); lw.rfm_summary(frame); first = time.perf_counter() - start\n"
        "start = time.perf_counter(); lw.rfm_summary(frame); print(first, time.perf_counter() - start)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPYCACHEPREFIX": f"{cache}/bytecode"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    return first, second


def main() -> None:
    """Run and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    kinds = ["numbers", "sparse", "text", "uuid", "binary", "sorted", "in-time"]
    parser.add_argument("--kinds", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--pymc-marketing", action="store_true")
    parser.add_argument("--cold", action="store_true", help="compile time of the first call as well")
    arguments = parser.parse_args()
    if arguments.cold:
        with tempfile.TemporaryDirectory() as cache:
            cold, _ = first_call(cache)
            cached, warm = first_call(cache)
        print(f"first call: {cold:.1f} s cold, {cached:.2f} s with a cache; second call {warm:.3f} s")
    if arguments.pymc_marketing:
        beside_pymc_marketing()
    table = Table("ids", "lifeworth", "Polars", "DuckDB", "times", "processor", "peak beyond input", box=None)
    for kind in arguments.kinds:
        data = purchases(arguments.rows, kind)
        mine, polars, duckdb = ours(data), with_polars(data), with_duckdb(data)
        compare(mine(), polars())
        compare(mine(), duckdb())
        times = [best(system) for system in (mine, polars, duckdb)]
        (wall, processor), *rivals = times
        rival = min(rivals)
        table.add_row(
            kind,
            *(f"{seconds:.3f} s" for seconds, _ in times),
            f"{rival[0] / wall:.1f}",
            f"{rival[1] / processor:.1f}",
            f"{peak_beyond_input(data):.2f}",
        )
    print(f"{arguments.rows:,} rows; times: the faster rival's over ours, by the clock and by processor time")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
