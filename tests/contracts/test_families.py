"""What every family of the registry promises."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth import predict
from lifeworth.families import FAMILIES, Family
from lifeworth.families.posterior import Posterior
from lifeworth.inference.fit import infer
from lifeworth.inference.pymc_model import build_model
from lifeworth.kernels.models.futures import future_rows
from lifeworth.model.models import MODELS

PURCHASES = [family for family in FAMILIES.values() if family.kind == "purchases"]
SPEND = [family for family in FAMILIES.values() if family.kind == "spend"]
# Parameters from which a family is simulated and which a fit must find again.
TRUTH = {
    "bg_nbd": {"r": 0.5, "alpha": 6.0, "a": 0.8, "b": 2.5},
    "mbg_nbd": {"r": 0.5, "alpha": 6.0, "a": 0.8, "b": 2.5},
    "pareto_nbd": {"r": 0.6, "alpha": 8.0, "s": 0.7, "beta": 12.0},
    "gamma_gamma": {"p": 5.0, "q": 4.0, "v": 18.0},
}


def _id(family: Family) -> str:
    return family.name


@pytest.fixture(scope="module")
def table() -> lw.RFM:
    """Customers of all kinds, ages and habits, down to the day of the first purchase."""
    rows = [(x, t, T) for T in (0.0, 3.0, 40.0, 400.0) for x in (0, 1, 4, 60) for t in (0.0, T / 2, T) if x or t == 0]
    frequency, recency, age = zip(*rows, strict=True)
    frame = pd.DataFrame({"customer_id": range(len(rows)), "frequency": frequency, "recency": recency, "T": age})
    return lw.RFM.from_frame(frame.assign(monetary_value=np.where(frame["frequency"] > 0, 20.0 + frame.index, 0)), "W")


def _posterior(family: Family, spread: float = 0.2, draws: int = 30) -> Posterior:
    rng = np.random.default_rng(5)
    values = {name: value * np.exp(rng.normal(0, spread, draws)) for name, value in TRUTH[family.name].items()}
    return Posterior.from_parameters(family, values, "W" if family.kind == "purchases" else None)


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_probabilities_are_probabilities(family, table):
    posterior = _posterior(family)
    for values in (
        predict.probability_alive(posterior, table, draws=True),
        predict.probability_no_purchase(posterior, table, 39.0, draws=True),
    ):
        assert values.shape == (len(table), len(posterior))
        assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_the_pmf_sums_to_one_and_has_the_expectation_for_mean(family, table):
    posterior = _posterior(family)
    quiet = table.take(table.frequency < 10)
    pmf = predict.purchase_pmf(posterior, quiet, 4.0, 4000)
    np.testing.assert_allclose(pmf.sum(axis=1), 1, rtol=1e-9)  # 4,001 terms, each to 1e-13 or so
    mean = pmf @ np.arange(4001)
    np.testing.assert_allclose(mean, predict.expected_purchases(posterior, quiet, 4.0), rtol=1e-8)
    np.testing.assert_allclose(pmf[:, 0], predict.probability_no_purchase(posterior, quiet, 4.0), rtol=1e-10)


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_the_pmf_of_an_interval_sums_to_one_and_has_the_expectation_for_mean(family, table):
    posterior = _posterior(family, draws=2)
    quiet = table.take(table.frequency < 10)
    pmf = predict.purchase_pmf(posterior, quiet, 2.0, 300, start=13.0)
    np.testing.assert_allclose(pmf.sum(axis=1), 1, rtol=1e-10)  # 301 terms, each to 1e-12 or so
    mean = pmf @ np.arange(301)
    np.testing.assert_allclose(mean, predict.expected_purchases(posterior, quiet, 2.0, start=13.0), rtol=1e-9)
    np.testing.assert_allclose(
        pmf[:, 0], predict.probability_no_purchase(posterior, quiet, 2.0, start=13.0), rtol=1e-12
    )


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
@given(
    logs=st.lists(st.floats(-3.0, 3.0), min_size=8, max_size=8),
    start=st.floats(-7.0, 7.0).map(np.exp),
    length=st.floats(-7.0, 7.0).map(np.exp),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_intervals_add_up(family, table, logs, start, length):
    """Times from a thousandth to a thousand weeks, parameters from a twentieth to twenty times the truth."""
    truth = TRUTH[family.name]
    values = {}
    for parameter, log in zip(family.definitions, logs, strict=False):  # more logs than a family has parameters
        value = truth[parameter.name]
        odds = value / (1 - value) * np.exp(log) if parameter.support == "unit" else 0.0
        values[parameter.name] = odds / (1 + odds) if parameter.support == "unit" else value * np.exp(log)
    posterior = Posterior.from_parameters(family, values, "W")
    until, whole, later = (
        predict.expected_purchases(posterior, table, lasting, start=begin)
        for begin, lasting in ((0.0, start), (0.0, start + length), (start, length))
    )
    assert np.isfinite(later).all() and (later > 0).all()
    # rounding of each of the three, 1e-12, and of start + length
    np.testing.assert_allclose(until + later, whole, rtol=1e-11)
    assert (whole >= until * (1 - 1e-12)).all()
    silent = predict.probability_no_purchase(posterior, table, length, start=start)
    assert ((silent >= 0) & (silent <= 1 + 1e-12)).all()
    # the mean number of purchases is at least the chance of any
    assert (later - (1 - silent) >= -1e-12).all()
    alive = [predict.probability_alive(posterior, table, after=age) for age in (0.0, start, start + length)]
    assert (np.diff(alive, axis=0) <= 1e-12).all() and (alive[2] >= 0).all()
    # who has gone by the start is silent
    assert (silent - (1 - alive[1]) >= -1e-12).all()


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_a_new_customer_is_one_of_age_nothing(family):
    posterior = _posterior(family)
    frame = pd.DataFrame({"customer_id": ["new"], "frequency": 0, "recency": 0.0, "T": 0.0})
    new = lw.RFM.from_frame(frame, "W")
    for start in (0.0, 13.0):
        pairs = (
            (predict.expected_purchases_new_customer, predict.expected_purchases),
            (predict.probability_no_purchase_new_customer, predict.probability_no_purchase),
        )
        for unconditional, conditional in pairs:
            for draws in (False, True):
                found = unconditional(posterior, 39.0, draws, start)
                np.testing.assert_allclose(found, conditional(posterior, new, 39.0, draws, start), rtol=1e-13)
        pmf = predict.purchase_pmf_new_customer(posterior, 39.0, 5, start)
        np.testing.assert_allclose(pmf, predict.purchase_pmf(posterior, new, 39.0, 5, start), rtol=1e-13)
        np.testing.assert_allclose(
            pmf[:, 0], predict.probability_no_purchase_new_customer(posterior, 39.0, False, start)
        )
    found = predict.probability_alive_new_customer(posterior, 39.0)
    np.testing.assert_allclose(found, predict.probability_alive(posterior, new, after=39.0), rtol=1e-13)


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_expectations_start_at_nothing_and_grow(family, table):
    posterior = _posterior(family)
    lengths = (1e-9, 0.1, 1.0, 10.0, 100.0, 1000.0)
    values = np.stack([predict.expected_purchases(posterior, table, t, draws=True) for t in lengths])
    assert np.isfinite(values).all()
    assert (values[0] < 1e-6).all()
    assert (np.diff(values, axis=0) >= 0).all()
    new = predict.expected_purchases_new_customer(posterior, np.array(lengths))
    assert (np.diff(new) > 0).all()


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_silence_lowers_the_chance_to_be_alive(family):
    """For one repeat purchase at week 10, P(alive) falls as weeks go by without another."""
    ages = np.array([10.0, 20.0, 50.0, 200.0])
    frame = pd.DataFrame({"customer_id": range(4), "frequency": 1, "recency": 10.0, "T": ages})
    alive = predict.probability_alive(_posterior(family), lw.RFM.from_frame(frame, "W"))
    assert (np.diff(alive) < 0).all()


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_means_are_the_means_of_draws(family, table):
    posterior = _posterior(family)
    for quantity in (
        predict.probability_alive,
        lambda p, rfm, draws=False: predict.expected_purchases(p, rfm, 39.0, draws),
        lambda p, rfm, draws=False: predict.probability_no_purchase(p, rfm, 39.0, draws),
    ):
        means = quantity(posterior, table, draws=True).mean(axis=1)
        np.testing.assert_allclose(quantity(posterior, table), means, rtol=1e-12)


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_the_unit_of_time_is_a_name_only(family, table):
    """Times in days with parameters in days are the same customers as in weeks."""
    weeks = _posterior(family)
    scaled = {p.name: weeks.draws[p.name] * (7 if p.dimension == "time" else 1) for p in family.definitions}
    days = Posterior.from_parameters(family, scaled, "D")
    frame = table.to_pandas().assign(recency=table.recency * 7, T=table.T * 7)
    frame.attrs.clear()  # they say that times are in weeks
    in_days = lw.RFM.from_frame(frame, "D")
    np.testing.assert_allclose(
        predict.expected_purchases(days, in_days, 273.0), predict.expected_purchases(weeks, table, 39.0), rtol=1e-10
    )


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_simulated_customers_give_their_parameters_back(family):
    """20,000 customers over 60 weeks: the estimate lies within 4 standard errors of the truth, taken from curvature."""
    truth = np.array([TRUTH[family.name][name] for name in family.parameters])
    n = 20_000
    ages = np.linspace(30.0, 60.0, n)
    counts, times, *_ = family.kernels.simulate_history(truth[None], ages, np.arange(n, dtype=np.uint64), np.uint64(3))
    recency = np.zeros(n)
    np.maximum.at(recency, np.repeat(np.arange(n), counts), times)
    frame = pd.DataFrame({"customer_id": range(n), "frequency": counts, "recency": recency, "T": ages})
    rows = family.rows(lw.RFM.from_frame(frame, "W"))
    found = infer(family, rows, family.parametrisation("flat"), "map").draws
    _assert_near(family, rows, truth, np.array([found[name][0, 0] for name in family.parameters]))


@pytest.mark.parametrize("family", SPEND, ids=_id)
def test_simulated_spend_gives_its_parameters_back(family):
    truth = np.array([TRUTH[family.name][name] for name in family.parameters])
    n = 20_000
    counts = np.random.default_rng(1).integers(1, 6, n).astype(np.int32)
    amounts = family.kernels.simulate_amounts(truth[None], np.arange(n, dtype=np.uint64), counts, np.uint64(3))
    means = np.add.reduceat(amounts, np.concatenate([[0], np.cumsum(counts)[:-1]])) / counts
    frame = pd.DataFrame(
        {"customer_id": range(n), "frequency": counts, "recency": 1.0, "T": 2.0, "monetary_value": means}
    )
    rows = family.rows(lw.RFM.from_frame(frame, "W"))
    found = infer(family, rows, family.parametrisation("flat"), "map").draws
    _assert_near(family, rows, truth, np.array([found[name][0, 0] for name in family.parameters]))


def _assert_near(family: Family, rows, truth: np.ndarray, found: np.ndarray) -> None:
    """Within 4 standard errors jointly: the quadratic form of the observed information is chi-squared."""
    kernel, data = family.kernels.log_likelihood_sum_gradient, list(rows.columns.values())
    information = []
    for index in range(len(found)):
        shift = np.zeros_like(found)
        shift[index] = 1e-4 * found[index]
        up, down = (kernel((found + sign * shift)[None], *data, rows.counts)[1][0] for sign in (1, -1))
        change = up - down
        information.append(-change / (2 * shift[index]))
    distance = (truth - found) @ np.array(information) @ (truth - found)
    assert 0 <= distance < 26, (truth, found)  # chi-squared with 4 degrees: 1 in 30,000 lies beyond


@pytest.mark.parametrize("family", FAMILIES.values(), ids=_id)
def test_counts_stand_for_customers(family, table):
    rows = family.rows(table)
    theta = np.array([list(TRUTH[family.name].values())])
    data = list(rows.columns.values())
    weights = np.arange(1.0, len(rows.counts) + 1)
    again = np.repeat(np.arange(len(weights)), weights.astype(int))
    expanded = family.kernels.log_likelihood_rows(theta, *[column[again] for column in data]).sum()
    assert family.kernels.log_likelihood_sum(theta, *data, weights) == pytest.approx(expanded, rel=1e-12)


def _kernel_data(family: Family, table: lw.RFM) -> list[np.ndarray]:
    return list(family.rows(table).columns.values())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=_id)
def test_equal_parameters_for_each_customer_are_shared_ones(family, table):
    """A matrix of one row and the same row for every customer: the same numbers, bit for bit but for sums."""
    kernels, data = family.kernels, _kernel_data(family, table)
    n = len(data[0])
    shared = _posterior(family).matrix
    own = np.repeat(shared, n, axis=1)
    counts = np.arange(1.0, n + 1)
    np.testing.assert_array_equal(
        kernels.log_likelihood_rows(own[0], *data), kernels.log_likelihood_rows(shared[0], *data)
    )
    np.testing.assert_array_equal(
        kernels.log_likelihood_gradient_rows(own[0], *data), kernels.log_likelihood_gradient_rows(shared[0], *data)
    )
    np.testing.assert_allclose(
        kernels.log_likelihood_sum_draws(own, *data, counts),
        kernels.log_likelihood_sum_draws(shared, *data, counts),
        rtol=1e-14,
    )


@pytest.mark.parametrize("family", FAMILIES.values(), ids=_id)
def test_each_customer_is_judged_by_its_own_parameters(family, table):
    """Customers of two kinds in one call are those of two calls."""
    kernels, data = family.kernels, _kernel_data(family, table)
    n = len(data[0])
    posterior = _posterior(family)
    one, other = posterior.matrix[0], posterior.matrix[1]
    mixed = np.where(np.arange(n)[:, None] % 2 == 0, one, other)
    for kernel in (kernels.log_likelihood_rows, kernels.log_likelihood_gradient_rows):
        found, even, odd = kernel(mixed, *data), kernel(one, *data), kernel(other, *data)
        np.testing.assert_array_equal(found[::2], even[::2])
        np.testing.assert_array_equal(found[1::2], odd[1::2])
        assert not np.array_equal(even, odd)
    total = kernels.log_likelihood_sum(mixed, *data, np.ones(n))
    assert total == pytest.approx(kernels.log_likelihood_rows(mixed, *data).sum(), rel=1e-13)


@pytest.mark.parametrize("family", PURCHASES, ids=_id)
def test_each_customer_is_predicted_and_simulated_by_its_own_parameters(family, table):
    kernels = family.kernels
    x, t_x, T = (np.ascontiguousarray(c, dtype=np.float64) for c in (table.frequency, table.recency, table.T))
    n, t, keys = len(x), np.linspace(1.0, 50.0, len(x)), np.arange(len(x), dtype=np.uint64)
    draws = _posterior(family).matrix[:6]
    own = np.ascontiguousarray(draws[np.arange(6)[:, None] // 3 * 3 + np.arange(n) % 3, 0])
    calls = (
        lambda p: kernels.probability_alive_draws(p, x, t_x, T),
        lambda p: kernels.expected_purchases_alive_draws(p, x, T, t),
        lambda p: kernels.probability_no_purchase_draws(p, x, t_x, T, t / 3, t),
        lambda p: future_rows(kernels, None).simulate_futures(
            p,
            np.ones((6, 1, 3)),
            x,
            t_x,
            T,
            0.0 * x,
            keys,
            np.uint64(2),
            t,
            0.01,
            np.array([[1.0, 0.0, 0.0, 0.0, 0.0]]),
        )[1],
    )
    for call in calls:
        found = call(own)
        for s in range(6):
            for kind in range(3):
                # Draw numbers seed simulations, so the row stands where it stands in `own`.
                alike = draws.copy()
                alike[s] = draws[s // 3 * 3 + kind]
                np.testing.assert_array_equal(found[kind::3, s], call(alike)[kind::3, s])
    means = kernels.purchase_pmf_mean(own[:1], x, t_x, T, t / 3, t, 3)
    np.testing.assert_array_equal(means[1::3], kernels.purchase_pmf_mean(draws[1:2], x, t_x, T, t / 3, t, 3)[1::3])
    counts, times, *_ = kernels.simulate_history(own[0], T, keys, np.uint64(3))
    again, _, *_ = kernels.simulate_history(draws[1], T, keys, np.uint64(3))
    np.testing.assert_array_equal(counts[1::3], again[1::3])
    assert len(times) == counts.sum()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=_id)
def test_the_gradient_of_a_sum_is_the_sum_of_gradients(family, table):
    kernels, data = family.kernels, _kernel_data(family, table)
    theta = _posterior(family).matrix[0]
    counts = np.arange(1.0, len(data[0]) + 1)
    value, gradients = kernels.log_likelihood_sum_gradient(theta, *data, counts)
    (gradient,) = gradients
    assert value == kernels.log_likelihood_sum(theta, *data, counts)
    each = kernels.log_likelihood_gradient_rows(theta, *data) * counts[:, None]
    np.testing.assert_allclose(gradient, each.sum(axis=0), rtol=0, atol=1e-13 * np.abs(each).sum())
    for place, parameter in enumerate(theta[0]):
        step = 1e-5 * parameter
        beside = [theta.copy(), theta.copy()]
        beside[0][0, place] += step
        beside[1][0, place] -= step
        up, down = (kernels.log_likelihood_sum(point, *data, counts) for point in beside)
        # central differences: the third derivative times 1e-10, and rounding of the sum over the step
        assert gradient[place] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-8 * abs(value) / parameter)


@pytest.mark.parametrize("family", [f for f in PURCHASES if f.distribution], ids=_id)
def test_the_kernel_is_the_distribution_of_the_pymc_model(family, table):
    """Row by row, weighted by counts, at the draws of a posterior."""
    rows = family.rows(table)
    model = build_model(family, rows, family.parametrisation("flat"))
    logp = model.compile_logp(vars=[model["recency_frequency"]], sum=False)
    for theta in _posterior(family).matrix[:4]:
        point = {f"{name}_log__": np.log(value) for name, value in zip(family.parameters, theta[0], strict=True)}
        theirs = np.asarray(logp(point)[0])
        ours = rows.counts * family.kernels.log_likelihood_rows(theta, *rows.columns.values())
        # their sums of log-gammas lose two or three digits for frequent buyers
        np.testing.assert_allclose(theirs, ours, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("family", SPEND, ids=_id)
def test_expected_spend_lies_between_the_customers_and_the_populations_mean(family, table):
    posterior = _posterior(family, spread=0.0)
    expected = predict.expected_spend(posterior, table)
    nobody = predict.expected_spend(posterior, table.take(table.frequency == 0))[0]
    bought = table.frequency > 0
    own = table.monetary_value[bought]
    assert (np.minimum(own, nobody) <= expected[bought] + 1e-9).all()
    assert (expected[bought] <= np.maximum(own, nobody) + 1e-9).all()
    assert (expected[~bought] == nobody).all()


@pytest.mark.parametrize("family", SPEND, ids=_id)
def test_the_unit_of_money_is_a_name_only(family, table):
    euros = _posterior(family)
    cents = Posterior.from_parameters(
        family, {p.name: euros.draws[p.name] * (100 if p.dimension == "money" else 1) for p in family.definitions}, None
    )
    in_cents = lw.RFM.from_frame(table.to_pandas().assign(monetary_value=table.monetary_value * 100), "W")
    np.testing.assert_allclose(
        predict.expected_spend(cents, in_cents), 100 * predict.expected_spend(euros, table), rtol=1e-12
    )


@pytest.mark.parametrize("family", FAMILIES.values(), ids=_id)
def test_what_is_known_of_a_parameter_is_said(family):
    assert len(set(family.parameters)) == len(family.parameters)
    for definition in family.definitions:
        assert definition.meaning and definition.start > 0
        assert ("{unit}" in definition.meaning) == (definition.dimension != "none"), definition.name
        assert definition.dimension in ("none", "time" if family.kind == "purchases" else "money")


@pytest.mark.parametrize("family", [f for f in PURCHASES if f.distribution], ids=_id)
def test_arguments_stand_in_the_order_of_pymc_marketings_generator(family):
    """Seen from outside: parameters far apart, and a generator that is told them by position."""
    from pymc_marketing.clv import distributions

    kind = getattr(distributions, family.distribution)
    assert sorted(family.arguments) == sorted(family.parameters)
    taken = inspect.signature(kind.rv_op.rng_fn).parameters
    assert [name for name in taken if name in family.parameters] == list(family.arguments)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=_id)
def test_every_family_has_a_model_and_its_counterpart_in_pymc_marketing_is_one_of_its_kind(family):
    from pymc_marketing import clv

    model = MODELS[family.name]
    assert model.family is family
    assert getattr(lw, model.__name__) is model
    if family.counterpart:
        assert getattr(clv, family.counterpart)._model_type.startswith(family.label)


def test_no_other_room_names_a_familys_parameters():
    """Families are data: names of families, parameters and variables stand with the family, and in its public model."""
    names = {v.name for f in FAMILIES.values() for slot in f.slots for choice in slot.choices for v in choice.variables}
    names |= {name for family in FAMILIES.values() for name in (family.name, *family.parameters)}
    source = Path(lw.__file__).parent
    # The command line's help and default name families, and the demo quotes published estimates.
    rooms = ("inference", "model", "evaluate", "report", "plots", "predict.py", "value", "cli")
    said = {
        "model/models.py": names,
        "cli/demo.py": names,
        "cli/__init__.py": set(FAMILIES),
        "cli/evaluate.py": set(FAMILIES),
    }
    found = []
    for path in source.rglob("*.py"):
        place = path.relative_to(source)
        if place.parts[0] not in rooms:
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        # A single letter may be a plural; it is a parameter where something is looked up by it.
        keys = {node.slice.value for node in nodes if isinstance(node, ast.Subscript) and _is_text(node.slice)}
        named = keys | {node.value for node in nodes if _is_text(node) and len(node.value) > 1}
        allowed = said.get(str(place), set()) | {"alpha"}  # what Matplotlib calls opacity
        found += [f"{place} names {name}" for name in sorted((named & names) - allowed)]
    assert found == []


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
