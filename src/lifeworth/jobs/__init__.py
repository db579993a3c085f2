"""Jobs that nobody watches: from a source to a sink, whole or not at all."""

from lifeworth.jobs.dry_run import dry_run
from lifeworth.jobs.job import Job, read_job
from lifeworth.jobs.registry import Registry
from lifeworth.jobs.run import Ran, run_job

__all__ = ["Job", "Ran", "Registry", "dry_run", "read_job", "run_job"]
