"""Functions that take transactions: a table with the options of reading it, or a `TransactionLog`, which has them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, cast

from lifeworth.migration_hints import advice
from lifeworth.rfm.log import TransactionLog, log_with
from lifeworth.transactions import READING_OPTIONS, Reading

_DATA = "data"
_ANYWHERE = inspect.Parameter.POSITIONAL_OR_KEYWORD
_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def takes_transactions[F: Callable[..., Any]](
    *positional: str, with_transactions: Sequence[str] | None = None
) -> Callable[[F], F]:
    """Make a function take transactions as its argument `data`.

    A function that ends with `**reading: Unpack[ReadingOptions]` receives a `TransactionLog` and none of these options:
    they become part of its signature and of the log. A function that names the options itself receives a table as it
    was given, with the options. Both receive a log as it is; options beside it must not contradict it.

    Parameters
    ----------
    *positional : str
        Arguments that may be given by position beside a table; by default, the function's own positional arguments.
    with_transactions : sequence of str, optional
        Those that may be given by position beside a log, which has the options already; by default, the function's own
        positional arguments.
    """

    def decorate(function: F) -> F:
        own = {
            name: parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }
        takes_log = len(own) < len(inspect.signature(function).parameters)
        added = _options(own) if takes_log else {}
        by_default = [name for name, parameter in own.items() if parameter.kind is not _BY_NAME]
        beside_table = list(positional) or by_default
        beside_log = with_transactions or [name for name in by_default if name not in READING_OPTIONS]
        signature = _signature(own | added, beside_table, function)
        place = beside_table.index(_DATA)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            unknown = [name for name in kwargs if name not in signature.parameters]
            if unknown:
                text = f"{function.__name__}() got an unexpected keyword argument {unknown[0]!r}"
                raise TypeError(f"{text}. {advice(called, kwargs)}")
            data = args[place] if len(args) > place else kwargs.get(_DATA)
            is_log = isinstance(data, TransactionLog)
            given = _given(function.__name__, beside_log if is_log else beside_table, args, kwargs)
            if is_log or (takes_log and _DATA in given):
                options: Any = {name: given.pop(name) for name in READING_OPTIONS if name in given}
                given[_DATA] = log_with(data, options)
            return function(**given)

        called.__signature__ = signature  # type: ignore[attr-defined]
        return cast(F, called)

    return decorate


def _options(own: Mapping[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    """The options of reading that a function does not name itself, as parameters."""
    made = {}
    for field in fields(Reading):
        if field.name not in own:
            assert field.default is not MISSING
            made[field.name] = inspect.Parameter(field.name, _BY_NAME, default=field.default, annotation=field.type)
    return made


def _signature(
    parameters: Mapping[str, inspect.Parameter], positional: Sequence[str], function: Callable[..., Any]
) -> inspect.Signature:
    """The signature with these arguments by position, and all others by name."""
    first = [parameters[name].replace(kind=_ANYWHERE) for name in positional]
    others = [one.replace(kind=_BY_NAME) for name, one in parameters.items() if name not in positional]
    return inspect.signature(function).replace(parameters=[*first, *others])


def _given(function: str, positional: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name."""
    if len(args) > len(positional):
        raise TypeError(f"{function}() takes {len(positional)} positional arguments but {len(args)} were given")
    given = dict(zip(positional, args, strict=False))
    twice = [name for name in given if name in kwargs]
    if twice:
        raise TypeError(f"{function}() got multiple values for argument {twice[0]!r}")
    return given | dict(kwargs)
