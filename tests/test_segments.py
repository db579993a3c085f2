"""Segments: ties share, probabilities are right, and every small or odd shop gets an answer or a sentence."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import lifeworth as lw
from lifeworth import plots
from lifeworth.errors import DataError, DataWarning, UsageError
from lifeworth.segments import RFM_RULES, TIERS, VALUE_RULES
from lifeworth.segments.rules import LEVELS
from lifeworth.segments.tiers import class_of, place_of, top_probabilities

CUTS = [0.2, 0.4, 0.6, 0.8]
BG = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
GG = {"p": 6.25, "q": 3.74, "v": 15.44}


def rfm_of(frequency, recency, age, spend=None, first=None, **options):
    columns = {"frequency": frequency, "recency": recency, "T": age}
    if spend is not None:
        columns["monetary_value"] = spend
    if first is not None:
        columns["past_spend"] = first
    frame = pd.DataFrame(columns)
    return lw.RFM.from_frame(frame.assign(customer_id=np.arange(len(frame)) + 10), "W", **options)


@pytest.fixture(scope="module")
def shop():
    """Nine months of the CDNOW sample."""
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")


@pytest.fixture(scope="module")
def clv():
    return lw.CLV(lw.BetaGeo().from_parameters(BG, "W"), lw.GammaGamma().from_parameters(GG, "USD"))


@pytest.fixture(scope="module")
def predicted(clv, shop):
    return clv.predict(shop, "39W", uncertainty=None)


# ---- places and classes -----------------------------------------------------------------------------------


@given(st.lists(st.integers(-5, 5) | st.floats(-1e9, 1e9), min_size=1, max_size=60), st.integers(2, 12))
def test_scores_survive_ties(values, scores):
    values = np.array(values, dtype=float)
    notes = []
    place = place_of(values, "anything", notes)
    score = 1 + class_of(place, [i / scores for i in range(1, scores)])
    assert ((score >= 1) & (score <= scores)).all()
    order = np.argsort(values)
    assert (np.diff(score[order]) >= 0).all(), "who has more has no lower score"
    for value in np.unique(values):
        assert len(set(score[values == value])) == 1, "equals are together"
    if len(np.unique(values)) > 1:
        assert score[values == values.min()][0] == 1
        assert score[values == values.max()][0] == scores
        assert not notes
    else:
        assert len(notes) == 1


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.randoms())
def test_places_know_nothing_of_scale_or_order(values, random):
    values = np.array(values, dtype=float)
    places = place_of(values, "", [])
    shuffled = np.array(random.sample(range(len(values)), len(values)))
    np.testing.assert_array_equal(place_of(values[shuffled], "", []), places[shuffled])
    if len(np.unique(values)) > 1:
        np.testing.assert_array_equal(place_of(np.exp(values / 7), "", []), places)


@given(st.integers(1, 40), st.integers(2, 25))
def test_without_ties_classes_are_of_one_size(per_class, scores):
    values = np.random.default_rng(0).permutation(per_class * scores).astype(float)
    classes = class_of(place_of(values, "", []), [i / scores for i in range(1, scores)])
    assert np.bincount(classes).tolist() == [per_class] * scores


def test_borders_are_met_exactly():
    """49 x (1/49) is less than 1 in floating point: classes are told by quotients, not by products."""
    values = np.arange(49 * 3, dtype=float)
    assert np.bincount(class_of(place_of(values, "", []), [i / 49 for i in range(1, 49)])).tolist() == [3] * 49


# ---- RFM scores and their segments -------------------------------------------------------------------------


def test_scores_of_a_shop_by_hand():
    table = rfm_of([0, 0, 0, 1, 2], [0, 0, 0, 5, 9], [10, 10, 1, 10, 10], [0, 0, 0, 7, 9], [5, 5, 8, 14, 40])
    got = lw.segment(table).customers
    # Weeks since the last purchase: 10, 10, 1, 5, 1. The two of 1 are highest; 5 has two below of five, place 0.5.
    assert got["recency_score"].tolist() == [1, 1, 5, 3, 5]
    assert got["frequency_score"].tolist() == [1, 1, 1, 4, 5]  # place of the fourth: (3 + 1/2) / 5 = 0.7
    assert got["monetary_score"].tolist() == [1, 1, 3, 4, 5]  # places 0, 0, 0.5, 0.7, 1
    assert got["rfm_score"].tolist() == ["111", "111", "513", "344", "555"]
    assert got["segment"].tolist() == ["lost", "lost", "new", "loyal", "champions"]
    assert got["past_value"].tolist() == [5, 5, 8, 14, 40]


def test_every_pair_of_scores_has_exactly_one_segment():
    for recency, frequency in itertools.product(range(1, 6), repeat=2):
        fits = [
            name
            for name, rule in RFM_RULES.items()
            if rule["recency"][0] <= recency <= rule["recency"][1]
            and rule["frequency"][0] <= frequency <= rule["frequency"][1]
        ]
        assert len(fits) == 1, (recency, frequency, fits)


def test_segments_are_ordered_best_first(shop):
    segment = lw.segment(shop).customers["segment"]
    assert segment.cat.ordered
    assert segment.cat.categories.tolist() == list(RFM_RULES)


def test_own_rules_first_fit_and_others(shop):
    rules = {
        "whales": {"monetary": (3, 3)},
        "recent": {"recency": (2, 3), "frequency": (1, 3)},
    }
    with_rules = lw.segment(shop, rules=rules, scores=3)
    got = with_rules.customers
    assert got["segment"].cat.categories.tolist() == ["whales", "recent", "other"]
    expected = np.where(got["monetary_score"] == 3, "whales", np.where(got["recency_score"] >= 2, "recent", "other"))
    assert got["segment"].tolist() == expected.tolist()
    assert got["recency_score"].max() == 3
    everybody = lw.segment(shop, rules={"all": {}})
    assert everybody.customers["segment"].cat.categories.tolist() == ["all"]
    named = lw.segment(shop, rules={"other": {"recency": (5, 5)}, "rest": {"recency": (4, 4)}})
    counts = named.summary()["customers"]
    assert counts["other"] == (named.customers["recency_score"] != 4).sum()


def test_scores_beyond_nine_are_told_apart(shop):
    got = lw.segment(shop, rules={"all": {}}, scores=12).customers
    pieces = got["rfm_score"].str.split("-", expand=True).astype(int)
    np.testing.assert_array_equal(pieces, got[["recency_score", "frequency_score", "monetary_score"]])


# ---- past by future value ---------------------------------------------------------------------------------


def test_nine_cells_by_hand():
    # Three of each level: without ties the lowest half is low, the next three tenths middle, the last fifth high.
    past = np.arange(10.0) + 1
    table = rfm_of([0] * 10, [0] * 10, [5] * 10, first=past)
    future = np.array([1, 2, 3, 8, 10, 4, 9, 6, 5, 7], dtype=float)
    frame = pd.DataFrame({"customer_id": table.customer_id, "clv": future}).sample(frac=1, random_state=1)
    got = lw.segment(frame, table)
    assert got.by == "value"
    level_of = ["low"] * 5 + ["middle"] * 3 + ["high"] * 2
    expected = [VALUE_RULES[level_of[int(p) - 1], level_of[int(f) - 1]] for p, f in zip(past, future, strict=True)]
    assert got.customers["segment"].tolist() == expected
    assert got.customers["future_value"].tolist() == future.tolist()
    assert {VALUE_RULES[cell] for cell in itertools.product(LEVELS, repeat=2)} == set(VALUE_RULES.values())


def test_summary_adds_up(shop, predicted):
    segments = lw.segment(predicted, shop)
    for by in ("segment", "tier", "frequency_score"):
        table = segments.summary(by)
        assert table.index.name == by
        assert table["customers"].sum() == len(shop) == len(segments)
        for column in ("customer_share", "past_share", "future_share"):
            assert table[column].sum() == pytest.approx(1, abs=1e-12)
        assert table["past_value"].sum() == pytest.approx(shop.past_spend.sum())
        assert table["future_value"].sum() == pytest.approx(predicted["clv"].sum())
    table = segments.summary()
    champions = segments.customers["segment"] == "champions"
    assert table.loc["champions", "past_value"] == pytest.approx(shop.past_spend[champions].sum())
    assert (segments.past, segments.future, segments.currency) == ("past revenue", "expected future value", "USD")
    assert segments.to_pandas() is segments.customers
    assert repr(segments).startswith(f'Segments(2,357 customers by "value": champions {champions.sum()}')


def test_all_ways_to_say_the_same(shop, predicted):
    """RFM beside predictions, joined in one frame, and in other kinds of tables."""
    pl = pytest.importorskip("polars")
    expected = lw.segment(predicted, shop).customers
    joined = shop.to_pandas().assign(past_spend=shop.past_spend).merge(predicted, on="customer_id")
    for data in (joined, pl.from_pandas(joined)):
        pd.testing.assert_frame_equal(lw.segment(data).customers, expected)
    pd.testing.assert_frame_equal(lw.segment(predicted.sample(frac=1, random_state=3), shop).customers, expected)
    plain = lw.segment(shop.to_pandas().assign(past_spend=shop.past_spend))
    pd.testing.assert_frame_equal(plain.customers, lw.segment(shop).customers)
    by_scores = lw.segment(predicted, shop, by="rfm").customers
    assert by_scores["segment"].tolist() == lw.segment(shop).customers["segment"].tolist()
    alone = lw.segment(predicted)
    assert alone.by == "tier"
    assert alone.customers.columns.tolist() == ["customer_id", "future_value", "tier", "segment"]
    assert alone.customers["tier"].tolist() == expected["tier"].tolist()


def test_own_names_for_the_nine_cells(shop, predicted):
    rules = {cell: "keep" if "high" in cell else "leave" for cell in itertools.product(LEVELS, repeat=2)}
    got = lw.segment(predicted, shop, rules=rules, shares=(0.1, 0.3)).customers
    keep = (place_of(shop.past_spend, "", []) >= 0.9) | (place_of(predicted["clv"].to_numpy(), "", []) >= 0.9)
    assert (got["segment"] == "keep").tolist() == keep.tolist()
    assert set(got["segment"].cat.categories) == {"keep", "leave"}


def test_a_table_that_knows_no_first_spend_says_so(shop, predicted):
    segments = lw.segment(predicted, lw.RFM.from_frame(shop.to_pandas(), "W"))
    assert segments.past == "past revenue of repeat purchases"
    assert segments.customers["past_value"].tolist() == (shop.monetary_value * shop.frequency).tolist()
    assert "first purchases" in segments.notes[0]
    assert segments.notes[0] in repr(segments)


def test_without_money_purchases_count(shop, clv):
    bare = lw.RFM.from_frame(shop.to_pandas().drop(columns="monetary_value"), "W")
    segments = lw.segment(lw.CLV(clv.purchases), bare, horizon="39W", draws=20)
    assert (segments.past, segments.future) == ("past purchases", "expected future purchases")
    assert segments.customers["past_value"].tolist() == (shop.frequency + 1).tolist()
    assert "monetary_score" not in segments.customers
    assert segments.customers["rfm_score"].str.len().eq(2).all()


# ---- tiers and their probabilities -------------------------------------------------------------------------


def test_tiers_by_expected_value_hold_their_shares():
    values = np.random.default_rng(5).permutation(1000).astype(float)
    frame = pd.DataFrame({"customer_id": np.arange(1000), "clv": values})
    assert lw.segment(frame).summary()["customers"].tolist() == [50, 150, 300, 500]
    own = lw.segment(frame, tiers={"best": 0.1, "rest": 1})
    assert own.summary()["customers"].to_dict() == {"best": 100, "rest": 900}
    assert own.customers.loc[values >= 900, "tier"].eq("best").all()


@pytest.mark.parametrize("uncertainty", ["customer", "mean"])
def test_probabilities_fill_the_places(shop, clv, uncertainty):
    """In every future just so many customers are the best, ties shared: so probabilities add up to the places."""
    segments = lw.segment(clv, shop, horizon="39W", draws=50, uncertainty=uncertainty)
    got = segments.customers
    assert got["probability_top"].sum() == pytest.approx(round(0.05 * len(shop)))
    assert got["probability_top"].between(0, 1).all()
    assert got["probability_tier"].between(0, 1 + 1e-12).all()
    same = shop.to_pandas().drop(columns="customer_id")
    for column in ("probability_top", "probability_tier", "tier"):
        together = got[column].groupby([same[name] for name in same]).nunique()
        assert together.eq(1).all(), "equal customers get equal answers"
    top = got["tier"] == "top"
    assert got.loc[top, "probability_top"].min() >= got.loc[~top, "probability_top"].max()
    assert (got.loc[top, "probability_tier"] == got.loc[top, "probability_top"]).all()


def test_probability_of_a_known_lead():
    """Two living customers of known rates, without spend: who buys more in a week is a Poisson matter.

    Gamma rates with a shape of 1e8 are all but known: 3 and 5 purchases a week, and hardly anybody leaves.
    """
    purchases = lw.BetaGeo().from_parameters({"r": 1e-9, "alpha": 1e-9, "a": 1e-12, "b": 1.0}, "W")
    table = rfm_of([300_000_000, 500_000_000], [1e8, 1e8], [1e8, 1e8])
    draws = 4_000
    chance = top_probabilities(purchases.posterior, None, 1.0, table, [0.5], draws, "customer", 3, None)[0]
    k = np.arange(60)
    three, five = (np.exp(k * np.log(m) - m - np.array([sum(np.log(np.arange(1, n + 1))) for n in k])) for m in (3, 5))
    joint = np.outer(three, five)
    exact = np.tril(joint, -1).sum() + np.trace(joint) / 2  # a draw is shared
    assert chance.sum() == pytest.approx(1)
    # Four standard errors of a share of 4,000 futures; a coin would be 39 of them away.
    assert abs(chance[0] - exact) < 4 * np.sqrt(exact * (1 - exact) / draws)


def test_probabilities_are_calibrated():
    """Of customers given a chance to be among the best, as many are, in futures that the model knows the rules of."""
    sim = lw.simulate_transactions(20_000, seed=12, end="2025-12-31")
    rfm = lw.rfm_summary(sim.transactions, period="h", time_unit="W", observation_end="2025-06-30T23")
    fit = lw.CLV(
        lw.BetaGeo().from_parameters(sim.purchases.draws, "W"), lw.GammaGamma().from_parameters(sim.spend.draws)
    )
    days = (pd.Timestamp("2025-12-31") - pd.Timestamp("2025-06-30")).days
    got = lw.segment(fit, rfm, horizon=f"{days}D", tiers={"top": 0.1, "rest": 1.0}).customers
    spent = sim.holdout("2025-06-30").set_index("customer_id")["spend"].loc[got["customer_id"]].to_numpy()
    best = spent >= np.sort(spent)[-round(0.1 * len(spent))]
    chance = got["probability_top"].to_numpy()
    for low, high in itertools.pairwise([0, 0.05, 0.15, 0.3, 0.5, 1.01]):
        inside = (chance >= low) & (chance < high)
        se = np.sqrt((chance[inside] * (1 - chance[inside])).sum())
        assert inside.sum() > 50
        assert abs(best[inside].sum() - chance[inside].sum()) < 4 * se, (low, high)


def test_futures_belong_to_the_seed(shop, clv):
    few = shop.take(np.arange(200))
    one, same, other = (lw.segment(clv, few, horizon="39W", draws=30, seed=seed).customers for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one["probability_top"].equals(other["probability_top"])


def test_progress_reaches_the_end(shop, clv):
    seen = []
    lw.segment(clv, shop.take(np.arange(50)), horizon="4W", draws=40, progress=lambda *a: seen.append(a))
    assert [round(share, 3) for _, share in seen] == [0.4, 0.8, 1.0]


# ---- first weeks of real shops ------------------------------------------------------------------------------


def warned(*arguments, **options):
    with pytest.warns(DataWarning) as caught:
        segments = lw.segment(*arguments, **options)
    assert [str(w.message) for w in caught] == list(segments.notes)
    return segments


def test_everybody_bought_once():
    segments = warned(rfm_of([0] * 4, [0] * 4, [9, 6, 3, 0], [0] * 4, [5, 9, 2, 7]))
    assert segments.notes == (
        "All 4 are equal in frequency, which therefore does not distinguish customers: the lowest class was given.",
    )
    assert segments.customers["segment"].tolist() == ["lost", "hibernating", "promising", "new"]


def test_everybody_bought_once_today():
    segments = warned(rfm_of([0] * 3, [0] * 3, [0] * 3, [0] * 3, [5, 5, 5]))
    assert len(segments.notes) == 3
    assert segments.customers["segment"].tolist() == ["new"] * 3
    assert segments.customers["monetary_score"].tolist() == [3] * 3


@pytest.mark.parametrize("age", [0, 12])
def test_one_customer(age):
    table = rfm_of([3], [age], [age], [20.0], [90.0])
    segments = warned(table)
    assert "The only customer cannot be compared with others" in segments.notes[0]
    assert segments.customers["frequency_score"].tolist() == [3]
    assert segments.summary().loc[segments.customers["segment"][0], "past_share"] == 1
    frame = pd.DataFrame({"customer_id": table.customer_id, "clv": [7.0]})
    assert warned(frame, table).customers["segment"].tolist() == ["need attention"]
    assert warned(frame).customers["tier"].tolist() == ["middle"]
    assert warned(frame.assign(clv=0.0)).customers["tier"].tolist() == ["low"]
    assert warned(frame.assign(clv=0.0)).summary()["future_share"].eq(0).all()


def test_one_customer_and_a_model(clv):
    got = warned(clv, rfm_of([3], [10], [12], [20.0], [90.0]), horizon="39W", draws=10).customers
    assert got["probability_top"].tolist() == [1.0]
    assert got["tier"].tolist() == ["middle"]


def test_equal_spends_and_equal_futures(clv):
    table = rfm_of([0] * 30, [0] * 30, [8] * 30, [0] * 30, [10] * 30)
    segments = warned(clv, table, horizon="39W", draws=10)
    assert segments.customers["segment"].eq("need attention").all()
    assert segments.customers["tier"].eq("middle").all()
    # Two of thirty places, which chance shares out and equal customers have in equal parts.
    np.testing.assert_allclose(segments.customers["probability_top"], 2 / 30, rtol=1e-12)


@pytest.mark.parametrize("customers", range(1, 12))
def test_any_number_of_customers(customers):
    values = np.arange(customers) % 3.0
    frame = pd.DataFrame({"customer_id": range(customers), "clv": values})
    table = rfm_of(values, values, values + 1, values, values + 1)
    frame["customer_id"] = table.customer_id
    if customers == 1:
        assert len(warned(frame, table)) == 1
        return
    got = warned(frame, table, by="rfm").customers  # all bought a week ago
    assert set(got["tier"]) <= set(TIERS)
    assert got.loc[values == values.max(), "tier"].eq("top").all()
    assert got.loc[values == 0, "frequency_score"].eq(1).all()


# ---- sentences ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"by": "age"}, 'by=\'age\' must be "rfm", "value" or "tier"'),
        ({"by": "value"}, 'Segments by "value" need predictions, or a CLV with its horizon, as well'),
        ({"by": "tier"}, 'Segments by "tier" need predictions'),
        ({"scores": 1}, "scores=1 must be a whole number from 2 on"),
        ({"scores": 4}, "with scores=4, give rules="),
        ({"rules": {}}, "rules must map segments to scores"),
        ({"rules": {"a": (1, 5)}}, "The rule of 'a' must be like"),
        ({"rules": {"a": {"age": (1, 5)}}}, "uses 'age', which this table does not have; it has: recency"),
        ({"rules": {"a": {"recency": (0, 5)}}}, "from 1 to 5, not (0, 5)"),
        ({"rules": {"a": {"recency": 5}}}, "from 1 to 5, not 5"),
        ({"shares": (0.5, 0.2)}, "shares=(0.5, 0.2) must be two shares that rise"),
        ({"shares": 0.5}, "shares=0.5 must be"),
        ({"tiers": {"a": 0.5}}, "must name two tiers or more"),
        ({"tiers": {"a": 0.5, "b": 0.9}}, "rising to 1"),
        ({"tiers": {"a": 0.5, "b": 0.2, "c": 1.0}}, "rising to 1"),
        ({"horizon": "12M"}, "horizon belongs to a CLV"),
    ],
)
def test_options_that_make_no_sense(shop, options, sentence):
    with pytest.raises(UsageError) as caught:
        lw.segment(shop, **options)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_predictions_that_do_not_fit(shop, predicted, clv):
    with pytest.raises(DataError, match=r"2,356 have no prediction \(customer 2, 3, 4\)"):
        lw.segment(predicted.head(1), shop)
    with pytest.raises(DataError, match=r"2,355 are not in the RFM table \(customer 3, 4, 5\)"):
        lw.segment(predicted, shop.take(np.arange(2)))
    with pytest.raises(DataError, match="more than one row, such as 1"):
        lw.segment(pd.concat([predicted, predicted.head(1)]), shop)
    with pytest.raises(DataError, match="clv is not a finite number for 1 of 2,357 customers, such as 3"):
        lw.segment(predicted.assign(clv=predicted["clv"].where(predicted["customer_id"] != 3)), shop)
    with pytest.raises(DataError, match="no rows"):
        lw.segment(predicted.head(0))
    with pytest.raises(UsageError, match=r"this table has: customer_id, date, amount"):
        lw.segment(lw.load_cdnow(sample=True))
    with pytest.raises(UsageError, match="Two RFM tables"):
        lw.segment(shop, shop)
    with pytest.raises(UsageError, match="not DataFrame"):
        lw.segment(predicted, shop.to_pandas())
    with pytest.raises(UsageError, match=r'segment\(clv, rfm, horizon="12M"\)'):
        lw.segment(clv, shop)
    with pytest.raises(UsageError, match="need an RFM table as well"):
        lw.segment(predicted, by="rfm")
    with pytest.raises(UsageError, match="have no rules"):
        lw.segment(predicted, rules=VALUE_RULES)
    with pytest.raises(UsageError, match="each of the nine cells"):
        lw.segment(predicted, shop, rules={("high", "high"): "a"})
    with pytest.raises(UsageError, match="by='colour' is not a column"):
        lw.segment(predicted).summary("colour")


@pytest.mark.parametrize("options", [{"draws": 0}, {"uncertainty": None}, {"seed": -1}])
def test_options_of_futures(shop, clv, options):
    name, value = next(iter(options.items()))
    with pytest.raises(UsageError, match=f"{name}={value} must be"):
        lw.segment(clv, shop, horizon="39W", **options)


# ---- the picture --------------------------------------------------------------------------------------------


def points_of(ax):
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in ax.lines}


def test_picture_shows_the_summary(shop, predicted):
    segments = lw.segment(predicted, shop)
    table = segments.summary()
    shown = table[table["customers"] > 0]
    ax = plots.plot_segments(segments)
    points = points_of(ax)
    for label, column in (
        ("share of customers", "customer_share"),
        ("share of past revenue", "past_share"),
        ("share of expected future value", "future_share"),
    ):
        np.testing.assert_array_equal(points[label][0], shown[column])
        np.testing.assert_array_equal(np.round(points[label][1]), np.arange(len(shown)))
    assert [label.get_text() for label in ax.get_yticklabels()] == shown.index.tolist()
    assert ax.yaxis_inverted()
    written = [text.get_text() for text in ax.texts]
    assert written == [*(f"{count:,}" for count in shown["customers"]), "customers"]
    scores = lw.segment(shop)
    empty = scores.summary().query("customers == 0").index
    assert len(empty) > 0
    assert f"Segments without customers: {', '.join(empty)}" in plots.plot_segments(scores).get_xlabel()
    assert plots.to_png(ax, scale=0.5).startswith(b"\x89PNG")


def test_picture_of_a_summary_by_another_column(shop, predicted):
    ax = plots.plot_segments(lw.segment(predicted, shop).summary("recency_score"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3", "4", "5"]
    assert set(points_of(ax)) == {"share of customers", "share of past value", "share of expected future value"}


def test_picture_of_one_customer_says_what_is_to_be_known():
    segments = warned(rfm_of([3], [1], [1], [20.0], [90.0]))
    ax = plots.plot_segments(segments, ax=Figure().add_subplot())
    for note in segments.notes:
        assert note in " ".join(ax.get_xlabel().split())
    plots.to_png(ax, scale=0.5)


def test_picture_without_customers_or_columns(shop):
    none = lw.segment(shop).summary().assign(customers=0)
    assert [text.get_text() for text in plots.plot_segments(none).texts] == ["There are no customers in any segment."]
    with pytest.raises(UsageError, match="lacks the columns customers, customer_share"):
        plots.plot_segments(shop.to_pandas())
    with pytest.raises(UsageError, match=r"must be the result of lifeworth\.segment"):
        plots.plot_segments(shop)


def test_names_in_the_picture_stay_text(shop):
    rules = {"<script>$x_2$ & co": {"recency": (3, 5)}}
    svg = plots.to_svg(plots.plot_segments(lw.segment(shop, rules=rules)))
    assert "<script" not in svg
