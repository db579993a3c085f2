"""Backtests: time of a whole one on CDNOW, and of a cut-off on a million customers.

python -m benchmarks.backtest                        # CDNOW, 10 cut-offs x 4 models x 6 baselines
python -m benchmarks.backtest --customers 1000000    # a simulated shop, 2 of 52 weekly cut-offs, and what 52 would take
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import pandas as pd

import lifeworth as lw

MODELS = {
    "bg_nbd": lw.BetaGeo(),
    "mbg_nbd": lw.ModifiedBetaGeo(),
    "pareto_nbd": lw.ParetoNBD(),
    "bg_nbd, flat priors": lw.BetaGeo(priors="flat"),
}
BASELINES = ["last_period", "own_rate", "revenue_per_customer", "aov_frequency_duration", "rf_table", "boosting"]


class Watch:
    """Time by the clock and of all cores, by what was being done."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.begun = self.before = (time.perf_counter(), time.process_time())
        self.doing = "reading"

    def __call__(self, what: str, share: float) -> None:
        self.turn(what.split(": ")[-1])

    def turn(self, what: str) -> None:
        now = (time.perf_counter(), time.process_time())
        self.spent[self.doing] = self.spent.get(self.doing, 0.0) + now[1] - self.before[1]
        self.before, self.doing = now, what

    def tell(self, name: str) -> tuple[float, float]:
        self.turn("")
        clock, cores = (now - begun for now, begun in zip(self.before, self.begun, strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{name}: {clock:.1f} s by the clock, {cores:.1f} s of cores, {peak:.2f} GB at most")
        for what, seconds in sorted(self.spent.items(), key=lambda item: -item[1]):
            if what:
                print(f"  {what:28s} {seconds:8.2f} s of cores")
        return clock, cores


def run(name: str, data: Any, cutoffs: Any, horizon: str, **options: Any) -> tuple[lw.Backtest, float, float]:
    """One backtest, timed."""
    watch = Watch()
    bt = lw.backtest(data, cutoffs, horizon, progress=watch, **options)
    clock, cores = watch.tell(name)
    return bt, clock, cores


def cdnow() -> None:
    """Kernels are compiled by a small run first, which is told too."""
    options = {"models": MODELS, "baselines": BASELINES}
    run(
        "first run, with what compiling there is left: 1/10 sample, 2 cut-offs",
        lw.load_cdnow(sample=True),
        2,
        "13W",
        **options,
    )
    bt, _, _ = run("CDNOW, 10 cut-offs x 4 models x 6 baselines", lw.load_cdnow(), 10, "13W", **options)
    print(
        bt.summary("value")[["kind", "cutoffs", "bias", "mae", "nmae", "money_found", "coverage"]].round(3).to_string()
    )


def large(customers: int, count: int) -> None:
    """Two years of a shop, its last weekly cut-offs with 13 weeks to foretell; one model, all baselines but trees."""
    print(f"simulating {customers:,} customers")
    shop = lw.simulate_transactions(customers, seed=1, resolution="D", end="2025-12-31").transactions
    print(f"{len(shop):,} transactions")
    options = {"models": ["bg_nbd"], "baselines": BASELINES[:-1], "keep_predictions": False, "bootstrap": 20}
    run("first run: 1 cut-off on a tenth", shop[shop["customer_id"] % 10 == 0], 1, "13W", **options)
    dates = [f"{day:%Y-%m-%d}" for day in pd.date_range("2025-10-01", periods=count, freq="-7D")]
    _, clock, cores = run(f"{count} weekly cut-offs", shop, dates, "13W", **options)
    year = 52 / count / 60
    print(f"a year of weekly cut-offs at this pace: {clock * year:.0f} minutes, {cores * year:.0f} of cores")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, help="a simulated shop of so many, in place of CDNOW")
    parser.add_argument("--cutoffs", type=int, default=2, help="how many of its weekly cut-offs are run")
    arguments = parser.parse_args()
    if arguments.customers is None:
        cdnow()
    else:
        large(arguments.customers, arguments.cutoffs)


if __name__ == "__main__":
    main()
