"""Forecasts without a model of customers, which a model should improve on.

Each sees what was known at a cut-off and nothing later. Those that learn do so a window earlier: from the customers
as they were then, and from what they did up to the cut-off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.periods import DAYS_PER_YEAR, units_per_year
from lifeworth.rfm import RFM

Array = npt.NDArray[np.float64]

# Fewer customers than this, a window earlier, teach nothing that carries over.
_FEWEST = 10
# A cell of the table with fewer customers than this uses the mean of its row, or of all.
_FEWEST_IN_CELL = 5
_FREQUENCY_EDGES = np.array([1, 2, 3, 4, 6, 10])
_RECENCY_BINS = 5
# With fewer customers than this, trees are grown by this number of threads.
_MANY, _TREE_THREADS = 200_000, 1
# Trees of scikit-learn take no more categories of a column.
_MOST_CATEGORIES = 255


@dataclass(frozen=True, eq=False)
class Known:
    """What is known at a cut-off, customer by customer.

    Attributes
    ----------
    rfm : the customers as of the cut-off.
    length : of the window to predict, in the time unit of `rfm`.
    history : from the first purchase of all to the cut-off, in the same unit.
    earlier : the customers one window before the cut-off; None if there were none yet.
    then_purchases, then_value : (earlier customers,) what those did from then to the cut-off.
    """

    rfm: RFM
    length: float
    history: float
    earlier: RFM | None = None
    then_purchases: Array | None = None
    then_value: Array | None = None

    @property
    def has_money(self) -> bool:
        """Whether amounts are known."""
        return self.rfm.past_spend is not None

    def last_window(self) -> tuple[Array, Array, float]:
        """Purchases and spend of each customer in the window before the cut-off, and its length.

        The first purchase counts where it fell in. Where history is shorter than a window, all of it is taken.
        """
        purchases: Array = self.rfm.frequency.astype(np.float64) + 1
        value = np.zeros(len(self.rfm)) if self.rfm.past_spend is None else self.rfm.past_spend.copy()
        if self.earlier is None or self.then_purchases is None:
            return purchases, value, max(min(self.length, self.history), _day(self.rfm))
        at = self.rfm.customer_id.get_indexer(self.earlier.customer_id)
        still = at >= 0  # a customer who has returned all purchases since does not count
        purchases[at[still]] = self.then_purchases[still]
        if self.then_value is not None:
            value[at[still]] = self.then_value[still]
        return purchases, value, self.length


@dataclass(frozen=True, eq=False)
class Said:
    """The predictions of a baseline for each customer in the window: purchases, value, and spend per purchase."""

    purchases: Array
    value: Array | None = None
    spend: Array | None = None


Baseline = Callable[[Known], Said]


def last_period(known: Known) -> Said:
    """Everybody does again what they did in the window before the cut-off."""
    purchases, value, length = known.last_window()
    again = known.length / length
    return Said(purchases * again, value * again if known.has_money else None)


def own_rate(known: Known) -> Said:
    """Each customer continues at the customer's own rate of repeat purchases and spend since the first purchase."""
    rfm = known.rfm
    rate = known.length / np.maximum(rfm.T, _day(rfm))
    purchases = rfm.frequency * rate
    if rfm.monetary_value is None:
        return Said(purchases)
    again = rfm.frequency > 0
    mean = float((rfm.frequency * rfm.monetary_value).sum() / max(rfm.frequency.sum(), 1))
    return Said(purchases, purchases * rfm.monetary_value, np.where(again, rfm.monetary_value, mean))


def revenue_per_customer(known: Known) -> Said:
    """Everybody brings what a buyer of the last window brought on average: what accounting tools report.

    The formula counts as customers those who bought. Read as a forecast for all who ever bought, as it often is, it is
    too high by their number over that of buyers: by 550 % on CDNOW. That is the formula's trap and is shown as
    it stands; the same revenue, shared by all customers, has the total of `last_period`.
    """
    purchases, value, length = known.last_window()
    buyers = max(int((purchases > 0).sum()), 1)
    again, everybody = known.length / length / buyers, np.ones(len(purchases))
    return Said(everybody * purchases.sum() * again, everybody * value.sum() * again if known.has_money else None)


