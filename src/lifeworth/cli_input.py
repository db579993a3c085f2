"""What commands take: the columns of transactions as options, and transactions or an RFM table from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeworth.errors import UsageError

if TYPE_CHECKING:
    from lifeworth.rfm import RFM
    from lifeworth.tables import Files

CustomerId = Annotated[str, typer.Option(help="Column with the customer's id.")]
Date = Annotated[str, typer.Option(help="Column with the date of purchase.")]
Amount = Annotated[str, typer.Option(help='Column with the amount; "" for a table without money.')]
DateFormat = Annotated[
    str | None, typer.Option(help='How dates are written, such as "%d/%m/%Y"; or "excel".', show_default=False)
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        help='On whose clock times with an offset are told, such as "Europe/London"; needed where offsets differ.',
        show_default=False,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help='How text is stored in CSV files, such as "cp1252"; default: UTF-8.', show_default=False),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help='The mark before the cents, "," or ".", where amounts are written as "1.234,56 €" or "$1,234.56".',
        show_default=False,
    ),
]
Period = Annotated[str, typer.Option(help="Purchases within one of these are one: h, D, W, M.")]
TimeUnit = Annotated[str, typer.Option(help="Unit of recency and T: h, D, W, M.")]
ObservationEnd = Annotated[
    str | None, typer.Option(help="Last date observed; default: the last date.", show_default=False)
]
Refunds = Annotated[str, typer.Option(help="Negative amounts: net, drop or error.")]
Duplicates = Annotated[str, typer.Option(help="Rows equal to an earlier one: keep or drop.")]
Currency = Annotated[str | None, typer.Option(help="Name of the currency, carried along.", show_default=False)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.", min=0)]


def read_rfm(
    path: Path,
    customer_id: str,
    date: str,
    amount: str,
    date_format: str | None,
    time_zone: str | None,
    decimal: str | None,
    period: str | None,
    time_unit: str | None,
    observation_end: str | None,
    refunds: str,
    currency: str | None,
    default_period: str | None = None,
    encoding: str | None = None,
) -> RFM:
    """The RFM table in a file, or the one made from the transactions in it: then the period must be known."""
    from dataclasses import replace

    from lifeworth import terminal
    from lifeworth.rfm import RFM, RFM_COLUMNS, rfm_summary
    from lifeworth.tables import column_names

    data = encoded(path, encoding)
    names = column_names(data)
    if not set(RFM_COLUMNS) <= set(names):
        counted = period or default_period
        if counted is None:
            raise UsageError(
                f"{path} holds transactions, and the model does not say within which period purchases are one: make "
                "an RFM table of them with lifeworth rfm, and give that."
            )
        settings: dict[str, Any] = {"period": counted, "time_unit": time_unit or "W", "refunds": refunds}
        with terminal.progress(terminal.console(stderr=True)) as report:
            return rfm_summary(
                data,
                customer_id,
                date,
                amount or None,
                observation_end=observation_end,
                date_format=date_format,
                time_zone=time_zone,
                decimal=decimal,  # type: ignore[arg-type]
                currency=currency,
                progress=report,
                **settings,
            )
    _refuse_settings_of_transactions(path, customer_id, date, date_format, time_zone, decimal, refunds)
    if is_rfm_file(path):
        check_rfm_file(
            path,
            customer_id,
            date,
            amount,
            date_format,
            time_zone,
            decimal,
            period,
            time_unit,
            observation_end,
            refunds,
            currency,
        )
        table = RFM.read_parquet(path)
        return table if currency is None else replace(table, currency=currency)
    if time_unit is None:
        raise UsageError(f"{path} is an RFM table that does not say its unit of time: say it with --time-unit.")
    return RFM.from_frame(data, time_unit, observation_end, period, currency)  # type: ignore[arg-type]


def encoded(path: Path, encoding: str | None) -> Path | Files:
    """The files that a path names, where their encoding is known; the path, where it is the usual one."""
    from lifeworth.tables import find_files

    return path if encoding is None else find_files(path, encoding)


def is_rfm_file(path: Path) -> bool:
    """Whether this is an RFM table that lifeworth has written."""
    from lifeworth.rfm import rfm_metadata

    return path.is_file() and path.suffix.lower() in {".parquet", ".pq"} and rfm_metadata(path) is not None


def check_rfm_file(
    path: Path,
    customer_id: str,
    date: str,
    amount: str,
    date_format: str | None,
    time_zone: str | None,
    decimal: str | None,
    period: str | None,
    time_unit: str | None,
    observation_end: str | None,
    refunds: str,
    currency: str | None,
) -> None:
    """Refuse settings that contradict what an RFM table of ours says of itself."""
    from lifeworth.rfm import rfm_metadata
    from lifeworth.timeunits import to_timestamp

    _refuse_settings_of_transactions(path, customer_id, date, date_format, time_zone, decimal, refunds)
    told = rfm_metadata(path)
    assert told is not None
    if time_unit not in (None, told["time_unit"]):
        raise UsageError(f'{path} is an RFM table in the time unit "{told["time_unit"]}", and not in "{time_unit}".')
    end = None if told["observation_end"] is None else to_timestamp(told["observation_end"], "observation_end")
    if observation_end is not None and to_timestamp(observation_end, "observation_end") != end:
        raise UsageError(f"{path} is an RFM table up to {end}: its end cannot be set any more.")
    if currency is not None and told["currency"] not in (None, currency):
        raise UsageError(f"{path} is an RFM table in {told['currency']}, and not in {currency}.")


def _refuse_settings_of_transactions(
    path: Path,
    customer_id: str,
    date: str,
    date_format: str | None,
    time_zone: str | None,
    decimal: str | None,
    refunds: str,
) -> None:
    given = {
        "--customer-id": customer_id != "customer_id",
        "--date": date != "date",
        "--date-format": date_format is not None,
        "--time-zone": time_zone is not None,
        "--decimal": decimal is not None,
        "--refunds": refunds != "net",
    }
    if any(given.values()):
        named = " and ".join(option for option, is_given in given.items() if is_given)
        raise UsageError(f"{path} is an RFM table already: {named} would change nothing; leave it away.")
