"""Public names: found by completion, documented with an example that runs, typed for those who use them."""

import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lifeworth as lw

HOUSE = Path(__file__).parents[1]
NAMES = sorted({*lw.__all__} - {"plots"}) + [f"plots.{name}" for name in lw.plots.__all__]
# A user's script, as an editor or a continuous integration checks it.
SCRIPT = Path(__file__).parent / "typing" / "sample.py"


def public(name):
    thing = lw
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example(name):
    text = inspect.getdoc(public(name)) or ""
    examples = doctest.DocTestParser().get_examples(text)
    assert examples, f"{name}: an example in its docstring; `make test` runs it"
    assert not [example for example in examples if doctest.SKIP in example.options], f"{name}: an example that runs"


def test_examples_are_run():
    settings = (HOUSE / "pyproject.toml").read_text(encoding="utf-8")
    assert "--doctest-modules" in settings
    assert '"src/lifeworth"' in settings.split("testpaths", 1)[1].splitlines()[0]


@pytest.mark.parametrize("name", ["", "plots"])
def test_completion_lists_public_names_and_nothing_else(name):
    module = public(name) if name else lw
    listed = {found for found in dir(module) if not found.startswith("__")}
    assert listed == set(module.__all__)


def test_completion_in_ipython_knows_names_that_are_not_loaded_yet():
    program = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "from IPython.core.completer import provisionalcompleter\n"
        "shell = Shell.instance(); shell.run_cell('import lifeworth as lw', store_history=False)\n"
        "with provisionalcompleter():\n"
        "    for text in ('lw.fit_', 'lw.plots.plot_tr', 'lw.Beta', 'lw.BetaGeo().se'):\n"
        "        print(*(found.text for found in shell.Completer.completions(text, len(text))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["fit_clv"],
        ["plot_tracking", "plot_tracking_both"],
        ["BetaGeo"],
        ["set_params"],
    ]


@pytest.mark.parametrize(
    ("theirs", "here"),
    [
        ("BetaGeoModel", "BetaGeo"),
        ("GammaGammaFitter", "GammaGamma"),
        ("summary_data_from_transaction_data", "rfm_summary"),
        ("rfm_train_test_split", "train_test_split"),
    ],
)
def test_names_of_other_systems_are_answered(theirs, here):
    with pytest.raises(AttributeError, match=rf"lifeworth\.{here} is what it is called here") as caught:
        getattr(lw, theirs)
    assert caught.value.name == theirs


def test_slips_of_the_pen_are_answered():
    """Python itself proposes the nearest name where an AttributeError says of what."""
    program = "import lifeworth as lw; lw.BetaGoe"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Did you mean: 'BetaGeo'?" in done.stderr


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Mypy as a user runs it: strict, with no settings of this project, errors of the user's files alone."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"]
    command += [f"--cache-dir={HOUSE / '.mypy_cache' / 'user'}", *map(str, paths)]
    source = str(Path(lw.__file__).parents[1])
    env = {**os.environ, "MYPYPATH": source}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_a_users_script_passes_strict_mypy(tmp_path):
    assert (Path(lw.__file__).parent / "py.typed").exists()
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        'import lifeworth as lw\nlw.rfm_summary([], time_unit="Q")\nlw.CLV(lw.GammaGamma())\nx: int = lw.load_cdnow()\n'
    )
    done = check(SCRIPT, wrong)
    problems = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert not [line for line in problems if "wrong.py" not in line], done.stdout
    assert {int(line.split(":")[1]) for line in problems} == {2, 3, 4}, done.stdout


def test_a_users_script_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), names)
    assert (tmp_path / "model" / "clv.json").exists()
