"""A fit and its predictions of a table, as ArviZ groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.families.distinct import Rows
from lifeworth.families.posterior import Posterior
from lifeworth.families.statistics import RECENCY_FREQUENCY, SPEND
from lifeworth.inference import checks
from lifeworth.inference.loo import log_likelihoods
from lifeworth.inference.priors import PriorTable
from lifeworth.model.fit_data import Array, FitData
from lifeworth.model.interchange import with_record
from lifeworth.predict import expected_purchases_new_customer

if TYPE_CHECKING:
    import xarray

    from lifeworth.families import Family
    from lifeworth.model.provenance import Priors
    from lifeworth.rfm import RFM

By = Literal["customer", "row"]

# Customers made up under each draw from the priors: enough for a picture.
_MADE_UP = 400
_AGES = 13

# A log likelihood of this number of values takes 800 MB.
_MOST_CELLS = 100_000_000


def datatree(
    fit: FitData,
    rfm: RFM | None,
    by: By,
    prior: int,
    posterior_predictive: int,
    predict: Callable[[RFM], dict[str, Array]] | None,
    seed: int,
) -> xarray.DataTree:
    """The groups of `Fit.to_datatree`; `predict` gives those of "predictions", (customers, draws) each."""
    from arviz_base import from_dict

    groups: dict[str, Any] = {"posterior": dict(fit.samples)}
    dims: dict[str, list[str]] = {}
    coords: dict[str, Any] = {}
    if fit.sample_stats:
        groups["sample_stats"] = dict(fit.sample_stats)
    if prior:
        if fit.origin.priors is None:
            raise UsageError(f"This {fit.family.label} fit has no priors to draw from.")
        drawn = prior_draws(fit.family, fit.origin.priors, fit.origin.scale, prior, seed)
        groups["prior"] = {name: values[None] for name, values in drawn.items()}
    if rfm is not None:
        _of_table(fit, rfm, by, posterior_predictive, seed, groups, dims, coords)
        if predict is not None:
            if by != "customer":
                raise UsageError('predictions are those of customers: take by="customer".')
            groups["predictions"] = {name: values.T.reshape(*fit.shape, -1) for name, values in predict(rfm).items()}
            dims |= {key: ["customer_id"] for key in groups["predictions"]}
    elif posterior_predictive or predict is not None:
        asked = "predictions" if predict is not None else "posterior_predictive"
        raise UsageError(f"{asked} needs the RFM table as well: fit.to_datatree(rfm, ...).")
    for effect, encoding in fit.posterior.design.encodings.items():
        dims[effect], coords[f"{effect}_term"] = [f"{effect}_term"], list(encoding.names)
    tree = from_dict(groups, dims=dims, coords=coords, pred_dims=dims, pred_coords=coords)
    tree["posterior"].attrs |= {
        "model": fit.family.label,
        "time_unit": fit.time_unit or "",
        "method": fit.diagnostics.method,
    }
    return with_record(tree, fit)


def prior_draws(
    family: Family, priors: Priors | None, scale: float, draws: int, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Independent draws of variables and parameters from priors, for data of this scale."""
    parametrisation = family.parametrisation(priors)
    if priors == "flat" or any(variable.prior is None for variable in parametrisation.variables):
        raise UsageError(f"This {family.label} model has no priors to draw from: they are flat.")
    rng = np.random.default_rng(seed)
    values = {v.name: PriorTable(v).quantile(rng.random(draws)) for v in parametrisation.variables}
    return values | parametrisation.to_parameters(values, scale)


def rows_of(fit: FitData, rfm: RFM) -> Rows:
    """Distinct rows of the table a fit was made from; refuse another table."""
    rows = fit.family.rows(fit._rfm(rfm), fit.posterior.design)
    if fit.origin.customers not in (0, rows.customers):
        raise UsageError(
            f"This {fit.family.label} fit was made from {fit.origin.customers:,} customers and this table has "
            f"{rows.customers:,}: give the table it was fitted to."
        )
    return rows


