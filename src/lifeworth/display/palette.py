"""The colours of lifeworth, by role, for light and dark pages. Imports nothing.

Blue for models and copper for actual values differ in hue and lightness for every common kind of colour vision. Text
roles (ink, muted, model, actual, good, careful, bad) have a contrast of at least 4.5:1 on paper.
"""

from typing import Final

LIGHT: Final[dict[str, str]] = {
    "paper": "#fcfbf8",
    "wash": "#f3f1ea",
    "hair": "#dcd8ce",
    "ink": "#1c2530",
    "muted": "#5b6672",
    "model": "#17698a",
    "actual": "#b9580f",
    "third": "#995ee3",
    "fourth": "#6a1a01",
    "fifth": "#16356c",
    "sixth": "#1a9b95",
    "good": "#2f6b3c",
    "careful": "#8a5a00",
    "bad": "#a3271d",
}

DARK: Final[dict[str, str]] = {
    "paper": "#14181d",
    "wash": "#1c2229",
    "hair": "#363e47",
    "ink": "#e9e6df",
    "muted": "#a4acb6",
    "model": "#6fbfdc",
    "actual": "#eda15c",
    "third": "#ad76fc",
    "fourth": "#a05d03",
    "fifth": "#6f62ac",
    "sixth": "#489894",
    "good": "#8cc99a",
    "careful": "#e3b55a",
    "bad": "#f2938a",
}

SERIES: Final[tuple[str, ...]] = ("model", "actual", "third", "fourth", "fifth", "sixth")
"""Roles in the order in which curves of equal rank use them."""

HEAT: Final[tuple[str, ...]] = ("#efece2", "#b9d3d6", "#6aa6b8", "#17698b", "#0c3550")
"""From low to high, with decreasing lightness; dark pages reverse the order."""

ON_LIGHT_HEAT: Final = "#10202c"
ON_DARK_HEAT: Final = "#fdfdfb"
