"""The same functions on Spark: RFM, fits, scores and backtests of tables that no single machine would hold.

Customers are brought together by Spark, and counted by the same kernels as elsewhere; the model learns on the driver
from distinct rows with their counts; scores are made where the customers are, with the draws of a few parameters
broadcast. Rows go to Python and back as Arrow. Numbers are those of one machine, to the last bit.
"""

from lifeworth.spark.counting import rfm_summary, train_test_split
from lifeworth.spark.models import backtest, fit_clv, predict
from lifeworth.spark.tables import SparkHoldout, SparkRFM

__all__ = ["SparkHoldout", "SparkRFM", "backtest", "fit_clv", "predict", "rfm_summary", "train_test_split"]
