"""What docs/models says of parameters, priors and formulas is what the code does."""

import doctest
import re
from pathlib import Path

import pytest

import lifeworth as lw
from lifeworth.families import FAMILIES, Family
from lifeworth.model.models import MODELS

DOCS = Path(__file__).parents[1] / "docs" / "models"
UNITS = {"time": "the table's unit of time", "money": "the table's currency", "none": ""}
HEADINGS = ["Story", "Assumptions", "Parameters", "Formulas", "How to tell that it does not fit", "Sources"]
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())


def text_of(family: Family) -> str:
    path = DOCS / f"{family.name}.md"
    assert path.exists(), f"{family.label} has no page: write {path.name}"
    return path.read_text(encoding="utf-8")


def table(text: str, heading: str) -> list[list[str]]:
    """Cells of the table whose first column has this heading."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            rows = []
            for row in lines:
                if not row.startswith("|"):
                    return rows
                rows.append([cell.strip() for cell in row.strip("|").split("|")])
    raise AssertionError(f"no table of {heading}s")


@families
def test_pages_have_all_parts(family):
    text = text_of(family)
    assert text.startswith(f"# {family.label}\n\n`lw.{MODELS[family.name].__name__}`\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert f"({family.name}.md)" in (DOCS / "README.md").read_text(encoding="utf-8")
    for year in re.findall(r"\((\d{4})\)", family.source):
        assert year in text.split("## Sources")[1]


@families
def test_parameters_are_those_of_the_code(family):
    rows = table(text_of(family), "parameter")
    assert [row[:2] for row in rows] == [
        [f"`{parameter.name}`", parameter.describe(UNITS[parameter.dimension])] for parameter in family.definitions
    ]


@families
def test_priors_are_those_of_the_code(family):
    told = {name.strip("`"): prior for name, prior in table(text_of(family), "variable")}
    known = {
        variable.name: f"{variable.prior.distribution}"
        f"({', '.join(f'{key}={value:g}' for key, value in variable.prior.arguments.items())})"
        for variable in family.parametrisation(None).variables
    }
    assert told == known


@families
def test_values_on_cdnow_are_the_maximum_likelihood(family):
    calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    fit = MODELS[family.name]("flat").fit(calibration, method="map")
    for name, _, value in table(text_of(family), "parameter"):
        # Published values have three or four digits.
        assert float(value) == pytest.approx(fit.draws[name.strip("`")][0], rel=2e-3), name


@families
def test_formulas_give_what_the_code_gives(family):
    done = doctest.testfile(str(DOCS / f"{family.name}.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert done.attempted >= 8
    assert done.failed == 0
