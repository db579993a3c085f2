"""Notes on further columns that qualify rows (currency, status, cancellation), and on files with equal contents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import UsageError
from lifeworth.tables import Files, find_files, open_table
from lifeworth.tables.frames import head_of, names_of
from lifeworth.transactions.amounts import CURRENCY_CODES
from lifeworth.transactions.arrow import pieces_of

# Kinds of further columns: a currency, by its name or by its values alone; the status or the type of the order; a mark
# of cancelled orders.
Kind = Literal["currency", "codes", "status", "type", "mark"]
_CURRENCY = ("currenc", "waehrung", "währung", "devise", "divisa", "moneda", "monnaie", "valuta")
_CURRENCY_WORDS = {"curr", "cur", "ccy"}
_NO_CURRENCY = {"rate", "rates", "exchange", "factor", "converted"}
_STATUS_WORDS = {"status", "state", "statut", "stato", "estado", "zustand"}
_TYPE_WORDS = {"type", "kind", "tipo", "typ"}
_MARKS = ("cancel", "refund", "void", "storn", "erstatt", "chargeback", "annul", "rembours", "anulad", "reembols",
          "devol")  # fmt: skip
_MARK_WORDS = {"return", "returned", "returns", "deleted", "reversed", "retoure", "retour"}
# Names with one of these words are about a policy, or about returning customers.
_NO_MARK = {"returning", "policy", "window", "days", "deadline", "eligible", "until", "possible", "able", "refundable",
            "returnable", "cancellable", "cancelable", "avoid", "customer", "visitor", "voucher", "email"}  # fmt: skip
# Values of a status or a type for rows that are not purchases.
_UNDONE = re.compile(
    "(?<![a-z])(cancel|refund|void|fail|declin|charge?back|return|storn|erstatt|annul|revers|rembours|anulad|reembols|"
    "devol|abandon|expired|unpaid|reject|retour|draft)"
)
_NOT_UNDONE = re.compile(r"returning|not[ _-]?(cancel|refund|void|return)|unfulfilled|non[ _-]?refund")
# Values of a mark that mean "no"; so does the number 0.
_NO = ["false", "no", "n", "f", "nein", "non", "none", "null", "nan", "not cancelled", "not refunded", "-"]
_ZERO = r"^[-+]?0*([.,]0*)?$"
# A column with more distinct values than this is neither a currency nor a status.
_MOST_VALUES = 500
_HEAD = 50
_PIECE = 1 << 20
_CACHED = 1 << 15
_LISTED = 4
Run = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]


@dataclass
class Column:
    """Findings on a column: values and their numbers of rows, or the number of marked rows.

    Attributes
    ----------
    kind : Kind
        Kind of the column, judging by its name.
    counts : dict of str to int, or None
        Number of rows by value; None if there are too many values for a currency or a status. Empty for a mark.
    rows, marked : int
        Number of rows seen, and of those with a mark.
    is_number : bool
        Whether marks are amounts.
    """

    kind: Kind
    counts: dict[str, int] | None = field(default_factory=dict)
    rows: int = 0
    marked: int = 0
    is_number: bool = False

    def merge(self, other: Column) -> None:
        """Add the findings on other rows."""
        self.rows += other.rows
        self.marked += other.marked
        self.is_number |= other.is_number
        if self.counts is None or other.counts is None:
            self.counts = None
            return
        self.counts = dict(Counter(self.counts) + Counter(other.counts))
        if len(self.counts) > _MOST_VALUES:
            self.counts = None


@dataclass
class DataNotes:
    """Findings on columns of a table other than those that are counted, accumulated over batches.

    Attributes
    ----------
    columns : dict of str to Column
        Findings by name of the column.
    equal_files : list of pairs
        Pairs of files with the same contents.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    equal_files: list[tuple[str, str]] = field(default_factory=list)
    run: Run = field(default=map, repr=False, compare=False)

    @classmethod
    def of(cls, data: Any, used: Iterable[str | None], amount: str | None, currency: str | None = None) -> DataNotes:
        """Select the columns to check in a table of which the columns `used` are read.

        Only the first rows are read. Raises a `UsageError` if the name of a column was given as the currency.
        """
        names = names_of(data)
        if amount is not None and currency is not None and currency in names and len(currency) != 3:
            raise _column_for_currency(data, currency)
        with_currency = amount is not None and currency is None
        kinds = {name: kind for name in names if name not in set(used) and (kind := kind_of(name)) is not None}
        if with_currency:
            head = head_of(data, [name for name in names if name not in kinds and name not in set(used)], _HEAD)
            kinds |= {name: "codes" for name, values in head.items() if _are_currencies(values)}
        else:
            kinds = {name: kind for name, kind in kinds.items() if kind != "currency"}
        return cls({name: Column(kind) for name, kind in kinds.items()}, equal_files(data))

    @property
    def names(self) -> list[str]:
        """Names of the columns to check."""
        return list(self.columns)

    def add(self, table: pa.Table | pd.DataFrame) -> None:
        """Check the columns in some rows, as far as they exist."""
        there = table.column_names if isinstance(table, pa.Table) else list(table.columns)
        for name in [name for name in self.columns if name in there]:
            kind = self.columns[name].kind
            pieces = [part for piece in pieces_of(table, name) for part in _parts(_as_arrow(piece))]
            for seen in self.run(lambda piece, kind=kind: _seen(piece, kind), pieces):
                self.columns[name].merge(seen)

    def merge(self, other: DataNotes) -> None:
        """Add the findings on another table."""
        for name, column in other.columns.items():
            self.columns.setdefault(name, Column(column.kind)).merge(column)
        self.equal_files += other.equal_files

    def without(self, names: Iterable[str]) -> DataNotes:
        """Return the findings on all other columns."""
        used = set(names)
        return DataNotes({name: one for name, one in self.columns.items() if name not in used}, self.equal_files)

    def sentences(self, refunds: int) -> tuple[str, ...]:
        """Return the notes; `refunds` is the number of rows with a negative amount."""
        notes = [*self._on_currencies(), *self._on_statuses(refunds), *self._on_marks(), *self._on_files()]
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values for `from_dict`."""
        columns = {name: {**vars(column)} for name, column in self.columns.items()}
        return {"columns": columns, "equal_files": [list(pair) for pair in self.equal_files]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataNotes:
        """Rebuild the findings from `to_dict`."""
        columns = {name: Column(**column) for name, column in values.get("columns", {}).items()}
        return cls(columns, [(one, two) for one, two in values.get("equal_files", [])])

    def _on_currencies(self) -> list[str]:
        for name, column in self.columns.items():
            found = sorted({value.strip().upper() for value in column.counts or ()} - {""})
            if column.kind == "codes" and not CURRENCY_CODES.issuperset(found):
                continue
            if column.kind in ("currency", "codes") and len(found) > 1:
                return [
                    f"Column {name!r} names several currencies ({_listed(found)}), and their amounts were added up as "
                    "they stand: take the rows of one currency, or, if the amounts are in one already, say which with "
                    "currency."
                ]
        return []

    def _on_statuses(self, refunds: int) -> list[str]:
        notes = []
        for name, column in self.columns.items():
            undone = {value: rows for value, rows in (column.counts or {}).items() if _is_undone(value)}
            if not undone or column.kind not in ("status", "type") or (column.kind == "type" and refunds):
                continue
            values = sorted(undone, key=lambda value: (-undone[value], value))
            notes.append(
                f"Column {name!r} is not used and says {_listed(values)} in {sum(undone.values()):,} of "
                f"{column.rows:,} rows, which were counted like all others: filter them out first, such as "
                f"data[~data[{name!r}].isin({values[:_LISTED]})]."
            )
        return notes

    def _on_marks(self) -> list[str]:
        notes = []
        for name, column in self.columns.items():
            if column.kind != "mark" or not 0 < column.marked < column.rows:
                continue
            if column.is_number:
                what = "is not 0"
                todo = f"subtract refunds from the amounts first, such as amount - data[{name!r}].fillna(0)"
            else:
                what = "is set"
                todo = f"filter out cancelled and refunded orders first, such as data[data[{name!r}].isna()]"
            notes.append(
                f"Column {name!r} is not used and {what} in {column.marked:,} of {column.rows:,} rows, which were "
                f"counted like all others: {todo}."
            )
        return notes

    def _on_files(self) -> list[str]:
        if not self.equal_files:
            return []
        one, two = self.equal_files[0]
        more = len(self.equal_files) - 1
        others = f", and {more:,} more files have an equal" if more else ""
        return [
            f"File {two} has the same contents as {one}{others}: their rows were counted twice unless duplicates="
            '"drop" was given, which also drops equal rows within a file; remove the copy if it is one.'
        ]


def equal_files(data: Any) -> list[tuple[str, str]]:
    """Return pairs of files with the same contents, if a table consists of several files."""
    if not isinstance(data, (str, Path, Files)):
        return []
    return [(one.name, two.name) for one, two in find_files(data).equal()]


def kind_of(name: Any) -> Kind | None:
    """Return the kind of a column, judging by its name."""
    if not isinstance(name, str):
        return None
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", name))
    words = [word.lower() for word in words]
    joined, there = "".join(words), set(words)
    if (any(stem in joined for stem in _CURRENCY) or there & _CURRENCY_WORDS) and not there & _NO_CURRENCY:
        return "currency"
    if there & _STATUS_WORDS or joined.endswith("status"):
        return "status"
    marks = any(word.startswith(_MARKS) for word in words) or joined.startswith(_MARKS) or there & _MARK_WORDS
    if marks and not there & _NO_MARK:
        return "mark"
    if there & _TYPE_WORDS or joined.endswith("type"):
        return "type"
    return None


def _column_for_currency(data: Any, currency: str) -> UsageError:
    found: list[str] = []
    if not isinstance(data, pa.RecordBatchReader):
        notes = DataNotes({currency: Column("currency")})
        notes.add(open_table(data, [currency]))
        found = sorted({value.strip() for value in notes.columns[currency].counts or ()} - {""})
    those = f" ({_listed(found)})" if found else ""
    return UsageError(
        f'currency="{currency}" is a column of the table{those}, where the name of one currency is wanted, such as '
        '"EUR": take the rows of one currency, or convert all to one, and say which.'
    )


def _are_currencies(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) and value.strip().upper() in CURRENCY_CODES for value in values)


def _is_undone(value: str) -> bool:
    text = value.strip().lower()
    return _UNDONE.search(text) is not None and _NOT_UNDONE.search(text) is None


# ---- values -----------------------------------------------------------------------------------------------------


def _as_arrow(piece: Any) -> pa.Array:
    if not isinstance(piece, pd.Series):
        return piece
    try:
        array = pa.array(piece, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        array = pa.array([None if missing else str(value) for value, missing in zip(piece, piece.isna(), strict=True)])
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _parts(array: pa.Array) -> list[pa.Array]:
    return [array.slice(start, _PIECE) for start in range(0, len(array), _PIECE)]


def _seen(piece: pa.Array, kind: Kind) -> Column:
    """Return the findings on some rows of a column."""
    if kind == "mark":
        marked, is_number = _marked(piece)
        return Column(kind, {}, len(piece), marked, is_number)
    types = pa.types
    if types.is_floating(piece.type) or types.is_decimal(piece.type) or types.is_temporal(piece.type):
        return Column(kind, None, len(piece))  # exchange rates, or times
    if types.is_nested(piece.type):
        return Column(kind, None, len(piece))
    if types.is_string_view(piece.type):
        piece = piece.cast(pa.large_string())  # PyArrow counts what is missing in a view as empty text
    if len(piece) and _is_constant(piece):
        value = piece[0].as_py()
        return Column(kind, {} if value is None else {str(value): len(piece)}, len(piece))
    values, numbers = _value_counts(piece)
    if len(values) > _MOST_VALUES:
        return Column(kind, None, len(piece))
    found: Counter[str] = Counter()
    for value, rows in zip(values.to_pylist(), numbers.to_pylist(), strict=True):
        if value is not None:
            found[str(value)] += rows
    return Column(kind, dict(found), len(piece))


def _value_counts(piece: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the distinct values of a column and their numbers of rows; of a dictionary, by its indices."""
    if not pa.types.is_dictionary(piece.type):
        counts = pc.value_counts(piece)
        return counts.field("values"), counts.field("counts")
    indices = piece.indices.drop_null() if piece.indices.null_count else piece.indices
    numbers = np.bincount(indices.to_numpy(zero_copy_only=False), minlength=len(piece.dictionary))
    there = np.flatnonzero(numbers)
    return piece.dictionary.take(pa.array(there)), pa.array(numbers[there])


