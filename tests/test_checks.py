"""Leave-one-out, comparison of fits, what ArviZ reads, and made-up customers beside real ones."""

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pymc_extras.prior import Prior

import lifeworth as lw
from lifeworth import plots
from lifeworth.errors import UsageError
from lifeworth.model.models import MODELS


@pytest.fixture(scope="module")
def few() -> lw.RFM:
    sample = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")
    return sample.take(np.arange(300))


@pytest.fixture(scope="module")
def fits(few) -> lw.CLV:
    return lw.fit_clv(few, method="laplace", draws=400)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
@pytest.mark.parametrize("kind", ["purchases", "spend"])
def test_loo_is_arviz_s_over_all_customers(few, fits, kind):
    fit = getattr(fits, kind)
    ours = fit.loo(few)
    theirs = arviz_stats.loo(fit.to_datatree(few), pointwise=True)
    assert len(ours.counts) < ours.n_data_points == theirs.n_data_points
    for name in ("elpd", "se", "p", "good_k"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-8), name
    assert ours.worst_k == pytest.approx(float(theirs.pareto_k.max()), abs=1e-8)
    assert ours.warning == theirs.warning


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_loo_of_chains_knows_that_neighbours_are_alike(few):
    """Four chains whose draws follow each other: the tail that is smoothed is as long as ArviZ takes it."""
    from dataclasses import replace

    rng = np.random.default_rng(4)
    steps = np.cumsum(rng.normal(0, 0.02, (4, 4, 100)), axis=2)
    known = {"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.5}
    samples = {name: value * np.exp(steps[i]) for i, (name, value) in enumerate(known.items())}
    fit = lw.BetaGeo().from_parameters({name: values.ravel() for name, values in samples.items()}, "W")
    fit = replace(fit, samples=samples)
    theirs = arviz_stats.loo(fit.to_datatree(few))
    assert fit.loo(few).elpd == pytest.approx(theirs.elpd, abs=1e-8)


def test_comparison_finds_the_better_model(few, fits):
    """A model whose parameters are wrong by half is worse; differences and their errors are ArviZ'."""
    draws = {name: values * (1.5 if name == "r" else 1.0) for name, values in fits.purchases.draws.items()}
    wrong = lw.BetaGeo().from_parameters(draws, "W")
    table = lw.compare({"wrong": wrong, "fitted": fits.purchases}, few)
    assert list(table.index) == ["fitted", "wrong"]
    assert list(table["rank"]) == [0, 1]
    trees = {"wrong": wrong.to_datatree(few), "fitted": fits.purchases.to_datatree(few)}
    theirs = arviz_stats.compare(trees, round_to="none").loc[table.index]
    np.testing.assert_allclose(table["elpd"], theirs["elpd"], rtol=1e-10)
    np.testing.assert_allclose(table["elpd_diff"], abs(theirs["elpd_diff"]), atol=1e-8)
    np.testing.assert_allclose(table["se"], theirs["se"], rtol=1e-8)
    np.testing.assert_allclose(table["dse"], theirs["dse"], atol=1e-8)
    np.testing.assert_allclose(table["weight"], theirs["weight"], atol=2e-3)  # two ways to the same maximum
    assert table["weight"].sum() == pytest.approx(1)


def test_what_cannot_be_compared_gets_a_sentence(few, fits):
    with pytest.raises(UsageError, match="two fits or more"):
        lw.compare({"alone": fits.purchases}, few)
    with pytest.raises(UsageError, match="different data"):
        lw.compare({"a": fits.purchases, "b": fits.spend}, few)
    with pytest.raises(UsageError, match="made from 300 customers and this table has 200"):
        fits.purchases.loo(few.take(np.arange(200)))
    point = lw.BetaGeo().fit(few, "map")
    with pytest.raises(UsageError, match="needs 100 draws"):
        point.loo(few)


@pytest.mark.parametrize("kind", ["purchases", "spend"])
def test_the_tree_holds_what_arviz_expects(few, fits, kind):
    fit = getattr(fits, kind)
    assert set(fit.to_datatree().children) == {"posterior"}
    tree = fit.to_datatree(few, prior=500, posterior_predictive=20)
    groups = {"posterior", "prior", "log_likelihood", "observed_data", "constant_data", "posterior_predictive"}
    assert set(tree.children) == groups
    rows = tree["log_likelihood"].dataset
    customers = 300 if kind == "purchases" else int(((few.frequency > 0) & (few.monetary_value > 0)).sum())
    assert dict(rows.sizes) == {"chain": 1, "draw": 400, "customer_id": customers}
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    assert float(tree["prior"]["p" if kind == "spend" else "r"].median()) == pytest.approx(
        np.exp(1.0 if kind == "spend" else -0.5),
        rel=0.25,  # of 500 draws with sd 1.25: 3 standard errors
    )
    assert tree["posterior_predictive"].sizes["draw"] == 20
    by_row = fit.to_datatree(few, by="row")
    counts = by_row["constant_data"]["customers"].to_numpy()
    assert counts.sum() == customers
    name = next(iter(rows.data_vars))
    total = (by_row["log_likelihood"][name].to_numpy() * counts).sum(axis=-1)
    np.testing.assert_allclose(total, rows[name].to_numpy().sum(axis=-1), rtol=1e-12)


def test_trees_that_cannot_be_made_get_a_sentence(few, fits):
    with pytest.raises(UsageError, match="needs the RFM table"):
        fits.purchases.to_datatree(posterior_predictive=5)
    with pytest.raises(UsageError, match="neither"):
        fits.purchases.to_datatree(few, by="shop")
    known = lw.BetaGeo().from_parameters({"r": 0.2, "alpha": 4.0, "a": 0.8, "b": 2.5}, "W")
    with pytest.raises(UsageError, match="no priors to draw from"):
        known.to_datatree(prior=10)
    with pytest.raises(UsageError, match="replicates=1"):
        known.predictive_check(few, replicates=1)


def test_a_true_model_passes_its_predictive_check_and_a_false_one_does_not(few, fits):
    """Counts of 300 customers in 90 % intervals: true parameters keep most bins, rates thrice as high keep few."""
    check = fits.purchases.predictive_check(few)
    for table in check.values():
        assert table["observed"].sum() in (300, int((few.frequency > 0).sum()))
    spend = fits.spend.predictive_check(few)["spend"]
    assert spend["observed"].sum() == ((few.frequency > 0) & (few.monetary_value > 0)).sum()

    def inside(table: pd.DataFrame) -> float:
        return float(((table["lower"] <= table["observed"]) & (table["observed"] <= table["upper"])).mean())

    assert inside(check["frequency"]) > 0.7
    assert inside(spend) > 0.7
    draws = {name: values * (3 if name == "r" else 1) for name, values in fits.purchases.draws.items()}
    wrong = lw.BetaGeo().from_parameters(draws, "W").predictive_check(few)
    assert inside(wrong["frequency"]) < 0.5
    assert inside(wrong["recency"]) < 0.5
    doubled = {name: values * (2 if name == "v" else 1) for name, values in fits.spend.draws.items()}
    assert inside(lw.GammaGamma().from_parameters(doubled).predictive_check(few)["spend"]) < 0.5


def test_predictive_checks_are_drawn(few, fits):
    for value, check in (fits.purchases.predictive_check(few) | fits.spend.predictive_check(few)).items():
        ax = plots.plot_predictive_check(check, value, currency="USD")
        assert len(ax.patches) == len(check)
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), check["observed"])
        assert ("USD" in ax.get_xlabel()) == (value == "spend")
    assert "no customers" in plots.plot_predictive_check(check.iloc[:0]).texts[0].get_text()
    with pytest.raises(UsageError, match="not 'mood'"):
        plots.plot_predictive_check(check, "mood")
    with pytest.raises(UsageError, match="observed"):
        plots.plot_predictive_check(check.drop(columns="observed"))


