"""A job as described by its file: validated completely before anything is read, with every error named by its key."""

from __future__ import annotations

import datetime as dt
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from lifeworth.errors import SourceError, UsageError
from lifeworth.jobs.connections import ConnectionString, Secret
from lifeworth.jobs.databases import MEMORY
from lifeworth.jobs.job_errors import sentences
from lifeworth.jobs.job_sections import (
    DURATION,
    NAME,
    GateSection,
    ModelSection,
    RecordsSection,
    RFMSection,
    ScoresSection,
    Section,
)
from lifeworth.jobs.sinks import DuckDBSink, FilesSink, PostgreSQLSink, Sink
from lifeworth.jobs.sources import DuckDBSource, FilesSource, PostgreSQLSource, Source
from lifeworth.redaction import redact

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PLACES = ("path", "duckdb", "postgresql")


def _connection_string(value: Any) -> Any:
    return (ConnectionString(value) if value.strip() else None) if isinstance(value, str) else value


class PlaceKeys(Section):
    """The keys that name a place, exactly one of which must be given."""

    path: str | None = None
    duckdb: str | None = None
    postgresql: Annotated[ConnectionString | None, BeforeValidator(_connection_string)] = None
    table: str | None = Field(default=None, min_length=1)
    database_schema: str | None = Field(default=None, alias="schema", min_length=1)

    @property
    def _where(self) -> str:
        given = [name for name in _PLACES if getattr(self, name)]
        if len(given) != 1:
            found = "none is given" if not given else f"{' and '.join(given)} are given"
            raise ValueError(f"needs one of path, duckdb and postgresql; {found}")
        if given[0] == "path":
            lost = [k for k in ("table", "schema", "query", "parameters") if k in self._given]
            if lost:
                raise ValueError(f"has a path, and {' and '.join(lost)}, which only databases have")
        return given[0]

    @property
    def _given(self) -> set[str]:
        return {"schema" if name == "database_schema" else name for name in self.model_fields_set}


class SourceSection(PlaceKeys):
    """Where transactions are read."""

    query: str | None = None
    parameters: list[Any] = Field(default_factory=list)
    unrestricted_sql: bool = False
    customer_id: str = "customer_id"
    date: str = "date"
    amount: str = "amount"
    date_format: str | None = None
    time_zone: str | None = None
    decimal: Literal[",", "."] | None = None
    encoding: str | None = None

    @field_validator("parameters", mode="after")
    @classmethod
    def _plain_parameters(cls, values: list[Any]) -> list[Any]:
        for number, value in enumerate(values, 1):
            if not isinstance(value, (str, int, float, bool, dt.date, dt.time, Secret)):
                raise ValueError(f"has a parameter that is not text, a number, a date or a boolean: ${number}")
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise ValueError(f"has a parameter of more than 64 bits: ${number}")
            if isinstance(value, str) and "\0" in value:
                raise ValueError(f"has a parameter with a null character: ${number}")
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.unrestricted_sql and (not self.duckdb or self.query is None):
            raise ValueError("has unrestricted_sql, which applies only to a query of DuckDB")
        if self._where != "path":
            if self.encoding is not None:
                raise ValueError("has an encoding, which applies only to files")
            if (self.table is None) == (self.query is None):
                raise ValueError("reads a database by table or by query: give one of the two")
            if self.parameters and self.query is None:
                raise ValueError("has parameters, but no query that uses them")
            if self.query is not None and self.database_schema is not None:
                raise ValueError("has a schema and a query: name the schema in the query")
            if self.duckdb == MEMORY and self.query is None:
                raise ValueError('reads ":memory:", which contains no tables: give a query')
        return self

    def place(self, root: Path) -> Source:
        """Build the reader; relative paths are resolved against `root`."""
        values = tuple(value.get_secret_value() if isinstance(value, Secret) else value for value in self.parameters)
        asked = (self.table, self.database_schema, self.query, values)
        secrets = tuple(value.get_secret_value() for value in self.parameters if isinstance(value, Secret))
        if self.postgresql is not None:
            return PostgreSQLSource(self.postgresql, *asked, secrets=secrets)
        if self.duckdb:
            return DuckDBSource(_from(root, self.duckdb), *asked, str(root), self.unrestricted_sql, secrets)
        assert self.path is not None
        return FilesSource(_from(root, self.path), self.encoding)