def _of_table(
    fit: FitData,
    rfm: RFM,
    by: By,
    posterior_predictive: int,
    seed: int,
    groups: dict[str, Any],
    dims: dict[str, list[str]],
    coords: dict[str, Any],
) -> None:
    """Add observed data, log likelihood and replicates, by customer or by distinct row."""
    if by not in ("customer", "row"):
        raise UsageError(f'by={by!r} is neither "customer" nor "row".')
    rows = rows_of(fit, rfm)
    statistic, posterior = fit.family.statistic, fit.posterior.on(rfm)
    if by == "row":
        columns, ids, group = list(rows.columns.values()), np.arange(len(rows.counts)), rows.group
        groups["constant_data"] = {"customers": rows.counts}
        dims["customers"] = ["row"]
    else:
        used = statistic.mask(rfm)
        columns = [column[used].astype(np.float64) for column in statistic.of_table(rfm)]
        ids = rfm.customer_id[used].to_numpy()
        group = posterior.group_of(rfm)
        group = group if len(group) == 1 else group[used]
    draws = len(fit.posterior)
    if len(ids) * draws > _MOST_CELLS:
        raise UsageError(
            f"The log likelihood of {len(ids):,} {by}s under {draws:,} draws would take "
            f"{len(ids) * draws * 8 / 1e9:,.0f} GB: "
            + ('take by="row", ' if by == "customer" else "")
            + "fewer draws, or fit.loo(rfm), which needs no such table."
        )
    name, names = statistic.label, statistic.sources
    shape = fit.shape
    of_rows = log_likelihoods(fit.family, posterior.matrix, [np.ascontiguousarray(c) for c in columns], group)
    groups["log_likelihood"] = {name: of_rows.T.reshape(*shape, len(ids))}
    observed = statistic.random
    given = dict(zip(names, columns, strict=True))
    groups["observed_data"] = {key: given[key] for key in observed}
    groups.setdefault("constant_data", {}).update({key: v for key, v in given.items() if key not in observed})
    if posterior_predictive:
        if statistic is RECENCY_FREQUENCY:
            replicated = checks.replicate_purchases(posterior, given["T"], posterior_predictive, seed, group)
            groups["posterior_predictive"] = {"frequency": replicated[0][None], "recency": replicated[1][None]}
        else:
            spend = checks.replicate_spend(posterior, given["frequency"], posterior_predictive, seed, group)
            groups["posterior_predictive"] = {"monetary_value": spend[None]}
    dimension = "customer_id" if by == "customer" else "row"
    coords[dimension] = ids
    for key in (name, *names):
        dims[key] = [dimension]


def _spend(rfm: RFM) -> Array:
    assert rfm.monetary_value is not None  # `rows_of` has refused a table without
    return rfm.monetary_value


def predictive_tables(fit: FitData, rfm: RFM, replicates: int, interval: float, seed: int) -> dict[str, Any]:
    """The tables of `Fit.predictive_check`."""
    if not isinstance(replicates, (int, np.integer)) or replicates < 2:
        raise UsageError(f"replicates={replicates!r} must be a whole number of at least 2.")
    if not 0 < interval < 1:
        raise UsageError(f"interval={interval!r} must lie between 0 and 1.")
    rfm = fit._rfm(rfm)
    if fit.family.statistic is RECENCY_FREQUENCY:
        rfm = rfm.take(checks.evenly(len(rfm)))
        posterior = fit.posterior.on(rfm)
        group = posterior.group_of(rfm)
        frequency, recency = checks.replicate_purchases(posterior, rfm.T, replicates, seed, group)
        return {
            "frequency": checks.frequency_check(rfm.frequency.astype(np.float64), frequency, interval),
            "recency": checks.recency_check(rfm.recency, rfm.T, recency, frequency, interval),
        }
    fit.family.rows(rfm)  # refuses a table without spend
    rfm = rfm.take(np.flatnonzero(SPEND.mask(rfm)))
    rfm = rfm.take(checks.evenly(len(rfm)))
    posterior = fit.posterior.on(rfm)
    group = posterior.group_of(rfm)
    replicated = checks.replicate_spend(posterior, rfm.frequency.astype(np.float64), replicates, seed, group)
    return {"spend": checks.spend_check(_spend(rfm), replicated, interval)}


