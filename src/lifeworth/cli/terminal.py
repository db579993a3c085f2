"""Output in the terminal: progress of long steps, tables, sentences."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lifeworth.display.progress import Report, in_terminal
from lifeworth.periods import horizon_in_words

if TYPE_CHECKING:
    from lifeworth.evaluate.appraisal import Appraisal


def console(stderr: bool = False) -> Console:
    """A console that wraps lines in a terminal and prints plain text into a pipe."""
    return Console(stderr=stderr, highlight=False)


def progress(where: Console) -> contextlib.AbstractContextManager[Report]:
    """Return a function `(what, share done)` that shows a line per step on stderr, only in a terminal."""
    return in_terminal(where)


def table(title: str, columns: list[tuple[str, str]], rows: list[list[Any]], caption: str | None = None) -> Table:
    """A plain table; `columns` are (heading, "left" or "right")."""
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


def show_appraisal(screen: Console, found: Appraisal) -> None:
    """Show the backtest's scores and the expected totals."""
    bt, money = found.backtest, found.rfm.currency
    screen.print(f"\n[dim]{found.rfm.audit}[/]\n")
    rows = []
    summary = bt.summary("value")
    for name, one in summary.iterrows():
        marked = f"[bold]{escape(str(name))}" if name == summary.index[0] else escape(str(name))
        scores = [
            f"{one[key]:{form}}".replace("-0%", "0%") if one[key] == one[key] else "n/a"
            for key, form in (("bias", "+.0%"), ("mae", ",.2f"), ("money_found", ".0%"), ("coverage", ".1%"))
        ]
        rows.append([marked, *scores])
    columns = [("", "left"), ("total's error", "right"), ("MAE", "right"), ("share of top 10 %", "right")]
    columns.append(("in interval", "right"))
    horizon = horizon_in_words(bt.horizon, bt.time_unit)
    unit = f", {escape(money)}" if money else ""
    title = f"Spend per customer in {horizon}{unit}: means over {len(bt.cutoffs)} cut-offs"
    screen.print(table(title, columns, rows), "")
    rows = []
    for label, total, plain in (
        ("purchases", found.totals.of_purchases, found.raw_totals.of_purchases),
        (f"spend {escape(money or '')}".strip(), found.totals.of_value, found.raw_totals.of_value),
    ):
        spans = [f"{each.lower:,.0f} to {each.upper:,.0f}" for each in (total, plain)]
        rows.append([label, f"{total.expected:,.0f}", *spans])
    interval = f"{100 * bt.interval:.0f} %"
    columns = [("", "left"), ("expected", "right"), (f"{interval}, calibrated", "left"), (f"{interval}, raw", "left")]
    screen.print(table(f"All customers, the next {horizon}", columns, rows), "")
    for note in found.notes:
        screen.print(f"[dim]{escape(note)}[/]")


def show_written(screen: Console, written: list[tuple[Path, str]]) -> None:
    """Show where results were written, and what they are."""
    width = max(len(str(path)) for path, _ in written)
    screen.print("[bold]Written[/]")
    for path, what in written:
        screen.print(f"  {escape(str(path)):<{width}}  [dim]{what}[/]", soft_wrap=True)
