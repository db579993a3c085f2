"""The README's ten lines run as they stand, on the sample and with fewer draws; its job files are job files."""

import re
from pathlib import Path

import lifeworth as lw
from lifeworth.families import FAMILIES

README = Path(__file__).parents[1] / "README.md"


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
    # "More, each in a line" goes on from there.
    more = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    names["calibration"].to_parquet("rfm.parquet")
    exec(compile(more, str(README), "exec"), names)
    assert (tmp_path / "scores.parquet").exists()
    judged = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[2]
    exec(compile(judged.replace("cutoffs=4", "cutoffs=4, bootstrap=0"), str(README), "exec"), names)
    assert names["bt"].summary("value").index[0] == "bg_nbd"
    assert names["calibrated"].calibration is not None


def test_the_jobs_are_jobs(tmp_path):
    from lifeworth.batch import read_job

    jobs = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = []
    for text in jobs:
        (tmp_path / "job.toml").write_text(text, encoding="utf-8")
        names.append(read_job(tmp_path / "job.toml", {"SHOP_DATABASE": "postgresql://localhost/shop"}).name)
    assert names == ["nightly", "growing"]


def test_the_citation_names_this_version():
    text = README.read_text(encoding="utf-8")
    assert f"version = {{{lw.__version__}}}" in text
    for family in FAMILIES.values():
        year = re.search(r"\((\d{4})\)", family.source)[1]
        assert re.search(rf"- {re.escape(family.label)}: .*\({year}\)", text), family.label


def test_links_lead_somewhere():
    pages = [README, *(README.parent / "docs").rglob("*.md"), README.parent / "notebooks" / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
