"""What an RFM table says of its units is read, and held against the model's, on every way in."""

import json
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import lifeworth as lw
from lifeworth.cli import app
from lifeworth.rfm import RFMMetadata, metadata_of

PARAMETERS = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}


@pytest.fixture(scope="module")
def tx():
    return lw.simulate_transactions(60, seed=5).transactions


@pytest.fixture(scope="module")
def weeks(tx):
    return lw.rfm_summary(tx, time_unit="W", currency="USD")


@pytest.fixture(scope="module")
def days(tx):
    return lw.rfm_summary(tx, time_unit="D", currency="USD")


@pytest.fixture(scope="module")
def clv():
    return lw.CLV(lw.BetaGeo().from_parameters(PARAMETERS, "W", "USD", "D"))


def folder_of(path, *tables):
    path.mkdir()
    for number, table in enumerate(tables):
        table.to_parquet(path / f"part-{number}.parquet")
    return path


def halves(rfm):
    middle = len(rfm) // 2
    return rfm.take(np.arange(middle)), rfm.take(np.arange(middle, len(rfm)))


# Every form in which a table can be given, made of an RFM table and a folder to write to.
def single_file(rfm, path):
    rfm.to_parquet(path / "rfm.parquet")
    return path / "rfm.parquet"


def folder(rfm, path):
    return folder_of(path / "parts", *halves(rfm))


def pattern(rfm, path):
    return str(folder(rfm, path) / "part-*.parquet")


def arrow(rfm, path):
    return pq.read_table(single_file(rfm, path))


def arrow_by_hand(rfm, path):
    return lw.to_arrow(rfm)


def frame(rfm, path):
    return rfm.to_pandas()


def frame_from_file(rfm, path):
    return pd.read_parquet(single_file(rfm, path))


def file_of_a_frame(rfm, path):
    rfm.to_pandas().to_parquet(path / "by_pandas.parquet")
    return path / "by_pandas.parquet"


FORMS = [single_file, folder, pattern, arrow, arrow_by_hand, frame, frame_from_file, file_of_a_frame]


@pytest.mark.parametrize("form", FORMS)
def test_the_units_of_a_table_come_with_it(form, days, tmp_path):
    given = form(days, tmp_path)
    rfm = lw.RFM.from_frame(given)
    assert rfm.metadata.units == days.metadata.units == RFMMetadata("D", "D", days.observation_end, "USD")
    pd.testing.assert_frame_equal(rfm.to_pandas(), days.to_pandas())


@pytest.mark.parametrize("form", FORMS)
def test_a_table_in_another_unit_is_refused_in_every_form(form, days, clv, tmp_path):
    given = form(days, tmp_path)
    with pytest.raises(lw.UsageError, match='time in "W" and this RFM table in "D"'):
        clv.predict(given, "39W", uncertainty=None)
    with pytest.raises(lw.UsageError, match='time in "W" and this RFM table in "D"'):
        clv.purchases.expected_purchases(given, "39W")
    with pytest.raises(lw.UsageError, match='in the time unit "D", and not in "W"'):
        lw.RFM.from_frame(given, "W")


@pytest.mark.parametrize("form", FORMS)
def test_a_table_in_the_unit_of_the_model_is_valued_as_the_rfm_table(form, weeks, clv, tmp_path):
    told = clv.predict(form(weeks, tmp_path), "12M", uncertainty=None)
    pd.testing.assert_frame_equal(told, clv.predict(weeks, "12M", uncertainty=None))


@pytest.mark.parametrize("form", [single_file, folder, pattern])
def test_scores_of_files_are_those_of_the_table(form, weeks, days, clv, tmp_path):
    out = tmp_path / "scores.parquet"
    scored = clv.score(form(weeks, tmp_path), out, "12M", uncertainty=None, rows_per_block=17)
    assert scored.customers == len(weeks)
    expected = clv.predict(weeks, "12M", uncertainty=None)["expected_purchases"]
    np.testing.assert_array_equal(pd.read_parquet(out)["expected_purchases"], expected)
    (tmp_path / "other").mkdir()
    with pytest.raises(lw.UsageError, match='time in "W" and this RFM table in "D"'):
        clv.score(form(days, tmp_path / "other"), tmp_path / "none.parquet", "12M", uncertainty=None)
    assert not (tmp_path / "none.parquet").exists()


