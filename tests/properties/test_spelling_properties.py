"""Short text as whole numbers: they sort as the bytes do, and give back what they were made of."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth.transactions.ids import read_ids

KINDS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "binary_view": pa.binary_view(),
}
# Of few letters many fit into a number, of many few do; some are bytes beyond ASCII, one is zero.
LETTERS = st.sampled_from(["01", "0123456789", "abcXYZ-é", "aé漢😀 \t", "".join(map(chr, range(128)))])
TEXTS = LETTERS.flatmap(
    lambda letters: st.lists(st.one_of(st.none(), st.text(letters, max_size=12)), min_size=1, max_size=40)
)
BYTES = st.lists(st.one_of(st.none(), st.binary(max_size=9)), min_size=1, max_size=40)


def known(value):
    """Whether a value is somebody's id."""
    return bool(value) and not (isinstance(value, str) and not value.strip())


def check(pieces):
    """Read ids, and compare what comes back with what went in; returns their way."""
    parts, way, restore, _ = read_ids(pieces, "customer_id", map)
    values = [value for piece in pieces for value in piece.to_pylist()]
    if way is not None:
        return way
    numbers, there = [], []
    for part in parts:
        numbers.append(part.words)
        bits = np.unpackbits(part.bitmap, bitorder="little")[: len(part)] if part.bitmap.size else np.ones(len(part))
        there.append(bits.astype(bool))
    numbers, there = np.concatenate(numbers), np.concatenate(there)
    assert there.tolist() == [known(value) for value in values]
    given = [value for value in values if known(value)]
    raw = [value.encode() if isinstance(value, str) else value for value in given]
    distinct = np.unique(numbers[there])
    assert [raw[k] for k in np.argsort(numbers[there], kind="stable")] == sorted(raw)
    assert len(distinct) == len(set(raw))
    assert restore(distinct, distinct).tolist() == sorted(set(given), key=lambda one: raw[given.index(one)])
    return way


@given(TEXTS, st.sampled_from(["string", "large_string", "string_view"]), st.sampled_from(["", "customer-", "é"]))
def test_text(values, kind, prefix):
    array = pa.array([value if value is None else prefix + value for value in values], KINDS[kind])
    check([array])
    half = len(array) // 2
    check([array.slice(0, half), array.slice(half)] if half else [array])


@given(BYTES, st.sampled_from(["binary", "large_binary", "binary_view"]))
def test_bytes(values, kind):
    check([pa.array(values, KINDS[kind])])


@pytest.mark.parametrize(
    ("values", "spelled"),
    [
        (["customer-0000001", "customer-9999999"], True),
        ([f"{number}" for number in range(0, 20_000, 7)], True),
        (["ab\0cd", "ab"], False),  # a byte that is zero cannot be told from the end
        (["x" * 24, "x" * 23 + "y"], True),
        (["x" * 25, "y"], False),  # longer than anybody looks
        (["".join(chr(65 + (k + j) % 26) for k in range(15)) for j in range(400)], False),  # 26**15 is too much
        (["", " ", None], True),  # nobody at all
    ],
)
def test_what_can_be_spelled(values, spelled):
    assert (check([pa.array(values, pa.string())]) is None) == spelled


def test_an_odd_id_far_down_changes_the_way_and_no_number():
    """Blocks of rows are looked at one by one: what the last one holds counts as much as the first."""
    rows = 70_000
    ids = [f"{number:07d}" for number in np.random.default_rng(1).integers(0, 9_000, rows)]
    day = np.datetime64("2024-01-01", "s") + np.arange(rows) % 600 * np.timedelta64(1, "D")
    table = {"date": day, "amount": np.arange(rows) % 100 / 4}
    plain = lw.rfm_summary(pa.table({"customer_id": pa.array(ids), **table}))
    odd = lw.rfm_summary(pa.table({"customer_id": pa.array([*ids[:-1], "an id of another kind altogether"]), **table}))
    same = np.isin(plain.customer_id, [ids[-1]], invert=True)
    assert odd.customer_id.tolist()[:-1] == plain.customer_id.tolist()
    for name in ("frequency", "recency", "T", "monetary_value", "past_spend"):
        assert (getattr(odd, name)[:-1][same] == getattr(plain, name)[same]).all()
