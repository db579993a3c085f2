"""Models saved by every format there has been: they load, and say what they said then."""

import json
from pathlib import Path

import numpy as np
import pytest
from saved_models import HERE, predictions

import lifeworth as lw
from lifeworth.model.models import MODELS
from lifeworth.model.store import FORMAT

FOLDERS = sorted(path.parent for path in HERE.glob("*/*/*.json"))


def _id(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


def test_every_format_is_kept_and_of_today_s_every_family():
    assert {int(path.parent.name) for path in FOLDERS} == set(range(1, FORMAT + 1))
    # Parameters by group are of format 4, calibrated models of format 3, all others of format 2.
    assert set(MODELS) | {"clv"} <= {path.name for path in FOLDERS if path.parent.name == "2"}
    assert lw.load(HERE / "3" / "clv").calibration is not None
    assert lw.load(HERE / "4" / "clv").purchases.posterior.design.groups == 2


@pytest.mark.parametrize("folder", FOLDERS, ids=_id)
def test_a_kept_model_says_what_it_said(folder):
    said = json.loads((folder.parent / "predictions.json").read_text())[folder.name]
    found = predictions(lw.load(folder))
    assert found.keys() >= said.keys()  # what is told beside it may have grown
    for name, values in said.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9)  # the same draws; formulas may be set out anew


@pytest.mark.parametrize("folder", FOLDERS, ids=_id)
def test_a_kept_model_still_knows_where_it_is_from(folder):
    model = lw.load(folder)
    for fit in (model.purchases, model.spend) if isinstance(model, lw.CLV) else (model,):
        assert fit.diagnostics.verdict in ("ok", "warn")
        assert fit.origin.customers > 100
        assert fit.origin.priors
        assert fit.origin.audit.rows_in > 0
        assert fit.origin.versions["lifeworth"]
        assert fit.posterior.currency == "USD"
        assert str(fit.origin.observation_end.date()) == "1997-09-30"
        assert set(fit.to_datatree()["posterior"].data_vars) >= set(fit.family.parameters)
