"""Simulated shops: transactions of simulated customers, with their true parameters and states."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.datasets.clock import Clock, make_clock
from lifeworth.display import cards
from lifeworth.errors import UsageError
from lifeworth.families import FAMILIES
from lifeworth.families.base import Family
from lifeworth.families.design import ONE_FOR_ALL
from lifeworth.families.posterior import Posterior
from lifeworth.families.statistics import RECENCY_FREQUENCY, SPEND
from lifeworth.periods import DAYS_PER_YEAR, TimeUnit, check_time_unit, horizon_length, hours_per, to_timestamp
from lifeworth.rfm import RFM

Array = npt.NDArray[np.float64]
Acquisition = Literal["uniform", "growing", "one day"]

# Estimates from CDNOW to 1997-09-30, time in weeks and money in dollars: a shop that has been.
_CDNOW: Final[dict[str, dict[str, float]]] = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "mbg_nbd": {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
    "pareto_nbd": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.664},
    "gamma_gamma": {"p": 6.25, "q": 3.74, "v": 15.44},
}
_SECONDS_PER_DAY: Final = 86_400
_LONGEST_REFUND: Final = 14.0  # days
_MOST_PURCHASES: Final = 1e9


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated shop.

    Attributes
    ----------
    transactions : customer_id (int64, 1, 2, ...), date (datetime64[s]) and amount (float64), in order of dates.
        A refund is a row with a negative amount.
    truth : one row per customer: customer_id; first_purchase; rate (purchases per time unit while a customer, on
        days of ordinary speed); dropout (what the family calls so: a probability after each purchase, or a rate
        per time unit); dropout_date (NaT while still a customer); alive (at the end of `end`); repeat_purchases;
        spend (of all purchases, before refunds); mean_spend (what purchases amount to in the long run).
    purchases, spend : parameters the customers were drawn from.
    time_unit : unit of time of rates.
    start, end : first and last day.
    currency : what money is counted in, or None.

    Examples
    --------
    >>> import lifeworth as lw
    >>> shop = lw.simulate_transactions(500, seed=1)
    >>> shop
    Simulation(500 customers of BG/NBD, 1,151 transactions, 2024-01-01 to 2025-12-31)
    >>> bool(shop.truth["alive"].mean() < 1)  # known here alone
    True
    """

    transactions: pd.DataFrame
    truth: pd.DataFrame
    purchases: Posterior
    spend: Posterior
    time_unit: TimeUnit
    start: pd.Timestamp
    end: pd.Timestamp
    currency: str | None = None
    clock: Clock = field(default_factory=Clock, repr=False)
    at_purchases: bool = field(default=True, repr=False)
    """Whether customers of the family leave at their purchases, rather than at any time."""

    def __repr__(self) -> str:
        return (
            f"Simulation({len(self.truth):,} customers of {self.purchases.family.label}, "
            f"{len(self.transactions):,} transactions, {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d})"
        )

    def _repr_html_(self) -> str:
        facts = [
            f"{len(self.truth):,} customers",
            f"{len(self.transactions):,} transactions",
            f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}",
            self.currency or "",
        ]
        known = [
            (f"{posterior.family.label}: {name}", float(draws[0]))
            for posterior in (self.purchases, self.spend)
            for name, draws in posterior.draws.items()
        ]
        return cards.card("Simulated shop", facts, cards.table(["parameter", "truth"], known))

    def holdout(self, train_end: Any, test_end: Any = None) -> pd.DataFrame:
        """What customers acquired by the end of `train_end` did from the next day to the end of `test_end`.

        Parameters
        ----------
        train_end, test_end : days between `start` and `end`, with all their hours; test_end defaults to `end`.

        Returns
        -------
        Frame customer_id, alive (still a customer at the end of train_end: known here alone), purchases (made in that
        time, returned ones with them) and spend (sum of the amounts of all rows in that time: refunds of earlier
        purchases lower it too, as in `train_test_split`), in the order of `truth`.
        """
        known, edges = self._window(train_end, test_end)
        rows = self.transactions
        date = rows["date"].to_numpy()
        inside = (date >= edges[0]) & (date < edges[1])
        place, amount = rows["customer_id"].to_numpy()[inside] - 1, rows["amount"].to_numpy()[inside]
        size = len(self.truth)
        return pd.DataFrame(
            {
                "customer_id": self.truth["customer_id"].to_numpy()[known],
                "alive": self._alive(edges[0])[known],
                "purchases": np.bincount(place[amount >= 0], minlength=size)[known],
                "spend": np.bincount(place, weights=amount, minlength=size)[known],
            }
        )

    def expected_purchases(self, train_end: Any, test_end: Any = None) -> pd.Series[float]:
        """Expected purchases of each customer under the true parameters; arguments as in `holdout`.

        Given the customer's own rate, dropout, and whether they are still a customer at the end of `train_end`:
        rate x (1 - exp(-h t)) / h, with h the hazard of leaving. No model can know more.

        Returns
        -------
        Series by customer_id, of those acquired by the end of train_end.
        """
        known, edges = self._window(train_end, test_end)
        passed = self.clock.operational(self._days(edges)) * 24 / hours_per(self.time_unit)
        rate, dropout = self.truth["rate"].to_numpy(), self.truth["dropout"].to_numpy()
        hazard = rate * dropout if self.at_purchases else dropout
        share = hazard * (passed[1] - passed[0])
        within = np.divide(-np.expm1(-share), hazard, out=np.full(len(rate), passed[1] - passed[0]), where=hazard > 0)
        expected = np.where(self._alive(edges[0]), rate * within, 0.0)[known]
        ids = pd.Index(self.truth["customer_id"].to_numpy()[known], name="customer_id")
        return pd.Series(expected, index=ids, name="expected_purchases")

    def _window(self, train_end: Any, test_end: Any) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.datetime64]]:
        """Customers acquired by the end of train_end, and the first instants after both days."""
        first = _day(train_end, "train_end")
        last = self.end if test_end is None else _day(test_end, "test_end")
        if not self.start <= first < last <= self.end:
            raise UsageError(
                f"train_end={first:%Y-%m-%d} and test_end={last:%Y-%m-%d} must be days in this order between "
                f"{self.start:%Y-%m-%d} and {self.end:%Y-%m-%d}, the days of the simulation."
            )
        edges = np.array([first, last], dtype="datetime64[D]") + 1
        edges = edges.astype("datetime64[s]")
        return self.truth["first_purchase"].to_numpy() < edges[0], edges

    def _days(self, instants: npt.NDArray[np.datetime64]) -> Array:
        return (instants - np.datetime64(self.start, "s")).astype(np.float64) / _SECONDS_PER_DAY

    def _alive(self, instant: np.datetime64) -> npt.NDArray[np.bool_]:
        gone = self.truth["dropout_date"].to_numpy()
        return np.asarray(np.isnat(gone) | (gone >= instant))


