"""Passwords: in whatever form they are given, no message, log, manifest, metric, page, text or pickle repeats them."""

import copy
import json
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import lifeworth as lw
from lifeworth.errors import LifeworthError, SourceError, UsageError
from lifeworth.jobs import dry_run, read_job, run_job
from lifeworth.jobs.connections import ConnectionString
from lifeworth.jobs.databases import failed
from lifeworth.jobs.sinks import PostgreSQLSink
from lifeworth.jobs.sources import DuckDBSource, PostgreSQLSource
from lifeworth.redaction import redact

# A password in two parts: a driver that misreads its middle may show either.
FIRST, SECOND = "Zwiebel", "Kuchen77"
NOWHERE = "localhost:1/shop"  # nobody listens there


def url(middle, place=NOWHERE):
    return f"postgresql://ann:{FIRST}{middle}{SECOND}@{place}"


FORMS = {
    "url": url(""),
    "url, @": url("@"),
    "url, /": url("/"),
    "url, space": url(" "),
    "url, #": url("#"),
    "url, ?": url("?"),
    "url, :": url(":"),
    "url, %": url("%"),
    "url, %zz": url("%zz"),
    "url, &=": url("&a=b"),
    "url, [": url("["),
    "url, backslash and quotes": url("\\'\""),
    "url, line break": url("\n"),
    "url, null": url("\0"),
    "url, not ASCII": url("ü€"),
    "url, digits then /": f"postgresql://ann:77/{FIRST}@{SECOND}@{NOWHERE}",
    "url, @ and ?": url("@x?y=z"),
    "url, %40": url("%40"),
    "url, %2F": url("%2F"),
    "url, %20": url("%20"),
    "url, ?password=": f"postgresql://{NOWHERE}?password={FIRST}{SECOND}",
    "url, ?password=%40": f"postgresql://{NOWHERE}?user=ann&password={FIRST}%40{SECOND}",
    "url, ?password=@": f"postgresql://{NOWHERE}?user=ann&password={FIRST}@{SECOND}",
    "url, ?sslpassword=": f"postgresql://{NOWHERE}?sslpassword={FIRST}{SECOND}&sslmode=disable",
    "url, misspelled parameter": f"postgresql://{NOWHERE}?pasword={FIRST}{SECOND}",
    "url, parameter without a value": f"postgresql://{NOWHERE}?{FIRST}{SECOND}",
    "url, several hosts": f"postgresql://ann:{FIRST}{SECOND}@localhost:1,localhost:2/shop",
    "url, IPv6": f"postgresql://ann:{FIRST}{SECOND}@[::1]:1/shop",
    "url, port": f"postgresql://localhost:{FIRST}{SECOND}/shop",
    "url, line break at its end": url("") + "\n",
    "url of upper case": url("").replace("postgresql", "POSTGRESQL"),
    "url of SQLAlchemy": url("").replace("postgresql", "postgresql+psycopg2"),
    "url of JDBC": f"jdbc:postgresql://{NOWHERE}?user=ann&password={FIRST}{SECOND}",
    "url of MySQL": url("").replace("postgresql", "mysql"),
    "list": f"host=localhost port=1 user=ann password={FIRST}{SECOND}",
    "list, quoted": f"host=localhost port=1 password='{FIRST} {SECOND}'",
    "list, escaped quote": f"host=localhost port=1 password='{FIRST}\\'{SECOND}'",
    "list, escaped space": f"host=localhost port=1 password={FIRST}\\ {SECOND}",
    "list, space": f"host=localhost port=1 password={FIRST} {SECOND}",
    "list, space and =": f"host=localhost port=1 password={FIRST} {SECOND}=1",
    "list, open quote": f"host=localhost port=1 password='{FIRST}{SECOND}",
    "list, quote within": f"host=localhost port=1 password='{FIRST}'{SECOND}",
    "list, spaces around =": f"host = localhost port = 1 password = {FIRST}{SECOND}",
    "list, misspelled keyword": f"host=localhost port=1 pasword={FIRST}{SECOND}",
    "list, port": f"host=localhost port={FIRST}{SECOND}",
    "list, sslpassword": f"host=localhost port=1 sslmode=disable sslpassword={FIRST}{SECOND}",
    "list, url as dbname": f"dbname=postgresql://ann:{FIRST}%40{SECOND}@{NOWHERE}",
    "list, PGPASSWORD": "host=localhost port=1 user=ann",
    "service": "service=shop",
    "service that is not there": f"service=none password={FIRST}{SECOND}",
    "password alone": f"{FIRST}{SECOND}",
    "password alone, spaces": f"{FIRST} {SECOND}",
}


