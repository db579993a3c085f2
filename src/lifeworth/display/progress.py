"""Progress of long steps: a bar in notebooks and terminals, or a function given by the caller."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lifeworth.display import cards
from lifeworth.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[str, float], None]
# None: a bar in a notebook, for steps of more than a second; True: in a terminal too; False: never.
Progress = Report | bool | None

_PATIENCE, _EVERY = 1.0, 0.1


@contextmanager
def watched(progress: Progress) -> Iterator[Report | None]:
    """Return a function that takes the current step and its share done; None if progress is not shown."""
    if callable(progress):
        yield progress
    elif progress is False:
        yield silent  # and not None, with which a step inside could show a bar
    elif progress is None or progress is True:
        if in_notebook():
            with _in_notebook() as report:
                yield report
        elif progress is True and sys.stderr.isatty():
            from rich.console import Console

            with in_terminal(Console(stderr=True, highlight=False)) as report:
                yield report
        else:
            yield None
    else:
        raise UsageError(
            f"progress={progress!r} is not valid: give True (a bar), False (no bar), None (a bar in notebooks), "
            "or a function that takes the name of the step and the share of it that is done."
        )


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell: Any = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def in_terminal(where: Console) -> Iterator[Report]:
    """A line per step in a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
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
            for task in tasks.values():  # steps are sequential: a new one means that the last one has ended
                bars.update(task, completed=1.0)
            tasks[what] = bars.add_task(what, total=1.0)
        bars.update(tasks[what], completed=min(share, 1.0))

    with bars:
        yield report
        for task in tasks.values():
            bars.update(task, completed=1.0)


@contextmanager
def _in_notebook() -> Iterator[Report]:
    """One line for the current step, removed at the end, so that a saved notebook contains only results."""
    bar = _NotebookBar()
    yield bar.report
    bar.close()  # not after an error, because it shows where the error occurred


class _NotebookBar:
    def __init__(self) -> None:
        self.begun = self.drawn = time.monotonic()
        self.handle: Any = None

    def report(self, what: str, share: float) -> None:
        now = time.monotonic()
        if now - self.begun < _PATIENCE or (self.handle is not None and now - self.drawn < _EVERY):
            return
        self.drawn = now
        self._show(f"{what}: {100 * share:.0f} %", cards.bar(what, share, now - self.begun))

    def close(self) -> None:
        if self.handle is not None:
            self._show("", "")

    def _show(self, text: str, page: str) -> None:
        from IPython.display import display as show

        content: Final = {"text/plain": text, "text/html": page}
        if self.handle is None:
            self.handle = show(content, raw=True, display_id=True)
        else:
            self.handle.update(content, raw=True)


def silent(what: str, share: float) -> None:
    """Ignore progress."""
