"""Validation errors of a job, as sentences that name keys and show no values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from lifeworth.redaction import redact


def sentences(error: ValidationError, keys: set[str], known: Callable[[list[str]], list[str]], duration: str) -> str:
    """Convert all errors of pydantic to our own sentences, which contain no values.

    Parameters
    ----------
    error : what pydantic raises.
    keys : all keys of a job.
    known : returns the keys of the job for [], or of a section for [its name].
    duration : the pattern of durations.
    """
    found = (_sentence(dict(one), keys, known, duration) for one in error.errors(include_url=False))
    return redact("; ".join(dict.fromkeys(found)))


def _sentence(found: dict[str, Any], keys: set[str], known: Callable[[list[str]], list[str]], duration: str) -> str:
    """Convert an error of pydantic to our own sentence: which key, and what is wrong with it, without the value."""
    steps = [
        str(step)
        for step in found["loc"]
        if isinstance(step, int) or step in keys or found["type"] == "extra_forbidden"
    ]
    key = ".".join(steps) or "the job"
    kind = found["type"]
    context = found.get("ctx", {})
    if kind == "extra_forbidden":
        names = known(steps[:-1])
        if not re.fullmatch(r"[\w-]{1,64}", steps[-1]):  # may be a value in the place of a key: it is not repeated
            return f"{'.'.join(steps[:-1]) or 'the job'} has an unknown key; valid keys are: {', '.join(names)}"
        close = difflib.get_close_matches(steps[-1], names, 1)
        if close:
            return f"{key} is not a key of a job (did you mean {close[0]}?)"
        return f"{key} is not a key of a job; valid keys are: {', '.join(names)}"
    if kind == "missing":
        return f"{key} is missing"
    if kind == "value_error":
        text = str(context.get("error", "")).rstrip(".")
        return text if not steps else f"{key} {text}" if not _own(text) else f"{key}: {text}"
    if kind == "literal_error":
        return f"{key} must be {context['expected']}"
    if kind == "string_pattern_mismatch" and context.get("pattern") == duration:
        return f'{key} must be a number and one of h, D, W, M, Y, such as "13W"'
    if kind == "string_pattern_mismatch":
        return f"{key} must be up to 100 letters, digits and . _ -, beginning with a letter or a digit"
    text = str(found["msg"])
    return f"{key}: {text[0].lower()}{text[1:]}"


def _own(text: str) -> bool:
    """Whether a sentence begins with its own subject rather than with a verb that follows the section's name."""
    return not text.startswith(("needs ", "has ", "reads ", "writes ", "takes "))
