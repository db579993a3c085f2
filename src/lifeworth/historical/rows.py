"""Rows of transactions as the classic formulas take them: those of a window, with groups and further money."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.rfm.log import TransactionLog
from lifeworth.rfm.purchases import Floats, Integers, Mask, WindowRows, read_window
from lifeworth.tables import Files, column_names
from lifeworth.transactions.arrow import as_series
from lifeworth.transactions.columns import read_amounts

Assign = Literal["orders", "first_order"]
COHORT = "cohort"


@dataclass(frozen=True)
class Grouping:
    """The window whose orders are counted, how customers are grouped, and which further columns are read.

    `money` names further columns of money, `acquisition` one of what customers cost to acquire.
    """

    by: str | None = None
    assign: Assign = "orders"
    cohort: str = "M"
    start: Any = None
    end: Any = None
    money: tuple[str, ...] = ()
    acquisition: str | None = None

    def group_column(self, customer_id: str) -> str | None:
        """The column that holds the group of a row, if one does."""
        return None if self.by in (None, COHORT, customer_id) else self.by


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a window with their groups and further columns.

    Attributes
    ----------
    window : WindowRows
        The rows.
    group : int64 array of shape (n,) or None
        Codes into `group_labels`, or None if no column says the group.
    money : dict of str to float64 array of shape (n,)
        Further amounts by column; missing ones are NaN.
    acquisition : float64 array of shape (n,) or None
        What the column of acquisition costs says; NaN where it says nothing.
    notes : tuple of str
        Notes on columns that are not used.
    """

    window: WindowRows
    group: Integers | None
    group_labels: pd.Index[Any] | None
    money: dict[str, Floats]
    acquisition: Floats | None
    notes: tuple[str, ...] = ()


def read_rows(log: TransactionLog, grouping: Grouping) -> Rows:
    """Read the rows of transactions; errors are those of `rfm_summary`."""
    reading = log.reading
    by = grouping.group_column(reading.customer_id)
    others = [name for name in (by, grouping.acquisition, *grouping.money) if name is not None]
    pieces = log.further(others)
    if grouping.by == COHORT and COHORT in _names_of(log.data):
        raise UsageError(
            f'by="{COHORT}" means the time of the first purchase, and the table has a column {COHORT!r} as well: '
            "rename the column, and give its new name if it is meant."
        )
    window = read_window(log, grouping.start, grouping.end)
    group = labels = None
    if by is not None:
        group, labels = _groups(as_series(pieces[by]), by, None if window.used.all() else window.used)

    def money(name: str) -> Floats:
        parts = read_amounts(pieces[name], name, reading.decimal)
        return window.taken(parts[0] if len(parts) == 1 else np.concatenate(parts))

    return Rows(
        window=window,
        group=group,
        group_labels=labels,
        money={name: money(name) for name in grouping.money},
        acquisition=None if grouping.acquisition is None else money(grouping.acquisition),
        notes=log.notes.without(others).sentences(window.refunds),
    )


def _names_of(data: Any) -> list[str]:
    """Names of all columns of a table that has been opened before."""
    if isinstance(data, (str, Path, Files)):
        return column_names(data)
    if isinstance(data, pd.DataFrame):
        return list(data.columns)
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return list(data.schema.names)
    import narwhals as nw

    return list(nw.from_native(data).collect_schema().names())


def _groups(column: pd.Series[Any], name: str, keep: Mask | None) -> tuple[Integers, pd.Index[Any]]:
    """Codes of groups and their labels, ascending; rows without a group form the last group."""
    if keep is not None:
        column = column[keep]
    try:
        codes, uniques = pd.factorize(column)
    except TypeError as error:
        raise DataError(
            f"Column {name!r} holds values that cannot be groups, such as lists: turn them to text."
        ) from error
    codes = codes.astype(np.int64, copy=False)
    count = len(uniques)
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = np.argsort(pd.CategoricalIndex(uniques).codes)
    else:
        order = _sorted_places(pd.Index(uniques))
    place = np.empty(count + 1, dtype=np.int64)
    place[order] = np.arange(count)
    place[count] = count  # of code -1
    codes = place[codes]
    # A row of each group has its label in the column's own type: a missing one too.
    rows = np.empty(count + 1, dtype=np.int64)
    rows[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    missing = bool((codes == count).any())
    shown = rows if missing else rows[:count]
    return codes, pd.Index(column.iloc[shown], name=None)


def _sorted_places(values: pd.Index[Any]) -> npt.NDArray[np.int64]:
    """Places of distinct values in ascending order; of types that do not compare, by type and text."""
    try:
        return np.asarray(values.argsort(), dtype=np.int64)
    except TypeError:
        keys = [(type(value).__name__, str(value)) for value in values]
        return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
