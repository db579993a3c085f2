"""Jobs with covariates: counted, fitted, published, and shown on the page; and what is refused."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import UsageError

END = "1997-09-30"
MODEL = {"purchase_formula": "channel", "spend_formula": "channel", "method": "map"}


@pytest.fixture
def source(shelf, tmp_path):
    frame = pd.read_parquet(shelf / "tx.parquet")
    odd = pd.factorize(frame["customer_id"])[0] % 2 == 1
    frame.assign(channel=np.where(odd, "web", "shop")).to_parquet(tmp_path / "shop.parquet")
    return tmp_path / "shop.parquet"


def test_a_job_with_formulas(make, command, source, tmp_path):
    rfm = {"observation_end": END, "covariates": ["channel"]}
    path = make(source={"path": str(source)}, rfm=rfm, model=MODEL, records={"report": True})
    code, out, err = command("run", path, "--dry-run")
    assert code == 0, err
    assert 'purchase by "channel"' in out
    code, _, err = command("run", path)
    assert code == 0, err
    table = lw.rfm_summary(source, observation_end=END, covariates=["channel"])
    models = (lw.BetaGeo(purchase="channel"), lw.GammaGamma(spend="channel"))
    expected = lw.fit_clv(table, *models, method="map").predict(table, "39W", uncertainty="mean")
    scored = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    np.testing.assert_array_equal(scored["clv"], expected["clv"])
    page = next(tmp_path.rglob("report.html")).read_text()
    assert "Effects of covariates" in page
    assert "channel[T.web]" in page


@pytest.mark.parametrize(
    ("rfm", "model", "match"),
    [
        ({}, MODEL, "formulas over channel, which rfm.covariates does not name: add them there"),
        ({"covariates": ["channel"], "incremental": True}, MODEL, "rfm.incremental and rfm.covariates exclude"),
        ({}, {"purchase_formula": "channel +"}, 'model.purchase_formula has a mistake: "channel \\+" is not a formula'),
        ({}, {"spend": "none", "spend_formula": "channel"}, 'spend = "none" and a spend_formula'),
        ({"covariates": ["T"]}, {}, "rfm.covariates has names that cannot be covariates"),
    ],
)
def test_what_a_job_refuses(make, rfm, model, match):
    with pytest.raises(UsageError, match=match):
        lw.read_job(make(rfm=rfm, model=model))
