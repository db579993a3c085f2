"""Segments of customers: a table, and how it is made."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.display import cards
from lifeworth.display.progress import Progress, watched
from lifeworth.errors import DataWarning, UsageError
from lifeworth.rfm import RFM
from lifeworth.segments.inputs import Known, read_known
from lifeworth.segments.rules import (
    LEVELS,
    TIERS,
    Ranges,
    check_rfm_rules,
    check_shares,
    check_tiers,
    check_value_rules,
    is_whole,
)
from lifeworth.segments.tiers import class_of, place_of, tier_of, top_probabilities

By = Literal["rfm", "value", "tier"]

OTHER: Final = "other"
_SCORES: Final = {"recency": "recency_score", "frequency": "frequency_score", "monetary": "monetary_score"}


@dataclass(frozen=True, eq=False)
class Segments:
    """Customers in segments.

    Attributes
    ----------
    customers : one row per customer, in the order given: customer_id; recency_score, frequency_score and
        monetary_score (1 lowest, as far as known) and rfm_score, their digits; past_value; future_value and
        tier; probability_top and probability_tier (where a model was given: that the customer really ends up
        in the best tier, and in just this one); segment. Segments and tiers are ordered categories, best first.
    by : what segments are made of: "rfm", "value" (past by future) or "tier".
    rules : the rules they follow.
    past, future : what past_value and future_value contain, in words; "" if they are not known.
    currency : what money is counted in, or None.
    notes : remarks for readers of the table.

    Examples
    --------
    >>> import lifeworth as lw
    >>> segments = lw.segment(lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30"))
    >>> segments.summary()["customers"].head(2).to_dict()
    {'champions': 471, 'loyal': 392}
    """

    customers: pd.DataFrame
    by: By
    rules: Mapping[Any, Any]
    past: str = ""
    future: str = ""
    currency: str | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.customers)

    def __repr__(self) -> str:
        counts = self.customers["segment"].value_counts(sort=False)
        named = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        return "\n".join([f'Segments({len(self):,} customers by "{self.by}": {named})', *self.notes])

    def _repr_html_(self) -> str:
        summary = self.summary()
        names = [name for name in summary.columns if not name.endswith("_share")]
        shares = [name.replace("customers", "customer").removesuffix("_value") + "_share" for name in names]
        columns = ["", *(heading for name in names for heading in (name.replace("_", " "), "share"))]
        rows: list[list[Any]] = []
        for label, row in zip(summary.index, summary.to_dict("records"), strict=True):
            pairs = zip(names, shares, strict=True)
            cells = [cell for name, part in pairs for cell in (row[name], cards.share(row[part]))]
            rows.append([str(label), *cells])
        by = {"rfm": "scores of recency and frequency", "value": "past and future value", "tier": "future value"}
        facts = [f"{len(self):,} customers", f"by {by[self.by]}", self.currency or ""]
        facts += [f"{when} value: {told}" for when, told in (("past", self.past), ("future", self.future)) if told]
        return cards.card("Segments", facts, cards.table(columns, rows), *map(cards.note, self.notes))

    def to_pandas(self) -> pd.DataFrame:
        """The table of customers."""
        return self.customers

    def summary(self, by: str = "segment") -> pd.DataFrame:
        """One row per segment, or per value of another column such as "tier" or "frequency_score", best first.

        Returns
        -------
        Frame indexed by the column: customers and customer_share; past_value and past_share, future_value and
        future_share where they are known: sums, and their shares of the total (0 if the total is 0).

        Raises
        ------
        UsageError : a column that the table has not.
        """
        if by not in self.customers.columns:
            raise UsageError(f"by={by!r} is not a column of the table; it has: {', '.join(self.customers.columns)}.")
        grouped = self.customers.groupby(by, observed=False, sort=True)
        table = pd.DataFrame({"customers": grouped.size()})
        table["customer_share"] = table["customers"] / len(self)
        for name in ("past", "future"):
            if f"{name}_value" in self.customers.columns:
                total = float(self.customers[f"{name}_value"].sum())
                table[f"{name}_value"] = grouped[f"{name}_value"].sum()
                table[f"{name}_share"] = table[f"{name}_value"] / total if total else 0.0
        return table


def segment(
    data: Any,
    rfm: RFM | None = None,
    *,
    horizon: str | float | None = None,
    by: By | None = None,
    rules: Mapping[Any, Any] | None = None,
    scores: int = 5,
    shares: tuple[float, float] = (0.2, 0.5),
    tiers: Mapping[str, float] | None = None,
    uncertainty: Literal["customer", "mean"] = "customer",
    draws: int = 200,
    seed: int = 0,
    force: bool = False,
    progress: Progress = None,
) -> Segments:
    """Put customers into segments that people have names for.

    Parameters
    ----------
    data : an RFM table (`RFM`, or any table with its columns); a table of predictions as `CLV.predict` gives; one
        table with both; or a `CLV`, which then needs `rfm` and `horizon`.
    rfm : the customers' RFM table, beside predictions or a `CLV`.
    horizon : of future value, with a `CLV`: "39W", "12M", or a number of time units.
    by : "rfm": by scores of recency and frequency; "value": by past and future value; "tier": by future value.
        Default: "value" if both are known, otherwise the known one.
    rules : in place of `RFM_RULES`, segment -> {"recency": (lowest, highest), ...} of scores of recency,
        frequency and monetary, the first match counts, and all others are "other"; or in place of
        `VALUE_RULES`, (past, future) -> segment, with levels "high", "middle" and "low", for all nine.
    scores : the highest score; a value other than 5 needs `rules` if `by` is "rfm".
    shares : which shares of customers are of high, and of high or middle value.
    tiers : in place of `TIERS`, tier -> share of customers that it and all better ones hold, rising to 1.
    uncertainty : tiers by what customers will really be worth ("customer"), or by how sure we are of their
        expectation ("mean").
    draws : futures behind the probabilities of tiers, undiscounted; they are known to 0.5 / sqrt(draws) or better.
    seed : of these futures.
    force : use a model that failed its diagnostics.
    progress : True shows a bar, False none; default, one in notebooks, for what takes more than a second. Or a
        function, called with (what, share done) now and then.

    Scores, levels and tiers come from one place among all customers: the share that is below, half of the equals
    counted. Equal customers are together; the lowest are always in the lowest class, the highest in the highest.
    If all are equal, a note says so: they are in the middle, but without any repeat purchase or spend in the
    lowest class, and with a purchase on the last day in the highest of recency.

    With a model, tiers go by the probability to be among the best of all futures, which is the ranking that puts
    fewest customers into a wrong tier (Lin et al. 2006); without one, by expected value.

    Returns
    -------
    Segments: `.customers`, `.summary()`; `lifeworth.plots.plot_segments` draws it.

    Raises
    ------
    UsageError : what is missing for `by`, or rules, shares and tiers that make no sense.
    DataError : tables whose customers differ, or values that are no numbers.

    Warns
    -----
    DataWarning : if a score or value is the same for all customers.

    References
    ----------
    RFM scores: Hughes (1994), Strategic Database Marketing. Tiers: Lin, Louis, Paddock & Ridgeway (2006), "Loss
    function based ranking in two-stage, hierarchical models", Bayesian Analysis 1(4).

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True))
    >>> segment(rfm).summary()["past_share"].loc[["champions", "cannot lose", "lost"]].round(2)
    segment
    champions      0.51
    cannot lose    0.01
    lost           0.06
    Name: past_share, dtype: float64
    """
    best = check_tiers(TIERS if tiers is None else tiers)
    cuts = check_shares(shares)
    if not is_whole(scores) or scores < 2:
        raise UsageError(f"scores={scores!r} must be a whole number from 2 on: the highest score.")
    known = read_known(data, rfm, horizon, force)
    way = _choose(by, known)
    scored = known.scored()
    used: Mapping[Any, Any] = best
    if way == "rfm":
        used = check_rfm_rules(rules, scores, list(scored))
    elif way == "value":
        used = check_value_rules(rules)
    elif rules is not None:
        raise UsageError('Segments by "tier" have no rules: name them by tiers=.')

    notes: list[str] = []
    table: dict[str, Any] = {"customer_id": known.ids}
    for name, values in scored.items():
        # Who bought on the last day is as recent as can be; who bought or spent nothing more, as low.
        places = place_of(values, name, notes if way == "rfm" else [], at_zero=1.0 if name == "recency" else 0.0)
        table[_SCORES[name]] = 1 + class_of(places, [i / scores for i in range(1, scores)])
    if scored:
        table["rfm_score"] = _digits([table[_SCORES[name]] for name in scored], scores)
    if known.past is not None:
        table["past_value"] = known.past
    if known.future is not None:
        table["future_value"] = known.future
        borders = list(best.values())[:-1]
        chances = None
        if known.model is not None and known.rfm is not None:
            with watched(progress) as report:
                chances = top_probabilities(*known.model, known.rfm, borders, draws, uncertainty, seed, report)
        tier = tier_of(known.future, chances, borders, notes if way == "tier" else [])
        table["tier"] = _ordered(tier, list(best))
        if chances is not None:
            edges = np.column_stack([np.zeros(len(tier)), *chances, np.ones(len(tier))])
            table["probability_top"] = edges[:, 1]
            table["probability_tier"] = np.diff(edges, axis=1)[np.arange(len(tier)), tier]
    if way == "rfm":
        table["segment"] = _by_scores(table, used)
    elif way == "value":
        assert known.past is not None
        assert known.future is not None
        past = class_of(place_of(known.past, known.past_words, notes), cuts)
        future = class_of(place_of(known.future, known.future_words, notes), cuts)
        table["segment"] = _by_levels(past, future, used)
    else:
        table["segment"] = table["tier"]
    for note in notes:
        warnings.warn(note, DataWarning, stacklevel=2)
    return Segments(
        pd.DataFrame(table),
        way,
        used,
        known.past_words,
        known.future_words,
        known.currency,
        (*known.notes, *notes),
    )


def _choose(by: Any, known: Known) -> By:
    possible: dict[By, bool] = {
        "value": known.future is not None and known.past is not None,
        "rfm": known.rfm is not None,
        "tier": known.future is not None,
    }
    for way, can in possible.items():
        if by == way or (by is None and can):
            if can:
                return way
            missing = "an RFM table" if known.rfm is None else "predictions, or a CLV with its horizon,"
            raise UsageError(f'Segments by "{by}" need {missing} as well.')
    raise UsageError(f'by={by!r} must be "rfm", "value" or "tier".')


def _digits(columns: list[npt.NDArray[np.int64]], scores: int) -> npt.NDArray[Any]:
    """Scores joined to one text, such as "545"; with a dash between them if they have two digits."""
    dash = "-" if scores > 9 else ""
    text = columns[0].astype(str).astype(object)
    for column in columns[1:]:
        text = text + dash + column.astype(str).astype(object)
    return text


def _ordered(codes: npt.NDArray[np.int64], names: list[str]) -> pd.Categorical[Any]:
    """Categories from their places in a list of names, best first."""
    return pd.Categorical.from_codes(codes, pd.Index(names), ordered=True)


def _by_scores(table: Mapping[str, Any], rules: Mapping[str, Ranges]) -> pd.Categorical[Any]:
    """The first rule that fits each customer; the name for the others stands last, unless the rules have it."""
    names = list(rules)
    if OTHER not in names:
        names.append(OTHER)
    codes = np.full(len(table["customer_id"]), names.index(OTHER), dtype=np.int64)
    for code, ranges in reversed(list(enumerate(rules.values()))):
        fits = np.ones(len(codes), dtype=bool)
        for name, (lowest, highest) in ranges.items():
            fits &= (table[_SCORES[name]] >= lowest) & (table[_SCORES[name]] <= highest)
        codes[fits] = code
    if OTHER not in rules and not (codes == len(rules)).any():
        names.pop()
    return _ordered(codes, names)


def _by_levels(
    past: npt.NDArray[np.int64], future: npt.NDArray[np.int64], rules: Mapping[tuple[str, str], str]
) -> pd.Categorical[Any]:
    names = list(dict.fromkeys(rules.values()))  # two cells may have one name
    codes = np.array([[names.index(rules[p, f]) for f in LEVELS] for p in LEVELS])
    return _ordered(codes[past, future].astype(np.int64), names)