def _is_constant(piece: pa.Array) -> bool:
    """Whether text has one value throughout, as most columns of currencies have; a glance at its memory tells."""
    types = pa.types
    if piece.null_count:
        return False
    if types.is_dictionary(piece.type):
        edges = pc.min_max(piece.indices)
        return bool(edges["min"] == edges["max"])
    if not (types.is_string(piece.type) or types.is_large_string(piece.type)):
        return False
    long = types.is_large_string(piece.type)
    offsets: npt.NDArray[Any] = np.frombuffer(piece.buffers()[1], dtype=np.int64 if long else np.int32)
    offsets = offsets[piece.offset : piece.offset + len(piece) + 1]
    width = int(offsets[1] - offsets[0])
    if int(offsets[-1] - offsets[0]) != width * len(piece):
        return False
    for start in range(0, len(piece), _CACHED):
        part = offsets[start : start + _CACHED + 1]
        if not (part[1:] - part[:-1] == width).all():
            return False
    if not width:
        return True
    data = np.frombuffer(piece.buffers()[2], dtype=np.uint8)[int(offsets[0]) : int(offsets[-1])]
    for start in range(0, len(data) - width, _CACHED):
        part = data[start : start + _CACHED + width]
        if not (part[width:] == part[:-width]).all():
            return False
    return True


