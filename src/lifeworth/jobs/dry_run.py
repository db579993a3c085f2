"""A dry run: describe what a job would do."""

from __future__ import annotations

from lifeworth.jobs.job import Job
from lifeworth.jobs.overwriting import check_places
from lifeworth.jobs.registry import Registry
from lifeworth.model import load
from lifeworth.redaction import redacting
from lifeworth.transactions import columns_named


def dry_run(job: Job, run_id: str | None = None) -> list[str]:
    """Describe what a run would do, one sentence per step, without writing anything.

    A query is run in a way that cannot write, and only for the names and types of its columns; a query with
    `unrestricted_sql` is not run.

    Parameters
    ----------
    job : Job
        The job.
    run_id : str, optional
        The id under which a sink that appends stores the rows; default, the last day observed.

    Returns
    -------
    list of str
        The sentences, in the order of the steps.

    Raises
    ------
    UsageError, DataError, SourceError
        If the run would stop, as far as this can be determined without reading all rows.
    """
    with redacting(job.secrets):
        return _sentences(job, run_id)


def _sentences(job: Job, run_id: str | None) -> list[str]:
    check_places(job, run_id)
    section, model, scores = job.source, job.model, job.scores
    source, sink = section.place(job.root), job.sink.place(job.root)
    names = [section.customer_id, section.date, *([section.amount] if section.amount else [])]
    names += [] if model.by is None or model.by in names else [model.by]
    names += [name for name in job.rfm.covariates if name not in names]
    if section.unrestricted_sql:
        sentences = [f"Read {source.label}, which is not tried here, because source.unrestricted_sql lets it write."]
    else:
        with (
            columns_named(section.customer_id, section.date, section.amount or None),
            source.reader(names) as rows,
        ):
            kinds = ", ".join(f"{field.name} ({field.type})" for field in rows.schema)
        sentences = [f"Read {source.label}: {kinds}."]
    end = f"up to {job.rfm.observation_end}" if job.rfm.observation_end else "up to the last date in the data"
    sentences.append(f'Count purchases by "{job.rfm.period}", {end}, in the unit "{job.rfm.time_unit}".')
    if job.rfm.incremental:
        sentences.append("Recount only customers who occur in files that are new since the last run.")
    if job.rfm.covariates:
        sentences.append(f"Take {', '.join(job.rfm.covariates)} of each customer's first purchase as covariates.")
    registry = Registry(job.root / model.registry)
    if model.fits:
        money = "" if model.spend == "none" or not section.amount else f" and {model.spend}"
        sentences.append(f"Fit {model.purchases}{money} ({model.method}, {model.draws:,} draws, seed {model.seed}).")
        formulas = model.of_purchases | ({} if model.spend_formula is None else {"spend": model.spend_formula})
        if formulas:
            listed = ", ".join(f'{effect} by "{text}"' for effect, text in formulas.items())
            sentences.append(f"Explain {listed}.")
        if model.by is not None:
            sentences.append(
                f"Fit a separate model for each {model.by} with at least {model.least_per_segment:,} repeat "
                "customers; all other customers, and customers of several segments, get the model of all "
                "customers."
            )
    else:
        path = job.root / model.saved if model.saved else registry.path(str(model.registered), model.version)
        load(path)
        sentences.append(f"Use the model {path}.")
    worst = '"ok"' if job.gate.accept == "ok" else '"ok" or "warn"'
    sentences.append(f"Continue if its verdict is {worst}.")
    if job.gate.backtest is not None:
        sentences.append(
            f"Hold out the last {job.gate.backtest}, and continue if the predicted purchases are within "
            f"{job.gate.most_bias:.0%} of the actual ones."
        )
    if model.register_as is not None:
        then = "and promote it after its scores are published" if model.promote else "and keep the current champion"
        sentences.append(f"Register it as {model.register_as!r} in {registry.folder}, {then}.")
    sentences.append(
        f"Score customers over {scores.horizon} (uncertainty {scores.uncertainty}, seed {scores.seed}), "
        f"{scores.rows_per_block:,} at a time."
    )
    there = sink.exists(run_id or "run")
    if job.sink.mode == "append":
        sentences.append(f"Append the scores to {sink.label} under the run id {run_id or 'of the last day observed'}.")
    else:
        sentences.append(f"Write the scores to {sink.label}, {'replacing what is there' if there else 'which is new'}.")
    return sentences
