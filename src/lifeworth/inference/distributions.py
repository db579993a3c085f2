"""Distributions that pymc-marketing does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt


def _gamma_gamma_logp(z: Any, p: Any, q: Any, v: Any, x: Any) -> Any:
    shape = p * x
    return (
        pt.gammaln(shape + q)
        - pt.gammaln(shape)
        - pt.gammaln(q)
        + q * pt.log(v)
        + (shape - 1) * pt.log(z)
        + shape * pt.log(x)
        - (shape + q) * pt.log(x * z + v)
    )


def _gamma_gamma_random(p: Any, q: Any, v: Any, x: Any, rng: Any = None, size: Any = None) -> Any:
    p, q, v, x = np.broadcast_arrays(p, q, v, x)
    size = p.shape if size is None else size
    return rng.gamma(p * x, 1 / (rng.gamma(q, 1 / v, size=size) * x), size=size)


def GammaGamma(name: str, p: Any, q: Any, v: Any, x: Any, **kwargs: Any) -> Any:
    """Mean spend over x purchases: Gamma(p x, nu x) with nu ~ Gamma(q, v) (Fader & Hardie 2013, eq. 1a)."""
    return pm.CustomDist(name, p, q, v, x, logp=_gamma_gamma_logp, random=_gamma_gamma_random, **kwargs)
