"""Amounts in any notation: what was written is what is read, in one piece or in many."""

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth.errors import DataError
from lifeworth.transactions.amounts import from_text

CENTS = st.integers(-(10**12), 10**12)
SPACE = st.sampled_from(["", " ", "\u00a0", "\u202f"])


@st.composite
def written(draw, decimal):
    """An amount and one way to write it."""
    cents = draw(CENTS)
    between = draw(st.sampled_from(["", "." if decimal == "," else ",", " ", "\u00a0", "\u202f", "'", "’"]))
    whole = f"{abs(cents) // 100:,}".replace(",", between)
    number = f"{whole}{decimal}{abs(cents) % 100:02d}"
    sign = draw(st.sampled_from(["-", "−"])) if cents < 0 else draw(st.sampled_from(["", "+"]))
    space = draw(SPACE)
    text = draw(
        st.sampled_from(
            [
                f"{sign}{number}",
                f"{sign}{number}{space}€",
                f"{number}{space}EUR" if not sign else f"{sign}{space}{number}{space}EUR",
                f"{sign}€{space}{number}",
                f"€{space}{sign}{number}",
            ]
        )
    )
    return cents / 100, f"{draw(SPACE)}{text}{draw(SPACE)}"


@given(st.sampled_from([",", "."]).flatmap(lambda mark: st.tuples(st.just(mark), st.lists(written(mark), min_size=1))))
def test_what_was_written_is_read_to_the_last_bit(case):
    decimal, amounts = case
    values, currencies = from_text(pa.array([text for _, text in amounts]), decimal)
    np.testing.assert_array_equal(values, [value for value, _ in amounts])
    assert currencies <= {"EUR"}


@given(st.lists(st.text(alphabet="0123456789.,'-+ €$eEk\u00a0", max_size=12), min_size=1))
def test_what_is_read_has_the_digits_of_the_text(texts):
    """Nothing is dropped, and nothing is made up: a number differs from the text in marks alone."""
    column = pa.array(texts)
    comma, point = (from_text(column, mark)[0] for mark in (",", "."))
    for text, one, other in zip(texts, comma, point, strict=True):
        for value in (one, other):
            if np.isfinite(value):
                digits = "".join(c for c in text.lower().split("e")[0] if c.isdigit())
                assert digits
                if "e" not in text.lower():  # the digits of the text, with one place for the mark
                    assert any(value in (int(digits) / 10**k, -int(digits) / 10**k) for k in range(13))


@given(
    st.one_of(st.just(0.0), st.floats(min_value=1e-90, max_value=1e90), st.floats(min_value=-1e90, max_value=-1e-90))
)
def test_a_point_reads_what_python_writes(value):
    assert from_text(pa.array([repr(value)]), ".")[0][0] == value


TEXTS = st.one_of(
    written(",").map(lambda pair: pair[1]),
    st.sampled_from(["12.50", "n/a", "", "5 k€", "3,00 $", "1.234", "7"]),
    st.none(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, min_size=1, max_size=40), st.data())
def test_any_split_of_the_rows_gives_the_same(texts, data):
    """In one piece, in chunks, and as a stream that does not fit in memory: table, audit and refusal."""
    n = len(texts)
    table = pa.table(
        {
            "customer_id": pa.array([f"c{i % 5}" for i in range(n)]),
            "date": pa.array(pd.date_range("2024-01-01", periods=n)),
            "amount": pa.array(texts, pa.string()),
        }
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=4)))
    pieces = [table.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, n], strict=True) if b > a]
    batches = [batch for piece in pieces for batch in piece.combine_chunks().to_batches()]

    def outcome(source, **options):
        try:
            rfm = lw.rfm_summary(source, decimal=",", **options)
        except DataError as error:
            return str(error)
        return rfm.to_pandas().to_csv(), rfm.past_spend.tolist(), str(rfm.audit), rfm.audit.examples

    expected = outcome(table)
    assert outcome(pa.Table.from_batches(batches, table.schema)) == expected
    assert outcome(table.to_pandas()) == expected
    reader = pa.RecordBatchReader.from_batches(table.schema, batches)
    assert outcome(reader, memory_limit=1) == expected