def simulate_transactions(
    n_customers: int = 100_000,
    seed: int = 1,
    *,
    purchases: Any = "bg_nbd",
    parameters: Mapping[str, float] | None = None,
    time_unit: TimeUnit = "W",
    spend: Any = None,
    start: Any = "2024-01-01",
    end: Any = "2025-12-31",
    acquisition: Acquisition | Any = "uniform",
    acquisition_end: Any = None,
    growth: float = 2.0,
    resolution: Literal["s", "D"] = "s",
    drift: float = 1.0,
    seasonality: float = 0.0,
    overdispersion: float = 0.0,
    refunds: float = 0.0,
    currency: str | None = None,
    covariates: Any = None,
) -> Simulation:
    """Make up the customers of a shop, and all they buy from one day to another.

    Parameters
    ----------
    n_customers : how many. The first 1,000 of 2,000 customers are those of a simulation of 1,000.
    seed : the same seed gives the same shop.
    purchases : model of when they buy: "bg_nbd", "mbg_nbd" or "pareto_nbd", or a fit of one, as
        `BetaGeo().fit` and `BetaGeo().from_parameters` give; of a posterior, its means.
    parameters : parameters of the model named, in `time_unit`; default, estimates from CDNOW.
    time_unit : "h", "D", "W" or "M"; a fit has its own.
    spend : model of how much: a fit of Gamma-Gamma, or its parameters {"p": ..., "q": ..., "v": ...}; default,
        estimates from CDNOW, 35 dollars a purchase.
    start, end : first and last day; `end` may be a duration, such as "104W" or "24M".
    acquisition : when customers buy first, from `start` to the end of `acquisition_end`: "uniform", "growing"
        (`growth` times as many a year later), "one day" (all on the first); or their dates, one each.
    acquisition_end : last day of first purchases; default, `end`.
    growth : factor by which "growing" grows in a year.
    resolution : dates to the second ("s"), or days alone ("D").
    drift : factor by which rates have changed after a year: 0.8 for a fifth less. 1 is none.
    seasonality : share, from 0 up to 1, by which rates swing over the year, highest on 21 December.
    overdispersion : variance of gamma shocks of mean 1 that all customers' rates share in a week.
    refunds : share of purchases given back in full, 1 to 14 days later.
    currency : name of the currency, carried along.
    covariates : frame with a row for each customer, columns of `transactions` and `truth`; `purchases` and `spend` may
        be fits that depend on them. A model of spend may depend on `frequency`, the number of repeat purchases.

    Drift, season and shocks change the speed at which time passes for customers: in operational time, the
    customers are exactly the model's. Without them it is the calendar's. First purchases keep to the calendar.

    Returns
    -------
    Simulation: `.transactions` and `.truth`, `.holdout(day)` and `.expected_purchases(day)`.

    Raises
    ------
    UsageError : arguments that make no sense, or parameters that would make more than a thousand million purchases.

    References
    ----------
    The models' own; time change: Daley & Vere-Jones (2003), An Introduction to the Theory of Point Processes, 7.4.

    Examples
    --------
    >>> shop = simulate_transactions(1_000, seed=7, end="52W")
    >>> shop
    Simulation(1,000 customers of BG/NBD, 1,998 transactions, 2024-01-01 to 2024-12-29)
    >>> int(shop.truth["alive"].sum()), int(shop.holdout("2024-06-30")["purchases"].sum())
    (853, 394)
    """
    _check_numbers(n_customers, seed, drift, seasonality, overdispersion, refunds, growth)
    if resolution not in ("s", "D"):
        raise UsageError(f'resolution={resolution!r} must be "s" (dates to the second) or "D" (days).')
    of_purchases = _purchase_parameters(purchases, parameters, time_unit)
    of_spend = _spend_parameters(spend, currency)
    unit = of_purchases.time_unit
    assert unit is not None
    first_day, last_day = _days_of(start, end)
    length = (last_day - first_day).days + 1
    # One stream for each thing of the shop's own, so that one option changes no other's numbers.
    of_first, of_dropout, of_weeks, of_refund, of_delay = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)
    )
    clock = make_clock(np.datetime64(first_day), length, drift, seasonality, overdispersion, of_weeks)
    first = _first_purchases(acquisition, acquisition_end, growth, n_customers, first_day, last_day, of_first)

    kernels = of_purchases.family.kernels
    columns = _checked_covariates(covariates, n_customers, (of_purchases, of_spend))
    none = np.zeros(n_customers, dtype=np.int64)
    of_groups = of_purchases.on(_customers(n_customers, unit, columns, none))
    theta, group = np.ascontiguousarray(of_groups.matrix[0]), of_groups.design.group_of(none)
    keys = np.arange(1, n_customers + 1, dtype=np.uint64)
    days_per_unit = hours_per(unit) / 24
    born = clock.operational(first)
    age = np.maximum(clock.operational(float(length)) - born, 0.0) / days_per_unit
    _refuse_too_many(of_groups, age)
    counts, times, rate, dropout, alive = kernels.simulate_history(theta, age, keys, np.uint64(seed), group=group)
    spend_of_groups = of_spend.on(_customers(n_customers, unit, columns, counts.astype(np.int64)))
    spend_theta, spend_group = spend_of_groups.matrix[0].copy(), spend_of_groups.design.group_of(none)
    amounts = of_spend.family.kernels.simulate_amounts(
        spend_theta, keys, counts + np.int32(1), np.uint64(seed), group=spend_group
    )
    mean_spend = of_spend.family.kernels.simulate_mean_amounts(spend_theta, keys, np.uint64(seed), group=spend_group)

    rows = counts.astype(np.int64) + 1
    owner = np.repeat(np.arange(n_customers), rows)
    begin = np.concatenate([[0], np.cumsum(rows)[:-1]])
    ages = np.zeros(len(owner))
    later = np.ones(len(owner), dtype=bool)
    later[begin] = False
    ages[later] = times
    last_age = ages[begin + rows - 1]
    at_purchases = _leave_at_purchases(of_groups)
    left = last_age if at_purchases else _dropout_ages(last_age, age, rate + dropout, of_dropout.random(n_customers))

    when = clock.calendar(born[owner] + ages * days_per_unit)
    when[begin] = first
    second = _instants(when, first_day, length)
    gone = _instants(clock.calendar(born + np.minimum(left, age) * days_per_unit), first_day, length)
    # Rounding must not part a customer from the purchase at which they left, nor put it before the first.
    gone = np.maximum(gone, second[begin + rows - 1])
    truth = pd.DataFrame(
        {
            "customer_id": np.arange(1, n_customers + 1),
            "first_purchase": second[begin],
            "rate": rate,
            "dropout": dropout,
            "dropout_date": np.where(alive, np.datetime64("NaT", "s"), gone),
            "alive": alive,
            "repeat_purchases": counts.astype(np.int64),
            "spend": np.add.reduceat(amounts, begin),
            "mean_spend": mean_spend,
        }
    )
    if columns is not None:
        truth = pd.concat([truth, columns], axis=1)
    ids, dates, money = owner + 1, second, amounts
    if refunds:
        back = np.flatnonzero(of_refund.random(len(ids)) < refunds)
        due = when[back] + 1 + (_LONGEST_REFUND - 1) * of_delay.random(len(back))
        back, due = back[due < length], due[due < length]
        ids = np.concatenate([ids, ids[back]])
        dates = np.concatenate([dates, _instants(due, first_day, length)])
        money = np.concatenate([money, -money[back]])
    if resolution == "D":
        dates = dates.astype("datetime64[D]").astype("datetime64[s]")
        for column in ("first_purchase", "dropout_date"):
            truth[column] = truth[column].dt.normalize()
    order = np.argsort(dates, kind="stable")
    transactions = pd.DataFrame({"customer_id": ids[order], "date": dates[order], "amount": money[order]})
    if columns is not None:
        of_rows = columns.iloc[ids[order] - 1].reset_index(drop=True)
        transactions = pd.concat([transactions, of_rows], axis=1)
    return Simulation(
        transactions, truth, of_purchases, of_spend, unit, first_day, last_day, currency, clock, at_purchases
    )


