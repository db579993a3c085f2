"""Recalibration: the errors of a model at past cut-offs, and the corrections of its predictions that follow from them.

Three things are learned:

- for customers, which of the model's own central intervals would have held (distributional conformal prediction), by
  how often customers had bought (Mondrian conformal prediction);
- for expectations, the part of the errors of past totals that was the same in all windows: a factor for every customer
  and for the total, shrunk towards 1;
- for intervals of totals, how much the remaining errors varied: a random factor common to all customers, whose size is
  uncertain if there are few windows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.display import cards
from lifeworth.errors import DataError, DataWarning
from lifeworth.periods import UNIT_NAMES, TimeUnit, units_per_year
from lifeworth.predict import blocks, pieces, with_a_mean
from lifeworth.value import Terms, Totals
from lifeworth.value.futures import Futures
from lifeworth.value.terms import per_customer

if TYPE_CHECKING:
    from lifeworth.families.posterior import Posterior
    from lifeworth.rfm import RFM

Array = npt.NDArray[np.float64]

TARGETS = ("purchases", "value")
# Probabilities at which the levels that hold are kept.
PROBABILITIES = np.concatenate([np.arange(1, 100) / 100, [0.995, 0.999]])
# Factors of 1 + 25 % between past and window are common, and twice that is not rare.
_DRIFT_SCALE = 0.25
_DRIFT_SIZES = np.linspace(0.0, 3.0, 1501)
# Horizons that differ by less than this from the windows used for recalibration are treated as equal.
_SAME = 0.1


class Teacher(Protocol):
    """What a calibration is learned from: a `Backtest`."""

    def learn_calibration(self, method: str | None = None, family: str | None = None) -> Calibration:
        """How wrong a model of the backtest has been."""
        ...


@dataclass(frozen=True, eq=False)
class Levels:
    """Which of the model's central intervals hold as often as asked for, of customers of like frequency.

    Attributes
    ----------
    lowest : (groups,) the frequency each group begins at; the first is 0.
    levels : (groups, len(PROBABILITIES)) central probability of the model's interval that held so often.
    """

    lowest: npt.NDArray[np.int64]
    levels: Array

    def of(self, frequency: npt.NDArray[np.int64], interval: float) -> Array:
        """(customers,) which of the model's central intervals to take, so that `interval` of them hold."""
        by_group = np.array([np.interp(interval, PROBABILITIES, levels) for levels in self.levels])
        return np.asarray(by_group[np.searchsorted(self.lowest, frequency, side="right") - 1])


