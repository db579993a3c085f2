"""A table that grows night by night is the table counted from the start, whatever comes when."""

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth.errors import DataError

UNITS = ("h", "D", "W", "M")


@st.composite
def nights(draw):
    """Rows in the order they come in, cut into nights: late ones, refunds and such as cannot be used among them."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 6),
                st.integers(0, 120 * 24),
                st.sampled_from([0.1, 0.2, 0.7, 5.0, 19.99, 1e6 / 3, -0.1, -5.0, -19.99, 0.0, float("nan")]),
                st.booleans(),
            ),
            min_size=3,
            max_size=40,
        )
    )
    frame = pd.DataFrame(rows, columns=["customer_id", "hour", "amount", "in_time"])
    if draw(st.booleans()):  # as a shop has them: by time, but for some that are late
        frame = frame.iloc[np.argsort(frame["hour"] + 2000 * ~frame["in_time"], kind="stable")]
    frame["date"] = pd.Timestamp("2023-12-20 05:00") + pd.to_timedelta(frame["hour"], unit="h")
    frame.loc[frame["customer_id"] == 6, "date"] = pd.NaT
    frame = frame.drop(columns=["hour", "in_time"])
    if draw(st.booleans()):
        frame["customer_id"] = "c" + frame["customer_id"].astype(str)
    cuts = sorted(draw(st.lists(st.integers(1, len(frame) - 1), max_size=6)))
    pieces = [frame.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True)]
    return [piece for piece in pieces if len(piece)]


def counts(audit):
    return {**audit.to_dict(), "notes": sorted(audit.notes)}


def same(found, wanted):
    pd.testing.assert_frame_equal(found.to_pandas(), wanted.to_pandas(), check_exact=True)
    if wanted.past_spend is not None:
        np.testing.assert_array_equal(found.past_spend, wanted.past_spend)
    for name in ("time_unit", "period", "observation_end", "currency"):
        assert getattr(found, name) == getattr(wanted, name)
    assert counts(found.audit) == counts(wanted.audit)


@settings(max_examples=50)
@given(
    nights=nights(),
    period=st.sampled_from(UNITS),
    time_unit=st.sampled_from(UNITS),
    refunds=st.sampled_from(["net", "drop"]),
    money=st.booleans(),
    ends=st.lists(st.sampled_from([None, "2024-01-10", "2024-02-20", "2024-06-01"]), min_size=7, max_size=7),
    times=st.sampled_from([0, 2, 1000]),
)
def test_every_night_is_as_counted_from_the_start(nights, period, time_unit, refunds, money, ends, times):
    from lifeworth.rfm import levels as module

    told = {"amount": "amount" if money else None, "period": period, "time_unit": time_unit, "refunds": refunds}
    told["currency"] = "EUR"
    folder, before = Path(tempfile.mkdtemp()), module.TIMES
    module.TIMES = times  # levels are never brought together, or as they are, or always
    try:
        for number in range(len(nights)):
            rows, end = pd.concat(nights[: number + 1]), ends[number]
            try:
                wanted = lw.rfm_summary(rows, observation_end=end, **told)
            except DataError as error:
                wanted = error
            try:
                found = lw.RFMState(folder, **told).update(nights[number], end)  # opened anew every night
            except DataError as error:
                found = error
            if isinstance(found, DataError):
                # A night without a single row that can be used is refused, whatever came before; nothing of it is kept.
                assert isinstance(wanted, DataError) or "can be used" in str(found) or "cannot be read" in str(found)
                return
            assert not isinstance(wanted, DataError), wanted
            same(found, wanted)
        same(lw.RFMState(folder, **told).table(), wanted)
    finally:
        module.TIMES = before
        shutil.rmtree(folder)


@pytest.mark.parametrize("ids", ["numbers", "text"])
def test_a_shop_night_by_night(tmp_path, cdnow_sample, ids):
    rows = (
        cdnow_sample if ids == "numbers" else cdnow_sample.assign(customer_id=cdnow_sample["customer_id"].astype(str))
    )
    days = pd.date_range("1998-06-20", "1998-06-30")
    state = lw.RFMState(tmp_path)
    state.update(rows[rows["date"] < days[0]])
    for day in days:
        today = rows[rows["date"] == day]
        if len(today):
            found = lw.RFMState(tmp_path).update(today)
    same(found, lw.rfm_summary(rows))


def test_only_customers_who_are_spoken_of_are_counted_anew(tmp_path, cdnow_sample, monkeypatch):
    from lifeworth.rfm import state as module

    old, new = cdnow_sample[cdnow_sample["date"] < "1998-06-25"], cdnow_sample[cdnow_sample["date"] >= "1998-06-25"]
    state = lw.RFMState(tmp_path)
    state.update(old)
    counted = []

    def watched(table, *arguments):
        counted.append(len(table))
        return lw.rfm_summary(table, *arguments)

    monkeypatch.setattr(module, "rfm_summary", watched)
    state.update(new)
    of_them = cdnow_sample["customer_id"].isin(new["customer_id"]).sum()
    assert sum(counted) == of_them + (of_them - len(new)) + 2  # as they are and as they were, and nobody, twice
    assert sum(counted) < len(cdnow_sample) / 4


@pytest.mark.parametrize("ids", ["numbers", "text"])
def test_a_night_writes_what_has_changed(tmp_path, cdnow_sample, ids):
    """And brings together what was written before as often as that has doubled: files are few."""
    rows = cdnow_sample.astype({"customer_id": "str"}) if ids == "text" else cdnow_sample
    rows = rows.sort_values("date", kind="stable")
    state = lw.RFMState(tmp_path)
    state.take_in(rows.iloc[:4000])
    written, edges = 0, np.linspace(4000, len(rows), 101).astype(int)
    for first, last in pairwise(edges):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
        lw.RFMState(tmp_path).take_in(rows.iloc[first:last])
        after = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "state.json"]
        written += sum(path.stat().st_size for path in after if path.stat().st_mtime_ns != before.get(path))
        assert len(list(tmp_path.iterdir())) <= 2 * np.log2(len(rows)) + 1
    same(lw.RFMState(tmp_path).table(), lw.rfm_summary(rows))
    whole = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 12 * whole  # where every night wrote all there is, it would be a hundred times


def test_what_cannot_be_counted_is_not_taken_in(tmp_path, cdnow_sample):
    """Not into the object that was asked, either."""
    state = lw.RFMState(tmp_path, refunds="error")
    wanted = state.update(cdnow_sample.iloc[:3000])
    with pytest.raises(DataError, match="1 rows have a negative amount"):
        state.update(cdnow_sample.iloc[3000:].assign(amount=np.r_[-1.0, np.ones(len(cdnow_sample) - 3001)]))
    same(state.table(), wanted)
    same(state.update(cdnow_sample.iloc[3000:]), lw.rfm_summary(cdnow_sample))


def test_a_night_that_cannot_be_read_changes_nothing(tmp_path, cdnow_sample):
    state = lw.RFMState(tmp_path)
    wanted = state.update(cdnow_sample)
    for bad, match in (
        (cdnow_sample.assign(customer_id="x"), "of another kind than before"),
        (cdnow_sample.assign(date="soon"), "can be used|cannot be read|date"),
        (cdnow_sample.drop(columns="amount"), "no column 'amount'"),
    ):
        with pytest.raises(DataError, match=match):
            lw.RFMState(tmp_path).update(bad)
        same(lw.RFMState(tmp_path).table(), wanted)


def test_what_is_not_a_state_is_said(tmp_path, cdnow_sample):
    with pytest.raises(DataError, match="nothing to count"):
        lw.RFMState(tmp_path / "new").table()
    lw.RFMState(tmp_path).update(cdnow_sample)
    with pytest.raises(lw.UsageError, match="was begun with other settings"):
        lw.RFMState(tmp_path, period="W")
    with pytest.raises(lw.UsageError, match="whole numbers or text"):
        lw.RFMState(tmp_path / "other").update(cdnow_sample.assign(customer_id=[b"a"] * len(cdnow_sample)))
    content = (tmp_path / "state.json").read_text()
    (tmp_path / "state.json").write_text(content[:-40])
    with pytest.raises(DataError, match=r"state\.json is damaged"):
        lw.RFMState(tmp_path)
