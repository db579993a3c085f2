"""The registry: versions that never change, one champion, and ways back."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, FitError, SourceError, UsageError


def model(r=0.243, verdict="ok", draws=None):
    alpha = 4.414 if draws is None else np.full(draws, 4.414)
    r = r if draws is None else r + 0.01 * np.linspace(-1, 1, draws)
    b = a = 0.8 if draws is None else np.full(draws, 0.8)
    purchases = lw.BetaGeo().from_parameters({"r": r, "alpha": alpha, "a": a, "b": b}, "W")
    return lw.CLV(replace(purchases, diagnostics=replace(purchases.diagnostics, verdict=verdict)))


@pytest.fixture
def registry(tmp_path):
    return lw.Registry(tmp_path / "models")


def test_versions_count_up_and_a_model_is_kept_once(registry):
    assert registry.names() == []
    assert registry.models().empty
    assert [registry.add("shop", model(r)) for r in (0.2, 0.3, 0.3, 0.2)] == [1, 2, 2, 3]
    assert registry.versions("shop") == [1, 2, 3]
    assert registry.load("shop", 2).purchases.draws["r"][0] == 0.3
    assert registry.show("shop")["champion"].tolist() == [False, False, False]


def test_promotion_and_the_way_back(registry):
    for r in (0.2, 0.3, 0.4):
        registry.add("shop", model(r))
    with pytest.raises(SourceError, match=r"no champion of 'shop'; it has the versions 1, 2, 3\."):
        registry.load("shop")
    for version in (1, 3, 3, 2):
        registry.promote("shop", version)
        assert registry.champion("shop") == version
        assert registry.load("shop").purchases.draws["r"][0] == (0.2, 0.3, 0.4)[version - 1]
    assert registry.models().to_dict("records") == [{"name": "shop", "versions": 3, "champion": 2}]
    assert registry.show("shop").query("champion")["version"].tolist() == [2]
    assert [registry.roll_back("shop"), registry.roll_back("shop")] == [3, 1]
    with pytest.raises(UsageError, match="has no previous champion"):
        registry.roll_back("shop")
    assert registry.champion("shop") == 1


def test_a_failed_fit_does_not_become_the_champion(registry):
    registry.add("shop", model())
    registry.promote("shop", 1)
    registry.add("shop", model(0.5, "fail"))
    with pytest.raises(FitError, match="failed its diagnostics"):
        registry.promote("shop", 2)
    assert registry.champion("shop") == 1
    registry.promote("shop", 2, force=True)
    assert registry.champion("shop") == 2


def test_drift_is_told_in_standard_deviations(registry):
    registry.add("shop", model(0.2, draws=100))
    registry.add("shop", model(0.3, draws=100))
    registry.promote("shop", 1)
    beside = registry.compare("shop", 2)
    sd = 0.01 * np.linspace(-1, 1, 100).std()
    # Sums of a hundred numbers round in their last digits.
    assert beside.loc["r", "drift"] == pytest.approx(0.1 / (sd * 2**0.5), rel=1e-9)
    assert beside.loc["alpha", "drift"] == 0
    registry.add("shop", lw.CLV(lw.ParetoNBD().from_parameters({"r": 1, "alpha": 1, "s": 1, "beta": 1}, "W")))
    with pytest.raises(UsageError, match="differ in family"):
        registry.compare("shop", 3)


def test_many_at_once_lose_nothing(registry):
    threads = [threading.Thread(target=registry.add, args=("shop", model(r / 10))) for r in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.versions("shop") == [1, 2, 3, 4, 5, 6]
    found = sorted(float(registry.load("shop", v).purchases.draws["r"][0]) for v in registry.versions("shop"))
    assert found == [r / 10 for r in range(1, 7)]


def test_what_is_not_there_or_damaged(registry, tmp_path):
    with pytest.raises(SourceError, match="no version 1 of 'shop'; it is empty"):
        registry.path("shop", 1)
    with pytest.raises(UsageError, match="is not a valid name of a model"):
        registry.add("../up", model())
    registry.add("shop", model())
    with pytest.raises(SourceError, match="has no version 7 of 'shop'; it has the versions 1"):
        registry.promote("shop", 7)
    with pytest.raises(SourceError, match="it has models named shop"):
        registry.load("shoes")
    (tmp_path / "models/shop/champion.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        registry.champion("shop")


def test_what_a_killed_process_left_goes_with_the_next_change(tmp_path):
    """Also where that change writes nothing, since the version is there already."""
    registry = lw.Registry(tmp_path)
    registry.add("shop", model())
    (tmp_path / "shop/.1.abcd_123/new").mkdir(parents=True)
    (tmp_path / "shop/.1.something").mkdir()
    assert registry.add("shop", model()) == 1
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [".1.something", ".lock", "1"]


def test_readers_find_a_whole_champion_while_models_are_added(registry):
    """Readers and a writer that adds and promotes versions side by side."""
    registry.add("shop", model(0.1))
    registry.promote("shop", 1)
    done = threading.Event()

    def write():
        for number in range(2, 30):
            registry.promote("shop", registry.add("shop", model(number / 10)))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(float(registry.load("shop").purchases.draws["r"][0]))
    writer.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert registry.load("shop").purchases.draws["r"][0] == 2.9
