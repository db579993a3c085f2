"""The README's ten lines run as they stand, on the sample and with fewer draws; job files in the docs are job files."""

import re
from pathlib import Path

import pytest

import lifeworth as lw
from lifeworth.families import FAMILIES
from lifeworth.jobs import read_job

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"


def test_the_ten_lines_run(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    quicker = code.replace("load_cdnow()", "load_cdnow(sample=True)").replace("seed=1)", "seed=1, draws=200)", 1)
    assert quicker.count("sample=True") == quicker.count("draws=200") == 1
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(quicker, str(README), "exec"), names)  # the text is ours, and it is what we promise
    assert len(names["customers"]) == 2357
    assert names["total"].loc["purchases", "expected"] > 1000
    assert (tmp_path / "model" / "clv.json").exists()
    assert "verdict" not in capsys.readouterr().err


@pytest.mark.skipif(not DOCS.exists(), reason="a source distribution without the docs")
def test_the_jobs_are_jobs(tmp_path):
    text = (DOCS / "guides" / "nightly_job.md").read_text(encoding="utf-8")
    names = []
    for job in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        if not job.startswith("name"):  # sections that a job may have as well
            job = '[source]\npath = "o.csv"\n[scores]\nhorizon = "12M"\n[sink]\npath = "s.csv"\n' + job
            job = 'name = "sections"\n' + job
        (tmp_path / "job.toml").write_text(job, encoding="utf-8")
        names.append(read_job(tmp_path / "job.toml", {"SHOP_DATABASE": "postgresql://localhost/shop"}).name)
    assert names == ["nightly", "sections", "growing"]


@pytest.mark.skipif(not DOCS.exists(), reason="a source distribution without the docs")
def test_the_citation_names_this_version():
    text = (DOCS / "citing.md").read_text(encoding="utf-8")
    assert f"version = {{{lw.__version__}}}" in text
    for family in FAMILIES.values():
        year = re.search(r"\((\d{4})\)", family.source)[1]
        assert re.search(rf"- {re.escape(family.label)}: .*\({year}\)", text), family.label


def test_links_lead_somewhere():
    pages = [README, *DOCS.rglob("*.md"), ROOT / "notebooks" / "README.md"]
    pages = [page for page in pages if "_build" not in page.parts and "generated" not in page.parts]
    for page in pages:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
