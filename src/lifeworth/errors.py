"""The errors a user can act on: each says what was wrong, where, and what to do."""


class LifeworthError(Exception):
    """Base of every error lifeworth raises on purpose. Its text is one sentence for a user."""

    exit_code = 1


class UsageError(LifeworthError, ValueError):
    """An argument or option that makes no sense (exit code 2)."""

    exit_code = 2


class DataError(LifeworthError, ValueError):
    """Data that cannot be used (exit code 3)."""

    exit_code = 3


class FitError(LifeworthError):
    """A fit that failed its diagnostics; nothing was published (exit code 4)."""

    exit_code = 4


class SourceError(LifeworthError, OSError):
    """A source or sink that could not be read or written (exit code 5)."""

    exit_code = 5


class DataWarning(UserWarning):
    """Data that was used, with something a user ought to know about it."""


def is_interruption(error: BaseException) -> bool:
    """Whether somebody asked to stop; a signal that meets compiled code comes out as the cause of another error."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)
