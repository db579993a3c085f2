"""Covariates of customers: published estimates, exact derivatives, invariances, known truth."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth import predict
from lifeworth.errors import DataError, UsageError
from lifeworth.families import FAMILIES
from lifeworth.inference.covariate_target import target_of
from lifeworth.inference.laplace import sample_laplace
from lifeworth.inference.loo import log_likelihoods
from lifeworth.inference.mode import climb
from lifeworth.inference.remainder import Remainder
from lifeworth.inference.target import Target

SHARED = Path(__file__).parents[2] / "shared/reference"
BASE = {
    "bg_nbd": {"r": 0.6, "alpha": 8.0, "a": 0.8, "b": 2.5},
    "mbg_nbd": {"r": 0.6, "alpha": 8.0, "a": 0.8, "b": 2.5},
    "pareto_nbd": {"r": 0.6, "alpha": 8.0, "s": 0.6, "beta": 12.0},
    "gamma_gamma": {"p": 6.0, "q": 4.0, "v": 15.0},
}
MODELS = {"bg_nbd": lw.BetaGeo, "mbg_nbd": lw.ModifiedBetaGeo, "pareto_nbd": lw.ParetoNBD}
PURCHASES = pytest.mark.parametrize("name", MODELS)


def with_formulas(name, **more):
    if name == "gamma_gamma":
        return lw.GammaGamma(spend="channel + scale(age)", **more)
    return MODELS[name](purchase="channel + scale(age)", dropout="channel", **more)


def shop_of(name, n=1500, seed=5):
    """A simulated shop with known effects, a table of its first year and a half, and what followed."""
    rng = np.random.default_rng(3)
    customers = pd.DataFrame(
        {"channel": rng.choice(["web", "shop", "app"], n, p=[0.5, 0.3, 0.2]), "age": rng.normal(40, 10, n).round()}
    )
    effects = {
        "purchase": {"channel[T.web]": 0.5, "channel[T.shop]": -0.3, "scale(age)": 0.2},
        "dropout": {"channel[T.web]": -0.6},
    }
    truth = with_formulas(name).from_parameters({**BASE[name], **effects}, "W", covariates=customers)
    spend = with_formulas("gamma_gamma").from_parameters(
        {**BASE["gamma_gamma"], "spend": {"channel[T.web]": 0.3, "scale(age)": -0.1}}, covariates=customers
    )
    shop = lw.simulate_transactions(
        n, seed, purchases=truth, spend=spend, covariates=customers, end="2025-12-31", acquisition_end="2024-12-31"
    )
    table, later = lw.train_test_split(shop.transactions, train_end="2025-06-30", covariates=["channel", "age"])
    return shop, table, later


@pytest.fixture(scope="module")
def shop():
    return shop_of("bg_nbd")


@pytest.fixture(scope="module")
def table(shop):
    return shop[1]


# ---- right ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def apparel():
    if not SHARED.exists():
        pytest.skip("the published data are not here")
    return lw.RFM.from_frame(pd.read_csv(SHARED / "apparel_104_rfm_covariates.csv"), time_unit="W")


def test_published_estimates_of_pareto_nbd_with_covariates(apparel):
    published = json.loads((SHARED / "published.json").read_text())["pareto_nbd_apparel_104_weeks"]["with"]
    formula = "gender + channel"
    fit = lw.ParetoNBD("flat", purchase=formula, dropout=formula).fit(apparel, method="map")
    found = {name: float(draws[0]) for name, draws in fit.draws.items()}
    for effect, parameter in (("purchase", "alpha"), ("dropout", "beta")):
        encoding = fit.posterior.design.encodings[effect]
        coefficients = fit.posterior.effects[effect][0]
        # ours is of a customer with average covariates, theirs of one where they are 0
        found[parameter] *= np.exp(coefficients @ encoding.centre)
        found |= {f"{effect}_{name}": value for name, value in zip(encoding.names, coefficients, strict=True)}
    # the likelihood is flat: estimates within a fiftieth of their standard errors are the same maximum
    for name, error in published["standard_errors"].items():
        assert found[name] == pytest.approx(published[name], abs=error / 50), name
    posterior = fit.posterior.on(apparel)
    columns = [apparel.frequency.astype(float), apparel.recency, apparel.T]
    total = log_likelihoods(posterior.family, posterior.matrix, columns, posterior.group_of(apparel)).sum()
    assert total == pytest.approx(published["log_likelihood"], abs=1e-4)
    assert total >= published["log_likelihood"] - 1e-4


@pytest.mark.parametrize("priors", [None, "flat"])
@pytest.mark.parametrize("name", FAMILIES)
def test_slope_and_curvature_are_those_of_the_density(name, priors, table):
    model = with_formulas(name, priors=priors)
    some = table.take(np.arange(0, len(table), 5))
    target = target_of(model.family, model.family.rows(some, model._design(some)), model._parametrisation)
    position = target.start() + 0.1 * np.random.default_rng(1).standard_normal(len(target))
    value, slope = target.gradient(position)
    assert value == target.many(position[None])[0]
    step = 1e-5 * np.eye(len(target))
    differences = (target.many(position + step) - target.many(position - step)) / 2e-5
    np.testing.assert_allclose(slope, differences, rtol=1e-6, atol=1e-6 * np.abs(slope).max())
    by_differences = Target.curvature(target, position)
    np.testing.assert_allclose(target.curvature(position), by_differences, atol=1e-6 * np.abs(by_differences).max())


@PURCHASES
def test_customers_are_predicted_by_parameters_of_their_own(name, table):
    """Numbers by the formulas written out: each customer's parameters, given to a model without covariates."""
    model = with_formulas(name)
    values = {"purchase": {"channel[T.web]": 0.5, "scale(age)": 0.2}, "dropout": {"channel[T.web]": -0.6}}
    fit = model.from_parameters({**BASE[name], **values}, "W", covariates=table)
    web = (table.covariates["channel"] == "web").to_numpy(dtype=float)
    age = table.covariates["age"].to_numpy()
    eta = 0.5 * (web - web.mean()) + 0.2 * (age - age.mean()) / age.std(ddof=1)
    away = -0.6 * (web - web.mean())
    some = np.arange(0, len(table), 97)
    expected, alive = fit.expected_purchases(table, "26W"), fit.probability_alive(table)
    for k in some:
        own = dict(BASE[name])
        own["alpha"] *= np.exp(-eta[k])
        if name == "pareto_nbd":
            own["beta"] *= np.exp(-away[k])
        else:
            mean, size = own["a"] / (own["a"] + own["b"]), own["a"] + own["b"]
            odds = mean / (1 - mean) * np.exp(away[k])
            own["a"], own["b"] = size * odds / (1 + odds), size / (1 + odds)
        plain = MODELS[name]().from_parameters(own, "W")
        one = table.take(np.array([k]))
        assert plain.expected_purchases(one, "26W")[0] == pytest.approx(expected[k], rel=1e-12)
        assert plain.probability_alive(one)[0] == pytest.approx(alive[k], rel=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_constant_column_changes_no_bit(name, table):
    same = table.with_covariates(pd.DataFrame({"customer_id": table.customer_id, "k": "all", "one": 1.0}))
    plain = lw.GammaGamma() if name == "gamma_gamma" else MODELS[name]()
    model = lw.GammaGamma(spend="k + one") if name == "gamma_gamma" else MODELS[name](purchase="k", dropout="one + k")
    for one, other in zip(plain.fit(table).draws.values(), model.fit(same).draws.values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_company_of_others_changes_nothing(table):
    clv = lw.fit_clv(table, with_formulas("bg_nbd"), with_formulas("gamma_gamma"), draws=200)
    whole = clv.predict(table, "26W")
    some = np.sort(np.random.default_rng(0).choice(len(table), 40, replace=False))
    alone = clv.predict(table.take(some), "26W")
    # means over draws are summed in another order
    pd.testing.assert_frame_equal(alone, whole.iloc[some].reset_index(drop=True), rtol=1e-12)


def test_pieces_of_a_table_give_what_all_of_it_gives(table, monkeypatch):
    clv = lw.fit_clv(table, with_formulas("bg_nbd"), with_formulas("gamma_gamma"), draws=100)
    by = table.covariates["channel"].to_numpy()
    cost = np.linspace(0, 5, len(table))
    whole, totals = clv.predict_both(table, "26W", cost_per_order=cost, by=by)
    monkeypatch.setattr(predict, "_MOST_PARAMETERS", 100 * 4 * 70)
    parts, of_parts = clv.predict_both(table, "26W", cost_per_order=cost, by=by)
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-12)
    pd.testing.assert_frame_equal(totals.to_pandas(), of_parts.to_pandas(), rtol=1e-9)
    monkeypatch.setattr(predict, "_MOST_PARAMETERS", 1)
    np.testing.assert_allclose(
        clv.purchases.purchase_pmf(table.take(np.arange(9)), "26W", 3).sum(axis=1) <= 1 + 1e-12, True
    )


def recoded(rfm, how):
    frame = rfm.covariates.copy()
    if how == "names of levels":
        frame["channel"] = frame["channel"].map({"web": "a", "app": "z", "shop": "k"})
    elif how == "scale":
        frame["age"] = frame["age"] * 12 + 3
    elif how == "kind of column":
        frame["channel"] = pd.Categorical(frame["channel"], categories=["web", "unused", "shop", "app"])
        frame["age"] = frame["age"].astype("int64")
    return rfm.with_covariates(frame.assign(customer_id=rfm.customer_id))


@pytest.mark.parametrize("method", ["map", "laplace"])
@pytest.mark.parametrize("how", ["names of levels", "scale", "kind of column", "order of terms", "order of customers"])
def test_predictions_do_not_depend_on_coding(how, method, table):
    def predicted(rfm, first="channel + scale(age)"):
        clv = lw.fit_clv(rfm, lw.BetaGeo(purchase=first, dropout="channel"), lw.GammaGamma(spend=first), method=method)
        return clv.predict(rfm, "26W", uncertainty=None).drop(columns="customer_id").to_numpy()

    before = predicted(table)
    if how == "order of terms":
        after = predicted(table, "scale(age) + channel")
    elif how == "order of customers":
        frame = table.to_pandas().sample(frac=1, random_state=1)
        frame["past_spend"] = table.past_spend[frame.index]
        after = predicted(lw.RFM.from_frame(frame, "W"))
    else:
        after = predicted(recoded(table, how))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [*MODELS, "gamma_gamma"])
