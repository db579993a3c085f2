"""Intervals of the future against mpmath, for all families of purchases, on a grid that hurts."""

import json
import math

import futures_truth
import numpy as np
import pytest
from mpmath import mp, mpf

from lifeworth.kernels.models import bg_nbd, mbg_nbd, pareto_nbd

KERNELS = {"bg_nbd": bg_nbd, "mbg_nbd": mbg_nbd, "pareto_nbd": pareto_nbd}
GOLDEN = {
    family: [(tuple(row[:9]), [mpf(value) for value in row[9:]]) for row in rows]
    for family, rows in json.loads(futures_truth.GOLDEN.read_text()).items()
}
# Asked for is 1e-10. Exponents and the logarithm of a beta function, of some thousands, round to 1e-12.
EXACT = 2e-12
FAMILIES = pytest.mark.parametrize("family", GOLDEN)


@FAMILIES
def test_intervals_on_a_grid_that_hurts(family):
    """P(alive), purchases expected, survival to the start and P(no purchase)."""
    kernels = KERNELS[family]
    for point, truth in GOLDEN[family]:
        *theta, x, t_x, T, start, t = point
        alive = kernels.probability_alive(*theta, x, t_x, T)
        found = [
            alive,
            alive * kernels.expected_purchases_alive_between(*theta, x, T, start, t),
            kernels.survival(*theta, x, T, start),
            kernels.probability_no_purchase(*theta, x, t_x, T, start, t),
        ]
        for value, exact in zip(found, truth, strict=False):
            assert abs(value - exact) <= EXACT * exact, (point, found, truth)
        assert found[2] <= 1 and found[3] <= 1


@pytest.mark.parametrize("family", ["bg_nbd", "mbg_nbd"])
def test_pmf_of_intervals_on_a_grid_that_hurts(family):
    out = np.empty(12)
    for point, truth in GOLDEN[family]:
        KERNELS[family].purchase_pmf(*point, out)
        for k, exact in zip(futures_truth.PURCHASES, truth[4:], strict=True):
            if exact > mpf(10) ** -290:
                assert abs(out[k] - exact) <= EXACT * exact, (point, k)


@FAMILIES
def test_golden_values_are_recomputed(family):
    """With more digits, so that a step of the rule too long would show."""
    point, truth = GOLDEN[family][0]
    for again, value in zip(futures_truth.future(family, point, 36), truth, strict=True):
        assert abs(again / value - 1) < 5e-16  # compared as floats


def test_the_trapezoidal_rule_is_the_difference_of_two_2f1():
    """Fader, Hardie & Lee (2005) eq. (10), at both ends of an interval."""
    r, alpha, a, b, x, T, start, t = 0.25, 4.0, 0.8, 2.5, 3.0, 40.0, 13.0, 2.0
    exact = futures_truth.future("bg_nbd", (r, alpha, a, b, x, 20.0, T, start, t))
    with mp.workdps(40):
        n, c = mpf(r) + x, mpf(b) + x

        def until(tau):
            f = mp.hyp2f1(n, c, mpf(a) + c - 1, tau / (1 + tau))
            return (mpf(a) + c - 1) / (mpf(a) - 1) * (1 - (1 + tau) ** -n * f)

        published = until(mpf(start + t) / (alpha + T)) - until(mpf(start) / (alpha + T))
        assert abs(exact[0] * published / exact[1] - 1) < 1e-20


@FAMILIES
def test_nothing_happens_in_no_time(family):
    kernels, theta = KERNELS[family], (0.5, 4.0, 1.5, 2.5)
    assert kernels.expected_purchases_alive_between(*theta, 3.0, 30.0, 5.0, 0.0) == 0.0
    assert kernels.survival(*theta, 3.0, 30.0, 0.0) == 1.0
    assert kernels.survival(*theta, 3.0, 30.0, math.inf) == 0.0
    # all that is still to come, less what comes until then
    whole = kernels.expected_purchases_alive(*theta, 3.0, 30.0, math.inf)
    soon = kernels.expected_purchases_alive(*theta, 3.0, 30.0, 5.0)
    rest = kernels.expected_purchases_alive_between(*theta, 3.0, 30.0, 5.0, math.inf)
    assert soon + rest == pytest.approx(whole, rel=1e-13)


@FAMILIES
def test_missing_parameters_give_nan_and_come_back(family):
    for place in range(4):
        theta = [0.5, 4.0, 1.5, 2.5]
        theta[place] = math.nan
        assert math.isnan(KERNELS[family].expected_purchases_alive_between(*theta, 3.0, 30.0, 5.0, 9.0))
        assert math.isnan(KERNELS[family].probability_no_purchase(*theta, 3.0, 20.0, 30.0, 5.0, 9.0))
