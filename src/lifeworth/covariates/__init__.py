"""Covariates of customers: formulas over columns of an RFM table, and the columns of numbers that they stand for."""

from lifeworth.covariates.columns import DERIVED, covariate_columns
from lifeworth.covariates.encoding import Encoding, learn_encoding
from lifeworth.covariates.formulas import check_formula, columns_of

__all__ = ["DERIVED", "Encoding", "check_formula", "columns_of", "covariate_columns", "learn_encoding"]
