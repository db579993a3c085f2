"""From transactions on Spark to an RFM table: Spark brings customers together, our kernels count them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lifeworth.periods import TimeUnit
from lifeworth.rfm import rfm_summary as count_rows
from lifeworth.rfm import train_test_split as split_rows
from lifeworth.spark.account import Account, one_of_nobody
from lifeworth.spark.reading import Source
from lifeworth.spark.tables import Batches, SparkHoldout, SparkRFM, batches_of, mapped, schema_of
from lifeworth.transactions import DecimalMark, Duplicates, Reading, Refunds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
    currency: str | None = None,
) -> SparkRFM:
    """Summarise transactions to one row per customer, as `lifeworth.rfm_summary` does.

    Parameters
    ----------
    transactions : Spark DataFrame. Ids are whole numbers or text; dates are of type date, timestamp_ntz or timestamp
        (by the wall clock of `time_zone` or, without it, of the session's time zone); amounts are numbers. Dates and
        amounts may be text as well, read as there: their format is determined immediately, in a separate pass.
    customer_id, date, amount, period, time_unit, observation_end, refunds, duplicates, date_format, time_zone, decimal,
    currency : as there. With `observation_end=None` the last date is determined immediately, in a separate pass, too.

    Returns
    -------
    SparkRFM : nothing else is computed until rows are requested.

    Raises
    ------
    UsageError : a column of another type; a unit, date or policy that does not exist.
    DataError : a column is missing or cannot be read, or no row can be used.
    """
    reading = Reading(
        customer_id,
        date,
        amount,
        period,
        time_unit,
        observation_end,
        refunds,
        duplicates,
        date_format,
        time_zone,
        decimal,
        currency,
    )
    source = Source(transactions, reading)
    end = source.last() if observation_end is None else source.edge(observation_end, "observation_end")
    settings = _settings(reading)
    checked = count_rows(
        source.nobody(end, "observation_end"), "id", "date", source.money, observation_end=end, **settings
    )
    frame = _counted(source, {**settings, "observation_end": end}, later=False)
    account = Account(source, transactions, reading, settings, end, observation_end is None)
    return SparkRFM(frame, time_unit, period, checked.observation_end, currency, account.audit)


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
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
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
    reading = Reading(
        customer_id,
        date,
        amount,
        period,
        time_unit,
        None,
        refunds,
        duplicates,
        date_format,
        time_zone,
        decimal,
        currency,
    )
    source = Source(transactions, reading)
    end = source.last() if test_end is None else source.edge(test_end, "test_end")
    train_end = source.edge(train_end, "train_end")
    settings = _settings(reading)
    edges = {"train_end": train_end, "test_end": end}
    calibration, holdout = split_rows(
        source.nobody(train_end, "train_end"), "id", "date", source.money, **settings, **edges
    )
    both = _counted(source, {**settings, **edges}, later=True)
    later = {name: name.removeprefix("later_") for name in _LATER if name in both.columns}
    frame = both.select("customer_id", *(both[name].alias(to) for name, to in later.items()))
    told = SparkHoldout(frame, holdout.attrs["length"], holdout.attrs["start"], holdout.attrs["end"])
    known = both.drop(*later)
    account = Account(source, transactions, reading, settings, train_end, False, end)
    return SparkRFM(known, time_unit, period, calibration.observation_end, currency, account.audit), told


def _settings(reading: Reading) -> dict[str, Any]:
    """The options of reading that tasks need, whose rows have been read already."""
    return {name: getattr(reading, name) for name in ("period", "time_unit", "refunds", "duplicates")}


# ---- counting -------------------------------------------------------------------------------------------------


def _counted(source: Source, settings: dict[str, Any], later: bool) -> DataFrame:
    """A row per customer, counted where Spark has brought the customer's rows together."""
    names = [name for name in _COUNTED if source.money is not None or name not in ("monetary_value", "past_spend")]
    names += [name for name in _LATER if later and (source.money is not None or name != "later_spend")]
    kinds = {name: pa.int64() if name in _WHOLE else pa.float64() for name in names}
    apart = source.frame.where(source.frame["id"].isNotNull()).repartition("id")
    count = _counter(source.nobodys_id, source.money, settings, later, list(kinds))
    return mapped(apart, count, schema_of(source.frame, kinds))


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
            yield one_of_nobody(schema, nobody, when)
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
