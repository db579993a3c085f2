"""Input of commands: the columns of transactions as options, and transactions or an RFM table from a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lifeworth.errors import DataError, UsageError

if TYPE_CHECKING:
    from lifeworth.rfm import RFM
    from lifeworth.tables import Files
    from lifeworth.transactions import ReadingOptions

CustomerId = Annotated[str, typer.Option(help="Column with the customer's id.")]
Date = Annotated[str, typer.Option(help="Column with the date of purchase.")]
Amount = Annotated[str, typer.Option(help='Column with the amount; "" for a table without amounts.')]
DateFormat = Annotated[
    str | None, typer.Option(help='Format of dates, such as "%d/%m/%Y"; or "excel".', show_default=False)
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        help='Time zone to which times with an offset are converted, such as "Europe/London"; for differing offsets.',
        show_default=False,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help='Encoding of CSV files, such as "cp1252"; default: UTF-8.', show_default=False),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help='The decimal separator, "," or ".", if amounts are written as "1.234,56 €" or "$1,234.56".',
        show_default=False,
    ),
]
Period = Annotated[str, typer.Option(help="Purchases within one period count as one: h, D, W, M.")]
TimeUnit = Annotated[str, typer.Option(help="Unit of recency and T: h, D, W, M.")]
ObservationEnd = Annotated[
    str | None, typer.Option(help="Last date observed; default: the last date in the data.", show_default=False)
]
Refunds = Annotated[str, typer.Option(help="Negative amounts: net, same_period, drop or error.")]
Duplicates = Annotated[str, typer.Option(help="Rows equal to an earlier row: keep or drop.")]
Covariates = Annotated[
    str | None,
    typer.Option(
        help='Columns of the transactions to keep as covariates, such as "channel,country": the value at each '
        "customer's first purchase. Default: the columns of the formulas.",
        show_default=False,
    ),
]
PurchaseFormula = Annotated[
    str | None,
    typer.Option(
        help='Covariates of the purchase rate, such as "channel + log(first_spend)".',
        show_default=False,
    ),
]
DropoutFormula = Annotated[
    str | None, typer.Option(help='Covariates of dropout, such as "channel".', show_default=False)
]
SpendFormula = Annotated[
    str | None, typer.Option(help='Covariates of the spend per purchase, such as "country".', show_default=False)
]
Currency = Annotated[str | None, typer.Option(help="Name of the currency, kept with the results.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same numbers.", min=0)]


@dataclass(frozen=True)
class Columns:
    """The columns of transactions, and how they are read."""

    customer_id: CustomerId = "customer_id"
    date: Date = "date"
    amount: Amount = "amount"
    date_format: DateFormat = None
    time_zone: TimeZone = None
    encoding: Encoding = None
    decimal: Decimal = None
    observation_end: ObservationEnd = None
    refunds: Refunds = "net"
    covariates: Covariates = None


@dataclass(frozen=True)
class Formulas:
    """Formulas of covariates."""

    purchase_formula: PurchaseFormula = None
    dropout_formula: DropoutFormula = None
    spend_formula: SpendFormula = None

    @property
    def of_purchases(self) -> dict[str, Any]:
        """The formulas of a model of purchases, by effect."""
        given = {"purchase": self.purchase_formula, "dropout": self.dropout_formula}
        return {effect: text for effect, text in given.items() if text is not None}

    @property
    def of_spend(self) -> dict[str, Any]:
        """The formula of a model of spend."""
        return {} if self.spend_formula is None else {"spend": self.spend_formula}

    @property
    def columns(self) -> list[str]:
        """The columns of the formulas that an RFM table has only if they are read with the transactions."""
        from lifeworth.covariates import DERIVED, check_formula, columns_of

        found: dict[str, None] = {}
        for name in ("purchase_formula", "dropout_formula", "spend_formula"):
            text = getattr(self, name)
            if text is not None:
                check_formula(text, f"--{name.replace('_', '-')}")
                further = {"frequency"} if name == "spend_formula" else set()
                found |= dict.fromkeys(c for c in columns_of(text) if c not in DERIVED and c not in further)
        return list(found)


@dataclass(frozen=True)
class Rows(Columns):
    """Transactions, and how they are counted."""

    period: Period = "D"
    time_unit: TimeUnit = "W"
    duplicates: Duplicates = "keep"
    currency: Currency = None

    def reading(self) -> ReadingOptions:
        """The options of reading, as every function with transactions takes them; the encoding goes with the files."""
        from lifeworth.transactions import READING_OPTIONS

        given = {**vars(self), "amount": self.amount or None}
        return cast("ReadingOptions", {name: given[name] for name in READING_OPTIONS})


def covariate_names(text: str | None) -> list[str]:
    """The columns that --covariates names."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def with_columns_of[C: Columns](columns: C, names: Iterable[str]) -> C:
    """The columns, with those of formulas as covariates beside the ones that were named."""
    named = covariate_names(columns.covariates)
    wanted = [*named, *(name for name in names if name not in named)]
    return replace(columns, covariates=",".join(wanted) or None)


