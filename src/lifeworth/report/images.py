"""Pictures as data addresses: small, crisp, and sealed off from the page they stand in."""

import base64
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifeworth.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_SVG: Final = 160_000
_MOST_PNG: Final = 260_000
_NARROW: Final = 3.9
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Image:
    """A picture ready for the page; sizes are in CSS pixels and only tell the browser the shape."""

    address: str
    width: int
    height: int
    plate: bool
    narrow: "Image | None" = None

    @property
    def size(self) -> int:
        """Characters in the page, with the form for phones."""
        return len(self.address) + (self.narrow.size if self.narrow else 0)


def to_image(drawing: Any, narrow: Any = None) -> Image:
    """Turn what a `Picture` holds into something the page can show.

    A figure becomes SVG, which is small and sharp and follows the reader's theme if it has lifeworth's style. One
    with so many points that its SVG would be large becomes a PNG instead. An SVG is embedded as an image: in
    that place a browser neither runs scripts in it nor lets it load anything.
    """
    if isinstance(drawing, bytes | bytearray):
        image = _from_bytes(bytes(drawing))
        small = to_image(narrow) if narrow is not None else None
    else:
        from lifeworth.plots.export import figure_of

        figure = figure_of(drawing)
        image = _from_figure(figure, None)
        small = None
        if narrow is not None:
            small = to_image(narrow)
        elif figure.get_layout_engine() is not None and figure.get_size_inches()[0] > 1.2 * _NARROW:
            small = _from_figure(figure, _NARROW)
    return Image(image.address, image.width, image.height, image.plate, small)


def _from_figure(figure: "Figure", width: float | None) -> Image:
    from lifeworth.plots.export import is_house_style, to_png, to_svg

    inches = figure.get_size_inches()
    across, down = (float(inches[0]) if width is None else width), float(inches[1])
    house = is_house_style(figure)
    svg = to_svg(figure, width=width, themed=house)
    if len(svg) <= _MOST_SVG:
        return Image(_address("image/svg+xml", svg.encode()), round(96 * across), round(96 * down), plate=not house)
    for scale in (2.0, 1.5, 1.0, 0.7):
        png = to_png(figure, scale=scale, width=width)
        if len(png) <= _MOST_PNG:
            break
    if len(svg) <= len(png):
        return Image(_address("image/svg+xml", svg.encode()), round(96 * across), round(96 * down), plate=not house)
    return Image(_address("image/png", png), round(96 * across), round(96 * down), plate=True)


def _from_bytes(content: bytes) -> Image:
    if content.startswith(_PNG_SIGNATURE) and len(content) > 24:
        width, height = struct.unpack(">II", content[16:24])
        return Image(_address("image/png", content), width, height, plate=True)
    head = content[:4000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"(<\?xml|<!--|<!DOCTYPE svg|<svg)", head) and b"<svg" in head:
        box = re.search(rb'viewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)"', head)
        width, height = (round(float(side)) for side in box.groups()) if box else (680, 400)
        return Image(_address("image/svg+xml", content), width, height, plate=True)
    raise UsageError("A picture must be a Matplotlib figure or axes, or the bytes of a PNG or SVG file.")


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
