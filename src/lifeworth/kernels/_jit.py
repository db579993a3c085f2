"""How kernels are compiled: one set of options, one signature a row function, a cache that knows all sources.

numba stamps a function's file on disk with that function's own source only. A kernel that calls another
file's function would go on running the old machine code after that other file was edited. Here every kernel
carries the stamp of its own package and of the modules that both packages share, so that an edit of any of them
compiles it again. Numba itself is not changed: functions that users compile themselves are cached as usual.

Some kernels are made by a function that several families call (`purchase_rows`). Each is given an owner, the
family's module, and is cached under that name: two families never share a file. A kernel for two families
lives with the first, under the names of both: "lifeworth.kernels.models.bg_nbd:gamma_gamma".
"""

import contextlib
import functools
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Kernels are not passed to C as callbacks, so the wrapper for that is omitted: it takes time to compile.
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

# Types of the arguments of row functions. pandas and pyarrow return read-only arrays, and numba
# takes a writable array where a read-only one is declared, so one signature serves both.
NUMBER = numba.types.float64
INTEGER = numba.types.int64
BOOLEAN = numba.types.boolean
SEED = numba.types.uint64
VECTOR = numba.types.Array(numba.types.float64, 1, "C", readonly=True)
MATRIX = numba.types.Array(numba.types.float64, 2, "C", readonly=True)
CUBE = numba.types.Array(numba.types.float64, 3, "C", readonly=True)
KEYS = numba.types.Array(numba.types.uint64, 1, "C", readonly=True)
OFFSETS = numba.types.Array(numba.types.int64, 1, "C", readonly=True)
COUNTS = numba.types.Array(numba.types.int32, 1, "C", readonly=True)
COUNTS_BY_DRAW = numba.types.Array(numba.types.int32, 2, "C", readonly=True)
BYTES = numba.types.Array(numba.types.uint8, 1, "C", readonly=True)
OFFSET_TABLE = numba.types.Array(numba.types.int64, 2, "C", readonly=True)
# What a kernel fills, for large results that threads fill in parts.
FILLED_VECTOR = numba.types.Array(numba.types.float64, 1, "C")
FILLED_KEYS = numba.types.Array(numba.types.uint64, 1, "C")
FILLED_OFFSETS = numba.types.Array(numba.types.int64, 1, "C")
FILLED_OFFSET_TABLE = numba.types.Array(numba.types.int64, 2, "C")
FILLED_BYTES = numba.types.Array(numba.types.uint8, 1, "C")

# numba's simplest threading layer aborts the process when two Python threads enter parallel code at once.
_one_parallel_call_at_a_time = threading.Lock()
_one_compilation_at_a_time = threading.RLock()

_all_rows: list["RowFunction[Any]"] = []

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class ForkError(RuntimeError):
    """Raised in a process that was forked after its parent had used several threads, which the child does not have."""


class _Process:
    """What this process did with threads: whether parallel code has run in it, and in the one it was forked from."""

    parallel = False
    forked_from_parallel = False


def _after_fork() -> None:
    """In a forked child: reset the locks and threads of the parent."""
    global _one_parallel_call_at_a_time, _one_compilation_at_a_time
    _one_parallel_call_at_a_time, _one_compilation_at_a_time = threading.Lock(), threading.RLock()
    _Process.forked_from_parallel |= _Process.parallel


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def _signals_noted() -> Iterator[None]:
    """Raise KeyboardInterrupt after the block where a handler raised it and the compiler swallowed or changed it."""
    noted: list[BaseException] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:
        try:
            before[number](number, frame)
        except BaseException as error:
            noted.append(error)
            raise

    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            if callable(handler := signal.getsignal(number)):
                before[number] = handler
    try:
        for number in before:
            signal.signal(number, note)
        yield
    except Exception as error:
        if noted and error is not noted[0]:
            raise noted[0] from None
        raise
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is note:
                signal.signal(number, handler)
    if noted:
        raise noted[0]


def _interruption(error: BaseException) -> BaseException | None:
    """The KeyboardInterrupt that led to an error, if one did."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, KeyboardInterrupt):
        found = found.__cause__ or found.__context__
    return found


_SHARED = Path(__file__).parent


@functools.cache
def _stamp_of_folder(folder: Path) -> str:
    """Hash of the names and contents of the Python files of a package of kernels, and of those that packages share."""
    digest = hashlib.blake2b(digest_size=16)
    for path in [*sorted(_SHARED.glob("*.py")), *sorted(folder.rglob("*.py"))]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(path.parents[1]).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _package_of(function: Callable[..., Any]) -> Path:
    """Folder of the package of kernels that a function was written in."""
    return Path(function.__code__.co_filename).parent


class _SourcesCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, fresh only as long as no kernel source has changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), _stamp_of_folder(_package_of(function))),
        )

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Signature, machine, name and bytecode.

        numba adds what a closure holds, and a compiled function there looks new to it in every process. What
        ours hold follows from their owner, which is in their name, and from the sources.
        """
        function = self._py_func
        code = hashlib.sha256(function.__code__.co_code).hexdigest()
        return sig, codegen.magic_tuple(), function.__module__, function.__qualname__, code


