"""Formulas over columns: what may stand in one, and how formulaic reads it.

Parts of a formula are Python expressions that formulaic evaluates. A formula may come from a saved fit or a job file,
so that only names of columns, numbers, arithmetic and a list of known functions are accepted.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.errors import DataError, UsageError

if TYPE_CHECKING:
    from formulaic import Formula

# Functions of a formula. What center, scale, poly and splines learn from the customers of a fit is kept with it.
FUNCTIONS = (
    *("log", "log10", "log2", "log1p", "exp", "sqrt", "abs", "C", "I"),
    *("center", "scale", "standardize", "poly", "bs", "cr", "cc"),
)
_CONTEXT = {"log1p": np.log1p, "sqrt": np.sqrt, "abs": np.abs}
_NODES = (
    *(ast.Expression, ast.Name, ast.Load, ast.Constant, ast.Call, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare),
    *(ast.operator, ast.unaryop, ast.cmpop, ast.List, ast.Tuple),
)


@lru_cache(maxsize=64)
def parse_formula(text: str) -> Formula:
    """The formula of a text such as "channel + log(first_spend)", read by formulaic.

    Raises
    ------
    UsageError : a text that is no formula, or one with functions or syntax that are not accepted.
    """
    from formulaic import Formula, SimpleFormula

    try:
        formula: Any = Formula(text)
    except Exception as error:  # formulaic raises errors of many kinds on texts that it cannot read
        raise UsageError(
            f'"{text}" is not a formula ({_first_line(error)}): write it as "channel + log(first_spend)".'
        ) from error
    if not isinstance(formula, SimpleFormula):
        raise UsageError(f'"{text}" has several sides: a formula names covariates only, as in "channel + country".')
    for term in formula:
        for factor in term.factors:
            if factor.eval_method.value == "python":
                _check_expression(factor.expr, text)
    _check_names(formula, text)
    return formula


def check_formula(text: Any, argument: str) -> str:
    """Check the formula given as an argument, and return it.

    Raises
    ------
    UsageError : not a text, or no formula.
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError(
            f"{argument}={text!r} must be a formula over columns of the RFM table, such as "
            '"channel + log(first_spend)".'
        )
    parse_formula(text)
    return text


def columns_of(text: str) -> tuple[str, ...]:
    """Names of the columns of a formula, in alphabetical order."""
    found: set[str] = set()
    for term in parse_formula(text):
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                found.add(factor.expr)
            elif factor.eval_method.value == "python":
                tree = ast.parse(factor.expr, mode="eval")
                called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
                found |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in called}
    return tuple(sorted(found))


def categorical_by_formula(text: str) -> set[str]:
    """Columns that a formula takes as categories whatever they hold: those within C()."""
    found = set()
    for term in parse_formula(text):
        for factor in term.factors:
            if factor.eval_method.value == "python":
                tree = ast.parse(factor.expr, mode="eval").body
                if isinstance(tree, ast.Call) and getattr(tree.func, "id", "") == "C":
                    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {"C"}
    return found


def evaluate(
    text: str, frame: pd.DataFrame, state: Mapping[str, Any] | None = None
) -> tuple[npt.NDArray[np.float64], tuple[str, ...], dict[str, Any]]:
    """The columns of numbers that a formula makes of a frame, without the intercept.

    Parameters
    ----------
    frame : columns of numbers, and categorical columns with all their levels.
    state : what stateful functions learned from the customers of the fit; None: learn it from this frame.

    Returns
    -------
    matrix : (rows, columns); names : of the columns; state : what stateful functions learned.
    """
    matrix, names, learned = _evaluated(text, frame, state, full_rank=True)
    return matrix, names, learned


def evaluate_redundant(text: str, frame: pd.DataFrame, state: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """As `evaluate`, with a column for every level of every category."""
    return _evaluated(text, frame, state, full_rank=False)[0]


def _evaluated(
    text: str, frame: pd.DataFrame, state: Mapping[str, Any] | None, full_rank: bool
) -> tuple[npt.NDArray[np.float64], tuple[str, ...], dict[str, Any]]:
    from formulaic import ModelSpec

    formula = parse_formula(text)
    learned: dict[str, Any] = {} if state is None else {name: dict(values) for name, values in state.items()}
    spec = ModelSpec(
        formula=formula, output="numpy", na_action="ignore", transform_state=learned, ensure_full_rank=full_rank
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            made = spec.get_model_matrix(frame, context=_CONTEXT)
        except Exception as error:  # whatever a function of a formula raises on this column
            raise DataError(f'The formula "{text}" cannot be computed: {_first_line(error)}.') from error
    matrix = np.asarray(made, dtype=np.float64).reshape(len(frame), -1)
    names = tuple(str(name) for name in made.model_spec.column_names)
    kept = [k for k, name in enumerate(names) if name != "Intercept"]
    return np.ascontiguousarray(matrix[:, kept]), tuple(names[k] for k in kept), dict(made.model_spec.transform_state)


def _check_names(formula: Any, text: str) -> None:
    """Refuse a name that is both a column and a function of the formula: only one of them can be meant."""
    called, columns = set(), set()
    for factor in (factor for term in formula for factor in term.factors):
        if factor.eval_method.value == "lookup":
            columns.add(factor.expr)
        elif factor.eval_method.value == "python":
            tree = ast.parse(factor.expr, mode="eval")
            functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            called |= {node.id for node in functions if isinstance(node, ast.Name)}
            columns |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in functions}
    if called & columns:
        name = min(called & columns)
        raise UsageError(f'"{text}" uses {name} both as a function and as a column: rename the column.')


def _check_expression(expression: str, text: str) -> None:
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise UsageError(f'"{text}" is not a formula: {expression} cannot be read.') from error
    for node in ast.walk(tree):
        known = isinstance(node, _NODES)
        if isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
        if not known:
            raise UsageError(
                f'"{text}" holds {ast.unparse(node)}, which a formula may not: use names of columns, numbers, '
                f"arithmetic and {', '.join(FUNCTIONS)}."
            )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
