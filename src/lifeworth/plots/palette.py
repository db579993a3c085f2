"""The colours of lifeworth, for pictures. Imports nothing."""

from lifeworth.display.palette import DARK, HEAT, LIGHT, ON_DARK_HEAT, ON_LIGHT_HEAT, SERIES

__all__ = ["DARK", "HEAT", "LIGHT", "ON_DARK_HEAT", "ON_LIGHT_HEAT", "SERIES"]
