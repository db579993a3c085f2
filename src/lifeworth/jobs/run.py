"""Running a job: from a source to a sink. What it publishes appears at the end, completely or not at all."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from lifeworth.display.progress import Progress, Report, silent, watched
from lifeworth.errors import DataError, DataWarning, LifeworthError, SourceError, is_interruption
from lifeworth.jobs import fingerprints
from lifeworth.jobs.blocks import read_blocks, read_totals, score_blocks
from lifeworth.jobs.incremental import grown
from lifeworth.jobs.job import Job
from lifeworth.jobs.journal import Journal, Shown, now, peak_memory, without_customers, write_json, write_metrics
from lifeworth.jobs.lock import locked
from lifeworth.jobs.model_choice import Choice, kept_as
from lifeworth.jobs.overwriting import check_places
from lifeworth.jobs.registry import Registry
from lifeworth.jobs.segments import Segments, read_segments
from lifeworth.jobs.sinks import FilesSink, check_run_id
from lifeworth.jobs.sources import FilesSource
from lifeworth.model.provenance import versions
from lifeworth.redaction import redact, redacting
from lifeworth.rfm import RFM, rfm_summary, train_test_split
from lifeworth.transactions import READING_OPTIONS, ReadingOptions, columns_named

INTERRUPTED, UNFORESEEN = 130, 1
_FORMAT = 2  # version of the format of blocks and manifests
_MODEL, _SCORES = "model", "scores"


@dataclass(frozen=True)
class Ran:
    """The result of a run.

    Attributes
    ----------
    folder : Path
        The folder of its manifest.json and log.jsonl.
    manifest : dict
        The record of the run, as in the file.
    """

    folder: Path
    manifest: dict[str, Any]

    def __str__(self) -> str:
        output, scores = self.manifest["output"], self.manifest["scores"]
        value = scores["totals"].get("value")
        worth = (
            ""
            if value is None
            else f", worth {value['expected']:,.0f} ({value['lower']:,.0f} to {value['upper']:,.0f})"
        )
        return (
            f"{self.manifest['job']} {self.manifest['run_id']}: {output['rows']:,} customers scored over "
            f"{scores['horizon']}{worth}; written to {output['place']}. Record: {self.folder / 'manifest.json'}"
        )


def run_job(job: Job, run_id: str | None = None, *, shown: Shown | None = None, progress: Progress = None) -> Ran:
    r"""Run a job: read, count, fit or load, pass the gate, score, publish, and write a record.

    Parameters
    ----------
    job : Job
        The job, as returned by `read_job`.
    run_id : str, optional
        The id under which a sink that appends stores the rows of this run; default, the last day observed.
    shown : {"human", "json"}, optional
        Also write the log to stderr in this form.
    progress : callable or bool, optional
        As in `rfm_summary`.

    Returns
    -------
    Ran
        With the manifest, which is also written to a file, even if the run failed.

    Raises
    ------
    UsageError, DataError, FitError, SourceError
        If the run stopped; nothing was published, and the message contains no ids of customers.

    Notes
    -----
    A run that was killed while scoring leaves its fit and its finished blocks. The next run of the job uses them, if
    transactions, settings and versions are the same, and its result is byte-identical to that of an uninterrupted run.

    Examples
    --------
    >>> import lifeworth as lw, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> lw.load_cdnow(sample=True).to_parquet(folder / "orders.parquet")
    >>> text = '[source]\npath = "orders.parquet"\n[scores]\nhorizon = "13W"\n[sink]\npath = "scores.parquet"'
    >>> _ = (folder / "job.toml").write_text(f'name = "nightly"\n{text}')
    >>> ran = lw.run_job(lw.read_job(folder / "job.toml"))
    >>> ran.manifest["status"], ran.manifest["output"]["rows"]
    ('done', 2357)
    """
    if run_id is not None:
        check_run_id(run_id)
    with redacting(job.secrets):
        check_places(job, run_id)
    home = job.root / job.records.folder / job.name
    with redacting(job.secrets), locked(home / ".lock", f"The job {job.name!r}"), watched(progress) as report:
        folder = _own_folder(home)
        journal = Journal(folder / "log.jsonl", shown)
        work = _Run(job, journal, home, folder, report or silent, run_id)
        return _accounted(work, folder, time.monotonic())


def _own_folder(home: Path) -> Path:
    """Create a folder for the records of a run, named by the time; names stay unique if the clock is set back."""
    stamp = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%f}"[:-3]
    folder, number = home / stamp, 1
    while folder.exists():
        number += 1
        folder = home / f"{stamp}-{number}"
    return folder


def _accounted(work: _Run, folder: Path, begun: float) -> Ran:
    """Run, and write the record, however the run ends."""
    job, journal, manifest = work.job, work.journal, work.manifest
    manifest |= {"format": _FORMAT, "job": job.name, "started": now()}
    manifest |= {"versions": {"python": platform.python_version(), **versions()}, "written": job.written}
    problem: LifeworthError | None = None
    code, status = 0, "done"
    try:
        journal.say("started", job=job.name, process=os.getpid())
        work.run()
    except LifeworthError as error:
        code, status = error.exit_code, "failed"
        problem = type(error)(without_customers(redact(str(error), job.secrets)))
        problem.__cause__ = error.__cause__
        manifest["error"] = {"kind": type(error).__name__, "text": str(problem)}
    except BaseException as error:
        interrupted = is_interruption(error)
        code, status = (INTERRUPTED, "interrupted") if interrupted else (UNFORESEEN, "failed")
        manifest["error"] = {"kind": type(error).__name__}  # its text may contain anything
        raise
    finally:
        manifest |= {"status": status, "exit_code": code, "ended": now(), "seconds": round(time.monotonic() - begun, 3)}
        manifest |= {"steps": journal.steps, "peak_memory_bytes": peak_memory()}
        _account(work, folder, problem)
    if problem is not None:
        raise problem
    return Ran(folder, manifest)


def _account(work: _Run, folder: Path, problem: LifeworthError | None) -> None:
    """Write log, manifest and metrics; if the run itself failed, its error is raised rather than theirs."""
    manifest = work.manifest
    try:
        said = {"code": manifest["exit_code"], "seconds": manifest["seconds"]}
        work.journal.say(manifest["status"], **said, **({"error": manifest["error"]} if "error" in manifest else {}))
        write_json(folder / "manifest.json", manifest)
        if work.job.records.metrics is not None:
            write_metrics(work.job.root / work.job.records.metrics, manifest)
    except SourceError:
        if problem is None:
            raise


class _Run:
    """The steps of a run."""

    def __init__(
        self, job: Job, journal: Journal, home: Path, folder: Path, progress: Report, run_id: str | None
    ) -> None:
        self.job, self.journal, self.home, self.folder, self.progress = job, journal, home, folder, progress
        self.work = home / ".work"
        self.source = job.source.place(job.root)
        self.run_id = run_id
        self.manifest: dict[str, Any] = {"run_id": run_id}
        self.registry = Registry(job.root / job.model.registry)

    def run(self) -> None:
        job, manifest = self.job, self.manifest
        rfm = self._read()
        if self.run_id is None:
            last = rfm.observation_end
            self.run_id = manifest["run_id"] = "undated" if last is None else f"{last:%Y-%m-%d}"
        self._pass_rfm(rfm)
        table = fingerprints.of_rfm(rfm)
        manifest["rfm"]["fingerprint"] = table
        segments = self._segments(rfm)
        choice = Choice(job, self.journal, self.registry, manifest, self.progress, self._split)
        if job.model.fits:
            kept = kept_as(table, segments, job)
            chosen = choice.fitted(rfm, segments, self._only(kept, keep=_SCORES))
        else:
            chosen = choice.taken()
        models = chosen.models
        # Blocks belong to these customers, this model and these terms; other blocks are of no further use.
        shares = None if segments is None else [segments.names, fingerprints.of_array(segments.codes)]
        scored = [_FORMAT, table, shares, models.fingerprint, job.scores.model_dump(), versions()]
        blocks = self._only(f"{_SCORES}-{fingerprints.of_values(scored)[:16]}", keep=_MODEL)
        rows = job.scores.rows_per_block
        count = -(-len(rfm) // rows)
        with self.journal.step("score") as facts:
            resumed, damaged = score_blocks(models, rfm, segments, blocks, rows, job.scores.terms(), self.progress)
            facts |= {"customers": len(rfm), "blocks": count, "resumed": resumed}
            if damaged:
                facts["damaged"] = damaged
                warnings.warn(
                    f"{damaged} of the blocks that a stopped run left in {blocks} were damaged and were scored again.",
                    DataWarning,
                    stacklevel=2,
                )
            totals = read_totals(blocks, count, job.scores.interval)
        manifest["scores"] = {
            "horizon": job.scores.horizon,
            "seed": job.scores.seed,
            "interval": job.scores.interval,
            "blocks": count,
            "resumed": resumed,
            "totals": totals,
        }
        self._publish(read_blocks(blocks, count))
        if job.records.report:
            from lifeworth.jobs.page import write_page

            with self.journal.step("report") as facts:
                facts["file"] = str(write_page(self.folder / "report.html", manifest, models, rfm, blocks, count))
        for name, version in chosen.promotions:
            self.registry.promote(name, version)
            self.journal.say("promoted", name=name, version=version)
        shutil.rmtree(self.work, ignore_errors=True)

    def _reading(self) -> ReadingOptions:
        """The options of reading, as every function with transactions takes them."""
        given = {**dict(self.job.source), **dict(self.job.rfm), "amount": self.job.source.amount or None}
        return cast(ReadingOptions, {name: given[name] for name in READING_OPTIONS})

    def _resources(self) -> dict[str, Any]:
        """The threads and the memory that counting may use."""
        return {"threads": self.job.rfm.threads, "memory_limit": self.job.rfm.memory_limit}

    def _told_columns(self) -> AbstractContextManager[None]:
        """Say how columns are named where one is missing."""
        section = self.job.source
        return columns_named(section.customer_id, section.date, section.amount or None)

    def _names(self) -> list[str]:
        section = self.job.source
        named = (section.customer_id, section.date, section.amount, *self.job.rfm.covariates)
        return [name for name in dict.fromkeys(named) if name]

    def _segments(self, rfm: RFM) -> Segments | None:
        """The segments of customers, if there is a fit for each."""
        if self.job.model.by is None:
            return None
        with self.journal.step("segments") as facts:
            source = self.job.source.place(self.job.root)
            segments = read_segments(source, self.job.source.customer_id, self.job.model.by, rfm)
            facts |= {"column": self.job.model.by, "segments": len(segments.names)}
            facts |= {"customers_of_none_or_several": int((segments.codes < 0).sum())}
        return segments

    def _split(self, edge: pd.Timestamp) -> tuple[RFM, pd.DataFrame]:
        """What was known up to a date, and what followed until the end of this run's data."""
        reading: dict[str, Any] = {**self._reading()}
        end = reading.pop("observation_end")
        with self._told_columns(), self.source.transactions(self._names()) as rows:
            return train_test_split(
                rows,
                covariates=self.job.rfm.covariates,
                **reading,
                **self._resources(),
                train_end=edge,
                test_end=end,
            )

    def _read(self) -> RFM:
        source = self.source
        with self.journal.step("read") as facts:
            if self.job.rfm.incremental:
                assert isinstance(source, FilesSource)
                rfm, facts["incremental"] = grown(self.home / "state", source, self._reading())
                self.manifest["incremental"] = facts["incremental"]
                before = source.fingerprint(content=False)
            else:
                before = source.fingerprint()
                with self._told_columns(), source.transactions(self._names()) as rows:
                    rfm = rfm_summary(rows, covariates=self.job.rfm.covariates, **self._reading(), **self._resources())
                if source.fingerprint() != before:
                    raise SourceError(
                        f"{source.label} changed while it was read, and nothing was published: run again."
                    )
            account = rfm.audit.to_dict()
            self.manifest["source"] = {"place": source.label, "rows": rfm.audit.rows_in, "files": before}
            self.manifest["rfm"] = {
                "customers": len(rfm),
                "observation_end": None if rfm.observation_end is None else rfm.observation_end.isoformat(),
                "time_unit": rfm.time_unit,
                "period": rfm.period,
                "audit": account,
            }
            facts |= {"place": source.label, **account}
        return rfm

    def _pass_rfm(self, rfm: RFM) -> None:
        gate, audit = self.job.gate, rfm.audit
        if len(rfm) < gate.least_customers:
            raise DataError(
                f"There are {len(rfm):,} customers, fewer than gate.least_customers ({gate.least_customers:,}): "
                "nothing was published."
            )
        # Rows after the end were left out on purpose.
        lost = sum(count for reason, count in audit.left_out.items() if reason != "after the end")
        if lost > gate.most_left_out * audit.rows_in:
            raise DataError(
                f"{lost:,} of {audit.rows_in:,} rows cannot be used, more than gate.most_left_out = "
                f"{gate.most_left_out:g} allows: nothing was published. {audit}"
            )

    def _publish(self, rows: pa.RecordBatchReader) -> None:
        assert self.run_id is not None
        sink = self.job.sink.place(self.job.root)
        with self.journal.step("publish") as facts:
            written = sink.write(rows, self.run_id)
            output: dict[str, Any] = {"place": sink.label, "mode": self.job.sink.mode, "rows": written}
            if isinstance(sink, FilesSink):
                file = sink.file(self.run_id)
                output |= {"file": str(file), "sha256": fingerprints.of_file(file)}
            self.manifest["output"] = output
            facts |= {"place": sink.label, "rows": written}

    def _only(self, name: str, keep: str) -> Path:
        """A folder of unfinished work; folders that other runs left are deleted, except those of another kind."""
        with _told(self.work):
            self.work.mkdir(parents=True, exist_ok=True)
            for stale in self.work.iterdir():
                if stale.name != name and not stale.name.startswith(keep):
                    shutil.rmtree(stale)
            (self.work / name).mkdir(exist_ok=True)
        return self.work / name


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}.") from error
