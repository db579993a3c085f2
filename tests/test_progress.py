"""Who hears of progress: a function, a terminal, a notebook, or nobody."""

import io
import sys
import types

import pytest
from rich.console import Console

import lifeworth as lw
from lifeworth.display import progress as module
from lifeworth.display.progress import in_terminal, watched
from lifeworth.errors import UsageError


@pytest.fixture
def rfm():
    return lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")


def test_a_function_hears_of_every_step(rfm):
    heard = []
    clv = lw.fit_clv(rfm, draws=200, progress=lambda what, share: heard.append((what, share)))
    clv.predict(rfm, "39W", progress=lambda what, share: heard.append((what, share)))
    lw.rfm_summary(lw.load_cdnow(sample=True), progress=lambda what, share: heard.append((what, share)))
    assert {"valuing customers", "counting purchases"} <= {what for what, _ in heard}
    assert all(0 <= share <= 1 for _, share in heard)


def test_backtests_comparisons_and_jobs_tell_as_others_do(tmp_path, capsys):
    cdnow = lw.load_cdnow(sample=True)
    cdnow.to_parquet(tmp_path / "orders.parquet")
    job = lw.Job(
        name="night",
        source={"path": str(tmp_path / "orders.parquet")},
        model={"method": "map"},
        scores={"horizon": "13W"},
        sink={"path": str(tmp_path / "scores.parquet")},
        records={"folder": str(tmp_path / "runs")},
    )
    calls = {
        "judging": lambda how: lw.backtest(
            cdnow, 1, "13W", baselines=[], method="map", bootstrap=0, futures=0, progress=how
        ),
        "counting the money": lambda how: lw.compare_clv(
            cdnow, "1997-09-30", "13W", baselines=[], method="map", bootstrap=0, progress=how
        ),
        "scoring customers": lambda how: lw.run_job(job, progress=how),
    }
    for last, call in calls.items():
        heard = []
        call(lambda what, share, heard=heard: heard.append((what, share)))
        assert any(last in what for what, _ in heard)
        assert heard[-1][1] == 1.0
        assert all(0 <= share <= 1 for _, share in heard)
        for how in (True, False, None):
            call(how)
        with pytest.raises(UsageError, match="progress='yes' is not valid"):
            call("yes")
    assert capsys.readouterr().err == ""


def test_nobody_hears_where_nobody_watches(capsys):
    for wanted in (None, True):
        with watched(wanted) as report:
            assert report is None  # neither a notebook nor a terminal
    with watched(False) as report:
        assert report is not None  # so that a step inside does not show a bar of its own
        report("x", 0.5)
    assert capsys.readouterr() == ("", "")


def test_what_is_no_progress_is_refused():
    with pytest.raises(UsageError, match="progress='yes' is not valid"), watched("yes"):
        pass


def test_terminal_keeps_a_line_per_step():
    out = io.StringIO()
    with in_terminal(Console(file=out, force_terminal=True, width=100)) as report:
        report("sampling", 0.4)
        report("valuing", 0.2)
    text = out.getvalue()
    assert "sampling" in text
    assert "valuing" in text
    assert text.rstrip().count("100 %") >= 2


class Handle:
    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def update(self, content, raw):
        assert raw
        self.shown.append(content)


@pytest.fixture
def notebook(monkeypatch):
    """A kernel that keeps what is displayed."""
    handle = Handle()

    def display(content, raw, display_id):
        assert raw
        assert display_id
        handle.shown.append(content)
        return handle

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    shown = types.ModuleType("IPython.display")
    shown.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    clock = iter(range(1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock) * 0.4)
    return handle.shown


def test_notebook_shows_one_line_and_clears_it(notebook):
    with watched(None) as report:
        for step in range(8):
            report("<sampling>", step / 8)
    assert notebook[0]["text/plain"].startswith("<sampling>: 2")  # not before a second has passed
    assert "&lt;sampling&gt;" in notebook[0]["text/html"]
    assert "<sampling>" not in notebook[0]["text/html"]
    assert notebook[-1] == {"text/plain": "", "text/html": ""}


def test_notebook_keeps_what_went_wrong(notebook):
    with pytest.raises(ValueError, match="broken"), watched(None) as report:
        for step in range(8):
            report("sampling", step / 8)
        raise ValueError("broken")
    assert notebook[-1]["text/plain"] == "sampling: 88 %"


def test_quick_steps_and_false_show_nothing(notebook):
    with watched(None) as report:
        report("quick", 0.5)
    with watched(False) as report:
        for step in range(8):
            report("sampling", step / 8)
    assert notebook == []
