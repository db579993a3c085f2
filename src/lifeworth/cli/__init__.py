"""The command line: each command imports what it needs when it runs."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main

from lifeworth import __version__
from lifeworth.cli import evaluate, jobs, models
from lifeworth.cli.inputs import (
    Columns,
    Currency,
    Formulas,
    Rows,
    Seed,
    check_rfm_files,
    covariate_names,
    encoded,
    read_rfm,
    with_options,
)
from lifeworth.errors import DataError, DataWarning, FitError, LifeworthError, SourceError, UsageError, is_interruption
from lifeworth.redaction import environment_secrets, redact

if TYPE_CHECKING:
    from lifeworth.transactions import Audit

app = typer.Typer(
    name="lifeworth",
    help="Historical and predicted customer lifetime value, with its uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

app.add_typer(models.app, name="models")
evaluate.register(app)

# How a write to the standard output fails: the reader has gone, the disk is full, or it is closed.
_OUTPUT_FAILED = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = 130  # what shells expect of a command stopped by Ctrl-C; also used for SIGTERM and SIGHUP

# The base class of usage errors in the click that typer uses.
WrongUsage: Any = typer.BadParameter.__mro__[1]

Input = Annotated[
    Path,
    typer.Argument(
        help="Transactions or an RFM table: a .parquet or .csv file, a folder or a pattern.", show_default=False
    ),
]
PeriodOfInput = Annotated[
    str | None, typer.Option(help="Purchases within one period count as one: h, D, W, M. Default for transactions: D.")
]

EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas",
        help="In CSV, put an apostrophe before ids that begin with = + - @, which spreadsheets interpret as formulas.",
    ),
]


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"lifeworth {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Historical and predicted customer lifetime value, with its uncertainty."""


@app.command()
@with_options
def rfm(
    input: Input,  # noqa: A002
    out: Annotated[Path, typer.Option(help="Output file of the table: .parquet (with its units) or .csv.")],
    rows: Rows,
    threads: Annotated[
        int | None, typer.Option(help="Number of cores; default: all.", min=1, show_default=False)
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(help='Memory limit, such as "4GB"; default: half of the free memory.', show_default=False),
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Write the audit of rows, with examples, to a .csv file.", show_default=False)
    ] = None,
    escape_formulas: EscapeFormulas = False,
) -> None:
    """Summarise transactions to frequency, recency, T and monetary value per customer.

    Further columns are kept as covariates: lifeworth rfm orders.csv --out rfm.parquet --covariates channel,country
    """
    from lifeworth.atomic_files import replacing
    from lifeworth.cli import terminal
    from lifeworth.rfm import rfm_summary
    from lifeworth.tables import check_apart, check_output, warn_of_formulas, write_csv

    kind = _output_kind(out)
    check_output(out, input, name="--out")
    if audit is not None:
        check_output(audit, input, name="--audit")
    check_apart({"--out": out, "--audit": audit})
    with terminal.progress(terminal.console(stderr=True)) as report:
        table = rfm_summary(
            encoded(input, rows.encoding),
            covariates=covariate_names(rows.covariates),
            **rows.reading(),
            threads=threads,
            memory_limit=memory_limit,
            progress=report,
        )
    if audit is not None:
        with replacing(audit) as temporary:
            formulas = write_csv(table.audit.to_pandas(), temporary, escape_formulas=escape_formulas)
        warn_of_formulas(formulas, audit)
    if kind == ".parquet":
        table.to_parquet(out)
    else:
        with replacing(out) as temporary:
            formulas = write_csv(table.to_pandas(), temporary, escape_formulas=escape_formulas)
        warn_of_formulas(formulas, out)
    if table.audit.left_out:
        _show_audit(table.audit)
    typer.echo(f"{table.audit}\n{out}: {table.headline}")


