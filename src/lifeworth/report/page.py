"""The page itself: content through a template, and onto the disk whole."""

import base64
import hashlib
import math
import os
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from lifeworth.atomic_files import replacing
from lifeworth.plots.palette import DARK, LIGHT
from lifeworth.report import numbers
from lifeworth.report.content import (
    Comparison,
    ComparisonRow,
    DataAudit,
    FitTable,
    Picture,
    ReportContent,
    Source,
    Table,
    Trap,
)
from lifeworth.report.images import Image, to_image

_MOST_IMAGES: Final = 1_300_000  # characters; the whole page is to stay below 1.5 MB
_WRITTEN: Final = re.compile(r"(n/a|[+−]?[\d,]+(\.\d+)?( %)?)(\n\(.*\))?")
_VERDICTS: Final = {
    "ok": ("good", "✓", "Sound"),
    "warn": ("careful", "!", "Use with care"),
    "fail": ("bad", "✕", "Do not use"),
}


def render_report(content: ReportContent) -> str:
    """Write a report as the text of one HTML page that needs nothing else.

    Parameters
    ----------
    content : ReportContent
        Everything that is to be on the page. Texts are shown as texts, whatever they hold.

    Returns
    -------
    str
        HTML with its style and pictures inside. It forbids itself to load anything (Content-Security-Policy).

    Raises
    ------
    UsageError
        If a picture is neither a figure nor PNG or SVG bytes.

    Examples
    --------
    >>> from lifeworth.report import ReportContent, render_report
    >>> "Customers &amp; value" in render_report(ReportContent(title="Customers & value"))
    True
    """
    css = _style_sheet()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    numbered = iter(enumerate(_images(content), start=1))
    view = {
        "page": content,
        "css": Markup(css),  # our own file, no content in it
        "style_hash": digest,
        "paper": {"light": LIGHT["paper"], "dark": DARK["paper"]},
        "comparisons": [_comparison(item) for item in content.comparisons],
        "judged": any(_known(row.actual) for item in content.comparisons for row in item.rows),
        "pictures": [_PictureView.of(item, next(numbered)) for item in content.pictures],
        "sections": [
            {
                "title": item.title,
                "paragraphs": item.paragraphs,
                "pictures": [_PictureView.of(picture, next(numbered)) for picture in item.pictures],
                "tables": [_table(table) for table in item.tables],
            }
            for item in content.sections
        ],
        "tables": [_table(item) for item in content.tables],
        "fits": [_fit(item) for item in content.fits],
        "audit": _audit(content.audit) if content.audit else None,
        "traps": [trap if isinstance(trap, Trap) else Trap("", trap) for trap in content.traps],
        "sources": [source if isinstance(source, Source) else Source(source) for source in content.sources],
        "warnings": [
            {
                "tone": _VERDICTS[fit.verdict][0],
                "word": _VERDICTS[fit.verdict][2],
                "title": fit.title,
                "reasons": fit.reasons,
            }
            for fit in content.fits
            if fit.verdict != "ok"
        ],
    }
    return _template().render(view)


def write_report(content: ReportContent, path: str | os.PathLike[str]) -> Path:
    """Write a report to a file, whole or not at all, and return the path.

    Raises
    ------
    UsageError
        As `render_report`.
    SourceError
        If the file cannot be written; what was there before then still is.
    """
    target = Path(path)
    text = render_report(content)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return target


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalize
    )
    return environment.from_string((files("lifeworth.report") / "page.html.j2").read_text(encoding="utf-8"))


