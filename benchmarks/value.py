"""Predictions and value: time and memory, beside pymc-marketing in the same run, answers compared first.

python -m benchmarks.value                       # 10,000 customers warm, 100,000, and pymc-marketing on 300
python -m benchmarks.value --customers 1000000   # by day, the customer's own intervals, monthly cash flow (minutes)
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lifeworth as lw
from benchmarks.fit import SPEND, TRUTH, simulated

DRAWS = 1000


def posterior(unit: str) -> lw.CLV:
    """As many draws around the truth as a fit keeps."""
    rng = np.random.default_rng(3)
    known = TRUTH["bg_nbd"]
    truth = {**known, "alpha": known["alpha"] / (7 if unit == "W" else 1)}

    def around(values: dict[str, float]) -> dict[str, Any]:
        return {name: value * np.exp(rng.normal(0, 0.02, DRAWS)) for name, value in values.items()}

    purchases = lw.BetaGeo().from_parameters(around(truth), unit)  # type: ignore[arg-type]
    return lw.CLV(purchases, lw.GammaGamma().from_parameters(around(SPEND)))


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a call gives, its seconds by the clock and of all cores."""
    clock, cores = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - clock, time.process_time() - cores


def gigabytes() -> float:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def ours(customers: int, unit: str) -> None:
    """The ways to predict, each with its time and the most memory so far."""
    rfm, clv = simulated(customers, unit), posterior(unit)
    few = rfm.take(np.arange(200))
    for uncertainty in (None, "mean", "customer"):  # compile
        clv.predict_both(few, "12M", 0.1, uncertainty=uncertainty, period="M")  # type: ignore[arg-type]
        clv.predict_both(few, "12M", uncertainty=uncertainty)  # type: ignore[arg-type]
    clv.purchases.expected_purchases(few, "12M")
    print(f"{customers:,} customers x {DRAWS:,} draws, by {unit}; {gigabytes():.2f} GB before")
    ways: dict[str, Callable[[], Any]] = {
        "expected_purchases, means": lambda: clv.purchases.expected_purchases(rfm, "12M"),
        "expectations alone": lambda: clv.predict(rfm, "12M", uncertainty=None),
        "expectations, discounted": lambda: clv.predict(rfm, "12M", 0.1, uncertainty=None),
        "intervals of the mean, discounted": lambda: clv.predict(rfm, "12M", 0.1, uncertainty="mean"),
        "intervals of the customer": lambda: clv.predict(rfm, "12M"),
        "intervals of the customer, discounted": lambda: clv.predict(rfm, "12M", 0.1),
        "the same, and cash flow by month": lambda: clv.predict_both(rfm, "12M", 0.1, period="M"),
    }
    for name, way in ways.items():
        _, clock, cores = timed(way)
        each = clock / customers / DRAWS * 1e9
        print(f"  {name:40s} {clock:8.2f} s  {cores:8.2f} s of cores  {each:7.1f} ns a cell  {gigabytes():.2f} GB")


def rival(customers: int = 300) -> None:
    """pymc-marketing's lifetime value with the same draws, by the month, discounted by the month."""
    rfm, clv = simulated(customers, "D"), posterior("D")
    assert clv.spend is not None
    purchases, spend = clv.purchases.to_pymc_marketing(rfm), clv.spend.to_pymc_marketing(rfm)
    monthly = 1.1 ** (1 / 12) - 1
    frame = rfm.to_pandas()
    theirs, clock, _ = timed(
        lambda: spend.expected_customer_lifetime_value(purchases, frame, 12, monthly, time_unit="D")
    )
    values = np.asarray(theirs.mean(("chain", "draw")))
    horizon = 12 * 30.4375  # its months
    cells = customers * DRAWS
    print(f"pymc-marketing, {customers:,} customers: {clock:.2f} s, {clock / cells * 1e9:,.0f} ns a cell")
    # Its answer is the expectation under each draw: what "mean" is made of, and None is the mean of.
    for what, uncertainty in (("expectations", None), ("their intervals", "mean"), ("customers' own", "customer")):
        clv.predict(rfm, horizon, 0.1, uncertainty=uncertainty)
        mine, own, _ = timed(lambda kind=uncertainty: clv.predict(rfm, horizon, 0.1, uncertainty=kind))
        # Theirs is discounted once a month, at its end: half a month more on average.
        apart = np.abs(values * 1.1 ** (0.5 / 12) / mine["clv"] - 1)
        print(
            f"  ours, {what:16s} {own:8.3f} s, {own / cells * 1e9:6,.0f} ns: {clock / own:8,.0f} times; means apart by "
            f"{np.median(apart):.1e} in the middle, {np.nanmax(apart):.1e} at most"
        )


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int)
    parser.add_argument("--unit", choices=["D", "W"], default="D")
    parser.add_argument("--rival", type=int, help="customers beside pymc-marketing, and nothing else")
    arguments = parser.parse_args()
    if arguments.rival is not None:
        rival(arguments.rival)
        return
    if arguments.customers is not None:
        ours(arguments.customers, arguments.unit)
        return
    rival()
    ours(10_000, arguments.unit)
    ours(100_000, arguments.unit)


if __name__ == "__main__":
    main()
