"""Pictures to bytes: clean SVG, crisp PNG, files written whole or not at all."""

import io
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from lifeworth.atomic_files import replacing
from lifeworth.errors import UsageError
from lifeworth.plots.palette import DARK, LIGHT, ON_DARK_HEAT, ON_LIGHT_HEAT
from lifeworth.plots.style import PAPER

_FONTS: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
_ON_HEAT: Final = {"on-light-heat": ON_LIGHT_HEAT, "on-dark-heat": ON_DARK_HEAT}
_NO_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}

Picture = Figure | Axes | Sequence[Axes] | NDArray[Any]


def figure_of(picture: Picture) -> Figure:
    """Return the figure that axes, or an array of axes, stand in.

    Raises
    ------
    UsageError
        If there is none.

    Examples
    --------
    >>> import lifeworth as lw
    >>> axes = lw.plots.plot_value_distribution([0.0, 5.0, 20.0], currency="USD")
    >>> [float(size) for size in lw.plots.figure_of(axes).get_size_inches()]
    [6.8, 3.4]
    """
    if isinstance(picture, Figure):
        return picture
    first = picture if isinstance(picture, Artist) else next(iter(np.ravel(np.asarray(picture, dtype=object))), None)
    figure = first.get_figure(root=True) if isinstance(first, Axes) else None
    if not isinstance(figure, Figure):
        raise UsageError("A picture must be a Matplotlib figure, axes that stand in one, or an array of such axes.")
    return figure


def to_svg(picture: Picture, *, width: float | None = None, themed: bool = False, dpi: int = 130) -> str:
    """Write a picture as SVG text: the same picture gives the same bytes, with no date, address or foreign entity.

    Parameters
    ----------
    picture : Figure, Axes or array of Axes
        What to write.
    width : float, optional
        Lay it out at this width in inches (text keeps its size), and restore it afterwards.
    themed : bool
        Let lifeworth's colours follow the light or dark preference of the reader's browser, on the page's background.
    dpi : int
        Resolution of what is drawn as pixels inside, such as heat maps.

    Examples
    --------
    >>> import lifeworth as lw
    >>> lw.plots.to_svg(lw.plots.plot_value_distribution([0.0, 5.0, 20.0]))[:5]
    '<svg '
    """
    figure = figure_of(picture)
    options: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lifeworth", "svg.image_inline": True}
    buffer = io.StringIO()
    with mpl.rc_context(options), _resized(figure, width):
        figure.savefig(buffer, format="svg", dpi=dpi, metadata=_NO_METADATA, facecolor=figure.get_facecolor())
    text = buffer.getvalue()
    text = re.sub(r"^.*?(?=<svg )", "", text, count=1, flags=re.DOTALL)  # the prolog names an address
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<= d=")[^"]*', _shorter_path, text)
    text = text.replace(" font-family: 'DejaVu Sans';", "")
    return _with_style(_themed(text) if themed else text, themed)


def to_png(picture: Picture, *, scale: float = 2.0, width: float | None = None) -> bytes:
    """Write a picture as PNG bytes, `scale` times 100 pixels for each inch.

    Examples
    --------
    >>> import lifeworth as lw
    >>> lw.plots.to_png(lw.plots.plot_value_distribution([0.0, 5.0, 20.0]), scale=1.0)[1:4]
    b'PNG'
    """
    figure = figure_of(picture)
    buffer = io.BytesIO()
    with _resized(figure, width):
        figure.savefig(
            buffer, format="png", dpi=100 * scale, metadata={"Software": None}, facecolor=figure.get_facecolor()
        )
    return buffer.getvalue()


