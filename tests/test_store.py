"""Saved fits: whole, small, checked, and nothing but data."""

import json
from pathlib import Path

import numpy as np
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError
from lifeworth.model import store


@pytest.fixture(scope="module")
def clv() -> lw.CLV:
    sample = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")
    rng = np.random.default_rng(2)
    fitted = lw.fit_clv(sample, method="map")

    def spread(values: dict) -> dict:
        return {name: float(value[0]) * np.exp(rng.normal(0, 0.05, 1000)) for name, value in values.items()}

    purchases = lw.BetaGeo().from_parameters(spread(fitted.purchases.draws), "W", "USD")
    return lw.CLV(purchases, lw.GammaGamma().from_parameters(spread(fitted.spend.draws), "USD"))


def test_what_is_loaded_is_what_was_saved(clv, tmp_path):
    clv.save(tmp_path / "clv")
    again = lw.load(tmp_path / "clv")
    for mine, theirs in ((clv.purchases, again.purchases), (clv.spend, again.spend)):
        assert type(mine) is type(theirs)
        assert mine.family is theirs.family
        for name in mine.draws:
            np.testing.assert_array_equal(mine.draws[name], theirs.draws[name])
        assert (mine.diagnostics, mine.origin, mine.time_unit) == (theirs.diagnostics, theirs.origin, theirs.time_unit)
    clv.purchases.save(tmp_path / "one")
    assert isinstance(lw.load(tmp_path / "one"), lw.Fit)


def test_a_fit_on_data_keeps_its_origin(tmp_path):
    sample = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")
    fit = lw.BetaGeo().fit(sample, method="map")
    fit.save(tmp_path / "fit")
    again = lw.load(tmp_path / "fit")
    assert again.origin.audit.to_dict() == sample.audit.to_dict()
    assert again.origin.observation_end == sample.observation_end
    assert again.origin.priors == fit.origin.priors
    assert again.posterior.currency == "USD"
    assert again.origin.versions["lifeworth"] == lw.__version__


def test_a_thousand_draws_are_small_and_hold_no_customer(clv, tmp_path):
    clv.purchases.save(tmp_path / "fit")
    files = sorted((tmp_path / "fit").iterdir())
    assert [file.name for file in files] == ["fit.json", "posterior.parquet"]
    assert sum(file.stat().st_size for file in files) < 200_000


def test_saving_again_replaces_and_leaves_nothing_beside(clv, tmp_path):
    clv.save(tmp_path / "clv")
    clv.save(tmp_path / "clv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["clv"]


def test_a_folder_of_something_else_is_never_replaced(clv, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "wedding.jpg").write_text("precious")
    with pytest.raises(SourceError, match="is not a saved model"):
        clv.save(tmp_path / "photos")
    with pytest.raises(SourceError, match="is not a saved model"):
        clv.purchases.save(tmp_path / "photos")
    assert (tmp_path / "photos" / "wedding.jpg").read_text() == "precious"


def _edit(path: Path, **changes) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "posterior.parquet").unlink(), "posterior.parquet is missing"),
        (lambda f: (f / "fit.json").unlink(), "has no fit.json"),
        (lambda f: (f / "fit.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "fit.json").write_text("[]"), "does not say which format"),
        (lambda f: (f / "fit.json").write_bytes(b"\xff\xfe\x00"), "is not JSON"),
        (lambda f: _edit(f / "fit.json", format=store.FORMAT + 1), "newer lifeworth"),
        (lambda f: _edit(f / "fit.json", family="crystal_ball"), "crystal_ball"),
        (lambda f: _edit(f / "fit.json", diagnostics={"vibes": "good"}), "is damaged"),
        (lambda f: (f / "fit.json").write_text('{"format": 1}'), "is damaged"),
        (lambda f: (f / "posterior.parquet").write_bytes(b"PAR1 nonsense"), "not what fit.json says"),
    ],
)
def test_a_damaged_folder_gets_a_sentence(clv, tmp_path, damage, says):
    clv.purchases.save(tmp_path / "fit")
    damage(tmp_path / "fit")
    with pytest.raises(DataError, match=says):
        lw.load(tmp_path / "fit")


def test_draws_that_are_not_a_posterior_are_refused_even_with_the_right_checksum(clv, tmp_path):
    import pandas as pd

    clv.purchases.save(tmp_path / "fit")
    path = tmp_path / "fit" / "posterior.parquet"
    pd.read_parquet(path).assign(r=-1.0).to_parquet(path)
    _edit(tmp_path / "fit" / "fit.json", checksum=store._checksum(path))
    with pytest.raises(DataError, match="r must be positive"):
        lw.load(tmp_path / "fit")


def test_no_folder_and_half_a_clv_get_a_sentence(clv, tmp_path):
    with pytest.raises(SourceError, match="is not a folder"):
        lw.load(tmp_path / "nowhere")
    clv.save(tmp_path / "clv")
    (tmp_path / "clv" / "spend" / "fit.json").unlink()
    with pytest.raises(DataError, match=r"has no fit\.json"):
        lw.load(tmp_path / "clv")


def test_a_failed_write_leaves_the_old_model_in_place(clv, tmp_path, monkeypatch):
    clv.save(tmp_path / "clv")
    before = (tmp_path / "clv" / "purchases" / "fit.json").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(SourceError, match="No space left on device"):
        clv.save(tmp_path / "clv")
    assert (tmp_path / "clv" / "purchases" / "fit.json").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["clv"]
