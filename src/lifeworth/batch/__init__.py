"""Jobs that nobody watches: from a source to a sink, whole or not at all."""

from lifeworth.batch.dry import dry_run
from lifeworth.batch.job import Job, read_job
from lifeworth.batch.registry import Registry
from lifeworth.batch.run import Ran, run_job

__all__ = ["Job", "Ran", "Registry", "dry_run", "read_job", "run_job"]
