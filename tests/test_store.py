"""Saved fits: whole, small, checked, and nothing but data."""

import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.families import FAMILIES
from lifeworth.families.parameters import PriorSpec
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.model import store
from lifeworth.model.models import MODELS
from lifeworth.model.record import from_record, to_record


@pytest.fixture(scope="module")
def clv() -> lw.CLV:
    sample = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")
    rng = np.random.default_rng(2)
    fitted = lw.fit_clv(sample, method="map")

    def spread(values: dict) -> dict:
        return {name: float(value[0]) * np.exp(rng.normal(0, 0.05, 1000)) for name, value in values.items()}

    purchases = lw.BetaGeo().from_parameters(spread(fitted.purchases.draws), "W", "USD")
    return lw.CLV(purchases, lw.GammaGamma().from_parameters(spread(fitted.spend.draws), "USD"))


@pytest.fixture(scope="module")
def fitted() -> lw.Fit:
    """A fit with everything a specification can hold: priors, an audit, diagnostics."""
    few = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD").take(np.arange(300))
    return lw.BetaGeo().fit(few, "laplace", draws=40)


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


@pytest.mark.parametrize("family", FAMILIES)
def test_a_thousand_draws_are_small_and_hold_no_customer(family, tmp_path):
    """With all variables, and the figures of a sampler beside them: as large as a thousand draws get."""
    model = MODELS[family]()
    rng = np.random.default_rng(4)
    names = dict.fromkeys([*model.family.parameters, *(v.name for v in model._parametrisation.variables)])
    samples = {name: 1 + rng.random((4, 250)) for name in names}
    known = model.from_parameters({name: samples[name].ravel() for name in model.family.parameters}, **_unit(model))
    stats = {"energy": rng.normal(size=(4, 250)), "diverging": np.zeros((4, 250), dtype=bool)}
    dataclasses.replace(known, samples=samples, sample_stats=stats).save(tmp_path / "fit")
    files = sorted((tmp_path / "fit").iterdir())
    assert [file.name for file in files] == ["fit.json", "posterior.parquet"]
    assert 32_000 < sum(file.stat().st_size for file in files) < 200_000
    again = lw.load(tmp_path / "fit")
    assert dict(again.to_datatree()["sample_stats"].sizes) == {"chain": 4, "draw": 250}
    assert again.sample_stats["diverging"].dtype == bool


def _unit(model) -> dict:
    return {"time_unit": "W"} if model.family.kind == "purchases" else {"currency": "USD"}


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


