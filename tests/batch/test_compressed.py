"""CSV files compressed by gzip are read through every way in as the same files unpacked."""

import gzip

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError, UsageError


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 300, 3000), "D")
    ids = [f"müller {one}" for one in rng.integers(0, 400, 3000)]
    return pd.DataFrame({"customer_id": ids, "date": days.strftime("%Y-%m-%d"), "amount": rng.integers(1, 99, 3000)})


def both(folder, content: bytes, name: str = "log.csv"):
    """The same content as it is and compressed."""
    plain, packed = folder / name, folder / f"{name}.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    return plain, packed


def text(log: pd.DataFrame, **how) -> str:
    return log.to_csv(index=False, **how)


WAYS = {
    "rfm": lambda path: lw.rfm_summary(path).to_pandas(),
    "little memory": lambda path: lw.rfm_summary(path, memory_limit="64MB").to_pandas(),
    "without doubles": lambda path: lw.rfm_summary(path, duplicates="drop").to_pandas(),
    "cohorts": lambda path: lw.cohort_table(path),
    "historical": lambda path: lw.historical_clv(path),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_reads_the_same(log, tmp_path, way):
    plain, packed = both(tmp_path, text(log).encode())
    pd.testing.assert_frame_equal(WAYS[way](packed), WAYS[way](plain))


@pytest.mark.parametrize(
    "content",
    [
        lambda log: text(log, sep=";").encode(),
        lambda log: ("\ufeff" + text(log)).encode("utf-8"),
        lambda log: text(log).replace("\n", "\r\n").encode(),
        lambda log: text(log, quoting=1).replace("müller 7,", "müller\n7,").encode(),
        lambda log: (text(log) + "someone,2025-02-03\n").encode(),  # a short line, which the lenient reader takes
        lambda log: text(log).replace("müller 8,", "mül\0ler 8,").encode(),
    ],
    ids=["semicolons", "byte order mark", "carriage returns", "quotes", "a short line", "null characters"],
)
@pytest.mark.parametrize("limit", [None, "20kB"])
def test_each_form_of_text_reads_the_same(log, tmp_path, content, limit):
    found = []
    for path in both(tmp_path, content(log)):
        try:
            found.append(lw.rfm_summary(path, memory_limit=limit).to_pandas())
        except DataError as error:
            found.append(str(error).replace(".csv.gz", ".csv"))
    if isinstance(found[0], str):
        assert found[0] == found[1]
    else:
        pd.testing.assert_frame_equal(*found)


def test_other_names_members_and_folders(log, tmp_path):
    content = text(log).encode()
    head, *rows = content.splitlines(keepends=True)
    expected = lw.rfm_summary(both(tmp_path, content)[0]).to_pandas()
    upper = tmp_path / "LOG.CSV.GZ"
    # gzip files put one behind the other are a gzip file.
    upper.write_bytes(gzip.compress(head + b"".join(rows[:1000])) + gzip.compress(b"".join(rows[1000:])))
    pd.testing.assert_frame_equal(lw.rfm_summary(upper).to_pandas(), expected)
    tabs = both(tmp_path, text(log, sep="\t").encode(), "log.tsv")[1]
    pd.testing.assert_frame_equal(lw.rfm_summary(tabs).to_pandas(), expected)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.csv").write_bytes(head + b"".join(rows[:1000]))
    (folder / "b.csv.gz").write_bytes(gzip.compress(head + b"".join(rows[1000:])))
    pd.testing.assert_frame_equal(lw.rfm_summary(folder).to_pandas(), expected)
    pd.testing.assert_frame_equal(lw.rfm_summary(str(folder / "*.csv*")).to_pandas(), expected)


def test_other_encodings(log, tmp_path, command):
    plain, packed = both(tmp_path, text(log).encode("cp1252"))
    for path in (plain, packed):
        code, _, err = command("rfm", path, "--encoding", "cp1252", "--out", tmp_path / f"{path.suffix[1:]}.parquet")
        assert code == 0, err
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "gz.parquet"), pd.read_parquet(tmp_path / "csv.parquet"))
    code, _, err = command("rfm", packed, "--out", tmp_path / "r.parquet")
    assert (code, "it is not text in UTF-8" in err) == (5, True)


def test_tables_jobs_and_states(log, tmp_path, command):
    plain, packed = both(tmp_path, text(log).encode())
    rfm = lw.rfm_summary(plain)
    table = both(tmp_path, rfm.to_pandas().to_csv(index=False).encode(), "rfm.csv")[1]
    found, expected = (lw.RFM.from_frame(path, "W").to_pandas() for path in (table, table.with_suffix("")))
    pd.testing.assert_frame_equal(found, expected)
    (tmp_path / "job.toml").write_text(
        f'name = "shop"\n[source]\npath = "{packed.name}"\n[model]\nmethod = "laplace"\n[scores]\nhorizon = "8W"\n'
        'uncertainty = "none"\n[sink]\npath = "scores.csv"\n',
        "utf-8",
    )
    code, _, err = command("run", tmp_path / "job.toml")
    assert code == 0, err
    assert len(pd.read_csv(tmp_path / "scores.csv")) == len(rfm)
    code, _, err = command("rfm", packed, "--out", packed)
    assert (code, err.count("\n")) == (2, 1)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_damaged_and_other_archives_are_one_sentence(log, tmp_path):
    content = gzip.compress(text(log).encode())
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"cut.csv.gz could not be read: .*(cut off|truncated)"):
        lw.rfm_summary(cut)
    turned = tmp_path / "turned.csv.gz"
    turned.write_bytes(content[:2000] + bytes([content[2000] ^ 255]) + content[2001:])
    with pytest.raises((SourceError, DataError), match=r"turned.csv.gz"):
        lw.rfm_summary(turned)
    none = tmp_path / "none.csv.gz"
    none.write_text(text(log))
    with pytest.raises(SourceError, match=r"none.csv.gz could not be read: Not a gzipped file"):
        lw.rfm_summary(none)
    for name in ("log.zip", "log.csv.bz2", "log.parquet.gz", "log.csv.zst"):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(UsageError, match=r"is compressed, and only .csv.gz is read so: unpack it first"):
            lw.rfm_summary(tmp_path / name)