@dataclass(frozen=True, eq=False)
class Drift:
    """How far totals were off at past cut-offs.

    Attributes
    ----------
    errors : (cut-offs,) log of what happened over what was expected.
    noise : (cut-offs,) variance of that log in the model's own draws.
    windows : number of disjoint windows: errors of overlapping windows are not independent.
    """

    errors: Array
    noise: Array
    windows: int

    @property
    def shift(self) -> float:
        """Log of the factor that corrects expectations: the mean past error, shrunk towards 0.

        The mean of n errors is multiplied by n / (n + 1), and by the share of its square that its own variance does not
        explain (positive-part James-Stein): the first is for few windows, the second makes the shift vanish where
        errors differ as much as errors around 0 would. Source: Efron & Morris (1973), "Stein's estimation rule and its
        competitors", JASA 68(341).
        """
        mean = float(self.errors.mean())
        if self.windows < 2 or len(self.errors) < 2 or mean == 0.0:
            return 0.0
        variance = max(float(self.errors.var(ddof=1)), float(self.noise.mean())) / self.windows
        return mean * self.windows / (self.windows + 1) * max(0.0, 1.0 - variance / mean**2)

    def weights(self) -> Array:
        """Posterior weight of each size of drift, (len(_DRIFT_SIZES),).

        What the shift leaves of an error is normal around 0 with variance noise + size²; half-Cauchy prior of the
        size. As far as errors were used for the shift, (n + 1) / (n - 1) makes up for that: a mean of n leaves
        (n - 1) / n of the variance, and a new error differs from that mean by (n + 1) / n of it.
        """
        variance = self.noise[:, None] + _DRIFT_SIZES**2
        variance = np.maximum(variance, 1e-12)
        shift = self.shift
        share = 0.0 if shift == 0.0 else shift / float(self.errors.mean())
        used = 1.0 if share == 0.0 else 1.0 + share * 2.0 / (self.windows - 1)
        each = -0.5 * (np.log(variance) + used * (self.errors[:, None] - shift) ** 2 / variance)
        log = each.sum(axis=0) * self.windows / len(self.errors) - np.log1p((_DRIFT_SIZES / _DRIFT_SCALE) ** 2)
        weights = np.exp(log - log.max())
        return np.asarray(weights / weights.sum())

    def factors(self, draws: int, seed: int) -> Array:
        """(draws,) random factors between shifted futures and what happens; their median is 1."""
        rng = np.random.default_rng([seed, 0xD21F7])
        # Both spread evenly, and in random order: the ends of intervals then hardly depend on the seed.
        even = (np.arange(draws) + 0.5) / draws
        sizes = self._quantiles(rng.permutation(even))
        return np.asarray(np.exp(sizes * _normal_quantiles(rng.permutation(even))))

    def _quantiles(self, probabilities: Array) -> Array:
        """Quantiles of the size; each size of the grid lies in the middle of its weight."""
        weights = self.weights()
        return np.interp(probabilities, np.cumsum(weights) - weights / 2, _DRIFT_SIZES)

    @property
    def size(self) -> float:
        """Posterior median of the drift's standard deviation, as a share of the total."""
        return float(self._quantiles(np.array(0.5)))


def _normal_quantiles(probabilities: Array) -> Array:
    from scipy.special import ndtri

    return np.asarray(ndtri(probabilities))


@dataclass(frozen=True, eq=False)
class Calibration:
    """What past cut-offs taught about a model's expectations and intervals.

    Attributes
    ----------
    model : its name in the backtest.
    horizon : of the windows, as given; length : their mean, in time units.
    time_unit : of `length`.
    cutoffs : the cut-offs learned from.
    windows : number of disjoint windows among them.
    customers : target ("purchases", "value") -> Levels, if enough customers were evaluated.
    totals : target -> Drift, if there are enough disjoint windows.
    reasons : what could not be learned, and why; a sentence each.
    """

    model: str
    horizon: str | float
    length: float
    time_unit: TimeUnit
    cutoffs: tuple[pd.Timestamp, ...]
    windows: int
    customers: Mapping[str, Levels]
    totals: Mapping[str, Drift]
    reasons: tuple[str, ...] = ()

    @property
    def shifts(self) -> dict[str, float]:
        """Target -> what expectations of it are multiplied by; 1 where past errors had no common part.

        Without a factor for value, that of purchases applies to it.
        """
        found = {target: float(np.exp(drift.shift)) for target, drift in self.totals.items()}
        purchases = found.get("purchases", 1.0)
        return {"purchases": purchases, "value": found.get("value", purchases)}

    def __repr__(self) -> str:
        span = f"{self.cutoffs[0]:%Y-%m-%d} to {self.cutoffs[-1]:%Y-%m-%d}" if self.cutoffs else "none"
        told = ", ".join(
            f"{target} shifted by {100 * (self.shifts[target] - 1):+.1f} %, ± {100 * drift.size:.0f} %"
            for target, drift in self.totals.items()
        )
        learned = f"{', '.join(self.customers) or 'nothing'} of customers; totals: {told or 'nothing'}"
        return (
            f"Recalibration of {self.model} by {len(self.cutoffs)} cut-offs ({span}; {self.windows} disjoint "
            f"windows) of {self.horizon!r}: {learned}"
        )

    def _repr_html_(self) -> str:
        return cards.show(self)

    def check_length(self, length: float) -> None:
        """Say so where the horizon asked for is not the one that was learned."""
        if not abs(length / self.length - 1) <= _SAME:
            unit = f"{UNIT_NAMES[self.time_unit]}s"
            asked = f"{length:.4g} {unit}" if np.isfinite(length) else "for ever"
            warnings.warn(
                f"Intervals were calibrated by windows of {self.length:.4g} {unit}, and the horizon asked for is "
                f"{asked}: whether they hold there is not known. Calibrate by a backtest with this horizon.",
                DataWarning,
                stacklevel=6,
            )

    def of_totals(self, totals: Totals, seed: int) -> Totals:
        """Totals, which have been shifted, with the drift in their draws. Both targets drift together."""

        def drifted(target: str, draws: Array) -> Array:
            return draws * self.totals[target].factors(draws.shape[-1], seed) if target in self.totals else draws

        return replace(
            totals,
            draws_of_purchases=drifted("purchases", totals.draws_of_purchases),
            draws_of_value=drifted("value", totals.draws_of_value),
        )


