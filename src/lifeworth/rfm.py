"""The RFM table: how often, how recently, how long and for how much each customer has bought."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.files import replacing
from lifeworth.tables import read_table
from lifeworth.timeunits import (
    TimeUnit,
    check_time_unit,
    elapsed,
    period_ordinal,
    period_ordinals,
    period_start,
    to_timestamp,
)
from lifeworth.transactions import (
    REFUNDS,
    Audit,
    Refunds,
    Transactions,
    factorise_ids,
    read_transactions,
    wall_clock_edge,
)

RFM_COLUMNS = ("customer_id", "frequency", "recency", "T")
_METADATA_KEY = b"lifeworth"
_MONEY = ("monetary_value", "past_spend")
_SHOWN = 3
# Where nothing happens for two years before the last date, that date is rather a slip, or the 9999-12-31 of a database.
_GAP = np.timedelta64(730, "D")
_TOO_MUCH_MONEY = 1e300


@dataclass(frozen=True, eq=False)
class RFM:
    """One row per customer, sorted by `customer_id`; the units and the account of rows travel with it.

    Attributes
    ----------
    customer_id : (n,) Index, ascending, distinct.
    frequency : (n,) int64, repeat purchases: periods with a purchase, less the first.
    recency : (n,) float64, age at the last purchase, in `time_unit` (0 where frequency is 0).
    T : (n,) float64, age at `observation_end`, in `time_unit`.
    monetary_value : (n,) float64 or None, mean spend per repeat purchase (0 where frequency is 0).
    past_spend : (n,) float64 or None, all a customer has spent, the first purchase with it.
    time_unit, period : unit of recency and T; periods within which purchases are one purchase.
    observation_end : first instant of the last period observed, or None where it is not known.
    currency : what money is counted in, or None.
    audit : what happened to every row.
    """

    customer_id: pd.Index[Any]
    frequency: npt.NDArray[np.int64]
    recency: npt.NDArray[np.float64]
    T: npt.NDArray[np.float64]
    monetary_value: npt.NDArray[np.float64] | None = None
    past_spend: npt.NDArray[np.float64] | None = None
    time_unit: TimeUnit = "D"
    period: TimeUnit = "D"
    observation_end: pd.Timestamp | None = None
    currency: str | None = None
    audit: Audit = field(default_factory=lambda: Audit(0, 0))

    def __len__(self) -> int:
        return len(self.customer_id)

    def __repr__(self) -> str:
        end = "an unknown date" if self.observation_end is None else f"{self.observation_end:%Y-%m-%d}"
        repeat = int((self.frequency > 0).sum())
        return f'RFM({len(self):,} customers, {repeat:,} bought again, time_unit="{self.time_unit}", up to {end})'

    def to_pandas(self) -> pd.DataFrame:
        """Columns customer_id, frequency, recency, T and, where money is known, monetary_value."""
        columns: dict[str, Any] = {
            "customer_id": self.customer_id,
            "frequency": self.frequency,
            "recency": self.recency,
            "T": self.T,
        }
        if self.monetary_value is not None:
            columns["monetary_value"] = self.monetary_value
        return pd.DataFrame(columns)

    @classmethod
    def from_frame(
        cls,
        data: Any,
        time_unit: TimeUnit,
        observation_end: Any = None,
        period: TimeUnit | None = None,
        currency: str | None = None,
    ) -> RFM:
        """Take an RFM table made elsewhere (SQL, Spark, pymc-marketing) as it is, after checking it.

        Parameters
        ----------
        data : any table with columns customer_id, frequency, recency, T and, optionally,
            monetary_value (which may be missing where frequency is 0) and past_spend; or a path to one.
        time_unit : the unit that its recency and T are in.
        observation_end : date the table describes; horizons in months need it to follow the calendar.
        period : the periods purchases were counted in; default `time_unit`.

        Raises
        ------
        DataError : every problem of the table in one message, with the first offending customers.
        """
        unit = check_time_unit(time_unit)
        frame = read_table(data)
        missing = [name for name in RFM_COLUMNS if name not in frame.columns]
        if missing:
            raise DataError(
                f"An RFM table needs the columns {', '.join(RFM_COLUMNS)}; missing: {', '.join(missing)}; "
                f"it has: {', '.join(map(str, frame.columns))}."
            )
        if len(frame) == 0:
            raise DataError("The RFM table has no rows: there are no customers in it.")
        numbers = _check_rfm(frame)
        codes, ids = factorise_ids(frame["customer_id"], "customer_id")
        order = np.argsort(codes)
        money = {name: numbers[name][order] if name in numbers else None for name in _MONEY}
        end = None if observation_end is None else to_timestamp(observation_end, "observation_end").tz_localize(None)
        return cls(
            customer_id=ids,
            frequency=numbers["frequency"][order].astype(np.int64),
            recency=numbers["recency"][order],
            T=numbers["T"][order],
            **money,
            time_unit=unit,
            period=unit if period is None else check_time_unit(period, "period"),
            observation_end=end,
            currency=currency,
            audit=Audit(rows_in=len(frame), rows_used=len(frame), customers=len(frame)),
        )

    def take(self, rows: npt.NDArray[Any]) -> RFM:
        """The RFM table of some of the customers; `rows` is a boolean mask, or ascending positions."""
        return replace(
            self,
            customer_id=self.customer_id[rows],
            frequency=self.frequency[rows],
            recency=self.recency[rows],
            T=self.T[rows],
            monetary_value=None if self.monetary_value is None else self.monetary_value[rows],
            past_spend=None if self.past_spend is None else self.past_spend[rows],
        )

    def to_parquet(self, path: str | Path) -> None:
        """Write the table, its units and its audit into one Parquet file, all or nothing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        frame = self.to_pandas()
        if self.past_spend is not None:
            frame["past_spend"] = self.past_spend
        table = pa.Table.from_pandas(frame, preserve_index=False)
        about = {
            "time_unit": self.time_unit,
            "period": self.period,
            "observation_end": None if self.observation_end is None else self.observation_end.isoformat(),
            "currency": self.currency,
            "audit": self.audit.to_dict(),
        }
        table = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(about).encode()}
        )
        with replacing(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read_parquet(cls, path: str | Path) -> RFM:
        """Read what `to_parquet` wrote."""
        about = rfm_metadata(path)
        if about is None:
            raise DataError(f"{path} is not an RFM table written by lifeworth: use RFM.from_frame and name its unit.")
        rfm = cls.from_frame(path, about["time_unit"], about["observation_end"], about["period"], about["currency"])
        return replace(rfm, audit=Audit.from_dict(about["audit"]))


def rfm_metadata(path: str | Path) -> dict[str, Any] | None:
    """What lifeworth wrote about the RFM table in a Parquet file; None if it is something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{path} could not be read as Parquet: {error}") from error
    if _METADATA_KEY not in metadata:
        return None
    try:
        about = json.loads(metadata[_METADATA_KEY])
    except ValueError:
        about = None
    if not isinstance(about, dict) or not about.keys() >= {
        "time_unit",
        "period",
        "observation_end",
        "currency",
        "audit",
    }:
        raise DataError(f"{path} is damaged: what lifeworth wrote about its units cannot be read.")
    return about


def _check_rfm(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """Its columns of numbers; or every problem, with the first customers that show it, in one message."""
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
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if name == "monetary_value":  # in SQL, the mean of no repeat purchase is NULL
            values = np.where((numbers["frequency"] == 0) & frame[name].isna().to_numpy(), 0.0, values)
        complain(~np.isfinite(values), f"{name} is not a finite number")
        numbers[name] = np.where(np.isfinite(values), values, np.nan)  # NaN: no more complaints
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


@dataclass(frozen=True)
class _Counted:
    """Per-customer counts of calibration and holdout, on whole periods."""

    transactions: Transactions
    counts: npt.NDArray[np.int64]
    spend: npt.NDArray[np.float64]
    train_end: int
    audit: Audit

    @property
    def bought(self) -> npt.NDArray[np.bool_]:
        return self.counts[:, 0] > 0


def _count(
    transactions: Transactions, period: TimeUnit, train_end: int | None, test_end: int | None, refunds: Refunds
) -> _Counted:
    """Sort the rows and count purchases on both sides of `train_end` (the last period, if None)."""
    from lifeworth.kernels.rfm import summarise

    periods = period_ordinals(transactions.when, period)
    if train_end is None:
        train_end = int(periods.max())
    last = train_end if test_end is None else test_end
    codes = transactions.customer
    amounts = np.zeros(len(codes)) if transactions.amount is None else transactions.amount
    left_out, examples = dict(transactions.left_out), dict(transactions.examples)

    def leave_out(reason: str, gone: npt.NDArray[np.bool_], shown: npt.NDArray[Any]) -> None:
        if gone.any():
            left_out[reason] = int(gone.sum())
            examples[reason] = [str(value) for value in shown[gone][:_SHOWN]]

    later = periods > last
    leave_out("after the end", later, transactions.when)
    refund = (amounts < 0) & ~later
    if refund.any() and refunds == "error":
        who = ", ".join(str(transactions.customer_ids[code]) for code in codes[refund][:_SHOWN])
        raise DataError(
            f"{int(refund.sum()):,} rows have a negative amount (first customers: {who}): take them out, or say "
            'refunds="net" (they lower the spend of their own period) or refunds="drop" (they are left out).'
        )
    keep = ~later
    if refunds == "drop":
        leave_out("dropped as refunds", refund, amounts)
        keep &= ~refund
    codes, periods, amounts = codes[keep], periods[keep], amounts[keep]
    # Amounts are part of the order so that sums do not depend on the order the rows came in.
    order = np.lexsort((amounts, periods, codes))
    counts, spend, rows = summarise(
        codes[order], periods[order], amounts[order], len(transactions.customer_ids), train_end, last
    )
    if rows[1]:
        left_out["in periods that refunds brought to nothing"] = int(rows[1])
    beyond = int((periods > train_end).sum())
    if beyond:
        left_out["in the holdout"] = beyond
    customers = int((counts[:, 0] > 0).sum())
    audit = Audit(
        rows_in=transactions.rows_in,
        rows_used=int(rows[0]),
        left_out=left_out,
        examples=examples,
        refunds=int(refund.sum()),
        customers=customers,
        customers_left_out=len(transactions.customer_ids) - customers,
        notes=transactions.notes,
    )
    return _Counted(transactions, counts, spend, train_end, audit)


def _to_rfm(counted: _Counted, period: TimeUnit, time_unit: TimeUnit, currency: str | None) -> RFM:
    has = counted.bought
    if not has.any():
        end = period_start(counted.train_end, period)
        raise DataError(f"No customer has a purchase up to {end:%Y-%m-%d}: {counted.audit}")
    counts, spend = counted.counts[has], counted.spend[has]
    if not np.abs(spend).max() < _TOO_MUCH_MONEY:
        raise DataError("The amounts are too large to be added up: look for a number that is no amount of money.")
    frequency = counts[:, 0] - 1
    money = counted.transactions.amount is not None
    return RFM(
        customer_id=counted.transactions.customer_ids[has],
        frequency=frequency,
        recency=elapsed(counts[:, 1], counts[:, 2], period, time_unit),
        T=elapsed(counts[:, 1], counted.train_end, period, time_unit),
        monetary_value=spend[:, 1] / np.maximum(frequency, 1) if money else None,
        past_spend=spend[:, 0] + spend[:, 1] if money else None,
        time_unit=time_unit,
        period=period,
        observation_end=period_start(counted.train_end, period),
        currency=currency,
        audit=counted.audit,
    )


def _settings(period: str, time_unit: str, refunds: Refunds) -> tuple[TimeUnit, TimeUnit, Refunds]:
    if refunds not in REFUNDS:
        raise UsageError(f'refunds={refunds!r} is not a policy: use "net", "drop" or "error".')
    return check_time_unit(period, "period"), check_time_unit(time_unit), refunds


def rfm_summary(
    data: Any,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    observation_end: Any = None,
    refunds: Refunds = "net",
    *,
    date_format: str | None = None,
    currency: str | None = None,
) -> RFM:
    """Summarise transactions to one row per customer.

    Parameters
    ----------
    data : pandas, Polars or PyArrow table, DuckDB relation, or a path to a Parquet or CSV file.
    customer_id, date, amount : column names; `amount=None` gives a table without money.
    period : purchases of a customer within one of these are one purchase: "h", "D", "W" (Monday
        to Sunday), "M" (calendar month).
    time_unit : the unit of recency and T, unrounded: period "D" with unit "W" is days / 7.
    observation_end : the last date observed; default, the last date in the data. Later rows are
        left out, and counted in the audit. The whole period it falls in is observed.
    refunds : what rows with a negative amount do. "net": they lower the spend of their own period,
        and a period they bring to nothing or less is no purchase; "drop": they are left out;
        "error": they are refused. An order for nothing (amount 0, no refund) is a purchase.
    date_format : strptime format where dates are text other than year-month-day.
    currency : name of the currency, carried along.

    Returns
    -------
    RFM

    Raises
    ------
    DataError : missing columns, unreadable columns, no usable rows.
    UsageError : a unit, date or policy that does not exist.

    Source
    ------
    Definitions: Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing
    Science 24(2), section 2; monetary value: Fader & Hardie (2013), note 025.

    Examples
    --------
    >>> import pandas as pd
    >>> purchases = pd.DataFrame({
    ...     "customer_id": ["ann", "ann", "bob"],
    ...     "date": ["2026-01-05", "2026-01-19", "2026-01-12"],
    ...     "amount": [20.0, 30.0, 15.0]})
    >>> rfm_summary(purchases, observation_end="2026-02-02").to_pandas()
      customer_id  frequency  recency    T  monetary_value
    0         ann          1      2.0  4.0            30.0
    1         bob          0      0.0  3.0             0.0
    """
    period, time_unit, refunds = _settings(period, time_unit, refunds)
    transactions = read_transactions(data, customer_id, date, amount, date_format)
    if observation_end is None:
        transactions, end = _with_note_on_gap(transactions, "observation_end"), None
    else:
        end = period_ordinal(wall_clock_edge(observation_end, "observation_end", transactions), period)
    return _to_rfm(_count(transactions, period, end, None, refunds), period, time_unit, currency)


def train_test_split(
    data: Any,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    period: TimeUnit = "D",
    time_unit: TimeUnit = "W",
    refunds: Refunds = "net",
    *,
    train_end: Any,
    test_end: Any = None,
    date_format: str | None = None,
    currency: str | None = None,
) -> tuple[RFM, pd.DataFrame]:
    """Split transactions into a calibration RFM table and what its customers then did.

    Parameters
    ----------
    data, customer_id, date, amount, period, time_unit, refunds : as in `rfm_summary`.
    train_end : calibration ends with the period this date falls in.
    test_end : the holdout ends with the period this date falls in; default, the last date.

    Returns
    -------
    calibration : RFM, as of `train_end`.
    holdout : frame with customer_id, frequency (purchases) and, where money is known, spend: one
        row per calibration customer in the same order, 0 where nothing was bought. Its `attrs`
        hold the holdout's "length" in time units, "start" and "end".

    Raises
    ------
    DataError : no customer before `train_end`, or no time after it.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration, holdout = lw.train_test_split(lw.load_cdnow(), train_end="1997-09-30")
    >>> len(calibration), int(holdout["frequency"].sum()), holdout.attrs["length"]
    (23570, 19684, 39.0)
    """
    period, time_unit, refunds = _settings(period, time_unit, refunds)
    transactions = read_transactions(data, customer_id, date, amount, date_format)
    edge = period_ordinal(wall_clock_edge(train_end, "train_end", transactions), period)
    if test_end is None:
        transactions = _with_note_on_gap(transactions, "test_end")
        last = int(period_ordinals(transactions.when, period).max())
    else:
        last = period_ordinal(wall_clock_edge(test_end, "test_end", transactions), period)
    if last <= edge:
        raise DataError(
            f"There is no holdout: train_end {period_start(edge, period):%Y-%m-%d} is not before the end of "
            f"the data or of the test, {period_start(last, period):%Y-%m-%d}. Choose an earlier train_end."
        )
    counted = _count(transactions, period, edge, last, refunds)
    calibration = _to_rfm(counted, period, time_unit, currency)
    columns: dict[str, Any] = {
        "customer_id": calibration.customer_id,
        "frequency": counted.counts[counted.bought, 3],
    }
    if transactions.amount is not None:
        columns["spend"] = counted.spend[counted.bought, 2]
    holdout = pd.DataFrame(columns)
    holdout.attrs["length"] = float(elapsed(np.array([edge]), last, period, time_unit)[0])
    holdout.attrs["start"] = period_start(edge + 1, period).isoformat()
    holdout.attrs["end"] = period_start(last, period).isoformat()
    return calibration, holdout


def _with_note_on_gap(transactions: Transactions, argument: str) -> Transactions:
    """A note where the last date, which is about to end the observed time, stands far from all others."""
    last = transactions.when.max()
    earlier = transactions.when[transactions.when < last]
    if len(earlier) == 0 or last - earlier.max() < _GAP:
        return transactions
    days = [np.datetime_as_string(when, unit="D") for when in (last, earlier.max())]
    note = f"Observation ends with the last date, {days[0]}, long after the one before it, {days[1]}: see {argument}."
    return replace(transactions, notes=(*transactions.notes, note))
