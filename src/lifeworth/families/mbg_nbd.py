"""MBG/NBD: BG/NBD with dropout after the first purchase, too."""

from lifeworth.families.base import Family
from lifeworth.families.bg_nbd import BG_NBD
from lifeworth.families.links import LogitShift, LogShift
from lifeworth.families.statistics import RECENCY_FREQUENCY

# The parameters mean what they mean in BG/NBD, so the priors are the same.
MBG_NBD = Family(
    name="mbg_nbd",
    label="MBG/NBD",
    statistic=RECENCY_FREQUENCY,
    definitions=BG_NBD.definitions,
    slots=BG_NBD.slots,
    source=(
        'Batislam, Denizel & Filiztekin (2007), "Empirical validation and comparison of models for customer base '
        'analysis", International Journal of Research in Marketing 24(3)'
    ),
    dropout="at purchases",
    clock=True,
    time_parameter="alpha",
    effects={"purchase": LogShift("alpha", -1, "rate"), "dropout": LogitShift("a", "b", "odds")},
    distribution="ModifiedBetaGeoNBD",
    arguments=("a", "b", "r", "alpha"),
    counterpart="ModifiedBetaGeoModel",
)