# --- what priors mean ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_priors_leave_room_for_these_customers(few, name):
    """Nine of ten made-up worlds hold the data nearly everywhere; and are wider than chance alone would be."""
    model = MODELS[name]()
    check = model.prior_check(few, draws=80)
    counts = check["frequency" if "frequency" in check else "spend"]
    inside = counts["observed"].between(counts["lower"], counts["upper"])
    assert inside.mean() > 0.75
    assert (counts["upper"] - counts["lower"]).max() > 4 * np.sqrt(counts["observed"].max())
    if model.family.kind == "purchases":
        for curve in (check["purchases"], check["alive"]):
            bands = curve[["lower", "lower_half", "middle", "upper_half", "upper"]].to_numpy()
            assert (np.diff(bands, axis=1) >= 0).all()
            assert curve["age"].iloc[-1] == pytest.approx(few.T.mean())
        assert (np.diff(check["purchases"]["middle"]) > 0).all()
        assert (np.diff(check["alive"]["middle"]) <= 0.02).all()  # 400 customers: a share to 2.5 %, at the same draws
        assert check["purchases"]["observed"].iloc[-1] == few.frequency.mean()
    else:
        mean = check["mean_spend"]
        assert np.log(mean["value"] / mean["observed"]).mean() == pytest.approx(0, abs=0.2)  # 80 draws with sd 0.5
        assert (check["ratio"]["value"] > 1).all()


