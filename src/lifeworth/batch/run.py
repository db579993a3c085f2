"""A job at work: from a source to a sink. What it publishes appears at the end, all at once, or not at all."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifeworth.batch import fingerprints
from lifeworth.batch.blocks import read_blocks, read_totals, score_blocks
from lifeworth.batch.job import Job
from lifeworth.batch.journal import (
    Journal,
    Shown,
    now,
    peak_memory,
    without_customers,
    write_json,
    write_metrics,
)
from lifeworth.batch.lock import locked
from lifeworth.batch.registry import Registry
from lifeworth.batch.sinks import FilesSink, check_run_id
from lifeworth.errors import DataError, FitError, LifeworthError, SourceError, UsageError
from lifeworth.model import CLV, PurchaseFit, fit_clv, load
from lifeworth.model.specs import purchase_model, versions
from lifeworth.rfm import RFM, rfm_summary

Progress = Callable[[str, float], None]
INTERRUPTED, UNFORESEEN = 130, 1
_FORMAT = 1  # of blocks and manifests
_MODEL = "model"


@dataclass(frozen=True)
class Ran:
    """What a run has done.

    Attributes
    ----------
    folder : where its manifest.json and log.jsonl are.
    manifest : the account of it, as in the file.
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
            f"{scores['horizon']}{worth}; written to {output['place']}. Account: {self.folder / 'manifest.json'}"
        )


def run_job(
    job: Job, run_id: str | None = None, *, shown: Shown | None = None, progress: Progress | None = None
) -> Ran:
    """Run a job: read, count, fit or load, pass the gate, score, publish, and give an account.

    Parameters
    ----------
    job : as `read_job` gives it.
    run_id : the id by which a sink that appends knows the rows of this run; default, the last day observed.
    shown : "human" or "json": the log on stderr as well.
    progress : called with (what, share done) now and then.

    Returns
    -------
    Ran : with the manifest, which is in a file too, also where the run failed.

    Raises
    ------
    UsageError, DataError, FitError, SourceError : what stopped it, without the ids of customers; nothing was published.

    Notes
    -----
    A run that was killed while it scored leaves its fit and its finished blocks. The next run of the job uses them, if
    transactions, settings and versions are the same, and its result is that of an undisturbed run to the last byte.
    """
    if run_id is not None:
        check_run_id(run_id)
    home = job.root / job.records.folder / job.name
    with locked(home / ".lock", f"The job {job.name!r}"):
        begun = dt.datetime.now(dt.UTC)
        folder = home / f"{begun:%Y%m%dT%H%M%S.%f}"[:-3]
        journal = Journal(folder / "log.jsonl", shown)
        work = _Run(job, journal, home / ".work", progress or (lambda what, share: None), run_id)
        return _accounted(work, folder, time.monotonic())


def _accounted(work: _Run, folder: Path, begun: float) -> Ran:
    """Run, and write the account of it however it ends."""
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
        problem = type(error)(without_customers(str(error)))
        problem.__cause__ = error.__cause__
        manifest["error"] = {"kind": type(error).__name__, "text": str(problem)}
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        code, status = (INTERRUPTED, "interrupted") if interrupted else (UNFORESEEN, "failed")
        manifest["error"] = {"kind": type(error).__name__}  # nobody knows what its text holds
        raise
    finally:
        manifest |= {"status": status, "exit_code": code, "ended": now(), "seconds": round(time.monotonic() - begun, 3)}
        manifest |= {"steps": journal.steps, "peak_memory_bytes": peak_memory()}
        _account(work, folder, problem)
    if problem is not None:
        raise problem
    return Ran(folder, manifest)