# ---- what was asked for -----------------------------------------------------------------------------------


def _check_numbers(
    n_customers: Any, seed: Any, drift: Any, seasonality: Any, overdispersion: Any, refunds: Any, growth: Any
) -> None:
    if not _is_whole(n_customers) or n_customers < 1:
        raise UsageError(f"n_customers={n_customers!r} must be a whole number from 1 on.")
    if not _is_whole(seed) or not 0 <= seed < 2**63:
        raise UsageError(f"seed={seed!r} must be a whole number from 0 on.")
    checks: tuple[tuple[str, Any, Callable[[float], bool], str], ...] = (
        ("drift", drift, lambda x: x > 0, "a positive factor a year, such as 0.8; 1 is no drift"),
        ("growth", growth, lambda x: x > 0, "a positive factor a year, such as 2"),
        ("seasonality", seasonality, lambda x: 0 <= x < 1, "a share from 0 to below 1, such as 0.3"),
        ("overdispersion", overdispersion, lambda x: 0 <= x <= 100, "a variance from 0 to 100, such as 0.1"),
        ("refunds", refunds, lambda x: 0 <= x <= 1, "a share of purchases from 0 to 1, such as 0.05"),
    )
    for name, value, right, meaning in checks:
        number = isinstance(value, (int, float, np.number)) and math.isfinite(value)
        if not (number and right(value)):
            raise UsageError(f"{name}={value!r} must be {meaning}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _purchase_parameters(purchases: Any, parameters: Mapping[str, float] | None, time_unit: TimeUnit) -> Posterior:
    fitted = getattr(purchases, "posterior", None)
    if isinstance(fitted, Posterior) and fitted.family.statistic is RECENCY_FREQUENCY:
        if parameters is not None:
            raise UsageError("purchases is a fit, which has its own parameters: leave out parameters=.")
        return _at_means(fitted)
    family = FAMILIES.get(purchases) if isinstance(purchases, str) else None
    if family is None or family.statistic is not RECENCY_FREQUENCY:
        names = ", ".join(f'"{name}"' for name, family in FAMILIES.items() if family.statistic is RECENCY_FREQUENCY)
        raise UsageError(f"purchases={purchases!r} is not a model of purchases: use {names}, or a fit of one.")
    unit = check_time_unit(time_unit)
    return Posterior.from_parameters(family, _default(family, unit) if parameters is None else parameters, unit)


def _spend_parameters(spend: Any, currency: str | None) -> Posterior:
    fitted = getattr(spend, "posterior", None)
    if isinstance(fitted, Posterior) and fitted.family.statistic is SPEND:
        return _at_means(fitted)
    if spend is not None and not isinstance(spend, Mapping):
        raise UsageError(
            f'spend={spend!r} is not a model of spend: use a fit of one, or {{"p": ..., "q": ..., "v": ...}}.'
        )
    family = FAMILIES["gamma_gamma"]
    return Posterior.from_parameters(family, _default(family, "W") if spend is None else spend, None, currency)


def _default(family: Family, unit: TimeUnit) -> dict[str, float]:
    if family.name not in _CDNOW:
        raise UsageError(f"{family.label} has no parameters to start from: give parameters=.")
    weeks = hours_per("W") / hours_per(unit)
    return {p.name: _CDNOW[family.name][p.name] * (weeks if p.dimension == "time" else 1) for p in family.definitions}


def _at_means(posterior: Posterior) -> Posterior:
    means = {name: float(draws.mean()) for name, draws in posterior.draws.items()}
    effects = {name: values.mean(axis=0, keepdims=True) for name, values in posterior.effects.items()}
    design = posterior.design if effects else ONE_FOR_ALL
    return Posterior.from_parameters(
        posterior.family, means, posterior.time_unit, posterior.currency, None, design, effects
    )


def _customers(size: int, unit: TimeUnit, covariates: pd.DataFrame | None, frequency: npt.NDArray[np.int64]) -> RFM:
    """The customers as a table that designs can read."""
    return RFM(
        pd.RangeIndex(1, size + 1), frequency, np.zeros(size), np.zeros(size), time_unit=unit, covariates=covariates
    )


def _checked_covariates(given: Any, size: int, posteriors: Sequence[Posterior]) -> pd.DataFrame | None:
    """A frame with a row for each customer, with the covariates that the models need."""
    needed = sorted({name for posterior in posteriors for name in posterior.covariates} - {"frequency"})
    if given is None:
        if needed:
            raise UsageError(
                f"The models depend on {', '.join(needed)}: give covariates=, a frame with a row for each customer."
            )
        return None
    frame = pd.DataFrame(given).reset_index(drop=True)
    taken = [name for name in frame.columns if name in ("customer_id", "date", "amount", "frequency")]
    if len(frame) != size or taken:
        raise UsageError(
            f"covariates must have a row for each of the {size:,} customers, and no column {', '.join(taken)}: it has "
            f"{len(frame):,} rows."
            if taken
            else f"covariates must have a row for each of the {size:,} customers: it has {len(frame):,}."
        )
    return frame


def _day(value: Any, argument: str) -> pd.Timestamp:
    """The day of a date, by the clock on the wall."""
    return to_timestamp(value, argument).tz_localize(None).normalize()


def _days_of(start: Any, end: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day; a duration ends on the last day it covers."""
    first = _day(start, "start")
    if isinstance(end, str) and end[-1:].isalpha() and "-" not in end:
        before = first - pd.Timedelta(days=1)
        last = before + pd.Timedelta(days=max(math.ceil(horizon_length(end, "D", before)), 1))
    else:
        last = _day(end, "end")
    if last < first:
        raise UsageError(f"end={last:%Y-%m-%d} must not be before start={first:%Y-%m-%d}.")
    return first, last


def _first_purchases(
    acquisition: Any,
    acquisition_end: Any,
    growth: float,
    size: int,
    first_day: pd.Timestamp,
    last_day: pd.Timestamp,
    rng: np.random.Generator,
) -> Array:
    """Days from the start to each customer's first purchase."""
    if not isinstance(acquisition, str):
        return _given_dates(acquisition, size, first_day, last_day)
    until = last_day if acquisition_end is None else _day(acquisition_end, "acquisition_end")
    if not first_day <= until <= last_day:
        raise UsageError(
            f"acquisition_end={until:%Y-%m-%d} must be a day from {first_day:%Y-%m-%d} to {last_day:%Y-%m-%d}."
        )
    window = (until - first_day).days + 1.0
    share = rng.random(size)
    if acquisition == "uniform":
        return share * window
    if acquisition == "one day":
        return share
    if acquisition == "growing":
        steepness = math.log(growth) * window / DAYS_PER_YEAR
        return window * (np.log1p(share * math.expm1(steepness)) / steepness if steepness else share)
    raise UsageError(f'acquisition={acquisition!r} must be "uniform", "growing" or "one day", or a date per customer.')


def _given_dates(dates: Any, size: int, first_day: pd.Timestamp, last_day: pd.Timestamp) -> Array:
    try:
        given = pd.DatetimeIndex(dates)
    except (TypeError, ValueError) as error:
        raise UsageError("acquisition contains something that is not a date: give one date per customer.") from error
    if len(given) != size:
        raise UsageError(f"acquisition has {len(given):,} dates for {size:,} customers: give one each.")
    days = np.asarray((given.tz_localize(None) - first_day) / pd.Timedelta(days=1), dtype=np.float64)
    outside = ~((days >= 0) & (days < (last_day - first_day).days + 1))
    if outside.any():
        raise UsageError(
            f"acquisition has {int(outside.sum()):,} dates that are missing or outside {first_day:%Y-%m-%d} to "
            f"{last_day:%Y-%m-%d}, the first at place {int(np.argmax(outside))}."
        )
    return days


def _refuse_too_many(purchases: Posterior, age: Array) -> None:
    """Parameters in hours that are used as weeks would need more memory than the machine has."""
    expected = purchases.family.kernels.expected_purchases_alive
    parameters = purchases.matrix[0, 0]
    total = len(age) * max(expected(*parameters, 0.0, 0.0, float(t)) for t in (np.mean(age), np.median(age)))
    if total > _MOST_PURCHASES:
        raise UsageError(
            f"These parameters would make about {total:.0e} purchases: look at time_unit={purchases.time_unit!r}, "
            "or take fewer customers."
        )


# ---- the truth --------------------------------------------------------------------------------------------


def _leave_at_purchases(purchases: Posterior) -> bool:
    """Whether customers drop out at purchases: a customer who has just bought may have dropped out already."""
    return bool(purchases.family.kernels.probability_alive(*purchases.matrix[0, 0], 1.0, 1.0, 1.0) < 1)


def _dropout_ages(last: Array, age: Array, hazard: Array, uniform: Array) -> Array:
    """Ages at dropout of those who left after the purchase at `last` and before `age`.

    Given rates of purchase and of dropout that sum to `hazard`, the silence until dropout is exponential, cut off
    at the end.
    """
    within = -np.expm1(-hazard * (age - last))
    return np.asarray(last - np.log1p(-uniform * within) / hazard)


def _instants(days: Array, first_day: pd.Timestamp, length: int) -> npt.NDArray[np.datetime64]:
    """Times in days since the start, as instants within the simulation."""
    seconds = np.minimum(np.floor(days * _SECONDS_PER_DAY), length * _SECONDS_PER_DAY - 1).astype(np.int64)
    return np.datetime64(first_day, "s") + seconds
