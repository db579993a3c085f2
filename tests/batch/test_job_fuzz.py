"""Whatever stands in a job file or on the command line, the answer is one sentence and an exit code of the promise."""

import datetime as dt
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lifeworth as lw
from lifeworth import cli
from lifeworth.errors import LifeworthError, UsageError
from lifeworth.jobs import dry_run, read_job
from lifeworth.jobs.job import _SECTIONS, _known

HUGE = int("9" * 400)
NESTED = []
for _ in range(3000):
    NESTED = [NESTED]
ODD_TEXTS = [
    *("", "x" * 5000, "\ud800", "a\0b", "~no-such-user/x", "é" * 300, "/dev/null", "\n", "[", "*", "**"),
    *(
        "{a",
        "9" * 400 + "W",
        "1e400W",
        "1" * 400 + "M",
        "0W",
        "-1W",
        "forever",
        "9999-12-31",
        "0001-01-01",
        "2020-13-45",
    ),
    *(
        "0GB",
        "1" * 400 + "GB",
        "utf-16",
        "hex",
        "rot13",
        "../etc/passwd",
        "%d/%m/%Y%" * 100,
        '"',
        "'; DROP TABLE x; --",
    ),
]
ODD_VALUES = [
    *ODD_TEXTS,
    *(HUGE, -HUGE, 2**63, 2**64, -1, 0, 10**18, float("nan"), float("inf"), -float("inf"), 1e308, 1e-310, True, None),
    *([], {}, [[]], NESTED, {"a": {"b": 1}}, b"x", object(), dt.date(9999, 12, 31), dt.date(1, 1, 1)),
]
SHALLOW = [value for value in ODD_VALUES if value is not NESTED]  # Hypothesis writes values out
KEYS = [(section, key) for section in _SECTIONS for key in _known([section])]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.sampled_from(SHALLOW),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
often = settings(deadline=None, suppress_health_check=list(HealthCheck))


def sections(folder):
    return {
        "name": "nightly",
        "source": {"path": str(folder / "tx.csv")},
        "model": {"saved": str(folder / "model")},
        "scores": {"horizon": "12M", "uncertainty": "mean"},
        "sink": {"path": str(folder / "s.parquet")},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "tx.csv").write_text("customer_id,date,amount\na,2026-01-01,1\na,2026-02-01,2\nb,2026-01-05,3\n", "utf-8")
    known = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    lw.CLV(lw.BetaGeo().from_parameters(known, time_unit="W")).save(folder / "model")
    lw.rfm_summary(folder / "tx.csv").to_parquet(folder / "rfm.parquet")
    return folder


def with_value(folder, section, key, value):
    whole = sections(folder)
    given = whole.setdefault(section, {})
    if key in ("duckdb", "postgresql", "table", "schema", "query", "parameters", "unrestricted_sql"):
        given.pop("path")
        given |= {"duckdb": str(folder / "no.duckdb"), "table": "t"}
        if key in ("query", "parameters", "unrestricted_sql"):
            del given["table"]
            given |= {"duckdb": ":memory:", "query": "SELECT 1 AS customer_id, $1 AS date, 2 AS amount"}
        if key == "postgresql":
            del given["duckdb"]
    if section == "gate" or (section == "model" and key not in ("saved", "registry")):
        whole["model"].pop("saved")
    given[key] = value
    return whole


def check(whole):
    """Make a job and see what it would do: nothing but our own errors, each a sentence."""
    try:
        job = lw.Job(**whole)
    except UsageError as error:
        check_sentence(error)
        return
    try:
        dry_run(job)
    except LifeworthError as error:
        check_sentence(error)


def check_sentence(error):
    text = str(error)
    assert text.endswith("."), text[:300]
    assert "\n" not in text
    text.encode("utf-8")
    assert error.exit_code in (2, 3, 4, 5)


@pytest.mark.slow
@pytest.mark.parametrize(("section", "key"), KEYS)
def test_each_key_with_each_odd_value(section, key, folder):
    for value in ODD_VALUES:
        check(with_value(folder, section, key, value))


@pytest.mark.slow
@often
@given(data=st.data())
def test_keys_with_anything(folder, data):
    section, key = data.draw(st.sampled_from(KEYS))
    check(with_value(folder, section, key, data.draw(anything)))


@pytest.mark.slow
@often
@given(whole=st.dictionaries(st.text() | st.sampled_from([*_SECTIONS, "name"]), anything, max_size=8))
def test_sections_with_anything(folder, whole):
    check({**sections(folder), **whole})


