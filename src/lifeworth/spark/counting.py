"""From transactions on Spark to an RFM table: Spark brings customers together, our kernels count them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError
from lifeworth.rfm import rfm_summary as count_rows
from lifeworth.rfm import train_test_split as split_rows
from lifeworth.spark.tables import (
    Batches,
    SparkHoldout,
    SparkRFM,
    batches_of,
    functions_of,
    mapped,
    other_type,
    schema_of,
)
from lifeworth.timeunits import TimeUnit, to_timestamp
from lifeworth.transactions import Duplicates, Refunds

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_NUMBERS = (*_INTEGERS, "float", "double", "decimal")
_DATES = ("date", "timestamp", "timestamp_ntz")
_COUNTED = ("frequency", "recency", "T", "monetary_value", "past_spend")
_LATER = ("later_frequency", "later_spend")
_WHOLE = ("frequency", "later_frequency")


def rfm_summary(
    transactions: DataFrame,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    observation_end: Any = None,
    refunds: Refunds = "net",
    *,
    duplicates: Duplicates = "keep",
    currency: str | None = None,
) -> SparkRFM:
    """Summarise transactions to one row per customer, as `lifeworth.rfm_summary` does.

    Parameters
    ----------
    transactions : Spark DataFrame. Ids are whole numbers or text; dates are of type date, timestamp_ntz or timestamp
        (by the wall clock of the session's time zone); amounts are numbers. Others: cast them before.
    customer_id, date, amount, period, time_unit, observation_end, refunds, duplicates, currency : as there. With
        `observation_end=None` the last date is looked up at once, in a pass of its own.

    Returns
    -------
    SparkRFM : nothing else is computed until somebody asks for rows.

    Raises
    ------
    UsageError : a column of another type; a unit, date or policy that does not exist.
    DataError : a column is missing, or no row can be used.
    """
    source = _Source(transactions, customer_id, date, amount)
    end = source.last() if observation_end is None else observation_end
    settings: dict[str, Any] = {"period": period, "time_unit": time_unit, "refunds": refunds, "duplicates": duplicates}
    checked = count_rows(
        source.nobody(end, "observation_end"), "id", "date", source.money, observation_end=end, **settings
    )
    frame = source.counted({**settings, "observation_end": end}, later=False)
    return SparkRFM(frame, time_unit, period, checked.observation_end, currency)


def train_test_split(
    transactions: DataFrame,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    refunds: Refunds = "net",
    *,
    train_end: Any,
    test_end: Any = None,
    duplicates: Duplicates = "keep",
    currency: str | None = None,
) -> tuple[SparkRFM, SparkHoldout]:
    """Split transactions into a calibration RFM table and what its customers then did; see `rfm_summary` for types.

    Returns
    -------
    calibration, holdout : the holdout has a row per calibration customer: customer_id, frequency and, where there is
        money, spend.

    Raises
    ------
    DataError : no time after `train_end`.
    """
    source = _Source(transactions, customer_id, date, amount)
    end = source.last() if test_end is None else test_end
    settings: dict[str, Any] = {"period": period, "time_unit": time_unit, "refunds": refunds, "duplicates": duplicates}
    edges = {"train_end": train_end, "test_end": end}
    calibration, holdout = split_rows(
        source.nobody(train_end, "train_end"), "id", "date", source.money, **settings, **edges
    )
    both = source.counted({**settings, **edges}, later=True)
    later = {name: name.removeprefix("later_") for name in _LATER if name in both.columns}
    frame = both.select("customer_id", *(both[name].alias(to) for name, to in later.items()))
    told = SparkHoldout(frame, holdout.attrs["length"], holdout.attrs["start"], holdout.attrs["end"])
    known = both.drop(*later)
    return SparkRFM(known, time_unit, period, calibration.observation_end, currency), told


# ---- counting -------------------------------------------------------------------------------------------------


class _Source:
    """Transactions on Spark: an id, a date and, perhaps, an amount, each of a type that says what it is."""

    def __init__(self, frame: DataFrame, customer_id: str, date: str, amount: str | None) -> None:
        functions = functions_of()
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
        if kinds[date] not in _DATES:
            raise other_type(date, kinds[date], "date, timestamp or timestamp_ntz")
        if (
            amount is not None
            and kinds[amount] not in (*_INTEGERS, "float", "double")
            and "decimal" not in kinds[amount]
        ):
            raise other_type(amount, kinds[amount], "a number")
        chosen = frame.select(*(functions.col(f"`{name}`").alias(key) for key, name in names.items()))
        if self.whole:
            chosen = chosen.withColumn("id", chosen["id"].cast("bigint"))
        self.frame, self.money = chosen, None if amount is None else "amount"
        # Who is in no table: a row of this customer is in every partition, so that none is without any.
        self.nobodys_id: Any = -(2**63) if self.whole else "\N{NULL}lifeworth"

    def last(self) -> pd.Timestamp:
        """The last date of a row that can be used."""
        functions = functions_of()
        usable: Column = self.frame["id"].isNotNull() & self.frame["date"].isNotNull()
        if not self.whole:
            usable = usable & (functions.trim(self.frame["id"]) != "")
        if self.money is not None:
            money = self.frame["amount"].cast("double")
            usable = usable & money.isNotNull() & ~functions.isnan(money) & (functions.abs(money) != float("inf"))
        # As text: what a timestamp is on the wall clock, and dates beyond the years that pandas knows.
        found = self.frame.where(usable).agg(functions.max("date").cast("string")).first()
        if found is None or found[0] is None:
            raise DataError("None of the rows can be used: each lacks an id, a date or an amount.")
        return pd.Timestamp(found[0])

    def nobody(self, when: Any, argument: str) -> pa.Table:
        """One purchase of nobody's: settings that are wrong are wrong for it too."""
        stamp = to_timestamp(when, argument)
        columns: dict[str, Any] = {
            "id": [self.nobodys_id],
            "date": pa.array([stamp.tz_localize(None)], pa.timestamp("us")),
        }
        if self.money is not None:
            columns["amount"] = [1.0]
        return pa.table(columns)

    def counted(self, settings: dict[str, Any], later: bool) -> DataFrame:
        """A row per customer, counted where Spark has brought the customer's rows together."""
        names = [name for name in _COUNTED if self.money is not None or name not in ("monetary_value", "past_spend")]
        names += [name for name in _LATER if later and (self.money is not None or name != "later_spend")]
        kinds = {name: pa.int64() if name in _WHOLE else pa.float64() for name in names}
        apart = self.frame.where(self.frame["id"].isNotNull()).repartition("id")
        count = _counter(self.nobodys_id, self.money, settings, later, list(kinds))
        return mapped(apart, count, schema_of(self.frame, kinds))


def _counter(
    nobody: Any, money: str | None, settings: dict[str, Any], later: bool, names: list[str]
) -> Callable[[Batches], Batches]:
    """What a task does with its rows, whole customers all."""

    def count(batches: Batches) -> Batches:
        first = next(batches, None)
        if first is None:
            return
        when = settings["train_end" if later else "observation_end"]
        schema = first.schema

        def with_nobody() -> Batches:
            row = {"id": nobody, "date": _moment(when, schema.field("date").type), "amount": Decimal(0)}
            arrays = [
                pa.array([float(row[name]) if pa.types.is_floating(kind) else row[name]], kind)
                for name, kind in zip(schema.names, schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            yield first
            yield from batches

        reader = pa.RecordBatchReader.from_batches(schema, with_nobody())
        if later:
            rfm, holdout = split_rows(reader, "id", "date", money, threads=1, **settings)
        else:
            rfm, holdout = count_rows(reader, "id", "date", money, threads=1, **settings), None
        frame = rfm.to_pandas()
        if rfm.past_spend is not None:
            frame["past_spend"] = rfm.past_spend
        if holdout is not None:
            frame["later_frequency"] = holdout["frequency"]
            if "spend" in holdout:
                frame["later_spend"] = holdout["spend"]
        frame = frame[frame["customer_id"] != nobody]
        yield from batches_of(frame[["customer_id", *names]])

    return count


def _moment(when: Any, kind: pa.DataType) -> Any:
    """A time as a column of this type holds it."""
    stamp = pd.Timestamp(when)
    if pa.types.is_date(kind):
        return stamp.date()
    zone = getattr(kind, "tz", None)
    if zone is None or stamp.tzinfo is not None:
        return stamp
    return stamp.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