def prior_tables(
    family: Family, priors: Priors | None, rfm: RFM, draws: int, interval: float, seed: int
) -> dict[str, pd.DataFrame]:
    """The tables of `Model.prior_check`."""
    if not isinstance(draws, (int, np.integer)) or draws < 2:
        raise UsageError(f"draws={draws!r} must be a whole number of at least 2.")
    if not 0 < interval < 1:
        raise UsageError(f"interval={interval!r} must lie between 0 and 1.")
    scale = family.rows(rfm).scale
    drawn = prior_draws(family, priors, scale, int(draws), seed)
    posterior = Posterior.from_parameters(family, {name: drawn[name] for name in family.parameters}, rfm.time_unit)
    if family.statistic is RECENCY_FREQUENCY:
        return _prior_purchases(posterior, rfm, interval, seed)
    return _prior_spend(posterior, rfm, interval, seed)


def _prior_purchases(posterior: Posterior, rfm: RFM, interval: float, seed: int) -> dict[str, pd.DataFrame]:
    few = rfm.take(_some(len(rfm)))
    frequency, _ = checks.replicate_purchases(posterior, few.T, len(posterior), seed)
    ages = np.linspace(0, float(rfm.T.mean()), _AGES)
    expected = expected_purchases_new_customer(posterior, ages, draws=True)
    simulate, matrix = posterior.family.kernels.simulate_history, posterior.matrix
    keys = np.arange(_MADE_UP, dtype=np.uint64)
    alive = np.array(
        [
            [simulate(draw, np.full(_MADE_UP, age), keys, np.uint64(seed * len(matrix) + i))[4].mean() for age in ages]
            for i, draw in enumerate(matrix)
        ]
    )
    observed = np.full(_AGES, np.nan)
    observed[-1] = rfm.frequency.mean()
    return {
        "frequency": checks.frequency_check(few.frequency.astype(np.float64), frequency, interval),
        "purchases": _bands(ages, expected.T, interval).assign(observed=observed),
        "alive": _bands(ages, alive, interval),
    }


def _prior_spend(posterior: Posterior, rfm: RFM, interval: float, seed: int) -> dict[str, pd.DataFrame]:
    used = rfm.take(np.flatnonzero(SPEND.mask(rfm)))
    few = used.take(_some(len(used)))
    replicated = checks.replicate_spend(posterior, few.frequency.astype(np.float64), len(posterior), seed)
    nothing = np.zeros(1)
    mean = np.asarray(posterior.family.kernels.expected_spend_draws(posterior.matrix, nothing, nothing))[0]
    # Above this number of purchases the sample mean is close to the customer's own mean.
    own = checks.replicate_spend(posterior, np.full(_MADE_UP, 1e6), len(posterior), seed + 1)
    low, high = np.quantile(own, [0.1, 0.9], axis=1)
    observed = float((used.frequency * _spend(used)).sum() / used.frequency.sum())
    return {
        "spend": checks.spend_check(_spend(few), replicated, interval),
        "mean_spend": pd.DataFrame({"value": mean}).assign(observed=observed),
        "ratio": pd.DataFrame({"value": high / low}),
    }


def _some(customers: int) -> npt.NDArray[np.int64]:
    """Positions of at most the number of simulated customers, spread evenly."""
    wanted = min(customers, _MADE_UP)
    return (np.arange(wanted) * (customers / wanted)).astype(np.int64)


def _bands(ages: Array, curves: Array, interval: float) -> pd.DataFrame:
    """The middle of curves (draws, ages), their inner half, and an interval."""
    shares = [(1 - interval) / 2, 0.25, 0.5, 0.75, (1 + interval) / 2]
    names = ("lower", "lower_half", "middle", "upper_half", "upper")
    return pd.DataFrame({"age": ages} | dict(zip(names, np.quantile(curves, shares, axis=0), strict=True)))