@app.command()
@with_options
def fit(
    input: Input,  # noqa: A002
    model: Annotated[Path, typer.Option(help="Folder for the fitted model.")],
    columns: Columns,
    formulas: Formulas,
    period: PeriodOfInput = None,
    time_unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of recency and T: h, D, W, M. Default: that of the RFM table, or W.", show_default=False
        ),
    ] = None,
    currency: Currency = None,
    purchases: Annotated[
        str,
        typer.Option(
            help="Model of purchases. Customers drop out after a repeat purchase: bg_nbd; after any purchase, "
            "including the first: mbg_nbd; at any time: pareto_nbd."
        ),
    ] = "bg_nbd",
    method: Annotated[
        str,
        typer.Option(
            help="laplace (fast, checked by a certificate), nuts (PyMC), auto (laplace, and nuts if the certificate "
            "fails), or map (a point estimate)."
        ),
    ] = "auto",
    draws: Annotated[int, typer.Option(help="Number of posterior draws.", min=1)] = 1000,
    seed: Seed = 0,
) -> None:
    """Fit a model of purchases and, if there are amounts, Gamma-Gamma. A fit that fails its diagnostics is not written.

    With --amount "" only the model of purchases is fitted.

    Customers who differ: lifeworth fit orders.csv --model model --purchase-formula "channel + log(first_spend)"
    --dropout-formula channel --spend-formula channel
    """
    from lifeworth.cli import terminal
    from lifeworth.model import fit_clv
    from lifeworth.model.models import GammaGamma, purchase_model
    from lifeworth.model.store import refuse_to_replace
    from lifeworth.tables import check_output

    depends_on = formulas.columns
    if formulas.of_spend and not columns.amount:
        raise UsageError('--amount "" and --spend-formula exclude each other: a model of spend needs amounts.')
    chosen = purchase_model(purchases, "--purchases")(**formulas.of_purchases)
    spend = GammaGamma(**formulas.of_spend) if formulas.of_spend else None
    refuse_to_replace(model)
    check_output(model, input, folder=True, name="--model")
    table = read_rfm(input, columns, period, time_unit, currency, "D", depends_on=depends_on)
    if not columns.amount:
        table = replace(table, monetary_value=None, past_spend=None)
    typer.echo(str(table.audit))
    with terminal.progress(terminal.console(stderr=True)) as report:
        clv = fit_clv(table, chosen, spend, method=method, draws=draws, seed=seed, progress=report)
    for part in (clv.purchases, clv.spend):
        if part is not None:
            typer.echo(f"{part!r}\n  {part.diagnostics}")
            if part.posterior.effects:
                typer.echo(part.effects().round(3).to_string())
    if clv.verdict == "fail":
        raise FitError("The fit failed its diagnostics (see above): no model was written.")
    clv.save(model)
    typer.echo(f"Model written to {model}")


@app.command()
@with_options
def predict(
    model: Annotated[Path, typer.Option(help="Folder of a fitted model.")],
    input: Annotated[Path, typer.Option(help="Transactions or an RFM table: .parquet or .csv.")],  # noqa: A002
    out: Annotated[Path, typer.Option(help="Output file of the scores: .parquet or .csv.")],
    columns: Columns,
    horizon: Annotated[str, typer.Option(help='Prediction horizon, such as "39W", "12M", "365D".')] = "12M",
    discount_rate: Annotated[float, typer.Option(help="Effective annual rate: 0.1 is 10 % a year.")] = 0.0,
    margin: Annotated[str, typer.Option(help="Share of spend that is margin, or a column of the RFM table.")] = "1",
    cost_per_order: Annotated[str, typer.Option(help="Cost of every future order, or a column.")] = "0",
    cost_per_active_year: Annotated[
        str, typer.Option(help="Cost of every year for which a customer stays active, or a column.")
    ] = "0",
    acquisition_cost: Annotated[
        str | None, typer.Option(help="Cost of acquiring each customer, or a column.", show_default=False)
    ] = None,
    inflation: Annotated[float, typer.Option(help="Effective annual rate at which spend and costs grow.")] = 0.0,
    interval: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.9,
    uncertainty: Annotated[
        str, typer.Option(help="Intervals of the customer, of the mean, or none: customer, mean or none.")
    ] = "customer",
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Predict from a fit that failed its diagnostics.")] = False,
    escape_formulas: EscapeFormulas = False,
) -> None:
    """Score customers with a fitted model: P(alive), purchases, spend and value, with intervals.

    A model with formulas needs their columns, in the transactions or the RFM table:
    lifeworth predict --model model --input orders.csv --out scores.csv
    """
    from lifeworth.cli import terminal
    from lifeworth.covariates import DERIVED
    from lifeworth.model import CLV, PurchaseFit, load
    from lifeworth.tables import check_output

    _output_kind(out)
    check_output(out, input, model, name="--out")
    loaded = load(model)
    if isinstance(loaded, PurchaseFit):
        loaded = CLV(loaded)
    if not isinstance(loaded, CLV):
        raise UsageError(f"{model} contains only a model of spend: scoring customers needs a model of purchases.")
    fitted = loaded.purchases
    if loaded.spend is None:
        columns = replace(columns, amount="")
    settings = (fitted.time_unit, fitted.posterior.currency)
    # An RFM table written by lifeworth need not fit in memory.
    table = None
    if not check_rfm_files(input, columns, *settings):
        needed = [*fitted.posterior.covariates, *(loaded.spend.posterior.covariates if loaded.spend else ())]
        depends_on = [name for name in dict.fromkeys(needed) if name not in DERIVED and name != "frequency"]
        table = read_rfm(input, columns, fitted.origin.period, *settings, units_of="the model", depends_on=depends_on)
    with terminal.progress(terminal.console(stderr=True)) as report:
        scored = loaded.score(
            input if table is None else table,
            out,
            horizon,
            force=force,
            progress=report,
            discount_rate=discount_rate,
            margin=_number_or_column(margin),
            cost_per_order=_number_or_column(cost_per_order),
            cost_per_active_year=_number_or_column(cost_per_active_year),
            acquisition_cost=None if acquisition_cost is None else _number_or_column(acquisition_cost),
            inflation=inflation,
            interval=interval,
            uncertainty=None if uncertainty == "none" else uncertainty,
            seed=seed,
            escape_formulas=escape_formulas,
        )
    if table is not None:
        typer.echo(str(table.audit))
    typer.echo(f"{out}: {scored.customers:,} customers scored over {horizon}")
    if scored.totals is not None:
        told = scored.totals.to_pandas().round(2)
        typer.echo(told.to_string())


