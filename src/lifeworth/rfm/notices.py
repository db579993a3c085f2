"""What a look at the customers tells of the table they came from: lines that are none of theirs, one person twice.

Nothing is mended here, and nothing left out: the audit says what was seen, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import UsageError
from lifeworth.rfm.engine import Run
from lifeworth.rfm.table import RFM
from lifeworth.tables import Files, find_files, open_table
from lifeworth.tables.frames import names_of

# Too few customers, and one of them may well be most of the business.
_FEWEST = 50
_MOST_MONEY = 0.3
_MOST_PURCHASES = 0.2
# As many ids tell what kind of ids they are.
_SAMPLE = 10_000
_PIECE = 1 << 16
_ROWS, _BATCHES = 1 << 16, 8
_EDGES = r"^\s|\s$"
_FRACTION = r"^[0-9]+\.0$"
_CURRENCY_COLUMNS = {"currency", "currency_code", "currencycode", "currency code", "waehrung", "währung", "devise",
                     "divisa", "moneda", "valuta"}  # fmt: skip


@dataclass(frozen=True)
class Extremes:
    """The most purchases after the first, and all of them; the largest spend and whose it is, the least, and all."""

    repeats: int
    all_repeats: int
    spend: float = 0.0
    who: int = 0
    least_spend: float = 0.0
    all_spend: float = 0.0

    @classmethod
    def of(cls, frequency: npt.NDArray[np.int64], spent: npt.NDArray[np.float64] | None, run: Run = map) -> Extremes:
        """Those of a table's columns, found in pieces that fit a core's cache."""

        def one(start: int) -> Extremes:
            piece = slice(start, start + _PIECE)
            some = frequency[piece]
            if spent is None:
                return cls(int(some.max()), int(some.sum()))
            money = spent[piece]
            who = int(money.argmax())
            with np.errstate(over="ignore", invalid="ignore"):  # amounts too large to be added up are refused later
                spend, least, total = float(money[who]), float(money.min()), float(money.sum())
            return cls(int(some.max()), int(some.sum()), spend, start + who, least, total)

        found = list(run(one, range(0, len(frequency), _PIECE)))
        most = max(found, key=lambda each: each.spend)
        return cls(
            max(each.repeats for each in found),
            sum(each.all_repeats for each in found),
            most.spend,
            most.who,
            min(each.least_spend for each in found),
            sum(each.all_spend for each in found),
        )


def with_notices(rfm: RFM, extremes: Extremes | None = None) -> RFM:
    """The table, with what there is to say of its customers in its audit."""
    extremes = extremes or Extremes.of(rfm.frequency, rfm.past_spend)
    notes = (
        *_on_totals(rfm, extremes),
        *_on_everybody(rfm, extremes),
        *_on_spelling(rfm.customer_id),
        *_on_fractions(rfm.customer_id),
    )
    return rfm if not notes else replace(rfm, audit=replace(rfm.audit, notes=(*rfm.audit.notes, *notes)))


def currencies_in(data: Any, amount: str | None, currency: str | None) -> dict[str, list[str]]:
    """What columns beside the amounts name as currencies, where nobody said which one they are in.

    Raises a `UsageError` where the name of such a column was given for the name of a currency.
    """
    if amount is None:
        return {}
    names = names_of(data)
    if currency is not None:
        if currency not in names or len(currency) == 3:
            return {}
        found = _distinct(data, currency)
        those = f" ({_listed(found)})" if found else ""
        raise UsageError(
            f'currency="{currency}" is a column of the table{those}, where the name of one currency is wanted, such as '
            '"EUR": take the rows of one currency, or convert all to one, and say which.'
        )
    return {name: _distinct(data, name) for name in names if str(name).strip().lower() in _CURRENCY_COLUMNS}


def note_on_currencies(currencies: Mapping[str, list[str]]) -> tuple[str, ...]:
    """A note where a column beside the amounts names several currencies."""
    for name, found in currencies.items():
        if len(found) > 1:
            return (
                f"Column {name!r} names several currencies ({_listed(found)}), and their amounts were added up as they "
                "stand: take the rows of one currency, or, if the amounts are in one already, say which with currency.",
            )
    return ()


def _on_totals(rfm: RFM, extremes: Extremes) -> tuple[str, ...]:
    """Most of the money in one purchase is rather the line of totals below a list."""
    if rfm.past_spend is None or len(rfm) < _FEWEST:
        return ()
    share = extremes.spend / extremes.all_spend if extremes.spend > 0 else 0.0
    if share < _MOST_MONEY or rfm.frequency[extremes.who] > 0:
        return ()
    return (
        f"A single purchase of {extremes.spend:,.2f} is {share:.0%} of all money: look whether it is a line of "
        "totals and no customer's, and take it out.",
    )


def _on_everybody(rfm: RFM, extremes: Extremes) -> tuple[str, ...]:
    """One id for everybody who has none, such as "guest" or "unknown"."""
    if len(rfm) < _FEWEST:
        return ()
    most, all_of_them = extremes.repeats + 1, extremes.all_repeats + len(rfm)
    if most < _MOST_PURCHASES * all_of_them:
        return ()
    return (
        f"One customer made {most / all_of_them:.0%} of all purchases, on {most:,} occasions: look whether this "
        "id stands for all who have none, such as guests, and take it out.",
    )


def _on_spelling(ids: pd.Index[Any]) -> tuple[str, ...]:
    """One person under several spellings: blanks around an id, and upper case in an e-mail address, say nothing."""
    if str(ids.dtype) != "str" or not len(ids):
        return ()
    text = pa.array(ids.array, from_pandas=True)
    sample = text.take(pa.array(np.unique(np.linspace(0, len(text) - 1, _SAMPLE, dtype=np.int64))))
    addresses = pc.sum(pc.match_substring(sample, "@")).as_py() > len(sample) // 2
    plain = text
    if pc.any(pc.match_substring_regex(sample, _EDGES)).as_py():
        plain = pc.utf8_trim_whitespace(plain)
    if addresses and not pc.all(pc.utf8_is_lower(plain)).as_py():
        plain = pc.utf8_lower(plain)
    if plain is text:
        return ()
    double = len(text) - pc.count_distinct(plain).as_py()
    if not double:
        return ()
    case = "blanks around it or upper case" if addresses else "blanks around it"
    way = ".str.strip().str.lower(), or lower(trim(...))" if addresses else ".str.strip(), or trim(...)"
    many = f"{double:,} ids are each that of another customer" if double > 1 else "1 id is that of another customer"
    return (f"{many} but for {case}: to make one customer of both, clean the column first ({way} in SQL).",)


def _on_fractions(ids: pd.Index[Any]) -> tuple[str, ...]:
    """Numbers that went through a column with missing values came out as fractions, and match no other table."""
    if str(ids.dtype) != "str" or not len(ids):
        return ()
    text = pa.array(ids.array[:_SAMPLE], from_pandas=True)
    if not pc.all(pc.match_substring_regex(text, _FRACTION)).as_py():
        return ()
    first = text[0].as_py()
    return (
        f"Customer ids are written as fractions ({first}), so that a table with {first.partition('.')[0]} matches none "
        "of them: cut their ending off first (.str.removesuffix(\".0\"), or regexp_replace(id, '\\.0$', '') in SQL).",
    )


def _distinct(data: Any, name: str) -> list[str]:
    """The values of a column in the first rows of a table and, in memory, the last; as text, in order."""
    if isinstance(data, (str, Path, Files)):
        files = find_files(data)
        pieces = list(islice(files.batches(files.schema([name]), _ROWS), _BATCHES))
    else:
        table = open_table(data, [name])
        table = pa.Table.from_pandas(table, preserve_index=False) if isinstance(table, pd.DataFrame) else table
        pieces = [table.slice(0, _ROWS), table.slice(max(0, len(table) - _ROWS))]
    values = {value for piece in pieces for value in pc.unique(piece.column(0)).to_pylist() if value is not None}
    return sorted({text for value in values if (text := str(value).strip())})


def _listed(values: list[str]) -> str:
    return ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
