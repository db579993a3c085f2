"""Weekly purchases against the model, in calibration and after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError
from lifeworth.families.distinct import Distinct
from lifeworth.families.posterior import Posterior
from lifeworth.historical.orders import read_purchases
from lifeworth.historical.rows import Reading
from lifeworth.model.fit import PurchaseFit
from lifeworth.periods import horizon_length, period_ordinals
from lifeworth.predict import customer_keys, expected_purchases_new_customer
from lifeworth.rfm import RFM
from lifeworth.transactions import DecimalMark, Duplicates, Refunds, date_form, shown_ids


def track_purchases(
    fit: PurchaseFit,
    rfm: RFM,
    data: Any,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = "amount",
    *,
    refunds: Refunds = "net",
    duplicates: Duplicates = "keep",
    date_format: str | None = None,
    time_zone: str | None = None,
    decimal: DecimalMark | None = None,
    interval: float = 0.9,
    simulations: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Repeat purchases per week: what happened, and what the model expects of these customers.

    The model's line is unconditional, as in the published tracking plots: it uses when each customer
    first bought, and nothing of what the customer then did. Its band is the posterior predictive one:
    whole histories of all customers, simulated from `simulations` posterior draws.

    Parameters
    ----------
    fit : a fit in weeks or days on the RFM table, which counts purchases by day.
    rfm : the calibration table.
    data, customer_id, date, amount, refunds, duplicates, date_format, time_zone, decimal : the transactions of
        calibration and holdout, read as the RFM table was. For a table without money, amounts are not read.

    Returns
    -------
    Frame with week_end, actual, expected, lower, upper, and the band of the running total as
    cumulative_lower, cumulative_upper; weeks end at 7-day steps counted back and forth
    from the end of calibration, so that no week lies on both sides of it. Incomplete weeks are left out. Purchases are
    those that `train_test_split` counts: in calibration as they were known at its end.

    Raises
    ------
    UsageError : a table that is not by days, or without an end.
    DataError : as `rfm_summary`; or no customer of the table is in the transactions, or no whole week.

    References
    ----------
    Fader, Hardie & Lee (2005), section 5, "tracking plot"; expectation by eq. (9).

    Examples
    --------
    >>> import lifeworth as lw
    >>> transactions = lw.load_cdnow(sample=True)
    >>> calibration = lw.rfm_summary(transactions, observation_end="1997-09-30")
    >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> tracking = lw.track_purchases(fit, calibration, transactions, simulations=20)
    >>> list(tracking.columns[:3])
    ['week_end', 'actual', 'expected']
    """
    if rfm.observation_end is None or rfm.period != "D" or rfm.time_unit not in ("D", "W"):
        unknown = "" if rfm.period else " (the period of this one is not known: RFM.from_frame takes it)"
        raise UsageError(
            f'Tracking needs an RFM table by days (period="D"){unknown} in days or weeks, with its observation_end.'
        )
    per_week = horizon_length("7D", rfm.time_unit)
    end = int(period_ordinals(np.array([rfm.observation_end.to_datetime64()]), "D")[0])
    born = end - np.rint(rfm.T * 7 / per_week).astype(np.int64)
    reading = Reading(
        customer_id, date, None if rfm.monetary_value is None else amount, refunds=refunds, duplicates=duplicates,
        date_format=date_form(date_format, time_zone), decimal=decimal,
    )  # fmt: skip
    purchases = read_purchases(data, reading, end)
    places = rfm.customer_id.get_indexer(purchases.customer_ids)
    if (places < 0).all():
        raise DataError(
            f"No customer of the RFM table is in the transactions: ids are {shown_ids(rfm.customer_id)} in the table "
            f"and {shown_ids(purchases.customer_ids)} in column {customer_id!r}; bring them to one type and spelling."
        )
    place = places[purchases.customer]
    # The first purchase is not a repeat purchase.
    repeat = (place >= 0) & (purchases.period > born[place])
    repeat_days = purchases.period[repeat]
    # Week w holds the days end + 7 (w - 1) + 1 ... end + 7 w: week 0 is calibration's last.
    first_week = -((end - int(born.min()) + 1) // 7) + 1
    last_week = (purchases.last - end) // 7
    weeks = np.arange(first_week, last_week + 1)
    if not len(weeks):
        raise DataError(
            "No whole week before or after the end of calibration is in the transactions: take more of them."
        )

    def week_of(day: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        return (-((end - day) // 7)).astype(np.int64) - first_week

    actual = _count(week_of(repeat_days), len(weeks))

    # Expected purchases up to the end of each week, by day of birth; a purchase day counts from its morning.
    births, born_then = np.unique(born, return_counts=True)
    edges = end + 7 * np.concatenate([weeks[:1] - 1, weeks])
    ages = np.maximum(edges[None, :] - births[:, None], 0)
    distinct_ages, inverse = np.unique(ages, return_inverse=True)
    chosen = np.linspace(0, len(fit.posterior) - 1, simulations).round().astype(int)
    if fit.posterior.effects:
        posterior = fit.posterior.some(chosen).on(rfm)
        cumulative = _expected_by_age(posterior, rfm, np.maximum(edges[None, :] - born[:, None], 0) * per_week / 7)
    else:
        posterior = fit.posterior.some(chosen)
        expectation = expected_purchases_new_customer(fit.posterior, distinct_ages * per_week / 7)
        cumulative = (expectation[inverse.reshape(ages.shape)] * born_then[:, None]).sum(axis=0)

    parameters, group = posterior.matrix, posterior.group_of(rfm)
    lives = np.full(len(rfm), 0.0) + (int(edges[-1]) - born) * per_week / 7
    keys = customer_keys(rfm.customer_id)
    simulated = np.empty((simulations, len(weeks)))
    for number in range(simulations):
        counts, times, *_ = fit.family.kernels.simulate_history(
            np.ascontiguousarray(parameters[number]), lives, keys, np.uint64(seed + number), group=group
        )
        day = np.repeat(born, counts) + np.ceil(np.asarray(times) * 7 / per_week)
        simulated[number] = _count(week_of(day), len(weeks))
    share = (1 - interval) / 2
    lower, upper = np.quantile(simulated, [share, 1 - share], axis=0)
    cumulative_lower, cumulative_upper = np.quantile(simulated.cumsum(axis=1), [share, 1 - share], axis=0)
    ends = (end + 7 * weeks).astype("datetime64[D]").astype("datetime64[s]")
    return pd.DataFrame(
        {
            "week_end": ends,
            "actual": actual,
            "expected": np.diff(cumulative),
            "lower": lower,
            "upper": upper,
            "cumulative_lower": cumulative_lower,
            "cumulative_upper": cumulative_upper,
        }
    )


def _expected_by_age(posterior: Posterior, rfm: RFM, ages: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Expected repeat purchases of all customers up to ages (customers, times), where groups differ: (times,)."""
    kernels, parameters = posterior.family.kernels, posterior.matrix
    alike = Distinct.of(posterior.group_of(rfm), ages[:, -1])
    nothing = np.zeros(len(alike.first))
    stays = np.asarray(kernels.probability_alive_draws(parameters, nothing, nothing, nothing, group=alike.group))
    total = np.empty(ages.shape[1])
    for k in range(ages.shape[1]):
        lengths = np.ascontiguousarray(ages[alike.first, k])
        found = kernels.expected_purchases_alive_draws(parameters, nothing, nothing, lengths, group=alike.group)
        total[k] = alike.counts @ (np.asarray(found) * stays).mean(axis=1)
    return total


def _count(week: npt.NDArray[np.int64], weeks: int) -> npt.NDArray[np.int64]:
    inside = (week >= 0) & (week < weeks)
    return np.bincount(week[inside], minlength=weeks)