def with_options[R](command: Callable[..., R]) -> Callable[..., R]:
    """A command that takes the fields of its dataclasses as options, so that shared options are defined once."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    groups: dict[str, Any] = {one.name: one.annotation for one in own if is_dataclass(one.annotation)}
    options: list[inspect.Parameter] = []
    for one in own:
        if one.name in groups:
            # In the order of the fields; typer reads the annotations.
            options += inspect.signature(groups[one.name], eval_str=True).parameters.values()
        else:
            options.append(one)
    options = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options]

    @wraps(command)
    def run(**given: Any) -> R:
        taken = {}
        for name, group in groups.items():
            taken[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given, **taken)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in options}
    return run


def read_rfm(
    path: Path,
    columns: Columns,
    period: str | None,
    time_unit: str | None,
    currency: str | None,
    default_period: str | None = None,
    units_of: str | None = None,
    depends_on: Iterable[str] = (),
) -> RFM:
    """Read the RFM table in a file, or make one from the transactions in it, for which the period must be known.

    `units_of` names the origin of these units, if the user did not give them; it is shown for a table without units.
    `depends_on` names columns of formulas, which are read with transactions.
    """
    from lifeworth.cli import terminal
    from lifeworth.periods import UNIT_NAMES
    from lifeworth.rfm import RFM, RFM_COLUMNS, metadata_of, rfm_summary
    from lifeworth.tables import column_names

    data = encoded(path, columns.encoding)
    names = column_names(data)
    if not set(RFM_COLUMNS) <= set(names):
        counted = period or default_period
        if counted is None:
            raise UsageError(
                f"{path} contains transactions, and the model does not record the period within which purchases "
                "count as one: make an RFM table of them with lifeworth rfm, and give that."
            )
        lacking = [name for name in depends_on if name not in names]
        if lacking:
            raise DataError(
                f"{path} has no column {', '.join(lacking)}, on which the model depends: add it to the transactions, "
                "or give an RFM table that has it."
            )
        columns = with_columns_of(columns, depends_on)
        rows = Rows(**vars(columns), period=counted, time_unit=time_unit or "W", currency=currency)
        with terminal.progress(terminal.console(stderr=True)) as report:
            return rfm_summary(data, covariates=covariate_names(rows.covariates), **rows.reading(), progress=report)
    _refuse_settings_of_transactions(path, columns)
    if time_unit is None and metadata_of(data).time_unit is None:
        raise UsageError(f"{path} is an RFM table without a time unit: give it with --time-unit.")
    table = RFM.from_frame(data, time_unit, columns.observation_end, period, currency)  # type: ignore[arg-type]
    if units_of is not None:
        unit = f"{UNIT_NAMES[table.time_unit]}s"
        typer.echo(
            f"lifeworth: {path} does not record its units: recency and T are taken to be in {unit}, as in {units_of}.",
            err=True,
        )
    return table


def encoded(path: Path, encoding: str | None) -> Path | Files:
    """The files of a path with their encoding, if one is given; otherwise the path."""
    from lifeworth.tables import find_files

    return path if encoding is None else find_files(path, encoding)


def check_rfm_files(path: Path, columns: Columns, time_unit: str | None, currency: str | None) -> bool:
    """Whether these files are an RFM table with units; raise for settings that contradict it."""
    from lifeworth.rfm import rfm_metadata

    metadata = rfm_metadata(encoded(path, columns.encoding))
    if metadata is None:
        return False
    _refuse_settings_of_transactions(path, columns)
    metadata.combined(str(path), time_unit, columns.observation_end, None, currency)
    return True


def _refuse_settings_of_transactions(path: Path, columns: Columns) -> None:
    usual = Columns()
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("customer_id", "date", "date_format", "time_zone", "decimal", "refunds", "covariates")
        if getattr(columns, name) != getattr(usual, name)
    ]
    if given:
        raise UsageError(f"{path} is already an RFM table: omit {' and '.join(given)}, which would have no effect.")
