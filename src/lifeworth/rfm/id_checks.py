"""What ids tell by their spelling: words for nobody, and one customer under two ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Words that stand for nobody; ids with their first letter, or all letters, in upper case as well.
WORDS = (
    "guest", "guests", "guest checkout", "guest_checkout", "guest user", "gast", "gastbestellung", "invité", "invitado",
    "ospite", "unknown", "unknown customer", "unbekannt", "inconnu", "desconocido", "anonymous", "anonymous customer",
    "anonym", "anonyme", "none", "null", "nan", "nil", "n/a", "n.a.", "#n/a", "undefined", "missing", "not set",
    "(not set)", "(none)", "(blank)", "(null)", "(leer)", "<na>", "no customer", "no id", "default", "dummy", "test",
    "total", "totals", "grand total", "subtotal", "sub total", "sum", "summe", "gesamt", "gesamtsumme",
    "gesamtergebnis", "walk-in", "walkin", "walk in", "walk-in customer", "cash customer", "cash sale", "cash sales",
    "laufkunde", "laufkundschaft", "barverkauf", "diverse", "-", "--", "?", "-1",
)  # fmt: skip
# As many ids tell what kind of ids they are.
_SAMPLE = 10_000
_PIECE = 1 << 16
_EDGES = r"^\s|\s$"
_FRACTION = r"^[0-9]+\.0$"
_ZEROS = r"^0+[1-9][0-9]*(?:\.0+)?$"
_WHOLE = r"^[0-9]+\.0+$"
_SCIENTIFIC = r"^[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{1,3}$"


def placeholders(ids: pd.Index[Any], stands_out: Callable[[int], bool]) -> list[int]:
    """Places of ids, which ascend, that are words or numbers for nobody.

    0 is one only where `stands_out` says that its customer does; -1 where no other id is negative.
    """
    if len(ids) and pd.api.types.is_integer_dtype(ids.dtype):
        numbers = ids.to_numpy()
        found = []
        if int(numbers[0]) == -1:
            found.append(0)
        at = int(np.searchsorted(numbers, 0))
        if at < len(numbers) and int(numbers[at]) == 0 and stands_out(at):
            found.append(at)
        return found
    text = _text_of(ids)
    if text is None:
        return []
    ordered = _Ordered(text)
    found = [place for word in sorted(_spelled()) if (place := ordered.place(word)) is not None]
    zero = ordered.place("0")
    return found if zero is None or not stands_out(zero) else [*found, zero]


def spelling_notes(ids: pd.Index[Any]) -> tuple[str, ...]:
    """Notes on one customer under several ids, and on ids that were changed on their way."""
    text = _text_of(ids)
    if text is None or not len(text):
        return ()
    return (*_on_edges(text), *_on_fractions(text), *_on_numbers(text))


def _spelled() -> set[str]:
    return {spelled for word in WORDS for spelled in (word, word.capitalize(), word.title(), word.upper())}


def _text_of(ids: pd.Index[Any]) -> pa.Array | None:
    """Ids that are text, as one array; None for others."""
    if str(ids.dtype) != "str" or not len(ids):
        return None
    text = pa.array(ids.array, from_pandas=True)
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


class _Ordered:
    """Text in ascending order of its bytes, in which a word is found by halves."""

    def __init__(self, text: pa.Array) -> None:
        self._text = text

    def __len__(self) -> int:
        return len(self._text)

    def __getitem__(self, place: int) -> str:
        value: str = self._text[place].as_py()
        return value

    def first(self, word: str) -> int:
        """The place of the first text that is not before the word."""
        return bisect_left(self, word)

    def place(self, word: str) -> int | None:
        """The place of a word, or None where it is not there."""
        place = self.first(word)
        return place if place < len(self) and self[place] == word else None


def _on_edges(text: pa.Array) -> tuple[str, ...]:
    """One person under several spellings: blanks around an id, and upper case in an e-mail address, say nothing."""
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
    return (f"{_twins(double)} but for {case}: to make one customer of both, clean the column first ({way} in SQL).",)


def _on_fractions(text: pa.Array) -> tuple[str, ...]:
    """Numbers that went through a column with missing values came out as fractions, and match no other table."""
    if not pc.all(pc.match_substring_regex(text[:_SAMPLE], _FRACTION)).as_py():
        return ()
    first = text[0].as_py()
    return (
        f"Customer ids are written as fractions ({first}), so that a table with {first.partition('.')[0]} matches none "
        "of them: cut their ending off first (.str.removesuffix(\".0\"), or regexp_replace(id, '\\.0$', '') in SQL).",
    )


def _on_numbers(text: pa.Array) -> tuple[str, ...]:
    """One number in two spellings, and numbers that a spreadsheet has rounded."""
    notes = []
    odd = odd_numbers(text)
    if len(odd):
        plain = plain_numbers(odd)
        double = len(plain) - len(pc.unique(plain)) + pc.sum(pc.is_in(pc.unique(plain), text)).as_py()
        if double:
            notes.append(twin_numbers(double))
    if _has_byte(text, b"+") and (count := pc.sum(pc.match_substring_regex(text, _SCIENTIFIC)).as_py()):
        notes.append(rounded_numbers(count))
    return tuple(notes)


def odd_numbers(text: pa.Array) -> pa.Array:
    """Ids, in ascending order, that are whole numbers with leading zeros or an ending such as .0."""
    ordered = _Ordered(text)
    low, high = ordered.first("0"), ordered.first("1")
    zeros = text.slice(low, high - low)
    if len(zeros) and _same_length(text):
        zeros = text[:0]
    parts = [zeros.filter(pc.match_substring_regex(zeros, _ZEROS))] if len(zeros) else []
    if _has_byte(text, b"."):
        rest = pa.concat_arrays([text.slice(0, low), text.slice(high)]) if len(zeros) else text
        parts.append(rest.filter(pc.match_substring_regex(rest, _WHOLE)))
    return pa.concat_arrays(parts) if parts else text[:0]


def plain_numbers(odd: pa.Array) -> pa.Array:
    """Whole numbers without leading zeros and endings such as .0."""
    return pc.replace_substring_regex(pc.utf8_ltrim(odd, "0"), r"\.0+$", "")


def twin_numbers(double: int) -> str:
    """The note on ids that are another's but for zeros."""
    return (
        f"{_twins(double)} but for zeros, as 00123, 123 and 123.0 are: to make one customer of both, write all ids in "
        "one way first."
    )


def rounded_numbers(count: int) -> str:
    """The note on ids in scientific notation."""
    ids = "1 id is a number" if count == 1 else f"{count:,} ids are numbers"
    return (
        f"{ids} in scientific notation, as 1.23457E+11 is: a spreadsheet has rounded them, and several customers may "
        "have become one, so export them again as text."
    )


def _twins(double: int) -> str:
    return f"{double:,} ids are each that of another customer" if double > 1 else "1 id is that of another customer"


def _same_length(text: pa.Array) -> bool:
    return bool(pc.count_distinct(pc.binary_length(text)).as_py() == 1)


def _has_byte(text: pa.Array, byte: bytes) -> bool:
    """Whether a character of one byte occurs anywhere in the text."""
    data = text.buffers()[2]
    if data is None:
        return False
    content: npt.NDArray[np.uint8] = np.frombuffer(data, dtype=np.uint8)
    return any(bool((content[start : start + _PIECE] == byte[0]).any()) for start in range(0, len(content), _PIECE))