jobs.register(app)


@app.command()
def warmup() -> None:
    """Compile all kernels now, so that later runs do not have to."""
    from lifeworth.families import FAMILIES
    from lifeworth.kernels._jit import compile_all
    from lifeworth.kernels.counting import summary as _rfm  # noqa: F401 - importing a room declares its kernels
    from lifeworth.kernels.models import value_quantiles as _worth  # noqa: F401
    from lifeworth.kernels.models.futures import future_rows

    modules = {kind: [f.kernels for f in FAMILIES.values() if f.kind == kind] for kind in ("purchases", "spend")}
    for purchases in modules["purchases"]:
        for spend in (None, *modules["spend"]):
            future_rows(purchases, spend)
    typer.echo(f"{compile_all()} kernels are compiled.")


def _show_audit(audit: Audit) -> None:
    """Show the audit of rows as a table."""
    from rich.table import Table

    from lifeworth.cli import terminal

    table = Table("rows", "", "for example", box=None)
    table.columns[0].justify = "right"
    for reason, rows, examples in audit.to_pandas().itertuples(index=False):
        table.add_row(f"{rows:,}", str(reason), str(examples))
    terminal.console().print(table)


def _output_kind(path: Path) -> str:
    if path.suffix.lower() not in {".parquet", ".csv"}:
        raise UsageError(f"--out {path} ends in neither .parquet nor .csv: give a file that ends in one of them.")
    return path.suffix.lower()


def _number_or_column(text: str) -> float | str:
    """A number, or the name of a column."""
    try:
        return float(text)
    except ValueError:
        return text


def main() -> None:
    """Run the command line: errors are one sentence on stderr, with the documented exit codes."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # accepted at any position
    debug = len(arguments) < len(sys.argv) - 1
    sys.excepthook = _show_unexpected if debug else _one_line
    warnings.showwarning = _show_warning
    _end_in_order()
    for stream in (sys.stdout, sys.stderr):  # file names need not be Unicode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            code = typer.main.get_command(app).main(arguments, prog_name="lifeworth", standalone_mode=False)
        except SystemExit as stopped:  # as click itself does when its output is no longer read
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE)) from stopped
        if sys.stdout is not None:
            sys.stdout.flush()
    except WrongUsage as error:
        if error.format_message():  # without arguments the help was shown, and there is no message
            _say(error.format_message() + _hint(error))
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        if is_interruption(error):
            code = INTERRUPTED
        else:
            told = _told(error)
            if told is None:
                raise
            if debug:
                _show_traceback(error)
            else:
                _say(str(told))
            sys.exit(told.exit_code)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, without a message
        _say("Interrupted: no output was left incomplete.")
    sys.exit(code if isinstance(code, int) else 0)


def _told(error: Exception) -> LifeworthError | None:
    """The error as a sentence for users; None for a bug. An OSError with a file name is not a bug."""
    if isinstance(error, LifeworthError):
        return error
    if isinstance(error, OSError) and error.filename is not None:
        return SourceError(f"{error.filename} cannot be read or written: {error.strerror or error}.")
    if isinstance(error, OSError) and error.errno in _OUTPUT_FAILED:
        _discard(sys.stdout)
        return SourceError(f"The standard output cannot be written: {error.strerror}.")
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return DataError(f"Text that is not Unicode cannot be used ({error}).")
    return None


def _end_in_order() -> None:
    """On a signal to terminate, end as on Ctrl-C, so that incomplete output is removed."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A handler that was set otherwise, as by nohup, is kept; only the main thread may set one.
        on_main = threading.current_thread() is threading.main_thread()
        if number is not None and on_main and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _hint(error: Any) -> str:
    return f" Try: {error.ctx.command_path} --help" if error.ctx is not None else ""


def _say(text: str) -> None:
    """Write one line to stderr, whatever it contains."""
    try:
        line = "\\n".join(redact(text, environment_secrets()).splitlines())
        typer.echo(f"lifeworth: {line}", err=True)
    except OSError:  # stderr is not available; the exit code remains
        _discard(sys.stderr)


def _discard(stream: Any) -> None:
    """Redirect a stream to the null device: an error while flushing it at exit would change the exit code."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **also: Any) -> None:
    """Show a warning about the data as a sentence for the user; others are for developers."""
    if issubclass(category, DataWarning):
        _say(f"warning: {message}")


def _show_traceback(error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    try:
        typer.echo(redact(text, environment_secrets()), err=True, nl=False)
    except OSError:  # stderr is not available; the exit code remains
        _discard(sys.stderr)


def _show_unexpected(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    _show_traceback(error)


def _one_line(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Report an unexpected error in one line, with how to see the traceback."""
    text = " ".join(str(error).split())
    _say(f"unexpected error ({kind.__name__}: {text}). This is a bug: run again with --debug and report what it shows.")
