"""How good a model is: predictions and baselines against held-out time."""

from lifeworth.evaluate.alive_paths import alive_paths as alive_paths
from lifeworth.evaluate.backtest_result import Backtest as Backtest
from lifeworth.evaluate.backtesting import backtest as backtest
from lifeworth.evaluate.cards import backtest_card as backtest_card  # registers the cards of notebooks
from lifeworth.evaluate.comparison import ClvComparison as ClvComparison
from lifeworth.evaluate.comparison import compare_clv as compare_clv
