"""The registry of model families."""

from lifeworth.families.base import Family
from lifeworth.families.bg_nbd import BG_NBD
from lifeworth.families.gamma_gamma import GAMMA_GAMMA
from lifeworth.families.mbg_nbd import MBG_NBD
from lifeworth.families.pareto_nbd import PARETO_NBD

__all__ = ["FAMILIES", "Family"]

FAMILIES: dict[str, Family] = {family.name: family for family in (BG_NBD, MBG_NBD, PARETO_NBD, GAMMA_GAMMA)}