def test_made_up_worlds_follow_their_prior(few):
    """A prior that knows the answer, and one that says customers never leave."""
    known = {"r": Prior("LogNormal", mu=np.log(0.24), sigma=0.01), "alpha": Prior("LogNormal", mu=1.48, sigma=0.01)}
    stay = known | {"phi_dropout": Prior("Beta", alpha=1, beta=1e4)}
    check = lw.BetaGeo(priors=stay).prior_check(few, draws=40)
    rate = 0.24 / np.exp(1.48)
    np.testing.assert_allclose(check["purchases"]["middle"], rate * check["purchases"]["age"], rtol=0.03)
    assert check["alive"]["lower"].iloc[-1] > 0.98
    with pytest.raises(UsageError, match="no priors to draw from: they are flat"):
        lw.BetaGeo(priors="flat").prior_check(few)
    for wrong in ({"draws": 1}, {"draws": 2.5}, {"interval": 90}):
        with pytest.raises(UsageError, match="must"):
            lw.BetaGeo().prior_check(few, **wrong)


@pytest.mark.parametrize("model", [lw.ParetoNBD, lw.GammaGamma])
def test_prior_predictive_pictures_say_what_is_whose(few, model):
    check = model().prior_check(few, draws=30)
    axes = plots.plot_prior_predictive(check, time_unit="weeks", currency="USD")
    top = axes[0]
    assert [text.get_text() for text in top.get_legend().get_texts()] == [
        "made up from the priors, on average",
        "nine of ten made-up worlds",
        "real customers",
    ]
    # Each legend entry has the colour of what it names.
    bars, _, points = top.get_legend().legend_handles
    assert bars.get_facecolor()[:3] == top.patches[0].get_facecolor()[:3]
    assert points.get_color() == top.lines[0].get_color() != "none"
    np.testing.assert_array_equal(top.lines[0].get_ydata(), next(iter(check.values()))["observed"])
    assert plots.to_png(plots.figure_of(axes), scale=0.5).startswith(b"\x89PNG")
    given = Figure().subplots(3)
    assert plots.plot_prior_predictive(check, given)[2] is given[2]
    with pytest.raises(UsageError, match="three axes; 2 were given"):
        plots.plot_prior_predictive(check, given[:2])
    with pytest.raises(UsageError, match="must be what prior_check gives; it has: mood"):
        plots.plot_prior_predictive({"mood": check})


def test_worlds_without_a_mean_are_counted(few):
    model = lw.GammaGamma(priors={"q": Prior("LogNormal", mu=0, sigma=0.5), "v": Prior("HalfNormal", sigma=20)})
    axes = plots.plot_prior_predictive(model.prior_check(few, draws=60))
    assert "without" in axes[1].get_xlabel()


@pytest.mark.parametrize("kind", ["purchases", "spend"])
def test_a_fast_fit_is_saved_small_and_whole(few, tmp_path, kind):
    model = lw.BetaGeo() if kind == "purchases" else lw.GammaGamma()
    fit = model.fit(few, "laplace", draws=1000)
    fit.save(tmp_path / "fit")
    assert sum(file.stat().st_size for file in (tmp_path / "fit").iterdir()) < 200_000
    again = lw.load(tmp_path / "fit")
    assert again.diagnostics == fit.diagnostics
    assert again.origin.priors == fit.origin.priors
    for name, values in fit.samples.items():
        np.testing.assert_array_equal(again.samples[name], values)
    assert again.loo(few).elpd == fit.loo(few).elpd
