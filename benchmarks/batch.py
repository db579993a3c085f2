"""Jobs: a large one on one machine, the start of scoring, and a night beside counting everything anew.

    python -m benchmarks.batch job               # a tenth: 400,000 customers, about a million purchases
    python -m benchmarks.batch job --share 1     # 4 million customers, about 10 million purchases: minutes
    python -m benchmarks.batch start             # scoring in a fresh process beside the bare imports that it needs
    python -m benchmarks.batch night             # the same nights into a table and into one ten times as large

Every measurement is a fresh process. CPU time stands beside wall time: on a machine that others use, it is what the
work costs. The cache of machine code is warm, and so is Python's bytecode, as in an installed package (it is kept in
the benchmark's own folder, also where the environment says that none be written beside the sources).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CUSTOMERS = 4_000_000
JOB = """
name = "benchmark"
[source]
path = "transactions.parquet"
[scores]
horizon = "12M"
[sink]
path = "scores.parquet"
"""
BARE = "import pandas, numba, pyarrow, pyarrow.parquet"
SCORE = """
import lifeworth as lw, sys
clv = lw.load("model")
clv.score("rfm.parquet", "scores.parquet", "12M")
strangers = {"pymc", "arviz", "pytensor", "matplotlib"} & set(sys.modules)
assert not strangers, strangers
"""


def shop(customers: int, folder: Path) -> int:
    """Simulated purchases of so many customers in a Parquet file; how many they are."""
    import lifeworth as lw

    table = lw.simulate_transactions(n_customers=customers, seed=1).transactions
    table.to_parquet(folder / "transactions.parquet", index=False)
    return len(table)


def fresh(code: str, folder: Path) -> tuple[float, float]:
    """Seconds by the clock, and of all cores, of a Python process of its own."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    bytecode = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    bytecode["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=bytecode)
    clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def job(share: float, folder: Path) -> None:
    """RFM, fit and scores with customers' own intervals, Parquet to Parquet."""
    customers = int(CUSTOMERS * share)
    rows = shop(customers, folder)
    (folder / "job.toml").write_text(JOB)
    warm = "from lifeworth import cli; import sys; sys.argv = ['lifeworth', 'warmup']; cli.main()"
    fresh(warm, folder)
    run = "from lifeworth import cli; import sys; sys.argv = ['lifeworth', 'run', 'job.toml']; cli.main()"
    clock, cores = fresh(run, folder)
    account = json.loads(next(folder.glob("runs/benchmark/*/manifest.json")).read_text())
    assert account["output"]["rows"] == account["rfm"]["customers"]
    print(f"{rows:,} purchases of {account['rfm']['customers']:,} customers: {clock:.1f} s, {cores:.1f} s of cores, ")
    print(f"  at most {account['peak_memory_bytes'] / 1e9:.2f} GB")
    for step in account["steps"]:
        print(f"  {step['step']:10s} {step['seconds']:8.1f} s")


def start(folder: Path, repeats: int = 7) -> None:
    """How much later the first thousand customers are scored than the bare imports are done."""
    import lifeworth as lw

    table = lw.rfm_summary(lw.load_cdnow(), observation_end="1997-09-30")
    lw.fit_clv(table, method="laplace").save(folder / "model")
    table.take(np.arange(1000)).to_parquet(folder / "rfm.parquet")
    fresh(BARE, folder)
    fresh(SCORE, folder)  # compiles
    bare, whole = [], []
    for _ in range(repeats):  # in turn: the machine is the same for both
        bare.append(fresh(BARE, folder))
        whole.append(fresh(SCORE, folder))
    for name, found in (("bare imports", bare), ("1,000 customers scored", whole)):
        print(f"{name:24s} {statistics.median(c for c, _ in found):6.2f} s, of cores "
              f"{statistics.median(c for _, c in found):6.2f} s")  # fmt: skip
    gone = [w[0] - b[0] for w, b in zip(whole, bare, strict=True)]
    print(f"{'scoring after imports':24s} {statistics.median(gone):6.2f} s (median of {repeats} pairs)")


def night(share: float, folder: Path, nights: int = 5) -> None:
    """The same nights, of one row in a thousand of the larger table, into a table and into one of ten times the rows.

    Medians; taking in and giving the table apart, beside all rows anew from memory and from their file.
    """
    import pandas as pd

    import lifeworth as lw

    def timed(way) -> tuple[float, object]:
        begun = time.process_time()
        found = way()
        return time.process_time() - begun, found

    for customers in (int(CUSTOMERS * share / 10), int(CUSTOMERS * share)):
        shop(customers, folder)
        table = pd.read_parquet(folder / "transactions.parquet").sort_values("date", ignore_index=True)
        today = int(CUSTOMERS * share / 400)
        before = len(table) - nights * today
        lw.rfm_summary(table.head(100_000))
        for kind in ("whole numbers", "text"):
            if kind == "text":
                table["customer_id"] = "customer-" + table["customer_id"].astype("str")
            state = folder / f"state-{customers}-{kind[:4]}"
            lw.RFMState(state).take_in(table.iloc[:before])
            clocks: dict[str, list[float]] = {"taken in": [], "table": [], "anew": [], "from file": []}
            for last in range(before + today, len(table) + 1, today):
                new, rows = table.iloc[last - today : last], table.iloc[:last]
                rows.to_parquet(folder / "tonight.parquet", index=False)
                clocks["taken in"].append(timed(lambda rows=new, at=state: lw.RFMState(at).take_in(rows))[0])
                for name, way in (
                    ("table", lambda at=state: lw.RFMState(at).table()),
                    ("anew", lambda rows=rows: lw.rfm_summary(rows)),
                    ("from file", lambda: lw.rfm_summary(folder / "tonight.parquet")),
                ):
                    seconds, found = timed(way)
                    clocks[name].append(seconds)
                    if name == "table":
                        wanted = found.to_pandas()
                    assert found.to_pandas().equals(wanted)
            told = ", ".join(f"{name} {statistics.median(found):.3f} s" for name, found in clocks.items())
            print(f"{len(table):,} rows, {today:,} new ones a night, ids {kind}, of cores: {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["job", "start", "night"], nargs="*", default=["job", "start", "night"])
    parser.add_argument("--share", type=float, default=0.1, help="of 4 million customers")
    given = parser.parse_args()
    for what in given.what or ["job", "start", "night"]:
        with tempfile.TemporaryDirectory(prefix="lifeworth-benchmark-") as folder:
            print(f"-- {what}")
            if what == "start":
                start(Path(folder))
            else:
                {"job": job, "night": night}[what](given.share, Path(folder))


if __name__ == "__main__":
    main()
