"""The fast path: its weights, its certificate, and that it gives NUTS' posterior."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pymc_extras.prior import Prior

import lifeworth as lw
from lifeworth.errors import FitError, UsageError
from lifeworth.families.parameters import PriorSpec, Variable
from lifeworth.inference import laplace
from lifeworth.inference.mode import climb
from lifeworth.inference.priors import PriorTable, log_density
from lifeworth.inference.psis import smooth_weights
from lifeworth.inference.target import Target

MODELS = (lw.BetaGeo, lw.ModifiedBetaGeo, lw.ParetoNBD, lw.GammaGamma)
# What NUTS samples within minutes; the slope of pymc-marketing's Pareto/NBD, by 2F1, takes ten times as long.
SAMPLED = (lw.BetaGeo, lw.ModifiedBetaGeo, lw.GammaGamma)


@pytest.fixture(scope="module")
def sample() -> lw.RFM:
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")


@pytest.fixture(scope="module")
def few(sample) -> lw.RFM:
    return sample.take(np.arange(300))


# --- the parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [50, 300, 1000, 4000])
@pytest.mark.parametrize("tails", [2, 5, 30])
def test_smoothed_weights_are_arviz_s(draws, tails):
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(draws + tails)
    ratios = np.stack([rng.standard_t(tails, draws) * scale for scale in (0.01, 0.5, 1, 2)])
    for relative in (1.0, 0.7):
        weights, k_hat = smooth_weights(ratios, relative)
        for row in range(len(ratios)):
            theirs, their_k = array_stats.psislw(-ratios[row], relative, axis=-1)
            np.testing.assert_allclose(weights[row], theirs, rtol=0, atol=1e-10)  # the same sums in another order
            assert k_hat[row] == pytest.approx(float(their_k), abs=1e-10)


def test_weights_all_alike_are_as_good_as_it_gets():
    weights, k_hat = smooth_weights(np.zeros((1, 1000)))
    np.testing.assert_allclose(weights, -np.log(1000))
    assert k_hat[0] == 0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Beta", {"alpha": 2.0, "beta": 3.0}),
        ("Exponential", {"lam": 0.7}),
        ("Exponential", {"scale": 3.0}),
        ("Gamma", {"alpha": 2.0, "beta": 0.5}),
        ("Gamma", {"mu": 2.0, "sigma": 0.5}),
        ("HalfCauchy", {"beta": 2.0}),
        ("HalfNormal", {"sigma": 2.0}),
        ("HalfStudentT", {"nu": 3.0, "sigma": 2.0}),
        ("InverseGamma", {"alpha": 2.0, "beta": 3.0}),
        ("LogNormal", {"mu": 0.3, "sigma": 0.8}),
        ("Pareto", {"alpha": 2.0, "m": 0.1}),
        ("TruncatedNormal", {"mu": 0.5, "sigma": 0.3, "lower": 0.1, "upper": 2.0}),
        ("Uniform", {"lower": 0.1, "upper": 0.8}),
        ("Weibull", {"alpha": 2.0, "beta": 3.0}),
    ],
)
def test_densities_and_probabilities_are_pymc_s(name, arguments):
    """Log densities to rounding, up to a constant; probabilities to half a step of the grid where a density jumps."""
    import pymc as pm

    at = np.linspace(0.15, 0.75, 7)
    theirs = pm.logp(getattr(pm, name).dist(**arguments), at).eval()
    ours = log_density(PriorSpec(name, arguments))(at)
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-10, atol=1e-12)
    table = PriorTable(Variable("it", "unit" if name == "Beta" else "positive", PriorSpec(name, arguments)))
    distribution = getattr(pm, name).dist(**arguments)
    probabilities = np.array([0.05, 0.3, 0.5, 0.9])
    if name not in ("Pareto", "TruncatedNormal", "InverseGamma", "HalfStudentT"):  # of these PyMC has no logcdf
        values = table.quantile(probabilities)
        np.testing.assert_allclose(np.exp(pm.logcdf(distribution, values).eval()), probabilities, atol=8e-3)
        assert table.below(float(values[1])) == pytest.approx(0.3, abs=8e-3)


@pytest.mark.parametrize("model", MODELS)
def test_the_slope_is_that_of_the_density(few, model):
    made = model()
    target = Target(made.family, made.family.rows(few), made._parametrisation)
    at = target.start() + 0.3
    value, slope = target.gradient(at)
    assert target.many(at[None])[0] == pytest.approx(value, rel=1e-12)
    steps = 1e-5 * np.eye(len(at))
    differences = (target.many(at + steps) - target.many(at - steps)) / 2e-5
    np.testing.assert_allclose(slope, differences, rtol=1e-5, atol=1e-4)  # differences of numbers of size 1e3


def _first_round(rfm: lw.RFM, model: type, number: int = 2000) -> laplace._Round:
    made = model()
    target = Target(made.family, made.family.rows(rfm), made._parametrisation)
    mode = climb(target)
    values, axes = np.linalg.eigh(mode.curvature)
    frame = laplace._Frame(target, mode.position, axes / np.sqrt(values), mode.value)
    return laplace._weigh(frame, frame.widths(), number, 8.0, np.random.default_rng(4), laplace._FIRST_DEGREES)


@pytest.mark.parametrize("model", [lw.BetaGeo, lw.ParetoNBD, lw.GammaGamma])
def test_interpolated_densities_are_the_computed_ones(sample, model):
    """The promise of the polynomial: means move by less than a tenth of the Monte Carlo error of 1,000 draws."""
    first = _first_round(sample, model)
    frame, widths = first.straightened()
    u, log_proposal = laplace._propose(widths, 2000, 8.0, np.random.default_rng(5))
    before = first.frame.target.evaluations
    found, computed, near = frame.interpolated(u, log_proposal, laplace._DEGREES, [first])
    assert near
    assert first.frame.target.evaluations - before == computed.sum() < 500
    truth = frame.log_target(u)
    np.testing.assert_allclose(found[computed], truth[computed], rtol=0, atol=1e-9)
    assert not np.array_equal(found, truth)
    (w_found, w_true), (k_found, k_true) = smooth_weights(np.stack([found, truth]) - log_proposal)
    w_found, w_true = np.exp(w_found), np.exp(w_true)
    moved = (w_found - w_true) @ u / np.sqrt(w_true @ (u - w_true @ u) ** 2)
    assert np.abs(moved).max() < 0.1 / np.sqrt(1000)
    assert k_found == pytest.approx(k_true, abs=0.1)


@pytest.mark.parametrize("model", [lw.ModifiedBetaGeo, lw.ParetoNBD])
def test_a_bent_posterior_is_straightened(sample, model):
    """What a proposal around the mode hardly reaches, one along the ridge does."""
    first = _first_round(sample, model)
    assert first.ess < 0.6 * len(first.u)
    frame, widths = first.straightened()
    second = laplace._weigh(frame, widths, 2000, 8.0, np.random.default_rng(5), laplace._DEGREES, [first])
    assert second.k_hat < 0.2
    assert second.ess > 0.85 * len(second.u)


def test_a_bend_goes_there_and_back_and_keeps_volume():
    rng = np.random.default_rng(6)
    ridge = rng.normal(size=(4000, 3))
    ridge[:, 1] += 0.7 * ridge[:, 0] ** 2
    ridge[:, 2] += 0.4 * ridge[:, 0] * ridge[:, 1] - 0.5
    bend = laplace._Bend.learnt(ridge, np.full(4000, 1 / 4000))
    u = bend.straight(ridge)
    np.testing.assert_allclose(bend.bent(u), ridge, atol=1e-12)
    np.testing.assert_allclose(np.cov(u.T), np.eye(3), atol=0.05)  # 4,000 points: 2 standard errors, shrunk a little
    np.testing.assert_allclose(bend.quadratics[2][5], 0.0, atol=0.02)
    at, steps = rng.normal(size=3), 1e-6 * np.eye(3)
    slopes = (bend.bent(at + steps) - bend.bent(at - steps)) / 2e-6
    assert np.linalg.det(slopes) == pytest.approx(bend.spreads.prod(), rel=1e-6)


def test_points_of_the_proposal_are_what_its_density_says():
    """Weighted back to a normal, moments are a normal's: 20,000 lattice points, wider on one side."""
    widths = np.array([[1.5, 1.0, 1.0], [1.0, 0.8, 2.0]])
    z, log_density_of = laplace._propose(widths, 20_000, 5.0, np.random.default_rng(1))
    weights = np.exp(-0.5 * (z**2).sum(axis=1) - log_density_of)
    weights /= weights.sum()
    np.testing.assert_allclose(weights @ z, 0, atol=0.03)
    np.testing.assert_allclose((z.T * weights) @ z, np.eye(3), atol=0.05)


