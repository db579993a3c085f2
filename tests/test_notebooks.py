"""Every notebook runs from scratch, agrees with its source, and shows what it says it shows."""

import importlib.util
import os
from pathlib import Path

import jupytext
import nbformat
import pytest

HOUSE = Path(__file__).parents[1]
NOTEBOOKS = HOUSE / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("*.py"))
notebooks = pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in SOURCES])
# Python's own warnings of pairs of sockets and old event loops, on the way to a kernel.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("notebooks", HOUSE / "tools" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(source: Path) -> nbformat.NotebookNode:
    path = source.with_suffix(".ipynb")
    assert path.exists(), f"run: python tools/notebooks.py {source.stem}"
    return nbformat.read(path, as_version=4)


def pictures(notebook: nbformat.NotebookNode) -> list[int]:
    """Number of pictures in each cell of code."""
    return [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_notebooks_and_each_is_told_of():
    listed = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    assert {path.stem for path in SOURCES} >= {
        "quickstart",
        "rfm",
        "posterior",
        "million",
        "coming_from",
        "acquisition",
    }
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in SOURCES}
    for source in SOURCES:
        assert f"({source.stem}.ipynb)" in listed


@notebooks
def test_notebook_and_source_agree(source):
    cells = [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells]
    again = f"python tools/notebooks.py {source.stem}"
    assert [(cell.cell_type, cell.source) for cell in written(source).cells] == cells, again
    assert "What to be careful about" in cells[-1][1]


@notebooks
def test_notebook_was_run_from_top_to_bottom(source):
    notebook = written(source)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert sum(pictures(notebook)) >= 1 or source.stem == "coming_from"
    assert source.with_suffix(".ipynb").stat().st_size < 1_000_000
    assert str(HOUSE) not in source.with_suffix(".ipynb").read_text(encoding="utf-8")


@notebooks
def test_notebook_runs_from_scratch(source, tool, monkeypatch):
    monkeypatch.setitem(os.environ, "PYTHONDONTWRITEBYTECODE", "")
    ran = tool.run(source, small=True)
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert pictures(ran) == pictures(written(source))
