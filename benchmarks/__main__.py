"""Time lifeworth beside its rivals, in one run, after their answers have been compared.

    python -m benchmarks

What counts is the ratio: both sides see the same machine, the same data and the same minute.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import lifeworth as lw

REPEATS = 5


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """First call, with whatever it compiles, and the median of the calls after it."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times[0], statistics.median(times[1:])


def rfm() -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
    """CDNOW's 69,659 purchases to an RFM table, by day."""
    from pymc_marketing.clv import rfm_summary

    data = lw.load_cdnow()

    def ours() -> pd.DataFrame:
        return lw.rfm_summary(data, time_unit="D").to_pandas()

    def theirs() -> pd.DataFrame:
        return rfm_summary(data, "customer_id", "date", "amount", time_unit="D")

    mine, other = ours(), theirs().sort_values("customer_id", ignore_index=True)
    for name in ("customer_id", "frequency", "recency", "T"):
        np.testing.assert_array_equal(mine[name], other[name])
    np.testing.assert_allclose(mine["monetary_value"], other["monetary_value"], rtol=1e-12)
    return [("RFM table of 23,570 customers", seconds(ours), seconds(theirs))]


def purchases() -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
    """Expected purchases of 2,357 customers under 1,000 draws."""
    import xarray as xr
    from pymc_marketing.clv import BetaGeoModel

    table = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    rng = np.random.default_rng(1)
    known = {"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4}
    draws = {name: value * np.exp(rng.normal(0, 0.05, 1000)) for name, value in known.items()}
    fit = lw.BetaGeo().from_parameters(draws, time_unit="W")
    model = BetaGeoModel()
    frame = table.to_pandas()
    model.build_model(frame)
    posterior = xr.Dataset({k: (("chain", "draw"), v[None, :]) for k, v in draws.items()})
    model.idata = xr.DataTree.from_dict({"posterior": posterior})

    def ours() -> np.ndarray:
        return fit.expected_purchases(table, 39)

    def theirs() -> np.ndarray:
        return model.expected_purchases(frame, future_t=39).mean(("chain", "draw")).to_numpy()

    np.testing.assert_allclose(ours(), theirs(), rtol=1e-8)
    return [("expected purchases, 2,357 customers × 1,000 draws", seconds(ours), seconds(theirs))]


def main() -> None:
    """Run every problem and print the ratios."""
    table = Table("problem", "lifeworth, first", "lifeworth", "pymc-marketing", "times faster", box=None)
    for problem in (rfm, purchases):
        for name, (first, ours), (_, theirs) in problem():
            table.add_row(name, f"{first:.3f} s", f"{ours:.4f} s", f"{theirs:.4f} s", f"{theirs / ours:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