class SinkSection(PlaceKeys):
    """Where scores are written."""

    mode: Literal["replace", "append"] = "replace"
    escape_formulas: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.escape_formulas and not (self.path or "").lower().endswith(".csv"):
            raise ValueError("has escape_formulas, which applies only to a path that ends in .csv")
        if self._where != "path" and self.table is None:
            raise ValueError("writes to a database, but has no table")
        if self.duckdb == MEMORY:
            raise ValueError('writes to ":memory:", which is lost when the job ends: give a file')
        self.place(Path())
        return self

    def place(self, root: Path) -> Sink:
        """Build the writer; relative paths are resolved against `root`."""
        if self.path:
            return FilesSink(_from(root, self.path), self.mode, escape_formulas=self.escape_formulas)
        assert self.table is not None
        if self.duckdb:
            return DuckDBSink(_from(root, self.duckdb), self.table, self.database_schema, self.mode)
        assert self.postgresql is not None
        return PostgreSQLSink(self.postgresql, self.table, self.database_schema, self.mode)


class Job(Section):
    """A job that reads transactions from a source and writes scores to a sink; `read_job` reads one from a file.

    Connection strings are left out of its text, its JSON and its pickle, so that an unpickled job cannot connect to its
    databases.

    Raises
    ------
    UsageError
        If anything is wrong with it. The message is one sentence that names every error by its key and repeats no
        value.

    Examples
    --------
    >>> import lifeworth as lw
    >>> job = lw.Job(name="nightly", source={"path": "orders"}, scores={"horizon": "12M"}, sink={"path": "out.parquet"})
    >>> job.model.purchases, job.gate.accept
    ('bg_nbd', 'warn')
    """

    name: str = Field(pattern=NAME)
    source: SourceSection
    rfm: RFMSection = RFMSection()
    model: ModelSection = ModelSection()
    gate: GateSection = GateSection()
    scores: ScoresSection
    sink: SinkSection
    records: RecordsSection = RecordsSection()
    _root: Path = PrivateAttr(default=Path())
    _file: Path | None = PrivateAttr(default=None)
    _written: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, /, **content: Any) -> None:
        try:
            super().__init__(**content)
        except ValidationError as error:
            problems = sentences(error, _KEYS, _known, DURATION)
        else:
            return
        raise UsageError(f"{problems}.")  # outside of the block: pydantic's own error contains values, and passwords

    @classmethod
    def model_validate(cls, obj: Any, **settings: Any) -> Self:
        """Validate a job given as a mapping of its sections.

        Parameters
        ----------
        obj : Mapping or Job
            The sections by name.

        Returns
        -------
        Job

        Raises
        ------
        UsageError
            If anything is wrong with it, or if settings are given.
        """
        if isinstance(obj, cls):
            return obj
        if settings or not isinstance(obj, Mapping) or not all(isinstance(key, str) for key in obj):
            raise UsageError("A job is validated from a mapping of its sections, without further settings.")
        return cls(**obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **settings: Any) -> Self:
        """Not supported, because a job file is TOML.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError("A job is read from TOML, not from JSON: use read_job.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model.fits and self.model.method == "map" and self.gate.accept == "ok":
            raise ValueError(
                'gate.accept = "ok" and model.method = "map" exclude each other: a point estimate has no diagnostics'
            )
        if self.gate.backtest is not None and not self.model.fits:
            raise ValueError(
                "gate.backtest applies only to models that the job fits: remove it for a saved or registered model"
            )
        if self.gate.otherwise == "champion" and self.model.register_as is None:
            raise ValueError('gate.otherwise = "champion" needs model.register_as, which names the champion')
        if self.model.by is not None and self.model.by in (self.source.customer_id, self.source.date):
            raise ValueError("model.by must be another column than the customer and the date")
        lacking = [name for name in self.model.needed_covariates if name not in self.rfm.covariates]
        if lacking:
            raise ValueError(
                f"model has formulas over {', '.join(lacking)}, which rfm.covariates does not name: add them there"
            )
        if self.rfm.incremental and self.rfm.covariates:
            raise ValueError(
                "rfm.incremental and rfm.covariates exclude each other: the state of an incremental job has no "
                "covariates"
            )
        if self.rfm.incremental and (self.source.path is None or self.rfm.duplicates == "drop"):
            raise ValueError('rfm.incremental needs source.path, and rfm.duplicates = "keep"')
        if not self.source.amount and "spend" in self.model.model_fields_set and self.model.spend != "none":
            raise ValueError('source.amount = "" and model.spend exclude each other: a model of spend needs amounts')
        if self.source.path is not None and self.source.path == self.sink.path:
            raise ValueError("sink.path is source.path: the scores would replace the transactions")
        same = [
            getattr(self.source, k) == getattr(self.sink, k)
            for k in ("duckdb", "postgresql", "table", "database_schema")
        ]
        if self.source.table is not None and all(same):
            raise ValueError("sink.table is source.table: the scores would replace the transactions")
        return self

    @property
    def root(self) -> Path:
        """The folder of the job file, against which relative paths are resolved."""
        return self._root

    @property
    def file(self) -> Path | None:
        """The file that the job was read from; None if it was made in Python."""
        return self._file

    @property
    def written(self) -> dict[str, Any]:
        """The job as its file has it: variables are shown by name, and passwords are left out."""
        return self._written

    @property
    def secrets(self) -> list[str]:
        """Texts that messages, logs and manifests of this job must not contain."""
        places = [place.postgresql for place in (self.source, self.sink) if place.postgresql is not None]
        found = {value.get_secret_value() for value in self.source.parameters if isinstance(value, Secret)}
        return sorted(found.union(*(place.secrets for place in places)), key=len, reverse=True)


def read_job(path: str | Path, variables: Mapping[str, str] | None = None) -> Job:
    r"""Read and validate a job file.

    Parameters
    ----------
    path : str or Path
        A TOML file; relative paths in it are resolved against its folder.
    variables : mapping of str to str, optional
        The values of ${NAME}; default, the environment.

    Returns
    -------
    Job

    Raises
    ------
    UsageError
        If anything is wrong with the file. The message is one sentence that names every error by its key.
    SourceError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "job.toml"
    >>> text = '[source]\npath = "orders"\n[scores]\nhorizon = "12M"\n[sink]\npath = "out.parquet"'
    >>> _ = path.write_text(f'name = "nightly"\n{text}')
    >>> read_job(path).scores.horizon
    '12M'
    """
    path = Path(path)
    problem: UsageError | SourceError | None = None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = SourceError(redact(f"{path} cannot be read: {error.strerror or error}."))
    except UnicodeDecodeError:
        problem = UsageError(f"{path} is not text in UTF-8.")
    except RecursionError:
        problem = UsageError(f"{path} is nested too deeply.")
    except ValueError as error:  # from tomllib; also for a path with a null character, or a number with too many digits
        text = str(error).partition(":")[0] if "integer string" in str(error) else str(error)
        problem = UsageError(redact(f"{path} is not TOML: {text[:1].lower()}{text[1:]}."))
    if problem is not None:
        raise problem  # outside of the block: the original error contains the content of the file
    problems: list[str] = []
    filled = _filled(content, os.environ if variables is None else variables, "", problems)
    if problems:
        raise UsageError(redact(f"{path}: {'; '.join(problems)}."))
    try:
        job = Job.model_validate(filled)
    except UsageError as error:
        error.args = (f"{path}: {error}",)
        raise
    job._root, job._file = path.parent, path
    job._written = _without_passwords(content)
    return job


def _from(root: Path, path: str) -> str:
    try:
        return path if path == MEMORY else str(root / Path(path).expanduser())
    except RuntimeError:
        user = Path(path).parts[0]
    raise UsageError(f"There is no home folder {user} on this machine: write the full path.")


def _filled(value: Any, variables: Mapping[str, str], key: str, problems: list[str]) -> Any:
    """The content of a file with variables replaced by their values."""
    if isinstance(value, dict):
        return {k: _filled(v, variables, f"{key}.{k}".lstrip("."), problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(one, variables, key, problems) for one in value]
    if not isinstance(value, str):
        return value
    names = _VARIABLE.findall(value)
    if names and key == "source.query":
        problems.append(
            f"source.query contains ${{{names[0]}}}: put values into source.parameters and refer to them as $1, "
            "$2 in the query"
        )
        return value
    unset = [name for name in dict.fromkeys(names) if name not in variables]
    problems += [f"{key} needs the environment variable {name!r}, which is not set" for name in unset]
    text = _VARIABLE.sub(lambda found: variables.get(found[1], ""), value)
    return Secret(text) if names and key == "source.parameters" else text


def _without_passwords(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a file as a manifest shows it: connection strings are reduced to the place."""

    def shown(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {redact(k): shown(k, v) for k, v in value.items()}
        if isinstance(value, list):
            return [shown(key, one) for one in value]
        if isinstance(value, str):
            if key == "postgresql" and not _VARIABLE.fullmatch(value):
                return _place_of(value)
            return redact(value)
        return value.isoformat() if isinstance(value, (dt.date, dt.time)) else value

    return {key: shown(key, value) for key, value in content.items()}


def _place_of(text: str) -> str:
    try:
        return ConnectionString(text).place
    except UsageError:
        return "PostgreSQL"  # with variables in it, which are needed to parse it


_SECTIONS: dict[str, type[Section]] = {
    "source": SourceSection,
    "rfm": RFMSection,
    "model": ModelSection,
    "gate": GateSection,
    "scores": ScoresSection,
    "sink": SinkSection,
    "records": RecordsSection,
}


def _known(steps: list[str]) -> list[str]:
    fields = (_SECTIONS[steps[0]] if steps else Job).model_fields
    return [field.alias or name for name, field in fields.items()]


_KEYS = set(_known([])) | {key for name in _SECTIONS for key in _known([name])}
