"""Nothing that is read is overwritten, deleted or added to: files are compared by what they are."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import lifeworth as lw
from lifeworth import cli
from lifeworth.errors import UsageError
from lifeworth.report.export import check_results
from lifeworth.tables import check_output, find_files


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def shop(tmp_path, cdnow_sample, monkeypatch):
    """Transactions in the working directory."""
    monkeypatch.chdir(tmp_path)
    cdnow_sample.to_parquet(tmp_path / "orders.parquet")
    return tmp_path


@pytest.fixture
def command(monkeypatch, capsys):
    monkeypatch.setattr("sys.excepthook", None)
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)

    def run_command(*arguments):
        monkeypatch.setattr("sys.argv", ["lifeworth", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, capsys.readouterr().err

    return run_command


SPELLINGS = {
    "plain": lambda shop: "orders.parquet",
    "dotted": lambda shop: "./orders.parquet",
    "absolute": lambda shop: shop / "orders.parquet",
    "roundabout": lambda shop: f"../{shop.name}/orders.parquet",
    "symbolic link": lambda shop: "soft.parquet",
    "hard link": lambda shop: "hard.parquet",
    "linked folder": lambda shop: "here/orders.parquet",
}


@pytest.fixture(params=SPELLINGS)
def spelled(request, shop):
    """Another path to the transactions."""
    (shop / "soft.parquet").symlink_to("orders.parquet")
    os.link(shop / "orders.parquet", shop / "hard.parquet")
    (shop / "here").symlink_to(shop, target_is_directory=True)
    return SPELLINGS[request.param](shop)


def test_no_command_overwrites_its_input(shop, spelled, command):
    before = digest("orders.parquet")
    lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")).save("m")
    (shop / "page.html").symlink_to("orders.parquet")
    (shop / "audit.csv").symlink_to("orders.parquet")
    (shop / "results").mkdir()
    (shop / "results" / "customers.parquet").symlink_to(shop / "orders.parquet")
    for arguments in (
        ("rfm", "orders.parquet", "--out", spelled),
        ("rfm", spelled, "--out", "orders.parquet"),
        ("rfm", "orders.parquet", "--out", "rfm.parquet", "--audit", "audit.csv"),
        ("predict", "--model", "m", "--input", "orders.parquet", "--amount", "", "--out", spelled),
        ("backtest", spelled, "--out", "results"),
        ("report", spelled, "--out", "page.html"),
    ):
        code, text = command(*arguments)
        assert code == 2, text
        assert "which is an input and would be overwritten" in text
        assert digest("orders.parquet") == before
    assert not (shop / "rfm.parquet").exists()


def test_no_function_overwrites_its_input(shop, spelled):
    before = digest("orders.parquet")
    rfm = lw.rfm_summary("orders.parquet", observation_end="1997-09-30")
    calibration, _ = lw.train_test_split(spelled, train_end="1997-09-30")
    clv = lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W"))
    for write in (
        lambda: rfm.to_parquet(spelled),
        lambda: rfm.take(np.arange(9)).to_parquet(spelled),
        lambda: calibration.to_parquet("orders.parquet"),
        lambda: lw.rfm_summary(find_files(spelled)).to_parquet("orders.parquet"),
        lambda: clv.score(rfm, spelled, "13W"),
    ):
        with pytest.raises(UsageError, match="would be overwritten"):
            write()
        assert digest("orders.parquet") == before
    rfm.to_parquet("rfm.parquet")
    os.link("rfm.parquet", "same.parquet")
    with pytest.raises(UsageError, match="would be overwritten"):
        clv.score("rfm.parquet", "same.parquet", "13W")
    rfm.to_parquet("rfm.parquet")  # an output of before is replaced
    lw.rfm_summary(lw.load_cdnow(sample=True)).to_parquet("rfm.parquet")  # of a table in memory, anything is


def test_a_source_in_another_working_directory_is_not_overwritten(shop, monkeypatch):
    rfm = lw.rfm_summary("orders.parquet")
    (shop / "sub").mkdir()
    monkeypatch.chdir(shop / "sub")
    with pytest.raises(UsageError, match="would be overwritten"):
        rfm.to_parquet("../orders.parquet")
    rfm.to_parquet("orders.parquet")  # another file of this name


def test_outputs_do_not_join_the_data(shop, command):
    (shop / "data" / "2026").mkdir(parents=True)
    (shop / "link").symlink_to(shop / "data", target_is_directory=True)
    shutil.copy("orders.parquet", "data/2026/a.parquet")
    for source, out in (
        ("data", "data/rfm.parquet"),
        ("data", "link/new/rfm.parquet"),
        ("link", "data/2026/rfm.parquet"),
        ("data/**/*.parquet", "data/x/y/rfm.parquet"),
        ("data/*/*.parquet", "link/2026/rfm.parquet"),
        ("data/*", "data/2027/rfm.parquet"),
    ):
        code, text = command("rfm", source, "--out", out)
        assert (code, "would be a part of" in text) == (2, True), (source, out, text)
    with pytest.raises(UsageError, match="would be a part of"):
        lw.rfm_summary("data").to_parquet("data/rfm.parquet")
    with pytest.raises(UsageError, match="would be a part of"):
        lw.RFMState("data/state").update("data")
    with pytest.raises(UsageError, match="would be a part of"):
        check_results(Path("data/results"), "data")
    assert command("fit", "data", "--model", "data/model")[0] == 2
    assert (
        command("rfm", "data/*.csv", "--out", "data/rfm.parquet")[0] == 5
    )  # nothing matches, and nothing is in the way
    for source, out in (
        ("data", "data/_results/rfm.parquet"),
        ("data", "rfm.parquet"),
        ("data/*/*.parquet", "data/rfm.parquet"),
        ("data/**/a.parquet", "data/2026/b.parquet"),
    ):
        assert command("rfm", source, "--out", out)[0] == 0, (source, out)
        Path(out).unlink()


def test_a_folder_that_holds_the_data_is_not_replaced(shop, command):
    known = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
    lw.CLV(known).save("model")
    shutil.copy("orders.parquet", "model/.orders.parquet")
    code, text = command("fit", "model/.orders.parquet", "--model", "model")
    assert (code, "a folder that holds model/.orders.parquet" in text) == (2, True), text
    for out in ("model/scores.parquet", "model/purchases/posterior.parquet"):
        code, text = command("predict", "--model", "model", "--input", "orders.parquet", "--amount", "", "--out", out)
        assert code == 2, text
    assert isinstance(lw.load("model"), lw.CLV)


def test_two_outputs_are_two_files(shop, command):
    (shop / "soft.csv").symlink_to("rfm.csv")
    for audit in ("rfm.csv", "./rfm.csv", "soft.csv"):
        code, text = command("rfm", "orders.parquet", "--out", "rfm.csv", "--audit", audit)
        assert (code, "--out and --audit are the same file" in text) == (2, True)


def mounted(source, target):
    """Whether a folder could be mounted at another place, which only some may."""
    return subprocess.run(["mount", "--bind", source, target], check=False, capture_output=True).returncode == 0


def test_a_file_below_another_mount_is_the_same_file(shop):
    (shop / "data" / "2026").mkdir(parents=True)
    shutil.copy("orders.parquet", "data/2026/a.parquet")
    (shop / "mount").mkdir()
    if not mounted(shop / "data" / "2026", shop / "mount"):
        pytest.skip("no folder can be mounted here")
    try:
        with pytest.raises(UsageError, match="would be overwritten"):
            check_output("mount/a.parquet", "data/2026/a.parquet")
        for source in ("data", "data/2026/*.parquet"):
            with pytest.raises(UsageError, match="would be a part of"):
                check_output("mount/b.parquet", source)
    finally:
        subprocess.run(["umount", shop / "mount"], check=True)
