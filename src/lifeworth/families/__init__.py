"""The registry of model families."""

from lifeworth.families.base import Family
from lifeworth.families.bg_nbd import BG_NBD
from lifeworth.families.gamma_gamma import GAMMA_GAMMA

__all__ = ["FAMILIES", "Family"]

FAMILIES: dict[str, Family] = {family.name: family for family in (BG_NBD, GAMMA_GAMMA)}
