"""The names of segments, and the rules by which customers come to them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from lifeworth.errors import UsageError

Ranges = Mapping[str, tuple[int, int]]

RFM_RULES: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "champions": {"recency": (5, 5), "frequency": (4, 5)},
    "loyal": {"recency": (3, 4), "frequency": (4, 5)},
    "potential loyalists": {"recency": (4, 5), "frequency": (2, 3)},
    "new": {"recency": (5, 5), "frequency": (1, 1)},
    "promising": {"recency": (4, 4), "frequency": (1, 1)},
    "need attention": {"recency": (3, 3), "frequency": (3, 3)},
    "about to sleep": {"recency": (3, 3), "frequency": (1, 2)},
    "cannot lose": {"recency": (1, 2), "frequency": (5, 5)},
    "at risk": {"recency": (1, 2), "frequency": (3, 4)},
    "hibernating": {"recency": (2, 2), "frequency": (1, 2)},
    "lost": {"recency": (1, 1), "frequency": (1, 2)},
}
"""Segments by scores from 1 to 5: the lowest and highest that belong to each, the first that fits counts.

They are the customary ones; every pair of recency and frequency belongs to exactly one.
"""

VALUE_RULES: Final[dict[tuple[str, str], str]] = {
    ("high", "high"): "champions",
    ("high", "middle"): "loyal",
    ("middle", "high"): "potential loyalists",
    ("low", "high"): "promising",
    ("middle", "middle"): "need attention",
    ("high", "low"): "cannot lose",
    ("middle", "low"): "at risk",
    ("low", "middle"): "hibernating",
    ("low", "low"): "lost",
}
"""Segments by (past, future) value, each "high", "middle" or "low"."""

TIERS: Final[dict[str, float]] = {"top": 0.05, "high": 0.2, "middle": 0.5, "low": 1.0}
"""Tiers of future value, best first, with the share of customers that they and all better ones hold."""

LEVELS: Final = ("low", "middle", "high")


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, and no truth value."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_tiers(tiers: Any) -> dict[str, float]:
    """Names of tiers, best first, with the share that each and all better ones hold."""
    shares = list(tiers.values()) if isinstance(tiers, Mapping) else []
    numbers = all(isinstance(share, (int, float, np.number)) for share in shares)
    if len(shares) < 2 or not numbers or shares[-1] != 1 or not _rise([0, *shares]):
        raise UsageError(
            f"tiers={tiers!r} must name two tiers or more, best first, with the share of customers that each holds "
            'together with all better ones, rising to 1: {"top": 0.1, "rest": 1.0}.'
        )
    return {str(name): float(share) for name, share in tiers.items()}


def check_shares(shares: Any) -> list[float]:
    """The places at which middle and high begin."""
    right = isinstance(shares, Sequence) and len(shares) == 2
    if not right or not all(isinstance(s, (int, float, np.number)) for s in shares) or not _rise([0, *shares, 1]):
        raise UsageError(f"shares={shares!r} must be two shares that rise between 0 and 1, such as (0.2, 0.5).")
    return [1 - shares[1], 1 - shares[0]]


def _rise(numbers: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(numbers))


def check_rfm_rules(rules: Any, scores: int, possible: Sequence[str]) -> Mapping[str, Ranges]:
    """Rules by scores, made of the scores that are possible."""
    if rules is None:
        if scores != 5:
            raise UsageError(f"The usual segments are made for scores from 1 to 5: with scores={scores}, give rules=.")
        return RFM_RULES
    if not isinstance(rules, Mapping) or not rules:
        raise UsageError('rules must map segments to scores: {"best": {"recency": (4, 5), "frequency": (4, 5)}, ...}.')
    for name, ranges in rules.items():
        if not isinstance(ranges, Mapping):
            raise UsageError(f'The rule of {name!r} must be like {{"recency": (4, 5)}}, not {ranges!r}.')
        for score, span in ranges.items():
            if score not in possible:
                raise UsageError(
                    f"The rule of {name!r} uses {score!r}, which this table does not have; it has: "
                    f"{', '.join(possible)}."
                )
            two = isinstance(span, Sequence) and len(span) == 2 and all(map(is_whole, span))
            if not two or not 1 <= span[0] <= span[1] <= scores:
                raise UsageError(
                    f"The rule of {name!r} must give the lowest and the highest {score} score, from 1 to {scores}, "
                    f"not {span!r}."
                )
    return rules


def check_value_rules(rules: Any) -> Mapping[tuple[str, str], str]:
    """Rules by past and future value, for all nine cells."""
    if rules is None:
        return VALUE_RULES
    cells = set(VALUE_RULES)
    if not isinstance(rules, Mapping) or set(rules) != cells or not all(isinstance(n, str) for n in rules.values()):
        raise UsageError(
            'rules must name a segment for each of the nine cells (past, future), such as ("high", "low"): '
            f'"cannot lose"; the cells are {", ".join(map(str, VALUE_RULES))}.'
        )
    return rules