def test_the_mode_of_many_rows_is_found_from_few(monkeypatch):
    table = _simulated(30_000)
    rows = lw.BetaGeo().family.rows(table)
    assert len(rows.counts) > 5000
    short = Target(lw.BetaGeo().family, rows, lw.BetaGeo()._parametrisation)
    long = Target(lw.BetaGeo().family, rows, lw.BetaGeo()._parametrisation)
    found, known = climb(short), climb(long, long.start())
    np.testing.assert_allclose(found.position, known.position, atol=1e-7)
    assert short.evaluations < long.evaluations / 3


# --- the posterior ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("customers", [30, 100, 300, 2357])
def test_the_certificate_is_given(sample, model, customers):
    fit = model().fit(sample.take(np.arange(customers)))
    assert fit.diagnostics.method == "laplace"
    assert fit.diagnostics.verdict in ("ok", "warn")
    assert fit.diagnostics.k_hat < 0.65
    assert fit.diagnostics.ess >= 1000
    assert {values.shape for values in fit.draws.values()} == {(1000,)}


@pytest.mark.parametrize("model", MODELS)
def test_a_thousand_draws_are_worth_as_many_independent_ones(few, model):
    """Means over 30 seeds scatter no more than those of 1,000 independent draws; chi-squared, 1 in 1,000 above."""
    logs = [np.log(list(model().fit(few, "laplace", seed=s).draws.values())) for s in range(30)]
    variance = np.mean([values.var(axis=1) for values in logs], axis=0)
    scatter = np.var([values.mean(axis=1) for values in logs], axis=0, ddof=1)
    assert (scatter < 58.3 / 29 * variance / 1000).all()


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True], ids=["sample", "full"])
@pytest.mark.parametrize("model", SAMPLED)
def test_it_is_the_posterior_of_nuts(model, whole):
    table = lw.rfm_summary(lw.load_cdnow(sample=not whole), observation_end="1997-09-30")
    _assert_same_posterior(model().fit(table, "laplace", draws=8000), model().fit(table, "nuts", draws=4000))


