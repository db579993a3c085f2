"""How kernels are compiled: one set of options, one signature a row function, a cache that knows all sources.

numba stamps a function's file on disk with that function's own source only. A kernel that calls another
file's function would go on running the old machine code after that other file was edited. Here every kernel
carries the stamp of all kernel sources, so that an edit anywhere compiles anew, and nothing of numba's own is
changed: functions that users compile themselves are cached as ever.
"""

import contextlib
import functools
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Nobody passes a kernel to C as a callback, so its wrapper for that is left out: it takes time to compile.
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

# Types of the arguments of row functions. Read-only arrays are what pandas and pyarrow hand out, and numba
# takes a writable array where a read-only one is declared, so one signature serves both.
NUMBER = numba.types.float64
INTEGER = numba.types.int64
SEED = numba.types.uint64
VECTOR = numba.types.Array(numba.types.float64, 1, "C", readonly=True)
MATRIX = numba.types.Array(numba.types.float64, 2, "C", readonly=True)
KEYS = numba.types.Array(numba.types.uint64, 1, "C", readonly=True)
OFFSETS = numba.types.Array(numba.types.int64, 1, "C", readonly=True)
COUNTS = numba.types.Array(numba.types.int32, 1, "C", readonly=True)
COUNTS_BY_DRAW = numba.types.Array(numba.types.int32, 2, "C", readonly=True)
BYTES = numba.types.Array(numba.types.uint8, 1, "C", readonly=True)
OFFSET_TABLE = numba.types.Array(numba.types.int64, 2, "C", readonly=True)
# What a kernel fills, for large results whose memory the caller shares out among threads.
FILLED_VECTOR = numba.types.Array(numba.types.float64, 1, "C")
FILLED_KEYS = numba.types.Array(numba.types.uint64, 1, "C")
FILLED_OFFSETS = numba.types.Array(numba.types.int64, 1, "C")
FILLED_OFFSET_TABLE = numba.types.Array(numba.types.int64, 2, "C")
FILLED_BYTES = numba.types.Array(numba.types.uint8, 1, "C")

# numba's simplest threading layer aborts the process when two Python threads enter parallel code at once.
_one_parallel_call_at_a_time = threading.Lock()
_one_compilation_at_a_time = threading.RLock()

_all_rows: list["RowFunction[Any]"] = []


@functools.cache
def _stamp_of_folder(folder: Path) -> str:
    """Hash of the names and contents of every Python file below a folder."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


class _SourcesCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, fresh only as long as no kernel source has changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), _stamp_of_folder(Path(__file__).parent)),
        )


def _dispatcher(function: Callable[..., Any], **options: Any) -> Any:
    """Return numba's dispatcher with the project's options and cache."""
    dispatcher = numba.njit(**_OPTIONS, **options)(function)
    # Where neither the package's folder nor the user's can be written, every process compiles for itself.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _SourcesCache(function)
    return dispatcher


def njit[F: Callable[..., Any]](function: F) -> F:
    """Compile a scalar function: it is meant to be called from other kernels, and is compiled with them."""
    return cast(F, _dispatcher(function))


def inner[F: Callable[..., Any]](function: F) -> F:
    """Compile a function for other kernels only: without the way in from Python, which takes longest for arrays."""
    return cast(F, _dispatcher(function, no_cpython_wrapper=True))


class RowFunction[F: Callable[..., Any]](Protocol):
    """A row function: a callable that knows how to compile itself ahead of its first call."""

    __call__: F
    compile: Callable[[], None]
    dispatcher: Any


def rows[F: Callable[..., Any]](*signature: Any, parallel: bool = False) -> Callable[[F], F]:
    """Compile a function over customers, for one signature only, on its first call.

    Other dtypes and layouts are refused with numba's TypeError instead of being compiled silently.
    """

    def decorate(function: F) -> F:
        dispatcher = _dispatcher(function, parallel=parallel)

        def compile_now() -> None:
            if dispatcher.signatures:
                return
            with _one_compilation_at_a_time:
                if not dispatcher.signatures:
                    dispatcher.compile(signature)
                    dispatcher.disable_compile()

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            compile_now()
            if not parallel:
                return dispatcher(*arguments)
            with _one_parallel_call_at_a_time:
                return dispatcher(*arguments)

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
