"""Hostile tables: the right answer, by a slow reference, or one sentence; never a crash and never a wrong count."""

import contextlib
import datetime as dt
import decimal
import itertools
import math
import uuid
import zoneinfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rfm_reference import UnclearError, is_blank, reference

import lifeworth as lw
from lifeworth.errors import LifeworthError
from lifeworth.periods import TIME_UNITS
from lifeworth.rfm import engine
from lifeworth.transactions import ids as ids_module

UNITS = st.sampled_from(TIME_UNITS)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
LONG = "x" * 70_001

# ---- columns: what values stand for, and how they are laid out in Arrow ------------------------------------------
# The three pools give the meaning of small numbers; a layout turns meanings into an array.

TEXTS = [
    "a",
    "a\x00",
    "\x00",
    "Zoë",
    "阿明",
    "",
    " \t",
    "\u2003\u2028",
    " a",
    "a ",
    "aaaaaaaa",
    "aaaaaaaab",
    LONG,
    LONG + "y",
]
SHORT_TEXTS = [text for text in TEXTS if len(text) < 100]
BYTES = [b"a", b"", b"\x00", b"\x00\x00", b"\xff" * 8, b"\xff" * 9, b" ", b"y" * 70_001]
UUIDS = [str(uuid.UUID(int=n * 2**120 + n)) for n in range(8)]


def laid_out(kind):
    return lambda values: pa.array(values, kind)


def dictionary(kind, code):
    """A dictionary with entries that are missing, and entries that stand there twice."""

    def build(values):
        entries = [*dict.fromkeys(values), None, *dict.fromkeys(values)]
        codes = [
            entries.index(value) if k % 2 else len(entries) - 1 - entries[::-1].index(value)
            for k, value in enumerate(values)
        ]
        return pa.DictionaryArray.from_arrays(pa.array(codes, code), pa.array(entries, kind))

    return build


IDS = {
    "int64": (laid_out(pa.int64()), [-(2**63), 2**63 - 1, 0, -1, 1, 2**62]),
    "close int64": (laid_out(pa.int64()), [7, 8, 9, 10, 11, 500]),
    "sparse int64": (laid_out(pa.int64()), [n * 10**12 for n in range(-3, 8)]),
    "int8": (laid_out(pa.int8()), [-128, 127, 0, 5]),
    "uint16": (laid_out(pa.uint16()), [0, 65_535, 7]),
    "uint64": (laid_out(pa.uint64()), [2**64 - 1, 2**63, 2**63 - 1, 0, 1]),
    "string": (laid_out(pa.string()), SHORT_TEXTS),
    "long string": (laid_out(pa.string()), TEXTS),
    "large_string": (laid_out(pa.large_string()), SHORT_TEXTS),
    "string_view": (laid_out(pa.string_view()), SHORT_TEXTS),
    "long string_view": (laid_out(pa.string_view()), TEXTS),
    "uuid": (laid_out(pa.string()), UUIDS),
    "binary": (laid_out(pa.binary()), BYTES),
    "empty binary": (laid_out(pa.binary()), [b""]),
    "large_binary": (laid_out(pa.large_binary()), BYTES[:-1]),
    "binary_view": (laid_out(pa.binary_view()), BYTES[:-1]),
    "binary(16)": (laid_out(pa.binary(16)), [uuid.UUID(int=n * 2**120 + n).bytes for n in range(8)]),
    "dictionary of text": (dictionary(pa.string(), pa.int8()), SHORT_TEXTS),
    "dictionary of large text": (dictionary(pa.large_string(), pa.uint32()), SHORT_TEXTS),
    "dictionary of bytes": (dictionary(pa.binary(), pa.int16()), BYTES[:-1]),
    "dictionary of numbers": (dictionary(pa.int64(), pa.int32()), [3, -5, 2**40]),
    "whole floats": (laid_out(pa.float64()), [3.0, -5.0, 0.0, 2.0**52]),
    "nothing": (lambda values: pa.nulls(len(values)), [None]),
}
ODD_IDS = {
    "floats": (laid_out(pa.float64()), [0.5, math.inf, 1e300, math.nan]),
    "booleans": (laid_out(pa.bool_()), [True, False]),
    "decimals": (laid_out(pa.decimal128(20, 2)), [decimal.Decimal("1.50"), decimal.Decimal(2)]),
    "dates": (laid_out(pa.date32()), [dt.date(2024, 1, 1), dt.date(1, 1, 1)]),
    "durations": (laid_out(pa.duration("s")), [1, 2]),
    "lists": (laid_out(pa.list_(pa.int64())), [[1], [1, 2], []]),
    "structs": (laid_out(pa.struct([("a", pa.int64())])), [{"a": 1}, {"a": 2}]),
    "zero wide": (laid_out(pa.binary(0)), [b""]),
    "dictionary of floats": (dictionary(pa.float64(), pa.int32()), [1.5, 2.5]),
}

