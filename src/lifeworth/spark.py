"""The same functions on Spark: RFM, fits, scores and backtests of tables that no single machine would hold.

Customers are brought together by Spark, and counted by the same kernels as elsewhere; the model learns on the driver
from distinct rows with their counts; scores are made where the customers are, with the draws of a few parameters
broadcast. Rows go to Python and back as Arrow. Numbers are those of one machine, to the last bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, UsageError
from lifeworth.evaluate.holdout import Scores, score
from lifeworth.families import FAMILIES
from lifeworth.families.base import distinct, purchase_rows, spend_rows
from lifeworth.model import CLV, BetaGeo, GammaGamma
from lifeworth.model.specs import MODELS, PurchaseModel, SpendModel
from lifeworth.rfm import RFM
from lifeworth.rfm import rfm_summary as count_rows
from lifeworth.rfm import train_test_split as split_rows
from lifeworth.timeunits import TimeUnit, to_timestamp
from lifeworth.transactions import Duplicates, Refunds
from lifeworth.value import Terms, Uncertainty

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_NUMBERS = (*_INTEGERS, "float", "double", "decimal")
_DATES = ("date", "timestamp", "timestamp_ntz")
_COUNTED = ("frequency", "recency", "T", "monetary_value", "past_spend")
_LATER = ("later_frequency", "later_spend")
_WHOLE = ("frequency", "later_frequency")
# Customers that a task scores at a time, about a kilobyte each.
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class SparkRFM:
    """An RFM table on Spark, with its units.

    Attributes
    ----------
    frame : a row per customer, in no order: customer_id (whole numbers as bigint), frequency (bigint), recency, T and,
        where there is money, monetary_value and past_spend (double).
    time_unit, period, observation_end, currency : as in `lifeworth.RFM`.
    """

    frame: DataFrame
    time_unit: TimeUnit
    period: TimeUnit | None
    observation_end: pd.Timestamp | None
    currency: str | None = None
    audit: None = None

    @property
    def has_money(self) -> bool:
        """Whether there is monetary_value."""
        return "monetary_value" in self.frame.columns

    def to_local(self) -> RFM:
        """The table in this process, sorted by customer_id: that of `lifeworth.rfm_summary`, but for the audit."""
        return RFM.from_frame(
            _fetched(self.frame).to_pandas(), self.time_unit, self.observation_end, self.period, self.currency
        )


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


@dataclass(frozen=True)
class SparkHoldout:
    """What customers did after the end of calibration.

    Attributes
    ----------
    frame : customer_id, frequency and, where there is money, spend; in no order.
    length : in time units. start, end : first instants of its first and its last period.
    """

    frame: DataFrame
    length: float
    start: str
    end: str


def fit_clv(
    rfm: SparkRFM,
    purchases: PurchaseModel | None = None,
    spend: SpendModel | None = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
) -> CLV:
    """Fit both models on the driver, from distinct rows and how many customers each stands for.

    Arguments and result are those of `lifeworth.fit_clv`. What comes to the driver is 32 bytes for each distinct
    (frequency, recency, T) and 24 for each distinct (frequency, monetary_value) of those who came back.
    """
    purchase_model = BetaGeo() if purchases is None else purchases
    x, t_x, T, counts = _distinct(rfm.frame, ["frequency", "recency", "T"])
    fitted = purchase_model.fit_rows(purchase_rows(x.astype(np.int64), t_x, T, counts), rfm, method, draws, seed)
    if spend is None and not rfm.has_money:
        return CLV(fitted)
    if not rfm.has_money:
        raise DataError("This RFM table has no monetary_value, which a model of spend needs.")
    told = rfm.frame.where("frequency > 0 and monetary_value > 0")
    x, z, counts = _distinct(told, ["frequency", "monetary_value"])
    spend_model = GammaGamma() if spend is None else spend
    return CLV(fitted, spend_model.fit_rows(spend_rows(x.astype(np.int64), z, counts), rfm, method, draws, seed))


def predict(
    clv: CLV,
    rfm: SparkRFM,
    horizon: str | float,
    discount_rate: float = 0.0,
    margin: float = 1.0,
    interval: float = 0.9,
    uncertainty: Uncertainty | None = "customer",
    seed: int = 0,
    force: bool = False,
    *,
    cost_per_order: float = 0.0,
    inflation: float = 0.0,
) -> DataFrame:
    """Value every customer over the horizon that follows the end of observation, as `CLV.predict` does.

    Returns
    -------
    DataFrame : the columns of `CLV.predict`, a row per customer, in no order.

    Raises
    ------
    UsageError : a horizon, rate, margin or interval that makes no sense, or units that differ.
    FitError : the fit failed its diagnostics.
    """
    terms: dict[str, Any] = {
        "horizon": horizon,
        "discount_rate": discount_rate,
        "margin": margin,
        "interval": interval,
        "uncertainty": uncertainty,
        "seed": seed,
        "cost_per_order": cost_per_order,
        "inflation": inflation,
    }
    clv.purchases.check(force)
    if clv.spend is not None:
        clv.spend.check(force)
    Terms(**terms).clock(rfm.time_unit, rfm.observation_end)
    about = {"time_unit": rfm.time_unit, "period": rfm.period, "observation_end": rfm.observation_end}
    one = RFM.from_frame(_nobody_scored(rfm.has_money), **about)  # type: ignore[arg-type]
    columns = clv.predict(one, **terms, force=force).columns
    known = rfm.frame.select(*(name for name in rfm.frame.columns if name != "past_spend"))
    posterior = rfm.frame.sparkSession.sparkContext.broadcast(_packed(clv))
    score_batches = _scorer(posterior, about, terms)
    kinds = {name: pa.float64() for name in columns[1:]}
    return _mapped(known, score_batches, _schema(known, kinds))


def backtest(
    transactions: DataFrame,
    train_end: Any,
    purchases: PurchaseModel | None = None,
    spend: SpendModel | None = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
    **settings: Any,
) -> dict[str, Scores]:
    """Fit on what came before a date, and score what is foretold against what came after it.

    Parameters
    ----------
    train_end : last day of calibration.
    settings : of `train_test_split`.

    Returns
    -------
    "purchases" and, where there is money, "spend": `lifeworth.evaluate.holdout.Scores`. Two numbers a customer come
    to the driver.
    """
    calibration, holdout = train_test_split(transactions, train_end=train_end, **settings)
    clv = fit_clv(calibration, purchases, spend, method=method, draws=draws, seed=seed)
    scored = predict(clv, calibration, holdout.length, uncertainty=None)
    pairs = {"purchases": ("expected_purchases", "frequency"), "spend": ("clv", "spend")}
    there = {
        name: pair for name, pair in pairs.items() if pair[0] in scored.columns and pair[1] in holdout.frame.columns
    }
    # Sums depend on the order of customers in their last digits: it is made the same at every run.
    joined = scored.join(holdout.frame, "customer_id").orderBy("customer_id")
    table = _fetched(joined.select(*(name for pair in there.values() for name in pair)))
    return {
        name: score(*(np.asarray(table.column(column).to_numpy(), dtype=np.float64) for column in pair))
        for name, pair in there.items()
    }


# ---- counting -------------------------------------------------------------------------------------------------


class _Source:
    """Transactions on Spark: an id, a date and, perhaps, an amount, each of a type that says what it is."""

    def __init__(self, frame: DataFrame, customer_id: str, date: str, amount: str | None) -> None:
        functions = _functions()
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
            raise _other(customer_id, kinds[customer_id], "whole numbers or text")
        if kinds[date] not in _DATES:
            raise _other(date, kinds[date], "date, timestamp or timestamp_ntz")
        if (
            amount is not None
            and kinds[amount] not in (*_INTEGERS, "float", "double")
            and "decimal" not in kinds[amount]
        ):
            raise _other(amount, kinds[amount], "a number")
        chosen = frame.select(*(functions.col(f"`{name}`").alias(key) for key, name in names.items()))
        if self.whole:
            chosen = chosen.withColumn("id", chosen["id"].cast("bigint"))
        self.frame, self.money = chosen, None if amount is None else "amount"
        # Who is in no table: a row of this customer is in every partition, so that none is without any.
        self.nobodys_id: Any = -(2**63) if self.whole else "\N{NULL}lifeworth"

    def last(self) -> pd.Timestamp:
        """The last date of a row that can be used."""
        functions = _functions()
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
        return _mapped(apart, count, _schema(self.frame, kinds))


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
        yield from _batches(frame[["customer_id", *names]])

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


def _distinct(frame: DataFrame, names: list[str]) -> list[Any]:
    """Columns of the distinct rows, in order, and how often each stands there."""
    table = _fetched(frame.groupBy(*names).count())
    columns = [table.column(name).to_numpy() for name in (*names, "count")]
    order = distinct(*columns[:-1])[0]
    return [np.ascontiguousarray(column[order]) for column in columns]


# ---- scoring --------------------------------------------------------------------------------------------------


def _packed(clv: CLV) -> list[tuple[str, dict[str, Any], TimeUnit | None, str | None]]:
    """The draws of a model: all that scoring needs, as plain values."""
    parts = [part.posterior for part in (clv.purchases, clv.spend) if part is not None]
    return [(part.family.name, part.draws, part.time_unit, part.currency) for part in parts]


def _unpacked(parts: list[tuple[str, dict[str, Any], TimeUnit | None, str | None]]) -> CLV:
    fits: dict[str, Any] = {}
    for name, draws, time_unit, currency in parts:
        model: Any = MODELS[name]()
        unit = (time_unit,) if FAMILIES[name].kind == "purchases" else ()
        fits[FAMILIES[name].kind] = model.from_parameters(draws, *unit, currency)
    return CLV(**fits)


def _scorer(posterior: Any, about: Mapping[str, Any], terms: Mapping[str, Any]) -> Callable[[Batches], Batches]:
    """What a task does with its customers."""

    def score_batches(batches: Batches) -> Batches:
        clv = _unpacked(posterior.value)
        waiting: list[pa.RecordBatch] = []

        def scored() -> Batches:
            rfm = RFM.from_frame(pa.Table.from_batches(waiting), **about)
            yield from _batches(clv.predict(rfm, **terms))

        for batch in batches:
            waiting.append(batch)
            if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
                yield from scored()
                waiting = []
        if sum(map(len, waiting)):
            yield from scored()

    return score_batches


def _nobody_scored(money: bool) -> pd.DataFrame:
    """One customer: what cannot be asked of anybody is found out before anything is sent to Spark."""
    table = {"customer_id": [0], "frequency": [0], "recency": [0.0], "T": [0.0]}
    return pd.DataFrame({**table, **({"monetary_value": [0.0]} if money else {})})


# ---- Spark ----------------------------------------------------------------------------------------------------


def _functions() -> Any:
    try:
        from pyspark.sql import functions
    except ImportError as error:
        raise UsageError("PySpark is not installed: install lifeworth[spark].") from error
    return functions


def _batches(frame: pd.DataFrame) -> Batches:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    at = table.schema.get_field_index("customer_id")
    if pa.types.is_large_string(table.schema.field(at).type):
        table = table.set_column(at, "customer_id", table.column(at).cast(pa.string()))
    yield from table.to_batches()


def _schema(frame: DataFrame, kinds: Mapping[str, pa.DataType]) -> StructType:
    """The id of a DataFrame, and other columns."""
    from pyspark.sql.types import DoubleType, LongType, StructField, StructType

    first = frame.schema.fields[0]
    columns = [StructField("customer_id", first.dataType)]
    columns += [StructField(name, LongType() if kind == pa.int64() else DoubleType()) for name, kind in kinds.items()]
    return StructType(columns)


@contextmanager
def _arrow_alone() -> Iterator[None]:
    """PySpark says that it does not know pandas 3: what goes between us and it is Arrow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        yield


def _mapped(frame: DataFrame, function: Callable[[Batches], Batches], schema: StructType) -> DataFrame:
    with _arrow_alone():
        return frame.mapInArrow(function, schema)


def _fetched(frame: DataFrame) -> pa.Table:
    with _arrow_alone():
        return frame.toArrow()


def _other(name: str, kind: str, wanted: str) -> UsageError:
    return UsageError(f"Column {name!r} is of the type {kind}, and not {wanted}: cast it before.")
