"""The colours of the house, under the name by which pictures know them. Loads nothing."""

from lifeworth.display.palette import DARK, HEAT, LIGHT, ON_DARK_HEAT, ON_LIGHT_HEAT, SERIES

__all__ = ["DARK", "HEAT", "LIGHT", "ON_DARK_HEAT", "ON_LIGHT_HEAT", "SERIES"]
