"""Job files: what may stand in them, and what is said about what may not."""

import json
import re
import tomllib
from importlib.resources import files

import pytest

from lifeworth.errors import SourceError, UsageError
from lifeworth.jobs.databases import MEMORY
from lifeworth.jobs.job import read_job
from lifeworth.jobs.sinks import PostgreSQLSink
from lifeworth.jobs.sources import DuckDBSource, FilesSource, PostgreSQLSource

TEMPLATE = files("lifeworth.jobs").joinpath("template.toml").read_text(encoding="utf-8")
MINIMAL = """
name = "nightly"
[source]
path = "tx.parquet"
[scores]
horizon = "12M"
[sink]
path = "scores.parquet"
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text, **variables):
        (tmp_path / "job.toml").write_text(text, encoding="utf-8")
        return read_job(tmp_path / "job.toml", variables)

    return read_text


def changed(section, *lines, without=()):
    """The smallest job, with lines more in a section and without others."""
    kept = [line for line in MINIMAL.splitlines() if line not in without]
    if f"[{section}]" not in kept:
        kept.append(f"[{section}]")
    at = kept.index(f"[{section}]") + 1
    return "\n".join([*kept[:at], *lines, *kept[at:]])


def test_the_smallest_job(read, tmp_path):
    job = read(MINIMAL)
    assert job.source.place(job.root) == FilesSource(str(tmp_path / "tx.parquet"))
    assert job.sink.place(job.root).label == str(tmp_path / "scores.parquet")
    assert job.scores.terms()["uncertainty"] == "customer"


def test_the_template_is_a_job_and_its_defaults_are_true(read):
    job = read(TEMPLATE)
    # Every line that is commented out, but for the examples, says the default of its key: nothing changes with it.
    lines = [
        re.sub(r"^# (?=\w+ = )", "", line) if "for example" not in line else line for line in TEMPLATE.splitlines()
    ]
    lonely = ("version", "promote", "least_per_segment", "most_bias", "most_worse")  # refused without their partners
    whole = "\n".join(line for line in lines if not line.startswith(lonely))
    assert whole != TEMPLATE
    assert read(whole).model_dump() == job.model_dump()


def test_the_template_knows_every_key(read):
    from lifeworth.jobs.job import _SECTIONS, _known

    shown = re.sub(r"(?m)^# (?=\w+ = )", "", TEMPLATE)
    for name in _SECTIONS:
        section = shown.partition(f"\n[{name}]")[2].partition("\n[")[0]
        assert set(_known([name])) <= set(re.findall(r"(?m)^(\w+) = ", section)) | {"duckdb", "postgresql"}
    # and its examples are TOML
    for line in shown.splitlines():
        tomllib.loads(line)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed("sink", 'tabel = "x"'), r"sink.tabel is not a key of a job \(did you mean table\?\)"),
        (
            changed("source", "zzz = 1"),
            "source.zzz is not a key of a job; valid keys are: path, duckdb",
        ),
        (MINIMAL + "[skores]\n", r"skores is not a key of a job \(did you mean scores\?\)"),
        (changed("scores", without=['horizon = "12M"']), "scores.horizon is missing"),
        (MINIMAL.replace('name = "nightly"', ""), "name is missing"),
        (MINIMAL.replace("nightly", "a/b"), "name must be up to 100 letters"),
        (changed("model", 'draws = "many"'), "model.draws: input should be a valid integer"),
        (changed("model", "draws = 0"), "model.draws: input should be greater than or equal to 1"),
        (changed("model", "draws = true"), "model.draws: input should be a valid integer"),
        (changed("rfm", 'period = "Q"'), "rfm.period must be 'h', 'D', 'W' or 'M'"),
        (changed("model", 'purchases = "gamma_gamma"'), "model.purchases must be 'bg_nbd', 'mbg_nbd' or 'pareto_nbd'"),
        (changed("scores", "interval = 1.5"), "scores: interval=1.5 is a probability"),
        (
            changed("scores", 'horizon = "soon"', without=['horizon = "12M"']),
            'scores: horizon="soon" is not a duration',
        ),
        (
            changed("scores", 'horizon = "forever"', without=['horizon = "12M"']),
            "needs a discount_rate above inflation",
        ),
        (changed("model", "least_per_segment = 9"), "model has least_per_segment, but no by: there are no segments"),
        (changed("model", 'by = "date"'), "model.by must be another column than"),
        (changed("model", 'saved = "m"', 'by = "country"'), r"\(saved\), so that by would have no effect"),
        (changed("gate", "most_bias = 0.1"), "gate has most_bias, but no backtest, to which they apply"),
        (
            changed("gate", 'backtest = "a while"'),
            'gate.backtest must be a number and one of h, D, W, M, Y, such as "13W"',
        ),
        (changed("gate", 'otherwise = "champion"'), 'gate.otherwise = "champion" needs model.register_as'),
        (
            changed("gate", 'backtest = "13W"') + '\n[model]\nsaved = "m"\n',
            "gate.backtest applies only to models that the job fits",
        ),
        (
            changed("rfm", "incremental = true", 'duplicates = "drop"'),
            'rfm.incremental needs source.path, and rfm.duplicates = "keep"',
        ),
        (changed("scores", "margin = -1"), "scores.margin: input should be greater than or equal to 0"),
        (
            changed("source", 'duckdb = "x"'),
            "source needs one of path, duckdb and postgresql; path and duckdb are given",
        ),
        (changed("source", without=['path = "tx.parquet"']), "source needs one of path, duckdb and postgresql; none"),
        (changed("source", 'table = "x"'), "source has a path, and table, which only databases have"),
        (
            changed("source", 'duckdb = "x"', without=['path = "tx.parquet"']),
            "source reads a database by table or by query",
        ),
        (
            changed("source", 'duckdb = "x"', 'table = "t"', "parameters = [1]", without=['path = "tx.parquet"']),
            "source has parameters, but no query",
        ),
        (
            changed("source", f'duckdb = "{MEMORY}"', 'table = "t"', without=['path = "tx.parquet"']),
            "which contains no tables: give a query",
        ),
        (
            changed("sink", 'duckdb = "x"', without=['path = "scores.parquet"']),
            "sink writes to a database, but has no",
        ),
        (changed("sink", 'mode = "append"'), "to append, give a folder"),
        (changed("sink", 'path = "s.xlsx"', without=['path = "scores.parquet"']), "ends in neither .parquet nor .csv"),
        (changed("sink", 'path = "tx.parquet"', without=['path = "scores.parquet"']), "sink.path is source.path"),
        (changed("model", 'saved = "m"', "draws = 5"), r"model takes a model as it is \(saved\), so that draws would"),
        (changed("model", 'saved = "m"', 'registered = "m"'), "model has both saved and registered"),
        (changed("model", "version = 2"), "model has a version, but no registered model"),
        (changed("model", "promote = false"), "model has promote, but no register_as"),
        (changed("model", 'method = "map"') + '\n[gate]\naccept = "ok"\n', "gate.accept = .* exclude each other"),
        (changed("source", 'amount = ""') + '\n[model]\nspend = "gamma_gamma"\n', "a model of spend needs amounts"),
        (changed("source", 'customer_id = "${WHO}"'), "source.customer_id needs the environment variable 'WHO'"),
        ("name = [\n= 3", "is not TOML: .*line 2"),
    ],
)
def test_a_mistake_is_a_sentence_that_names_the_key(read, text, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        read(text)
    assert caught.value.exit_code == 2
    said = str(caught.value)
    assert "\n" not in said
    assert "pydantic" not in said
    assert said.endswith(".")


def test_all_mistakes_are_told_at_once(read):
    with pytest.raises(UsageError) as caught:
        read(changed("scores", "interval = 'x'", without=['horizon = "12M"']) + "\n[gate]\nacept = 1\n")
    for part in ("scores.horizon is missing", "scores.interval", "gate.acept"):
        assert part in str(caught.value)


def database(read, uri, *lines, **variables):
    text = changed("source", f'postgresql = "{uri}"', *lines, without=['path = "tx.parquet"'])
    return read(
        text.replace('path = "scores.parquet"', f'postgresql = "{uri}"\ntable = "scores"\nschema = "s"'), **variables
    )


def test_secrets_come_from_the_environment_and_go_nowhere(read):
    uri = "postgresql://ann:topsecret@db.example/shop"
    for written, variables in (("${SHOP}", {"SHOP": uri}), (uri, {})):
        job = database(read, written, 'table = "orders"', **variables)
        assert job.source.place(job.root) == PostgreSQLSource(uri, "orders")
        assert job.sink.place(job.root) == PostgreSQLSink(uri, "scores", "s")
        assert "topsecret" not in json.dumps(job.written) + repr(job)
    with pytest.raises(UsageError, match=r"source\.tabel is not a key") as caught:
        database(read, "${SHOP}", 'tabel = "orders"', SHOP=uri)
    assert "topsecret" not in str(caught.value)


def test_a_query_takes_no_variables(read):
    with pytest.raises(UsageError, match=r"source.query contains \$\{DAY\}: put values into source.parameters"):
        database(read, "postgresql:///x", "query = \"SELECT * FROM t WHERE day > '${DAY}'\"", DAY="x")
    job = database(read, "postgresql:///x", 'query = "SELECT $1"', 'parameters = ["${DAY}", 3]', DAY="2026-01-01")
    assert job.source.place(job.root).parameters == ("2026-01-01", 3)


def test_paths_are_seen_from_the_file(read, tmp_path):
    job = read(changed("source", 'duckdb = "a/shop.duckdb"', 'table = "t"', without=['path = "tx.parquet"']))
    assert job.source.place(job.root) == DuckDBSource(str(tmp_path / "a/shop.duckdb"), "t", root=str(tmp_path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        read_job(tmp_path / "none.toml")
