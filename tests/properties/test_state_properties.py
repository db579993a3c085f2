"""A table that grows night by night is the table counted from the start, whatever comes when."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
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
    refunds=st.sampled_from(["net", "same_period", "drop"]),
    money=st.booleans(),
    ends=st.lists(st.sampled_from([None, "2024-01-10", "2024-02-20", "2024-06-01"]), min_size=7, max_size=7),
    times=st.sampled_from([0, 2, 1000]),
)
def test_every_night_is_as_counted_from_the_start(nights, period, time_unit, refunds, money, ends, times):
    from lifeworth.rfm import merge_levels as module

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
        (cdnow_sample.assign(customer_id="x"), "Ids are text where those before were whole numbers"),
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
    with pytest.raises(DataError, match=r"is damaged \(state\.json is missing or not as it was written\): delete"):
        lw.RFMState(tmp_path)


def rows_of(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


def test_files_of_others_are_left_alone(tmp_path, cdnow_sample):
    theirs = tmp_path / "rows-2023.csv"
    theirs.write_text("mine")
    with pytest.raises(lw.SourceError, match=r"holds other files \(rows-2023.csv\), and a state needs a folder of its"):
        lw.RFMState(tmp_path)
    theirs.unlink()
    state = lw.RFMState(tmp_path)
    theirs.write_text("mine")
    with pytest.raises(lw.SourceError, match="holds other files"):
        state.update(cdnow_sample)
    assert [path.name for path in tmp_path.iterdir()] == ["rows-2023.csv"]
    theirs.unlink()
    (tmp_path / ".DS_Store").write_text("the system's")
    state.update(cdnow_sample.iloc[:3000])
    others = {"rows-2023.csv", "table-of-contents.md", "pending-orders", "rows-1.bak", ".rows-1.swp"}
    for name in others:
        (tmp_path / name).write_text("mine")
    state.update(cdnow_sample.iloc[3000:])
    state.update(cdnow_sample.iloc[:1])
    assert others <= {path.name for path in tmp_path.iterdir()}


def test_two_who_write_do_not_mix(tmp_path, cdnow_sample):
    first, second, third = cdnow_sample.iloc[:3000], cdnow_sample.iloc[3000:4000], cdnow_sample.iloc[4000:]
    lw.RFMState(tmp_path).update(first)
    one, other = lw.RFMState(tmp_path), lw.RFMState(tmp_path)
    one.update(second)
    before = one.table()
    with pytest.raises(lw.SourceError, match="has taken in other transactions since it was opened here: open it again"):
        other.update(third)
    same(lw.RFMState(tmp_path).table(), before)
    same(lw.RFMState(tmp_path).update(third), lw.rfm_summary(cdnow_sample))
    new, late = lw.RFMState(tmp_path / "new"), lw.RFMState(tmp_path / "new")
    new.update(first)
    with pytest.raises(lw.SourceError, match="since it was opened"):
        late.update(first)


def test_who_opens_while_another_writes_finds_a_whole_state(tmp_path, cdnow_sample):
    edges = np.linspace(0, len(cdnow_sample), 41).astype(int)
    lw.RFMState(tmp_path).take_in(cdnow_sample.iloc[: edges[1]])
    found = []

    def look():
        while not found or found[-1] < len(cdnow_sample):
            state = lw.RFMState(tmp_path)
            found.append(state._facts.rows_in)
            assert len(state.table()) == len(state)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        state = lw.RFMState(tmp_path)
        for begin, end in pairwise(edges[1:]):
            state.take_in(cdnow_sample.iloc[begin:end])
        looking.result(60)
    assert set(found) <= set(edges[1:].tolist())


def test_an_update_that_fails_has_taken_nothing_in(tmp_path):
    rows = rows_of(("a", "2024-01-01", 10.0), ("b", "2024-01-02", 5.0))
    state = lw.RFMState(tmp_path)
    with pytest.raises(DataError, match="No customer has a purchase up to 2023-12-31"):
        state.update(rows, "2023-12-31")
    with pytest.raises(lw.UsageError, match="What taken says must be"):
        state.update(rows, taken={"file": Path("x")})
    assert not list(tmp_path.iterdir())
    assert state.update(rows, "2024-02-01", taken={1: [2]}).audit.rows_in == 2
    assert state.taken == lw.RFMState(tmp_path).taken == {"1": [2]}


@pytest.mark.parametrize("far", ["12000-01-01", "-0100-01-01", "0000-12-31", "10000-01-01", 2**62])
@pytest.mark.parametrize("period", UNITS)
def test_dates_beyond_the_calendar_end_no_observation(tmp_path, far, period):
    date = np.array(["2024-01-01", "2024-02-01", "2024-03-01", "NaT"], dtype="datetime64[s]")
    date[3] = np.datetime64(far, "s")
    rows = pa.table({"customer_id": [1, 1, 2, 3], "date": pa.array(date), "amount": [1.0, 2.0, 3.0, 4.0]})
    state = lw.RFMState(tmp_path, period=period)
    wanted = lw.rfm_summary(rows, period=period)
    assert wanted.audit.left_out == {"with a date outside the years 1 to 9999": 1}
    same(state.update(rows), wanted)
    assert state.update(rows_of((3, "2024-04-01", 1.0))).T.max() == pytest.approx(91 / 7)


def test_a_state_that_lost_a_file_is_damaged(tmp_path, cdnow_sample):
    for pattern, lose in (("table-*", Path.unlink), ("rows-*/period.npy", lambda path: path.write_bytes(b""))):
        folder = tmp_path / pattern[:4]
        lw.RFMState(folder).update(cdnow_sample)
        lose(next(folder.glob(pattern)))
        with pytest.raises(DataError, match=r"is damaged \((table|rows)-.* is missing or not as it was written\): "):
            lw.RFMState(folder)


def test_currencies_and_ends_are_told_as_of_one_table(tmp_path):
    rows = rows_of(("a", "2020-01-01", 10.0), ("b", "2024-01-01", 5.0)).assign(currency=["EUR", "USD"])
    wanted = lw.rfm_summary(rows)
    assert any("names several currencies (EUR, USD)" in note for note in wanted.audit.notes)
    state = lw.RFMState(tmp_path / "one")
    state.update(rows.iloc[:1])
    same(state.update(rows.iloc[1:]), wanted)
    same(state.update(None, "2024-01-01"), lw.rfm_summary(rows, observation_end="2024-01-01"))
    with pytest.raises(lw.UsageError, match="is a column of the table"):
        lw.RFMState(tmp_path / "two", currency="currency").update(rows)
    lw.RFMState(tmp_path / "three", currency="EUR").update(rows)
    with pytest.raises(lw.UsageError, match="was begun with other settings"):
        lw.RFMState(tmp_path / "three", currency="USD")


def test_a_refund_after_the_end_is_refused_at_once(tmp_path):
    state = lw.RFMState(tmp_path, refunds="error")
    rows = rows_of(("a", "2024-01-01", 1.0), ("b", "2024-01-02", 1.0), ("b", "2024-03-01", -1.0))
    with pytest.raises(DataError, match="1 rows have a negative amount"):
        state.update(rows, "2024-02-01")
    assert len(state.update(rows.iloc[:2])) == 2
    assert len(state.update(rows.iloc[:1], "2024-06-01")) == 2


@pytest.mark.parametrize("kinds", [("int32", "int64"), ("int64", "int8"), ("uint32", "int32"), ("int16", "Int64")])
def test_whole_numbers_are_whole_numbers(tmp_path, kinds):
    rows = rows_of((3, "2024-01-01", 1.0), (1, "2024-01-03", 2.0), (3, "2024-02-01", 4.0), (7, "2024-02-02", 4.0))
    state = lw.RFMState(tmp_path)
    first, second = (rows.iloc[2 * k : 2 * k + 2].astype({"customer_id": kind}) for k, kind in enumerate(kinds))
    state.update(first)
    same(state.update(second), lw.rfm_summary(pd.concat([first, second])))
    with pytest.raises(DataError, match="Ids are text where those before were whole numbers: convert them"):
        state.update(rows.astype({"customer_id": "str"}))
    with pytest.raises(DataError, match="Dates have the time zone UTC where those before had no time zone"):
        state.update(rows.assign(date=pd.to_datetime(rows["date"], utc=True)))


def test_a_quiet_night_is_a_night(tmp_path, cdnow_sample):
    state = lw.RFMState(tmp_path)
    wanted = state.update(cdnow_sample)
    same(state.update(cdnow_sample.iloc[:0], taken={"quiet": 1}), wanted)
    assert lw.RFMState(tmp_path).taken == {"quiet": 1}
    with pytest.raises(DataError, match="no column 'amount'"):
        state.update(cdnow_sample.iloc[:0].drop(columns="amount"))
