"""Commands for jobs: `lifeworth init`, `lifeworth run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lifeworth.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (init, run):
        app.command()(command)


def init(
    job: Annotated[Path, typer.Argument(help="The file to write.")] = Path("job.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a job file with a comment on every key."""
    from importlib.resources import files

    from lifeworth.atomic_files import replacing

    if job.exists() and not force:
        raise UsageError(f"{job} exists: choose another name, or replace it with --force.")
    with replacing(job) as temporary:
        temporary.write_bytes(files("lifeworth.jobs").joinpath("template.toml").read_bytes())
    typer.echo(f"{job} was written: fill it in, then try lifeworth run {job} --dry-run")


def run(
    job: Annotated[Path, typer.Argument(help="A job file; lifeworth init writes one.", show_default=False)],
    run_id: Annotated[
        str | None,
        typer.Option(
            help="The id under which a sink that appends stores these rows; default: the last day observed.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Describe what would be done, and change nothing.")
    ] = False,
    log: Annotated[
        str, typer.Option(help="Log on stderr: none, human or json; it is always written to a file.")
    ] = "none",
) -> None:
    """Run a job: from a source to a sink, completely or not at all. Shows progress only in a terminal."""
    from lifeworth import jobs
    from lifeworth.cli import terminal

    if log not in {"none", "human", "json"}:
        raise UsageError(f"--log {log} is not valid: choose none, human or json.")
    found = jobs.read_job(job)
    if dry_run:
        typer.echo("\n".join(jobs.dry_run(found, run_id)))
        return
    with terminal.progress(terminal.console(stderr=True)) as report:
        done = jobs.run_job(found, run_id, shown=None if log == "none" else log, progress=report)  # type: ignore[arg-type]
    if sys.stdout.isatty():
        typer.echo(str(done))
