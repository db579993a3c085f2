"""How good a model is: predictions and baselines against held-out time."""

from lifeworth.evaluate.rolling import Backtest as Backtest
from lifeworth.evaluate.rolling import backtest as backtest
