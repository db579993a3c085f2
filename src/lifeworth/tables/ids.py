"""Ids of customers in Arrow tables: their type does not depend on the rows that are written together."""

from __future__ import annotations

import decimal
import uuid
from typing import Any

import pandas as pd
import pyarrow as pa

from lifeworth.errors import DataError

_ID = "customer_id"
# Digits that a decimal of Arrow has at most, in 128 and in 256 bits.
_DIGITS = 38, 76


def id_type(ids: pd.Index[Any]) -> pa.DataType | None:
    """The Arrow type in which all these ids are written; None: the one that Arrow infers from their type in pandas.

    Decimals and whole numbers beyond 64 bits are decimals of 38 digits (of 76, where that is not enough), UUIDs text.

    Raises
    ------
    DataError : ids that cannot be written.
    """
    if ids.dtype != object or len(ids) == 0:
        return None
    first = ids[0]
    if isinstance(first, (str, bytes)):
        return None
    if isinstance(first, uuid.UUID):
        return pa.string()
    if isinstance(first, (decimal.Decimal, int)):
        return _decimal_type(ids)
    raise DataError(
        f"Column {_ID!r} holds values of the type {type(first).__name__}, which cannot be written to a file or a "
        "database: convert them to text or whole numbers first."
    )


def to_arrow_with_ids(frame: pd.DataFrame, kind: pa.DataType | None) -> pa.Table:
    """A frame as an Arrow table without metadata, its ids of the given type (None: that of `id_type`).

    Raises
    ------
    DataError : ids that are not of this type.
    """
    kind = id_type(pd.Index(frame[_ID])) if kind is None else kind
    if kind is None:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    place = frame.columns.get_loc(_ID)
    values = frame[_ID]
    if values.dtype == object and isinstance(values.iloc[0], uuid.UUID):
        values = values.map(str)
    try:
        ids = pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError) as error:
        raise DataError(
            f"Column {_ID!r} holds ids that are not all of the type {kind}, that of the first rows: convert "
            "them to one type, such as text."
        ) from error
    table = pa.Table.from_pandas(frame.drop(columns=_ID), preserve_index=False)
    return table.add_column(place, _ID, ids).replace_schema_metadata(None)


def _decimal_type(ids: pd.Index[Any]) -> pa.DataType:
    parts = [decimal.Decimal(one).as_tuple() for one in ids]
    scale = max(max(0, -part.exponent) if isinstance(part.exponent, int) else 0 for part in parts)
    whole = max(len(part.digits) + int(part.exponent) for part in parts)
    for digits, make in zip(_DIGITS, (pa.decimal128, pa.decimal256), strict=True):
        if max(whole, 0) + scale <= digits:
            return make(digits, scale)
    raise DataError(f"Column {_ID!r} holds numbers of more than {_DIGITS[1]} digits: convert them to text first.")
