"""How good a model is: predictions and baselines against held-out time."""

from lifeworth.evaluate.comparing import ClvComparison as ClvComparison
from lifeworth.evaluate.comparing import compare_clv as compare_clv
from lifeworth.evaluate.outcome import Backtest as Backtest
from lifeworth.evaluate.paths import alive_paths as alive_paths
from lifeworth.evaluate.rolling import backtest as backtest
