"""The account of rows on Spark: what each task sees of its customers, brought together on the driver."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lifeworth.rfm.audit import REASONS, gap_note
from lifeworth.rfm.data_checks import CustomerFacts, facts_of, noted
from lifeworth.rfm.id_checks import IdFacts
from lifeworth.rfm.row_checks import RowChecks
from lifeworth.rfm.state_folder import MONEY_UNITS
from lifeworth.rfm.summary import table_and_checks
from lifeworth.spark.reading import Source
from lifeworth.spark.tables import Batches, fetched, functions_of, mapped
from lifeworth.transactions import Audit, DataNotes, Reading
from lifeworth.transactions.audit import EXAMPLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_HEAD = 50
_NO_ID = "with a missing customer id"
# Number of ids that are looked up at a time.
_IDS_AT_ONCE = 5_000


@dataclass(frozen=True)
class Account:
    """Where the account of rows comes from.

    Attributes
    ----------
    source : the rows as they are counted. transactions, reading : as they were given.
    settings : the options of reading that tasks need.
    end : of observation. until : whether that is the last date of the rows.
    later : the end of the holdout, if there is one.
    """

    source: Source
    transactions: DataFrame
    reading: Reading
    settings: dict[str, Any]
    end: Any
    until: bool
    later: Any = None

    def audit(self) -> Audit:
        """The account of every row, with the notes that one process would give."""
        frame = self.source.frame
        nobody = frame.where(frame["id"].isNull()).count()
        seen = [_Seen()]
        tasks = mapped(frame.where(frame["id"].isNotNull()).repartition("id"), self._task(), _packed_schema())
        seen += [pickle.loads(packed) for packed in fetched(tasks).column("seen").to_pylist()]  # noqa: S301: our own
        whole = seen[0]
        for one in seen[1:]:
            whole.merge(one)
        if nobody:
            whole.left_out[_NO_ID] += nobody
            examples = ["None"] * min(nobody, EXAMPLES) + whole.examples.get(_NO_ID, [])
            whole.examples[_NO_ID] = examples[:EXAMPLES]
        beside = self._beside()
        gap: tuple[str, ...] = ()
        if self.until and (before := self.source.last_before(self.end)) is not None:
            gap = gap_note(self.end, before, "observation_end")
        notes, suspects = whole.customers.notes(self.until and not gap)
        left_out = {reason: whole.left_out[reason] for reason in REASONS if whole.left_out.get(reason)}
        audit = Audit(
            rows_in=whole.rows_in + nobody,
            rows_used=whole.rows_used,
            left_out=left_out,
            examples={reason: whole.examples[reason] for reason in left_out if reason in whole.examples},
            refunds=whole.refunds,
            refunds_netted=whole.netted / MONEY_UNITS,
            refunds_unmatched=whole.unmatched / MONEY_UNITS,
            customers=whole.customers.customers,
            customers_left_out=whole.customers_left_out,
            notes=(*gap, *beside.sentences(whole.refunds)),
        )
        return noted(audit, (*notes, *whole.ids.notes(self._there)), suspects)

    def _task(self) -> Callable[[Batches], Batches]:
        """What a task does with its rows, whole customers all."""
        nobody, money, end, later = self.source.nobodys_id, self.source.money, self.end, self.later
        about = self.settings

        def look(batches: Batches) -> Batches:
            tables = list(batches)
            if not sum(map(len, tables)):
                return
            schema = tables[0].schema
            rows = [one_of_nobody(schema, nobody, end), *tables]
            reader = pa.RecordBatchReader.from_batches(schema, rows)
            checks = RowChecks(spare=1)
            rfm = table_and_checks(reader, Reading("id", "date", money, **about), end, later, checks)
            audit = rfm.audit
            table = rfm.take(np.asarray(rfm.customer_id != nobody))
            checks.rows -= 1
            seen = _Seen(
                audit.rows_in - 1, audit.rows_used - 1, audit.refunds, audit.customers_left_out,
                Counter(audit.left_out), dict(audit.examples), facts_of(table, whole=False, rows=checks),
                IdFacts.of(table.customer_id), _units(audit.refunds_netted), _units(audit.refunds_unmatched),
            )  # fmt: skip
            yield pa.record_batch({"seen": pa.array([pickle.dumps(seen)], pa.binary())})

        return look

    def _beside(self) -> DataNotes:
        """What further columns say, each of which is looked through once."""
        reading = self.reading
        empty = pa.table({name: pa.array([], pa.null()) for name in dict.fromkeys(self.transactions.columns)})
        notes = reading.data_notes(empty)
        types = {field.name: field.dataType.simpleString() for field in self.transactions.schema.fields}
        text = [name for name in empty.column_names if types[name] == "string" and name not in reading.names]
        text = [name for name in text if name not in notes.columns]
        if text and reading.amount is not None and reading.currency is None:
            functions = functions_of()
            head = fetched(self.transactions.select(*(functions.col(f"`{name}`") for name in text)).limit(_HEAD))
            notes.merge(DataNotes.of(head.select(text), (), reading.amount))
        if not notes.columns:
            return notes
        packed = pickle.dumps(notes)

        def look(batches: Batches) -> Batches:
            seen = pickle.loads(packed)  # noqa: S301: our own
            for batch in batches:
                seen.add(pa.Table.from_batches([batch]))
            yield pa.record_batch({"seen": pa.array([pickle.dumps(seen)], pa.binary())})

        functions = functions_of()
        chosen = self.transactions.select(*(functions.col(f"`{name}`") for name in notes.columns))
        for one in fetched(mapped(chosen, look, _packed_schema())).column("seen").to_pylist():
            notes.merge(pickle.loads(one))  # noqa: S301: our own
        return notes

    def _there(self, plain: list[str]) -> int:
        """How many of some distinct ids are ids of the table."""
        ids = self.source.frame.select("id").distinct()
        parts = [plain[start : start + _IDS_AT_ONCE] for start in range(0, len(plain), _IDS_AT_ONCE)]
        return sum(ids.where(ids["id"].isin(part)).count() for part in parts)


class _Seen:
    """What tasks have seen of their rows."""

    def __init__(
        self,
        rows_in: int = 0,
        rows_used: int = 0,
        refunds: int = 0,
        customers_left_out: int = 0,
        left_out: Counter[str] | None = None,
        examples: dict[str, list[str]] | None = None,
        customers: CustomerFacts | None = None,
        ids: IdFacts | None = None,
        netted: int = 0,
        unmatched: int = 0,
    ) -> None:
        self.netted, self.unmatched = netted, unmatched  # in units of money, so that sums are exact
        self.rows_in, self.rows_used, self.refunds = rows_in, rows_used, refunds
        self.customers_left_out = customers_left_out
        self.left_out = left_out or Counter()
        self.examples = examples or {}
        self.customers = customers or CustomerFacts()
        self.ids = ids or IdFacts()

    def merge(self, other: _Seen) -> None:
        """Add what another task has seen."""
        self.rows_in += other.rows_in
        self.rows_used += other.rows_used
        self.refunds += other.refunds
        self.customers_left_out += other.customers_left_out
        self.left_out += other.left_out
        for reason, values in other.examples.items():
            self.examples[reason] = [*self.examples.get(reason, []), *values][:EXAMPLES]
        self.customers.merge(other.customers)
        self.ids.merge(other.ids)
        self.netted += other.netted
        self.unmatched += other.unmatched


def one_of_nobody(schema: pa.Schema, nobody: Any, when: Any) -> pa.RecordBatch:
    """A purchase of a customer who is in no table, as a batch of the schema."""
    row = {"id": nobody, "date": moment(when, schema.field("date").type), "amount": Decimal(0)}
    arrays = [
        pa.array([float(row[name]) if pa.types.is_floating(kind) else row[name]], kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _units(money: float) -> int:
    return round(money * MONEY_UNITS)


def _packed_schema() -> Any:
    from pyspark.sql.types import BinaryType, StructField, StructType

    return StructType([StructField("seen", BinaryType())])


def moment(when: Any, kind: pa.DataType) -> Any:
    """A time as a column of this type holds it."""
    stamp = pd.Timestamp(when)
    if pa.types.is_date(kind):
        return stamp.date()
    zone = getattr(kind, "tz", None)
    if zone is None or stamp.tzinfo is not None:
        return stamp
    return stamp.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
