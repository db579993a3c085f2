"""The rules of the house: what stands where, who may import whom, and what never enters a commit."""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import lifeworth

HOUSE = Path(__file__).parents[1]
sys.path.insert(0, str(HOUSE / "tools"))
from lengths import lines_of_code, long_parts  # noqa: E402

PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))

TOP_LEVEL = {
    ".ci",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".python-version",
    "CHANGELOG.md",
    "CITATION.cff",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "constraints.txt",
    "docs",
    "models",
    "notebooks",
    "pyproject.toml",
    "src",
    "tests",
    "tools",
}
# Lines of code in a file: docstrings, comments and blank lines aside.
LINES_PER_FILE = 400
HEAVY = ("pymc", "pytensor", "arviz", "matplotlib", "numba", "pandas", "pyarrow", "scipy")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Names of the files that git knows, staged ones included."""
    if not (HOUSE / ".git").exists():
        pytest.skip("not a git checkout")
    listing = run("git", "ls-files", "-z")
    assert listing.returncode == 0, listing.stderr
    return [name for name in listing.stdout.split("\0") if name]


# --- who may import whom ---------------------------------------------------------------------------------


def test_rooms_import_downwards_only():
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    checked = run(sys.executable, "-c", linter, "--no-cache", "--no-logo")
    assert checked.returncode == 0, f"\n{checked.stdout}{checked.stderr}"


def test_import_is_light():
    loaded = run(sys.executable, "-c", f"import lifeworth, sys; print(*sys.modules.keys() & {set(HEAVY)})")
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == [], "`import lifeworth` must not load these"


# --- the public names ------------------------------------------------------------------------------------


def test_versions_agree():
    assert lifeworth.__version__ == PROJECT["project"]["version"]
    citation = HOUSE / "CITATION.cff"
    if citation.exists():
        assert f"\nversion: {lifeworth.__version__}\n" in citation.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(lifeworth.__all__))
def test_public_name_resolves_and_is_documented(name):
    text = getattr(getattr(lifeworth, name), "__doc__", None)
    assert text, f"{name} has no docstring"
    assert not text.startswith(f"{name}("), f"{name} has only the docstring that dataclasses write"


def test_public_names_are_listed_once():
    assert Counter(lifeworth.__all__).most_common(1)[0][1] == 1
    assert set(lifeworth.__all__) <= set(dir(lifeworth))


# --- what stands where -----------------------------------------------------------------------------------


def test_top_level_is_known(tracked):
    strangers = {name.split("/")[0] for name in tracked} - TOP_LEVEL
    assert not strangers, "put it into a room, or add it to TOP_LEVEL here"


def test_lines_of_code_are_counted():
    assert lines_of_code('"""Doc\n\nof two lines."""\n\n# why\ndef f():\n    """One."""\n    return 1\n') == 2


def test_long_functions_and_files_are_listed(tmp_path):
    (tmp_path / "long.py").write_text(
        "def f():\n" + '    """One."""\n    # why\n' + "    a = 1\n" * 360, encoding="utf-8"
    )
    (tmp_path / "short.py").write_text("def g():\n" + "    a = 1\n" * 59, encoding="utf-8")
    assert sorted(long_parts(tmp_path)) == [(361, "long.py"), (361, "long.py::f")]


def test_source_files_are_short():
    sources = sorted((HOUSE / "src").rglob("*.py"))
    assert sources
    lengths = {str(path.relative_to(HOUSE)): lines_of_code(path.read_text(encoding="utf-8")) for path in sources}
    long = {name: lines for name, lines in lengths.items() if lines > LINES_PER_FILE}
    assert not long, f"more than {LINES_PER_FILE} lines of code: divide the file by what its parts are about"


# --- constraints.txt -------------------------------------------------------------------------------------


def normalised(requirement: str) -> str:
    """Name of a requirement, in the spelling that package indexes use."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


@pytest.fixture(scope="module")
def pins() -> list[str]:
    path = HOUSE / "constraints.txt"
    if not path.exists():
        pytest.skip("no constraints.txt: a source distribution")
    return path.read_text(encoding="utf-8").splitlines()


def test_constraints_are_plain_pins(pins):
    odd = [pin for pin in pins if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.+!]*", pin)]
    assert not odd, "one name==version a line and nothing else; run `make constraints`"
    names = [normalised(pin) for pin in pins]
    assert len(names) == len(set(names))


def test_every_direct_dependency_is_pinned(pins):
    project = PROJECT["project"]
    groups = PROJECT["dependency-groups"].values()
    wanted = [*project["dependencies"], *(one for group in groups for one in group if isinstance(one, str))]
    for extra in project.get("optional-dependencies", {}).values():
        wanted += extra
    missing = {normalised(requirement) for requirement in wanted} - {normalised(pin) for pin in pins}
    assert not missing, "run `make constraints`"


# --- what never enters a commit --------------------------------------------------------------------------


def joined(*parts: str) -> str:
    """Assemble a pattern from parts, so that this file does not hold what it forbids."""
    return "".join(parts)


# Hosts of package indexes and mirrors, settings that name one, and the homes of people on their machines.
TRACES = re.compile(
    "|".join(
        [
            joined(r"\bpypi", r"\.(?:org|python\.org)\b"),
            joined(r"\bpython", r"hosted\.org\b"),
            joined(r"\bregistry", r"\.(?:npmjs\.org|yarnpkg\.com)\b"),
            joined(r"\b(?:deb|security)", r"\.debian\.org\b"),
            joined(r"\b(?:archive|security)", r"\.ubuntu\.com\b"),
            joined(r"\bconda", r"\.anaconda\.org\b"),
            joined(r"\bindex[-_]", r"url\b"),
            joined(r"\bfind[-_]", r"links\b"),
            joined(r"(?<![\w.~/-])/(?:home|Us", r"ers)/\w"),
            joined(r"(?<![\w.~/-])/ro", r"ot/"),
            joined(r"\b[A-Z]:\\+Us", r"ers\\"),
        ]
    ),
    re.IGNORECASE,
)


def own_paths() -> list[str]:
    """Where this checkout and this user's home are, when the path is long enough to be nobody else's."""
    return [f"{path}/" for path in (HOUSE, Path.home()) if len(path.parts) > 2]


def traces(names: list[str]) -> Iterator[str]:
    for name in names:
        path = HOUSE / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if TRACES.search(line) or any(own in line for own in own_paths()):
                yield f"{name}:{number}: {line.strip()[:120]}"


def test_tracked_files_hold_no_registry_host_and_no_home_path(tracked):
    found = list(traces(tracked))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        joined("https://py", "pi.org/simple"),
        joined("https://files.python", "hosted.org/packages/x.whl"),
        joined("--extra-index", "-url=x"),
        joined("deb http://deb.", "debian.org/debian bookworm main"),
        joined('File "/ho', 'me/ann/lifeworth/src/lifeworth/rfm.py"'),
        joined("C:\\Us", "ers\\ann"),
        joined("path: /ro", "ot/lifeworth"),
    ],
)
def test_traces_are_recognised(line):
    assert TRACES.search(line)


@pytest.mark.parametrize("line", ["https://example.org/home/about", "src/home/x.py", "pip install uv"])
def test_plain_lines_are_no_traces(line):
    assert not TRACES.search(line)
