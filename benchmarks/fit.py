"""Fits: time, cold start and memory, beside pymc-marketing with nutpie in the same run, answers compared first.

python -m benchmarks.fit                 # ours, and pymc-marketing on CDNOW's sample (2 minutes)
python -m benchmarks.fit --rival-large   # and on 100,000 customers (a quarter of an hour)
python -m benchmarks.fit --fits          # some of --fits, --memory, --processes alone
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lifeworth as lw
from lifeworth.families import FAMILIES

SPLIT = "1997-09-30"
# In days.
TRUTH = {
    "bg_nbd": {"r": 0.25, "alpha": 31.0, "a": 0.8, "b": 2.5},
    "mbg_nbd": {"r": 0.5, "alpha": 42.0, "a": 0.8, "b": 2.5},
    "pareto_nbd": {"r": 0.55, "alpha": 74.0, "s": 0.6, "beta": 82.0},
}
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}
REPEATS = 5


def simulated(customers: int, unit: str, seed: int = 1, family: str = "bg_nbd") -> lw.RFM:
    """Customers of a family of purchases x Gamma-Gamma, acquired evenly over a year, by day ("D") or by week ("W")."""
    days = 7.0 if unit == "W" else 1.0
    age = np.random.default_rng(seed).integers(1, 366, customers).astype(float)
    keys = np.arange(customers, dtype=np.uint64)
    purchases, spend = FAMILIES[family].kernels, FAMILIES["gamma_gamma"].kernels
    counts, times, *_ = purchases.simulate_history(np.array([list(TRUTH[family].values())]), age, keys, np.uint64(seed))
    owner = np.repeat(np.arange(customers), counts)
    T = np.ceil(age / days)
    period = np.minimum(np.ceil(times / days), T[owner])
    bought = np.unique(owner * 1000 + period.astype(np.int64))  # purchases of one period are one
    owner, period = bought // 1000, (bought % 1000).astype(float)
    frequency = np.bincount(owner, minlength=customers)
    recency = np.zeros(customers)
    np.maximum.at(recency, owner, period)
    amounts = spend.simulate_amounts(
        np.array([list(SPEND.values())]), keys, frequency.astype(np.int32), np.uint64(seed)
    )
    total = np.bincount(owner, np.maximum(amounts.round(2), 0.01), minlength=customers)
    columns = {"frequency": frequency, "recency": recency, "T": T, "monetary_value": total / np.maximum(frequency, 1)}
    return lw.RFM.from_frame(pd.DataFrame({"customer_id": np.arange(customers), **columns}), unit)  # type: ignore[arg-type]


def cdnow() -> lw.RFM:
    """CDNOW's sample, calibrated to the end of September 1997, in weeks."""
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end=SPLIT)


def seconds(function: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, float]:
    """Median and least time of calls after a first one."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), min(times)


PURCHASES = {"bg_nbd": lw.BetaGeo, "mbg_nbd": lw.ModifiedBetaGeo, "pareto_nbd": lw.ParetoNBD}


def fits() -> None:
    """Warm fits, with their certificates."""
    sample = cdnow()
    for model in (*PURCHASES.values(), lw.GammaGamma):
        _fit("CDNOW's sample", model(), sample)
    for unit, word in (("W", "week"), ("D", "day")):
        for family, model in PURCHASES.items():
            _fit(f"1,000,000 by {word}", model(), simulated(1_000_000, unit, family=family))
        _fit(f"1,000,000 by {word}", lw.GammaGamma(), simulated(1_000_000, unit))


def _fit(name: str, model: Any, table: lw.RFM) -> None:
    """Time, and processor time, which others on the same machine change less."""
    fit = model.fit(table, "laplace")
    start = time.process_time()
    median, least = seconds(lambda: model.fit(table, "laplace"), 3 if len(table) > 10_000 else REPEATS)
    spent = (time.process_time() - start) / (4 if len(table) > 10_000 else REPEATS + 1)
    figures = f"k-hat {fit.diagnostics.k_hat:.2f}, effective {fit.diagnostics.ess:,.0f}"
    rows = len(model.family.rows(table).counts)
    print(
        f"{name}, {model.family.label}: {median:.3f} s (least {least:.3f}, processors {spent:.3f}), "
        f"{rows:,} rows, {figures}",
        flush=True,
    )


_MEMORY = """
import sys
import lifeworth as lw

