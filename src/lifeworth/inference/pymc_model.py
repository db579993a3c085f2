"""The PyMC model of a family: what the posterior is the posterior of."""

from __future__ import annotations

from typing import Any

import numpy as np

from lifeworth.families.base import Family, Parametrisation, Rows, Variable
from lifeworth.inference.priors import to_prior


def build_model(family: Family, rows: Rows, parametrisation: Parametrisation) -> Any:
    """A `pymc.Model` of distinct rows, each weighted by the customers behind it.

    The observed variable is a true distribution (pymc-marketing's, for purchases), so that it can be
    simulated from and has a pointwise log likelihood, one value per distinct row. The potential
    "repeated_rows" adds the likelihood of the second, third ... customer of each row.
    """
    import pymc as pm

    with pm.Model(coords={"row": np.arange(len(rows.counts)), "obs_var": ["recency", "frequency"]}) as model:
        counts = pm.Data("counts", rows.counts, dims="row")
        values = {variable.name: _create(variable) for variable in parametrisation.variables}
        parameters = parametrisation.to_parameters(values, rows.scale)
        for name, expression in parameters.items():
            if name not in values:
                parameters[name] = pm.Deterministic(name, expression)
        if family.kind == "purchases":
            from pymc_marketing.clv import distributions

            observed = np.column_stack([rows.columns["t_x"], rows.columns["x"]])
            likelihood = getattr(distributions, family.distribution)(
                "recency_frequency",
                **parameters,
                T=pm.Data("T", rows.columns["T"], dims="row"),
                observed=observed,
                dims=("row", "obs_var"),
            )
        else:
            from lifeworth.inference import distributions as own

            observed = rows.columns["z"]
            likelihood = getattr(own, family.distribution)(
                "monetary_value",
                **parameters,
                x=pm.Data("frequency", rows.columns["x"], dims="row"),
                observed=observed,
                dims="row",
            )
        pm.Potential("repeated_rows", ((counts - 1) * pm.logp(likelihood, observed)).sum())
    return model


def _create(variable: Variable) -> Any:
    import pymc as pm

    if variable.prior is not None:
        return to_prior(variable.prior).create_variable(variable.name)
    return pm.HalfFlat(variable.name) if variable.support == "positive" else pm.Uniform(variable.name, 0, 1)
