"""Parse amounts that are text; the decimal mark is given by the user and never guessed.

With a decimal mark given, thousands separators and the sign or name of a currency are removed, and "(12.50)" and
"12.50-" are read as -12.50, as in bookkeeping. Text that cannot be read, or only with the other decimal mark, is not a
number: "12.50" is not one with a decimal comma, and neither is "12,-", which means 12 and not -12.
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
from lifeworth.transactions.tolerances import shown, too_many, weighed

# Decimal marks.
DecimalMark = Literal[",", "."]
DECIMAL_MARKS: tuple[DecimalMark, ...] = (",", ".")

_POINTS_BETWEEN_THOUSANDS = re.compile(r"\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,}")
_COMMAS_BETWEEN_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"\d*,\d+")

# ISO 4217. An explicit list, since not every word next to a number is a currency: "5 MIO" and "5 k" are not 5.
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
_DOLLARS = r"(?:us|au?|ca?|nz|hk|sg?|nt|mx|r)\$"  # no other prefixes: "5 k€" and "5 m$" are not 5
_CURRENCY = rf"(?i:\p{{Sc}}|{_DOLLARS}|{_CODES.replace(' ', '|')}|{_WORDS})"
_SAME = {
    "€": "EUR", "EURO": "EUR", "EUROS": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "¥": "JPY", "₹": "INR", "₺": "TRY",
    "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "R$": "BRL",
    "FR": "CHF", "SFR": "CHF", "ZŁ": "PLN", "KČ": "CZK", "FT": "HUF", "TL": "TRY", "RM": "MYR", "RS": "INR",
}  # fmt: skip
_SPACE = r"[\s\p{Z}\p{Cf}]*"
_SIGN, _MINUS = "[-+\u2212]?", "[-\u2212]"
# Thousands separators: the mark that is not the decimal mark, spaces, apostrophes; only one kind per number.
_BETWEEN = (r"[ \p{Zs}]", r"['’]")
_POWER = r"[eE][-+]?\d{1,2}"
_NAMED = rf"^(?P<one>{_CURRENCY})(?P<two>(?:{_CURRENCY})?)$"


def _number(decimal: DecimalMark, power: str = "") -> str:
    """Pattern of the number in an amount. It has no capturing groups, which makes it ten times as fast."""
    other, mark = ("." if decimal == "," else ","), re.escape(decimal)
    thousands = [rf"[1-9]\d{{0,2}}(?:{between}\d{{3}}){{1,9}}" for between in (re.escape(other), *_BETWEEN)]
    # An exponent does not occur together with thousands separators.
    grouped = rf"(?:{'|'.join(thousands)})(?:{mark}\d{{0,30}})?"
    plain = rf"(?:\d{{1,30}}(?:{mark}\d{{0,30}})?|{mark}\d{{1,30}})"
    return rf"(?:{grouped}|{plain}{power})"


@cache
def _pattern(decimal: DecimalMark) -> str:
    """Pattern of an amount."""
    before = rf"(?:{_SIGN}{_SPACE}(?:{_CURRENCY})?|{_CURRENCY}{_SPACE}{_SIGN})"
    return rf"^{_SPACE}{before}{_SPACE}{_number(decimal, f'(?:{_POWER})?')}{_SPACE}(?:{_CURRENCY})?{_SPACE}$"


@cache
def _pattern_of_bookkeepers(decimal: DecimalMark) -> str:
    """Pattern of negative amounts in bookkeeping: in brackets, or with a trailing minus."""
    number, currency = _number(decimal), f"{_SPACE}(?:{_CURRENCY})?{_SPACE}"
    # A trailing minus must follow a digit: "12,-" means no cents.
    behind = rf"{currency}{number}\b{_SPACE}{_MINUS}{currency}"
    return rf"^(?:{currency}\({currency}{number}{currency}\){currency}|{behind})$"


def check_decimal(decimal: Any) -> None:
    """Raise a `UsageError` if this is not a decimal mark."""
    if decimal is not None and decimal not in DECIMAL_MARKS:
        raise UsageError(f'decimal={decimal!r} must be "," or ".", the mark before the cents, or None: plain numbers.')


def from_text(text: pa.Array | pa.ChunkedArray, decimal: DecimalMark) -> tuple[npt.NDArray[np.float64], set[str]]:
    """Convert text to numbers, NaN if unreadable; return them and the currencies named next to them."""
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
            return values + 0.0, named  # -0.0 becomes 0.0
    read = text.filter(good)
    power = pc.extract_regex(read, rf"[0-9.,](?P<power>{_POWER})").field(0).fill_null("")
    rest = pc.replace_substring_regex(read, rf"([0-9.,]){_POWER}", r"\1")
    names = pc.replace_substring_regex(rest, r"[^\p{L}\p{Sc}]+", "")
    number = pc.replace_substring_regex(rest, r"\p{L}+\.?", "")  # including the full stop of "kr."
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
    """Convert amounts to float64, NaN if unreadable; `weights` are the numbers of occurrences of the values.

    Raises a `DataError` if a column does not hold amounts, or amounts in several currencies.
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
    """Findings on a column of amounts, accumulated over batches."""

    name: str
    decimal: DecimalMark | None = None
    present: int = 0
    unreadable: int = 0
    first: str = ""
    currencies: set[str] = field(default_factory=set)

    def read(self, column: pd.Series[Any], weights: npt.NDArray[np.int64] | None = None) -> pd.Series[Any]:
        """Convert amounts to float64, NaN if unreadable; `weights` are the numbers of occurrences of the values."""
        values = self._values(column)
        present = column.notna()
        unread = present & values.isna()
        if unread.any() and not self.unreadable:
            self.first = str(column[unread].iloc[0])
        self.present += weighed(present, weights)
        self.unreadable += weighed(unread, weights)
        return values

    def merge(self, other: Amounts) -> None:
        """Add the findings on other values of the column."""
        self.first = self.first if self.unreadable else other.first
        self.present += other.present
        self.unreadable += other.unreadable
        self.currencies |= other.currencies

    def check(self) -> None:
        """Raise a `DataError` if too many values are not numbers, or if currencies are mixed."""
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
        """Mask of values that are text, if the decimal mark is known."""
        if self.decimal is None:
            return np.zeros(len(column), dtype=bool)
        if isinstance(column.dtype, pd.StringDtype):
            return np.ones(len(column), dtype=bool)
        if column.dtype != object:
            return np.zeros(len(column), dtype=bool)
        return np.array([isinstance(value, str) for value in column], dtype=bool)


def _advice(text: str, given: DecimalMark | None) -> str:
    """Return how to read an amount that is written with currencies or separators, or how to write it."""
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
    """Return what to change to make an amount a plain number; "" if it is not an amount."""
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