def test_effects_are_found_again(name):
    shop, table, _ = shop_of("bg_nbd" if name == "gamma_gamma" else name, 6000)
    fit = with_formulas(name).fit(table)
    assert fit.diagnostics.verdict == "ok"
    truth = (shop.spend if name == "gamma_gamma" else shop.purchases).effects
    for effect, draws in fit.posterior.effects.items():
        z = (draws.mean(axis=0) - truth[effect][0]) / draws.std(axis=0)
        # ten numbers or fewer: one beyond 3.5 standard errors would come by chance once in 200 shops
        assert np.abs(z).max() < 3.5, effect
    ratios = fit.effects()
    assert (ratios["ratio_lower"] < ratios["ratio"]).all()
    assert (ratios["ratio"] < ratios["ratio_upper"]).all()


def test_channels_are_foretold_better_than_by_one_model_for_all():
    shop, table, later = shop_of("bg_nbd", 6000)
    by = table.covariates["channel"].to_numpy()
    actual = later["frequency"].groupby(by).sum()
    errors = {}
    for name, model in (("with", with_formulas("bg_nbd")), ("without", lw.BetaGeo())):
        fit = lw.fit_clv(table, model)
        total = fit.predict_total(table, later.attrs["length"], by=by).to_pandas().xs("purchases", level=1)["expected"]
        errors[name] = float((total.loc[actual.index] - actual).abs().sum() / actual.sum())
    assert errors["with"] < 0.6 * errors["without"]
    assert shop.truth["channel"].nunique() == 3