def aov_frequency_duration(known: Known) -> Said:
    """Everybody orders at the average value, at the average rate of repeat orders, for as long as the window lasts."""
    rfm = known.rfm
    age = max(float(rfm.T.sum()), _day(rfm))
    purchases = np.full(len(rfm), rfm.frequency.sum() / age * known.length)
    if rfm.past_spend is None:
        return Said(purchases)
    order_value = float(rfm.past_spend.sum() / (rfm.frequency + 1).sum())
    return Said(purchases, purchases * order_value, np.full(len(rfm), order_value))


def rf_table(known: Known) -> Said:
    """Everybody does what customers of like frequency and recency did in the window before, a window earlier."""
    earlier, purchases, value = _lesson(known)
    pauses = np.unique(np.quantile(earlier.T - earlier.recency, np.linspace(0, 1, _RECENCY_BINS + 1)[1:-1]))

    def cells(rfm: RFM) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        row = np.digitize(rfm.frequency, _FREQUENCY_EDGES)
        return row, row * (len(pauses) + 1) + np.digitize(rfm.T - rfm.recency, pauses)

    rows, places = len(_FREQUENCY_EDGES) + 1, (len(_FREQUENCY_EDGES) + 1) * (len(pauses) + 1)
    row, cell = cells(earlier)

    def table(outcome: Array) -> Array:
        by_row = _means(row, outcome, rows, np.full(rows, outcome.mean()))
        return _means(cell, outcome, places, np.repeat(by_row, len(pauses) + 1))

    now = cells(known.rfm)[1]
    return Said(table(purchases)[now], None if value is None else table(value)[now])


def _means(group: npt.NDArray[np.int64], values: Array, groups: int, otherwise: Array) -> Array:
    counts, sums = np.bincount(group, minlength=groups), np.bincount(group, values, groups)
    return np.where(counts >= _FEWEST_IN_CELL, sums / np.maximum(counts, 1), otherwise)


def boosting(known: Known) -> Said:
    """Gradient-boosted trees on RFM features and covariates, fitted to the window before the cut-off."""
    need_scikit_learn()
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    earlier, purchases, value = _lesson(known)
    of_then, of_now, categories = _covariates(earlier, known.rfm)
    then, now = np.hstack([_features(earlier), of_then]), np.hstack([_features(known.rfm), of_now])
    first = then.shape[1] - len(categories)
    categorical = [first + k for k, is_category in enumerate(categories) if is_category] or None

    def predicted(outcome: Array) -> Array:
        if not outcome.max() > outcome.min():
            return np.full(len(now), float(outcome.mean()))
        # Poisson's deviance: the mean of what is mostly nothing and now and then much.
        trees = HistGradientBoostingRegressor(
            loss="poisson",
            max_iter=100,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            early_stopping=False,
            random_state=0,
            categorical_features=categorical,
        )
        # Small trees are grown in bursts of microseconds, between which more threads would only wait for each other.
        with threadpool_limits(_TREE_THREADS if len(then) < _MANY else None, user_api="openmp"):
            return np.asarray(trees.fit(then, outcome).predict(now), dtype=np.float64)

    return Said(predicted(purchases), None if value is None else predicted(np.maximum(value, 0.0)))


def _features(rfm: RFM) -> Array:
    columns = [rfm.frequency, rfm.recency, rfm.T, rfm.T - rfm.recency, rfm.frequency / np.maximum(rfm.T, _day(rfm))]
    if rfm.monetary_value is not None and rfm.past_spend is not None:
        columns += [rfm.monetary_value, rfm.past_spend]
    return np.column_stack(columns).astype(np.float64)


