"""Fits: time, cold start and memory, beside pymc-marketing with nutpie in the same run, answers compared first.

python -m benchmarks.fit                 # ours, and pymc-marketing on CDNOW's sample (2 minutes)
python -m benchmarks.fit --rival-large   # and on 100,000 customers (a quarter of an hour)
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
TRUTH = {"r": 0.25, "alpha": 31.0, "a": 0.8, "b": 2.5}  # alpha in days
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}
REPEATS = 5


def simulated(customers: int, unit: str, seed: int = 1) -> lw.RFM:
    """BG/NBD x Gamma-Gamma customers acquired evenly over a year, counted by day ("D") or by week ("W")."""
    days = 7.0 if unit == "W" else 1.0
    age = np.random.default_rng(seed).integers(1, 366, customers).astype(float)
    keys = np.arange(customers, dtype=np.uint64)
    purchases, spend = FAMILIES["bg_nbd"].kernels, FAMILIES["gamma_gamma"].kernels
    counts, times, *_ = purchases.simulate_history(np.array([list(TRUTH.values())]), age, keys, np.uint64(seed))
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


def fits() -> None:
    """Warm fits, with their certificates."""
    tables = {"CDNOW's sample": cdnow()}
    tables |= {f"1,000,000 by {word}": simulated(1_000_000, unit) for word, unit in (("week", "W"), ("day", "D"))}
    for name, table in tables.items():
        for model in (lw.BetaGeo(), lw.GammaGamma()):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            fit = model.fit(table, "laplace")
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            median, least = seconds(lambda model=model, table=table: model.fit(table, "laplace"))
            figures = f"k-hat {fit.diagnostics.k_hat:.2f}, effective {fit.diagnostics.ess:,.0f}, peak +{grown:,.0f} MB"
            rows = len(model.family.rows(table).counts)
            print(f"{name}, {model.family.label}: {median:.3f} s (least {least:.3f}), {rows:,} rows, {figures}")


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
        whole, _ = seconds(lambda: _run(code))
        bare, _ = seconds(lambda: _run("import pandas, numba, scipy"))
        print(f"load, fit and save: {whole:.2f} s, {whole - bare:.2f} s beyond the imports alone ({bare:.2f} s)")
        for name in FAMILIES:
            with tempfile.TemporaryDirectory() as cache:
                compiling = (
                    "import time; from lifeworth.families import FAMILIES; "
                    f"k = FAMILIES[{name!r}].kernels; start = time.perf_counter(); "
                    "k.log_likelihood_sum_gradient.compile(); k.log_likelihood_sum_draws.compile(); "
                    "print(time.perf_counter() - start)"
                )
                taken = float(_run(compiling, NUMBA_CACHE_DIR=cache))
                print(f"fit kernels of {FAMILIES[name].label}, cold: {taken:.1f} s")


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
    """Run all of it."""
    fits()
    processes()
    rival(cdnow(), "2,357 customers")
    if "--rival-large" in sys.argv:
        rival(simulated(100_000, "D"), "100,000 customers")


if __name__ == "__main__":
    main()