def _edit(path: Path, sealed: bool = True, **changes) -> None:
    """Change values of a specification; sealed: with the checksum of what now stands there."""
    content = json.loads(path.read_text()) | changes
    if sealed and "format" in content:
        content["spec_checksum"] = store._checksum(store._canonical(content))
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "posterior.parquet").unlink(), "posterior.parquet is missing"),
        (lambda f: (f / "fit.json").unlink(), "has no fit.json"),
        (lambda f: (f / "fit.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "fit.json").write_text("[" * 100_000), "is not JSON"),
        (lambda f: (f / "fit.json").write_text("9" * 5_000), "is not JSON"),
        (lambda f: (f / "fit.json").write_text("[]"), "does not say which format"),
        (lambda f: (f / "fit.json").write_bytes(b"\xff\xfe\x00"), "is not JSON"),
        (lambda f: _edit(f / "fit.json", format=store.FORMAT + 1), "newer lifeworth"),
        (lambda f: _edit(f / "fit.json", family="crystal_ball"), "'crystal_ball', which this lifeworth does not know"),
        (lambda f: (f / "fit.json").write_text('{"format": 1}'), "differs from what fit.json records"),
        (lambda f: (f / "fit.json").write_text('{"format": 2}'), "values are not those that were saved"),
        (lambda f: (f / "posterior.parquet").write_bytes(b"PAR1 nonsense"), "differs from what fit.json records"),
        (lambda f: _edit(f / "fit.json", sealed=False, scale=2.0), "values are not those that were saved"),
        (lambda f: _edit(f / "fit.json", sealed=False, format=1, customers=7), "values are not those that were saved"),
    ],
)
def test_a_damaged_folder_gets_a_sentence(clv, tmp_path, damage, says):
    clv.purchases.save(tmp_path / "fit")
    damage(tmp_path / "fit")
    with pytest.raises(DataError, match=says):
        lw.load(tmp_path / "fit")


def test_a_file_where_a_folder_was_is_a_source_that_cannot_be_read(clv, tmp_path):
    for name in ("fit.json", "posterior.parquet"):
        clv.purchases.save(tmp_path / "fit")
        (tmp_path / "fit" / name).unlink()
        (tmp_path / "fit" / name).mkdir()
        with pytest.raises(SourceError, match="could not be read"):
            lw.load(tmp_path / "fit")


@pytest.mark.parametrize("name", ["fit.json", "posterior.parquet"])
def test_any_truncation_and_any_flipped_byte_is_noticed(fitted, tmp_path, name):
    """At 150 places each; a byte of white space in JSON may change and nothing with it."""
    fitted.save(tmp_path / "fit")
    path = tmp_path / "fit" / name
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    expected = _values(fitted)
    for place in np.unique(np.linspace(0, len(whole) - 2, 150).astype(int)):  # the last byte of JSON ends its line
        path.write_bytes(whole[:place])
        with pytest.raises(DataError, match=r"is damaged|newer lifeworth"):
            lw.load(tmp_path / "fit")
        flipped = bytearray(whole)
        flipped[place] ^= int(rng.integers(1, 256))
        path.write_bytes(flipped)
        try:
            found = lw.load(tmp_path / "fit")
        except DataError as error:
            assert "is damaged" in str(error) or "newer lifeworth" in str(error)
        else:
            assert name == "fit.json"
            assert whole[place : place + 1].isspace()
            assert _values(found) == expected


def _values(fit: lw.Fit) -> str:
    return str((to_record(fit), {name: values.tolist() for name, values in fit.samples.items()}))


STRANGE = [None, True, -1, 0, 10**400, 1.5, "", "nan", "-inf", "flat", "2020-99-99", "now", [], [1], {}, {"a": None}]


def _places(value, way=()):
    """Ways to every value inside a specification."""
    if way:
        yield way
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from _places(part, (*way, key))


def test_any_value_of_another_type_is_noticed_or_harmless(fitted, tmp_path):
    """Every value of the specification, at every depth, is removed or becomes each of sixteen others, and is sealed."""
    fitted.save(tmp_path / "fit")
    path = tmp_path / "fit" / "fit.json"
    whole = json.loads(path.read_text())
    refused = 0
    for way in list(_places(whole)):
        for strange in (*STRANGE, "removed"):
            content = copy.deepcopy(whole)
            inside = content
            for key in way[:-1]:
                inside = inside[key]
            if strange == "removed":
                del inside[way[-1]]
            else:
                inside[way[-1]] = strange
            content["spec_checksum"] = store._checksum(store._canonical(content))
            path.write_text(json.dumps(content))
            try:
                again = lw.load(tmp_path / "fit")
            except DataError as error:
                refused += 1
                assert "\n" not in str(error)
            else:  # what was let in can be used, and saved once more
                again.save(tmp_path / "again")
                assert str(again.diagnostics) + repr(again)
                assert again.origin.audit is None or str(again.origin.audit)
    assert refused > 400


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.set_column(2, "r", pa.array(-np.ones(len(t)))), "r must be positive"),
        (lambda t: t.set_column(2, "r", pa.array(np.full(len(t), np.nan))), "draws of r are not all finite"),
        (lambda t: t.set_column(2, "r", pa.array([None] * len(t), pa.float64())), "r is not a column of numbers"),
        (lambda t: t.set_column(2, "r", pa.array(["0.2"] * len(t))), "r is not a column of numbers"),
        (lambda t: t.set_column(2, "r", pa.array([[0.2]] * len(t))), "r is not a column of numbers"),
        (lambda t: t.set_column(2, "r", pa.array([{"r": 0.2}] * len(t))), "r is not a column of numbers"),
        (lambda t: t.set_column(2, "r", pa.array(np.ones(len(t), bool))), "draws of r are not all finite"),
        (lambda t: t.drop_columns(["r"]), "missing: r"),
        (lambda t: t.rename_columns(["chain", "draw", "p", "alpha", "a", "b"]), "missing: r"),
        (lambda t: t.rename_columns(["chain", "draw", "r", "r", "a", "b"]), "holds no draws with their chain"),
        (lambda t: t.drop_columns(["chain"]), "holds no draws with their chain"),
        (lambda t: t.slice(0, 0), "holds no draws with their chain"),
        (lambda t: t.slice(1), "not in chains of one length"),
        (lambda t: t.take(pa.array(np.arange(len(t))[::-1])), "not in chains of one length"),
        (lambda t: t.set_column(0, "chain", pa.array([0] * 600 + [1] * 400)), "not in chains of one length"),
        (lambda t: t.set_column(1, "draw", pa.array(np.full(len(t), np.nan))), "not in chains of one length"),
    ],
)
def test_draws_that_are_not_a_posterior_are_refused_even_with_the_right_checksum(clv, tmp_path, change, says):
    clv.purchases.save(tmp_path / "fit")
    path = tmp_path / "fit" / "posterior.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    _edit(tmp_path / "fit" / "fit.json", checksum=store._checksum(path.read_bytes()))
    with pytest.raises(DataError, match=says):
        lw.load(tmp_path / "fit")


