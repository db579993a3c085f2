"""Spark: how time grows with rows and with cores, the answers held against those of one process first.

    python -m benchmarks.spark                              # 100,000 and 400,000 customers, on one core and on two
    python -m benchmarks.spark --customers 1000000 --cores 2

The first job of a session pays for its Python workers (imports, and machine code from the cache); it is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measured(customers: int, cores: int, folder: str) -> dict[str, float]:
    """Seconds of RFM, of the fit's input and of scores, on so many cores of this machine."""
    from pyspark.sql import SparkSession

    import lifeworth as lw
    from lifeworth import spark as on_spark

    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "2g")
        .config("spark.sql.shuffle.partitions", str(4 * cores))
        .config("spark.sql.warehouse.dir", f"{folder}/warehouse")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    shop = session.read.parquet(f"{folder}/{customers}.parquet")
    on_spark.rfm_summary(shop.limit(1000)).frame.count()
    times = {"rows": float(shop.count())}

    def timed(name: str, call):
        begun = time.perf_counter()
        found = call()
        times[name] = time.perf_counter() - begun
        return found

    rfm = on_spark.rfm_summary(shop, observation_end="2026-01-01")
    rfm.frame.cache()
    timed("rfm", rfm.frame.count)
    clv = timed("fit", lambda: on_spark.fit_clv(rfm))
    scores = on_spark.predict(clv, rfm, "12M")
    timed("scores", lambda: scores.write.mode("overwrite").parquet(f"{folder}/scores"))
    local = rfm.to_local()
    assert local.to_pandas().equals(
        lw.rfm_summary(f"{folder}/{customers}.parquet", observation_end="2026-01-01").to_pandas()
    )
    session.stop()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, nargs="+", default=[100_000, 400_000])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measured(int(given.child[0]), int(given.child[1]), given.child[2])))
        return
    import lifeworth as lw

    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    with tempfile.TemporaryDirectory(prefix="lifeworth-benchmark-") as folder:
        for customers in given.customers:
            table = lw.simulate_transactions(n_customers=customers, seed=1).transactions
            table.to_parquet(Path(folder) / f"{customers}.parquet", index=False, coerce_timestamps="us")
            for cores in given.cores:
                command = [sys.executable, "-m", "benchmarks.spark", "--child", str(customers), str(cores), folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                told = ", ".join(f"{name} {found[name]:.1f} s" for name in ("rfm", "fit", "scores"))
                print(f"{customers:,} customers, {found['rows']:,.0f} rows, {cores} cores: {told}", flush=True)


if __name__ == "__main__":
    main()