def save(picture: Picture, path: str | os.PathLike[str], *, scale: float = 2.0) -> Path:
    """Write a picture to a ``.png`` or ``.svg`` file, whole or not at all.

    Raises
    ------
    UsageError
        For any other ending.
    SourceError
        If the file cannot be written.

    Examples
    --------
    >>> import lifeworth as lw, pathlib, tempfile
    >>> picture = lw.plots.plot_value_distribution([0.0, 5.0, 20.0])
    >>> lw.plots.save(picture, pathlib.Path(tempfile.mkdtemp()) / "values.svg").name
    'values.svg'
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in (".png", ".svg"):
        raise UsageError(f"A picture is saved as .png or .svg, not as {target.name!r}.")
    content = to_png(picture, scale=scale) if ending == ".png" else to_svg(picture).encode()
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return target


def is_house_style(figure: Figure) -> bool:
    """Whether a figure has lifeworth's background, so that its colours may follow the reader's theme."""
    return to_hex(figure.get_facecolor()) == PAPER


@contextmanager
def _resized(figure: Figure, width: float | None) -> Iterator[None]:
    size = tuple(figure.get_size_inches())
    if width is None:
        yield
        return
    wrapped = _wrap_labels(figure, width, size[1])
    texts = [(text, text.get_text()) for text, _ in wrapped]
    try:
        figure.set_size_inches(width, size[1])
        for text, narrow in wrapped:
            text.set_text(narrow)
        yield
    finally:
        figure.set_size_inches(*size)
        for text, wide in texts:
            text.set_text(wide)


def _wrap_labels(figure: Figure, width: float, height: float) -> list[tuple[Text, str]]:
    """Break the axes' names into lines that fit a figure of another size."""
    wrapped = []
    for ax in figure.axes:
        place = ax.get_subplotspec()
        down, across = place.get_gridspec().get_geometry() if place is not None else (1, 1)
        for label, room in ((ax.xaxis.label, _room_below(ax, width / across)), (ax.yaxis.label, height / down - 0.7)):
            characters = max(12, int(room * 72 / (0.56 * float(label.get_fontsize()))))
            lines = (textwrap.fill(line, characters, break_on_hyphens=False) for line in label.get_text().split("\n"))
            wrapped.append((label, "\n".join(lines)))
    return wrapped


def _room_below(ax: Axes, width: float) -> float:
    """The inches left for the horizontal axis beside the names on the vertical one."""
    ticks = [line for label in ax.get_yticklabels() for line in label.get_text().split("\n")]
    return width - 0.35 - max(0.35, 8.5 / 72 * 0.56 * max(map(len, ticks), default=0))


def _themed(svg: str) -> str:
    """Replace lifeworth's colours by variables with a light and a dark value."""
    role = {color: name for name, color in (LIGHT | _ON_HEAT).items()}

    def variable(match: re.Match[str]) -> str:
        name = role.get(match[2])
        return f"{match[1]}var(--{name})" if name else match[0]

    svg = re.sub(r"((?:fill|stroke): )(#[0-9a-f]{6})", variable, svg)
    return svg.replace(
        "fill: var(--paper)", "fill: none", 1
    )  # the sheet itself: the page has the same, and prints none


def _with_style(svg: str, themed: bool) -> str:
    sheet = f"text{{font-family:{_FONTS}}}"
    if themed:
        turned = dict(zip(_ON_HEAT, reversed(_ON_HEAT.values()), strict=True))
        themes = (LIGHT | _ON_HEAT, DARK | turned)
        light, dark = ("".join(f"--{name}:{color};" for name, color in theme.items()) for theme in themes)
        # What is drawn as pixels, such as heat maps, is turned over: on dark paper, too, the least is near the paper.
        turn = "image{filter:invert(1) hue-rotate(180deg)}"
        sheet += f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}{turn}}}"
    end = svg.index(">") + 1
    return f"{svg[:end]}<style>{sheet}</style>{svg[end:]}"


def _shorter_path(match: re.Match[str]) -> str:
    """Write a path's coordinates with two decimals: an invisible change of at most a hundredth of a point."""
    short = re.sub(r"(\.\d\d)\d+", r"\1", match[0])
    return re.sub(r"\s*\n\s*(?=[A-Za-z])|\s+$", "", short)