def test_leaving_out_customers_prefers_the_covariates_that_matter(table):
    coin = np.random.default_rng(0).choice(["h", "t"], len(table))
    idle = table.with_covariates(pd.DataFrame({"customer_id": table.customer_id, "coin": coin}))
    plain = lw.BetaGeo().fit(table).loo(table).elpd
    assert with_formulas("bg_nbd").fit(table).loo(table).elpd > plain + 20
    assert abs(lw.BetaGeo(purchase="coin").fit(idle).loo(idle).elpd - plain) < 5


def test_spend_that_goes_with_frequency_is_valued_right():
    """Simulated amounts rise with the number of purchases: the decile of best customers is valued without bias."""
    rng = np.random.default_rng(1)
    n = 8000
    rate = rng.gamma(0.8, 1 / 4.0, n)
    x = rng.poisson(rate * 40)
    mean = 15 * (1 + x) ** 0.4 * 6.0 / rng.gamma(4.0, 1.0, n)
    z = np.where(x > 0, rng.gamma(6.0 * np.maximum(x, 1)) / (6.0 * np.maximum(x, 1)) * mean / 2, 0.0)
    frame = pd.DataFrame({"customer_id": range(n), "frequency": x, "recency": np.where(x > 0, 39.0, 0.0), "T": 40.0})
    rfm = lw.RFM.from_frame(frame.assign(monetary_value=z), "W")
    best = x >= np.quantile(x, 0.9)
    truth = (mean / 2)[best].mean()
    plain = lw.GammaGamma().fit(rfm).expected_spend(rfm)[best].mean()
    fit = lw.GammaGamma(spend="log1p(frequency)").fit(rfm)
    term = fit.effects().iloc[0]
    assert term["lower"] < 0.4 < term["upper"]
    found = fit.expected_spend(rfm)[best].mean()
    # the mean of 800 customers with a coefficient of variation of 0.7 is known to 2.5 %
    assert found == pytest.approx(truth, rel=0.05)
    assert abs(found - truth) <= abs(plain - truth) + 0.01 * truth