@pytest.mark.slow
@pytest.mark.parametrize("model", [lw.ModifiedBetaGeo, lw.ParetoNBD])
def test_it_is_the_posterior_of_many_computed_weights(sample, model):
    """40,000 wide proposals straight around the mode, no bend and no polynomial: another way to the same posterior."""
    frame = _first_round(sample, model).frame
    u, log_proposal = laplace._propose(1.3 * frame.widths(), 40_000, 4.0, np.random.default_rng(9))
    log_weights, k_hat = smooth_weights((frame.log_target(u) - log_proposal)[None])
    assert k_hat[0] < 0.5
    weights = np.exp(log_weights[0])
    logs = np.log(frame.target.parameters(frame.positions(u)))
    mean = weights @ logs
    spread = np.sqrt(weights @ (logs - mean) ** 2)
    error = np.sqrt(weights**2 @ (logs - mean) ** 2)
    ours = np.log(np.stack(list(model().fit(sample, "laplace", draws=8000).draws.values()), axis=1))
    assert (np.abs(ours.mean(axis=0) - mean) < 3 * np.hypot(error, spread / np.sqrt(8000))).all()
    np.testing.assert_allclose(ours.std(axis=0), spread, rtol=0.05)  # four times the error of 8,000 draws


@pytest.mark.slow
@pytest.mark.parametrize("model", SAMPLED)
def test_it_is_the_posterior_of_nuts_on_a_million(model):
    """By week, and spend in whole units: a million customers in some ten thousand distinct rows."""
    from lifeworth.families import FAMILIES

    customers = 1_000_000
    age = np.random.default_rng(1).integers(1, 53, customers).astype(float)
    keys = np.arange(customers, dtype=np.uint64)
    family = model.family if model.family.kind == "purchases" else FAMILIES["bg_nbd"]
    counts, times, *_ = family.kernels.simulate_history(np.array([[0.25, 4.4, 0.8, 2.5]]), age, keys, np.uint64(1))
    # Purchases of one week are one.
    bought = np.unique(np.repeat(np.arange(customers), counts) * 1000 + np.ceil(times).astype(np.int64))
    owner, week = bought // 1000, (bought % 1000).astype(float)
    frequency, recency = np.bincount(owner, minlength=customers), np.zeros(customers)
    np.maximum.at(recency, owner, week)
    amounts = FAMILIES["gamma_gamma"].kernels.simulate_amounts(
        np.array([[6.25, 3.74, 15.44]]), keys, frequency.astype(np.int32), np.uint64(1)
    )
    mean = np.bincount(owner, amounts, minlength=customers) / np.maximum(frequency, 1)
    frame = pd.DataFrame({"customer_id": keys.astype(int), "frequency": frequency, "recency": recency, "T": age})
    table = lw.RFM.from_frame(frame.assign(monetary_value=np.where(frequency > 0, np.maximum(mean.round(), 1), 0)), "W")
    _assert_same_posterior(model().fit(table, "laplace", draws=8000), model().fit(table, "nuts", draws=4000))


