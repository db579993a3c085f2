"""An RFM table that grows: yesterday's state and today's transactions give today's table, as counted from the start.

Rows are kept by customer. New rows, late ones and refunds alike, have just their customers counted anew from all of
their rows, by the same kernels, and only what has changed is written; everybody else grows older, and nothing more.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lifeworth import display
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.files import replacing
from lifeworth.rfm.account import note_on_gap
from lifeworth.rfm.engine import Account
from lifeworth.rfm.extract import rfm_summary
from lifeworth.rfm.levels import Customers, Levels, ids_of, index_of, too_small, union
from lifeworth.rfm.notices import with_notices
from lifeworth.rfm.rowstore import Integers, Piece, Rows, gather
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

_FORMAT = 2
_SENTINEL = -1
_REASONS = (
    "with a missing customer id", "with a missing date", "with an unreadable date",
    "with a date outside the years 1 to 9999", "with a missing amount", "with an unreadable or infinite amount",
    "after the end", "dropped as refunds", "in periods that refunds brought to nothing",
)  # fmt: skip


@dataclass
class _Facts:
    """What state.json says."""

    generation: int = 0
    pieces: list[str] = field(default_factory=list)  # of rows, and how many each has
    sizes: list[int] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)  # of customers, and how many each has
    level_sizes: list[int] = field(default_factory=list)
    pending: str | None = None  # customers with rows after the end
    taken: dict[str, Any] = field(default_factory=dict)
    ids: str | None = None  # their type
    zone: str | None = None
    end: int | None = None
    last: int | None = None  # of all rows, those after the end with them
    times: list[int] = field(default_factory=list)  # the last two, in microseconds
    customers: int = 0
    there: int = 0  # in the table: whoever has a purchase up to its end
    rows_in: int = 0
    used: int = 0
    refunds: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Facts:
        return replace(self, taken=dict(self.taken), left_out=dict(self.left_out))

    def add(self, counts: Audit, times: int = 1) -> None:
        """Add what became of rows, or with -1 take it away."""
        self.used += times * counts.rows_used
        self.refunds += times * counts.refunds
        for reason, count in counts.left_out.items():
            self.left_out[reason] = self.left_out.get(reason, 0) + times * count


class RFMState:
    """An RFM table in a folder that takes in transactions as they come.

    Parameters
    ----------
    folder : where it is; it is made with the first transactions.
    customer_id, date, amount, period, time_unit, refunds, date_format, time_zone, decimal, currency : as in
        `rfm_summary`.

    Raises
    ------
    UsageError : a folder whose state was begun with other settings.
    DataError : a damaged state.

    Notes
    -----
    The table is that of `rfm_summary` over all rows taken in, to the last bit, audit included but for its examples.
    Taking in costs what the new rows and their customers' earlier purchases cost, not what there was before (what has
    been written is brought together from time to time, each row about as often as the table has doubled). The table
    itself has a row for every customer, each a day older: to give it costs as much as to copy it, and `take_in` does
    without. A folder holds 24 bytes a row and 60 a customer, and up to half as much again until it is brought together.

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
        self._facts = _Facts()
        self._levels = Levels([])
        self._pieces: list[Piece] = []
        self._pending: Customers | None = None
        if (self.folder / "state.json").exists():
            self._read()

    def __len__(self) -> int:
        return self._facts.there

    def __repr__(self) -> str:
        return f"RFMState({str(self.folder)!r}, {', '.join(self._told)})"

    def _repr_html_(self) -> str:
        account = self._audit()._account() if self._facts.rows_in else ""
        return display.card("An RFM table that grows", [self.folder, *self._told], account)

    @property
    def _told(self) -> list[str]:
        facts = self._facts
        end = [] if facts.end is None else [f"up to {period_start(facts.end, self.settings.period):%Y-%m-%d}"]
        return [f"{facts.rows_in:,} rows", f"{len(self):,} customers", *end]

    @property
    def taken(self) -> dict[str, Any]:
        """What has been taken in, by the names given to `update`."""
        return dict(self._facts.taken)

    @property
    def is_text(self) -> bool:
        """Whether ids are text."""
        return self._facts.ids == "str"

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
        self.take_in(data, observation_end, taken=taken)
        return self.table()

    def take_in(self, data: Any, observation_end: Any = None, *, taken: Mapping[str, Any] | None = None) -> None:
        """Take in transactions as `update` does, and leave the table for later."""
        facts = self._facts.copy()
        touched, new = self._touched(data, facts)
        end = facts.last
        if observation_end is not None:
            edge = wall_clock_edge(observation_end, "observation_end", facts.zone)
            end = period_ordinal(edge, self.settings.period)
        if end is None:
            raise DataError("No transactions have been taken in yet: there is nothing to count.")
        if facts.end is not None and end < facts.end:  # back in time, everybody is another one
            everybody = self._levels.together()
            touched = touched if not len(everybody) else everybody.under(touched)
        old = gather(self._pieces, np.sort(touched.columns["code"]))
        if len(old) and facts.end is not None:
            facts.add(self._count(old, facts.end)[0], -1)
        rows = Rows.joined([old, new])
        counts, table = self._count(rows, end)
        facts.add(counts)
        facts.there -= int(touched.columns["there"].sum())
        changed = self._changed(touched, table, end)
        facts.there += int(changed.columns["there"].sum())
        facts.end = end
        facts.taken |= dict(taken or {})
        self._write(facts, changed, new, np.unique(rows.customer[rows.period > end]))

    def table(self) -> RFM:
        """The table as of the last update."""
        facts, settings = self._facts, self.settings
        if facts.end is None:
            raise DataError("No transactions have been taken in yet: there is nothing to count.")
        if not facts.there:
            raise DataError(f"No customer has a purchase up to {period_start(facts.end, settings.period):%Y-%m-%d}.")
        everybody = self._levels.together()
        ids, columns = everybody.ids, everybody.columns
        if facts.there < len(everybody):
            there = columns["there"].view(bool)
            ids = ids.filter(pa.array(there))
            columns = {name: column[there] for name, column in columns.items()}
        money = settings.amount is not None
        table = RFM(
            customer_id=index_of(ids),
            frequency=_own(columns["frequency"]),
            recency=_own(columns["recency"]),
            T=elapsed(columns["born"], facts.end, settings.period, settings.time_unit),
            monetary_value=_own(columns["mean_spend"]) if money else None,
            past_spend=_own(columns["past_spend"]) if money else None,
            time_unit=settings.time_unit,
            period=settings.period,
            observation_end=period_start(facts.end, settings.period),
            currency=settings.currency,
            audit=self._audit(),
        )
        return with_notices(table)

    # ---- taking in ---------------------------------------------------------------------------------------

    def _touched(self, data: Any, facts: _Facts) -> tuple[Customers, Rows]:
        """Whom new rows speak of, and who has rows that were not counted yet, as known so far; and the new rows."""
        parts = [] if self._pending is None else [self._pending.ids]
        if data is None:
            ids = union(parts) if parts else pa.array([], pa.int64())
            return self._levels.find(ids)[0], Rows.joined([])
        settings = self.settings
        names = (settings.customer_id, settings.date, settings.amount)
        read = read_transactions(data, *names, settings.date_form, settings.decimal)
        kind = str(read.customer_ids.dtype)
        if not (pd.api.types.is_integer_dtype(read.customer_ids.dtype) or kind == "str"):
            raise UsageError("A table that grows takes ids that are whole numbers or text: convert them.")
        if facts.ids is not None and (kind, read.time_zone) != (facts.ids, facts.zone):
            raise DataError("Ids, or the time zone of dates, are of another kind than before: begin the state anew.")
        own = ids_of(read.customer_ids)
        touched, known = self._levels.find(union([*parts, own]))
        touched.columns["code"][~known] = facts.customers + np.arange(int((~known).sum()))
        codes = touched.columns["code"][touched.find(own)[0]][read.customer]
        times = read.when.astype("datetime64[us]")
        period = period_ordinals(times, settings.period)
        facts.ids, facts.zone = kind, read.time_zone
        facts.customers += int((~known).sum())
        facts.rows_in += read.rows_in
        facts.add(Audit(sum(read.left_out.values()), 0, dict(read.left_out)))
        facts.last = int(period.max()) if facts.last is None else max(int(period.max()), facts.last)
        facts.times = sorted({*facts.times, *_last_two(times)})[-2:]
        amount = np.zeros(len(codes)) if read.amount is None else read.amount
        return touched, Rows.joined([Rows(codes, period, amount)])

    # ---- counting ----------------------------------------------------------------------------------------

    def _count(self, rows: Rows, end: int) -> tuple[Audit, RFM | None]:
        """What became of rows at an end; and the table of their customers, by codes."""
        if not len(rows):
            return Audit(0, 0), None
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
        counts = replace(table.audit, rows_in=table.audit.rows_in - 1, rows_used=table.audit.rows_used - 1)
        return counts, table.take(np.asarray(table.customer_id != _SENTINEL))

    def _changed(self, touched: Customers, table: RFM | None, end: int) -> Customers:
        """Those who were counted anew, as they are now."""
        columns = Customers.new(touched.ids).columns
        columns["code"] = codes = touched.columns["code"]
        if table is not None and len(table):
            order = np.argsort(codes)
            at = order[np.searchsorted(codes, np.asarray(table.customer_id, dtype=np.int64), sorter=order)]
            columns["there"][at] = 1
            columns["frequency"][at] = table.frequency
            columns["recency"][at] = table.recency
            columns["born"][at] = _born(table.T, end, self.settings.period, self.settings.time_unit)
            if table.monetary_value is not None and table.past_spend is not None:
                columns["mean_spend"][at] = table.monetary_value
                columns["past_spend"][at] = table.past_spend
        return Customers(touched.ids, columns)

    def _audit(self) -> Audit:
        facts = self._facts
        notes: tuple[str, ...] = ()
        if facts.end == facts.last and facts.times:
            account = Account(np.empty((0, 0), dtype=np.int64), facts.times[-1], facts.times[0], facts.times[0])
            notes = note_on_gap(SimpleNamespace(resolution="us"), account, "observation_end")
        return Audit(
            rows_in=facts.rows_in,
            rows_used=facts.used,
            left_out={reason: facts.left_out[reason] for reason in _REASONS if facts.left_out.get(reason)},
            refunds=facts.refunds,
            customers=facts.there,
            customers_left_out=facts.customers - facts.there,
            notes=notes,
        )

    # ---- files -------------------------------------------------------------------------------------------
    # state.json names all others, and is put in place last: what it does not name was never there.

    def _write(self, facts: _Facts, changed: Customers, new: Rows, pending: Integers) -> None:
        facts.generation += 1
        if len(new):
            last = too_small(facts.sizes, len(new))
            kept = len(facts.sizes) - last
            rows = Rows.joined([gather(self._pieces[kept:]), new]) if last else new
            facts.pieces = [*facts.pieces[:kept], f"rows-{facts.generation}"]
            facts.sizes = [*facts.sizes[:kept], len(rows)]
            rows.write(self.folder / facts.pieces[-1])
        if len(changed):
            last = too_small(facts.level_sizes, len(changed))
            kept = len(facts.level_sizes) - last
            level = self._levels.together(last).under(changed) if last else changed
            facts.levels = [*facts.levels[:kept], f"table-{facts.generation}.arrow"]
            facts.level_sizes = [*facts.level_sizes[:kept], len(level)]
            level.write(self.folder / facts.levels[-1])
        facts.pending = None
        if len(pending):
            facts.pending = f"pending-{facts.generation}.arrow"
            Customers.new(changed.ids.filter(pa.array(np.isin(changed.columns["code"], pending)))).write(
                self.folder / facts.pending
            )
        content = {"format": _FORMAT, "about": self._about, **asdict(facts)}
        with replacing(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        self._open(facts)
        named = {*facts.pieces, *facts.levels, facts.pending}
        for path in self.folder.iterdir():
            if path.name.startswith(("rows-", "table-", "pending-")) and path.name not in named:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _open(self, facts: _Facts) -> None:
        """Look at the files that are named."""
        pieces = [Piece(self.folder / name) for name in facts.pieces]
        levels = Levels([Customers.read(self.folder / name) for name in facts.levels])
        pending = None if facts.pending is None else Customers.read(self.folder / facts.pending)
        self._pieces, self._levels, self._pending, self._facts = pieces, levels, pending, facts

    def _read(self) -> None:
        path = self.folder / "state.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise DataError(f"{path} is of another version of lifeworth: begin the state anew.")
            if content["about"] != self._about:
                raise UsageError(f"{self.folder} was begun with other settings, {content['about']}: choose another.")
            self._open(_Facts(**{each.name: content[each.name] for each in fields(_Facts)}))
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            if isinstance(error, (DataError, UsageError)):
                raise
            raise DataError(f"{path} is damaged: take {self.folder} away, and begin the state anew.") from error
        except OSError as error:
            raise SourceError(f"{path} could not be read: {error.strerror or error}.") from error


def _own(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column that may be written to, and needs no file any more."""
    return column if column.flags.owndata and column.flags.writeable else column.copy()


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
