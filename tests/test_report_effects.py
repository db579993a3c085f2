"""Effects of covariates in the report."""

import numpy as np
import pytest

import lifeworth as lw
from lifeworth.report.fits import fit_table


def test_the_table_of_a_fit_has_the_ratios_of_its_covariates():
    bare = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30").take(np.arange(400))
    kinds = bare.to_pandas().reset_index()[["customer_id"]].assign(kind=np.where(np.arange(400) % 2, "odd", "even"))
    rfm = bare.with_covariates(kinds)
    fit = lw.BetaGeo(purchase="kind").fit(rfm, seed=1)
    effect = fit.effects().iloc[0]
    row = fit_table(fit, "week", None).parameters[-1]
    assert row.name == "purchase: kind[T.odd]"
    assert (row.lower, row.upper) == pytest.approx((effect["ratio_lower"], effect["ratio_upper"]), rel=1e-3)
    assert "ratio of rate" in row.meaning
    plain = fit_table(lw.BetaGeo().fit(bare, seed=1), "week", None)
    assert [item.name for item in plain.parameters] == ["r", "alpha", "a", "b"]