OLD = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.datetime(1582, 10, 10, 1)]
EDGES = [
    dt.datetime(1677, 9, 22),
    dt.datetime(2262, 4, 11, 23),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999_999),
    dt.datetime(1970, 1, 1),
    dt.datetime(1900, 2, 28),
    dt.datetime(2000, 2, 29, 12),
]
USUAL = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=7 * n) for n in range(0, 400, 5)]
SUMMER = [dt.datetime(2024, 3, 30, 22) + dt.timedelta(minutes=30 * n) for n in range(12)]
AUTUMN = [dt.datetime(2024, 10, 26, 21) + dt.timedelta(minutes=30 * n) for n in range(12)]


def midnight(values):
    return [None if value is None else dt.datetime(value.year, value.month, value.day) for value in values]


def timestamps(unit, zone=None):
    def build(values):
        if zone is not None:
            values = [None if value is None else value.replace(tzinfo=dt.UTC) for value in values]
        return pa.array(values, pa.timestamp("us", None if zone is None else "UTC")).cast(
            pa.timestamp(unit, zone), safe=False
        )

    return build


def no_parts(unit):
    """Values of a resolution: microseconds are cut off towards the past."""
    step = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    return lambda value: value - dt.timedelta(microseconds=value.microsecond % step)


def in_berlin(value):
    return value.replace(tzinfo=dt.UTC).astimezone(BERLIN).replace(tzinfo=None)


def day(value):
    return dt.datetime(value.year, value.month, value.day)


def same(value):
    return value


# name -> how to lay out, pool, what a value means
DATES = {
    "us": (timestamps("us"), OLD + EDGES + USUAL, same),
    "usual us": (timestamps("us"), USUAL, same),
    "one day": (timestamps("us"), USUAL[:2], same),
    "ns": (timestamps("ns"), EDGES + USUAL, same),
    "s": (
        lambda v: pa.array([None if x is None else no_parts("s")(x) for x in v], pa.timestamp("s")),
        OLD + EDGES + USUAL,
        no_parts("s"),
    ),
    "ms": (
        lambda v: pa.array([None if x is None else no_parts("ms")(x) for x in v], pa.timestamp("ms")),
        OLD + EDGES + USUAL,
        no_parts("ms"),
    ),
    "date32": (lambda v: pa.array(midnight(v), pa.date32()), OLD + EDGES + USUAL, day),
    "date64": (lambda v: pa.array(midnight(v), pa.date64()), OLD + EDGES + USUAL, day),
    "summer time": (timestamps("us", "Europe/Berlin"), SUMMER + AUTUMN + USUAL, in_berlin),
    "summer time ns": (timestamps("ns", "Europe/Berlin"), SUMMER + AUTUMN + USUAL, in_berlin),
    "text": (lambda v: pa.array([None if x is None else x.isoformat() for x in v], pa.string()), USUAL + EDGES, same),
    "digits": (
        lambda v: pa.array([None if x is None else int(f"{x:%Y%m%d}") for x in v], pa.int64()),
        USUAL + EDGES,
        day,
    ),
    "nothing": (lambda v: pa.nulls(len(v)), [None], same),
}
ODD_DATES = {
    "durations": (lambda v: pa.array(range(len(v)), pa.duration("us")), USUAL, same),
    "times": (lambda v: pa.array(range(len(v)), pa.time32("s")), USUAL, same),
    "lists": (lambda v: pa.array([[1]] * len(v)), USUAL, same),
    "booleans": (lambda v: pa.array([True] * len(v)), USUAL, same),
    "numbers": (lambda v: pa.array([n + 0.5 for n in range(len(v))]), USUAL, same),
    "bytes": (lambda v: pa.array([b"2024-01-01"] * len(v)), USUAL, same),
    "far away": (lambda v: pa.array([2**62 + n for n in range(len(v))], pa.timestamp("s")), USUAL, same),
}

