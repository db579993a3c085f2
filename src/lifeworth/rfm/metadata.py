"""Metadata of an RFM table: time unit, period, end of observation and currency, in files and in memory.

Parquet files and Arrow tables store them in the metadata of their schema, pandas frames in `DataFrame.attrs`, which
pandas writes to Parquet and restores. CSV files, Polars frames and DuckDB relations store none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.periods import TIME_UNITS, TimeUnit, check_time_unit, period_ordinal, to_timestamp
from lifeworth.tables import Files, find_files
from lifeworth.transactions import Audit

KEY = "lifeworth"
# Key under which pandas stores the attrs of a frame in Parquet.
_PANDAS_ATTRS = b"PANDAS_ATTRS"


@dataclass(frozen=True)
class RFMMetadata:
    """Metadata of an RFM table; None for what is unknown.

    Attributes
    ----------
    time_unit : TimeUnit or None
        Unit of recency and T.
    period : TimeUnit or None
        Period within which a customer's transactions count as one purchase.
    observation_end : pandas.Timestamp or None
        First instant of the last period observed.
    currency : str or None
        Currency of amounts.
    audit : Audit or None
        Audit of the rows from which the table was made.
    """

    time_unit: TimeUnit | None = None
    period: TimeUnit | None = None
    observation_end: pd.Timestamp | None = None
    currency: str | None = None
    audit: Audit | None = None

    @property
    def units(self) -> RFMMetadata:
        """The metadata without the audit."""
        return replace(self, audit=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as values that JSON can represent."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["observation_end"] = None if self.observation_end is None else self.observation_end.isoformat()
        values["audit"] = None if self.audit is None else self.audit.to_dict()
        return values

    def to_attrs(self) -> dict[str, Any]:
        """Return the entry for `DataFrame.attrs`, without the audit."""
        values = self.to_dict()
        del values["audit"]
        return {KEY: values}

    def to_schema_metadata(self) -> dict[bytes, bytes]:
        """Return metadata of a Parquet or Arrow schema, from which pandas restores `DataFrame.attrs`."""
        return {KEY.encode(): json.dumps(self.to_dict()).encode(), _PANDAS_ATTRS: json.dumps(self.to_attrs()).encode()}

    @classmethod
    def from_dict(cls, values: Any, where: str) -> RFMMetadata:
        """Rebuild the metadata from `to_dict`; every value is checked."""
        try:
            unit, period, end, currency = (
                values[name] for name in ("time_unit", "period", "observation_end", "currency")
            )
            audit = values.get("audit")
            audit = None if audit is None else Audit.from_dict(audit)
            end = None if end is None else to_timestamp(end, "observation_end").tz_localize(None)
            sound = {unit, period} <= {*TIME_UNITS, None} and (currency is None or isinstance(currency, str))
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError):
            sound = False
        if not sound:
            raise DataError(f"{where} is damaged: what lifeworth wrote about its units cannot be read.")
        return cls(unit, period, end, currency, audit)

    def combined(
        self, where: str, time_unit: Any = None, observation_end: Any = None, period: Any = None, currency: Any = None
    ) -> RFMMetadata:
        """Complete the metadata with the values given by the caller.

        Raises
        ------
        UsageError
            A value contradicts the metadata, or is not a valid unit, date or currency.
        """
        unit = self.time_unit if time_unit is None else check_time_unit(time_unit)
        by = self.period if period is None else check_time_unit(period, "period")
        end = self.observation_end
        if observation_end is not None:
            end = to_timestamp(observation_end, "observation_end").tz_localize(None)
        if currency is not None and not isinstance(currency, str):
            raise UsageError(f"currency={currency!r} is not a name of a currency: give text, such as USD.")
        said = [
            (self.time_unit, unit, f'in the time unit "{self.time_unit}", and not in "{unit}"'),
            (self.period, by, f'of purchases by "{self.period}", and not by "{by}"'),
            (self.currency, currency, f"in {self.currency}, and not in {currency}"),
        ]
        for own, given, text in said:
            if own is not None and given is not None and own != given:
                raise UsageError(f"{where} is an RFM table {text}: {_CONTRADICTION}")
        if self.observation_end is not None and end is not None and not _same_period(self.observation_end, end, by):
            raise UsageError(
                f"{where} is an RFM table up to {self.observation_end}: its end cannot be set any more, to {end}; omit "
                "observation_end, or make the table again from transactions."
            )
        return RFMMetadata(unit, by, self.observation_end or end, currency or self.currency, self.audit)


_CONTRADICTION = (
    "omit what is given, or make the table again from transactions (a frame whose values were converted after it was "
    'made: remove "lifeworth" from its attrs or its metadata).'
)


def _same_period(one: pd.Timestamp, other: pd.Timestamp, period: TimeUnit | None) -> bool:
    if period is None:
        return one == other
    return period_ordinal(one, period) == period_ordinal(other, period)


def metadata_of(data: Any) -> RFMMetadata:
    """Return the metadata of any table, or of the files at a path; all None if there are none."""
    if isinstance(data, (str, Path, Files)):
        return rfm_metadata(data) or RFMMetadata()
    if isinstance(data, pd.DataFrame):
        own = data.attrs.get(KEY)
        return RFMMetadata() if own is None else RFMMetadata.from_dict(own, "The attrs of the frame")
    if isinstance(data, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        return _of_schema(data.schema.metadata, "The Arrow table") or RFMMetadata()
    return RFMMetadata()


def name_of(data: Any) -> str:
    """Return how a table is called in error messages."""
    if isinstance(data, Files):
        return str(data.paths[0]) if len(data.paths) == 1 else str(data.paths[0].parent)
    return str(data) if isinstance(data, (str, Path)) else "The table"


def rfm_metadata(path: str | Path | Files) -> RFMMetadata | None:
    """Return the metadata that lifeworth wrote to Parquet files; None for other files, or CSV.

    Raises
    ------
    DataError
        The files disagree, or only some of them have metadata.
    """
    files = find_files(path)
    if files.kind != "parquet":
        return None
    first, first_path = None, None
    audits: list[Audit | None] = []
    for file in files.paths:
        own = _of_file(file)
        if first_path is None:
            first, first_path = own, file
        else:
            _refuse_disagreement(str(path) if isinstance(path, (str, Path)) else "", first, first_path, own, file)
        audits.append(None if own is None else own.audit)
    if first is None:
        return None
    # Files of one table repeat its audit; files of several tables have no common audit.
    return first if all(audit == audits[0] for audit in audits) else first.units


def _refuse_disagreement(
    path: str, one: RFMMetadata | None, one_path: Path, other: RFMMetadata | None, other_path: Path
) -> None:
    start = f"{path}: " if path else ""
    if one is None and other is None:
        return
    if one is None or other is None:
        told, silent = (one_path, other_path) if other is None else (other_path, one_path)
        raise DataError(
            f"{start}{told.name} says in which units it counts time and money, and {silent.name} does not: write all "
            "files with RFM.to_parquet, or use them apart."
        )
    named = {
        "time_unit": "the time unit",
        "period": "the period of purchases",
        "observation_end": "the end of observation",
        "currency": "the currency",
    }
    for name, meaning in named.items():
        values = getattr(one, name), getattr(other, name)
        if values[0] != values[1]:
            raise DataError(
                f"{start}the files are not parts of one RFM table: {meaning} is {_shown(values[0])} in "
                f"{one_path.name} and {_shown(values[1])} in {other_path.name}; use them apart, or make them again "
                "with the same settings."
            )


def _shown(value: Any) -> str:
    return "not known" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def _of_file(path: Path) -> RFMMetadata | None:
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{path} could not be read as Parquet: {error}") from error
    return _of_schema(metadata, str(path))


def _of_schema(metadata: Mapping[bytes, bytes] | None, where: str) -> RFMMetadata | None:
    """Return the metadata in an Arrow or Parquet schema, as written by lifeworth, pandas or PyArrow."""
    metadata = metadata or {}
    try:
        if KEY.encode() in metadata:
            values = json.loads(metadata[KEY.encode()])
        elif _PANDAS_ATTRS in metadata:
            values = json.loads(metadata[_PANDAS_ATTRS]).get(KEY)
        else:
            values = json.loads(metadata.get(b"pandas", b"{}")).get("attributes", {}).get(KEY)
    except (ValueError, AttributeError):
        if KEY.encode() not in metadata:  # invalid attrs of other libraries are ignored
            return None
        values = ()
    return None if values is None else RFMMetadata.from_dict(values, where)