# ---- the fast path ------------------------------------------------------------------------------------------


def test_what_samples_of_customers_say_is_what_all_say():
    _, table, _ = shop_of("bg_nbd", 6000)
    model = with_formulas("bg_nbd")
    rows = model.family.rows(table, model._design(table))
    target = target_of(model.family, rows, model._parametrisation)
    mode = climb(target)
    axes = np.linalg.cholesky(np.linalg.inv(mode.curvature))
    positions = mode.position + np.random.default_rng(0).standard_normal((50, len(target))) @ axes.T
    exact = target.many(positions) - mode.value
    one, other = Remainder(target, mode, 1000).both(positions)
    quadratic = -0.5 * ((np.linalg.solve(axes, (positions - mode.position).T)) ** 2).sum(axis=0)
    left = np.std(exact - quadratic)
    # 1,000 of 6,000 customers tell the remainder to a few percent of itself, and more near its tail
    assert np.std((one + other) / 2 - exact) < 0.3 * left


def test_samples_of_customers_change_no_posterior(monkeypatch):
    _, table, _ = shop_of("bg_nbd", 3000)
    model = with_formulas("bg_nbd")
    rows = model.family.rows(table, model._design(table))
    exact = sample_laplace(model.family, rows, model._parametrisation, 1000, 0)
    monkeypatch.setattr("lifeworth.inference.laplace._SAMPLED_ROWS", 100)
    fast = sample_laplace(model.family, rows, model._parametrisation, 1000, 0)
    for name, draws in exact.draws.items():
        error = draws.std(axis=1) / np.sqrt(min(exact.ess, fast.ess))
        assert np.all(np.abs(fast.draws[name].mean(axis=1) - draws.mean(axis=1)) < 4 * error), name
        ratio = fast.draws[name].std(axis=1) / draws.std(axis=1)
        assert np.all(np.abs(ratio - 1) < 0.12), name  # 4.5 errors of a standard deviation of 700 draws


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MODELS, "gamma_gamma"])
def test_nuts_agrees(name, table):
    model = with_formulas(name)
    fast, slow = model.fit(table), model.fit(table, method="nuts")
    assert slow.diagnostics.verdict == "ok"
    assert slow.diagnostics.method == "nuts"
    for one, other in ((fast.draws, slow.draws), (fast.posterior.effects, slow.posterior.effects)):
        for key, draws in one.items():
            error = draws.std(axis=0) * np.sqrt(1 / fast.diagnostics.ess + 1 / slow.diagnostics.ess)
            assert np.all(np.abs(draws.mean(axis=0) - other[key].mean(axis=0)) < 4 * error), key


def test_other_priors_shrink(table):
    from pymc_extras.prior import Prior

    free = lw.BetaGeo(purchase="channel").fit(table).posterior.effects["purchase"]
    for prior in (Prior("Normal", mu=0, sigma=0.02), Prior("Laplace", mu=0, b=0.005)):
        shrunk = lw.BetaGeo({"purchase": prior}, purchase="channel").fit(table).posterior.effects["purchase"]
        assert np.all(np.abs(shrunk.mean(axis=0)) < 0.5 * np.abs(free.mean(axis=0)))
    with pytest.raises(UsageError, match='give BetaGeo\\(dropout="a formula"\\)'):
        lw.BetaGeo({"dropout": Prior("Normal", mu=0, sigma=1)}, purchase="channel")


# ---- kept and known ---------------------------------------------------------------------------------------


