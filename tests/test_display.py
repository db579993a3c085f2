"""What objects show of themselves in a notebook: whole HTML, escaped, and a plain line elsewhere."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.display import cards
from lifeworth.inference.diagnostics import Diagnostics

NASTY = '<script>alert("x")</script>&'
VOID = {"meta", "br", "path"}


class Page(HTMLParser):
    """Refuses tags that are not closed in order, and gathers the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def calibration():
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")


@pytest.fixture(scope="module")
def clv(calibration):
    return lw.fit_clv(calibration, draws=200, seed=1)


def things(calibration, clv):
    totals = clv.predict_total(calibration, "39W", uncertainty="mean")
    groups = np.where(calibration.frequency > 0, "again", NASTY)
    return {
        "rfm": calibration,
        "audit": calibration.audit,
        "fit": clv.purchases,
        "spend": clv.spend,
        "clv": clv,
        "purchases alone": lw.CLV(clv.purchases),
        "diagnostics": clv.purchases.diagnostics,
        "totals": totals,
        "groups": clv.predict_total(calibration, "39W", by=groups, period="13W", uncertainty="mean"),
        "segments": lw.segment(calibration),
        "shop": lw.simulate_transactions(50, seed=1),
        "model": lw.BetaGeo(),
        "flat": lw.GammaGamma(priors="flat"),
        "given": lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44}, currency=NASTY),
    }


def test_cards_are_whole_and_compact(calibration, clv):
    for name, thing in things(calibration, clv).items():
        source = thing._repr_html_()
        page = Page(source)
        assert "script" not in page.tags, name
        assert len(source) - len(cards.STYLE) < 12_000, name
        assert len(repr(thing).splitlines()) <= 12, name
        assert "object at 0x" not in repr(thing), name


def test_cards_say_what_counts(calibration, clv):
    said = {name: Page(thing._repr_html_()).words for name, thing in things(calibration, clv).items()}
    assert "2,357 customers" in said["rfm"]
    assert "up to 1997-09-30" in said["rfm"]
    assert "weeks from the first purchase to the end" in said["rfm"]
    assert "USD per repeat purchase" in said["rfm"]
    share = f"{100 * (calibration.frequency > 0).mean():.3g} % bought again"
    assert share in said["rfm"]
    assert "ok" in said["fit"]
    assert "rate of purchase rates, in weeks" in said["fit"]
    assert f"{clv.purchases.draws['r'].mean():.4g}" in said["fit"]
    assert "scale of how customers differ, in USD" in said["spend"]
    assert "No model of spend" in said["purchases alone"]
    assert "k-hat" in said["diagnostics"]
    assert "90 % interval" in said["totals"]
    assert f"{clv.predict_total(calibration, '39W', uncertainty='mean').expected_purchases:,.0f}" in said["totals"]
    assert "Prior('LogNormal', mu=-0.5, sigma=1.25)" in said["model"]
    assert "flat" in said["flat"]


def test_text_of_users_is_escaped(calibration, clv):
    rfm = replace(calibration.take(calibration.frequency > 8), currency=NASTY)
    named = replace(rfm, customer_id=pd.Index([f"{NASTY}{i:03d}" for i in range(len(rfm))]))
    left = named.audit.rows_in - named.audit.rows_used
    audit = replace(named.audit, notes=(NASTY,), examples={NASTY: [NASTY]}, left_out={NASTY: left})
    reasons = Diagnostics("nuts", "warn", (NASTY,))
    for thing in (
        replace(named, audit=audit),
        audit,
        reasons,
        things(calibration, clv)["groups"],
        things(calibration, clv)["given"],
    ):
        source = thing._repr_html_()
        assert "<script" not in source
        assert NASTY in Page(source).words


def test_verdicts_are_told_in_words_and_colour():
    for verdict, role in (("ok", "good"), ("warn", "careful"), ("fail", "bad")):
        source = Diagnostics("nuts", verdict, ("It is so.",))._repr_html_()
        assert f'lw-{role}">{verdict}<' in source
        assert "It is so." in source


def test_both_themes_are_there_and_follow_the_notebook():
    light, dark = cards.LIGHT["ink"], cards.DARK["ink"]
    assert cards.STYLE.index(light) < cards.STYLE.index("prefers-color-scheme:dark") < cards.STYLE.index(dark)
    for sign in ('data-jp-theme-light="true"', 'data-jp-theme-light="false"', ".vscode-dark", "--jp-layout-color0"):
        assert sign in cards.STYLE
    assert "\n" not in cards.STYLE
    assert cards.STYLE.count("{") == cards.STYLE.count("}")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3.0, "3"), (1234567.8, "1,234,568"), (-2.5, "−2.5"), (0.24261, "0.2426"), (1e-6, "1.00e-06")],
)
def test_numbers_are_for_people(value, text):
    assert cards.number(value) == text.replace("-0", "−0") if "e" in text else cards.number(value) == text


def test_numbers_that_are_none():
    assert cards.number(float("nan")) == cards.number(float("inf")) == "–"
    assert cards.share(0, 0) == "–"
    assert cards.share(1, 10_000_000) == "< 0.1 %"
    assert cards.share(9_999_999, 10_000_000) == "> 99.9 %"
    assert cards.share(1) == "100 %"


