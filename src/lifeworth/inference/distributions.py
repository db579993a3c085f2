"""Distributions of distinct rows, each of which represents a number of equal customers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from lifeworth.families.base import Family


def counted_purchases(name: str, family: Family, parameters: dict[str, Any], T: Any, counts: Any, **kwargs: Any) -> Any:
    """(recency, frequency) of distinct rows by one of pymc-marketing's distributions.

    The log likelihood of a row is that of all its customers: that of one customer, times their number.
    """
    from pymc_marketing.clv import distributions

    kind = getattr(distributions, family.distribution)
    names = tuple(parameters)

    def logp(value: Any, *inputs: Any) -> Any:
        *values, age, count = inputs
        return count * kind.logp(value, **dict(zip(names, values, strict=True)), T=age)

    def random(*inputs: Any, rng: Any = None, size: Any = None) -> Any:
        *values, age, _ = inputs
        named = dict(zip(names, values, strict=True))
        # pymc-marketing's generator takes its arguments by position.
        return kind.rv_op.rng_fn(rng, *[np.asarray(named[key]) for key in family.arguments], age, size)

    scalars = ",".join(["()"] * (len(names) + 2))
    return pm.CustomDist(
        name, *parameters.values(), T, counts, logp=logp, random=random, signature=f"{scalars}->(2)", **kwargs
    )


def _gamma_gamma_logp(z: Any, p: Any, q: Any, v: Any, x: Any, count: Any) -> Any:
    """Gamma(p x, nu x) with nu ~ Gamma(q, v): Fader & Hardie (2013), note 025, eq. (1a)."""
    shape = p * x
    return count * (
        pt.gammaln(shape + q)
        - pt.gammaln(shape)
        - pt.gammaln(q)
        + q * pt.log(v)
        + (shape - 1) * pt.log(z)
        + shape * pt.log(x)
        - (shape + q) * pt.log(x * z + v)
    )


def _gamma_gamma_random(p: Any, q: Any, v: Any, x: Any, count: Any, rng: Any = None, size: Any = None) -> Any:
    p, q, v, x, _ = np.broadcast_arrays(p, q, v, x, count)
    size = p.shape if size is None else size
    return rng.gamma(p * x, 1 / (rng.gamma(q, 1 / v, size=size) * x), size=size)


# By the name that a family of spend gives its distribution: log density and random generator, of the family's
# parameters in its order, frequency and count.
_SPEND: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "GammaGamma": (_gamma_gamma_logp, _gamma_gamma_random),
}


def counted_spend(name: str, family: Family, parameters: dict[str, Any], x: Any, counts: Any, **kwargs: Any) -> Any:
    """Mean spend over x purchases, of distinct rows; the log likelihood of a row is that of all its customers."""
    logp, random = _SPEND[family.distribution]
    values = [parameters[key] for key in family.parameters]
    return pm.CustomDist(name, *values, x, counts, logp=logp, random=random, **kwargs)