@pytest.fixture(autouse=True)
def around(tmp_path, monkeypatch):
    """What gives PostgreSQL a password beside the connection string."""
    (tmp_path / "libpq").mkdir()
    service = tmp_path / "libpq" / "services.conf"
    service.write_text(f"[shop]\nhost=localhost\nport=1\nuser=ann\npassword={FIRST}{SECOND}\n", encoding="utf-8")
    passwords = tmp_path / "libpq" / "pgpass"
    passwords.write_text(f"localhost:1:*:ann:{FIRST}{SECOND}\n", encoding="utf-8")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    monkeypatch.setenv("PGPASSWORD", f"{FIRST}{SECOND}")


def refuse_secrets(text, where):
    for part in (FIRST, SECOND):
        assert part.lower() not in text.lower(), f"{where}: {text}"


def check_error(error, where):
    """No secret in an error, in its notes, in what it was raised from, or in the traceback of all."""
    refuse_secrets("".join(traceback.format_exception(error)), f"{where}, traceback")
    waiting, seen = [error], []
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        texts = [str(one), repr(one), repr(one.args), *getattr(one, "__notes__", []), repr(vars(one))]
        # What classes keep beside their text: the file of a decoding error, the values of pydantic's.
        texts += [repr(getattr(one, name)) for name in ("object", "doc", "filename") if hasattr(one, name)]
        texts += [repr(one.errors())] if hasattr(one, "errors") and callable(one.errors) else []
        for text in texts:
            refuse_secrets(text, f"{where}, {type(one).__name__}")
        waiting += [one.__cause__, one.__context__]


def check_job(job, where):
    for text in (repr(job), str(job), repr(job.model_dump()), job.model_dump_json(), json.dumps(job.written)):
        refuse_secrets(text, where)
    refuse_secrets(pickle.dumps(job).decode("latin-1"), f"{where}, pickle")
    refuse_secrets(repr(pickle.loads(pickle.dumps(job))), f"{where}, pickle")
    refuse_secrets(repr(job.source.place(job.root)), where)
    refuse_secrets(job.source.place(job.root).label, where)


def check_files(folder, where):
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("job.toml", "services.conf", "pgpass"):
            refuse_secrets(path.read_bytes().decode("latin-1"), f"{where}, {path.name}")


def write_job(folder, connection, **more):
    source = {"postgresql": connection, "table": "orders", **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in source.items()]
    (folder / "job.toml").write_text(
        'name = "nightly"\n[source]\n' + "\n".join(lines) + '\n[scores]\nhorizon = "12M"\n[sink]\npath = "s.parquet"\n'
        '[records]\nmetrics = "lifeworth.prom"\nreport = true\n',
        encoding="utf-8",
    )
    return folder / "job.toml"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("given", ["in the file", "in a variable"])
def test_no_form_of_a_password_appears_anywhere(form, given, tmp_path, command, monkeypatch):
    pytest.importorskip("adbc_driver_postgresql")
    connection = FORMS[form]
    if given == "in a variable":
        monkeypatch.setattr(os, "environ", {**os.environ, "SHOP": connection})  # the system's own takes no null
        path = write_job(tmp_path, "${SHOP}")
    else:
        path = write_job(tmp_path, connection)
    try:
        job = read_job(path)
    except UsageError as error:
        check_error(error, form)
        expected = 2
    else:
        check_job(job, form)
        for step in (dry_run, run_job):
            with pytest.raises(SourceError) as caught:
                step(job)
            check_error(caught.value, form)
        expected = 5
    for options in ((), ("--debug",), ("--dry-run",), ("--debug", "--dry-run"), ("--log", "human")):
        code, out, err = command("run", path, *options)
        assert code == expected
        refuse_secrets(out + err, f"{form}, {options}")
        if options in ((), ("--dry-run",)):
            assert len(err.strip().splitlines()) == 1
    check_files(tmp_path, form)


@pytest.mark.parametrize("form", FORMS)
def test_a_job_made_in_python_shows_no_password(form):
    sections = {"name": "nightly", "scores": {"horizon": "12M"}, "sink": {"path": "s.parquet"}}
    source = {"postgresql": FORMS[form], "table": "orders"}
    try:
        job = lw.Job(source=source, **sections)
    except UsageError as error:
        check_error(error, form)
    else:
        check_job(job, form)
        with pytest.raises(SourceError) as caught:
            dry_run(job)
        check_error(caught.value, form)
    # Beside any other mistake, and in the place of any other key.
    for wrong in (
        {"source": {**source, "tabel": "x"}},
        {"source": {**source, "encoding": 3}},
        {"source": source, "scores": {"horizon": 1, "interval": "x"}},
        {"source": source, "name": FORMS[form] + "!"},
        {"source": {"path": FORMS[form], f"{FORMS[form]}!": FORMS[form]}},
        {"source": {"path": "x"}, "rfm": {"period": FORMS[form]}},
        {"source": FORMS[form]},
        {"source": {**source, "postgresql": [FORMS[form]]}},
        {"source": {**source, "postgresql": FORMS[form].encode()}},
    ):
        for check in (lambda whole: lw.Job(**whole), lw.Job.model_validate):
            with pytest.raises(UsageError) as caught:
                check({**sections, **wrong})
            check_error(caught.value, form)