def factors(calibration: Calibration | None) -> tuple[float, float]:
    """Return what expected purchases and their value are multiplied by."""
    return (1.0, 1.0) if calibration is None else (calibration.shifts["purchases"], calibration.shifts["value"])


def recalibrated(
    calibration: Calibration,
    purchases: Posterior,
    spend: Posterior | None,
    rfm: RFM,
    terms: Terms,
    frame: pd.DataFrame,
    totals: Totals | None,
) -> tuple[pd.DataFrame, Totals | None]:
    """Replace the intervals of customers and of the total; `factors` have already corrected the expectations."""
    calibration.check_length(terms.clock(rfm.time_unit, rfm.observation_end, rfm.period).length)
    if terms.uncertainty != "customer":
        return frame, totals
    frame = frame.assign(**calibrated_intervals(calibration, purchases, spend, rfm, terms))
    return frame, None if totals is None else calibration.of_totals(totals, terms.seed)


def central_level(below: Array, upto: Array) -> Array:
    """The smallest central interval of a distribution that holds the outcome: its probability.

    `below` and `upto` are P(X < y) and P(X <= y). The quantile of p is at most y where p <= P(X <= y), and at least y
    where p > P(X < y).
    """
    return np.asarray(np.maximum(np.maximum(1 - 2 * upto, 2 * below - 1), 0.0))


def calibrated_intervals(
    calibration: Calibration, purchases: Posterior, spend: Posterior | None, rfm: RFM, terms: Terms
) -> dict[str, Array]:
    """Columns of `CLV.predict` that a calibration changes: ends of the intervals of customers.

    The futures are those of the plain prediction, not shifted: other quantiles of them are taken, which were learned
    from futures that were not shifted either.
    """
    if spend is not None:
        with warnings.catch_warnings():  # the plain prediction has said it
            warnings.simplefilter("ignore", DataWarning)
            spend = with_a_mean(spend)
    clock = terms.clock(purchases.time_unit, rfm.observation_end, rfm.period)
    named = {"purchases": "purchases", "value": "clv"}
    levels = {
        named[target]: of.of(rfm.frequency, terms.interval)
        for target, of in calibration.customers.items()
        if target == "purchases" or spend is not None
    }
    if clock.endless:
        levels.pop("purchases", None)
    columns = {f"{name}_{end}": np.empty(len(rfm)) for name in levels for end in ("lower", "upper")}
    if not levels:
        return columns
    draws = max(len(purchases), 0 if spend is None else len(spend))
    runs = max(draws, terms.futures)
    per_year = per_customer(terms.cost_per_active_year, rfm, "cost_per_active_year")
    own = np.column_stack(
        np.broadcast_arrays(
            per_customer(terms.margin, rfm, "margin"),
            per_customer(terms.cost_per_order, rfm, "cost_per_order"),
            per_year / units_per_year(clock.time_unit),
            np.zeros(1),
            float(terms.at_once),
        )
    )
    for piece, (of_purchases, of_spend) in pieces(rfm, purchases, spend):
        assert of_purchases is not None
        size = piece.stop - piece.start
        some = rfm if size == len(rfm) else rfm.take(np.arange(piece.start, piece.stop))
        futures = Futures.of(of_purchases, of_spend, some, np.arange(runs) % draws)
        for block in blocks(size, runs):
            rows = slice(piece.start + block.start, piece.start + block.stop)
            each = np.ascontiguousarray(own[rows] if len(own) > 1 else own)
            told = futures.simulate(block, terms.seed, clock.played, clock.decay, each)
            for name, played in zip(("purchases", "clv"), told, strict=True):
                if name not in levels:
                    continue
                ordered, level = np.sort(played, axis=1), levels[name][rows]
                for end, share in (("lower", (1 - level) / 2), ("upper", (1 + level) / 2)):
                    # A hair more than the level: it held the last of those it was to hold at its very end.
                    wide = share - 1e-9 if end == "lower" else share + 1e-9
                    at = np.clip(np.ceil(wide * runs).astype(np.int64) - 1, 0, runs - 1)
                    columns[f"{name}_{end}"][rows] = np.take_along_axis(ordered, at[:, None], axis=1)[:, 0]
    return columns


