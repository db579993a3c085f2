"""An RFM table that grows: yesterday's state and today's transactions give today's table, as counted from the start.

Rows are kept by customer. New rows, late ones and refunds alike, have just their customers counted anew from all of
their rows, by the same kernels; everybody else grows older, and nothing more.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lifeworth import display
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.files import replacing
from lifeworth.rfm.account import note_on_gap
from lifeworth.rfm.engine import Account
from lifeworth.rfm.extract import rfm_summary
from lifeworth.rfm.notices import with_notices
from lifeworth.rfm.rowstore import Integers, Piece, Rows, find, gather
from lifeworth.rfm.settings import Settings
from lifeworth.rfm.table import RFM
from lifeworth.timeunits import (
    TimeUnit,
    elapsed,
    hours_per,
    period_ordinal,
    period_ordinals,
    period_start,
    period_starts,
)
from lifeworth.transactions import Audit, DecimalMark, Refunds, read_transactions, wall_clock_edge

_FORMAT = 1
# Pieces are brought together when there are so many of them, or when the later ones hold this share of the rows.
_MOST_PIECES, _MOST_LATER = 32, 0.5
_TABLE = {
    "frequency": np.int64,
    "recency": np.float64,
    "born": np.int64,
    "mean_spend": np.float64,
    "past_spend": np.float64,
}
_SENTINEL = -1
_REASONS = (
    "with a missing customer id", "with a missing date", "with an unreadable date",
    "with a date outside the years 1 to 9999", "with a missing amount", "with an unreadable or infinite amount",
    "after the end", "dropped as refunds", "in periods that refunds brought to nothing",
)  # fmt: skip


@dataclass
class _Counts:
    """How many rows there are of which fate."""

    used: int = 0
    refunds: int = 0
    left_out: dict[str, int] | None = None

    def add(self, other: _Counts, times: int = 1) -> None:
        """Add, or with -1 take away."""
        self.used += times * other.used
        self.refunds += times * other.refunds
        mine = self.left_out or {}
        self.left_out = {
            reason: mine.get(reason, 0) + times * (other.left_out or {}).get(reason, 0)
            for reason in {**mine, **(other.left_out or {})}
        }


class RFMState:
    """An RFM table in a folder that takes in transactions as they come.

    Parameters
    ----------
    folder : where it is; it is made with the first transactions.
    customer_id, date, amount, period, time_unit, refunds, date_format, time_zone, decimal, currency : as in
        `rfm_summary`.

    Attributes
    ----------
    taken : what has been taken in, by the names given to `update`.

    Raises
    ------
    UsageError : a folder whose state was begun with other settings.
    DataError : a damaged state.

    Notes
    -----
    The table is that of `rfm_summary` over all rows taken in, to the last bit, audit included but for its examples.
    The time it takes goes with the new rows and with what their customers have bought before; giving everybody's age,
    and writing the table, goes with the customers. A folder holds 24 bytes a row and 60 a customer.

    Examples
    --------
    >>> import lifeworth as lw, tempfile
    >>> cdnow = lw.load_cdnow(sample=True)
    >>> state = lw.RFMState(tempfile.mkdtemp())
    >>> before = state.update(cdnow[cdnow["date"] < "1997-12-31"])
    >>> today = state.update(cdnow[cdnow["date"] >= "1997-12-31"])
    >>> today.to_pandas().equals(lw.rfm_summary(cdnow).to_pandas())
    True
    """

    def __init__(
        self,
        folder: str | Path,
        customer_id: str = "customer_id",
        date: str = "date",
        amount: str | None = "amount",
        period: TimeUnit = "D",
        time_unit: TimeUnit = "W",
        refunds: Refunds = "net",
        *,
        date_format: str | None = None,
        time_zone: str | None = None,
        decimal: DecimalMark | None = None,
        currency: str | None = None,
    ) -> None:
        names = (customer_id, date, amount)
        self.settings = Settings(
            *names,
            period,
            time_unit,
            refunds,
            "keep",
            date_format,
            currency,
            None,
            decimal=decimal,
            time_zone=time_zone,
        )
        self.folder = Path(folder)
        self.taken: dict[str, Any] = {}
        self._about: dict[str, Any] = {
            "period": period,
            "time_unit": time_unit,
            "refunds": refunds,
            "money": amount is not None,
        }
        if decimal is not None:
            self._about["decimal"] = decimal
        if time_zone is not None:
            self._about["time_zone"] = time_zone
        self._ids: pd.Index[Any] = pd.Index([])
        self._code = np.empty(0, dtype=np.int64)
        self._there = np.empty(0, dtype=bool)  # in the table: whoever has a purchase up to its end
        self._columns: dict[str, npt.NDArray[Any]] = {k: np.empty(0, dtype=kind) for k, kind in _TABLE.items()}
        self._pieces: list[str] = []
        self._counts, self._rows_in = _Counts(left_out={}), 0
        self._end: int | None = None
        self._last: int | None = None  # of all rows, those after the end with them
        self._times: list[int] = []  # the last two, in microseconds
        self._zone: str | None = None
        self._pending = np.empty(0, dtype=np.int64)  # customers with rows after the end
        self._generation = 0
        if (self.folder / "state.json").exists():
            self._read()

    def __len__(self) -> int:
        return int(self._there.sum())

    def __repr__(self) -> str:
        return f"RFMState({str(self.folder)!r}, {', '.join(self._facts)})"

    def _repr_html_(self) -> str:
        account = self._audit()._account() if self._rows_in else ""
        return display.card("An RFM table that grows", [self.folder, *self._facts], account)

    @property
    def _facts(self) -> list[str]:
        end = [] if self._end is None else [f"up to {period_start(self._end, self.settings.period):%Y-%m-%d}"]
        return [f"{self._rows_in:,} rows", f"{len(self):,} customers", *end]

    @property
    def is_text(self) -> bool:
        """Whether ids are text."""
        return str(self._ids.dtype) == "str"

    def update(self, data: Any, observation_end: Any = None, *, taken: Mapping[str, Any] | None = None) -> RFM:
        """Take in transactions, and give the RFM table of all that have been.

        Parameters
        ----------
        data : new transactions, as `rfm_summary` takes them; None where there are none.
        observation_end : as in `rfm_summary`.
        taken : names of what `data` is, kept with the state: with them, nothing need be taken in twice.

        Raises
        ------
        DataError : transactions that cannot be read, or ids of another kind than those before. Nothing was taken in.
        """
        new = Rows.joined([])
        if data is not None:
            new = self._taken_in(data)
        touched = np.union1d(new.customer, self._pending)
        end = self._last
        if observation_end is not None:
            edge = wall_clock_edge(observation_end, "observation_end", self._zone)
            end = period_ordinal(edge, self.settings.period)
        if end is None:
            raise DataError("No transactions have been taken in yet: there is nothing to count.")
        if self._end is not None and end < self._end:
            touched = np.sort(self._code)
        pieces = [Piece(self.folder / name) for name in self._pieces]
        old = gather(pieces, touched)
        if len(old) and self._end is not None:
            self._counts.add(self._count(old, self._end)[0], -1)
        rows = Rows.joined([old, new])
        counts, table = self._count(rows, end)
        self._counts.add(counts)
        self._put(touched, table, end)
        self._pending = np.unique(rows.customer[rows.period > end])
        self._end = end
        self.taken |= dict(taken or {})
        self._write(new, pieces)
        return self.table()

    def table(self) -> RFM:
        """The table as of the last update."""
        if self._end is None:
            raise DataError("No transactions have been taken in yet: there is nothing to count.")
        there, settings = self._there, self.settings
        if not there.any():
            raise DataError(f"No customer has a purchase up to {period_start(self._end, settings.period):%Y-%m-%d}.")
        money = settings.amount is not None
        table = RFM(
            customer_id=self._ids[there],
            frequency=self._columns["frequency"][there],
            recency=self._columns["recency"][there],
            T=elapsed(self._columns["born"][there], self._end, settings.period, settings.time_unit),
            monetary_value=self._columns["mean_spend"][there] if money else None,
            past_spend=self._columns["past_spend"][there] if money else None,
            time_unit=settings.time_unit,
            period=settings.period,
            observation_end=period_start(self._end, settings.period),
            currency=settings.currency,
            audit=self._audit(),
        )
        return with_notices(table)

    # ---- taking in ---------------------------------------------------------------------------------------

    def _taken_in(self, data: Any) -> Rows:
        """New rows by codes of customers; new customers get their places."""
        settings = self.settings
        names = (settings.customer_id, settings.date, settings.amount)
        read = read_transactions(data, *names, settings.date_form, settings.decimal)
        if not (pd.api.types.is_integer_dtype(read.customer_ids.dtype) or read.customer_ids.dtype == "str"):
            raise UsageError("A table that grows takes ids that are whole numbers or text: convert them.")
        if len(self._ids) and (read.customer_ids.dtype != self._ids.dtype or read.time_zone != self._zone):
            raise DataError("Ids, or the time zone of dates, are of another kind than before: begin the state anew.")
        codes = self._codes(read.customer_ids)[read.customer]
        times = read.when.astype("datetime64[us]")
        period = period_ordinals(times, settings.period)
        self._zone = read.time_zone
        self._rows_in += read.rows_in
        self._counts.add(_Counts(left_out=dict(read.left_out)))
        self._last = max(int(period.max()), self._last if self._last is not None else int(period.max()))
        self._times = sorted({*self._times, *_last_two(times)})[-2:]
        amount = np.zeros(len(codes)) if read.amount is None else read.amount
        return Rows.joined([Rows(codes, period, amount)])

    def _codes(self, ids: pd.Index[Any]) -> Integers:
        """Codes of distinct, ascending ids; those who are new get the next ones."""
        if not len(self._ids):
            self._ids = ids[:0]
        at, known = find(self._ids.to_numpy(), ids.to_numpy())
        codes = np.empty(len(ids), dtype=np.int64)
        codes[known] = self._code[at[known]]
        codes[~known] = len(self._code) + np.arange(int((~known).sum()))
        if not known.all():
            places = at[~known]
            merged = np.insert(self._ids.to_numpy(), places, ids.to_numpy()[~known])
            self._ids = pd.Index(merged, dtype=ids.dtype)
            self._code = np.insert(self._code, places, codes[~known])
            self._there = np.insert(self._there, places, False)
            self._columns = {name: np.insert(column, places, 0) for name, column in self._columns.items()}
        return codes

    # ---- counting ----------------------------------------------------------------------------------------

    def _count(self, rows: Rows, end: int) -> tuple[_Counts, RFM | None]:
        """The table of some customers at an end, from all of their rows; and what became of those."""
        if not len(rows):
            return _Counts(left_out={}), None
        settings = self.settings
        refunded = (rows.amount < 0) & (rows.period <= end)
        if settings.refunds == "error" and refunded.any():
            raise DataError(
                f"{int(refunded.sum()):,} rows have a negative amount: take them out, or say "
                'refunds="net" (they lower the spend of their own period) or refunds="drop" (they are left out).'
            )
        # One customer more, who is always in the table: where nobody else is, there would be none.
        customers = np.append(rows.customer, _SENTINEL)
        first = min(int(rows.period.min()), end)
        dates = period_starts(np.append(rows.period, first), settings.period)
        columns: dict[str, Any] = {"customer": customers, "date": pa.array(dates)}
        if settings.amount is not None:
            columns["amount"] = np.append(rows.amount, 1.0)
        table = rfm_summary(
            pa.table(columns),
            "customer",
            "date",
            "amount" if settings.amount is not None else None,
            settings.period,
            settings.time_unit,
            period_start(end, settings.period),
            settings.refunds,
        )
        audit = table.audit
        counts = _Counts(audit.rows_used - 1, audit.refunds, dict(audit.left_out))
        return counts, table.take(np.asarray(table.customer_id != _SENTINEL))

    def _put(self, touched: Integers, table: RFM | None, end: int) -> None:
        """Let the customers counted anew take the place of what was known of them."""
        if not len(touched):
            return
        place = np.empty(len(self._code), dtype=np.int64)
        place[self._code] = np.arange(len(self._code))
        self._there[place[touched]] = False
        if table is None or not len(table):
            return
        at = place[np.asarray(table.customer_id, dtype=np.int64)]
        self._there[at] = True
        self._columns["frequency"][at] = table.frequency
        self._columns["recency"][at] = table.recency
        self._columns["born"][at] = _born(table.T, end, self.settings.period, self.settings.time_unit)
        if table.monetary_value is not None and table.past_spend is not None:
            self._columns["mean_spend"][at] = table.monetary_value
            self._columns["past_spend"][at] = table.past_spend

    def _audit(self) -> Audit:
        counts = self._counts.left_out or {}
        notes: tuple[str, ...] = ()
        if self._end == self._last and self._times:
            account = Account(np.empty((0, 0), dtype=np.int64), self._times[-1], self._times[0], self._times[0])
            notes = note_on_gap(SimpleNamespace(resolution="us"), account, "observation_end")
        return Audit(
            rows_in=self._rows_in,
            rows_used=self._counts.used,
            left_out={reason: counts[reason] for reason in _REASONS if counts.get(reason)},
            refunds=self._counts.refunds,
            customers=int(self._there.sum()),
            customers_left_out=int((~self._there).sum()),
            notes=notes,
        )

    # ---- files -------------------------------------------------------------------------------------------
    # state.json names all others, and is put in place last: what it does not name was never there.

    def _write(self, new: Rows, pieces: list[Piece]) -> None:
        self._generation += 1
        sizes = [len(piece) for piece in pieces]
        later = len(new) + sum(sizes[1:])
        if len(new):
            if pieces and (len(pieces) >= _MOST_PIECES or later > _MOST_LATER * sizes[0]):
                new, self._pieces = Rows.joined([gather(pieces), new]), []
            name = f"rows-{self._generation}"
            new.write(self.folder / name)
            self._pieces = [*self._pieces, name]
        table = {"customer_id": self._ids, "code": self._code, "there": self._there, **self._columns}
        with replacing(self.folder / f"table-{self._generation}.parquet") as temporary:
            pq.write_table(pa.Table.from_pandas(pd.DataFrame(table), preserve_index=False), temporary)
        content = {
            "format": _FORMAT,
            "about": self._about,
            "generation": self._generation,
            "pieces": self._pieces,
            "taken": self.taken,
            "rows_in": self._rows_in,
            "used": self._counts.used,
            "refunds": self._counts.refunds,
            "left_out": self._counts.left_out,
            "end": self._end,
            "last": self._last,
            "times": self._times,
            "zone": self._zone,
            "pending": self._pending.tolist(),
        }
        with replacing(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        named = {*self._pieces, f"table-{self._generation}.parquet"}
        for path in self.folder.iterdir():
            if path.name.startswith(("rows-", "table-")) and path.name not in named:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _read(self) -> None:
        path = self.folder / "state.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise DataError(f"{path} is of another version of lifeworth: begin the state anew.")
            if content["about"] != self._about:
                raise UsageError(f"{self.folder} was begun with other settings, {content['about']}: choose another.")
            self._generation, self._pieces = content["generation"], content["pieces"]
            frame = pd.read_parquet(self.folder / f"table-{self._generation}.parquet")
            self._ids = pd.Index(frame["customer_id"], name=None)
            self._code = frame["code"].to_numpy(dtype=np.int64)
            self._there = frame["there"].to_numpy(dtype=bool).copy()
            self._columns = {name: frame[name].to_numpy(dtype=kind).copy() for name, kind in _TABLE.items()}
            self.taken, self._rows_in = content["taken"], content["rows_in"]
            self._counts = _Counts(content["used"], content["refunds"], content["left_out"])
            self._end, self._last = content["end"], content["last"]
            self._times, self._zone = content["times"], content["zone"]
            self._pending = np.array(content["pending"], dtype=np.int64)
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            if isinstance(error, (DataError, UsageError)):
                raise
            raise DataError(f"{path} is damaged: take {self.folder} away, and begin the state anew.") from error
        except OSError as error:
            raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error


def _last_two(times: npt.NDArray[np.datetime64]) -> list[int]:
    """The last two distinct times, as microseconds."""
    ticks = times.astype(np.int64)
    last = int(ticks.max())
    before = ticks[ticks < last]
    return [int(before.max()), last] if len(before) else [last]


def _born(age: npt.NDArray[np.float64], end: int, period: TimeUnit, unit: TimeUnit) -> Integers:
    """First periods from ages at an end: `elapsed` the other way round. Ages are whole periods but for rounding."""
    if period == unit:
        return end - np.rint(age).astype(np.int64)
    hours = np.rint(age * hours_per(unit)).astype(np.int64)
    if period != "M":
        return np.asarray(end - hours // int(hours_per(period)), dtype=np.int64)
    starts = period_starts([end], "M").astype("datetime64[h]") - hours.astype("timedelta64[h]")
    return period_ordinals(starts, "M")
