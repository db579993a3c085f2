"""Customers in groups with parameters of their own: kernels and models say of a group what they say of it alone."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.families import FAMILIES
from lifeworth.families.design import Bands
from lifeworth.families.parameters import Parametrisation, PriorSpec, Variable
from lifeworth.families.posterior import Posterior
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.inference.fit import infer
from lifeworth.inference.target import Target
from lifeworth.kernels.models.futures import future_rows
from lifeworth.model.fit import fit_class
from lifeworth.model.models import MODELS
from lifeworth.model.provenance import Origin

PARAMETERS = {
    "bg_nbd": ([0.243, 4.414, 0.793, 2.426], [0.5, 7.0, 1.2, 3.0], [0.3, 2.0, 0.4, 1.0]),
    "mbg_nbd": ([0.5, 6.0, 0.9, 1.6], [0.4, 9.0, 1.3, 2.0], [0.7, 5.0, 0.5, 1.4]),
    "pareto_nbd": ([0.55, 10.6, 0.6, 11.7], [0.6, 12.0, 1.3, 20.0], [0.4, 7.0, 0.5, 9.0]),
    "gamma_gamma": ([6.25, 3.74, 15.44], [4.0, 3.0, 30.0], [7.0, 5.0, 9.0]),
}
ALL = pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
PURCHASES = pytest.mark.parametrize(
    "family", [family for family in FAMILIES.values() if family.kind == "purchases"], ids=lambda family: family.name
)


@pytest.fixture(scope="module")
def table() -> lw.RFM:
    rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    return rfm.take(np.arange(0, len(rfm), 5))


def theta_of(family, draws=2):
    """(draws, 3 groups, parameters)."""
    theta = np.array(PARAMETERS[family.name])
    return np.ascontiguousarray(theta * np.linspace(1.0, 1.2, draws)[:, None, None])


def data_of(family, table, each=3):
    """Columns in order of three groups, and the group of each row."""
    columns = list(family.rows(table).columns.values())
    n = len(columns[0]) // each
    group = np.repeat(np.arange(3), n)
    return [np.concatenate([column[g::each][:n] for g in range(3)]) for column in columns], group


@ALL
def test_the_likelihood_of_groups_is_that_of_each(family, table):
    kernels, theta = family.kernels, theta_of(family)
    data, group = data_of(family, table)
    counts = 1.0 + np.arange(len(group)) % 5
    parts = [[column[group == g] for column in (*data, counts)] for g in range(3)]
    rows = kernels.log_likelihood_rows(theta[0], *data, group=group)
    slopes = kernels.log_likelihood_gradient_rows(theta[0], *data, group=group)
    for g, part in enumerate(parts):
        alone = np.ascontiguousarray(theta[0, g : g + 1])
        np.testing.assert_array_equal(rows[group == g], kernels.log_likelihood_rows(alone, *part[:-1]))
        np.testing.assert_array_equal(slopes[group == g], kernels.log_likelihood_gradient_rows(alone, *part[:-1]))
    total, slope = kernels.log_likelihood_sum_gradient(theta[0], *data, counts, group=group)
    draws = kernels.log_likelihood_sum_draws(theta, *data, counts, group=group)
    found = [kernels.log_likelihood_sum_gradient(theta[0, g : g + 1].copy(), *part) for g, part in enumerate(parts)]
    # sums in another order: a rounding of the total
    assert total == pytest.approx(sum(value for value, _ in found), rel=1e-13)
    assert draws[0] == pytest.approx(total, rel=1e-12)
    np.testing.assert_array_equal(slope, np.concatenate([of_group for _, of_group in found]))


@ALL
def test_rows_of_a_group_need_not_stand_together(family, table):
    kernels, theta = family.kernels, theta_of(family)
    data, group = data_of(family, table)
    mixed = np.random.default_rng(0).permutation(len(group))
    columns = [np.ascontiguousarray(column[mixed]) for column in data]
    counts = np.ones(len(group))
    one = kernels.log_likelihood_sum(theta[0], *data, counts, group=group)
    other = kernels.log_likelihood_sum(theta[0], *columns, counts, group=group[mixed])
    assert one == pytest.approx(other, rel=1e-12)  # a table or each by itself, and another order


@PURCHASES
def test_predictions_and_futures_of_groups_are_those_of_each(family, table):
    kernels, theta = family.kernels, theta_of(family)
    (x, t_x, T), group = data_of(family, table)
    keys, spend = np.arange(len(x), dtype=np.uint64), np.ones((2, 1, 3))
    terms, t = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]]), np.linspace(1.0, 50.0, len(x))
    times = np.column_stack([t / 2, t])
    calls = (
        lambda p, at, g: kernels.probability_alive_draws(p, x[at], t_x[at], T[at], group=g),
        lambda p, at, g: kernels.survival_draws(p, x[at], T[at], t[at], group=g),
        lambda p, at, g: kernels.expected_purchases_alive_at(p, x[at], T[at], times[at], group=g),
        lambda p, at, g: kernels.purchase_pmf_mean(p, x[at], t_x[at], T[at], 0 * t[at], t[at], 3, group=g),
        lambda p, at, g: kernels.alive_and_purchases_mean(p, x[at], t_x[at], T[at], 2.0, 9.0, True, group=g),
        lambda p, at, g: future_rows(kernels, None).simulate_futures(
            p, spend, x[at], t_x[at], T[at], 0 * T[at], keys[at], np.uint64(2), t[at], 0.01, terms, group=g, shared=True
        )[1],
    )
    everybody = np.arange(len(x))
    for call in calls:
        found = call(theta, everybody, group)
        for g in range(3):
            at = np.flatnonzero(group == g)
            np.testing.assert_array_equal(found[at], call(np.ascontiguousarray(theta[:, g : g + 1]), at, None))


def test_an_index_outside_the_parameters_is_refused():
    kernels = FAMILIES["bg_nbd"].kernels
    theta, column = theta_of(FAMILIES["bg_nbd"])[0], np.ones(3)
    with pytest.raises(ValueError, match="between 0 and 2"):
        kernels.log_likelihood_rows(theta, column, column, column, group=np.array([0, 1, 3]))
    with pytest.raises(ValueError, match="one group for each of the 3 customers"):
        kernels.log_likelihood_rows(theta, column, column, column, group=np.array([0, 1]))
    with pytest.raises(ValueError, match="3 groups need the group of each of the 4"):
        kernels.log_likelihood_rows(theta, *np.ones((3, 4)))


# ---- through the models -----------------------------------------------------------------------------------


def grouped_fits(table):
    """Fits whose parameters differ between bands of T, and the same parameters for everybody, band by band."""
    edges = tuple(np.quantile(table.T, [1 / 3, 2 / 3]))
    bands = Bands("T", edges)
    fits, apart = {}, []
    for name in ("bg_nbd", "gamma_gamma"):
        family, theta = FAMILIES[name], theta_of(FAMILIES[name], 4)
        unit = "W" if family.kind == "purchases" else None
        draws = {parameter: theta[:, :, k] for k, parameter in enumerate(family.parameters)}
        posterior = Posterior.from_parameters(family, draws, unit, design=bands)
        samples = {parameter: values[None] for parameter, values in draws.items()}
        fits[name] = fit_class(family)(posterior, Diagnostics("given", "ok", ()), Origin(), samples)
        known = MODELS[name]()
        apart.append(
            [known.from_parameters({p: d[:, g] for p, d in draws.items()}, *([unit] if unit else [])) for g in range(3)]
        )
    return bands, fits, list(zip(*apart, strict=True))


@pytest.mark.parametrize("uncertainty", ["customer", "mean", None])
def test_values_of_groups_are_those_of_each(table, uncertainty):
    bands, fits, apart = grouped_fits(table)
    clv = lw.CLV(fits["bg_nbd"], fits["gamma_gamma"])
    costs = {"cost_per_order": 1.0, "cost_per_active_year": 2.0}
    found = clv.predict(table, "26W", 0.1, uncertainty=uncertainty, **costs)
    group = bands.group_of(table)
    assert set(group) == {0, 1, 2}
    for g, (purchases, spend) in enumerate(apart):
        at = np.flatnonzero(group == g)
        alone = lw.CLV(purchases, spend).predict(table.take(at), "26W", 0.1, uncertainty=uncertainty, **costs)
        # tables of expectations lie at ages that depend on the least of all groups' parameters
        np.testing.assert_allclose(
            found.iloc[at].drop(columns="customer_id"), alone.drop(columns="customer_id"), rtol=1e-8, atol=1e-8
        )


def test_what_a_fit_says_of_groups_is_what_it_says_of_each(table):
    bands, fits, apart = grouped_fits(table)
    fit, group = fits["bg_nbd"], bands.group_of(table)
    for g, (purchases, spend) in enumerate(apart):
        at = np.flatnonzero(group == g)
        some = table.take(at)
        for ask in (
            lambda f, rfm: f.probability_alive(rfm, draws=True),
            lambda f, rfm: f.expected_purchases(rfm, "26W", draws=True),
            lambda f, rfm: f.probability_no_purchase(rfm, ("4W", "26W")),
            lambda f, rfm: f.purchase_pmf(rfm, "26W", 3),
        ):
            np.testing.assert_array_equal(ask(fit, table)[at], ask(purchases, some))
        means = fit.expected_purchases(table, "26W")[at]
        np.testing.assert_allclose(means, purchases.expected_purchases(some, "26W"), rtol=1e-12)  # sums in chunks
        np.testing.assert_array_equal(fits["gamma_gamma"].expected_spend(table)[at], spend.expected_spend(some))


def test_a_fit_of_groups_is_saved_in_format_4_and_read_again(table, tmp_path):
    _, fits, _ = grouped_fits(table)
    clv = lw.CLV(fits["bg_nbd"], fits["gamma_gamma"])
    clv.save(tmp_path / "model")
    record = (tmp_path / "model" / "purchases" / "fit.json").read_text()
    assert '"format": 4' in record and '"kind": "bands"' in record
    again = lw.load(tmp_path / "model")
    assert again.purchases.posterior.design == fits["bg_nbd"].posterior.design
    for name, values in fits["bg_nbd"].draws.items():
        np.testing.assert_array_equal(again.purchases.draws[name], values)
    few = table.take(np.arange(30))
    np.testing.assert_array_equal(
        again.predict(few, "26W").drop(columns="customer_id"), clv.predict(few, "26W").drop(columns="customer_id")
    )


def test_a_design_that_is_not_known_is_refused(table, tmp_path):
    from lifeworth.model.record import from_record, to_record

    _, fits, _ = grouped_fits(table)
    record = to_record(fits["bg_nbd"])
    for design, says in (({"kind": "stars"}, "does not know"), ({"kind": "bands", "column": "T"}, "cannot be read")):
        with pytest.raises(lw.DataError, match=says):
            from_record(record | {"design": design}, fits["bg_nbd"].samples, {}, "the model")


def with_effect(family, groups):
    """The family's default parametrisation, and an effect of the last group on alpha."""
    base = family.parametrisation(None)
    last = np.eye(groups)[-1]

    def to_parameters(values, scale):
        found = base.to_parameters(values, scale)
        return found | {
            "alpha": np.asarray(found["alpha"])[..., None] * np.exp(-np.multiply.outer(values["effect"], last))
        }

    effect = Variable("effect", "real", PriorSpec("Normal", {"mu": 0.0, "sigma": 1.0}))
    return Parametrisation((*base.variables, effect), to_parameters)


