"""Transactions that are too many to be in memory at once: batch by batch, read by the rules of the whole column.

What can only be said of a whole column (how its dates are written, whether most values are dates at all) is found
out by reading it once before, so that batches come out as they would have come out of one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError
from lifeworth.transactions.amounts import Amounts, DecimalMark
from lifeworth.transactions.arrow import Integers, as_series, factored
from lifeworth.transactions.columns import Columns, Floats, columns_of, money_of, read_amounts, read_times, ticks_of
from lifeworth.transactions.ids import Ids, IdsRead, Restore, Words, is_textual, read_ids
from lifeworth.transactions.layouts import DateForm, mixed_zones
from lifeworth.transactions.parse import (
    Written,
    check_dates,
    check_whole_ids,
    prepare_dates,
    times_as_ids,
)
from lifeworth.transactions.slips import weighed

_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, eq=False)
class Source:
    """A table in batches.

    Attributes
    ----------
    schema : the columns wanted: customer, date and, perhaps, amount.
    tables : gives the columns named, batch by batch; from the start every time, if dates have to be read twice.
    """

    schema: pa.Schema
    tables: Callable[[list[str]], Iterator[pa.Table]]


@dataclass(eq=False)
class Stream:
    """Transactions of a source, as `Columns` batch by batch; and what is known of all when the last has been read.

    Attributes
    ----------
    way, restore, time_zone, has_amount, notes : as in `Columns`. is_text : whether ids are text or bytes.
    resolution : what the time of all batches is told in. owners : what holds the memory that words point into.
    """

    source: Source
    names: list[str]
    date_format: DateForm
    run: Callable[..., Any]
    decimal: DecimalMark | None = None
    time_zone: str | None = None
    resolution: str = "s"
    notes: tuple[str, ...] = ()
    owners: list[Any] = field(default_factory=list)
    _rows: int = 0
    _layout: str | None = None
    _shown: dict[tuple[str, int], str] = field(default_factory=dict)
    _restore: Restore | None = None

    def __post_init__(self) -> None:
        self._money = Amounts(self.names[-1], self.decimal)
        self._ids = _id_form(self.source.schema.field(self.names[0]).type, self.names[0])
        kind = self.source.schema.field(self.names[1]).type
        if pa.types.is_timestamp(kind):
            self.time_zone = read_times([pa.array([0], pa.int64()).cast(kind)], self.names[1], self.date_format)[2]
        elif not is_direct(kind):
            self._layout, self.time_zone = _find_layout(self.source, self.names[1], self.date_format)

    def __len__(self) -> int:
        return self._rows

    @property
    def has_amount(self) -> bool:
        """Whether there is money."""
        return len(self.names) > 2

    @property
    def is_text(self) -> bool:
        """Whether ids are words of text or bytes."""
        return self._ids.is_text

    def columns(self) -> Iterator[Columns]:
        """All rows, batch by batch."""
        for table in self.source.tables(self.names):
            if len(table) == 0:
                continue
            yield columns_of(table, self.names, self._times, self._amounts, self._read_ids, self._rows)
            self._rows += len(table)
        if self._rows == 0:
            raise DataError("The table of transactions has no rows: there is nothing to count.")
        self._money.check()

    def remember(self, columns: Columns, row: int) -> None:
        """Keep what a row looks like, for messages, when its batch is gone."""
        for name in self.names:
            self._shown[name, row] = columns.show(name, [row])[0]

    def show(self, name: str, numbers: Any) -> list[str]:
        """What `remember` has kept of a column."""
        return [self._shown[name, number] for number in numbers]

    @property
    def way(self) -> int | None:
        """What keys ids have: text is named by where it lies, since not all of it is known."""
        from lifeworth.kernels.text import POINTER

        return POINTER if self.is_text else None

    def restore(self, words: Words, others: Words) -> pd.Index[Any]:
        """The ids of distinct customers."""
        assert self._restore is not None
        return self._ids.finish(self._restore(words, others))

    def _read_ids(self, pieces: list[Any]) -> IdsRead:
        name = self.names[0]
        pieces = [self._ids.prepare(piece) for piece in pieces]
        parts, way, restore, owners = read_ids(pieces, name, self.run, by_address=True)
        if way != self.way:
            raise DataError(
                f"Column {name!r} holds a text of more than 65,534 bytes, which is no customer's id in a table "
                "that does not fit in memory: shorten it, or raise memory_limit."
            )
        self._restore = restore
        return self._ids.arrange(parts), way, restore, (pieces, owners)

    def _times(self, pieces: list[Any]) -> tuple[list[Integers], str, str | None]:
        name = self.names[1]
        if self._layout is None:
            return read_times(pieces, name, self.date_format)
        few = factored(pieces)
        column = few.distinct if few is not None else as_series(pieces)
        written = prepare_dates(column, name, self.date_format)
        dates = written.parse(self._layout) if isinstance(written, Written) else written
        ticks, resolution, zone = ticks_of(dates, column.notna())
        if few is not None:
            ticks = few.spread(ticks, np.iinfo(np.int64).min)
        return [ticks], resolution, zone

    def _amounts(self, pieces: list[Any]) -> list[Floats]:
        name = self.names[2]
        kind = pieces[0].type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal128(kind):
            return read_amounts(pieces, name)
        few = factored(pieces)
        column = few.distinct if few is not None else as_series(pieces)
        values = self._money.read(column, None if few is None else few.weights)
        money = money_of(values, column.notna())
        return [money if few is None else few.spread(money, np.nan)]


def is_direct(kind: pa.DataType) -> bool:
    """Whether a column of dates says by its type alone what they are."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