def test_blocks_of_another_unit_are_refused(weeks, days, clv, tmp_path):
    out = tmp_path / "scores.parquet"
    first, second = halves(weeks)
    assert clv.score([first, second.to_pandas()], out, "12M", uncertainty=None).customers == len(weeks)
    with pytest.raises(lw.DataError, match="time_unit is W in the first, and D in block 2"):
        clv.score([first, halves(days)[1].to_pandas()], out, "12M", uncertainty=None)
    earlier = lw.RFM.from_frame(second.to_pandas().pipe(without_attrs), "W", "2025-01-31", "D", "USD")
    with pytest.raises(lw.DataError, match=r"observation_end is .* in the first, and 2025-01-31 .* in block 2"):
        clv.score([first, earlier], out, "12M", uncertainty=None)


def without_attrs(frame):
    frame.attrs = {}
    return frame


def test_a_currency_and_a_period_are_checked(tx, clv, tmp_path):
    euros = single_file(lw.rfm_summary(tx, currency="EUR"), tmp_path)
    with pytest.raises(lw.UsageError, match="money in USD and this RFM table in EUR"):
        clv.predict(euros, "12M", uncertainty=None)
    with pytest.raises(lw.UsageError, match="money in USD and this RFM table in EUR"):
        clv.score(folder_of(tmp_path / "euros", lw.RFM.read_parquet(euros)), tmp_path / "x.csv", "12M")
    monthly = lw.rfm_summary(tx, period="M", time_unit="W")
    for given in (monthly, single_file(monthly, tmp_path), monthly.to_pandas()):
        with pytest.raises(lw.UsageError, match='purchases counted by "D", and this RFM table counts them by "M"'):
            clv.predict(given, "12M", uncertainty=None)


def test_a_fit_refuses_purchases_counted_by_another_period(tx, tmp_path):
    daily, monthly = (lw.rfm_summary(tx, period=period, time_unit="W") for period in ("D", "M"))
    fitted = lw.fit_clv(daily, method="map")
    fitted.save(tmp_path / "model")
    for clv in (fitted, lw.load(tmp_path / "model")):
        for part in (clv.purchases, clv.spend):
            assert part.posterior.period == "D"
        with pytest.raises(lw.UsageError, match='counted by "D"'):
            clv.predict_total(monthly, "12M", uncertainty="mean")
        with pytest.raises(lw.UsageError, match='counted by "D"'):
            clv.spend.expected_spend(monthly)
        with pytest.raises(lw.UsageError, match='counted by "D"'):
            lw.segment(clv, monthly, horizon="12M")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"time_unit": "W"}, 'the time unit is "D" in part-0.parquet and "W" in part-1.parquet'),
        ({"period": "W"}, 'the period of purchases is "D" in part-0.parquet and "W"'),
        ({"observation_end": "2025-09-30"}, r"the end of observation is .* and 2025-09-30"),
        ({"currency": "EUR"}, 'the currency is "USD" in part-0.parquet and "EUR" in'),
        ({"currency": None}, 'the currency is "USD" in part-0.parquet and not known in'),
    ],
)
def test_parts_that_disagree_are_refused(settings, says, tx, clv, tmp_path):
    usual = {"time_unit": "D", "period": "D", "currency": "USD", "observation_end": None}
    parts = folder_of(tmp_path / "parts", *(lw.rfm_summary(tx, **{**usual, **own}) for own in ({}, settings)))
    for refused in (
        lambda: lw.RFM.from_frame(parts),
        lambda: lw.RFM.read_parquet(parts),
        lambda: clv.predict(str(parts / "*"), "12M"),
        lambda: clv.score(parts, tmp_path / "scores.csv", "12M"),
    ):
        with pytest.raises(lw.DataError, match=says) as caught:
            refused()
        assert "\n" not in str(caught.value)


def test_parts_of_which_one_says_nothing_are_refused(days, tmp_path):
    parts = folder_of(tmp_path / "parts", days)
    days.to_pandas().pipe(without_attrs).to_parquet(parts / "silent.parquet")
    with pytest.raises(lw.DataError, match=r"part-0.parquet says in which units .* silent.parquet does not"):
        lw.RFM.from_frame(parts, "D")


def test_what_is_given_completes_what_is_said_and_may_not_contradict_it(tx, tmp_path):
    rfm = lw.rfm_summary(tx, period="W", time_unit="W", observation_end="2025-09-30")
    path = single_file(rfm, tmp_path)
    again = lw.RFM.from_frame(path, currency="USD", observation_end="2025-09-29")  # a day of the same week
    assert again.metadata.units == RFMMetadata("W", "W", rfm.observation_end, "USD")
    assert again.audit.to_dict() == rfm.audit.to_dict()
    for given, says in (
        ({"time_unit": "D"}, 'in the time unit "W", and not in "D"'),
        ({"period": "D"}, 'of purchases by "W", and not by "D"'),
        ({"observation_end": "2025-10-30"}, "its end cannot be set any more"),
    ):
        with pytest.raises(lw.UsageError, match=says) as caught:
            lw.RFM.from_frame(path, **given)
        assert str(path) in str(caught.value)
    with pytest.raises(lw.UsageError, match='does not say its unit of time: name it, such as time_unit="W"'):
        lw.RFM.from_frame(rfm.to_pandas().pipe(without_attrs))


