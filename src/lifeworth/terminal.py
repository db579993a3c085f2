"""What a person sees in the terminal: progress on long steps, tables, sentences."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

Report = Callable[[str, float], None]


def console(stderr: bool = False) -> Console:
    """A console that wraps to the terminal, and stays plain in a pipe."""
    return Console(stderr=stderr, highlight=False)


@contextlib.contextmanager
def progress(where: Console) -> Iterator[Report]:
    """Give a function `(what, share done)` that keeps a line per step, on stderr; silent where nobody watches."""
    bars = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=where,
        disable=not where.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def report(what: str, share: float) -> None:
        if what not in tasks:
            for task in tasks.values():  # steps follow one another: a new one means the last is over
                bars.update(task, completed=1.0)
            tasks[what] = bars.add_task(what, total=1.0)
        bars.update(tasks[what], completed=min(share, 1.0))

    with bars:
        yield report
        for task in tasks.values():
            bars.update(task, completed=1.0)


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