def test_the_slope_of_a_target_with_groups_is_that_of_its_values(table):
    family, bands = FAMILIES["bg_nbd"], Bands("T", (33.0, 36.0))
    target = Target(family, family.rows(table, bands), with_effect(family, 3))
    position = target.start() + 0.1
    value, slope = target.gradient(position)
    assert value == pytest.approx(target.many(position[None])[0], rel=1e-12)
    for k in range(len(position)):
        step = 1e-4 * np.eye(len(position))[k]
        up, down = target.many(np.stack([position + step, position - step]))
        # central differences of the value, and inside of the way to the parameters
        assert slope[k] == pytest.approx((up - down) / 2e-4, rel=1e-5, abs=1e-5 * abs(slope).max())


def test_an_effect_of_a_group_is_found():
    """A shop of two halves, one of which buys at half the rate: the effect is within its interval."""
    truth = {"r": 0.5, "alpha": 6.0, "a": 0.8, "b": 2.5}
    n = 4000
    kernels, keys = FAMILIES["bg_nbd"].kernels, np.arange(n, dtype=np.uint64)
    T = np.where(np.arange(n) < n / 2, 40.0, 60.0)
    group = (T > 50).astype(np.int64)
    theta = np.array([list(truth.values()), list((truth | {"alpha": 12.0}).values())])
    counts, times, *_ = kernels.simulate_history(theta, T, keys, np.uint64(1), group=group)
    recency = np.zeros(n)
    recency[counts > 0] = times[np.cumsum(counts)[counts > 0] - 1]
    rfm = lw.RFM.from_frame(
        pd.DataFrame({"customer_id": np.arange(n), "frequency": counts, "recency": recency, "T": T}), "W"
    )
    family = FAMILIES["bg_nbd"]
    found = infer(family, family.rows(rfm, Bands("T", (50.0,))), with_effect(family, 2), "laplace", 400, 1)
    assert found.diagnostics.verdict != "fail"
    assert found.draws["alpha"].shape == (1, 400, 2) and found.draws["r"].shape == (1, 400, 2)
    effect = found.draws["effect"]
    assert abs(effect.mean() + np.log(2)) < 4 * effect.std() < 1.0
