"""The README's ten lines run as they stand, on the sample and with fewer draws."""

import re
from pathlib import Path

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
