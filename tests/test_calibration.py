"""Simulation-based calibration: values drawn from the priors lie anywhere among the draws of their posteriors.

Talts, Betancourt, Simpson, Vehtari & Gelman (2018), "Validating Bayesian inference algorithms with
simulation-based calibration"; the log likelihood as a quantity of its own: Modrák et al. (2023).
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior

import lifeworth as lw
from lifeworth.errors import UsageError
from lifeworth.families import FAMILIES
from lifeworth.families.posterior import Posterior
from lifeworth.inference.priors import PriorTable
from lifeworth.model.models import Model
from lifeworth.plots import plot_simulation_based_calibration, save

# On parameters in the data's own unit: default priors are scaled by the data, so nothing can be drawn from them first.
DROPOUT = {"phi_dropout": Prior("Beta", alpha=3, beta=6), "kappa_dropout": Prior("LogNormal", mu=1.0, sigma=0.5)}
RATES = {"r": Prior("LogNormal", mu=-0.5, sigma=0.5), "alpha": Prior("LogNormal", mu=1.8, sigma=0.5)}
LIFETIMES = {"s": Prior("LogNormal", mu=-0.5, sigma=0.5), "beta": Prior("LogNormal", mu=2.5, sigma=0.5)}
MODELS: dict[str, Model] = {
    "bg_nbd": lw.BetaGeo({**RATES, **DROPOUT}),
    "mbg_nbd": lw.ModifiedBetaGeo({**RATES, **DROPOUT}),
    "pareto_nbd": lw.ParetoNBD({**RATES, **LIFETIMES}),
    "gamma_gamma": lw.GammaGamma(
        {
            "p": Prior("LogNormal", mu=1.6, sigma=0.4),
            "q": Prior("LogNormal", mu=1.4, sigma=0.3),
            "v": Prior("LogNormal", mu=2.9, sigma=0.4),
        }
    ),
}
REPLICATIONS, CUSTOMERS = 240, 250
# So many of a fit's draws, which lie in random order: ranks from 0 to 199.
DRAWS = 199


def _truth(model: Model, rng: np.random.Generator) -> dict[str, float]:
    values = {v.name: float(PriorTable(v).quantile(rng.random())) for v in model._parametrisation.variables}
    return {**values, **model._parametrisation.to_parameters(values, 1.0)}


def _simulated(model: Model, truth: dict[str, float], seed: int) -> lw.RFM:
    """Customers acquired over a year, seen for up to 60 weeks; or with one to six repeat purchases."""
    family = model.family
    theta = np.array([[truth[name] for name in family.parameters]])
    keys = np.arange(CUSTOMERS, dtype=np.uint64)
    ages = np.linspace(8.0, 60.0, CUSTOMERS)
    frame = pd.DataFrame({"customer_id": keys.astype(int), "T": ages})
    if family.kind == "purchases":
        counts, times, *_ = family.kernels.simulate_history(theta, ages, keys, np.uint64(seed))
        recency = np.zeros(CUSTOMERS)
        np.maximum.at(recency, np.repeat(np.arange(CUSTOMERS), counts), times)
        return lw.RFM.from_frame(frame.assign(frequency=counts, recency=recency), "W")
    counts = (1 + np.arange(CUSTOMERS) % 6).astype(np.int32)
    amounts = family.kernels.simulate_amounts(theta, keys, counts, np.uint64(seed))
    means = np.add.reduceat(amounts, np.concatenate([[0], counts.cumsum()[:-1]])) / counts
    return lw.RFM.from_frame(frame.assign(frequency=counts, recency=1.0, monetary_value=means), "W")


def _quantities(model: Model, draws: dict[str, np.ndarray], table: lw.RFM) -> dict[str, np.ndarray]:
    """Parameters, and with them their log likelihood and what a customer is expected to do."""
    family, rows = model.family, model.family.rows(table)
    posterior = Posterior.from_parameters(family, {name: draws[name] for name in family.parameters}, None)
    matrix = posterior.matrix
    found = {name: draws[name] for name in family.parameters}
    if family.kind == "purchases":
        nobody, year = np.zeros(1), np.full(1, 52.0)
        found["purchases in a year"] = family.kernels.expected_purchases_alive_draws(matrix, nobody, nobody, year)[0]
    else:
        found["mean spend"] = family.kernels.expected_spend_draws(matrix, np.zeros(1), np.zeros(1))[0]
    found["log likelihood"] = family.kernels.log_likelihood_sum_draws(matrix, *rows.columns.values(), rows.counts)
    return found


def _ranks(model: Model, replications: int) -> tuple[dict[str, np.ndarray], int]:
    """Ranks of truths, and how many certificates failed; those draws count like all others."""
    # Each family has truths of its own, so that luck in one is not that of all.
    place = list(FAMILIES).index(model.family.name)
    rng = np.random.default_rng([11, place])
    ranks: dict[str, list[int]] = {}
    failed = 0
    for replication in range(replications):
        truth = _truth(model, rng)
        table = _simulated(model, truth, 1000 * place + replication)
        fit = model.fit(table, "laplace", seed=replication)
        failed += not fit.diagnostics.certain
        known = _quantities(model, {name: np.array([truth[name]]) for name in model.family.parameters}, table)
        found = _quantities(model, {name: values[:DRAWS] for name, values in fit.draws.items()}, table)
        for name, values in found.items():
            ranks.setdefault(name, []).append(int((values < known[name][0]).sum()))
    return {name: np.array(values) for name, values in ranks.items()}, failed


def _p_value(ranks: np.ndarray, draws: int = DRAWS) -> float:
    """ArviZ' test of uniformity; a rank is anywhere between two draws."""
    from arviz_stats.base import array_stats

    between = (ranks + np.random.default_rng(5).random(len(ranks))) / (draws + 1)
    return float(array_stats.uniformity_test(between)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_ranks_of_truths_are_even(name, tmp_path):
    ranks, failed = _ranks(MODELS[name], REPLICATIONS)
    folder = Path(os.environ.get("LIFEWORTH_PICTURES", tmp_path))
    label = MODELS[name].family.label
    save(
        plot_simulation_based_calibration(ranks, DRAWS, title=f"{label}: {REPLICATIONS} simulated shops"),
        folder / f"calibration-{name}.png",
    )
    p_values = {quantity: _p_value(values) for quantity, values in ranks.items()}
    figures = {"certificates that failed": failed, "p-values": p_values}
    (folder / f"calibration-{name}.json").write_text(json.dumps(figures))
    # In a job NUTS would take over: were they many, this would not be about the fast path alone.
    assert failed <= 0.01 * REPLICATIONS
    # Some twenty tests in all: one of them is below 0.001 by chance in one run of fifty, and seeds are fixed.
    assert min(p_values.values()) > 0.001, p_values


@pytest.mark.parametrize(
    ("spread", "shift", "even"), [(1.0, 0.0, True), (0.7, 0.0, False), (1.5, 0.0, False), (1.0, 0.3, False)]
)
def test_wrong_posteriors_would_be_found_out(spread, shift, even):
    """Normal truths and draws that are right, too narrow, too wide, or to one side."""
    rng = np.random.default_rng(8)
    draws = shift + spread * rng.normal(size=(REPLICATIONS, DRAWS))
    ranks = (draws < rng.normal(size=(REPLICATIONS, 1))).sum(axis=1)
    assert (_p_value(ranks) > 0.001) == even


def test_the_picture_holds_even_ranks_and_shows_others():
    rng = np.random.default_rng(9)
    outside = 0
    for _ in range(40):
        ax = plot_simulation_based_calibration({"r": rng.integers(0, 100, 200)}, 99)
        band = ax.collections[0].get_paths()[0].vertices
        line = ax.get_lines()[-1]
        x, y = line.get_data()
        inside = True
        for at, value in zip(x[1:-1], y[1:-1], strict=True):
            edges = band[np.isclose(band[:, 0], at), 1]
            inside &= edges.min() - 1e-12 <= value <= edges.max() + 1e-12
        outside += not inside
    assert outside <= 7  # 5 % of 40 are 2; beyond 7 lies 1 in 1,500
    narrow = (0.6 * rng.normal(size=(200, 99)) < rng.normal(size=(200, 1))).sum(axis=1)
    ax = plot_simulation_based_calibration({"r": narrow}, 99)
    line, band = ax.get_lines()[-1], ax.collections[0].get_paths()[0].vertices
    assert np.abs(line.get_ydata()).max() > np.abs(band[:, 1]).max()


@pytest.mark.parametrize(
    ("ranks", "says"),
    [
        ({"r": [1, 100]}, "between 0 and"),
        ({"r": [0.5, 1.0]}, "whole numbers"),
        ({"r": [1, 2], "a": [1]}, "as many ranks"),
        ({}, "as many ranks"),
    ],
)
def test_what_are_no_ranks_gets_a_sentence(ranks, says):
    with pytest.raises(UsageError, match=says):
        plot_simulation_based_calibration(ranks, 99)
