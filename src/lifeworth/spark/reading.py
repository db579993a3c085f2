"""Columns on Spark as counting takes them: ids, times on a wall clock, and numbers.

Dates and amounts that are written out are looked through once, by all tasks, before they are read: how a column is
written, and whether it is one of dates or amounts at all, can only be said of the whole column. What is read row by
row then comes out as it would have come out of one table.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import DataError, LifeworthError
from lifeworth.periods import to_timestamp
from lifeworth.spark.tables import Batches, fetched, functions_of, mapped, other_type
from lifeworth.transactions import DateForm, DecimalMark, Reading, wall_clock_edge
from lifeworth.transactions.amounts import Amounts
from lifeworth.transactions.arrow import as_series, factored
from lifeworth.transactions.date_formats import form_parts, without_zone
from lifeworth.transactions.parse import Written, prepare_dates
from lifeworth.transactions.stream import Layouts

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_NUMBERS = (*_INTEGERS, "float", "double")
# What an id of nothing else is blank by, as in Python.
_SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
_DATES = ("date", "timestamp", "timestamp_ntz")


@dataclass(frozen=True)
class _Writing:
    """The formats of dates and amounts: names of columns that need them, and the formats."""

    date: str | None
    form: DateForm
    amount: str | None
    decimal: DecimalMark | None
    layout: str | None = None


class Source:
    """Transactions on Spark.

    Attributes
    ----------
    frame : id, date and, possibly, amount, with types that identify them.
    whole : whether ids are whole numbers. money : the name of amounts, or None.
    zone : the time zone to which dates with an offset from UTC are converted; None if they have no offset.
    """

    def __init__(self, frame: DataFrame, reading: Reading) -> None:
        functions = functions_of()
        customer_id, date, amount = reading.columns
        time_zone, decimal, form = reading.time_zone, reading.decimal, reading.date_form
        names = {"id": customer_id, "date": date, **({} if amount is None else {"amount": amount})}
        missing = [name for name in names.values() if name not in frame.columns]
        if missing:
            raise DataError(
                f"The DataFrame has no column {' and no column '.join(map(repr, missing))}; "
                f"it has: {', '.join(frame.columns)}."
            )
        kinds = {name: frame.schema[name].dataType.simpleString() for name in names.values()}
        self.whole = kinds[customer_id] in _INTEGERS
        if not self.whole and kinds[customer_id] != "string":
            raise other_type(customer_id, kinds[customer_id], "whole numbers or text")
        written = kinds[date] in ("string", *_INTEGERS)
        if not written and kinds[date] not in _DATES:
            raise other_type(date, kinds[date], "date, timestamp, timestamp_ntz or text")
        if time_zone is not None and kinds[date] in ("date", "timestamp_ntz"):
            raise without_zone(date, time_zone)
        spelled = amount is not None and kinds[amount] == "string"
        if amount is not None and not spelled and kinds[amount] not in _NUMBERS and "decimal" not in kinds[amount]:
            raise other_type(amount, kinds[amount], "a number")
        chosen = frame.select(*(functions.col(f"`{name}`").alias(key) for key, name in names.items()))
        if self.whole:
            chosen = chosen.withColumn("id", chosen["id"].cast("bigint"))
        self.frame, self.money = chosen, None if amount is None else "amount"
        self.zone = time_zone
        if kinds[date] == "timestamp" and time_zone is None:
            self.zone = frame.sparkSession.conf.get("spark.sql.session.timeZone")
        if written or spelled:
            writing = _Writing(date if written else None, form, amount if spelled else None, decimal)
            layout, zone = _looked_through(chosen, writing)
            self.zone = zone if written else self.zone
            self.frame = _read(chosen, replace(writing, layout=layout), self.zone)
        elif time_zone is not None:
            self.frame = _read(chosen, _Writing(None, form, None, None), time_zone)

    def edge(self, when: Any, argument: str) -> Any:
        """A date given by the user, on the wall clock of the dates in the frame."""
        return wall_clock_edge(when, argument, self.zone)

    def last(self) -> pd.Timestamp:
        """The last date of a valid row; a `DataError` if there is none."""
        found = self.last_before(None)
        if found is None:
            raise DataError("No row can be used: each lacks an id, a date or an amount.")
        return found

    def last_before(self, when: pd.Timestamp | None) -> pd.Timestamp | None:
        """The last date, before another one, of a row that can be used."""
        functions = functions_of()
        # Invalid dates are left out, and do not set the end.
        usable: Column = self.frame["id"].isNotNull() & functions.year(self.frame["date"]).between(1, 9999)
        if not self.whole:
            usable = usable & (functions.trim(self.frame["id"], functions.lit(_SPACES)) != "")
        if self.money is not None:
            money = self.frame["amount"].cast("double")
            usable = usable & money.isNotNull() & ~functions.isnan(money) & (functions.abs(money) != float("inf"))
        if when is not None:
            usable = usable & (
                self.frame["date"].cast("timestamp_ntz") < functions.lit(str(when)).cast("timestamp_ntz")
            )
        # As text: a timestamp in local time, and dates beyond the years that pandas supports.
        found = self.frame.where(usable).agg(functions.max("date").cast("string")).first()
        return None if found is None or found[0] is None else pd.Timestamp(found[0])

    # Who is in no table: a row of this customer is in every partition, so that none is without any.
    @property
    def nobodys_id(self) -> Any:
        """An id that no customer has."""
        return -(2**63) if self.whole else "\N{NULL}lifeworth"

    def nobody(self, when: Any, argument: str) -> pa.Table:
        """A purchase of no customer: invalid settings raise for it as well."""
        stamp = to_timestamp(when, argument)
        columns: dict[str, Any] = {
            "id": [self.nobodys_id],
            "date": pa.array([stamp.tz_localize(None)], pa.timestamp("us")),
        }
        if self.money is not None:
            columns["amount"] = [1.0]
        return pa.table(columns)


# ---- what is written out ----------------------------------------------------------------------------------------


def _looked_through(frame: DataFrame, writing: _Writing) -> tuple[str | None, str | None]:
    """The layout and the time zone of dates; a `DataError` where dates or amounts are none."""
    from pyspark.sql.types import BinaryType, StructField, StructType

    columns = [key for key, name in (("date", writing.date), ("amount", writing.amount)) if name is not None]

    def look(batches: Batches) -> Batches:
        dates, amounts = Layouts(writing.date or "", writing.form), Amounts(writing.amount or "", writing.decimal)
        try:
            for batch in batches:
                for key, column, weights in _distinct(batch, columns):
                    if key == "date":
                        dates.add(column, weights)
                    else:
                        amounts.read(column, weights)
            seen: Any = (dates, amounts)
        except LifeworthError as error:
            seen = error
        yield pa.record_batch({"seen": pa.array([pickle.dumps(seen)], pa.binary())})

    seen = mapped(frame.select(*columns), look, StructType([StructField("seen", BinaryType())]))
    dates, amounts = Layouts(writing.date or "", writing.form), Amounts(writing.amount or "", writing.decimal)
    for packed in fetched(seen).column("seen").to_pylist():
        found = pickle.loads(packed)  # noqa: S301: from our own tasks
        if isinstance(found, LifeworthError):
            raise found
        dates.merge(found[0])
        amounts.merge(found[1])
    if writing.amount is not None:
        amounts.check()
    return dates.choose()


def _distinct(batch: pa.RecordBatch, columns: list[str]) -> Iterator[tuple[str, pd.Series[Any], Any]]:
    for key in columns:
        pieces = [batch.column(key)]
        few = factored(pieces)
        yield (key, as_series(pieces), None) if few is None else (key, few.distinct, few.weights)


def _read(frame: DataFrame, writing: _Writing, zone: str | None) -> DataFrame:
    """Rows with times on the wall clock (of a zone, where times are moments), and numbers."""
    from pyspark.sql.types import DoubleType, StructField, StructType, TimestampNTZType

    others = {"date": TimestampNTZType(), **({} if writing.amount is None else {"amount": DoubleType()})}
    schema = StructType([StructField(each.name, others.get(each.name, each.dataType)) for each in frame.schema.fields])

    def read(batches: Batches) -> Batches:
        for batch in batches:
            table = pa.Table.from_batches([batch])
            table = _put(table, "date", _times(table.column("date"), writing, zone))
            if writing.amount is not None:
                money = Amounts(writing.amount, writing.decimal).read(as_series(table.column("amount").chunks))
                table = _put(table, "amount", pa.array(money.to_numpy(), from_pandas=True))
            yield from table.to_batches()

    return mapped(frame, read, schema)


def _times(column: pa.ChunkedArray, writing: _Writing, zone: str | None) -> Any:
    """A column of dates on the wall clock."""
    if writing.date is None:
        if getattr(column.type, "tz", None) is not None:
            column = pc.local_timestamp(column.cast(pa.timestamp("us", zone)))
        return column.cast(pa.timestamp("us"))
    written = prepare_dates(as_series(column.chunks), writing.date, writing.form)
    if isinstance(written, Written):
        assert writing.layout is not None or not written.column.notna().any()
        written = written.parse(writing.layout or form_parts(writing.form)[0] or written.layouts[0])
    told = getattr(written.dtype, "tz", None) is not None
    values = (written if not told else written.dt.tz_localize(None)).to_numpy()
    return pa.array(values.astype("datetime64[us]"))


def _put(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)
