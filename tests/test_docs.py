"""The documentation lists every public name, and its examples run as written."""

import re
from pathlib import Path

import matplotlib
import pytest

import lifeworth as lw
from lifeworth import plots, spark

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(page for page in [*DOCS.glob("*.md"), *(DOCS / "guides").glob("*.md")] if BLOCK.search(page.read_text()))

pytestmark = pytest.mark.skipif(not (DOCS / "conf.py").exists(), reason="a source distribution without the docs")


def listed(page: str) -> set[str]:
    """Names below the autosummary directives of a page."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    return set(re.findall(r"^   (\w+)$", text, re.MULTILINE))


def test_every_public_name_is_in_the_reference():
    assert listed("api.md") == set(lw.__all__) - {"plots"}
    assert listed("plots.md") == set(plots.__all__)
    assert listed("spark.md") == set(spark.__all__)


def test_every_page_is_reachable():
    """Each page stands in a table of contents; Sphinx itself refuses one that does not exist."""
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    pages = {page for page in pages if not page.startswith(("_build", "reference/generated"))}
    found = {"index"}
    for page in DOCS.rglob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = [line for line in block.splitlines() if line and not line.startswith(":")]
            found |= {(page.parent / line).relative_to(DOCS).as_posix() for line in lines}
    assert pages <= found, pages - found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(code, str(page), "exec"), names)  # the text is ours, and it is what we promise
