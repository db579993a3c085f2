"""Transactions that do not fit in memory: read in batches, by the rules that apply to whole columns.

Properties of a whole column (the format of its dates, whether most values are dates at all) are determined by reading
it once in advance, so that batches give the same result as a single table.
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
from lifeworth.transactions.date_formats import DateForm, mixed_zones
from lifeworth.transactions.ids import Ids, IdsRead, Restore, Words, is_textual, read_ids
from lifeworth.transactions.parse import (
    Written,
    check_dates,
    check_whole_ids,
    prepare_dates,
    times_as_ids,
)
from lifeworth.transactions.tolerances import weighed

_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, eq=False)
class Source:
    """A table in batches.

    Attributes
    ----------
    schema : pyarrow.Schema
        Columns to read: customer, date and, possibly, amount.
    tables : callable
        Yields the named columns in batches; starts from the beginning at each call, if dates must be read twice.
    """

    schema: pa.Schema
    tables: Callable[[list[str]], Iterator[pa.Table]]


@dataclass(eq=False)
class Stream:
    """Transactions of a source as `Columns` in batches, with information on all rows once the last batch has been read.

    Attributes
    ----------
    way, restore, time_zone, has_amount, notes
        As in `Columns`.
    is_text : bool
        Whether ids are text or bytes.
    resolution : str
        Unit of the times of all batches.
    owners : list
        Owners of the memory to which words point.
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
        """Whether there are amounts."""
        return len(self.names) > 2

    @property
    def is_text(self) -> bool:
        """Whether ids are words of text or bytes."""
        return self._ids.is_text

    def columns(self) -> Iterator[Columns]:
        """Yield all rows in batches."""
        for table in self.source.tables(self.names):
            if len(table) == 0:
                continue
            yield columns_of(table, self.names, self._times, self._amounts, self._read_ids, self._rows)
            self._rows += len(table)
        if self._rows == 0:
            raise DataError("The table of transactions has no rows: there is nothing to count.")
        self._money.check()

    def remember(self, columns: Columns, row: int) -> None:
        """Keep the values of a row for messages, after its batch is released."""
        for name in self.names:
            self._shown[name, row] = columns.show(name, [row])[0]

    def show(self, name: str, numbers: Any) -> list[str]:
        """Return the values of a column kept by `remember`."""
        return [self._shown[name, number] for number in numbers]

    @property
    def way(self) -> int | None:
        """Kind of keys: text is identified by its address, since not all ids are known."""
        from lifeworth.kernels.counting.text import POINTER

        return POINTER if self.is_text else None

    def restore(self, words: Words, others: Words) -> pd.Index[Any]:
        """Return the ids of distinct customers."""
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
    """Whether the type of a column of dates is sufficient to read it."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


# ---- ids --------------------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class _IdForm:
    """How ids of a type are converted to ids that are read in place: functions to prepare, arrange and finish them."""

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
        # Shifted by half their range, unsigned integers have the order of signed ones.
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


# ---- dates that are parsed --------------------------------------------------------------------------------


@dataclass
class _Found:
    """Results of a format on a column so far: values read, zones found, and the first unreadable value."""

    readable: int = 0
    zones: set[str | None] = field(default_factory=set)
    first: Any = None

    def add(self, written: Written, layout: str, weights: Integers | None) -> None:
        """Try the format on more values."""
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
        """Add the results on other values."""
        self.readable += other.readable
        self.zones |= other.zones
        self.first = other.first if self.first is None else self.first


@dataclass
class Layouts:
    """Results of date formats on a column of dates that are parsed, accumulated over batches."""

    name: str
    form: DateForm
    present: int = 0
    found: dict[str, _Found] = field(default_factory=dict)

    def add(self, column: pd.Series[Any], weights: Integers | None, which: slice = slice(None)) -> None:
        """Try some or all of the formats on more values; `weights` are the numbers of occurrences of the values."""
        written = prepare_dates(column, self.name, self.form)
        if isinstance(written, Written):
            self.present += weighed(written.column.notna(), weights)
            for layout in written.layouts[which]:
                self.found.setdefault(layout, _Found()).add(written, layout, weights)

    def merge(self, other: Layouts) -> None:
        """Add the results on other values."""
        self.present += other.present
        for layout, found in other.found.items():
            self.found.setdefault(layout, _Found()).merge(found)

    @property
    def best(self) -> str:
        """First of the formats that read the most values."""
        return max(self.found, key=lambda layout: self.found[layout].readable)

    @property
    def is_read(self) -> bool:
        """Whether every value is readable with the best format."""
        return self.found[self.best].readable == self.present

    def choose(self) -> tuple[str | None, str | None]:
        """Return the format of most dates, and their time zone; None if dates need not be parsed.

        Raises a `DataError` for dates that cannot be read, or are in several time zones.
        """
        if not self.found:
            return None, None
        best = self.found[self.best]
        if len(best.zones) > 1:
            raise mixed_zones(self.name)
        check_dates(self.name, self.present, best.readable, pd.Series([best.first], dtype=object), self.form)
        return self.best, next(iter(best.zones), None)


def _find_layout(source: Source, name: str, date_format: DateForm) -> tuple[str | None, str | None]:
    """Return the format of most dates of a column, and their time zone; None if dates need not be parsed."""
    layouts = Layouts(name, date_format)
    # Most columns have the first format throughout; the others are tried only if it fails for some value.
    for attempt in (slice(0, 1), slice(1, None)):
        layouts.present = 0
        for column, weights in _distinct(source, name):
            layouts.add(column, weights, attempt)
        if not layouts.found or layouts.is_read:
            break
    return layouts.choose()


def _distinct(source: Source, name: str) -> Iterator[tuple[pd.Series[Any], Integers | None]]:
    """Yield a column in batches: values, and their numbers of occurrences where these are known."""
    for table in source.tables([name]):
        if len(table):
            pieces = table.column(0).chunks
            few = factored(pieces)
            yield (as_series(pieces), None) if few is None else (few.distinct, few.weights)