def _account(work: _Run, folder: Path, problem: LifeworthError | None) -> None:
    """Write log, manifest and metrics; where the run itself failed, its reason comes before theirs."""
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

    def __init__(self, job: Job, journal: Journal, work: Path, progress: Progress, run_id: str | None) -> None:
        self.job, self.journal, self.work, self.progress = job, journal, work, progress
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
        clv, version = self._model(rfm, table)
        # Blocks belong to these customers, this model and these terms; those of others are of no use any more.
        scored = [_FORMAT, table, fingerprints.of_clv(clv), job.scores.model_dump(), versions()]
        blocks = self._only(f"scores-{fingerprints.of_values(scored)[:16]}", keep=_MODEL)
        rows = job.scores.rows_per_block
        count = -(-len(rfm) // rows)
        with self.journal.step("score") as facts:
            resumed = score_blocks(clv, rfm, blocks, rows, job.scores.terms(), self.progress)
            facts |= {"customers": len(rfm), "blocks": count, "resumed": resumed}
            totals = read_totals(blocks, count, job.scores.interval)
        manifest["scores"] = {
            "horizon": job.scores.horizon,
            "seed": job.scores.seed,
            "blocks": count,
            "resumed": resumed,
            "totals": totals,
        }
        self._publish(read_blocks(blocks, count))
        if version is not None and job.model.promote:
            assert job.model.register_as is not None
            self.registry.promote(job.model.register_as, version)
            self.journal.say("promoted", name=job.model.register_as, version=version)
        shutil.rmtree(self.work, ignore_errors=True)

    def _read(self) -> RFM:
        section, source = self.job.source, self.job.source.place(self.job.root)
        names = [section.customer_id, section.date, *([section.amount] if section.amount else [])]
        with self.journal.step("read") as facts:
            before = source.fingerprint()
            with source.transactions(names) as rows:
                rfm = rfm_summary(
                    rows,
                    section.customer_id,
                    section.date,
                    section.amount or None,
                    date_format=section.date_format,
                    **self.job.rfm.model_dump(),
                )
            if source.fingerprint() != before:
                raise SourceError(f"{source.label} changed while it was read: nothing was published; run again.")
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
                f"There are {len(rfm):,} customers, and gate.least_customers is {gate.least_customers:,}: "
                "nothing was published."
            )
        # What lies after the end was left out on purpose.
        lost = sum(count for reason, count in audit.left_out.items() if reason != "after the end")
        if lost > gate.most_left_out * audit.rows_in:
            raise DataError(
                f"{lost:,} of {audit.rows_in:,} rows cannot be used, more than gate.most_left_out = "
                f"{gate.most_left_out:g} allows: nothing was published. {audit}"
            )

    def _model(self, rfm: RFM, table: str) -> tuple[CLV, int | None]:
        """The model to score with, past the gate; and the version it has been registered as."""
        section = self.job.model
        with self.journal.step("model") as facts:
            clv, came = self._fitted(rfm, table) if section.fits else self._taken()
            parts = [part for part in (clv.purchases, clv.spend) if part is not None]
            self.manifest["model"] = {
                "came": came,
                "verdict": clv.verdict,
                "fingerprint": fingerprints.of_clv(clv),
                "seed": section.seed if section.fits else None,
                "fits": [
                    {
                        "family": part.family.name,
                        "means": {name: float(values.mean()) for name, values in part.draws.items()},
                        "diagnostics": part.diagnostics.to_dict(),
                    }
                    for part in parts
                ],
            }
            facts |= {"came": came, "verdict": clv.verdict}
        reasons = " ".join(reason for part in parts for reason in part.diagnostics.reasons)
        if clv.verdict == "fail" or (clv.verdict == "warn" and self.job.gate.accept == "ok"):
            told = (
                "failed its diagnostics" if clv.verdict == "fail" else 'has the verdict "warn", and gate.accept is "ok"'
            )
            raise FitError(f"The model {told}: nothing was published. {reasons}".rstrip())
        version = None
        if section.register_as is not None:
            version = self.registry.add(section.register_as, clv)
            self.manifest["model"]["registered"] = {"name": section.register_as, "version": version}
            champion = self.registry.champion(section.register_as)
            if champion not in (None, version):
                self._drift(section.register_as, version)
        return clv, version

    def _drift(self, name: str, version: int) -> None:
        """How far the parameters have gone from the champion's."""
        try:
            beside = self.registry.compare(name, version)
        except UsageError:  # of another family: there is nothing to compare
            return
        drift = {str(parameter): round(float(gone), 3) for parameter, gone in beside["drift"].items()}
        self.manifest["model"]["drift"] = {p: gone for p, gone in drift.items() if abs(gone) != float("inf")}
        self.journal.say("drift", name=name, **self.manifest["model"]["drift"])

    def _fitted(self, rfm: RFM, table: str) -> tuple[CLV, str]:
        section = self.job.model
        known = fingerprints.of_values([_FORMAT, table, section.model_dump(), versions()])[:16]
        # A run that was killed later need not fit again.
        folder = self._only(f"{_MODEL}-{known}", keep="scores", make=False)
        if folder.exists():
            clv = load(folder)
            assert isinstance(clv, CLV)
            return clv, "fitted by a run before"
        if section.spend == "none":
            rfm = replace(rfm, monetary_value=None, past_spend=None)
        clv = fit_clv(
            rfm,
            purchase_model(section.purchases, "model.purchases")(),
            method=section.method,
            draws=section.draws,
            seed=section.seed,
            progress=self.progress,
        )
        clv.save(folder)
        return clv, "fitted"

    def _taken(self) -> tuple[CLV, str]:
        section = self.job.model
        if section.registered is not None:
            path = self.registry.path(section.registered, section.version)
            return self.registry.load(section.registered, int(path.name)), str(path)
        assert section.saved is not None
        path = self.job.root / section.saved
        model = load(path)
        if isinstance(model, PurchaseFit):
            return CLV(model), str(path)
        if not isinstance(model, CLV):
            raise UsageError(f"{path} holds a model of spend alone: a model of purchases is needed to score customers.")
        return model, str(path)

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

    def _only(self, name: str, keep: str, make: bool = True) -> Path:
        """A folder of unfinished work; what is left of other runs' goes, but for that of another kind."""
        with _told(self.work):
            self.work.mkdir(parents=True, exist_ok=True)
            for stale in self.work.iterdir():
                if stale.name != name and not stale.name.startswith(keep):
                    shutil.rmtree(stale)
            if make:
                (self.work / name).mkdir(exist_ok=True)
        return self.work / name


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}.") from error


