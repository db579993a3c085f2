"""Public numbers of lifeworth on the CDNOW sample and on a simulated shop, and how they are stored.

`python tests/golden/public_numbers.py` computes all of them and writes `golden.json` beside this file. Run it where a
change of numbers is intended, and say in the commit message which numbers changed and why.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lifeworth as lw
from lifeworth.jobs import read_job, run_job

STORED = Path(__file__).parent / "golden.json"
MODELS = {
    "bg_nbd": lw.BetaGeo,
    "mbg_nbd": lw.ModifiedBetaGeo,
    "pareto_nbd": lw.ParetoNBD,
    "gamma_gamma": lw.GammaGamma,
}
PURCHASES = ("bg_nbd", "mbg_nbd", "pareto_nbd")
KNOWN: dict[str, dict[str, list[float]]] = {
    "bg_nbd": {"r": [0.243, 0.3, 0.2], "alpha": [4.414, 5.0, 3.5], "a": [0.793, 1.2, 0.6], "b": [2.426, 3.0, 1.9]},
    "mbg_nbd": {"r": [0.5, 0.6, 0.45], "alpha": [6.0, 7.0, 5.5], "a": [0.9, 1.1, 0.7], "b": [1.6, 2.0, 1.2]},
    "pareto_nbd": {"r": [0.55, 0.6, 0.5], "alpha": [10.6, 11.0, 9.5], "s": [0.6, 1.3, 0.5], "beta": [11.7, 15.0, 9.0]},
}
_READABLE = 5

Numbers = Iterator[tuple[str, Any]]


def machine() -> dict[str, str]:
    """What machine code and sums depend on: the processor, and the libraries that make and run the code."""
    from llvmlite import binding

    features = binding.get_host_cpu_features().flatten()
    return {
        "processor": f"{platform.machine()} {binding.get_host_cpu_name()}",
        "features": hashlib.blake2b(features.encode(), digest_size=8).hexdigest(),
        "cores": str(os.cpu_count()),  # BLAS shares a product out among threads
        **{name: version(name) for name in ("numpy", "numba", "llvmlite", "pandas", "scikit-learn")},
    }


def shops() -> dict[str, tuple[pd.DataFrame, lw.RFM]]:
    """Transactions, and the RFM table to learn from, by week and by day."""
    cdnow = lw.load_cdnow(sample=True)
    made = lw.simulate_transactions(1500, seed=7, start="2024-01-01", end="2025-06-30", refunds=0.02).transactions
    return {
        "cdnow": (cdnow, lw.rfm_summary(cdnow, observation_end="1997-09-30")),
        "made": (made, lw.rfm_summary(made, observation_end="2025-03-31", time_unit="D")),
    }


def all_numbers() -> Numbers:
    """Every stored number: name, and a frame, array or number."""
    for shop, (data, rfm) in shops().items():
        for name, values in _of_shop(shop, data, rfm):
            yield f"{shop}/{name}", values


def _of_shop(shop: str, data: pd.DataFrame, rfm: lw.RFM) -> Numbers:
    yield "rfm", rfm.to_pandas()
    yield "historical", lw.historical_clv(data).select_dtypes("number")
    yield "historical/by cohort", lw.historical_clv(data, by="cohort", cohort="Q").select_dtypes("number")
    few = rfm.take(np.arange(0, len(rfm), 17))
    tiny = few.take(np.arange(0, len(few), 9))
    spend = lw.GammaGamma().from_parameters({"p": [6.25, 5.0, 7.0], "q": [3.74, 3.0, 4.5], "v": [15.44, 15.0, 16.0]})
    for family, parameters in KNOWN.items():
        if shop == "cdnow":
            known = MODELS[family]().from_parameters(parameters, rfm.time_unit)
            for name, values in (*_of_purchases(known, rfm, few), *_of_value(lw.CLV(known, spend), rfm, few, tiny)):
                yield f"known/{family}/{name}", values
    fits: dict[str, Any] = {}
    for family, model in MODELS.items():
        fit = fits[family] = model().fit(rfm, draws=100, seed=1)
        yield f"{family}/draws", pd.DataFrame({name: values.ravel() for name, values in fit.samples.items()})
        yield f"{family}/k_hat", np.array([fit.diagnostics.k_hat, fit.diagnostics.ess], dtype=float)
        for priors in (None, "flat"):
            try:
                mode = model(priors).fit(rfm, method="map")
            except lw.FitError:
                continue
            yield f"{family}/map/{priors}", pd.DataFrame(mode.draws)
        loo = fit.loo(rfm)
        yield f"{family}/loo", np.array([loo.elpd, loo.se, loo.p, loo.worst_k])
        for name, table in fit.predictive_check(rfm, replicates=10).items():
            yield f"{family}/check/{name}", table.select_dtypes("number")
        yield f"{family}/prior", model().prior_check(rfm, draws=20)["spend" if family == "gamma_gamma" else "alive"]
        if family in PURCHASES:
            yield f"{family}/probability_alive", fit.probability_alive(rfm)
            yield f"{family}/expected_purchases", fit.expected_purchases(rfm, "39W")
            yield f"{family}/predict", lw.CLV(fit).predict(few, "39W", seed=4)
    yield "gamma_gamma/expected_spend", fits["gamma_gamma"].expected_spend(rfm)
    yield "gamma_gamma/expected_spend draws", fits["gamma_gamma"].expected_spend(few, draws=True)
    yield "compare", lw.compare({name: fits[name] for name in PURCHASES}, rfm).select_dtypes("number")
    clv = lw.CLV(fits["bg_nbd"], fits["gamma_gamma"])
    yield "predict", clv.predict(rfm, "39W", 0.1)
    with tempfile.TemporaryDirectory() as folder:
        clv.save(f"{folder}/model")
        again = lw.load(f"{folder}/model")
        assert isinstance(again, lw.CLV)
        yield "saved/predict", again.predict(few, "39W", uncertainty="mean")
        scored = clv.score(few, f"{folder}/scores.parquet", "26W", rows_per_block=70)
        yield "score", pd.read_parquet(f"{folder}/scores.parquet")
        yield "score/totals", scored.totals.to_pandas()
    if shop == "made":
        return
    yield "job", _of_job(data)
    for uncertainty in ("customer", "mean"):
        found = lw.segment(
            clv, few, horizon="26W", tiers={"A": 0.2, "B": 1.0}, draws=40, uncertainty=uncertainty
        ).customers
        yield f"segment/{uncertainty}", found.select_dtypes("number")
    yield "track", lw.track_purchases(fits["bg_nbd"], rfm, data, simulations=10).select_dtypes("number")
    bt = lw.backtest(data, cutoffs=1, horizon="8W", models=("pareto_nbd",), baselines=[], draws=50, bootstrap=20)
    yield "backtest", bt.scores.select_dtypes("number")
    yield "backtest/predictions", bt.predictions.select_dtypes("number")
    learned = clv.calibrate(lw.backtest(data, cutoffs=4, horizon="6W", baselines=[], method="map", bootstrap=0))
    yield "calibrated/customer", learned.predict(few, "6W")
    yield (
        "compare_clv",
        lw.compare_clv(data, baselines=[], horizon="8W", draws=50, bootstrap=20).customers.select_dtypes("number"),
    )


# A job whose scores are those of "cdnow/predict": the same table, fits, horizon and rate of discount.
_JOB = """
name = "golden"
[source]
path = "orders.parquet"
[rfm]
observation_end = "1997-09-30"
[model]
draws = 100
seed = 1
[scores]
horizon = "39W"
discount_rate = 0.1
rows_per_block = 1000
[sink]
path = "scores.parquet"
"""


def _of_job(data: pd.DataFrame) -> pd.DataFrame:
    """What a job publishes."""
    with tempfile.TemporaryDirectory() as folder:
        data.to_parquet(f"{folder}/orders.parquet")
        Path(folder, "job.toml").write_text(_JOB, encoding="utf-8")
        run_job(read_job(f"{folder}/job.toml"))
        return pd.read_parquet(f"{folder}/scores.parquet")


def _of_purchases(fit: Any, rfm: lw.RFM, few: lw.RFM) -> Numbers:
    yield "probability_alive", fit.probability_alive(rfm)
    yield "probability_alive draws", fit.probability_alive(few, draws=True)
    yield "probability_alive later", fit.probability_alive(rfm, horizon="39W")
    yield "expected_purchases", fit.expected_purchases(rfm, "39W")
    yield "expected_purchases draws", fit.expected_purchases(few, "39W", draws=True)
    yield "expected_purchases between", fit.expected_purchases(rfm, ("13W", "39W"))
    yield "expected_purchases between draws", fit.expected_purchases(few, ("13W", "39W"), draws=True)
    yield "probability_no_purchase", fit.probability_no_purchase(rfm, "39W")
    yield "probability_no_purchase between", fit.probability_no_purchase(few, ("13W", "39W"), draws=True)
    yield "purchase_pmf", fit.purchase_pmf(few, "39W", 6)
    yield "purchase_pmf between", fit.purchase_pmf(few, ("13W", "39W"), 4)
    yield "new/expected_purchases", fit.expected_purchases_new_customer("39W", draws=True)
    yield "new/expected_purchases between", fit.expected_purchases_new_customer(("13W", "39W"))
    yield "new/probability_alive", fit.probability_alive_new_customer("39W", draws=True)
    yield "new/probability_no_purchase", fit.probability_no_purchase_new_customer(("13W", "39W"), draws=True)
    yield "new/purchase_pmf", fit.purchase_pmf_new_customer("39W", 6)


def _of_value(clv: lw.CLV, rfm: lw.RFM, few: lw.RFM, tiny: lw.RFM) -> Numbers:
    costs: dict[str, Any] = {"cost_per_order": 2.0, "cost_per_active_year": 3.0, "inflation": 0.02}
    own = np.linspace(0.1, 0.5, len(few))
    groups = np.where(tiny.frequency > 1, "often", "seldom")
    for uncertainty in (None, "mean", "customer"):
        yield f"predict/{uncertainty}", clv.predict(rfm, "39W", uncertainty=uncertainty)
        yield f"predict/discount/{uncertainty}", clv.predict(few, "12M", 0.1, own, uncertainty=uncertainty)
        yield (
            f"predict/costs/{uncertainty}",
            clv.predict(tiny, "26W", 0.15, acquisition_cost=20.0, uncertainty=uncertainty, interval=0.5, **costs),
        )
        yield f"predict/forever/{uncertainty}", clv.predict(tiny, "forever", 0.1, uncertainty=uncertainty)
        yield f"new/{uncertainty}", clv.new_customer(["13W", "26W"], 0.1, uncertainty=uncertainty, futures=500)
        if uncertainty is None:
            continue
        totals = clv.predict_total(tiny, "3M", 0.1, uncertainty=uncertainty, by=groups, period="M", **costs)
        yield f"by/{uncertainty}", totals.to_pandas().select_dtypes("number")
        yield f"cash_flow/{uncertainty}", totals.cash_flow().select_dtypes("number")
        yield f"payback/{uncertainty}", totals.payback(1000.0)["probability"]
        yield f"draws/{uncertainty}", totals.draws_of_value
        yield f"total/{uncertainty}", clv.predict_total(few, "39W", uncertainty=uncertainty).value


def digest(values: Any) -> dict[str, Any]:
    """What is stored: a hash of the bytes of all numbers in order, their shape, and a few to read."""
    if isinstance(values, (pd.DataFrame, pd.Series)):
        frame = values if isinstance(values, pd.DataFrame) else values.to_frame()
        columns = [column.to_numpy() for _, column in frame.select_dtypes(["number", "bool"]).items()]
        array = np.stack([column.astype(np.float64) for column in columns], axis=1)
    else:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    array = np.ascontiguousarray(array) + 0.0  # no minus zero
    array[np.isnan(array)] = np.nan  # one of the many
    some = array.ravel()[np.unique(np.linspace(0, array.size - 1, _READABLE).astype(np.int64))]
    return {
        "hash": hashlib.blake2b(array.tobytes(), digest_size=12).hexdigest(),
        "shape": list(array.shape),
        "values": [value if np.isfinite(value) else str(value) for value in some.tolist()],
    }


def compute() -> dict[str, Any]:
    """The content of `golden.json`, computed now."""
    return {"machine": machine(), "numbers": {name: digest(values) for name, values in all_numbers()}}


def write(path: Path) -> None:
    """Compute all numbers and store them, one to a line."""
    found = compute()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(stored)}" for name, stored in found["numbers"].items())
    path.write_text(f'{{"machine": {json.dumps(found["machine"])},\n "numbers": {{\n{lines}\n }}}}\n', encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else STORED)