def _dispatcher(function: Callable[..., Any], *, owner: str | None = None, **options: Any) -> Any:
    """Return numba's dispatcher with the project's options and cache."""
    if owner is not None:
        # numba names files by qualified name, and by the file that a function was written in.
        module, _, partner = owner.partition(":")
        names = [module.rpartition(".")[2], partner, function.__name__]
        function.__module__ = module
        function.__qualname__ = ".".join(filter(None, names))
    elif function.__closure__ is not None:
        raise TypeError(f"{function.__qualname__} closes over values, so its cache needs an owner.")
    dispatcher = numba.njit(**_OPTIONS, **options)(function)
    # Where neither the package's folder nor the user's can be written, every process compiles for itself.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _SourcesCache(function)
    return dispatcher


def njit[F: Callable[..., Any]](function: F) -> F:
    """Compile a scalar function: it is meant to be called from other kernels, and is compiled with them."""
    return cast(F, _dispatcher(function))


def fused[F: Callable[..., Any]](function: F) -> F:
    """Compile a scalar function into its callers, with fused multiply-add: one rounding less."""
    return cast(F, _dispatcher(function, fastmath={"contract"}, forceinline=True))


def summing[F: Callable[..., Any]](function: F) -> F:
    """Compile a function whose sums may be taken in any order, several terms at a time."""
    return cast(F, _dispatcher(function, fastmath={"contract", "reassoc"}))


def inner[F: Callable[..., Any]](function: F) -> F:
    """Compile a function that only other kernels call: without the entry from Python, which is slow for arrays."""
    return cast(F, _dispatcher(function, no_cpython_wrapper=True))


def inner_at[F: Callable[..., Any]](owner: str) -> Callable[[F], F]:
    """`inner`, for a function made for one family, whose module is its owner."""

    def decorate(function: F) -> F:
        return cast(F, _dispatcher(function, owner=owner, no_cpython_wrapper=True))

    return decorate


class RowFunction[F: Callable[..., Any]](Protocol):
    """A row function: a callable that knows how to compile itself ahead of its first call."""

    __call__: F
    compile: Callable[[], None]
    dispatcher: Any


def rows[F: Callable[..., Any]](*signature: Any, parallel: bool = False, owner: str | None = None) -> Callable[[F], F]:
    """Compile a function over customers, for one signature only, on its first call.

    Other dtypes and layouts are refused with numba's TypeError instead of being compiled silently. A function
    made for one family names that family's module as its owner.
    """

    def decorate(function: F) -> F:
        dispatcher = _dispatcher(function, parallel=parallel, owner=owner)

        compiled = False  # asking the dispatcher takes time, for a small table as long as the computation

        def compile_now() -> None:
            nonlocal compiled
            if compiled:
                return
            with _one_compilation_at_a_time, _signals_noted():
                if not dispatcher.signatures:
                    dispatcher.compile(signature)
                    dispatcher.disable_compile()
                compiled = True

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            compile_now()
            try:
                if not parallel:
                    return dispatcher(*arguments)
                if _Process.forked_from_parallel:
                    raise ForkError(
                        "This process was forked after lifeworth had used several threads, which a forked process does "
                        'not have: start processes with multiprocessing.get_context("spawn"), or before the first call.'
                    )
                with _one_parallel_call_at_a_time:
                    _Process.parallel = True
                    return dispatcher(*arguments)
            except SystemError as error:  # a handler raised KeyboardInterrupt while numba was handing over a result
                if (interruption := _interruption(error)) is not None:
                    raise interruption from None
                raise

        call.compile = compile_now  # type: ignore[attr-defined]
        call.dispatcher = dispatcher  # type: ignore[attr-defined]
        _all_rows.append(cast(RowFunction[Any], call))
        return cast(F, call)

    return decorate


def ready(*functions: Any) -> None:
    """Compile row functions, or load them from the cache, before threads share them."""
    for function in functions:
        function.compile()


def compile_all() -> int:
    """Compile, or load from the cache, every row function of the modules imported so far; return how many."""
    for function in _all_rows:
        function.compile()
    return len(_all_rows)


@njit
def own_row(rows_of_parameters: int, i: int) -> int:
    """Place of customer i's parameters: its own row, or the only one, which all customers share."""
    # Of one type, as numba makes a float of what may be signed or unsigned.
    return np.int64(i) if rows_of_parameters > 1 else np.int64(0)  # type: ignore[return-value]
