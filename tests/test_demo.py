"""The demo end to end, with real posteriors, on the published sample."""

import re

import pandas as pd
import pytest

import lifeworth as lw
from browser import DESK, PHONE, browser, misplaced, pictures, sight, words_of
from lifeworth.cli.demo import PUBLISHED, PUBLISHED_AT, run_demo
from lifeworth.errors import SourceError


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "results"
    return out, run_demo(out, sample=True, draws=200, seed=1)


def test_everything_it_promises_is_there(done):
    out, found = done
    customers = pd.read_parquet(out / "customers.parquet")
    assert len(customers) == 2357
    assert {"past_value", "probability_alive", "clv", "clv_upper", "segment"} <= set(customers.columns)
    told = pd.read_parquet(out / "predictions.parquet")
    assert told["cutoff"].nunique() == 4
    assert set(pd.read_csv(out / "summary.csv")["method"]) == set(found.backtest.methods)
    assert not list(out.rglob(".*"))


def test_the_posterior_is_a_good_one_and_near_the_published_values(done):
    """As of the day that the published estimates are of, on the same customers."""
    _, found = done
    assert found.clv.verdict == "ok"
    parameters = found.backtest.parameters
    mine = parameters[parameters["cutoff"] == PUBLISHED_AT].set_index("parameter")
    published = {name: value for family in PUBLISHED.values() for name, value in family.items()}
    assert set(mine.index) == set(published)
    for name, value in published.items():
        assert abs(mine.loc[name, "mean"] - value) < (mine.loc[name, "upper"] - mine.loc[name, "lower"]) / 6, name


def test_its_predictions_are_as_good_as_they_have_been(done):
    """Of these customers: the model is closest, 95 % are within their interval, half the money is in its top tenth."""
    _, found = done
    summary = found.backtest.summary("value")
    assert summary.index[0] == "bg_nbd"
    assert 0.92 < summary.loc["bg_nbd", "coverage"] < 0.98
    assert abs(summary.loc["bg_nbd", "bias"]) < 0.1
    assert summary.loc["bg_nbd", "money_found"] > 0.5


def test_the_report_stands_by_itself(done):
    out, _ = done
    page = (out / "report.html").read_text(encoding="utf-8")
    assert len(page) < 1_500_000
    assert not re.search(r'(src|srcset)="(?!data:)', page)
    assert "The value of CDNOW&#39;s customers" in page
    words = re.sub(r'data:[^"]*', "", page)
    assert "nan" not in words.lower().split()
    assert not re.search(r"[−-]0(\.0+)?(\s|\u00a0)?(%|<)", words)  # no minus before a zero


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=str)
def test_the_report_in_a_browser(done, viewport):
    """On a desk every table fits the page; on a phone the page stays as wide as the phone."""
    out, _ = done
    with browser() as opened, sight(opened, out / "report.html", viewport=viewport) as seen:
        assert seen.said == []
        assert seen.asked == set()
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        wider = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)"
        names = seen.page.evaluate(f"{wider}.map(e => e.ariaLabel)")
        assert viewport == PHONE or names == []
        other = seen.page.context.new_page()
        problems = {alt: found for alt, svg in pictures(seen.page) if (found := misplaced(*words_of(other, svg)))}
        assert not problems


def test_the_model_it_saves_scores(done):
    out, found = done
    again = lw.load(out / "model").predict(found.rfm, "13W", seed=1)
    pd.testing.assert_series_equal(again["clv"], found.customers["clv"])


def test_it_does_not_write_over_something_else(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "letter.txt").write_text("dear")
    with pytest.raises(SourceError, match="is not a saved model"):
        run_demo(tmp_path, sample=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
