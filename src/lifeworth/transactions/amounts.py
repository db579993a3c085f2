"""Amounts as people and tills write them: which mark stands before the cents is said by the user, and never guessed.

With the decimal mark given, marks and spaces between thousands and the sign or name of a currency are taken off, and
"(12.50)" and "12.50-" are what bookkeepers write for -12.50. What can be read in no way, or in another than that, is no
number: "12.50" is none where the comma stands before the cents, and neither is "12,-", which is twelve and no debt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifeworth.errors import DataError, UsageError
from lifeworth.transactions.slips import shown, too_many, weighed

# What stands before the cents.
DecimalMark = Literal[",", "."]
DECIMAL_MARKS: tuple[DecimalMark, ...] = (",", ".")

_POINTS_BETWEEN_THOUSANDS = re.compile(r"\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,}")
_COMMAS_BETWEEN_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"\d*,\d+")

# ISO 4217. A list, since not every word beside a number is a currency: "5 MIO" and "5 k" are not 5.
_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD "
    "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
)
CURRENCY_CODES = frozenset(_CODES.split())
_WORDS = r"euros?|sfr\.?|fr\.?|kr\.?|zł|kč|ft|lei|rs\.?|rp\.?|rm|tl|лв\.?|руб\.?|r"
_DOLLARS = r"(?:us|au?|ca?|nz|hk|sg?|nt|mx|r)\$"  # and no others: "5 k€" and "5 m$" are not 5
_CURRENCY = rf"(?i:\p{{Sc}}|{_DOLLARS}|{_CODES.replace(' ', '|')}|{_WORDS})"
_SAME = {
    "€": "EUR", "EURO": "EUR", "EUROS": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "¥": "JPY", "₹": "INR", "₺": "TRY",
    "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "R$": "BRL",
    "FR": "CHF", "SFR": "CHF", "ZŁ": "PLN", "KČ": "CZK", "FT": "HUF", "TL": "TRY", "RM": "MYR", "RS": "INR",
}  # fmt: skip
_SPACE = r"[\s\p{Z}\p{Cf}]*"
_SIGN, _MINUS = "[-+\u2212]?", "[-\u2212]"
# Marks between thousands: the one that is not before the cents, spaces, apostrophes; one of them throughout.
_BETWEEN = (r"[ \p{Zs}]", r"['’]")
_POWER = r"[eE][-+]?\d{1,2}"
_NAMED = rf"^(?P<one>{_CURRENCY})(?P<two>(?:{_CURRENCY})?)$"


def _number(decimal: DecimalMark, power: str = "") -> str:
    """What the number in an amount looks like. Nothing is captured, which makes it ten times as fast."""
    other, mark = ("." if decimal == "," else ","), re.escape(decimal)
    thousands = [rf"[1-9]\d{{0,2}}(?:{between}\d{{3}}){{1,9}}" for between in (re.escape(other), *_BETWEEN)]
    # 1.234E5 is not written by people who put points between thousands.
    grouped = rf"(?:{'|'.join(thousands)})(?:{mark}\d{{0,30}})?"
    plain = rf"(?:\d{{1,30}}(?:{mark}\d{{0,30}})?|{mark}\d{{1,30}})"
    return rf"(?:{grouped}|{plain}{power})"


@cache
def _pattern(decimal: DecimalMark) -> str:
    """What an amount looks like."""
    before = rf"(?:{_SIGN}{_SPACE}(?:{_CURRENCY})?|{_CURRENCY}{_SPACE}{_SIGN})"
    return rf"^{_SPACE}{before}{_SPACE}{_number(decimal, f'(?:{_POWER})?')}{_SPACE}(?:{_CURRENCY})?{_SPACE}$"


@cache
def _pattern_of_bookkeepers(decimal: DecimalMark) -> str:
    """What money that went out looks like in books: in brackets, or with the minus behind."""
    number, currency = _number(decimal), f"{_SPACE}(?:{_CURRENCY})?{_SPACE}"
    # The minus behind follows a digit: "12,-" means no cents.
    behind = rf"{currency}{number}\b{_SPACE}{_MINUS}{currency}"
    return rf"^(?:{currency}\({currency}{number}{currency}\){currency}|{behind})$"


def check_decimal(decimal: Any) -> None:
    """Raise a `UsageError` for what is no decimal mark."""
    if decimal is not None and decimal not in DECIMAL_MARKS:
        raise UsageError(f'decimal={decimal!r} must be "," or ".", the mark before the cents, or None: plain numbers.')


def from_text(text: pa.Array | pa.ChunkedArray, decimal: DecimalMark) -> tuple[npt.NDArray[np.float64], set[str]]:
    """Text as numbers, NaN where it is none; and the currencies named beside them."""
    if not len(text):
        return np.empty(0), set()
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    text = text.cast(pa.large_string())
    good = pc.fill_null(pc.match_substring_regex(text, _pattern(decimal)), False)
    if pc.all(pc.or_(good, text.is_null())).as_py() is False:
        out = pc.fill_null(pc.match_substring_regex(text, _pattern_of_bookkeepers(decimal)), False)
        if pc.any(out).as_py():
            bare = pc.replace_substring_regex(text, "[-\u2212()]", "")
            values, named = from_text(pc.if_else(out, bare, text), decimal)
            values[out.to_numpy(zero_copy_only=False)] *= -1.0
            return values + 0.0, named  # nothing owed is nothing, without a sign
    read = text.filter(good)
    power = pc.extract_regex(read, rf"[0-9.,](?P<power>{_POWER})").field(0).fill_null("")
    rest = pc.replace_substring_regex(read, rf"([0-9.,]){_POWER}", r"\1")
    names = pc.replace_substring_regex(rest, r"[^\p{L}\p{Sc}]+", "")
    number = pc.replace_substring_regex(rest, r"\p{L}+\.?", "")  # "kr.", point and all
    number = pc.replace_substring(pc.replace_substring_regex(number, f"[^0-9{decimal}\u2212-]+", ""), "\u2212", "-")
    number = pc.replace_substring(number, decimal, ".")
    nothing = pa.scalar("", pa.large_string())
    values = np.full(len(text), np.nan)
    values[good.to_numpy(zero_copy_only=False)] = pc.binary_join_element_wise(number, power, nothing).cast(pa.float64())
    named = pc.extract_regex(pc.unique(names), _NAMED).flatten()
    return values, {_currency(name) for column in named for name in column.to_pylist() if name}


def parse_amounts(
    column: pd.Series[Any],
    name: str,
    weights: npt.NDArray[np.int64] | None = None,
    decimal: DecimalMark | None = None,
) -> pd.Series[Any]:
    """Amounts as float64, NaN where one cannot be read; `weights` says how often each value stands in the column.

    Raises a `DataError` for a column that does not hold amounts, or those of several currencies.
    """
    amounts = Amounts(name, decimal)
    values = amounts.read(column, weights)
    amounts.check()
    return values


def _currency(name: str) -> str:
    name = name.upper().rstrip(".")
    return _SAME.get(name, name)


def reads(text: str, decimal: DecimalMark) -> bool:
    """Whether a text is a number with this decimal mark."""
    return bool(np.isfinite(from_text(pa.array([text]), decimal)[0][0]))


@dataclass
class Amounts:
    """What is known of a column of amounts, however many batches it comes in."""

    name: str
    decimal: DecimalMark | None = None
    present: int = 0
    unreadable: int = 0
    first: str = ""
    currencies: set[str] = field(default_factory=set)

    def read(self, column: pd.Series[Any], weights: npt.NDArray[np.int64] | None = None) -> pd.Series[Any]:
        """Amounts as float64, NaN where one cannot be read; `weights`: how often each value stands in the column."""
        values = self._values(column)
        present = column.notna()
        unread = present & values.isna()
        if unread.any() and not self.unreadable:
            self.first = str(column[unread].iloc[0])
        self.present += weighed(present, weights)
        self.unreadable += weighed(unread, weights)
        return values

    def merge(self, other: Amounts) -> None:
        """Add what is known of other values of the column."""
        self.first = self.first if self.unreadable else other.first
        self.present += other.present
        self.unreadable += other.unreadable
        self.currencies |= other.currencies

    def check(self) -> None:
        """Raise a `DataError` where too many values are no numbers, or money of several currencies is mixed."""
        if too_many(self.unreadable, self.present):
            with_mark = "" if self.decimal is None else f' with decimal="{self.decimal}"'
            raise DataError(
                f"Column {self.name!r} is not a column of amounts: {self.unreadable:,} of {self.present:,} values are "
                f"not numbers{with_mark} (the first: {shown(self.first)}). {_advice(self.first, self.decimal)}"
            )
        if len(self.currencies) > 1:
            raise DataError(
                f"Column {self.name!r} mixes currencies ({', '.join(sorted(self.currencies))}): convert all to one "
                "first, or read each by itself."
            )

    def _values(self, column: pd.Series[Any]) -> pd.Series[Any]:
        if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_object_dtype(column.dtype):
            column = column.astype(object).infer_objects()
        if getattr(column.dtype, "kind", "O") in "bcmM":
            raise DataError(f"Column {self.name!r} holds {column.dtype} values, not amounts of money.")
        text = self._text(column)
        values = np.full(len(column), np.nan)
        if text.any():
            assert self.decimal is not None
            values[text], named = from_text(pa.array(column[text], pa.large_string(), from_pandas=True), self.decimal)
            self.currencies |= named
        if not text.all() or not len(text):
            parsed = pd.to_numeric(column[~text], errors="coerce")
            if parsed.dtype.kind == "c":
                raise DataError(f"Column {self.name!r} holds complex numbers, not amounts of money.")
            values[~text] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(values, index=column.index)

    def _text(self, column: pd.Series[Any]) -> npt.NDArray[np.bool_]:
        """Where text stands whose decimal mark is known."""
        if self.decimal is None:
            return np.zeros(len(column), dtype=bool)
        if isinstance(column.dtype, pd.StringDtype):
            return np.ones(len(column), dtype=bool)
        if column.dtype != object:
            return np.zeros(len(column), dtype=bool)
        return np.array([isinstance(value, str) for value in column], dtype=bool)


def _advice(text: str, given: DecimalMark | None) -> str:
    """What to do with an amount that is written as in a letter or on a bill, or is none."""
    then = "currencies, and marks between thousands, are then taken off"
    if "(" in text or text.rstrip().endswith(("-", "\u2212")):
        then += f", and {text.strip()} is money that went out"
    marks = [mark for mark in DECIMAL_MARKS if mark != given and reads(text, mark)]
    if given is None and len(marks) == 2:
        return (
            'Say which mark stands before the cents: decimal="," or decimal="." (on the command line, --decimal); '
            f"{then}."
        )
    if marks:
        return (
            f'Say decimal="{marks[0]}" (on the command line, --decimal "{marks[0]}") if that is the mark before the '
            f"cents; {then}."
        )
    return f"Write amounts as plain numbers, as 12.50{_steps(text)}."


def _steps(text: str) -> str:
    """What keeps an amount from being a plain number; nothing where it is no amount."""
    if not any(character.isdigit() for character in text):
        return ""
    number = "".join(character for character in text if character.isdigit() or character in ".,")
    steps = []
    if number != text.strip().lstrip("+-").replace("(", "").replace(")", ""):
        steps.append("take away all that is no part of the number, such as the currency")
    number = number.strip(".,")
    if _POINTS_BETWEEN_THOUSANDS.fullmatch(number):
        steps.append("take away the points between thousands")
    if _COMMAS_BETWEEN_THOUSANDS.fullmatch(number):
        steps.append("take away the commas between thousands")
    elif "," in number and (_DECIMAL_COMMA.fullmatch(number) or _POINTS_BETWEEN_THOUSANDS.fullmatch(number)):
        steps.append("turn the comma into a point")
    return f" ({', '.join(steps)})" if steps else ""