CENTS = [12.5, 0.1, 0.2, 0.3, 1e6, 0.01, 19.99]
MONEY = [*CENTS, 0.0, -0.0, -0.3, -12.5, -1e6, math.nan, math.inf, -math.inf]
AMOUNTS = {
    "float64": (laid_out(pa.float64()), MONEY),
    "plain float64": (laid_out(pa.float64()), CENTS),
    "float32": (laid_out(pa.float32()), [0.5, 2.25, -0.5, 0.0, math.nan, math.inf]),
    "int8": (laid_out(pa.int8()), [1, -1, 127, -128, 0]),
    "int64": (laid_out(pa.int64()), [1, -1, 2**53, 0, 7]),
    "uint64": (laid_out(pa.uint64()), [1, 2**64 - 2**11, 0]),
    "decimal128": (
        lambda v: pa.array([None if x is None else decimal.Decimal(str(x)) for x in v], pa.decimal128(12, 2)),
        [*CENTS, -0.3, 0.0],
    ),
    "wide decimal": (
        lambda v: pa.array([None if x is None else decimal.Decimal(str(x)) for x in v], pa.decimal128(38, 10)),
        [*CENTS, -0.3],
    ),
    "decimal256": (
        lambda v: pa.array([None if x is None else decimal.Decimal(str(x)) for x in v], pa.decimal256(50, 2)),
        [*CENTS, -0.3],
    ),
    "text": (lambda v: pa.array([None if x is None else repr(x) for x in v], pa.string()), [*CENTS, -0.3, 0.0]),
    "none": (None, [0.0]),
    "nothing": (lambda v: pa.nulls(len(v)), [None]),
}
ODD_AMOUNTS = {
    "booleans": (laid_out(pa.bool_()), [True, False]),
    "durations": (laid_out(pa.duration("s")), [1, 2]),
    "dates": (laid_out(pa.date32()), [dt.date(2024, 1, 1)]),
    "lists": (laid_out(pa.list_(pa.float64())), [[1.0], []]),
    "structs": (laid_out(pa.struct([("a", pa.float64())])), [{"a": 1.0}]),
    "words": (laid_out(pa.string()), ["free", "gratis"]),
    "bytes": (laid_out(pa.binary()), [b"1.5", b"2"]),
    "huge": (laid_out(pa.float64()), [1e308, 1.7e308]),
}


# ---- frames -----------------------------------------------------------------------------------------------------


def chunked(array, cuts):
    """The array in pieces: slices of larger arrays, with others in front and behind, and pieces of no length."""
    filler = array.slice(0, min(2, len(array)))
    pieces = []
    for start, stop in zip([0, *cuts], [*cuts, len(array)], strict=True):
        piece = array.slice(start, stop - start)
        if isinstance(array, (pa.DictionaryArray, pa.NullArray)) or pa.types.is_nested(array.type):
            pieces.append(piece)
        else:
            pieces.append(pa.concat_arrays([filler, piece, filler]).slice(len(filler), len(piece)))
    return pa.chunked_array(pieces, array.type)


def in_polars(table):
    pl = pytest.importorskip("polars")
    try:
        return pl.from_arrow(table)
    except (pl.exceptions.PolarsError, TypeError, ValueError, NotImplementedError, pa.ArrowInvalid):
        return None
    except BaseException as error:  # Polars panics at layouts that it has not
        if type(error).__name__ != "PanicException":
            raise
        return None


NOT_IN_PANDAS = (pa.ArrowInvalid, NotImplementedError, ValueError, TypeError)


def in_pandas(table):
    with contextlib.suppress(*NOT_IN_PANDAS):
        return table.to_pandas(ignore_metadata=True)
    return None


def arrow_backed(table):
    with contextlib.suppress(*NOT_IN_PANDAS):
        return table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return None


def nullable(table):
    with contextlib.suppress(*NOT_IN_PANDAS):
        return table.to_pandas(ignore_metadata=True).convert_dtypes()
    return None


def of_objects(table):
    with contextlib.suppress(*NOT_IN_PANDAS):
        return table.to_pandas(ignore_metadata=True).astype(object)
    return None


