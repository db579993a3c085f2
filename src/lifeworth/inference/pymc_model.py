"""The PyMC model of a family: what the posterior is the posterior of."""

from __future__ import annotations

from typing import Any

import numpy as np

from lifeworth.errors import UsageError
from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation, Variable
from lifeworth.families.statistics import RECENCY_FREQUENCY
from lifeworth.inference.priors import to_prior


def build_model(family: Family, rows: Rows, parametrisation: Parametrisation) -> Any:
    """A `pymc.Model` of distinct rows, each weighted by the customers behind it.

    The observed variable is named "recency_frequency" (pymc-marketing's distribution and name) or
    "monetary_value". It can be simulated from, and has a log likelihood per row: that of all the
    customers with this row.
    """
    import pymc as pm

    if len(rows.group) > 1:
        raise UsageError(f"{family.label}: the PyMC model has one group of customers, and these rows have several.")
    if not family.distribution:
        raise UsageError(f'{family.label} has no PyMC distribution: use method="laplace" or "map".')

    from lifeworth.inference.distributions import counted_purchases, counted_spend

    with pm.Model(coords={"row": np.arange(len(rows.counts)), "obs_var": ["recency", "frequency"]}) as model:
        values = {variable.name: _create(variable) for variable in parametrisation.variables}
        parameters = parametrisation.to_parameters(values, rows.scale)
        for name, expression in parameters.items():
            if name not in values:
                parameters[name] = pm.Deterministic(name, expression)
        counts = pm.Data("customers", rows.counts, dims="row")
        if family.statistic is RECENCY_FREQUENCY:
            counted_purchases(
                "recency_frequency",
                family,
                parameters,
                pm.Data("T", rows.columns["T"], dims="row"),
                counts,
                observed=np.column_stack([rows.columns["t_x"], rows.columns["x"]]),
                dims=("row", "obs_var"),
            )
        else:
            counted_spend(
                "monetary_value",
                family,
                parameters,
                pm.Data("frequency", rows.columns["x"], dims="row"),
                counts,
                observed=rows.columns["z"],
                dims="row",
            )
    return model


def _create(variable: Variable) -> Any:
    import pymc as pm

    if variable.prior is not None:
        return to_prior(variable.prior).create_variable(variable.name)
    if variable.support == "real":
        return pm.Flat(variable.name)
    return pm.HalfFlat(variable.name) if variable.support == "positive" else pm.Uniform(variable.name, 0, 1)