def _marked(piece: pa.Array) -> tuple[int, bool]:
    """Return how many rows have a mark, and whether marks are numbers."""
    kind, types = piece.type, pa.types
    if types.is_dictionary(kind) and not (types.is_string(kind.value_type) or types.is_large_string(kind.value_type)):
        piece, kind = piece.dictionary_decode(), kind.value_type
    if types.is_null(kind):
        return 0, False
    if types.is_boolean(kind):
        return pc.sum(piece).as_py() or 0, False
    if types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind):
        unequal = pc.and_(pc.not_equal(piece, 0), pc.invert(pc.is_nan(piece))) if types.is_floating(kind) else None
        unequal = pc.not_equal(piece, pa.scalar(0, kind)) if unequal is None else unequal
        values = pc.unique(piece.filter(unequal)) if pc.any(unequal).as_py() else piece[:0]
        # A column of 0 and 1 is a mark; other numbers are amounts.
        return pc.sum(unequal).as_py() or 0, not all(value == 1 for value in values[:2].to_pylist())
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if not (is_text or types.is_dictionary(kind)):
        return len(piece) - piece.null_count, False
    values, counts = _value_counts(piece.cast(pa.large_string()) if is_text else piece)
    text = pc.utf8_lower(pc.utf8_trim_whitespace(values.cast(pa.large_string())))
    no = pc.or_(pc.is_in(text, pa.array(_NO, pa.large_string())), pc.match_substring_regex(text, _ZERO))
    rows = counts.filter(pc.invert(pc.fill_null(no, True)))
    numbers = pc.match_substring_regex(text, r"^[-+]?[0-9]*[.,][0-9]+$")
    return pc.sum(rows).as_py() or 0, bool(pc.any(pc.and_(numbers, pc.invert(no))).as_py())


def _listed(values: list[str]) -> str:
    return ", ".join(values[:_LISTED]) + (", ..." if len(values) > _LISTED else "")
