"""A customer base appraised: its five views, its page, and the commands that write it."""

import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from browser import DESK, PHONE, Sight, browser, misplaced, pictures, sight, words_of
from lifeworth.display.palette import ON_DARK_HEAT, ON_LIGHT_HEAT
from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate import alive_paths
from lifeworth.evaluate.appraisal import appraise
from lifeworth.evaluate.data_views import five_views
from lifeworth.report import render_report
from lifeworth.report.appraisal import appraisal_report

NASTY = "<script>document.title='gone'</script><img src=x onerror=\"document.title='gone'\">"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """A tenth of the sample, with ids and column names that would like to be markup."""
    rows = lw.load_cdnow(sample=True)
    rows = rows[rows["customer_id"] % 3 == 0]
    ids = NASTY + rows["customer_id"].astype(str)
    return pd.DataFrame({NASTY: ids, "<b>when</b>": rows["date"], "{{ 7*7 }}": rows["amount"]})


@pytest.fixture(scope="module")
def found(data):
    told = []
    names = {"customer_id": NASTY, "date": "<b>when</b>", "amount": "{{ 7*7 }}"}
    appraisal = appraise(
        data, "6W", 4, method="map", currency="<i>EUR</i>", progress=lambda *step: told.append(step), **names
    )
    assert {"judging at past cut-offs", "valuing customers"} <= {what for what, _ in told}
    return appraisal


@pytest.fixture(scope="module")
def html(found) -> str:
    return render_report(appraisal_report(found, f"Worth {NASTY}"))


def test_past_and_future_add_up(found, data):
    assert found.customers["past_value"].sum() == pytest.approx(data["{{ 7*7 }}"].sum())
    assert found.totals.expected_value == pytest.approx(found.customers["clv"].sum())
    assert found.totals.expected_value == found.raw_totals.expected_value
    assert found.customers["segment"].notna().all()
    assert found.clv.calibration is not None
    assert found.comparison.train_end == found.backtest.cutoffs[-1]


def test_the_page_holds_every_chapter(found, html):
    for title in (
        "Summary",
        "Predicted and actual",
        "The value of the customer base",
        "What each ranking would have earned",
        "Coverage of intervals",
        "Segments",
        "View 1",
        "View 2",
        "View 3",
        "View 4",
        "View 5",
        "Limitations",
        "Reliability of the model",
        "The data",
    ):
        assert title in html, title
    assert f"{found.totals.expected_value:,.0f}" in html
    assert len(html) < 3_000_000