def test_saved_fits_know_their_covariates(tmp_path, table):
    clv = lw.fit_clv(table, with_formulas("pareto_nbd"), with_formulas("gamma_gamma"), draws=100)
    clv.save(tmp_path / "model")
    again = lw.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(table, "26W"), clv.predict(table, "26W"))
    assert json.loads((tmp_path / "model/purchases/fit.json").read_text())["format"] == 4
    tree = clv.purchases.to_datatree()
    assert list(tree["posterior"]["purchase_term"].to_numpy()) == ["channel[T.shop]", "channel[T.web]", "scale(age)"]
    back = lw.ParetoNBD.from_datatree(tree)
    np.testing.assert_array_equal(back.probability_alive(table), clv.purchases.probability_alive(table))
    assert "purchase: channel[T.shop]" in repr(back)
    assert "purchase: channel[T.web]" in back._repr_html_()


def test_tables_carry_covariates(tmp_path, table):
    table.to_parquet(tmp_path / "rfm.parquet")
    again = lw.RFM.read_parquet(tmp_path / "rfm.parquet")
    pd.testing.assert_frame_equal(again.covariates, table.covariates, check_dtype=False)
    clv = lw.fit_clv(table, with_formulas("bg_nbd"), draws=50)
    before = clv.predict(table, "26W")
    pd.testing.assert_frame_equal(clv.predict(str(tmp_path / "rfm.parquet"), "26W"), before)
    clv.score(tmp_path / "rfm.parquet", tmp_path / "scores.parquet", "26W", rows_per_block=400)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), before, rtol=1e-12)


def test_new_customers_by_their_covariates(table):
    clv = lw.fit_clv(table, with_formulas("bg_nbd"), with_formulas("gamma_gamma"))
    kinds = pd.DataFrame({"channel": ["web", "shop"], "age": [40.0, 40.0]})
    both = clv.new_customer(["13W", "52W"], covariates=kinds)
    assert both.index.names == ["channel", "age", "horizon"]
    alone = clv.new_customer("52W", covariates={"channel": "web", "age": 40.0})
    pd.testing.assert_series_equal(both.loc[("web", 40.0, "52W")], alone.iloc[0], check_names=False)
    assert both.loc[("web", 40.0, "52W"), "clv"] > 1.3 * both.loc[("shop", 40.0, "52W"), "clv"]
    purchases = clv.purchases.expected_purchases_new_customer("52W", covariates={"channel": "web", "age": 40.0})
    assert purchases[0] == pytest.approx(alone["expected_purchases"].iloc[0], rel=1e-9)
    with pytest.raises(UsageError, match="depends on covariates \\(age, channel\\)"):
        clv.new_customer("52W")
    with pytest.raises(UsageError, match="depends on covariates"):
        clv.purchases.probability_alive_new_customer("52W")


def test_customers_who_have_just_come_are_valued_on_their_first_day(table):
    """With T = 0 and no repeat purchase, a customer of a table is a new customer."""
    clv = lw.fit_clv(table, with_formulas("bg_nbd"), with_formulas("gamma_gamma"), draws=200)
    first = pd.DataFrame(
        {"customer_id": ["n"], "frequency": [0], "recency": [0.0], "T": [0.0], "monetary_value": [0.0]}
        | {"channel": ["web"], "age": [40.0]}
    )
    valued = clv.predict(lw.RFM.from_frame(first, "W"), "52W", uncertainty=None)
    new = clv.new_customer("52W", covariates={"channel": "web", "age": 40.0}, uncertainty=None, first_purchase=False)
    assert valued["clv"].iloc[0] == pytest.approx(new["clv"].iloc[0], rel=1e-9)


def test_cohorts_by_time_of_joining(table):
    fit = lw.BetaGeo(purchase="cohort_quarter").fit(table)
    assert set(fit.effects()["term"]) == {f"cohort_quarter[T.2024Q{k}]" for k in (2, 3, 4)}


def test_first_spend_is_the_first_purchase_s(shop):
    sales = shop[0].transactions
    rfm = lw.rfm_summary(sales, covariates=["channel"])
    fit = lw.BetaGeo(purchase="log(first_spend)").fit(rfm)
    assert fit.effects()["term"].tolist() == ["log(first_spend)"]
    from lifeworth.covariates import covariate_columns

    days = sales.assign(date=sales["date"].dt.normalize()).groupby(["customer_id", "date"])["amount"].sum()
    first = days.groupby("customer_id").first()  # purchases of one day are one
    found = covariate_columns(rfm, ["first_spend"], of_spend=False)["first_spend"].to_numpy()
    single = rfm.frequency == 0
    np.testing.assert_allclose(found[single], first.loc[rfm.customer_id[single]], rtol=1e-9)