# ---- ids --------------------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class _IdForm:
    """How ids of a type become those that are read in place: before, between and after."""

    is_text: bool
    prepare: Callable[[pa.Array], pa.Array] = _same
    arrange: Callable[[list[Ids]], list[Ids]] = _same
    finish: Callable[[pd.Index[Any]], pd.Index[Any]] = _same


def _id_form(kind: pa.DataType, name: str) -> _IdForm:
    types = pa.types
    if types.is_dictionary(kind):
        inner = _id_form(kind.value_type, name)
        finish = inner.finish
        if types.is_integer(kind.value_type) and kind.value_type != pa.uint64():
            finish = _as_int64
        elif inner.is_text and not _is_string(kind.value_type):
            finish = _as_objects
        return _IdForm(inner.is_text, lambda array: inner.prepare(array.cast(kind.value_type)), inner.arrange, finish)
    if kind == pa.uint64():
        # Half way up, whole numbers without a sign are in the order of those with one.
        return _IdForm(False, lambda array: array.view(pa.int64()), _shift, _unsigned)
    if types.is_integer(kind):
        return _IdForm(False)
    if types.is_floating(kind):
        return _IdForm(False, lambda array: _whole(array, name))
    if types.is_null(kind):
        return _IdForm(True, lambda array: array.cast(pa.large_string()))
    if is_textual(kind):
        return _IdForm(True)
    if types.is_temporal(kind):
        raise times_as_ids(name)
    raise DataError(
        f"Column {name!r} holds ids of type {kind}, and the table does not fit in memory: convert them to whole "
        "numbers or text, or raise memory_limit."
    )


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_int64(ids: pd.Index[Any]) -> pd.Index[Any]:
    return pd.Index(ids.to_numpy(dtype=np.int64), copy=False)


def _as_objects(ids: pd.Index[Any]) -> pd.Index[Any]:
    objects: pd.Index[Any] = pd.Index(ids.to_numpy(dtype=object), dtype=object)
    return objects


def _shift(parts: list[Ids]) -> list[Ids]:
    return [Ids(part.words ^ _SIGN, bitmap=part.bitmap, bit=part.bit) for part in parts]


