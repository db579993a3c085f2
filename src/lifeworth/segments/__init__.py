"""Segments: RFM scores, tiers of value, and the grid of past by future value, with the names people use."""

from lifeworth.segments.rules import RFM_RULES as RFM_RULES
from lifeworth.segments.rules import TIERS as TIERS
from lifeworth.segments.rules import VALUE_RULES as VALUE_RULES
from lifeworth.segments.table import Segments as Segments
from lifeworth.segments.table import segment as segment
