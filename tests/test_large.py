"""Folders, patterns and memory limits: many files are one table, and what does not fit leaves nothing behind."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.rfm import source as sources
from lifeworth.rfm.memory_limit import available_memory, memory_budget


@pytest.fixture(autouse=True)
def few_files(monkeypatch):
    """A limit of one byte would share a small table out among a thousand files."""
    monkeypatch.setattr(sources, "_MOST_BITS", 2)


def log(rows=3_000, seed=1):
    rng = np.random.default_rng(seed)
    when = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 400 * 86_400, rows), unit="s")
    return pd.DataFrame(
        {"customer_id": rng.integers(1, 200, rows), "date": when, "amount": rng.integers(1, 9_999, rows) / 100}
    )


def spread(frame, folder, kind="parquet", parts=3):
    """The frame in several files, in folders of folders."""
    for part in range(parts):
        some = frame.iloc[part * len(frame) // parts : (part + 1) * len(frame) // parts]
        path = folder / f"year={part}" / f"part-{part}.{kind}"
        path.parent.mkdir(parents=True)
        some.to_parquet(path) if kind == "parquet" else some.to_csv(path, index=False)
    return folder


def same(got, expected):
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas(), check_exact=True)
    assert got.audit == expected.audit


# --- folders and patterns --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("limit", [None, 1])
def test_a_folder_or_pattern_is_one_table(kind, limit, tmp_path):
    frame = log()
    expected = lw.rfm_summary(frame)
    folder = spread(frame, tmp_path / "data", kind)
    (folder / "_SUCCESS").write_text("")
    (folder / f".part-0.{kind}.crc").write_text("x")
    for path in (folder, str(folder), f"{folder}/*/part-*.{kind}", f"{folder}/year=*", f"{folder}/**/*.{kind}"):
        same(lw.rfm_summary(path, memory_limit=limit), expected)
    one = lw.rfm_summary(f"{folder}/year=1/*", memory_limit=limit)
    assert one.audit.rows_in == 1_000


def test_ids_are_numbers_only_if_they_are_in_all_files(tmp_path):
    (tmp_path / "a.csv").write_text("customer_id,date,amount\n7,20240101,1\n8,20240102,2\n")
    (tmp_path / "b.csv").write_text("customer_id,date,amount\n007,20240103,1\n7,20240103,n/a\n")
    for limit in (None, 1):
        rfm = lw.rfm_summary(tmp_path, memory_limit=limit)
        assert rfm.customer_id.tolist() == ["007", "7", "8"]
        assert rfm.audit.left_out == {"with a missing amount": 1}


def test_times_of_several_units_are_one_column(tmp_path):
    for unit in ("s", "ms", "us"):
        table = pa.Table.from_pandas(log(100)).cast(
            pa.schema([("customer_id", pa.int32()), ("date", pa.timestamp(unit)), ("amount", pa.float64())])
        )
        pq.write_table(table, tmp_path / f"{unit}.parquet")
    assert lw.rfm_summary(tmp_path).audit.rows_used == 300
    same(lw.rfm_summary(tmp_path, memory_limit=1), lw.rfm_summary(tmp_path))


def test_folders_that_are_no_table(tmp_path):
    frame = log(30)
    with pytest.raises(SourceError, match=r"the folder holds no .parquet or .csv file"):
        lw.rfm_summary(tmp_path)
    with pytest.raises(SourceError, match=r"no file matches this pattern"):
        lw.rfm_summary(f"{tmp_path}/2024-*.parquet")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.rename(columns={"amount": "paid"}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet has no column 'amount'; it has: customer_id, date, paid"):
        lw.rfm_summary(tmp_path)
    frame.assign(customer_id=frame["customer_id"].astype(str)).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"'customer_id' is .*string in .*b.parquet, and int64 in the files before"):
        lw.rfm_summary(tmp_path)
    frame.to_csv(tmp_path / "b.csv")
    with pytest.raises(UsageError, match=r"a.parquet and b.csv are files of different kinds"):
        lw.rfm_summary(tmp_path)
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(UsageError, match=r"notes.md is neither a .parquet nor a .csv file"):
        lw.rfm_summary(tmp_path / "*.md")


# --- progress --------------------------------------------------------------------------------------------


def steps(seen):
    """The steps that were told of, in order, with the shares told of each."""
    found = {}
    for what, share in seen:
        found.setdefault(what, []).append(share)
    return found


def test_both_steps_of_a_table_that_does_not_fit_tell_how_far_they_are(tmp_path):
    frame, seen = log(400_000), []
    frame.to_parquet(tmp_path / "tx.parquet", row_group_size=50_000)

    def watch(what, share):
        seen.append((what, share))

    lw.rfm_summary(tmp_path / "tx.parquet", memory_limit=1, progress=watch)
    found = steps(seen)
    assert list(found) == ["reading transactions", "counting purchases"]
    for shares in found.values():
        assert shares == sorted(shares)
        assert 0.0 == shares[0] < shares[-1] <= 1.0
        assert len(set(shares)) > 2
    assert [what for what, _ in seen] == sorted((what for what, _ in seen), reverse=True)  # one step, then the other
    once = len(seen)
    lw.train_test_split(tmp_path / "tx.parquet", train_end="2023-07-01", memory_limit=1, progress=watch)
    assert seen[once:] == seen[:once]


def test_tables_in_memory_tell_their_steps():
    seen = []
    lw.rfm_summary(log(), progress=lambda what, share: seen.append((what, share)))
    assert seen == [("reading transactions", 0.0), ("counting purchases", 0.0)]


# --- memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("4GB", 4 * 10**9), ("1.5 gib", 3 * 2**29), ("512MB", 512 * 10**6), ("100", 100), (7, 7), ("2k", 2_000)],
)
def test_limits_as_people_write_them(limit, expected):
    assert memory_budget(limit) == expected


@pytest.mark.parametrize("limit", ["", "much", "4 X", "-1GB", 0, -5, True, 1.5, "0GB"])
def test_limits_that_are_none(limit):
    with pytest.raises(UsageError, match=r"memory_limit=.* is not an amount of memory: say \"4GB\""):
        memory_budget(limit)


def written(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_what_is_free_is_the_least_that_anybody_allows(tmp_path):
    machine = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"}
    assert available_memory(written(tmp_path / "plain", machine)) == 8_000 * 1024
    second = {
        "proc/self/cgroup": "0::/jobs/mine\n",
        "sys/fs/cgroup/jobs/mine/memory.max": "max\n",
        "sys/fs/cgroup/jobs/mine/memory.current": "5000\n",
        "sys/fs/cgroup/jobs/memory.max": "20000\n",
        "sys/fs/cgroup/jobs/memory.current": "15000\n",
        "sys/fs/cgroup/jobs/memory.stat": "anon 1\ninactive_file 1000\n",
    }
    assert available_memory(written(tmp_path / "second", machine | second)) == 6_000
    first = {
        "proc/self/cgroup": "5:cpu:/x\n4:memory:/elsewhere\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "30000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "10000\n",
    }
    assert available_memory(written(tmp_path / "first", machine | first)) == 20_000
    assert available_memory() > 0


SCRIPT = """
import sys, lifeworth as lw
from lifeworth.rfm import source, spill
source._MOST_BITS = 2
write = spill._Files.write
def told(*arguments):
    write(*arguments)
    print("spilling", flush=True)
spill._Files.write = told
{more}
lw.rfm_summary(sys.argv[1], memory_limit=1)
"""


def run(script, source, temporary):
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-c", script, str(source)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def shelf(tmp_path):
    """A table that takes many batches, and an empty folder for temporary files."""
    log(400_000).to_parquet(tmp_path / "tx.parquet", row_group_size=10_000)
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_control_c_while_spilling_leaves_nothing(shelf):
    process = run(SCRIPT.format(more=""), shelf / "tx.parquet", shelf / "temporary")
    assert process.stdout.readline() == "spilling\n"
    assert list((shelf / "temporary").iterdir())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    assert list((shelf / "temporary").iterdir()) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(shelf):
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    more = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    process = run(SCRIPT.format(more=more), shelf / "tx.parquet", shelf / "temporary")
    _, err = process.communicate(timeout=120)
    last = err.strip().splitlines()[-1]
    assert "SourceError: The table does not fit in memory, and its rows cannot be put aside in" in last
    assert "let TMPDIR name another folder, or raise memory_limit." in last
    assert list((shelf / "temporary").iterdir()) == []