def dry_run(job: Job, run_id: str | None = None) -> list[str]:
    """What a run would do, a sentence a step; places are looked at, and nothing is written.

    Raises
    ------
    UsageError, DataError, SourceError : what would stop it, as far as can be told without reading all rows.
    """
    section, model, scores = job.source, job.model, job.scores
    source, sink = section.place(job.root), job.sink.place(job.root)
    names = [section.customer_id, section.date, *([section.amount] if section.amount else [])]
    with source.reader(names) as rows:
        kinds = ", ".join(f"{field.name} ({field.type})" for field in rows.schema)
    sentences = [f"Read {source.label}: {kinds}."]
    end = f"up to {job.rfm.observation_end}" if job.rfm.observation_end else "up to the last date there is"
    sentences.append(f'Count purchases by "{job.rfm.period}", {end}, in the unit "{job.rfm.time_unit}".')
    registry = Registry(job.root / model.registry)
    if model.fits:
        money = "" if model.spend == "none" or not section.amount else f" and {model.spend}"
        sentences.append(f"Fit {model.purchases}{money} ({model.method}, {model.draws:,} draws, seed {model.seed}).")
    else:
        path = job.root / model.saved if model.saved else registry.path(str(model.registered), model.version)
        load(path)
        sentences.append(f"Take the model {path}.")
    worst = '"ok"' if job.gate.accept == "ok" else '"ok" or "warn"'
    sentences.append(f"Go on if its verdict is {worst}.")
    if model.register_as is not None:
        then = "and promote it once its scores are out" if model.promote else "and leave the champion as it is"
        sentences.append(f"Register it as {model.register_as!r} in {registry.folder}, {then}.")
    sentences.append(
        f"Score customers over {scores.horizon} (uncertainty {scores.uncertainty}, seed {scores.seed}), "
        f"{scores.rows_per_block:,} at a time."
    )
    there = sink.exists(run_id or "run")
    if job.sink.mode == "append":
        sentences.append(f"Append the scores to {sink.label} under the run id {run_id or 'of the last day observed'}.")
    else:
        sentences.append(
            f"Write the scores to {sink.label}, {'in place of what is there' if there else 'which is new'}."
        )
    return sentences