@pytest.mark.slow
@pytest.mark.parametrize("model", SAMPLED)
def test_it_is_the_posterior_of_nuts_on_few_customers(few, model):
    _assert_same_posterior(model().fit(few, "laplace", draws=8000), model().fit(few, "nuts", draws=4000))


def test_nuts_finds_the_posterior_of_the_fast_path(few):
    """The quick one of its kind."""
    _assert_same_posterior(
        lw.GammaGamma().fit(few, "laplace", draws=8000), lw.GammaGamma().fit(few, "nuts", draws=4000)
    )


def _assert_same_posterior(fast: lw.Fit, nuts: lw.Fit) -> None:
    """Means within 3 Monte Carlo errors, standard deviations within 5 %, which is 3 of their errors or more."""
    from arviz_stats import ess

    logs = {name: np.log(nuts.samples[name]) for name in nuts.draws}
    for name, values in logs.items():
        ours = np.log(fast.draws[name])
        error = np.hypot(values.std() / np.sqrt(float(ess(values))), ours.std() / np.sqrt(len(ours)))
        assert abs(ours.mean() - values.mean()) < 3 * error, name
        assert ours.std() == pytest.approx(values.std(), rel=0.05), name


def test_published_values_lie_well_inside_the_posterior(sample):
    published = {
        lw.BetaGeo: {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
        lw.GammaGamma: {"p": 6.25, "q": 3.74, "v": 15.44},
    }
    for model, values in published.items():
        draws = model().fit(sample).draws
        for name, value in values.items():
            assert abs(draws[name].mean() - value) < draws[name].std() / 2, name


@pytest.mark.parametrize(("unit", "factor"), [("D", 7.0), ("h", 168.0), ("M", 12 / 52.1775)])
def test_the_unit_of_time_changes_no_prediction(sample, unit, factor):
    frame = sample.to_pandas().assign(recency=sample.recency * factor, T=sample.T * factor)
    frame.attrs.clear()  # they say that times are in weeks
    other = lw.RFM.from_frame(frame, unit, "1997-09-30")
    weeks = lw.BetaGeo().fit(sample, seed=2).expected_purchases(sample, 39.0)
    converted = lw.BetaGeo().fit(other, seed=2).expected_purchases(other, 39.0 * factor)
    np.testing.assert_allclose(converted, weeks, rtol=1e-6)


def test_the_unit_of_money_changes_no_prediction(sample):
    cents = lw.RFM.from_frame(sample.to_pandas().assign(monetary_value=sample.monetary_value * 100), "W")
    dollars = lw.GammaGamma().fit(sample, seed=2).expected_spend(sample)
    np.testing.assert_allclose(lw.GammaGamma().fit(cents, seed=2).expected_spend(cents), dollars * 100, rtol=1e-6)


def test_priors_hold_thirty_customers_together(sample):
    """Parameters stay within what shops are like; without priors the same customers have no maximum, or a wild one."""
    for start in range(0, 300, 30):
        thirty = sample.take(np.arange(start, start + 30))
        expected = lw.BetaGeo().fit(thirty).expected_purchases_new_customer("52W", draws=True)
        assert 0.01 < np.quantile(expected, 0.05) < np.quantile(expected, 0.95) < 10
        spend = lw.GammaGamma().fit(thirty).expected_spend(thirty)
        assert 10 < spend.mean() < 100


# --- the certificate is obeyed ---------------------------------------------------------------------------


@pytest.fixture
def narrow(monkeypatch):
    """A proposal with far too light tails: a normal a quarter as wide as the posterior."""
    honest = laplace._propose

    def propose(widths, number, tails, rng):
        return honest(widths / 4, number, 1e6, rng)

    monkeypatch.setattr(laplace, "_propose", propose)


def test_a_bad_proposal_is_found_out_and_nuts_takes_over(few, narrow):
    fit = lw.GammaGamma().fit(few, draws=100)
    assert fit.diagnostics.method == "nuts"
    assert next(iter(fit.samples.values())).shape == (4, 25)
    assert fit.diagnostics.r_hat < 1.05
    assert "NUTS took over from the fast path: The importance weights" in fit.diagnostics.reasons[-1]
    assert "k-hat" in fit.diagnostics.reasons[-1]


def test_a_bad_proposal_fails_where_nothing_else_was_asked_for(few, narrow):
    fit = lw.GammaGamma().fit(few, "laplace")
    assert fit.diagnostics.verdict == "fail"
    assert fit.diagnostics.k_hat > 0.7
    with pytest.raises(FitError, match="k-hat"):
        fit.check()


def test_densities_only_pymc_knows_go_to_nuts(few):
    model = lw.GammaGamma(priors={"p": Prior("ExGaussian", mu=6, sigma=1, nu=1)})
    with pytest.raises(UsageError, match='method="nuts"'):
        model.fit(few, "laplace")


def test_the_fast_path_loads_neither_pymc_nor_arviz(tmp_path):
    """In a process of its own, on enough rows for several threads, from table to saved model."""
    table = tmp_path / "rfm.parquet"
    _simulated(20_000).to_parquet(table)
    code = f"""
import lifeworth as lw, sys
fit = lw.BetaGeo().fit(lw.RFM.read_parquet({str(table)!r}))
fit.save({str(tmp_path / "fit")!r})
print(fit.diagnostics.method, *(n for n in ("pymc", "arviz_base", "arviz_stats", "scipy.stats") if n in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["laplace"]


def _simulated(customers: int) -> lw.RFM:
    from lifeworth.families import FAMILIES

    ages = np.linspace(30.0, 60.0, customers)
    keys = np.arange(customers, dtype=np.uint64)
    counts, times, *_ = FAMILIES["bg_nbd"].kernels.simulate_history(
        np.array([[0.5, 6.0, 0.8, 2.5]]), ages, keys, np.uint64(3)
    )
    recency = np.zeros(customers)
    np.maximum.at(recency, np.repeat(np.arange(customers), counts), times)
    frame = pd.DataFrame({"customer_id": keys.astype(int), "frequency": counts, "recency": recency, "T": ages})
    return lw.RFM.from_frame(frame, "W")


# --- what draws say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "verdict", "says"),
    [
        (lw.BetaGeo({"r": Prior("LogNormal", mu=3, sigma=0.5)}), "warn", "Prior and data disagree on r"),
        (lw.BetaGeo({"phi_dropout": Prior("Beta", alpha=1, beta=1e5)}), "warn", "phi_dropout is at the edge"),
        (lw.BetaGeo({"kappa_dropout": Prior("LogNormal", mu=1, sigma=0.01)}), "warn", "next to nothing about kappa"),
        (
            lw.GammaGamma({"q": Prior("LogNormal", mu=-0.2, sigma=0.05), "v": Prior("HalfNormal", sigma=100)}),
            "fail",
            "q is at most 1 in",
        ),
    ],
)
def test_findings_have_words(sample, model, verdict, says):
    fit = model.fit(sample.take(np.arange(200)), "laplace")
    assert fit.diagnostics.verdict == verdict, fit.diagnostics
    assert any(says in reason for reason in fit.diagnostics.reasons), fit.diagnostics


def test_spend_that_goes_with_frequency_is_said():
    rng = np.random.default_rng(1)
    x = rng.integers(1, 8, 400)
    frame = pd.DataFrame({"customer_id": range(400), "frequency": x, "recency": 5.0, "T": 9.0})
    related = lw.RFM.from_frame(frame.assign(monetary_value=10 * x * rng.lognormal(0, 0.3, 400)), "W")
    found = lw.independence_check(related)
    assert found.doubtful
    assert "too low" in found.advice
    assert found.advice in lw.GammaGamma().fit(related).diagnostics.reasons
    alone = lw.RFM.from_frame(frame.assign(monetary_value=10 * rng.lognormal(0, 0.3, 400)), "W")
    assert "weakly or not at all related to frequency" in lw.independence_check(alone).advice


def test_the_rank_correlation_is_scipys(sample):
    from scipy.stats import spearmanr

    repeat = sample.take((sample.frequency > 0) & (sample.monetary_value > 0))
    found = lw.independence_check(sample)
    assert found.correlation == pytest.approx(spearmanr(repeat.frequency, repeat.monetary_value).statistic, abs=1e-12)
    assert found.lower < found.correlation < found.upper
    assert found.customers == len(repeat)


def test_no_time_and_a_single_customer_get_a_sentence():
    def table(**columns) -> lw.RFM:
        return lw.RFM.from_frame(pd.DataFrame({"customer_id": range(len(columns["T"])), **columns}), "W")

    with pytest.raises(lw.DataError, match="T is 0 for all"):
        lw.BetaGeo().fit(table(frequency=[1, 0], recency=[0.0, 0.0], T=[0.0, 0.0]))
    one = table(frequency=[2], recency=[3.0], T=[5.0], monetary_value=[20.0])
    for model in MODELS:
        with pytest.raises(lw.DataError, match="single customer"):
            model().fit(one)
    free = table(frequency=[2, 1], recency=[3.0, 1.0], T=[5.0, 4.0], monetary_value=[0.0, 0.0])
    with pytest.raises(lw.DataError, match="positive amount"):
        lw.GammaGamma().fit(free)
    for column, value, says in [
        ("recency", np.nan, "recency is not a finite number"),
        ("recency", 9.0, "recency is greater than T"),
        ("frequency", -1, "frequency is negative"),
        ("frequency", 1.5, "frequency is not a whole number"),
        ("T", np.inf, "T is not a finite number"),
        ("monetary_value", -5.0, "monetary_value is negative"),
    ]:
        good = {"frequency": [2, 1], "recency": [3.0, 1.0], "T": [5.0, 4.0], "monetary_value": [3.0, 4.0]}
        with pytest.raises(lw.DataError, match=says):
            table(**{**good, column: [good[column][0], value]})


def test_one_figure_speaks_for_each_method():
    from lifeworth.inference.diagnostics import Diagnostics, judge_laplace

    assert Diagnostics("nuts", r_hat=1.0042).figure == "R-hat 1.004"
    assert judge_laplace(0.21, 1800, 2000).figure == "k-hat 0.21"
    assert Diagnostics("map").figure == ""


def test_certificates_are_judged_by_their_figures():
    from lifeworth.inference.diagnostics import judge_laplace

    verdicts = [judge_laplace(k, ess, 4000).verdict for k, ess in ((0.69, 500), (0.71, 500), (0.1, 300), (0.1, 50))]
    assert verdicts == ["ok", "fail", "warn", "fail"]
    assert judge_laplace(np.inf, 500, 4000).verdict == "fail"
    assert judge_laplace(0.1, np.nan, 4000).verdict == "fail"
    # From fewer weights, only a lighter tail can be trusted.
    assert judge_laplace(0.68, 500, 1000).verdict == "fail"


def test_densities_beyond_numbers_are_no_warning():
    """A proposal far out, in a shop counted by the hour: a polynomial misses its density by more than squares bear."""
    made = lw.simulate_transactions(
        400, seed=45, purchases="mbg_nbd", start="2023-01-02", end="2023-12-31", acquisition_end="2023-03-31"
    )
    rfm = lw.rfm_summary(made.transactions, observation_end="2023-06-30", period="h", time_unit="W")
    fit = lw.ModifiedBetaGeo().fit(rfm, seed=45)  # every warning is an error here
    assert fit.diagnostics.verdict == "ok"