def test_csv_says_nothing_and_is_taken_in_the_unit_of_the_model(weeks, clv, tmp_path):
    weeks.to_pandas().to_csv(tmp_path / "rfm.csv", index=False)
    assert metadata_of(tmp_path / "rfm.csv") == RFMMetadata()
    told = clv.predict(tmp_path / "rfm.csv", "39W", uncertainty=None)
    pd.testing.assert_frame_equal(told, clv.predict(weeks, "39W", uncertainty=None))


@pytest.mark.parametrize(
    "wrong",
    [
        b"{",
        b"[]",
        b"7",
        b'{"time_unit": "W"}',
        b'{"time_unit": [], "period": null, "observation_end": null, "currency": null}',
        b'{"time_unit": "W", "period": null, "observation_end": "soon", "currency": null}',
        b'{"time_unit": "W", "period": null, "observation_end": null, "currency": 7}',
    ],
)
def test_damaged_metadata_is_one_sentence(wrong, days, tmp_path):
    path = single_file(days, tmp_path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"lifeworth": wrong}), path)
    with pytest.raises(lw.DataError, match="is damaged: what lifeworth wrote about its units cannot be read"):
        lw.RFM.from_frame(path, "D")


@pytest.mark.parametrize("attrs", [b"[]", b"{", b'{"other": 1}', b"7"])
def test_what_others_wrote_for_pandas_is_not_judged(attrs, days):
    table = lw.to_arrow(days).replace_schema_metadata({b"PANDAS_ATTRS": attrs})
    assert metadata_of(table) == RFMMetadata()


def test_frames_keep_their_units_through_the_usual_steps(days):
    frame = days.to_pandas()
    for made in (frame[frame["frequency"] > 0], frame.assign(country="IT"), frame.sort_values("T"), frame.copy()):
        assert metadata_of(made).time_unit == "D"
    assert json.loads(json.dumps(frame.attrs)) == frame.attrs


def test_xarray_keeps_them_as_text(days, tmp_path):
    lw.to_xarray(days).to_netcdf(tmp_path / "rfm.nc", engine="h5netcdf")


def test_segments_of_a_file_name_its_currency(days, tmp_path):
    assert lw.segment(single_file(days, tmp_path)).currency == "USD"


def run(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_line_checks_folders_and_patterns(weeks, days, clv, tmp_path):
    clv.save(tmp_path / "model")
    out = tmp_path / "scores.parquet"
    usual = ("predict", "--model", tmp_path / "model", "--uncertainty", "none", "--horizon", "12M", "--out", out)
    for form in (single_file, folder, pattern):
        for name, rfm in (("weeks", weeks), ("days", days)):
            (tmp_path / f"{form.__name__}-{name}").mkdir()
            path = form(rfm, tmp_path / f"{form.__name__}-{name}")
            result = run(*usual, "--input", path)
            if name == "days":
                assert isinstance(result.exception, lw.UsageError)
                assert 'in the time unit "D", and not in "W"' in str(result.exception)
                continue
            assert result.exit_code == 0, result.exception
            expected = clv.predict(weeks, "12M", uncertainty=None)["expected_purchases"]
            np.testing.assert_array_equal(pd.read_parquet(out)["expected_purchases"], expected)
    weeks.to_pandas().to_csv(tmp_path / "rfm.csv", index=False)
    result = run(*usual, "--input", tmp_path / "rfm.csv")
    assert result.exit_code == 0
    assert "does not record its units: recency and T are taken to be in weeks" in result.stderr


def test_the_command_line_fits_folders_in_their_own_unit(days, tmp_path):
    result = run("fit", folder(days, tmp_path), "--model", tmp_path / "model", "--method", "map")
    assert result.exit_code == 0, result.exception
    loaded = lw.load(tmp_path / "model")
    assert (loaded.purchases.time_unit, loaded.purchases.posterior.currency) == ("D", "USD")


def test_an_arrow_table_of_another_maker_says_nothing():
    assert metadata_of(pa.table({"customer_id": [1]})) == RFMMetadata()