@pytest.mark.slow
@often
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_files_with_anything(folder, content):
    (folder / "job.toml").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_job(folder / "job.toml")
    check_sentence(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"name = {HUGE}", "name: input should be a valid string"),
        ("name = " + "9" * 5000, "is not TOML"),
        ("name = " + "[" * 5000, "nested too deeply"),
        ("name = " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('name = "a\\u0000b"', "name"),
        ('name = "\\ud800"', "is not TOML"),
        ("\0", "is not TOML"),
        ("[scores]\nhorizon = 1e999", "scores: horizon=inf must be longer than nothing and finite"),
        (f"[scores]\nhorizon = 1\nseed = {HUGE}", "scores: seed="),
        (f"[model]\ndraws = {HUGE}", "model.draws: input should be less than"),
    ],
)
def test_a_file_with_odd_numbers_and_characters_is_one_sentence(content, sentence, tmp_path):
    (tmp_path / "job.toml").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=sentence) as caught:
        read_job(tmp_path / "job.toml")
    check_sentence(caught.value)


OPTIONS = {
    "rfm": (
        ["rfm", "tx.csv", "--out", "o.parquet"],
        "--out --customer-id --date --amount --date-format --time-zone --encoding --decimal --period --time-unit "
        "--observation-end --refunds --duplicates --currency --threads --memory-limit --audit",
    ),
    "predict": (
        ["predict", "--model", "model", "--input", "rfm.parquet", "--out", "o.parquet", "--uncertainty", "none"],
        "--model --input --out --horizon --discount-rate --margin --cost-per-order --acquisition-cost --inflation "
        "--interval --uncertainty --seed --currency --observation-end",
    ),
    "fit": (
        ["fit", "rfm.parquet", "--model", "made", "--method", "none"],
        "--model --purchases --method --draws --seed --period --time-unit --currency",
    ),
    "run": (["run", "job.toml", "--dry-run"], "--run-id --log"),
    "models": (["models", "list"], "--registry"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, (_, options) in OPTIONS.items() for option in ["", *options.split()]]
)
def test_the_command_line_with_odd_texts(name, option, folder, tmp_path, monkeypatch, capsys):
    arguments, _ = OPTIONS[name]
    for file in ("tx.csv", "rfm.parquet"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    monkeypatch.chdir(tmp_path)
    lw.load(folder / "model").save(tmp_path / "model")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
    for text in [one for one in ODD_TEXTS if "\0" not in one and "\ud800" not in one] + [
        "\udce9",
        "customer_id",
        "nan",
    ]:
        whole = [*arguments, option, text] if option else [arguments[0], text, *arguments[2:]]
        monkeypatch.setattr(sys, "argv", ["lifeworth", *whole])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        _, err = capsys.readouterr()
        assert (stopped.value.code or 0) in (0, 2, 3, 4, 5), (text, err)
        if stopped.value.code:
            said = [line for line in err.strip().splitlines() if not line.startswith("lifeworth: warning")]
            assert len(said) == 1, (text, err)
            assert "bug" not in err


def test_an_operating_system_error_is_one_sentence(command, folder):
    for arguments in (
        ["predict", "--model", folder / "model", "--input", "x" * 300, "--out", "s.csv"],
        ["init", "x" * 300],
        ["models", "list", "--registry", "x" * 300],
        ["run", "a\nb.toml"],
    ):
        code, _, err = command(*arguments)
        assert code == 5, err
        assert len(err.splitlines()) == 1


def test_a_log_without_amounts_is_told_what_to_write(command, tmp_path):
    (tmp_path / "log.csv").write_text("cust,date\na,2026-01-01\n", "utf-8")
    code, _, err = command("rfm", tmp_path / "log.csv", "--out", tmp_path / "r.csv")
    assert code == 3
    assert 'customer_id="cust"' in err
    assert 'leave it out with amount=None (--amount ""; in a job, amount = "")' in err


@pytest.mark.parametrize("how", [["--dry-run"], []])
@pytest.mark.parametrize(
    "source", ['path = "log.csv"', 'duckdb = ":memory:"\nquery = "SELECT * FROM read_csv(\'log.csv\')"']
)
def test_a_job_on_a_log_without_amounts_is_told_what_to_write(command, tmp_path, source, how):
    (tmp_path / "log.csv").write_text("cust,date\na,2026-01-01\n", "utf-8")
    (tmp_path / "job.toml").write_text(
        f'name = "x"\n[source]\n{source}\n[scores]\nhorizon = "4W"\n[sink]\npath = "s.csv"\n', "utf-8"
    )
    code, _, err = command("run", tmp_path / "job.toml", *how)
    assert code == 3, err
    assert 'customer_id="cust"' in err
    assert 'in a job, amount = "")' in err
    assert not (tmp_path / "s.csv").exists()


def test_an_empty_registry_is_said_to_be_empty(command, tmp_path):
    assert command("models", "list", "--registry", tmp_path)[:2] == (0, f"There are no models in {tmp_path}.\n")


def test_a_column_of_ids_is_no_margin(command, folder, tmp_path):
    known = ["--model", folder / "model", "--input", folder / "rfm.parquet", "--out", tmp_path / "s.csv"]
    code, _, err = command("predict", *known, "--margin", "customer_id")
    assert (code, err.count("\n")) == (2, 1)
    assert "customer_id names the customers" in err
