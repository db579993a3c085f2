"""Which model predicts customers best, when each is left out in turn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lifeworth.errors import UsageError
from lifeworth.families import FAMILIES
from lifeworth.families.statistics import SPEND
from lifeworth.inference.checks import Independence, independence
from lifeworth.inference.loo import stacking_weights
from lifeworth.model.fit import Fit
from lifeworth.rfm import RFM


def compare(fits: Mapping[str, Fit], rfm: RFM) -> pd.DataFrame:
    """Compare fits to the same RFM table by leave-one-out cross-validation, the best first.

    Parameters
    ----------
    fits : name -> fit; all of purchases, or all of spend.
    rfm : the table they were fitted to.

    Returns
    -------
    Frame with a row per fit and ArviZ' columns: rank; elpd (expected log predictive density); p
    (effective number of parameters); elpd_diff (the best one's elpd less this one's); weight (stacking);
    se; dse (standard error of elpd_diff); warning (k-hat above its limit).

    Raises
    ------
    UsageError : fewer than two fits, fits of purchases beside fits of spend, or another table.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> loose, flat = lw.BetaGeo().fit(calibration), lw.BetaGeo(priors="flat").fit(calibration)
    >>> lw.compare({"default priors": loose, "flat": flat}, calibration)["warning"].any()
    np.False_
    """
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise UsageError("compare needs two fits or more, by name: compare({'BG/NBD': fit, 'Pareto/NBD': other}, rfm).")
    if len({fit.family.statistic.name for fit in fits.values()}) > 1:
        raise UsageError("Models of purchases and models of spend describe different data: compare each among its own.")
    results = {name: fit.loo(rfm) for name, fit in fits.items()}
    names = sorted(results, key=lambda name: -results[name].elpd)
    best = results[names[0]]
    weights = dict(zip(results, stacking_weights(list(results.values())), strict=True))
    table = []
    for rank, name in enumerate(names):
        result = results[name]
        customers = result.n_data_points
        difference = best.elpd_i - result.elpd_i
        mean = float(result.counts @ difference) / customers
        table.append(
            {
                "rank": rank,
                "elpd": result.elpd,
                "p": result.p,
                "elpd_diff": best.elpd - result.elpd,
                "weight": weights[name],
                "se": result.se,
                "dse": float(np.sqrt(result.counts @ (difference - mean) ** 2)),
                "warning": result.warning,
            }
        )
    return pd.DataFrame(table, index=names)


def independence_check(rfm: RFM) -> Independence:
    """Check what Gamma-Gamma assumes: that how much customers spend does not go with how often they buy.

    Returns
    -------
    Independence: Spearman's rank correlation of frequency and monetary_value of the customers with a repeat
    purchase, the ratio of mean spend weighted by purchases to the unweighted one (the money at stake), their 95 %
    intervals, and advice in words.

    Raises
    ------
    DataError : a table without money, or without repeat purchases.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> lw.independence_check(calibration).advice[:36]
    'Spend is weakly or not at all relate'
    """
    spend = next(family for family in FAMILIES.values() if family.statistic is SPEND)  # all of them see the same rows
    return independence(spend.rows(rfm))
