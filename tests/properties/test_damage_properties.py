"""A state with a damaged file gives the right table, or an error of one sentence: never another number."""

import json
import re
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
from lifeworth import checksums
from lifeworth.errors import DataError

NUMBER = re.compile(rb"(?<![\w.-])\d+(?![\w.-])")


@pytest.fixture(scope="module", params=["numbers", "text"])
def grown(request, tmp_path_factory):
    """A state with several levels and pieces and with rows after its end; rows to take in; and the right table."""
    patch = pytest.MonkeyPatch()
    patch.setattr(checksums, "CHUNK", 256)  # so that a state that is quickly made has many
    rows = lw.load_cdnow(sample=True).sort_values("date", kind="stable")
    if request.param == "text":
        rows = rows.assign(customer_id="customer " + rows["customer_id"].astype(str))
    folder = tmp_path_factory.mktemp("grown") / "state"
    state = lw.RFMState(folder)
    edges = [0, 5000, len(rows) - 150, len(rows) - 50, len(rows) - 20]
    for begin, end in pairwise(edges):
        state.take_in(rows.iloc[begin:end], rows["date"].iloc[-60], taken={"file": [begin, end]})
    files = {path.name for path in folder.iterdir()}
    assert len([name for name in files if name.startswith("table")]) > 1
    assert len([name for name in files if name.startswith("rows")]) > 1
    assert any(name.startswith("pending") for name in files)
    yield folder, rows.iloc[edges[-1] :], lw.rfm_summary(rows)
    patch.undo()


def flip(path, where, bit):
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    path.write_bytes(content)


def cut(path, where, bit):
    content = path.read_bytes()
    path.write_bytes(content[: int(where * len(content))])


def blank(path, where, bit):
    content = bytearray(path.read_bytes())
    begin = int(where * len(content))
    content[begin : begin + 512] = bytes(len(content[begin : begin + 512]))
    path.write_bytes(content)


def lengthen(path, where, bit):
    path.write_bytes(path.read_bytes() + bytes(1 + bit))


def remove(path, where, bit):
    path.unlink()


def swap(path, where, bit):
    others = sorted(each for each in path.parent.parent.rglob("*") if each.is_file() and each != path)
    other = others[int(where * len(others))]
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def edit(path, where, bit):
    """Another number, or a value of another type, in state.json."""
    path = next(path.parents[k] / "state.json" for k in range(3) if (path.parents[k] / "state.json").exists())
    content = json.loads(path.read_text())
    keys = sorted(content)
    key = keys[int(where * len(keys))]
    content[key] = [None, -1, 1e300, "x", [], {}, [[1]], not content[key]][bit]
    path.write_text(json.dumps(content))


@settings(max_examples=120, deadline=None)
@given(
    damage=st.sampled_from([flip, flip, flip, cut, blank, lengthen, remove, swap, edit]),
    file=st.floats(0, 1, exclude_max=True),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    at_once=st.booleans(),
)
def test_a_damaged_state_gives_the_right_table_or_an_error(grown, damage, file, where, bit, at_once):
    whole, rows, wanted = grown
    folder = Path(tempfile.mkdtemp()) / "state"
    shutil.copytree(whole, folder)
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        damage(files[int(file * len(files))], where, bit)
        unharmed = all(
            (folder / path.relative_to(whole)).exists()
            and (folder / path.relative_to(whole)).read_bytes() == path.read_bytes()
            for path in whole.rglob("*")
            if path.is_file()
        )
        try:
            if at_once:
                found = lw.RFMState(folder).update(rows)
            else:  # without the table, what is not looked up is not noticed until the table is asked for
                lw.RFMState(folder).take_in(rows)
                found = lw.RFMState(folder).table()
        except (DataError, lw.UsageError) as error:
            assert not unharmed
            assert "\n" not in str(error)
            assert "is damaged (" in str(error) or "another version of lifeworth" in str(error)
            assert "delete " in str(error)
        else:
            pd.testing.assert_frame_equal(found.to_pandas(), wanted.to_pandas(), check_exact=True)
            np.testing.assert_array_equal(found.past_spend, wanted.past_spend)
            assert found.audit.to_dict() == wanted.audit.to_dict()
    finally:
        shutil.rmtree(folder.parent)


def test_every_number_in_state_json_is_under_its_checksum(grown, tmp_path):
    whole, _, _ = grown
    shutil.copytree(whole, tmp_path / "state")
    content = (whole / "state.json").read_bytes()
    numbers = list(NUMBER.finditer(content))
    assert len(numbers) > 20
    for number in numbers:
        other = str(int(number[0]) + 1).encode()
        (tmp_path / "state/state.json").write_bytes(content[: number.start()] + other + content[number.end() :])
        with pytest.raises(DataError, match=r"is damaged \(state.json|another version of lifeworth"):
            lw.RFMState(tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": 4}'])
def test_what_is_no_state_json_is_damaged(tmp_path, content):
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged \(state\.json is missing or not as it was written\): delete the"):
        lw.RFMState(tmp_path)


def test_looking_up_a_little_verifies_a_little(tmp_path, monkeypatch):
    """A night of few customers reads few chunks of what was there before."""
    monkeypatch.setattr(checksums, "CHUNK", 1 << 14)
    n = 200_000
    rows = pd.DataFrame({"customer_id": np.arange(n) * 3, "date": pd.Timestamp("2024-01-01"), "amount": 1.0})
    lw.RFMState(tmp_path).take_in(rows)
    state = lw.RFMState(tmp_path)
    state.take_in(rows.iloc[[7, n // 2, n - 1]].assign(date=pd.Timestamp("2024-01-01")))
    level, piece = state._levels.tables[0].file, state._pieces[0].files["period"]
    # Of each customer a chunk of each column, and one of a neighbour's id; and both ends of the file.
    assert level._verified.sum() <= 3 * 9 + 4
    assert len(level._verified) > 500
    assert piece._verified.sum() <= 4
