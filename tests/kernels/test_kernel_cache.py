"""The cache on disk: fresh when any kernel source changed, kept otherwise, and numba's own left alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifeworth.kernels import _jit

CALLEE = "from lifeworth.kernels._jit import njit\n\n@njit\ndef answer(x):\n    return x + {}\n"
CALLER = """
from lifeworth.kernels import callee
from lifeworth.kernels._jit import NUMBER, rows

@rows(NUMBER)
def ask(x):
    return callee.answer(x)
"""
# A factory that makes a kernel for two families, which differ in the scalar function that it closes over.
FACTORY = """
from lifeworth.kernels._jit import NUMBER, inner_at, rows

def make(owner, scalar):
    @inner_at(owner)
    def twice(x):
        return scalar(x) + scalar(x)

    @rows(NUMBER, owner=owner)
    def ask_twice(x):
        return twice(x)

    return ask_twice
"""
FAMILY = """
from lifeworth.kernels import factory
from lifeworth.kernels._jit import njit

@njit
def scalar(x):
    return x {}

ask_twice = factory.make(__name__, scalar)
"""
FAMILIES = """
import json
from lifeworth.kernels import one, other
found = {family.__name__: family.ask_twice(10.0) for family in (one, other)}
hits = [sum(family.ask_twice.dispatcher.stats.cache_hits.values()) for family in (one, other)]
print(json.dumps([list(found.values()), hits]))
"""
USER = "import numba\n\n@numba.njit(cache=True)\ndef mine(x):\n    return x * 3\n"
PROGRAM = """
import json, sys
import numba
before = numba.config.CACHE_LOCATOR_CLASSES
from lifeworth.kernels import caller
answer = caller.ask(1.0)
import user_code
result = {
    "answer": answer,
    "hits": sum(caller.ask.dispatcher.stats.cache_hits.values()),
    "user_answer": user_code.mine(2),
    "user_hits": sum(user_code.mine.stats.cache_hits.values()),
    "user_cache": type(user_code.mine._cache).__name__,
    "config_unchanged": numba.config.CACHE_LOCATOR_CLASSES == before,
}
print(json.dumps(result))
"""


@pytest.fixture
def package(tmp_path):
    """Two kernels beside a copy of the project's decorators, and a function of a user's own."""
    kernels = tmp_path / "lifeworth" / "kernels"
    kernels.mkdir(parents=True)
    (tmp_path / "lifeworth" / "__init__.py").touch()
    (kernels / "__init__.py").touch()
    shutil.copy(_jit.__file__, kernels / "_jit.py")
    (kernels / "callee.py").write_text(CALLEE.format("1.0"))
    (kernels / "caller.py").write_text(CALLER)
    (tmp_path / "user_code.py").write_text(USER)
    return tmp_path


def run(package: Path, program: str = PROGRAM, **environment: str) -> dict[str, object]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    settings = {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=package,
        env=inherited | settings | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def kernels_cached_in(folder: Path) -> bool:
    return {path.name.split("-")[0] for path in folder.rglob("*.nbi")} >= {"caller.ask", "callee.answer"}


def test_an_edited_callee_is_noticed_and_otherwise_the_cache_is_used(package):
    first = run(package)
    assert (first["answer"], first["hits"], first["user_hits"]) == (2.0, 0, 0)
    (package / "lifeworth" / "kernels" / "callee.py").write_text(CALLEE.format("5.0"))
    second = run(package)
    assert (second["answer"], second["hits"]) == (6.0, 0)
    third = run(package)
    assert (third["answer"], third["hits"]) == (6.0, 1)
    # A user's own functions: numba's cache class and settings, kept while the kernels change.
    for result in (first, second, third):
        assert result["user_answer"] == 6
        assert result["user_cache"] == "FunctionCache"
        assert result["config_unchanged"]
    assert (second["user_hits"], third["user_hits"]) == (1, 1)


def test_kernels_that_a_factory_makes_are_cached_by_family(package):
    """They share a source file, a line and a name, and must never share machine code."""
    kernels = package / "lifeworth" / "kernels"
    (kernels / "factory.py").write_text(FACTORY)
    (kernels / "one.py").write_text(FAMILY.format("+ 1.0"))
    (kernels / "other.py").write_text(FAMILY.format("* 3.0"))
    assert run(package, FAMILIES) == [[22.0, 60.0], [0, 0]]
    assert run(package, FAMILIES) == [[22.0, 60.0], [1, 1]]
    (kernels / "other.py").write_text(FAMILY.format("* 4.0"))
    assert run(package, FAMILIES) == [[22.0, 80.0], [0, 0]]


def test_a_closure_without_a_home_is_refused():
    factor = 2.0
    with pytest.raises(TypeError, match="owner"):
        _jit.njit(lambda x: x * factor)


def test_a_package_that_cannot_be_written_is_cached_for_the_user(package):
    # A file in the folder's place is what no user, not even root, can write into.
    (package / "lifeworth" / "kernels" / "__pycache__").touch()
    run(package, HOME=str(package / "home"), XDG_CACHE_HOME=str(package / "home" / "cache"))
    assert kernels_cached_in(package / "home")


def test_where_nothing_can_be_written_kernels_still_run(monkeypatch):
    def no_place(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(_jit, "_SourcesCache", no_place)
    assert _jit.njit(lambda x: x + 1.0)(1.0) == 2.0


def test_numba_cache_dir_is_honoured(package):
    run(package, NUMBA_CACHE_DIR=str(package / "own"))
    assert kernels_cached_in(package / "own")
    assert not list((package / "lifeworth").rglob("*.nbi"))


def test_stamp_sees_names_and_contents(tmp_path):
    (tmp_path / "a.py").write_text("one")
    stamps = [_jit._stamp_of_folder.__wrapped__(tmp_path)]
    (tmp_path / "a.py").write_text("two")
    stamps.append(_jit._stamp_of_folder.__wrapped__(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    stamps.append(_jit._stamp_of_folder.__wrapped__(tmp_path))
    (tmp_path / "notes.txt").write_text("no source")
    assert _jit._stamp_of_folder.__wrapped__(tmp_path) == stamps[-1]
    assert len(set(stamps)) == 3