class Tags(HTMLParser):
    """The tags of a page, and the alternative texts of its pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_hostile_names_stay_text_and_pictures_have_words(html):
    tags = Tags(html).tags
    assert "script" not in {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert "49" not in [attrs.get("title") for _, attrs in tags]
    images = [attrs for tag, attrs in tags if tag == "img"]
    assert len(images) >= 12
    assert all(attrs["alt"] for attrs in images)
    assert all(str(attrs["src"]).startswith("data:") for attrs in images)
    assert "&lt;i&gt;EUR&lt;/i&gt;" in html


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def report(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


READERS = pytest.mark.parametrize(
    ("dark", "viewport"), [(False, DESK), (True, DESK), (False, PHONE), (True, PHONE)], ids=str
)


@READERS
def test_a_browser_opens_it_without_a_word(chromium, report, dark, viewport):
    """Nothing on the console, nothing asked of any network, nothing run, every picture drawn."""
    with sight(chromium, report, dark=dark, viewport=viewport) as seen:
        assert seen.said == []
        assert seen.asked == set()
        assert seen.page.title() == f"Worth {NASTY}"
        images = seen.page.evaluate("[...document.images].map(i => [i.alt, i.naturalWidth, i.getClientRects().length])")
        assert len(images) >= 12
        assert all(alt.strip() and wide > 0 and shown for alt, wide, shown in images)


def test_the_browsers_guard_catches_what_it_is_for(chromium, tmp_path):
    """A page that does what ours must not do is found out."""
    path = tmp_path / "loud.html"
    path.write_text(
        "<body style='color:#999;background:#fff'>pale<img src='https://example.com/x.png' alt='x'>"
        "<script>console.log('a word')</script></body>"
    )
    context = chromium.new_context()
    seen = Sight(context.new_page())
    with pytest.raises(Exception, match="decode"):
        seen.open(path)
    assert "a word" in seen.said
    assert seen.asked == {"https://example.com/x.png"}
    assert seen.contrasts()[0] == (pytest.approx(2.85, abs=0.01), "pale")
    context.close()


@pytest.mark.parametrize("dark", [False, True])
def test_its_words_can_be_read(chromium, report, dark):
    """All text stands out from its ground by 4.5 to 1, as WCAG 2.2 (1.4.3) has it, on the page and in pictures."""
    with sight(chromium, report, dark=dark) as seen:
        told = seen.contrasts()
        assert len(told) > 500
        assert told[0][0] >= 4.5, told[:5]
        ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        drawn = pictures(seen.page)
        assert len(drawn) >= 10
        # A page of its own: the report's policy also forbids the style of what is put into it.
        other = Sight(seen.page.context.new_page())
        on_heat = {f"rgb{tuple(bytes.fromhex(colour[1:]))}" for colour in (ON_LIGHT_HEAT, ON_DARK_HEAT)}
        for alt, svg in drawn:
            words, _ = words_of(other.page, svg)
            words = [word for word in words if word["fill"] not in on_heat]  # their ground is the cell of a heat map
            written = "".join(f"<p style='color:{word['fill']}'>{escape(word['text'])}</p>" for word in words)
            other.page.set_content(f"<body style='background:{ground}'>{written}</body>")
            weak = [one for one in other.contrasts() if one[0] < 4.5]
            assert not weak, (alt, weak[:5])


@READERS
def test_nothing_is_cut_off_or_written_over(chromium, report, dark, viewport):
    """No sideways scrolling of the page; wide tables scroll in their own box; words of pictures have their place."""
    with sight(chromium, report, dark=dark, viewport=viewport) as seen:
        wide, room = seen.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room
        outside = seen.page.evaluate(
            """() => [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, .unseen'))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"""
        )
        assert outside == []
        boxes = seen.page.evaluate(
            "[...document.querySelectorAll('.scroll')].map(e => [e.tabIndex, getComputedStyle(e).overflowX])"
        )
        assert len(boxes) > 10
        assert all(box == [0, "auto"] for box in boxes)
        captions = seen.page.evaluate(
            "[...document.querySelectorAll('caption > *')].map(e => e.getBoundingClientRect().right - innerWidth)"
        )
        assert len(captions) == len(boxes)
        assert max(captions) <= 0
        if dark:
            return
        other = seen.page.context.new_page()
        problems = {alt: found for alt, svg in pictures(seen.page) if (found := misplaced(*words_of(other, svg)))}
        assert not problems


def test_headings_come_in_order(chromium, report):
    with sight(chromium, report) as seen:
        levels = seen.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert levels.count(2) >= 14
        assert all(lower - upper <= 1 for upper, lower in pairwise(levels))
        assert seen.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].every(h => h.innerText.trim())")
        assert seen.page.evaluate("document.documentElement.lang") == "en"
        targets = seen.page.evaluate(
            "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => !!document.querySelector(a.hash))"
        )
        assert len(targets) > 12
        assert all(targets)


