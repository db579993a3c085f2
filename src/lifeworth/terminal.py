"""What a person sees in the terminal: progress on long steps, tables, sentences."""

from __future__ import annotations

import contextlib
from typing import Any

from rich.console import Console
from rich.table import Table

from lifeworth.progress import Report, in_terminal


def console(stderr: bool = False) -> Console:
    """A console that wraps to the terminal, and stays plain in a pipe."""
    return Console(stderr=stderr, highlight=False)


def progress(where: Console) -> contextlib.AbstractContextManager[Report]:
    """Give a function `(what, share done)` that keeps a line per step, on stderr; silent where nobody watches."""
    return in_terminal(where)


def table(title: str, columns: list[tuple[str, str]], rows: list[list[Any]], caption: str | None = None) -> Table:
    """A plain table: columns are (heading, "left" or "right")."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for heading, justify in columns:
        made.add_column(heading, justify="right" if justify == "right" else "left", header_style="dim", no_wrap=True)
    for row in rows:
        made.add_row(*[str(cell) for cell in row])
    return made
