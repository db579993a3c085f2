"""Historical CLV: the classic formulas and their definitions."""

from __future__ import annotations

from lifeworth.historical.definitions import FORMULAS as FORMULAS
from lifeworth.historical.definitions import Formula as Formula
from lifeworth.historical.definitions_table import clv_definitions as clv_definitions
from lifeworth.historical.historical_clv import METHODS as METHODS
from lifeworth.historical.historical_clv import Method as Method
from lifeworth.historical.historical_clv import historical_clv as historical_clv
from lifeworth.historical.options import Cost as Cost
