"""The RFM table: frequency, recency, age and monetary value of each customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.atomic_files import replacing
from lifeworth.display import cards
from lifeworth.errors import DataError, UsageError
from lifeworth.migration_hints import Answers, helpful
from lifeworth.periods import UNIT_NAMES, TimeUnit
from lifeworth.rfm.covariates import Missing, covariates_of, joined_columns
from lifeworth.rfm.lookup import looked_up
from lifeworth.rfm.metadata import RFMMetadata, metadata_of, name_of, rfm_metadata
from lifeworth.tables import arrow_table, check_output, read_table
from lifeworth.transactions import Audit, factorise_ids

RFM_COLUMNS = ("customer_id", "frequency", "recency", "T")
_MONEY = ("monetary_value", "past_spend")
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class RFM(Answers):
    """RFM table with one row per customer, sorted by `customer_id`, with its units and its audit.

    Attributes
    ----------
    customer_id : pandas.Index of shape (n,)
        Customer ids, ascending and distinct.
    frequency : int64 array of shape (n,)
        Number of repeat purchases: periods with a purchase, less the first.
    recency : float64 array of shape (n,)
        Age at the last purchase, in `time_unit`; 0 if frequency is 0.
    T : float64 array of shape (n,)
        Age at `observation_end`, in `time_unit`.
    monetary_value : float64 array of shape (n,) or None
        Mean spend per repeat purchase; 0 if frequency is 0.
    past_spend : float64 array of shape (n,) or None
        Total spend of a customer, including the first purchase.
    time_unit : {"h", "D", "W", "M"}
        Unit of recency and T.
    period : {"h", "D", "W", "M"} or None
        Period within which a customer's transactions count as one purchase; None if unknown.
    observation_end : pandas.Timestamp or None
        First instant of the last period observed; None if unknown.
    currency : str or None
        Currency of amounts.
    audit : Audit
        Audit of the rows from which the table was made.
    covariates : pandas.DataFrame or None
        Covariates of the customers, one row each in the same order; None if there are none.
    row_order : int64 array of shape (n,) or None
        Row of the caller's table for each row; None if the order is the same.

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30", currency="USD")
    >>> rfm
    RFM(2,357 customers, 946 bought again, time_unit="W", up to 1997-09-30)
    >>> len(rfm.take(rfm.frequency >= 10))  # those who came back ten times or more
    29
    >>> rfm.to_pandas().round(2).head(2)
       customer_id  frequency  recency      T  monetary_value
    0            1          2    30.43  38.86           22.34
    1            2          1     1.71  38.86           11.77
    """

    customer_id: pd.Index[Any]
    frequency: npt.NDArray[np.int64]
    recency: npt.NDArray[np.float64]
    T: npt.NDArray[np.float64]
    monetary_value: npt.NDArray[np.float64] | None = None
    past_spend: npt.NDArray[np.float64] | None = None
    time_unit: TimeUnit = "D"
    period: TimeUnit | None = None
    observation_end: pd.Timestamp | None = None
    currency: str | None = None
    audit: Audit = field(default_factory=lambda: Audit(0, 0))
    covariates: pd.DataFrame | None = field(default=None, repr=False)
    row_order: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    _source: Any = field(default=None, repr=False)  # the files of its transactions, which must not be overwritten

    @classmethod
    def _answer(cls, name: str) -> str | None:
        known = name in ("df", "data", "frame") or hasattr(pd.DataFrame, name)
        return "rfm.to_pandas(), the table as a frame of pandas" if known else None

    def __len__(self) -> int:
        return len(self.customer_id)

    def __repr__(self) -> str:
        return self.headline if not self.audit.notes else f"{self.headline[:-1]}; look at audit.notes)"

    @property
    def headline(self) -> str:
        """One line with the number of customers, of repeat customers, the time unit and the end of observation."""
        end = "an unknown date" if self.observation_end is None else f"{self.observation_end:%Y-%m-%d}"
        repeat = int((self.frequency > 0).sum())
        return f'RFM({len(self):,} customers, {repeat:,} bought again, time_unit="{self.time_unit}", up to {end})'

    def _repr_html_(self) -> str:
        unit, money = f"{UNIT_NAMES[self.time_unit]}s", self.currency or "the data's currency"
        again = self.frequency > 0
        columns: list[tuple[str, str, npt.NDArray[Any]]] = [
            ("frequency", "repeat purchases", self.frequency),
            ("recency", f"{unit} from the first purchase to the last, of those who bought again", self.recency[again]),
            ("T", f"{unit} from the first purchase to the end", self.T),
        ]
        if self.monetary_value is not None:
            told = f"{money} per repeat purchase, of those who bought again"
            columns.append(("monetary_value", told, self.monetary_value[again]))
        rows = [
            [name, told, *np.quantile(values, [0.5, 0.9, 1.0]), values.mean(), cards.histogram(values, name)]
            for name, told, values in columns
            if len(values)
        ]
        facts = [
            f"{len(self):,} customers",
            f"{cards.share(int(again.sum()), len(self))} bought again",
            f"time in {unit}",
            f"purchases by {UNIT_NAMES[self.period]}" if self.period else "",
            f"up to {self.observation_end:%Y-%m-%d}" if self.observation_end is not None else "",
            self.currency or "",
        ]
        head = self.to_pandas().head(5)
        first = cards.table(list(head.columns), head.astype(object).to_numpy().tolist())
        return cards.card(
            "RFM table",
            facts,
            cards.table(["", "what it counts", "median", "90 % below", "highest", "mean", "spread"], rows),
            cards.fold("The first customers", first),
            cards.fold("The account of rows", self.audit._account()),
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas frame.

        Returns
        -------
        pandas.DataFrame
            Columns customer_id, frequency, recency, T and, if amounts are known, monetary_value. The units are in
            `attrs["lifeworth"]`, which pandas keeps when writing to Parquet and reading back.
        """
        columns: dict[str, Any] = {
            "customer_id": self.customer_id,
            "frequency": self.frequency,
            "recency": self.recency,
            "T": self.T,
        }
        if self.monetary_value is not None:
            columns["monetary_value"] = self.monetary_value
        frame = pd.DataFrame(columns)
        if self.covariates is not None:
            for name in self.covariates.columns:
                frame[name] = self.covariates[name].array
        frame.attrs.update(self.metadata.to_attrs())
        return frame

    @property
    def metadata(self) -> RFMMetadata:
        """Metadata of the table: its units, its end of observation and its audit."""
        return RFMMetadata(self.time_unit, self.period, self.observation_end, self.currency, self.audit)

    @classmethod
    @helpful
    def from_frame(
        cls,
        data: Any,
        time_unit: TimeUnit | None = None,
        observation_end: Any = None,
        period: TimeUnit | None = None,
        currency: str | None = None,
    ) -> RFM:
        """Create an RFM table from one computed elsewhere (SQL, Spark, pymc-marketing), after checking it.

        Parameters
        ----------
        data : table or path
            Any table, or a path to one, with columns customer_id, frequency, recency, T and, optionally,
            monetary_value (which may be missing where frequency is 0) and past_spend. In a pandas frame without a
            column customer_id, the index holds the ids, as in lifetimes.
        time_unit : {"h", "D", "W", "M"}, optional
            Unit of recency and T. May be omitted if the table states it: Parquet files and Arrow tables of
            `to_parquet`, and frames of `to_pandas`.
        observation_end : date, optional
            Date up to which customers were observed; needed for horizons in calendar months.
        period : {"h", "D", "W", "M"}, optional
            Period in which purchases were counted; by default unknown, since recency and T in weeks may come from
            purchases by day as well as by week.
        currency : str, optional
            Currency of amounts.

        Returns
        -------
        RFM
            Table sorted by customer_id, whatever the order of rows in `data`. If that order differs, margins, costs and
            groups must be given as a Series by customer_id, not as arrays.

        Raises
        ------
        DataError
            The table has problems, which are listed in one message with the first customers affected; or files of one
            folder or pattern disagree about their units.
        UsageError
            A unit, period, end or currency contradicts the metadata of the table.

        Examples
        --------
        >>> import lifeworth as lw, pandas as pd
        >>> made_in_sql = pd.DataFrame({"customer_id": [7, 3], "frequency": [2, 0], "recency": [30.4, 0], "T": [39, 5]})
        >>> lw.RFM.from_frame(made_in_sql, time_unit="W", observation_end="1997-09-30").to_pandas()
           customer_id  frequency  recency     T
        0            3          0      0.0   5.0
        1            7          2     30.4  39.0
        """
        metadata = metadata_of(data).combined(name_of(data), time_unit, observation_end, period, currency)
        return cls.from_metadata(data, metadata)

    @classmethod
    def from_metadata(cls, data: Any, metadata: RFMMetadata) -> RFM:
        """Create an RFM table from one whose units are known; see `from_frame`.

        Parameters
        ----------
        data : table or path
            As in `from_frame`.
        metadata : RFMMetadata
            Units, end of observation, currency and audit of the table.

        Returns
        -------
        RFM
            Table sorted by customer_id.
        """
        if metadata.time_unit is None:
            raise UsageError(f'{name_of(data)} does not say its unit of time: name it, such as time_unit="W".')
        frame = read_table(_with_ids(data))
        missing = [name for name in RFM_COLUMNS if name not in frame.columns]
        if missing:
            purchases = "" if {"frequency", "recency"} - set(missing) else " Purchases become one with rfm_summary."
            raise DataError(
                f"An RFM table needs the columns {', '.join(RFM_COLUMNS)}; missing: {', '.join(missing)}; "
                f"it has: {', '.join(map(str, frame.columns))}.{purchases}"
            )
        if len(frame) == 0:
            raise DataError("The RFM table has no rows: there are no customers in it.")
        numbers = _check_rfm(frame)
        codes, ids = factorise_ids(frame["customer_id"], "customer_id")
        order = np.argsort(codes)
        money = {name: numbers[name][order] if name in numbers else None for name in _MONEY}
        # A column without a name is the index of a CSV file.
        own = {*RFM_COLUMNS, *_MONEY}
        further = [name for name in frame.columns if name not in own and not str(name).startswith("Unnamed:") and name]
        counted = Audit(rows_in=len(frame), rows_used=len(frame), customers=len(frame))
        return cls(
            customer_id=ids,
            frequency=numbers["frequency"][order].astype(np.int64),
            recency=numbers["recency"][order],
            T=numbers["T"][order],
            **money,
            covariates=frame[further].iloc[order].reset_index(drop=True) if further else None,
            time_unit=metadata.time_unit,
            period=metadata.period,
            observation_end=metadata.observation_end,
            currency=metadata.currency,
            audit=metadata.audit or counted,
            row_order=None if np.array_equal(order, np.arange(len(order))) else order,
        )

    @property
    def read_from(self) -> Any:
        """Path, pattern or `Files` from which the transactions were read; None for a table in memory."""
        return self._source

    def take(self, rows: npt.NDArray[Any] | pd.Series[Any]) -> RFM:
        """Return the RFM table of a subset of the customers.

        Parameters
        ----------
        rows : array or Series
            A boolean mask or ascending positions, in the order of this table; or a boolean Series by customer_id.

        Returns
        -------
        RFM
            Table of these customers.
        """
        if isinstance(rows, pd.Series):
            rows = looked_up(rows, self.customer_id, "rows")
        return replace(
            self,
            customer_id=self.customer_id[rows],
            frequency=self.frequency[rows],
            recency=self.recency[rows],
            T=self.T[rows],
            monetary_value=None if self.monetary_value is None else self.monetary_value[rows],
            past_spend=None if self.past_spend is None else self.past_spend[rows],
            covariates=None if self.covariates is None else self.covariates.iloc[rows].reset_index(drop=True),
            row_order=None if self.row_order is None else self.row_order[rows],
        )

    def with_covariates(
        self,
        data: Any,
        on: str = "customer_id",
        *,
        columns: Sequence[str] | None = None,
        date: str | None = None,
        missing: Missing = "error",
    ) -> RFM:
        """Return the table with covariates of its customers, for formulas of models.

        Parameters
        ----------
        data : table or path
            One row per customer; customers that are not in this table are ignored.
        on : str, default "customer_id"
            Column of customer ids.
        columns : list of str, optional
            Columns to take; by default, all others.
        date : str, optional
            Column of dates, if customers have several rows: of each, the last one that is not after `observation_end`
            is taken.
        missing : {"error", "level"}, default "error"
            What to do about customers without a row or a value: raise an error, or give a categorical covariate the
            level "(missing)".

        Returns
        -------
        RFM
            The table with further covariates; those of the same name are replaced.

        Raises
        ------
        DataError
            Columns or customers are missing, a customer has several rows, or a number is missing.
        UsageError
            A column has the name of one of the RFM table's own.

        Examples
        --------
        >>> import lifeworth as lw, pandas as pd
        >>> rfm = lw.RFM.from_frame(
        ...     pd.DataFrame({"customer_id": [3, 7], "frequency": [0, 2], "recency": [0, 30.4], "T": [5, 39]}), "W")
        >>> rfm.with_covariates(pd.DataFrame({"customer_id": [7, 3], "channel": ["shop", "web"]})).to_pandas()
           customer_id  frequency  recency     T channel
        0            3          0      0.0   5.0     web
        1            7          2     30.4  39.0    shop
        """
        frame, notes = covariates_of(
            self.customer_id, data, on, columns, date, missing, self.observation_end, self.period
        )
        return self.with_columns(frame, notes)

    def with_columns(self, frame: pd.DataFrame, notes: Sequence[str] = ()) -> RFM:
        """Return the table with further covariates, one row per customer in its order, and further notes."""
        audit = replace(self.audit, notes=(*self.audit.notes, *notes))
        return replace(self, covariates=joined_columns(self.covariates, frame), audit=audit)

    def to_parquet(self, path: str | Path) -> None:
        """Write the table, its units and its audit to one Parquet file, atomically.

        Parameters
        ----------
        path : str or Path
            The file.

        Raises
        ------
        DataError
            Ids that cannot be written, or text that is not Unicode.
        UsageError
            The file is one of those from which the transactions were read, or lies among them.
        SourceError
            The file cannot be written.
        """
        import pyarrow.parquet as pq

        check_output(path, self.read_from)
        frame = self.to_pandas()
        if self.past_spend is not None:
            frame["past_spend"] = self.past_spend
        frame.attrs = {}
        table = arrow_table(frame)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **self.metadata.to_schema_metadata()})
        with replacing(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read_parquet(cls, path: str | Path) -> RFM:
        """Read a table written by `to_parquet`.

        Parameters
        ----------
        path : str or Path
            A file, or a folder or pattern of files with the same units.

        Returns
        -------
        RFM
            The table.
        """
        metadata = rfm_metadata(path)
        if metadata is None:
            raise DataError(f"{path} is not an RFM table written by lifeworth: use RFM.from_frame and name its unit.")
        return cls.from_metadata(path, metadata)


def _with_ids(data: Any) -> Any:
    """Return a table with ids in a column; in a pandas frame they may be in the index, unless it counts rows."""
    if not isinstance(data, pd.DataFrame) or "customer_id" in data.columns:
        return data
    index = data.index
    if index.nlevels > 1 or (index.name is None and isinstance(index, pd.RangeIndex)):
        return data
    return data.reset_index(drop=True).assign(customer_id=index)


def _other_than_numbers(column: pd.Series[Any]) -> str:
    """Describe a column that pandas would convert to numbers but should not, with the remedy; "" for numbers."""
    if column.dtype == object:
        column = column.infer_objects()
    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, pd.PeriodDtype):
        return f"periods ({column.dtype}), not numbers"
    if kind == "M":
        return f"dates ({column.dtype}), not numbers: recency and T are ages, from the first purchase on"
    if kind == "m":
        return f'durations ({column.dtype}), not numbers: divide them by the time unit, such as pd.Timedelta("7D")'
    if kind == "c":
        return f"complex numbers ({column.dtype})"
    if kind == "b":
        return "True and False, not numbers"
    return ""


