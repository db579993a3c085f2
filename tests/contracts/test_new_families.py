"""A new family goes through registry, fit, posterior and storage, whatever its parameters and what it sees."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import lifeworth as lw
from lifeworth.families import FAMILIES
from lifeworth.families.base import Family
from lifeworth.families.parameters import Parameter, Parametrisation, PriorSpec, Slot, Variable, itself
from lifeworth.families.statistics import Statistic
from lifeworth.inference.loo import leave_one_out
from lifeworth.inference.target import Target
from lifeworth.model.models import Model, PurchaseModel

BG_NBD = FAMILIES["bg_nbd"]
FIVE = replace(
    BG_NBD,
    name="five",
    label="BG/NBD with a share who never come back",
    definitions=(*BG_NBD.definitions, Parameter("c", "share who never come back", start=0.2, support="unit")),
    slots=(
        *BG_NBD.slots,
        Slot(
            ("c",),
            (
                Parametrisation(
                    (Variable("c", "unit", PriorSpec("Beta", {"alpha": 1.0, "beta": 3.0})),),
                    lambda values, scale: {"c": values["c"]},
                ),
                itself("c"),
            ),
        ),
    ),
    distribution="",
    counterpart="",
    module="five_parameter_kernels",
)


def share_renewed(y: Any, n: Any, counts: Any) -> float:
    return float((y * counts).sum() / (n * counts).sum())


OPPORTUNITIES = Statistic(
    name="opportunities",
    columns=("y", "n"),
    sources=("renewals", "opportunities"),
    random=("renewals",),
    label="renewals",
    dimension="none",
    judge=share_renewed,
    of_rfm=False,
)


def positive(name: str) -> Slot:
    prior = PriorSpec("LogNormal", {"mu": 0.0, "sigma": 1.5})
    return Slot((name,), (Parametrisation((Variable(name, prior=prior),), lambda v, _: {name: v[name]}), itself(name)))


TIMELESS = Family(
    name="timeless",
    label="Beta-binomial",
    statistic=OPPORTUNITIES,
    definitions=(Parameter("a", "renewals"), Parameter("b", "losses")),
    slots=(positive("a"), positive("b")),
    source="made up",
    module="beta_binomial_kernels",
)


@dataclass
class Renewals:
    """A table that is no RFM table."""

    renewals: np.ndarray
    opportunities: np.ndarray
    time_unit: Any = None
    period: Any = None
    observation_end: Any = None
    currency: Any = None
    audit: Any = None


@pytest.fixture
def registered(monkeypatch):
    for family in (FIVE, TIMELESS):
        monkeypatch.setitem(FAMILIES, family.name, family)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_family_has_all_that_is_relied_upon(family):
    assert family.lacking() == []
    assert family.dropout != "never" or family.statistic.name == "spend"


def test_what_a_family_lacks_is_named():
    found = FIVE.lacking()
    assert "kernels: draw_future is missing." in found and "kernels: survival_draws is missing." in found
    assert not any("log_likelihood" in sentence for sentence in found)
    assert TIMELESS.lacking() == []
    wrong = replace(TIMELESS, definitions=TIMELESS.definitions[:1], slots=(), time_parameter="a", clock=True)
    assert wrong.lacking() == [
        "kernels: PARAMETERS is 2, and 1 are defined.",
        "time_parameter: a is not a parameter with the dimension time.",
        "slots: no slot defines a.",
    ]
    eager = replace(FAMILIES["pareto_nbd"], clock=True)
    assert eager.lacking() == [
        "clock: exact only where customers leave at purchases or never, and a parameter shifts time."
    ]


@pytest.mark.parametrize("method", ["map", "laplace"])
def test_a_family_of_five_parameters_is_fitted_and_saved(registered, method, tmp_path):
    class Five(PurchaseModel):
        family = FIVE

    rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    fit = Five().fit(rfm, method=method, draws=200, seed=1)
    assert fit.diagnostics.verdict != "fail"
    assert list(fit.draws) == ["r", "alpha", "a", "b", "c"]
    assert ((fit.draws["c"] > 0) & (fit.draws["c"] < 1)).all()
    assert fit.posterior.matrix.shape == (len(fit.posterior), 1, 5)
    fit.save(tmp_path / "five")
    again = lw.load(tmp_path / "five")
    for name, values in fit.draws.items():
        np.testing.assert_array_equal(again.draws[name], values)
    # With c at 0 it is BG/NBD.
    theta = np.array([[0.243, 4.414, 0.793, 2.426, 0.0]])
    rows = FIVE.rows(rfm)
    columns = list(rows.columns.values())
    np.testing.assert_allclose(
        FIVE.kernels.log_likelihood_rows(theta, *columns),
        BG_NBD.kernels.log_likelihood_rows(theta[:, :4].copy(), *columns),
        rtol=1e-14,  # log and exp of the likelihood of those who never came back
    )
    target = Target(FIVE, rows, FIVE.parametrisation(None))
    position = target.start()
    slope = target.gradient(position)[1]
    for k in range(len(position)):
        step = 1e-4 * np.eye(len(position))[k]
        up, down = target.many(np.stack([position + step, position - step]))
        assert slope[k] == pytest.approx((up - down) / 2e-4, rel=1e-5, abs=1e-5 * abs(slope).max())


def test_a_family_without_times_sees_a_table_of_its_own(registered, tmp_path):
    class Timeless(Model):
        family = TIMELESS

    rng = np.random.default_rng(1)
    opportunities = rng.integers(1, 9, 5000)
    renewals = rng.binomial(opportunities, rng.beta(2.0, 3.0, 5000))
    table = Renewals(renewals, opportunities)
    fit = Timeless().fit(table, draws=400, seed=1)
    assert fit.diagnostics.verdict == "ok" and fit.time_unit is None
    for name, truth in (("a", 2.0), ("b", 3.0)):
        assert abs(fit.draws[name].mean() - truth) < 4 * fit.draws[name].std()
    rows = TIMELESS.rows(table)
    assert rows.customers == 5000 and len(rows.counts) == len({*zip(renewals, opportunities, strict=True)})
    elpd = leave_one_out(TIMELESS, fit.posterior.matrix, rows)
    assert not elpd.warning
    fit.save(tmp_path / "timeless")
    np.testing.assert_array_equal(lw.load(tmp_path / "timeless").draws["a"], fit.draws["a"])
