"""The place of a customer among the others, and the probability to end up among the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lifeworth import predict
from lifeworth.errors import UsageError
from lifeworth.families.distinct import Distinct
from lifeworth.families.posterior import Posterior
from lifeworth.rfm import RFM
from lifeworth.segments.rules import is_whole
from lifeworth.value.futures import Futures

Array = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]

# Draws simulated at a time: 16 x customers x 8 bytes, 128 MB for a million.
_AT_A_TIME: Final = 16


def place_of(values: Array, name: str, notes: list[str], at_zero: float = 0.0) -> Array:
    """Share of customers below each, half of its equals counted: 0 for the lowest, 1 for the highest.

    If all are equal they are in the middle or, if all are 0, at the end `at_zero`; a note says so.
    A quotient of whole numbers, rounded once: it equals a border such as 1/5 exactly if the quotient does.
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        place = 0.5 if values[0] else at_zero
        end = {0.0: "lowest", 0.5: "middle", 1.0: "highest"}[place]
        who = (
            "The only customer cannot be compared with others" if len(values) == 1 else f"All {len(values):,} are equal"
        )
        notes.append(f"{who} in {name}, which therefore does not distinguish customers: the {end} class was given.")
        return np.full(len(values), place)
    places = (2 * (np.cumsum(counts) - counts) + counts) / (2 * len(values))
    places[0], places[-1] = 0.0, 1.0
    return np.asarray(places[inverse])


def class_of(places: Array, cuts: Sequence[float]) -> Classes:
    """Class of each place: how many of the ascending cuts it reaches."""
    return np.searchsorted(np.asarray(cuts), places, side="right").astype(np.int64)


def tier_of(future: Array, chances: list[Array] | None, borders: Sequence[float], notes: list[str]) -> Classes:
    """Tier of each customer, 0 the best, by their chances to be in it or better, or by expected value alone."""
    if chances is None or np.all(future == future[0]):
        # Where all expectations are equal, simulated differences between chances would be noise.
        places = place_of(future, "future value", notes)
        return len(borders) - class_of(places, [1 - share for share in reversed(borders)])
    tier = np.full(len(future), len(borders), dtype=np.int64)
    for code in reversed(range(len(borders))):
        tier[place_of(chances[code], "", []) >= 1 - borders[code]] = code
    return tier


def top_probabilities(
    purchases: Posterior,
    spend: Posterior | None,
    length: float,
    rfm: RFM,
    borders: list[float],
    draws: int,
    uncertainty: str,
    seed: int,
    progress: Progress | None,
) -> list[Array]:
    """Probability of each customer to be among the best of each share, averaged over equal customers.

    Customers at the border of a future share the places that are left, so that probabilities sum to the places.
    """
    if uncertainty not in ("customer", "mean"):
        raise UsageError(f'uncertainty={uncertainty!r} must be "customer" or "mean".')
    if not is_whole(draws) or draws < 1:
        raise UsageError(f"draws={draws!r} must be a whole number from 1 on.")
    if not is_whole(seed) or not 0 <= seed < 2**63:
        raise UsageError(f"seed={seed!r} must be a whole number from 0 on.")
    n = len(rfm)
    purchases, spend = purchases.on(rfm), None if spend is None else spend.on(rfm)
    places = [min(max(round(share * n), 1), n) for share in borders]
    sums = [np.zeros(n) for _ in borders]
    done = 0
    for values in _futures(purchases, spend, length, rfm, draws, uncertainty, seed):
        for column in np.ascontiguousarray(values.T):
            at = np.partition(column, [n - k for k in places])
            for total, k in zip(sums, places, strict=True):
                border = at[n - k]
                above, equal = column > border, column == border
                total += above + equal * ((k - int(above.sum())) / int(equal.sum()))
        done += values.shape[1]
        if progress is not None:
            progress("probabilities of tiers", done / draws)
    money = np.zeros(n) if rfm.monetary_value is None else rfm.monetary_value
    alike = Distinct.of(_groups_of(purchases, spend, rfm), rfm.frequency, rfm.recency, rfm.T, money)
    means = (np.bincount(alike.inverse, weights=total) / alike.counts for total in sums)
    return [mean[alike.inverse] / draws for mean in means]


def _groups_of(purchases: Posterior, spend: Posterior | None, rfm: RFM) -> npt.NDArray[np.int64]:
    """A number for each pair of groups, of purchases and of spend, that customers belong to."""
    group = purchases.group_of(rfm)
    return group if spend is None else group * spend.design.groups + spend.group_of(rfm)


def _futures(
    purchases: Posterior, spend: Posterior | None, length: float, rfm: RFM, draws: int, uncertainty: str, seed: int
) -> Iterator[Array]:
    """What customers will be worth, (customers, a few draws) at a time."""
    predict.check_units(purchases, rfm)
    if spend is not None:
        predict.check_units(spend, rfm)
        spend = predict.with_a_mean(spend)
    for start in range(0, draws, _AT_A_TIME):
        pick = np.arange(start, min(start + _AT_A_TIME, draws))
        some, some_spend = purchases.some(pick), None if spend is None else spend.some(pick)
        if uncertainty == "mean":
            values = predict.expected_purchases(some, rfm, length, draws=True)
            yield values if some_spend is None else values * predict.expected_spend(some_spend, rfm, draws=True)
            continue
        futures = Futures.of(purchases, spend, rfm, pick)
        _, values = futures.simulate(slice(None), seed, length, first=start)
        yield values