def _finalize(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return numbers.clean(value)
    return numbers.write_value(value)


@cache
def _style_sheet() -> str:
    light, dark = ("".join(f"--{role}:{color};" for role, color in theme.items()) for theme in (LIGHT, DARK))
    themes = f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    return themes + (files("lifeworth.report") / "page.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class _Cell:
    text: str
    numeric: bool = False

    @property
    def long(self) -> bool:
        return len(self.text) > 60


@dataclass(frozen=True)
class _Column:
    title: str
    numeric: bool = False


@dataclass(frozen=True)
class _TableView:
    title: str
    columns: list[_Column]
    rows: list[list[_Cell]]
    note: str = ""
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _PictureView:
    number: int
    title: str
    alt: str
    caption: str
    image: Image

    @classmethod
    def of(cls, picture: Picture, numbered: tuple[int, Image]) -> Self:
        return cls(numbered[0], picture.title, picture.alt.strip(), picture.caption, numbered[1])


def _images(content: ReportContent) -> list[Image]:
    """All pictures of the page in order; on a page of many, the largest go without their second form for phones."""
    pictures = [*content.pictures, *(picture for section in content.sections for picture in section.pictures)]
    images = [to_image(picture.drawing, picture.narrow) for picture in pictures]
    size = sum(image.size for image in images)
    for place in sorted(range(len(images)), key=lambda place: -images[place].size):
        if size <= _MOST_IMAGES:
            break
        lean = replace(images[place], narrow=None)
        size -= images[place].size - lean.size
        images[place] = lean
    return images


def _table(table: Table) -> _TableView:
    frame = table.frame
    shown = frame.iloc[: max(table.most_rows, 0)]
    # By position: two columns may have one name.
    values = [shown.iloc[:, place].tolist() for place in range(shown.shape[1])]
    numeric = [
        any(map(_counts, column)) and all(_counts(v) or numbers.is_missing(v) for v in column) for column in values
    ]
    names = [str(name) for name in frame.columns]
    if numeric:
        numeric[0] = False  # the first column names the row
    columns = [_Column(table.headings.get(name, name), right) for name, right in zip(names, numeric, strict=True)]
    written = [
        [_Cell(numbers.write_value(value, table.formats.get(name, "")), right) for value in column]
        for name, column, right in zip(names, values, numeric, strict=True)
    ]
    rows = [list(row) for row in zip(*written, strict=True)]
    notes = [table.note] if table.note else []
    if len(frame) > len(shown):
        notes.append(f"The first {len(shown):,} of {len(frame):,} rows.")
    if frame.empty:
        notes.append("There is nothing to list.")
    return _TableView(table.title, columns, rows, " ".join(notes))


def _counts(value: Any) -> bool:
    """Whether a cell holds a number, or one that is written already, with its interval in a line below."""
    return numbers.is_number(value) or (isinstance(value, str) and bool(_WRITTEN.fullmatch(value)))


def _comparison(comparison: Comparison) -> _TableView:
    rows = comparison.rows
    with_actual = any(not numbers.is_missing(row.actual) for row in rows)
    with_interval = any(not (numbers.is_missing(row.lower) or numbers.is_missing(row.upper)) for row in rows)
    with_note = any(row.note for row in rows)
    columns = [_Column("Method"), _Column(comparison.quantity, True)]
    columns += [_Column("Interval", True)] * with_interval
    columns += [_Column("What happened", True), _Column("Error", True)] * with_actual
    columns += [_Column("Note")] * with_note

    def write(value: Any) -> str:
        return numbers.write_value(value, comparison.format)

    written = []
    for row in rows:
        cells = [_Cell(row.method), _Cell(write(row.says), True)]
        if with_interval:
            cells.append(
                _Cell(f"{write(row.lower)} to {write(row.upper)}" if _known(row.lower, row.upper) else "none", True)
            )
        if with_actual:
            cells += [_Cell(write(row.actual), True), _Cell(numbers.write_percent(_error(row), signed=True), True)]
        if with_note:
            cells.append(_Cell(row.note))
        written.append(cells)
    marked = frozenset(place for place, row in enumerate(rows) if row.best)
    return _TableView(comparison.title, columns, written, comparison.note, marked)


def _known(*values: Any) -> bool:
    return not any(map(numbers.is_missing, values))


def _error(row: ComparisonRow) -> float | None:
    if not numbers.is_missing(row.error):
        return row.error
    if row.says is None or row.actual is None or not _known(row.says, row.actual) or row.actual == 0:
        return None
    return row.says / row.actual - 1


def _fit(fit: FitTable) -> dict[str, Any]:
    tail = 50 * (1 - fit.interval)
    with_meaning = any(parameter.meaning for parameter in fit.parameters)
    # R-hat compares chains, and the fast path has none.
    chained = any(not numbers.is_missing(parameter.r_hat) for parameter in fit.parameters)
    titles = ["Mean", "SD", f"{tail:g}\N{NO-BREAK SPACE}%", f"{100 - tail:g}\N{NO-BREAK SPACE}%", "ESS"]
    titles += ["R\N{NON-BREAKING HYPHEN}hat"] * chained
    columns = [_Column("Parameter"), *(_Column(title, True) for title in titles)]
    columns += [_Column("Meaning")] * with_meaning
    rows = [
        [
            _Cell(row.name),
            *(
                _Cell(numbers.write_value(value, _decimals(row.sd)), True)
                for value in (row.mean, row.sd, row.lower, row.upper)
            ),
            _Cell(numbers.write_value(row.ess, ",.0f"), True),
            *([_Cell(numbers.write_value(row.r_hat, ".3f"), True)] * chained),
            *([_Cell(row.meaning)] if with_meaning else []),
        ]
        for row in fit.parameters
    ]
    tone, sign, word = _VERDICTS[fit.verdict]
    return {
        "title": fit.title,
        "tone": tone,
        "sign": sign,
        "word": word,
        "reasons": fit.reasons,
        "note": fit.note,
        "table": _TableView(f"Posterior of {fit.title}", columns, rows),
    }


def _decimals(sd: Any) -> str:
    """The number of decimals at which the standard deviation has two digits."""
    if not numbers.is_number(sd) or not 1e-6 < sd < 1e6:
        return ""
    return f",.{max(0, 1 - math.floor(math.log10(sd)))}f"


def _audit(audit: DataAudit) -> dict[str, Any]:
    facts = [
        ("Rows read", audit.rows_in),
        ("Rows used", audit.rows_used),
        ("Customers", audit.customers),
    ]
    written = [(label, f"{value:,}") for label, value in facts if value is not None]
    rows = [[_Cell(reason), _Cell(f"{count:,}", True)] for reason, count in audit.left_out.items()]
    table = _TableView("Rows left out, by reason", [_Column("Reason"), _Column("Rows", True)], rows) if rows else None
    nothing_lost = not rows and audit.rows_in is not None and audit.rows_in == audit.rows_used
    return {"facts": written, "span": audit.span, "table": table, "notes": audit.notes, "nothing_lost": nothing_lost}