def test_values_are_those_of_the_first_purchase():
    sales = pd.DataFrame(
        {
            "customer_id": [2, 1, 1, 2, 1],
            "date": ["2026-01-01", "2026-01-09", "2026-01-02", "2026-01-05", "2026-01-03"],
            "amount": [10.0, 5.0, 5.0, -3.0, 7.0],
            "channel": ["shop", "web", "app", "web", "app"],
        }
    )
    rfm = lw.rfm_summary(sales, covariates=["channel"])
    assert rfm.covariates["channel"].tolist() == ["app", "shop"]
    assert any("channel differs between the purchases of 1 customers" in note for note in rfm.audit.notes)


def test_dated_covariates_do_not_leak_the_future(table):
    ids = table.customer_id[:3]
    known = pd.DataFrame(
        {
            "customer_id": [*ids, ids[0], ids[1]],
            "on": ["2024-01-01"] * 3 + ["2025-06-30", "2025-07-01"],
            "plan": ["a", "a", "a", "b", "b"],
        }
    )
    found = table.take(np.arange(3)).with_covariates(known, columns=["plan"], date="on")
    assert found.covariates["plan"].tolist() == ["b", "a", "a"]
    notes = found.audit.notes
    assert any("1 rows of covariates are dated after the end of observation (2025-06-30)" in n for n in notes)


@pytest.mark.parametrize(
    "formula", ["__import__('os').getcwd()", "channel.__class__", "(lambda: 1)()", "eval('1')", "open('/etc/passwd')"]
)
def test_formulas_hold_no_code(formula, table):
    with pytest.raises((UsageError, DataError)):
        lw.BetaGeo(purchase=formula).fit(table)


def test_a_forged_formula_in_a_saved_fit_is_refused(tmp_path, table):
    from lifeworth.model.store import _canonical, _checksum

    fit = lw.BetaGeo(purchase="channel").fit(table, draws=50)
    fit.save(tmp_path / "model")
    path = tmp_path / "model/fit.json"
    content = json.loads(path.read_text())
    content["design"]["formulas"]["purchase"]["formula"] = "channel + I(__import__('os').getpid())"
    content["spec_checksum"] = _checksum(_canonical({k: v for k, v in content.items() if k != "spec_checksum"}))
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"damaged|may not"):
        lw.load(tmp_path / "model")


@pytest.mark.parametrize("kind", ["datetime", "date", "period", "moments of a zone"])
def test_dates_are_no_categories(kind, table):
    days = pd.Series(pd.date_range("2024-01-01", periods=len(table)))
    columns = {
        "datetime": days,
        "date": days.dt.date,
        "period": days.dt.to_period("M"),
        "moments of a zone": days.dt.tz_localize("Europe/Rome"),
    }
    dated = table.with_covariates(pd.DataFrame({"customer_id": table.customer_id, "since": columns[kind]}))
    with pytest.raises(DataError, match=r"The covariate since holds dates.*use cohort_month"):
        lw.BetaGeo(purchase="since").fit(dated)


def test_a_new_customer_of_an_unknown_level(table):
    clv = lw.fit_clv(table, lw.BetaGeo(purchase="channel"), draws=20)
    with pytest.raises(DataError, match="channel has a level that the model has not seen: 'fax'"):
        clv.purchases.expected_purchases_new_customer("52W", covariates={"channel": "fax"})
    valued = lw.CLV(clv.purchases, lw.GammaGamma().from_parameters({"p": 6.0, "q": 4.0, "v": 15.0}))
    with pytest.raises(DataError, match="channel has a level that the model has not seen: 'fax'"):
        valued.new_customer("52W", covariates={"channel": "fax"})


def test_rows_brought_together_elsewhere_have_no_covariates(table):
    """As on Spark: a formula that would be ignored is refused."""
    for model in (lw.BetaGeo(purchase="channel"), lw.GammaGamma(spend="channel")):
        with pytest.raises(UsageError, match="formulas of covariates need the table of customers"):
            model.fit_rows(model.family.rows(table), table)


def test_parameters_of_too_many_kinds_of_customers_are_refused_before_memory_is_taken(table, monkeypatch):
    fit = with_formulas("bg_nbd").fit(table, draws=200)
    monkeypatch.setattr("lifeworth.families.posterior._MOST_NUMBERS", 10_000)
    monkeypatch.setattr(predict, "_MOST_PARAMETERS", 10_000)
    with pytest.raises(UsageError, match=r"kinds of customers under 200 draws .* fewer draws"):
        fit.loo(table)
    assert fit.expected_purchases(table, "13W").shape == (len(table),)  # in pieces