def _unsigned(ids: pd.Index[Any]) -> pd.Index[Any]:
    unsigned: pd.Index[Any] = pd.Index(ids.to_numpy().view(np.uint64) ^ _SIGN)
    return unsigned


def _whole(array: pa.Array, name: str) -> pa.Array:
    column = as_series([array])
    check_whole_ids(column, name)
    return pa.array(column.astype(np.float64), from_pandas=True).cast(pa.int64())


# ---- dates that are written out ---------------------------------------------------------------------------


@dataclass
class _Found:
    """What a layout makes of a column so far: values read, zones seen, and the first value it cannot read."""

    readable: int = 0
    zones: set[str | None] = field(default_factory=set)
    first: Any = None

    def add(self, written: Written, layout: str, weights: Integers | None) -> None:
        """Try the layout on more values."""
        dates = written.parse(layout)
        read = dates.notna()
        self.readable += weighed(read, weights)
        if read.any():
            zone = getattr(dates.dtype, "tz", None)
            self.zones.add(None if zone is None else str(zone))
        if self.first is None:
            unread = written.column[written.column.notna() & ~read]
            self.first = unread.iloc[0] if len(unread) else None

    def merge(self, other: _Found) -> None:
        """Add what it made of other values."""
        self.readable += other.readable
        self.zones |= other.zones
        self.first = other.first if self.first is None else self.first


@dataclass
class Layouts:
    """What layouts make of a column of dates that are written out, however many batches it comes in."""

    name: str
    form: DateForm
    present: int = 0
    found: dict[str, _Found] = field(default_factory=dict)

    def add(self, column: pd.Series[Any], weights: Integers | None, which: slice = slice(None)) -> None:
        """Try some of the layouts, or all, on more values; `weights`: how often each value stands in the column."""
        written = prepare_dates(column, self.name, self.form)
        if isinstance(written, Written):
            self.present += weighed(written.column.notna(), weights)
            for layout in written.layouts[which]:
                self.found.setdefault(layout, _Found()).add(written, layout, weights)

    def merge(self, other: Layouts) -> None:
        """Add what was made of other values."""
        self.present += other.present
        for layout, found in other.found.items():
            self.found.setdefault(layout, _Found()).merge(found)

    @property
    def best(self) -> str:
        """The first of those that read most."""
        return max(self.found, key=lambda layout: self.found[layout].readable)

    @property
    def is_read(self) -> bool:
        """Whether every value is."""
        return self.found[self.best].readable == self.present

    def choose(self) -> tuple[str | None, str | None]:
        """The layout that most dates have, and their time zone; None where they are not written out.

        Raises a `DataError` for dates that cannot be read, or lie in several time zones.
        """
        if not self.found:
            return None, None
        best = self.found[self.best]
        if len(best.zones) > 1:
            raise mixed_zones(self.name)
        check_dates(self.name, self.present, best.readable, pd.Series([best.first], dtype=object), self.form)
        return self.best, next(iter(best.zones), None)


def _find_layout(source: Source, name: str, date_format: DateForm) -> tuple[str | None, str | None]:
    """The layout that most dates of a column have, and their time zone; None where they are not written out."""
    layouts = Layouts(name, date_format)
    # Most columns have the first layout throughout; the others are tried only where one value has not.
    for attempt in (slice(0, 1), slice(1, None)):
        layouts.present = 0
        for column, weights in _distinct(source, name):
            layouts.add(column, weights, attempt)
        if not layouts.found or layouts.is_read:
            break
    return layouts.choose()


def _distinct(source: Source, name: str) -> Iterator[tuple[pd.Series[Any], Integers | None]]:
    """A column batch by batch: values, and how often each stands there, where that is known."""
    for table in source.tables([name]):
        if len(table):
            pieces = table.column(0).chunks
            few = factored(pieces)
            yield (as_series(pieces), None) if few is None else (few.distinct, few.weights)
