"""Scores of forecasts: against SciPy, scikit-learn, closed forms, and every order of ties written out."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from lifeworth.errors import UsageError
from lifeworth.evaluate import metrics
from lifeworth.evaluate.metrics import METRICS, Judged, bootstrap_times, score_table, why_not

# Few distinct values, so that ties are the rule.
few = st.integers(0, 4).map(float)


@st.composite
def forecasts(draw: st.DrawFn, least: int = 10) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(least, 30))
    return tuple(np.array(draw(st.lists(few, min_size=size, max_size=size))) for _ in range(2))


@given(forecasts())
def test_spearman_is_scipys(pair):
    predicted, actual = pair
    found = metrics.spearman(predicted, actual)
    if np.ptp(predicted) == 0 or np.ptp(actual) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(predicted, actual).statistic, abs=1e-12)  # rounding


@given(forecasts())
def test_errors_are_scikit_learns(pair):
    theirs = pytest.importorskip("sklearn.metrics")
    predicted, actual = pair
    assert metrics.mean_absolute_error(predicted, actual) == pytest.approx(
        theirs.mean_absolute_error(actual, predicted)
    )
    assert metrics.root_mean_squared_error(predicted, actual) == pytest.approx(
        theirs.root_mean_squared_error(actual, predicted)
    )
    if actual.sum():
        assert metrics.normalised_mae(predicted, actual) == pytest.approx(
            np.abs(predicted - actual).sum() / actual.sum()
        )
        assert metrics.total_bias(predicted, actual) == pytest.approx(predicted.sum() / actual.sum() - 1)


def every_order(predicted: np.ndarray) -> list[list[int]]:
    """All orders of customers, highest prediction first, that ties allow."""
    levels = [np.flatnonzero(predicted == level).tolist() for level in sorted(set(predicted), reverse=True)]
    return [list(itertools.chain(*parts)) for parts in itertools.product(*map(itertools.permutations, levels))]


def plain_gini(actual: np.ndarray) -> float:
    gains = np.concatenate([[0.0], np.cumsum(actual)]) / actual.sum()
    return 2 * float(np.trapezoid(gains, dx=1 / len(actual))) - 1


def test_ties_stand_in_every_order_equally_often():
    predicted = np.array([5, 5, 5, 4, 3, 3, 3, 3, 1, 0.0])
    actual = np.array([9, 0, 4, 4, 0, 7, 1, 0, 0, 0.0])
    orders = every_order(predicted)
    assert len(orders) == 6 * 24
    ginis = [plain_gini(actual[order]) for order in orders]
    assert metrics.normalised_gini(predicted, actual) == pytest.approx(np.mean(ginis) / plain_gini(-np.sort(-actual)))
    for share in (0.1, 0.2, 0.5):
        best = int(10 * share)
        found = [actual[order[:best]].sum() / actual.sum() for order in orders]
        assert metrics.money_found(predicted, actual, share) == pytest.approx(np.mean(found))
    # The true best two are the customers with 9 and with 7: the first two by prediction hold that with 9 in 2 of 3.
    assert metrics.top_found(predicted, actual, 0.2) == pytest.approx(2 / 3 / 2)


def test_the_true_top_has_no_room_for_those_who_brought_nothing():
    actual = np.zeros(40)
    actual[:2] = 5.0, 1.0
    assert metrics.top_found(actual, actual) == 1.0  # two buyers, though four make a tenth
    assert metrics.top_found(np.roll(actual, 1), actual) == pytest.approx((1 + 2 / 38) / 2)


def test_customers_as_good_as_the_last_of_the_best_count():
    actual = np.array([3, 2, 2, 2, 0, 0, 0, 0, 0, 0.0])
    predicted = np.array([0, 0, 8, 9, 0, 0, 0, 0, 0, 0.0])
    assert metrics.top_found(predicted, actual, 0.2) == 0.5  # of the two, one place is that of customer 0


@given(forecasts())
def test_perfect_foresight_finds_everything(pair):
    _, actual = pair
    if actual.sum() == 0 or np.ptp(actual) == 0:
        return
    assert metrics.normalised_gini(actual, actual) == pytest.approx(1)
    assert metrics.top_found(actual, actual) == pytest.approx(1)
    assert metrics.normalised_gini(np.ones(len(actual)), actual) == pytest.approx(0, abs=1e-12)


@given(forecasts(), st.integers(0, 2**32 - 1))
def test_a_resample_is_its_customers_written_out(pair, seed):
    predicted, actual = pair
    rng = np.random.default_rng(seed)
    lower, upper = predicted - rng.integers(0, 3, len(predicted)), predicted + rng.integers(0, 3, len(predicted))
    draws = metrics.judge_draws(rng.poisson(1, (len(predicted), 20)).astype(float), actual)
    times = bootstrap_times(len(predicted), 3, seed)
    assert (times.sum(axis=1) == len(predicted)).all()
    table = score_table(Judged(predicted, actual, lower, upper, draws), times, share=0.3)
    for b, row in enumerate(times):
        parts = (np.repeat(part, row, axis=0) for part in (predicted, actual, lower, upper, draws))
        alone = score_table(Judged(*parts), share=0.3)
        for metric in METRICS:
            np.testing.assert_allclose(table[metric][b], alone[metric][0], rtol=1e-9, atol=1e-9, err_msg=metric)


@given(forecasts(least=0), st.booleans(), st.randoms(use_true_random=False))
def test_what_is_unknown_has_a_reason_and_nothing_else_has(pair, known, random):
    predicted, actual = pair
    judged = Judged(predicted, actual, *((predicted, predicted + 1) if known else ()))
    table = score_table(judged)
    order = random.sample(range(len(actual)), len(actual))
    again = score_table(Judged(predicted[order], actual[order]))
    for metric in METRICS:
        assert np.isnan(table[metric][0]) == bool(why_not(judged, metric)), metric
        if metric not in metrics.OF_INTERVALS:  # whatever the order
            np.testing.assert_allclose(again[metric], table[metric], atol=1e-12)


def test_too_few_customers_are_told():
    judged = Judged(np.arange(4.0), np.ones(4))
    assert why_not(judged, "gini") == "not enough data: 4 customers, and ranking takes 10"
    assert why_not(judged, "mae") == ""
    assert why_not(Judged(np.ones(1), np.ones(1)), "top_found").startswith("not enough data: 1 customer,")


def test_coverage_counts_the_ends():
    assert metrics.coverage([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 3.5, 0.0], [2.0, 2.0, 9.0, 3.0]) == 0.5


@given(st.lists(st.lists(st.integers(-3, 5).map(float), min_size=6, max_size=6), min_size=1, max_size=5), few)
def test_crps_is_its_definition(draws, actual):
    draws, actual = np.array(draws), np.full(len(draws), actual)
    distance = np.abs(draws - actual[:, None]).mean(axis=1)
    pairs = [np.mean([abs(a - b) for a, b in itertools.permutations(row, 2)]) for row in draws]
    np.testing.assert_allclose(metrics.crps(draws, actual), distance - np.array(pairs) / 2, atol=1e-12)


def test_crps_of_a_normal_is_its_closed_form():
    draws = np.random.default_rng(1).normal(size=(3, 200_000))
    actual = np.array([0.0, 0.7, -2.0])
    exact = actual * (2 * stats.norm.cdf(actual) - 1) + 2 * stats.norm.pdf(actual) - 1 / np.sqrt(np.pi)
    # The standard error of a mean over 200,000 draws of spread 1 is 0.0022.
    np.testing.assert_allclose(metrics.crps(draws, actual), exact, atol=0.01)


def test_transforms_of_a_right_forecast_are_flat_however_few_the_draws():
    rng = np.random.default_rng(2)
    draws, actual = rng.poisson(0.4, (40_000, 7)).astype(float), rng.poisson(0.4, 40_000).astype(float)
    judged = metrics.judge_draws(draws, actual)
    # A tenth of 40,000 has a standard error of 1.5 % at most; four of these.
    np.testing.assert_allclose(metrics.pit_histogram(judged[:, 1], judged[:, 2]), 1, atol=0.06)
    wrong = metrics.judge_draws(draws, rng.poisson(0.8, 40_000).astype(float))
    assert metrics.pit_histogram(wrong[:, 1], wrong[:, 2])[-1] > 1.3  # forecasts too low: a heap at the top


@example(ends=[(0.0, 5e-324)])
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_every_transform_weighs_the_same(ends):
    below, upto = np.sort(np.array(ends), axis=1).T
    np.testing.assert_allclose(metrics.pit_heights(below, upto).sum(axis=1), 10, rtol=1e-9)


@given(forecasts(least=1), st.randoms(use_true_random=False))
def test_lift_adds_up_and_knows_no_order(pair, random):
    predicted, actual = pair
    table = metrics.lift_table(predicted, actual)
    assert table["customers"].sum() == len(actual)
    assert (table["customers"] * table["actual"]).sum() == pytest.approx(actual.sum())
    assert (table["customers"] * table["predicted"]).sum() == pytest.approx(predicted.sum())
    if actual.sum():
        assert table["found"].iloc[-1] == pytest.approx(1)
    order = random.sample(range(len(actual)), len(actual))
    again = metrics.lift_table(predicted[order], actual[order])
    np.testing.assert_allclose(again.to_numpy(), table.to_numpy(), atol=1e-9)


def test_arrays_that_do_not_match_are_refused():
    with pytest.raises(UsageError, match="predicted has 2 values for 3 customers"):
        metrics.mean_absolute_error([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(UsageError, match="missing or infinite"):
        metrics.mean_absolute_error([1.0, np.nan], [1.0, 2.0])
