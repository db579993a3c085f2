"""Errors that users can act on: each message says what is wrong, where, and what to do."""


class LifeworthError(Exception):
    """Base of every error lifeworth raises on purpose. Its text is one sentence for a user.

    Attributes
    ----------
    exit_code : of the command line.

    Examples
    --------
    >>> import lifeworth as lw
    >>> try:
    ...     lw.rfm_summary(lw.load_cdnow(sample=True), date="day")
    ... except lw.LifeworthError as error:
    ...     print(error.exit_code)
    3
    """

    exit_code = 1


class UsageError(LifeworthError, ValueError):
    """An argument or option that makes no sense (exit code 2).

    Examples
    --------
    >>> import lifeworth as lw
    >>> try:
    ...     lw.BetaGeo(priors={"gamma": None})
    ... except lw.UsageError as error:
    ...     print(error)
    The prior of gamma must be a pymc_extras Prior, not NoneType.
    """

    exit_code = 2


class DataError(LifeworthError, ValueError):
    """Data that cannot be used (exit code 3).

    Examples
    --------
    >>> import lifeworth as lw, pandas as pd
    >>> once = pd.DataFrame({"customer_id": [1, 2], "frequency": [0, 0], "recency": [0, 0], "T": [5, 9]})
    >>> try:
    ...     lw.BetaGeo().fit(lw.RFM.from_frame(once, time_unit="W"))
    ... except lw.DataError as error:
    ...     print(str(error).partition(",")[0])
    No customer of 2 bought a second time
    """

    exit_code = 3


class FitError(LifeworthError):
    """A fit that failed its diagnostics; nothing was published (exit code 4).

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> fit = lw.BetaGeo().fit(rfm)
    >>> fit.check()  # as every prediction does: a verdict of "fail" raises
    """

    exit_code = 4


class SourceError(LifeworthError, OSError):
    """A source or sink that could not be read or written (exit code 5).

    Examples
    --------
    >>> import lifeworth as lw
    >>> try:
    ...     lw.rfm_summary("no-such-folder/purchases.csv")
    ... except lw.SourceError as error:
    ...     print(error.exit_code)
    5
    """

    exit_code = 5


class DataWarning(UserWarning):
    """Data that was used, with something a user ought to know about it."""


def is_interruption(error: BaseException | None) -> bool:
    """Whether a stop was requested; a signal during compiled code is the cause of another error."""
    met: list[BaseException] = []
    chain = [error]
    while chain:
        one = chain.pop()
        if one is None or any(one is other for other in met):
            continue
        if isinstance(one, KeyboardInterrupt):
            return True
        met.append(one)
        chain += [one.__cause__, one.__context__]
    return False
