"""Parameters by group of customers: reading them as tuples, and row functions that take each customer's group.

Parameters are (draws, groups, parameters), or (groups, parameters) where a function takes one draw. `group` says which
of the groups each customer belongs to: int64 (customers,), or of length one where all belong to the same. Customers of
one group should stand together: what a function computes once for many customers, it computes once for each run of
customers of one group.

How many parameters a family has is a constant of its kernels, so that its scalar functions are called with plain
numbers: `log_likelihood(*parameters_of(parameters, i, 4), x, t_x, T)`.
"""

import functools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic
from numba.np import arrayobj

from lifeworth.kernels._jit import OFFSETS, inner, njit, rows

Indices = npt.NDArray[np.int64]

ONE_GROUP: Indices = np.zeros(1, dtype=np.int64)
ONE_GROUP.setflags(write=False)


# ---- parameters as tuples ---------------------------------------------------------------------------------


def _tuple_from(array: Any, number: Any, places: tuple[Any, ...], last: bool) -> Any:
    """Type and code of a tuple of `number` items of an array along its last axis, or its first."""
    if not isinstance(number, types.IntegerLiteral):
        raise RequireLiteralValue("The number of parameters must be a constant.")
    length = number.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        made = arrayobj.make_array(kind)(context, builder, arguments[0])
        at = [
            context.cast(builder, argument, of, types.intp)
            for argument, of in zip(arguments[1:-1], signature.args[1:-1], strict=True)
        ]
        word = context.get_value_type(types.intp)
        items = []
        for k in range(length):
            place = [*at, ir.Constant(word, k)] if last else [ir.Constant(word, k), *at]
            pointer = cgutils.get_item_pointer(context, builder, kind, made, place)
            items.append(arrayobj.load_item(context, builder, kind, pointer))
        return context.make_tuple(builder, signature.return_type, items)

    result = types.UniTuple(array.dtype, length)  # type: ignore[attr-defined]
    return result(array, *places, number), generate


@intrinsic(prefer_literal=True)
def parameters_of(typing_context: Any, parameters: Any, group: Any, number: Any) -> Any:
    """The parameters of a group as a tuple, of (groups, number)."""
    return _tuple_from(parameters, number, (group,), last=True)


@intrinsic(prefer_literal=True)
def parameters_of_draw(typing_context: Any, parameters: Any, draw: Any, group: Any, number: Any) -> Any:
    """The parameters of a group under a draw as a tuple, of (draws, groups, number)."""
    return _tuple_from(parameters, number, (draw, group), last=True)


@intrinsic(prefer_literal=True)
def parameters_in_column(typing_context: Any, parameters: Any, draw: Any, number: Any) -> Any:
    """The parameters of a draw as a tuple, of (number, draws)."""
    return _tuple_from(parameters, number, (draw,), last=False)


@inner
def fill_columns(theta: np.ndarray, first: int, group: int, columns: np.ndarray) -> None:
    """Fill columns (parameters, some draws) with a group's parameters, of theta (draws, groups, parameters)."""
    for s in range(columns.shape[1]):
        for k in range(columns.shape[0]):
            columns[k, s] = theta[first + s, group, k]


# ---- groups of customers ----------------------------------------------------------------------------------


@njit
def group_of(group: np.ndarray, i: int) -> int:
    """The group of customer i."""
    found: int = group[i] if group.size > 1 else group[0]
    return found


@njit
def end_of_group(group: np.ndarray, begin: int, stop: int) -> int:
    """The index after the last of the customers up to `stop` who follow `begin` in the same group."""
    if group.size <= 1:
        return stop
    end = begin + 1
    while end < stop and group[end] == group[begin]:
        end += 1
    return end


def checked_groups(group: npt.ArrayLike | None, groups: int, customers: int) -> Indices:
    """The index of groups as kernels take it; None: one group for all, or as many groups as customers, in order.

    Raises
    ------
    ValueError : an index of another length than the customers, or that points outside the parameters.
    """
    if group is None:
        if groups == 1:
            return ONE_GROUP
        if groups != customers:
            raise ValueError(f"Parameters of {groups} groups need the group of each of the {customers} customers.")
        return np.arange(customers, dtype=np.int64)
    index = np.ascontiguousarray(group, dtype=np.int64)
    if index.ndim != 1 or len(index) not in (1, customers):
        raise ValueError(f"There must be one group for each of the {customers} customers, not {index.shape}.")
    if len(index) and (index.min() < 0 or index.max() >= groups):
        raise ValueError(f"Groups must lie between 0 and {groups - 1}, not {index.min()} to {index.max()}.")
    return index


def grouped_rows[F: Callable[..., Any]](
    *signature: Any, parallel: bool = False, owner: str | None = None
) -> Callable[[F], F]:
    """`rows`, for a function whose first argument are parameters by group and whose last is each customer's group.

    The signature leaves the group out. Callers give it by name (`group=`), or not at all: all customers then share
    the parameters, or, where there are as many groups as customers, each has their own.
    """

    def decorate(function: F) -> F:
        compiled: Any = rows(*signature, OFFSETS, parallel=parallel, owner=owner)(function)

        @functools.wraps(function)
        def call(parameters: Any, *arguments: Any, group: npt.ArrayLike | None = None) -> Any:
            groups = np.shape(parameters)[-2] if np.ndim(parameters) > 1 else 1
            return compiled(parameters, *arguments, checked_groups(group, groups, len(arguments[0])))

        call.compile = compiled.compile  # type: ignore[attr-defined]
        call.dispatcher = compiled.dispatcher  # type: ignore[attr-defined]
        return cast(F, call)

    return decorate
