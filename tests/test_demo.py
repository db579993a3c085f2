"""The demo end to end, with real posteriors, on the published sample."""

import re

import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.demo import run_demo
from lifeworth.errors import SourceError


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "results"
    return out, run_demo(out, sample=True, draws=200, seed=1, model=out.parent / "registered")


def test_everything_it_promises_is_there(done):
    out, evidence = done
    pictures = {path.name for path in (out / "pictures").iterdir()}
    assert {"deciles.png", "tracking.png", "posterior_purchases.png", "posterior_spend.png", "gains.png"} <= pictures
    customers = pd.read_parquet(out / "customers.parquet")
    assert len(customers) == 2357
    assert {"frequency", "recency", "T", "monetary_value", "past_spend", "clv", "clv_upper"} <= set(customers.columns)
    holdout = pd.read_parquet(out / "holdout.parquet")
    assert holdout["actual_purchases"].sum() == evidence.actual_purchases
    assert pd.read_csv(out / "comparison.csv")["method"].to_list() == list(evidence.verdicts)
    assert not list(out.rglob(".*"))


def test_the_posterior_is_a_good_one_and_near_the_published_values(done):
    _, evidence = done
    published = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "p": 6.25, "q": 3.74, "v": 15.44}
    for fit in (evidence.clv.purchases, evidence.clv.spend):
        assert fit.diagnostics.verdict != "fail", fit.diagnostics
        for name, draws in fit.draws.items():
            assert abs(draws.mean() - published[name]) < draws.std() / 2, name


def test_its_predictions_are_as_good_as_they_have_been(done):
    """Of these customers: 95 % bought within their interval, and half the money was in the predicted top tenth."""
    _, evidence = done
    assert 0.92 < evidence.purchases.coverage < 0.98
    assert abs(evidence.purchases.bias) < 0.2
    predictive = evidence.verdicts["Predictive CLV"].scores
    others = [verdict.scores for name, verdict in evidence.verdicts.items() if name != "Predictive CLV"]
    assert all(predictive.mae < scores.mae for scores in others)
    assert predictive.top_decile_share > 0.45


def test_the_report_stands_by_itself(done):
    out, _ = done
    page = (out / "report.html").read_text(encoding="utf-8")
    assert len(page) < 1_500_000
    assert not re.search(r'(src|srcset)="(?!data:)', page)
    assert "What CDNOW&#39;s customers are worth" in page or "What CDNOW's customers are worth" in page
    assert "nan" not in re.sub(r'data:[^"]*', "", page).lower().split()


def test_the_model_it_saves_scores_and_has_a_card(done):
    out, evidence = done
    for folder in (out / "model", out.parent / "registered"):
        again = lw.load(folder).predict(evidence.calibration, "39W", seed=1)
        pd.testing.assert_series_equal(again["clv"], evidence.customers["clv"])
        card = (folder / "README.md").read_text(encoding="utf-8")
        for part in ("fitted on | 2,357 customers", "## On the holdout", "## Not to be used for", "k-hat"):
            assert part in card
        assert (folder / "tracking.png").exists()


def test_it_does_not_write_over_something_else(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(SourceError, match="is not a saved model"):
        run_demo(tmp_path / "out", sample=True, model=tmp_path / "home")
    assert not (tmp_path / "out").exists()
