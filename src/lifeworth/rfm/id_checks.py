"""Checks on the spelling of ids: placeholder words, and one customer under two ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Placeholder words; ids that spell them with the first letter or all letters in upper case match too.
WORDS = (
    "guest", "guests", "guest checkout", "guest_checkout", "guest user", "gast", "gastbestellung", "invité", "invitado",
    "ospite", "unknown", "unknown customer", "unbekannt", "inconnu", "desconocido", "anonymous", "anonymous customer",
    "anonym", "anonyme", "none", "null", "nan", "nil", "n/a", "n.a.", "#n/a", "undefined", "missing", "not set",
    "(not set)", "(none)", "(blank)", "(null)", "(leer)", "<na>", "no customer", "no id", "default", "dummy", "test",
    "total", "totals", "grand total", "subtotal", "sub total", "sum", "summe", "gesamt", "gesamtsumme",
    "gesamtergebnis", "walk-in", "walkin", "walk in", "walk-in customer", "cash customer", "cash sale", "cash sales",
    "laufkunde", "laufkundschaft", "barverkauf", "diverse", "-", "--", "?", "-1",
)  # fmt: skip
# Number of ids from which the kind of ids is inferred.
_SAMPLE = 10_000
_PIECE = 1 << 16
_EDGES = r"^\s|\s$"
_FRACTION = r"^[0-9]+\.0$"
_ZEROS = r"^0+[1-9][0-9]*(?:\.0+)?$"
_WHOLE = r"^[0-9]+\.0+$"
_SCIENTIFIC = r"^[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{1,3}$"


@dataclass
class IdFacts:
    """Findings on the spelling of ids, which can be merged.

    Attributes
    ----------
    fractions : bool or None
        Whether all ids are written as fractions, such as 7.0; None if there are no ids.
    first : str
        One of them.
    addresses : bool
        Whether most ids are e-mail addresses.
    trimmed : list of str
        Normalised forms of ids with surrounding blanks, or of addresses with upper case.
    numbers : list of str
        Normalised forms of integers with leading zeros or an ending such as .0.
    rounded : int
        Number of ids in scientific notation.
    """

    fractions: bool | None = None
    first: str = ""
    addresses: bool = False
    trimmed: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    rounded: int = 0

    @classmethod
    def of(cls, ids: pd.Index[Any]) -> IdFacts:
        """Return the findings on ids, which are sorted."""
        text = _text_of(ids)
        if text is None:
            return cls()
        fractions = bool(pc.all(pc.match_substring_regex(text[:_SAMPLE], _FRACTION)).as_py())
        addresses, trimmed = _trimmed(text)
        rounded = pc.sum(pc.match_substring_regex(text, _SCIENTIFIC)).as_py() if _has_byte(text, b"+") else 0
        return cls(fractions, text[0].as_py(), addresses, trimmed, _plain_numbers(text), rounded or 0)

    def merge(self, other: IdFacts) -> None:
        """Add the findings on other ids."""
        if other.fractions is None:
            return
        self.fractions = other.fractions if self.fractions is None else self.fractions and other.fractions
        self.first = min(filter(None, (self.first, other.first)), default="")
        self.addresses |= other.addresses
        self.trimmed += other.trimmed
        self.numbers += other.numbers
        self.rounded += other.rounded

    def notes(self, there: Callable[[list[str]], int]) -> tuple[str, ...]:
        """Return the notes; `there` returns how many of the given distinct ids are ids of the table."""
        notes = []
        double = _double(self.trimmed, there)
        if double:
            case = "blanks around it or upper case" if self.addresses else "blanks around it"
            way = ".str.strip().str.lower(), or lower(trim(...))" if self.addresses else ".str.strip(), or trim(...)"
            notes.append(
                f"{_twins(double)} but for {case}: to make one customer of both, clean the column first ({way} in SQL)."
            )
        if self.fractions:
            notes.append(
                f"Customer ids are written as fractions ({self.first}), so that a table with "
                f"{self.first.partition('.')[0]} matches none of them: cut their ending off first "
                "(.str.removesuffix(\".0\"), or regexp_replace(id, '\\.0$', '') in SQL)."
            )
        double = _double(self.numbers, there)
        if double:
            notes.append(
                f"{_twins(double)} but for zeros, as 00123, 123 and 123.0 are: to make one customer of both, write all "
                "ids in one way first."
            )
        if self.rounded:
            ids = "1 id is a number" if self.rounded == 1 else f"{self.rounded:,} ids are numbers"
            notes.append(
                f"{ids} in scientific notation, as 1.23457E+11 is: a spreadsheet has rounded them, and several "
                "customers may have become one, so export them again as text."
            )
        return tuple(notes)


def placeholders(ids: pd.Index[Any]) -> dict[int, str]:
    """Map positions of sorted ids that are "0", "-1" or another placeholder ("word") to which of these they are."""
    if len(ids) and pd.api.types.is_integer_dtype(ids.dtype):
        numbers = ids.to_numpy()
        places = {number: int(np.searchsorted(numbers, number)) for number in (-1, 0)}
        return {at: str(number) for number, at in places.items() if at < len(ids) and int(numbers[at]) == number}
    text = _text_of(ids)
    if text is None:
        return {}
    ordered = _Ordered(text)
    words = _spelled()
    # Skip words whose first letter occurs in no id.
    letters = {letter for letter in {word[0] for word in words} if ordered.begins(letter)}
    found = {ordered.place(word): "word" for word in sorted(words) if word[0] in letters}
    found[ordered.place("0")] = "0"
    return dict(sorted((at, kind) for at, kind in found.items() if at is not None))


def negatives(ids: pd.Index[Any]) -> int:
    """Return how many sorted ids are integers below 0."""
    return int(np.searchsorted(ids.to_numpy(), 0)) if len(ids) and pd.api.types.is_integer_dtype(ids.dtype) else 0


def spelling_notes(ids: pd.Index[Any]) -> tuple[str, ...]:
    """Return notes on one customer under several ids, and on ids that were altered by an export."""

    def there(plain: list[str]) -> int:
        text = _text_of(ids)
        return pc.sum(pc.is_in(pa.array(plain, text.type), text)).as_py() or 0 if text is not None else 0

    return IdFacts.of(ids).notes(there)


def _spelled() -> set[str]:
    return {spelled for word in WORDS for spelled in (word, word.capitalize(), word.title(), word.upper())}


def _text_of(ids: pd.Index[Any]) -> pa.Array | None:
    """Return ids that are text as one array; None for others."""
    if str(ids.dtype) != "str" or not len(ids):
        return None
    text = pa.array(ids.array, from_pandas=True)
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


class _Ordered:
    """Text sorted by its bytes, with binary search."""

    def __init__(self, text: pa.Array) -> None:
        self._text = text
        self._values: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._text)

    def __getitem__(self, place: int) -> str:
        if place not in self._values:
            self._values[place] = self._text[place].as_py()
        return self._values[place]

    def first(self, word: str) -> int:
        """Return the position of the first text that is not less than the word."""
        return bisect_left(self, word)

    def begins(self, letter: str) -> bool:
        """Whether any text begins with a letter."""
        place = self.first(letter)
        return place < len(self) and self[place].startswith(letter)

    def place(self, word: str) -> int | None:
        """Return the position of a word, or None if it does not occur."""
        place = self.first(word)
        return place if place < len(self) and self[place] == word else None


def _trimmed(text: pa.Array) -> tuple[bool, list[str]]:
    """Whether ids are addresses, and the normalised forms of ids with blanks or addresses with upper case."""
    sample = text.take(pa.array(np.unique(np.linspace(0, len(text) - 1, _SAMPLE, dtype=np.int64))))
    addresses = pc.sum(pc.match_substring(sample, "@")).as_py() > len(sample) // 2
    plain = text
    if pc.any(pc.match_substring_regex(sample, _EDGES)).as_py():
        plain = pc.utf8_trim_whitespace(plain)
    if addresses and not pc.all(pc.utf8_is_lower(plain)).as_py():
        plain = pc.utf8_lower(plain)
    return addresses, [] if plain is text else plain.filter(pc.not_equal(plain, text)).to_pylist()


def _plain_numbers(text: pa.Array) -> list[str]:
    """Return integers with leading zeros or an ending such as .0, without these; `text` is sorted."""
    ordered = _Ordered(text)
    low, high = ordered.first("0"), ordered.first("1")
    zeros = text.slice(low, high - low)
    if len(zeros) and _same_length(text):
        zeros = text[:0]
    odd = zeros.filter(pc.match_substring_regex(zeros, _ZEROS)) if len(zeros) else text[:0]
    if _has_byte(text, b"."):
        whole = text.filter(pc.match_substring_regex(text, _WHOLE))
        odd = pc.unique(pa.concat_arrays([odd, whole]))
    return pc.replace_substring_regex(pc.utf8_ltrim(odd, "0"), r"\.0+$", "").to_pylist()  # type: ignore[no-any-return]


def _double(plain: list[str], there: Callable[[list[str]], int]) -> int:
    """Return how many of these ids have a normalised form that is an id of the table or occurs more than once."""
    distinct = sorted(set(plain))
    return len(plain) - len(distinct) + there(distinct) if distinct else 0


def _twins(double: int) -> str:
    return f"{double:,} ids are each that of another customer" if double > 1 else "1 id is that of another customer"


def _same_length(text: pa.Array) -> bool:
    long = pa.types.is_large_string(text.type)
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int64 if long else np.int32)
    offsets = offsets[text.offset : text.offset + len(text) + 1]
    return bool((np.diff(offsets) == offsets[1] - offsets[0]).all())


def _has_byte(text: pa.Array, byte: bytes) -> bool:
    """Whether a one-byte character occurs anywhere in the text."""
    data = text.buffers()[2]
    if data is None:
        return False
    content: npt.NDArray[np.uint8] = np.frombuffer(data, dtype=np.uint8)
    return any(bool((content[start : start + _PIECE] == byte[0]).any()) for start in range(0, len(content), _PIECE))
