"""Commands for evaluation: demo, backtest and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeworth.cli.inputs import Formulas, Rows, Seed, covariate_names, encoded, with_columns_of, with_options
from lifeworth.errors import UsageError

if TYPE_CHECKING:
    from lifeworth.evaluate.appraisal import Appraisal

Input = Annotated[
    Path, typer.Argument(help="Transactions: a .parquet or .csv file, a folder or a pattern.", show_default=False)
]
Horizon = Annotated[str, typer.Option(help='Horizon to predict and to evaluate: "13W", "39W", "12M".')]
Cutoffs = Annotated[
    str, typer.Option(help='The number of past cut-off dates, or the dates: "4", or "1997-06-30,1997-09-30".')
]
Models = Annotated[
    str, typer.Option(help="bg_nbd, mbg_nbd, pareto_nbd, separated by commas; the first one values the customers.")
]
Interval = Annotated[float, typer.Option(help="Probability of the intervals.")]
Draws = Annotated[int, typer.Option(help="Number of posterior draws.", min=1)]
Title = Annotated[str, typer.Option(help="Heading of the page.")]
TITLE = "Customer lifetime value"


@dataclass(frozen=True)
class Question:
    """What is predicted, at which past dates, by which models."""

    horizon: Horizon = "13W"
    cutoffs: Cutoffs = "4"
    models: Models = "bg_nbd"
    interval: Interval = 0.9
    draws: Draws = 1000
    seed: Seed = 0


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("lifeworth-demo"),
    sample: Annotated[bool, typer.Option("--sample", help="Only the published 1/10 sample, which is faster.")] = False,
    draws: Draws = 1000,
    seed: Seed = 0,
) -> None:
    """Value CDNOW's 23,570 customers, from purchases to a report, and compare predictions with what happened."""
    from lifeworth.cli.demo import run_demo

    run_demo(out, sample=sample, draws=draws, seed=seed)


@with_options
def backtest(
    input: Input,  # noqa: A002
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    question: Question,
    rows: Rows,
    formulas: Formulas,
    title: Title = TITLE,
) -> None:
    """Compare historical and predictive CLV on holdout data: tables, a recalibrated model, and a report.

    With formulas, every model is judged with and without its covariates: lifeworth backtest orders.csv --out results
    --purchase-formula channel --spend-formula channel
    """
    from lifeworth.cli import terminal
    from lifeworth.model.store import refuse_to_replace
    from lifeworth.report.export import check_results, write_results

    refuse_to_replace(out / "model")
    check_results(out, input, name="--out")
    found = _appraise(input, question, rows, formulas)
    written = write_results(found, out, title)
    screen = terminal.console()
    terminal.show_appraisal(screen, found)
    terminal.show_written(screen, written)


@with_options
def report(
    input: Input,  # noqa: A002
    question: Question,
    rows: Rows,
    formulas: Formulas,
    out: Annotated[Path, typer.Option(help="Output file of the page: .html.")] = Path("report.html"),
    title: Title = TITLE,
) -> None:
    """Write one page about the customers: their past and future value, and the evidence for it."""
    from lifeworth.cli import terminal
    from lifeworth.report import write_report
    from lifeworth.report.appraisal import appraisal_report
    from lifeworth.tables import check_output

    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out} does not end in .html: give a file that does.")
    check_output(out, input, name="--out")
    found = _appraise(input, question, rows, formulas)
    written = write_report(appraisal_report(found, title), out)
    screen = terminal.console()
    terminal.show_appraisal(screen, found)
    terminal.show_written(screen, [(written, "all results on one page: open it in a browser")])


def _appraise(path: Path, question: Question, rows: Rows, formulas: Formulas) -> Appraisal:
    from lifeworth.cli import terminal
    from lifeworth.evaluate.appraisal import appraise

    wanted: Any = [part.strip() for part in question.cutoffs.split(",") if part.strip()]
    if len(wanted) == 1 and wanted[0].isdigit():
        wanted = int(wanted[0])
    names = [part.strip() for part in question.models.split(",") if part.strip()]
    if not names:
        raise UsageError("--models is empty: name at least one model, such as bg_nbd.")
    if not rows.amount:
        raise UsageError("--amount is empty: customer value needs the column with the amounts.")
    models: list[Any] = [*names]
    if formulas.of_purchases or formulas.of_spend:
        from lifeworth.model.models import GammaGamma, purchase_model

        rows = with_columns_of(rows, formulas.columns)
        spend = GammaGamma(**formulas.of_spend)
        families = [purchase_model(name, "--models") for name in names]
        models = [*((family(**formulas.of_purchases), spend) for family in families), *names]
    asked: dict[str, Any] = {"interval": question.interval, "draws": question.draws, "seed": question.seed}
    with terminal.progress(terminal.console(stderr=True)) as tell:
        data = encoded(path, rows.encoding)
        return appraise(
            data,
            question.horizon,
            wanted,
            models,
            covariates=covariate_names(rows.covariates),
            **asked,
            **rows.reading(),
            progress=tell,
        )


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (demo, backtest, report):
        app.command()(command)
