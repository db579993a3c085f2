"""Tables on Spark, and conversion between Spark and Arrow."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from lifeworth.errors import UsageError
from lifeworth.periods import TimeUnit
from lifeworth.rfm import RFM
from lifeworth.transactions import Audit

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class SparkRFM:
    """An RFM table on Spark, with its units.

    Attributes
    ----------
    frame : a row per customer, in no order: customer_id (whole numbers as bigint), frequency (bigint), recency, T and,
        if there are amounts, monetary_value and past_spend (double).
    time_unit, period, observation_end, currency : as in `lifeworth.RFM`.
    audit : the account of every row and the notes on the data, as in `lifeworth.RFM`; Spark counts once more when it is
        asked for first.
    """

    frame: DataFrame
    time_unit: TimeUnit
    period: TimeUnit | None
    observation_end: pd.Timestamp | None
    currency: str | None = None
    audited: Callable[[], Audit] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def audit(self) -> Audit | None:
        """The account of every row, and the notes on the data."""
        return None if self.audited is None else self.audited()

    @property
    def has_money(self) -> bool:
        """Whether there is monetary_value."""
        return "monetary_value" in self.frame.columns

    def to_local(self) -> RFM:
        """The table in this process, sorted by customer_id: that of `lifeworth.rfm_summary`."""
        table = RFM.from_frame(
            fetched(self.frame).to_pandas(), self.time_unit, self.observation_end, self.period, self.currency
        )
        return table if self.audit is None else replace(table, audit=self.audit)


@dataclass(frozen=True)
class SparkHoldout:
    """What customers did after the end of calibration.

    Attributes
    ----------
    frame : customer_id, frequency and, if there are amounts, spend; unordered.
    length : in time units. start, end : first instants of its first and its last period.
    """

    frame: DataFrame
    length: float
    start: str
    end: str


def functions_of() -> Any:
    """Import PySpark's functions; a `UsageError` if PySpark is not installed."""
    try:
        from pyspark.sql import functions
    except ImportError as error:
        raise UsageError("PySpark is not installed: install lifeworth[spark].") from error
    return functions


def batches_of(frame: pd.DataFrame) -> Batches:
    """A frame as Spark takes it."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    at = table.schema.get_field_index("customer_id")
    if pa.types.is_large_string(table.schema.field(at).type):
        table = table.set_column(at, "customer_id", table.column(at).cast(pa.string()))
    yield from table.to_batches()


def schema_of(frame: DataFrame, kinds: Mapping[str, pa.DataType]) -> StructType:
    """The id of a DataFrame, and other columns."""
    from pyspark.sql.types import DoubleType, LongType, StructField, StructType

    first = frame.schema.fields[0]
    columns = [StructField("customer_id", first.dataType)]
    columns += [StructField(name, LongType() if kind == pa.int64() else DoubleType()) for name, kind in kinds.items()]
    return StructType(columns)


@contextmanager
def _arrow_alone() -> Iterator[None]:
    """Suppress PySpark's warning that it does not support pandas 3: the conversion uses Arrow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        yield


def mapped(frame: DataFrame, function: Callable[[Batches], Batches], schema: StructType) -> DataFrame:
    """What a function makes of each partition."""
    with _arrow_alone():
        return frame.mapInArrow(function, schema)


def fetched(frame: DataFrame) -> pa.Table:
    """All rows, in this process."""
    with _arrow_alone():
        return frame.toArrow()


def other_type(name: str, kind: str, wanted: str) -> UsageError:
    """What to say of a column of another type."""
    return UsageError(f"Column {name!r} is of the type {kind}, and not {wanted}: cast it before.")
