"""Definitions of customer lifetime value compared: in words, and in numbers."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from typing import Any

import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.historical.definitions import CLASSIC, OTHERS, Formula
from lifeworth.historical.historical_clv import historical_clv
from lifeworth.historical.options import Options
from lifeworth.rfm.log import TransactionLog, log_with
from lifeworth.transactions import READING_OPTIONS

_SHOWN = ("label", "formula", "counts", "of", "assumes", "trap", "source")
# For all customers together; what else groups or asks for further columns has its place in `historical_clv`.
_NOT_HERE = {"data", "method", "by", "assign", "cohort", "acquisition_cost", "target_ratio"}


def clv_definitions(data: Any = None, **options: Any) -> pd.DataFrame:
    """Compare the definitions of customer lifetime value: past, future or both, and for which customers.

    Parameters
    ----------
    data : Transactions, table or path, optional
        Transactions, as in `historical_clv`, to have each definition's number for them as well.
    **options
        Options of `Transactions`, and those of `historical_clv` except groups and acquisition, such as margin=0.4 or
        discount_rate=0.1; each formula takes the ones it knows.

    Returns
    -------
    Frame with a row per definition, indexed by its name (what `historical_clv` takes as `method`, or what of
    lifeworth gives it): label, formula, counts ("past", "future", "past and future"), of (whom it is about),
    assumes, trap (when it misleads), source, needs (options it cannot do without). With data also clv, for the
    average customer (of windows, in the longest that anybody has had), and note: what it needs, or why there is none.

    Raises
    ------
    UsageError : an option that does not exist, or makes no sense.
    DataError : as `historical_clv`, where no formula can be computed.

    Examples
    --------
    >>> import lifeworth as lw
    >>> lw.clv_definitions().loc["retention", ["label", "counts"]].tolist()
    ['Retention formula for memberships', 'future']
    >>> beside = lw.clv_definitions(lw.load_cdnow(), end="1997-09-30", cost_ratio=0.6)
    >>> beside["clv"].dropna().round(2).to_dict()    # doctest: +NORMALIZE_WHITESPACE
    {'revenue_per_customer': 73.12, 'aov_frequency_duration': 12.84, 'net_value': 73.12, 'cost_to_revenue': 5.13,
     'contribution_margin': 73.12, 'first_purchase_windows': 66.82}
    """
    definitions = (*CLASSIC, *OTHERS)
    rows: list[dict[str, Any]] = [
        {**{field: getattr(one, field) for field in _SHOWN}, "needs": ", ".join(one.needs)} for one in definitions
    ]
    table = pd.DataFrame(rows, index=pd.Index([one.name for one in definitions], name="name"))
    known = set(_options()) - {"data"}
    strange = sorted(options.keys() - known)
    if strange:
        raise UsageError(f"clv_definitions has no option {strange[0]}: its options are {', '.join(sorted(known))}.")
    if data is None:
        if options:
            raise UsageError(f"{min(options)} has no effect without data: give the transactions first.")
        return table
    reading: Any = {name: options.pop(name) for name in READING_OPTIONS if name in options}
    transactions = log_with(data, reading)
    problems: list[DataError] = []
    numbers: list[float] = []
    notes: list[str] = []
    for formula in CLASSIC:
        try:
            value, note = _number(transactions, formula, options)
        except DataError as error:
            problems.append(error)
            value, note = math.nan, str(error)
        numbers.append(value)
        notes.append(note)
    if all(map(math.isnan, numbers)) and problems:
        raise problems[0]
    elsewhere = len(OTHERS)
    return table.assign(
        clv=[*numbers, *[math.nan] * elsewhere], note=[*notes, *["from a fitted model, or an RFM table"] * elsewhere]
    )


def _options() -> dict[str, inspect.Parameter]:
    """The parameters of `clv_definitions`, by name."""
    shown = inspect.signature(historical_clv).parameters.items()
    data = inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation="Any")
    further = {name: one.replace(kind=one.KEYWORD_ONLY) for name, one in shown if name not in _NOT_HERE}
    return {"data": data, **further}


clv_definitions.__signature__ = inspect.signature(clv_definitions).replace(  # type: ignore[attr-defined]
    parameters=list(_options().values())
)


def _number(log: TransactionLog, formula: Formula, options: dict[str, Any]) -> tuple[float, str]:
    """The formula's number for all customers, and what is to be said of it."""
    optional = {field.name for field in fields(Options)}
    own = {name: value for name, value in options.items() if name in formula.takes or name not in optional}
    missing = [name for name in formula.needs if own.get(name) is None]
    if missing:
        return math.nan, f"needs {' and '.join(missing)}"
    worth = historical_clv(log, formula.name, **own)  # type: ignore[arg-type]
    seen = worth[worth["customers"] > 0].iloc[-1]
    return float(seen["clv"]), f"{int(seen['customers']):,} customers"
