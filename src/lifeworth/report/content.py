"""The content of a report, as plain data; its layout is defined by the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lifeworth.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Drawing = Figure | Axes | NDArray[Any] | Sequence[Axes] | bytes

Verdict = Literal["ok", "warn", "fail"]
Number = float | int | None


@dataclass(frozen=True)
class Headline:
    """A figure shown large at the top.

    Attributes
    ----------
    label : what it is, in a few words.
    value : the figure as it is to be read, such as "USD 1.2 million" or "71 %".
    note : a short remark, such as its interval.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class DataAudit:
    """What happened to the rows.

    Attributes
    ----------
    rows_in, rows_used : counts.
    left_out : rows left out, by reason.
    notes : further remarks, one sentence each.
    customers : how many customers remain.
    span : the time the rows cover, in words.
    """

    rows_in: int | None = None
    rows_used: int | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    customers: int | None = None
    span: str = ""


@dataclass(frozen=True)
class Parameter:
    """A row of a fit: the numbers of a parameter's posterior. None and NaN are shown as "n/a"."""

    name: str
    mean: Number
    sd: Number = None
    lower: Number = None
    upper: Number = None
    ess: Number = None
    r_hat: Number = None
    meaning: str = ""


@dataclass(frozen=True)
class FitTable:
    """A fitted model: its parameters and whether to trust them.

    Attributes
    ----------
    title : the model's name.
    parameters : its rows.
    verdict : "ok", "warn" or "fail"; "warn" and "fail" are also shown at the top of the page.
    reasons : why, a sentence each.
    note : how it was fit, in a sentence.
    interval : probability between a row's lower and upper.
    """

    title: str
    parameters: Sequence[Parameter] = ()
    verdict: Verdict = "ok"
    reasons: Sequence[str] = ()
    note: str = ""
    interval: float = 0.9

    def __post_init__(self) -> None:
        if self.verdict not in ("ok", "warn", "fail"):
            raise UsageError(f'The verdict {self.verdict!r} is not valid: choose "ok", "warn" or "fail".')


@dataclass(frozen=True)
class ComparisonRow:
    """One method compared with the actual value.

    Attributes
    ----------
    method : its name.
    says : the predicted value.
    actual : what happened.
    error : relative error as a fraction; default, says / actual - 1 if both are known.
    lower, upper : its interval, if it has one.
    note : a few words.
    best : whether to mark this row as the best.
    """

    method: str
    says: Number
    actual: Number = None
    error: Number = None
    lower: Number = None
    upper: Number = None
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Comparison:
    """Methods compared with each other, and with what happened.

    Attributes
    ----------
    title : what is compared.
    rows : one for each method.
    quantity : heading of the column of predictions, with its unit, such as "Spend in 39 weeks (USD)".
    note : a sentence below.
    format : how to write the numbers, as for `Table.formats`.
    """

    title: str
    rows: Sequence[ComparisonRow]
    quantity: str = "Foretold"
    note: str = ""
    format: str | Callable[[Any], str] = ""


@dataclass(frozen=True)
class Picture:
    """A picture with its texts.

    Attributes
    ----------
    title : what it shows, preferably as a statement.
    alt : a description for readers who cannot see it; not empty.
    drawing : a Matplotlib figure or axes, or the bytes of a PNG or SVG file.
    caption : how to read it.
    narrow : another drawing for narrow screens. A figure with a layout engine is adapted automatically.
    """

    title: str
    alt: str
    drawing: "Drawing"
    caption: str = ""
    narrow: "Drawing | None" = None

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise UsageError(
                f"The picture {self.title!r} needs an alt text: describe it for readers who cannot see it."
            )


@dataclass(frozen=True)
class Table:
    """A table for the page.

    Attributes
    ----------
    title : its caption.
    frame : the rows; the first column names them.
    formats : by column: a format specification such as ",.2f" or ".1%", or a function of a value.
    note : a sentence below.
    headings : by column: words to show in place of the column's name.
    most_rows : the maximum number of rows; the page says if rows are omitted.
    """

    title: str
    frame: "pd.DataFrame"
    formats: Mapping[str, str | Callable[[Any], str]] = field(default_factory=dict)
    note: str = ""
    headings: Mapping[str, str] = field(default_factory=dict)
    most_rows: int = 50


@dataclass(frozen=True)
class Section:
    """A custom chapter: paragraphs, then pictures, then tables."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Trap:
    """Something to be careful with: a few words, and why."""

    title: str
    text: str


@dataclass(frozen=True)
class Source:
    """Where a method or a number comes from; `href`, if any, is an http(s) address that a reader may follow."""

    text: str
    href: str = ""

    def __post_init__(self) -> None:
        if self.href and not self.href.lower().startswith(("https://", "http://")):
            raise UsageError(f"The address {self.href!r} of a source must start with https:// or http://.")


@dataclass(frozen=True)
class ReportContent:
    """A page, from top to bottom; parts that are omitted are not shown.

    Attributes
    ----------
    title, subtitle : the heading and a sentence below.
    generated : the date, as text.
    eyebrow : a few words above the title.
    headlines : the figures at the top; three or four are best.
    summary : paragraphs in plain language.
    comparisons : methods compared with what happened.
    pictures : shown together, each with its words.
    sections : custom chapters, after the pictures.
    tables : more tables.
    fits : fitted models and their verdicts.
    audit : what happened to the rows.
    traps : what to be careful with.
    sources : papers and data.
    footer : versions and the like.
    language : of the texts, for browsers and screen readers.
    """

    title: str
    subtitle: str = ""
    generated: str = ""
    eyebrow: str = "Customer lifetime value"
    headlines: Sequence[Headline] = ()
    summary: Sequence[str] = ()
    comparisons: Sequence[Comparison] = ()
    pictures: Sequence[Picture] = ()
    sections: Sequence[Section] = ()
    tables: Sequence[Table] = ()
    fits: Sequence[FitTable] = ()
    audit: DataAudit | None = None
    traps: Sequence[Trap | str] = ()
    sources: Sequence[Source | str] = ()
    footer: Sequence[str] = ()
    language: str = "en"