FRAMES = {
    "arrow": lambda table: table,
    "batches": lambda table: pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
    "pandas": in_pandas,
    "arrow-backed pandas": arrow_backed,
    "nullable pandas": nullable,
    "pandas of objects": of_objects,
    "polars": in_polars,
    "lazy polars": lambda table: None if (frame := in_polars(table)) is None else frame.lazy(),
}


@contextlib.contextmanager
def sizes(tiny):
    """Small data through the ways of large: many partitions, parts and steps, blocks of a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        if tiny:
            patch.setattr(engine, "_ENTRIES_PER_PARTITION", 2)
            patch.setattr(engine, "FEW_ROWS", 0)
            patch.setattr(engine, "MANY_ROWS", 1)
            patch.setattr(engine, "_ENTRIES_PER_STEP", 3)
            patch.setattr(engine, "_UNEVEN", tiny)
            patch.setattr(engine, "_MOST_PERIODS", 1 << 15 if tiny > 1 else 4)
            patch.setattr(ids_module, "_BLOCK", 3)
            patch.setattr(ids_module, "ROWS_AT_A_TIME", 2)
            patch.setattr(engine, "ROWS_AT_A_TIME", 2)
        yield


@st.composite
def tables(draw, ids=IDS, dates=DATES, amounts=AMOUNTS):
    """An Arrow table in pieces, and its rows as the reference takes them."""
    id_layout, id_pool = ids[draw(st.sampled_from(sorted(ids)))]
    date_layout, date_pool, meaning = dates[draw(st.sampled_from(sorted(dates)))]
    amount_layout, amount_pool = amounts[draw(st.sampled_from(sorted(amounts)))]
    missing = draw(st.sampled_from([False, True]))
    cell = lambda pool: st.one_of(st.none(), st.sampled_from(pool)) if missing else st.sampled_from(pool)  # noqa: E731
    rows = draw(st.lists(st.tuples(cell(id_pool), cell(date_pool), cell(amount_pool)), min_size=1, max_size=40))
    names, whens, moneys = (list(column) for column in zip(*rows, strict=True))
    cuts = st.lists(st.integers(0, len(rows)), max_size=4).map(sorted)
    columns = {"customer_id": id_layout(names), "date": date_layout(whens)}
    if amount_layout is None:
        moneys = [0.0] * len(rows)
    else:
        columns["amount"] = amount_layout(moneys)
    table = pa.table({name: chunked(column, draw(cuts)) for name, column in columns.items()})
    expected = [
        (name, None if when is None else meaning(when), None if money is None else money)
        for name, when, money in zip(names, whens, moneys, strict=True)
    ]
    return table, expected


def plain(value):
    """An id as the reference has it."""
    return value.item() if isinstance(value, np.generic) else value


def check(rfm, rows, expected):
    money = rfm.monetary_value is not None
    got = {
        plain(who): (int(x), float(t_x), float(T), *((float(z), float(spent)) if money else ()))
        for who, x, t_x, T, z, spent in zip(
            rfm.customer_id,
            rfm.frequency,
            rfm.recency,
            rfm.T,
            rfm.monetary_value if money else rfm.T,
            rfm.past_spend if money else rfm.T,
            strict=True,
        )
    }
    assert list(got) == sorted(expected.customers), "customers, ascending"
    for who, numbers in expected.customers.items():
        assert got[who][:3] == numbers[:3]
        assert 0.0 <= got[who][1] <= got[who][2]
        if money:
            np.testing.assert_allclose(got[who][3:], numbers[3:], rtol=1e-12, atol=1e-9)  # atol: 1e6 - 1e6 + 0.1
    assert rfm.audit.left_out == expected.left_out
    assert (rfm.audit.rows_in, rfm.audit.rows_used) == (len(rows), expected.used)
    assert rfm.audit.customers_left_out == expected.customers_left_out
    if money:
        # 1e-4 for each row: what an audit rounds to, at every refund that it adds
        told = (rfm.audit.refunds_netted, rfm.audit.refunds_unmatched)
        np.testing.assert_allclose(told, [float(expected.netted), float(expected.unmatched)], atol=1e-4 * len(rows))
    assert rfm.audit.refunds == expected.refunds


def is_sentence(error):
    return isinstance(error, LifeworthError) and "\n" not in str(error) and str(error).endswith(".")


# ---- right, or a sentence -----------------------------------------------------------------------------------------


@given(
    tables(),
    st.sampled_from(sorted(FRAMES)),
    UNITS,
    UNITS,
    st.sampled_from([None, None, dt.datetime(2024, 2, 10, 5), dt.datetime(1970, 1, 1)]),
    st.sampled_from(["net", "same_period", "drop"]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([0, 1, 8]),
)
def test_the_answer_is_that_of_the_reference(table, frame, period, unit, end, refunds, threads, tiny):
    arrow, rows = table
    data = FRAMES[frame](arrow)
    assume(data is not None)
    try:
        expected = reference(rows, period, unit, end, refunds)
    except UnclearError:
        assume(False)
    amount = "amount" if "amount" in arrow.column_names else None
    with sizes(tiny):
        try:
            rfm = lw.rfm_summary(data, "customer_id", "date", amount, period, unit, end, refunds, threads=threads)
        except LifeworthError as error:
            assert is_sentence(error)
            assert not expected.customers, f"refused, though there is an answer: {error}"
            return
    check(rfm, rows, expected)


@given(
    st.one_of(
        tables(ids={**IDS, **ODD_IDS}, dates={**DATES, **ODD_DATES}, amounts={**AMOUNTS, **ODD_AMOUNTS}),
        tables(ids=ODD_IDS),
        tables(dates=ODD_DATES),
        tables(amounts=ODD_AMOUNTS),
    ),
    st.sampled_from(sorted(FRAMES)),
    UNITS,
    st.sampled_from([0, 1]),
)
def test_anything_at_all_is_a_table_or_a_sentence(table, frame, period, tiny):
    data = FRAMES[frame](table[0])
    assume(data is not None)
    amount = "amount" if "amount" in table[0].column_names else None
    with sizes(tiny):
        try:
            rfm = lw.rfm_summary(data, amount=amount, period=period, threads=2)
        except LifeworthError as error:
            assert is_sentence(error)
        else:
            assert len(rfm) == rfm.audit.customers > 0
            assert rfm.audit.rows_in == len(table[1])
            assert (rfm.recency <= rfm.T).all()


OBJECTS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.booleans(),
    st.decimals().filter(lambda value: not value.is_snan()),  # pandas cannot even show one
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.just([1]),
    st.just({}),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(np.datetime64("NaT")),
    st.just(1j),
)


@given(st.lists(st.tuples(OBJECTS, OBJECTS, OBJECTS), max_size=6), st.sampled_from([object, None, "category"]))
def test_columns_of_objects_of_any_kind(rows, dtype):
    try:
        frame = pd.DataFrame(
            rows, columns=["customer_id", "date", "amount"], dtype=None if dtype == "category" else dtype
        )
        frame = frame.astype("category") if dtype == "category" else frame
    except (TypeError, ValueError, OverflowError):
        assume(False)
    try:
        rfm = lw.rfm_summary(frame)
    except LifeworthError as error:
        assert is_sentence(error)
    else:
        assert rfm.audit.rows_in == len(rows)


@pytest.mark.parametrize("dtype", [object, None])
def test_complex_numbers_are_no_dates(dtype):
    frame = pd.DataFrame({"customer_id": [1], "date": pd.Series([1j], dtype=dtype), "amount": [2.0]})
    with pytest.raises(lw.DataError, match=r"Column 'date' holds .*complex.*, not dates"):
        lw.rfm_summary(frame)


# ---- what must change nothing -------------------------------------------------------------------------------------

LOGS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 20), st.sampled_from([*CENTS, -0.3, -12.5])), min_size=1, max_size=60
)
NAMES = {
    "int": lambda n: n,
    "sparse": lambda n: n * 10**12,
    "uneven": lambda n: n if n < 7 else 2**62,
    "text": "customer {}".format,
    "uuid": lambda n: UUIDS[n],
    "binary(16)": lambda n: uuid.UUID(UUIDS[n]).bytes,
    "dictionary": "d{}".format,
    "categorical": "c{}".format,
}


def named(rows, way):
    """A log with its customers named in some way that keeps their order."""
    names = [NAMES[way](who) for who, _, _ in rows]
    if way == "binary(16)":
        column = pa.array(names, pa.binary(16))
    elif way == "dictionary":
        column = pa.array(names).dictionary_encode()
    else:
        column = pa.array(names)
    when = pa.array([dt.datetime(2024, 1, 1) + dt.timedelta(days=n, hours=n) for _, n, _ in rows])
    table = pa.table({"customer_id": column, "date": when, "amount": pa.array([money for _, _, money in rows])})
    if way == "categorical":
        frame = table.to_pandas()
        return frame.astype({"customer_id": "category"})
    return table


def numbers_of(rfm):
    """All that must not change, to the last bit."""
    audit = (rfm.audit.rows_used, rfm.audit.left_out, rfm.audit.customers_left_out, rfm.audit.refunds)
    columns = (rfm.frequency, rfm.recency, rfm.T, rfm.monetary_value, rfm.past_spend)
    return [column.tobytes() for column in columns], audit


def summary(data, **options):
    try:
        return numbers_of(lw.rfm_summary(data, **options))
    except LifeworthError as error:
        return type(error)


@given(
    LOGS,
    st.randoms(use_true_random=False),
    UNITS,
    st.sampled_from(sorted(NAMES)),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([0, 1, 8]),
    st.sampled_from(["shuffled", "by customer", "by time"]),
    st.lists(st.integers(0, 60), max_size=3),
)
def test_names_order_threads_and_pieces_change_nothing(rows, random, period, way, threads, tiny, order, cuts):
    expected = summary(named(rows, "int"), period=period, threads=1)
    other = list(rows)
    random.shuffle(other)
    if order != "shuffled":
        other.sort(key=lambda row: row[order == "by time"])
    data = named(other, way)
    if isinstance(data, pa.Table):
        edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
        data = pa.concat_tables([data.slice(a, b - a) for a, b in itertools.pairwise(edges)])
    with sizes(tiny):
        assert summary(data, period=period, threads=threads) == expected


@given(LOGS, UNITS, st.sampled_from(sorted(NAMES)), st.sampled_from([1, 8]))
def test_customers_apart_are_customers_together(rows, period, way, tiny):
    options = {"period": period, "observation_end": "2024-02-01", "threads": 2}
    whole = pieces = None
    with sizes(tiny), contextlib.suppress(LifeworthError):
        whole = lw.rfm_summary(named(rows, way), **options)
    assume(whole is not None)
    for who in range(8):
        mine = [row for row in rows if row[0] == who]
        place = np.flatnonzero([plain(name) == NAMES[way](who) for name in whole.customer_id])
        try:
            pieces = lw.rfm_summary(named(mine, way) if mine else named(rows, way).head(0), **options)
        except (LifeworthError, AttributeError):
            assert not len(place)
            continue
        for name in ("frequency", "recency", "T", "monetary_value", "past_spend"):
            assert getattr(pieces, name).tobytes() == getattr(whole, name)[place].tobytes()


@pytest.mark.parametrize("way", ["int", "sparse", "uneven", "text", "binary(16)", "dictionary"])
@pytest.mark.parametrize("refunds", [False, True])
def test_one_customer_with_a_great_many_rows(way, refunds):
    rng = np.random.default_rng(3)
    money = [*CENTS, -0.3] if refunds else CENTS
    crowd = [
        (int(n), int(d), float(m))
        for n, d, m in zip(rng.integers(0, 7, 300), rng.integers(0, 20, 300), rng.choice(money, 300), strict=True)
    ]
    one = [(7, int(d), float(m)) for d, m in zip(rng.integers(0, 20, 10_000), rng.choice(money, 10_000), strict=True)]
    rows = [*one, *crowd]
    expected = summary(named(rows, "int"), threads=1)
    rng.shuffle(rows)
    rows = [(int(n), int(d), float(m)) for n, d, m in rows]
    for tiny in (0, 1, 8):
        with sizes(tiny):
            assert summary(named(rows, way), threads=3) == expected
    meant = [(who, dt.datetime(2024, 1, 1) + dt.timedelta(days=n, hours=n), m) for who, n, m in rows]
    check(lw.rfm_summary(named(rows, "int"), time_unit="D"), rows, reference(meant, "D", "D"))


def test_the_reference_knows_who_is_nobody():
    assert [is_blank(name) for name in (None, "", "\u2003", b"", b" ", "a", 0)] == [True] * 4 + [False] * 3