def test_histograms_hold_all_but_the_outermost():
    counts = cards.histogram([0, 0, 0, 1, 2], "repeat purchases")
    assert counts.count("h32.00") == 3  # a bar for each of 0, 1, 2
    assert cards.histogram([1.0, 1.0], "x") == ""
    assert cards.histogram([], "x") == ""
    assert "NaN" not in cards.histogram([np.nan, 1.0, 2.0, np.inf], "x")
    assert 'aria-label="&quot;&gt;"' in cards.histogram([1.0, 2.0], '">')


@pytest.fixture(scope="module")
def judged():
    cdnow = lw.load_cdnow(sample=True)
    fast = {"method": "map", "bootstrap": 0, "currency": "USD"}
    bt = lw.backtest(cdnow, 2, "13W", baselines=["own_rate", "rf_table"], futures=0, interval=0.8, **fast)
    found = lw.compare_clv(cdnow, "1997-12-31", "13W", baselines=["own_rate"], budgets=[100, 200], **fast)
    return bt, found


def test_backtests_show_who_was_right(judged):
    bt, _ = judged
    page = Page(bt._repr_html_())
    assert "Backtest: 13W after each cut-off" in page.words
    assert f"2 cut-offs, {bt.cutoffs[0]:%Y-%m-%d} to {bt.cutoffs[1]:%Y-%m-%d}" in page.words
    assert "money in USD" in page.words
    assert "80 % interval" in page.words
    for target in ("value", "purchases"):
        for name, one in bt.summary(target).iterrows():
            bias = f"{100 * one['bias']:+.1f} %".replace("-", "−")
            assert f"{name} {one['kind']} {bias} {cards.number(one['mae'])}" in page.words, (target, name)
    first = bt.summary("value").index[0]
    assert page.words.index(first) < min(page.words.index(name) for name in bt.methods if name != first)
    assert len(bt._repr_html_()) - len(cards.STYLE) < 12_000


def test_a_method_that_could_not_foretell_says_why():
    early = lw.backtest(lw.load_cdnow(sample=True), ["1997-03-31"], "13W", baselines=["rf_table"], method="map",
                        bootstrap=0, futures=0)  # fmt: skip
    reason = early.summary("value").loc["rf_table", "reason"]
    assert reason
    assert reason in Page(early._repr_html_()).words


def test_purchases_alone_can_be_judged_and_shown():
    bt = lw.backtest(lw.load_cdnow(sample=True).drop(columns="amount"), ["1997-09-30"], "13W", amount=None,
                     baselines=["own_rate"], method="map", bootstrap=0, futures=0, keep_predictions=False)  # fmt: skip
    said = Page(bt._repr_html_()).words
    assert "Purchases of each customer" in said
    assert "Spend" not in said


def test_comparisons_show_what_each_ranking_earned(judged):
    _, found = judged
    said = Page(found._repr_html_()).words
    assert "2,357 customers at 1997-12-31, evaluated up to" in said
    shares = found.earned.set_index(["ranking", "budget"])["share"]
    row = f"past_value {100 * shares['past_value', 100]:.1f} % {100 * shares['past_value', 200]:.1f} %"
    assert row in said
    assert "perfect foresight" in said
    for corner, one in found.corners.iterrows():
        assert f"{corner} {one['customers']:,.0f} {cards.number(one['past_value'])}" in said
    ahead = lw.compare_clv(lw.load_cdnow(sample=True), None, "13W", baselines=[], method="map", bootstrap=0)
    said = Page(ahead._repr_html_()).words
    assert "Share of all money" not in said
    assert "judged" not in said


def test_calibrations_show_what_was_learned(clv):
    bt = lw.backtest(lw.load_cdnow(sample=True), 4, "6W", baselines=[], method="map", bootstrap=0)
    learned = clv.calibrate(bt)
    assert learned.calibration is not None
    said = Page(learned.calibration._repr_html_()).words
    assert "Calibration of bg_nbd" in said
    assert f"4 cut-offs, {bt.cutoffs[0]:%Y-%m-%d} to {bt.cutoffs[3]:%Y-%m-%d}; 4 disjoint windows of 6W" in said
    size = 100 * learned.calibration.totals["purchases"].size
    assert f"with a drift of ± {size:.0f} % between past and window" in said
    assert "expectations multiplied by" in Page(learned._repr_html_()).words
    assert "expectations multiplied by" not in Page(clv._repr_html_()).words


def test_growing_tables_and_registries_show_what_they_hold(clv, tmp_path):
    state = lw.RFMState(tmp_path / NASTY)
    assert repr(state).endswith("0 rows, 0 customers)")
    assert "0 customers" in Page(state._repr_html_()).words
    state.update(lw.load_cdnow(sample=True), "1997-09-30")
    assert repr(state).endswith("6,919 rows, 2,357 customers, up to 1997-09-30)")
    said = Page(state._repr_html_()).words
    assert "2,357 customers up to 1997-09-30" in said.replace(" ·", "")
    assert "after the end 1,959" in said
    registry = lw.Registry(tmp_path / "models")
    assert "No models yet." in Page(registry._repr_html_()).words
    registry.add("shop", clv)
    assert "shop 1 none" in Page(registry._repr_html_()).words
    registry.promote("shop", 1)
    assert "shop 1 version 1" in Page(registry._repr_html_()).words