def test_bytes_that_are_no_parquet_are_refused_even_with_the_right_checksum(clv, tmp_path):
    clv.purchases.save(tmp_path / "fit")
    path = tmp_path / "fit" / "posterior.parquet"
    whole = path.read_bytes()
    for content in (b"", b"PAR1", b"PAR1PAR1PAR1", whole[: len(whole) // 2], whole[:-1], b"id,x\n1,2\n"):
        path.write_bytes(content)
        _edit(tmp_path / "fit" / "fit.json", checksum=store._checksum(content))
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            lw.load(tmp_path / "fit")


def test_a_family_and_the_parameters_of_another_do_not_go_together(clv, tmp_path):
    clv.purchases.save(tmp_path / "fit")
    _edit(tmp_path / "fit" / "fit.json", family="pareto_nbd")
    with pytest.raises(
        DataError, match="Pareto/NBD, whose parameters are r, alpha, s, beta, and contains r, alpha, a, b"
    ):
        lw.load(tmp_path / "fit")
    _edit(tmp_path / "fit" / "fit.json", parameters=["r", "alpha", "s", "beta"])
    with pytest.raises(DataError, match="missing: s, beta"):
        lw.load(tmp_path / "fit")
    _edit(tmp_path / "fit" / "fit.json", family="gamma_gamma", parameters=["p", "q", "v"], time_unit=None)
    with pytest.raises(DataError, match="missing: p, q, v"):
        lw.load(tmp_path / "fit")


def test_a_part_that_was_exchanged_is_noticed(clv, tmp_path):
    clv.save(tmp_path / "clv")
    lw.BetaGeo().from_parameters({"r": 1, "alpha": 1, "a": 1, "b": 1}, "W").save(tmp_path / "other")
    shutil.rmtree(tmp_path / "clv" / "purchases")
    (tmp_path / "other").rename(tmp_path / "clv" / "purchases")
    with pytest.raises(DataError, match="has been exchanged"):
        lw.load(tmp_path / "clv")


@pytest.mark.parametrize("parts", [None, [], ["spend"], ["purchases", 3], {}, {"purchases": 1, "x": 2}, "purchases"])
def test_a_clv_that_does_not_name_its_parts_is_damaged(clv, tmp_path, parts):
    clv.save(tmp_path / "clv")
    _edit(tmp_path / "clv" / "clv.json", parts=parts)
    with pytest.raises(DataError, match="does not name its parts"):
        lw.load(tmp_path / "clv")


def test_figures_and_priors_that_are_not_finite_come_back(fitted, tmp_path):
    """JSON has no word for infinity; a fit may well fail with a k-hat that is infinite."""
    priors = fitted.origin.priors | {"r": PriorSpec("TruncatedNormal", {"mu": 1.0, "lower": 0.0, "upper": np.inf})}
    failed = dataclasses.replace(
        fitted,
        diagnostics=Diagnostics("laplace", "fail", ("No.",), k_hat=np.inf, ess=np.nan),
        origin=dataclasses.replace(fitted.origin, priors=priors),
    )
    failed.save(tmp_path / "fit")
    json.loads((tmp_path / "fit" / "fit.json").read_text(), parse_constant=pytest.fail)
    again = lw.load(tmp_path / "fit")
    assert again.diagnostics.k_hat == np.inf
    assert np.isnan(again.diagnostics.ess)
    assert again.origin.priors == priors


def test_nobody_stands_in_a_saved_fit(tmp_path):
    """Not even in the examples of rows left out, which the audit of the table holds."""
    log = lw.load_cdnow(sample=True).assign(date=lambda frame: frame["date"].astype(str))
    log["customer_id"] = "person-" + log["customer_id"].astype(str) + "@example.org"
    log.loc[5, "date"] = None
    log.loc[7, "amount"] = np.nan
    table = lw.rfm_summary(log)
    assert any("person-" in example for shown in table.audit.examples.values() for example in shown)
    lw.fit_clv(table, method="map").save(tmp_path / "clv")
    files = [path for path in (tmp_path / "clv").rglob("*") if path.is_file()]
    assert len(files) == 5
    for path in files:
        content = path.read_bytes()
        assert b"person" not in content
        assert b"example.org" not in content
    assert lw.load(tmp_path / "clv").purchases.origin.audit.left_out == table.audit.left_out


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


SAVER = """
import sys
import lifeworth as lw
from lifeworth import atomic_files
if sys.argv[2] == "aside":
    atomic_files.exchange = lambda *_: False
clv, number = lw.load(sys.argv[1]), 0
print("started", flush=True)
while True:
    number += 1
    known = lw.BetaGeo().from_parameters({"r": 1.0 + number, "alpha": 4.4, "a": 0.8, "b": 2.4}, "W")
    lw.CLV(known, clv.spend).save(sys.argv[1])
"""


@pytest.mark.parametrize("way", ["exchange", "aside"])
def test_every_load_during_saves_gives_a_whole_model(clv, tmp_path, way):
    clv.save(tmp_path / "clv")
    with subprocess.Popen([sys.executable, "-c", SAVER, str(tmp_path / "clv"), way], stdout=subprocess.PIPE) as saver:
        try:
            saver.stdout.readline()
            seen = [lw.load(tmp_path / "clv").purchases.draws["r"][0] for _ in range(300)]
        finally:
            saver.kill()
    assert len(set(seen)) > 5, "the model was replaced while it was loaded"
    assert seen[1:] == sorted(seen[1:])
    assert isinstance(lw.load(tmp_path / "clv"), lw.CLV)  # the writer was killed at any moment


def test_a_folder_with_other_files_is_not_replaced(clv, tmp_path):
    for other in ("orders.parquet", "purchases/orders.parquet"):
        clv.save(tmp_path / "clv")
        (tmp_path / "clv" / other).write_text("mine")
        with pytest.raises(SourceError, match="would be replaced") as caught:
            clv.save(tmp_path / "clv")
        assert repr(other) in str(caught.value)
        assert (tmp_path / "clv" / other).read_text() == "mine"
        (tmp_path / "clv" / other).unlink()
    (tmp_path / "clv" / ".DS_Store").touch()  # the system's
    clv.save(tmp_path / "clv")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("closed", ["clv", "clv/purchases", "clv/spend/fit.json", "clv/spend/posterior.parquet"])
def test_a_model_that_may_not_be_read_is_one_sentence(clv, closed):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o755)
        clv.save(folder / "clv")
        (folder / closed).chmod(0)
        os.seteuid(65534)
        try:
            with pytest.raises(SourceError, match="could not be read: Permission denied") as caught:
                lw.load(folder / "clv")
        finally:
            os.seteuid(0)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("r", 1e308), ("alpha", 1e-310), ("a", 1e-31), ("b", 1e31)])
def test_absurd_parameters_are_refused_known_or_loaded(name, value):
    """Predictions from a = 1e-310 and b = 1e308 never ended."""
    usual = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    with pytest.raises(UsageError, match=f"{name} must be positive and finite, from 1e-30 to 1e30"):
        lw.BetaGeo().from_parameters({**usual, name: value}, "W")
    fit = lw.BetaGeo().from_parameters(usual, "W")
    forged = {**fit.samples, name: np.full((1, 1), value)}
    with pytest.raises((DataError, UsageError), match="1e-30 to 1e30"):
        from_record(to_record(fit), forged, {}, "the model")