def to_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as plain values."""
    return {
        "model": calibration.model,
        "horizon": calibration.horizon,
        "length": calibration.length,
        "time_unit": calibration.time_unit,
        "cutoffs": [cutoff.isoformat() for cutoff in calibration.cutoffs],
        "windows": calibration.windows,
        "customers": {
            target: {"lowest": of.lowest.tolist(), "levels": of.levels.tolist()}
            for target, of in calibration.customers.items()
        },
        "totals": {
            target: {"errors": of.errors.tolist(), "noise": of.noise.tolist(), "windows": of.windows}
            for target, of in calibration.totals.items()
        },
        "reasons": list(calibration.reasons),
    }


def from_json(values: Any, where: str) -> Calibration:
    """The calibration that `to_json` wrote; all of it is checked."""
    try:
        customers = {
            str(target): Levels(np.array(of["lowest"], dtype=np.int64), np.array(of["levels"], dtype=np.float64))
            for target, of in values["customers"].items()
        }
        totals = {
            str(target): Drift(
                np.array(of["errors"], dtype=np.float64), np.array(of["noise"], dtype=np.float64), int(of["windows"])
            )
            for target, of in values["totals"].items()
        }
        found = Calibration(
            model=str(values["model"]),
            horizon=values["horizon"] if isinstance(values["horizon"], str) else float(values["horizon"]),
            length=float(values["length"]),
            time_unit=values["time_unit"],
            cutoffs=tuple(pd.Timestamp(one) for one in values["cutoffs"]),
            windows=int(values["windows"]),
            customers=customers,
            totals=totals,
            reasons=tuple(str(reason) for reason in values["reasons"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where} is damaged: its calibration cannot be read ({error}).") from error
    good = found.length > 0 and found.time_unit in UNIT_NAMES and {*customers, *totals} <= set(TARGETS)
    for of in customers.values():
        shape = (len(of.lowest), len(PROBABILITIES))
        good &= of.levels.shape == shape and len(of.lowest) > 0 and of.lowest[0] == 0
        good &= bool((np.diff(of.lowest) > 0).all() and ((of.levels >= 0) & (of.levels <= 1)).all())
    for drift in totals.values():
        good &= drift.errors.ndim == 1 and drift.errors.shape == drift.noise.shape and len(drift.errors) > 0
        good &= drift.windows >= 1 and bool(np.isfinite(drift.errors).all() and (drift.noise >= 0).all())
    if not good:
        raise DataError(f"{where} is damaged: its calibration is not one that lifeworth wrote.")
    return found