def test_a_job_that_succeeds_says_no_password(make, postgresql, command, shelf, tmp_path):
    """A server that lets anybody in takes any password."""

    pytest.importorskip("adbc_driver_postgresql")
    known = postgresql.replace("postgres:@", f"postgres:{FIRST}%40{SECOND}@")
    assert known != postgresql
    table = pa.Table.from_pandas(pd.read_parquet(shelf / "tx.parquet").head(900), preserve_index=False)
    PostgreSQLSink(known, "orders").write(table.to_reader(), "one")
    path = make(
        source={"postgresql": known, "table": "orders"},
        sink={"postgresql": known, "table": "scores"},
        records={"metrics": "lifeworth.prom", "report": True},
    )
    for options in (("--dry-run",), ("--log", "human"), ("--log", "json"), ("--debug",)):
        code, out, err = command("run", path, *options)
        assert code == 0, err
        refuse_secrets(out + err, options)
    assert len(list(tmp_path.rglob("report.html"))) == 3
    check_files(tmp_path, "success")
    # A server that repeats what it was asked for.
    source = PostgreSQLSource(known, query=f'SELECT "{FIRST}@{SECOND}"')
    with pytest.raises(SourceError, match=r'column "\*\*\*" does not exist') as caught, source.reader():
        pass
    check_error(caught.value, "server")
    # The place is told, and what it says is the server's own.
    assert source.label.startswith("PostgreSQL localhost/test_")


def test_the_command_line_of_a_process_holds_no_password(tmp_path):
    path = write_job(tmp_path, url("%40", "192.0.2.1/shop"))  # an address that never answers
    code = "from lifeworth.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in iter(process.stdout.readline, ""):
                refuse_secrets(line, "output")
            processes = Path("/proc").glob("[0-9]*/cmdline")
        finally:
            process.kill()
    for shown in processes:
        try:
            text = shown.read_bytes().decode("latin-1")
        except OSError:
            continue
        if "test_secrets" not in text:
            refuse_secrets(text, "process list")


def test_values_of_variables_in_parameters_are_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", f"{FIRST}@{SECOND}")
    path = tmp_path / "job.toml"
    query = "SELECT * FROM read_csv($1)"
    path.write_text(
        f'name = "nightly"\n[source]\nduckdb = ":memory:"\nquery = "{query}"\nparameters = ["${{TOKEN}}.csv"]\n'
        '[scores]\nhorizon = "12M"\n[sink]\npath = "s.parquet"\n',
        encoding="utf-8",
    )
    job = read_job(path)
    assert job.source.place(job.root).parameters == (f"{FIRST}@{SECOND}.csv",)
    check_job(job, "parameters")
    for step in (dry_run, run_job):
        with pytest.raises(SourceError) as caught:
            step(job)
        check_error(caught.value, "parameters")
    check_files(tmp_path, "parameters")


@pytest.mark.parametrize("key", ["path", "duckdb", "table", "query", "parameters", "schema", "customer_id"])
def test_a_connection_string_in_the_wrong_place(key, tmp_path, command):
    value = url("@")
    keys = {
        "path": {"path": value},
        "duckdb": {"duckdb": value, "table": "t"},
        "table": {"duckdb": ":memory:", "query": f"SELECT * FROM '{value}'"},
        "query": {"duckdb": ":memory:", "query": f"ATTACH '{value}' AS shop; SELECT * FROM shop.t"},
        "parameters": {"duckdb": ":memory:", "query": "SELECT * FROM read_csv($1)", "parameters": [value]},
        "schema": {"postgresql": f"postgresql://{NOWHERE}", "table": "t", "schema": value},
        "customer_id": {"path": "x.csv", "customer_id": value},
    }[key]
    lines = "\n".join(f"{name} = {json.dumps(one)}" for name, one in keys.items())
    (tmp_path / "job.toml").write_text(
        f'name = "nightly"\n[source]\n{lines}\n[scores]\nhorizon = "12M"\n[sink]\npath = "s.parquet"\n', "utf-8"
    )
    for options in ((), ("--debug",), ("--dry-run",)):
        code, out, err = command("run", tmp_path / "job.toml", *options)
        assert code in (2, 3, 5)
        refuse_secrets(out + err, key)
    check_files(tmp_path, key)
    code, out, err = command("run", value)
    assert code == 5
    refuse_secrets(out + err, "argument")