def megabytes(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1024

table = lw.RFM.read_parquet({table!r})
# What a first fit imports and loads is not memory of this one.
lw.{model}().fit(table.take(list(range(2000))), "laplace")
held = megabytes("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
lw.{model}().fit(table, "laplace")
print(megabytes("VmHWM") - held, held)
"""


def memory() -> None:
    """Peak beyond the table while a million customers are fitted, each in a process of its own (Linux)."""
    with tempfile.TemporaryDirectory() as folder:
        for unit, word in (("W", "week"), ("D", "day")):
            path = str(Path(folder) / f"{unit}.parquet")
            simulated(1_000_000, unit).to_parquet(path)
            for model in ("BetaGeo", "ParetoNBD", "GammaGamma"):
                beyond, held = map(float, _run(_MEMORY.format(table=path, model=model)).split())
                print(f"1,000,000 by {word}, {model}: {beyond:,.0f} MB beyond the {held:,.0f} MB before", flush=True)


_PROCESS = """
import pandas, numba, scipy
import lifeworth as lw
clv = lw.fit_clv(lw.RFM.read_parquet({table!r}))
clv.save({model!r})
import sys
assert not {{"pymc", "arviz_stats", "scipy.stats"}} & set(sys.modules)
"""


def processes() -> None:
    """A process that loads a table, fits and saves, beside one that imports pandas, numba and scipy; then cold."""
    with tempfile.TemporaryDirectory() as folder:
        table = str(Path(folder) / "rfm.parquet")
        cdnow().to_parquet(table)
        code = _PROCESS.format(table=table, model=str(Path(folder) / "model"))
        both: tuple[list[tuple[float, float]], ...] = ([], [])
        for _ in range(REPEATS + 1):
            # In turn, so that both meet the same minutes of the machine; the first of each fills caches.
            for times, what in zip(both, (code, "import pandas, numba, scipy"), strict=True):
                start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
                _run(what)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                times.append((time.perf_counter() - start, spent))
        whole, bare = (np.median(times[1:], axis=0) for times in both)
        for what, mine, least in zip(("seconds", "seconds of processors"), whole, bare, strict=True):
            print(f"load, fit and save: {mine:.2f} {what}, {mine - least:.2f} beyond the imports alone ({least:.2f})")
        for name in FAMILIES:
            with tempfile.TemporaryDirectory() as cache:
                compiling = (
                    "import time; from lifeworth.families import FAMILIES; "
                    f"k = FAMILIES[{name!r}].kernels; start = time.process_time(); "
                    "k.log_likelihood_sum_gradient.compile(); k.log_likelihood_sum_draws.compile(); "
                    "print(time.process_time() - start)"
                )
                taken = float(_run(compiling, NUMBA_CACHE_DIR=cache))
                print(f"fit kernels of {FAMILIES[name].label}, cold: {taken:.1f} s of a processor", flush=True)


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )
    return done.stdout


def rival(table: lw.RFM, name: str) -> None:
    """pymc-marketing's BetaGeoModel by nutpie, 4 x 1,000 draws, under lifeworth's default priors."""
    from pymc_extras.prior import Prior
    from pymc_marketing.clv import BetaGeoModel

    scale = lw.BetaGeo().family.rows(table).scale
    priors = {
        "r": Prior("LogNormal", mu=-0.5, sigma=1.25),
        "alpha": Prior("LogNormal", mu=float(np.log(scale)), sigma=1.25),
        "phi_dropout": Prior("Beta", alpha=1, beta=1),
        "kappa_dropout": Prior("LogNormal", mu=1.0, sigma=1.0),
    }
    model = BetaGeoModel(model_config=priors)
    frame = table.to_pandas()
    start = time.perf_counter()
    model.build_model(frame)
    model.fit(method="mcmc", nuts_sampler="nutpie", draws=1000, chains=4, progressbar=False, random_seed=1)
    theirs = time.perf_counter() - start
    fit = lw.BetaGeo().fit(table, "laplace")
    for parameter, draws in fit.draws.items():
        other = model.idata["posterior"][parameter].to_numpy().ravel()
        # Their draws are worth a few hundred at the least, ours as many as there are.
        error = np.hypot(other.std() / np.sqrt(400), draws.std() / np.sqrt(len(draws)))
        assert abs(draws.mean() - other.mean()) < 3 * error, (parameter, draws.mean(), other.mean())
    ours, _ = seconds(lambda: lw.BetaGeo().fit(table, "laplace"))
    print(f"{name}: pymc-marketing with nutpie {theirs:.1f} s, lifeworth {ours:.3f} s: {theirs / ours:,.0f} times")


def main() -> None:
    """Run all of it, or the parts that are named."""
    parts = {"fits": fits, "memory": memory, "processes": processes}
    wanted = [name for name in parts if f"--{name}" in sys.argv]
    for name in wanted or parts:
        parts[name]()
    if wanted:
        return
    rival(cdnow(), "2,357 customers")
    if "--rival-large" in sys.argv:
        rival(simulated(100_000, "D"), "100,000 customers")


if __name__ == "__main__":
    main()
