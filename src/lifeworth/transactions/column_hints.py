"""Messages for transactions whose columns have other names than expected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lifeworth.errors import DataError
from lifeworth.tables.checks import MissingColumnsError

# Common parts of column names, used only for examples in messages.
_OFTEN = {
    "customer_id": ("customer", "cust", "client", "user", "member", "buyer", "kund", "mitglied", "cliente"),
    "date": ("date", "day", "time", "datum", "tag", "zeit", "fecha", "data"),
    "amount": ("amount", "revenue", "price", "total", "spend", "paid", "value", "sales", "betrag", "umsatz", "preis",
               "montant", "importe"),
}  # fmt: skip


@contextmanager
def columns_named(customer_id: str, date: str, amount: str | None) -> Iterator[None]:
    """If one of these columns is missing, add to the error which option names it."""
    try:
        yield
    except MissingColumnsError as error:
        given = {"customer_id": customer_id, "date": date, "amount": amount}
        asked = [option for option, name in given.items() if name in error.missing]
        if not asked:
            raise
        free = [name for name in error.there if name not in given.values()]
        names = [f'{option}="{_likely(option, free)}"' for option in asked]
        options = [f"--{option.replace('_', '-')}" for option in asked]
        free_of_money = 'amount="..."' in names
        what = "which column it is" if len(asked) == 1 else "which columns they are"
        raise DataError(
            f"{error} Say {what} with {_listed(names)} (on the command line, {_listed(options)})"
            + (' or leave it out with amount=None (--amount ""; in a job, amount = "").' if free_of_money else ".")
        ) from error


def _likely(option: str, names: list[str]) -> str:
    """Return the column that is probably meant, if only one matches."""
    alike = [name for name in names if any(part in name.lower() for part in _OFTEN[option])]
    return alike[0] if len(alike) == 1 else "..."


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
