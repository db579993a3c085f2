"""Display of objects in notebooks: small cards for light and dark themes, with all foreign text escaped.

A card sets its own background, so that it is legible on any page: in the colours of the theme of Jupyter or VS Code if
there is one, otherwise in those that the reader's system prefers. Without its style, which some sites remove, it is a
plain heading and plain tables. The module imports nothing heavy.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from functools import singledispatch
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lifeworth.display.palette import DARK, LIGHT

_ROLES: Final = ("paper", "wash", "hair", "ink", "muted", "model", "good", "careful", "bad")
_VERDICTS: Final = {"ok": "good", "warn": "careful", "fail": "bad"}
_BINS, _WIDTH, _HEIGHT = 24, 96, 20


@singledispatch
def show(thing: object) -> str:
    """An object as a card; packages register a function for each class, in a module that their `__init__` imports."""
    raise NotImplementedError(f"There is no card for {type(thing).__name__}.")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Escape a value for HTML; `Markup` is returned unchanged."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Join parts."""
    return Markup(between.join(escape(part) for part in parts))


def number(value: float) -> str:
    """Format a number for display: four significant digits, thousands separators, a real minus sign."""
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() or abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2e}"
    return text.replace("-", "−")


def share(part: float, whole: float = 1.0) -> str:
    """Format a part of a whole in percent; never 0 % for a positive part, nor 100 % for less than the whole."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def badge(verdict: str) -> Markup:
    """A verdict with its colour."""
    return Markup(f'<span class="lw-badge lw-{_VERDICTS.get(verdict, "careful")}">{escape(verdict)}</span>')


def note(text: object, tone: str = "muted") -> Markup:
    """A sentence; `tone` is "muted", "good", "careful" or "bad"."""
    return Markup(f'<p class="lw-note lw-{tone}">{escape(text)}</p>')


def heading(text: object, mark: object = "") -> Markup:
    """A heading inside a card."""
    return Markup(f'<div class="lw-head"><b>{escape(text)}</b>{escape(mark)}</div>')


def fold(summary: object, content: object) -> Markup:
    """A section that opens on a click."""
    return Markup(f"<details><summary>{escape(summary)}</summary>{escape(content)}</details>")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table whose numeric columns are right-aligned; the first column names the rows."""
    listed = [list(row) for row in rows]
    right = [all(_is_number(row[place]) for row in listed) for place in range(len(columns))]

    def cell(kind: str, place: int, value: Any) -> str:
        text = number(value) if _is_number(value) and not isinstance(value, str) else value
        side = ' class="lw-num"' if right[place] else ""
        return f"<{kind}{side}>{escape(text)}</{kind}>"

    head = "".join(cell("th", place, Markup(escape(name))) for place, name in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(cell('th' if place == 0 else 'td', place, value) for place, value in enumerate(row))}</tr>"
        for row in listed
    )
    return Markup(f'<table class="lw-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def histogram(values: npt.ArrayLike, about: str) -> Markup:
    """A line-high histogram of values between the 0.5 % and the 99.5 % quantile."""
    given = np.asarray(values, dtype=np.float64)
    given = given[np.isfinite(given)]
    if len(given) < 2 or given.min() == given.max():
        return Markup("")
    low, high = np.quantile(given, [0.005, 0.995])
    bins = _BINS
    if low == high:  # nearly all values are equal
        low, high = float(given.min()), float(given.max())
    if np.all(given == np.floor(given)) and high - low < _BINS:  # counts: one bar per value
        low, high = low - 0.5, high + 0.5
        bins = round(high - low)
    counts, _ = np.histogram(given, bins=bins, range=(low, high))
    tall = counts / max(counts.max(), 1) * (_HEIGHT - 1)
    step = _WIDTH / bins
    steps = "".join(f"V{_HEIGHT - size:.1f}h{step:.2f}" for size in np.where(counts, np.maximum(tall, 0.6), 0.0))
    return Markup(
        f'<svg class="lw-spread" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(about)}"><path fill="{LIGHT["model"]}" d="M0,{_HEIGHT}{steps}V{_HEIGHT}Z"/></svg>'
    )


def card(title: object, facts: Iterable[object], *parts: object, mark: object = "") -> str:
    """A complete card: a title, a line of facts, and further parts."""
    line = join((Markup(f"<span>{escape(fact)}</span>") for fact in facts if fact), " ")
    facts_line = f'<p class="lw-facts">{line}</p>' if line else ""
    return (
        f'<div class="lifeworth"><style>{STYLE}</style><div class="lw-head lw-title"><b>{escape(title)}</b>'
        f"{escape(mark)}</div>{facts_line}{join(parts)}</div>"
    )


def bar(what: str, share: float, seconds: float) -> str:
    """A progress bar."""
    percent = 100 * min(max(share, 0.0), 1.0)
    return (
        f'<div class="lifeworth lw-step"><style>{STYLE}</style><span class="lw-track" role="progressbar" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent:.0f}" aria-label="{escape(what)}">'
        f'<i style="width:{percent:.1f}%"></i></span> <span>{escape(what)}</span> '
        f'<span class="lw-muted">{percent:.0f} % · {seconds:.0f} s</span></div>'
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return False
    return (
        isinstance(value, (int, float, np.number)) or value == "" or (isinstance(value, str) and value.endswith(" %"))
    )


def _colours(palette: dict[str, str]) -> str:
    return "".join(f"--lw-{role}:{palette[role]};" for role in _ROLES)


# The rules have enough classes to take precedence over a notebook's own rules for tables.
STYLE: Final = (
    f".lifeworth{{{_colours(LIGHT)}color-scheme:light}}"
    f"@media(prefers-color-scheme:dark){{.lifeworth{{{_colours(DARK)}color-scheme:dark}}}}"
    '[data-jp-theme-light="true"] .lifeworth,[data-theme="light"] .lifeworth,.vscode-light .lifeworth'
    f"{{{_colours(LIGHT)}color-scheme:light}}"
    '[data-jp-theme-light="false"] .lifeworth,[data-theme="dark"] .lifeworth,.vscode-dark .lifeworth,'
    f".vscode-high-contrast .lifeworth{{{_colours(DARK)}color-scheme:dark}}"
    """
.lifeworth{--lw-b:var(--jp-layout-color0,var(--vscode-editor-background,var(--lw-paper)));
--lw-t:var(--jp-content-font-color1,var(--vscode-editor-foreground,var(--lw-ink)));
display:inline-block;box-sizing:border-box;max-width:100%;overflow-x:auto;background:var(--lw-b);color:var(--lw-t);
border:1px solid var(--lw-hair);border-radius:6px;padding:.7em .95em .75em;margin:.15em 0;
font:400 13px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
.lifeworth .lw-head{display:flex;align-items:baseline;gap:.7em;margin:.9em 0 .1em}
.lifeworth .lw-head.lw-title{margin:0;font-size:14.5px}
.lifeworth .lw-head b{font-weight:600}
.lifeworth p.lw-facts{margin:.1em 0 0;color:var(--lw-muted);font-size:12.5px}
.lifeworth p.lw-facts span:not(:last-child)::after{content:" ·"}
.lifeworth p.lw-note{margin:.55em 0 0;max-width:46em;font-size:12.5px}
.lifeworth .lw-muted{color:var(--lw-muted)}.lifeworth .lw-good{color:var(--lw-good)}
.lifeworth .lw-careful{color:var(--lw-careful)}.lifeworth .lw-bad{color:var(--lw-bad)}
.lifeworth .lw-badge{font-size:11.5px;font-weight:600;border:1px solid currentColor;border-radius:1em;padding:0 .6em}
.lifeworth table.lw-table{border-collapse:collapse;border:0;margin:.6em 0 0;font-size:12.5px;width:auto;color:inherit;
table-layout:auto}
.lifeworth table.lw-table tr:nth-child(n){background:transparent;border:0}
.lifeworth table.lw-table tbody tr:hover{background:var(--lw-wash)}
.lifeworth table.lw-table th,.lifeworth table.lw-table td{text-align:left;vertical-align:middle;border:0;
padding:.22em 1.15em .22em 0;font-weight:400;max-width:26em;white-space:normal;color:inherit}
.lifeworth table.lw-table th:last-child,.lifeworth table.lw-table td:last-child{padding-right:0}
.lifeworth table.lw-table th.lw-num,.lifeworth table.lw-table td.lw-num{text-align:right;white-space:nowrap}
.lifeworth table.lw-table thead th{color:var(--lw-muted);font-size:11.5px;border-bottom:1px solid var(--lw-hair)}
.lifeworth table.lw-table tbody tr+tr th,.lifeworth table.lw-table tbody tr+tr td{border-top:1px solid var(--lw-hair)}
.lifeworth table.lw-table tbody th{font-weight:600}
.lifeworth svg.lw-spread{display:block}.lifeworth svg.lw-spread path{fill:var(--lw-model)}
.lifeworth details{margin:.6em 0 0;font-size:12.5px}.lifeworth summary{cursor:pointer;color:var(--lw-muted)}
.lifeworth.lw-step{border:0;padding:.1em 0;display:block;font-size:12.5px}
.lifeworth .lw-track{display:inline-block;width:14em;height:.5em;border-radius:.25em;background:var(--lw-hair);
overflow:hidden;vertical-align:middle}
.lifeworth .lw-track i{display:block;height:100%;background:var(--lw-model)}
"""
).replace("\n", "")
