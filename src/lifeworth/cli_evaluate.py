"""Commands that judge: backtest and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeworth.cli_input import (
    Currency,
    CustomerId,
    Date,
    DateFormat,
    Decimal,
    Duplicates,
    Encoding,
    ObservationEnd,
    Period,
    Refunds,
    Seed,
    TimeUnit,
    TimeZone,
    encoded,
)
from lifeworth.errors import UsageError

if TYPE_CHECKING:
    from lifeworth.evaluate.appraisal import Appraisal

Input = Annotated[
    Path, typer.Argument(help="Transactions: a .parquet or .csv file, a folder or a pattern.", show_default=False)
]
Horizon = Annotated[str, typer.Option(help='How far ahead to foretell and to judge: "13W", "39W", "12M".')]
Cutoffs = Annotated[
    str, typer.Option(help='How many past dates to go back to, or which: "4", or "1997-06-30,1997-09-30".')
]
Models = Annotated[str, typer.Option(help="bg_nbd, mbg_nbd, pareto_nbd, with commas between; the first values.")]
Amount = Annotated[str, typer.Option(help="Column with the amount.")]
Interval = Annotated[float, typer.Option(help="Probability that intervals hold.")]
Draws = Annotated[int, typer.Option(help="Posterior draws to keep.", min=1)]
Title = Annotated[str, typer.Option(help="Heading of the page.")]


def backtest(
    input: Input,  # noqa: A002
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    horizon: Horizon = "13W",
    cutoffs: Cutoffs = "4",
    models: Models = "bg_nbd",
    customer_id: CustomerId = "customer_id",
    date: Date = "date",
    amount: Amount = "amount",
    date_format: DateFormat = None,
    time_zone: TimeZone = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    period: Period = "D",
    time_unit: TimeUnit = "W",
    observation_end: ObservationEnd = None,
    refunds: Refunds = "net",
    duplicates: Duplicates = "keep",
    currency: Currency = None,
    interval: Interval = 0.9,
    draws: Draws = 1000,
    seed: Seed = 0,
    title: Title = "What the customers are worth",
) -> None:
    """Historical beside predictive on held-out time: tables, a calibrated model, and a report."""
    from lifeworth import terminal
    from lifeworth.model.store import refuse_to_replace

    refuse_to_replace(out / "model")
    found = _appraise(
        input,
        horizon,
        cutoffs,
        models,
        interval,
        draws,
        seed,
        encoding,
        customer_id=customer_id,
        date=date,
        amount=amount,
        date_format=date_format,
        time_zone=time_zone,
        decimal=decimal,
        period=period,
        time_unit=time_unit,
        observation_end=observation_end,
        refunds=refunds,
        duplicates=duplicates,
        currency=currency,
    )
    written = _write(found, out, title)
    _print(found)
    width = max(len(str(path)) for path, _ in written)
    screen = terminal.console()
    screen.print("[bold]Written[/]")
    for path, what in written:
        screen.print(f"  {path!s:<{width}}  [dim]{what}[/]", soft_wrap=True)


def report(
    input: Input,  # noqa: A002
    out: Annotated[Path, typer.Option(help="Where the page goes: a .html file.")] = Path("report.html"),
    horizon: Horizon = "13W",
    cutoffs: Cutoffs = "4",
    models: Models = "bg_nbd",
    customer_id: CustomerId = "customer_id",
    date: Date = "date",
    amount: Amount = "amount",
    date_format: DateFormat = None,
    time_zone: TimeZone = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    period: Period = "D",
    time_unit: TimeUnit = "W",
    observation_end: ObservationEnd = None,
    refunds: Refunds = "net",
    duplicates: Duplicates = "keep",
    currency: Currency = None,
    interval: Interval = 0.9,
    draws: Draws = 1000,
    seed: Seed = 0,
    title: Title = "What the customers are worth",
) -> None:
    """One page about the customers: their value, past and future, and the evidence for it."""
    from lifeworth.report import write_report
    from lifeworth.report.appraisal import appraisal_report

    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}: give a file that ends in .html.")
    found = _appraise(
        input,
        horizon,
        cutoffs,
        models,
        interval,
        draws,
        seed,
        encoding,
        customer_id=customer_id,
        date=date,
        amount=amount,
        date_format=date_format,
        time_zone=time_zone,
        decimal=decimal,
        period=period,
        time_unit=time_unit,
        observation_end=observation_end,
        refunds=refunds,
        duplicates=duplicates,
        currency=currency,
    )
    write_report(appraisal_report(found, title), out)
    _print(found)
    typer.echo(f"Report written to {out}: open it in a browser.")


def _appraise(
    path: Path,
    horizon: str,
    cutoffs: str,
    models: str,
    interval: float,
    draws: int,
    seed: int,
    encoding: str | None,
    **rows: Any,
) -> Appraisal:
    from lifeworth import terminal
    from lifeworth.evaluate.appraisal import appraise

    wanted: Any = [part.strip() for part in cutoffs.split(",") if part.strip()]
    if len(wanted) == 1 and wanted[0].isdigit():
        wanted = int(wanted[0])
    names = [part.strip() for part in models.split(",") if part.strip()]
    if not names:
        raise UsageError("--models: name at least one, such as bg_nbd.")
    with terminal.progress(terminal.console(stderr=True)) as tell:
        data = encoded(path, encoding)
        return appraise(data, horizon, wanted, names, interval=interval, draws=draws, seed=seed, progress=tell, **rows)


def _write(found: Appraisal, out: Path, title: str) -> list[tuple[Path, str]]:
    """Write the results into a folder, each file whole; give their paths and what they are."""
    from lifeworth.files import replacing
    from lifeworth.report import write_report
    from lifeworth.report.appraisal import appraisal_report

    bt, comparison = found.backtest, found.comparison
    summaries = {target: bt.summary(target) for target in bt.scores["target"].unique()}
    summary = _stacked(summaries)
    files: list[tuple[str, Any, str]] = [
        ("summary.csv", summary, "models and baselines, their scores' means over the cut-offs"),
        ("scores.csv", bt.scores, "every score at every cut-off, with its interval"),
        ("totals.csv", bt.totals, "what all customers were foretold, and did"),
        ("calibration.csv", bt.groups, "predicted and actual by frequency, recency and cohort"),
        ("coverage.csv", found.coverage, "raw and calibrated intervals on time not learned from"),
        ("parameters.csv", bt.parameters, "how the models' parameters drift"),
        ("predictions.parquet", bt.predictions, "every forecast of a customer beside what happened"),
        ("comparison.parquet", comparison.customers, "historical beside predictive, customer by customer"),
        ("customers.parquet", found.customers, "each customer's past, forecast from now, and segment"),
    ]
    if comparison.earned is not None:
        files.append(("earned.csv", comparison.earned, "what each ranking would have earned"))
    written = []
    for name, frame, what in files:
        with replacing(out / name) as temporary:
            if name.endswith(".csv"):
                frame.to_csv(temporary, index=False)
            else:
                frame.to_parquet(temporary, index=False)
        written.append((out / name, what))
    found.clv.save(out / "model")
    written.append((out / "model", "the model, calibrated, for lifeworth.load and lifeworth predict"))
    write_report(appraisal_report(found, title), out / "report.html")
    written.append((out / "report.html", "all of it on one page: open it in a browser"))
    return written


def _stacked(tables: dict[Any, Any]) -> Any:
    import pandas as pd

    return pd.concat(tables, names=["target", "method"]).reset_index()


def _print(found: Appraisal) -> None:
    """Who was right, what is to come, and what each ranking would have earned."""
    from lifeworth import terminal

    screen, bt = terminal.console(), found.backtest
    screen.print(f"\n[dim]{found.rfm.audit}[/]\n")
    rows = []
    summary = bt.summary("value")
    for name, one in summary.iterrows():
        marked = f"[bold]{name}" if name == summary.index[0] else str(name)
        numbers = [f"{one[key]:{form}}" for key, form in (("bias", "+.0%"), ("mae", ",.2f"), ("money_found", ".0%"))]
        rows.append([marked, one["kind"], *(text.replace("nan%", "n/a").replace("nan", "n/a") for text in numbers)])
    columns = [("", "left"), ("", "left"), ("total's error", "right"), ("MAE", "right"), ("top tenth finds", "right")]
    title = f"Value in {bt.horizon}, mean over {len(bt.cutoffs)} cut-offs"
    screen.print(terminal.table(title, columns, rows), "")
    rows = []
    for label, total, plain in (
        ("purchases", found.totals.of_purchases, found.raw_totals.of_purchases),
        (f"spend {found.rfm.currency or ''}".strip(), found.totals.of_value, found.raw_totals.of_value),
    ):
        spans = [f"{each.lower:,.0f} to {each.upper:,.0f}" for each in (total, plain)]
        rows.append([label, f"{total.expected:,.0f}", *spans])
    interval = f"{100 * bt.interval:.0f} %"
    columns = [("", "left"), ("expected", "right"), (f"{interval}, calibrated", "left"), (f"{interval}, raw", "left")]
    screen.print(terminal.table(f"All customers, the next {bt.horizon}", columns, rows), "")
    for note in found.notes:
        screen.print(f"[dim]{note}[/]")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(backtest)
    app.command()(report)