def test_it_prints(chromium, report, tmp_path):
    """On white paper, also for a reader of dark pages, and with every table and picture whole in its width."""
    with sight(chromium, report, dark=True) as seen:
        seen.page.emulate_media(media="print", color_scheme="dark")
        seen.page.set_viewport_size({"width": 642, "height": 971})  # A4 without its margins, in CSS pixels
        grounds = seen.page.evaluate(
            "['html', 'body', 'main'].map(s => getComputedStyle(document.querySelector(s)).backgroundColor)"
        )
        assert set(grounds) == {"rgba(0, 0, 0, 0)"}
        told = seen.contrasts()
        assert told[0][0] >= 4.5, told[:5]
        cut = seen.page.evaluate(
            """() => [...document.querySelectorAll('.scroll, table, img, p, h1, h2:not(.unseen), h3')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 || e.scrollWidth > e.clientWidth + 1)
            .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert cut == []
        printed = seen.page.pdf(path=tmp_path / "page.pdf", format="A4", prefer_css_page_size=True)
        assert printed.startswith(b"%PDF")
        assert 5 < printed.count(b"/Type /Page\n") < 40
        assert not seen.said
        assert not seen.asked


def test_a_hostile_shop_stays_text(chromium, report):
    with sight(chromium, report) as seen:
        assert "gone" not in seen.page.title().removeprefix(f"Worth {NASTY}")
        assert seen.page.evaluate("document.scripts.length") == 0
        assert seen.page.inner_text("h1") == f"Worth {NASTY}"
        assert "<i>EUR</i>" in seen.page.inner_text("main")
        assert seen.page.evaluate("document.querySelectorAll('main i, [onerror]').length") == 0


def test_small_data_are_told_in_a_sentence():
    rows = pd.DataFrame({"customer_id": list("aabbc"), "date": pd.date_range("2026-01-01", periods=5), "amount": 5.0})
    with pytest.raises(DataError):
        appraise(rows, "4W", 2)
    with pytest.raises(DataError, match="fall into one period"):
        five_views(rows.assign(date="2026-01-01"))


# --- the five views ----------------------------------------------------------------------------------------------


def test_views_by_hand():
    rows = pd.DataFrame(
        [
            ("a", "2025-01-10", 10.0),
            ("a", "2025-05-10", 20.0),
            ("b", "2025-01-20", 30.0),
            ("b", "2025-02-20", 30.0),
            ("c", "2025-04-02", 40.0),
            ("c", "2025-04-03", -40.0),
            ("c", "2025-05-09", 60.0),
            ("d", "2025-06-30", 5.0),
        ],
        columns=["customer_id", "date", "amount"],
    )
    views = five_views(rows)
    health = views.health.set_index("period")
    assert views.step == "M"
    assert health["active"].to_dict() == {
        "2025-01": 2, "2025-02": 1, "2025-03": 0, "2025-04": 0, "2025-05": 2, "2025-06": 1
    }  # fmt: skip
    assert health["new"].sum() == 4
    assert health["revenue"].sum() == pytest.approx(rows["amount"].sum())  # an order returned in full is no order
    assert health.loc["2025-05", "revenue_returning"] == 20
    assert health.loc["2025-06", "active_share"] == 0.25
    assert views.cohort_name == "2025-01"
    assert views.cohort["active_share"].tolist() == [1.0, 0.5, 0.0, 0.0, 0.5, 0.0]
    assert np.isnan(views.cohort["order_value"].iloc[2])
    cohorts = views.cohorts.set_index("cohort")
    assert cohorts["repeat_share"].tolist() == [1.0, 0.0, 0.0]
    assert cohorts.loc["2025-01", "revenue_per_customer_3M"] == 35
    assert np.isnan(cohorts.loc["2025-06", "revenue_per_customer_3M"])
    periods = views.periods.set_index("what")
    assert periods.loc["customers who bought", "now"] == 3
    assert periods.loc["customers of the period before, and how many of them came back", "now"] == 1  # a
    assert views.customers["customers"].sum() == 3


def test_a_path_is_what_the_model_says_of_the_past():
    data = lw.load_cdnow(sample=True)
    fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    paths = alive_paths(fit, data, [1, 4], end="1997-09-30")
    rfm = lw.rfm_summary(data, observation_end="1997-09-30")
    last = paths.groupby("customer_id", sort=False)["probability_alive"].last()
    at = rfm.customer_id.get_indexer([1, 4])
    np.testing.assert_allclose(last, fit.probability_alive(rfm)[at])
    bought = data[(data["customer_id"] == 4) & (data["date"] <= "1997-09-30")]["date"].nunique()
    assert paths.groupby("customer_id")["purchase"].sum()[4] == bought
    with pytest.raises(DataError, match="has bought nothing up to 1997-09-30"):
        alive_paths(fit, data, [10**6], end="1997-09-30")
    with pytest.raises(UsageError, match="1 to 100 customers"):
        alive_paths(fit, data, [])


# --- the command line ---------------------------------------------------------------------------------------------


def lifeworth(*arguments) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lifeworth.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def test_backtest_and_report_on_the_command_line(tmp_path):
    data = lw.load_cdnow(sample=True)
    rows, out = tmp_path / "rows.parquet", tmp_path / "out"
    data[data["customer_id"] % 3 == 0].to_parquet(rows)
    told = lifeworth("backtest", rows, "--out", out, "--horizon", "6W", "--cutoffs", "3")
    assert told.returncode == 0, told.stderr
    assert "calibrated" in told.stdout
    names = {path.name for path in out.iterdir()}
    assert names >= {"report.html", "scores.csv", "summary.csv", "predictions.parquet", "customers.parquet", "model"}
    assert lw.load(out / "model").calibration.horizon == "6W"
    scores = pd.read_csv(out / "scores.csv", keep_default_na=True)
    assert scores.loc[scores["value"].isna(), "reason"].notna().all()
    before = (out / "report.html").read_text()
    refused = lifeworth("report", rows, "--out", tmp_path / "page.pdf")
    assert (refused.returncode, "does not end in .html" in refused.stderr) == (2, True)
    late = lifeworth("backtest", rows, "--out", out, "--cutoffs", "1998-06-01")
    assert late.returncode == 2
    assert "not all has happened yet" in late.stderr
    assert (out / "report.html").read_text() == before
