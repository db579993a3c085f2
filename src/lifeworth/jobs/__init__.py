"""Unattended jobs: read from a source, write to a sink, and publish everything or nothing."""

from lifeworth.jobs.dry_run import dry_run
from lifeworth.jobs.job import Job, read_job
from lifeworth.jobs.registry import Registry
from lifeworth.jobs.run import Ran, run_job

__all__ = ["Job", "Ran", "Registry", "dry_run", "read_job", "run_job"]