def test_a_file_that_is_no_job_shows_none_of_it(tmp_path):
    for content in (
        f'[source]\npostgresql = "{url("")}\n'.encode(),
        f'[source]\npostgresql = "{url("")}\xff"\n'.encode("latin-1"),
        f"{FIRST}{SECOND}".encode(),
        f'source = "{url("")}"\nsource = 2'.encode(),
    ):
        (tmp_path / "job.toml").write_bytes(content)
        with pytest.raises(UsageError) as caught:
            read_job(tmp_path / "job.toml")
        check_error(caught.value, content)


def test_a_job_out_of_a_pickle_asks_to_be_read_again(tmp_path):
    job = read_job(write_job(tmp_path, url("%40")))
    assert copy.deepcopy(job) == job
    again = pickle.loads(pickle.dumps(job))
    assert again.name == job.name
    assert again.root == job.root
    for step in (dry_run, run_job):
        with pytest.raises(UsageError, match="was unpickled and has no secrets"):
            step(again)
    plain = lw.Job(name="n", source={"path": "x"}, scores={"horizon": "12M"}, sink={"path": "s.parquet"})
    assert pickle.loads(pickle.dumps(plain)) == plain


def test_connection_strings_are_read_as_libpq_reads_them():
    places = {
        "postgresql://ann:pw@db.example:5433/shop?sslmode=require": "PostgreSQL db.example:5433/shop",
        "postgres://db.example": "PostgreSQL db.example",
        "postgresql:///shop": "PostgreSQL localhost/shop",
        "postgresql://": "PostgreSQL localhost",
        "postgresql://ann@a:1,b:2/shop": "PostgreSQL a:1,b:2/shop",
        "postgresql://ann:p@[2001:db8::1]:5432/shop": "PostgreSQL [2001:db8::1]:5432/shop",
        "postgresql://ann:p@%2Ftmp%2Fsocket/shop": "PostgreSQL localhost/shop",
        "postgresql:///shop?host=/tmp/socket&port=5433": "PostgreSQL localhost/shop",
        "postgresql://h?dbname=shop": "PostgreSQL h/shop",
        "host=h port=5 dbname='my shop' password=x": "PostgreSQL h:5/my shop",
        "service=shop": "PostgreSQL service shop",
        "": "PostgreSQL localhost",
        "dbname=postgresql://a:b@h/d": "PostgreSQL h/d",
    }
    for text, place in places.items():
        assert ConnectionString(text).place == place
    assert "p@q" in ConnectionString("postgresql://a:p%40q@h/d").secrets
    assert "p:q#r?s" in ConnectionString("postgresql://a:p:q#r?s@h/d").secrets  # libpq takes these as they are
    assert "it's" in ConnectionString(r"host=h password='it\'s'").secrets
    for middle in ("b@c", "b/c", "1/c", "b c"):
        with pytest.raises(UsageError, match="as % and two hexadecimal digits, such as %40 for @"):
            ConnectionString(f"postgresql://a:{middle}@h/d")


def test_texts_lose_their_passwords():
    secret = "p@ss 'w' \\ ü"
    for spelled in (secret, "p%40ss%20%27w%27%20%5C%20%C3%BC", repr(secret), json.dumps(secret), "p@ss ''w'' \\ ü"):
        assert redact(f"before {spelled} after", [secret]).replace('"', "").replace("'", "") == "before *** after"
    assert redact("a table ab, a", ["a"]) == "*** table ab, ***"  # a short one as a word alone
    assert redact("postgresql://ann:x@y@h/d") == "postgresql://ann:***@h/d"
    assert redact("host=h password='a b' port=1") == "host=h password=*** port=1"
    untouched = 'FATAL: password authentication failed for user "ann"; see https://example.com:8080/a'
    assert redact(untouched) == untouched


def test_the_exception_of_a_driver_loses_its_secret_too():
    inner = ValueError("near 'hunter22'")
    inner.add_note("hunter22 again")
    outer = RuntimeError("said hunter22", b"hunter22")
    outer.__cause__ = inner
    outer.details = [("key", b"hunter22")]
    told = failed("PostgreSQL shop", outer, ["hunter22"])
    assert str(told) == "PostgreSQL shop: ('said ***', b'***')."
    text = "".join(traceback.format_exception(outer)) + repr(outer) + repr(vars(outer))
    assert "hunter22" not in text
    assert "near '***'" in text


def test_sources_of_python_show_nothing():
    source = PostgreSQLSource(url(""), query="SELECT $1", parameters=(FIRST,))
    refuse_secrets(repr(source), "repr")
    refuse_secrets(repr(DuckDBSource(":memory:", query="SELECT $1", parameters=(FIRST,))), "repr")
    with pytest.raises(LifeworthError) as caught:
        PostgreSQLSource(url("@"))
    check_error(caught.value, "source")
