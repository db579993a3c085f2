"""Customers in levels are what a dictionary that was written to in the same order holds."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeworth.rfm.merge_levels import Customers, Levels, index_of, search, union

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
TEXT = st.text(st.sampled_from("abzé€\N{GRINNING FACE}\N{NULL}"), max_size=4)
KINDS = {"numbers": (NUMBERS, pa.int64()), "text": (TEXT, pa.large_string())}


def customers(known, kind):
    ids = sorted(known, key=lambda key: key.encode() if isinstance(key, str) else key)
    made = Customers.new(pa.array(ids, kind))
    for name, column in made.columns.items():
        column[:] = [known[key] % 100 if name == "there" else known[key] for key in ids]
    return made


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_levels_are_a_dictionary(kind, data, tmp_path_factory):
    keys, arrow = KINDS[kind]
    written = data.draw(st.lists(st.dictionaries(keys, st.integers(0, 2**40), max_size=12), min_size=1, max_size=5))
    asked = data.draw(st.lists(keys, max_size=12))
    levels, wanted = [], {}
    for number, known in enumerate(written):
        path = tmp_path_factory.getbasetemp() / f"{kind}-{number}.arrow"
        levels.append(Customers.read(path, customers(known, arrow).write(path)))
        wanted |= known
    every = Levels(levels)
    together = every.together()
    assert index_of(together.ids).tolist() == customers(wanted, arrow).ids.to_pylist()
    np.testing.assert_array_equal(together.columns["code"], customers(wanted, arrow).columns["code"])
    ids = union([pa.array(asked, arrow), pa.array(asked[:3], arrow)])
    found, known = every.find(ids)
    assert known.tolist() == [key in wanted for key in ids.to_pylist()]
    assert found.columns["born"].tolist() == [wanted.get(key, 0) for key in ids.to_pylist()]


@given(ids=st.lists(TEXT, max_size=40), asked=st.lists(TEXT, max_size=10))
def test_text_is_searched_as_numbers_are(ids, asked):
    ids, asked = sorted(text.encode() for text in ids), [text.encode() for text in asked]
    at = search(
        pa.array([each.decode() for each in ids], pa.large_string()),
        pa.array([each.decode() for each in asked], pa.large_string()),
    )
    assert at.tolist() == [sum(each < one for each in ids) for one in asked]