def _covariates(then: RFM, now: RFM) -> tuple[Array, Array, list[bool]]:
    """Covariates of both tables as columns of numbers, and which are categories.

    Categories are numbered by how many customers of the earlier table have them; those it lacks, and rarer ones than
    trees can hold, are missing values.
    """
    columns: list[tuple[Array, Array]] = []
    categories: list[bool] = []
    if then.covariates is not None and now.covariates is not None:
        for name in then.covariates.columns:
            earlier, later = then.covariates[name], now.covariates[name]
            is_number = pd.api.types.is_numeric_dtype(earlier) and not pd.api.types.is_bool_dtype(earlier)
            categories.append(not is_number)
            if is_number:
                columns.append(
                    (earlier.to_numpy(np.float64, na_value=np.nan), later.to_numpy(np.float64, na_value=np.nan))
                )
                continue
            levels = pd.Index(earlier.astype(object).value_counts().index[:_MOST_CATEGORIES])
            codes = [levels.get_indexer(part.astype(object)).astype(np.float64) for part in (earlier, later)]
            columns.append((np.where(codes[0] < 0, np.nan, codes[0]), np.where(codes[1] < 0, np.nan, codes[1])))
    if not columns:
        return np.empty((len(then), 0)), np.empty((len(now), 0)), categories
    return np.column_stack([one for one, _ in columns]), np.column_stack([other for _, other in columns]), categories


def _lesson(known: Known) -> tuple[RFM, Array, Array | None]:
    """The customers a window earlier, and what they then did up to the cut-off."""
    customers = 0 if known.earlier is None else len(known.earlier)
    if known.earlier is None or known.then_purchases is None or customers < _FEWEST:
        raise DataError(
            f"Not enough data: {customers} customers had been won a whole window before the cut-off, and learning "
            f"takes {_FEWEST}."
        )
    return known.earlier, known.then_purchases, known.then_value


def _day(rfm: RFM) -> float:
    return units_per_year(rfm.time_unit) / DAYS_PER_YEAR


def need_scikit_learn() -> None:
    """Say it where scikit-learn is missing."""
    if find_spec("sklearn") is None:
        raise UsageError(
            'The baseline "boosting" needs scikit-learn, which is not installed: install "lifeworth[boosting]", or '
            "leave it out of baselines."
        )


BASELINES: dict[str, Baseline] = {
    function.__name__: function
    for function in (last_period, own_rate, revenue_per_customer, aov_frequency_duration, rf_table, boosting)
}


def baselines_of(wanted: Any) -> dict[str, Baseline]:
    """Baselines by name: all of them (None), or names and functions of `Known`."""
    if wanted is None:
        return {name: f for name, f in BASELINES.items() if name != "boosting" or find_spec("sklearn") is not None}
    if not isinstance(wanted, Iterable) and not callable(wanted):
        raise UsageError(f"baselines={wanted!r}: give names ({', '.join(BASELINES)}) or functions, one or several.")
    found: dict[str, Baseline] = {}
    for one in [wanted] if isinstance(wanted, str) or callable(wanted) else wanted:
        if isinstance(one, str):
            if one not in BASELINES:
                raise UsageError(f"{one!r} is not a baseline; there are: {', '.join(BASELINES)}.")
            if one == "boosting":
                need_scikit_learn()
            found[one] = BASELINES[one]
        elif callable(one):
            found[str(getattr(one, "__name__", one))] = one
        else:
            raise UsageError(
                f"baselines={one!r}: a baseline is a name ({', '.join(BASELINES)}) or a function of what is known."
            )
    return found


def checked(name: str, said: Any, known: Known) -> Said:
    """What a baseline said, one finite number for each customer; or a sentence."""
    if not isinstance(said, Said):
        raise UsageError(f"The baseline {name} must give a Said, not {type(said).__name__}.")
    parts = {"purchases": said.purchases, "value": said.value, "spend": said.spend}
    arrays: dict[str, Array] = {}
    for part, values in parts.items():
        if values is None:
            continue
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(known.rfm),) or not np.isfinite(array).all():
            raise UsageError(f"The baseline {name} must give {part} as one finite number for each customer.")
        arrays[part] = array
    if "purchases" not in arrays:
        raise UsageError(f"The baseline {name} must predict purchases.")
    return Said(**arrays)
