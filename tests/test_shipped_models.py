"""The models that ship load, score, and say what they are."""

import subprocess
import sys
from pathlib import Path

import pytest

import lifeworth as lw

MODELS = Path(__file__).parents[1] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/*/clv.json"))


def test_there_is_one():
    assert MODELS / "cdnow" / "1" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_shipped_model_scores_and_has_a_card(folder):
    clv = lw.load(folder)
    assert clv.verdict == "ok"
    assert len(clv.purchases.posterior) == len(clv.spend.posterior) == 1000
    assert clv.purchases.origin.audit.rows_in > 0
    table = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    assert clv.predict(table, "12M")["clv"].between(0, 10_000).all()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "## Not to be used for" in card
    assert "## On the holdout" in card


def test_how_it_is_made(tmp_path):
    """`make models`, on the published sample: a model, its picture, and a card that says how it did."""
    made = tmp_path / "made"
    subprocess.run([sys.executable, MODELS.parent / "tools" / "models.py", "--sample", made], check=True, timeout=500)
    assert lw.load(made).verdict == "ok"
    assert (made / "tracking.png").exists()
    card = (made / "README.md").read_text(encoding="utf-8")
    for part in ("fitted on | 2,357 customers", "| purchases | 1,65", "## Not to be used for", "k-hat"):
        assert part in card