def _check_rfm(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """Return the numeric columns, or raise one error with all problems and the first customers affected."""
    problems: list[str] = []
    ids = frame["customer_id"]

    def complain(bad: Any, text: str) -> None:
        mask = np.asarray(bad, dtype=bool)
        if mask.any():
            count, shown = int(mask.sum()), ", ".join(str(value) for value in ids[mask].head(_SHOWN))
            problems.append(f"{text} ({count:,} {'row' if count == 1 else 'rows'}; customer {shown})")

    complain(ids.isna(), "customer_id is missing")
    complain(ids.duplicated() & ids.notna(), "a customer stands in more than one row")
    numbers: dict[str, npt.NDArray[np.float64]] = {}
    for name in (*RFM_COLUMNS[1:], *_MONEY):
        if name not in frame:
            continue
        other = _other_than_numbers(frame[name])
        if other:
            complain(np.ones(len(frame), dtype=bool), f"{name} holds {other}")
            numbers[name] = np.full(len(frame), np.nan)
            continue
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if name == "monetary_value":  # in SQL, the mean over no repeat purchases is NULL
            values = np.where((numbers["frequency"] == 0) & frame[name].isna().to_numpy(), 0.0, values)
        complain(~np.isfinite(values), f"{name} is not a finite number")
        numbers[name] = np.where(np.isfinite(values), values, np.nan)  # NaN: not reported again
    frequency, recency, age = numbers["frequency"], numbers["recency"], numbers["T"]
    complain(frequency < 0, "frequency is negative")
    complain(frequency % 1 > 0, "frequency is not a whole number")
    complain(frequency >= 2**53, "frequency is beyond all counting")
    complain(recency < 0, "recency is negative")
    complain(age < 0, "T is negative")
    complain(recency > np.maximum(age, 0) * (1 + 1e-12), "recency is greater than T")
    complain((frequency == 0) & (recency > 0), "recency is above 0 without a repeat purchase")
    for name in _MONEY:
        complain(numbers.get(name, frequency * 0) < 0, f"{name} is negative")
    if problems:
        raise DataError(f"The RFM table cannot be used: {'; '.join(problems)}.")
    return numbers
