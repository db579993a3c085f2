"""Values as a reader wants to see them."""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from numbers import Integral, Real
from typing import Any, Final

MISSING: Final = "n/a"

# Characters that hide, reorder or break text: controls, lone surrogates, bidirectional overrides.
_UNSEEN: Final = {"Cc", "Cs"}
_REORDERING: Final = frozenset(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F]))


def clean(text: str) -> str:
    """Replace characters that no page should hold; a reader sees that something was there."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if character in _REORDERING or (unicodedata.category(character) in _UNSEEN and character not in "\n\t")
        else character
        for character in text
    )


def is_missing(value: Any) -> bool:
    """Tell whether a value is None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    if isinstance(value, str):
        return False
    try:
        return bool(value != value)
    except TypeError:  # pandas' NA compares to neither true nor false
        return True
    except ValueError:  # an array in a cell
        return False


def is_number(value: Any) -> bool:
    """Tell whether a value is a real number (a truth value is not)."""
    return isinstance(value, Real) and type(value).__name__ not in ("bool", "bool_")


def write_value(value: Any, form: str | Callable[[Any], str] = "") -> str:
    """Format a value for a table: four significant digits, thousands separators, "n/a" for missing values."""
    if is_missing(value):
        return MISSING
    if callable(form):
        return str(form(value))
    if is_number(value):
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        text = _unsigned_zero(format(value, form)) if form else _plain(value)
        return text.replace("%", " %").replace("-", "−") if form.endswith("%") else text.replace("-", "−")
    if isinstance(value, datetime):  # pandas' Timestamp is one
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.strftime("%Y-%m-%d") if midnight else value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _unsigned_zero(text: str) -> str:
    """A zero without its sign: nothing was lost, and nothing won."""
    return text.lstrip("+-") if re.fullmatch(r"[+-][0.]+%?", text) else text


def write_percent(value: Any, signed: bool = False) -> str:
    """Write a fraction as a percentage with one decimal."""
    if is_missing(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{100 * value:{'+' if signed else ''}.1f} %".replace("-", "−")


def percent(value: float, signed: bool = False) -> str:
    """A share for use in a sentence: 50 %, −15 %."""
    share = round(value, 2) + 0.0  # no minus before a zero
    return f"{share:{'+' if signed and share else ''}.0%}".replace("%", "\u00a0%").replace("-", "−")


def _plain(value: Any) -> str:
    if isinstance(value, Integral):
        return f"{int(value):,}"
    size = abs(float(value))
    if size == 0:
        return "0"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1e-4:
        return f"{value:.{max(0, 3 - math.floor(math.log10(size)))}f}"
    return f"{value:.2e}"
